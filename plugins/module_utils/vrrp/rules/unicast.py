# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who speaks to whom: lists of unicast peers."""

from __future__ import annotations

from typing import Iterable, Iterator, Sequence

from ..estate import (
    Estate,
    Judge,
    NodeInstance,
    Router,
    differing,
    first_differing,
    names_of,
    others,
    values_said,
)
from ..findings import Finding, Rule, Severity
from ..hearing import plain_address, source_is_foreign, ttl_limits, ttl_of
from ..pairs import DUAL_MASTER
from ..versions import MCAST_DST_IP_SINCE
from ..words import listed, sentence

UNICAST_NO_PEERS = Rule(
    "unicast-no-peers",
    Severity.ERROR,
    harm="Unicast without a peer falls back to multicast, which many networks drop: then "
    "every node is master.",
    example="unicast_src_ip 192.0.2.11\nunicast_peer {\n}",
    fix="List every other node's address in unicast_peer.",
    unproven="Where multicast works, or every node falls back, the address still moves.",
)


def unicast_no_peers(estate: Estate) -> Iterator[Finding]:
    """Unicast that falls back to multicast."""
    for router in estate.routers:
        for member in router:
            instance = member.instance
            meant = instance.unicast_peer is not None or instance.unicast_src_ip is not None
            if meant and not instance.unicast_peer:
                yield member.finding(
                    UNICAST_NO_PEERS,
                    f"{member} has no unicast peer, so it falls back to multicast",
                    _one_way(router, member),
                    "unicast_peer",
                    "unicast_src_ip",
                )


def _means_unicast(member: NodeInstance) -> bool:
    instance = member.instance
    return instance.unicast_peer is not None or instance.unicast_src_ip is not None


def _one_way(router: Router, member: NodeInstance) -> str:
    """Unicast for all where the others mean it too, multicast where they do not."""
    rest = others(router, member)
    if rest and not any(map(_means_unicast, rest)):
        return f"Remove unicast_peer and unicast_src_ip on {member}."
    silent = [one for one in router if not one.peers]
    return sentence(_peers_to_write(router, silent)) or _write_peers_on(silent)


def _write_peers_on(members: Sequence[NodeInstance]) -> str:
    return f"Write the other nodes' addresses in unicast_peer on {names_of(members)}."


def _peers_to_write(router: Router, members: Sequence[NodeInstance]) -> str:
    """All other nodes as the peers of each of these; empty where addresses are not known."""
    if len(router) < 2 or not all(one.source for one in router):
        return ""
    lists = [" ".join(other.source for other in others(router, one)) for one in members]
    return "write " + listed(
        [f"unicast_peer {{ {peers} }} on {one}" for peers, one in zip(lists, members)]
    )


UNICAST_SELF = Rule(
    "unicast-self",
    Severity.WARNING,
    harm="The node sends its adverts to itself: useless traffic, and a sign that one peer "
    "list was copied to every node.",
    example="unicast_src_ip 192.0.2.11\nunicast_peer {\n    192.0.2.11\n}",
    fix="Remove the node's own address from unicast_peer.",
)


def unicast_self(estate: Estate) -> Iterator[Finding]:
    """A node that is its own peer."""
    for member in estate.members:
        own = _own_addresses(member)
        for address in sorted(own & member.peers):
            yield member.finding(
                UNICAST_SELF,
                f"{address} is {member} itself",
                _without_peers(estate, member, own),
                "unicast_peer",
            )


def _own_addresses(member: NodeInstance) -> frozenset[str]:
    """Told address and source, but for a source that is another node's."""
    told = plain_address(member.node.address)
    foreign = source_is_foreign(member.node, member.instance)
    return frozenset({told} if foreign else {told, member.source}) - {""}


def _without_peers(estate: Estate, member: NodeInstance, superfluous: Iterable[str]) -> str:
    """Other peers stay; where there are none, those of the other nodes that are known."""
    gone = sorted(member.peers & set(superfluous))
    rest = [other.source for other in estate.alike(member) if other.source not in gone]
    if member.peers - set(gone):
        return f"Remove {listed(gone)} from unicast_peer on {member}."
    if rest and all(rest):
        return f"Write unicast_peer {{ {' '.join(rest)} }} on {member}."
    return _write_peers_on([member])


UNICAST_PEER_ASYMMETRY = Rule(
    "unicast-peer-asymmetry",
    Severity.ERROR,
    harm="A node that is in no peer list of the master hears nothing and becomes master too.",
    example="lb1: unicast_peer { 192.0.2.12 }\nlb2: unicast_peer { 192.0.2.13 }",
    fix="Let every node list every other node of the instance.",
    breaks=DUAL_MASTER,
)


def unicast_peer_asymmetry(estate: Estate) -> Iterator[Finding]:
    """A node that another one does not speak to."""
    for router in estate.routers:
        for member in router:
            if not member.peers:
                continue
            forgotten = [
                other
                for other in others(router, member)
                if other.peers
                and other.source
                and member.peers.isdisjoint({other.source, plain_address(other.node.address)})
            ]
            if forgotten:
                yield member.finding(
                    UNICAST_PEER_ASYMMETRY,
                    f"{member} does not list {names_of(forgotten)} as a peer: while {member} is "
                    f"master, {names_of(forgotten)} "
                    + (
                        "hears nothing and becomes master too"
                        if len(forgotten) == 1
                        else "hear nothing and become master too"
                    ),
                    f"Add {listed([other.source for other in forgotten])} to unicast_peer on "
                    f"{member}.",
                    "unicast_peer",
                )


