# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.mycat.ha.plugins.module_utils.readers import SettingError
from ansible_collections.mycat.ha.plugins.module_utils.vrrp import (
    events,
    explore,
    priority,
)
from ansible_collections.mycat.ha.plugins.module_utils.vrrp import plan as plan_module
from ansible_collections.mycat.ha.plugins.module_utils.vrrp.rules.catalogue import finding
from ansible_collections.mycat.ha.plugins.module_utils.vrrp.structured import read_cluster
from ansible_collections.mycat.ha.plugins.module_utils.vrrp.validate import Report
from plans import (
    BACKENDS,
    GROUP,
    HAPROXY,
    MIXED,
    VIP4,
    VIP6,
    drafted,
    instances,
    nodes,
    planned,
    refusal,
    router_ids,
    two_families,
    vips,
    weights,
)


@pytest.mark.parametrize(
    ("mode", "preempt", "priorities", "nopreempt", "tracked"),
    [
        pytest.param("fault", "sticky", [254, 253], True, {0}, id="fault-sticky"),
        pytest.param("fault", "preferred", [254, 253], False, {0}, id="fault-preferred"),
        pytest.param("weight", "sticky", [254, 254], False, {-1}, id="weight-sticky"),
        pytest.param("weight", "preferred", [254, 253], False, {-2}, id="weight-preferred"),
        pytest.param("kill", "sticky", [254, 253], True, set(), id="kill-sticky"),
        pytest.param("kill", "preferred", [254, 253], False, set(), id="kill-preferred"),
    ],
)
def test_a_pair(
    mode: str, preempt: str, priorities: list[int], nopreempt: bool, tracked: set[int]
) -> None:
    plan = planned(mode=mode, preempt=preempt)
    pair = instances(plan)
    assert [one.priority for one in pair] == priorities
    assert {one.nopreempt for one in pair} == {nopreempt}
    assert set(weights(plan).values()) == tracked
    assert {one.state.value for one in pair} == {"BACKUP"}
    assert [(one.unicast_src_ip, one.unicast_peer) for one in pair] == [
        ("192.0.2.11", ("192.0.2.12",)),
        ("192.0.2.12", ("192.0.2.11",)),
    ]


@pytest.mark.parametrize("mode", ["fault", "weight", "kill"])
@pytest.mark.parametrize("preempt", ["sticky", "preferred"])
@pytest.mark.parametrize("count", [2, 3, 5])
def test_every_failure_moves_every_address(mode: str, preempt: str, count: int) -> None:
    checks = [HAPROXY] if mode == "kill" else [HAPROXY, BACKENDS]
    plan = planned(count, 2, mode=mode, preempt=preempt, checks=checks)
    found = explore.explore(plan.cluster)
    assert found.proven
    assert found.violations == ()
    assert bool(found.needless_moves) == (preempt == "preferred")


@pytest.mark.parametrize(
    ("counts", "options", "ids"),
    [
        pytest.param((), {}, [], id="nothing-to-say"),
        pytest.param((2, 2), {}, ["spread-not-kept"], id="sticky-and-several"),
        pytest.param((2, 2), {"preempt": "preferred"}, [], id="preferred-and-several"),
        pytest.param((), {"mode": "kill"}, ["hang-unnoticed"], id="kill"),
        pytest.param((), {"node_loss_budget": 0.31}, [], id="adverts-of-100ms"),
        pytest.param((), {"node_loss_budget": 0.3}, ["advert-int-short"], id="adverts-below-100ms"),
        pytest.param((), {"preempt": "preferred"}, [], id="preferred-moves-as-wished"),
        pytest.param((), {"mode": "weight"}, ["equal-priority"], id="equal-to-be-sticky"),
    ],
)
def test_notes(counts: tuple[int, ...], options: dict[str, Any], ids: list[str]) -> None:
    assert [finding.id for finding in planned(*counts, **options).report.findings] == ids


def test_the_warning_of_short_adverts_says_what_would_do() -> None:
    (short,) = planned(node_loss_budget=0.2).report.findings
    assert "node_loss_budget of at least 0.302 and a failover_budget of at least 1.102" in short.fix
    assert planned(node_loss_budget=0.302, failover_budget=1.102).report.findings == ()


