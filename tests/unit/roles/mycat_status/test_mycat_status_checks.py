# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The judgements that rest on more than one check, against a MyCat that does what the test says."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading

import pytest
from conftest import EOF, GREETING, LOGIN_OK, listen, packet, wait_until


def mysql_error(number, text):
    return packet(1, b"\xff" + number.to_bytes(2, "little") + b"#HY000" + text.encode())


def table(columns, row):
    """A result set of one row, as MyCat sends it."""

    def text(value):
        return b"\xfb" if value is None else bytes([len(value)]) + value.encode()

    head = b"\x03def\0\0\0"
    fields = [head + text(name) + b"\0\x0c!\0\0\1\0\0\xfd\0\0\0\0\0" for name in columns]
    payloads = [bytes([len(columns)]), *fields, EOF[4:], b"".join(map(text, row)), EOF[4:]]
    return b"".join(packet(number, payload) for number, payload in enumerate(payloads, 1))


def heartbeat(**changes):
    row = {
        "NAME": "hostM1",
        "RS_CODE": "1",
        "RETRY": "0",
        "STATUS": "idle",
        "LAST_ACTIVE_TIME": "2026-11-26 03:46:20",
        **changes,
    }
    return table(list(row), list(row.values()))


ON = table(["STATUS"], ["ON"])
NOW = table(["now()"], ["2026-11-26 03:46:20"])
NO_DATABASE = mysql_error(1184, "Invalid DataSource:0")
SILENCE = None


class Scripted:
    """A MyCat on one port: ``answers`` is {statement: packets, or None for silence}."""

    def __init__(self, port=0):
        self.answers = {"show mycat_status": ON, "select now()": NOW}
        self.asked = []
        self.logins = 0
        self.greets = True
        self.sessions = []
        self.listener = socket.create_server(("127.0.0.1", port))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.serve, args=(self.listener,), daemon=True).start()

    def serve(self, listener):
        with contextlib.suppress(OSError):
            while True:
                client, _peer = listener.accept()
                self.sessions.append(client)
                threading.Thread(target=self.talk, args=(client,), daemon=True).start()

    def talk(self, client):
        with contextlib.suppress(OSError):
            if not self.greets:
                client.shutdown(socket.SHUT_RDWR)
                return
            client.sendall(GREETING)
            if not client.recv(4096):
                return
            self.logins += 1
            client.sendall(LOGIN_OK)
            while True:
                data = client.recv(4096)
                if not data or data[4] == 1:
                    return
                statement = data[5:].decode()
                self.asked.append(statement)
                answer = self.answers[statement]
                if answer:
                    client.sendall(answer)

    def stop(self):
        """As when its JVM ends: the port is closed, every session ends."""
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)  # or a thread that accepts keeps it open
        for end in (self.listener, *self.sessions):
            end.close()
        self.sessions = []

    def start_again(self):
        """As when the wrapper starts another JVM."""
        self.__init__(self.port)


@pytest.fixture
def mycat():
    mycat = Scripted()
    yield mycat
    mycat.stop()


@pytest.fixture
def clock(program, monkeypatch):
    """Lets ``clock.passes(seconds)`` without waiting; what a check measures itself goes on."""

    class Clock:
        ahead = 0.0

        def passes(self, seconds):
            self.ahead += seconds

    import time

    one, real = Clock(), time.monotonic
    monkeypatch.setattr(time, "monotonic", lambda: real() + one.ahead)
    return one


@pytest.fixture
def checker(program, mycat, tmp_path):
    """Makes a Checker of ``mycat``; one made anew knows only what the memory file says."""
    credentials = tmp_path / "credentials.json"
    credentials.write_text('{"user": "u", "password": "p"}')
    credentials.chmod(0o600)

    def make(keep=True, **changes):
        settings = {
            "home": str(tmp_path),
            "allow": ["127.0.0.1"],
            "sql_port": mycat.port,
            "check_timeout": 5,
            "credentials_file": str(credentials),
            "memory_file": str(tmp_path / "memory.json"),
            **changes,
        }
        return program.Checker(program.Settings(settings), keep=keep)

    return make


# Ready once, then alive


def test_a_mycat_that_runs_already_counts_as_once_ready(checker, mycat):
    mycat.answers["select now()"] = NO_DATABASE
    assert checker().check().up
    assert mycat.asked == ["show mycat_status"]


