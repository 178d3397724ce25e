# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.mycat.ha.plugins.module_utils.haproxy import admin, config_text, state
from ansible_collections.mycat.ha.plugins.module_utils.host.problems import Problems
from ansible_collections.mycat.ha.plugins.module_utils.network.connection import NoAnswer

TEXT = "global\n    description @digest@\n    maxconn 10\n"
DIGEST = config_text.digest_of(TEXT)
WRITTEN = TEXT.replace("@digest@", DIGEST)
INFO = f"Name: HAProxy\nVersion: 2.6.12-1+deb12u4\nUptime: 0d 0h: 5\ndescription: {DIGEST}\n"
STAT = """# pxname,svname,status,weight,check_status,last_chk,last_agt,
mycat,FRONTEND,OPEN,,,,,
mycat,mycat1,UP,1,L7OK,"says ""up"", twice",,
mycat,mycat2,DOWN,1,* L4TOUT,,,
mycat,BACKEND,UP,1,,,,

"""
ANSWER = f"{INFO}\n{STAT}"


def test_info() -> None:
    found = admin.info(ANSWER)
    assert found["description"] == DIGEST
    assert found["Uptime"] == "0d 0h: 5"
    assert "mycat" not in "".join(found)


def test_servers() -> None:
    first, second = admin.servers(ANSWER)
    assert (first["proxy"], first["server"], first["status"]) == ("mycat", "mycat1", "UP")
    assert first["last_chk"] == 'says "up", twice'
    assert second["check_status"] == "* L4TOUT"
    # Of a column that this release does not have.
    assert second["agent_status"] == ""


@pytest.mark.parametrize("answer", ["", INFO, "Unknown command\n", "x # pxname,y\n"])
def test_no_servers(answer: str) -> None:
    assert admin.servers(answer) == []


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("HA-Proxy version 2.2.9-2+deb11u6 2023/12/06 - https://haproxy.org/", "2.2.9"),
        ("HAProxy version 2.6.12-1+deb12u4 2023/12/16", "2.6.12"),
        ("HAProxy version 3.0.11-1+deb13u2", "3.0.11"),
        ("not found", ""),
    ],
)
def test_version(text: str, version: str) -> None:
    assert admin.version(text) == version


def test_a_digest_is_of_the_text_around_it() -> None:
    assert config_text.has_digest(WRITTEN, DIGEST)
    assert not config_text.has_digest(WRITTEN + "# edited\n", DIGEST)
    assert not config_text.has_digest(WRITTEN, "0" * 16)


def running(tmp_path: Path, text: str, answer: str) -> Any:
    path = tmp_path / "haproxy.cfg"
    path.write_text(text)
    return state.state(str(path), True, lambda: answer, Problems())


def test_alive(tmp_path: Path) -> None:
    found = running(tmp_path, WRITTEN, ANSWER)
    assert (found["alive"], found["reason"], found["loaded_is_file"]) == (True, None, True)
    assert (found["version"], found["description"]) == ("2.6.12", DIGEST)
    assert [server["server"] for server in found["servers"]] == ["mycat1", "mycat2"]


def test_whether_the_file_is_loaded(tmp_path: Path) -> None:
    assert running(tmp_path, WRITTEN + "# edited\n", ANSWER)["loaded_is_file"] is False
    other = INFO.replace(DIGEST, "0" * 16)
    assert running(tmp_path, WRITTEN, other)["loaded_is_file"] is False
    # Written by somebody else.
    assert running(tmp_path, "global\n", ANSWER)["loaded_is_file"] is None
    assert running(tmp_path, "global\n", "Name: HAProxy\n")["loaded_is_file"] is None


def test_not_alive(tmp_path: Path) -> None:
    def answer() -> str:
        raise NoAnswer("no answer within 2 s")

    path = tmp_path / "haproxy.cfg"
    assert state.state(str(path), False, answer, Problems()) is None
    for installed, text in ((True, ""), (False, TEXT)):
        path.write_text(text)
        found = state.state(str(path), installed, answer, Problems())
        assert found is not None
        assert (found["alive"], found["reason"]) == (False, "no answer within 2 s")


def test_a_socket_of_somebody_else(tmp_path: Path) -> None:
    assert running(tmp_path, TEXT, "220 hello\n")["alive"] is False


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    problems = Problems()
    found = state.state(str(tmp_path), True, lambda: ANSWER, problems)
    assert found is not None
    assert (found["alive"], found["loaded_is_file"]) == (True, None)
    assert problems.sentences == [f"haproxy: {tmp_path}: Is a directory"]
