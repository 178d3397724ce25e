# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever bytes come: an answer, soon, and never a 200 while MyCat is down.

``MYCAT_STATUS_FUZZ`` sets how many inputs go through real sockets; 100,000 take about a minute.
"""

from __future__ import annotations

import contextlib
import os
import random
import selectors
import socket
import time

import pytest
from conftest import GREETING, LOGIN_OK, Answer, FakeMyCat, packet

INPUTS = int(os.environ.get("MYCAT_STATUS_FUZZ", "10000"))
IN_FLIGHT = 32
SEEDS = (
    b"GET / HTTP/1.0\r\n\r\n",
    b"OPTIONS * HTTP/1.1\r\nHost: www\r\n\r\n",
    b"HEAD /x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nabcde",
    b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"",
)
OFF = packet(1, b"\1") + packet(2, b"\x03def\0\0\0\x06STATUS\0\x0c!\0\0\1\0\0\xfd\0\0\0\0\0")
OFF += packet(3, b"\xfe\0\0\2\0") + packet(4, b"\x03OFF") + packet(5, b"\xfe\0\0\2\0")
PIECES = (
    b" ",
    b"\r",
    b"\n",
    b"\r\n\r\n",
    b"\0",
    b"\xff",
    b"HTTP/1.1",
    b"GET",
    b"/",
    b"%00",
    b"A" * 3000,
)


def mutate(rng):
    """One input: a request with some of its bytes changed, doubled, cut, or noise of its own."""
    if rng.random() < 0.1:
        return rng.randbytes(rng.randrange(200))
    data = bytearray(rng.choice(SEEDS))
    for _ in range(rng.randrange(5)):
        at = rng.randrange(len(data) + 1)
        kind = rng.randrange(4)
        if kind == 0:
            data[at : at + 1] = rng.randbytes(1)
        elif kind == 1:
            data[at:at] = rng.choice(PIECES)
        elif kind == 2:
            del data[at : at + rng.randrange(8)]
        else:
            del data[at:]
    return bytes(data)


def says_down(answer):
    """The one 200 there may be: metrics, which say in their own way that MyCat is down."""
    is_text = answer.headers["Content-Type"].startswith("text/plain")
    return answer.code == 200 and is_text and "\nmycat_status_up 0\n" in answer.body


def test_parsing_agrees_however_the_bytes_are_cut(program):
    """What is refused or complete early must be what the whole would have been."""
    rng = random.Random(7)  # noqa: S311 - not a secret
    for _ in range(2000):
        data = mutate(rng)
        try:
            whole, complete = program.parse_request(data)
        except program.NotHTTP:
            whole, complete = None, None
        cut = rng.randrange(len(data) + 1)
        try:
            part, part_complete = program.parse_request(data[:cut])
        except program.NotHTTP:
            assert whole is None, (data, cut)
            continue
        if part_complete:
            assert complete, (data, cut)
            assert (whole.head, whole.metrics) == (part.head, part.metrics), (data, cut)


@pytest.mark.thorough
def test_no_server_makes_the_check_do_other_than_fail(program, tmp_path):
    """Whatever stands on MyCat's port: a verdict by the deadline, and never by an exception."""
    rng = random.Random(8)  # noqa: S311 - not a secret
    credentials = tmp_path / "credentials.json"
    credentials.write_text('{"user": "u", "password": "p"}')
    credentials.chmod(0o600)
    whole = [GREETING, LOGIN_OK, OFF]
    for _ in range(200):
        chunks = [bytearray(chunk) for chunk in whole]
        for _ in range(rng.randrange(1, 4)):
            chunk = rng.choice(chunks)
            chunk[rng.randrange(len(chunk))] = rng.choice((0, 1, 3, 0xFA, 0xFB, 0xFC, 0xFE, 0xFF))
        server = FakeMyCat([bytes(chunk) for chunk in chunks], then_close=True)
        settings = {
            "allow": ["::1"],
            "sql_port": server.port,
            "credentials_file": str(credentials),
            "memory_file": str(tmp_path / "memory.json"),
        }
        verdict = program.Checker(program.Settings(settings), keep=False).check()
        assert not verdict.up, (verdict.reason, chunks)
        server.listener.close()


@pytest.mark.slow
def test_no_input_makes_it_hang_crash_or_lie(home, start):
    home.down()
    endpoint = start(home.config(max_age=5, allow=["127.0.0.0/8"]))
    rng = random.Random(20)  # noqa: S311 - not a secret
    started = time.monotonic()
    codes = {}
    with selectors.DefaultSelector() as selector:
        sent = 0
        while sent < INPUTS or selector.get_map():
            while sent < INPUTS and len(selector.get_map()) < IN_FLIGHT:
                sent += 1
                data = mutate(rng)
                asker = f"127.0.{sent % 200}.1"  # one asker would wait for a new verdict each time
                client = socket.create_connection(endpoint.address, 5, (asker, 0))
                with contextlib.suppress(OSError):
                    client.sendall(data)
                    client.shutdown(socket.SHUT_WR)
                selector.register(client, selectors.EVENT_READ, [data, b"", time.monotonic()])
            ready = selector.select(2)
            assert ready, [key.data[0] for key in selector.get_map().values()]
            for key, _events in ready:
                chunk = b""
                with contextlib.suppress(ConnectionResetError):
                    chunk = key.fileobj.recv(65536)
                key.data[1] += chunk
                if not chunk:
                    selector.unregister(key.fileobj)
                    key.fileobj.close()
                    data, raw, begun = key.data
                    answer = Answer(raw)
                    assert time.monotonic() - begun < 10, data
                    assert answer.code in (400, 503, None) or says_down(answer), data
                    codes[answer.code] = codes.get(answer.code, 0) + 1
    assert endpoint.process.poll() is None
    assert endpoint.probe().code == 503
    assert codes[400] > INPUTS / 10
    assert codes[503] > INPUTS / 10
    # A reset can take the answer to a client that kept sending; nothing else may.
    assert codes.get(None, 0) < INPUTS / 1000
    assert endpoint.resident_kib() < 25 * 1024
    print(f"{INPUTS} inputs, {time.monotonic() - started:.1f} s, {codes}")
