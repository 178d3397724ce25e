# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What runs at all: files that the daemon refuses, instances that never leave FAULT."""

from __future__ import annotations

from typing import Iterator

from .. import running
from ..estate import Estate, Judge, NodeInstance, names_of, placed
from ..findings import Finding, Rule, Severity
from ..hearing import plain_address, source_is_foreign
from ..versions import FOREIGN_SOURCE_RUNS_SINCE
from .strict import without_strict

_NO_PART = "The daemon does not start, so this node is no part of the search."

VRID_RANGE = Rule(
    "vrid-range",
    Severity.ERROR,
    harm="Without a virtual_router_id from 1 to 255 the daemon ends, with all its instances.",
    example="virtual_router_id 0",
    fix="Use a number from 1 to 255, the same on all nodes.",
    unproven=_NO_PART,
)


def vrid_range(estate: Estate) -> Iterator[Finding]:
    """A virtual_router_id outside 1 to 255."""
    for member in estate.members:
        if running.has_router_id(member.instance):
            continue
        value = member.instance.virtual_router_id
        said = f"virtual_router_id {value} is not accepted" if value else "no virtual_router_id"
        alike = list(estate.alike(member))
        sound = [one for one in alike if running.has_router_id(one.instance)]
        vrid = sound[0].instance.virtual_router_id if sound else _free_router_id(estate)
        yield member.finding(
            VRID_RANGE,
            f"{said}: keepalived does not start on {member}",
            f"Write virtual_router_id {vrid} on "
            f"{names_of([member, *(one for one in alike if one not in sound)])}.",
            "virtual_router_id",
        )


def _free_router_id(estate: Estate) -> int:
    taken = {member.instance.virtual_router_id for member in estate.members}
    return next((vrid for vrid in range(1, 256) if vrid not in taken), 255)


INTERFACE_MISSING = Rule(
    "interface-missing",
    Severity.ERROR,
    harm="Without an interface (or, with unicast, a unicast_src_ip) the daemon ends, with all its "
    "instances. Versions 2.2.5 to 2.2.7 want the interface with unicast too.",
    example="vrrp_instance VI_1 { virtual_router_id 51 }",
    fix="Name the interface that carries the nodes' own addresses.",
    unproven=_NO_PART,
)


def interface_missing(estate: Estate) -> Iterator[Finding]:
    """An instance that does not know where it is."""
    for member in estate.members:
        if not running.has_interface(member.instance):
            yield member.finding(
                INTERFACE_MISSING,
                f"{member.instance.name} has neither interface nor unicast_src_ip: keepalived does "
                f"not start on {member}",
                _interface_to_write(estate, member),
            )


def _interface_to_write(estate: Estate, member: NodeInstance) -> str:
    """The name that another node has, where one has."""
    named = [one.instance.interface for one in estate.alike(member)]
    known = next(filter(None, named), "and the name of the one that has the node's address")
    return f"Write interface {known} in {member.instance.name} on {member}."


NO_VIP = Rule(
    "no-vip",
    Severity.ERROR,
    harm="VRRP version 3 and strict mode refuse an instance without a virtual_ipaddress: the "
    "daemon ends. In version 2 it runs and sets no address, which is what a notify script that "
    "moves a floating address wants; that is a warning.",
    example="vrrp_instance VI_1 {\n    version 3\n    virtual_router_id 51\n}",
    fix="Write a virtual_ipaddress block with at least one address.",
    unproven=_NO_PART,
)


def no_vip(estate: Estate) -> Iterator[Finding]:
    """An instance without an address."""
    for member in estate.members:
        if member.instance.virtual_ipaddress:
            continue
        starts = running.may_lack_addresses(member.instance)
        harm = "it sets none" if starts else f"keepalived does not start on {member}"
        yield member.finding(
            NO_VIP,
            f"{member.instance.name} has no virtual_ipaddress on {member}: {harm}",
            _addresses_to_write(estate, member),
            severity=Severity.WARNING if starts else None,
        )


def _addresses_to_write(estate: Estate, member: NodeInstance) -> str:
    """What others have, what the member excludes, or that all have to agree. Without interface the
    daemon drops addresses that name none."""
    if member.instance.unicast_src_ip and not member.instance.interface:
        return _interface_to_write(estate, member)
    same = [
        one
        for one in estate.members
        if one.instance.virtual_router_id == member.instance.virtual_router_id
    ]
    having = [one for one in same if one.instance.virtual_ipaddress]
    lacking = names_of([one for one in same if one not in having])
    excluded = member.instance.virtual_ipaddress_excluded
    if having:
        written = " ".join(address.split()[0] for address in having[0].instance.virtual_ipaddress)
        return f"Write virtual_ipaddress {{ {written} }} on {lacking}."
    if excluded:
        first = excluded[0].split()[0]
        return f"Move {first} from virtual_ipaddress_excluded to virtual_ipaddress on {lacking}."
    return f"Write a virtual_ipaddress block with the same address on {lacking}."


VRID_DUPLICATE = Rule(
    "vrid-duplicate",
    Severity.ERROR,
    harm="Two instances on one interface share a virtual_router_id: the daemon ends.",
    example="vrrp_instance VI_1 { interface eth0 virtual_router_id 51 }\n"
    "vrrp_instance VI_2 { interface eth0 virtual_router_id 51 }",
    fix="Give every instance on an interface a virtual_router_id of its own.",
    unproven=_NO_PART,
)


