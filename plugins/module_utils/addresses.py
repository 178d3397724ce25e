# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a virtual address belongs on a host, read from the facts that ``setup`` gathers.

The host that holds a virtual address has it among its addresses, with a prefix of 32 or with
the subnet's own. So virtual addresses are never taken for the host's.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import AbstractSet, Iterator, Mapping, Sequence, Union

from .vrrp.model import ModelError
from .vrrp.request import InterfaceAddress, virtual_address

OPTION = "mycat_ha_vip"

_Address = Union[ipaddress.IPv4Address, ipaddress.IPv6Address]


@dataclass(frozen=True)
class Link:
    """A network interface and the host's own addresses on it."""

    interface: str
    addresses: tuple[InterfaceAddress, ...]

    def own(self, vip: InterfaceAddress) -> InterfaceAddress | None:
        """The host's address in the subnet that holds the virtual address."""
        return next((own for own in self.addresses if vip.ip in own.network), None)


def vip_interface(
    facts: Mapping[str, object], vips: str | Sequence[str], interface: str = ""
) -> dict[str, object]:
    """The interface that virtual addresses belong on, and the host's own address there.

    ``facts`` is the ``ansible_facts`` of one host, ``vips`` an address with its prefix, or several
    that share an interface. Of several interfaces the one with the narrowest subnet wins.
    ``interface`` names one where the subnet does not tell: then the subnet is not asked.

    Returns ``{"interface": "eth0", "address": "192.0.2.11", "prefix": 24}``. Raises ModelError
    with the subnets that the host has.
    """
    wanted = [virtual_address(OPTION, vip) for vip in ([vips] if isinstance(vips, str) else vips)]
    if not wanted:
        raise ModelError(OPTION, "none is given; write one like 192.0.2.100/24")
    hosts = _interfaces(facts)
    for vip in wanted:
        for name, addresses in hosts:
            if vip.version == 4 and addresses and addresses[0].ip == vip.ip:
                raise ModelError(
                    OPTION, f"{vip} is the host's own address on {name}; write one that no host has"
                )
    links = _links(hosts, {vip.ip for vip in wanted})
    if interface:
        return _named(links, interface, wanted[0])
    return _matching(links, wanted)


def _matching(links: Sequence[Link], wanted: Sequence[InterfaceAddress]) -> dict[str, object]:
    first, *others = wanted
    candidates = [(own, link) for link in links for own in [link.own(first)] if own]
    if not candidates:
        raise ModelError(
            OPTION,
            f"{first} is in no subnet of the host ({_subnets(links)}); write a free address of one "
            "of its subnets",
        )
    own, link = max(candidates, key=lambda candidate: candidate[0].network.prefixlen)
    for vip in others:
        if not link.own(vip):
            raise ModelError(
                OPTION,
                f"{vip} is not in a subnet of {link.interface} ({_subnets([link])}) as {first} is; "
                "addresses that are kept up together share one interface",
            )
    return _answer(link, own)


def _named(links: Sequence[Link], interface: str, vip: InterfaceAddress) -> dict[str, object]:
    link = next((link for link in links if link.interface == interface), Link(interface, ()))
    own = link.own(vip) or next((own for own in link.addresses if own.version == vip.version), None)
    if not own:
        raise ModelError(
            OPTION,
            f"the host has no IPv{vip.version} address on {interface} ({_subnets(links)}); name an "
            "interface that has one",
        )
    return _answer(link, own)


def _answer(link: Link, own: InterfaceAddress) -> dict[str, object]:
    return {
        "interface": link.interface,
        "address": str(own.ip),
        "prefix": own.network.prefixlen,
    }


def _subnets(links: Sequence[Link]) -> str:
    shown = dict.fromkeys(
        f"{link.interface} {own.network}"
        for link in links
        for own in link.addresses
        if not own.ip.is_link_local
    )
    return ", ".join(shown) or "it has none"


def _links(
    hosts: Sequence[tuple[str, Sequence[InterfaceAddress]]], vips: AbstractSet[_Address]
) -> list[Link]:
    return [
        Link(name, tuple(address for address in addresses if address.ip not in vips))
        for name, addresses in hosts
        if not any(address.ip.is_loopback for address in addresses)
    ]


def _interfaces(facts: Mapping[str, object]) -> list[tuple[str, list[InterfaceAddress]]]:
    """Each interface and all addresses on it, in the order of the interfaces' names."""
    names = facts.get("interfaces")
    if not isinstance(names, (list, tuple)):
        raise ModelError(OPTION, "the host's facts know no interfaces; gather its network facts")
    found: dict[str, list[InterfaceAddress]] = {}
    for key in sorted(map(str, names)):
        fact = facts.get(key, facts.get(_fact_name(key)))
        if isinstance(fact, Mapping):
            name = str(fact.get("device") or _labelled(key, names))
            found.setdefault(name, []).extend(_addresses(fact))
    return list(found.items())


def _fact_name(interface: str) -> str:
    return re.sub(r"\W", "_", interface)


def _labelled(key: str, names: Sequence[object]) -> str:
    """The interface behind a label: ``eth0`` for ``eth0:1``, which the facts call ``eth0_1``."""
    for name in map(str, names):
        if re.fullmatch(re.escape(_fact_name(name)) + r"_\d+", key):
            return name
    return key


def _addresses(fact: Mapping[str, object]) -> Iterator[InterfaceAddress]:
    entries: list[object] = []
    for key in ("ipv4", "ipv4_secondaries", "ipv6"):
        value = fact.get(key) or []
        entries.extend(value if isinstance(value, (list, tuple)) else [value])
    for entry in entries:
        if isinstance(entry, Mapping) and "address" in entry:
            prefix = entry.get("prefix") or entry.get("netmask") or ""
            yield ipaddress.ip_interface(f"{entry['address']}/{prefix}".rstrip("/"))
