# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of a configuration runs at all: the daemon refuses some files as a whole, and some instances
never leave FAULT.

The conditions are those of ``vrrp_complete_init`` in keepalived's ``vrrp.c``, versions 2.0 to 2.4.
"""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Iterator

from . import priority
from .hearing import family_of, plain_address, source_is_foreign
from .model import Cluster, Instance, Node
from .versions import (
    FOREIGN_SOURCE_RUNS_SINCE,
    STRICT_UNICAST_RUNS_SINCE,
    STRICT_UNICAST_RUNS_UNTIL,
)


def has_router_id(instance: Instance) -> bool:
    """Whether the virtual_router_id is one; else the daemon ends."""
    return 1 <= instance.virtual_router_id <= 255


def has_interface(instance: Instance) -> bool:
    """Whether the instance says where it is; else the daemon ends."""
    return bool(instance.interface or instance.unicast_src_ip)


def may_lack_addresses(instance: Instance) -> bool:
    """Whether the daemon starts although the instance has no virtual_ipaddress."""
    return instance.version == 2 and not instance.strict_mode


def refuses_strict_unicast(node: Node, instance: Instance) -> bool:
    """Whether the daemon ends for unicast in strict mode; a few versions forgot to look."""
    overlooked = STRICT_UNICAST_RUNS_SINCE <= node.keepalived_version < STRICT_UNICAST_RUNS_UNTIL
    return instance.strict_mode and bool(instance.unicast_peer) and not overlooked


def router_id_conflicts(node: Node) -> Iterator[tuple[Instance, Instance]]:
    """Pairs of instances that use one virtual_router_id where only one can: the daemon ends."""
    for first, second in itertools.combinations(node.instances, 2):
        alike = (
            first.virtual_router_id == second.virtual_router_id
            and has_router_id(first)
            and family_of(first) == family_of(second)
            and first.interface == second.interface
            and bool(first.unicast_peer) == bool(second.unicast_peer)
        )
        if alike and _same_partners(first, second):
            yield first, second


def _same_partners(first: Instance, second: Instance) -> bool:
    if not first.unicast_peer or not second.unicast_peer:
        return first.multicast_group == second.multicast_group
    peers = [set(map(plain_address, one.unicast_peer or ())) for one in (first, second)]
    return first.unicast_src_ip == second.unicast_src_ip and not peers[0].isdisjoint(peers[1])


def is_refused(node: Node) -> bool:
    """Whether the daemon ends instead of running what the node's file says."""
    return (
        node.refused
        or any(True for _pair in router_id_conflicts(node))
        or not all(
            has_router_id(instance)
            and has_interface(instance)
            and (instance.virtual_ipaddress or may_lack_addresses(instance))
            and not refuses_strict_unicast(node, instance)
            for instance in node.instances
        )
    )


def _stays_in_fault(node: Node, instance: Instance) -> bool:
    if node.keepalived_version >= FOREIGN_SOURCE_RUNS_SINCE:
        return False
    group = priority.sync_group_of(node, instance)
    together = [one for one in node.instances if group and one.name in group.members]
    return any(source_is_foreign(node, one) for one in together or [instance])


def runs(node: Node, instance: Instance) -> bool:
    """Whether the instance can ever hold its addresses."""
    return not is_refused(node) and not _stays_in_fault(node, instance)


def running(cluster: Cluster) -> Cluster:
    """The cluster with the instances that can ever hold their addresses, and no others."""
    borrowed = borrowed_sources(cluster)
    return Cluster(
        tuple(
            replace(
                node,
                instances=tuple(
                    one
                    for one in node.instances
                    if runs(node, one) and (node.name, one.unicast_src_ip) not in borrowed
                ),
            )
            for node in cluster.nodes
        )
    )


def borrowed_sources(cluster: Cluster) -> frozenset[tuple[str, str | None]]:
    """Nodes with a unicast_src_ip that a node before them has too: only one can have the address,
    and nobody told which. On the others the instance stays in FAULT, up to keepalived 2.3.2."""
    first_with: dict[str, str] = {}
    for node in cluster.nodes:
        for instance in node.instances:
            if instance.unicast_src_ip and instance.unicast_peer and runs(node, instance):
                first_with.setdefault(instance.unicast_src_ip, node.name)
    return frozenset(
        (node.name, instance.unicast_src_ip)
        for node in cluster.nodes
        for instance in node.instances
        if node.keepalived_version < FOREIGN_SOURCE_RUNS_SINCE
        and instance.unicast_src_ip
        and instance.unicast_peer
        and first_with.get(instance.unicast_src_ip, node.name) != node.name
    )
