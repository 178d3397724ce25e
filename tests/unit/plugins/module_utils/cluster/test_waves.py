# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from ansible_collections.mycat.ha.plugins.module_utils.cluster.waves import (
    mycat_waves,
    side_by_side,
)

THREE = ["my1", "my2", "my3"]


def test_mycats_without_clients_change_together() -> None:
    assert mycat_waves(THREE) == [THREE]
    assert mycat_waves([]) == []


def test_of_mycats_that_serve_one_goes_first() -> None:
    assert mycat_waves(THREE, [THREE]) == [["my1"], ["my2", "my3"]]


def test_never_all_mycats_of_a_cluster_go_together() -> None:
    assert mycat_waves(["my1", "my2"], [["my1", "my2"]]) == [["my1"], ["my2"]]
    assert mycat_waves(["my2"], [["my1", "my2"]]) == [["my2"]]
    assert mycat_waves(["my1"], [["my1"]]) == [["my1"]]


def test_a_shared_mycat_counts_for_each_of_its_clusters() -> None:
    # Two of them would go together if each cluster were asked alone.
    serving = [["c", "a"], ["d", "b"], ["a", "b"]]
    assert mycat_waves(["c", "d", "a", "b"], serving) == [["c", "d"], ["a"], ["b"]]


def test_clusters_change_side_by_side() -> None:
    east, west = [["a1"], ["a2"]], [["b1"], ["b2"], ["b3"]]
    assert side_by_side([east, west]) == [["a1", "b1"], ["a2", "b2"], ["b3"]]
    assert side_by_side([[[]], [["b1"]]]) == [["b1"]]
    assert side_by_side([]) == []
