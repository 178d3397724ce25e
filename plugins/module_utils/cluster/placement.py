# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""On which load balancers the virtual IPs of a cluster are, and where the plan would have them.

Pure. With ``sticky`` an address stays with whoever had it first, so it has to be placed when the
cluster is made, and a cluster that runs is only told.
"""

from __future__ import annotations

from collections import Counter
from typing import Iterator, Mapping, Sequence

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


def uneven(homes: Mapping[str, str], load_balancers: Sequence[HostView]) -> Iterator[str]:
    """What to know where one load balancer holds two addresses more than another.

    ``homes`` maps each address to the load balancer that is the plan's first choice for it.
    """
    held = {vip: holder(vip, load_balancers) for vip in homes}
    able = [host.name for host in load_balancers if host.instances]
    counts = Counter({name: list(held.values()).count(name) for name in able})
    moves = [f"{vip} to {home}" for vip, home in homes.items() if held[vip] not in ("", home)]
    if counts and moves and max(counts.values()) - min(counts.values()) > 1:
        shown = ", ".join(f"{number} on {name}" for name, number in counts.items())
        yield (
            f"the virtual IPs are not spread ({shown}); the plan would have {', '.join(moves)}, "
            "and with sticky each stays where it is. To move them, run once with "
            "`-e mycat_ha_preempt=preferred` and once without; each that moves is away for a moment"
        )


def _addresses(host: HostView) -> set[str]:
    return {canonical(str(address)) for address in host.state.get("addresses") or ()}
