# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which hosts of an inventory belong together. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Iterable, Mapping, Sequence

from ..readers import SettingError

#: The cluster of hosts that name none.
UNNAMED = "main"
# The first that is set counts.
_LB_GROUP = ("mycat_ha_lb_group", "keepalived_group", "mycat_status_lb_group")
_MYCAT_GROUP = ("mycat_ha_mycat_group", "haproxy_mycat_group")
GROUP_NAMES = (*_LB_GROUP, *_MYCAT_GROUP)


@dataclass(frozen=True)
class Members:
    """The hosts of one cluster, each in the order of its inventory group."""

    name: str
    load_balancers: tuple[str, ...]
    mycats: tuple[str, ...]

    @property
    def hosts(self) -> tuple[str, ...]:
        """All of them, once."""
        return tuple(dict.fromkeys((*self.load_balancers, *self.mycats)))

    def as_data(self) -> dict[str, Any]:
        """The members as a task returns them."""
        return {
            "name": self.name,
            "load_balancers": list(self.load_balancers),
            "mycats": list(self.mycats),
        }

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Members:
        """The members that ``as_data`` told."""
        return cls(data["name"], tuple(data["load_balancers"]), tuple(data["mycats"]))


def group_names(variables: Mapping[str, Any]) -> tuple[str, str]:
    """The groups of load balancers and of MyCats, as the variables of a host name them."""
    return (
        _first(variables, _LB_GROUP) or "haproxy",
        _first(variables, _MYCAT_GROUP) or "mycat",
    )


def _first(variables: Mapping[str, Any], names: Iterable[str]) -> str:
    return next((str(variables[name]) for name in names if variables.get(name)), "")


def listed(names: Any) -> list[str]:
    """A list of names, also where it came as text like ``east,west``."""
    given = names.split(",") if isinstance(names, str) else names or ()
    return [str(name).strip() for name in given if str(name).strip()]


def clusters_of(variables: Mapping[str, Any]) -> tuple[str, ...]:
    """The clusters that a host names; none where it names none."""
    several = variables.get("mycat_ha_clusters")
    if several:
        return tuple(listed(several))
    one = variables.get("mycat_ha_cluster")
    return (str(one),) if one else ()


def find_members(
    load_balancers: Sequence[str],
    mycats: Sequence[str],
    variables: Mapping[str, Mapping[str, Any]],
) -> list[Members]:
    """The clusters, in the order of their first hosts.

    ``variables``: {host: {name: value}}, of which mycat_ha_cluster and mycat_ha_clusters count.
    Raises SettingError with the host that does not fit.
    """
    named = {host: clusters_of(variables[host]) for host in (*load_balancers, *mycats)}
    if not any(named.values()):
        return [Members(UNNAMED, tuple(load_balancers), tuple(mycats))]
    for host, names in named.items():
        if not names:
            other = next(host for host in named if named[host])
            raise SettingError(
                "mycat_ha_cluster",
                f"is not set for {host}, while {other} is of the cluster {named[other][0]}; "
                "say for each host, or each group of hosts, to which cluster it belongs",
            )
    for host in load_balancers:
        if len(named[host]) > 1:
            raise SettingError(
                "mycat_ha_clusters",
                f"has {' and '.join(named[host])} for the load balancer {host}, and a load "
                "balancer belongs to one cluster; give it one name in mycat_ha_cluster",
            )
    order = dict.fromkeys(name for names in named.values() for name in names)
    found = [
        Members(
            cluster,
            tuple(host for host in load_balancers if cluster in named[host]),
            tuple(host for host in mycats if cluster in named[host]),
        )
        for cluster in order
    ]
    for members in found:
        if not members.load_balancers:
            raise SettingError(
                "mycat_ha_cluster",
                f"is {members.name} for {', '.join(members.mycats)}, and no load balancer is of "
                "that cluster; write the name of a cluster that has load balancers",
            )
    return found


def chosen(found: Sequence[Members], only: Iterable[str]) -> list[Members]:
    """The clusters that mycat_ha_cluster_only names, all where it names none."""
    names = [str(name) for name in only]
    known = [members.name for members in found]
    for name in names:
        if name not in known:
            raise SettingError(
                "mycat_ha_cluster_only",
                f"names {name}, which is no cluster of this inventory; write one of "
                f"{', '.join(known)}",
            )
    return [members for members in found if not names or members.name in names]
