"""Failover by weights: who holds the VIP when checks fail, and what a client sees of it."""

from __future__ import annotations

import pytest
from ansible_collections.mycat.ha.plugins.module_utils.keepalived.reader import parse
from lab.daemon import haproxy_unattended, instances, ready
from lab.hosts import await_, await_one_holder, holders
from lab.outage import measure
from lab.playbook import run_playbook
from lab.watch import Watch

# The scenario's mycat_ha_failover_budget, and what the plan promises less.
BUDGET = 6.0
# From the moment when a check has failed: three adverts and a skew, and a busy machine.
MASTER_DOWN = 4.0

# What happens, what undoes it, and how long the VIP may take to move.
HAPROXY_FAILS = {
    "killed": (("pkill", "-9", "-x", "haproxy"), ("systemctl", "start", "haproxy"), MASTER_DOWN),
    "stopped": (("systemctl", "stop", "haproxy"), ("systemctl", "start", "haproxy"), MASTER_DOWN),
    "hung": (("pkill", "-STOP", "-x", "haproxy"), ("pkill", "-CONT", "-x", "haproxy"), BUDGET),
}


def priority(host):
    """The effective priority of the only instance."""
    (instance,) = instances(host).values()
    return instance.effective_priority


def weight(host, *checks):
    """What the failure of some checks adds to the priority."""
    text = host.run("cat", "/etc/keepalived/keepalived.conf").stdout
    (instance,) = parse(text, host.name).node.instances
    return sum(track.weight for track in instance.tracks if track.check in checks)


@pytest.mark.parametrize(("fail", "mend", "bound"), HAPROXY_FAILS.values(), ids=HAPROXY_FAILS)
def test_vip_leaves_a_failed_haproxy_and_stays_where_it_went(
    fail, mend, bound, holder, standby, lbs, client, vip, assert_vip_stays
):
    healthy = priority(holder)
    with Watch(lbs, vip) as watch, haproxy_unattended(holder):
        try:
            outage = measure(client, vip, lambda: holder.run(*fail), bound + 1)
            assert holders(lbs, vip) == [standby]
            assert priority(holder) < priority(standby) == healthy
        finally:
            holder.run(*mend)
        await_(lambda: ready(holder), 20, "the node recovers")
    assert outage.outage_s <= bound, outage
    watch.assert_one_holder(gap=0.5)
    assert watch.owners == [holder.name, standby.name]
    assert_vip_stays(standby, MASTER_DOWN)


def test_an_end_of_haproxy_is_logged(holder):
    def logged():
        said = holder.run("cat", "/usr/local/keepalived/haproxy_check.log", check=False).stdout
        return said.count("haproxy is stopped, vip shift!")

    before = logged()
    with haproxy_unattended(holder):
        holder.run("pkill", "-9", "-x", "haproxy")
        await_(lambda: logged() == before + 1, 10, "a line in the log")


def test_haproxy_that_systemd_starts_again_at_once_serves_again(holder, lbs, client, vip):
    with Watch(lbs, vip) as watch:
        outage = measure(client, vip, lambda: holder.run("pkill", "-9", "-x", "haproxy"), BUDGET)
        await_(lambda: ready(holder), 20, "the node recovers")
    assert outage.outage_s <= BUDGET, outage
    watch.assert_one_holder(gap=0.5)
    assert len(watch.owners) <= 2


def test_stopped_keepalived_hands_the_vip_over_at_once(holder, standby, lbs, client, vip):
    try:
        with Watch(lbs, vip) as watch:
            outage = measure(
                client, vip, lambda: holder.run("systemctl", "stop", "keepalived"), seconds=3
            )
            assert holders(lbs, vip) == [standby]
    finally:
        holder.run("systemctl", "start", "keepalived")
    # It takes 0.03 s. Who is not told waits for missing adverts, 0.66 s at least.
    assert outage.outage_s <= 0.6, outage
    watch.assert_one_holder(gap=2.0)


