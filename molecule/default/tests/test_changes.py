"""What is refused before a change, what is given back after it, what a cut-off run left undone."""

from __future__ import annotations

import time
from contextlib import contextmanager

import pytest
from lab.hosts import answering, await_one_holder
from lab.playbook import run_playbook
from lab.watch import Watch

CONF = "/etc/keepalived/keepalived.conf"
# A VRRP router of somebody else's: id, seconds; version 3, priority 100, no address.
ROUTER = """
import socket, struct, sys, time
group = ("224.0.0.18", 0)
sender = socket.socket(socket.AF_INET, socket.SOCK_RAW, 112)
sender.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 255)
end = time.monotonic() + float(sys.argv[2])
while time.monotonic() < end:
    sender.sendto(struct.pack("!BBBBHH", 0x31, int(sys.argv[1]), 100, 0, 100, 0), group)
    time.sleep(0.5)
"""


def site(*options, **variables):
    return run_playbook("playbooks/site.yml", *options, **variables)


def configurations(lbs):
    return {lb.name: lb.run("sha256sum", CONF).stdout for lb in lbs}


@contextmanager
def address_of(host, address):
    host.run("ip", "address", "add", f"{address}/32", "dev", "eth0")
    try:
        yield
    finally:
        host.run("ip", "address", "del", f"{address}/32", "dev", "eth0")


def test_an_address_that_a_stranger_has_is_refused(holder, lbs, client, vip):
    taken = f"{vip.rpartition('.')[0]}.201"
    before = configurations(lbs)
    with address_of(client, taken):
        run = site(mycat_ha_vip=f"{taken}/24")
    mac = client.run("cat", "/sys/class/net/eth0/address").stdout.strip()
    assert run.rc != 0
    assert f"mycat_ha_vip: {taken} is in use on eth0 already, by {mac}" in run.said
    assert run.changed == set()
    assert configurations(lbs) == before


def test_a_router_id_that_a_stranger_uses_is_refused(holder, lbs, client, vip):
    before = configurations(lbs)
    client.run("sh", "-c", f"timeout 120 python3 -c '{ROUTER}' 200 120 >/dev/null 2>&1 &")
    try:
        run = site(mycat_ha_vips=[{"address": f"{vip}/24", "virtual_router_id": 200}])
    finally:
        client.run("pkill", "-f", "SOCK_RAW", check=False)
    assert run.rc != 0
    assert "virtual_router_id: 200 is in use on eth0 already, by " in run.said
    assert "Write another, such as 201." in run.said
    assert run.changed == set()
    assert configurations(lbs) == before


def test_a_change_that_does_not_hold_stops_at_the_standby_and_is_given_back(
    holder, lbs, client, vip, mycats
):
    before = configurations(lbs)
    never = {"name": "never", "script": "/bin/false", "effect": "fault"}
    with Watch(lbs, vip) as watch:
        run = site(keepalived_checks=[never], keepalived_verify_timeout=5)
    assert run.rc != 0
    assert any(f"is in FAULT on {lb.name}" in run.said for lb in lbs if lb != holder)
    assert "The former files are back and loaded" in run.said
    # The holder was not touched, and went on serving.
    assert holder.name not in run.changed
    assert configurations(lbs) == before
    assert [set(span.holders) for span in watch.spans] == [{holder.name}]
    assert answering(client, vip) == {mycat.name for mycat in mycats}


def test_a_check_that_cannot_succeed_stops_at_the_standby(holder, standby, lbs, vip):
    before = configurations(lbs)
    try:
        with Watch(lbs, vip) as watch:
            # HAProxy does not answer there: the run leaves it as it is.
            run = site(
                "--skip-tags=haproxy",
                haproxy_alive_bind="127.0.0.1:48802",
                keepalived_verify_timeout=5,
            )
        assert run.rc != 0
        assert f"is in FAULT on {standby.name}" in run.said
        assert (
            "/usr/local/libexec/mycat_ha/check_haproxy" in run.said.partition("back and loaded")[2]
        )
        assert run.changed == {standby.name}
        assert configurations(lbs) == before
        assert [set(span.holders) for span in watch.spans] == [{holder.name}]
    finally:
        mended = site()
    assert mended.rc == 0, mended.output
    assert mended.changed == set()


def said_of_mycats(lb, since):
    """What HAProxy logged of MyCats that are down."""
    log = lb.run("journalctl", "-q", "-u", "haproxy", "-o", "cat", f"--since=@{since:.3f}").stdout
    return [line for line in log.splitlines() if "is DOWN" in line or "no server" in line]


def ports_of(mycat):
    """The ports of a MyCat host from 48700 on at which somebody listens."""
    lines = mycat.run("ss", "-Hltn", "sport >= :48700 and sport <= :48709").stdout.splitlines()
    return {line.split()[3].rpartition(":")[2] for line in lines}


@pytest.fixture
def reserved_ports(mycats):
    """The kernel keeps a former port until the next boot, which is not awaited here."""
    path = "/proc/sys/net/ipv4/ip_local_reserved_ports"
    before = {mycat: mycat.run("cat", path).stdout.strip() for mycat in mycats}
    yield
    for mycat, ports in before.items():
        mycat.run("sh", "-c", f"echo {ports} >{path}")


def test_the_health_endpoint_moves_and_no_mycat_is_unchecked(holder, lbs, mycats, reserved_ports):
    """It answers at both ports until the load balancers ask the new one."""
    since = time.time()
    try:
        moved = site(mycat_status_port=48701)
        assert moved.rc == 0, moved.output
        assert moved.changed == {host.name for host in (*lbs, *mycats)}
        assert [ports_of(mycat) for mycat in mycats] == [{"48701"}] * 2
        assert site(mycat_status_port=48701).changed == set()
    finally:
        back = site()
    assert back.rc == 0, back.output
    assert [ports_of(mycat) for mycat in mycats] == [{"48700"}] * 2
    assert {lb.name: said_of_mycats(lb, since) for lb in lbs} == {lb.name: [] for lb in lbs}


def test_a_file_that_was_written_and_not_loaded_is_loaded_by_the_next_run(holder, lbs, vip):
    # As a run leaves it that ends before its handlers.
    holder.run("sh", "-c", f"cp -p {CONF} {CONF}.new && mv {CONF}.new {CONF}")
    since = time.time()
    with Watch(lbs, vip) as watch:
        run = site()
    assert run.rc == 0, run.output
    assert run.changed == {holder.name}
    log = holder.run("journalctl", "-q", "-u", "keepalived", f"--since=@{since:.3f}").stdout
    assert "Reload" in log
    assert await_one_holder(lbs, vip) == holder
    assert [set(span.holders) for span in watch.spans] == [{holder.name}]
