# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who hears whom: what an instance sends, and what a receiver makes of it.

Instances that share a *network* (``networks``: same VRID and address family, and where a node uses
a VRID twice, the same interface) are one virtual router on the wire, unless a receiver rejects what
a sender says (``rejection``).
"""

from __future__ import annotations

import enum
import functools
import ipaddress
from dataclasses import dataclass
from typing import Iterator, Mapping, Sequence

from . import priority, versions
from .model import Instance, Node
from .signing import Signing, disbelief, signing_of


class Rejection(enum.Enum):
    """Why a receiver never acts on a sender's adverts."""

    ROUTER = "another virtual router (VRID, address family or network)"
    VERSION = "another VRRP version"
    SIGNATURE = "a signature that it does not believe (auth_hmac)"
    AUTHENTICATION = "another authentication"
    ADVERT_INT = "another advert interval (version 2)"
    CAST = "unicast against multicast"
    GROUP = "another multicast group"
    PEER = "the sender does not list the receiver as unicast peer"
    VIPS = "another list of virtual addresses (up to keepalived 2.3.2)"
    SOURCE = "the sender is none of its unicast peers (check_unicast_src)"
    TTL = "a time to live that it does not let in (min_ttl)"


_ROUTER_ALONE = "VRID "
#: Where multicast adverts go if nothing says otherwise.
STANDARD_GROUPS = frozenset(("224.0.0.18", "ff02::12"))
#: What unicast adverts live where unicast_ttl is not written: of IPv6 the kernel decides.
_USUAL_TTL = {4: 255, 6: 64}


@functools.lru_cache(maxsize=4096)
def plain_address(text: str) -> str:
    """The address alone, normalised, of what ``virtual_ipaddress`` and ``unicast_peer`` hold
    ("192.0.2.9/24 dev eth0" gives "192.0.2.9"); words that are no address come back as they are."""
    words = text.split()
    host = words[0].partition("/")[0] if words else text
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        return host


def addresses_of(instance: Instance) -> tuple[str, ...]:
    """The VIPs that come and go with the instance, without prefix length, in order."""
    listed = instance.virtual_ipaddress + instance.virtual_ipaddress_excluded
    return tuple(dict.fromkeys(map(plain_address, listed)))


def carried_by(instance: Instance) -> tuple[str, ...]:
    """What moves with the instance: its addresses; without any, the virtual router itself, whose
    master may move addresses by a script."""
    return addresses_of(instance) or (f"{_ROUTER_ALONE}{instance.virtual_router_id}",)


def is_address(carried: str) -> bool:
    """Whether a name of ``carried_by`` is an address."""
    return not carried.startswith(_ROUTER_ALONE)


def source_address(node: Node, instance: Instance) -> str:
    """Where the instance's adverts come from."""
    return plain_address(instance.unicast_src_ip or node.address)


def source_is_foreign(node: Node, instance: Instance) -> bool:
    """Whether unicast_src_ip is surely no address of the node.

    One told address says this of its own network only: the node may have others elsewhere.
    """
    source = instance.unicast_src_ip
    # Multicast adverts go out from any address.
    if not source or not instance.unicast_peer:
        return False
    if node.addresses:
        return plain_address(source) not in map(plain_address, node.addresses)
    told = plain_address(node.address)
    return bool(told) and told != plain_address(source) and _in_one_network(instance, source, told)


def _in_one_network(instance: Instance, source: str, told: str) -> bool:
    """Whether both addresses are in the network of a virtual address."""
    for written in instance.virtual_ipaddress:
        try:
            network = ipaddress.ip_interface(written.split()[0]).network
            if ipaddress.ip_address(source) in network and ipaddress.ip_address(told) in network:
                return True
        except ValueError:
            continue
    return False


def family_of(instance: Instance) -> int:
    """4 or 6: that of the first address that the adverts carry or that they go to. Excluded
    addresses do not decide (``alloc_vrrp_evip`` of keepalived leaves the family alone)."""
    source = () if instance.unicast_src_ip is None else (instance.unicast_src_ip,)
    deciding = (*instance.virtual_ipaddress, *source, *(instance.unicast_peer or ()))
    return 6 if any(":" in plain_address(address) for address in deciding[:1]) else 4


def ttl_of(instance: Instance) -> int:
    """The time to live (hop limit) that the instance's unicast adverts are sent with."""
    written = instance.unicast_ttl
    return _USUAL_TTL[family_of(instance)] if written is None else written


def ttl_limits(peer: str) -> tuple[int, int]:
    """The least and the greatest time to live that a line of unicast_peer lets in."""
    words = peer.split()
    limits = dict(zip(words[1::2], words[2::2]))
    return int(limits.get("min_ttl", 0)), int(limits.get("max_ttl", 255))


