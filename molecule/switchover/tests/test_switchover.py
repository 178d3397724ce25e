"""Operators move the VIP, take hosts out for work and back, and are cut off at every step."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess

import pytest
from lab.daemon import ready
from lab.hosts import await_, await_one_holder, holders
from lab.outage import measure
from lab.playbook import kill_playbook, run_playbook
from lab.watch import Watch

PLAYBOOK = "playbooks/switchover.yml"
FILE = "/var/lib/mycat_ha/maintenance"
# What the issue allows at the defaults; 9 ms of it are VRRP's.
GAP = 0.05
# A switch-over that was cut off ends by itself after 20 s, and is looked for every 5 s.
CUT_OFF = 40


def switch(**variables):
    return run_playbook(PLAYBOOK, **variables)


def value(lb):
    return lb.run("cat", FILE).stdout.strip()


def problems(tmp_path, **variables):
    """What mycat.ha.status says is wrong: {kind: host}, and its exit status."""
    path = tmp_path / "report.json"
    done = run_playbook("playbooks/status.yml", mycat_ha_report=str(path), **variables)
    (cluster,) = json.loads(path.read_text())["clusters"].values()
    return {one["kind"]: one["host"] for one in cluster["problems"]}, done.rc


def last_move(tmp_path, **variables):
    """The last move in the report of mycat.ha.status: from, to and cause."""
    path = tmp_path / "report.json"
    run_playbook("playbooks/status.yml", mycat_ha_report=str(path), **variables)
    (cluster,) = json.loads(path.read_text())["clusters"].values()
    move = cluster["moves"][-1]
    return move["from"], move["to"], move["cause"]


def last_note(lb):
    return lb.run("sh", "-c", "tail -n 1 /var/lib/mycat_ha/history/*").stdout


@pytest.fixture
def all_in(lbs):
    yield
    for lb in lbs:
        lb.run("sh", "-c", f"echo 0 >{FILE}")


def test_sessions_get_their_time(lbs, client, vip, holder, standby, all_in):
    """One that ends within it loses nothing, one that does not holds nobody up."""
    argv = client.argv(
        *("mariadb", "--batch", "--skip-reconnect", f"--host={vip}", "--port=8066"),
        *("--user=mycat", "--password=mycat-demo", "--execute=select sleep(25)"),
    )
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as session:
        where = ("ss", "-Htn", "state", "established", "src", f"{vip}:8066")
        await_(lambda: holder.run(*where).stdout, 20, "the session")
        done = switch(mycat_ha_leave=holder.name, mycat_ha_drain_seconds=120)
        assert session.wait(timeout=10) == 0, session.stderr.read()
    assert done.rc == 0, done.output
    assert holders(lbs, vip) == [standby]


CAUSES = {
    "HAProxy stopped": ("systemctl stop haproxy", "systemctl start haproxy", "HAProxy is down"),
    "keepalived stopped": (
        "systemctl stop keepalived",
        "systemctl start keepalived",
        "keepalived stops",
    ),
    "HAProxy hangs": (
        "pkill -STOP -x haproxy",
        "pkill -CONT -x haproxy",
        "HAProxy does not answer",
    ),
    "keepalived killed": (
        "systemctl mask --runtime keepalived; pkill -9 -x keepalived; ip address flush to {vip}",
        "systemctl unmask --runtime keepalived; systemctl start keepalived",
        "keepalived ended by itself",
    ),
}


@pytest.mark.parametrize("name", CAUSES)
def test_why_it_moved_is_one_command(lbs, vip, holder, standby, tmp_path, name):
    fail, mend, cause = CAUSES[name]
    # What was written a moment ago counts as the cause.
    holder.run("touch", "--date=-1 minute", FILE)
    holder.run("sh", "-c", fail.format(vip=vip), check=False)
    try:
        await_(lambda: holders(lbs, vip) == [standby], 20, "the VIP moves")
        await_(lambda: cause in last_note(holder), 20, f"{holder.name} notes {cause}")
    finally:
        holder.run("sh", "-c", mend)
    left, to, why = last_move(tmp_path)
    assert (left, to) == (holder.name, standby.name)
    assert cause in why


@pytest.mark.long
@pytest.mark.parametrize(
    ("wish", "says"),
    [
        ({}, "mycat_ha_to: is not set; write the load balancer"),
        ({"mycat_ha_to": "lb9"}, "mycat_ha_to: is lb9, which is no load balancer; write one of"),
        ({"mycat_ha_to": "mycat1"}, "mycat_ha_to: is mycat1, which is no load balancer"),
        ({"mycat_ha_to": "lb1", "mycat_ha_leave": "lb2"}, "is set beside mycat_ha_leave"),
        ({"mycat_ha_to": "lb1", "mycat_ha_drain_seconds": -1}, "mycat_ha_drain_seconds: is -1"),
    ],
)
def test_what_cannot_be_asked_is_one_sentence(wish, says):
    done = switch(**wish)
    assert done.rc == 2
    assert says in done.said
    assert not done.changed


def test_a_host_that_is_not_healthy_gets_nothing(lbs, vip, holder, standby):
    standby.run("systemctl", "stop", "haproxy")
    try:
        to, leave = switch(mycat_ha_to=standby.name), switch(mycat_ha_leave=holder.name)
    finally:
        standby.run("systemctl", "start", "haproxy")
    for done in (to, leave):
        assert done.rc == 2
        assert f"{standby.name} has no HAProxy that is alive" in done.said
    assert holders(lbs, vip) == [holder]


@pytest.mark.long
def test_preferred_would_take_it_back(lbs, vip, holder):
    first, second = lbs
    if holder != first:
        assert switch(mycat_ha_to=first.name).rc == 0
    done = switch(mycat_ha_to=second.name, mycat_ha_preempt="preferred")
    assert done.rc == 2
    assert f"{vip} would return to {first.name} at once" in done.said


@pytest.mark.long
def test_a_second_one_waits_for_the_first(lbs, vip, holder, standby):
    locked = holder.argv("flock", FILE, "sleep", "90")
    with subprocess.Popen(locked) as first:
        try:
            done = switch(mycat_ha_to=standby.name)
        finally:
            holder.run("pkill", "-f", "sleep 90")
            first.wait()
    assert done.rc == 2
    assert f"another switch-over or maintenance of {holder.name} is under way" in done.said
    assert holders(lbs, vip) == [holder]


STEPS = [
    "Read the state of this host",
    "Find the load balancers that give addresses up",
    "Give the addresses up",
    "Compare where the addresses are",
    "Make the report on all clusters",
]


@pytest.mark.long
@pytest.mark.parametrize("by", [signal.SIGKILL, signal.SIGINT], ids=["killed", "interrupted"])
@pytest.mark.parametrize("step", STEPS)
def test_a_controller_that_is_cut_off_leaves_one_holder(
    lbs, vip, holder, standby, step, by, all_in
):
    kill_playbook(PLAYBOOK, f"TASK [mycat.ha.cluster : {step}", by=by, mycat_ha_to=standby.name)
    await_one_holder(lbs, vip)
    await_(lambda: [value(lb) for lb in lbs] == ["0", "0"], CUT_OFF, "both take part")
    await_(lambda: all(map(ready, lbs)), 20, "both are in the election")
    again = switch(mycat_ha_to=standby.name)
    assert again.rc == 0, again.output
    assert holders(lbs, vip) == [standby]


def test_a_hand_over_that_nobody_ends_is_ended_by_the_host(lbs, vip, holder, standby, all_in):
    """As where the host itself was cut off in the middle."""
    with Watch(lbs, vip) as watch:
        holder.run("sh", "-c", f"echo 2 >{FILE}")
        await_(lambda: holders(lbs, vip) == [standby], 10, "the VIP moves")
        await_(lambda: value(holder) == "0", CUT_OFF, "it takes part again")
        with contextlib.suppress(RuntimeError):
            await_(lambda: ready(holder), 20, "it is in the election")
    assert watch.owners == [holder.name, standby.name]


# At the end: pytest ends a mode after the last test of a file.
@pytest.fixture(
    scope="module",
    params=["fault", *(pytest.param(mode, marks=pytest.mark.long) for mode in ("weight", "kill"))],
)
def mode(request):
    done = run_playbook(
        "playbooks/site.yml",
        mycat_ha_failover_mode=request.param,
        mycat_ha_failover_budget=6 if request.param == "weight" else 2,
    )
    assert done.rc == 0, done.output
    yield {"mycat_ha_failover_mode": request.param, "mycat_ha_failover_budget": 6}
    if request.param == "kill":
        assert run_playbook("playbooks/site.yml").rc == 0


def test_the_vip_goes_where_it_is_told_and_a_host_goes_out_and_comes_back(
    mode, lbs, client, vip, holder, standby, all_in, tmp_path
):
    runs = []

    def moved(**variables):
        runs.append(switch(**mode, **variables))

    with Watch(lbs, vip) as watch:
        seen = measure(
            client, vip, lambda: moved(mycat_ha_to=standby.name), 300, end_with_failure=True
        )
    print(watch.spans, seen, runs[0].output)
    assert runs[0].rc == 0, runs[0].output
    assert f"gave {vip} up on {holder.name}" in runs[0].said
    assert watch.owners == [holder.name, standby.name]
    watch.assert_one_holder(gap=GAP)
    assert seen.connections_failed == 0, seen
    # There is nothing to do a second time.
    assert "nothing changed" in switch(mycat_ha_to=standby.name, **mode).said

    with Watch(lbs, vip) as watch:
        out = switch(mycat_ha_maintenance=standby.name, **mode)
    assert out.rc == 0, out.output
    assert watch.owners == [standby.name, holder.name]
    watch.assert_one_holder(gap=GAP)
    found, rc = problems(tmp_path, **mode)
    assert (found["maintenance"], found["no-standby"], rc) == (standby.name, holder.name, 2)
    cause = f"somebody took this load balancer out (maintenance) ({standby.name})"
    assert last_move(tmp_path, **mode) == (standby.name, holder.name, cause)
    # Nothing moves there, and the other one may not go too.
    refused = switch(mycat_ha_to=standby.name, **mode)
    assert refused.rc == 2
    assert f"mycat_ha_to: {standby.name} is in maintenance." in refused.said
    last = switch(mycat_ha_maintenance=holder.name, **mode)
    assert last.rc == 2
    assert f"no other load balancer could serve {vip}: {standby.name} is in main" in last.said
    assert (value(holder), value(standby)) == ("0", "1")
    # As at a boot: /run is empty.
    standby.run("sh", "-c", "systemctl stop keepalived; rm -r /run/mycat_ha/maintenance")
    standby.run("systemd-tmpfiles", "--create", "/etc/tmpfiles.d/mycat_ha_state.conf")
    standby.run("systemctl", "start", "keepalived")
    await_(lambda: "maintenance" in problems(tmp_path, **mode)[0], 60, "it is out after a boot")
    back = switch(mycat_ha_maintenance_end=standby.name, **mode)
    assert back.rc == 0, back.output
    assert holders(lbs, vip) == [holder]
