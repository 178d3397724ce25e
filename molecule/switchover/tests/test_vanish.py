"""A host is lost in the middle of a run: clients are served, and a second run finishes."""

from __future__ import annotations

import subprocess

import pytest
from lab.daemon import ready
from lab.haproxy import all_up
from lab.hosts import await_, await_one_holder, holders
from lab.outage import measure_during
from lab.playbook import disturb_playbook, run_playbook

FILE = "/var/lib/mycat_ha/maintenance"
# What a load balancer that was lost costs: three adverts and a skew, on a busy machine.
LOST = 15.0


def lose(host):
    """Have it go without a word."""
    subprocess.run(["docker", "kill", host.container], check=True, stdout=subprocess.DEVNULL)


def boot(host):
    subprocess.run(["docker", "start", host.container], check=True, stdout=subprocess.DEVNULL)
    unit = "mycat" if host.name.startswith("mycat") else "keepalived"
    await_(lambda: host.state_of(unit) == "active", 60, f"{unit} runs on {host.name}")


@pytest.fixture(autouse=True)
def whole_afterwards(lbs, mycats, vip):
    yield
    for host in (*lbs, *mycats):
        boot(host)
    for lb in lbs:
        await_(lambda lb=lb: ready(lb), 60, f"{lb.name} is in the election")
    await_(lambda: all_up(lbs, mycats), 60, "every MyCat is in the balancing")
    await_one_holder(lbs, vip)


def test_the_target_of_a_switch_over(client, vip, lbs, holder, standby):
    done = disturb_playbook(
        "playbooks/switchover.yml",
        "TASK [mycat.ha.cluster : Give the addresses up",
        lambda: lose(standby),
        mycat_ha_to=standby.name,
    )
    assert done.rc == 2, done.output
    assert f"ERROR {standby.name}: " in done.said or f"FAILED {holder.name}: " in done.said
    await_(lambda: holders([holder], vip) == [holder], LOST, "the VIP is where it was")
    await_(lambda: client.query(vip, "select 1").returncode == 0, LOST, "it serves")
    assert holder.run("cat", FILE).stdout == "0\n"
    boot(standby)
    await_(lambda: ready(standby), 60, f"{standby.name} is in the election")
    assert run_playbook("playbooks/switchover.yml", mycat_ha_to=standby.name).rc == 0
    assert holders(lbs, vip) == [standby]


@pytest.mark.long
def test_a_mycat_that_is_restarted(client, vip, lbs, mycats, holder):
    def restart():
        return disturb_playbook(
            "playbooks/rolling_restart_mycat.yml",
            "TASK [mycat.ha.cluster : Do what they were drained for",
            lambda: lose(mycats[0]),
        )

    done, seen = measure_during(client, vip, restart)
    print(seen, done.output)
    assert done.rc == 2, done.output
    assert f"{mycats[0].name}: " in done.said
    # The other one was not touched.
    assert f"MyCat restarted on {mycats[1].name}" not in done.said
    assert seen.connections_failed == 0, seen
    boot(mycats[0])
    await_(lambda: all_up(lbs, mycats), 60, "every MyCat is in the balancing")
    # The note that the host could not remove is young.
    again = run_playbook(
        "playbooks/rolling_restart_mycat.yml", mycat_ha_drain_seconds=5, mycat_ha_force=True
    )
    assert again.rc == 0, again.output


@pytest.mark.long
def test_a_load_balancer_that_is_updated(client, vip, lbs, holder, standby):
    def update():
        return disturb_playbook(
            "playbooks/rolling_update.yml",
            "TASK [mycat.ha.cluster : Update its packages]",
            lambda: lose(standby),
            haproxy_maxconn=4100,
        )

    done, seen = measure_during(client, vip, update)
    print(seen, done.output)
    assert done.rc == 2, done.output
    assert f"{standby.name}: " in done.said
    assert seen.connections_failed == 0, seen
    assert holders([holder], vip) == [holder]
    boot(standby)
    again = run_playbook("playbooks/rolling_update.yml", haproxy_maxconn=4100)
    assert again.rc == 0, again.output
    assert {lb.run("cat", FILE).stdout for lb in lbs} == {"0\n"}


@pytest.fixture(autouse=True, scope="module")
def _as_it_was(lbs):
    yield
    done = run_playbook("playbooks/site.yml")
    assert done.rc == 0, done.output
