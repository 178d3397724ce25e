# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from ansible_collections.mycat.ha.plugins.module_utils.readers import SettingError
from ansible_collections.mycat.ha.plugins.module_utils.vrrp.request import (
    Effect,
    Link,
    Mode,
    PlannedNode,
    Preempt,
    RankedCheck,
    Request,
    VirtualAddress,
    read_request,
)
from hypothesis import given, settings
from hypothesis import strategies as st

LB1 = {"name": "lb1", "address": "192.0.2.11"}
LB2 = {"name": "lb2", "address": "192.0.2.12"}
VIP = {"address": "192.0.2.100/24"}
LINK = {"address": "192.0.2.12", "interface": "eth0"}
LINKED = {"name": "lb2", "links": [LINK]}
PAIR: dict[str, Any] = {"nodes": [LB1, LB2], "vips": [VIP]}


def test_absent_options_take_their_defaults() -> None:
    nothing = dict.fromkeys(["mode", "checks", "vrrp_version", "keepalived_version"])
    expected = Request(
        nodes=(PlannedNode("lb1", "192.0.2.11"), PlannedNode("lb2", "192.0.2.12")),
        vips=(VirtualAddress("192.0.2.100/24", "vip_192_0_2_100"),),
    )
    assert read_request(PAIR) == read_request({**PAIR, **nothing}) == expected
    assert expected.checks == (RankedCheck("haproxy", event=True),)


def test_everything_that_is_given_is_read() -> None:
    request = read_request(
        {
            "nodes": [
                {"name": "lb1", "address": "2001:db8:0::b", "interface": "br-lan.10"},
                {"name": "节点2", "address": "2001:db8::c", "interface": None},
            ],
            "vips": [{"address": "2001:DB8::64/64", "name": "front", "virtual_router_id": 9}],
            "mode": "weight",
            "preempt": "preferred",
            "checks": [{"name": "haproxy", "weight": "-4", "event": True}, {"name": "backends"}],
            "failover_budget": 1,
            "node_loss_budget": 0.5,
            "vrrp_version": 3,
            "taken_virtual_router_ids": [1, 255],
            "keepalived_version": "2.3.2",
        }
    )
    assert request == Request(
        nodes=(
            PlannedNode("lb1", "2001:db8::b", "br-lan.10"),
            PlannedNode("节点2", "2001:db8::c"),
        ),
        vips=(VirtualAddress("2001:db8::64/64", "front", 9),),
        mode=Mode.WEIGHT,
        preempt=Preempt.PREFERRED,
        checks=(RankedCheck("haproxy", -4, event=True), RankedCheck("backends")),
        failover_budget=1.0,
        node_loss_budget=0.5,
        vrrp_version=3,
        taken_virtual_router_ids=(1, 255),
        keepalived_version=(2, 3, 2),
    )


def test_links_may_stand_beside_an_address() -> None:
    request = read_request({**PAIR, "nodes": [LB1, LINKED]})
    assert request.nodes == (
        PlannedNode("lb1", "192.0.2.11"),
        PlannedNode("lb2", "192.0.2.12", "eth0", (Link("192.0.2.12", "eth0"),)),
    )


def test_what_a_check_can_say() -> None:
    request = read_request(
        {
            **PAIR,
            "checks": [
                {"name": "a", "effect": "rank", "budget": 5},
                {"name": "b", "event": True, "poll": False},
            ],
        }
    )
    assert request.checks == (
        RankedCheck("a", effect=Effect.RANK, budget=5.0),
        RankedCheck("b", event=True, poll=False),
    )
    assert [check.file_name for check in request.checks] == ["a_process", "b"]


