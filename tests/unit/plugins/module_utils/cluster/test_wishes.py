# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an operator may want of a switch-over."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.mycat.ha.plugins.module_utils.cluster.members import Members
from ansible_collections.mycat.ha.plugins.module_utils.cluster.wishes import read_wishes
from ansible_collections.mycat.ha.plugins.module_utils.readers import SettingError

EAST = Members("east", ("lb1", "lb2"), ("mycat1",))
WEST = Members("west", ("lb3", "lb4"), ("mycat2",))
ALONE = Members("alone", ("lb5",), ("mycat3",))
NORTH = Members("north", ("lb7", "lb8"), ("mycat4",))
HOSTS = [*EAST.hosts, *WEST.hosts, *ALONE.hosts]


def read(**values: Any) -> list[tuple[str, str, str]]:
    playing = values.pop("playing", HOSTS)
    found = read_wishes(values, [EAST, WEST, ALONE], [NORTH], playing)
    return [(wish.verb, wish.host, wish.members.name) for wish in found]


def test_one_host_of_each_cluster() -> None:
    assert read(mycat_ha_to=["lb2"]) == [("mycat_ha_to", "lb2", "east")]
    assert read(mycat_ha_leave=["lb2", "lb3", "lb2"]) == [
        ("mycat_ha_leave", "lb2", "east"),
        ("mycat_ha_leave", "lb3", "west"),
    ]
    # Who is out already may come back, however few there are.
    assert read(mycat_ha_maintenance_end=["lb5"]) == [("mycat_ha_maintenance_end", "lb5", "alone")]


def test_several_addresses_are_spread_again_in_every_cluster() -> None:
    found = read_wishes({"mycat_ha_rebalance": True}, [EAST, WEST], [NORTH], HOSTS)
    assert [(wish.host, wish.members) for wish in found] == [("", EAST), ("", WEST)]


@pytest.mark.parametrize(
    ("values", "variable", "says"),
    [
        ({}, "mycat_ha_to", "is not set; write the load balancer"),
        (
            {"mycat_ha_leave": ["lb1"], "mycat_ha_maintenance": ["lb2"]},
            "mycat_ha_leave",
            "is set beside mycat_ha_maintenance; write one of the two",
        ),
        (
            {"mycat_ha_maintenance_end": ["lb1"], "mycat_ha_rebalance": True},
            "mycat_ha_maintenance_end",
            "is set beside mycat_ha_rebalance; write one of the two",
        ),
        (
            {"mycat_ha_rebalance": True},
            "mycat_ha_rebalance",
            "cannot be with lb5, the only load balancer of the cluster alone",
        ),
        (
            {"mycat_ha_rebalance": True, "playing": ["lb1"]},
            "mycat_ha_rebalance",
            "--limit leaves lb2 out; leave --limit out",
        ),
        ({"mycat_ha_to": ["mycat1"]}, "mycat_ha_to", "is no load balancer; write one of lb1, lb2"),
        (
            {"mycat_ha_to": ["lb7"]},
            "mycat_ha_to",
            "of the cluster north, which mycat_ha_c",
        ),
        ({"mycat_ha_to": ["lb1", "lb2"]}, "mycat_ha_to", "names lb1 and lb2, both of the cluster"),
        ({"mycat_ha_to": ["lb5"]}, "mycat_ha_to", "the only load balancer of the cluster alone"),
        ({"mycat_ha_maintenance": ["lb5"]}, "mycat_ha_maintenance", "add a second one"),
        (
            {"mycat_ha_to": ["lb1"], "playing": ["lb1"]},
            "mycat_ha_to",
            "--limit leaves lb2 out; leave --limit out",
        ),
        (
            {"mycat_ha_to": ["lb1"], "mycat_ha_drain_seconds": 7200.0},
            "mycat_ha_drain_seconds",
            "is 7200; write seconds, from 0 to 3600",
        ),
    ],
)
def test_refusals(values: dict[str, Any], variable: str, says: str) -> None:
    with pytest.raises(SettingError) as told:
        read(**values)
    assert told.value.path == variable
    assert says in str(told.value)
