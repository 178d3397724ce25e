# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a MyCat says that does not start, and how many sessions it has."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from ansible_collections.mycat.ha.plugins.module_utils.host import mycat_run as mycat


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (
            "INFO | jvm 1 | Caused by: io.mycat.config.util.ConfigException: dataNode dn1 x\n",
            "ConfigException: dataNode dn1 x",
        ),
        (
            "jvm 1 | Unrecognized VM option 'AggressiveOpts'\n",
            "Unrecognized VM option 'AggressiveOpts'",
        ),
        ("STATUS | wrapper | --> Wrapper Started as Console\n", ""),
        ("", ""),
    ],
)
def test_the_reason_in_the_log(tmp_path: Path, text: str, reason: str) -> None:
    log = tmp_path / "wrapper.log"
    former = "ConfigException: of a former start\n"
    log.write_text(former + text)
    assert mycat.failure(str(log), len(former)) == reason
    assert mycat.failure(str(tmp_path / "none"), 0) == ""


def test_sessions_of_the_host_itself_do_not_count() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)):
            assert mycat.sessions(port) == 0


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
    monkeypatch.setattr(mycat, "PROC", str(tmp_path))
    assert mycat.sessions(8066) == 1