def test_reload_of_haproxy_moves_nothing(holder, lbs, client, vip):
    with Watch(lbs, vip) as watch:
        outage = measure(
            client, vip, lambda: holder.run("systemctl", "reload", "haproxy"), seconds=4
        )
    assert watch.owners == [holder.name]
    assert outage.connections_failed == 0, outage


def test_vip_is_on_one_of_two_failed_nodes_and_goes_to_the_first_that_recovers(
    holder, standby, lbs, vip
):
    healthy = priority(holder)
    with Watch(lbs, vip) as watch:
        try:
            for lb in (standby, holder):
                lb.run("systemctl", "stop", "haproxy")
            # keepalived is told of the end of HAProxy, and the script does not count it again.
            dead = healthy + weight(holder, "haproxy_process")
            await_(lambda: priority(holder) == priority(standby) == dead, 10, "both lose priority")
            assert holders(lbs, vip) == [holder]
            standby.run("systemctl", "start", "haproxy")
            await_(lambda: holders(lbs, vip) == [standby], 15, "the VIP goes to the healthy one")
        finally:
            for lb in lbs:
                lb.run("systemctl", "start", "haproxy")
    watch.assert_one_holder(gap=0.5)


@pytest.fixture
def blind(holder, mycats):
    """The holder's HAProxy reaches no MyCat."""
    routes = [address for mycat in mycats for address in mycat.addresses() if "." in address]
    routes = [address for address in routes if not address.startswith("127.")]
    for address in routes:
        holder.run("ip", "route", "add", "blackhole", address)
    yield holder
    for address in routes:
        holder.run("ip", "route", "del", "blackhole", address)


def test_lightest_failure_holds_the_vip(blind, standby, lbs, client, vip):
    """No MyCat in sight is bad, no HAProxy is worse."""
    healthy = priority(standby)
    with Watch(lbs, vip) as watch:
        try:
            await_(lambda: holders(lbs, vip) == [standby], 20, "the VIP goes where MyCat is seen")
            assert client.query(vip, "select 1").returncode == 0
            assert priority(blind) == healthy + weight(blind, "backends")
            standby.run("systemctl", "stop", "haproxy")
            await_(lambda: holders(lbs, vip) == [blind], 20, "the VIP goes where HAProxy lives")
            assert priority(standby) < priority(blind)
        finally:
            standby.run("systemctl", "start", "haproxy")
        await_(lambda: holders(lbs, vip) == [standby], 20, "the VIP goes to the healthy node")
    watch.assert_one_holder(gap=0.5)


def test_preferred_host_takes_the_vip_back_once_it_has_recovered(preferred, lbs, client, vip):
    first, second = lbs
    await_(lambda: all(map(ready, lbs)), 20, "both are in the election")
    await_(lambda: holders(lbs, vip) == [first], 15, "the first host holds the VIP")
    assert priority(first) == priority(second) + 1
    with Watch(lbs, vip) as watch:
        first.run("systemctl", "stop", "haproxy")
        await_(lambda: holders(lbs, vip) == [second], 15, "the VIP leaves")

        def recover():
            first.run("systemctl", "start", "haproxy")
            await_(lambda: holders(lbs, vip) == [first], 15, "the VIP returns")

        back = measure(client, vip, recover, seconds=8)
    assert watch.owners == [first.name, second.name, first.name]
    watch.assert_one_holder(gap=0.5)
    assert back.outage_s <= 1.0, back
    assert await_one_holder(lbs, vip) == first


def test_own_play_sets_the_hosts_up_one_after_the_other(holder, lbs, client, vip):
    """The roles in a play with ``serial: 1``, which sees one load balancer at a time."""

    def play(**variables):
        return run_playbook("molecule/weight/own_play.yml", **variables)

    with Watch(lbs, vip) as watch:
        done = play(haproxy_maxconn=4300, keepalived_startup_delay=3)
    try:
        assert done.rc == 0, done.output
        assert done.changed == {lb.name for lb in lbs}
        assert watch.owners == [holder.name]
        for lb in lbs:
            assert "maxconn 4300" in lb.run("cat", "/etc/haproxy/haproxy.cfg").stdout
        assert client.query(vip, "select 1").returncode == 0
    finally:
        back = play()
    assert back.rc == 0, back.output
