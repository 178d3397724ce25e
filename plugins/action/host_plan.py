# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.mycat.ha.plugins.plugin_utils.inventory import plain


class ActionModule(ActionBase):
    """Hands a host its part of the plan, and saves the files that the part may change."""

    TRANSFERS_FILES = False
    _supports_check_mode = True

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result = super().run(tmp, task_vars)
        variables = task_vars or {}
        hosts = (variables.get("__mycat_ha_plan") or {}).get("hosts") or {}
        part = plain(hosts.get(variables["inventory_hostname"]) or {})
        if part.get("paths") and not self._task.check_mode:
            saved = self._execute_module(
                module_name="mycat.ha.snapshot",
                module_args={"state": "saved", "paths": part["paths"]},
                task_vars=variables,
            )
            if saved.get("failed") or saved.get("unreachable"):
                return {**result, **saved}
        return {**result, **part, "changed": False}
