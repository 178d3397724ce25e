"""What keepalived learns of HAProxy, and when; what of it moves the VIP and what does not."""

from __future__ import annotations

import re
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from lab.hosts import await_, await_one_holder, holders
from lab.outage import measure
from lab.watch import Watch

TRACKED = "/run/mycat_ha/haproxy_down"
# The default of mycat_ha_failover_budget.
FAILOVER_BUDGET = 2.0
# Three adverts and what the priority adds, half a second for a start of HAProxy, and the load.
BOTH_DEAD = 3.5
WORKER = "kill -9 $(pgrep -P $(systemctl show -P MainPID haproxy))"
MASTER = "kill -9 $(systemctl show -P MainPID haproxy)"
CONFIG = "/etc/haproxy/haproxy.cfg"
CONF = "/etc/keepalived/keepalived.conf"
LIBEXEC = "/usr/local/libexec/mycat_ha"


def check(lb, name):
    """Run a check as keepalived does; return its exit code."""
    (command,) = re.findall(f'script "(.*check_{name} .*)"', lb.run("cat", CONF).stdout)
    return lb.run(
        *("sh", "-c", f"runuser -u keepalived_script -- {command}"), check=False
    ).returncode


def told_down(lb):
    return lb.run("cat", TRACKED).stdout.strip() == "1"


@pytest.fixture
def whole_again(holder):
    yield
    holder.run("sh", "-c", f"[ ! -e {CONFIG}.good ] || mv {CONFIG}.good {CONFIG}")
    holder.run("systemctl", "start", "haproxy")


def test_no_check_was_disabled(lbs):
    for lb in lbs:
        log = lb.run("journalctl", "--no-pager", "-q", "-o", "cat", "-b", "-u", "keepalived").stdout
        assert "Starting VRRP child process" in log
        assert "disabl" not in log.lower()


def test_checks_find_haproxy_hung_and_gone(standby, whole_again):
    assert (check(standby, "haproxy"), check(standby, "backends")) == (0, 0)
    # What no HAProxy says of the MyCats is nothing.
    silent = (1, 0)
    try:
        standby.run("pkill", "-STOP", "-x", "haproxy")
        assert (check(standby, "haproxy"), check(standby, "backends")) == silent
        assert not told_down(standby)
    finally:
        standby.run("pkill", "-CONT", "-x", "haproxy")
    try:
        standby.run("systemctl", "stop", "haproxy")
        assert told_down(standby)
        # keepalived knows it already.
        assert (check(standby, "haproxy"), check(standby, "backends")) == (0, 0)
    finally:
        standby.run("systemctl", "start", "haproxy")
    assert not told_down(standby)


def test_ten_reloads_move_nothing(lbs, vip, holder):
    with Watch(lbs, vip) as watch:
        for _ in range(10):
            holder.run("systemctl", "reload", "haproxy")
    assert [set(span.holders) for span in watch.spans] == [{holder.name}]


@pytest.mark.parametrize(
    "end",
    [MASTER, WORKER, "systemctl restart haproxy"],
    ids=["master killed", "worker killed", "restarted"],
)
def test_every_end_of_haproxy_moves_the_vip(lbs, client, vip, holder, standby, end):
    outage = measure(client, vip, lambda: holder.run("sh", "-c", end), seconds=3)
    assert await_one_holder(lbs, vip) == standby
    assert outage.outage_s <= FAILOVER_BUDGET, outage


def test_both_haproxies_may_die_in_one_second(lbs, client, vip, holder, standby):
    """The first to be back takes the VIP once it has missed three adverts."""

    def kill_both():
        for lb in (holder, standby):
            lb.run("sh", "-c", MASTER)

    outage = measure(client, vip, kill_both, seconds=6)
    print(outage)
    assert outage.outage_s <= BOTH_DEAD, outage


def test_haproxy_that_cannot_start_is_down_until_it_can(lbs, vip, holder, standby, whole_again):
    holder.run("cp", "-p", CONFIG, f"{CONFIG}.good")
    holder.run("sh", "-c", f"echo bogus >>{CONFIG}; systemctl restart haproxy", check=False)
    assert await_one_holder(lbs, vip) == standby
    # systemd goes on trying, for ever and with pauses.
    restarts = "systemctl show -P NRestarts haproxy"
    await_(lambda: int(holder.run("sh", "-c", restarts).stdout) >= 3, 20, "three attempts")
    assert told_down(holder)
    holder.run("mv", f"{CONFIG}.good", CONFIG)
    await_(lambda: not told_down(holder), 20, "HAProxy is back by itself")


