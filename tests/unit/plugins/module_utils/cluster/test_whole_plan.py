# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole plan, from hosts made by hand."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.mycat.ha.plugins.module_utils.cluster.hosts import HostView
from ansible_collections.mycat.ha.plugins.module_utils.cluster.managed import (
    HAPROXY_CFG,
)
from ansible_collections.mycat.ha.plugins.module_utils.cluster.members import Members
from ansible_collections.mycat.ha.plugins.module_utils.cluster.plan import Result
from ansible_collections.mycat.ha.plugins.module_utils.host.endpoint import ports_of
from ansible_collections.mycat.ha.plugins.module_utils.vrrp.router_ids import derived_router_id
from inventories import (
    BOTH,
    EAST,
    EAST_VIP,
    SECRET,
    VIP,
    WEST,
    WEST_VIP,
    allowed,
    edited,
    installed,
    lb,
    mycat,
    on_port,
    pair,
    planned,
    refused,
    reset,
    router_ids,
    texts,
    together,
    two_clusters,
    unreached,
    without_systemd,
)

# --- one cluster ----------------------------------------------------------------------------------


def test_a_first_install_changes_all_at_once() -> None:
    run = planned(pair()).run
    assert run["waves"] == [["mycat1", "mycat2"], ["lb1", "lb2"]]
    assert run["changing"] == ["lb1", "lb2", "mycat1", "mycat2"]
    assert run["packages"] == {
        **{name: ["haproxy", "keepalived"] for name in ("lb1", "lb2")},
        **{name: ["python3", "xinetd"] for name in ("mycat1", "mycat2")},
    }
    assert [claim["addresses"] for claim in run["probes"]["lb1"]] == [[VIP]]
    assert run["marks"]["lb1"] == ["02:00:c0:00:02:0b", "192.0.2.11"]
    cluster = run["expected"]["clusters"]["main"]
    assert cluster["vips"] == {VIP: {"instance": "vip_192_0_2_100", "port": 8066, "moved_by": ""}}
    assert (cluster["load_balancers"], cluster["mycats"]) == (
        ["lb1", "lb2"],
        ["mycat1", "mycat2"],
    )


def test_roles_wait_for_their_packages() -> None:
    assert planned(pair()).hosts["lb1"]["roles"] == []
    known = {"packages": dict.fromkeys(("haproxy", "python3", "xinetd"), "1")}
    hosts = [replace(host, state={**host.state, **known}) for host in pair()]
    result = planned(hosts)
    assert result.hosts["lb1"]["roles"] == ["haproxy"]
    assert result.hosts["mycat1"]["roles"] == ["mycat_status"]


def test_what_a_run_installed_is_no_change_in_the_next() -> None:
    first = planned(pair(**SECRET))
    again = planned(installed(pair(**SECRET), first))
    assert [needs["changes"] for needs in again.hosts.values()] == [[]] * 4
    assert (again.run["waves"], again.run["probes"], again.run["packages"]) == ([], {}, {})
    assert texts(again) == texts(first)


@pytest.mark.parametrize(
    ("holder", "waves"), [("lb1", [["lb2"], ["lb1"]]), ("lb2", [["lb1"], ["lb2"]])]
)
def test_the_standby_changes_before_the_holder(holder: str, waves: list[list[str]]) -> None:
    hosts = installed(pair(), planned(pair()), holders=[holder])
    result = planned([*(edited(host, HAPROXY_CFG) for host in hosts[:2]), *hosts[2:]])
    assert result.run["waves"] == waves
    assert result.hosts["lb1"]["changes"] == [HAPROXY_CFG]


def test_mycats_that_serve_change_one_before_the_others() -> None:
    hosts = installed(pair(), planned(pair()))
    changed = [edited(host, "/etc/mycat_status/mycat_status.json") for host in hosts[2:]]
    assert planned([*hosts[:2], *changed]).run["waves"] == [["mycat1"], ["mycat2"]]


def listening(result: Result, host: str) -> list[int]:
    """The ports at which a MyCat's endpoint would answer after this plan."""
    rows = result.hosts[host]["mycat_status"]["files"]
    return ports_of(*(row.get("content", "") for row in rows if "xinetd.d" in row["path"]))


