# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# ruff: noqa: S107 - the passwords are the stand-in's own
"""The stand-in says what the real MyCat's control script and ports say, word for word."""

from __future__ import annotations

import os
import signal
import socket
import struct
import subprocess
import time
from pathlib import Path

import pytest
from conftest import wait_until


def connect(program, port, user="mycat", password="mycat-demo"):
    mysql = program.MySQL("127.0.0.1", port, program.Deadline(20))
    mysql.greet("-mycat-")
    mysql.login(user, password)
    return mysql


def test_status_of_a_running_one(standin):
    result = standin.mycat("status")
    assert result.stdout == f"Mycat-server is running ({standin.pid()}).\n"
    assert (result.returncode, result.stderr) == (0, "")


def test_status_of_a_stopped_one(stopped):
    result = stopped.mycat("status")
    assert (result.stdout, result.returncode) == ("Mycat-server is not running.\n", 1)


def test_status_removes_a_stale_pid_file(stopped):
    stopped.pid_file.write_text(f"{os.getpid()}\n")
    result = stopped.mycat("status")
    assert result.stdout == (
        f"Removed stale pid file: {stopped.pid_file}\nMycat-server is not running.\n"
    )
    assert (result.returncode, result.stderr) == (1, "")
    assert not stopped.pid_file.exists()


def test_status_without_the_wrapper(stopped):
    (stopped.path / "bin/wrapper-linux-x86-64").unlink()
    result = stopped.mycat("status")
    assert result.stdout.startswith("Unable to locate any of the following operational binaries:\n")
    assert (result.returncode, result.stderr) == (1, "")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_status_for_one_who_may_not_read_the_pid_file(stopped):
    stopped.pid_file.write_text("1\n")
    stopped.pid_file.chmod(0o600)
    command = [str(stopped.path / "bin/mycat"), "status"]
    result = subprocess.run(command, capture_output=True, text=True, user=65534, check=False)
    assert result.stdout == f"Cannot read {stopped.pid_file}.\n"
    assert result.returncode == 1


def test_an_unknown_verb(stopped):
    result = stopped.mycat("nonsense")
    assert result.stdout.startswith("Usage: ")
    assert result.returncode == 1


@pytest.mark.slow
def test_stop_ends_wrapper_and_child_and_removes_the_pid_file(stopped):
    stopped.settings()
    stopped.start()
    child = stopped.child()
    assert stopped.mycat("stop").returncode == 0
    assert not stopped.pid_file.exists()
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)


def test_what_mycat_answers_itself(program, standin):
    with connect(program, standin.sql_port) as mysql:
        assert mysql.query("show mycat_status;") == [{"STATUS": "ON"}]
        assert mysql.query("SELECT  1") == [{"1": "1"}]
        assert mysql.query("select user()") == [{"USER()": "mycat@127.0.0.1"}]
        with pytest.raises(program.CheckFailed, match="error 1184 Invalid DataSource:0"):
            mysql.query("select * from nowhere")


def test_the_manager(program, standin):
    with connect(program, standin.manager_port) as manager:
        assert manager.query("show @@server")[0]["STATUS"] == "ON"
        assert manager.query("show @@version")[0]["VERSION"].startswith("5.6.29-mycat-")
        assert manager.query("show @@datasource")[0]["NAME"] == "hostM1"
        assert manager.query("show @@connection")[-1]["USER"] == "mycat"
        assert {"STATEMENT", "DESCRIPTION"} == set(manager.query("show @@help")[0])
        assert manager.query("offline") == []
        assert manager.query("show @@server")[0]["STATUS"] == "OFF"
        with connect(program, standin.sql_port) as mysql:
            with pytest.raises(program.CheckFailed, match="1053 The server has been shutdown"):
                mysql.query("show mycat_status")
            assert mysql.query("select 1") == [{"1": "1"}]
        assert manager.query("online") == []
        with pytest.raises(program.CheckFailed, match="error 1003 Unsupported statement"):
            manager.query("select 1")


