# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import ipaddress
from typing import Any

import pytest
from ansible_collections.mycat.ha.plugins.module_utils.network.addresses import vip_interface
from ansible_collections.mycat.ha.plugins.module_utils.readers import SettingError

VIP = "192.0.2.100/24"


def ipv4(address: str) -> dict[str, str]:
    """An IPv4 address as setup reports it: every value a string."""
    own = ipaddress.ip_interface(address)
    return {
        "address": str(own.ip),
        "broadcast": str(own.network.broadcast_address),
        "netmask": str(own.netmask),
        "network": str(own.network.network_address),
        "prefix": str(own.network.prefixlen),
    }


def link(device: str, *addresses: str, ipv6: tuple[str, ...] = ()) -> dict[str, Any]:
    """An interface as setup reports it: a first address, and all others as secondaries."""
    fact: dict[str, Any] = {"device": device, "active": True, "type": "ether"}
    if addresses:
        fact["ipv4"] = ipv4(addresses[0])
    if addresses[1:]:
        fact["ipv4_secondaries"] = [ipv4(address) for address in addresses[1:]]
    if ipv6:
        parts = [address.split("/") for address in ipv6]
        fact["ipv6"] = [{"address": ip, "prefix": pre, "scope": "global"} for ip, pre in parts]
    return fact


def facts(*links: dict[str, Any]) -> dict[str, Any]:
    everything = [link("lo", "127.0.0.1/8", ipv6=("::1/128",)), *links]
    return {
        "interfaces": [fact["device"] for fact in everything],
        **{fact["device"].replace("-", "_"): fact for fact in everything},
        "default_ipv4": {"interface": "eth0", "address": "192.0.2.11"},
    }


def answer(interface: str, address: str, prefix: int) -> dict[str, Any]:
    return {"interface": interface, "address": address, "prefix": prefix}


ETH0 = link("eth0", "192.0.2.11/24", ipv6=("2001:db8::b/64", "fe80::b/64"))
ETH1 = link("eth1", "198.51.100.11/24")


@pytest.mark.parametrize(
    ("host", "vips", "expected"),
    [
        pytest.param(facts(ETH1, ETH0), VIP, answer("eth0", "192.0.2.11", 24), id="plain"),
        pytest.param(facts(ETH0), "2001:db8::64/64", answer("eth0", "2001:db8::b", 64), id="ipv6"),
        pytest.param(
            facts(link("eth0", "192.0.2.11/24", "192.0.2.100/32")),
            VIP,
            answer("eth0", "192.0.2.11", 24),
            id="holder",
        ),
        pytest.param(
            facts(link("eth0", "192.0.2.11/24", "192.0.2.100/24")),
            VIP,
            answer("eth0", "192.0.2.11", 24),
            id="holder-with-the-subnet's-prefix",
        ),
        pytest.param(
            facts(link("eth0", ipv6=("2001:db8::64/64", "2001:db8::65/64", "2001:db8::b/64"))),
            ["2001:db8::64/64", "2001:db8::65/64"],
            answer("eth0", "2001:db8::b", 64),
            id="ipv6-holder-lists-the-newest-first",
        ),
        pytest.param(
            facts(link("eth0", "198.51.100.11/24", "192.0.2.101/24", "192.0.2.11/24")),
            [VIP, "192.0.2.101/24"],
            answer("eth0", "192.0.2.11", 24),
            id="holder-of-another",
        ),
        pytest.param(
            facts(link("docker0", "192.0.0.1/16"), ETH0),
            VIP,
            answer("eth0", "192.0.2.11", 24),
            id="narrowest",
        ),
        pytest.param(
            facts(link("eth0.10", "192.0.2.11/24")),
            VIP,
            answer("eth0.10", "192.0.2.11", 24),
            id="vlan",
        ),
        pytest.param(
            facts(link("br-lan", "192.0.2.11/24")),
            VIP,
            answer("br-lan", "192.0.2.11", 24),
            id="fact-with-underscore",
        ),
        pytest.param(
            facts(link("br-vlan.20", "192.0.2.11/24")),
            VIP,
            answer("br-vlan.20", "192.0.2.11", 24),
            id="hyphen-and-dot",
        ),
        pytest.param(
            {
                "interfaces": ["eth2-01.100", "eth2-01.100_7"],
                "eth2_01.100": link("eth2-01.100", "198.51.100.11/24"),
                "eth2_01.100_7": {"ipv4_secondaries": [ipv4("192.0.2.11/24")]},
            },
            VIP,
            answer("eth2-01.100", "192.0.2.11", 24),
            id="label-of-hyphen-and-dot",
        ),
        pytest.param(
            {"interfaces": ["eth0.10"], "eth0_10": {"ipv4": ipv4("192.0.2.11/24")}},
            VIP,
            answer("eth0.10", "192.0.2.11", 24),
            id="fact-without-device",
        ),
        pytest.param(
            {
                "interfaces": ["eth0_1", "eth0"],
                "eth0": link("eth0", "198.51.100.11/24"),
                "eth0_1": {"ipv4": ipv4("192.0.2.11/24")},
            },
            VIP,
            answer("eth0", "192.0.2.11", 24),
            id="labelled",
        ),
        pytest.param(
            {
                "interfaces": ["eth0"],
                "eth0": {
                    "device": "eth0",
                    "ipv4": {"address": "192.0.2.11", "netmask": "255.255.255.0"},
                },
            },
            VIP,
            answer("eth0", "192.0.2.11", 24),
            id="netmask-only",
        ),
    ],
)
def test_vip_interface(host: dict[str, Any], vips: Any, expected: dict[str, Any]) -> None:
    assert vip_interface(host, vips) == expected


