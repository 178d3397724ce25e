"""The pair as site.yml leaves it, and what a client sees when parts of it die."""

from __future__ import annotations

import time

import pytest
from lab.hosts import answering, await_, await_one_holder
from lab.outage import measure
from lab.watch import Watch

# The defaults of mycat_ha_failover_budget, and of the advert interval that the plan picks.
FAILOVER_BUDGET = 2.0
MASTER_DOWN = 4.0


@pytest.mark.parametrize("unit", ["haproxy", "keepalived"])
def test_load_balancers_run_at_boot(lbs, inspect, unit):
    for lb in lbs:
        assert inspect(lb).service(unit).is_running
        assert inspect(lb).service(unit).is_enabled


def test_mycats_serve_their_health(mycats, inspect):
    for mycat in mycats:
        assert inspect(mycat).service("xinetd").is_running
        assert inspect(mycat).service("xinetd").is_enabled
        assert inspect(mycat).socket("tcp://0.0.0.0:48700").is_listening or (
            inspect(mycat).socket("tcp://:::48700").is_listening
        )


def test_secrets_are_not_for_everybody(lbs, mycats, inspect):
    for lb in lbs:
        assert inspect(lb).file("/etc/keepalived/keepalived.conf").mode == 0o600
        assert inspect(lb).file("/etc/haproxy/haproxy.cfg").mode == 0o640
    for mycat in mycats:
        assert inspect(mycat).file("/etc/mycat_status").mode == 0o750


def test_nothing_of_ours_runs_as_root_for_a_check(mycats):
    for mycat in mycats:
        processes = mycat.run("ps", "-e", "-o", "user:20=", "-o", "args=").stdout.splitlines()
        assert {line.split()[0] for line in processes if "bin/mycat_status" in line} == {
            "mycat_status"
        }


def test_queries_through_the_vip_reach_both_mycats(holder, client, vip, mycats):
    assert answering(client, vip) == {mycat.name for mycat in mycats}


def test_strangers_get_no_verdict(mycats, client, lbs):
    ask = "import sys, urllib.request; urllib.request.urlopen(sys.argv[1], timeout=5)"
    url = f"http://{mycats[0].container}:48700/"
    assert lbs[0].run("python3", "-c", ask, url, check=False).returncode == 0
    assert client.run("python3", "-c", ask, url, check=False).returncode != 0


def test_stopped_mycat_leaves_the_balancing_and_no_new_connection_fails(
    holder, client, vip, mycats
):
    stopped, *rest = mycats
    try:
        outage = measure(client, vip, lambda: stopped.run("systemctl", "stop", "mycat"))
        answers = answering(client, vip)
    finally:
        stopped.run("systemctl", "start", "mycat")
    assert answers == {mycat.name for mycat in rest}
    # Nobody is refused or kept waiting. What the dying MyCat had accepted and not yet greeted dies
    # with it: the server speaks first, so HAProxy cannot try another one then.
    assert all("0 bytes read" in failure for failure in outage.failures), outage
    assert outage.connections_failed <= 2, outage


def test_drained_mycat_can_be_stopped_without_a_single_failure(holder, client, vip, mycats):
    drained, *rest = mycats

    def drain_and_stop():
        drained.run("touch", "/run/mycat_status/drain")
        await_(lambda: answering(client, vip) == {m.name for m in rest}, 20, "no new connections")
        drained.run("systemctl", "stop", "mycat")

    try:
        outage = measure(client, vip, drain_and_stop, seconds=8)
    finally:
        drained.run("rm", "-f", "/run/mycat_status/drain")
        drained.run("systemctl", "start", "mycat")
    assert outage.connections_failed == 0, outage


def test_killed_haproxy_moves_the_vip_within_the_budget(
    holder, standby, lbs, client, vip, assert_vip_stays
):
    since = time.time()
    with Watch(lbs, vip) as watch:
        outage = measure(client, vip, lambda: holder.run("pkill", "-9", "-x", "haproxy"))
        assert await_one_holder(lbs, vip) == standby
        # systemd has brought HAProxy back by now; the node is whole once keepalived says so.
        await_(
            lambda: "Entering BACKUP STATE" in holder.journal("keepalived", since),
            20,
            "the node recovers",
        )
    assert outage.outage_s <= FAILOVER_BUDGET, outage
    watch.assert_one_holder(FAILOVER_BUDGET)
    assert_vip_stays(standby, MASTER_DOWN)


def test_hung_haproxy_moves_the_vip_within_the_budget(holder, standby, lbs, client, vip):
    try:
        outage = measure(client, vip, lambda: holder.run("pkill", "-STOP", "-x", "haproxy"))
        assert await_one_holder(lbs, vip) == standby
    finally:
        holder.run("pkill", "-CONT", "-x", "haproxy")
    assert outage.outage_s <= FAILOVER_BUDGET, outage


def test_stopped_keepalived_moves_the_vip_at_once(
    holder, standby, lbs, client, vip, assert_vip_stays
):
    try:
        with Watch(lbs, vip) as watch:
            outage = measure(client, vip, lambda: holder.run("systemctl", "stop", "keepalived"))
            assert await_one_holder(lbs, vip) == standby
    finally:
        holder.run("systemctl", "start", "keepalived")
    # It takes 0.03 s. Who is not told waits for missing adverts, 0.66 s at least.
    assert outage.outage_s <= 0.6, outage
    watch.assert_one_holder(FAILOVER_BUDGET)
    assert_vip_stays(standby, MASTER_DOWN)


def test_reload_of_haproxy_does_not_move_the_vip(holder, lbs, client, vip):
    with Watch(lbs, vip) as watch:
        outage = measure(
            client, vip, lambda: holder.run("systemctl", "reload", "haproxy"), seconds=4
        )
    assert [set(span.holders) for span in watch.spans] == [{holder.name}]
    assert outage.connections_failed == 0, outage
