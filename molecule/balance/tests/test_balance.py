"""What a client of 200 connections a second loses, on the HAProxy of each Debian release."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import re
import subprocess
import time
from pathlib import Path

import pytest
from lab.hosts import answering, await_
from lab.outage import measure

ROOT = Path(__file__).parents[3]
EVERY = 0.005  # seconds between two connections

# The role's defaults and mycat_status's: time between checks, and how long a hung MyCat keeps the
# answer to one waiting. The second check of two comes after `fastinter`.
INTER, FASTINTER, DEADLINE = 1.0, 0.25, 1.0
BUSY = 1.5  # what a loaded machine may add

ASK_ADMIN = """
import socket, sys
admin = socket.socket(socket.AF_UNIX)
admin.connect("/run/haproxy/admin.sock")
admin.sendall(sys.argv[1].encode() + b"\\n")
print(b"".join(iter(lambda: admin.recv(65536), b"")).decode())
"""
FETCH = """
import base64, sys, urllib.error, urllib.request
request = urllib.request.Request(sys.argv[1])
if len(sys.argv) > 2:
    login = base64.b64encode(sys.argv[2].encode()).decode()
    request.add_header("Authorization", "Basic " + login)
try:
    answer = urllib.request.urlopen(request, timeout=5)
except urllib.error.HTTPError as error:
    answer = error
