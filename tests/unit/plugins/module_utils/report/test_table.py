# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import copy
from typing import Any

import pytest
from ansible_collections.mycat.ha.plugins.module_utils.report.judge import judge
from ansible_collections.mycat.ha.plugins.module_utils.report.table import table
from faults import (
    CASES,
    all_drain,
    kill_haproxy,
    lose,
    maintenance,
    silence_all,
    stop_keepalived,
)
from pair import VIP, Pair, broken, report


def lines(pair: Pair, **more: Any) -> list[str]:
    return table(report(pair, **more))


def test_a_good_pair_is_one_line() -> None:
    standing = f"VIP {VIP} on lb2 since 00:13 (2 h) | standby lb1 | MyCats 2/2"
    assert lines(Pair()) == [f"{standing} | 9.8 s"]
    assert lines(Pair(), changed={}) == [f"{standing} | nothing changed | 9.8 s"]
    done = {"lb1": ["haproxy reloaded"], "lb2": ["haproxy reloaded", "keepalived reloaded"]}
    changed = "changed: haproxy reloaded on lb1, lb2; keepalived reloaded on lb2"
    assert lines(Pair(), changed=done) == [f"{standing} | {changed} | 9.8 s"]


def test_check_mode_says_what_a_run_would_change() -> None:
    (line,) = lines(Pair(), changed={"lb1": ["change"], "lb2": ["change"]}, check_mode=True)
    assert line.endswith("| would change lb1, lb2 | 9.8 s")
    (line,) = lines(Pair(), changed={}, check_mode=True)
    assert line.endswith("| nothing to change | 9.8 s")


@pytest.mark.parametrize(
    ("since", "shown"),
    [
        ("2026-11-26T03:00:01Z", "since 03:00 (8 s)"),
        ("2026-11-26T03:00:05.25+00:00", "since 03:00 (4 s)"),
        ("2026-11-26T03:00:40Z", "since 03:00 (0 s)"),
        ("2026-11-26T02:57:00Z", "since 02:57 (3 min)"),
        ("2026-11-20T02:57:00Z", "since 2026-11-20 02:57 (6 d)"),
        ("yesterday", "since yesterday"),
        (None, "lb2 | standby"),
    ],
)
def test_the_age_is_of_the_end_of_the_run(since: str | None, shown: str) -> None:
    pair = broken(lambda pair: pair.instance("lb2", since=since))
    assert shown in lines(pair)[0]


@pytest.mark.parametrize(
    ("breaks", "shown"),
    [
        pytest.param(
            (maintenance("lb1"), maintenance("lb2"), silence_all),
            f"VIP {VIP} on nobody, DOES NOT SERVE | standby none | MyCats 2/2 | 9.8 s",
            id="nobody",
        ),
        pytest.param(
            CASES["two that hear nothing"][0],
            f"VIP {VIP} on lb1 and lb2, DOES NOT SERVE | standby none | MyCats 2/2 | 9.8 s",
            id="two",
        ),
        pytest.param(
            CASES["a former member"][0],
            f"VIP {VIP} on lb3, DOES NOT SERVE | standby lb1, lb2 | MyCats 2/2 | 9.8 s",
            id="stranger",
        ),
        pytest.param(
            (all_drain,),
            f"VIP {VIP} on lb2 since 00:13 (2 h), DOES NOT SERVE | standby lb1 | MyCats 0/2"
            " | 9.8 s",
            id="silent",
        ),
        pytest.param(
            (kill_haproxy("lb1"), kill_haproxy("lb2"), lose("mycat1")),
            f"VIP {VIP} on lb2 since 00:13 (2 h) | standby none | MyCats 0/2 | 9.8 s",
            id="unseen",
        ),
        pytest.param(
            CASES["firewall before the endpoint"][0],
            f"VIP {VIP} on lb2 since 00:13 (2 h) | standby lb1 | MyCats 1/2 | 9.8 s",
            id="one-side",
        ),
    ],
)
def test_the_line_of_a_vip(breaks: Any, shown: str) -> None:
    assert lines(broken(*breaks))[0] == shown


def test_problems_come_worst_first_with_their_fix() -> None:
    pair = broken(stop_keepalived("lb1"), silence_all, *CASES["the host's own words"][0])
    pair.main["notes"] = ["haproxy_maxcon: unknown"]
    told = lines(pair)[1:]
    assert [line.split(":")[0] for line in told] == [
        "ERROR lb1",
        "DEGRADED lb2",
        "DEGRADED lb1",
        "WARNING lb1",
        "WARNING",
    ]
    assert told[2] == (
        "DEGRADED lb1: does not run keepalived. Read `journalctl -u keepalived -n 50` on lb1, mend "
        "what it names, then `systemctl restart keepalived`."
    )
    assert told[4] == "WARNING: haproxy_maxcon: unknown. Change the inventory as the note says."


def test_allowed_degradation_reads_as_a_warning() -> None:
    pair = broken(stop_keepalived("lb1"))
    pair.main["allow_degraded"] = True
    assert {line.split(" ")[0] for line in lines(pair)[1:]} == {"WARNING"}


def test_several_clusters_have_their_names_before_them() -> None:
    pair = broken(stop_keepalived("lb1"))
    pair.expected["clusters"]["other"] = copy.deepcopy(pair.main)
    told = lines(pair)
    names = ["main", "other", *("main", "main"), *("other", "other")]
    assert [line.split(": ")[0] for line in told] == names
    assert told[0].startswith(f"main: VIP {VIP} on lb2")
    assert [line.endswith(" | 9.8 s") for line in told[:2]] == [False, True]


def test_no_more_than_a_screen() -> None:
    pair = Pair()
    pair.states["lb1"]["problems"] = [f"trouble {number}" for number in range(30)]
    told = lines(pair)
    assert len(told) == 18
    assert told[-1] == "and 14 more, in the report (-e mycat_ha_report=PATH)"


def test_nothing_is_said_to_be_nothing() -> None:
    empty = judge({}, {}, playbook="site", started=0, seconds=1)
    assert table(empty) == ["no virtual IP was proven | 1 s"]
