# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.mycat.ha.plugins.module_utils.keepalived.claims import Claim
from ansible_collections.mycat.ha.plugins.module_utils.keepalived.cluster import (
    ClusterPlan,
    Host,
    plan_cluster,
)
from ansible_collections.mycat.ha.plugins.module_utils.keepalived.reader import parse
from ansible_collections.mycat.ha.plugins.module_utils.readers import RefusalError
from ansible_collections.mycat.ha.plugins.module_utils.vrrp.router_ids import derived_router_id
from test_keepalived_settings import check, facts, link, settings, vip

ROOT = Path(__file__).parents[5]
TEMPLATE = (ROOT / "roles/keepalived/templates/keepalived.conf.j2").read_text()
VIP = "192.0.2.100"
OTHER = {"address": "192.0.2.101/24"}


def host(last: int, **given: Any) -> Host:
    """A load balancer with the settings ``given``; it is called lb1 for 11."""
    return Host(
        f"lb{last - 10}",
        settings(**given),
        facts(link("eth0", f"192.0.2.{last}/24")),
        "2.3.3",
        given=frozenset(("mycat_ha_vip",)),
    )


def pair(**given: Any) -> list[Host]:
    return [host(11, **given), host(12, **given)]


def planned(hosts: list[Host], **more: Any) -> ClusterPlan:
    return plan_cluster(hosts, template=TEMPLATE, **more)


def refused(hosts: list[Host]) -> list[str]:
    with pytest.raises(RefusalError) as refusal:
        planned(hosts)
    return [str(error) for error in refusal.value.errors]


def unreached(one: Host, **known: Any) -> Host:
    return replace(one, facts={}, version="", **known)


def test_texts_say_what_was_planned() -> None:
    plan = planned(pair())
    assert list(plan.hosts) == ["lb1", "lb2"]
    nodes = [parse(one.text, one.name).node for one in plan.hosts.values()]
    assert [node.address for node in nodes] == ["192.0.2.11", "192.0.2.12"]
    assert (
        {node.instances[0].name for node in nodes} == {plan.instances[VIP]} == {"vip_192_0_2_100"}
    )
    assert {node.instances[0].virtual_router_id for node in nodes} == {plan.virtual_router_ids[VIP]}
    assert {check.name for check in nodes[0].checks} == {item["name"] for item in plan.checks}


def test_what_the_plan_promises() -> None:
    plan = planned(pair())
    assert plan.bounds["node_loss"] <= 4.0
    assert plan.slowest >= max(bound for bound in plan.bounds.values() if bound is not None)
    assert plan.slowest >= max(float(str(item["bound"])) for item in plan.checks)
    assert {tuple(outcome["holders"][VIP]) for outcome in plan.outcomes} == {  # type: ignore[index]
        (),
        ("lb1",),
        ("lb2",),
    }
    assert plan.addresses == (VIP,)
    assert plan.notes == ()


def test_what_the_operator_should_know() -> None:
    plan = planned(pair(node_loss_budget=0.2, backends_check=False))
    (note,) = plan.notes
    assert note.startswith("Adverts are 0.06 s apart")
    assert "Write a mycat_ha_node_loss_budget of at least" in note
    assert note.endswith("(advert-int-short)")


def test_claims_are_what_a_host_has_not_yet() -> None:
    running = {
        "state": "BACKUP",
        "virtual_router_id": derived_router_id(VIP),
        "virtual_ipaddress": [f"{VIP}/24"],
    }
    hosts = [replace(host(11), instances=[running]), host(12)]
    plan = planned(hosts)
    assert plan.hosts["lb1"].claims == ()
    assert plan.hosts["lb1"].watched == plan.hosts["lb2"].claims
    assert plan.hosts["lb2"].claims == (Claim("eth0", 4, derived_router_id(VIP), (VIP,)),)


def test_programs_are_behind_the_variable_that_names_them() -> None:
    given = {"vips": vip(notify="/bin/each one"), **check()}
    assert planned(pair(**given)).hosts["lb1"].programs == (
        {"variable": "mycat_ha_vip.notify", "path": "/bin/each"},
        {"variable": "keepalived_checks[0].script", "path": "/usr/local/bin/disk"},
    )


# --- virtual router ids -----------------------------------------------------------------------


