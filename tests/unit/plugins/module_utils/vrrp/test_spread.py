# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from collections import Counter

import pytest
from ansible_collections.mycat.ha.plugins.module_utils.vrrp.spread import spread
from hypothesis import given, settings
from hypothesis import strategies as st
from plans import (
    planned,
)


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
