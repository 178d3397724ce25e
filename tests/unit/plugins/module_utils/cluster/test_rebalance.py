# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Several addresses that came together on one load balancer: who gives which of them to whom."""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.mycat.ha.plugins.module_utils.cluster.members import Members
from ansible_collections.mycat.ha.plugins.module_utils.cluster.switchover import (
    Steps,
    not_there,
    steps,
)
from ansible_collections.mycat.ha.plugins.module_utils.cluster.wishes import Wish

sys.path.append(str(Path(__file__).parents[1] / "report"))
from faults import kill_haproxy, lose
from pair import Pair, balancer, kinds, main

A, B, C = "192.0.2.100", "192.0.2.101", "192.0.2.102"
NAMES = {A: "one", B: "two", C: "three"}
HOMES = {A: "lb1", B: "lb2", C: "lb3"}
TOGETHER = dict.fromkeys(NAMES, "lb2")


def three(holders: Mapping[str, str], homes: Mapping[str, str] = HOMES) -> Pair:
    """Three load balancers and three addresses, each with its own home."""
    pair = Pair()
    names = ["lb1", "lb2", "lb3"]
    pair.main.update(load_balancers=names, placement=dict(homes))
    pair.main["vips"] = {
        vip: {"instance": name, "port": 8066, "moved_by": name} for vip, name in NAMES.items()
    }
    for number, name in enumerate(names, start=1):
        state = balancer(number, "BACKUP")
        (instance,) = state["keepalived"]["instances"]
        held = [vip for vip, holder in holders.items() if holder == name]
        state["addresses"] += held
        state["keepalived"]["instances"] = [
            {
                **instance,
                "name": NAMES[vip],
                "state": "MASTER" if vip in held else "BACKUP",
                "virtual_ipaddress": [f"{vip}/24"],
            }
            for vip in NAMES
        ]
        state["keepalived"]["text"] = "".join(
            f'file "/var/lib/mycat_ha/moving/{one}"\n' for one in NAMES.values()
        )
        pair.states[name] = state
    for state in pair.states.values():
        state["asked"] = {f"{vip}:8066": "ok" for vip in NAMES}
    return pair


def rebalanced(pair: Pair, **more: Any) -> Steps:
    members = Members("main", tuple(pair.main["load_balancers"]), ("mycat1", "mycat2"))
    return steps([Wish("mycat_ha_rebalance", "", members, **more)], pair.expected, pair.states)


def test_each_goes_to_its_own_load_balancer_and_nobody_else_takes_it() -> None:
    found = rebalanced(three(TOGETHER))
    assert found.refusals == []
    assert found.targets == {"main": {A: "lb1", C: "lb3"}}
    assert (found.give_up, found.give_up_only) == (["lb2"], {"lb2": ["one", "three"]})
    assert (found.aside, found.aside_only) == (["lb1", "lb3"], {"lb1": ["three"], "lb3": ["one"]})
    port = {"port": 8066}
    moving = [{"address": A, **port}, {"address": C, **port}]
    assert found.vips == {"lb1": [], "lb2": moving, "lb3": []}
    assert found.lines == [f"main: {A} goes from lb2 to lb1", f"main: {C} goes from lb2 to lb3"]
    assert (found.drain, found.out, found.back) == ([], [], [])


def test_one_may_give_and_get() -> None:
    found = rebalanced(three({A: "lb2", B: "lb3", C: "lb1"}), drain=5.0)
    assert found.targets == {"main": HOMES}
    assert found.give_up_only == {"lb2": ["one"], "lb3": ["two"], "lb1": ["three"]}
    assert found.drain == found.give_up == found.aside == ["lb1", "lb2", "lb3"]


def wished_to(pair: Pair, host: str) -> Steps:
    members = Members("main", tuple(pair.main["load_balancers"]), ("mycat1", "mycat2"))
    return steps([Wish("mycat_ha_to", host, members)], pair.expected, pair.states)


