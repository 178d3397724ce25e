# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""In which order hosts are updated. lb2 holds the VIP, lb1 is its standby."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from ansible_collections.mycat.ha.plugins.module_utils.cluster.restart import Order, Rolling
from ansible_collections.mycat.ha.plugins.module_utils.cluster.update import (
    Work,
    may_leave,
    plan,
    work_of,
)

sys.path.append(str(Path(__file__).parents[1] / "report"))
from faults import kill_haproxy, lose
from pair import VIP, Break, Pair, broken

NEWER = Work({"keepalived": ("1", "2")})
ALL = dict.fromkeys(("lb2", "lb1", "mycat1", "mycat2"), NEWER)


def planned(
    *breaks: Break, work: dict[str, Work] | None = None, force: bool = False, minimum: int = 1
) -> Rolling:
    pair = broken(*breaks)
    order = Order(force=force, minimum=minimum)
    return plan(order, ALL if work is None else work, pair.expected, pair.states)


def alone(pair: Pair) -> None:
    pair.main["load_balancers"] = ["lb2"]


def test_mycats_first_and_the_holder_last() -> None:
    found = planned()
    assert (found.refusals, found.turns) == ([], [["mycat1"], ["mycat2"], ["lb1"], ["lb2"]])
    assert found.lines[-1] == "main: lb2: keepalived 2"


def test_a_host_without_work_is_left_alone() -> None:
    assert planned(work={"lb2": NEWER, "lb1": Work(), "mycat1": Work(reboot=True)}).turns == [
        ["mycat1"],
        ["lb2"],
    ]
    assert planned(work={}).lines == ["main: nothing to update"]
    assert planned(lose("lb1"), work={"lb1": NEWER}).turns == []


def test_a_host_that_is_both_has_one_turn() -> None:
    def together(pair: Pair) -> None:
        pair.main["mycats"] = ["lb1", "lb2"]

    assert planned(together).turns == [["lb1"], ["lb2"]]


@pytest.mark.parametrize(
    ("breaks", "minimum", "says"),
    [
        ((alone,), 1, "lb2 is the only load balancer of the cluster main"),
        ((), 2, "mycat_ha_minimum_mycats is 2"),
    ],
)
def test_what_would_leave_clients_without_service_is_refused(
    breaks: tuple[Break, ...], minimum: int, says: str
) -> None:
    found = planned(*breaks, minimum=minimum)
    assert says in " ".join(found.refusals)
    assert found.turns == []
    assert planned(*breaks, minimum=minimum, force=True).refusals == []


def test_work() -> None:
    listed = {"updates": {"haproxy": ["1", "2"]}, "reboot_required": True}
    found = work_of(
        {"lb1": listed, "lb2": {"updates": {}, "reboot_required": True}, "lb3": None},
        *(["lb2"], "needed", ["lb3"]),
    )
    assert found["lb1"].words() == "haproxy 2, reboot"
    assert found["lb2"].words() == "configuration, reboot"
    assert found["lb3"].words() == "what an earlier run left"
    assert not work_of({"lb1": {"updates": {}}}, [], "no", [])["lb1"]
    assert work_of({"lb1": {"updates": {}}}, [], "yes", [])["lb1"].reboot
    many = Work({f"p{number}": ("1", "2") for number in range(6)})
    assert many.words() == "p0 2, p1 2, p2 2, p3 2, 2 more packages"


def test_a_load_balancer_leaves_only_where_another_serves() -> None:
    pair = Pair()
    found = may_leave(Order(), ["lb1", "mycat1"], pair.expected, pair.states, [])
    assert (found.hosts, found.failures) == (["lb1"], {})
    assert found.vips["lb1"] == [{"address": VIP, "port": 8066}]
    sick = broken(kill_haproxy("lb1"))
    found = may_leave(Order(), ["lb2"], sick.expected, sick.states, [])
    assert found.hosts == []
    assert f"no other load balancer could serve {VIP}: lb1 has no HAProxy" in found.failures["lb2"]
    assert may_leave(Order(), ["lb1"], pair.expected, pair.states, ["mycat2"]).hosts == []
