# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import time
from datetime import datetime
from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.mycat.ha.plugins.module_utils.cluster.files import roles
from ansible_collections.mycat.ha.plugins.module_utils.cluster.questions import questions
from ansible_collections.mycat.ha.plugins.module_utils.cluster.request import Refusals
from ansible_collections.mycat.ha.plugins.module_utils.readers import SettingError
from ansible_collections.mycat.ha.plugins.plugin_utils.inventory import COLLECTION, Inventory
from ansible_collections.mycat.ha.plugins.plugin_utils.views import ROLES_OF, Views

ROLES = ("mycat", "mycat_status", "haproxy", "keepalived")


class ActionModule(ActionBase):
    """Runs the module of the same name; what it is asked for follows from the inventory."""

    TRANSFERS_FILES = False
    _supports_check_mode = True

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result = super().run(tmp, task_vars)
        variables = task_vars or {}
        arguments = dict(self._task.args)
        host = str(arguments.pop("host", variables["inventory_hostname"]))
        arguments = {**self._questions(host, variables), **arguments}
        result.update(
            self._execute_module(
                module_name="mycat.ha.host_state", module_args=arguments, task_vars=variables
            )
        )
        if result.get("time"):
            host_time = datetime.fromisoformat(str(result["time"]).replace("Z", "+00:00"))
            result["clock_ahead"] = host_time.timestamp() - time.time()
        return result

    def _questions(self, host: str, variables: dict[str, Any]) -> dict[str, Any]:
        """The options that follow from the inventory; none where it is wrong, which the plan then
        refuses."""
        inventory = Inventory(self._task, self._loader, variables)
        try:
            clusters = [each for each in inventory.clusters()[0] if host in each.hosts]
        except SettingError:
            return {}
        every = roles(COLLECTION, ROLES)
        views = Views(inventory, every, Refusals())
        first = [name for members in clusters for name in members.load_balancers[:1]]
        lbs = [views.of(name, ("haproxy", "keepalived")) for name in first]
        is_lb = any(host in members.load_balancers for members in clusters)
        is_mycat = any(host in members.mycats for members in clusters)
        wanted = (
            *(("haproxy", "keepalived") if is_lb else ()),
            *(ROLES_OF["mycat"] if is_mycat else ()),
        )
        mycats = [name for members in clusters for name in members.mycats[:1]]
        view = views.of(host, wanted)
        return questions(
            view,
            lbs,
            [views.of(name, ("mycat_status",)) for name in mycats],
            {name: every[name] for name in view.settings},
        )
