"""Hosts leave a cluster that goes on serving; then it is removed, and site sets it up again."""

from __future__ import annotations

import pytest
from lab.hosts import await_one_holder
from lab.leftovers import left
from lab.outage import measure_during
from lab.playbook import run_playbook

PLAYBOOK = "playbooks/remove.yml"


def remove(*options, **variables):
    return run_playbook(PLAYBOOK, *options, **variables)


@pytest.fixture
def set_up_again(lbs, vip):
    """The hosts as the other tests expect them."""
    yield
    done = run_playbook("playbooks/site.yml")
    assert done.rc == 0, done.output
    await_one_holder(lbs, vip)


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({}, "mycat_ha_remove: is not set; write the hosts that leave"),
        ({"mycat_ha_remove": "lb9"}, "is lb9, which is no host of these clusters"),
        ({"mycat_ha_remove": "mycat1,mycat2"}, "names every MyCat of the cluster main"),
    ],
)
def test_what_makes_no_sense_is_refused_before_any_host_is_asked(holder, asked, says):
    done = remove(**asked)
    assert done.rc != 0
    assert says in done.said
    assert not done.changed
    assert set(done.recap) <= {"client"}


def test_the_last_one_that_can_serve_does_not_leave(holder, standby):
    out = run_playbook("playbooks/switchover.yml", mycat_ha_maintenance=standby.name)
    assert out.rc == 0, out.output
    try:
        done = remove(mycat_ha_remove=holder.name)
    finally:
        back = run_playbook("playbooks/switchover.yml", mycat_ha_maintenance_end=standby.name)
    assert done.rc != 0
    assert "no other load balancer could serve" in done.said
    assert not done.changed
    assert back.rc == 0, back.output


def test_hosts_leave_then_the_whole_cluster_and_site_sets_it_up_again(
    client, vip, lbs, mycats, holder, standby, set_up_again
):
    """The holder of the VIP and a MyCat leave while clients connect, then the rest."""
    leaving = [holder, mycats[0]]
    names = ",".join(host.name for host in leaving)
    before = {host: left(host) for host in leaving}
    seen_before = remove("--check", "--diff", mycat_ha_remove=names)
    assert seen_before.rc == 0, seen_before.output
    assert "-(file)" in seen_before.output
    assert {host: left(host) for host in leaving} == before
    assert all(before.values())

    done, seen = measure_during(client, vip, lambda: remove(mycat_ha_remove=names))
    print(seen, done.output)
    assert done.rc == 0, done.output
    assert f"goes on without {' and '.join(host.name for host in leaving)}" in done.said
    assert seen.connections_failed == 0
    assert await_one_holder(lbs, vip) == standby
    for host in leaving:
        assert left(host) == [], host.name

    whole = remove(mycat_ha_remove="all")
    assert whole.rc == 0, whole.output
    assert "main is removed; MyCat itself is as it was" in whole.said
    assert not whole.changed & {host.name for host in leaving}
    for host in (*lbs, *mycats):
        assert left(host) == [], host.name
    assert [mycat.state_of("mycat") for mycat in mycats] == ["active"] * len(mycats)
    again = remove(mycat_ha_remove="all")
    assert (again.rc, again.changed) == (0, set()), again.output