def test_host_that_boots_takes_no_vip_before_haproxy_answers(lbs, vip, holder, standby):
    """With the other keepalived stopped nobody but the booting host could take it."""
    watched = "\n".join(
        [
            "end=$(($(date +%s) + 30))",
            "while [ $(date +%s) -lt $end ]; do",
            f"  if ip -br address | grep -q '{vip}/'; then",
            f"    timeout 0.5 {LIBEXEC}/check_haproxy && echo answers || echo silent",
            "    exit",
            "  fi",
            "  sleep 0.1",
            "done",
        ]
    )
    unit = "/run/systemd/system/haproxy.service.d"
    try:
        standby.run("systemctl", "stop", "keepalived")
        # As at a boot: nothing runs, /run is empty; and HAProxy takes its time.
        holder.run("systemctl", "stop", "keepalived", "haproxy")
        holder.run("rm", TRACKED)
        holder.run("systemd-tmpfiles", "--create", "/etc/tmpfiles.d/mycat_ha.conf")
        slow = f"printf '[Service]\\nExecStartPre=/bin/sleep 4\\n' >{unit}/slow.conf"
        holder.run("sh", "-c", f"mkdir -p {unit}; {slow}; systemctl daemon-reload")
        assert told_down(holder)
        holder.run("systemctl", "--no-block", "start", "keepalived", "haproxy")
        assert holder.run("sh", "-c", watched).stdout == "answers\n"
    finally:
        holder.run("rm", "-f", f"{unit}/slow.conf")
        holder.run("systemctl", "daemon-reload")
        for lb in lbs:
            lb.run("systemctl", "start", "haproxy", "keepalived")


def query_that_waits(client, address, seconds):
    """A client whose statement takes so long."""
    return subprocess.Popen(
        client.argv(
            *("mariadb", "--batch", "--skip-reconnect", f"--host={address}", "--port=8066"),
            *("--user=mycat", "--password=mycat-demo", f"--execute=select sleep({seconds})"),
        ),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def sessions_at(lb, address):
    """The sessions that clients have with a load balancer at one of its addresses."""
    return lb.run("ss", "-Htn", "state", "established", "src", f"{address}:8066").stdout.split(
        "\n"
    )[:-1]


def test_sessions_end_with_the_address_and_no_others(lbs, client, vip, holder, standby):
    """Clients that wait for an answer do not send, and would hang until a time-out."""
    own = holder.run("hostname", "--ip-address").stdout.split()[0]
    waiting = {address: query_that_waits(client, address, 25) for address in (vip, own)}
    try:
        for address in waiting:
            await_(lambda a=address: sessions_at(holder, a), 10, f"a session at {address}")
        since = time.monotonic()
        holder.run("sh", "-c", "echo 1 >/run/mycat_ha/maintenance")
        await_(lambda: waiting[vip].poll() is not None, 10, "the client hears of it", every=0.02)
        print(f"ended after {time.monotonic() - since:.2f} s")
        assert "Lost connection" in waiting[vip].stderr.read()
        assert waiting[own].poll() is None
        assert len(sessions_at(holder, own)) == 1
        assert sessions_at(holder, vip) == []
        assert holders(lbs, vip) == [standby]
    finally:
        holder.run("sh", "-c", "echo 0 >/run/mycat_ha/maintenance")
        for process in waiting.values():
            process.kill()
            process.communicate()


REINSTALL = (
    "apt-get install --reinstall --yes --quiet -o Dpkg::Options::=--force-confold keepalived"
)
# What a package's upgrade takes besides three adverts: keepalived ends and starts.
BOTH_UPGRADED = 4.5


def test_upgrades_of_keepalived_one_after_the_other_and_at_once(lbs, client, vip, holder, standby):
    """At once is what nobody should do, and what a timer may."""
    texts = [lb.run("cat", CONF).stdout for lb in lbs]
    for lb in lbs:
        lb.run("sh", "-c", "apt-get update -qq && " + REINSTALL + " --download-only")
    with Watch(lbs, vip) as watch:
        alone = measure(client, vip, lambda: standby.run("sh", "-c", REINSTALL), seconds=15)
    assert watch.owners == [holder.name]
    assert alone.connections_failed == 0, alone

    def both():
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda lb: lb.run("sh", "-c", REINSTALL), lbs))

    at_once = measure(client, vip, both, seconds=20)
    print(f"alone: {alone}, at once: {at_once}")
    await_one_holder(lbs, vip)
    assert at_once.outage_s <= BOTH_UPGRADED, at_once
    assert [lb.run("cat", CONF).stdout for lb in lbs] == texts
