# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import time
from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.mycat.ha.plugins.module_utils.readers import SettingError
from ansible_collections.mycat.ha.plugins.plugin_utils.inventory import Inventory, nobody
from ansible_collections.mycat.ha.plugins.plugin_utils.wishes import concerned


class ActionModule(ActionBase):
    """Says which hosts belong together; asks no host."""

    TRANSFERS_FILES = False
    _supports_check_mode = True

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result = super().run(tmp, task_vars)
        _valid, options = self.validate_argument_spec(
            {
                "moving": {"type": "bool", "default": False},
                "removing": {"type": "bool", "default": False},
            }
        )
        try:
            inventory = Inventory(self._task, self._loader, task_vars or {})
            clusters, others = inventory.clusters()
            lb_group, mycat_group = inventory.group_names()
            if not any(members.load_balancers for members in (*clusters, *others)):
                raise nobody("mycat_ha_lb_group", lb_group)
            if not any(members.mycats for members in (*clusters, *others)):
                raise nobody("mycat_ha_mycat_group", mycat_group)
            if options["moving"] or options["removing"]:
                clusters, others = concerned(inventory, clusters, others, options["removing"])
        except SettingError as error:
            return {**result, "failed": True, "msg": str(error)}
        return {
            **result,
            "changed": False,
            "started": time.time(),
            "clusters": [members.as_data() for members in clusters],
            "others": [members.as_data() for members in others],
        }