@pytest.mark.parametrize("mode", ["fault", "weight", "kill"])
@pytest.mark.parametrize("version", ["1.3.5", "2.0.10", "2.3.4", "2.4.0"])
def test_a_plan_holds_with_every_keepalived(mode: str, version: str) -> None:
    checks = [{"name": "haproxy", "event": version >= "2"}]
    assert planned(mode=mode, checks=checks, keepalived_version=version)


def test_a_plan_for_ipv6() -> None:
    plan = planned(
        nodes=[{"name": "a", "address": "2001:db8::b"}, {"name": "b", "address": "2001:db8::c"}],
        vips=[{"address": "2001:db8::64/64"}],
    )
    assert instances(plan)[1].virtual_ipaddress == ("2001:db8::64/64",)
    assert instances(plan)[1].unicast_peer == ("2001:db8::b",)


def test_the_same_request_gives_the_same_plan() -> None:
    assert planned(3, 4, mode="weight") == planned(3, 4, mode="weight")


def test_a_hundred_nodes() -> None:
    many = [{"name": f"lb{i}", "address": f"192.0.2.{i}"} for i in range(1, 101)]
    plan = drafted(nodes=many)
    assert [one.priority for one in instances(plan)] == list(range(254, 154, -1))


def test_links_are_where_adverts_come_from_and_go_to() -> None:
    plan = planned(nodes=two_families(3), vips=[VIP4, VIP6])
    sides = [
        (i.interface, i.unicast_src_ip, i.unicast_peer) for i in plan.cluster.nodes[1].instances
    ]
    assert sides == [
        ("eth0", "192.0.2.12", ("192.0.2.11", "192.0.2.13")),
        ("eth0", "2001:db8::2", ("2001:db8::1", "2001:db8::3")),
    ]
    assert router_ids(plan) == [51, 51]


def test_one_router_id_on_two_interfaces() -> None:
    names = [
        {
            "name": f"lb{i}",
            "links": [
                {"address": f"192.0.2.{i}", "interface": "eth0"},
                {"address": f"198.51.100.{i}", "interface": "eth1"},
            ],
        }
        for i in (1, 2)
    ]
    both = [VIP4, {"address": "198.51.100.9/24", "virtual_router_id": 51}]
    assert router_ids(planned(nodes=names, vips=both)) == [51, 51]
    names[1]["links"][1]["interface"] = "ens3"
    error = refusal(nodes=names, vips=both)
    assert error
    assert (error.option, "51 is that of vips[0] too" in error.problem) == (
        "vips[1].virtual_router_id",
        True,
    )


@pytest.mark.parametrize("checks", [[HAPROXY], MIXED], ids=["faults", "mixed"])
@pytest.mark.parametrize("preempt", ["sticky", "preferred"])
@pytest.mark.parametrize("count", [2, 3])
def test_a_sync_group_moves_as_one(checks: list[dict[str, Any]], preempt: str, count: int) -> None:
    plan = planned(nodes=two_families(count), vips=GROUP, checks=checks, preempt=preempt)
    found = explore.explore(plan.cluster)
    assert found.proven
    assert found.violations == ()
    # Weights that instances of a group track are dropped: the group has to.
    (group,) = plan.cluster.nodes[0].sync_groups
    assert {track.check for track in group.tracks} == {
        check.name for check in plan.cluster.nodes[0].checks
    }
    for node in plan.cluster.nodes:
        assert len({one.priority for one in node.instances}) == 1
        assert not any(one.tracks for one in node.instances)
        for instance in node.instances:
            assert priority.counting_tracks(node, instance) == group.tracks
    assert all(len({outcome.holders[i][1] for i in (0, 1)}) == 1 for outcome in found.outcomes)


def test_data_of_sync_groups() -> None:
    (group,) = planned(nodes=two_families(), vips=GROUP).as_data()["sync_groups"]
    assert (group["name"], group["group"]) == ("front", ["vip_192_0_2_150", "vip_2001_db8__150"])
    assert group["track_file"] == [{"name": "haproxy_process", "weight": 0}]
    assert planned().as_data()["sync_groups"] == []


