# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hosts of an inventory as the plan wants them: settings typed, facts and state as known."""

from __future__ import annotations

import copy
import functools
import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.mycat.ha.plugins.module_utils.cluster.files import Role
from ansible_collections.mycat.ha.plugins.module_utils.cluster.hosts import (
    HostView,
    folded_vips,
    respelled_vip,
)
from ansible_collections.mycat.ha.plugins.module_utils.cluster.members import Members
from ansible_collections.mycat.ha.plugins.module_utils.cluster.request import Refusals
from ansible_collections.mycat.ha.plugins.module_utils.settings import typed
from ansible_collections.mycat.ha.plugins.module_utils.variables import unknown_variables

from .inventory import Inventory, collection_spec

#: Options of the role keepalived, and the variables of the whole collection that set them.
WISHES = {
    "keepalived_failover_mode": "mycat_ha_failover_mode",
    "keepalived_preempt": "mycat_ha_preempt",
    "keepalived_failover_budget": "mycat_ha_failover_budget",
    "keepalived_node_loss_budget": "mycat_ha_node_loss_budget",
}
#: Options that another role needs too: they count whichever hosts of a cluster they are set for.
SHARED = {
    "mycat_status": ("mycat_status_port", "mycat_status_sql_port"),
    "haproxy": ("haproxy_alive_bind",),
}
ROLES_OF = {"load_balancer": ("haproxy", "keepalived"), "mycat": ("mycat_status", "mycat")}
#: Roles that a host has only where this variable is set for it.
OPTIONAL = {"mycat": "mycat_archive"}


class Views:
    """Makes a HostView of each host; what is wrong with its variables goes to ``refused``."""

    def __init__(self, inventory: Inventory, roles: Mapping[str, Role], refused: Refusals) -> None:
        self.inventory, self.refused = inventory, refused
        self.specs = {name: role.spec() for name, role in roles.items()}
        self.common = collection_spec()
        if "keepalived" in self.specs:
            # A VIP is written in the same way for both.
            of_vip = self.specs["keepalived"]["keepalived_vips"]["options"]
            self.common["mycat_ha_vips"] = {**self.common["mycat_ha_vips"], "options": of_vip}
        self.known = {*self.common, *(name for spec in self.specs.values() for name in spec)}
        self.notes: list[str] = []

    def aside(self) -> Views:
        """The same, which says nothing of what is wrong."""
        other = copy.copy(self)
        other.refused, other.notes = Refusals(), []
        return other

    def of(self, host: str, roles: Iterable[str]) -> HostView:
        """The view of one host with the settings of these roles, as far as it has them."""
        roles = [role for role in roles if self._has(host, role)]
        values, broken = self.inventory.templated(
            host, [*self.common, *(name for role in roles for name in self.specs[role])]
        )
        for name in (name for role in roles for name in SHARED.get(role, ())):
            if name not in values and name not in broken:
                values.update(self._of_others(host, name))
        for name, why in broken.items():
            self.refused.add(host, f"{name}: cannot be evaluated: {why}")
        common = self._typed(host, self.common, values)
        self._look_for_unknown(host, common)
        settings = {role: self._typed(host, self.specs[role], values) for role in roles}
        if "keepalived" in settings:
            fold(settings["keepalived"], common)
        return HostView(
            name=host,
            common=common,
            settings=settings,
            given=frozenset(values),
            facts=self.inventory.facts(host),
            state=self.inventory.state(host),
            connection=self._connection(host),
        )

    def _has(self, host: str, role: str) -> bool:
        """Whether a host has a role; without its variable an optional one does not count."""
        option = OPTIONAL.get(role)
        return option is None or bool(self.inventory.templated(host, (option,))[0].get(option))

    def _of_others(self, host: str, name: str) -> dict[str, Any]:
        """{name: value} as the first other host of its clusters has it that has it."""
        for other in self._partners.get(host, ()):
            if name in self.inventory.variables(other):
                return self.inventory.templated(other, (name,))[0]
        return {}

    @functools.cached_property
    def _partners(self) -> dict[str, list[str]]:
        """{host: all hosts of its clusters}."""
        found: dict[str, list[str]] = {}
        for members in itertools.chain(*self.inventory.clusters()):
            for host in members.hosts:
                found.setdefault(host, []).extend(members.hosts)
        return found

    def _look_for_unknown(self, host: str, common: Mapping[str, Any]) -> None:
        refusals, warnings = unknown_variables(
            self.inventory.names(host), self.known, common.get("mycat_ha_ignore_variables") or ()
        )
        for error in refusals:
            self.refused.add(host, error)
        self.notes.extend(note for note in warnings if note not in self.notes)

    def _typed(
        self, host: str, spec: Mapping[str, Any], values: Mapping[str, Any]
    ) -> dict[str, Any]:
        settings, errors = typed(spec, values)
        for error in errors:
            self.refused.add(host, error)
        return settings

    def _connection(self, host: str) -> str:
        try:
            return str(self.inventory.value(host, "ansible_host") or "")
        except Exception:
            return ""


def fold(settings: dict[str, Any], common: Mapping[str, Any]) -> None:
    """Set options of the role that are not set from the variables of the whole collection."""
    for option, wish in WISHES.items():
        settings.setdefault(option, common.get(wish))
    own = settings.get("keepalived_vips")
    settings["keepalived_vips"] = list(map(respelled_vip, own)) if own else folded_vips(common)


def all_views(
    views: Views, clusters: Iterable[Members], neighbours: Iterable[str] = ()
) -> dict[str, HostView]:
    """A view of every member of the clusters, of the hosts that haproxy_listeners name, and of
    ``neighbours``, which are load balancers of other clusters."""
    wanted: dict[str, list[str]] = {}
    for members in clusters:
        for host in members.load_balancers:
            wanted.setdefault(host, []).extend(("haproxy", "keepalived"))
        for host in members.mycats:
            wanted.setdefault(host, []).extend(ROLES_OF["mycat"])
    found = {host: views.of(host, dict.fromkeys(names)) for host, names in wanted.items()}
    # What is wrong with hosts that a run leaves alone, a run about them says.
    aside = views.aside()
    for host in neighbours:
        found.setdefault(host, aside.of(host, ("keepalived",)))
    for host in _listened(list(found.values()), views.inventory) - found.keys():
        found[host] = views.of(host, ())
    return found


def asking_others(clusters: Sequence[Members], others: Iterable[Members]) -> list[str]:
    """The load balancers of other clusters that ask a MyCat of these."""
    mycats = {host for members in clusters for host in members.mycats}
    return [
        host
        for members in others
        if mycats.intersection(members.mycats)
        for host in members.load_balancers
    ]


def _listened(views: Iterable[HostView], inventory: Inventory) -> set[str]:
    """The hosts of the groups that haproxy_listeners name."""
    return {
        host
        for view in views
        for listener in view.settings.get("haproxy", {}).get("haproxy_listeners") or ()
        for host in inventory.groups.get(str(listener.get("group")), ())
    }
