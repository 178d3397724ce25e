# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any, ClassVar

from ansible_collections.mycat.ha.plugins.module_utils.cluster.restart import Answers, Judge, plan
from ansible_collections.mycat.ha.plugins.module_utils.report.cluster import mapping, read_clusters
from ansible_collections.mycat.ha.plugins.plugin_utils.deciding import Decision, Situation
from ansible_collections.mycat.ha.plugins.plugin_utils.inventory import Inventory
from ansible_collections.mycat.ha.plugins.plugin_utils.wishes import order

STEPS = ("plan", "may_drain", "may_stop", "returned", "seen_up")


def answers_of(inventory: Inventory, host: str) -> Answers:
    """What the tasks of the turn returned on a host."""
    steps = mapping(inventory.kept(host, "__mycat_ha_steps"))
    return Answers(
        drained=_useful(steps.get("drained")),
        quiet=_useful(inventory.kept(host, "__mycat_ha_quiet")),
        restarted=_useful(steps.get("restarted") or steps.get("returned")),
        up=_useful(inventory.kept(host, "__mycat_ha_up")),
    )


def _useful(returned: Any) -> dict[str, Any]:
    """What a task returned, empty where it did not run or failed."""
    found = mapping(returned)
    useless = found.get("failed") or found.get("unreachable") or found.get("skipped")
    return {} if useless else dict(found)


class ActionModule(Decision):
    """In which order MyCats are restarted, and what is next in a turn."""

    OPTIONS: ClassVar[dict[str, Any]] = {
        "step": {"type": "str", "choices": list(STEPS), "default": "plan"},
        "turn": {"type": "list", "elements": "str", "default": []},
    }

    def decide(self, situation: Situation, options: dict[str, Any]) -> dict[str, Any]:
        inventory, expected, states = situation.inventory, situation.expected, situation.states
        wished = order(inventory, inventory.clusters()[0])
        if options["step"] == "plan":
            return {**plan(wished, expected, states).as_data(), "run": situation.started}
        answers = {host: answers_of(inventory, host) for host in situation.hosts}
        clusters = read_clusters(expected, states)
        judge = Judge(wished, options["turn"], clusters, answers, situation.failed)
        turn = getattr(judge, options["step"])()
        return {**turn.as_data(), "drain": wished.drain, "force": wished.force}