def test_several_holders_give_to_one_and_none_gets_what_another_gives() -> None:
    found = wished_to(three(HOMES), "lb2")
    assert found.refusals == []
    assert found.targets == {"main": {A: "lb2", C: "lb2"}}
    assert (found.give_up, found.give_up_only) == (
        ["lb1", "lb3"],
        {"lb1": ["one"], "lb3": ["three"]},
    )
    assert (found.aside, found.aside_only) == (["lb1", "lb3"], {"lb3": ["one"], "lb1": ["three"]})
    assert found.lines == [f"main: {A} goes from lb1 to lb2", f"main: {C} goes from lb3 to lb2"]


def test_a_cluster_of_before_gives_all_to_one() -> None:
    pair = three(TOGETHER)
    not_watched(pair)
    found = wished_to(pair, "lb1")
    assert (found.give_up, found.give_up_only) == (["lb2"], {})
    assert (found.aside, found.aside_only) == (["lb3"], {})


def test_what_is_spread_stays() -> None:
    found = rebalanced(three(HOMES))
    assert (found.refusals, found.targets, found.give_up, found.aside) == ([], {}, [], [])
    assert found.lines == ["main: each virtual IP is on its own load balancer already"]


def test_one_virtual_ip_is_nothing_to_spread() -> None:
    found = rebalanced(Pair())
    assert (found.refusals, found.give_up) == ([], [])
    assert found.lines == ["main: has one virtual IP, and nothing to spread"]


def test_a_sync_group_is_named_once() -> None:
    pair = three(TOGETHER, {A: "lb1", B: "lb1", C: "lb2"})
    pair.main["vips"][B]["moved_by"] = "one"
    found = rebalanced(pair)
    assert found.give_up_only == {"lb2": ["one"]}
    assert found.aside_only == {"lb3": ["one"]}
    assert [vip["address"] for vip in found.vips["lb2"]] == [A, B]


def not_watched(pair: Pair) -> None:
    pair.states["lb1"]["keepalived"]["text"] = ""


def not_loaded(pair: Pair) -> None:
    pair.states["lb1"]["keepalived"]["loaded_is_file"] = False


def never_alone(pair: Pair) -> None:
    for vip in pair.main["vips"].values():
        vip["moved_by"] = ""


REFUSED: dict[str, tuple[Callable[[Pair], Any], str]] = {
    "no HAProxy": (kill_haproxy("lb3"), "lb3 has no HAProxy that is alive"),
    "unknown": (lose("lb3"), "lb3 gave Ansible no answer in this run"),
    "unknown holder": (lose("lb2"), "lb2 gave Ansible no answer in this run"),
    "another one is at it": (
        lambda pair: pair.states["lb1"].update(handing_over=True),
        "of lb1 is under way",
    ),
    "set up by an older site": (not_watched, "on lb1 does not watch /var/lib/mycat_ha/moving/one"),
    "not loaded": (not_loaded, "run mycat.ha.site"),
    "one sync group": (never_alone, f"{A} cannot be moved alone"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_spread_is_refused_and_nothing_is_done(name: str) -> None:
    breaks, says = REFUSED[name]
    pair = three(TOGETHER)
    breaks(pair)
    found = rebalanced(pair)
    assert all(one.startswith("mycat_ha_rebalance: ") for one in found.refusals)
    assert says in " ".join(found.refusals)
    assert found.give_up + found.aside == []


def test_what_did_not_move_is_named() -> None:
    done = copy.deepcopy(rebalanced(three(TOGETHER)).as_data())
    after = three({A: "lb1", B: "lb2", C: "lb2"})
    said = not_there(done, after.expected, after.states)
    assert said == [f"{C} did not go to lb3: it is on lb2"]
    assert not_there(done, after.expected, three(HOMES).states) == []


def test_a_report_says_that_they_are_not_spread_and_how_to_spread_them() -> None:
    (problem,) = main(three(TOGETHER))["problems"]
    assert (problem["kind"], problem["severity"]) == ("not-spread", "warning")
    assert "the virtual IPs are not spread (0 on lb1, 3 on lb2, 0 on lb3)" in problem["what"]
    assert f"`-e mycat_ha_rebalance=yes`, which moves {A} to lb1, {C} to lb3" in problem["fix"]
    # One more on one of them is no matter, nor is what returns by itself.
    assert kinds(three({A: "lb2", B: "lb3", C: "lb1"})) == []
    preferred = three(TOGETHER)
    preferred.main["homes"] = HOMES
    assert "not-spread" not in kinds(preferred)