@pytest.mark.parametrize("keep", [True, False], ids=["wait", "nowait"])
def test_a_jvm_started_without_its_database_is_not_ready(checker, mycat, clock, keep):
    one = checker(keep)
    assert one.check().up
    mycat.stop()
    assert not one.check().up
    mycat.start_again()
    mycat.answers["select now()"] = NO_DATABASE
    for _ in range(2):
        verdict = (one if keep else checker(keep)).check()
        assert not verdict.up
        assert "no query has gone through to a database yet: select now(): " in verdict.reason
        assert "Invalid DataSource:0" in verdict.reason
    mycat.answers["select now()"] = NOW
    clock.passes(10.1)
    checker(keep, recovery_time=0).check()
    assert (one if keep else checker(keep)).check().up
    mycat.answers["select now()"] = NO_DATABASE
    assert (one if keep else checker(keep)).check().up, "a later failure of the database counts"


def test_a_new_jvm_is_noticed_though_nobody_saw_the_old_one_gone(checker, mycat):
    one = checker()
    assert one.check().up
    mycat.stop()
    mycat.start_again()
    mycat.answers["select now()"] = NO_DATABASE
    assert "no query has gone through" in one.check().reason


def test_readiness_costs_nothing_after_the_first_success(checker, mycat):
    one = checker()
    mycat.stop()
    one.check()
    mycat.start_again()
    assert [one.check().up for _ in range(5)] == [True] * 5
    assert mycat.asked.count("select now()") == 1


@pytest.mark.slow
@pytest.mark.parametrize(("answer", "pause"), [(NO_DATABASE, 10), (SILENCE, 65)])
def test_one_question_for_readiness_at_a_time(checker, mycat, clock, answer, pause):
    """Each would hold one of MyCat's few threads for a minute."""
    one = checker(check_timeout=5 if answer else 1)
    mycat.stop()
    one.check()
    mycat.start_again()
    mycat.answers["select now()"] = answer
    for _ in range(3):
        assert not one.check().up
    clock.passes(pause - 2)
    assert not one.check().up
    assert mycat.asked.count("select now()") == 1
    clock.passes(3)
    one.check()
    assert mycat.asked.count("select now()") == 2


@pytest.mark.slow
def test_two_processes_do_not_ask_at_once(checker, mycat, tmp_path):
    (tmp_path / "memory.json").write_text("")
    mycat.answers["select now()"] = SILENCE
    first = threading.Thread(target=checker(keep=False, check_timeout=2).check)
    first.start()
    wait_until(lambda: "select now()" in mycat.asked)
    verdict = checker(keep=False).check()
    first.join()
    assert "select now(): is being asked" in verdict.reason
    assert mycat.asked.count("select now()") == 1


def test_after_boot_whatever_runs_has_to_be_shown_ready(checker, mycat, tmp_path):
    (tmp_path / "memory.json").write_text("")
    mycat.answers["select now()"] = NO_DATABASE
    assert not checker().check().up


@pytest.mark.parametrize("text", ["{", "[]", '{"ready": 5}', "null", "\xff"])
def test_a_memory_that_cannot_be_read_is_a_lost_one(checker, mycat, tmp_path, text):
    (tmp_path / "memory.json").write_text(text, encoding="latin-1")
    mycat.answers["select now()"] = NO_DATABASE
    assert checker().check().up


def test_a_memory_that_cannot_be_written_is_a_warning(checker, mycat, tmp_path):
    one = checker(memory_file=str(tmp_path / "missing/memory.json"))
    verdict = one.check()
    assert verdict.up
    assert "cannot write" in verdict.warnings["memory"]
    mycat.stop()
    one.check()
    mycat.start_again()
    mycat.answers["select now()"] = NO_DATABASE
    assert not one.check().up, "the process does not remember by itself"


def test_the_query_for_readiness_is_a_setting(checker, mycat, tmp_path):
    (tmp_path / "memory.json").write_text("")
    mycat.answers["select 1 from t"] = NOW
    assert checker(ready_query="select 1 from t").check().up
    assert mycat.asked == ["show mycat_status", "select 1 from t"]


# Hysteresis


def changes(states):
    return sum(one != other for one, other in zip(states, states[1:]))


def test_one_failure_is_told_and_forgotten(checker, mycat):
    one = checker()
    assert one.check().up
    mycat.greets = False
    assert not one.check().up
    mycat.greets = True
    assert one.check().up


def test_a_flipping_mycat_changes_once(checker, mycat, clock):
    """Some of its threads hang: two checks of four fail."""
    one = checker(keep=False)
    states = []
    for greets in (True, False, False, True) * 4:
        mycat.greets = greets
        states.append(one.check().up)
        clock.passes(0.25)
    assert changes(states) == 1
    assert not states[-1]
    mycat.greets = True
    for _ in range(20):
        states.append(one.check().up)
        clock.passes(0.25)
    assert changes(states) == 2
    assert states[-1]
    assert states.index(True, 2) > 20, "it did not wait"  # 3.5 s after the failure at 14


