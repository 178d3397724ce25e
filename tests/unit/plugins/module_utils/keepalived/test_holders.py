# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.mycat.ha.plugins.module_utils.keepalived.holders import problems

VIP, VIP_6 = "192.0.2.100", "2001:db8::7"
BOTH = (f"{VIP}/24", VIP_6)
MAC = "02:00:00:00:00:02"
MEMBERS = {
    "lb1": ["192.0.2.1", "02:00:00:00:00:01"],
    "lb2": ["192.0.2.2", MAC.upper()],
    "lb3": ["192.0.2.3", "02:00:00:00:00:03"],
}


def info(state: str, *held: str) -> dict[str, Any]:
    instance = {
        "name": "VI_1",
        "state": state,
        "virtual_router_id": 51,
        "virtual_ipaddress": [f"{VIP}/24"],
        "virtual_ipaddress_excluded": [VIP_6],
        "held": list(held),
    }
    return {"running": state != "stopped", "instances": [instance]}


def probe(*macs: str, masters: tuple[tuple[str, int], ...] = ()) -> dict[str, Any]:
    heard = [{"address": one, "virtual_router_id": number} for one, number in masters]
    return {"holders": {VIP: list(macs), VIP_6: list(macs)}, "masters": heard}


OTHER = probe(MAC, masters=(("192.0.2.2", 51),))
CLUSTERS = {
    "the holder": (info("MASTER", *BOTH), probe(), []),
    "a standby": (info("BACKUP"), OTHER, []),
    "nobody": (info("BACKUP"), probe(), [f"nobody has {VIP}", f"nobody has {VIP_6}"]),
    "nobody is to be": (
        info("MASTER"),
        probe(),
        [f"nobody has {VIP}", f"nobody has {VIP_6}"],
    ),
    "part of its addresses": (info("MASTER", BOTH[0]), probe(), [f"nobody has {VIP_6}"]),
    "two": (
        info("MASTER", *BOTH),
        OTHER,
        [
            "lb1 and lb2 are master of VI_1 at once",
            f"lb1 and lb2 have {VIP} at once",
            f"lb1 and lb2 have {VIP_6} at once",
        ],
    ),
    "two others": (
        info("BACKUP"),
        probe(MAC, "02:00:00:00:00:03"),
        [f"lb2 and lb3 have {VIP} at once", f"lb2 and lb3 have {VIP_6} at once"],
    ),
    "two others with a virtual MAC": (
        info("BACKUP"),
        probe("00:00:5e:00:01:33", masters=(("192.0.2.2", 51), ("192.0.2.3", 51))),
        ["lb2 and lb3 are master of VI_1 at once"],
    ),
    "itself and a virtual MAC": (
        info("MASTER", *BOTH),
        probe("00:00:5e:00:01:33"),
        [
            f"a load balancer and lb1 have {VIP} at once",
            f"a load balancer and lb1 have {VIP_6} at once",
        ],
    ),
    "a stranger": (
        info("MASTER", BOTH[0], VIP_6),
        {"holders": {VIP: ["02:00:00:00:00:63"]}, "masters": []},
        [f"02:00:00:00:00:63 and lb1 have {VIP} at once"],
    ),
    "other routers": (
        info("MASTER", *BOTH),
        probe(masters=(("192.0.2.9", 52), ("fe80::9", 51))),
        [],
    ),
    "FAULT": (info("FAULT"), OTHER, ["VI_1 is in FAULT on lb1"]),
    "stopped": (info("stopped"), OTHER, ["keepalived does not run on lb1"]),
}


@pytest.mark.parametrize(("here", "network", "expected"), CLUSTERS.values(), ids=CLUSTERS)
def test_problems(here: dict[str, Any], network: dict[str, Any], expected: list[str]) -> None:
    assert list(problems("lb1", here, network, MEMBERS)) == expected


def test_what_was_in_fault_before_may_be() -> None:
    former = info("FAULT")["instances"]
    assert problems("lb1", info("FAULT"), OTHER, MEMBERS, former) == ()
    assert problems("lb1", info("stopped"), OTHER, MEMBERS, former) != ()
    assert problems("lb1", info("FAULT"), probe(), MEMBERS, former) != ()
