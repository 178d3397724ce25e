# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Virtual router ids of clusters that share a network. Pure.

An id that a cluster uses stays, whatever other clusters there are; a newcomer takes another.
"""

from __future__ import annotations

import ipaddress
from typing import Any, Iterable, Iterator, Mapping, Sequence, Union

from ..network.addresses import interface_addresses
from ..vrrp.router_ids import derived_router_id
from .hosts import HostView

Network = Union[ipaddress.IPv4Network, ipaddress.IPv6Network]


class RouterIds:
    """The ids on each network, and the clusters that they belong to."""

    def __init__(self) -> None:
        self._owners: dict[Network, dict[int, set[str]]] = {}

    def add(self, cluster: str, networks: Iterable[Network], numbers: Iterable[int]) -> None:
        """Keep ids of a cluster on all networks that it has VIPs on."""
        ids = list(numbers)
        for network in networks:
            for number in ids:
                self._owners.setdefault(network, {}).setdefault(number, set()).add(cluster)

    def of_others(self, cluster: str, networks: Iterable[Network]) -> set[int]:
        """The ids that other clusters have on these networks."""
        return {
            number
            for network in networks
            for number, owners in self._owners.get(network, {}).items()
            if owners - {cluster}
        }

    def shared(self) -> Iterator[tuple[int, Network, list[str]]]:
        """The ids that several clusters have on one network."""
        for network, ids in self._owners.items():
            for number, owners in ids.items():
                if len(owners) > 1:
                    yield number, network, sorted(owners)


def networks_of(load_balancers: Sequence[HostView]) -> set[Network]:
    """The networks on which a cluster has its VIPs: as the VIPs say, and as the hosts do."""
    vips = [
        ipaddress.ip_interface(vip["address"]) for host in load_balancers for vip in _vips(host)
    ]
    own = {
        address.network
        for host in load_balancers
        if host.facts
        for _name, addresses in interface_addresses(host.facts)
        for address in addresses
    }
    return {
        *(vip.network for vip in vips),
        *(network for network in own if any(vip.ip in network for vip in vips)),
    }


def known_ids(load_balancers: Sequence[HostView]) -> set[int]:
    """The ids that a cluster is known to have: those that are set, and those that run.

    Of a cluster that nobody looked at, those that it would have alone.
    """
    vips = [vip for host in load_balancers for vip in _vips(host)]
    given = {int(vip["virtual_router_id"]) for vip in vips if vip.get("virtual_router_id")}
    running = {
        int(instance["virtual_router_id"]) for host in load_balancers for instance in host.instances
    }
    if any(host.reachable for host in load_balancers):
        return given | running
    return given | {
        derived_router_id(vip["address"]) for vip in vips if not vip.get("virtual_router_id")
    }


def _vips(host: HostView) -> Iterator[Mapping[str, Any]]:
    """The VIPs that can be understood; what is wrong with others, their cluster's plan says."""
    for vip in host.settings["keepalived"].get("keepalived_vips") or ():
        try:
            ipaddress.ip_interface(vip.get("address"))
        except ValueError:
            continue
        yield vip
