# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan of virtual addresses: how they are spelt, who has them, where they start."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.mycat.ha.plugins.module_utils.cluster.hosts import HostView
from ansible_collections.mycat.ha.plugins.module_utils.keepalived.change import (
    cluster_wide,
    restart_required,
)
from inventories import (
    BOTH,
    VIP,
    allowed,
    installed,
    lb,
    mycat,
    pair,
    planned,
    refused,
    reset,
    texts,
)

# --- addresses ------------------------------------------------------------------------------------


def six(host: HostView, last: str) -> HostView:
    """The host with an IPv6 address besides."""
    own = f"2001:db8::{last}"
    eth0 = {**host.facts["eth0"], "ipv6": [{"address": own, "prefix": "64"}]}
    return replace(host, facts={**host.facts, "eth0": eth0, "all_ipv6_addresses": [own]})


def pair_with_six(vip: str, **more: Any) -> list[HostView]:
    lbs = [six(lb(last, mycat_ha_vip=vip, **more), str(last)) for last in (11, 12)]
    return [*lbs, mycat(21), mycat(22)]


def test_an_address_counts_in_any_spelling() -> None:
    plain = planned(pair_with_six("2001:db8::64/64"))
    odd = planned(pair_with_six("2001:0DB8:0:0::0064/64"))
    assert texts(odd) == texts(plain)
    assert list(odd.run["expected"]["clusters"]["main"]["vips"]) == ["2001:db8::64"]
    bound = pair_with_six("2001:DB8::64/64", haproxy_mycat_bind="[2001:db8:0::64]:8066")
    assert planned(bound).hosts["lb1"]["haproxy"]["nonlocal_bind"]
    bound = pair_with_six(
        "2001:DB8::64/64",
        haproxy_stats_bind="[2001:db8:0::64]:1",
        haproxy_stats_password="a long one",  # noqa: S106
        haproxy_manager_bind="[2001:db8::64]:1",
        haproxy_manager_exposed=True,
    )
    assert any("is taken by haproxy_stats_bind" in said for said in refused(bound))


def test_an_address_of_another_host_is_refused_in_any_spelling() -> None:
    hosts = pair_with_six("2001:0DB8::0021/64")
    (said,) = refused([*hosts[:2], six(hosts[2], "21"), hosts[3]])
    assert said.startswith("mycat_ha_vip: 2001:db8::21 is an address of mycat1 already")


def test_clusters_that_share_a_vip_are_refused_in_any_spelling() -> None:
    lbs = [
        six(lb(last, mycat_ha_vip=vip), str(last))
        for vip, last in zip(["2001:db8::64/64"] * 2 + ["2001:DB8:0::64/64"] * 2, range(11, 15))
    ]
    said = refused([*lbs, mycat(21), mycat(22)], BOTH)
    assert any("2001:db8::64 is the VIP of the clusters east and west" in text for text in said)


def losing_its_own(host: HostView) -> HostView:
    """The holder whose own address was away for a moment: the VIP comes first since."""
    eth0 = {
        **host.facts["eth0"],
        "ipv4": {"address": VIP, "prefix": "24"},
        "ipv4_secondaries": [host.facts["eth0"]["ipv4"]],
    }
    own = host.facts["all_ipv4_addresses"]
    facts = {"eth0": eth0, "default_ipv4": {"address": VIP}, "all_ipv4_addresses": [VIP, *own]}
    return replace(host, facts={**host.facts, **facts})


def test_a_vip_that_comes_first_is_known_as_ours() -> None:
    first = planned(pair())
    hosts = installed(pair(), first)
    again = planned([losing_its_own(hosts[0]), *hosts[1:]])
    assert texts(again) == texts(first)
    assert again.run["changing"] == []


def test_an_address_that_no_keepalived_of_ours_has_is_the_host_s_own() -> None:
    hosts = pair()
    (said,) = refused([losing_its_own(hosts[0]), *hosts[1:]])
    assert f"{VIP}/24 is the host's own address on eth0; write one that no host has" in said


def test_the_holder_may_ask_the_endpoint_from_every_virtual_address() -> None:
    vips = [{"address": f"{VIP}/24", "virtual_ipaddress": ["192.0.2.101/24"]}]
    result = planned(pair(mycat_ha_vips=vips))
    assert allowed(result, "mycat1") == sorted(
        ["192.0.2.11", "192.0.2.12", VIP, "192.0.2.101"],
    )


def test_a_vip_that_goes_changes_the_endpoint_once() -> None:
    vips = [{"address": f"{VIP}/24"}, {"address": "192.0.2.101/24"}]
    hosts = installed(pair(mycat_ha_vips=vips), planned(pair(mycat_ha_vips=vips)))
    holding = {"all_ipv4_addresses": ["192.0.2.11", VIP, "192.0.2.101"]}
    hosts[0] = replace(hosts[0], facts={**hosts[0].facts, **holding})
    fewer = planned(reset(hosts, pair(mycat_ha_vips=vips[:1])))
    assert allowed(fewer, "mycat1") == sorted([VIP, "192.0.2.11", "192.0.2.12"])


# --- load balancers that leave --------------------------------------------------------------------


def trio(**variables: Any) -> list[HostView]:
    return [*(lb(last, **variables) for last in (11, 12, 13)), mycat(21)]


