# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.mycat.ha.plugins.module_utils.vrrp.model import CheckKind
from ansible_collections.mycat.ha.plugins.module_utils.vrrp.timers import Bounds, Poll
from hypothesis import given, settings
from hypothesis import strategies as st
from plans import (
    BACKENDS,
    drafted,
    instances,
    refusal,
)


@pytest.mark.parametrize(
    ("options", "advert", "poll", "bounds"),
    [
        pytest.param(
            {}, 0.33, Poll(1.0, 1, 0.5), Bounds(0.054, 1.504, 0.004, 0.994, 0.663), id="defaults"
        ),
        pytest.param(
            {"failover_budget": 10},
            0.33,
            Poll(1.0, 3, 0.5),
            Bounds(0.054, 3.504, 0.004, 0.994, 0.663),
            id="time-for-three-failures",
        ),
        pytest.param(
            {"failover_budget": 1.2},
            0.33,
            Poll(1.0, 1, 0.1),
            Bounds(0.054, 1.104, 0.004, 0.994, 0.663),
            id="short-deadline",
        ),
        pytest.param(
            {"keepalived_version": "2.3.2"},
            0.33,
            Poll(0.5, 3, 0.25),
            Bounds(0.054, 1.754, 0.004, 0.994, 0.663),
            id="fractions-of-a-second",
        ),
        pytest.param(
            {"node_loss_budget": 4},
            1.0,
            Poll(1.0, 1, 0.5),
            Bounds(0.062, 1.512, 0.012, 3.012, 2.011),
            id="rare-adverts",
        ),
        pytest.param(
            {"node_loss_budget": 0.5},
            0.16,
            Poll(1.0, 1, 0.5),
            Bounds(0.052, 1.502, 0.002, 0.482, 0.321),
            id="short-adverts",
        ),
        pytest.param(
            {"mode": "weight"},
            0.16,
            Poll(1.0, 1, 0.5),
            Bounds(0.532, 1.982, 0.002, 0.482, 0.321),
            id="a-weight-waits-for-the-adverts",
        ),
        pytest.param(
            {"mode": "kill"},
            0.33,
            None,
            Bounds(0.054, None, 0.004, 0.994, 0.663),
            id="kill-polls-nothing",
        ),
        pytest.param(
            {"checks": [BACKENDS]},
            0.33,
            Poll(1.0, 1, 0.5),
            Bounds(None, 1.504, 0.004, 0.994, 0.663),
            id="nothing-by-event",
        ),
        pytest.param(
            {"vrrp_version": 2},
            1.0,
            Poll(1.0, 1, 0.5),
            Bounds(0.062, 1.512, 0.012, 3.012, 2.011),
            id="v2",
        ),
    ],
)
def test_timers(options: dict[str, Any], advert: float, poll: Poll | None, bounds: Bounds) -> None:
    plan = drafted(**options)
    assert {one.advert_int for one in instances(plan)} == {advert}
    assert {check.poll for check in plan.checks} == ({poll} - {None})
    assert plan.bounds == bounds


@pytest.mark.thorough
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
