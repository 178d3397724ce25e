"""A host that is no load balancer sends adverts of the highest priority."""

from __future__ import annotations

import re
import subprocess

import pytest
from lab.bounds import LATE
from lab.outage import measure
from lab.watch import Watch

CONF = "/etc/keepalived/keepalived.conf"
# Source address, load balancer, virtual router id, time to live, seconds; version 3, priority 255.
FORGER = """
import ipaddress, socket, struct, sys, time
source, target, vrid, ttl, seconds, vip = sys.argv[1:]
def sum16(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return 0xffff - total
ends = [ipaddress.ip_address(one).packed for one in (source, target)]
advert = struct.pack("!BBBBHH", 0x31, int(vrid), 255, 1, 10, 0) + ipaddress.ip_address(vip).packed
# Version 3 sums what stands in front of an advert, too; unicast of keepalived does.
whole = sum16(b"".join(ends) + struct.pack("!BBH", 0, 112, len(advert)) + advert)
advert = advert[:6] + struct.pack("!H", whole) + advert[8:]
header = struct.pack("!BBHHHBBH4s4s", 0x45, 0xc0, 20 + len(advert), 0, 0, int(ttl), 112, 0, *ends)
sender = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
end = time.monotonic() + float(seconds)
while time.monotonic() < end:
    sender.sendto(header + advert, (target, 0))
    time.sleep(0.05)
"""
# Longer than a standby waits for an advert.
SECONDS = 6


def forge(client, lbs, vip, source, ttl):
    """Send to every other load balancer at once, in the name of ``source``, until the end."""
    senders = []
    for text in [lb.run("cat", CONF).stdout for lb in lbs]:
        target = re.search(r"unicast_src_ip (\S+)", text)[1]
        vrid = re.search(r"virtual_router_id (\d+)", text)[1]
        if target != source:
            words = [source, target, vrid, str(ttl), str(SECONDS), vip]
            senders.append(subprocess.Popen(client.argv("python3", "-c", FORGER, *words)))
    assert [sender.wait(SECONDS + LATE) for sender in senders] == [0] * len(senders)


def address_of(host):
    return host.run("hostname", "-i").stdout.split()[0]


@pytest.mark.parametrize("who", ["a stranger", "a load balancer, from beyond a router"])
@pytest.mark.parametrize("ttl", [64, 254])
def test_adverts_of_the_highest_priority_move_nothing(who, ttl, holder, standby, lbs, client, vip):
    source = address_of(client if who == "a stranger" else standby)
    with Watch(lbs, vip) as watched:
        seen = measure(
            client, vip, lambda: forge(client, lbs, vip, source, ttl), seconds=SECONDS + 1
        )
    assert [set(span.holders) for span in watched.spans] == [{holder.name}]
    assert seen.connections_failed == 0, seen
    assert seen.outage_s < LATE
