# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A cluster of two load balancers and two MyCats in good health, to be broken by a test."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from ansible_collections.mycat.ha.plugins.module_utils.report.judge import judge

VIP = "192.0.2.100"
ASKED = f"{VIP}:8066"
STARTED = 1795662000.0  # 2026-11-26T03:00:00Z

EXPECTED: dict[str, Any] = {
    "clusters": {
        "main": {
            "vips": {VIP: {"instance": "mycat_1", "port": 8066}},
            "load_balancers": ["lb1", "lb2"],
            "mycats": ["mycat1", "mycat2"],
            "allow_degraded": False,
            "notes": [],
        }
    }
}


def balancer(number: int, state: str) -> dict[str, Any]:
    """What host_state says on lb1, lb2, ..."""
    own, master = f"192.0.2.{10 + number}", state == "MASTER"
    instance = {
        "name": "mycat_1",
        "state": state,
        "since": "2026-11-26T00:13:00Z",
        "priority": 100,
        "effective_priority": None,
        "virtual_router_id": 100,
        "interface": "eth0",
        "virtual_ipaddress": [f"{VIP}/24 dev eth0"],
        "virtual_ipaddress_excluded": [],
        "held": [VIP] if master else [],
    }
    return {
        "addresses": ["127.0.0.1", own, *([VIP] if master else [])],
        "keepalived": {
            "running": True,
            "version": "2.2.7",
            "loaded_is_file": True,
            "instances": [instance],
        },
        "haproxy": {
            "alive": True,
            "version": "2.6.12",
            "loaded_is_file": True,
            "servers": [server("FRONTEND", "OPEN", ""), server("mycat1"), server("mycat2")],
        },
        "endpoint": None,
        "asked": {ASKED: "ok"},
        "maintenance": False,
        "problems": [],
    }


def server(name: str, status: str = "UP", check: str = "L7OK", last: str = "") -> dict[str, Any]:
    """A row of HAProxy's statistics."""
    return {
        "proxy": "mycat",
        "server": name,
        "status": status,
        "check_status": check,
        "last_chk": last,
    }


def mycat(number: int, status: str = "up", reason: str = "greeting") -> dict[str, Any]:
    """What host_state says on mycat1, mycat2, ..."""
    return {
        "addresses": ["127.0.0.1", f"192.0.2.{20 + number}"],
        "keepalived": None,
        "haproxy": None,
        "endpoint": {"code": 200, "status": status, "level": "greeting", "reason": reason},
        "asked": {ASKED: "ok"},
        "problems": [],
    }


class Pair:
    """The good pair; tests change ``states`` and ``expected`` in place."""

    def __init__(self) -> None:
        self.expected = copy.deepcopy(EXPECTED)
        self.states: dict[str, Any] = {
            "lb1": balancer(1, "BACKUP"),
            "lb2": balancer(2, "MASTER"),
            "mycat1": mycat(1),
            "mycat2": mycat(2),
        }

    @property
    def main(self) -> dict[str, Any]:
        return self.expected["clusters"]["main"]

    def drop_vip(self, *hosts: str) -> None:
        for host in hosts:
            self.states[host]["addresses"].remove(VIP)

    def give_vip(self, *hosts: str, vip: str = VIP) -> None:
        for host in hosts:
            self.states[host]["addresses"].append(vip)

    def instance(self, host: str, **values: Any) -> None:
        self.states[host]["keepalived"]["instances"][0].update(values)

    def fault(self, *hosts: str) -> None:
        """The hosts' instances in FAULT, and the address nowhere among them."""
        for host in hosts:
            self.instance(host, state="FAULT")
            if VIP in self.states[host]["addresses"]:
                self.drop_vip(host)

    def silent(self, *hosts: str, reason: str = "timed out") -> None:
        for host in hosts:
            self.states[host]["asked"][ASKED] = reason

    def row(self, name: str, status: str, check: str, last: str = "", on: str = "") -> None:
        """A MyCat's row in the HAProxy of both load balancers, or of one."""
        for host in [on] if on else ["lb1", "lb2"]:
            rows = self.states[host]["haproxy"]["servers"]
            rows[:] = [one for one in rows if one["server"] != name]
            if status:
                rows.append(server(name, status, check, last))


Break = Callable[[Pair], Any]


def report(pair: Pair, **more: Any) -> dict[str, Any]:
    return judge(pair.expected, pair.states, playbook="site", started=STARTED, seconds=9.84, **more)


def main(pair: Pair, **more: Any) -> dict[str, Any]:
    return report(pair, **more)["clusters"]["main"]


def broken(*breaks: Break) -> Pair:
    pair = Pair()
    for one in breaks:
        one(pair)
    return pair


def problem(pair: Pair, kind: str, host: str | None = None) -> dict[str, Any]:
    """The only problem of that kind (on that host)."""
    (found,) = [
        one for one in main(pair)["problems"] if one["kind"] == kind and host in (None, one["host"])
    ]
    return found


def kinds(pair: Pair) -> list[str]:
    return [one["kind"] for one in main(pair)["problems"]]
