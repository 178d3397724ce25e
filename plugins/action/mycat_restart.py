# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.mycat.ha.plugins.module_utils.cluster.files import roles
from ansible_collections.mycat.ha.plugins.module_utils.cluster.request import Refusals
from ansible_collections.mycat.ha.plugins.plugin_utils.inventory import COLLECTION, Inventory
from ansible_collections.mycat.ha.plugins.plugin_utils.views import Views


class ActionModule(ActionBase):
    """Runs the module of the same name; where MyCat is follows from the inventory."""

    TRANSFERS_FILES = False
    _supports_check_mode = True

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result = super().run(tmp, task_vars)
        variables = task_vars or {}
        result.update(
            self._execute_module(
                module_name="mycat.ha.mycat_restart",
                module_args={**self._where(variables), **self._task.args},
                task_vars=variables,
            )
        )
        return result

    def _where(self, variables: dict[str, Any]) -> dict[str, Any]:
        """The options that follow from the inventory."""
        inventory = Inventory(self._task, self._loader, variables)
        host = variables["inventory_hostname"]
        every = roles(COLLECTION, ("mycat_status",))
        view = Views(inventory, every, Refusals()).of(host, every)
        own, common = view.settings["mycat_status"], view.common
        # The port that the endpoint has, until site gives it another one.
        port, has = own["mycat_status_port"], inventory.state(host).get("endpoint_ports") or ()
        return {
            "home": own["mycat_status_home"],
            "pid_file": own.get("mycat_status_pid_file"),
            "endpoint_port": port if port in has or not has else has[0],
            "unit": common.get("mycat_ha_mycat_unit") or "",
            "stop_seconds": common["mycat_ha_mycat_stop_seconds"],
            "start_seconds": common["mycat_ha_mycat_start_seconds"],
        }
