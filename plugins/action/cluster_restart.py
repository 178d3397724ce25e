# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.mycat.ha.plugins.module_utils.cluster.restart import Answers, Judge, plan
from ansible_collections.mycat.ha.plugins.module_utils.readers import SettingError
from ansible_collections.mycat.ha.plugins.module_utils.report.cluster import mapping, read_clusters
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


class ActionModule(ActionBase):
    """Decides on the controller; see the module of the same name for its documentation."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result = super().run(tmp, task_vars)
        _valid, options = self.validate_argument_spec(
            {
                "step": {"type": "str", "choices": list(STEPS), "default": "plan"},
                "turn": {"type": "list", "elements": "str", "default": []},
            }
        )
        inventory = Inventory(self._task, self._loader, task_vars or {})
        here = inventory.task_vars["inventory_hostname"]
        run = mapping(inventory.kept(here, "__mycat_ha_run"))
        hosts = list(mapping(run.get("clusters")))
        states = {host: inventory.state(host) or None for host in hosts}
        try:
            wished = order(inventory, inventory.clusters()[0])
        except SettingError as error:
            return {**result, "failed": True, "msg": str(error)}
        if options["step"] == "plan":
            found = plan(wished, run.get("expected"), states).as_data()
            return {**result, "changed": False, **found, "run": str(run.get("started"))}
        answers = {host: answers_of(inventory, host) for host in hosts}
        failed = [host for host in hosts if inventory.kept(host, "__mycat_ha_failure")]
        clusters = read_clusters(run.get("expected"), states)
        judge = Judge(wished, options["turn"], clusters, answers, failed)
        turn = getattr(judge, options["step"])()
        wishes = {"drain": wished.drain, "force": wished.force}
        return {**result, "changed": False, **turn.as_data(), **wishes}
