# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is known of a host, and by which address others reach it."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.mycat.ha.plugins.module_utils.cluster.hosts import (
    HostView,
    address_of,
    all_virtual_addresses,
    answering_port,
    folded_vips,
    own_addresses,
    vips_of,
)
from ansible_collections.mycat.ha.plugins.module_utils.readers import SettingError
from inventories import VIP, installed, lb, mycat, planned, unreached


def with_facts(host: HostView, **facts: Any) -> HostView:
    return replace(host, facts={**host.facts, **facts})


@pytest.mark.parametrize(
    ("host", "address"),
    [
        pytest.param(mycat(21, mycat_ha_address="db.example"), "db.example", id="set"),
        pytest.param(mycat(21), "192.0.2.21", id="default route"),
        pytest.param(
            with_facts(mycat(21), default_ipv4={}, default_ipv6={"address": "2001:db8::21"}),
            "2001:db8::21",
            id="IPv6 alone",
        ),
        pytest.param(unreached(mycat(21)), "192.0.2.21", id="what Ansible connects to"),
    ],
)
def test_the_address_by_which_others_reach_a_host(host: HostView, address: str) -> None:
    assert address_of(host) == address


@pytest.mark.parametrize("connection", ["", "mycat1", "127.0.0.1", "::1"])
def test_nothing_that_others_cannot_use_is_taken(connection: str) -> None:
    with pytest.raises(SettingError, match=r"^mycat_ha_address: no address of mycat1 is known"):
        address_of(replace(unreached(mycat(21)), connection=connection))


NOBODYS = [
    *("0.0.0.0", "127.0.0.1", "224.0.0.18", "255.255.255.255"),  # noqa: S104
    *("::", "::1", "ff02::12", "db", "1;x", 7),
]


@pytest.mark.parametrize("address", NOBODYS)
def test_facts_that_tell_no_address_of_the_host_are_refused(address: Any) -> None:
    said = rf"^mycat_ha_address: mycat1 says that its address is '{re.escape(str(address))}', by"
    with pytest.raises(SettingError, match=said):
        address_of(with_facts(mycat(21), default_ipv4={"address": address}))
    with pytest.raises(SettingError, match=said):
        own_addresses(with_facts(mycat(21), all_ipv4_addresses=["192.0.2.21", address]))


def test_an_address_that_is_none_is_refused() -> None:
    with pytest.raises(SettingError, match=r"^mycat_ha_address: is 'a b' for mycat1"):
        address_of(mycat(21, mycat_ha_address="a b"))


def test_virtual_addresses_are_not_the_host_s_own() -> None:
    hosts = [lb(11), lb(12), mycat(21)]
    holder = installed(hosts, planned(hosts))[0]
    every = {"all_ipv4_addresses": [VIP, "192.0.2.11"], "default_ipv4": {"address": VIP}}
    holder = with_facts(holder, **every, all_ipv6_addresses=["fe80::1", "2001:db8::b"])
    assert own_addresses(holder) == ["192.0.2.11", "2001:db8::b"]
    assert address_of(holder) == "192.0.2.11"
    assert own_addresses(unreached(lb(11))) == ["192.0.2.11"]


@pytest.mark.parametrize(
    ("variables", "port"),
    [
        ({}, 8066),
        ({"haproxy_mycat_bind": "*:8067,[::]:8068"}, 8067),
        ({"haproxy_mycat_bind": "[2001:db8::64]:9000 tfo"}, 9000),
        ({"haproxy_mycat_bind": "nowhere"}, 0),
        ({"keepalived_verify_port": 0}, 0),
        ({"keepalived_verify_port": 80, "haproxy_mycat_bind": "*:1"}, 80),
    ],
)
def test_the_port_at_which_vips_answer(variables: dict[str, Any], port: int) -> None:
    assert answering_port(lb(11, **variables)) == port


def test_vips_have_one_spelling() -> None:
    vips = [
        {
            "address": "2001:DB8::0064/64",
            "virtual_ipaddress": ["2001:DB8:0::65/64 dev eth1"],
            "virtual_ipaddress_excluded": ["192.0.2.65"],
        }
    ]
    host = lb(11, mycat_ha_vips=vips)
    assert vips_of(host) == ["2001:db8::64/64"]
    assert all_virtual_addresses(host) == {"2001:db8::64", "2001:db8::65", "192.0.2.65"}
    (vip,) = folded_vips({"mycat_ha_vips": vips})
    assert vip["virtual_ipaddress"] == ["2001:db8::65/64 dev eth1"]
    assert vips[0]["address"] == "2001:DB8::0064/64", "the operator's own stays"
    assert folded_vips({"mycat_ha_vip": "2001:DB8::1/64"}) == [{"address": "2001:db8::1/64"}]
    assert folded_vips({}) == []
