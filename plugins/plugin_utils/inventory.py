# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Ansible knows of all hosts, as a task on each of them would see it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleError
from ansible.module_utils.common.yaml import yaml_load
from ansible.template import Templar
from ansible_collections.mycat.ha.plugins.module_utils.cluster.members import (
    GROUP_NAMES,
    Members,
    chosen,
    find_members,
    group_names,
    listed,
)
from ansible_collections.mycat.ha.plugins.module_utils.readers import SettingError

COLLECTION = Path(__file__).resolve().parents[2]
#: Variables of ours, and of others whose roles use the same names.
OURS = re.compile(r"(mycat_ha|mycat_status|haproxy|keepalived)_\w+")
#: What the roles and plays of this collection keep for each other.
INNER = re.compile(r"__(mycat_ha|mycat_status|haproxy|keepalived)_")


def collection_spec() -> dict[str, Any]:
    """The options of the variables ``mycat_ha_*``."""
    text = (COLLECTION / "meta/argument_specs.yml").read_text(encoding="utf-8")
    return dict(yaml_load(text)["argument_specs"]["main"]["options"])


def plain(value: Any) -> Any:
    """The value as Python's own types.

    ansible-core gives text that remembers where it comes from, lists that are templated when they
    are read, and values of the vault that are decrypted when they become text.
    """
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, Mapping):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple, set)):
        return [plain(entry) for entry in value]
    return str(value)


def nobody(variable: str, group: str) -> SettingError:
    """The error for a group that has no hosts."""
    return SettingError(
        variable,
        f"the inventory has no host in the group {group!r}; put the hosts into that group, or name "
        "the group that they are in",
    )


class Inventory:
    """The hosts, and the variables that a task of the same play has on each.

    ``hostvars`` alone would lack what the play, the block and the role set.
    """

    def __init__(self, task: Any, loader: Any, task_vars: Mapping[str, Any]) -> None:
        self.task, self.loader, self.task_vars = task, loader, task_vars
        self.groups = {name: list(hosts) for name, hosts in task_vars["groups"].items()}
        self._variables: dict[str, dict[str, Any]] = {task_vars["inventory_hostname"]: task_vars}

    def variables(self, host: str) -> Mapping[str, Any]:
        """The variables of a host, before templating."""
        if host not in self._variables:
            manager = self.task.get_variable_manager()
            found = manager._inventory.get_host(host)
            self._variables[host] = manager.get_vars(
                play=self.task.play, host=found, task=self.task
            )
        return self._variables[host]

    def value(self, host: str, name: str) -> Any:
        """One variable of a host after templating, None where it is not set."""
        variables = self.variables(host)
        if name not in variables:
            return None
        templar = Templar(loader=self.loader, variables=dict(variables))
        return plain(templar.template(variables[name]))

    def templated(self, host: str, names: Iterable[str]) -> tuple[dict[str, Any], dict[str, str]]:
        """Those of the variables that are set, and why some of them have no value."""
        variables = self.variables(host)
        templar = Templar(loader=self.loader, variables=dict(variables))
        values, broken = {}, {}
        for name in names:
            if name in variables:
                try:
                    values[name] = plain(templar.template(variables[name]))
                except AnsibleError as error:
                    broken[name] = str(error)
        return values, broken

    def names(self, host: str) -> list[str]:
        """The variables of a host that are ours, or look like it."""
        return sorted(
            name for name in self.variables(host) if OURS.fullmatch(name) and not INNER.match(name)
        )

    def facts(self, host: str) -> dict[str, Any]:
        """The facts of a host as far as they are known."""
        return plain(self.variables(host).get("ansible_facts") or {})

    def name_of(self, address: str) -> str:
        """The host of the inventory that has an address, as far as that is known, or ""."""
        for host in self.groups.get("all", ()):
            facts = self.facts(host)
            known = (*facts.get("all_ipv4_addresses", ()), *facts.get("all_ipv6_addresses", ()))
            named = self.templated(host, ("mycat_ha_address", "ansible_host"))[0].values()
            if address in (*known, *map(str, named)):
                return str(host)
        return ""

    def kept(self, host: str, name: str) -> Any:
        """What a task of this run kept for a host, or None; never templated."""
        return plain(self.variables(host).get(name))

    def state(self, host: str) -> dict[str, Any]:
        """What mycat.ha.host_state said last of a host, empty where it was not reached."""
        found = self.kept(host, "__mycat_ha_state") or {}
        return found if "files" in found else {}

    def group_names(self) -> tuple[str, str]:
        """The groups of load balancers and of MyCats."""
        return group_names(self.templated(self.task_vars["inventory_hostname"], GROUP_NAMES)[0])

    def clusters(self) -> tuple[list[Members], list[Members]]:
        """The clusters that this run is about, and those that it leaves alone.

        It is about those that mycat_ha_cluster_only names and of which hosts are in the play.
        Raises SettingError.
        """
        known = self.kept(self.task_vars["inventory_hostname"], "__mycat_ha_found")
        if known and "others" in known:
            return tuple(  # type: ignore[return-value]
                [Members.from_data(each) for each in known[key]] for key in ("clusters", "others")
            )
        found, only = self._all_clusters()
        playing = set(self.task_vars.get("ansible_play_hosts_all") or ())
        wanted = [each for each in chosen(found, only) if playing.intersection(each.hosts)]
        return wanted, [each for each in found if each not in wanted]

    def _all_clusters(self) -> tuple[list[Members], list[str]]:
        """All clusters, and which of them mycat_ha_cluster_only names."""
        lb_group, mycat_group = self.group_names()
        only = self.value(self.task_vars["inventory_hostname"], "mycat_ha_cluster_only")
        lbs, mycats = self.groups.get(lb_group, []), self.groups.get(mycat_group, [])
        if not lbs and not mycats:
            raise nobody("mycat_ha_lb_group", lb_group)
        named = {
            host: self.templated(host, ("mycat_ha_cluster", "mycat_ha_clusters"))[0]
            for host in dict.fromkeys((*lbs, *mycats))
        }
        return find_members(lbs, mycats, named), listed(only)
