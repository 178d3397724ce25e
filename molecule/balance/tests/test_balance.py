"""What a client of 200 connections a second loses, on the HAProxy of each Debian release."""

from __future__ import annotations

import contextlib
import hashlib
import re
import subprocess
import threading
import time
from collections.abc import Iterable, Iterator

import pytest
from lab.daemon import write
from lab.haproxy import admin, all_up, servers
from lab.hosts import answering, await_
from lab.outage import measure
from lab.playbook import run_playbook

EVERY = 0.005  # seconds between two connections
PAUSE = 0.005  # seconds between two queries of a session

# The role's defaults and mycat_status's: time between checks, and how long a hung MyCat keeps the
# answer to one waiting. The second check of two comes after `fastinter`.
INTER, FASTINTER, DEADLINE = 1.0, 0.25, 1.0
BUSY = 1.5  # what a loaded machine may add

# Status 0: no answer. A certificate of a test is signed by nobody.
FETCH = """
import base64, ssl, sys, urllib.error, urllib.request
request = urllib.request.Request(sys.argv[1])
if len(sys.argv) > 2:
    login = base64.b64encode(sys.argv[2].encode()).decode()
    request.add_header("Authorization", "Basic " + login)
try:
    answer = urllib.request.urlopen(request, timeout=2, context=ssl._create_unverified_context())
    print(answer.status, answer.read().decode())
except urllib.error.HTTPError as error:
    print(error.code, error.read().decode())
except OSError as error:
    print(0, error)
"""


# As in the role's README: client, time, listener, server, times, bytes, end, connections, queues.
LOGGED = re.compile(
    r"[\d.:]+:\d+ \[\d+/\w+/\d+:[\d:]+\.\d+\] mycat mycat/mycat\d \d+/\d+/\d+ \d+ -- "
    r"\d+/\d+/\d+/\d+/\d+ \d+/\d+$"
)


def fetch(host, url, *login):
    """Status and body of the answer to a host; status 0 if there is none."""
    status, _, body = host.run("python3", "-c", FETCH, url, *login).stdout.partition(" ")
    return int(status), body


def info(lb):
    return dict(line.split(": ", 1) for line in admin(lb, "show info").splitlines() if ": " in line)


def digest(lb):
    text = lb.run("cat", "/etc/haproxy/haproxy.cfg").stdout
    return hashlib.sha256(text.encode()).hexdigest()


