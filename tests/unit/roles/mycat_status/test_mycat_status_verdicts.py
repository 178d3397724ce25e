# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every way a MyCat is known to fail, run for real on the stand-in: our verdict and, beside it,
what the script this program replaces says of the same MyCat at the same moment."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import threading
import time

import pytest

from conftest import (  # isort: skip
    GET,
    GREETING,
    LOGIN_OK,
    Answer,
    command,
    listen,
    load_program,
    packet,
    probe_nowait,
    read_all,
    wait_until,
)

NOBODY = 65534
OK, DOWN, DRAIN, SILENT = 200, 503, 404, None
SILENCE = "no answer within 0.5 s"


def source_answer(standin, user=None, patience=5.0):
    """Code of the replaced script's answer, or None for none within ``patience`` seconds."""
    process = subprocess.Popen(
        [str(standin.script)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={"PATH": os.defpath},
        start_new_session=True,
        user=user,
    )
    try:
        output = process.communicate(timeout=patience)[0]
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return None
    return int(output.split()[1])


def fault(name):
    @contextlib.contextmanager
    def arrange(standin):
        standin.settings(fault=name)
        yield
        standin.settings()

    return arrange


def timeout(reason):
    """Short where the deadline is what ends the check, ample for a busy machine elsewhere."""
    return 0.5 if reason == SILENCE else 5.0


def setting(**settings):
    @contextlib.contextmanager
    def arrange(standin):
        standin.settings(**settings)
        yield
        standin.settings()

    return arrange


@contextlib.contextmanager
def hanging_jvm(standin):
    child = standin.child()
    os.kill(child, signal.SIGSTOP)
    yield
    os.kill(child, signal.SIGCONT)


@contextlib.contextmanager
def healthy(_standin):
    yield


@contextlib.contextmanager
def offline(standin):
    manager(standin, "offline")
    yield
    manager(standin, "online")


def manager(standin, statement):
    """Any user of the manager port can do this to a MyCat."""
    program = load_program()
    with program.MySQL("127.0.0.1", standin.manager_port, program.Deadline(20)) as mysql:
        mysql.greet("-mycat-")
        mysql.login("mycat", "mycat-demo")
        assert mysql.query(statement) == []
        mysql.quit()


@pytest.mark.parametrize(
    ("arrange", "level", "ours", "reason", "source"),
    [
        pytest.param(healthy, "process", OK, "process", OK, id="healthy-process"),
        pytest.param(healthy, "greeting", OK, "greets as 5.6.29-mycat-", OK, id="healthy-greeting"),
        pytest.param(healthy, "query", OK, "show mycat_status is ON", OK, id="healthy-query"),
        pytest.param(setting(announce_plugin=False), "query", OK, "ON", OK, id="no-plugin-named"),
        pytest.param(hanging_jvm, "greeting", DOWN, SILENCE, OK, id="jvm-hangs"),
        *(
            pytest.param(arrange, level, DOWN, SILENCE, OK, id=name, marks=pytest.mark.thorough)
            for name, arrange, level in (
                ("no-greeting", fault("no-greeting"), "greeting"),
                ("login-unanswered", fault("silent-after-greeting"), "query"),
                ("query-unanswered", fault("silent-after-login"), "query"),
                ("slow-query", setting(query_delay=2), "query"),
            )
        ),
        pytest.param(
            setting(version="5.7.40-log"), "greeting", DOWN, "is not MyCat", OK, id="not-mycat"
        ),
        pytest.param(
            setting(user="another"), "query", DOWN, "error 1045 Access denied", OK, id="denied"
        ),
        pytest.param(
            setting(whitehost=["192.0.2.1"]),
            *("query", DOWN, '<whitehost> lacks <host host="127.0.0.1" user="mycat"/>', OK),
            id="whitehost",
        ),
        pytest.param(
            setting(show_allowed=False),
            *("query", DOWN, "<firewall><blacklist> refuses it, set showAllow", OK),
            id="blacklist",
        ),
        pytest.param(hanging_jvm, "process", OK, "process", OK, id="jvm-hangs-process"),
        pytest.param(offline, "query", DRAIN, "asked for by offline", OK, id="offline"),
    ],
)
def test_verdict_while_the_process_runs(standin, arrange, level, ours, reason, source):
    with arrange(standin):
        answer = probe_nowait(standin.config(level=level, check_timeout=timeout(reason)))
        assert (answer.code, source_answer(standin)) == (ours, source)
    assert reason in answer.json["reason"]
    assert answer.json["level"] == level


def no_pid_file(standin):
    standin.pid_file.unlink(missing_ok=True)


def stale_pid_file(standin):
    ended = subprocess.Popen(["true"])
    ended.wait()
    standin.pid_file.write_text(f"{ended.pid}\n")


def another_process(standin):
    standin.pid_file.write_text(f"{os.getpid()}\n")


def empty_pid_file(standin):
    standin.pid_file.write_text("")


def garbage_pid_file(standin):
    standin.pid_file.write_text("MyCat\n")


def pid_file_is_a_pipe(standin):
    os.mkfifo(standin.pid_file)


def wrapper_missing(standin):
    (standin.path / "bin/wrapper-linux-x86-64").unlink()


def script_missing(standin):
    (standin.path / "bin/mycat").unlink()


def script_not_executable(standin):
    (standin.path / "bin/mycat").chmod(0o644)


def script(text):
    def arrange(standin):
        (standin.path / "bin/mycat").write_text("#!/bin/sh\n" + text)

    return arrange


@pytest.mark.parametrize(
    ("arrange", "settings", "reason", "source"),
    [
        pytest.param(no_pid_file, {}, "no pid file", DOWN, id="stopped"),
        pytest.param(stale_pid_file, {}, "is stale", DOWN, id="stale-pid-file"),
        pytest.param(another_process, {}, "is not the wrapper", DOWN, id="pid-of-another"),
        pytest.param(empty_pid_file, {}, "does not hold a process id", DOWN, id="pid-file-empty"),
        pytest.param(garbage_pid_file, {}, "does not hold", DOWN, id="pid-file-garbage"),
        pytest.param(pid_file_is_a_pipe, {}, "does not hold", DOWN, id="pid-file-is-a-pipe"),
        pytest.param(wrapper_missing, {}, "no pid file", OK, id="wrapper-missing"),
        pytest.param(script_missing, {}, "no pid file", OK, id="script-missing"),
        pytest.param(script_not_executable, {}, "no pid file", OK, id="script-not-executable"),
        pytest.param(
            no_pid_file, {"use_status_command": True}, "exit code 1", DOWN, id="command-stopped"
        ),
        pytest.param(
            script_missing, {"use_status_command": True}, "cannot run", OK, id="command-missing"
        ),
        pytest.param(
            script_not_executable,
            {"use_status_command": True},
            "cannot run",
            OK,
            id="command-not-executable",
        ),
        pytest.param(
            wrapper_missing,
            {"use_status_command": True},
            "Unable to locate any of the following operational binaries:",
            OK,
            id="command-without-wrapper",
        ),
        pytest.param(
            script("echo \"Unable to locate 'ps'.\"; exit 1"),
            {"use_status_command": True},
            "Unable to locate 'ps'.",
            OK,
            id="command-without-ps",
        ),
        pytest.param(
            script("echo 'Mycat-server is running (1).'; exit 1"),
            {"use_status_command": True},
            "exit code 1",
            OK,
            id="command-contradicts-itself",
        ),
        pytest.param(
            script("echo 'Is it? Mycat-server is running (1).'"),
            {"use_status_command": True},
            "exit code 0",
            OK,
            id="command-says-something-like-it",
        ),
        pytest.param(
            script("sleep 60 & sleep 60"),
            {"use_status_command": True},
            SILENCE,
            SILENT,
            id="command-hangs",
            marks=pytest.mark.thorough,
        ),
        pytest.param(
            script("exec >&- 2>&-; sleep 60"),
            {"use_status_command": True},
            SILENCE,
            SILENT,
            id="command-hangs-with-closed-output",
            marks=pytest.mark.thorough,
        ),
    ],
)
def test_verdict_while_the_process_is_gone(stopped, arrange, settings, reason, source):
    arrange(stopped)
    settings = {"level": "process", "check_timeout": timeout(reason), **settings}
    answer = probe_nowait(stopped.config(**settings))
    patience = 0.3 if source is SILENT else 5.0
    assert (answer.code, source_answer(stopped, patience=patience)) == (DOWN, source)
    assert answer.json["status"] == "down"
    assert reason in answer.json["reason"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_a_pid_file_that_may_not_be_read_is_down_and_the_source_says_ok(standin):
    """xinetd may run the endpoint as nobody, as MyCat's own recipe does."""
    config = standin.config(level="process")
    standin.pid_file.chmod(0o600)
    try:
        with listen() as listener:
            client = socket.create_connection(listener.getsockname(), 20)
            server, _peer = listener.accept()
        with client, server:
            process = subprocess.Popen(
                command(config, python="/usr/bin/python3"), stdin=server, user=NOBODY
            )
            client.sendall(GET)
            process.wait(20)
            server.close()
            answer = Answer(read_all(client))
        assert (answer.code, source_answer(standin, NOBODY)) == (DOWN, OK)
        assert "Permission denied" in answer.json["reason"]
    finally:
        standin.pid_file.chmod(0o644)


@pytest.mark.thorough
def test_a_jvm_that_dies_at_start_is_down_and_the_source_says_ok(stopped):
    stopped.settings(fault="refuse-start")
    assert stopped.mycat("start").returncode == 0
    try:
        wait_until(lambda: stopped.pid_file.exists() and stopped.pid_file.read_text())
        answer = probe_nowait(stopped.config())
        assert (answer.code, source_answer(stopped)) == (DOWN, OK)
        assert "Connection refused" in answer.json["reason"]
    finally:
        stopped.kill()


def test_a_stale_pid_file_is_left_alone(stopped):
    stale_pid_file(stopped)
    probe_nowait(stopped.config(level="process"))
    assert stopped.pid_file.exists()


@pytest.mark.parametrize(
    ("command", "code"), [(False, OK), (True, OK)], ids=["own-check", "status-command"]
)
def test_both_ways_to_look_at_the_process_agree_on_a_running_one(standin, command, code):
    config = standin.config(level="greeting", use_status_command=command)
    assert probe_nowait(config).code == code


@pytest.mark.parametrize(
    ("backend", "required", "code"),
    [
        pytest.param(False, False, OK, id="down-but-only-reported"),
        pytest.param(False, True, DOWN, id="down-and-required"),
    ],
)
def test_data_hosts_are_reported_and_fail_only_where_required(standin, backend, required, code):
    config = standin.config(
        level="query", manager_port=standin.manager_port, require_backends=required
    )
    answer = probe_nowait(config)
    assert answer.code == code
    assert answer.json["manager"] == "ON"
    assert answer.json["backends"] == {"hostM1": backend}


@pytest.mark.thorough
def test_a_manager_port_that_hangs_is_no_reason_to_fail(standin):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        config = standin.config(
            level="query", manager_port=silent.getsockname()[1], check_timeout=3
        )
        answer = probe_nowait(config)
    assert answer.code == OK
    assert "no answer" in answer.json["manager"]


# Over time


class Balancer:
    """What an HAProxy with the role's defaults concludes: inter 1s fastinter 250ms fall 2."""

    def __init__(self, endpoint):
        self.up = True
        self.downs = []  # when it took the server out
        self._endpoint = endpoint
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_exception):
        self._ended.set()
        self._thread.join()

    def _watch(self):
        failures = 0
        while not self._ended.wait(0.25 if failures else 1.0):
            failures = 0 if self._endpoint.probe().code == OK else failures + 1
            if failures == 2:
                self.downs.append(time.monotonic())


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [0.5, 1.0, 1.5, 2.0])
def test_a_pause_of_the_jvm_moves_nothing(standin, start, seconds):
    endpoint = start(standin.config(level="query"))
    with Balancer(endpoint) as balancer:
        time.sleep(1.2)
        with hanging_jvm(standin):
            time.sleep(seconds)
        time.sleep(2)
    assert not balancer.downs


