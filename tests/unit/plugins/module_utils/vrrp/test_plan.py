# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import itertools
from collections import Counter
from typing import Any, Iterator

import pytest
from ansible_collections.mycat.ha.plugins.module_utils.readers import SettingError
from ansible_collections.mycat.ha.plugins.module_utils.vrrp import (
    election,
    events,
    explore,
    priority,
)
from ansible_collections.mycat.ha.plugins.module_utils.vrrp import plan as plan_module
from ansible_collections.mycat.ha.plugins.module_utils.vrrp.model import CheckKind, Instance, Node
from ansible_collections.mycat.ha.plugins.module_utils.vrrp.plan import (
    Bounds,
    Plan,
    Poll,
    draft,
    make_plan,
    spread,
)
from ansible_collections.mycat.ha.plugins.module_utils.vrrp.request import Request, read_request
from ansible_collections.mycat.ha.plugins.module_utils.vrrp.router_ids import derived_router_id
from ansible_collections.mycat.ha.plugins.module_utils.vrrp.rules.catalogue import finding
from ansible_collections.mycat.ha.plugins.module_utils.vrrp.structured import read_cluster
from ansible_collections.mycat.ha.plugins.module_utils.vrrp.validate import Report
from hypothesis import assume, given, settings
from hypothesis import strategies as st

HAPROXY = {"name": "haproxy", "event": True}
BACKENDS = {"name": "backends"}


def nodes(count: int = 2) -> list[dict[str, str]]:
    return [{"name": f"lb{i}", "address": f"192.0.2.{10 + i}"} for i in range(1, count + 1)]


def vips(count: int = 1) -> list[dict[str, str]]:
    return [{"address": f"192.0.2.{150 + i}/24"} for i in range(count)]


def request(count: int = 2, vip_count: int = 1, **options: Any) -> Request:
    return read_request({"nodes": nodes(count), "vips": vips(vip_count), **options})


def planned(*counts: int, **options: Any) -> Plan:
    return make_plan(request(*counts, **options))


def drafted(*counts: int, **options: Any) -> Plan:
    """Without the proof, which takes its time with many nodes."""
    return draft(request(*counts, **options))


def refusal(*counts: int, **options: Any) -> SettingError | None:
    try:
        drafted(*counts, **options)
    except SettingError as error:
        return error
    return None


def instances(plan: Plan, vip: int = 0) -> list[Instance]:
    return [node.instances[vip] for node in plan.cluster.nodes]


def weights(plan: Plan) -> dict[tuple[str, str], int]:
    return {(track.kind.value, track.check): track.weight for track in instances(plan)[0].tracks}


# --- priorities ----------------------------------------------------------------------------


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


# --- severity ------------------------------------------------------------------------------


def conditions(node: Node) -> Iterator[tuple[int, int | None]]:
    """Every combination of failing files and scripts: the index of the most severe check that
    fails (one past the last: none does), and the sum that keepalived would clamp."""
    instance = node.instances[0]
    scripts = [track.check for track in instance.tracks if track.kind is CheckKind.SCRIPT]
    order = {
        name: rank for rank, script in enumerate(scripts) for name in (script, f"{script}_process")
    }
    for failing in itertools.product([False, True], repeat=len(instance.tracks)):
        added = [
            priority.contribution(track, priority.result_of(track.kind, fails))
            for track, fails in zip(instance.tracks, failing)
        ]
        rank = min(
            (order[track.check] for track, fails in zip(instance.tracks, failing) if fails),
            default=len(scripts),
        )
        total = None if None in added else instance.priority + sum(one or 0 for one in added)
        yield rank, total


def assert_ranks_never_cross(plan: Plan) -> None:
    ranked = [item for node in plan.cluster.nodes for item in conditions(node)]
    assert all(total is None or 1 <= total <= 254 for _, total in ranked)
    best: dict[int, int] = {}
    worst: dict[int, int] = {}
    for rank, total in ranked:
        best[rank] = max(best.get(rank, 0), total or 0)
        worst[rank] = min(worst.get(rank, 999), total or 0)
    for severe, light in itertools.combinations(sorted(best), 2):
        assert best[severe] < worst[light] or best[severe] == worst[light] == 0