def test_an_endpoint_keeps_its_port_until_no_load_balancer_asks_it() -> None:
    """The run changes the MyCats, then the load balancers, and plans again."""
    hosts = installed(pair(), planned(pair()))
    moved = reset(hosts, on_port(48701))
    first = planned(moved)
    assert listening(first, "mycat1") == [48701, 48700]
    assert first.run["waves"] == [["mycat1"], ["mycat2"], ["lb2"], ["lb1"]]
    assert first.run["waiting"] == ["mycat1", "mycat2"]
    moved = installed(moved, first)
    assert moved[2].state["endpoint_ports"] == [48701, 48700]
    second = planned(moved)
    assert listening(second, "mycat1") == [48701]
    assert (second.run["waves"], second.run["waiting"]) == ([["mycat1"], ["mycat2"]], [])
    assert planned(installed(moved, second)).run["waves"] == []


@pytest.mark.parametrize(
    ("haproxy", "kept"),
    [
        pytest.param({"asks": {"mycat1": 48700}}, [48701, 48700], id="asks"),
        pytest.param({"asks": {"mycat1": 48701}}, [48701], id="asks-the-new-port"),
        pytest.param({"asks": {}}, [48701], id="another-configuration"),
        pytest.param({"asks": None}, [48701, 48700], id="not-known"),
        pytest.param(None, [48701], id="none"),
    ],
)
def test_what_a_load_balancer_asks_decides(haproxy: Any, kept: list[int]) -> None:
    lbs = [replace(one, state={**one.state, "haproxy": haproxy}) for one in pair()[:2]]
    mycats = [
        replace(one, state={**one.state, "endpoint_ports": [48700]}) for one in on_port(48701)[2:]
    ]
    assert listening(planned([*lbs, *mycats]), "mycat1") == kept
    lost = planned([lbs[0], unreached(lbs[1]), *mycats])
    assert listening(lost, "mycat1") == [48701, 48700]


@pytest.mark.parametrize("directory", ["/srv/new", ""])
def test_the_link_in_a_former_folder_of_metrics_goes(directory: str) -> None:
    old = pair(keepalived_metrics_directory="/srv/old")
    hosts = installed(old, planned(old))
    link = ["/srv/old/mycat_ha_vrrp.prom"]
    assert hosts[0].state["metrics_links"] == link
    assert planned(hosts).run["waves"] == []
    moved = planned(reset(hosts, pair(keepalived_metrics_directory=directory)))
    assert set(link) <= set(moved.hosts["lb1"]["keepalived"]["absent"])
    assert moved.run["waves"] == [["lb2"], ["lb1"]]


def test_a_change_that_all_must_make_is_one_wave() -> None:
    hosts = installed(pair(), planned(pair()))
    vip = {"address": f"{VIP}/24", "virtual_router_id": 9}
    assert planned(reset(hosts, pair(mycat_ha_vips=[vip]))).run["waves"] == [["lb1", "lb2"]]


@pytest.mark.parametrize(
    ("before", "after", "waves"),
    [
        pytest.param(4, 1, [["lb1"], ["lb2"]], id="more often"),
        pytest.param(1, 4, [["lb2"], ["lb1"]], id="more seldom"),
    ],
)
def test_the_holder_sends_adverts_more_often_before_others_expect_them(
    before: float, after: float, waves: list[list[str]]
) -> None:
    former = pair(mycat_ha_node_loss_budget=before)
    hosts = installed(former, planned(former))
    changed = reset(hosts, pair(mycat_ha_node_loss_budget=after))
    assert planned(changed).run["waves"] == waves


def test_a_password_that_stays_is_no_change_of_all() -> None:
    hosts = installed(pair(**SECRET), planned(pair(**SECRET)))
    other = {**SECRET, "keepalived_garp_master_delay": 3}
    assert planned(reset(hosts, pair(**other))).run["waves"] == [["lb2"], ["lb1"]]
    other = {**SECRET, "keepalived_auth_pass": "another"}
    assert planned(reset(hosts, pair(**other))).run["waves"] == [["lb1", "lb2"]]


def test_a_service_that_does_not_run_is_a_change() -> None:
    hosts = installed(pair(), planned(pair()))
    down = {**hosts[1].state["keepalived"], "running": False}
    stopped = replace(hosts[1], state={**hosts[1].state, "keepalived": down})
    result = planned([hosts[0], stopped, *hosts[2:]])
    assert result.run["waves"] == [["lb2"]]
    assert result.hosts["lb2"]["changes"] == ["keepalived does not run"]


