# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.mycat.ha.plugins.module_utils.network.connection import (
    Connection,
    NoAnswer,
    printable,
)
from lab.bounds import LATE
from lab.servers import Script, answering, saying, serving, silent, trickling


def refused(reason: str) -> Any:
    return pytest.raises(NoAnswer, match=reason)


def test_parts_and_the_rest(tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    with serving(answering(b"abcdef"), path), Connection(path, 5) as connection:
        connection.send(b"?")
        assert connection.receive(2) == b"ab"
        assert connection.rest(4) == b"cdef"
        assert connection.owner() == os.getuid()


@pytest.mark.parametrize("script", [silent, trickling])
def test_one_deadline_for_all_steps(script: Script) -> None:
    start = time.monotonic()
    with serving(script) as port, Connection(("127.0.0.1", port), 0.3) as connection:
        with pytest.raises(NoAnswer, match=r"^no answer within 0\.3 s$"):
            connection.receive(1000)
        with pytest.raises(NoAnswer, match="no answer"):
            connection.send(b"?")
    assert 0.3 <= time.monotonic() - start < LATE


def test_an_answer_that_is_too_long_or_too_short() -> None:
    with serving(saying(b"abcdef")) as port:
        with Connection(("127.0.0.1", port), 5) as connection, refused("longer than 5 bytes"):
            connection.rest(5)
        with Connection(("127.0.0.1", port), 5) as connection, refused("was closed"):
            connection.receive(7)


def test_nobody_there(tmp_path: Path) -> None:
    with serving(silent) as port:
        pass
    with refused("Connection refused"):
        Connection(("127.0.0.1", port), 5)
    with refused("No such file or directory"):
        Connection(str(tmp_path / "none"), 5)


def test_what_a_server_says_stays_on_a_line() -> None:
    assert printable(b"a\x1b[31m\nb\xff") == "a\\x1b[31m\\x0ab\ufffd"
    assert len(printable(b"x" * 1000)) == 300
