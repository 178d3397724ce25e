# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose turn it is to be restarted, and when nobody may."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.mycat.ha.plugins.module_utils.cluster.members import Members
from ansible_collections.mycat.ha.plugins.module_utils.cluster.restart import (
    Answers,
    Judge,
    Order,
    Rolling,
    Turn,
    plan,
    read_order,
)
from ansible_collections.mycat.ha.plugins.module_utils.readers import SettingError
from ansible_collections.mycat.ha.plugins.module_utils.report.cluster import read_clusters

sys.path.append(str(Path(__file__).parents[1] / "report"))
from faults import lose, mycat
from pair import Break, Pair, broken

EAST = Members("east", ("lb1", "lb2"), ("mycat1", "mycat2"))


def planned(pair: Pair, *only: str, **more: Any) -> Rolling:
    return plan(Order(only, **more), pair.expected, pair.states)


def left(host: str, state: str, **more: Any) -> Break:
    note = {"run": "1.0", "state": state, "ours": True, "under_way": False, **more}
    return lambda pair: pair.states[host].update(restart=note)


def down(host: str) -> Break:
    return lambda pair: pair.row(host, "DOWN", "L7STS")


def alone(pair: Pair) -> None:
    pair.main["mycats"] = ["mycat1"]


def no_haproxy(pair: Pair) -> None:
    for host in ("lb1", "lb2"):
        pair.states[host]["haproxy"]["alive"] = False


# ---- what is asked ----


def test_defaults() -> None:
    assert read_order({}, [EAST], EAST.hosts) == Order((), 1, 30.0, False)
    given = {"mycat_ha_restart": ["mycat2", "mycat2"], "mycat_ha_drain_seconds": 0.0}
    assert read_order(given, [EAST], EAST.hosts) == Order(("mycat2",), 1, 0.0, False)


@pytest.mark.parametrize(
    ("values", "playing", "says"),
    [
        ({"mycat_ha_restart": ["lb1"]}, EAST.hosts, "is lb1, which is no MyCat of this run"),
        ({"mycat_ha_minimum_mycats": -1}, EAST.hosts, "mycat_ha_minimum_mycats: is -1"),
        ({"mycat_ha_drain_seconds": 9999.0}, EAST.hosts, "mycat_ha_drain_seconds: is 9999"),
        ({}, ["mycat1", "lb1", "lb2"], "--limit leaves mycat2 out"),
    ],
)
def test_what_cannot_be_asked(values: Any, playing: list[str], says: str) -> None:
    with pytest.raises(SettingError, match=r"\w") as error:
        read_order(values, [EAST], playing)
    assert says in str(error.value)


# ---- the order ----


@pytest.mark.parametrize(
    ("breaks", "turns"),
    [
        ((), [["mycat1"], ["mycat2"]]),
        # What serves nobody comes first, and before it what was left half-way.
        ((down("mycat2"),), [["mycat2"], ["mycat1"]]),
        ((left("mycat2", "stopped"),), [["mycat2"], ["mycat1"]]),
        ((left("mycat1", "done"),), [["mycat2"]]),
        ((left("mycat1", "done"), left("mycat2", "done")), []),
    ],
)
def test_the_order(breaks: tuple[Break, ...], turns: list[list[str]]) -> None:
    found = planned(broken(*breaks))
    assert (found.refusals, found.turns) == ([], turns)


def test_a_mycat_that_is_named_is_restarted_again() -> None:
    assert planned(broken(left("mycat1", "done")), "mycat1").turns == [["mycat1"]]


def test_lines_say_what_is_done() -> None:
    assert planned(Pair()).lines == ["main: mycat1, then mycat2 restart, sessions get 30 s"]
    found = planned(broken(left("mycat1", "done")))
    assert "main: mycat1 restarted already in the run that did not end" in found.lines
    pair = Pair()
    pair.states["mycat1"] = mycat(1, "drain", "draining")
    pair.states["mycat1"]["endpoint"]["drain"] = {"by": "alice"}
    assert "main: mycat1 drains for alice, and stays so" in planned(pair).lines
    left("mycat1", "draining")(pair)
    assert not any("stays so" in line for line in planned(pair).lines)


def test_clusters_go_side_by_side_and_a_shared_mycat_once() -> None:
    pair = Pair()
    pair.expected["clusters"]["west"] = {
        **pair.main,
        "vips": {"192.0.2.101": {"instance": "mycat_2", "port": 8066}},
        "mycats": ["mycat2", "mycat3"],
    }
    pair.states["mycat3"] = mycat(3)
    pair.row("mycat3", "UP", "L7OK")
    turns = planned(pair).turns
    assert turns == [["mycat1"], ["mycat2"], ["mycat3"]]
    pair.expected["clusters"]["west"]["mycats"] = ["mycat3", "mycat4"]
    pair.states["mycat4"] = mycat(4)
    pair.row("mycat4", "UP", "L7OK")
    assert planned(pair).turns == [["mycat1", "mycat3"], ["mycat2", "mycat4"]]


