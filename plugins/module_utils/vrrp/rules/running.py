# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What runs at all: files that the daemon refuses, instances that never leave FAULT."""

from __future__ import annotations

from typing import Iterator

from .. import running
from ..estate import Estate, Judge, NodeInstance
from ..findings import Finding, Rule, Severity
from ..hearing import plain_address

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
        others = {
            other.instance.virtual_router_id
            for other in estate.alike(member)
            if running.has_router_id(other.instance)
        }
        yield member.finding(
            VRID_RANGE,
            f"{said}: keepalived does not start on {member}",
            f"Write virtual_router_id {others.pop()} on {member}." if len(others) == 1 else "",
            "virtual_router_id",
        )


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
            )


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
            severity=Severity.WARNING if starts else None,
        )


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
    taken = {member.instance.virtual_router_id for member in estate.members}
    free = next((str(vrid) for vrid in range(1, 256) if vrid not in taken), "another one")
    for node in estate.cluster.nodes:
        conflicts = {second.name: first for first, second in running.router_id_conflicts(node)}
        for member in estate.members:
            first = conflicts.get(member.instance.name)
            if member.node is node and first is not None:
                yield member.finding(
                    VRID_DUPLICATE,
                    f"{first.name} and {member.instance.name} both have virtual_router_id "
                    f"{first.virtual_router_id}: keepalived does not start on {member}",
                    f"Use {free} for {member.instance.name} on all nodes.",
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
            "",
            "strict_mode",
            severity=None if refused else Severity.WARNING,
        )


SOURCE_FOREIGN = Rule(
    "source-foreign",
    Severity.ERROR,
    harm="An instance whose unicast_src_ip is no address of its node stays in FAULT for ever.",
    example="lb1 has 192.0.2.11\nunicast_src_ip 192.0.2.21",
    fix="Write the node's own address as unicast_src_ip.",
    unproven="An instance that stays in FAULT is no part of the search.",
)


def source_foreign(estate: Estate) -> Iterator[Finding]:
    """A source address that the node does not have."""
    for member in estate.members:
        if running.source_is_foreign(member.node, member.instance):
            own = plain_address(member.node.address)
            yield member.finding(
                SOURCE_FOREIGN,
                f"unicast_src_ip {member.instance.unicast_src_ip} is no address of {member}: "
                f"{member.instance.name} stays in FAULT there for ever",
                f"Write unicast_src_ip {own} on {member}." if own else "",
                "unicast_src_ip",
            )


SOURCE_DUPLICATE = Rule(
    "source-duplicate",
    Severity.ERROR,
    harm="Two nodes name one unicast_src_ip. Only one of them has that address; on the other the "
    "instance stays in FAULT for ever.",
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
                f"{first} and {member} both have unicast_src_ip {member.source}; on the one that "
                "does not have this address the instance stays in FAULT for ever",
                "",
                "unicast_src_ip",
            )


RULES: dict[Rule, Judge] = {
    VRID_RANGE: vrid_range,
    INTERFACE_MISSING: interface_missing,
    NO_VIP: no_vip,
    VRID_DUPLICATE: vrid_duplicate,
    STRICT_UNICAST: strict_unicast,
    SOURCE_FOREIGN: source_foreign,
    SOURCE_DUPLICATE: source_duplicate,
}
