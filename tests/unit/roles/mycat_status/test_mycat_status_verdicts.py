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

import pytest

from conftest import (  # isort: skip
    GET,
    Answer,
    command,
    listen,
    load_program,
    probe_nowait,
    read_all,
    wait_until,
)

NOBODY = 65534
OK, DOWN, DRAIN, SILENT = 200, 503, 404, None
SILENCE = "no answer within 0.15 s"


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
    return 0.15 if reason == SILENCE else 5.0


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
    with program.MySQL("127.0.0.1", standin.manager_port, program.Deadline(2)) as mysql:
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
        pytest.param(fault("no-greeting"), "greeting", DOWN, SILENCE, OK, id="no-greeting"),
        pytest.param(
            fault("silent-after-greeting"), "query", DOWN, SILENCE, OK, id="login-unanswered"
        ),
        pytest.param(
            fault("silent-after-login"), "query", DOWN, SILENCE, OK, id="query-unanswered"
        ),
        pytest.param(setting(query_delay=2), "query", DOWN, SILENCE, OK, id="slow-query"),
        pytest.param(
            setting(version="5.7.40-log"), "greeting", DOWN, "is not MyCat", OK, id="not-mycat"
        ),
        pytest.param(
            setting(user="another"), "query", DOWN, "error 1045 Access denied", OK, id="denied"
        ),
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
        ),
        pytest.param(
            script("exec >&- 2>&-; sleep 60"),
            {"use_status_command": True},
            SILENCE,
            SILENT,
            id="command-hangs-with-closed-output",
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
            client = socket.create_connection(listener.getsockname(), 5)
            server, _peer = listener.accept()
        with client, server:
            process = subprocess.Popen(
                command(config, python="/usr/bin/python3"), stdin=server, user=NOBODY
            )
            client.sendall(GET)
            process.wait(5)
            server.close()
            answer = Answer(read_all(client))
        assert (answer.code, source_answer(standin, NOBODY)) == (DOWN, OK)
        assert "Permission denied" in answer.json["reason"]
    finally:
        standin.pid_file.chmod(0o644)


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


def test_a_manager_port_that_hangs_is_no_reason_to_fail(standin):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        config = standin.config(
            level="query", manager_port=silent.getsockname()[1], check_timeout=0.3
        )
        answer = probe_nowait(config)
    assert answer.code == OK
    assert "no answer" in answer.json["manager"]