print(answer.status, answer.read().decode())
"""


def admin(lb, command):
    return lb.run("python3", "-c", ASK_ADMIN, command).stdout


def servers(lb, proxy="mycat"):
    """{server: row of `show stat`}"""
    rows = csv.DictReader(io.StringIO(admin(lb, "show stat").lstrip("# ")))
    return {
        row["svname"]: row
        for row in rows
        if row["pxname"] == proxy and row["svname"] not in ("FRONTEND", "BACKEND")
    }


def fetch(lb, url, *login):
    status, _, body = lb.run("python3", "-c", FETCH, url, *login).stdout.partition(" ")
    return int(status), body


def digest(lb):
    text = lb.run("cat", "/etc/haproxy/haproxy.cfg").stdout
    return hashlib.sha256(text.encode()).hexdigest()


def all_up(lbs, mycats):
    names = {mycat.name for mycat in mycats}
    return all(
        {name for name, row in servers(lb).items() if row["status"] == "UP"} == names for lb in lbs
    )


class Session:
    """A MySQL session that stays open and is asked again and again."""

    def __init__(self, client, lb):
        self._process = subprocess.Popen(
            client.argv(
                *("mariadb", "--batch", "--skip-column-names", "--unbuffered", "--skip-reconnect"),
                *(f"--host={lb.container}", "--port=8066", "--user=mycat"),
                "--password=mycat-demo",
                stdin=True,
            ),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.mycat = self.ask()

    def ask(self):
        """Return which MyCat answers; an empty text once the session has ended."""
        try:
            self._process.stdin.write("select @@hostname;\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            return ""
        return self._process.stdout.readline().strip()

    def close(self):
        self._process.kill()
        self._process.communicate()


@pytest.fixture(params=["lb11", "lb", "lb13"])
def lb(request, lbs, mycats):
    await_(lambda: all_up(lbs, mycats), 30, "every MyCat is up on every load balancer")
    return next(lb for lb in lbs if lb.name == request.param)


@pytest.fixture
def sessions(lb, client, mycats):
    """Sessions over all MyCats, {MyCat: session}."""
    opened = [Session(client, lb) for _ in mycats]
    yield {session.mycat: session for session in opened}
    for session in opened:
        session.close()


def play(*arguments, **variables):
    """Set the load balancers up with other settings."""
    return subprocess.run(
        [
            "ansible-playbook",
            f"--inventory={os.environ['MOLECULE_INVENTORY_FILE']}",
            f"--extra-vars={json.dumps(variables)}",
            *arguments,
            str(ROOT / "molecule/balance/balance.yml"),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
        env={**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "COLUMNS": "1000"},
    )


def only_ungreeted(outage):
    """Whether all that failed was accepted by a MyCat that died before it greeted.

    The server speaks first, so HAProxy cannot take such a connection to another one.
    """
    return all("0 bytes read" in failure for failure in outage.failures)


def test_the_configuration_starts_without_a_warning(lb):
    said = lb.run("haproxy", "-c", "-f", "/etc/haproxy/haproxy.cfg")
    lines = (said.stdout + said.stderr).splitlines()
    # What it says of servers comes from the state file, not from the configuration.
    of_servers = re.compile(r"server-state|Server \S+ is DOWN")
    said_of_the_file = [line for line in lines if not of_servers.search(line)]
    assert not [line for line in said_of_the_file if re.match(r"\[(?!NOTICE)", line)]


def test_limits_and_permissions(lb, inspect):
    assert inspect(lb).file("/run/haproxy/admin.sock").mode == 0o660
    assert inspect(lb).file("/etc/haproxy/haproxy.cfg").mode == 0o640
    info = dict(line.split(": ", 1) for line in admin(lb, "show info").splitlines() if ": " in line)
    assert int(info["Ulimit-n"]) >= 2 * int(info["Maxconn"]) > 2 * 4096


def test_health_answers(lb):
    assert fetch(lb, "http://127.0.0.1:48801/alive")[0] == 200
    assert fetch(lb, "http://127.0.0.1:48801/backends")[0] == 200
    assert fetch(lb, "http://127.0.0.1:48801/else")[0] == 403
    try:
        for name in servers(lb):
            admin(lb, f"set server mycat/{name} state maint")
        assert fetch(lb, "http://127.0.0.1:48801/alive")[0] == 200
        assert fetch(lb, "http://127.0.0.1:48801/backends")[0] == 503
    finally:
        for name in servers(lb):
            admin(lb, f"set server mycat/{name} state ready")


def test_statistics_want_the_password(lb, settings):
    password = settings["provisioner"]["inventory"]["group_vars"]["haproxy"][
        "haproxy_stats_password"
    ]
    for path, holds in (("admin-status", "Statistics Report"), ("metrics", "haproxy_server_")):
        url = f"http://127.0.0.1:8404/{path}"
        assert fetch(lb, url)[0] == 401
        assert fetch(lb, url, "admin:admin")[0] == 401
        status, body = fetch(lb, url, f"admin:{password}")
        assert status == 200
        assert holds in body


def test_another_service_is_balanced(lb):
    assert fetch(lb, "http://127.0.0.1:8080/")[0] == 200


def test_sessions_are_logged(lb, client):
    since = time.time()
    client.query(lb.container, "select 1")
    lines = await_(
        lambda: (
            lb.run(
                *("journalctl", "--quiet", "--no-pager", "--output=cat", "--unit=haproxy"),
                f"--since=@{since:.3f}",
            ).stdout
        ),
        5,
        "the session is in the journal",
    )
    assert " mycat mycat/mycat" in lines


def test_reload_loses_nothing_and_forgets_nothing(lb, client, sessions):
    admin(lb, "set server mycat/mycat3 state drain")

    def reload_ten_times():
        for _ in range(10):
            lb.run("systemctl", "reload", "haproxy")
            time.sleep(0.3)  # the pace of an operator who cannot wait
            assert servers(lb)["mycat3"]["status"] == "DRAIN"

    try:
        outage = measure(client, lb.container, reload_ten_times, seconds=9, every=EVERY)
        assert {session.ask() for session in sessions.values()} == set(sessions)
    finally:
        admin(lb, "set server mycat/mycat3 state ready")
    print(outage)
    assert outage.connections_failed == 0, outage


def test_a_mycat_that_was_never_checked_is_not_up(lb, mycats):
    dead, *_ = mycats
    dead.run("systemctl", "stop", "mycat")
    try:
        await_(lambda: servers(lb)[dead.name]["status"] == "DOWN", 10, "it is out")
        for verb in ("reload", "restart"):
            lb.run("systemctl", verb, "haproxy")
            for _ in range(5):
                await_(lambda: servers(lb), 5, "HAProxy answers")
                assert servers(lb)[dead.name]["status"].startswith("DOWN")
    finally:
        dead.run("systemctl", "start", "mycat")


def test_killed_mycat_fails_no_new_connection(lb, client, sessions, mycats):
    killed, *rest = mycats
    try:
        outage = measure(
            client,
            lb.container,
            lambda: killed.run("systemctl", "kill", "--signal=KILL", "mycat"),
            seconds=4,
            every=EVERY,
        )
        for mycat in rest:
            assert sessions[mycat.name].ask() == mycat.name
        assert answering(client, lb.container) == {mycat.name for mycat in rest}
    finally:
        killed.run("systemctl", "start", "mycat")
    print(outage)
    assert only_ungreeted(outage), outage
    assert outage.connections_failed <= 4, outage


def test_hung_mycat_is_out_within_two_checks(lb, client, sessions, mycats):
    hung, *rest = mycats
    failed_before = int(servers(lb)[hung.name]["chkfail"])
    try:
        since = time.monotonic()
        hung.run("pkill", "-STOP", "-f", "mycat_standin.py")
        await_(lambda: servers(lb)[hung.name]["status"] == "DOWN", 20, "it is out", every=0.02)
        took = time.monotonic() - since
        checks = int(servers(lb)[hung.name]["chkfail"]) - failed_before
        # Its sessions end instead of hanging with it; the others go on.
        assert sessions[hung.name].ask() == ""
        assert sessions[rest[0].name].ask() == rest[0].name
        outage = measure(client, lb.container, lambda: None, seconds=1, every=EVERY)
    finally:
        hung.run("pkill", "-CONT", "-f", "mycat_standin.py")
    print(f"{took:.2f} s, {checks} checks, then {outage}")
    assert checks == 2
    assert took <= INTER + DEADLINE + FASTINTER + DEADLINE + BUSY
    assert outage.connections_failed == 0, outage


def test_drained_mycat_finishes_its_sessions(lb, client, sessions, mycats):
    drained, *rest = mycats
    try:
        drained.run("touch", "/run/mycat_status/drain")
        await_(lambda: "NOLB" in servers(lb)[drained.name]["status"], 10, "it drains")
        outage = measure(client, lb.container, lambda: None, seconds=2, every=EVERY)
        assert answering(client, lb.container) == {mycat.name for mycat in rest}
        lb.run("systemctl", "reload", "haproxy")
        await_(lambda: servers(lb), 5, "HAProxy answers")
        assert sessions[drained.name].ask() == drained.name
        assert answering(client, lb.container) == {mycat.name for mycat in rest}
    finally:
        drained.run("rm", "-f", "/run/mycat_status/drain")
    print(outage)
    assert outage.connections_failed == 0, outage


def test_a_setting_that_haproxy_refuses_changes_nothing(lbs, client):
    before = {lb: digest(lb) for lb in lbs}
    done = play(haproxy_mycat_extra=["option bogus"])
    assert done.returncode != 0
    for lb in lbs:
        assert digest(lb) == before[lb]
        assert answering(client, lb.container, queries=1)
    assert "HAProxy refuses the new configuration" in done.stdout + done.stderr
    assert "unknown option 'bogus'" in done.stdout + done.stderr


def test_a_port_that_another_program_has_changes_nothing(lbs, client):
    squatted = lbs[0]
    before = digest(squatted)
    squatted.run("systemd-run", "--unit=squatter", "python3", "-m", "http.server", "9999")
    taken = {"name": "taken", "bind": "*:9999", "group": "mycat", "port": 48700}
    try:
        done = play(f"--limit=mycat,{squatted.name}", haproxy_listeners=[taken])
    finally:
        squatted.run("systemctl", "stop", "squatter")
    assert done.returncode != 0
    assert digest(squatted) == before
    assert "cannot bind to *:9999: Address already in use" in done.stdout + done.stderr
    assert answering(client, squatted.container, queries=1)


def test_the_former_file_is_back_if_the_new_one_does_not_come_up(lbs, client):
    before = {lb: digest(lb) for lb in lbs}
    done = []
    # `haproxy -c` binds to nothing, so only the start finds out.
    nowhere = "listen nowhere\n    bind /nonexistent/socket\n"
    outage = measure(
        *(client, lbs[0].container, lambda: done.append(play(haproxy_extra=nowhere))),
        seconds=40,
        every=EVERY,
    )
    said = done[0].stdout + done[0].stderr
    assert done[0].returncode != 0
    for lb in lbs:
        assert digest(lb) == before[lb], said
        assert lb.state_of("haproxy") == "active"
        assert answering(client, lb.container, queries=1)
    assert "does not serve with the new configuration; the former" in said
    assert "cannot bind" in said
    print(outage)
    assert outage.connections_failed == 0, outage


def test_check_mode_shows_the_change_and_no_password(lbs):
    before = {lb: digest(lb) for lb in lbs}
    done = play(
        "--check",
        "--diff",
        haproxy_mycat_balance="roundrobin",
        haproxy_stats_password="another-secret",  # noqa: S106 - nobody has it
    )
    assert done.returncode == 0, done.stdout
    assert {lb: digest(lb) for lb in lbs} == before
    assert "balance roundrobin" in done.stdout
    assert "insecure-password ******** (new)" in done.stdout
    assert "another-secret" not in done.stdout + done.stderr
    assert "quoted" not in done.stdout + done.stderr