UNICAST_UNKNOWN_PEER = Rule(
    "unicast-unknown-peer",
    Severity.WARNING,
    harm="A peer is no node of the cluster: a stale address, or a node that was not given.",
    example="lb1: unicast_peer { 192.0.2.12 192.0.2.99 }\nlb2 has 192.0.2.12",
    fix="Remove the address, or give the configuration of its node too.",
)


def unicast_unknown_peer(estate: Estate) -> Iterator[Finding]:
    """A peer that is no node of the cluster."""
    if len(estate.cluster.nodes) < 2:
        return
    for member in estate.members:
        unknown = sorted(member.peers - estate.own_addresses.keys())
        # Without everybody's address there is nothing to compare with.
        if unknown and all(other.source for other in estate.members):
            yield member.finding(
                UNICAST_UNKNOWN_PEER,
                f"{listed(unknown)} {'is a peer' if len(unknown) == 1 else 'are peers'} of "
                f"{member}, but no node given here has such an address",
                _without_peers(estate, member, unknown)[:-1]
                + " (or give the files of its node too).",
                "unicast_peer",
            )


UNICAST_TTL = Rule(
    "unicast-ttl",
    Severity.ERROR,
    harm="A node drops adverts that arrive with a lower time to live than it lets in: it hears "
    "nothing and becomes master too.",
    example="lb1: unicast_peer { 192.0.2.12 min_ttl 255 }\nlb2: unicast_ttl 64",
    fix="Send with unicast_ttl 255, which IPv6 does not do by itself.",
    breaks=DUAL_MASTER,
)


def unicast_ttl(estate: Estate) -> Iterator[Finding]:
    """Adverts that are sent with a time to live that a peer does not let in."""
    for router in estate.routers:
        for member in router:
            limits = {plain_address(peer): peer for peer in member.instance.unicast_peer or ()}
            for other in others(router, member):
                least, most = ttl_limits(limits.get(other.source, ""))
                sent = ttl_of(other.instance)
                if least > min(most, sent):
                    yield member.finding(
                        UNICAST_TTL,
                        f"{member} lets in adverts of {other} with a time to live from {least} to "
                        f"{most}, and they are sent with {sent}: {member} becomes master too",
                        f"Write unicast_ttl 255 on {other}."
                        if least <= most
                        else f"Write unicast_peer {{ {' '.join(limits)} }} on {member}.",
                        "unicast_peer",
                    )


UNICAST_MISMATCH = Rule(
    "unicast-mismatch",
    Severity.ERROR,
    harm="One node speaks unicast, another multicast: they reject each other's adverts, and "
    "both become master.",
    example="lb1: unicast_peer { 192.0.2.12 }\nlb2: no unicast_peer",
    fix="Use unicast_peer on all nodes, or on none.",
    breaks=DUAL_MASTER,
)


def unicast_mismatch(estate: Estate) -> Iterator[Finding]:
    """Unicast on one node, multicast on another."""
    for router in estate.routers:
        found = differing(router, lambda member: "unicast" if member.peers else "multicast")
        if found:
            silent, speaking = found["multicast"], found["unicast"]
            written = _peers_to_write(router, silent)
            removed = f"remove unicast_peer and unicast_src_ip on {names_of(speaking)}"
            yield silent[0].finding(
                UNICAST_MISMATCH,
                f"the adverts are {values_said(found)}: they ignore each other, and each "
                "becomes master",
                sentence(", or ".join(filter(None, (written, removed)))),
                "unicast_peer",
                "interface",
            )


MULTICAST_MISMATCH = Rule(
    "multicast-mismatch",
    Severity.ERROR,
    harm="Nodes that send their adverts to different multicast groups do not hear each other: both "
    "become master.",
    example="lb1: mcast_dst_ip 224.0.0.50\nlb2: no mcast_dst_ip",
    fix="Use the same multicast group on all nodes, or none (224.0.0.18 then).",
    breaks=DUAL_MASTER,
)


def multicast_mismatch(estate: Estate) -> Iterator[Finding]:
    """Multicast to different groups."""
    for router in estate.routers:
        silent = [member for member in router if not member.peers]
        found = differing(silent, lambda member: member.instance.multicast_group or "the default")
        if found:
            yield first_differing(found).finding(
                MULTICAST_MISMATCH,
                f"the adverts go to multicast group {values_said(found)}: they do not hear each "
                "other, and each becomes master",
                _one_group(silent),
                "mcast_dst_ip",
            )


def _one_group(router: Router) -> str:
    """The group that VRRP has anyway, or for all the one that a node has."""
    having = [member for member in router if member.instance.multicast_group]
    group = having[0].instance.multicast_group
    family = 6 if ":" in group else 4
    removed = f"remove mcast_dst_ip and vrrp_mcast_group{family} on {names_of(having)}"
    if any(member.node.keepalived_version < MCAST_DST_IP_SINCE for member in router):
        return sentence(removed)
    return f"Write mcast_dst_ip {group} on {names_of(router)}, or {removed}."


RULES: dict[Rule, Judge] = {
    UNICAST_NO_PEERS: unicast_no_peers,
    UNICAST_SELF: unicast_self,
    UNICAST_PEER_ASYMMETRY: unicast_peer_asymmetry,
    UNICAST_UNKNOWN_PEER: unicast_unknown_peer,
    UNICAST_TTL: unicast_ttl,
    UNICAST_MISMATCH: unicast_mismatch,
    MULTICAST_MISMATCH: multicast_mismatch,
}
