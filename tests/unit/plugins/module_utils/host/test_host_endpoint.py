# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import sys

import pytest
from ansible_collections.mycat.ha.plugins.module_utils.host import endpoint
from lab.servers import answering, serving, silent


def http(code: int, body: str) -> bytes:
    return f"HTTP/1.1 {code} X\r\nContent-Type: application/json\r\n\r\n{body}".encode()


def test_the_verdict_of_an_endpoint() -> None:
    body = '{"status": "down", "level": "query", "reason": "none", "seconds": 1}'
    with serving(answering(http(503, body))) as port:
        assert endpoint.ask("127.0.0.1", port, 2) == {
            "code": 503,
            "status": "down",
            "level": "query",
            "reason": "none",
        }
    warned = endpoint.verdict(http(200, '{"status": "up", "warnings": ["w"]}'))
    assert (warned["warnings"], warned["level"]) == (["w"], None)
    drained = endpoint.verdict(http(503, '{"status": "down", "drain": {"by": "x"}}'))
    assert drained["drain"] == {"by": "x"}
    assert "drain" not in warned


@pytest.mark.parametrize(
    "answer",
    [
        http(200, "[]"),
        http(200, "[" * sys.getrecursionlimit() * 50),
        http(200, "not json"),
        b"SSH-2.0-OpenSSH\r\n\r\n{}",
        b"",
        b"\xff\0",
        http(200, "{}" + " " * 70000),
    ],
)
def test_what_is_no_endpoint(answer: bytes) -> None:
    with serving(answering(answer)) as port:
        found = endpoint.ask("127.0.0.1", port, 5)
    assert found["code"] is None
    assert found["reason"]


def test_an_endpoint_that_hangs() -> None:
    with serving(silent) as port:
        found = endpoint.ask("127.0.0.1", port, 0.2)
    assert found["reason"] == "no answer within 0.2 s"


@pytest.mark.parametrize(
    ("connected", "said"),
    [
        ([], "nobody listens at 48700"),
        (["java"], "nobody can listen at 48700, which a connection of java has as its own port"),
    ],
)
def test_why_nobody_listens(connected: list[str], said: str) -> None:
    assert endpoint.why_nobody_listens(48700, connected).startswith(said)
