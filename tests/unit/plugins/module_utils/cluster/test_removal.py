# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who leaves, in which order, and who must not. lb2 holds the VIP, lb1 is its standby."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.mycat.ha.plugins.module_utils.cluster.members import Members
from ansible_collections.mycat.ha.plugins.module_utils.cluster.removal import (
    Leaving,
    Removal,
    Turn,
    plan,
    read_removal,
    turn,
)
from ansible_collections.mycat.ha.plugins.module_utils.cluster.restart import Order
from ansible_collections.mycat.ha.plugins.module_utils.readers import SettingError

sys.path.append(str(Path(__file__).parents[1] / "report"))
from faults import kill_haproxy, lose
from pair import VIP, Break, Pair, broken

EAST = Members("east", ("lb1", "lb2"), ("mycat1", "mycat2", "both"))
WEST = Members("west", ("lb3", "lb4"), ("mycat3", "both"))
NORTH = Members("north", ("lb5",), ("mycat5", "mycat3"))
MAIN = Members("main", ("lb1", "lb2"), ("mycat1", "mycat2"))
HOSTS = {*EAST.hosts, *WEST.hosts, *NORTH.hosts}


def read(*names: str, playing: set[str] = HOSTS) -> Removal:
    return read_removal({"mycat_ha_remove": list(names)}, [EAST, WEST], [NORTH], playing)


def test_only_the_clusters_of_the_named_hosts_are_concerned() -> None:
    assert read("lb2").members == (EAST,)
    assert read("lb2", "mycat1").hosts == {"lb2", "mycat1"}
    assert read("both").members == (EAST, WEST)
    assert read("lb2").goes_on("east")


def test_all_leaves_a_mycat_alone_that_serves_a_cluster_that_stays() -> None:
    found = read("all")
    assert found.shared == ("mycat3",)
    assert found.hosts == {*EAST.hosts, *WEST.hosts} - {"mycat3"}
    assert not found.goes_on("west")


@pytest.mark.parametrize(
    ("names", "playing", "says"),
    [
        ([], HOSTS, "is not set; write the hosts"),
        (["lb9"], HOSTS, "is lb9, which is no host of these clusters; write all, or some of lb1"),
        (["lb5"], HOSTS, "is lb5, of the cluster north, which mycat_ha_cluster_only or --limit"),
        (["mycat3"], HOSTS, "is mycat3, of the cluster north"),
        (["lb1", "lb2"], HOSTS, "names every load balancer of the cluster east"),
        (["mycat1", "mycat2", "both"], HOSTS, "names every MyCat of the cluster east"),
        (["lb1"], {"lb1"}, "--limit leaves lb2, mycat1, mycat2, both out"),
        (["all"], HOSTS - {"lb4"}, "--limit leaves lb4 out"),
    ],
)
def test_what_makes_no_sense(names: list[str], playing: set[str], says: str) -> None:
    with pytest.raises(SettingError) as caught:
        read(*names, playing=playing)
    assert str(caught.value).startswith("mycat_ha_remove: ")
    assert says in str(caught.value)


def removal(*names: str) -> Removal:
    hosts = MAIN.hosts if names == ("all",) else names
    return Removal(frozenset(hosts), (MAIN,))


def planned(*names: str, breaks: tuple[Break, ...] = (), force: bool = False) -> Leaving:
    pair = broken(*breaks)
    return plan(removal(*names), Order(force=force), pair.expected, pair.states)


def now(name: str, *names: str, breaks: tuple[Break, ...] = (), failed: Any = ()) -> Turn:
    pair = broken(*breaks)
    return turn(removal(*names), Order(), [name], pair.expected, pair.states, failed)


def three(pair: Pair) -> None:
    """A third load balancer that is as good as lb1."""
    pair.main["load_balancers"] = ["lb1", "lb2", "lb3"]
    pair.states["lb3"] = broken().states["lb1"]
    pair.states["lb3"]["addresses"] = ["192.0.2.13"]


def down(pair: Pair) -> None:
    """mycat1 has left already."""
    pair.row("mycat1", "DOWN", "L4CON")


def gone(pair: Pair) -> None:
    """lb1 has left already."""
    pair.states["lb1"]["keepalived"] = {"running": False}
    pair.states["lb1"]["haproxy"] = {"alive": False}


def test_a_whole_cluster_goes_standby_first_holder_then_mycats() -> None:
    found = planned("all")
    assert found.turns == [["lb1"], ["lb2"], ["mycat1"], ["mycat2"]]
    assert (found.refusals, found.expected["clusters"]) == ([], {})
    assert found.lines == [
        "main: is removed as a whole from lb1, then lb2, then mycat1, then mycat2"
    ]
    assert now("lb2", "all") == Turn(hosts=["lb2"])


def test_the_rest_is_expected_to_go_on_with_less() -> None:
    found = planned("lb2", "mycat1")
    assert (found.refusals, found.turns) == ([], [["lb2"], ["mycat1"]])
    main = found.expected["clusters"]["main"]
    assert (main["load_balancers"], main["mycats"]) == (["lb1"], ["mycat2"])
    assert main["allow_degraded"]
    assert "take lb2 and mycat1 out of the inventory and run mycat.ha.site" in found.after[0]


def test_load_balancers_give_up_what_they_have_and_mycats_are_drained() -> None:
    assert now("lb2", "lb2") == Turn(hosts=["lb2"], vips={"lb2": [{"address": VIP, "port": 8066}]})
    assert now("mycat1", "mycat1") == Turn(hosts=["mycat1"], drain=["mycat1"])
    assert now("lb1", "lb1", breaks=(gone,)) == Turn(hosts=["lb1"])
    assert now("mycat1", "mycat1", breaks=(down,)) == Turn(hosts=["mycat1"])


@pytest.mark.parametrize(
    ("names", "breaks", "says"),
    [
        (("lb2",), (kill_haproxy("lb1"),), "no other load balancer could serve 192.0.2.100"),
        (("lb2",), (gone,), "no other load balancer could serve 192.0.2.100"),
        (("lb1",), (lose("lb1"),), "lb1 gave Ansible no answer, so nothing can be removed"),
        (
            ("mycat1",),
            (lambda pair: pair.row("mycat2", "DOWN", "L4CON"),),
            "only 0 other MyCats of the cluster main would take sessions while mycat1 is away",
        ),
        # The one that would take over leaves too.
        (("lb1", "lb2"), (three, kill_haproxy("lb3")), "no other load balancer could serve"),
    ],
)
def test_who_must_not_leave(names: Any, breaks: Any, says: str) -> None:
    found = planned(*names, breaks=breaks)
    assert says in " ".join(found.refusals)
    assert found.turns == []


def test_force_and_what_needs_none() -> None:
    assert planned("lb2", breaks=(kill_haproxy("lb1"),), force=True).turns == [["lb2"]]
    assert planned("lb1", breaks=(kill_haproxy("lb1"),)).turns == [["lb1"]]
    assert planned("lb1", "lb2", breaks=(three,)).turns == [["lb1"], ["lb2"]]
    found = planned("all", breaks=(lose("lb1"),))
    assert found.turns[0] == ["lb2"]
    assert "main: lb1 gave Ansible no answer, and stays as it is" in found.lines


def test_what_changed_meanwhile_and_what_failed_before() -> None:
    found = now("lb2", "lb2", breaks=(kill_haproxy("lb1"),))
    assert found.hosts == []
    assert found.failures["lb2"].startswith("it stays as it is: no other load balancer")
    assert now("lb2", "all", failed=["lb1"]) == Turn()
