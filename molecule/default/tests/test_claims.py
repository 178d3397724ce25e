"""nopreempt does not need keepalived killed, as the source says: mode fault has it, too."""

from __future__ import annotations

from lab.daemon import instances, ready
from lab.hosts import await_, await_one_holder
from lab.watch import Watch

# Three adverts and a skew, and a busy machine.
MASTER_DOWN = 4.0


def process(host):
    return host.run("systemctl", "show", "-P", "MainPID", "keepalived").stdout


def test_fault_is_sticky_and_moves_on_every_failure_with_keepalived_alive(
    holder, standby, lbs, vip, assert_vip_stays
):
    before = [process(lb) for lb in lbs]
    with Watch(lbs, vip) as watch:
        for failing, taking in ((holder, standby), (standby, holder), (holder, standby)):
            failing.run("pkill", "-9", "-x", "haproxy")
            await_(lambda to=taking: await_one_holder(lbs, vip) == to, 10, "the VIP moves")
            await_(lambda node=failing: ready(node), 20, f"{failing.name} recovers by itself")
    assert watch.owners == [holder.name, standby.name, holder.name, standby.name]
    watch.assert_one_holder(gap=2.0)
    assert [process(lb) for lb in lbs] == before
    assert_vip_stays(standby, MASTER_DOWN)


def test_fault_is_what_keepalived_calls_it(holder, standby, lbs, vip):
    """Weight 0: no priority changes, the node is out of the election until it recovers."""
    (healthy,) = instances(holder).values()
    try:
        holder.run("systemctl", "stop", "haproxy")
        await_(lambda: await_one_holder(lbs, vip) == standby, 10, "the VIP moves")
        (failed,) = instances(holder).values()
    finally:
        holder.run("systemctl", "start", "haproxy")
    assert failed.state == "FAULT"
    assert failed.effective_priority == healthy.effective_priority
