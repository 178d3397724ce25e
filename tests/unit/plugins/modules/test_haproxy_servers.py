# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What HAProxy tells of servers that drain, and of those that return."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.mycat.ha.plugins.modules import haproxy_servers

Seen = dict[str, tuple[str, int]]


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(haproxy_servers, "EVERY", 0.0)


def look(state: str, *shows: Seen, seconds: float = 60.0, notice: float = 60.0) -> dict[str, Any]:
    """The last of ``shows`` stays."""
    left = list(shows)
    params = {"servers": ["mycat1"], "state": state, "seconds": seconds, "notice": notice}
    return haproxy_servers.look_at(params, lambda: left.pop(0) if len(left) > 1 else left[0])


def row(status: str, sessions: int) -> Seen:
    return {"mycat1": (status, sessions)}


def test_sessions_are_counted_from_when_the_drain_is_known() -> None:
    found = look("drained", row("UP", 5), row("NOLB", 4), row("NOLB", 1), row("NOLB", 0))
    assert found["problems"] == {}
    assert found["servers"] == {"mycat1": {"status": "NOLB", "sessions": 0, "first": 4}}


def test_sessions_that_do_not_end_hold_nobody_up() -> None:
    found = look("drained", row("NOLB", 2), seconds=0.0)
    assert (found["servers"]["mycat1"]["sessions"], found["problems"]) == (2, {})


@pytest.mark.parametrize("status", ["UP", "no"])
def test_a_drain_that_is_not_noticed(status: str) -> None:
    found = look("drained", row(status, 0), notice=0.0)
    assert "still gets sessions" in found["problems"]["mycat1"]


def test_up() -> None:
    assert look("up", row("DOWN", 0), row("UP", 0))["problems"] == {}
    assert "is DOWN" in look("up", row("DOWN", 0), notice=0.0)["problems"]["mycat1"]


def test_a_server_that_is_not_known() -> None:
    assert look("up", {})["problems"] == {"mycat1": "is not known there"}


def test_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    said = (
        "Name: HAProxy\n\n# pxname,svname,scur,status\n"
        "mycat,mycat1,3,DOWN 1/2\nmycat,mycat2,,UP\nother,mycat1,9,UP\n"
    )
    monkeypatch.setattr(haproxy_servers.admin, "ask", lambda *_asked: said)
    assert haproxy_servers.rows("/nowhere", ["mycat1", "mycat2"]) == {
        "mycat1": ("DOWN", 3),
        "mycat2": ("UP", 0),
    }
