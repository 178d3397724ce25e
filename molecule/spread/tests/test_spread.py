"""Virtual IPs spread over load balancers of several releases: each works, and each is replaced."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager

import pytest
import yaml
from lab.daemon import haproxy_unattended, instances, ready
from lab.hosts import await_, holders
from lab.leftovers import left
from lab.outage import measure
from lab.playbook import run_playbook
from lab.watch import HANDOVER, Watch

# The role's default.
FAILOVER_BUDGET = 2.0
# All start anew, and none is told by another.
START = 4.0
KEEPALIVED = {"lb11": (2, 1), "lb12": (2, 2), "lb13": (2, 3)}


def converge(*options, **variables):
    return run_playbook("molecule/spread/converge.yml", *options, **variables)


@pytest.fixture
def homes(lbs, vips):
    """Where each VIP is at home, once every load balancer holds its own."""

    def one_each():
        found = {name: holders(lbs, vip) for name, vip in vips.items()}
        held = [lb.name for held in found.values() for lb in held]
        whole = sorted(held) == sorted(lb.name for lb in lbs) and all(map(ready, lbs))
        return found if whole and all(map(len, found.values())) else None

    found = await_(one_each, 40, "each load balancer holds one VIP")
    return {name: lb for name, (lb,) in found.items()}


def test_each_release_runs_its_keepalived_and_masters_one_instance(homes, lbs, vips):
    for lb in lbs:
        version = lb.run("keepalived", "--version").stderr.split()[1]
        assert tuple(map(int, version.strip("v").split(".")[:2])) == KEEPALIVED[lb.name]
        states = {name: one.state for name, one in instances(lb).items()}
        assert states == {name: "MASTER" if homes[name] == lb else "BACKUP" for name in vips}


FAILURES = {
    "HAProxy killed": (("pkill", "-9", "-x", "haproxy"), ("systemctl", "start", "haproxy")),
    "keepalived stopped": (
        ("systemctl", "stop", "keepalived"),
        ("systemctl", "start", "keepalived"),
    ),
}


@contextmanager
def watching(lbs, vips):
    """Watch all the VIPs; {name: Watch}."""
    with ExitStack() as stack:
        yield {name: stack.enter_context(Watch(lbs, vip)) for name, vip in vips.items()}


@pytest.mark.parametrize("name", ["orders", "stock", "reports"])
@pytest.mark.parametrize(("fail", "mend"), FAILURES.values(), ids=FAILURES)
def test_a_vip_leaves_its_failed_home_alone_and_returns(fail, mend, name, homes, lbs, client, vips):
    home = homes[name]
    with watching(lbs, vips) as watches, haproxy_unattended(home):
        try:
            outage = measure(client, vips[name], lambda: home.run(*fail))
            (deputy,) = holders(lbs, vips[name])
        finally:
            home.run(*mend)
        await_(lambda: holders(lbs, vips[name]) == [home], 30, f"{name} is at home again")
    assert outage.outage_s <= FAILOVER_BUDGET, outage
    for other, watch in watches.items():
        watch.assert_one_holder(gap=FAILOVER_BUDGET)
        if other == name:
            # Two hear of the failure at once, and their skews are 4 ms apart: the later one, too,
            # may be MASTER until it hears the other.
            assert watch.owners_for(HANDOVER)[:2] == [home.name, deputy.name]
            assert watch.owners[-1] == home.name
        else:
            assert watch.owners == [homes[other].name]


def test_router_ids_that_change_are_changed_by_all_at_once(homes, lbs, client, vips, variables):
    others = [
        {**vip, "virtual_router_id": router_id}
        for router_id, vip in enumerate(variables["mycat_ha_vips"], start=201)
    ]
    with watching(lbs, vips) as watches:
        run = converge(mycat_ha_vips=others)
    try:
        assert run.rc == 0, run.output
        assert run.changed == {lb.name for lb in lbs}
        for name, watch in watches.items():
            # Nobody of the former cluster to hand over: each waits for adverts as at a start.
            watch.assert_one_holder(gap=START)
            assert holders(lbs, vips[name]) == [homes[name]]
            assert client.query(vips[name], "select 1").stdout == "1\n"
    finally:
        back = converge()
    assert back.rc == 0, back.output


@pytest.fixture
def firewalls(lbs, mycats):
    """ufw in force on two hosts and firewalld on one, as they are after their installation."""
    first, second, _third = lbs
    for host, name in ((first, "ufw"), (second, "firewalld"), (mycats[0], "ufw")):
        install = f"DEBIAN_FRONTEND=noninteractive apt-get install -qq -y {name}"
        # Debian's own archive; the hosts know only that of their image.
        host.run("cp", "/etc/apt/debian.list", "/etc/apt/sources.list.d/debian.list")
        host.run("sh", "-ec", f"apt-get update -qq; {install} >/dev/null")
        host.run("rm", "/etc/apt/sources.list.d/debian.list")
    for host in (first, mycats[0]):
        host.run("ufw", "--force", "enable")
    second.run("systemctl", "start", "firewalld")
    yield
    for host in (first, mycats[0]):
        host.run("ufw", "--force", "disable")
    second.run("systemctl", "disable", "--now", "firewalld")


def test_a_run_opens_what_the_cluster_needs(homes, lbs, mycats, client, vips, firewalls):
    opened = converge()
    assert opened.rc == 0, opened.output
    assert opened.changed == {lbs[0].name, lbs[1].name, mycats[0].name}
    again = converge()
    assert again.rc == 0, again.output
    assert again.changed == set()
    for name, vip in vips.items():
        await_(lambda v=vip: len(holders(lbs, v)) == 1, 20, f"one holds {name}")
        assert client.query(vip, "select 1").stdout == "1\n"


def test_restrict_closes_what_a_firewall_that_lets_all_in_leaves_open(
    homes, lbs, mycats, client, vips, firewalls
):
    (mycat,) = mycats
    address = mycat.run("hostname", "-i").stdout.split()[0]

    def reaches(port):
        connect = ("timeout", "2", "bash", "-c", f"exec 3<>/dev/tcp/{address}/{port}")
        return client.run(*connect, check=False).returncode == 0

    mycat.run("ufw", "default", "allow", "incoming")
    try:
        assert reaches(9066)
        restricted = converge(mycat_ha_firewall="restrict")
        assert restricted.rc == 0, restricted.output
        assert not reaches(9066)
        assert reaches(8066)
        again = converge(mycat_ha_firewall="restrict")
        assert again.rc == 0, again.output
        assert again.changed == set()
        for name, vip in vips.items():
            assert len(holders(lbs, vip)) == 1, name
            assert client.query(vip, "select 1").stdout == "1\n"
    finally:
        mycat.run("ufw", "default", "deny", "incoming")


def test_removal_closes_what_was_opened_and_leaves_nothing(homes, lbs, mycats, vips, firewalls):
    asked = {
        "mycat_ha_lb_group": "balancers",
        "mycat_ha_mycat_group": "proxies",
        "mycat_ha_firewall": "restrict",
    }
    hosts = (*lbs, *mycats)
    installed = converge(mycat_ha_firewall="restrict")
    assert installed.rc == 0, installed.output
    try:
        removed = run_playbook("playbooks/remove.yml", mycat_ha_remove="all", **asked)
        assert removed.rc == 0, removed.output
        assert {host.name: left(host) for host in hosts} == {host.name: [] for host in hosts}
        for host in (lbs[0], mycats[0]):
            added = host.run("ufw", "show", "added").stdout.splitlines()
            assert [line for line in added if line.startswith("ufw ")] == [], host.name
        for when in ((), ("--permanent",)):
            assert lbs[1].run("firewall-cmd", *when, "--list-rich-rules").stdout.strip() == ""
    finally:
        back = converge(mycat_ha_firewall="restrict")
    assert back.rc == 0, back.output
    for name, vip in vips.items():
        await_(lambda v=vip: len(holders(lbs, v)) == 1, 20, f"one holds {name}")


def forget_keepalived(lbs):
    """As before the first run."""
    for lb in lbs:
        lb.run("systemctl", "stop", "keepalived")
        lb.run("rm", "-f", "/etc/keepalived/keepalived.conf")


def test_a_new_cluster_starts_spread_with_sticky_and_moves_nothing_later(homes, lbs, vips):
    def held():
        return {name: [lb.name for lb in holders(lbs, vip)] for name, vip in vips.items()}

    forget_keepalived(lbs)
    try:
        first = converge(mycat_ha_preempt="sticky")
        assert first.rc == 0, first.output
        assert held() == {name: [home.name] for name, home in homes.items()}
        again = converge(mycat_ha_preempt="sticky")
        assert again.rc == 0, again.output
        assert again.changed == set()
        lbs[0].run("systemctl", "restart", "keepalived")
        await_(lambda: ready(lbs[0]), 30, "the first load balancer is back")
        after = held()
        assert sum(map(len, after.values())) == len(vips)
        told = converge(mycat_ha_preempt="sticky")
        assert told.rc == 0, told.output
        assert held() == after
        assert "the virtual IPs are not spread" in told.output
    finally:
        back = converge()
    assert back.rc == 0, back.output


def test_a_load_balancer_that_holds_an_address_leaves_the_group_only_retired(homes, lbs, tmp_path):
    _leaving, *remaining = lbs
    groups = tmp_path / "without.yml"
    groups.write_text(yaml.safe_dump({"remaining": {"hosts": {lb.name: None for lb in remaining}}}))
    done = converge(f"--inventory={groups}", mycat_ha_lb_group="remaining")
    assert done.rc != 0
    assert done.changed == set()
    # By the address that the others know: the inventory has none for a container.
    said = "was a load balancer of the cluster main and is in the group no more"
    assert said in done.said, done.output
