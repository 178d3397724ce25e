#!/usr/bin/python
# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: vrrp_probe
short_description: Ask a network whether somebody else has a virtual address or a virtual router id
version_added: 0.1.0
description:
  - Asks on the interface who has each address, by ARP for IPv4 and by neighbour discovery for IPv6,
    as a host does before it takes one, so that nobody's tables are changed (RFC 5227, RFC 4862).
  - Listens for VRRP adverts that use one of the virtual router ids, to the multicast groups
    224.0.0.18 and ff02::12 and to the host itself, before any firewall of the host.
  - Adverts are sent once a second unless configured otherwise; rarer ones may be missed.
  - Needs root, as raw packets do.
options:
  claims:
    description: What a keepalived.conf is about to claim on the network.
    type: list
    elements: dict
    required: true
    suboptions:
      interface:
        description: The interface.
        type: str
        required: true
      family:
        description: The family of the adverts.
        type: int
        choices: [4, 6]
        default: 4
      virtual_router_id:
        description: The virtual router id, if it is to be listened for.
        type: int
      addresses:
        description: The virtual addresses, without prefix length.
        type: list
        elements: str
        default: []
  members:
    description:
      - Ethernet and IP addresses of the cluster's own hosts, which may have a virtual address and
        send adverts.
    type: list
    elements: str
    default: []
  seconds:
    description: How long to listen. Each address is asked for three times in the first half.
    type: float
    default: 1.5
extends_documentation_fragment:
  - mycat.ha.attributes.asks
notes:
  - Interfaces without ARP or neighbour discovery, such as C(lo), are only listened to.
seealso:
  - module: mycat.ha.keepalived_info
author:
  - mycat.ha maintainers (@mycat-ha)
"""

EXAMPLES = r"""
- name: Look for strangers with the virtual address or its virtual router id
  mycat.ha.vrrp_probe:
    claims:
      - interface: eth0
        virtual_router_id: 51
        addresses: [192.0.2.100]
    members: [192.0.2.11, '52:54:00:00:00:0b', 192.0.2.12, '52:54:00:00:00:0c']
  register: probe

- name: Stop where there is one
  ansible.builtin.assert:
    that: probe.strangers | length == 0
    fail_msg: "{{ probe.strangers | map(attribute='message') | join(' ') }}"
"""

RETURN = r"""
strangers:
  description: Who has what is claimed, and is no member of the cluster.
  returned: always
  type: list
  elements: dict
  contains:
    kind:
      description: V(address) or V(virtual_router_id).
      type: str
      sample: address
    interface:
      description: The interface it was seen on.
      type: str
      sample: eth0
    address:
      description: The virtual address, or where the adverts come from.
      type: str
      sample: 192.0.2.100
    mac:
      description: The Ethernet address of the stranger, empty where an answer does not tell.
      type: str
      sample: '52:54:00:00:00:63'
    message:
      description: Who it is and what to write instead.
      type: str
      sample: >-
        address: 192.0.2.100 is in use on eth0 already, by 52:54:00:00:00:63, which is none of the
        load balancers. Write one that no host has, or take it from that host.
holders:
  description: Ethernet addresses that answered for each address, members among them.
  returned: always
  type: dict
  sample: {192.0.2.100: ['52:54:00:00:00:0b']}
masters:
  description: Who said to be master of a claimed virtual router id, members among them.
  returned: always
  type: list
  elements: dict
  contains:
    interface:
      description: The interface it was heard on.
      type: str
      sample: eth0
    address:
      description: Where its adverts come from.
      type: str
      sample: 192.0.2.11
    virtual_router_id:
      description: The virtual router id.
      type: int
      sample: 51