def test_recovering_is_a_reason(checker, mycat):
    one = checker(keep=False)
    mycat.greets = False
    one.check()
    one.check()
    mycat.greets = True
    reason = one.check().reason
    assert reason.startswith("recovering, has to pass for 3.5 s: ")
    assert "closed the connection" in reason
    assert "recovering" in checker(keep=False).check().reason, "another process does not know"
    assert checker(keep=False, recovery_time=0).check().up


def test_a_jvm_that_was_started_anew_does_not_wait(checker, mycat):
    one = checker()
    mycat.greets = False
    one.check()
    one.check()
    mycat.stop()
    mycat.start_again()
    assert one.check().up


# Data hosts


@pytest.fixture
def manager():
    manager = Scripted()
    manager.answers = {"show @@server": ON, "show @@heartbeat": heartbeat()}
    yield manager
    manager.stop()


@pytest.mark.parametrize(
    ("changed", "up"),
    [
        pytest.param({}, True, id="reached"),
        pytest.param({"RETRY": "1"}, False, id="first-heartbeat-failed"),
        pytest.param({"RS_CODE": "-1"}, False, id="error"),
        pytest.param({"RS_CODE": "-2"}, False, id="timeout"),
        pytest.param({"RS_CODE": "0"}, False, id="init"),
        pytest.param({"LAST_ACTIVE_TIME": "1970-01-01 08:00:00"}, False, id="never-answered"),
        pytest.param({"LAST_ACTIVE_TIME": "1969-12-31 19:00:00"}, False, id="never-in-america"),
        pytest.param({"LAST_ACTIVE_TIME": None}, False, id="never-asked"),
        pytest.param({"STATUS": "checking"}, True, id="being-asked"),
        pytest.param({"RS_CODE": None, "RETRY": None}, False, id="no-heartbeat"),
    ],
)
def test_a_data_host_that_is_required(checker, manager, changed, up):
    manager.answers["show @@heartbeat"] = heartbeat(**changed)
    verdict = checker(manager_port=manager.port, require_backends=True).check()
    assert verdict.up is up
    assert verdict.manager.backends == {"hostM1": up}
    assert up or "manager: data hosts down: hostM1" in verdict.reason


@pytest.mark.parametrize("keep", [True, False], ids=["wait", "nowait"])
def test_a_data_host_that_hangs(checker, manager, clock, keep):
    """MyCat asks every 10 s and waits: with 5 s of patience it is noticed within 20 s."""
    manager.answers["show @@heartbeat"] = heartbeat(STATUS="checking")
    options = {"manager_port": manager.port, "require_backends": True}
    one = checker(keep, **options)
    assert one.check().up
    clock.passes(4)
    assert (one if keep else checker(keep, **options)).check().up
    clock.passes(1.5)
    assert not (one if keep else checker(keep, **options)).check().up
    manager.answers["show @@heartbeat"] = heartbeat(
        STATUS="checking", LAST_ACTIVE_TIME="2026-11-26 03:46:30"
    )
    assert (one if keep else checker(keep, **options)).check().up, "it was another question"


def test_data_hosts_that_are_only_reported_are_asked_for_seldom(checker, manager, clock):
    manager.answers["show @@heartbeat"] = heartbeat(RETRY="1")
    one = checker(manager_port=manager.port)
    verdicts = [one.check() for _ in range(3)]
    assert all(verdict.up and verdict.manager.backends == {"hostM1": False} for verdict in verdicts)
    assert manager.asked.count("show @@heartbeat") == 1
    clock.passes(5)
    one.check()
    assert manager.asked.count("show @@heartbeat") == 2


def test_a_closed_manager_port_is_no_new_start_of_mycat(checker, mycat, manager):
    one = checker(manager_port=manager.port, require_backends=True)
    assert one.check().up
    manager.stop()
    assert not one.check().up
    one.check()
    assert "select now()" not in mycat.asked


# The process is evidence


def test_a_missing_pid_file_is_a_warning_where_mycat_answers(checker):
    verdict = checker().check()
    assert verdict.up
    assert "no pid file" in verdict.warnings["pid"]


def test_a_missing_pid_file_is_part_of_the_reason_where_nobody_listens(checker, mycat):
    mycat.stop()
    reason = checker().check().reason
    assert "Connection refused; not running: no pid file" in reason