def test_a_host_that_is_load_balancer_and_mycat_changes_once() -> None:
    both = together(haproxy_mycat_bind="*:8067")
    result = planned(both)
    assert result.run["waves"] == [["lb1", "lb2"]]
    assert {"haproxy", "keepalived", "mycat_status"} <= result.hosts["lb1"].keys()
    holding = installed(both, result)
    changed = [edited(host, "/etc/mycat_status/mycat_status.json") for host in holding]
    assert planned(changed).run["waves"] == [["lb2"], ["lb1"]]


def test_a_role_alone_changes_what_is_its_own() -> None:
    result = planned(pair(), changing=["haproxy"])
    assert result.run["changing"] == ["lb1", "lb2"]
    assert result.run["packages"] == {"lb1": ["haproxy"], "lb2": ["haproxy"]}


# --- hosts that are not there ---------------------------------------------------------------------


def test_a_mycat_that_does_not_answer_is_balanced_over_all_the_same() -> None:
    hosts = pair()
    result = planned([*hosts[:3], unreached(hosts[3])])
    assert result.run["waves"] == [["mycat1"], ["lb1", "lb2"]]
    assert " 192.0.2.22:8066 " in result.hosts["lb1"]["haproxy"]["text"]
    assert texts(result)["lb1"] == texts(planned(hosts))["lb1"]


def test_a_load_balancer_that_does_not_answer_is_left_out() -> None:
    hosts = pair()
    complete = planned(hosts)
    lost = [unreached(hosts[0]), *installed(hosts, complete, holders=["lb2"])[1:]]
    assert planned(lost).run["waves"] == []
    changed = [lost[0], edited(lost[1], HAPROXY_CFG), *lost[2:]]
    assert planned(changed).run["waves"] == [["lb2"]]
    assert router_ids(planned(changed)) == router_ids(complete)
    assert planned(lost).run["expected"]["clusters"]["main"]["load_balancers"] == ["lb1", "lb2"]


def test_what_all_must_change_at_once_waits_for_all() -> None:
    hosts = installed(pair(), planned(pair()))
    hosts = reset(hosts, pair(mycat_ha_vip="192.0.2.101/24"))
    (said,) = refused([hosts[0], unreached(hosts[1]), *hosts[2:]])
    assert said.startswith("lb2: this change has to be made on all load balancers at once")


def test_a_path_on_which_another_user_can_mislead_root_is_refused() -> None:
    hosts = installed(pair(), planned(pair()))
    why = "the folder /etc/haproxy cannot be used: haproxy belongs to the user with the id 7"
    files = {**hosts[0].state["files"]}
    files[HAPROXY_CFG] = {**files[HAPROXY_CFG], "exposed": why}
    (said,) = refused([replace(hosts[0], state={**hosts[0].state, "files": files}), *hosts[1:]])
    assert said == f"lb1: {why}"


def test_credentials_of_the_operator_get_a_group_and_a_mode_alone() -> None:
    path = "/etc/mycat/health.json"
    hosts = [*pair()[:3], mycat(22, mycat_status_credentials_file=path)]
    given = {"kind": "file", "mode": "0600", "owner": "dba", "group": "dba", "sha256": "1"}
    hosts[3] = replace(hosts[3], state={"files": {path: given}})
    plan = planned(hosts).hosts["mycat2"]
    (row,) = [row for row in plan["mycat_status"]["files"] if row["path"] == path]
    assert row == {"path": path, "keep": True, "group": "mycat_status", "mode": "0640"}
    assert path in plan["changes"]
    assert not [text for text in plan["mycat_status"]["absent"] if "credentials_file" in text]
    files = {**hosts[3].state["files"], path: {**given, "group": "mycat_status", "mode": "0640"}}
    hosts[3] = replace(hosts[3], state={"files": files})
    assert path not in planned(hosts).hosts["mycat2"]["changes"]
    without = planned(pair()).hosts["mycat2"]["mycat_status"]
    assert not [row for row in without["files"] if row.get("keep")]
    assert not [text for text in without["absent"] if "{{" in text]


