"""MyCat as the role installs it: adopted, kept whatever people do to it, changed without a loss."""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from lab.haproxy import all_up
from lab.hosts import Host, await_
from lab.mycat_archive import SCHEMA_XML
from lab.outage import measure_during
from lab.playbook import run_playbook

SITE = "playbooks/site.yml"
HOME = "/usr/local/mycat"
SCRIPT = f"{HOME}/bin/mycat"
# Longer than a restart by systemd (5 s) and the JVM's start.
BACK = 40.0


@pytest.fixture
def mycat(lbs: list[Host], mycats: list[Host]) -> Iterator[Host]:
    """One that runs, and runs again afterwards."""
    host = mycats[1]
    await_(lambda: all_up(lbs, mycats), BACK, "every MyCat is in the balancing")
    yield host
    if not serves(host):
        host.run(SCRIPT, "start", check=False)
    await_(lambda: serves(host), BACK, "MyCat serves again")


def serves(host: Host) -> bool:
    return host.query("127.0.0.1", "select 1").returncode == 0


def wrappers(host: Host) -> list[str]:
    """The ids of all wrappers that run."""
    return host.run("pgrep", "-f", "wrapper-linux-x86-64 ", check=False).stdout.split()


def child_of(host: Host, pid: str) -> str:
    return host.run("pgrep", "-P", pid).stdout.strip()


def jvm(host: Host) -> str:
    (wrapper,) = wrappers(host)
    return child_of(host, wrapper)


def roll_out_unnoticed(client: Host, vip: str, playbook: str = SITE, **variables: str) -> None:
    """Run a playbook, through which a client goes on connecting."""
    done, seen = measure_during(client, vip, lambda: run_playbook(playbook, **variables))
    assert done.rc == 0, done.output
    assert seen.failures == ()
    assert seen.connections_ok > 100


def assert_all_agree(host: Host, runs: bool) -> None:
    """systemd, the control script, the pid file and the processes say the same."""
    said = host.run(SCRIPT, "status", check=False)
    pids = wrappers(host)
    assert host.state_of("mycat") == ("active" if runs else "inactive")
    if runs:
        assert said.stdout == f"Mycat-server is running ({pids[0]}).\n"
        assert host.run("cat", f"{HOME}/logs/mycat.pid").stdout == f"{pids[0]}\n"
        assert len(pids) == 1
    else:
        assert (said.stdout, pids) == ("Mycat-server is not running.\n", [])


def test_a_second_run_changes_nothing(mycats: list[Host]) -> None:
    done = run_playbook(SITE)
    assert done.rc == 0, done.output
    assert done.changed == set()


def test_the_one_that_was_there_is_adopted_with_its_configuration(mycats: list[Host]) -> None:
    former = mycats[0].run("ls", f"{HOME}-before/conf", f"{HOME}-before/logs").stdout
    assert "standin.json" in former
    assert "mycat.log" in former
    for host in mycats:
        assert host.run("readlink", HOME).stdout.startswith(f"{HOME}-1.6.7.6-")
        assert_all_agree(host, runs=True)
        (pid,) = wrappers(host)
        assert host.run("ps", "-o", "user=", "-p", pid).stdout.strip() == "mycat"
        limits = host.run("cat", f"/proc/{pid}/limits").stdout
        assert "8192" in next(line for line in limits.splitlines() if "open files" in line)


@pytest.mark.parametrize("stop", [(SCRIPT, "stop"), ("systemctl", "stop", "mycat")])
@pytest.mark.parametrize("start", [(SCRIPT, "start"), ("systemctl", "start", "mycat")])
def test_people_stop_and_start_it_either_way(
    mycat: Host, stop: tuple[str, ...], start: tuple[str, ...]
) -> None:
    mycat.run(*stop)
    assert_all_agree(mycat, runs=False)
    mycat.run(*start)
    await_(lambda: serves(mycat), BACK, "MyCat serves")
    assert_all_agree(mycat, runs=True)


def test_a_second_start_is_refused_and_a_restart_works(mycat: Host) -> None:
    before = wrappers(mycat)
    again = mycat.run(SCRIPT, "start", check=False)
    assert (again.returncode, again.stdout.splitlines()[-1]) == (
        1,
        "Mycat-server is already running.",
    )
    mycat.run("systemctl", "start", "mycat")
    assert wrappers(mycat) == before
    assert_all_agree(mycat, runs=True)
    mycat.run(SCRIPT, "restart")
    await_(lambda: serves(mycat), BACK, "MyCat serves")
    assert wrappers(mycat) != before
    assert_all_agree(mycat, runs=True)