"""

import contextlib
import ctypes
import dataclasses
import ipaddress
import select
import socket
import struct
import time

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.mycat.ha.plugins.module_utils.keepalived.claims import Claim, strangers
from ansible_collections.mycat.ha.plugins.module_utils.network import packets

# linux/if_ether.h, linux/if.h, linux/if_packet.h, asm-generic/socket.h
ETH_P_IP = 0x0800
ETH_P_ARP = 0x0806
ETH_P_IPV6 = 0x86DD
IFF_LOOPBACK = 0x8
IFF_NOARP = 0x80
SO_ATTACH_FILTER = 26
# More than the headers and 255 IPv4 addresses.
PACKET = 2048
QUESTIONS = 3

# Classic BPF, (offset of a byte, its value): a busy host's traffic is sorted out by the kernel.
IS_VRRP_4 = ((9, packets.VRRP),)
IS_VRRP_6 = ((6, packets.VRRP),)
IS_NEIGHBOUR = ((6, packets.ICMPV6), (40, packets.ADVERTISEMENT))


def bpf(conditions):
    """Return a filter program that lets packets pass whose bytes have these values."""
    load_byte, jump_equal, give_back = 0x30, 0x15, 0x06
    program = []
    for number, (offset, value) in enumerate(conditions):
        # To the last instruction, which drops the packet.
        otherwise = 2 * (len(conditions) - number) - 1
        program += [(load_byte, 0, 0, offset), (jump_equal, 0, otherwise, value)]
    program += [(give_back, 0, 0, 0xFFFF), (give_back, 0, 0, 0)]
    return b"".join(struct.pack("HBBI", *instruction) for instruction in program)


def listener(interface, protocol, conditions=()):
    """Return a socket for the packets of a protocol on an interface, without Ethernet headers."""
    found = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0)
    if conditions:
        program = bpf(conditions)
        buffer = ctypes.create_string_buffer(program)
        head = struct.pack("HL", len(program) // 8, ctypes.addressof(buffer))
        found.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, head)
    # Bound last: nothing that the filter has not seen is received.
    found.bind((interface, protocol))
    found.setblocking(False)
    return found


def join_groups(interface):
    """Return sockets that keep the host in VRRP's groups, as the network card filters others."""
    index = socket.if_nametoindex(interface)
    groups = (
        (
            (socket.AF_INET, socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP),
            struct.pack("4s4si", packets.VRRP_GROUP_4.packed, bytes(4), index),
        ),
        (
            (socket.AF_INET6, socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP),
            struct.pack("16si", packets.VRRP_GROUP_6.packed, index),
        ),
    )
    joined = []
    for (family, level, option), member in groups:
        # A kernel without this family, or an interface without its addresses, hears nothing of it.
        with contextlib.suppress(OSError):
            joined.append(socket.socket(family, socket.SOCK_DGRAM))
            joined[-1].setsockopt(level, option, member)
    return joined


def flags(interface):
    """Return the flags of an interface."""
    with open(f"/sys/class/net/{interface}/flags", encoding="ascii") as file:
        return int(file.read(), 16)


class Listener:
    """The sockets of one interface, and what they heard."""

    def __init__(self, interface):
        self.interface = interface
        self.members = join_groups(interface)
        self.arp = listener(interface, ETH_P_ARP)
        self.neighbours = listener(interface, ETH_P_IPV6, IS_NEIGHBOUR)
        self.vrrp = [
            listener(interface, ETH_P_IP, IS_VRRP_4),
            listener(interface, ETH_P_IPV6, IS_VRRP_6),
        ]
        self.asks = not flags(interface) & (IFF_LOOPBACK | IFF_NOARP)
        self.mac = self.arp.getsockname()[4]
        self.answers = []
        self.adverts = []

    def ask(self, address):
        """Ask who has an address."""
        if not self.asks or len(self.mac) != 6:
            return
        target = ipaddress.ip_address(address)
        if target.version == 4:
            to = (self.interface, ETH_P_ARP, 0, 0, packets.BROADCAST)
            self.arp.sendto(packets.arp_probe(self.mac, target), to)
        else:
            mac = packets.multicast_mac(packets.solicited_node(target))
            to = (self.interface, ETH_P_IPV6, 0, 0, mac)
            self.neighbours.sendto(packets.neighbour_solicitation(target), to)

    def sockets(self):
        return [self.arp, self.neighbours, *self.vrrp]

    def hear(self, ready):
        """Take one packet from a socket."""
        packet, sender = ready.recvfrom(PACKET)
        if sender[2] == socket.PACKET_OUTGOING:
            return
        mac = sender[4]
        if ready is self.arp:
            self.answers.append(packets.arp_answer(packet))
        elif ready is self.neighbours:
            answer = packets.neighbour_answer(packet)
            self.answers.append(answer and packets.Answer(answer.address, answer.mac or mac))
        else:
            advert = packets.advert(packet)
            if advert:
                self.adverts.append((mac, advert))


