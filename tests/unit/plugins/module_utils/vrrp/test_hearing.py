# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from dataclasses import replace

import pytest
from ansible_collections.mycat.ha.plugins.module_utils.vrrp import hearing
from ansible_collections.mycat.ha.plugins.module_utils.vrrp.hearing import Rejection
from ansible_collections.mycat.ha.plugins.module_utils.vrrp.model import (
    Authentication,
    Hmac,
    Instance,
    Node,
)

VIP = "192.0.2.9"
VIP2 = "192.0.2.10"


def instance(**options):
    return Instance("VI_1", **{"virtual_router_id": 51, "virtual_ipaddress": (VIP,), **options})


def node(name, number, *instances, **options):
    return Node(name, f"192.0.2.{number}", instances, **options)


PASS = Authentication("PASS", "secret")
LONG, OTHER_LONG = "k" * 32, "hex:" + "6c" * 32
SIGNED = {"auth_hmac": Hmac(((1, LONG),), 1)}


@pytest.mark.parametrize(
    ("receiver", "sender", "expected"),
    [
        pytest.param({}, {}, None, id="alike"),
        pytest.param({}, {"virtual_router_id": 52}, Rejection.ROUTER, id="VRID"),
        pytest.param(
            {}, {"virtual_ipaddress": ("2001:db8::9/64",)}, Rejection.ROUTER, id="address family"
        ),
        pytest.param({}, {"version": 3}, Rejection.VERSION, id="version"),
        pytest.param({}, {"authentication": PASS}, Rejection.AUTHENTICATION, id="a password"),
        pytest.param(
            {"authentication": Authentication("PASS", "12345678X")},
            {"authentication": Authentication("PASS", "12345678Y")},
            None,
            id="passwords alike in eight characters",
        ),
        pytest.param(
            {"authentication": Authentication("AH", "secret")},
            {"authentication": PASS},
            Rejection.AUTHENTICATION,
            id="kind of authentication",
        ),
        pytest.param(
            {"version": 3}, {"version": 3, "authentication": PASS}, None, id="version 3 has none"
        ),
        pytest.param(SIGNED, SIGNED, None, id="one key"),
        pytest.param(SIGNED, {}, Rejection.SIGNATURE, id="not signed"),
        pytest.param({}, SIGNED, Rejection.SIGNATURE, id="signed for one without auth_hmac"),
        pytest.param(
            SIGNED, {"auth_hmac": Hmac(((1, OTHER_LONG),), 1)}, Rejection.SIGNATURE, id="key"
        ),
        pytest.param(
            SIGNED, {"auth_hmac": Hmac(((2, LONG),), 2)}, Rejection.SIGNATURE, id="number of a key"
        ),
        pytest.param(
            {"auth_hmac": Hmac(((2, OTHER_LONG), (1, LONG)), 2)}, SIGNED, None, id="another active"
        ),
        pytest.param(
            {"auth_hmac": Hmac(((1, "hex:" + "6b" * 32),), 1)}, SIGNED, None, id="hexadecimal"
        ),
        pytest.param({"auth_hmac": Hmac(((1, "file:/k"),), 1)}, SIGNED, None, id="unknown file"),
        pytest.param({"auth_hmac": Hmac(((1, LONG),), 1, "permissive")}, {}, None, id="permissive"),
        pytest.param(
            {"auth_hmac": Hmac(((1, LONG),), 1, "permissive"), "strict_mode": True},
            {"strict_mode": True},
            Rejection.SIGNATURE,
            id="permissive in strict mode",
        ),
        pytest.param(
            {}, {"auth_hmac": Hmac(((1, LONG),), 1, "receive-only")}, None, id="receive-only"
        ),
        pytest.param({}, {"auth_hmac": Hmac(((1, "short"),), 1)}, None, id="no usable key"),
        pytest.param({}, {"auth_hmac": Hmac(((1, "hex:6b"),), 1)}, None, id="short in hexadecimal"),
        pytest.param({}, {"auth_hmac": Hmac(((1, "hex:x" + LONG),), 1)}, None, id="no hexadecimal"),
        pytest.param(
            SIGNED, {**SIGNED, "authentication": PASS}, None, id="signatures instead of a password"
        ),
        pytest.param({}, {"advert_int": 2.0}, Rejection.ADVERT_INT, id="v2 interval"),
        pytest.param(
            {"version": 3}, {"version": 3, "advert_int": 2.0}, None, id="v3 takes the master's"
        ),
        pytest.param({}, {"advert_int": 0.5}, None, id="v2 half a second is one"),
        pytest.param({}, {"unicast_peer": ("192.0.2.1",)}, Rejection.CAST, id="unicast sender"),
        pytest.param({}, {"unicast_peer": ()}, None, id="unicast without peers is multicast"),
        pytest.param(
            {"unicast_peer": ("192.0.2.2",)},
            {"unicast_peer": ("192.0.2.1",)},
            None,
            id="unicast both ways",
        ),
        pytest.param(
            {"unicast_peer": ("192.0.2.2",)},
            {"unicast_peer": ("192.0.2.3",)},
            Rejection.PEER,
            id="not a peer of the sender",
        ),
        pytest.param(
            {},
            {"virtual_ipaddress": (VIP + "/24", VIP2 + "/24")},
            Rejection.VIPS,
            id="list of VIPs",
        ),
        pytest.param(
            {}, {"virtual_ipaddress": (VIP + "/32 dev eth0",)}, None, id="VIPs but for the prefix"
        ),
    ],
)
def test_what_a_receiver_rejects(receiver, sender, expected):
    ours = replace(instance(), **receiver)
    assert hearing.rejection(node("a", 1, ours), ours, replace(instance(), **sender)) is expected