@pytest.mark.parametrize("which", ["wrapper", "JVM"])
def test_what_died_comes_back(mycat: Host, which: str) -> None:
    (wrapper,) = wrappers(mycat)
    jvm = child_of(mycat, wrapper)
    killed = wrapper if which == "wrapper" else jvm

    def back() -> bool:
        (pid, *_more) = wrappers(mycat) or [""]
        child = mycat.run("pgrep", "-P", pid, check=False).stdout.strip() if pid else jvm
        return child not in ("", jvm) and serves(mycat)

    mycat.run("kill", "-KILL", killed)
    await_(back, BACK, f"MyCat serves after its {which} was killed")
    assert_all_agree(mycat, runs=True)


def test_what_a_person_stopped_stays_stopped_at_boot_and_starts_when_asked(mycat: Host) -> None:
    mycat.run(SCRIPT, "stop")
    # A boot: what is below /run is gone, and systemd starts what is enabled.
    mycat.run("rm", "/run/mycat_ha_started")
    mycat.run("systemctl", "start", "mycat")
    assert_all_agree(mycat, runs=False)
    mycat.run(SCRIPT, "start")
    await_(lambda: serves(mycat), BACK, "MyCat serves")
    # One that ran starts.
    mycat.run("sh", "-c", "systemctl kill --signal=KILL mycat; rm -f /run/mycat_ha_started")
    await_(lambda: serves(mycat), BACK, "MyCat serves")


def test_a_start_that_fails_says_why(mycat: Host) -> None:
    path = f"{HOME}/conf/schema.xml"
    mycat.run(SCRIPT, "stop")
    mycat.run("cp", "-p", path, "/root/schema.xml")
    try:
        mycat.run("sed", "-i", 's/dataHost="db"/dataHost="no"/', path)
        done = mycat.run(SCRIPT, "start", check=False)
    finally:
        mycat.run("cp", "-p", "/root/schema.xml", path)
    assert done.returncode == 1
    assert "ConfigException: dataNode dn1 reference dataHost:no not exists!" in done.stdout
    await_(lambda: serves(mycat), BACK, "it starts by itself with the file that is right again")


# --- the XML files --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "rendered", "restarts"),
    [
        (
            'name="TESTDB" ',
            'name="TESTDB" sqlMaxLimit="{{ 50 + 50 }}" ',
            'name="TESTDB" sqlMaxLimit="100" ',
            False,
        ),
        ('maxCon="100"', 'maxCon="{{ 100 + 100 }}"', 'maxCon="200"', True),
    ],
    ids=["schema", "data host"],
)
def test_a_change_reaches_one_mycat_after_the_other_and_no_client_notices(
    mycat: Host,
    mycats: list[Host],
    client: Host,
    vip: str,
    tmp_path: Path,
    old: str,
    new: str,
    rendered: str,
    restarts: bool,
) -> None:
    schema = tmp_path / "schema.xml.j2"
    schema.write_text(SCHEMA_XML)
    first = run_playbook(SITE, mycat_schema_xml=str(schema))
    assert first.rc == 0, first.output
    before = [jvm(host) for host in mycats]
    schema.write_text(SCHEMA_XML.replace(old, new))
    roll_out_unnoticed(client, vip, mycat_schema_xml=str(schema))
    for host, ran in zip(mycats, before, strict=True):
        assert rendered in host.run("cat", f"{HOME}/conf/schema.xml").stdout
        assert (jvm(host) != ran) is restarts
        assert_all_agree(host, runs=True)


def test_one_that_mycat_refuses_takes_one_mycat_out_and_is_put_back(
    mycat: Host, mycats: list[Host], client: Host, vip: str, tmp_path: Path
) -> None:
    before = [host.run("sha256sum", f"{HOME}/conf/schema.xml").stdout for host in mycats]
    schema = tmp_path / "schema.xml"
    # Two names here, of which the second is none; the stand-in takes them for one.
    schema.write_text(SCHEMA_XML.replace('dataHost="db"', 'dataHost="db,"'))
    done = run_playbook(SITE, mycat_schema_xml=str(schema))
    assert done.rc != 0
    assert "MyCat does not start: ConfigException: dataNode dn1 reference" in done.said
    assert [host.run("sha256sum", f"{HOME}/conf/schema.xml").stdout for host in mycats] == before
    await_(lambda: all(map(serves, mycats)), BACK, "both serve")
    for host in mycats:
        assert_all_agree(host, runs=True)


# --- another version ------------------------------------------------------------------------------


