# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Load balancers that a cluster had and has no more, as the others still name them. Pure.

One that was taken out of the group runs on. While it has a virtual IP, the others wait for it.
"""

from __future__ import annotations

from typing import Iterable, Mapping, Sequence

from ..keepalived.reader import parse
from ..vrrp.hearing import plain_address
from ..vrrp.model import Instance
from .hosts import HostView

RETIRE = "run `systemctl disable --now keepalived haproxy` on it"


def left_out(
    load_balancers: Sequence[HostView], planned: Mapping[str, str], text_of: Mapping[str, str]
) -> list[str]:
    """The addresses that running load balancers send adverts to and that are no longer a member's.

    ``planned`` and ``text_of`` are {host: keepalived.conf}, as planned and as it is now.
    """
    changed = [
        host
        for host in load_balancers
        if text_of.get(host.name) and text_of[host.name] != planned[host.name]
    ]
    now = [one for host in changed for one in _instances(text_of[host.name])]
    then = [one for host in changed for one in _instances(planned[host.name])]
    peers = dict.fromkeys(_peers(now))
    return [peer for peer in peers if peer not in {*_own([*now, *then]), *_peers(then)}]


def refusal(name: str, cluster: str, vips: Iterable[str]) -> str:
    """Why a load balancer that left the group has to be retired first."""
    held = ", ".join(vips)
    return (
        f"mycat_ha_lb_group: {name} was a load balancer of the cluster {cluster} and is in the "
        f"group no more, while {held} is on none of the others, so it has it still; {RETIRE} "
        "first, or put it back into the group"
    )


def note(name: str, cluster: str) -> str:
    """What to know of a load balancer that left the group and has no virtual IP."""
    return (
        f"{name} was a load balancer of the cluster {cluster} and is in the group no more; "
        f"{RETIRE}, or it takes part in the election still"
    )


def _instances(text: str) -> tuple[Instance, ...]:
    return parse(text, "").node.instances


def _own(instances: Iterable[Instance]) -> set[str]:
    return {one.unicast_src_ip for one in instances if one.unicast_src_ip}


def _peers(instances: Iterable[Instance]) -> list[str]:
    return [plain_address(peer) for one in instances for peer in one.unicast_peer or ()]
