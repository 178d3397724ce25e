# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Byte for byte as the RFCs draw them."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from ansible_collections.mycat.ha.plugins.module_utils.network import packets
from ansible_collections.mycat.ha.plugins.module_utils.network.packets import Advert, Answer

MAC = bytes.fromhex("02420a573902")
VIP6 = IPv6Address("fd00:57::12:3456")

# RFC 826: Ethernet, IPv4, 6, 4, operation; sender's and target's hardware and protocol address.
ARP = "0001 0800 06 04"
PROBE = f"{ARP} 0001 02420a573902 00000000 000000000000 0a573964"
REPLY = f"{ARP} 0002 020000000063 0a573964 02420a573902 00000000"
ANNOUNCEMENT = f"{ARP} 0001 020000000063 0a573964 000000000000 0a573964"

# RFC 4861 section 4.3: version, length 24, ICMPv6, hop limit 255; :: to ff02::1:ff12:3456.
SOLICITATION = (
    "60000000 0018 3a ff" + "00" * 16 + "ff0200000000000000000001ff123456"
    "87 00 bdd6 00000000 fd005700" + "0000000000000000" + "00123456"
)
# RFC 4861 section 4.4: router, solicited and override bits, the address, option 2 of 8 bytes.
SOURCE6 = "fe800000000000000000000000000063"
VIP6_HEX = "fd005700" + "0000000000000000" + "00123456"
ADVERTISEMENT = (
    f"60000000 0020 3a ff {SOURCE6} ff020000000000000000000000000001"
    f"88 00 abcd 20000000 {VIP6_HEX} 02 01 020000000063"
)


def raw(text: str) -> bytes:
    return bytes.fromhex(text)


def ipv4(message: str, source: str = "0a573963", options: str = "", protocol: str = "70") -> bytes:
    body = raw(message)
    words = 5 + len(raw(options)) // 4
    length = 4 * words + len(body)
    head = f"4{words:x}c0 {length:04x} 0000 0000 ff {protocol} 0000 {source} e0000012 {options}"
    return raw(head) + body


def ipv6(message: str) -> bytes:
    body = raw(message)
    return raw(f"6c000000 {len(body):04x} 70 ff {SOURCE6} ff020000000000000000000000000012") + body


# RFC 5798 section 5.1: version 3, type 1, id 51, priority 200, 2 addresses, 100 cs, checksum.
V3 = "31 33 c8 02 0064 ffff 0a573964 0a573965"
# RFC 3768 section 5.1: version 2, authentication type 1 and its 8 bytes behind the address.
V2 = "21 33 64 01 01 01 ffff 0a573964 7365637265740000"
V3_6 = f"31 34 64 01 0064 ffff {VIP6_HEX}"


def test_arp_probe() -> None:
    assert packets.arp_probe(MAC, IPv4Address("10.87.57.100")) == raw(PROBE)


ARP_ANSWERS = {
    "reply": (REPLY, Answer(IPv4Address("10.87.57.100"), raw("020000000063"))),
    "reply with Ethernet's padding": (
        REPLY + "00" * 18,
        Answer(IPv4Address("10.87.57.100"), raw("020000000063")),
    ),
    "announcement": (ANNOUNCEMENT, Answer(IPv4Address("10.87.57.100"), raw("020000000063"))),
    "probe of another": (PROBE, None),
    "cut off": (REPLY[:-2], None),
    "of another network": (REPLY.replace("0800", "86dd", 1), None),
    "nothing": ("", None),
}


@pytest.mark.parametrize(("packet", "expected"), ARP_ANSWERS.values(), ids=ARP_ANSWERS)
def test_arp_answer(packet: str, expected: Answer | None) -> None:
    assert packets.arp_answer(raw(packet)) == expected


def test_neighbour_solicitation() -> None:
    assert packets.neighbour_solicitation(IPv6Address(raw(VIP6_HEX))) == raw(SOLICITATION)


def test_groups() -> None:
    group = packets.solicited_node(VIP6)
    assert group == IPv6Address("ff02::1:ff12:3456")
    assert packets.multicast_mac(group) == raw("3333ff123456")


NEIGHBOUR_ANSWERS = {
    "with its MAC": (ADVERTISEMENT, raw("020000000063")),
    "behind another option": (
        ADVERTISEMENT.replace("02 01 02", "0e 01 000000000000 02 01 02"),
        raw("020000000063"),
    ),
    "without options": (ADVERTISEMENT[: -len("02 01 020000000063")], b""),
    "option of length 0": (ADVERTISEMENT.replace("02 01 02", "02 00 02"), b""),
    "cut off": (ADVERTISEMENT[: -len("00123456 02 01 020000000063")], None),
    "forwarded by a router": (ADVERTISEMENT.replace("3a ff", "3a fe"), None),
    "solicitation": (SOLICITATION, None),
    "nothing": ("", None),
}


@pytest.mark.parametrize(("packet", "expected"), NEIGHBOUR_ANSWERS.values(), ids=NEIGHBOUR_ANSWERS)
def test_neighbour_answer(packet: str, expected: bytes | None) -> None:
    found = packets.neighbour_answer(raw(packet))
    address = IPv6Address(raw(VIP6_HEX))
    assert found == (None if expected is None else Answer(address, expected))


ADVERTS = {
    "version 3": (ipv4(V3), (3, 51, 200, ["10.87.57.100", "10.87.57.101"])),
    "version 2 with a password": (ipv4(V2), (2, 51, 100, ["10.87.57.100"])),
    "IP options": (
        ipv4(V3, options="94040000"),
        (3, 51, 200, ["10.87.57.100", "10.87.57.101"]),
    ),
    "Ethernet's padding": (ipv4(V2) + bytes(10), (2, 51, 100, ["10.87.57.100"])),
    "end of a master": (
        ipv4(V3.replace("c8", "00")),
        (3, 51, 0, ["10.87.57.100", "10.87.57.101"]),
    ),
    "an address is missing": (ipv4(V3[:-9]), (3, 51, 200, ["10.87.57.100"])),
    "another protocol": (ipv4(V3, protocol="11"), None),
    "another type": (ipv4("32" + V3[2:]), None),
    "another version": (ipv4("41" + V3[2:]), None),
    "cut off": (ipv4("31 33 c8 02 0064 ff"), None),
    "header cut off": (ipv4(V3)[:19], None),
    "nothing": (b"", None),
}


@pytest.mark.parametrize(("packet", "expected"), ADVERTS.values(), ids=ADVERTS)
def test_advert(packet: bytes, expected: tuple | None) -> None:
    found = packets.advert(packet)
    if expected is None:
        assert found is None
    else:
        version, number, priority, addresses = expected
        source = IPv4Address("10.87.57.99")
        assert found == Advert(source, version, number, priority, tuple(map(ip_address, addresses)))


def test_advert_over_ipv6() -> None:
    found = packets.advert(ipv6(V3_6))
    source = IPv6Address("fe80::63")
    assert found == Advert(source, 3, 52, 100, (IPv6Address(raw(VIP6_HEX)),))


def test_mac_text() -> None:
    assert packets.mac_text(MAC) == "02:42:0a:57:39:02"
    assert packets.mac_text(b"") == ""
