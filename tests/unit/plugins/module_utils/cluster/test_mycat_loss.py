# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan chooses when MyCats are checked, so that one that hangs is out within the budget."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.mycat.ha.plugins.module_utils.cluster.members import Members
from ansible_collections.mycat.ha.plugins.module_utils.cluster.plan import Result, make
from inventories import lb, mycat, planned, request

BUDGET = "mycat_ha_mycat_loss_budget"


def default_server(result: Result, name: str = "lb1") -> str:
    text = result.hosts[name]["haproxy"]["text"]
    return next(line.strip() for line in text.splitlines() if "default-server" in line)


def endpoint(result: Result, name: str = "mycat1") -> dict[str, Any]:
    files = {row["path"]: row for row in result.hosts[name]["mycat_status"]["files"]}
    return json.loads(files["/etc/mycat_status/mycat_status.json"]["content"])


def bounds(result: Result) -> dict[str, float]:
    return result.run["expected"]["clusters"]["main"]["bounds"]


def test_the_default() -> None:
    result = planned([lb(11), lb(12), mycat(21)])
    assert "inter 1s fastinter 250ms" in default_server(result)
    assert endpoint(result)["check_timeout"] == 1.0
    assert endpoint(result)["recovery_time"] == 3.5
    assert bounds(result)["mycat_hang"] == 3.25
    assert bounds(result)["mycat_pause"] == 2.25
    assert bounds(result)["node_loss"] <= 4


def test_a_shorter_budget_checks_more_often_and_gives_up_sooner() -> None:
    """It is set for the load balancers alone, and counts for the endpoints as well."""
    result = planned([lb(11, **{BUDGET: 1.75}), lb(12, **{BUDGET: 1.75}), mycat(21)])
    assert "inter 500ms fastinter 125ms" in default_server(result)
    assert endpoint(result)["check_timeout"] == 0.5
    assert bounds(result)["mycat_hang"] < 1.75


def test_of_several_clusters_the_shortest_budget_counts_for_a_mycat() -> None:
    hosts = [
        *(lb(last, mycat_ha_vip="192.0.2.100/24") for last in (11, 12)),
        *(lb(last, mycat_ha_vip="192.0.2.101/24", **{BUDGET: 1.75}) for last in (13, 14)),
        mycat(21),
    ]
    both = [
        Members("east", ("lb1", "lb2"), ("mycat1",)),
        Members("west", ("lb3", "lb4"), ("mycat1",)),
    ]
    result = planned(hosts, both)
    assert endpoint(result)["check_timeout"] == 0.5
    assert "inter 1s" in default_server(result, "lb1")


def test_what_is_set_wins() -> None:
    hosts = [lb(11, haproxy_check_inter="2s"), lb(12), mycat(21, mycat_status_check_timeout=0.4)]
    result = planned(hosts)
    assert "inter 2s fastinter 250ms" in default_server(result)
    assert endpoint(result)["check_timeout"] == 0.4


def test_a_longer_check_is_awaited_by_haproxy() -> None:
    result = planned([lb(11, **{BUDGET: 14}), lb(12, **{BUDGET: 14}), mycat(21)])
    assert "timeout check 6875ms" in result.hosts["lb1"]["haproxy"]["text"]
    assert endpoint(result)["check_timeout"] == 5.875


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({BUDGET: 0.5}, "is 0.5; write 1 or more seconds"),
        ({BUDGET: 3, "haproxy_check_inter": "2s"}, "after up to 3.93 s; write 3.93 or more"),
        ({BUDGET: 3, "haproxy_check_fall": 4}, "a MyCat that hangs is out after up to 4.93 s"),
    ],
)
def test_a_budget_that_cannot_be_kept_is_refused(settings: dict[str, Any], problem: str) -> None:
    (refusal,) = make(request([lb(11, **settings), lb(12, **settings), mycat(21)])).refusals
    assert refusal.startswith(f"{BUDGET}: ")
    assert problem in refusal


def test_a_wrong_time_is_refused_by_its_own_name() -> None:
    hosts = [lb(11, haproxy_check_inter="1 s"), lb(12, haproxy_check_inter="1 s"), mycat(21)]
    (refusal,) = make(request(hosts)).refusals
    assert refusal.startswith("haproxy_check_inter: ")