@pytest.mark.parametrize(
    ("weight", "effect", "mode", "ranked"),
    [
        (None, None, Mode.FAULT, False),
        (None, None, Mode.WEIGHT, True),
        (None, Effect.RANK, Mode.FAULT, True),
        (None, Effect.FAULT, Mode.WEIGHT, False),
        (0, None, Mode.WEIGHT, False),
        (-3, None, Mode.FAULT, True),
    ],
)
def test_what_makes_a_check_rank(
    weight: int | None, effect: Effect | None, mode: Mode, ranked: bool
) -> None:
    assert RankedCheck("a", weight, effect=effect).is_ranked(mode) is ranked


@pytest.mark.parametrize("weight", ["auto", None])
def test_the_plan_chooses_an_automatic_weight(weight: str | None) -> None:
    request = read_request({**PAIR, "checks": [{"name": "haproxy", "weight": weight}]})
    assert request.checks == (RankedCheck("haproxy"),)


@pytest.mark.parametrize(
    "address", ["192.0.2.101/32", "192.0.2.0/31", "192.0.2.255/31", "198.51.100.7/16"]
)
def test_addresses_that_look_odd_and_are_fine(address: str) -> None:
    assert read_request({**PAIR, "vips": [{"address": address}]}).vips[0].address == address