ASKING = {"check_unicast_src": True}


@pytest.mark.parametrize(
    ("receiver", "sender", "expected"),
    [
        pytest.param(ASKING, {}, None, id="a peer"),
        pytest.param(ASKING, {"unicast_src_ip": "192.0.2.3"}, Rejection.SOURCE, id="a stranger"),
        pytest.param({}, {"unicast_src_ip": "192.0.2.3"}, None, id="a stranger, not asked"),
        pytest.param(ASKING, {"unicast_src_ip": None}, None, id="a source that is not known"),
        pytest.param({**ASKING, "unicast_peer": ("192.0.2.2 min_ttl 255",)}, {}, None, id="255"),
        pytest.param(
            {**ASKING, "unicast_peer": ("192.0.2.2 min_ttl 255",)},
            {"unicast_ttl": 254},
            Rejection.TTL,
            id="too low",
        ),
        pytest.param(
            {**ASKING, "unicast_peer": ("192.0.2.2 min_ttl 253 max_ttl 254",)},
            {},
            None,
            id="with a router between",
        ),
        pytest.param(
            {**ASKING, "unicast_peer": ("192.0.2.2 min_ttl 9 max_ttl 8",)},
            {},
            Rejection.TTL,
            id="nothing is let in",
        ),
        pytest.param(
            {**ASKING, "unicast_peer": None}, {"unicast_peer": None}, None, id="multicast"
        ),
    ],
)
def test_whom_a_receiver_of_unicast_lets_in(receiver, sender, expected):
    ours = replace(instance(unicast_peer=("192.0.2.2",)), **receiver)
    theirs = replace(instance(unicast_peer=("192.0.2.1",), unicast_src_ip="192.0.2.2"), **sender)
    assert hearing.rejection(node("a", 1, ours), ours, theirs) is expected


def test_ipv6_adverts_live_as_long_as_the_kernel_says():
    six = instance(virtual_ipaddress=("2001:db8::9/64",))
    assert hearing.ttl_of(six) == 64
    assert hearing.ttl_of(replace(six, unicast_ttl=255)) == 255
    assert hearing.ttl_of(instance()) == 255


@pytest.mark.parametrize(
    ("version", "expected"), [((2, 3, 2), Rejection.VIPS), ((2, 3, 3), None)], ids=str
)
def test_a_differing_vip_list_is_only_logged_since_2_3_3(version, expected):
    ours, theirs = instance(), instance(virtual_ipaddress=(VIP2,))
    receiver = node("a", 1, ours, keepalived_version=version)
    assert hearing.rejection(receiver, ours, theirs) is expected


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("192.0.2.9/24 dev eth0 label eth0:1", "192.0.2.9"),
        ("2001:DB8:0::9/64", "2001:db8::9"),
        ("vip.example", "vip.example"),
        ("", ""),
    ],
)
def test_plain_address(text, plain):
    assert hearing.plain_address(text) == plain


def test_excluded_addresses_move_with_the_instance():
    it = instance(virtual_ipaddress_excluded=("2001:db8::9/64",))
    assert hearing.addresses_of(it) == (VIP, "2001:db8::9")


@pytest.mark.parametrize(
    ("options", "family"),
    [
        pytest.param({}, 4, id="IPv4"),
        pytest.param({"virtual_ipaddress": ("2001:db8::9/64",)}, 6, id="IPv6"),
        pytest.param(
            {"virtual_ipaddress": (), "virtual_ipaddress_excluded": ("2001:db8::9/64",)},
            4,
            id="excluded only",
        ),
        pytest.param({"virtual_ipaddress": (), "unicast_src_ip": "2001:db8::1"}, 6, id="source"),
        pytest.param({"virtual_ipaddress": (), "unicast_peer": ("2001:db8::2",)}, 6, id="peer"),
        pytest.param({"virtual_ipaddress": ()}, 4, id="nothing"),
    ],
)
def test_family(options, family):
    assert hearing.family_of(instance(**options)) == family


IPV6 = {"virtual_ipaddress": ("2001:db8::9/64",)}


@pytest.mark.parametrize(
    ("placed", "together"),
    [
        pytest.param([("a", {}), ("b", {})], [[0, 1]], id="one network"),
        pytest.param(
            [("a", {}), ("b", {"virtual_router_id": 52}), ("b", {})], [[0, 2], [1]], id="VRID"
        ),
        pytest.param([("a", {}), ("b", IPV6)], [[0], [1]], id="family"),
        pytest.param(
            [("a", {"interface": "eth0"}), ("b", {"interface": "ens3"})],
            [[0, 1]],
            id="other names for interfaces",
        ),
        pytest.param(
            [
                ("a", {"interface": "eth0"}),
                ("a", {"interface": "eth1"}),
                ("b", {"interface": "eth1"}),
            ],
            [[0], [1, 2]],
            id="a VRID used twice on a node",
        ),
    ],
)
def test_networks(placed, together):
    given = [(name, instance(**options)) for name, options in placed]
    assert list(hearing.networks(given)) == together
