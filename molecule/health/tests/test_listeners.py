"""The endpoint behind each listener: what runs, what may ask, what comes back, what is refused."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from health.tests.conftest import DOWN, DRAINING, UP
from lab.hosts import Host, await_
from lab.playbook import Run, run_playbook

PORT = 48700
PASSWORD = "mycat-demo"  # noqa: S105 - of the stand-in
ASK = "import sys, urllib.request; urllib.request.urlopen(sys.argv[1], timeout=5)"
UNIT = {"xinetd": "xinetd.service", "systemd": "mycat_status.socket"}


def converge(*options: str, **variables: object) -> Run:
    return run_playbook("molecule/health/converge.yml", *options, **variables)


def test_listeners_run_at_boot(mycats, role_variables, inspect):
    for mycat in mycats:
        listener = inspect(mycat).service(UNIT[role_variables(mycat)["mycat_status_listener"]])
        assert listener.is_running
        assert listener.is_enabled


def test_no_secret_is_for_everybody(mycats, inspect):
    with_login = mycats[1]
    credentials = inspect(with_login).file("/etc/mycat_status/credentials.json")
    assert (credentials.user, credentials.group, credentials.mode) == (
        "root",
        "mycat_status",
        0o640,
    )
    processes = with_login.run("ps", "-e", "-o", "user:20=", "-o", "args=").stdout.splitlines()
    endpoints = [line for line in processes if "bin/mycat_status" in line]
    assert {line.split()[0] for line in endpoints} == {"mycat_status"}
    assert not [line for line in endpoints if PASSWORD in line]
    journal = with_login.run("journalctl", "--quiet", "--no-pager", "--output=cat").stdout
    assert "Invoked with" in journal, "Ansible's own lines are not there"
    # The stand-in gets the same password by a statement of MariaDB's client.
    assert not [line for line in journal.splitlines() if PASSWORD in line]


@pytest.mark.parametrize("family", ["IPv4", "IPv6"])
def test_only_the_load_balancer_is_answered(whole, lbs, mycats, role_variables, family):
    for asked, stranger in zip(mycats, mycats[1:] + mycats[:1], strict=True):
        name = asked.container if family == "IPv4" else f"[{role_variables(asked)['ipv6']}]"
        url = f"http://{name}:{PORT}/"
        answer = lbs[0].run("python3", "-c", ASK, url, check=False)
        assert answer.returncode == 0, f"{asked.name}: {answer.stderr}"
        answer = stranger.run("python3", "-c", ASK, url, check=False)
        assert answer.returncode != 0, f"{asked.name} answered {stranger.name}"
        assert "HTTP Error" not in answer.stderr, f"{asked.name} answered {stranger.name}"
        assert "unreachable" not in answer.stderr, answer.stderr


def pid(host: Host, process: str) -> str:
    return host.run("pgrep", "-o", "-x", process, check=False).stdout


def test_killed_listener_comes_back(whole, mycats, role_variables, await_conclusions):
    for mycat in mycats:
        with_xinetd = role_variables(mycat)["mycat_status_listener"] == "xinetd"
        process = "xinetd" if with_xinetd else "mycat_status"
        killed = pid(mycat, process)
        mycat.run("pkill", "-KILL", "-x", process)
        await_(
            lambda h=mycat, p=process, k=killed: pid(h, p) not in ("", k),
            20,
            f"another {process} runs on {mycat.name}",
        )
    await_conclusions({mycat.name: UP for mycat in mycats})


def test_a_setting_given_on_the_command_line_says_what_it_says(whole, mycats, await_conclusions):
    """``-e NAME=VALUE`` makes every value a text."""
    drained = mycats[0]
    only = (f"--limit={drained.name},haproxy", "--skip-tags=balance")
    try:
        done = converge(*only, "--extra-vars=mycat_status_drain=true mycat_status_max_age=0.4")
        assert done.rc == 0, done.output
        await_conclusions({m.name: DRAINING if m == drained else UP for m in mycats})
    finally:
        undone = converge(*only)
    assert undone.rc == 0, undone.output


@pytest.fixture
def others(mycats, role_variables) -> Iterator[dict[str, str]]:
    """The listener of each host that the inventory does not give it; undone in the end."""
    yield {
        mycat.name: next(
            other for other in UNIT if other != role_variables(mycat)["mycat_status_listener"]
        )
        for mycat in mycats
    }
    undone = converge("--skip-tags=balance")
    assert undone.rc == 0, undone.output


def test_each_host_takes_the_other_listener(whole, others, mycats, inspect, await_conclusions):
    mycats[1].run("rm", "/etc/mycat_status/credentials.json")  # to be in the diff
    switch = f"{{{{ {json.dumps(others)}[inventory_hostname] }}}}"
    done = converge("--diff", "--skip-tags=balance", mycat_status_listener=switch)
    assert done.rc == 0, done.output
    assert {mycat.name for mycat in mycats} <= done.changed
    assert "mycat_status.socket" in done.output
    assert PASSWORD not in done.output
    await_conclusions({mycat.name: UP for mycat in mycats})
    for mycat in mycats:
        assert inspect(mycat).service(UNIT[others[mycat.name]]).is_running
        assert others[mycat.name] in mycat.run("ss", "-Hltnp", f"sport = :{PORT}").stdout
    for mycat in mycats:
        mycat.run("systemctl", "stop", "mycat")
    try:
        await_conclusions({mycat.name: DOWN for mycat in mycats})
    finally:
        for mycat in mycats:
            mycat.run("systemctl", "start", "mycat")


def test_the_endpoint_runs_with_the_python_of_the_distribution(
    whole, lbs, mycats, await_conclusions
):
    """Whatever Ansible itself runs with, here a Python in a home that is closed to others."""
    own = "/root/own/python3"
    for host in (*lbs, *mycats):
        host.run("sh", "-ec", f"mkdir -p -m 700 /root/own; ln -sf /usr/bin/python3 {own}")
    for mycat in mycats:
        mycat.run("rm", "/usr/local/lib/mycat_status/memory.py")
    done = converge("--skip-tags=balance", ansible_python_interpreter=own)
    assert done.rc == 0, done.output
    assert done.changed == {mycat.name for mycat in mycats}
    for mycat in mycats:
        said = mycat.run("grep", "-r", "/root/own", "/etc/systemd", "/etc/xinetd.d", check=False)
        assert said.stdout == ""
    await_conclusions({mycat.name: UP for mycat in mycats})


def test_a_python_that_the_endpoint_cannot_run_is_refused(whole, mycats, await_conclusions):
    mycat = mycats[-1]
    python = mycat.run("readlink", "-f", "/usr/bin/python3").stdout.strip()
    mycat.run("rm", "/usr/local/lib/mycat_status/memory.py")
    mycat.run("chmod", "0700", python)
    try:
        done = converge(f"--limit={mycat.name}", "--skip-tags=balance")
    finally:
        mycat.run("chmod", "0755", python)
    assert done.rc != 0
    assert "does not run the health endpoint as the user mycat_status" in done.said
    undone = converge(f"--limit={mycat.name}", "--skip-tags=balance")
    assert undone.rc == 0, undone.output
    await_conclusions({mycat.name: UP for mycat in mycats})


@pytest.fixture(scope="module")
def spoiled(mycats) -> Iterator[Host]:
    """A host with a program on port 48799, and files of credentials that cannot serve."""
    host = mycats[1]
    host.run("sh", "-c", "echo '{}' >/root/loose.json && chmod 0644 /root/loose.json")
    squat = ("systemd-run", "--unit=squatter", "python3", "-m", "http.server", "48799")
    host.run(*squat)
    await_(lambda: "48799" in host.run("ss", "-Hltn").stdout, 20, "the port is taken")
    yield host
    host.run("systemctl", "stop", "squatter")
    host.run("rm", "/root/loose.json")


FILE_ONLY = {"mycat_status_user": "", "mycat_status_password": ""}
REFUSALS = {
    "port of another program": (
        {"mycat_status_port": 48799},
        "mycat_status_port: 48799 is in use on mycat12 by python3",
    ),
    "port out of range": ({"mycat_status_port": 70000}, "mycat_status_port: 70000 is not a port"),
    "credentials that others can read": (
        {**FILE_ONLY, "mycat_status_credentials_file": "/root/loose.json"},
        "mycat_status_credentials_file: /root/loose.json can be read by others",
    ),
    "credentials that are not there": (
        {**FILE_ONLY, "mycat_status_credentials_file": "/root/nothing.json"},
        "mycat_status_credentials_file: /root/nothing.json is not a file on mycat12",
    ),
    "credentials in two places": (
        {"mycat_status_credentials_file": "/root/loose.json"},
        "mycat_status_credentials_file: mycat_status_user or mycat_status_password is set, too",
    ),
    "manager port without credentials": (FILE_ONLY, "mycat_status_user and mycat_status_password"),
    "deadline out of range": (
        {"mycat_status_check_timeout": 0},
        "mycat_status_check_timeout: must be a number of seconds",
    ),
}


@pytest.mark.parametrize(("given", "message"), REFUSALS.values(), ids=REFUSALS)
def test_refused_by_name_and_nothing_touched(given, message, spoiled, lbs):
    done = converge(f"--limit={spoiled.name},{lbs[0].name}", **given)
    assert done.rc != 0
    assert message in done.said
    assert spoiled.name not in done.changed, done.output