@pytest.mark.parametrize(
    ("variables", "gives_up"),
    [
        ({}, True),
        ({"keepalived_failover_mode": "kill"}, True),
        ({"keepalived_checks": [{"name": "disk", "script": "/bin/disk"}]}, False),
        ({"keepalived_notify": "/bin/tell"}, False),
        ({"keepalived_global_extra": ["vrrp_priority -5"]}, False),
    ],
    ids=["the role's own scripts", "mode kill", "a check", "a notify script", "raw lines"],
)
def test_keepalived_gives_up_rights_unless_it_runs_others_programs(
    variables: dict[str, Any], gives_up: bool
) -> None:
    path = "/etc/systemd/system/keepalived.service.d/mycat_ha.conf"
    for name in ("lb1", "lb2"):
        files = planned(pair(**variables)).hosts[name]["keepalived"]["files"]
        (drop_in,) = [row["content"] for row in files if row["path"] == path]
        assert ("NoNewPrivileges=yes" in drop_in) is gives_up


def test_an_address_that_nothing_tells_is_asked_for() -> None:
    hosts = pair()
    lost = replace(unreached(hosts[3]), connection="mycat2.example.com")
    (said,) = refused([*hosts[:3], lost])
    assert said.startswith("mycat_ha_address: no address of mycat2 is known")


