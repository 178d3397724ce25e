# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The packets by which hosts claim addresses and virtual router ids, to bytes and back. Pure.

All packets begin after the Ethernet header. One that is cut off, or of another kind than asked for,
is read as None.
"""

from __future__ import annotations

import ipaddress
import struct
from dataclasses import dataclass
from typing import Union

Address = Union[ipaddress.IPv4Address, ipaddress.IPv6Address]

VRRP_GROUP_4 = ipaddress.IPv4Address("224.0.0.18")
VRRP_GROUP_6 = ipaddress.IPv6Address("ff02::12")
BROADCAST = b"\xff" * 6

# Protocol numbers of the IPv4 and IPv6 headers.
VRRP = 112
ICMPV6 = 58
# Types of ICMPv6 messages, RFC 4861 section 4.
SOLICITATION = 135
ADVERTISEMENT = 136

_ARP_HEAD = struct.pack("!HHBB", 1, 0x0800, 6, 4)
_TARGET_LINK_LAYER_ADDRESS = 2


@dataclass(frozen=True)
class Answer:
    """Somebody has an address. ``mac`` is six bytes, or none where the packet does not name it."""

    address: Address
    mac: bytes


@dataclass(frozen=True)
class Advert:
    """A VRRP advertisement and who sent it."""

    source: Address
    version: int
    virtual_router_id: int
    priority: int
    addresses: tuple[Address, ...]


def arp_probe(mac: bytes, target: ipaddress.IPv4Address) -> bytes:
    """Ask who has ``target`` without claiming an address oneself (RFC 5227 section 2.1.1)."""
    return _ARP_HEAD + struct.pack("!H6s4x6x4s", 1, mac, target.packed)


def arp_answer(packet: bytes) -> Answer | None:
    """Whose address the sender of an ARP packet says it has; None for a probe."""
    if len(packet) < 28 or packet[:6] != _ARP_HEAD:
        return None
    mac, source = struct.unpack("!6s4s", packet[8:18])
    address = ipaddress.IPv4Address(source)
    return None if address.is_unspecified else Answer(address, mac)


def neighbour_solicitation(target: ipaddress.IPv6Address) -> bytes:
    """Ask who has ``target`` as a host does before it takes it (RFC 4862 section 5.4.2)."""
    source = ipaddress.IPv6Address(0)
    message = struct.pack("!BBHI16s", SOLICITATION, 0, 0, 0, target.packed)
    group = solicited_node(target)
    checksum = _icmpv6_checksum(source, group, message)
    message = message[:2] + struct.pack("!H", checksum) + message[4:]
    head = struct.pack("!IHBB", 6 << 28, len(message), ICMPV6, 255)
    return head + source.packed + group.packed + message


def neighbour_answer(packet: bytes) -> Answer | None:
    """Who has the address that an IPv6 packet with a neighbour advertisement is about."""
    # Hop limit 255: it comes from this link (RFC 4861 section 7.1.2).
    if len(packet) < 64 or packet[0] >> 4 != 6 or packet[6] != ICMPV6 or packet[7] != 255:
        return None
    if packet[40] != ADVERTISEMENT:
        return None
    options = packet[64:]
    mac = b""
    while len(options) >= 8 and options[1]:
        if options[0] == _TARGET_LINK_LAYER_ADDRESS:
            mac = options[2:8]
        options = options[8 * options[1] :]
    return Answer(ipaddress.IPv6Address(packet[48:64]), mac)


def solicited_node(target: ipaddress.IPv6Address) -> ipaddress.IPv6Address:
    """The group that whoever has ``target`` listens to (RFC 4291 section 2.7.1)."""
    base = int(ipaddress.IPv6Address("ff02::1:ff00:0"))
    return ipaddress.IPv6Address(base | int(target) & 0xFFFFFF)


def multicast_mac(group: ipaddress.IPv6Address) -> bytes:
    """The Ethernet address of an IPv6 group (RFC 2464 section 7)."""
    return b"\x33\x33" + group.packed[12:]


def advert(packet: bytes) -> Advert | None:
    """Read an IP packet with a VRRP advertisement: RFC 5798 section 5, RFC 3768 section 5."""
    source: Address
    if len(packet) >= 20 and packet[0] >> 4 == 4 and packet[9] == VRRP:
        source = ipaddress.IPv4Address(packet[12:16])
        message = packet[4 * (packet[0] & 15) : struct.unpack("!H", packet[2:4])[0]]
        size = 4
    elif len(packet) >= 40 and packet[0] >> 4 == 6 and packet[6] == VRRP:
        source = ipaddress.IPv6Address(packet[8:24])
        message = packet[40 : 40 + struct.unpack("!H", packet[4:6])[0]]
        size = 16
    else:
        return None
    # The version, and 1 for an advertisement: there is no other type.
    if len(message) < 8 or message[0] not in (0x21, 0x31):
        return None
    addresses = tuple(
        ipaddress.ip_address(message[at : at + size])
        for at in range(8, 8 + message[3] * size, size)
        if at + size <= len(message)
    )
    return Advert(source, message[0] >> 4, message[1], message[2], addresses)


def mac_text(mac: bytes) -> str:
    """``02:42:0a:57:39:02`` of six bytes."""
    return ":".join(f"{byte:02x}" for byte in mac)


def _icmpv6_checksum(source: Address, destination: Address, message: bytes) -> int:
    """RFC 4443 section 2.3, over a message of even length whose checksum is still 0."""
    head = source.packed + destination.packed + struct.pack("!II", len(message), ICMPV6)
    data = head + message
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
