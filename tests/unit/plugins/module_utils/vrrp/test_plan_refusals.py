# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What no plan can be made for."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.mycat.ha.plugins.module_utils.readers import SettingError
from plans import (
    BACKENDS,
    GROUP,
    HAPROXY,
    MIXED,
    RANKED,
    VIP4,
    VIP6,
    drafted,
    planned,
    two_families,
)


@pytest.mark.parametrize(
    ("options", "where", "says"),
    [
        pytest.param(
            {"checks": []}, "checks", "nothing would notice a dead HAProxy", id="no-check"
        ),
        pytest.param(
            {"mode": "kill", "checks": [HAPROXY, BACKENDS]},
            "checks",
            "leave out backends, or write mode: fault",
            id="kill-two-checks",
        ),
        pytest.param(
            {"mode": "kill", "checks": [{"name": "haproxy", "weight": -2}]},
            "checks[0].weight",
            "write auto",
            id="kill-weight",
        ),
        pytest.param(
            {"preempt": "preferred", "checks": [{"name": "haproxy", "weight": -1}]},
            "checks[0].weight",
            "-1 does not outweigh the gap of 1 between the nodes",
            id="weight-not-above-gap",
        ),
        pytest.param(
            {"mode": "weight", "checks": [{**BACKENDS, "weight": -2}, HAPROXY]},
            "checks[0].weight",
            "the 2 that lighter checks can take away; write -3, or auto",
            id="weight-not-above-lighter",
        ),
        pytest.param(
            {"mode": "weight", "checks": [HAPROXY, {**BACKENDS, "weight": 0}]},
            "checks[0].weight",
            "haproxy is more severe than backends, whose weight of 0 takes a node out",
            id="fault-below-weight",
        ),
        pytest.param(
            {
                "mode": "weight",
                "preempt": "preferred",
                "checks": [{"name": f"c{i}"} for i in range(7)],
            },
            "checks",
            "2 nodes with these checks need 256 priorities and VRRP has 254; write preempt: sticky",
            id="ranks-fit-when-sticky",
        ),
        pytest.param(
            {"mode": "weight", "checks": [{"name": f"c{i}", "event": True} for i in range(6)]},
            "checks",
            "leave out event",
            id="ranks-fit-when-polled",
        ),
        pytest.param(
            {"mode": "weight", "checks": [{"name": f"c{i}"} for i in range(8)]},
            "checks",
            "write mode: fault",
            id="ranks-fit-as-faults-only",
        ),
        pytest.param(
            {"mode": "weight", "checks": [{**HAPROXY, "weight": -200}]},
            "checks",
            "leave out the weights that you gave",
            id="clamped-by-given-weight",
        ),
        pytest.param(
            {"failover_budget": 1.0},
            "failover_budget",
            "1 s cannot be kept: the bound check_failure_poll is 1.101 s with the shortest timers; "
            "write at least 1.101, or use keepalived 2.3.2 or newer",
            id="failover-budget",
        ),
        pytest.param(
            {"mode": "kill", "failover_budget": 0.05},
            "failover_budget",
            "the bound check_failure_event is 0.051 s",
            id="failover-budget-event",
        ),
        pytest.param(
            {"vrrp_version": 2, "node_loss_budget": 3},
            "node_loss_budget",
            "the bound node_loss is 3.012 s with the shortest adverts of VRRPv2; write at least "
            "3.012, or vrrp_version: 3",
            id="v2-is-slow",
        ),
        pytest.param(
            {"node_loss_budget": 0.03},
            "node_loss_budget",
            "write at least 0.031",
            id="node-loss-budget",
        ),
        pytest.param(
            {
                "vips": [
                    {"address": "192.0.2.100/24", "virtual_router_id": 7},
                    {"address": "192.0.2.101/24", "virtual_router_id": 7},
                ]
            },
            "vips[1].virtual_router_id",
            "7 is that of vips[0] too",
            id="router-id-twice",
        ),
        pytest.param(
            {
                "vips": [{"address": "192.0.2.100/24", "virtual_router_id": 7}],
                "taken_virtual_router_ids": [7],
            },
            "vips[0].virtual_router_id",
            "7 is among taken_virtual_router_ids",
            id="router-id-taken",
        ),
        pytest.param(
            {"taken_virtual_router_ids": list(range(1, 256))},
            "vips",
            "no router id is left",
            id="no-router-id-left",
        ),
        pytest.param(
            {"checks": [HAPROXY, {**RANKED, "budget": 1}]},
            "checks[1].budget",
            "1 s cannot be kept: backends is felt for 1.131 s with the shortest timers; write at "
            "least 1.131, or effect: fault, or use keepalived 2.3.2",
            id="budget-of-a-check",
        ),
        pytest.param(
            {"checks": [RANKED, HAPROXY]},
            "checks[0].weight",
            "or list it first",
            id="fault-after-rank",
        ),
        *(
            pytest.param(
                {"mode": "kill", "checks": [{"name": "haproxy", **field}]},
                f"checks[0].{next(iter(field))}",
                "mode kill ranks and polls nothing",
                id=f"kill-{next(iter(field))}",
            )
            for field in (
                {"effect": "rank"},
                {"budget": 5},
            )
        ),
        pytest.param(
            {"priorities": [200, 100], "checks": MIXED},
            "priorities",
            "write one number for all nodes, or preempt: preferred",
            id="priorities-that-are-not-sticky",
        ),
        pytest.param(
            {"priorities": [20, 10], "preempt": "preferred", "checks": MIXED},
            "priorities",
            "the lowest is 10 and failed checks take away up to 11, which would end below 1; write "
            "at least 12 as the lowest",
            id="priorities-too-low",
        ),
        pytest.param(
            {"priorities": [254, 10], "preempt": "preferred", "checks": MIXED},
            "priorities",
            "take away up to 245, which would end below 1; leave them out",
            id="priorities-too-far-apart",
        ),
        pytest.param(
            {"preempt_delay": 5},
            "preempt_delay",
            "with preempt: sticky none returns; write 0, or preempt: preferred",
            id="delay-of-nothing",
        ),
        pytest.param(
            {"preempt_delay": 5, "preempt": "preferred", "checks": MIXED},
            "preempt_delay",
            "would leave clients without service for 5 s",
            id="delay-of-failover",
        ),
        pytest.param(
            {"nodes": two_families(falling=True), "vips": GROUP, "checks": MIXED},
            "vips[1].sync_group",
            "front would wait for itself",
            id="sync-group-with-crossing-winners",
        ),
        pytest.param(
            {"nodes": two_families(), "vips": GROUP, "checks": MIXED, "multicast": True},
            "vips[1].sync_group",
            "front would wait for itself",
            id="sync-group-by-multicast",
        ),
    ],
)
def test_refusals(options: dict[str, Any], where: str, says: str) -> None:
    with pytest.raises(SettingError) as raised:
        drafted(**options)
    assert raised.value.option == where
    assert says in raised.value.problem


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({"priorities": [12, 2], "preempt": "sticky"}, id="low-without-weights"),
        pytest.param(
            {"priorities": [21, 12], "preempt": "preferred", "checks": MIXED}, id="just-enough"
        ),
        pytest.param({"priorities": [200, 200], "checks": MIXED}, id="equal-is-sticky"),
        pytest.param(
            {"nodes": two_families(falling=True), "vips": GROUP}, id="crossing-without-weights"
        ),
        pytest.param(
            {
                "nodes": two_families(falling=True),
                "vips": GROUP,
                "checks": MIXED,
                "preempt": "preferred",
            },
            id="crossing-with-an-order",
        ),
        pytest.param(
            {"nodes": two_families(falling=True), "vips": [VIP4, VIP6], "checks": MIXED},
            id="crossing-without-a-group",
        ),
    ],
)
def test_near_misses_are_planned(options: dict[str, Any]) -> None:
    assert planned(**{"failover_budget": 5, "checks": [HAPROXY], **options})
