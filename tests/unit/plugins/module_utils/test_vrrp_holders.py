# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.mycat.ha.plugins.module_utils.vrrp_holders import Held, verdict

VIP = "192.0.2.100/24"


def info(state: str, *held: str, running: bool = True) -> dict[str, Any]:
    instance = {
        "name": "VI_1",
        "state": state,
        "virtual_ipaddress": [VIP],
        "virtual_ipaddress_excluded": ["2001:db8::7"],
        "held": list(held),
    }
    return {"running": running, "instances": [instance]}


BOTH = (VIP, "2001:db8::7")
STOPPED = info("stopped", running=False)

CLUSTERS = {
    "a holder and a standby": (info("BACKUP"), info("MASTER", *BOTH), []),
    "the other way round": (info("MASTER", *BOTH), info("BACKUP"), []),
    "the other one is in FAULT": (info("MASTER", *BOTH), info("FAULT"), []),
    "nobody": (
        info("BACKUP"),
        info("BACKUP"),
        ["nobody has 192.0.2.100", "nobody has 2001:db8::7"],
    ),
    "both": (
        info("MASTER", *BOTH),
        info("MASTER", VIP),
        ["lb1 and lb2 have 192.0.2.100 at once"],
    ),
    "left by a keepalived that was killed": (
        info("MASTER", *BOTH),
        info("stopped", VIP, running=False),
        ["lb1 and lb2 have 192.0.2.100 at once"],
    ),
    "FAULT": (info("FAULT"), info("MASTER", *BOTH), ["VI_1 is in FAULT on lb1"]),
    "stopped": (STOPPED, info("MASTER", *BOTH), ["keepalived does not run on lb1"]),
    "part of its addresses": (
        info("BACKUP"),
        info("MASTER", VIP),
        ["nobody has 2001:db8::7"],
    ),
    "a host that does not answer": (
        info("MASTER", *BOTH),
        {"failed": True, "msg": "it is gone"},
        ["lb2 did not tell: it is gone"],
    ),
    "the host itself does not answer": (
        {"failed": True, "msg": "it is gone"},
        info("MASTER", *BOTH),
        ["lb1 did not tell: it is gone"],
    ),
}


@pytest.mark.parametrize(("one", "two", "problems"), CLUSTERS.values(), ids=CLUSTERS)
def test_problems(one: dict[str, Any], two: dict[str, Any], problems: list[str]) -> None:
    assert list(verdict({"lb1": one, "lb2": two}, "lb1").problems) == problems


def test_what_was_in_fault_before_may_be() -> None:
    former = info("FAULT")["instances"]
    infos = {"lb1": info("FAULT"), "lb2": info("MASTER", *BOTH)}
    assert verdict(infos, "lb1", former).problems == ()
    assert verdict({**infos, "lb1": STOPPED}, "lb1", former).problems


def test_each_address_is_looked_at_from_another_host() -> None:
    infos = {"lb1": info("MASTER", VIP), "lb2": info("BACKUP"), "lb3": info("BACKUP", BOTH[1])}
    assert verdict(infos, "lb1").held == (
        Held("192.0.2.100", "lb1", "lb2"),
        Held("2001:db8::7", "lb3", "lb1"),
    )


def test_a_cluster_of_one() -> None:
    assert verdict({"lb1": info("MASTER", VIP)}, "lb1").held[0].seen_from == "lb1"