# --- refusals -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("hosts", "said"),
    [
        pytest.param(
            [lb(11), mycat(21)],
            "mycat_ha_lb_group: the group 'haproxy' has 1 host(s) of the cluster main; put at "
            "least two",
            id="one load balancer",
        ),
        pytest.param(
            [mycat(21, mycat_status_allow=["192.0.2.9"])],
            "mycat_ha_lb_group: the group 'haproxy' has 0 host(s) of the cluster main",
            id="no load balancer",
        ),
        pytest.param(
            [lb(11), lb(12)],
            "mycat_ha_mycat_group: the group 'mycat' has no host of the cluster main",
            id="no mycat",
        ),
        pytest.param(
            pair(mycat_ha_vip=""),
            "mycat_ha_vip: no virtual IP is set; write the address",
            id="no VIP",
        ),
        pytest.param(
            pair(mycat_ha_vip="192.0.2.21/24"),
            "mycat_ha_vip: 192.0.2.21 is an address of mycat1 already",
            id="the VIP is a MyCat's",
        ),
        pytest.param(
            pair(mycat_ha_report="report.txt"),
            "mycat_ha_report: report.txt ends in neither .json nor .html",
            id="the report's ending",
        ),
        pytest.param(
            pair(haproxy_mycat_port=8067),
            "haproxy_mycat_port: is 8067, while mycat1 has 8066 (mycat_status_sql_port); set",
            id="a port of the MyCats on the load balancers",
        ),
        pytest.param(
            [*pair(haproxy_check_port=1)[:2], mycat(21, mycat_status_port=2)],
            "haproxy_check_port: is 1, and mycat_status_port is 2 on mycat1; write it once",
            id="a port twice",
        ),
        pytest.param(
            [lb(11, haproxy_mycat_bind="*:1"), *pair()[1:]],
            "the port in haproxy_mycat_bind: differs between lb1 and lb2; write it once",
            id="clients' ports",
        ),
        pytest.param(
            [lb(11, mycat_ha_allow_degraded=True), *pair()[1:]],
            "mycat_ha_allow_degraded: differs between lb1 and lb2; write it once for the load "
            "balancers of the cluster main",
            id="an option of the cluster",
        ),
        pytest.param(
            [lb(11, mycat_ha_vip="192.0.2.101/24"), *pair()[1:]],
            "mycat_ha_vip: differs between lb1 and lb2",
            id="VIPs",
        ),
        pytest.param(
            [lb(11, mycat_ha_failover_mode="kill"), *pair()[1:]],
            "mycat_ha_failover_mode: differs between lb1 and lb2",
            id="modes",
        ),
        pytest.param(
            [lb(11, mycat_ha_node_loss_budget=9), *pair()[1:]],
            "mycat_ha_node_loss_budget: differs between lb1 and lb2",
            id="budgets",
        ),
        pytest.param(
            [lb(11, **SECRET), lb(12, **{**SECRET, "keepalived_auth_pass": "b"}), mycat(21)],
            "keepalived_auth_pass: differs between lb1 and lb2",
            id="passwords",
        ),
        pytest.param(
            together(),
            'haproxy_mycat_bind: "*:8066" is taken by MyCat on the same host '
            "(mycat_status_sql_port); give each its own port, such as *:8067",
            id="MyCat and HAProxy on one host",
        ),
        pytest.param(
            together(haproxy_mycat_bind=f"{VIP}:8066"),
            f'haproxy_mycat_bind: "{VIP}:8066" is taken by MyCat on the same host',
            id="MyCat on one host, which listens everywhere",
        ),
        pytest.param(
            together(haproxy_mycat_bind="*:8067", haproxy_stats_bind="127.0.0.1:48700"),
            'haproxy_stats_bind: "127.0.0.1:48700" is taken by the health endpoint',
            id="the endpoint's port on one host",
        ),
        pytest.param(
            [*pair()[:3], mycat(22, mycat_ha_address="192.0.2.21")],
            "mycat_ha_address: mycat1 and mycat2 both have 192.0.2.21; write for each",
            id="one address for two MyCats",
        ),
        pytest.param(
            [*pair()[:3], mycat(22, mycat_ha_address=VIP)],
            f"mycat_ha_address: {VIP} is to be the address of mycat2, a VIP of its cluster",
            id="the VIP as the address of a MyCat",
        ),
        pytest.param(
            [*pair()[:3], replace(mycat(22), facts={"default_ipv4": {"address": VIP}})],
            f"mycat_ha_address: {VIP} is to be the address of mycat2, a VIP of its cluster",
            id="a MyCat that says it has the VIP",
        ),
        pytest.param(
            [*pair()[:3], mycat(22, mycat_ha_address="127.0.0.1")],
            "mycat_ha_address: 127.0.0.1 is to be the address of mycat2, which leads to a load "
            "balancer itself",
            id="a MyCat on another host's loopback",
        ),
        pytest.param(
            [*pair()[:3], replace(mycat(22), facts={"default_ipv4": {"address": "0.0.0.0"}})],  # noqa: S104
            "mycat_ha_address: mycat2 says that its address is '0.0.0.0', by which no other host",
            id="a MyCat that says it has every address",
        ),
        pytest.param(
            pair(haproxy_alive_bind="127.0.0.1:1", keepalived_haproxy_alive_port=2),
            "keepalived_haproxy_alive_port: is 2, and haproxy_alive_bind is 127.0.0.1:1; write it "
            "in haproxy_alive_bind alone",
            id="where HAProxy answers, twice",
        ),
        pytest.param(
            pair(keepalived_haproxy_alive_port=2),
            "keepalived_haproxy_alive_port: is 2, and haproxy_alive_bind is 127.0.0.1:48801",
            id="where HAProxy answers, for keepalived alone",
        ),
        pytest.param(
            pair(mycat_ha_vips=[{"address": "192.0.2.101/24"}], mycat_ha_vip=f"{VIP}/24"),
            f"mycat_ha_vip: has {VIP}/24, which is not in mycat_ha_vips, and that counts",
            id="a VIP beside a list without it",
        ),
        pytest.param(
            pair(keepalived_vips=[{"address": "192.0.2.101/24"}]),
            f"mycat_ha_vip: has {VIP}/24, which is not in keepalived_vips, and that counts",
            id="a VIP beside the role's list without it",
        ),
        pytest.param(
            pair(mycat_ha_vip=f"{VIP}/25"),
            f"mycat_ha_vip: {VIP}/25 has another prefix length than eth0 with 192.0.2.0/24, and "
            f"the host would send from it; write {VIP}/24",
            id="a prefix that is not the network's",
        ),
        pytest.param(
            pair(mycat_ha_vip=f"{VIP}/8"),
            f"mycat_ha_vip: {VIP}/8 has another prefix length than eth0 with 192.0.2.0/24",
            id="a prefix wider than the network's",
        ),
        pytest.param(
            pair(mycat_ha_vip="192.0.2.255/32"),
            "mycat_ha_vip: 192.0.2.255 is the first or the last address of 192.0.2.0/24",
            id="the broadcast address",
        ),
        pytest.param(
            [without_systemd(lb(11)), *pair()[1:]],
            "lb1: systemd is to run HAProxy, and this host has openrc instead",
            id="no systemd",
        ),
    ],
)
def test_what_cannot_be_had_is_refused_by_name(hosts: list[HostView], said: str) -> None:
    refusals = refused(hosts)
    assert any(text.startswith(said) for text in refusals), refusals
    assert all("please report" not in text for text in refusals)


