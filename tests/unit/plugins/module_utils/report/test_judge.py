# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from ansible_collections.mycat.ha.plugins.module_utils.report.judge import (
    judge,
    new_problems,
    settled,
)
from faults import (
    CASES,
    all_down,
    kill_haproxy,
    lose,
    not_installed,
    silence_all,
    stop_keepalived,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pair import ASKED, VIP, Break, Pair, balancer, broken, kinds, main, mycat, problem, report

# ---- the good pair ----


def test_a_good_pair_has_no_problem() -> None:
    result = report(Pair())
    assert result == {
        "schema": 1,
        "playbook": "site",
        "check_mode": False,
        "started": "2026-11-26T03:00:00Z",
        "seconds": 9.8,
        "ok": True,
        "clusters": {"main": result["clusters"]["main"]},
    }
    cluster = result["clusters"]["main"]
    assert cluster["problems"] == []
    assert cluster["ok"]
    assert not cluster["degraded"]
    assert cluster["changed"] is None
    assert cluster["moves"] == []
    assert cluster["vips"] == {
        VIP: {
            "instance": "mycat_1",
            "port": 8066,
            "holder": "lb2",
            "holders": ["lb2"],
            "strangers": [],
            "standby": ["lb1"],
            "since": "2026-11-26T00:13:00Z",
            "serves": True,
            "asked": {"lb1": "ok", "lb2": "ok", "mycat1": "ok", "mycat2": "ok"},
        }
    }
    assert cluster["load_balancers"]["lb1"] == {
        "reachable": True,
        "maintenance": False,
        "instances": {
            "mycat_1": {
                "state": "BACKUP",
                "since": "2026-11-26T00:13:00Z",
                "priority": 100,
                "effective_priority": None,
                "virtual_router_id": 100,
            }
        },
        "haproxy": {"alive": True, "loaded_is_file": True, "version": "2.6.12"},
        "keepalived": {"running": True, "version": "2.2.7", "loaded_is_file": True},
    }
    assert cluster["mycats"]["mycat1"] == {
        "reachable": True,
        "seen": {"lb1": "UP", "lb2": "UP"},
        "health": {"status": "up", "level": "greeting", "reason": "greeting"},
        "draining": False,
    }
    assert settled(Pair().states, Pair().expected)


def test_nothing_that_was_proven_is_not_ok() -> None:
    assert judge({}, {}, playbook="site", started=0, seconds=0)["ok"] is False


# ---- what serves, what counts as redundant ----


def test_allowed_degradation_is_ok() -> None:
    pair = broken(stop_keepalived("lb1"))
    assert not main(pair)["ok"]
    pair.main["allow_degraded"] = True
    assert main(pair)["ok"]
    assert main(pair)["degraded"]
    silence_all(pair)
    assert not main(pair)["ok"]


def test_without_another_load_balancer_one_mycat_host_is_enough() -> None:
    pair = broken(lose("lb1"), lambda pair: pair.silent("mycat1"))
    assert main(pair)["vips"][VIP]["serves"]
    pair.silent("mycat2")
    assert not main(pair)["vips"][VIP]["serves"]
    found = problem(pair, "vip-silent")
    assert found["seen_by"] == ["mycat1", "mycat2"]
    assert "on lb2 (timed out), nor does mycat2: lb2 itself gets one" in found["what"]


def test_an_unreachable_host_alone_fails_nothing() -> None:
    assert main(broken(lose("mycat1")))["ok"]
    third = broken(lambda pair: pair.main["load_balancers"].append("lb3"))
    assert main(third)["ok"]
    assert not main(broken(lose("lb1")))["ok"]


def test_an_answer_without_a_holder_serves_while_a_member_is_out_of_reach() -> None:
    pair = broken(lose("lb2"))
    vip = main(pair)["vips"][VIP]
    assert vip["serves"]
    assert vip["holder"] is None
    assert kinds(pair) == ["lb-unreachable"]


@pytest.mark.parametrize(
    ("status", "check", "on"),
    [("NOLB", "L7OKC", ""), ("DOWN", "L7STS", ""), ("DRAIN", "L7OK", "lb1"), ("UP", "* L7OK", "")],
)
def test_a_mycat_that_drains_is_no_problem(status: str, check: str, on: str) -> None:
    pair = Pair()
    pair.row("mycat1", status, check, on=on)
    if not on:
        pair.states["mycat1"] = mycat(1, "drain", "draining, asked for by root")
    assert kinds(pair) == []
    assert main(pair)["mycats"]["mycat1"]["draining"]


def test_a_drained_mycat_may_be_stopped() -> None:
    pair = Pair()
    pair.states["mycat1"] = mycat(1, "down", "process: no pid file")
    pair.states["mycat1"]["endpoint"]["drain"] = {"by": "root"}
    pair.row("mycat1", "DOWN", "L7STS")
    assert kinds(pair) == ["mycat-draining"]
    assert main(pair)["ok"]


def test_a_load_balancer_may_be_a_mycat_host() -> None:
    pair = Pair()
    pair.main["mycats"] = ["lb1", "lb2"]
    for host in ("lb1", "lb2"):
        pair.row(host, "UP", "L7OK")
        pair.states[host]["endpoint"] = {"status": "up", "level": "greeting", "reason": ""}
    assert kinds(pair) == []


@pytest.mark.parametrize(
    ("spelt", "asked"),
    [("2001:db8::7", "2001:db8::7:8066"), ("2001:DB8:0::7", "[2001:db8::7]:8066")],
)
def test_addresses_are_compared_as_addresses(spelt: str, asked: str) -> None:
    pair = Pair()
    pair.main["vips"] = {spelt: {"instance": "mycat_1", "port": 8066}}
    for state in pair.states.values():
        state["asked"] = {asked: "ok"}
    pair.states["lb2"]["addresses"].append("2001:0db8::7")
    assert main(pair)["problems"] == []
    assert main(pair)["vips"][spelt]["holder"] == "lb2"


def test_an_instance_of_another_name_is_found_by_its_address() -> None:
    pair = broken(lambda pair: pair.instance("lb1", name="VI_1"))
    assert main(pair)["vips"][VIP]["standby"] == ["lb1"]


# ---- moves and changes ----


def test_a_move_names_this_runs_change() -> None:
    before, pair = Pair(), Pair()
    before.drop_vip("lb2")
    before.give_vip("lb1")
    changed = {"lb1": ["haproxy restarted"], "lb2": [], "elsewhere": ["haproxy restarted"]}
    cluster = main(pair, before=before.states, changed=changed)
    move = {"time": "2026-11-26T00:13:00Z", "vip": VIP, "from": "lb1", "to": "lb2"}
    assert cluster["moves"] == [{**move, "cause": "this run changed lb1: haproxy restarted"}]
    assert cluster["changed"] == {"lb1": ["haproxy restarted"]}
    cause = main(pair, before=before.states)["moves"][0]["cause"]
    assert cause == "not this run; `journalctl -u keepalived` on lb1 tells"


def test_a_vip_that_came_back_was_away() -> None:
    before, pair = Pair(), Pair()
    pair.instance("lb2", since="2026-11-26T03:00:07Z")
    assert main(pair, before=before.states)["moves"] == [], "lb2 was MASTER anew, lb1 never"
    pair.instance("lb1", since="2026-11-26T03:00:07Z")
    changed = {"lb2": ["haproxy restarted"]}
    assert main(pair, before=before.states, changed=changed)["moves"] == [
        {
            "time": "2026-11-26T03:00:07Z",
            "vip": VIP,
            "from": "lb1",
            "to": "lb2",
            "cause": "this run changed lb2: haproxy restarted",
        }
    ]
    pair.instance("lb2", since="2026-11-26T00:13:00Z")
    assert main(pair, before=before.states)["moves"] == [], "lb2 was MASTER all the time"


# ---- at rest ----

MOTION: dict[str, tuple[Break, ...]] = {
    "no state yet": (lambda pair: pair.instance("lb1", state="INIT"),),
    "master before its address": (lambda pair: pair.instance("lb1", state="MASTER"),),
    "address before master": (lambda pair: pair.instance("lb2", state="BACKUP"),),
    "nobody yet": (
        lambda pair: pair.instance("lb2", state="BACKUP"),
        lambda pair: pair.drop_vip("lb2"),
        silence_all,
    ),
    "two for a moment": (
        lambda pair: pair.instance("lb1", state="MASTER"),
        lambda pair: pair.give_vip("lb1"),
    ),
    "first check": (lambda pair: pair.row("mycat1", "DOWN", "* INI"),),
    "rising": (lambda pair: pair.row("mycat1", "DOWN 1/2", "L7OK"),),
    "falling": (lambda pair: pair.row("mycat1", "UP 1/2", "L7STS"),),
    "up soon": (lambda pair: pair.row("mycat1", "DOWN", "L7STS"),),
    "down soon": (lambda pair: pair.states.update(mycat1=mycat(1, "down")),),
    "drained soon": (lambda pair: pair.states.update(mycat1=mycat(1, "drain")),),
}


@pytest.mark.parametrize("name", MOTION)
def test_a_picture_in_motion_is_not_settled(name: str) -> None:
    pair = broken(*MOTION[name])
    assert not settled(pair.states, pair.expected)


@pytest.mark.parametrize(
    "name",
    [
        *("both in maintenance", "HAProxy runs nowhere", "MyCat stopped", "unreachable holder"),
        *("MyCat hangs and is always being checked", "MyCat host gone", "silent: all drain"),
        *("silent: no MyCat", "set to MAINT", "only the holder could ask"),
    ],
)
def test_a_fault_that_stays_is_settled(name: str) -> None:
    pair = broken(*CASES[name][0])
    assert settled(pair.states, pair.expected)


# ---- what a run broke ----

NEW: dict[str, tuple[tuple[Break, ...], tuple[Break, ...], list[str]]] = {
    "nothing": ((), (), []),
    "the standby's HAProxy": ((), (kill_haproxy("lb1"),), ["haproxy-down"]),
    "broken before": ((kill_haproxy("lb1"),), (kill_haproxy("lb1"),), []),
    "broken in another way before": (
        (kill_haproxy("lb1"),),
        (lambda pair: pair.fault("lb1"),),
        [],
    ),
    "the VIP": ((), (silence_all,), ["vip-silent"]),
    "the VIP did not serve before": ((silence_all,), (all_down,), ["mycat-down", "mycat-down"]),
    "a MyCat": ((), CASES["MyCat stopped"][0], ["mycat-down"]),
    "a MyCat that was down": (CASES["MyCat stopped"][0], CASES["MyCat stopped"][0], []),
    "a MyCat for one HAProxy more": (
        CASES["firewall before the endpoint"][0],
        (lambda pair: pair.row("mycat1", "DOWN", "L4TOUT"),),
        ["mycat-down"],
    ),
    "a host that vanished": ((), (lose("lb1"),), []),
    "a warning": ((), CASES["the host's own words"][0], []),
    "a first install without MyCats": (
        (not_installed("lb1"), not_installed("lb2"), silence_all),
        (all_down,),
        [],
    ),
}


@pytest.mark.parametrize("name", NEW)
def test_only_what_worked_before_is_a_new_problem(name: str) -> None:
    before, after, expected = NEW[name]
    found = new_problems(report(broken(*before)), report(broken(*after)))
    assert [one["kind"] for one in found] == expected
    assert {one["cluster"] for one in found} <= {"main"}


def test_one_vip_that_was_broken_does_not_hide_another() -> None:
    pair = Pair()
    pair.main["vips"]["192.0.2.101"] = {"instance": "mycat_2", "port": 8066}
    second = copy.deepcopy(pair.states["lb1"]["keepalived"]["instances"][0])
    second.update(name="mycat_2", virtual_ipaddress=["192.0.2.101"])
    for host, state in (("lb1", "FAULT"), ("lb2", "MASTER")):
        pair.states[host]["keepalived"]["instances"].append({**second, "state": state})
    pair.states["lb2"]["addresses"].append("192.0.2.101")
    for state in pair.states.values():
        state["asked"]["192.0.2.101:8066"] = "ok"
    before = report(pair)
    assert [one["kind"] for one in before["clusters"]["main"]["problems"]] == [
        "no-standby",
        "instance-fault",
    ]
    assert new_problems(before, report(pair)) == []
    stop_keepalived("lb1")(pair)
    assert [one["kind"] for one in new_problems(before, report(pair))] == ["keepalived-down"]


# ---- whatever hosts say ----

_ODD = st.sampled_from(
    [
        *(None, True, False, 0, -1, 1.5, "", "x", VIP, [], [None], [[]], [{}], [VIP], {}),
        *({"x": None}, {"": []}, {"x": {"x": {}}}, {"status": 1}, {ASKED: {}}),
        [{"name": [], "state": {}}],
    ]
)
_STATE = st.sampled_from(
    [balancer(1, "MASTER"), balancer(2, "BACKUP"), balancer(1, "FAULT"), mycat(1), mycat(2, "down")]
)
_PATHS = (
    *(("addresses",), ("asked",), ("keepalived",), ("haproxy",), ("endpoint",), ("problems",)),
    *(("keepalived", "instances"), ("keepalived", "running"), ("haproxy", "servers")),
    *(("haproxy", "alive"), ("endpoint", "status"), ("asked", ASKED), ("maintenance",)),
)


@st.composite
def odd_states(draw: st.DrawFn) -> Any:
    states = {}
    for host in ("lb1", "lb2", "lb3", "mycat1", "mycat2"):
        state = copy.deepcopy(draw(_STATE))
        for path in draw(st.lists(st.sampled_from(_PATHS), max_size=3)):
            part: Any = state
            for key in path[:-1]:
                part = part.get(key) if isinstance(part, dict) else None
            if isinstance(part, dict):
                part[path[-1]] = draw(_ODD)
        states[host] = draw(st.sampled_from([state, state, state, None]) | _ODD)
    return states


# How long a draw takes is the machine's affair.
@pytest.mark.thorough
@settings(suppress_health_check=[HealthCheck.too_slow])
@given(odd_states(), odd_states() | _ODD)
def test_whatever_hosts_say_there_is_a_report(states: Any, before: Any) -> None:
    pair = Pair()
    pair.states = states
    result = json.loads(json.dumps(report(pair, before=before, changed={"lb1": ["x"]})))
    cluster = result["clusters"]["main"]
    known = {*cluster["load_balancers"], *cluster["mycats"], *cluster["vips"][VIP]["strangers"]}
    for one in cluster["problems"]:
        assert one["host"] in known
        assert {*one["seen_by"]} <= {*known, "keepalived", "haproxy"}
        assert one["fix"][0].isupper()
        assert one["fix"].endswith(".")
        assert not one["what"].endswith(".")
    assert cluster["ok"] is (
        not {"error", "degraded"} & {p["severity"] for p in cluster["problems"]}
    )
    assert cluster["vips"][VIP]["serves"] is (
        "error" not in {p["severity"] for p in cluster["problems"]}
    )
    assert new_problems(result, result) == []
    assert settled(states, pair.expected) in (True, False)


@given(_ODD, _ODD)
def test_whatever_the_plan_says_there_is_a_report(expected: Any, cluster: Any) -> None:
    for odd in (
        expected,
        {"clusters": {"main": cluster}},
        {"clusters": {"main": {"vips": cluster}}},
    ):
        pair = Pair()
        pair.expected = odd
        json.dumps(report(pair, before=odd, changed=odd))
        settled(pair.states, odd)