def vrid_duplicate(estate: Estate) -> Iterator[Finding]:
    """Two instances of a node that share interface, family and router id."""
    for node in estate.cluster.nodes:
        conflicts = {second.name: first for first, second in running.router_id_conflicts(node)}
        for member in estate.members:
            first = conflicts.get(member.instance.name)
            if member.node is node and first is not None:
                yield member.finding(
                    VRID_DUPLICATE,
                    f"{first.name} and {member.instance.name} both have virtual_router_id "
                    f"{first.virtual_router_id}: keepalived does not start on {member}",
                    f"Use virtual_router_id {_free_router_id(estate)} for "
                    f"{placed([member, *estate.alike(member)])}.",
                    "virtual_router_id",
                )


STRICT_UNICAST = Rule(
    "strict-unicast",
    Severity.ERROR,
    harm="Strict mode does not allow unicast: the daemon ends. Versions 2.2.5 to 2.3.4 forget to "
    "look and run it, until the next update; that is a warning.",
    example="vrrp_strict\nunicast_peer {\n    192.0.2.12\n}",
    fix="Remove vrrp_strict.",
    unproven=_NO_PART,
)


def strict_unicast(estate: Estate) -> Iterator[Finding]:
    """Strict mode with unicast."""
    for member in estate.members:
        if not (member.instance.strict_mode and member.peers):
            continue
        refused = running.refuses_strict_unicast(member.node, member.instance)
        yield member.finding(
            STRICT_UNICAST,
            f"strict mode with unicast on {member}: "
            + ("keepalived does not start" if refused else "it runs, but not after an update"),
            without_strict(estate),
            "strict_mode",
            severity=None if refused else Severity.WARNING,
        )


SOURCE_FOREIGN = Rule(
    "source-foreign",
    Severity.ERROR,
    harm="An instance whose unicast_src_ip is no address of its node stays in FAULT for ever. From "
    "2.3.3 on it runs, hears nobody, and becomes master beside the others.",
    example="lb1 has 192.0.2.11\nunicast_src_ip 192.0.2.21",
    fix="Write the node's own address as unicast_src_ip.",
    unproven="An instance that stays in FAULT is no part of the search.",
)


def source_foreign(estate: Estate) -> Iterator[Finding]:
    """A source address that the node does not have."""
    for member in estate.members:
        if source_is_foreign(member.node, member.instance):
            own = plain_address(member.node.address)
            yield member.finding(
                SOURCE_FOREIGN,
                f"unicast_src_ip {member.instance.unicast_src_ip} is no address of {member}: "
                f"{member.instance.name} {_without_source(member)}",
                _source_to_write(estate, member, own),
                "unicast_src_ip",
            )


def _without_source(member: NodeInstance) -> str:
    """What becomes of an instance whose source is another node's."""
    if member.node.keepalived_version >= FOREIGN_SOURCE_RUNS_SINCE:
        return "hears nobody there and becomes master beside the others"
    return "stays in FAULT there for ever"


SOURCE_DUPLICATE = Rule(
    "source-duplicate",
    Severity.ERROR,
    harm="Two nodes name one unicast_src_ip. Only one of them has that address; on the other the "
    "instance stays in FAULT for ever. From 2.3.3 on it runs there, hears nobody, and becomes "
    "master beside the others.",
    example="lb1: unicast_src_ip 192.0.2.11\nlb2: unicast_src_ip 192.0.2.11",
    fix="Write each node's own address as its unicast_src_ip.",
    unproven="Which of the nodes has the address is not known.",
)


def source_duplicate(estate: Estate) -> Iterator[Finding]:
    """One source address on two nodes."""
    first_with: dict[str, NodeInstance] = {}
    for member in estate.members:
        if not member.instance.unicast_src_ip or not member.peers or not member.runs:
            continue
        first = first_with.setdefault(member.source, member)
        if first.node is not member.node:
            yield member.finding(
                SOURCE_DUPLICATE,
                f"{first} and {member} both have unicast_src_ip {member.source}; where it is not "
                f"the node's own, {member.instance.name} {_without_source(member)}",
                _own_source(estate, member),
                "unicast_src_ip",
            )


def _own_source(estate: Estate, member: NodeInstance) -> str:
    """Where the node's own address was told, that one; else the daemon's choice."""
    own = plain_address(member.node.address)
    if own and own != member.source:
        return _source_to_write(estate, member, own)
    return f"Remove unicast_src_ip on {member} (or write the address that the node has)."


def _source_to_write(estate: Estate, member: NodeInstance, own: str) -> str:
    """The source, and the peers that were written to go with a wrong one."""
    fixes = [f"Write unicast_src_ip {own} on {member}."]
    for other in estate.alike(member):
        if other.source != own and other.source not in member.peers:
            fixes.append(f"Add {other.source} to unicast_peer on {member}.")
        if other.peers and own not in other.peers:
            fixes.append(f"Add {own} to unicast_peer on {other}.")
    return " ".join(fixes)


RULES: dict[Rule, Judge] = {
    VRID_RANGE: vrid_range,
    INTERFACE_MISSING: interface_missing,
    NO_VIP: no_vip,
    VRID_DUPLICATE: vrid_duplicate,
    STRICT_UNICAST: strict_unicast,
    SOURCE_FOREIGN: source_foreign,
    SOURCE_DUPLICATE: source_duplicate,
}