def probe(claims, seconds):
    """Ask and listen for ``seconds``; return what each interface heard."""
    listeners = {claim.interface: Listener(claim.interface) for claim in claims}
    by_socket = {each: one for one in listeners.values() for each in one.sockets()}
    start = time.monotonic()
    asked = 0
    while True:
        passed = time.monotonic() - start
        if asked < QUESTIONS and passed >= asked * seconds / 2 / QUESTIONS:
            asked += 1
            for claim in claims:
                for address in claim.addresses:
                    listeners[claim.interface].ask(address)
        if passed >= seconds:
            return list(listeners.values())
        following = asked * seconds / 2 / QUESTIONS if asked < QUESTIONS else seconds
        for ready in select.select(list(by_socket), [], [], max(0, following - passed))[0]:
            by_socket[ready].hear(ready)


def holders(claims, answers):
    """Return who answered for each claimed address."""
    found = {address: set() for claim in claims for address in claim.addresses}
    for _interface, answer in answers:
        if str(answer.address) in found:
            found[str(answer.address)].add(packets.mac_text(answer.mac))
    return {address: sorted(macs) for address, macs in found.items()}


def masters(claims, adverts):
    """Return who advertises a claimed virtual router id. One that steps down says priority 0."""
    claimed = {(claim.interface, claim.family, claim.virtual_router_id) for claim in claims}
    heard = {
        (interface, str(advert.source), advert.virtual_router_id)
        for interface, _mac, advert in adverts
        if advert.priority
        and (interface, advert.source.version, advert.virtual_router_id) in claimed
    }
    names = ("interface", "address", "virtual_router_id")
    return [dict(zip(names, one)) for one in sorted(heard)]


def read_claim(module, number, entry):
    """Return an entry of the option as a claim."""
    try:
        addresses = tuple(str(ipaddress.ip_address(address)) for address in entry["addresses"])
    except ValueError as error:
        module.fail_json(msg=f"claims[{number}].addresses: {error}")
    try:
        socket.if_nametoindex(entry["interface"])
    except OSError:
        module.fail_json(
            msg=f"claims[{number}].interface: the host has no interface {entry['interface']!r}"
        )
    return Claim(entry["interface"], entry["family"], entry["virtual_router_id"], addresses)


def main():
    module = AnsibleModule(
        argument_spec={
            "claims": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": {
                    "interface": {"type": "str", "required": True},
                    "family": {"type": "int", "choices": [4, 6], "default": 4},
                    "virtual_router_id": {"type": "int"},
                    "addresses": {"type": "list", "elements": "str", "default": []},
                },
            },
            "members": {"type": "list", "elements": "str", "default": []},
            "seconds": {"type": "float", "default": 1.5},
        },
        supports_check_mode=True,
    )
    seconds = module.params["seconds"]
    if not 0 < seconds <= 60:
        module.fail_json(msg="seconds: must be above 0 and at most 60")
    claims = [read_claim(module, *item) for item in enumerate(module.params["claims"])]
    try:
        heard = probe(claims, seconds)
    except PermissionError as error:
        module.fail_json(msg=f"raw packets are root's to send, use become: {error}")
    except OSError as error:
        module.fail_json(msg=f"the network cannot be asked: {error}")
    answers = [(one.interface, answer) for one in heard for answer in one.answers if answer]
    adverts = [(one.interface, mac, advert) for one in heard for mac, advert in one.adverts]
    found = strangers(claims, answers, adverts, module.params["members"])
    module.exit_json(
        changed=False,
        strangers=[dataclasses.asdict(one) for one in found],
        holders=holders(claims, answers),
        masters=masters(claims, adverts),
    )


if __name__ == "__main__":
    main()
