# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.mycat.ha.plugins.module_utils.cluster import ports
from ansible_collections.mycat.ha.plugins.module_utils.cluster.files import roles
from ansible_collections.mycat.ha.plugins.module_utils.cluster.remains import remains
from ansible_collections.mycat.ha.plugins.module_utils.cluster.removal import (
    Removal,
    plan,
    turn,
)
from ansible_collections.mycat.ha.plugins.module_utils.cluster.request import Refusals
from ansible_collections.mycat.ha.plugins.module_utils.readers import SettingError
from ansible_collections.mycat.ha.plugins.module_utils.report.cluster import mapping
from ansible_collections.mycat.ha.plugins.plugin_utils.inventory import COLLECTION, Inventory
from ansible_collections.mycat.ha.plugins.plugin_utils.views import Views
from ansible_collections.mycat.ha.plugins.plugin_utils.wishes import order, removal

# MyCat itself stays.
ROLES = ("keepalived", "haproxy", "mycat_status")


class ActionModule(ActionBase):
    """Decides on the controller; see the module of the same name for its documentation."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result = super().run(tmp, task_vars)
        _valid, options = self.validate_argument_spec(
            {
                "step": {"type": "str", "choices": ["plan", "turn"], "default": "plan"},
                "turn": {"type": "list", "elements": "str", "default": []},
            }
        )
        inventory = Inventory(self._task, self._loader, task_vars or {})
        run = mapping(inventory.kept(inventory.task_vars["inventory_hostname"], "__mycat_ha_run"))
        hosts, expected = list(mapping(run.get("clusters"))), run.get("expected")
        states = {host: inventory.state(host) or None for host in hosts}
        result["changed"] = False
        try:
            wished = removal(inventory, *inventory.clusters())
            how = order(inventory, list(wished.members))
        except SettingError as error:
            return {**result, "failed": True, "msg": str(error)}
        if options["step"] == "turn":
            failed = [host for host in hosts if inventory.kept(host, "__mycat_ha_failure")]
            found = turn(wished, how, options["turn"], expected, states, failed)
            return {**result, **found.as_data(), "force": how.force}
        leaving = plan(wished, how, expected, states)
        goes = {
            host: self._remains(inventory, wished, host) for each in leaving.turns for host in each
        }
        return {**result, **leaving.as_data(), "hosts": goes, "run": str(run.get("started"))}

    def _remains(self, inventory: Inventory, wished: Removal, host: str) -> dict[str, Any]:
        """What goes from a host."""
        balances = any(host in one.load_balancers for one in wished.members)
        serves = any(host in one.mycats for one in wished.members)
        every = roles(COLLECTION, ROLES)
        own = {
            name: role
            for name, role in every.items()
            if (serves if name == "mycat_status" else balances)
        }
        view = Views(inventory, every, Refusals()).of(host, list(own))
        state = inventory.state(host)
        planned = mapping(mapping(self._plan(inventory).get("hosts")).get(host))
        kept = [port for name in own for port in mapping(planned.get(name)).get("listening") or ()]
        commands = [*(planned.get("firewall_closing") or ()), ports.release(kept, state)]
        return {
            **remains(own, state, view.settings, wished.packages),
            "commands": [command for command in commands if command],
        }

    def _plan(self, inventory: Inventory) -> dict[str, Any]:
        here = inventory.task_vars["inventory_hostname"]
        return dict(mapping(inventory.kept(here, "__mycat_ha_plan")))