@pytest.fixture
def server() -> Iterator[str]:
    """The archives by HTTP, on the controller."""
    folder = os.environ["MOLECULE_EPHEMERAL_DIRECTORY"]
    handler = functools.partial(SimpleHTTPRequestHandler, directory=folder)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as one:
        threading.Thread(target=one.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{one.server_port}"
        one.shutdown()


def test_another_version_comes_by_an_url_and_goes_by_the_link(
    mycat: Host, mycats: list[Host], client: Host, vip: str, server: str, tmp_path: Path
) -> None:
    name = "Mycat-server-1.6.7.7-release-linux.tar.gz"
    sha256 = Path(made(f"{name}.sha256")).read_text(encoding="ascii").strip()
    former = [host.run("readlink", HOME).stdout for host in mycats]
    roll_out_unnoticed(client, vip, mycat_archive=f"{server}/{name}", mycat_archive_sha256=sha256)
    for host in mycats:
        assert host.run("readlink", HOME).stdout == f"{HOME}-1.6.7.7-{sha256[:8]}\n"
        assert_all_agree(host, runs=True)
    roll_out_unnoticed(client, vip)
    assert [host.run("readlink", HOME).stdout for host in mycats] == former
    for host in mycats:
        assert_all_agree(host, runs=True)
        host.run("test", "-d", f"{HOME}-1.6.7.7-{sha256[:8]}")


def test_an_url_at_which_nothing_is(mycat: Host, server: str) -> None:
    done = run_playbook(SITE, mycat_archive=f"{server}/no.tar.gz", mycat_archive_sha256="0" * 64)
    assert done.rc != 0
    assert f"mycat_archive: {server}/no.tar.gz cannot be fetched (HTTP Error 404" in done.said
    assert done.changed == set()


# --- other playbooks ------------------------------------------------------------------------------


def test_the_role_alone_in_a_play_of_its_own(
    mycat: Host, mycats: list[Host], tmp_path: Path
) -> None:
    play = tmp_path / "play.yml"
    play.write_text("- hosts: all\n  gather_facts: false\n  roles: [mycat.ha.mycat]\n")
    schema = tmp_path / "schema.xml"
    schema.write_text(SCHEMA_XML.replace('minCon="2"', 'minCon="3"'))
    done = run_playbook(play, mycat_schema_xml=str(schema))
    assert done.rc == 0, done.output
    assert done.changed >= {host.name for host in mycats}
    again = run_playbook(play, mycat_schema_xml=str(schema))
    assert (again.rc, again.changed) == (0, set()), again.output
    for host in mycats:
        assert_all_agree(host, runs=True)


def test_a_rolling_restart_restarts_each_by_its_unit(
    mycat: Host, mycats: list[Host], client: Host, vip: str
) -> None:
    before = [jvm(host) for host in mycats]
    roll_out_unnoticed(client, vip, "playbooks/rolling_restart_mycat.yml")
    for host, ran in zip(mycats, before, strict=True):
        assert jvm(host) != ran
        assert_all_agree(host, runs=True)


def test_a_rolling_update_finds_nothing_to_do(mycat: Host, mycats: list[Host]) -> None:
    done = run_playbook("playbooks/rolling_update.yml")
    assert (done.rc, done.changed) == (0, set()), done.output
    assert "main: nothing to update" in done.said


# --- refusals -------------------------------------------------------------------------------------


def made(name: str) -> str:
    return str(Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"]) / name)


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"mycat_archive": "/no/mycat.tar.gz"}, "mycat_archive: /no/mycat.tar.gz cannot be read"),
        ({"mycat_archive_sha256": "0" * 64}, "mycat_archive_sha256: is " + "0" * 64 + ", and"),
        ({"mycat_archive_sha256": "x"}, "mycat_archive_sha256: is no SHA-256"),
        (
            {"mycat_archive": made("java.tar.gz")},
            "java.tar.gz is no MyCat: it has no mycat/bin/mycat",
        ),
        (
            {"mycat_archive": made("Mycat-server-1.6.6.1-release-linux.tar.gz")},
            "is Java 17, on which the archive cannot run: it uses sun/misc/Cleaner",
        ),
        (
            {"mycat_java": "/no/java", "mycat_java_sha256": ""},
            "mycat_java: /no/java/bin/java on mycat1 is no Java that",
        ),
        ({"mycat_heap": "900g"}, "mycat_heap: is 900g, and mycat1 has"),
        ({"mycat_schema_xml": "/no/schema.xml"}, "mycat_schema_xml: /no/schema.xml cannot be"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_what_cannot_work_is_refused_before_a_host_is_touched(
    variables: dict[str, str], said: str
) -> None:
    given = dict(variables)
    if "mycat_archive" in given and "mycat_archive_sha256" not in given:
        file = Path(f"{given['mycat_archive']}.sha256")
        given["mycat_archive_sha256"] = file.read_text().strip() if file.exists() else "0" * 64
    done = run_playbook(SITE, **given)
    assert done.rc != 0
    assert said in done.said
    assert done.changed == set()
