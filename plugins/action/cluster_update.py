# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.mycat.ha.plugins.module_utils.cluster.update import (
    may_leave,
    plan,
    work_of,
)
from ansible_collections.mycat.ha.plugins.module_utils.readers import SettingError
from ansible_collections.mycat.ha.plugins.module_utils.report.cluster import mapping
from ansible_collections.mycat.ha.plugins.plugin_utils.inventory import Inventory
from ansible_collections.mycat.ha.plugins.plugin_utils.wishes import order, update_wishes


class ActionModule(ActionBase):
    """Decides on the controller; see the module of the same name for its documentation."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result = super().run(tmp, task_vars)
        _valid, options = self.validate_argument_spec(
            {
                "step": {"type": "str", "choices": ["wishes", "plan", "may_leave"]},
                "turn": {"type": "list", "elements": "str", "default": []},
            }
        )
        inventory = Inventory(self._task, self._loader, task_vars or {})
        run = mapping(inventory.kept(inventory.task_vars["inventory_hostname"], "__mycat_ha_run"))
        hosts, expected = list(mapping(run.get("clusters"))), run.get("expected")
        states = {host: inventory.state(host) or None for host in hosts}
        result["changed"] = False
        try:
            wished = order(inventory, inventory.clusters()[0])
            packages, reboot = update_wishes(inventory)
        except SettingError as error:
            return {**result, "failed": True, "msg": str(error)}
        if options["step"] == "wishes":
            return {**result, "packages": packages}
        if options["step"] == "may_leave":
            failed = [host for host in hosts if inventory.kept(host, "__mycat_ha_failure")]
            found = may_leave(wished, options["turn"], expected, states, failed)
            return {**result, **found.as_data(), "force": wished.force, "drain": wished.drain}
        listed = {host: inventory.kept(host, "__mycat_ha_listed") for host in hosts}
        left = [
            host
            for host in hosts
            if mapping(mapping(inventory.kept(host, "__mycat_ha_left")).get("stat")).get("exists")
        ]
        work = work_of(listed, run.get("changing") or (), reboot, left)
        rolling = plan(wished, work, expected, states).as_data()
        reboots = [host for host, one in work.items() if one.reboot]
        return {
            **result,
            **rolling,
            "run": str(run.get("started")),
            "packages": packages,
            "reboots": reboots,
            "left": left,
        }
