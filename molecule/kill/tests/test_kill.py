"""keepalived lives and dies with HAProxy; the order that operators had to keep is systemd's."""

from __future__ import annotations

from lab.daemon import haproxy_unattended, ready
from lab.hosts import await_, holders
from lab.outage import measure
from lab.watch import Watch

# The default of mycat_ha_failover_budget, and three adverts and a skew on a busy machine.
BUDGET = 2.0
MASTER_DOWN = 4.0
LOG = "/usr/local/keepalived/haproxy_check.log"


def started(host, unit):
    """When a unit was last started, in microseconds since the machine was."""
    shown = host.run("systemctl", "show", "-P", "ActiveEnterTimestampMonotonic", unit)
    return int(shown.stdout)


def stopped(host, unit):
    return host.state_of(unit) in ("inactive", "failed")


def test_killed_haproxy_takes_keepalived_along_and_brings_it_back(
    holder, standby, lbs, client, vip, assert_vip_stays
):
    before = started(holder, "keepalived")
    with Watch(lbs, vip) as watch:
        outage = measure(client, vip, lambda: holder.run("pkill", "-9", "-x", "haproxy"), seconds=4)
        await_(lambda: ready(holder), 20, "keepalived has come back by itself")
    assert started(holder, "keepalived") > before
    assert outage.outage_s <= BUDGET, outage
    watch.assert_one_holder(gap=BUDGET)
    assert watch.owners == [holder.name, standby.name]
    assert_vip_stays(standby, MASTER_DOWN)


def test_haproxy_that_stays_dead_keeps_keepalived_away(holder, standby, lbs, vip):
    with haproxy_unattended(holder), Watch(lbs, vip) as watch:
        holder.run("pkill", "-9", "-x", "haproxy")
        await_(lambda: stopped(holder, "keepalived"), 10, "keepalived ends with HAProxy")
        await_(lambda: holders(lbs, vip) == [standby], 10, "the VIP moves")
        holder.run("systemctl", "start", "haproxy")
        await_(lambda: ready(holder), 20, "keepalived comes back with HAProxy")
    watch.assert_one_holder(gap=BUDGET)
    assert watch.owners == [holder.name, standby.name]


def test_restarted_haproxy_restarts_keepalived(holder, standby, lbs, client, vip):
    before = started(holder, "keepalived")
    with Watch(lbs, vip) as watch:
        outage = measure(
            client, vip, lambda: holder.run("systemctl", "restart", "haproxy"), seconds=4
        )
        await_(lambda: ready(holder), 20, "keepalived is back")
    assert started(holder, "haproxy") <= started(holder, "keepalived")
    assert started(holder, "keepalived") > before
    assert outage.outage_s <= BUDGET, outage
    watch.assert_one_holder(gap=BUDGET)
    assert watch.owners == [holder.name, standby.name]


def test_stopped_keepalived_moves_the_vip_and_leaves_haproxy_alone(
    holder, standby, lbs, client, vip
):
    before = started(holder, "haproxy")
    try:
        outage = measure(
            client, vip, lambda: holder.run("systemctl", "stop", "keepalived"), seconds=3
        )
        assert holders(lbs, vip) == [standby]
        assert started(holder, "haproxy") == before
        assert holder.state_of("haproxy") == "active"
    finally:
        holder.run("systemctl", "start", "keepalived")
    # It takes 0.03 s. Who is not told waits for missing adverts, 0.66 s at least.
    assert outage.outage_s <= 0.6, outage


def test_keepalived_starts_haproxy_first(holder, lbs, vip):
    holder.run("systemctl", "stop", "haproxy")
    try:
        await_(lambda: stopped(holder, "keepalived"), 10, "keepalived stops with HAProxy")
    finally:
        holder.run("systemctl", "start", "keepalived")
    assert holder.state_of("haproxy") == "active"
    assert started(holder, "haproxy") <= started(holder, "keepalived")


def test_nobody_holds_the_vip_without_haproxy_and_the_first_to_recover_keeps_it(
    holder, standby, lbs, vip, assert_vip_stays
):
    """The source wants the preferred node started first; here either may be."""
    with Watch(lbs, vip) as watch:
        try:
            for lb in (standby, holder):
                lb.run("systemctl", "stop", "haproxy")
            await_(lambda: holders(lbs, vip) == [], 10, "nobody holds the VIP")
            standby.run("systemctl", "start", "haproxy")
            await_(lambda: holders(lbs, vip) == [standby], 15, "the first to recover takes it")
        finally:
            for lb in lbs:
                lb.run("systemctl", "start", "haproxy")
        await_(lambda: all(map(ready, lbs)), 20, "both are back")
    assert watch.owners == [holder.name, standby.name]
    assert_vip_stays(standby, MASTER_DOWN)


def test_reload_of_haproxy_moves_nothing(holder, lbs, client, vip):
    before = started(holder, "keepalived")
    with Watch(lbs, vip) as watch:
        outage = measure(
            client, vip, lambda: holder.run("systemctl", "reload", "haproxy"), seconds=4
        )
    assert watch.owners == [holder.name]
    assert started(holder, "keepalived") == before
    assert outage.connections_failed == 0, outage


def test_each_end_of_haproxy_is_logged_as_the_source_logs_it(holder):
    def logged():
        return holder.run("cat", LOG, check=False).stdout.count(
            "haproxy is stopped, killall keepalived!"
        )

    before = logged()
    with haproxy_unattended(holder):
        holder.run("pkill", "-9", "-x", "haproxy")
        await_(lambda: stopped(holder, "keepalived"), 10, "keepalived ends with HAProxy")
        await_(lambda: logged() == before + 1, 5, f"a line in {LOG}")


def test_preferred_host_takes_the_vip_back_with_its_haproxy(preferred, lbs, client, vip):
    first, second = lbs
    await_(lambda: all(map(ready, lbs)), 20, "both are in the election")
    await_(lambda: holders(lbs, vip) == [first], 15, "the first host holds the VIP")
    with Watch(lbs, vip) as watch:
        first.run("systemctl", "stop", "haproxy")
        await_(lambda: holders(lbs, vip) == [second], 15, "the VIP leaves")

        def recover():
            first.run("systemctl", "start", "haproxy")
            await_(lambda: holders(lbs, vip) == [first], 15, "the VIP returns")

        back = measure(client, vip, recover, seconds=8)
    assert watch.owners == [first.name, second.name, first.name]
    watch.assert_one_holder(gap=BUDGET)
    assert back.outage_s <= 1.0, back
