# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a MyCat says that does not start, how many sessions it has, and its reload."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest
from ansible_collections.mycat.ha.plugins.module_utils.host import draining, mycat, wrapper_log
from lab.servers import saying, serving

FATAL = "INFO | jvm 1 | Caused by: io.mycat.config.util.ConfigException: dataNode dn1 x\n"
HARMLESS = "jvm 1 | java.net.ConnectException: Connection refused\n"


@pytest.mark.parametrize(
    ("text", "running", "ended"),
    [
        (FATAL, *["ConfigException: dataNode dn1 x"] * 2),
        (
            "jvm 1 | Unrecognized VM option 'AggressiveOpts'\n",
            *["Unrecognized VM option 'AggressiveOpts'"] * 2,
        ),
        (HARMLESS, "", "ConnectException: Connection refused"),
        (HARMLESS + FATAL, *["ConfigException: dataNode dn1 x"] * 2),
        ("STATUS | wrapper | --> Wrapper Started as Console\n", "", ""),
        ("", "", ""),
    ],
)
def test_the_reason_in_the_log(tmp_path: Path, text: str, running: str, ended: str) -> None:
    log = tmp_path / "wrapper.log"
    former = "ConfigException: of a former start\n"
    log.write_text(former + text)
    assert wrapper_log.complaint(str(log), len(former), False) == running
    assert wrapper_log.complaint(str(log), len(former), True) == ended
    assert wrapper_log.complaint(str(tmp_path / "none"), 0, True) == ""


def test_sessions_of_the_host_itself_do_not_count() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)):
            assert draining.sessions(port) == 0


def test_sessions_of_others_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "net").mkdir()
    rows = [
        "  sl  local_address rem_address   st",
        "0: 0B00020A:1F82 0A00020A:C001 01",
        "1: 0B00020A:1F82 0A00020A:C002 06",
        "2: 0100007F:1F82 0100007F:C003 01",
        "3: 0B00020A:C004 0A00020A:1F82 01",
    ]
    (tmp_path / "net/tcp").write_text("\n".join(rows) + "\n")
    monkeypatch.setattr(draining, "PROC", str(tmp_path))
    assert draining.sessions(8066) == 1


def packet(sequence: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3, "little") + bytes([sequence]) + payload


GREETING = b"\x0a5.6.29-mycat-1.6.7.6\0" + b"\1\0\0\0" + b"s" * 8 + b"\0" * 19 + b"s" * 12 + b"\0"
OK = b"\0\1\0\2\0\0\0"
REFUSED = b"\xff\xeb\x03#HY000Reload config failure"


@pytest.mark.parametrize(("answer", "reloaded"), [(OK, True), (REFUSED, False)])
def test_a_reload(tmp_path: Path, answer: bytes, reloaded: bool) -> None:
    credentials = tmp_path / "credentials.json"
    credentials.write_text(json.dumps({"user": "u", "password": "p"}))
    said = saying(packet(0, GREETING), packet(2, OK), packet(1, answer))
    with serving(said) as port:
        assert mycat.reload_config(port, str(credentials)) is reloaded


@pytest.mark.parametrize("text", [None, "", "{}", "[]"])
def test_no_reload_without_credentials(tmp_path: Path, text: str | None) -> None:
    credentials = tmp_path / "credentials.json"
    if text is not None:
        credentials.write_text(text)
    with serving(saying(packet(0, GREETING), packet(2, OK), packet(1, OK))) as port:
        assert not mycat.reload_config(port, str(credentials))
