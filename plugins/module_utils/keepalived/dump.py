# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a running keepalived says of itself. Pure: text to values.

On a signal the daemon writes what it knows: as JSON where it was built with it (Debian 11, 12 and
13 are), and always as text for people. Both carry passwords, which are not read here. What a dump
says is what the daemon believes; which addresses there are, the kernel knows.
"""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ..host.masking import MASK
from ..vrrp.model import Instance, Node

# Of keepalived's vrrp.h, by number.
_STATES = ("INIT", "BACKUP", "MASTER", "FAULT")
# The daemon that should have these instances does not run.
STOPPED = "stopped"


class DumpError(ValueError):
    """A dump that is cut off or that no keepalived wrote."""


@dataclass(frozen=True)
class InstanceState:
    """A vrrp_instance as a running daemon has it.

    ``state`` is INIT, BACKUP, MASTER, FAULT or ``STOPPED``; ``effective_priority`` is None when
    stopped. Addresses are as keepalived.conf writes them, with the prefix length if it has one.
    ``last_transition`` is in seconds since 1970, None where there was none.
    """

    name: str
    state: str
    interface: str
    virtual_router_id: int
    priority: int
    effective_priority: int | None
    virtual_ipaddress: tuple[str, ...] = ()
    virtual_ipaddress_excluded: tuple[str, ...] = ()
    last_transition: float | None = None


def parse_json(text: str) -> tuple[InstanceState, ...]:
    """Read keepalived.json, which the daemon writes on its signal JSON. Raises DumpError."""
    try:
        data = json.loads(text)
        # A list of instances; version 2 (json_version) puts it into an object.
        return tuple(_from_json(entry["data"]) for entry in _vrrp(data))
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise DumpError(f"keepalived.json is not what keepalived writes: {error}") from error


def _vrrp(data: Any) -> Iterable[Any]:
    return tuple(data["vrrp"] if isinstance(data, dict) else data)


def _from_json(data: Mapping[str, Any]) -> InstanceState:
    return InstanceState(
        name=str(data["iname"]),
        state=_STATES[int(data["state"])],
        interface=str(data["ifp_ifname"]),
        virtual_router_id=int(data["vrid"]),
        priority=int(data["base_priority"]),
        effective_priority=int(data["effective_priority"]),
        virtual_ipaddress=_addresses(data.get("vips", ())),
        virtual_ipaddress_excluded=_addresses(data.get("evips", ())),
        last_transition=float(data["last_transition"]) or None,
    )


def _addresses(lines: Iterable[str]) -> tuple[str, ...]:
    """``192.0.2.100/24 dev eth0 scope global set`` and its kin, the address alone."""
    return tuple(line.split()[0] for line in lines)


_SECTION = re.compile(r"------<")
_INSTANCE = re.compile(r" VRRP Instance = (.+)\Z")
_SETTING = re.compile(r"   ([A-Z][A-Za-z ]+?) = (.*)\Z")
_ADDRESSES = re.compile(r"   (Virtual IP(?: Excluded)?) (?:\(\d+\))?:\Z")
_ADDRESS = re.compile(r"     ([0-9a-fA-F:.]+(?:/\d+)?) ")


def parse_data(text: str) -> tuple[InstanceState, ...]:
    """Read keepalived.data, which the daemon writes on SIGUSR1. Raises DumpError.

    The list of interfaces comes behind the instances: without it the dump is not yet complete.
    """
    if "------< Interfaces >------" not in text:
        raise DumpError("keepalived.data ends before the list of interfaces")
    try:
        return tuple(_from_data(name, lines) for name, lines in _instances(text))
    except (ValueError, LookupError) as error:
        raise DumpError(f"keepalived.data is not what keepalived writes: {error}") from error


def _instances(text: str) -> Iterator[tuple[str, list[str]]]:
    name = ""
    lines: list[str] = []
    for line in text.splitlines():
        started = _INSTANCE.match(line)
        if started or _SECTION.match(line):
            if name:
                yield name, lines
            name, lines = started.group(1) if started else "", []
        else:
            lines.append(line)


def _from_data(name: str, lines: list[str]) -> InstanceState:
    settings: dict[str, str] = {}
    addresses: dict[str, list[str]] = {}
    listed: list[str] | None = None
    for line in lines:
        head = _ADDRESSES.match(line)
        address = _ADDRESS.match(line + " ")
        if head:
            listed = addresses.setdefault(head.group(1), [])
        elif address and listed is not None:
            listed.append(address.group(1))
        else:
            listed = None
            setting = _SETTING.match(line)
            if setting:
                settings.setdefault(setting.group(1), setting.group(2))
    if settings["State"] not in _STATES:
        raise DumpError(f"the state of {name} is {settings['State']!r}")
    return InstanceState(
        name=name,
        state=settings["State"],
        interface=settings["Interface"],
        virtual_router_id=int(settings["Virtual Router ID"]),
        priority=int(settings["Priority"]),
        effective_priority=int(settings["Effective priority"]),
        virtual_ipaddress=tuple(addresses.get("Virtual IP", ())),
        virtual_ipaddress_excluded=tuple(addresses.get("Virtual IP Excluded", ())),
        last_transition=float(settings["Last transition"].split()[0]) or None,
    )


def has_loaded(written: float, started: float, changed: float | None) -> bool | None:
    """Whether a daemon has read a file, by when it was written and the daemon started or reloaded.

    ``changed`` is the last of its starts and reloads, None where nobody counts them: then a file
    that is newer than the daemon may have been read or not. All in seconds since 1970.
    """
    if changed is None:
        return True if written <= started else None
    return written <= max(started, changed)


def held(instance: InstanceState, present: Iterable[str]) -> tuple[str, ...]:
    """Those of the instance's virtual addresses that are among the ``present`` ones."""
    have = frozenset(present)
    return tuple(
        address
        for address in instance.virtual_ipaddress + instance.virtual_ipaddress_excluded
        if str(ipaddress.ip_interface(address).ip) in have
    )


def stopped(node: Node) -> tuple[InstanceState, ...]:
    """The instances of a configuration whose daemon does not run."""
    return tuple(
        InstanceState(
            name=instance.name,
            state=STOPPED,
            interface=instance.interface,
            virtual_router_id=instance.virtual_router_id,
            priority=instance.priority,
            effective_priority=None,
            virtual_ipaddress=_addresses(instance.virtual_ipaddress),
            virtual_ipaddress_excluded=_addresses(instance.virtual_ipaddress_excluded),
        )
        for instance in node.instances
    )


def without_passwords(node: Node) -> Node:
    """The same configuration, with ``MASK`` for each auth_pass and each key of auth_hmac."""
    return replace(node, instances=tuple(map(_masked, node.instances)))


def _masked(instance: Instance) -> Instance:
    authentication, hmac = instance.authentication, instance.auth_hmac
    if authentication and authentication.auth_pass:
        authentication = replace(authentication, auth_pass=MASK)
    if hmac:
        hmac = replace(hmac, keys=tuple((number, MASK) for number, _key in hmac.keys))
    return replace(instance, authentication=authentication, auth_hmac=hmac)