@pytest.mark.parametrize("level", ["greeting", "query"])
def test_a_pid_file_that_is_required(checker, level):
    verdict = checker(require_pid=True, level=level).check()
    assert not verdict.up
    assert verdict.reason.startswith("process: not running: no pid file")


@pytest.mark.parametrize(
    ("name", "setting", "is_wrapper"),
    [
        ("wrapper-linux-x86-64", None, True),
        ("wrapper-linux-x86-32", None, True),
        ("wrapper-linux-ppc-64", None, True),
        ("wrapper-linux-aarch64-64", None, True),
        ("wrapper-linux-armhf-32", None, True),
        ("wrapper", None, True),
        ("wrapper/other", None, False),
        ("mycat", None, False),
        ("wrapper-linux-ppc-64", "wrapper-linux-ppc-64", True),
        ("wrapper-linux-x86-64", "wrapper-linux-ppc-64", False),
    ],
)
def test_names_of_the_wrapper(program, tmp_path, monkeypatch, name, setting, is_wrapper):
    settings = program.Settings({"allow": ["::1"], "home": str(tmp_path), "wrapper": setting})
    argument = os.fsencode(f"{tmp_path}/bin/./{name}")
    assert program._is_wrapper(argument, settings) is is_wrapper
    assert not program._is_wrapper(b"/else" + argument, settings)


def test_the_sign_of_a_server_is_its_listening_socket(program):
    with listen() as one, listen("::") as other:
        ports = [one.getsockname()[1], other.getsockname()[1]]
        inodes = [os.fstat(end.fileno()).st_ino for end in (one, other)]
        for port, inode in zip(ports, inodes):
            assert program.listener("127.0.0.1", port) == f"listener {inode}"
        assert program.listener("127.0.0.2", ports[0]) == ""
    assert program.listener("127.0.0.1", ports[0]) == ""


# One login for many checks


def test_a_login_is_kept(checker, mycat, clock):
    one = checker()
    for _ in range(5):
        assert one.check().up
    assert mycat.logins == 1
    assert mycat.asked == ["show mycat_status"] * 5
    clock.passes(30)
    for _ in range(3):
        assert one.check().up
    assert mycat.logins == 2, "a changed password would not be noticed"


def test_a_kept_login_that_mycat_ended_is_made_anew(checker, mycat):
    one = checker()
    assert one.check().up
    for session in mycat.sessions:
        session.shutdown(socket.SHUT_RDWR)
    assert one.check().up
    assert mycat.logins == 2


def test_a_kept_login_does_not_hide_that_nobody_is_greeted(checker, mycat):
    one = checker()
    assert one.check().up
    mycat.greets = False
    verdict = one.check()
    assert not verdict.up
    assert verdict.reason.startswith("greeting: ")


# What MyCat says


def test_offline_drains(program, checker, mycat):
    mycat.answers["show mycat_status"] = mysql_error(1053, "The server has been shutdown")
    one = checker()
    verdict = one.check()
    assert verdict.up
    assert "offline" in verdict.warnings
    report = program.Report(program.Settings({"allow": ["::1"]}), verdict)
    body = json.loads(report.body(0))
    assert (report.code, body["drain"]["by"]) == (404, "offline")
    assert [text for text in body["warnings"] if text.startswith("offline: ")]
    assert 'mycat_status_warning{cause="offline"} 1\n' in program.Metrics().text(report, 0, 1)
    mycat.answers["show mycat_status"] = ON
    assert not one.check().offline
    assert mycat.logins == 1


@pytest.mark.parametrize(
    ("number", "text", "hint"),
    [
        (1045, "Access denied for user 'u' with host '127.0.0.1'", "<whitehost> lacks <host host="
         '"127.0.0.1" user="u"/>'),
        (1045, "Access denied for user 'u', because password is error ", '<property name='
         '"password"> of <user name="u">'),
        (1045, "Access denied for user 'u', because service be degraded ", '"benchmark"'),
        (3012, "The statement is unsafe SQL, reject for user 'u'", "<blacklist> refuses it, set "
         "showAllow"),
    ],
    ids=["whitehost", "password", "benchmark", "blacklist"],
)  # fmt: skip
def test_a_refusal_names_the_setting_of_server_xml(checker, mycat, number, text, hint):
    mycat.answers["show mycat_status"] = mysql_error(number, text)
    verdict = checker().check()
    assert not verdict.up
    assert f"error {number} " in verdict.reason
    assert "; server.xml: " in verdict.reason
    assert hint in verdict.reason
