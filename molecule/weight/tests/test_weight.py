"""Failover by weights: who holds the VIP when checks fail, and what a client sees of it."""

from __future__ import annotations

import pytest
from lab.daemon import haproxy_unattended, instances, ready
from lab.hosts import await_, await_one_holder, holders
from lab.outage import measure
from lab.playbook import run_playbook
from lab.watch import Watch

# The scenario's mycat_ha_failover_budget, and what the plan promises less.
BUDGET = 6.0
# From the moment when a check has failed: three adverts and a skew, and a busy machine.
MASTER_DOWN = 4.0

HAPROXY_FAILS = {
    "killed": (("pkill", "-9", "-x", "haproxy"), ("systemctl", "start", "haproxy")),
    "stopped": (("systemctl", "stop", "haproxy"), ("systemctl", "start", "haproxy")),
    "hung": (("pkill", "-STOP", "-x", "haproxy"), ("pkill", "-CONT", "-x", "haproxy")),
}


def priority(host):
    """The effective priority of the only instance."""
    (instance,) = instances(host).values()
    return instance.effective_priority


@pytest.mark.parametrize(("fail", "mend"), HAPROXY_FAILS.values(), ids=HAPROXY_FAILS)
def test_vip_leaves_a_failed_haproxy_and_stays_where_it_went(
    fail, mend, holder, standby, lbs, client, vip, assert_vip_stays
):
    healthy = priority(holder)
    with Watch(lbs, vip) as watch, haproxy_unattended(holder):
        try:
            outage = measure(client, vip, lambda: holder.run(*fail), seconds=BUDGET + 1)
            assert holders(lbs, vip) == [standby]
            assert priority(holder) < priority(standby) == healthy
        finally:
            holder.run(*mend)
        await_(lambda: ready(holder), 20, "the node recovers")
    assert outage.outage_s <= BUDGET, outage
    watch.assert_one_holder(gap=0.5)
    assert watch.owners == [holder.name, standby.name]
    assert_vip_stays(standby, MASTER_DOWN)


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
    # Nobody waits for three missing adverts (2.5 s).
    assert outage.outage_s <= 2.0, outage
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
            # Process and answer are looked at separately, and both are missing in the end.
            await_(
                lambda: priority(holder) == priority(standby) == healthy - 2,
                10,
                "both nodes have lost priority",
            )
            assert holders(lbs, vip) == [holder]
            standby.run("systemctl", "start", "haproxy")
            await_(lambda: holders(lbs, vip) == [standby], 15, "the VIP goes to the healthy one")
        finally:
            for lb in lbs:
                lb.run("systemctl", "start", "haproxy")
    watch.assert_one_holder(gap=0.5)


@pytest.fixture
def preferred():
    """The VIP returns to the first host; afterwards it stays again where it is."""
    playbook = "molecule/shared/keepalived.yml"
    assert run_playbook(playbook, mycat_ha_preempt="preferred").rc == 0
    yield
    assert run_playbook(playbook).rc == 0


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
