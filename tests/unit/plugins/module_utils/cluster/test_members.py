"""Which hosts belong together."""

from __future__ import annotations

import pytest
from ansible_collections.mycat.ha.plugins.module_utils.cluster.members import (
    Members,
    chosen,
    clusters_of,
    find_members,
    group_names,
)
from ansible_collections.mycat.ha.plugins.module_utils.readers import SettingError

EAST = {"mycat_ha_cluster": "east"}
WEST = {"mycat_ha_cluster": "west"}
BOTH = {"mycat_ha_clusters": ["east", "west"]}


def test_hosts_that_name_no_cluster_are_one() -> None:
    found = find_members(["lb1", "lb2"], ["my1"], {"lb1": {}, "lb2": {}, "my1": {}})
    assert found == [Members("main", ("lb1", "lb2"), ("my1",))]


def test_named_clusters_keep_the_order_of_the_inventory() -> None:
    named = {"lb3": WEST, "lb1": EAST, "lb4": WEST, "lb2": EAST, "my1": BOTH, "my2": EAST}
    found = find_members(["lb3", "lb1", "lb4", "lb2"], ["my1", "my2"], named)
    assert found == [
        Members("west", ("lb3", "lb4"), ("my1",)),
        Members("east", ("lb1", "lb2"), ("my1", "my2")),
    ]


@pytest.mark.parametrize(
    ("named", "said"),
    [
        pytest.param(
            {"lb1": EAST, "lb2": {}, "my1": EAST},
            "mycat_ha_cluster: is not set for lb2, while lb1 is of the cluster east",
            id="a host without a cluster",
        ),
        pytest.param(
            {"lb1": BOTH, "lb2": EAST, "my1": EAST},
            "mycat_ha_clusters: has east and west for the load balancer lb1",
            id="a load balancer of two",
        ),
        pytest.param(
            {"lb1": EAST, "lb2": EAST, "my1": WEST},
            "mycat_ha_cluster: is west for my1, and no load balancer is of that cluster",
            id="a cluster without load balancers",
        ),
    ],
)
def test_what_does_not_fit_is_refused_by_name(named: dict, said: str) -> None:
    with pytest.raises(SettingError) as refused:
        find_members(["lb1", "lb2"], ["my1"], named)
    assert str(refused.value).startswith(said)


def test_only_the_chosen_clusters_count() -> None:
    east, west = Members("east", ("lb1",), ()), Members("west", ("lb2",), ())
    assert chosen([east, west], []) == [east, west]
    assert chosen([east, west], ["west"]) == [west]
    with pytest.raises(SettingError, match=r"mycat_ha_cluster_only: names nort.*write one of east"):
        chosen([east, west], ["nort"])


@pytest.mark.parametrize(
    ("variables", "names"),
    [
        ({}, ()),
        ({"mycat_ha_cluster": ""}, ()),
        (EAST, ("east",)),
        (BOTH, ("east", "west")),
        ({"mycat_ha_clusters": "east, west"}, ("east", "west")),
    ],
)
def test_clusters_that_a_host_names(variables: dict, names: tuple) -> None:
    assert clusters_of(variables) == names


@pytest.mark.parametrize(
    ("variables", "names"),
    [
        ({}, ("haproxy", "mycat")),
        ({"mycat_ha_lb_group": "edge", "mycat_ha_mycat_group": "db"}, ("edge", "db")),
        ({"keepalived_group": "edge"}, ("edge", "mycat")),
        ({"haproxy_mycat_group": "db"}, ("haproxy", "db")),
        ({"mycat_ha_lb_group": "one", "keepalived_group": "two"}, ("one", "mycat")),
    ],
)
def test_names_of_the_groups(variables: dict, names: tuple) -> None:
    assert group_names(variables) == names
