# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a node's adverts come from when its configuration does not say: what the others list.

With ``unicast_peer`` and without ``unicast_src_ip`` the daemon takes the interface's address, which
nobody told. But each node's own address is the one that others list as a peer and it does not.
"""

from __future__ import annotations

from dataclasses import replace

from .hearing import plain_address
from .model import Cluster, Node


def with_sources(cluster: Cluster) -> Cluster:
    """The cluster with the addresses that follow from the lists of peers. A node stays without one
    where the lists leave none or several, as where one list was copied to all nodes."""
    listed = {node.name: _peers(node) for node in cluster.nodes}
    known = {node.name: plain_address(node.address) for node in cluster.nodes if node.address}
    found = True
    while found:
        found = False
        for node in cluster.nodes:
            others = (listed[other.name] for other in cluster.nodes if other is not node)
            open_to_it = frozenset().union(*others) - listed[node.name] - {*known.values()}
            if listed[node.name] and node.name not in known and len(open_to_it) == 1:
                known[node.name] = next(iter(open_to_it))
                found = True
    return Cluster(tuple(replace(node, address=known.get(node.name, "")) for node in cluster.nodes))


def _peers(node: Node) -> frozenset[str]:
    return frozenset(
        plain_address(peer) for instance in node.instances for peer in instance.unicast_peer or ()
    )