REFUSED: dict[str, tuple[tuple[Break, ...], dict[str, Any], str]] = {
    "the only one": ((alone,), {}, "mycat1 is the only MyCat of the cluster main"),
    "too few": ((), {"minimum": 2}, "only 1 other MyCats of the cluster main would take sessions"),
    "the other is down": ((down("mycat2"),), {"only": ("mycat1",)}, "(not ready: mycat2)"),
    "gone": ((lose("mycat2"),), {}, "mycat2 gave Ansible no answer; start it"),
    "a load balancer is gone": ((lose("lb1"),), {}, "lb1 gave Ansible no answer, and may send"),
    "no HAProxy": ((no_haproxy,), {}, "no HAProxy of the cluster main is alive"),
    "another run": (
        (left("mycat1", "draining", under_way=True),),
        *({}, "another run is restarting mycat1, or was cut off a moment ago"),
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_would_leave_clients_without_service_is_refused(name: str) -> None:
    breaks, order, says = REFUSED[name]
    found = plan(Order(**order), *(lambda pair: (pair.expected, pair.states))(broken(*breaks)))
    assert says in " ".join(found.refusals)
    assert found.turns == []


@pytest.mark.parametrize("name", ["the only one", "too few", "a load balancer is gone"])
def test_force(name: str) -> None:
    breaks, order, _says = REFUSED[name]
    pair = broken(*breaks)
    assert plan(Order(**order, force=True), pair.expected, pair.states).refusals == []


# ---- a turn ----

QUIET = {"servers": {"mycat1": {"status": "NOLB", "sessions": 0, "first": 3}}, "problems": {}}
DRAINED = Answers(drained={"ours": True})
RESTARTED = Answers(drained={"ours": True}, restarted={"ours": True})


def judge(pair: Pair, failed: tuple[str, ...] = (), **answers: Answers) -> Judge:
    every = {host: Answers() for host in pair.states} | answers
    clusters = read_clusters(pair.expected, pair.states)
    return Judge(Order(), ["mycat1"], clusters, every, failed)


def sentence(turn: Turn) -> str:
    assert turn.hosts == []
    return turn.failures["mycat1"]


def test_a_turn_that_goes_well() -> None:
    pair = Pair()
    lbs = {"lb1": ["mycat1"], "lb2": ["mycat1"]}
    begun = judge(pair).may_drain()
    assert (begun.hosts, begun.load_balancers, begun.failures) == (["mycat1"], lbs, {})
    quiet = {lb: Answers(quiet=QUIET) for lb in lbs}
    stop = judge(pair, mycat1=DRAINED, **quiet).may_stop()
    assert (stop.hosts, stop.back, stop.failures) == (["mycat1"], [], {})
    assert stop.lines[0] == "mycat1: HAProxy on lb1 had 3 sessions there, 0 are left"
    assert judge(pair, mycat1=RESTARTED).returned().load_balancers == lbs
    up = {lb: Answers(up={"problems": {}, "servers": {}}) for lb in lbs}
    assert judge(pair, mycat1=RESTARTED, **up).seen_up().failures == {}


def test_nothing_follows_a_failure_in_the_cluster() -> None:
    assert judge(Pair(), failed=("mycat2",)).may_drain() == Turn()


def test_a_mycat_that_is_needed_meanwhile_is_not_drained() -> None:
    assert "(not ready: mycat2)" in sentence(judge(broken(down("mycat2"))).may_drain())
    assert "lb1 gave Ansible no answer" in sentence(judge(broken(lose("lb1"))).may_drain())


def test_a_mycat_of_which_a_load_balancer_knows_nothing_is_not_stopped() -> None:
    late = {"servers": QUIET["servers"], "problems": {"mycat1": "still gets sessions"}}
    for said, says in (
        (late, "mycat1 still gets sessions from HAProxy on lb2"),
        ({}, "lb2 gave Ansible no answer in the middle"),
    ):
        turn = judge(
            *(Pair(),), mycat1=DRAINED, lb1=Answers(quiet=QUIET), lb2=Answers(quiet=said)
        ).may_stop()
        assert says in sentence(turn)
        assert turn.back == ["mycat1"]


def test_a_mycat_that_vanishes_in_the_middle_is_named() -> None:
    assert "mycat1 gave Ansible no answer" in sentence(judge(Pair()).may_stop())
    assert "mycat1 gave Ansible no answer" in sentence(judge(Pair(), mycat1=DRAINED).returned())


def test_a_mycat_that_is_not_up_is_named_unless_somebody_else_drains_it() -> None:
    late = Answers(up={"problems": {"mycat1": "is DOWN 20 s after it was ready"}})
    up = Answers(up={"problems": {}})
    found = judge(Pair(), mycat1=RESTARTED, lb1=up, lb2=late).seen_up().failures
    assert "mycat1 is DOWN 20 s after it was ready in HAProxy on lb2" in found["mycat1"]
    others = Answers(drained={"ours": False}, restarted={"ours": False})
    turn = judge(Pair(), mycat1=others)
    assert turn.returned() == Turn()
    assert judge(Pair(), mycat1=others).seen_up().failures == {}
