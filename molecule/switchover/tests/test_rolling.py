"""MyCats are restarted one after another, without a client that notices, whoever cuts a run off."""

from __future__ import annotations

import json
import signal
from concurrent.futures import ThreadPoolExecutor

import pytest
from lab.haproxy import all_up
from lab.hosts import CLIENT_LOGIN, await_
from lab.outage import measure_during
from lab.playbook import disturb_playbook, kill_playbook, run_playbook

PLAYBOOK = "playbooks/rolling_restart_mycat.yml"
DRAIN, NOTE = "/run/mycat_status/drain", "/var/lib/mycat_ha/restart.json"


def restart(**variables):
    return run_playbook(PLAYBOOK, **{"mycat_ha_drain_seconds": 5, **variables})


def process(mycat):
    return mycat.run("cat", "/usr/local/mycat/logs/mycat.pid", check=False).stdout.strip()


def is_there(mycat, path):
    return mycat.run("test", "-e", path, check=False).returncode == 0


def note(mycat):
    """What a run left there, {} where nothing."""
    said = mycat.run("cat", NOTE, check=False).stdout
    return json.loads(said) if said else {}


@pytest.fixture
def clean(mycats, lbs):
    """No note, no drain, MyCat as it was."""
    yield
    for mycat in mycats:
        mycat.run("rm", "-f", DRAIN, NOTE)
        mycat.run("systemctl", "start", "mycat")
    await_(lambda: all_up(lbs, mycats), 60, "every MyCat is in the balancing")


def test_no_new_connection_fails_and_each_mycat_is_another(client, vip, mycats, holder, clean):
    before = [process(mycat) for mycat in mycats]
    done, seen = measure_during(client, vip, restart)
    print(seen, done.output)
    assert done.rc == 0, done.output
    assert (seen.connections_failed, seen.failures) == (0, ())
    assert all(process(mycat) not in ("", old) for mycat, old in zip(mycats, before))
    assert "MyCat restarted on mycat1, mycat2" in done.said
    assert not any(is_there(mycat, path) for mycat in mycats for path in (DRAIN, NOTE))


def test_a_session_that_ends_within_the_bound_loses_no_query(client, vip, mycats, holder, clean):
    """Two of them, so that each MyCat has one; they begin just before the first one is drained."""
    argv = ("mariadb", "--batch", "--skip-reconnect", f"--host={vip}", "--port=8066")

    def session(_number):
        return client.run(*argv, *CLIENT_LOGIN, "--execute=select sleep(20)", check=False)

    with ThreadPoolExecutor(2) as pool:
        answers = []
        done = disturb_playbook(
            PLAYBOOK,
            "TASK [mycat.ha.cluster : Decide which MyCats may be drained",
            lambda: answers.extend(pool.submit(session, number) for number in range(2)),
            mycat_ha_drain_seconds=60,
        )
        ended = [answer.result() for answer in answers]
    assert [(one.returncode, one.stderr) for one in ended] == [(0, "")] * 2
    assert done.rc == 0, done.output
    assert "had 1 sessions there, 0 are left" in done.said


STEPS = [
    "Decide in which order",
    "Wait for the sessions",
    "Find the MyCats that take sessions again",
    "Forget whose turn it was",
]