def test_a_reload(program, standin):
    schema = standin.path / "conf/schema.xml"
    with connect(program, standin.manager_port) as manager:
        before = manager.query("show @@server")[0]["RELOAD_TIME"]
        schema.write_text('<schema><dataNode name="dn1" dataHost="db"/></schema>')
        try:
            with pytest.raises(program.CheckFailed, match="error 1003 Reload config failure"):
                manager.query("reload @@config")
            assert manager.query("show @@server")[0]["RELOAD_TIME"] == before
        finally:
            schema.unlink()
        assert manager.query("reload @@config") == []
        assert manager.query("show @@server")[0]["RELOAD_TIME"] > before


@pytest.mark.parametrize(
    ("user", "password", "settings", "denied"),
    [
        ("mycat", "wrong", {}, "', because password is error "),
        ("other", "mycat-demo", {}, "' with host '127.0.0.1'"),
        ("mycat", "mycat-demo", {"whitehost": ["192.0.2.1"]}, "' with host '127.0.0.1'"),
    ],
    ids=["password", "user", "whitehost"],
)
def test_a_login_that_is_denied(program, standin, changed, user, password, settings, denied):
    changed(**settings)
    with program.MySQL("127.0.0.1", standin.sql_port, program.Deadline(20)) as mysql:
        mysql.greet("-mycat-")
        with pytest.raises(program.MySQLError) as caught:
            mysql.login(user, password)
        assert caught.value.number == 1045
        assert caught.value.message == f"Access denied for user '{user}{denied}"
        mysql.deadline = program.Deadline(0.2)
        with pytest.raises(program.CheckFailed, match="no answer"):
            mysql._receive()  # not closed before the timeout of logins


@pytest.fixture
def changed(standin):
    """Changes settings of the stand-in for one test."""
    yield standin.settings
    standin.settings()


def test_a_firewall_that_refuses_show(program, standin, changed):
    changed(show_allowed=False)
    with connect(program, standin.sql_port) as mysql:
        with pytest.raises(program.CheckFailed, match="error 3012 The statement is unsafe SQL"):
            mysql.query("show mycat_status")
        assert mysql.query("select 1") == [{"1": "1"}]


def test_a_client_without_a_schema(program, standin, changed):
    changed(default_schema=False)
    with connect(program, standin.sql_port) as mysql:
        with pytest.raises(program.CheckFailed, match="error 3000 No MyCAT Database selected"):
            mysql.query("select * from t")
        with pytest.raises(program.CheckFailed, match="error 1184 "):
            mysql.query("select now()")
        assert mysql.query("show databases") == [{"DATABASE": "TESTDB"}]
        assert mysql.query("select database()") == [{"DATABASE()": None}]


def greeting(standin):
    with socket.create_connection(("127.0.0.1", standin.sql_port), 20) as client:
        return client.recv(4096)[4:]


def test_the_greeting(standin):
    _version, _zero, rest = greeting(standin).partition(b"\0")
    low, high = struct.unpack_from("<H3xH", rest, 13)
    assert low | high << 16 == 0xAB7CF
    salt = rest[4:12] + rest[31:43]
    assert salt.isalnum()
    assert rest.endswith(b"mysql_native_password\0")


def test_every_error_has_one_sqlstate(program, standin):
    with connect(program, standin.sql_port) as mysql:
        mysql._send(0, b"\x09")  # COM_STATISTICS
        assert mysql.socket.recv(4096)[4:] == b"\xff\x17\x04#HY000Unknown command"
        mysql._send(0, b"\x0c\1\0\0\0")  # COM_PROCESS_KILL
        assert mysql.socket.recv(4096) == b""


def test_names_of_its_processes(standin):
    for pid, name in ((standin.pid(), "wrapper-linux-x"), (standin.child(), "java")):
        assert Path(f"/proc/{pid}/comm").read_text() == f"{name}\n"


