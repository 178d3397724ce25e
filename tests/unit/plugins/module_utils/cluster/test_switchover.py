# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who gives which addresses up, and when nobody may. lb2 holds the VIP, lb1 is its standby."""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable
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
from faults import kill_haproxy, lose, maintenance, silence_all, stop_keepalived
from pair import VIP, Break, Pair, balancer, broken

TO, LEAVE = "mycat_ha_to", "mycat_ha_leave"
OUT, BACK = "mycat_ha_maintenance", "mycat_ha_maintenance_end"


def wished(pair: Pair, verb: str, host: str, **more: Any) -> Steps:
    members = Members("main", tuple(pair.main["load_balancers"]), ("mycat1", "mycat2"))
    return steps([Wish(verb, host, members, **more)], pair.expected, pair.states)


def third(pair: Pair) -> None:
    pair.main["load_balancers"].append("lb3")
    pair.states["lb3"] = balancer(3, "BACKUP")


def handing_over(host: str) -> Break:
    return lambda pair: pair.states[host].update(handing_over=True)


def preferred(home: str) -> Break:
    return lambda pair: pair.main.update(homes={VIP: home})


def test_a_holder_gives_up_and_the_target_is_known() -> None:
    found = wished(Pair(), TO, "lb1")
    assert (found.refusals, found.give_up, found.aside, found.drain) == ([], ["lb2"], [], [])
    assert found.targets == {"main": {VIP: "lb1"}}
    assert found.vips["lb2"] == [{"address": VIP, "port": 8066}]
    assert found.lines == [f"main: {VIP} goes from lb2 to lb1"]


def test_sessions_get_their_time_only_where_that_is_asked() -> None:
    assert wished(Pair(), LEAVE, "lb2", drain=5.0).drain == ["lb2"]
    assert wished(Pair(), OUT, "lb2", drain=5.0).drain == ["lb2"]
    assert wished(Pair(), OUT, "lb1", drain=5.0).drain == []


def test_other_standbys_step_aside() -> None:
    assert wished(broken(third), TO, "lb3").aside == ["lb1"]
    assert wished(broken(third, maintenance("lb1")), TO, "lb3").aside == []
    # Anybody may take it.
    assert wished(broken(third), LEAVE, "lb2").aside == []


@pytest.mark.parametrize(("verb", "host"), [(TO, "lb2"), (LEAVE, "lb1")])
def test_nothing_is_done_twice(verb: str, host: str) -> None:
    found = wished(Pair(), verb, host)
    assert (found.refusals, found.give_up) == ([], [])
    assert "already" in found.lines[0]


def test_maintenance_begins_and_ends() -> None:
    begun = wished(Pair(), OUT, "lb2")
    assert (begun.out, begun.give_up, begun.targets) == (["lb2"], [], {"main": {VIP: ""}})
    assert wished(broken(maintenance("lb1")), BACK, "lb1").back == ["lb1"]


REFUSED: dict[str, tuple[tuple[Break, ...], str, str, str]] = {
    "no HAProxy": ((kill_haproxy("lb1"),), TO, "lb1", "lb1 has no HAProxy that is alive"),
    "no keepalived": ((stop_keepalived("lb1"),), TO, "lb1", "lb1 does not run keepalived"),
    "in maintenance": ((maintenance("lb1"),), TO, "lb1", "lb1 is in maintenance. End the"),
    "unknown": ((lose("lb1"),), TO, "lb1", "lb1 gave Ansible no answer in this run"),
    "unknown holder": ((lose("lb2"),), TO, "lb1", "lb2 gave Ansible no answer in this run"),
    "sees no MyCat": (
        (lambda pair: [pair.row(f"mycat{n}", "DOWN", "L4TOUT", on="lb1") for n in (1, 2)],),
        *(TO, "lb1", "mycat1 is DOWN in HAProxy on lb1"),
    ),
    "sees one MyCat less": (
        (lambda pair: pair.row("mycat1", "DOWN", "L4TOUT", on="lb1"),),
        *(TO, "lb1", "mycat1 is DOWN in HAProxy on lb1"),
    ),
    "nobody to leave it to": (
        (kill_haproxy("lb1"),),
        *(LEAVE, "lb2", f"no other load balancer could serve {VIP}: lb1 has no HAProxy"),
    ),
    "two holders": ((lambda pair: pair.give_vip("lb1"),), TO, "lb1", "have 192.0.2.100 at once"),
    "it would return": ((preferred("lb2"),), TO, "lb1", "would return to lb2 at once"),
    "it would return to who it leaves": ((preferred("lb2"),), LEAVE, "lb2", "would return to lb2"),
    "another one is at it": ((handing_over("lb2"),), TO, "lb1", "of lb2 is under way"),
    "another one is at it, maintenance": ((handing_over("lb2"),), OUT, "lb1", "is under way"),
    "the last one": ((maintenance("lb1"),), OUT, "lb2", "Or set mycat_ha_force=yes"),
    "maintenance of an unknown host": ((lose("lb1"),), OUT, "lb1", "gave Ansible no answer"),
    "its end": ((lose("lb1"),), BACK, "lb1", "gave Ansible no answer"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_would_leave_clients_without_service_is_refused(name: str) -> None:
    breaks, verb, host, says = REFUSED[name]
    found = wished(broken(*breaks), verb, host)
    assert found.refusals, found
    assert all(one.startswith(f"{verb}: ") for one in found.refusals)
    assert says in " ".join(found.refusals)
    assert [*found.give_up, *found.out, *found.back, *found.aside] == []


ALLOWED: dict[str, tuple[tuple[Break, ...], str, str]] = {
    "a VIP that does not serve may move": ((silence_all,), TO, "lb1"),
    "a MyCat that is down for all": (
        (lambda pair: pair.row("mycat1", "DOWN", "L7STS"),),
        *(TO, "lb1"),
    ),
    "where it returns anyway": ((preferred("lb1"),), TO, "lb1"),
    "away from where it does not return": ((preferred("lb1"),), LEAVE, "lb2"),
    "a sick standby for work": ((kill_haproxy("lb1"),), OUT, "lb1"),
}


@pytest.mark.parametrize("name", ALLOWED)
def test_what_harms_nobody_is_not_refused(name: str) -> None:
    breaks, verb, host = ALLOWED[name]
    found = wished(broken(*breaks), verb, host)
    assert found.refusals == []
    assert found.give_up + found.out


def test_force_takes_the_last_one_out() -> None:
    found = wished(broken(maintenance("lb1")), OUT, "lb2", force=True)
    assert (found.refusals, found.out, found.targets) == ([], ["lb2"], {"main": {}})


def moved(pair: Pair) -> None:
    for host, state in (("lb1", "MASTER"), ("lb2", "BACKUP")):
        pair.states[host] = balancer(int(host[-1]), state)


@pytest.mark.parametrize(
    ("verb", "host", "after", "says"),
    [
        (TO, "lb1", moved, []),
        (LEAVE, "lb2", moved, []),
        (TO, "lb1", third, [f"{VIP} did not go to lb1: it is on lb2"]),
        (OUT, "lb2", third, [f"{VIP} did not go to another load balancer: it is on lb2"]),
        (
            *(LEAVE, "lb2", lambda pair: pair.drop_vip("lb2")),
            [f"{VIP} did not go to another load balancer: it is on no load balancer"],
        ),
    ],
)
def test_what_did_not_move_is_named(
    verb: str, host: str, after: Callable[[Pair], Any], says: list[str]
) -> None:
    pair = Pair()
    done = copy.deepcopy(wished(pair, verb, host).as_data())
    after(pair)
    assert not_there(done, pair.expected, pair.states) == says