@pytest.mark.parametrize(
    ("checks", "count", "preempt", "expected"),
    [
        pytest.param([HAPROXY], 2, "preferred", [-2], id="one"),
        pytest.param([HAPROXY, BACKENDS], 2, "preferred", [-4, -2], id="two"),
        pytest.param([HAPROXY, BACKENDS], 2, "sticky", [-2, -1], id="two-sticky"),
        pytest.param([BACKENDS, HAPROXY], 2, "preferred", [-6, -2], id="event-counts-twice"),
        pytest.param([HAPROXY, BACKENDS], 5, "preferred", [-10, -5], id="five-nodes"),
        pytest.param(
            [{**HAPROXY, "weight": 0}, BACKENDS], 2, "preferred", [0, -2], id="fault-above-weight"
        ),
        pytest.param(
            [HAPROXY, {**BACKENDS, "weight": "-50"}], 2, "preferred", [-52, -50], id="given"
        ),
    ],
)
def test_weights_keep_the_order_of_severity(
    checks: list[dict[str, Any]], count: int, preempt: str, expected: list[int]
) -> None:
    plan = drafted(count, mode="weight", preempt=preempt, checks=checks)
    found = weights(plan)
    assert [found["track_script", check["name"]] for check in checks] == expected
    assert_ranks_never_cross(plan)


@settings(max_examples=40, deadline=None)
@given(
    st.integers(2, 12),
    st.lists(st.booleans(), min_size=1, max_size=4),
    st.sampled_from(["sticky", "preferred"]),
)
def test_ranks_cross_for_no_request(count: int, events: list[bool], preempt: str) -> None:
    checks = [{"name": f"check{i}", "event": event} for i, event in enumerate(events)]
    needed = 3 ** sum(events) * 2 ** (len(events) - sum(events))
    assume(needed * (count if preempt == "preferred" else 1) <= 254)
    assert_ranks_never_cross(
        drafted(count, mode="weight", preempt=preempt, checks=checks, failover_budget=30)
    )


# --- the spread ----------------------------------------------------------------------------


@pytest.mark.parametrize("count", [2, 3, 5, 8, 100])
@pytest.mark.parametrize("vip_count", [1, 2, 3, 7, 20])
def test_every_node_is_first_for_as_many_addresses(count: int, vip_count: int) -> None:
    orders = spread(count, vip_count)
    assert all(sorted(order) == list(range(count)) for order in orders)
    firsts = Counter(order[0] for order in orders)
    shares = [firsts[node] for node in range(count)]
    assert max(shares) - min(shares) <= 1


def test_what_a_node_leaves_behind_is_spread_too() -> None:
    seconds = Counter(order[1] for order in spread(4, 24) if order[0] == 0)
    assert seconds == {1: 2, 2: 2, 3: 2}


@settings(max_examples=50, deadline=None)
@given(st.integers(2, 12), st.integers(1, 30))
def test_a_node_added_at_the_end_reorders_nobody(count: int, vip_count: int) -> None:
    before = spread(count, vip_count)
    after = spread(count + 1, vip_count)
    assert [[node for node in order if node < count] for order in after] == before


def test_the_first_address_goes_to_the_first_node() -> None:
    plan = planned(3, 3)
    first = [
        max(plan.cluster.nodes, key=lambda node: node.instances[vip].priority).name
        for vip in range(3)
    ]
    assert first == ["lb1", "lb2", "lb3"]


# --- router ids ----------------------------------------------------------------------------


def router_ids(plan: Plan) -> list[int]:
    assert len({tuple(i.virtual_router_id for i in n.instances) for n in plan.cluster.nodes}) == 1
    return [instance.virtual_router_id for instance in plan.cluster.nodes[0].instances]


def test_a_router_id_depends_on_its_address_alone() -> None:
    assert router_ids(planned(2, 3)) == [derived_router_id(vip["address"]) for vip in vips(3)]
    assert derived_router_id("192.0.2.100/24") == derived_router_id("192.0.2.100/16")
    assert derived_router_id("2001:db8::1/64") == derived_router_id("2001:db8:0::1/64")


def test_taken_router_ids_are_avoided() -> None:
    wanted = derived_router_id("192.0.2.150/24")
    taken = [wanted, wanted % 255 + 1]
    assert router_ids(planned(taken_virtual_router_ids=taken)) == [(wanted + 1) % 255 + 1]


def test_a_given_router_id_is_respected_and_avoided_by_the_others() -> None:
    wanted = derived_router_id("192.0.2.150/24")
    plan = planned(
        vips=[
            {"address": "192.0.2.150/24"},
            {"address": "192.0.2.9/24", "virtual_router_id": wanted},
        ]
    )
    assert router_ids(plan) == [wanted % 255 + 1, wanted]


def test_all_router_ids_can_be_used() -> None:
    many = [{"address": f"198.51.{i}.1/16"} for i in range(255)]
    assert sorted(router_ids(drafted(vips=many))) == list(range(1, 256))


