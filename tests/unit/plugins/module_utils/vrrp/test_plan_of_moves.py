# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Addresses of a plan that leave a node without the others."""

from __future__ import annotations

import pytest
from ansible_collections.mycat.ha.plugins.module_utils.vrrp import events
from ansible_collections.mycat.ha.plugins.module_utils.vrrp.plan import Plan
from plans import HAPROXY, planned, refusal, vips


def moved_by(plan: Plan) -> list[list[str]]:
    """For each instance of the first node the tracked files of addresses."""
    return [
        [track.check for track in instance.tracks if track.check.startswith("move_")]
        for instance in plan.cluster.nodes[0].instances
    ]


@pytest.mark.parametrize("mode", ["fault", "weight", "kill"])
@pytest.mark.parametrize("preempt", ["sticky", "preferred"])
def test_each_of_several_addresses_leaves_a_node_alone(mode: str, preempt: str) -> None:
    plan = planned(3, 3, move_files=True, mode=mode, preempt=preempt, failover_budget=6)
    files = [f"move_vip_192_0_2_15{last}" for last in range(3)]
    assert moved_by(plan) == [[file] for file in files]
    assert {row["name"] for row in plan.as_data()["checks"]} >= set(files)
    well, *others = plan.report.outcomes
    for place, file in enumerate(files):
        moved = [
            [vip for vip, holders in after.holders if holders != dict(well.holders)[vip]]
            for after in others
            if after.failures[0] in [events.CheckFails(f"lb{n}", file) for n in (1, 2, 3)]
        ]
        # Only this address leaves, and only the node that has it.
        assert sorted(moved) == [[], [], [f"192.0.2.15{place}"]]


def test_a_single_address_or_sync_group_leaves_with_its_node() -> None:
    assert moved_by(planned(2, 1, move_files=True)) == [[]]
    group = [{**vip, "sync_group": "front"} for vip in vips(2)]
    assert moved_by(planned(vips=group, move_files=True)) == [[], []]
    assert moved_by(planned(2, 2)) == [[], []]


def test_a_sync_group_leaves_together() -> None:
    one, two, alone = vips(3)
    plan = planned(
        vips=[{**one, "sync_group": "front"}, {**two, "sync_group": "front"}, alone],
        move_files=True,
    )
    assert moved_by(plan) == [[], [], ["move_vip_192_0_2_152"]]
    (group,) = plan.cluster.nodes[0].sync_groups
    assert "move_vip_192_0_2_150" in [track.check for track in group.tracks]


def test_a_check_has_no_name_of_an_address() -> None:
    checks = [HAPROXY, {"name": "move_vip_192_0_2_150"}]
    refused = refusal(2, 2, checks=checks, move_files=True)
    assert refused is not None
    assert "is the name of the tracked file of an address" in str(refused)
