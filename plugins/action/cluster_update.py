# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any, ClassVar

from ansible_collections.mycat.ha.plugins.module_utils.cluster.update import (
    may_leave,
    plan,
    work_of,
)
from ansible_collections.mycat.ha.plugins.module_utils.report.cluster import mapping
from ansible_collections.mycat.ha.plugins.plugin_utils.deciding import Decision, Situation
from ansible_collections.mycat.ha.plugins.plugin_utils.wishes import order, update_wishes


class ActionModule(Decision):
    """In which order hosts are updated, and which load balancers of a turn may be taken out."""

    OPTIONS: ClassVar[dict[str, Any]] = {
        "step": {"type": "str", "choices": ["wishes", "plan", "may_leave"]},
        "turn": {"type": "list", "elements": "str", "default": []},
    }

    def decide(self, situation: Situation, options: dict[str, Any]) -> dict[str, Any]:
        inventory, expected, states = situation.inventory, situation.expected, situation.states
        wished = order(inventory, inventory.clusters()[0])
        packages, reboot = update_wishes(inventory)
        if options["step"] == "wishes":
            return {"packages": packages}
        if options["step"] == "may_leave":
            found = may_leave(wished, options["turn"], expected, states, situation.failed)
            return {**found.as_data(), "force": wished.force, "drain": wished.drain}
        listed = {host: inventory.kept(host, "__mycat_ha_listed") for host in situation.hosts}
        left = [
            host
            for host in situation.hosts
            if mapping(mapping(inventory.kept(host, "__mycat_ha_left")).get("stat")).get("exists")
        ]
        work = work_of(listed, situation.run.get("changing") or (), reboot, left)
        return {
            **plan(wished, work, expected, states).as_data(),
            "run": situation.started,
            "packages": packages,
            "reboots": [host for host, one in work.items() if one.reboot],
            "left": left,
        }