# --- timers --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "advert", "poll", "bounds"),
    [
        pytest.param({}, 1.0, Poll(1.0, 1, 0.5), Bounds(0.062, 1.512, 0.012, 3.012), id="defaults"),
        pytest.param(
            {"failover_budget": 10},
            1.0,
            Poll(1.0, 3, 0.5),
            Bounds(0.062, 3.512, 0.012, 3.012),
            id="time-for-three-failures",
        ),
        pytest.param(
            {"failover_budget": 1.2},
            1.0,
            Poll(1.0, 1, 0.1),
            Bounds(0.062, 1.112, 0.012, 3.012),
            id="short-deadline",
        ),
        pytest.param(
            {"keepalived_version": "2.3.2"},
            1.0,
            Poll(0.5, 3, 0.25),
            Bounds(0.062, 1.762, 0.012, 3.012),
            id="fractions-of-a-second",
        ),
        pytest.param(
            {"node_loss_budget": 0.5},
            0.16,
            Poll(1.0, 1, 0.5),
            Bounds(0.052, 1.502, 0.002, 0.482),
            id="short-adverts",
        ),
        pytest.param(
            {"mode": "weight"},
            0.16,
            Poll(1.0, 1, 0.5),
            Bounds(0.532, 1.982, 0.002, 0.482),
            id="a-weight-waits-for-the-adverts",
        ),
        pytest.param(
            {"mode": "kill"}, 1.0, None, Bounds(0.062, None, 0.012, 3.012), id="kill-polls-nothing"
        ),
        pytest.param(
            {"checks": [BACKENDS]},
            1.0,
            Poll(1.0, 1, 0.5),
            Bounds(None, 1.512, 0.012, 3.012),
            id="nothing-by-event",
        ),
        pytest.param(
            {"vrrp_version": 2},
            1.0,
            Poll(1.0, 1, 0.5),
            Bounds(0.062, 1.512, 0.012, 3.012),
            id="v2",
        ),
    ],
)
def test_timers(options: dict[str, Any], advert: float, poll: Poll | None, bounds: Bounds) -> None:
    plan = drafted(**options)
    assert {one.advert_int for one in instances(plan)} == {advert}
    assert {check.poll for check in plan.checks} == ({poll} - {None})
    assert plan.bounds == bounds


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(["fault", "weight", "kill"]),
    st.floats(0.02, 20),
    st.floats(0.02, 20),
    st.sampled_from(["2.2.7", "2.3.4"]),
    st.integers(2, 30),
)
def test_a_plan_keeps_the_budgets_or_is_refused(
    mode: str, failover: float, node_loss: float, version: str, count: int
) -> None:
    options = {"mode": mode, "keepalived_version": version}
    budgets = {"failover_budget": failover, "node_loss_budget": node_loss}
    refused = refusal(count, **options, **budgets)
    if refused:
        # The number that the refusal names is one that works.
        named = float(refused.problem.split("write at least ")[1].split(",")[0])
        assert named > budgets[refused.option]
        budgets = {"failover_budget": 60.0, "node_loss_budget": 60.0, refused.option: named}
    plan = drafted(count, **options, **budgets)
    assert plan.bounds.failover <= budgets["failover_budget"]
    assert plan.bounds.node_loss <= budgets["node_loss_budget"]
    scripts = [c for c in plan.cluster.nodes[0].checks if c.kind is CheckKind.SCRIPT]
    if version == "2.2.7":
        assert all(check.interval % 1 == 0 and check.timeout % 1 == 0 for check in scripts)
    assert all(check.poll and check.poll.deadline <= check.poll.interval for check in plan.checks)


# --- what is said along with a plan --------------------------------------------------------


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


# --- checks that rank next to checks that are faults ---------------------------------------

RANKED = {"name": "backends", "effect": "rank", "budget": 5}
MAINTENANCE = {"name": "maintenance", "event": True, "poll": False}
MIXED = [HAPROXY, MAINTENANCE, RANKED]


@pytest.mark.parametrize("count", [2, 3, 5])
@pytest.mark.parametrize(
    ("preempt", "gap"), [pytest.param("sticky", 0, id="sticky"), pytest.param("preferred", 1)]
)
def test_a_rank_next_to_a_fault(count: int, preempt: str, gap: int) -> None:
    plan = planned(count, preempt=preempt, checks=MIXED)
    bases = [one.priority for one in instances(plan)]
    assert bases == [254 - gap * place for place in range(count)]
    assert not any(one.nopreempt for one in instances(plan))
    assert {one.advert_int for one in instances(plan)} == {1.0}
    assert weights(plan) == {
        ("track_script", "haproxy"): 0,
        ("track_script", "backends"): bases[-1] - bases[0] - 1,
        ("track_file", "haproxy_process"): 0,
        ("track_file", "maintenance"): 0,
    }
    found = explore.explore(plan.cluster)
    assert found.proven
    assert found.violations == ()
    assert bool(found.needless_moves) == (preempt == "preferred")