class Session:
    """A MySQL session that stays open and asks again and again."""

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
        self.answers = 0
        self.mycat = self.ask()

    def ask(self):
        """Return which MyCat answers; an empty text once the session has ended."""
        try:
            self._process.stdin.write("select @@hostname;\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            return ""
        return self._process.stdout.readline().strip()

    def ask_until(self, enough):
        """Ask without rest; the first answer that is missing is the last."""
        while not enough.wait(PAUSE):
            if self.ask() != self.mycat:
                return
            self.answers += 1

    def close(self):
        self._process.kill()
        self._process.communicate()


@contextlib.contextmanager
def asking(sessions: Iterable[Session]) -> Iterator[None]:
    """Have all sessions ask meanwhile."""
    enough = threading.Event()
    threads = [threading.Thread(target=each.ask_until, args=(enough,)) for each in sessions]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        enough.set()
        for thread in threads:
            thread.join(timeout=10)


def answered(sessions: Iterable[Session]) -> str:
    return ", ".join(f"{each.answers} answers of {each.mycat}" for each in sessions)


def still_served(sessions: Iterable[Session]) -> bool:
    """Whether every session goes on, on the MyCat it began on, and got many answers so far."""
    return all(each.answers > 20 and each.ask() == each.mycat for each in sessions)


@pytest.fixture(scope="module", autouse=True)
def gather_facts_once(tmp_path_factory):
    """The playbooks of the tests read the hosts' facts from a cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ANSIBLE_GATHERING", "smart")
        patch.setenv("ANSIBLE_CACHE_PLUGIN", "jsonfile")
        patch.setenv("ANSIBLE_CACHE_PLUGIN_CONNECTION", str(tmp_path_factory.mktemp("facts")))
        yield


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


def start(mycat):
    """Start MyCat again; systemd wants an inotify watch, of which many containers leave none."""
    await_(
        lambda: not mycat.run("systemctl", "start", "mycat", check=False).returncode,
        60,
        f"{mycat.name} starts",
        every=1,
    )


def play(*options, **variables):
    """Set the load balancers up with other settings."""
    return run_playbook("molecule/balance/balance.yml", *options, **variables)


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
    said = info(lb)
    assert int(said["Ulimit-n"]) >= 2 * int(said["Maxconn"]) > 2 * 4096


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


def test_health_answers_are_for_the_host_itself(lb, client):
    assert fetch(lb, "http://127.0.0.1:48801/alive")[0] == 200
    assert fetch(client, f"http://{lb.container}:48801/alive") == (
        0,
        "<urlopen error [Errno 111] Connection refused>\n",
    )


def test_a_hung_haproxy_is_silent(lb):
    lb.run("systemctl", "kill", "--signal=STOP", "haproxy")
    try:
        status, why = fetch(lb, "http://127.0.0.1:48801/alive")
    finally:
        lb.run("systemctl", "kill", "--signal=CONT", "haproxy")
    assert (status, why) == (0, "timed out\n")
    assert fetch(lb, "http://127.0.0.1:48801/alive")[0] == 200


def test_mycats_are_known_once_haproxy_is_loaded(lb):
    for verb in ("reload", "restart"):
        lb.run("systemctl", verb, "haproxy")
        assert fetch(lb, "http://127.0.0.1:48801/backends") == (200, "a MyCat takes sessions\n\n")


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

    def logged():
        journal = ("journalctl", "--quiet", "--no-pager", "--output=cat", "--unit=haproxy")
        lines = lb.run(*journal, f"--since=@{since:.3f}").stdout.splitlines()
        return next(filter(LOGGED.search, lines), None)

    assert await_(logged, 5, "the session is in the journal")


def test_reload_loses_nothing_and_forgets_nothing(lb, client, sessions):
    admin(lb, "set server mycat/mycat3 state drain")

    def reload_ten_times():
        for _ in range(10):
            lb.run("systemctl", "reload", "haproxy")
            time.sleep(0.3)  # the pace of an operator who cannot wait
            assert servers(lb)["mycat3"]["status"] == "DRAIN"

    try:
        with asking(sessions.values()):
            outage = measure(client, lb.container, reload_ten_times, seconds=9, every=EVERY)
        print(f"{outage}, {answered(sessions.values())}")
        assert still_served(sessions.values())
    finally:
        admin(lb, "set server mycat/mycat3 state ready")
    assert outage.connections_failed == 0, outage


def state_of_servers(lb):
    """``show servers state`` of the MyCats, {server: {column: text}}."""
    _version, head, *rows = admin(lb, "show servers state mycat").strip().splitlines()
    columns = head.lstrip("# ").split()
    return {row["srv_name"]: row for row in (dict(zip(columns, line.split())) for line in rows)}


def test_the_file_wins_over_what_is_kept_of_the_servers(lb):
    """Ports, checks and weights are those of the file; an operator's drain stays."""
    path = "/etc/haproxy/haproxy.cfg"
    before = lb.run("cat", path).stdout
    after = before.replace(":8066 check", ":8067 check").replace("port 48700", "port 48709")
    assert after.count(":8067 check") == 3
    admin(lb, "set server mycat/mycat3 state drain")
    admin(lb, "set weight mycat/mycat2 7")
    try:
        write(lb, path, after, mode="640")
        lb.run("systemctl", "reload", "haproxy")
        found = await_(lambda: state_of_servers(lb), 5, "HAProxy answers")
        assert {row["srv_port"] for row in found.values()} == {"8067"}
        assert {row["srv_uweight"] for row in found.values()} == {"1"}
        assert found["mycat3"]["srv_admin_state"] == "8"
        # It asks where the file says, and nobody answers there.
        await_(
            lambda: {row["srv_op_state"] for row in state_of_servers(lb).values()} == {"0"},
            10,
            "all are down",
        )
    finally:
        write(lb, path, before, mode="640")
        lb.run("chgrp", "haproxy", path)
        lb.run("systemctl", "reload", "haproxy")
        admin(lb, "set server mycat/mycat3 state ready")
    assert {row["srv_port"] for row in state_of_servers(lb).values()} == {"8066"}


def test_a_mycat_that_was_never_checked_is_not_up(lb, mycats):
    dead, *_ = mycats
    dead.run("systemctl", "stop", "mycat")
    try:
        await_(lambda: servers(lb)[dead.name]["status"] == "DOWN", 10, "it is out")
        for verb in ("reload", "restart"):
            lb.run("systemctl", verb, "haproxy")
            for _ in range(5):
                # The process that ends on a reload may answer with nothing.
                row = await_(lambda: servers(lb).get(dead.name), 5, "HAProxy answers")
                assert row["status"].startswith("DOWN")
    finally:
        start(dead)


def test_killed_mycat_fails_no_new_connection(lb, client, sessions, mycats):
    killed, *rest = mycats
    others = [sessions[mycat.name] for mycat in rest]
    try:
        with asking(sessions.values()):
            outage = measure(
                *(client, lb.container),
                lambda: killed.run("systemctl", "kill", "--signal=KILL", "mycat"),
                seconds=4,
                every=EVERY,
            )
        print(f"{outage}, {answered(sessions.values())}")
        assert still_served(others)
        assert sessions[killed.name].ask() == ""
        assert answering(client, lb.container) == {mycat.name for mycat in rest}
    finally:
        start(killed)
    assert only_ungreeted(outage), outage
    assert outage.connections_failed <= 4, outage


def test_hung_mycat_is_out_within_two_checks(lb, client, sessions, mycats):
    hung, *rest = mycats
    others = [sessions[mycat.name] for mycat in rest]
    failed_before = int(servers(lb)[hung.name]["chkfail"])
    try:
        with asking(sessions.values()):
            since = time.monotonic()
            hung.run("pkill", "-STOP", "-f", "mycat_standin.py")
            await_(lambda: servers(lb)[hung.name]["status"] == "DOWN", 20, "it is out", every=0.02)
            took = time.monotonic() - since
            checks = int(servers(lb)[hung.name]["chkfail"]) - failed_before
            outage = measure(client, lb.container, lambda: None, seconds=1, every=EVERY)
        print(f"{took:.2f} s, {checks} checks, then {outage}, {answered(sessions.values())}")
        # Its sessions end instead of hanging with it; the others go on.
        assert sessions[hung.name].ask() == ""
        assert still_served(others)
    finally:
        hung.run("pkill", "-CONT", "-f", "mycat_standin.py")
    assert checks == 2
    assert took <= INTER + DEADLINE + FASTINTER + DEADLINE + BUSY
    assert outage.connections_failed == 0, outage


def test_drained_mycat_finishes_its_sessions(lb, client, sessions, mycats):
    drained, *rest = mycats
    try:
        with asking(sessions.values()):
            drained.run("touch", "/run/mycat_status/drain")
            await_(lambda: "NOLB" in servers(lb)[drained.name]["status"], 10, "it drains")
            outage = measure(client, lb.container, lambda: None, seconds=2, every=EVERY)
            assert answering(client, lb.container) == {mycat.name for mycat in rest}
            lb.run("systemctl", "reload", "haproxy")
            await_(lambda: servers(lb), 5, "HAProxy answers")
            assert answering(client, lb.container) == {mycat.name for mycat in rest}
        print(f"{outage}, {answered(sessions.values())}")
        assert still_served(sessions.values())
    finally:
        drained.run("rm", "-f", "/run/mycat_status/drain")
    assert outage.connections_failed == 0, outage


def test_the_former_file_is_back_if_the_new_one_does_not_come_up(lb, client, sessions):
    before = digest(lb)
    runs = []
    # Bound before the start fails; HAProxy 2.2 never closes it again.
    new = "listen new\n    bind *:8448\n    mode http\n    monitor-uri /\n"
    # `haproxy -c` binds to nothing, so only the start finds out.
    nowhere = "listen nowhere\n    bind /nonexistent/socket\n"

    def load(more):
        limit = f"--limit={lb.name}"
        runs.append(run_playbook("molecule/balance/load.yml", limit, load_more=more))

    with asking(sessions.values()):
        outage = measure(client, lb.container, lambda: load(new + nowhere), seconds=12, every=EVERY)
    (run,) = runs
    print(f"{outage}, {answered(sessions.values())}")
    assert run.rc != 0
    assert digest(lb) == before, run.output
    assert still_served(sessions.values())
    assert "the former /etc/haproxy/haproxy.cfg is back, and HAProxy serves with it: " in run.said
    assert "cannot bind" in run.said
    assert outage.connections_failed == 0, outage

    load(new)
    assert runs[-1].rc == 0, runs[-1].output
    assert [fetch(lb, "http://127.0.0.1:8448/")[0] for _ in range(20)] == [200] * 20
    assert play(f"--limit=mycat,{lb.name}").rc == 0
    assert digest(lb) == before
    await_(lambda: ":8448" not in lb.run("ss", "-Hltn").stdout, 10, "nobody listens on 8448")


@pytest.mark.parametrize("options", [[], ["--check"]], ids=["run", "check"])
@pytest.mark.parametrize(
    ("variables", "says"),
    [
        pytest.param(
            {"mycat_ha_mycat_group": "nobody"},
            "mycat_ha_mycat_group: the group 'nobody' has no host of the cluster",
            id="no-server",
        ),
        pytest.param(
            {"haproxy_stats_password": ""},
            "haproxy_stats_password: is missing, and *:8404 is reached from other hosts",
            id="no-password",
        ),
        pytest.param(
            {"haproxy_mycat_extra": ["option mysql-check user haproxy"]},
            "haproxy_mycat_extra[0]: `option mysql-check` does not tell whether a MyCat works",
            id="mysql-check",
        ),
    ],
)
def test_settings_that_cannot_serve_touch_no_host(options, variables, says):
    run = play(*options, **variables)
    assert run.rc != 0
    assert says in run.said
    assert run.changed == set()


def test_a_setting_that_haproxy_refuses_changes_nothing(lbs, client):
    before = {lb: digest(lb) for lb in lbs}
    run = play(haproxy_mycat_extra=["option bogus"])
    assert run.rc != 0
    for lb in lbs:
        assert digest(lb) == before[lb]
        assert answering(client, lb.container, sessions=1)
    assert "HAProxy refuses the new configuration" in run.said
    assert "unknown option 'bogus'" in run.said


def test_a_port_that_another_program_has_changes_nothing(lbs, client):
    squatted = lbs[0]
    before = digest(squatted)
    squatted.run("systemd-run", "--unit=squatter", "python3", "-m", "http.server", "9999")
    taken = {"name": "taken", "bind": "*:9999", "group": "mycat", "port": 48700}
    try:
        run = play(f"--limit=mycat,{squatted.name}", haproxy_listeners=[taken])
    finally:
        squatted.run("systemctl", "stop", "squatter")
    assert run.rc != 0
    assert digest(squatted) == before
    assert "cannot bind to *:9999: Address already in use" in run.said
    assert answering(client, squatted.container, sessions=1)


def test_check_mode_shows_the_change_and_no_password(lbs):
    before = {lb: digest(lb) for lb in lbs}
    run = play(
        "--check",
        "--diff",
        haproxy_mycat_balance="roundrobin",
        haproxy_stats_password="another-secret",  # noqa: S106 - nobody has it
    )
    assert run.rc == 0, run.output
    assert run.changed == {lb.name for lb in lbs}
    assert {lb: digest(lb) for lb in lbs} == before
    assert "balance roundrobin" in run.said
    assert "insecure-password ******** (new)" in run.said
    assert "another-secret" not in run.output
    assert "quoted" not in run.output


CERTIFICATE = "/etc/haproxy/test.pem"
VIP = "10.87.51.200"
PASSWORD = "a password $1 'of' the test"  # noqa: S105 - nobody has it
OTHERWISE = {
    "mycat_ha_vip": f"{VIP}/24",
    "haproxy_mycat_bind": f"{VIP}:8066",
    "haproxy_maxconn": 4400,
    "haproxy_log": ["127.0.0.1:5514 local1 info"],
    "haproxy_log_format": '%s says 100%% of "%ci"',
    "haproxy_stats_bind": "127.0.0.1:48800",
    "haproxy_stats_certificate": CERTIFICATE,
    "haproxy_stats_password": PASSWORD,
    "haproxy_stats_extra": ["stats admin if TRUE"],
    "haproxy_manager_bind": "",
    "haproxy_listeners": [
        {
            "name": "web",
            "bind": ["*:8443", "127.0.0.1:8444"],
            "mode": "http",
            "tls": {"certificate": CERTIFICATE, "options": "alpn http/1.1"},
            "servers": [
                {"name": "one", "address": "mycat-ha-balance-mycat1", "port": 48700, "weight": 10},
                {
                    "name": "two",
                    "address": "mycat-ha-balance-mycat2",
                    "port": 48700,
                    "backup": True,
                },
            ],
            "check": {"type": "http", "uri": "/", "status": "200", "inter": "500ms"},
            "server_options": "maxconn 100",
            "extra": ["http-response set-header X-Served-By %s"],
        },
    ],
    "haproxy_extra": """
listen raw
    bind 127.0.0.1:8445
    server one mycat-ha-balance-mycat1:48700
""",
}


@pytest.fixture
def otherwise(lbs, mycats):
    """The load balancers as other settings make them; as they were, afterwards."""
    with pytest.MonkeyPatch.context() as patch:
        for lb in lbs:
            lb.run(
                *("openssl", "req", "-x509", "-nodes", "-newkey", "rsa:2048", "-subj", "/CN=test"),
                *("-keyout", f"{CERTIFICATE}.key", "-out", CERTIFICATE),
            )
            lb.run("sh", "-c", f"cat {CERTIFICATE}.key >>{CERTIFICATE}")
        yield patch
        run = play()
        assert run.rc == 0, run.output
        await_(lambda: all_up(lbs, mycats), 30, "every MyCat is up on every load balancer")


def test_everything_otherwise(lbs, client, otherwise):
    """Other settings for everything, while sessions of the former ones go on."""
    opened = {lb: Session(client, lb) for lb in lbs}
    pids = {lb: info(lb)["Pid"] for lb in lbs}
    try:
        checked = play("--check", **OTHERWISE)
        assert checked.rc == 0, checked.output
        run = play(**OTHERWISE)
        assert run.rc == 0, run.output
        for lb in lbs:
            assert info(lb)["Pid"] != pids[lb]
            assert opened[lb].ask() == opened[lb].mycat
            check_otherwise(lb)
    finally:
        for session in opened.values():
            session.close()


def check_otherwise(lb):
    status, body = fetch(lb, "https://127.0.0.1:48800/admin-status", f"admin:{PASSWORD}")
    assert status == 200
    assert "Choose the action to perform" in body  # stats admin
    assert fetch(lb, "http://127.0.0.1:48800/admin-status", f"admin:{PASSWORD}")[0] == 0
    # Servers that are new in the configuration count as down until their first check.
    for url in (*(f"https://127.0.0.1:{port}/" for port in (8443, 8444)), "http://127.0.0.1:8445/"):
        await_(lambda url=url: '"status": "up"' in fetch(lb, url)[1], 10, f"{url} says up")
    assert int(info(lb)["Maxconn"]) == 4400 + 4400 + 256
    # keepalived is yet to bring the address.
    assert f"{VIP}:8066" in lb.run("ss", "-Hltn").stdout
    # The old process closes its listeners after the new one has answered.
    await_(lambda: ":9066" not in lb.run("ss", "-Hltn").stdout, 10, "nobody listens on 9066")
    receiver = f"import socket; s = socket.socket(2, 2); s.bind(('127.0.0.1', 5514)); {RECEIVE}"
    lb.run("ip", "address", "add", f"{VIP}/32", "dev", "lo")
    try:
        with subprocess.Popen(
            lb.argv("timeout", "10", "python3", "-c", receiver), stdout=subprocess.PIPE, text=True
        ) as logged:
            assert logged.stdout.readline() == "ready\n"
            greeting = lb.run("bash", "-c", f"head -c 60 </dev/tcp/{VIP}/8066 | tr -cd '[:print:]'")
            line = logged.stdout.readline()
    finally:
        lb.run("ip", "address", "delete", f"{VIP}/32", "dev", "lo")
    assert "-mycat-" in greeting.stdout
    assert re.search(rf'mycat\d says 100% of "{re.escape(VIP)}"', line)


RECEIVE = "print('ready', flush=True); print(s.recv(999).decode(), flush=True)"