def test_a_load_balancer_that_leaves_with_the_vip_is_refused_by_name() -> None:
    hosts = installed(trio(), planned(trio()), holders=["lb3"])
    known = {"192.0.2.13": "old3"}
    (said,) = refused([*hosts[:2], hosts[3]], name_of=lambda address: known.get(address, ""))
    assert said == (
        f"mycat_ha_lb_group: old3 was a load balancer of the cluster main and is in the group no "
        f"more, while {VIP} is on none of the others, so it has it still; run `systemctl disable "
        "--now keepalived haproxy` on it first, or put it back into the group"
    )


def test_a_load_balancer_that_leaves_without_the_vip_is_named() -> None:
    hosts = installed(trio(), planned(trio()), holders=["lb1"])
    result = planned([*hosts[:2], hosts[3]])
    assert any(note.startswith("192.0.2.13 was a load balancer") for note in result.run["notes"])


def test_a_member_with_another_address_has_not_left() -> None:
    hosts = installed(pair(), planned(pair()), holders=["lb1"])
    moved = replace(lb(19), name="lb2", state=hosts[1].state)
    assert planned([hosts[0], moved, *hosts[2:]]).run["notes"] == []


def test_where_all_wait_the_network_is_asked_who_has_the_vip() -> None:
    """With multicast no file says who belonged to the cluster."""
    multicast = {"keepalived_multicast": True}
    hosts = installed(trio(**multicast), planned(trio(**multicast)), holders=["lb3"])
    result = planned([*hosts[:2], hosts[3]])
    assert [claim["addresses"] for claim in result.run["probes"]["lb1"]] == [[VIP]]
    assert planned(hosts).run["probes"] == {}


def test_a_network_that_is_not_to_be_asked_is_not_asked() -> None:
    silent = {"keepalived_probe": False}
    result = planned(pair(**silent))
    assert result.run["probes"] == {}
    assert result.hosts["lb1"]["keepalived"]["probe"] is False


# --- several virtual IPs --------------------------------------------------------------------------

FOUR = {"mycat_ha_vips": [{"address": f"192.0.2.{last}/24"} for last in range(100, 104)]}


def priorities(text: str) -> list[int]:
    return [int(line.split()[1]) for line in text.splitlines() if line.startswith("    priority ")]


def test_a_new_cluster_spreads_its_addresses() -> None:
    result = planned(pair(**FOUR))
    first = {host: result.hosts[host]["keepalived"] for host in ("lb1", "lb2")}
    for needs in first.values():
        assert len(set(priorities(needs["text"]))) == 1
        assert len(set(priorities(needs["first_text"]))) == 2
        assert not restart_required(needs["first_text"], needs["text"])
        assert not cluster_wide(needs["first_text"], needs["text"])
    own = [vip for needs in first.values() for vip in needs["own_vips"]]
    assert sorted(own) == [f"192.0.2.{last}" for last in range(100, 104)]
    assert [len(needs["own_vips"]) for needs in first.values()] == [2, 2]
    better = {host: priorities(needs["first_text"]) for host, needs in first.items()}
    assert [one > two for one, two in zip(*better.values())] == [True, False, True, False]


@pytest.mark.parametrize(
    "variables",
    [{}, {**FOUR, "mycat_ha_preempt": "preferred"}, {**FOUR, "keepalived_priorities": [9, 9]}],
    ids=["one", "preferred", "priorities"],
)
def test_a_cluster_that_needs_no_placing_starts_with_its_text(variables: dict[str, Any]) -> None:
    assert planned(pair(**variables)).hosts["lb1"]["keepalived"]["first_text"] == ""


def test_a_cluster_that_runs_is_told_and_moves_nothing() -> None:
    hosts = installed(pair(**FOUR), planned(pair(**FOUR)), holders=["lb1"])
    result = planned(hosts)
    assert result.run["changing"] == []
    assert result.hosts["lb1"]["keepalived"]["first_text"] == ""
    expected = result.run["expected"]["clusters"]["main"]
    vips = [f"192.0.2.{last}" for last in range(100, 104)]
    assert expected["placement"] == dict(zip(vips, ["lb1", "lb2", "lb1", "lb2"]))
    assert expected["homes"] == {}


def moving_files(*hosts: HostView) -> set[str]:
    """The paths by which addresses of a plan are moved alone, as keepalived watches them."""
    text = planned(hosts).hosts["lb1"]["keepalived"]["text"]
    return set(re.findall(r'"/var/lib/mycat_ha/moving/(.*)"', text))


def test_each_of_several_addresses_can_be_moved_alone() -> None:
    vips = [f"vip_192_0_2_{last}" for last in range(100, 104)]
    assert moving_files(*pair(**FOUR)) == set(vips)
    expected = planned(pair(**FOUR)).run["expected"]["clusters"]["main"]["vips"]
    assert [vip["moved_by"] for vip in expected.values()] == vips
    assert moving_files(*pair()) == set()


def test_those_of_a_sync_group_are_moved_together() -> None:
    first, second, third, _fourth = FOUR["mycat_ha_vips"]
    together = [{**first, "sync_group": "front"}, {**second, "sync_group": "front"}]
    assert moving_files(*pair(mycat_ha_vips=together)) == set()
    hosts = pair(mycat_ha_vips=[*together, third])
    assert moving_files(*hosts) == {"vip_192_0_2_100", "vip_192_0_2_102"}
    expected = planned(hosts).run["expected"]["clusters"]["main"]
    assert [vip["moved_by"] for vip in expected["vips"].values()] == [
        *("vip_192_0_2_100", "vip_192_0_2_100", "vip_192_0_2_102")
    ]