def test_an_id_in_use_stays_whatever_the_order() -> None:
    used = replace(host(12), in_use={VIP: 77})
    for hosts in ([host(11), used], [used, host(11)]):
        assert planned(hosts, taken=[77]).virtual_router_ids == {VIP: 77}


def test_another_vip_does_not_change_an_id() -> None:
    before = planned(pair()).virtual_router_ids[VIP]
    hosts = [replace(one, in_use={VIP: before}) for one in pair(vips=[OTHER, *vip()])]
    assert planned(hosts).virtual_router_ids[VIP] == before


def test_a_newcomer_avoids_what_others_have() -> None:
    wanted = derived_router_id(VIP)
    free = wanted % 255 + 1
    assert planned(pair(), taken=[wanted]).virtual_router_ids == {VIP: free}
    assert planned(pair(taken_virtual_router_ids=[wanted])).virtual_router_ids == {VIP: free}
    foreign = [replace(one, in_use={"192.0.2.9": wanted}) for one in pair()]
    assert planned(foreign).virtual_router_ids == {VIP: free}


def test_an_id_that_the_operator_says_others_use_does_not_stay() -> None:
    hosts = [replace(one, in_use={VIP: 77}) for one in pair(taken_virtual_router_ids=[77])]
    assert planned(hosts).virtual_router_ids == {VIP: derived_router_id(VIP)}


# --- hosts that were not reached ----------------------------------------------------------------


def test_a_host_without_facts_is_planned_by_the_inventory() -> None:
    plan = planned([host(11), unreached(host(12), address="192.0.2.12")])
    assert plan.hosts["lb2"].links == ({"address": "192.0.2.12", "interface": "eth0"},)
    assert plan.hosts["lb1"].text == planned(pair()).hosts["lb1"].text
    assert plan.hosts["lb2"].version == "2.3.3"


def test_its_own_setting_comes_before_the_inventory() -> None:
    absent = unreached(host(12, address=["192.0.2.13"]), address="192.0.2.12")
    assert planned([host(11), absent]).hosts["lb2"].links[0]["address"] == "192.0.2.13"


@pytest.mark.parametrize("address", ["", "198.51.100.12", "lb2.example.org", "2001:db8::12"])
def test_an_address_that_nothing_tells_is_asked_for(address: str) -> None:
    assert refused([host(11), unreached(host(12), address=address)]) == [
        "mycat_ha_address: nothing tells the address of lb2 in 192.0.2.0/24, and the host was not "
        "reached; write it"
    ]


def test_nothing_is_planned_where_no_host_is_known() -> None:
    (said,) = refused([unreached(one) for one in pair()])
    assert said.startswith("the load balancers (mycat_ha_lb_group): none of them was reached")


# --- refusals -----------------------------------------------------------------------------------


def test_everything_that_is_wrong_is_said_once() -> None:
    assert refused(pair(notify="page.sh", preempt_delay=1001.0)) == [
        "keepalived_preempt_delay: is 1001.0; write seconds from 0 to 1000",
        "keepalived_notify: is 'page.sh'; write a command with the whole path of its program",
    ]


def test_what_is_wrong_on_one_host_names_it() -> None:
    (said,) = refused([host(11), host(12, interface="eth7")])
    assert said.startswith("lb2: mycat_ha_vip: the host has no IPv4 address on eth7")


def test_a_refusal_of_the_plan_is_in_the_operator_s_words() -> None:
    (said,) = refused(pair(failover_budget=0.01))
    assert said.startswith("mycat_ha_failover_budget: 0.01 s cannot be kept")
    (said,) = refused(pair(preempt_delay=5.0))
    assert said == (
        "keepalived_preempt_delay: delays the return of an address, and with mycat_ha_preempt: "
        "sticky none returns; write 0, or mycat_ha_preempt: preferred"
    )
    (said,) = refused([host(11)])
    assert said.startswith("the load balancers (mycat_ha_lb_group): only lb1 is given")


def test_hosts_that_want_different_things() -> None:
    (said,) = refused([host(11), host(12, node_loss_budget=5.0)])
    assert said.startswith("mycat_ha_node_loss_budget: differs between lb1 and lb2")


def test_raw_lines_that_break_the_cluster_are_named() -> None:
    (said,) = refused([host(11), host(12, vips=vip(extra=["no_virtual_ipaddress", "version 2"]))])
    assert said.startswith(
        "mycat_ha_vip.extra: the cluster fails with the raw lines in mycat_ha_vi"
    )
