# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The virtual IPs in the variables of the keepalived role, judged. Pure.

Raises SettingError as `settings` does.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Any, Iterator, Mapping, Sequence

from .. import readers
from ..network.addresses import judge_prefix, vip_interface
from ..readers import SettingError
from ..vrrp import versions
from .hooks import NOTIFY, Settings, judge_hook
from .raw_lines import judge_raw_lines

# Options of a VIP that list addresses which move along.
FURTHER = ("virtual_ipaddress", "virtual_ipaddress_excluded")
# IFNAMSIZ of Linux, without the final NUL.
LONGEST_INTERFACE = 15

_VMAC = re.compile(r"vrrp6?[._]\d+")
_PREFERENCE = frozenset(("preference", "order", "priority"))


def links_of(
    settings: Settings, facts: Mapping[str, Any], carried: Sequence[str]
) -> Iterator[dict[str, Any]]:
    """For each VIP the host's ``address`` and ``interface`` that its adverts come from."""
    vips = settings["keepalived_vips"]
    facts = _without_virtual_interfaces(facts, vips)
    every = [address for vip in vips for address in addresses_of(vip)]
    own = _own_addresses(settings["keepalived_address"])
    for index, vip in enumerate(vips):
        where = f"keepalived_vips[{index}]"
        interface = vip.get("interface") or settings["keepalived_interface"]
        if interface:
            _judge_interface(
                f"{where}.interface" if vip.get("interface") else "keepalived_interface", interface
            )
        link = vip_interface(
            facts,
            vip["address"],
            interface,
            option=f"{where}.address",
            others=every,
            carried=carried,
            own=own.get(6 if ":" in vip["address"] else 4, ""),
        )
        for key in FURTHER:
            for place, line in enumerate(vip.get(key) or ()):
                readers.virtual_address(f"{where}.{key}[{place}]", line)
                judge_prefix(
                    facts,
                    line,
                    str(link["interface"]),
                    others=[*every, *carried],
                    option=f"{where}.{key}[{place}]",
                )
        yield {"address": link["address"], "interface": link["interface"]}


def _without_virtual_interfaces(
    facts: Mapping[str, Any], vips: Sequence[Settings]
) -> dict[str, Any]:
    """The facts without the interfaces that keepalived makes for ``use_vmac``: an address that is
    the first one there is not the host's own."""
    made = {vip.get("vmac_interface") for vip in vips}
    names = facts.get("interfaces")
    if not isinstance(names, (list, tuple)):
        return dict(facts)
    kept = [name for name in names if name not in made and not _VMAC.fullmatch(str(name))]
    return {**facts, "interfaces": kept}


def addresses_of(vip: Settings) -> Iterator[str]:
    """The address of a VIP and those that move along, as they are written."""
    yield vip["address"]
    for key in FURTHER:
        for address in vip.get(key) or ():
            yield from address.split()[:1]


def _own_addresses(given: Sequence[str]) -> dict[int, str]:
    own: dict[int, str] = {}
    for index, address in enumerate(given):
        where = f"keepalived_address[{index}]"
        family = ipaddress.ip_address(readers.address(where, address)).version
        if family in own:
            raise SettingError(
                where, f"{address} is IPv{family} as {own[family]} is; write one of each family"
            )
        own[family] = address
    return own


def _judge_interface(where: str, name: str) -> None:
    readers.word(where, name)
    if len(name) > LONGEST_INTERFACE or "/" in name:
        raise readers.wrong(
            where, name, f"an interface's name of at most {LONGEST_INTERFACE} characters"
        )


def printed_vip(index: int, settings: Settings, interface: str, version: str) -> dict[str, Any]:
    """What there is to print for a VIP, given by its index."""
    where, vip = f"keepalived_vips[{index}]", settings["keepalived_vips"][index]
    multicast = settings["keepalived_multicast"]
    judge_raw_lines(f"{where}.extra", vip.get("extra") or [], "vrrp_instance")
    for key in NOTIFY:
        judge_hook(f"{where}.{key}", vip.get(key) or "")
    _judge_vmac(where, vip, multicast, version)
    if (
        multicast
        and ":" in vip["address"]
        and versions.numbers(version) < versions.MULTICAST_IPV6_SINCE
    ):
        raise SettingError(
            "keepalived_multicast",
            f"needs keepalived 2.2 or newer for {vip['address']}, and this host has {version}, "
            "which wants link-local addresses there; leave it out",
        )
    _judge_entries(where, vip, interface)
    use_vmac = bool(vip.get("use_vmac"))
    return {
        "use_vmac": use_vmac,
        "vmac_interface": vip.get("vmac_interface") or "",
        "vmac_xmit_base": use_vmac and (not multicast or bool(vip.get("vmac_xmit_base"))),
        **{key: list(vip.get(key) or []) for key in ("virtual_routes", "virtual_rules", "extra")},
        "interfaces": list(vip.get("track_interface") or []),
        **{key: vip.get(key) or settings[f"keepalived_{key}"] for key in NOTIFY},
    }


def _judge_vmac(where: str, vip: Settings, multicast: bool, version: str) -> None:
    if not vip.get("use_vmac"):
        for key in ("vmac_interface", "vmac_xmit_base"):
            if vip.get(key):
                raise SettingError(
                    f"{where}.{key}", "does nothing without use_vmac; set that to true"
                )
        return
    if vip.get("vmac_interface"):
        _judge_interface(f"{where}.vmac_interface", vip["vmac_interface"])
    if multicast:
        return
    if versions.numbers(version) < versions.UNICAST_VMAC_SINCE:
        raise SettingError(
            f"{where}.use_vmac",
            f"needs keepalived 2.2 or newer where adverts are unicast, and this host has "
            f"{version}; leave it out, or set keepalived_multicast",
        )
    if vip.get("vmac_xmit_base") is False:
        raise SettingError(
            f"{where}.vmac_xmit_base",
            "is false, and a virtual MAC address without it needs multicast; leave it out, or set "
            "keepalived_multicast",
        )


def _judge_entries(where: str, vip: Settings, interface: str) -> None:
    for key in ("virtual_routes", "virtual_rules", "track_interface"):
        for index, line in enumerate(vip.get(key) or []):
            words = _entry(f"{where}.{key}[{index}]", line)
            if key == "virtual_rules" and not _PREFERENCE.intersection(words):
                raise SettingError(
                    f"{where}.{key}[{index}]",
                    "has no preference, and keepalived would choose one; write one at its end, "
                    "such as preference 100",
                )
            if key == "track_interface" and words[0] == interface:
                raise SettingError(
                    f"{where}.{key}[{index}]",
                    f"{interface} is the interface of {vip['address']}, which keepalived watches "
                    "anyway; leave it out",
                )


def _entry(where: str, line: str) -> list[str]:
    words = [readers.word(where, word) for word in line.split(" ") if word]
    if not words:
        raise readers.wrong(where, line, "one line of words")
    return words
