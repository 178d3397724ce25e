# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from ansible_collections.mycat.ha.plugins.module_utils.cluster import ports
from ansible_collections.mycat.ha.plugins.module_utils.cluster.files import Role, roles
from ansible_collections.mycat.ha.plugins.module_utils.cluster.remains import remains
from ansible_collections.mycat.ha.plugins.module_utils.cluster.removal import (
    Removal,
    plan,
    turn,
)
from ansible_collections.mycat.ha.plugins.module_utils.cluster.request import Refusals
from ansible_collections.mycat.ha.plugins.module_utils.report.cluster import mapping
from ansible_collections.mycat.ha.plugins.plugin_utils.deciding import Decision, Situation
from ansible_collections.mycat.ha.plugins.plugin_utils.inventory import COLLECTION, Inventory
from ansible_collections.mycat.ha.plugins.plugin_utils.views import Views
from ansible_collections.mycat.ha.plugins.plugin_utils.wishes import order, removal

# MyCat itself stays.
ROLES = ("keepalived", "haproxy", "mycat_status")


class ActionModule(Decision):
    """Which hosts leave, in which order, and what goes from each."""

    OPTIONS: ClassVar[dict[str, Any]] = {
        "step": {"type": "str", "choices": ["plan", "turn"], "default": "plan"},
        "turn": {"type": "list", "elements": "str", "default": []},
    }

    def decide(self, situation: Situation, options: dict[str, Any]) -> dict[str, Any]:
        inventory, expected, states = situation.inventory, situation.expected, situation.states
        wished = removal(inventory, *inventory.clusters())
        how = order(inventory, list(wished.members))
        if options["step"] == "turn":
            found = turn(wished, how, options["turn"], expected, states, situation.failed)
            return {**found.as_data(), "force": how.force}
        leaving = plan(wished, how, expected, states)
        every = roles(COLLECTION, ROLES)
        here = inventory.task_vars["inventory_hostname"]
        planned = mapping(mapping(inventory.kept(here, "__mycat_ha_plan")).get("hosts"))
        goes = {
            host: _remains(inventory, wished, every, host, mapping(planned.get(host)))
            for each in leaving.turns
            for host in each
        }
        return {**leaving.as_data(), "hosts": goes, "run": situation.started}


def _remains(
    inventory: Inventory,
    wished: Removal,
    every: Mapping[str, Role],
    host: str,
    planned: Mapping[str, Any],
) -> dict[str, Any]:
    """What goes from a host; ``planned`` is its part of the plan."""
    balances = any(host in one.load_balancers for one in wished.members)
    serves = any(host in one.mycats for one in wished.members)
    own = {
        name: role
        for name, role in every.items()
        if (serves if name == "mycat_status" else balances)
    }
    view = Views(inventory, every, Refusals()).of(host, list(own))
    state = inventory.state(host)
    kept = [port for name in own for port in mapping(planned.get(name)).get("listening") or ()]
    commands = [*(planned.get("firewall_closing") or ()), ports.release(kept, state)]
    return {
        **remains(own, state, view.settings, wished.packages),
        "commands": [command for command in commands if command],
    }
