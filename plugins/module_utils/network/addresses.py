# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a virtual address belongs on a host, read from the facts that ``setup`` gathers.

The host that holds a virtual address has it among its addresses, with a prefix of 32 or with
the subnet's own. So virtual addresses are never taken for the host's.
"""

from __future__ import annotations

import contextlib
import ipaddress
import re
from dataclasses import dataclass
from typing import AbstractSet, Iterator, Mapping, Sequence, Union

from ..readers import SettingError
from ..vrrp.request import InterfaceAddress, virtual_address

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
    facts: Mapping[str, object],
    vips: str | Sequence[str],
    interface: str = "",
    *,
    own: str = "",
    others: Sequence[str] = (),
    carried: Sequence[str] = (),
    option: str = OPTION,
) -> dict[str, object]:
    """The interface that virtual addresses belong on, and the host's own address there.

    ``facts`` is the ``ansible_facts`` of one host, ``vips`` an address with its prefix, or several
    that share an interface. Of several interfaces the one with the narrowest subnet wins.
    ``interface`` names one where the subnet does not tell: then the subnet is not asked. ``own`` is
    the host's address to take where it has several there. ``others`` are further virtual addresses
    that the host may have at the moment, ``carried`` those of the keepalived that runs on it: such
    a one is virtual even as the first address, which it becomes when the host loses its own for a
    moment. ``option`` is the name of the variable for messages.

    Returns ``{"interface": "eth0", "address": "192.0.2.11", "prefix": 24}``. Raises SettingError
    with the subnets that the host has.
    """
    wanted = [virtual_address(option, vip) for vip in ([vips] if isinstance(vips, str) else vips)]
    if not wanted:
        raise SettingError(option, "none is given; write one like 192.0.2.100/24")
    hosts = interface_addresses(facts)
    known = set(_plain(carried))
    for vip in wanted:
        for name, addresses in hosts:
            first = addresses[0].ip if addresses else None
            if vip.version == 4 and first == vip.ip and vip.ip not in known:
                raise SettingError(
                    option, f"{vip} is the host's own address on {name}; write one that no host has"
                )
    links = _links(hosts, {*(vip.ip for vip in wanted), *_plain(others), *known})
    if interface:
        link = _named(links, interface, wanted[0], option)
    else:
        link = _matching(links, wanted, option)
    for vip in wanted:
        _judge_prefix(vip, link, option)
    return _taken(link, own) if own else _answer(link, _default(link, wanted[0]))


def own_networks(
    facts: Mapping[str, object], interface: str, virtual: Sequence[str] = ()
) -> tuple[str, ...]:
    """The subnets that the host has addresses of its own in on an interface; ``virtual`` are
    addresses that are none of its own."""
    links = _links(interface_addresses(facts), set(_plain(virtual)))
    return tuple(
        str(own.network) for link in links if link.interface == interface for own in link.addresses
    )


def judge_prefix(
    facts: Mapping[str, object],
    line: str,
    interface: str,
    *,
    others: Sequence[str] = (),
    option: str = OPTION,
) -> None:
    """Judge an address that moves along with a virtual one as `vip_interface` judges that.

    ``line`` has keepalived's words behind the address, such as ``dev eth1``. Raises SettingError.
    """
    address, *words = line.split()
    named = words[words.index("dev") + 1] if "dev" in words[:-1] else interface
    for link in _links(interface_addresses(facts), set(_plain(others))):
        if link.interface == named and "/" in address:
            _judge_prefix(ipaddress.ip_interface(address), link, option)


def _judge_prefix(vip: InterfaceAddress, link: Link, option: str) -> None:
    """Refuse a prefix by which the kernel would send from the virtual address, and addresses that
    no host can have."""
    own = link.own(vip)
    if own is None:
        return
    whole, prefix = vip.ip.max_prefixlen, own.network.prefixlen
    if vip.network.prefixlen not in (prefix, whole):
        raise SettingError(
            option,
            f"{vip} has another prefix length than {link.interface} with {own.network}, and the "
            f"host would send from it; write {vip.ip}/{prefix}",
        )
    ends = {own.network.network_address, own.network.broadcast_address}
    if prefix < whole - 1 and vip.ip in (ends if vip.version == 4 else {min(ends)}):
        raise SettingError(
            option,
            f"{vip.ip} is the first or the last address of {own.network}, which no host can have; "
            "write another",
        )


def is_address(text: str) -> bool:
    """Whether a text is an IP address, without prefix length."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def canonical(address: str) -> str:
    """An address in its one spelling; prefix length, brackets, zone and options are dropped. Text
    that is no address stays as it is."""
    bare = address.split(" ")[0].strip("[]").split("%")[0]
    try:
        return str(ipaddress.ip_interface(bare).ip)
    except ValueError:
        return address


