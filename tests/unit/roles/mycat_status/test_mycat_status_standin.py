# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# ruff: noqa: S106, S107 - the passwords are the stand-in's own
"""The stand-in says what the real MyCat's control script and ports say, word for word."""

from __future__ import annotations

import os
import re
import subprocess

import pytest


def connect(program, port, user="mycat", password="mycat-demo"):
    mysql = program.MySQL("127.0.0.1", port, program.Deadline(5))
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
        assert manager.query("show @@heartbeat")[0]["RS_CODE"] == "-1"
        assert manager.query("offline") == []
        assert manager.query("show @@server")[0]["STATUS"] == "OFF"
        with connect(program, standin.sql_port) as mysql:
            with pytest.raises(program.CheckFailed, match="1053 The server has been shutdown"):
                mysql.query("show mycat_status")
            assert mysql.query("select 1") == [{"1": "1"}]
        assert manager.query("online") == []
        with pytest.raises(program.CheckFailed, match="error 1003 Unsupported statement"):
            manager.query("select 1")


def test_a_wrong_password(program, standin):
    denied = re.escape("error 1045 Access denied for user 'mycat' with host '127.0.0.1'")
    with pytest.raises(program.CheckFailed, match=denied):
        connect(program, standin.sql_port, password="wrong")
