# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import itertools
from typing import Any, Iterator

import pytest
from ansible_collections.mycat.ha.plugins.module_utils.vrrp import (
    election,
    events,
    explore,
    priority,
)
from ansible_collections.mycat.ha.plugins.module_utils.vrrp.model import CheckKind, Node
from ansible_collections.mycat.ha.plugins.module_utils.vrrp.plan import (
    Plan,
)
from ansible_collections.mycat.ha.plugins.module_utils.vrrp.timers import Bounds
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from plans import (
    BACKENDS,
    HAPROXY,
    MAINTENANCE,
    MIXED,
    RANKED,
    drafted,
    instances,
    planned,
    weights,
)


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


@pytest.mark.thorough
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


@pytest.mark.parametrize("count", [2, 3, 5])
@pytest.mark.parametrize(
    ("preempt", "gap"), [pytest.param("sticky", 0, id="sticky"), pytest.param("preferred", 1)]
)
def test_a_rank_next_to_a_fault(count: int, preempt: str, gap: int) -> None:
    plan = planned(count, preempt=preempt, checks=MIXED)
    bases = [one.priority for one in instances(plan)]
    assert bases == [254 - gap * place for place in range(count)]
    assert not any(one.nopreempt for one in instances(plan))
    assert {one.advert_int for one in instances(plan)} == {0.33}
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
    assert plan.bounds == Bounds(0.053, 1.503, 0.003, 0.993, 0.662)
    assert [(check.check.name, check.bound) for check in plan.checks] == [
        ("haproxy", 1.503),
        ("maintenance", 0.053),
        ("backends", 4.493),
    ]
    patient = planned(checks=[HAPROXY, {**RANKED, "budget": 7}])
    assert [check.poll and check.poll.fall for check in patient.checks] == [1, 3]
    hasty = planned(checks=[HAPROXY, {**RANKED, "budget": 2}])
    assert (hasty.checks[1].bound, instances(hasty)[0].advert_int) == (1.973, 0.29)


def test_bounds_where_every_check_has_a_budget_of_its_own() -> None:
    plan = planned(checks=[{**HAPROXY, "budget": 3}, RANKED], failover_budget=0.001)
    assert (plan.bounds.check_failure_event, plan.bounds.check_failure_poll) == (None, None)
    assert [check.poll and check.poll.fall for check in plan.checks] == [2, 3]


def test_a_file_without_a_script() -> None:
    plan = planned(checks=[MAINTENANCE])
    assert weights(plan) == {("track_file", "maintenance"): 0}
    assert plan.bounds == Bounds(0.054, None, 0.004, 0.994, 0.663)


def test_data_of_checks_with_bounds() -> None:
    assert [
        (item["name"], item["kind"], item["bound"])
        for item in planned(checks=MIXED).as_data()["checks"]
    ] == [
        ("haproxy", "track_script", 1.503),
        ("backends", "track_script", 4.493),
        ("haproxy_process", "track_file", 0.053),
        ("maintenance", "track_file", 0.053),
    ]