def held_after(plan: Plan, *after: events.Event) -> list[str]:
    """Who holds the address after each event, all nodes started in order before."""
    state = election.initial(plan.cluster)
    held = []
    for event in (*(events.KeepalivedStarts(n.name) for n in plan.cluster.nodes), *after):
        state = election.apply(plan.cluster, state, event)
        (names,) = election.holders(plan.cluster, state).values()
        held.append("".join(sorted(names)))
    return held[len(plan.cluster.nodes) :]


def test_a_node_that_sees_no_backend_is_better_than_none() -> None:
    plan = planned(checks=MIXED)
    fails, passes = events.CheckFails, events.CheckRecovers
    assert held_after(
        plan,
        fails("lb2", "backends"),
        fails("lb1", "backends"),
        fails("lb1", "haproxy_process"),
        passes("lb1", "haproxy_process"),
        passes("lb1", "backends"),
        fails("lb1", "maintenance"),
        fails("lb2", "haproxy"),
    ) == ["lb1", "lb1", "lb2", "lb2", "lb1", "lb2", ""]


def test_a_budget_of_its_own_binds_the_timers_for_that_check_alone() -> None:
    plan = planned(checks=MIXED)
    assert plan.bounds == Bounds(0.058, 1.508, 0.008, 3.008)
    assert [(check.check.name, check.bound) for check in plan.checks] == [
        ("haproxy", 1.508),
        ("maintenance", 0.058),
        ("backends", 4.508),
    ]
    patient = planned(checks=[HAPROXY, {**RANKED, "budget": 7}])
    assert [check.poll and check.poll.fall for check in patient.checks] == [1, 3]
    hasty = planned(checks=[HAPROXY, {**RANKED, "budget": 2}])
    assert (hasty.checks[1].bound, instances(hasty)[0].advert_int) == (1.973, 0.29)


def test_bounds_where_every_check_has_a_budget_of_its_own() -> None:
    plan = planned(checks=[{**HAPROXY, "budget": 3}, RANKED], failover_budget=0.001)
    assert (plan.bounds.check_failure_event, plan.bounds.check_failure_poll) == (None, None)
    assert [check.poll and check.poll.fall for check in plan.checks] == [2, 1]


def test_a_file_without_a_script() -> None:
    plan = planned(checks=[MAINTENANCE])
    assert weights(plan) == {("track_file", "maintenance"): 0}
    assert plan.bounds == Bounds(0.062, None, 0.012, 3.012)


def test_data_of_checks_with_bounds() -> None:
    assert [
        (item["name"], item["kind"], item["bound"])
        for item in planned(checks=MIXED).as_data()["checks"]
    ] == [
        ("haproxy", "track_script", 1.508),
        ("backends", "track_script", 4.508),
        ("haproxy_process", "track_file", 0.058),
        ("maintenance", "track_file", 0.058),
    ]


# --- links, families and sync groups -------------------------------------------------------


def two_families(count: int = 2, falling: bool = False) -> list[dict[str, Any]]:
    return [
        {
            "name": f"lb{i}",
            "links": [
                {"address": f"192.0.2.{10 + i}", "interface": "eth0"},
                {"address": f"2001:db8::{20 - i if falling else i}", "interface": "eth0"},
            ],
        }
        for i in range(1, count + 1)
    ]


VIP4 = {"address": "192.0.2.150/24", "virtual_router_id": 51}
VIP6 = {"address": "2001:db8::150/64", "virtual_router_id": 51}
GROUP = [{**VIP4, "sync_group": "front"}, {**VIP6, "sync_group": "front"}]


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
    assert plan.bounds.clean_stop == 0.219
    assert [f.id for f in planned(priorities=[200, 200]).report.findings] == ["equal-priority"]


@pytest.mark.parametrize("mode", ["fault", "kill"])
def test_a_delay_before_an_address_returns(mode: str) -> None:
    plan = planned(3, mode=mode, preempt="preferred", preempt_delay=30)
    assert {one.preempt_delay for one in instances(plan)} == {30.0}
    found = explore.explore(plan.cluster)
    assert found.proven
    assert found.violations == ()


# --- what is refused -----------------------------------------------------------------------


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
                "mode kill tracks nothing",
                id=f"kill-{next(iter(field))}",
            )
            for field in (
                {"effect": "rank"},
                {"budget": 5},
                {"poll": False, "event": True},
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


# --- the data ------------------------------------------------------------------------------


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
        "check_failure_event": 0.062,
        "check_failure_poll": 1.512,
        "clean_stop": 0.012,
        "node_loss": 3.012,
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