@pytest.mark.parametrize(
    ("options", "where", "says"),
    [
        pytest.param({"nodes": []}, "nodes", "none is given; give at least two", id="no-node"),
        pytest.param({"nodes": [LB1]}, "nodes", "only lb1 is given; give at least two", id="one"),
        pytest.param({"nodes": "lb1"}, "nodes", "write a list", id="nodes-text"),
        pytest.param({"nodes": ["lb1", "lb2"]}, "nodes[0]", "write a dictionary", id="node-text"),
        pytest.param(
            {"nodes": [{"name": f"n{i}", "address": f"192.0.2.{i}"} for i in range(1, 102)]},
            "nodes",
            "101 are given; give at most 100",
            id="too-many-nodes",
        ),
        pytest.param(
            {"nodes": [LB1, {**LB2, "name": "lb1"}]},
            "nodes[1].name",
            "lb1 is given to nodes[0] too",
            id="node-twice",
        ),
        pytest.param(
            {"nodes": [LB1, {**LB2, "address": "192.0.2.11"}]},
            "nodes[1].address",
            "192.0.2.11 is given to nodes[0] too",
            id="node-address-twice",
        ),
        pytest.param(
            {"nodes": [LB1, {**LB2, "address": "2001:db8::1"}]},
            "nodes",
            "one family for all nodes",
            id="families-of-nodes",
        ),
        pytest.param(
            {"nodes": [LB1, {**LB2, "address": "192.0.2.12/24"}]},
            "nodes[1].address",
            "without a prefix",
            id="node-address-with-prefix",
        ),
        pytest.param(
            {"nodes": [LB1, {**LB2, "address": "127.0.0.1"}]},
            "nodes[1].address",
            "no host on a network can have it",
            id="node-loopback",
        ),
        pytest.param({"nodes": [LB1, {"name": "lb2"}]}, "nodes[1].address", "None", id="missing"),
        pytest.param(
            {"nodes": [LB1, {**LB2, "weight": 1}]}, "nodes[1].weight", "not known", id="unknown-key"
        ),
        *(
            pytest.param(
                {"nodes": [LB1, {**LB2, "name": name}]}, "nodes[1].name", "write a name", id=title
            )
            for title, name in {
                "newline": "lb2\n",
                "brace": "lb2}",
                "quote": 'lb"2',
                "space": "lb 2",
                "comment": "lb2#",
                "variable": "$lb2",
                "nul": "lb\0",
                "empty": "",
                "number": 2,
            }.items()
        ),
        pytest.param(
            {"nodes": [LB1, {**LB2, "interface": "eth0 {"}]},
            "nodes[1].interface",
            "write a name",
            id="interface",
        ),
        pytest.param({"vips": []}, "vips", "give at least one like", id="no-vip"),
        pytest.param(
            {"vips": [{"address": f"198.51.{i}.1/16"} for i in range(256)]},
            "vips",
            "256 are given; one network has 255 router ids",
            id="too-many-vips",
        ),
        *(
            pytest.param({"vips": [{"address": address}]}, "vips[0].address", says, id=title)
            for title, address, says in [
                ("no-prefix", "192.0.2.100", "write an address and its prefix like"),
                ("nonsense", "lb.example/24", "write an address and its prefix like"),
                ("prefix-too-long", "192.0.2.100/33", "write an address and its prefix like"),
                ("zone", "fe80::1%eth0/64", "write an address and its prefix like"),
                ("not-text", 42, "write an address and its prefix like"),
                ("network", "192.0.2.0/24", "it is the network itself"),
                ("network-6", "2001:db8::/64", "it is the network itself"),
                ("broadcast", "192.0.2.255/24", "it is the broadcast address of 192.0.2.0/24"),
                ("multicast", "224.0.0.18/24", "no host on a network can have it"),
                ("everything", "0.0.0.0/0", "no host on a network can have it"),
                ("limited-broadcast", "255.255.255.255/32", "no host on a network can have it"),
                ("prefix-0", "192.0.2.100/0", "its prefix of 0 is no subnet"),
                ("own", "192.0.2.12/24", "192.0.2.12 is lb2's own address; write one that no host"),
                ("family", "2001:db8::64/64", "write the nodes' IPv6 addresses"),
            ]
        ),
        pytest.param(
            {"vips": [VIP, {"address": "192.0.2.100/25"}]},
            "vips[1].address",
            "192.0.2.100 is given to vips[0] too",
            id="vip-twice",
        ),
        pytest.param(
            {"vips": [{**VIP, "name": "a"}, {"address": "192.0.2.101/24", "name": "a"}]},
            "vips[1].name",
            "a is given to vips[0] too",
            id="vip-name-twice",
        ),
        pytest.param(
            {"vips": [{**VIP, "virtual_router_id": 256}]},
            "vips[0].virtual_router_id",
            "a whole number from 1 to 255",
            id="router-id",
        ),
        pytest.param({"mode": "weigth"}, "mode", "one of fault, weight, kill", id="mode"),
        pytest.param({"preempt": True}, "preempt", "one of sticky, preferred", id="preempt"),
        pytest.param({"failover_budget": 0}, "failover_budget", "above 0", id="budget-0"),
        pytest.param({"failover_budget": -1}, "failover_budget", "from 0 to", id="budget-negative"),
        pytest.param({"node_loss_budget": "4 s"}, "node_loss_budget", "seconds", id="budget-text"),
        pytest.param(
            {"node_loss_budget": float("nan")}, "node_loss_budget", "seconds", id="budget-nan"
        ),
        pytest.param({"vrrp_version": 4}, "vrrp_version", "from 2 to 3", id="version"),
        pytest.param(
            {"taken_virtual_router_ids": [1, 0]},
            "taken_virtual_router_ids[1]",
            "from 1 to 255",
            id="taken",
        ),
        pytest.param(
            {"keepalived_version": "latest"}, "keepalived_version", "like 2.2.7", id="keepalived"
        ),
        pytest.param(
            {"checks": [{"name": "a"}, {"name": "a"}]},
            "checks[1].name",
            "a is given to checks[0] too",
            id="check-twice",
        ),
        pytest.param(
            {"checks": [{"name": "a", "event": True}, {"name": "a_process"}]},
            "checks[1].name",
            "a_process is the name of a's tracked file",
            id="check-named-like-a-file",
        ),
        pytest.param(
            {"checks": [{"name": "a", "event": "yes"}]}, "checks[0].event", "true or", id="event"
        ),
        pytest.param(
            {"checks": [{"name": "a", "weight": 20}]},
            "checks[0].weight",
            "write -20, which lowers one that fails by as much",
            id="positive-weight",
        ),
        *(
            pytest.param(
                {"checks": [{"name": "a", "weight": weight}]},
                "checks[0].weight",
                "write auto, 0 for a fault, or a number from -253 to -1",
                id=f"weight-{weight}",
            )
            for weight in (-254, 300, "heavy", True, -1.5)
        ),
        pytest.param(
            {
                "nodes": [{**LB1, "address": "2001:db8::b"}, {**LB2, "address": "2001:db8::c"}],
                "vips": [{"address": "2001:db8::64/64"}],
                "vrrp_version": 2,
            },
            "vrrp_version",
            "is 2, which knows IPv4 only; write 3",
            id="ipv6-with-v2",
        ),
        pytest.param(
            {"keepalived_version": "1.3.5"},
            "checks[0].event",
            "keepalived 2.0.0 or newer; write false, or mode: kill",
            id="event-with-old-keepalived",
        ),
        pytest.param(
            {"checks": [{"name": f"c{i}"} for i in range(101)]},
            "checks",
            "has 101 items; write at most 100",
            id="checks",
        ),
        pytest.param(
            {"nodes": [LB1, {**LINKED, "address": "192.0.2.12"}]},
            "nodes[1].address",
            "is given and so are the links of lb2",
            id="address-and-links",
        ),
        pytest.param(
            {"nodes": [LB1, {**LINKED, "links": [LINK, LINK]}]},
            "nodes[1].links",
            "has 2 for lb2 and vips has 1; write one address and interface for each",
            id="links-and-vips",
        ),
        pytest.param(
            {"nodes": [LB1, {**LINKED, "links": []}]}, "nodes[1].links", "is empty", id="no-link"
        ),
        pytest.param(
            {"nodes": [LB1, {**LINKED, "links": [{"address": "192.0.2.12", "mac": 1}]}]},
            "nodes[1].links[0].mac",
            "is not known here",
            id="unknown-key-of-link",
        ),
        pytest.param(
            {"nodes": [LB1, {**LINKED, "links": [{"address": "192.0.2.11"}]}]},
            "nodes[1].links[0].address",
            "192.0.2.11 is given to nodes[0] too",
            id="link-twice",
        ),
        pytest.param(
            {
                "nodes": [LB1, {**LINKED, "links": [LINK, {**LINK, "interface": "eth1"}]}],
                "vips": [VIP, {"address": "192.0.2.101/24"}],
            },
            "nodes[1].links[1].interface",
            "is eth1, and 192.0.2.12 has eth0 further up",
            id="link-on-two-interfaces",
        ),
        pytest.param(
            {"nodes": [LB1, {**LINKED, "links": [{"address": "2001:db8::1"}]}]},
            "nodes[1].links[0].address",
            "2001:db8::1 of lb2 is IPv6 and vips[0] (192.0.2.100) is IPv4",
            id="family-of-link",
        ),
        pytest.param(
            {"vips": [{**VIP, "virtual_ipaddress": ["2001:db8::9/64"]}]},
            "vips[0].virtual_ipaddress[0]",
            "write it in virtual_ipaddress_excluded",
            id="family-of-further-address",
        ),
        pytest.param(
            {"vips": [{**VIP, "virtual_ipaddress": [f"192.0.2.{i}/24" for i in range(110, 130)]}]},
            "vips[0].virtual_ipaddress",
            "has 20 addresses; write at most 19",
            id="too-many-further-addresses",
        ),
        pytest.param(
            {"vips": [{**VIP, "virtual_ipaddress": ["192.0.2.11/24"]}]},
            "vips[0].virtual_ipaddress[0]",
            "192.0.2.11 is lb1's own address",
            id="own-further-address",
        ),
        pytest.param(
            {"vips": [{**VIP, "virtual_ipaddress_excluded": ["192.0.2.100/24"]}]},
            "vips[0].virtual_ipaddress_excluded[0]",
            "192.0.2.100 is vips[0].address too",
            id="further-address-twice",
        ),
        pytest.param(
            {
                "vips": [
                    {**VIP, "virtual_ipaddress": ["192.0.2.102/24"]},
                    {"address": "192.0.2.101/24", "virtual_ipaddress": ["192.0.2.102/25"]},
                ]
            },
            "vips[1].virtual_ipaddress[0]",
            "192.0.2.102 is vips[0].virtual_ipaddress[0] too",
            id="further-address-of-another",
        ),
        pytest.param(
            {"vips": [{**VIP, "sync_group": "front"}]},
            "vips[0].sync_group",
            "front has no other member",
            id="sync-group-of-one",
        ),
        pytest.param(
            {
                "vips": [
                    {**VIP, "sync_group": "front"},
                    {"address": "192.0.2.101/24", "sync_group": "front"},
                ],
                "checks": [{"name": "haproxy"}],
                "keepalived_version": "1.3.5",
            },
            "vips[0].sync_group",
            "2.0.0 or newer",
            id="sync-group-with-old-keepalived",
        ),
        pytest.param(
            {"checks": [{"name": "a", "poll": False}]},
            "checks[0].poll",
            "write event: true",
            id="neither-poll-nor-event",
        ),
        pytest.param(
            {"checks": [{"name": "a", "effect": "kill"}]},
            "checks[0].effect",
            "one of fault, rank",
            id="effect",
        ),
        pytest.param(
            {"checks": [{"name": "a", "effect": "fault", "weight": -2}]},
            "checks[0].weight",
            "write auto, or effect: rank",
            id="fault-with-weight",
        ),
        pytest.param(
            {"checks": [{"name": "a", "effect": "rank", "weight": 0}]},
            "checks[0].weight",
            "write auto, or effect: fault",
            id="rank-without-weight",
        ),
        pytest.param(
            {"checks": [{"name": "a", "budget": 0}]},
            "checks[0].budget",
            "above 0",
            id="budget-of-check",
        ),
        pytest.param(
            {
                "checks": [
                    {"name": "a", "event": True},
                    {"name": "a_process", "event": True, "poll": False},
                ]
            },
            "checks[1].name",
            "a_process is the name of a's tracked file",
            id="file-named-like-a-file",
        ),
        pytest.param(
            {"priorities": [100]},
            "priorities",
            "has 1 numbers and there are 2 nodes; write one for each node",
            id="priorities-length",
        ),
        pytest.param(
            {"priorities": [100, 255]}, "priorities[1]", "from 1 to 254", id="priority-255"
        ),
        pytest.param(
            {"preempt_delay": 1001}, "preempt_delay", "from 0 to 1000", id="preempt-delay"
        ),
        pytest.param(
            {
                "preempt_delay": 1.5,
                "keepalived_version": "1.3.5",
                "checks": [{"name": "haproxy"}],
            },
            "preempt_delay",
            "keepalived before 2.0.0 knows whole seconds; write 2",
            id="preempt-delay-with-old-keepalived",
        ),
        pytest.param(
            {"multicast": True},
            "nodes[0].interface",
            "write the interface of lb1 that has 192.0.2.11",
            id="multicast-without-interface",
        ),
        pytest.param({"multicast": "yes"}, "multicast", "true or false", id="multicast"),
        pytest.param({"modes": "fault"}, "modes", "is not an option of a plan", id="unknown"),
    ],
)
def test_what_is_no_request(options: dict[str, Any], where: str, says: str) -> None:
    with pytest.raises(SettingError) as raised:
        read_request({**PAIR, **options})
    assert raised.value.option == where
    assert says in raised.value.problem


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["name", "address", "weight", "event", "interface", "x"]), inner
        )
    ),
    max_leaves=6,
)
OPTIONS = st.sampled_from(["nodes", "vips", "mode", "preempt", "checks", "failover_budget"])


@pytest.mark.thorough
@settings(max_examples=100, deadline=None)
@given(st.dictionaries(OPTIONS | st.sampled_from(["vrrp_version", "keepalived_version"]), ANYTHING))
def test_nothing_but_a_model_error_comes_of_nonsense(options: dict[str, Any]) -> None:
    with contextlib.suppress(SettingError):
        assert isinstance(read_request({**PAIR, **options}), Request)
