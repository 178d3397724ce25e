# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.mycat.ha.plugins.module_utils.cluster.switchover import not_there, steps
from ansible_collections.mycat.ha.plugins.module_utils.readers import SettingError
from ansible_collections.mycat.ha.plugins.module_utils.report.cluster import mapping
from ansible_collections.mycat.ha.plugins.plugin_utils.inventory import Inventory
from ansible_collections.mycat.ha.plugins.plugin_utils.wishes import wishes


class ActionModule(ActionBase):
    """Decides on the controller; see the module of the same name for its documentation."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result = super().run(tmp, task_vars)
        inventory = Inventory(self._task, self._loader, task_vars or {})
        here = inventory.task_vars["inventory_hostname"]
        run = mapping(inventory.kept(here, "__mycat_ha_run"))
        states = {host: inventory.state(host) or None for host in mapping(run.get("clusters"))}
        done = inventory.kept(here, "__mycat_ha_moves")
        try:
            wished = wishes(inventory, *inventory.clusters())
        except SettingError as error:
            return {**result, "failed": True, "msg": str(error)}
        found = steps(wished, run.get("expected"), states)
        return {
            **result,
            "changed": False,
            **found.as_data(),
            "seconds": wished[0].drain,
            "force": wished[0].force,
            "missed": not_there(done, run.get("expected"), states) if done else [],
        }