def authentication_in_force(instance: Instance) -> tuple[str, str] | None:
    """Type and password as they are sent; None without a password, in version 3 or strict mode, and
    where adverts are signed instead."""
    written = instance.authentication
    if written is None or instance.version != 2 or instance.strict_mode or not written.auth_pass:
        return None
    if signing_of(instance):
        return None
    return (written.auth_type, written.auth_pass[:8])


@dataclass(frozen=True)
class AdvertContent:
    """What an instance sends, as far as a receiver may mind."""

    router: tuple[int, int]
    peers: frozenset[str]
    group: str
    version: int
    authentication: tuple[str, str] | None
    signing: Signing | None
    interval: float | None
    vips: tuple[str, ...]
    # Empty: not known.
    source: str
    ttl: int


def content_of(instance: Instance, source: str = "") -> AdvertContent:
    """What the instance's adverts say, and the address that they come from, if that is known."""
    return AdvertContent(
        router=(instance.virtual_router_id, family_of(instance)),
        peers=frozenset(map(plain_address, instance.unicast_peer or ())),
        group="" if instance.unicast_peer else plain_address(instance.multicast_group),
        version=instance.version,
        authentication=authentication_in_force(instance),
        signing=signing_of(instance),
        interval=priority.advert_interval(instance) if instance.version == 2 else None,
        # As a list: an address that is written twice is sent twice.
        vips=tuple(sorted(map(plain_address, instance.virtual_ipaddress))),
        source=source or plain_address(instance.unicast_src_ip or ""),
        ttl=ttl_of(instance),
    )


@dataclass(frozen=True)
class Receiver:
    """What an instance compares the adverts of others with."""

    own: AdvertContent
    addresses: frozenset[str]
    minds_vips: bool
    #: Where it asks who sends: each of its peers -> the least and the greatest time to live.
    lets_in: Mapping[str, tuple[int, int]] | None

    def rejects(self, advert: AdvertContent) -> Rejection | None:
        """See ``rejection``."""
        own = self.own
        if own.router != advert.router:
            return Rejection.ROUTER
        if bool(own.peers) != bool(advert.peers):
            return Rejection.CAST
        if own.group != advert.group:
            return Rejection.GROUP
        # Of a receiver without a known address nothing shows that it is left out.
        if advert.peers and self.addresses and advert.peers.isdisjoint(self.addresses):
            return Rejection.PEER
        if own.version != advert.version:
            return Rejection.VERSION
        if disbelief(own.signing, advert.signing):
            return Rejection.SIGNATURE
        if own.authentication != advert.authentication:
            return Rejection.AUTHENTICATION
        if own.interval != advert.interval:
            return Rejection.ADVERT_INT
        if self.minds_vips and own.vips != advert.vips:
            return Rejection.VIPS
        return self._rejects_sender(advert) if own.peers else None

    def _rejects_sender(self, advert: AdvertContent) -> Rejection | None:
        """How many routers lie between is not known: a max_ttl below what is sent is meant so."""
        if self.lets_in is None or not advert.source:
            return None
        if advert.source not in self.lets_in:
            return Rejection.SOURCE
        least, most = self.lets_in[advert.source]
        return Rejection.TTL if least > min(most, advert.ttl) else None


def receiver_of(node: Node, instance: Instance) -> Receiver:
    """The instance as one that listens."""
    source = source_address(node, instance)
    # The socket is bound to the source: what comes for another address is not read.
    reached = (
        {source} if source_is_foreign(node, instance) else {plain_address(node.address), source}
    )
    return Receiver(
        own=content_of(instance, source),
        addresses=frozenset(reached - {""}),
        minds_vips=node.keepalived_version < versions.VIP_LIST_ONLY_LOGGED_SINCE,
        lets_in={plain_address(peer): ttl_limits(peer) for peer in instance.unicast_peer or ()}
        if instance.check_unicast_src
        else None,
    )


def rejection(receiver_node: Node, receiver: Instance, sender: Instance) -> Rejection | None:
    """Why ``receiver`` never acts on the adverts of ``sender``, or None if it does. Whether a wire
    connects the two is not asked here."""
    return receiver_of(receiver_node, receiver).rejects(content_of(sender))


def networks(placed: Sequence[tuple[str, Instance]]) -> Iterator[list[int]]:
    """The instances (each with its node's name) that share a network, as lists of positions.

    The VRID and the address family tell networks apart; where a node uses a VRID twice, it does so
    on two networks, and the interface tells which.
    """
    wires: dict[tuple[int, int], list[int]] = {}
    for position, (_node, instance) in enumerate(placed):
        wires.setdefault((instance.virtual_router_id, family_of(instance)), []).append(position)
    for wire in wires.values():
        if len({placed[position][0] for position in wire}) == len(wire):
            yield wire
            continue
        by_interface: dict[str, list[int]] = {}
        for position in wire:
            by_interface.setdefault(placed[position][1].interface, []).append(position)
        yield from by_interface.values()