@pytest.mark.parametrize(
    ("host", "interface", "expected"),
    [
        pytest.param(facts(ETH0, ETH1), "eth1", answer("eth1", "198.51.100.11", 24), id="other"),
        pytest.param(
            facts(link("eth0", "203.0.113.1/24", "192.0.2.11/24")),
            "eth0",
            answer("eth0", "192.0.2.11", 24),
            id="the-subnet-still-tells",
        ),
        pytest.param(
            facts(link("eth0", "10.0.0.2/32")), "eth0", answer("eth0", "10.0.0.2", 32), id="cloud"
        ),
    ],
)
def test_named_interface(host: dict[str, Any], interface: str, expected: dict[str, Any]) -> None:
    assert vip_interface(host, VIP, interface) == expected


@pytest.mark.parametrize(
    ("host", "arguments", "says"),
    [
        pytest.param(
            facts(link("eth0", "192.0.2.11/24", "192.0.2.150/24")),
            ("203.0.113.100/24",),
            "203.0.113.100/24 is in no subnet of the host (eth0 192.0.2.0/24);",
            id="each-subnet-is-said-once",
        ),
        pytest.param(
            facts(ETH0, ETH1),
            ("203.0.113.100/24",),
            "203.0.113.100/24 is in no subnet of the host (eth0 192.0.2.0/24, eth0 2001:db8::/64, "
            "eth1 198.51.100.0/24); write a free address of one of its subnets",
            id="outside",
        ),
        pytest.param(
            facts(ETH0),
            ("192.0.2.11/24",),
            "192.0.2.11/24 is the host's own address on eth0; write one that no host has",
            id="own",
        ),
        pytest.param(
            facts(link("eth0", "192.0.2.11/24", "192.0.2.12/24")),
            ("192.0.2.11/24",),
            "is the host's own address on eth0",
            id="own-with-another",
        ),
        pytest.param(
            facts(ETH0, ETH1),
            ([VIP, "198.51.100.100/24"],),
            "198.51.100.100/24 is not in a subnet of eth0",
            id="two-interfaces",
        ),
        pytest.param(
            facts(ETH0), (VIP, "eth7"), "the host has no IPv4 address on eth7", id="no-interface"
        ),
        pytest.param(facts(), (VIP,), "(it has none)", id="loopback-only"),
        pytest.param({}, (VIP,), "gather its network facts", id="no-facts"),
        pytest.param(facts(ETH0), ([],), "none is given", id="no-vip"),
        pytest.param(facts(ETH0), ("192.0.2.100",), "write an address and its", id="no-prefix"),
    ],
)
def test_refusals(host: dict[str, Any], arguments: tuple[Any, ...], says: str) -> None:
    with pytest.raises(SettingError) as raised:
        vip_interface(host, *arguments)
    assert raised.value.option == "mycat_ha_vip"
    assert says in raised.value.problem