def test_all_that_is_wrong_is_said_at_once() -> None:
    hosts = pair(haproxy_maxconn=0, mycat_ha_vip="192.0.2.21/24", mycat_ha_report="x")
    hosts[2] = mycat(21, mycat_status_port=0)
    named = [text.partition(":")[0] for text in refused(hosts)]
    assert sorted(named) == [
        "haproxy_maxconn",
        "mycat_ha_report",
        "mycat_ha_vip",
        "mycat_status_port",
    ]


def test_several_differences_are_said_at_once() -> None:
    hosts = [lb(11, mycat_ha_failover_budget=3, mycat_ha_preempt="preferred"), *pair()[1:]]
    assert [text.partition(":")[0] for text in refused(hosts)] == [
        "mycat_ha_preempt",
        "mycat_ha_failover_budget",
    ]


# --- several clusters -----------------------------------------------------------------------------


def test_clusters_change_side_by_side() -> None:
    result = planned(two_clusters(), BOTH)
    assert result.run["waves"] == [["mycat1", "mycat2"], ["lb1", "lb2", "lb3", "lb4"]]
    hosts = installed(two_clusters(), result, holders=["lb1", "lb4"])
    changed = [edited(host, HAPROXY_CFG) for host in hosts[:4]] + hosts[4:]
    assert planned(changed, BOTH).run["waves"] == [["lb2", "lb3"], ["lb1", "lb4"]]
    assert planned(changed, BOTH).run["clusters"]["lb3"] == ["west"]


def test_clusters_on_one_network_share_no_router_id() -> None:
    assert derived_router_id(EAST_VIP) == derived_router_id(WEST_VIP)
    ids = router_ids(planned(two_clusters(), BOTH))
    assert ids["lb1"] == ids["lb2"] == derived_router_id(EAST_VIP)
    assert ids["lb3"] == ids["lb4"] != ids["lb1"]


def test_clusters_on_networks_of_their_own_may_share_one() -> None:
    given = {"mycat_ha_vips": [{"address": f"{VIP}/24", "virtual_router_id": 7}]}
    other = {"mycat_ha_vips": [{"address": "198.51.100.100/24", "virtual_router_id": 7}]}
    hosts = [
        *(lb(last, **given) for last in (11, 12)),
        *(lb(last, net="198.51.100", **other) for last in (13, 14)),
        mycat(21),
        mycat(22),
    ]
    assert set(router_ids(planned(hosts, BOTH)).values()) == {7}


def with_id(vip: str, last: int) -> HostView:
    """A load balancer whose virtual router id is set."""
    return lb(last, mycat_ha_vips=[{"address": f"{vip}/24", "virtual_router_id": 7}])


def test_an_id_that_was_set_twice_on_one_network_is_refused() -> None:
    east = [with_id(EAST_VIP, last) for last in (11, 12)]
    west = [with_id(WEST_VIP, last) for last in (13, 14)]
    (said,) = refused([*east, *west, mycat(21), mycat(22)], BOTH)
    assert said.startswith(
        "mycat_ha_vips: the clusters east and west both have the virtual router id 7 in "
        "192.0.2.0/24"
    )


@pytest.mark.parametrize("order", list(itertools.permutations(range(2))))
def test_an_id_in_use_stays_when_a_cluster_comes(order: tuple[int, int]) -> None:
    """Whether the newcomer stands before or after it in the inventory."""
    west = [*two_clusters()[2:4], mycat(22)]
    alone = planned(west, [WEST])
    there = installed(west, alone, holders=["lb3"])
    hosts = [*two_clusters()[:2], *there, mycat(21)]
    ids = router_ids(planned(hosts, [BOTH[number] for number in order]))
    assert ids["lb3"] == router_ids(alone)["lb3"] == derived_router_id(WEST_VIP)
    assert ids["lb1"] == ids["lb2"] != ids["lb3"]


def test_an_id_in_use_stays_when_a_vip_comes_or_a_host_is_lost() -> None:
    first = planned(two_clusters(), BOTH)
    hosts = installed(two_clusters(), first, holders=["lb1", "lb3"])
    vips = [{"address": f"{WEST_VIP}/24"}, {"address": "192.0.2.150/24"}]
    more = [lb(last, mycat_ha_vips=vips) for last in (13, 14)]
    grown = [*hosts[:2], *reset(hosts[2:4], more), *hosts[4:]]
    assert router_ids(planned(grown, BOTH)) == router_ids(first)
    lost = [unreached(host) if host.name == "lb3" else host for host in hosts]
    assert router_ids(planned(lost, BOTH[::-1])) == router_ids(first)