@pytest.mark.slow
def test_a_hang_of_the_jvm_is_seen_within_the_budget(standin, start):
    endpoint = start(standin.config(level="query"))
    with Balancer(endpoint) as balancer:
        time.sleep(1.2)
        begun = time.monotonic()
        with hanging_jvm(standin):
            wait_until(lambda: balancer.downs)
    # At most 1 + 1 + 0.25 + 1 s; a busy machine adds to it.
    assert 2.0 <= balancer.downs[0] - begun <= 4.5


def test_probes_cost_one_login_and_offline_is_seen_all_the_same(standin, start):
    log = standin.path / "logs/mycat.log"
    endpoint = start(standin.config(level="query"))
    assert endpoint.probe().code == OK
    before = len(log.read_text().splitlines())
    for _ in range(10):
        assert endpoint.probe().code == OK
    with offline(standin):
        # As soon as the verdict that is kept is too old.
        wait_until(lambda: endpoint.probe().code == DRAIN)
    logins = log.read_text().splitlines()[before:]
    assert not [line for line in logins if "ServerConnection" in line]


class Database:
    """As much of one as the stand-in needs, on its unix socket."""

    def __init__(self, path):
        self._path = str(path)
        self._sessions = []
        self._listener = None

    def start(self):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._path)
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(self._path)
        self._listener.listen()
        threading.Thread(target=self._serve, args=(self._listener,), daemon=True).start()

    def stop(self):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for session in self._sessions:
            session.close()

    def _serve(self, listener):
        with contextlib.suppress(OSError):
            while True:
                session = listener.accept()[0]
                self._sessions.append(session)
                threading.Thread(target=self._talk, args=(session,), daemon=True).start()

    def _talk(self, session):
        with contextlib.suppress(OSError):
            session.sendall(GREETING)
            session.recv(4096)
            session.sendall(LOGIN_OK)
            while session.recv(4096):
                session.sendall(packet(1, LOGIN_OK[4:]))


@pytest.mark.slow
def test_a_jvm_killed_while_the_database_is_down(stopped, start):
    database = Database(stopped.path / "database")
    database.start()
    stopped.settings(backend_socket=str(stopped.path / "database"))
    stopped.start()
    endpoint = start(stopped.config(level="query"))
    try:
        assert endpoint.probe().code == OK
        database.stop()
        assert endpoint.probe().code == OK, "a database that fails is not MyCat's fault"
        os.kill(stopped.child(), signal.SIGKILL)
        unready = "no query has gone through to a database yet: select now()"
        wait_until(lambda: unready in endpoint.probe().json["reason"], 15)
        begun, codes = time.monotonic(), set()
        while time.monotonic() - begun < 4:
            codes.add(endpoint.probe().code)
        assert codes == {DOWN}
        database.start()
        wait_until(lambda: endpoint.probe().code == OK, 25)
        database.stop()
        assert endpoint.probe().code == OK
    finally:
        stopped.kill()