def test_a_sync_group_is_one_when_addresses_are_spread() -> None:
    three = [{**vip, "sync_group": "front"} for vip in vips(2)] + vips(3)[2:]
    orders = [[one.priority for one in instances(drafted(vips=three), vip)] for vip in range(3)]
    assert orders == [[254, 253], [254, 253], [253, 254]]
    assert [f.id for f in planned(vips=three[:2]).report.findings] == []


def test_further_addresses_move_along() -> None:
    vip = {
        **VIP4,
        "virtual_ipaddress": ["192.0.2.151/24"],
        "virtual_ipaddress_excluded": ["2001:db8::7/64"],
    }
    plan = planned(vips=[vip])
    instance = instances(plan)[0]
    assert instance.virtual_ipaddress == ("192.0.2.150/24", "192.0.2.151/24")
    assert instance.virtual_ipaddress_excluded == ("2001:db8::7/64",)
    held = {outcome.failures: dict(outcome.holders) for outcome in plan.report.outcomes}[
        events.NodeLost("lb1"),
    ]
    assert held == dict.fromkeys(("192.0.2.150", "192.0.2.151", "2001:db8::7"), ("lb2",))


def test_multicast() -> None:
    named = [{**node, "interface": "eth0"} for node in nodes()]
    plan = planned(nodes=named, multicast=True)
    assert {(i.unicast_src_ip, i.unicast_peer, i.interface) for i in instances(plan)} == {
        (None, None, "eth0")
    }


def test_given_priorities() -> None:
    plan = planned(2, 2, priorities=[200, 220], preempt="preferred", checks=MIXED)
    assert [[one.priority for one in instances(plan, vip)] for vip in (0, 1)] == [[200, 220]] * 2
    assert weights(plan)["track_script", "backends"] == -21
    assert plan.bounds.clean_stop == 0.068
    assert [f.id for f in planned(priorities=[200, 200]).report.findings] == ["equal-priority"]


@pytest.mark.parametrize("mode", ["fault", "kill"])
def test_a_delay_before_an_address_returns(mode: str) -> None:
    plan = planned(3, mode=mode, preempt="preferred", preempt_delay=30)
    assert {one.preempt_delay for one in instances(plan)} == {30.0}
    found = explore.explore(plan.cluster)
    assert found.proven
    assert found.violations == ()


@pytest.mark.parametrize("mode", ["fault", "weight", "kill"])
def test_the_validator_reads_the_data_as_the_planned_cluster(mode: str) -> None:
    plan = planned(3, 2, mode=mode, nodes=[{**node, "interface": "eth0"} for node in nodes(3)])
    cluster, findings = read_cluster(plan.as_data()["instances"])
    assert findings == ()
    assert [(node.name, node.address, node.instances) for node in cluster.nodes] == [
        (node.name, node.address, node.instances) for node in plan.cluster.nodes
    ]


def test_data_of_the_checks() -> None:
    by_polling, by_event = planned().as_data()["checks"]
    assert (by_event["name"], by_event["kind"]) == ("haproxy_process", "track_file")
    expected = {"name": "haproxy", "kind": "track_script", "interval": 1, "timeout": 1}
    expected |= {"deadline": 0.5, "rise": 2, "fall": 1}
    assert {key: by_polling[key] for key in expected} == expected
    assert all(isinstance(by_polling[key], int) for key in ("interval", "timeout"))


def test_data_of_the_rest() -> None:
    data = planned().as_data()
    assert data["bounds"] == {
        "check_failure_event": 0.054,
        "check_failure_poll": 1.504,
        "clean_stop": 0.004,
        "node_loss": 0.994,
        "node_pause": 0.663,
    }
    assert data["findings"] == []
    held = {tuple(outcome["failures"]): outcome["holders"] for outcome in data["outcomes"]}
    assert held[()] == {"192.0.2.150": ["lb1"]}
    assert held["haproxy fails on lb1",] == {"192.0.2.150": ["lb2"]}


def test_a_plan_that_does_not_hold_is_not_returned(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = Report((finding("no-failover", "the address stays on lb1"),))
    monkeypatch.setattr(plan_module, "validate", lambda _cluster: broken)
    with pytest.raises(SettingError, match=r"plan: does not hold.* the address stays on lb1"):
        planned()
