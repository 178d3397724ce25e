# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.mycat.ha.plugins.module_utils.cluster.hosts import HostView
from ansible_collections.mycat.ha.plugins.module_utils.cluster.plan import Result
from ansible_collections.mycat.ha.plugins.module_utils.host.firewall import refuses
from inventories import installed, lb, mycat, planned


def behind(kind: str | None, rules: Sequence[str] = (), **variables: Any) -> list[HostView]:
    """A pair as it was installed, each host of which has this firewall now."""
    hosts = [lb(11, **variables), lb(12, **variables), mycat(21, **variables)]
    return [
        replace(host, state={**host.state, "firewall": {"kind": kind, "rules": list(rules)}})
        for host in installed(hosts, planned(hosts))
    ]


def told(result: Result, host: str) -> list[str]:
    return [" ".join(command) for command in result.hosts[host]["firewall"]]


def test_ufw_is_told_what_the_cluster_needs() -> None:
    result = planned(behind("ufw"))
    assert told(result, "lb1") == ["ufw allow from 192.0.2.12 proto vrrp", "ufw allow 8066/tcp"]
    assert told(result, "mycat1") == [
        f"ufw allow from 192.0.2.{last} to any port {port} proto tcp"
        for port in (48700, 8066)
        for last in (100, 11, 12)  # the VIP may be the source, too
    ]
    assert result.run["waves"] == [["mycat1"], ["lb2"], ["lb1"]]


def test_the_order_of_roles_that_change_tells_nothing() -> None:
    result = planned(behind("ufw"), changing=["keepalived", "mycat_status", "haproxy", "mycat"])
    assert told(result, "lb1")
    assert told(planned(behind("ufw"), changing=["haproxy"]), "lb1") == []


def test_firewalld_is_told_for_now_and_for_later() -> None:
    result = planned(behind("firewalld"))
    assert told(result, "lb1") == [
        f"firewall-cmd {when}--add-rich-rule={rule}"
        for rule in (
            'rule family="ipv4" source address="192.0.2.12" protocol value="vrrp" accept',
            'rule port port="8066" protocol="tcp" accept',
        )
        for when in ("--permanent ", "")
    ]


def test_what_is_open_is_not_opened_again() -> None:
    rules = [
        rule for host in ("lb1", "lb2", "mycat1") for rule in told(planned(behind("ufw")), host)
    ]
    assert planned(behind("ufw", rules)).run["waves"] == []


@pytest.mark.parametrize("kind", ["ufw", "firewalld"])
def test_what_was_opened_is_closed_and_nothing_of_others(kind: str) -> None:
    opened = [" ".join(one) for one in planned(behind(kind)).hosts["lb1"]["firewall"]]
    rules = [text.partition("--add-rich-rule=")[2] or text for text in opened]
    result = planned(behind(kind, [*rules, "ufw allow 22/tcp"]))
    closed = [" ".join(one) for one in result.hosts["lb1"]["firewall_closing"]]
    assert closed == [
        text.replace("ufw ", "ufw delete ").replace("--add-", "--remove-") for text in opened
    ]
    assert planned(behind(kind)).hosts["lb1"]["firewall_closing"] == []


def test_restrict_refuses_what_only_the_host_needs() -> None:
    result = planned(behind("ufw", mycat_ha_firewall="restrict"))
    assert told(result, "lb1")[:2] == [
        "ufw allow from 192.0.2.12 proto vrrp",
        "ufw deny to any proto vrrp",
    ]
    assert told(result, "mycat1")[-2:] == ["ufw deny 9066/tcp", "ufw deny 1984/tcp"]


@pytest.mark.parametrize("kind", ["ufw", "firewalld", "nftables"])
def test_off_leaves_firewalls_alone(kind: str) -> None:
    result = planned(behind(kind, mycat_ha_firewall="off"))
    assert (result.run["waves"], result.run["notes"]) == ([], [])


def test_rules_for_a_set_of_ones_own_are_printed_and_nothing_is_done() -> None:
    result = planned(behind("nftables"))
    assert result.run["waves"] == []
    said = [note for note in result.run["notes"] if note.startswith("lb1: nftables")]
    assert "ip saddr 192.0.2.12 meta l4proto 112 accept; tcp dport 8066 accept" in said[0]


@pytest.mark.parametrize(
    ("ruleset", "does"),
    [
        ("", False),
        ("chain input { type filter hook input priority 0; policy drop; }", True),
        (
            "chain input { type filter hook input priority 0; policy accept;\n tcp dport 1 drop }",
            True,
        ),
        ("chain input { type filter hook input priority 0; policy accept; }", False),
        ("chain forward { type filter hook forward priority 0; policy drop; }", False),
    ],
)
def test_whether_a_set_of_rules_refuses_input(ruleset: str, does: bool) -> None:
    assert refuses(ruleset) is does
