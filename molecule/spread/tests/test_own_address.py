"""A host without its own address is out of the election, and comes back by itself.

In a file of its own: pytest undoes the other interface only after the last test of the file.
"""

from __future__ import annotations

import pytest
from lab.daemon import ready
from lab.hosts import await_, holders
from lab.playbook import run_playbook

# A part of the hosts' own network: the bridge between them passes no other.
EXTRA, ELSEWHERE = "lan1", "10.87.54.200"


def own_address(lb):
    return f"10.87.54.2{lb.name.removeprefix('lb')}"


def make_interface(lb):
    """An interface beside the one by which the host is reached, as a VLAN or a bond would be."""
    # Each of the two answers for its own addresses only.
    for setting in ("arp_ignore=1", "arp_announce=2"):
        lb.run("sysctl", "-qw", f"net.ipv4.conf.all.{setting}")
    lb.run(*f"ip link add link eth0 name {EXTRA} type macvlan mode bridge".split())
    lb.run("ip", "link", "set", EXTRA, "up")


def give_address(lb):
    lb.run("ip", "address", "add", f"{own_address(lb)}/26", "dev", EXTRA)


@pytest.fixture(scope="module")
def elsewhere(lbs):
    """One VIP on an interface that the load balancers can do without; undone in the end."""
    for lb in lbs:
        make_interface(lb)
        give_address(lb)
    run = run_playbook(
        "molecule/spread/converge.yml",
        mycat_ha_vips=[{"address": f"{ELSEWHERE}/26", "name": "orders"}],
        keepalived_interface=EXTRA,
    )
    assert run.rc == 0, run.output
    yield ELSEWHERE
    back = run_playbook("molecule/spread/converge.yml")
    for lb in lbs:
        lb.run("ip", "link", "del", EXTRA)
    # The MyCat let in the addresses that are gone now.
    forgotten = run_playbook("molecule/spread/converge.yml")
    assert back.rc == 0, back.output
    assert forgotten.rc == 0, forgotten.output


def lose_address(lb):
    lb.run("ip", "address", "del", f"{own_address(lb)}/26", "dev", EXTRA)


def lose_interface(lb):
    lb.run("ip", "link", "del", EXTRA)


def have_interface(lb):
    make_interface(lb)
    give_address(lb)


LOSSES = {
    "its own address": (lose_address, give_address),
    "its interface": (lose_interface, have_interface),
}


@pytest.mark.parametrize("name", ["lb11", "lb12", "lb13"])
@pytest.mark.parametrize(("lose", "have"), LOSSES.values(), ids=LOSSES)
def test_a_host_that_lost_its_address_comes_back_by_itself(lose, have, name, lbs, elsewhere):
    (lb,) = [lb for lb in lbs if lb.name == name]
    rest = [other for other in lbs if other != lb]
    await_(lambda: all(map(ready, lbs)), 30, "all are in the election")
    lose(lb)
    try:
        await_(lambda: lb.state_of("keepalived") == "inactive", 10, "keepalived stops")
        await_(lambda: len(holders(rest, elsewhere)) == 1, 10, "another holds the VIP")
        assert holders(lbs, elsewhere) == holders(rest, elsewhere)
    finally:
        have(lb)
    await_(lambda: ready(lb), 30, f"{lb.name} is in the election again")
    await_(lambda: len(holders(lbs, elsewhere)) == 1, 10, "one holds the VIP")


@pytest.mark.parametrize("name", ["lb11", "lb12", "lb13"])
def test_keepalived_waits_for_an_address_that_comes_after_it(name, lbs, elsewhere):
    (lb,) = [lb for lb in lbs if lb.name == name]
    await_(lambda: all(map(ready, lbs)), 30, "all are in the election")
    lb.run("systemctl", "stop", "keepalived")
    lose_address(lb)
    try:
        lb.run("systemctl", "start", "--no-block", "keepalived")
        await_(lambda: lb.state_of("keepalived") == "activating", 10, "keepalived waits")
    finally:
        give_address(lb)
    await_(lambda: ready(lb), 30, f"{lb.name} is in the election")
