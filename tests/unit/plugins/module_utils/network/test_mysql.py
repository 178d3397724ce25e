# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import hashlib
import queue
import socket
import time
from typing import Any

import pytest
from ansible_collections.mycat.ha.plugins.module_utils.network import mysql
from ansible_collections.mycat.ha.plugins.module_utils.network.connection import NoAnswer
from hypothesis import given
from hypothesis import strategies as st
from lab.bounds import LATE
from lab.servers import saying, serving, silent

SALT = bytes(range(1, 21))
VERSION = "5.6.29-mycat-1.6.7.6"


def packet(sequence: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3, "little") + bytes([sequence % 256]) + payload


def text(value: str | None) -> bytes:
    return b"\xfb" if value is None else bytes([len(value)]) + value.encode()


GREETING = packet(
    0,
    b"\x0a" + VERSION.encode() + b"\0" + b"\1\0\0\0" + SALT[:8] + b"\0"
    b"\xff\xf7\x21\2\0\x08\0\x15" + bytes(10) + SALT[8:] + b"\0",
)
OK = packet(2, b"\0\0\0\2\0\0\0")
EOF = b"\xfe\0\0\2\0"
DENIED = packet(2, b"\xff\x15\x04#28000Access denied for user 'u'")


def column(name: str) -> bytes:
    return b"".join(map(text, ["def", "", "", "", name, ""])) + b"\x0c" + bytes(12)


def result(columns: list[str], *rows: list[str | None]) -> bytes:
    payloads = [bytes([len(columns)]), *map(column, columns), EOF]
    payloads += [b"".join(map(text, row)) for row in rows]
    return b"".join(packet(1 + number, one) for number, one in enumerate([*payloads, EOF]))


def query(*answers: bytes) -> Any:
    with serving(saying(*answers)) as port:
        return mysql.query("127.0.0.1", port, "u", "p", "show mycat_status", 2)


def test_the_greeting() -> None:
    with serving(saying(GREETING)) as port:
        assert mysql.greeting("127.0.0.1", port, 2) == VERSION


def test_a_query() -> None:
    rows = query(GREETING, OK, result(["STATUS", "n"], ["ON", None]))
    assert rows == [{"STATUS": "ON", "n": None}]
    assert query(GREETING, OK, packet(1, b"\0\0\0\2\0\0\0")) == []


def test_the_login_proves_the_password_without_sending_it() -> None:
    seen: queue.Queue[bytes] = queue.Queue()

    def script(client: socket.socket) -> None:
        client.sendall(GREETING)
        seen.put(client.recv(65536))
        client.sendall(OK)
        client.recv(65536)
        client.sendall(result(["STATUS"], ["ON"]))
        seen.put(client.recv(65536))

    with serving(script) as port:
        mysql.query("127.0.0.1", port, "u", "s3cret", "q", 2)
    login, goodbye = seen.get(timeout=5), seen.get(timeout=5)
    assert b"s3cret" not in login
    assert b"u\0\x14" + mysql.native_password(b"s3cret", SALT) in login
    assert goodbye == packet(0, b"\x01")


def sha1(data: bytes) -> bytes:
    return hashlib.sha1(data).digest()  # noqa: S324 - the protocol wants it


def test_a_server_that_knows_the_digest_alone_accepts_the_token() -> None:
    stored = sha1(sha1(b"s3cret"))
    mask = sha1(SALT + stored)
    token = mysql.native_password(b"s3cret", SALT)
    assert sha1(bytes(a ^ b for a, b in zip(token, mask))) == stored
    assert mysql.native_password(b"", SALT) == b""


@pytest.mark.parametrize(
    ("answers", "reason"),
    [
        pytest.param([b""], "the connection was closed", id="closes"),
        pytest.param([b"HTTP/1.1 400 Bad Request\r\n"], "MySQL protocol", id="http"),
        pytest.param([packet(0, b"\x09x\0")], "MySQL protocol", id="old protocol"),
        pytest.param([packet(0, b"")], "MySQL protocol", id="empty packet"),
        pytest.param([packet(0, b"\xff\x69\x04Too many")], "error 1129 Too many", id="blocked"),
        pytest.param([GREETING, DENIED], "error 1045 Access denied for user 'u'", id="denied"),
        pytest.param([GREETING, packet(2, b"\xfecaching\0")], "another login", id="other login"),
        pytest.param(
            [GREETING, OK, packet(1, b"\1") + packet(2, b"\xf0")], "unreadable answer", id="cut"
        ),
        pytest.param(
            [GREETING, OK, packet(1, b"\1") + packet(2, column("c")) + packet(3, b"\1x") * 2],
            "unreadable answer",
            id="no end",
        ),
        pytest.param(
            [GREETING, OK, result(["c"], *[["x"]] * 1001)], "unreadable answer", id="many rows"
        ),
    ],
)
def test_a_bad_server(answers: list[bytes], reason: str) -> None:
    with pytest.raises(NoAnswer) as caught:
        query(*answers)
    assert reason in str(caught.value)


def test_a_server_that_hangs_after_the_login() -> None:
    def script(client: socket.socket) -> None:
        client.sendall(GREETING)
        client.recv(65536)
        client.sendall(OK)
        silent(client)

    start = time.monotonic()
    with serving(script) as port, pytest.raises(NoAnswer, match=r"no answer within 0\.3 s"):
        mysql.query("127.0.0.1", port, "u", "p", "q", 0.3)
    assert time.monotonic() - start < LATE


@given(st.binary(max_size=200))
def test_no_bytes_break_the_readers(payload: bytes) -> None:
    for reader in (mysql.fields, mysql.column_name):
        try:
            reader(payload)
        except (ValueError, IndexError):
            continue
