# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose adverts a node lets in: a unicast peer and the time to live that its adverts still have.

A router takes one off the time to live, so what comes with 255 was sent on the same link, and
nobody beyond a router can send it. Pure.
"""

from __future__ import annotations

import ipaddress
from typing import Sequence

from ..vrrp.versions import PEER_TTL_SINCE

#: What keepalived sends IPv4 adverts with.
SENT = 255


def peer_line(
    peer: str, networks: Sequence[str], hops: int | None, version: tuple[int, ...]
) -> str:
    """The line of unicast_peer for a peer's address.

    ``networks`` are the node's own subnets on the interface that the adverts come in on, ``hops``
    the routers that may lie between; None: none in these subnets, any number beyond.
    """
    address = ipaddress.ip_address(peer)
    if hops is None and any(address in ipaddress.ip_network(own) for own in networks):
        hops = 0
    # IPv6 adverts come with what the kernel gives, and a node of an earlier release sends so still.
    if hops is None or address.version == 6 or version < PEER_TTL_SINCE:
        return peer
    return f"{peer} min_ttl {SENT - hops} max_ttl {SENT}"