def test_a_cluster_that_is_left_alone_keeps_its_ids() -> None:
    hosts = two_clusters()
    result = planned([*hosts[:2], hosts[4], *map(unreached, hosts[2:4])], [EAST], others=[WEST])
    assert router_ids(result)["lb1"] not in (0, derived_router_id(WEST_VIP))
    assert "lb3" not in result.hosts
    assert list(result.run["expected"]["clusters"]) == ["east"]


def test_a_name_changes_no_text() -> None:
    shop = [Members("shop", ("lb1", "lb2"), ("mycat1", "mycat2"))]
    unnamed = planned(pair())
    assert texts(planned(pair(), shop)) == texts(unnamed)
    assert planned(installed(pair(), unnamed), shop).run["waves"] == []


def test_clusters_that_share_a_vip_are_refused() -> None:
    said = refused(two_clusters(VIP, VIP), BOTH)
    assert any(
        text.startswith(f"mycat_ha_vip: {VIP} is the VIP of the clusters east and west")
        for text in said
    )
    left_alone = refused(two_clusters(VIP, VIP), [WEST], others=[EAST])
    assert any("is the VIP of the clusters east and west" in text for text in left_alone)


SHARED = [
    Members("east", ("lb1", "lb2"), ("mycat1", "mycat2")),
    Members("west", ("lb3", "lb4"), ("mycat2", "mycat3")),
]


def test_a_mycat_of_two_clusters_lets_the_load_balancers_of_both_in() -> None:
    hosts = [*two_clusters(), mycat(23)]
    result = planned(hosts, SHARED)
    every = [f"192.0.2.{last}" for last in (11, 12, 13, 14)]
    assert allowed(result, "mycat2") == sorted([*every, EAST_VIP, WEST_VIP])
    assert allowed(result, "mycat1") == sorted([*every[:2], EAST_VIP])
    assert result.run["clusters"]["mycat2"] == ["east", "west"]
    assert " mycat2 " in result.hosts["lb1"]["haproxy"]["text"]
    assert " mycat2 " in result.hosts["lb3"]["haproxy"]["text"]
    # A run about one of the clusters does not shut the other out.
    assert texts(planned(hosts, SHARED[1:], others=SHARED[:1]))["mycat2"] == texts(result)["mycat2"]


def test_a_shared_mycat_never_goes_with_all_others_of_a_cluster() -> None:
    hosts = [*two_clusters(), mycat(23)]
    there = installed(hosts, planned(hosts, SHARED), holders=["lb1", "lb3"])
    changed = there[:4] + [
        edited(host, "/etc/mycat_status/mycat_status.json") for host in there[4:]
    ]
    assert planned(changed, SHARED).run["waves"] == [["mycat1", "mycat3"], ["mycat2"]]


# --- changes that all must make at once -----------------------------------------------------------


@pytest.mark.parametrize(("playing", "away"), [(["lb1", "mycat1"], "lb2"), (["lb2"], "lb1")])
def test_a_play_with_some_of_them_is_refused(playing: list[str], away: str) -> None:
    hosts = installed(pair(), planned(pair()))
    asked = reset(hosts, pair(mycat_ha_vip="192.0.2.101/24"))
    (said,) = refused(asked, playing=playing)
    assert said == (
        "serial: this change has to be made on all load balancers of the cluster main at once, "
        f"and {playing[0]} would make it without {away}; run it once without serial and without "
        "--limit"
    )
    assert refused(asked, playing=["lb1", "lb2"]) == []
    assert refused(asked, playing=["mycat1"]) == []
    assert refused(pair(), playing=playing) == []


# --- versions -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("last", "known"), [(11, False), (12, True)])
def test_each_text_is_proven_with_the_keepalived_of_its_host(last: int, known: bool) -> None:
    """lb1 has an old one, lb2 one that knows the line."""
    versions = {"lb1": "2.1.5", "lb2": "2.3.3"}
    extra = {"keepalived_global_extra": ["disable_local_igmp"]}
    hosts = [
        replace(host, state={**host.state, "versions": {"keepalived": versions[host.name]}})
        for host in (lb(one, **(extra if one == last else {})) for one in (11, 12))
    ]
    said = refused([*hosts, mycat(21)])
    assert said == [] if known else "lb1: keepalived 2.1.5 does not know" in said[0]
