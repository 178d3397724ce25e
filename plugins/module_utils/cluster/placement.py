# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""On which load balancers the virtual IPs of a cluster are when it is planned. Pure.

With ``sticky`` an address stays with whoever had it first, so it has to be placed when the cluster
is made.
"""

from __future__ import annotations

from typing import Sequence

from ..network.addresses import canonical
from .hosts import HostView


def holder(vip: str, load_balancers: Sequence[HostView]) -> str:
    """The load balancer that has an address, empty where none of those that were reached has."""
    return next((host.name for host in load_balancers if vip in _addresses(host)), "")


def nobody_has(vip: str, load_balancers: Sequence[HostView]) -> bool:
    """Whether all were asked and wait for somebody else's adverts of an address to end."""
    states = [
        str(instance["state"])
        for host in load_balancers
        for instance in host.instances
        if vip in map(canonical, instance["virtual_ipaddress"])
    ]
    waiting = len(states) == len(load_balancers) and set(states) == {"BACKUP"}
    return waiting and not holder(vip, load_balancers)


def is_new(load_balancers: Sequence[HostView]) -> bool:
    """Whether all were reached and none of them runs keepalived."""
    return all(host.reachable and not host.instances for host in load_balancers)


def _addresses(host: HostView) -> set[str]:
    return {canonical(str(address)) for address in host.state.get("addresses") or ()}