def respelled(line: str) -> str:
    """An address with its prefix length and options, the address in its one spelling."""
    address, *options = line.split(" ")
    ip, *prefix = address.split("/")
    return " ".join(["/".join([canonical(ip), *prefix]), *options])


def _plain(addresses: Sequence[str]) -> Iterator[_Address]:
    """The addresses without their prefixes. Text that is no address is left out."""
    for address in addresses:
        with contextlib.suppress(ValueError):
            yield ipaddress.ip_interface(address).ip


def _taken(link: Link, own: str) -> dict[str, object]:
    for address in link.addresses:
        if address.ip == ipaddress.ip_address(own):
            return _answer(link, address)
    raise SettingError(
        "keepalived_address",
        f"{own} is no address of this host on {link.interface} ({_subnets([link])}); write one of "
        "that interface, or name another with keepalived_interface",
    )


def _default(link: Link, vip: InterfaceAddress) -> InterfaceAddress:
    return link.own(vip) or next(own for own in link.addresses if own.version == vip.version)


def _matching(links: Sequence[Link], wanted: Sequence[InterfaceAddress], option: str) -> Link:
    first, *others = wanted
    candidates = [(own, link) for link in links for own in [link.own(first)] if own]
    if not candidates:
        raise SettingError(
            option,
            f"{first} is in no subnet of the host ({_subnets(links)}); write a free address of one "
            "of its subnets",
        )
    _own, link = max(candidates, key=lambda candidate: candidate[0].network.prefixlen)
    for vip in others:
        if not link.own(vip):
            raise SettingError(
                option,
                f"{vip} is not in a subnet of {link.interface} ({_subnets([link])}) as {first} is; "
                "addresses that are kept up together share one interface",
            )
    return link


def _named(links: Sequence[Link], interface: str, vip: InterfaceAddress, option: str) -> Link:
    link = next((link for link in links if link.interface == interface), Link(interface, ()))
    if not any(own.version == vip.version for own in link.addresses):
        raise SettingError(
            option,
            f"the host has no IPv{vip.version} address on {interface} ({_subnets(links)}); name an "
            "interface that has one",
        )
    return link


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


def interface_addresses(facts: Mapping[str, object]) -> list[tuple[str, list[InterfaceAddress]]]:
    """Each interface and all addresses on it, in the order of the interfaces' names."""
    names = facts.get("interfaces")
    if not isinstance(names, (list, tuple)):
        raise SettingError(OPTION, "the host's facts know no interfaces; gather its network facts")
    found: dict[str, list[InterfaceAddress]] = {}
    for key in sorted(map(str, names)):
        # Ansible's facts have an underscore for each hyphen, other software one for each sign.
        keys = (key, key.replace("-", "_"), _fact_name(key))
        fact = next((facts[name] for name in keys if name in facts), None)
        if isinstance(fact, Mapping):
            name = str(fact.get("device") or _labelled(key, names))
            found.setdefault(name, []).extend(_addresses(fact))
    return list(found.items())


def _fact_name(interface: str) -> str:
    return re.sub(r"\W", "_", interface)


def _labelled(key: str, names: Sequence[object]) -> str:
    """The interface behind a label: ``eth0`` for ``eth0:1``, which the facts call ``eth0_1``."""
    of_label = [
        name for name in map(str, names) if _fact_name(key).startswith(_fact_name(name) + "_")
    ]
    return max(of_label, key=len, default=key)


def _addresses(fact: Mapping[str, object]) -> Iterator[InterfaceAddress]:
    entries: list[object] = []
    for key in ("ipv4", "ipv4_secondaries", "ipv6"):
        value = fact.get(key) or []
        entries.extend(value if isinstance(value, (list, tuple)) else [value])
    for entry in entries:
        if isinstance(entry, Mapping) and "address" in entry:
            prefix = entry.get("prefix") or entry.get("netmask") or ""
            yield ipaddress.ip_interface(f"{entry['address']}/{prefix}".rstrip("/"))
