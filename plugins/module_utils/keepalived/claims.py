# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a configuration claims of a network, and who else has it already. Pure.

A virtual address and a virtual router id belong to one cluster. Two clusters with the same address
take each other's clients away; two with the same id take each other for the same router.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from ..network.packets import Advert, Answer, mac_text
from ..vrrp.model import Instance
from ..vrrp.versions import NEWEST
from .reader import parse


@dataclass(frozen=True)
class Claim:
    """What an instance is about to claim on an interface.

    ``virtual_router_id`` is None and ``addresses`` (without prefix length) lack those that the
    instance has already.
    """

    interface: str
    family: int
    virtual_router_id: int | None
    addresses: tuple[str, ...]


@dataclass(frozen=True)
class Stranger:
    """Somebody who is no member of the cluster and has what it claims.

    ``kind`` is ``address`` or ``virtual_router_id``; ``message`` begins with it.
    """

    kind: str
    interface: str
    address: str
    mac: str
    message: str


def claims(text: str, running: Iterable[Mapping[str, object]] = ()) -> tuple[Claim, ...]:
    """What the keepalived.conf ``text`` claims that no running instance of the host has.

    ``running``: the ``instances`` of keepalived_info. Raises ConfError.
    """
    return claims_of(parse(text, "", keepalived_version=NEWEST).node.instances, running)


def claims_of(
    instances: Iterable[Instance], running: Iterable[Mapping[str, object]] = ()
) -> tuple[Claim, ...]:
    """What ``instances`` claim that no running instance of the host has."""
    active = [instance for instance in running if instance["state"] != "stopped"]
    routers = {
        (instance["virtual_router_id"], _family(_listed(instance, "virtual_ipaddress")))
        for instance in active
    }
    addresses = carried(active)
    found = (claim for instance in instances for claim in _claims(instance, routers, addresses))
    return tuple(claim for claim in found if claim.addresses or claim.virtual_router_id)


def carried(instances: Iterable[Mapping[str, object]]) -> set[str]:
    """The virtual addresses of these instances of keepalived_info, without prefix lengths."""
    return {
        _ip(str(line))
        for instance in instances
        for key in ("virtual_ipaddress", "virtual_ipaddress_excluded")
        for line in _listed(instance, key)
    }


def strangers(
    wanted: Iterable[Claim],
    answers: Iterable[tuple[str, Answer]],
    adverts: Iterable[tuple[str, bytes, Advert]],
    members: Collection[str],
) -> tuple[Stranger, ...]:
    """Who answers for a claimed address, or uses a claimed id, and is no member.

    ``answers`` are (interface, answer), ``adverts`` (interface, sender's MAC, advert), ``members``
    Ethernet and IP addresses.
    """
    wanted = tuple(wanted)
    heard = tuple(adverts)
    known = {mark.lower() for mark in members}
    found = [
        _who_answers(interface, answer)
        for interface, answer in answers
        if mac_text(answer.mac) not in known
        and any(
            claim.interface == interface and str(answer.address) in claim.addresses
            for claim in wanted
        )
    ]
    taken = {advert.virtual_router_id for _interface, _mac, advert in heard}
    taken |= {claim.virtual_router_id for claim in wanted if claim.virtual_router_id}
    found += [
        _who_advertises(interface, mac, advert, taken)
        for interface, mac, advert in heard
        if str(advert.source) not in known
        and any(
            claim.interface == interface
            and claim.family == advert.source.version
            and claim.virtual_router_id == advert.virtual_router_id
            for claim in wanted
        )
    ]
    return tuple(dict.fromkeys(found))


def _who_answers(interface: str, answer: Answer) -> Stranger:
    mac = mac_text(answer.mac)
    return Stranger(
        "address",
        interface,
        str(answer.address),
        mac,
        f"address: {answer.address} is in use on {interface} already, by {mac}, which is none of "
        "the load balancers. Write one that no host has, or take it from that host.",
    )


def _who_advertises(interface: str, mac: bytes, advert: Advert, taken: Collection[int]) -> Stranger:
    number = advert.virtual_router_id
    free = next((n for n in [*range(number + 1, 256), *range(1, number)] if n not in taken), number)
    keeps = f" for {', '.join(map(str, advert.addresses))}" if advert.addresses else ""
    return Stranger(
        "virtual_router_id",
        interface,
        str(advert.source),
        mac_text(mac),
        f"virtual_router_id: {number} is in use on {interface} already, by {advert.source} "
        f"({mac_text(mac)}){keeps}, which is none of the load balancers. Write another, such as "
        f"{free}.",
    )


def _claims(
    instance: Instance, routers: Collection[object], known: Collection[str]
) -> Iterable[Claim]:
    """One claim for each interface: an address may be put on another than the adverts (``dev``)."""
    family = _family(instance.virtual_ipaddress)
    new = (
        instance.virtual_router_id if (instance.virtual_router_id, family) not in routers else None
    )
    places: dict[str, list[str]] = {instance.interface: []}
    for line in instance.virtual_ipaddress + instance.virtual_ipaddress_excluded:
        words = line.split()
        interface = words[words.index("dev") + 1] if "dev" in words[:-1] else instance.interface
        if _ip(line) not in known:
            places.setdefault(interface, []).append(_ip(line))
    for interface, addresses in places.items():
        own = interface == instance.interface
        yield Claim(interface, family, new if own else None, tuple(addresses))


def _listed(instance: Mapping[str, object], key: str) -> Iterable[str]:
    value = instance.get(key) or ()
    return value if isinstance(value, (list, tuple)) else ()


def _ip(line: str) -> str:
    return str(ipaddress.ip_interface(line.split()[0]).ip)


def _family(addresses: Iterable[str]) -> int:
    """4 or 6; the first address decides, as keepalived does it."""
    return next((ipaddress.ip_interface(line.split()[0]).version for line in addresses), 4)