# Each takes a minute; what follows from either signal is the same on the hosts.
@pytest.mark.parametrize(
    ("step", "by"),
    [
        ("Decide which MyCats may be stopped", signal.SIGKILL),
        *(pytest.param(step, signal.SIGKILL, marks=pytest.mark.long) for step in STEPS),
        pytest.param("Wait for the sessions", signal.SIGINT, marks=pytest.mark.long),
    ],
)
def test_a_run_that_is_cut_off_is_finished_by_the_next(
    mycats, lbs, holder, step, by, clean, tmp_path
):
    before = [process(mycat) for mycat in mycats]
    kill_playbook(PLAYBOOK, f"TASK [mycat.ha.cluster : {step}", by=by, mycat_ha_drain_seconds=1)
    # What the host itself is at goes on.
    await_(lambda: not any(note(mycat).get("state") == "stopped" for mycat in mycats), 60, "it")
    drained = [mycat.name for mycat in mycats if is_there(mycat, DRAIN)]
    report = tmp_path / "report.json"
    run_playbook("playbooks/status.yml", mycat_ha_report=str(report))
    problems = json.loads(report.read_text())["clusters"]["main"]["problems"]
    named = [one["host"] for one in problems if one["kind"] == "mycat-draining"]
    assert named == drained

    halfway = [process(mycat) for mycat in mycats]
    again = restart(mycat_ha_force=True, mycat_ha_drain_seconds=1)
    assert again.rc == 0, again.output
    assert not any(is_there(mycat, path) for mycat in mycats for path in (DRAIN, NOTE))
    after = [process(mycat) for mycat in mycats]
    assert all(now not in ("", old) for now, old in zip(after, before))
    # Whoever was done is not restarted again, unless the first run was over.
    done = [old != half for old, half in zip(before, halfway)]
    if any(done) and "restarted already" in again.said:
        assert [half == now for half, now in zip(halfway, after)] == done
    assert all_up(lbs, mycats)


@pytest.mark.long
def test_a_second_run_waits_for_the_first(mycats, holder, clean):
    kill_playbook(PLAYBOOK, "TASK [mycat.ha.cluster : Wait for the sessions")
    done = restart()
    assert done.rc == 2
    assert "another run is restarting mycat1, or was cut off a moment ago" in done.said
    assert not done.changed


@pytest.mark.long
@pytest.mark.parametrize(
    ("wish", "says"),
    [
        ({"mycat_ha_restart": "mycat9"}, "mycat_ha_restart: is mycat9, which is no MyCat of this"),
        ({"mycat_ha_restart": "lb1"}, "write one of mycat1, mycat2"),
        ({"mycat_ha_minimum_mycats": 2}, "only 1 other MyCats of the cluster main would take"),
        ({"mycat_ha_drain_seconds": -1}, "mycat_ha_drain_seconds: is -1"),
    ],
)
def test_what_cannot_be_asked_is_one_sentence(holder, wish, says):
    done = restart(**wish)
    assert done.rc == 2
    assert says in done.said
    assert not done.changed


@pytest.mark.long
def test_the_last_one_that_serves_stays(mycats, holder, clean):
    first, second = mycats
    second.run("systemctl", "stop", "mycat")
    before = process(first)
    done = restart(mycat_ha_restart=first.name)
    assert done.rc == 2
    assert f"only 0 other MyCats of the cluster main would take sessions while {first.name}" in (
        done.said
    )
    assert process(first) == before


def test_a_mycat_that_does_not_come_up_ends_the_run_with_the_reason(
    client, vip, mycats, holder, clean
):
    first, second = mycats
    server = "/usr/local/mycat/lib/mycat_standin.py"
    reason = "ConfigException: SelfCheck### schema TESTDB has no data node"
    first.run("sh", "-c", f"cp {server} {server}.good; echo 'exit(\"jvm 1 | {reason}\")' >{server}")
    before = process(second)
    try:
        done, seen = measure_during(client, vip, lambda: restart(mycat_ha_mycat_start_seconds=15))
    finally:
        first.run("sh", "-c", f"mv {server}.good {server}; systemctl restart mycat")
    assert done.rc == 2
    assert f"mycat1: MyCat does not start: {reason}" in done.said
    assert seen.connections_failed == 0, seen
    assert process(second) == before
    assert is_there(first, DRAIN)
    # Once that is mended.
    again = restart()
    assert again.rc == 0, again.output
    assert not is_there(first, DRAIN)


@pytest.mark.long
def test_a_drain_of_somebody_else_stays(mycats, holder, clean):
    first, _second = mycats
    first.run("sh", "-c", f"echo alice: kernel >{DRAIN}")
    before = process(first)
    done = restart(mycat_ha_restart=first.name)
    assert done.rc == 0, done.output
    assert "mycat1 drains for alice: kernel, and stays so" in done.said
    assert process(first) not in ("", before)
    assert first.run("cat", DRAIN).stdout == "alice: kernel\n"