def test_a_login_leaves_two_lines_and_a_query_none(program, standin):
    log = standin.path / "logs/mycat.log"
    before = len(log.read_text().splitlines())
    with connect(program, standin.sql_port) as mysql:
        for _ in range(10):
            mysql.query("show mycat_status")
        mysql.quit()
    wait_until(lambda: len(log.read_text().splitlines()) == before + 2)
    login, close = log.read_text().splitlines()[-2:]
    assert login.endswith("'mycat' login success")
    assert "close connection,reason:quit cmd ," in close


def test_greetings_alone_leave_no_line(standin):
    log = standin.path / "logs/mycat.log"
    before = log.read_text()
    for _ in range(5):
        greeting(standin)
    assert log.read_text() == before


# Faults


@pytest.fixture
def started(stopped):
    """Starts a stand-in of one test, with settings."""

    def start(**settings):
        stopped.settings(**settings)
        stopped.start()
        return stopped

    yield start
    stopped.kill()


def test_the_heartbeat_of_a_database_that_is_not_there(program, started):
    standin = started(heartbeat_period=3600)
    with connect(program, standin.manager_port) as manager:

        def beat():
            row = manager.query("show @@heartbeat")[0]
            return row["RS_CODE"], row["RETRY"]

        wait_until(lambda: beat() == ("1", "1"))
        standin.settings(heartbeat_period=0.2)
        seen = []
        wait_until(lambda: seen.append(beat()) or seen[-1][0] == "-1")
    # Which of its retries are seen depends on the machine.
    assert set(seen[:-1]) <= {("1", "1"), ("1", "2")}


@pytest.mark.slow
def test_started_without_its_database_threads_hang_in_turn(program, started):
    standin = started(quick_failures=1, reactor_wait=2.0)
    with connect(program, standin.sql_port) as one, connect(program, standin.sql_port) as other:
        with pytest.raises(program.CheckFailed, match="error 1184"):
            one.query("select now()")
        one._send(0, b"\x03select now()")
        time.sleep(0.2)
        other.query("show mycat_status")  # on the other thread
        greeted = []
        for _ in range(2):
            with program.MySQL("127.0.0.1", standin.sql_port, program.Deadline(0.5)) as mysql:
                try:
                    greeted.append(mysql.greet("-mycat-"))
                except program.CheckFailed as failure:
                    greeted.append(str(failure))
        assert sorted("no answer" in text for text in greeted) == [False, True]
        with pytest.raises(program.CheckFailed, match="error 1184"):
            one._receive()


@pytest.mark.thorough
def test_a_pause_of_the_whole_server(program, started):
    standin = started()
    with connect(program, standin.sql_port) as mysql:
        standin.settings(pause=0.6)
        longest = 0.0
        end = time.monotonic() + 3
        while time.monotonic() < end and longest < 0.5:
            begun = time.monotonic()
            mysql.query("select 1")
            longest = time.monotonic() - begun
        assert longest >= 0.5


@pytest.mark.thorough
def test_a_dead_acceptor_connects_and_never_greets(program, started):
    standin = started()
    with connect(program, standin.sql_port) as mysql:
        standin.settings(fault="no-acceptor")
        time.sleep(0.2)
        mysql.query("select 1")
        standin.settings()
        late = program.MySQL("127.0.0.1", standin.sql_port, program.Deadline(0.3))
        with late, pytest.raises(program.CheckFailed, match="no answer"):
            late.greet("-mycat-")
    assert standin.mycat("status").returncode == 0


@pytest.mark.thorough
def test_stop_ends_the_sessions_first(program, started):
    standin = started(stop_seconds=[0.4, 0.2])
    with connect(program, standin.sql_port) as mysql:
        begun = time.monotonic()
        os.kill(standin.child(), signal.SIGTERM)
        with pytest.raises(program.CheckFailed, match=r"closed the connection|reset by peer"):
            mysql._receive()
        assert time.monotonic() - begun >= 0.4
