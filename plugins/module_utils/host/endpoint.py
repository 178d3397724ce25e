# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask the health endpoint of a MyCat (mycat_status) for its verdict.

By a socket of our own: http.client has a deadline for each step, not for all of them together, and
takes as long to load as everything else that looks at a host.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from ..network.connection import Connection, NoAnswer

#: Where a host asks its own.
HERE = "127.0.0.1"
_MOST = 65536
_READY = (200, 404)  # 404: ready, and draining
_STATUS_LINE = re.compile(rb"HTTP/1\.[01] (\d{3})\b")
# Of xinetd and of a socket unit of systemd.
_PORT = re.compile(r"^\s*(?:port\s*=|ListenStream=)\s*(\d+)\s*$", re.MULTILINE)
_FIELDS = ("status", "level", "reason")
_SOMETIMES = ("warnings", "drain")


def ask(host: str, port: int, seconds: float) -> dict[str, Any]:
    """Return ``{"code", "status", "level", "reason"}``, and ``warnings`` and ``drain`` if any.

    Where no endpoint answers all are None but ``reason``, which says why.
    """
    try:
        with Connection((host, port), seconds) as connection:
            connection.send(b"GET / HTTP/1.0\r\nHost: localhost\r\n\r\n")
            return verdict(connection.rest(_MOST))
    except NoAnswer as problem:
        return {"code": None, "status": None, "level": None, "reason": str(problem)}


def is_ready(port: int) -> bool:
    """Whether the endpoint of this host calls MyCat ready, draining or not."""
    return ask(HERE, port, 2.0)["code"] in _READY


def why_nobody_listens(port: int, connected: Sequence[str]) -> str:
    """A sentence on a port without a listener; ``connected`` are the programs with a connection
    that has it as its own port.
    """
    if not connected:
        return f"nobody listens at {port}"
    return (
        f"nobody can listen at {port}, which a connection of {' and '.join(connected)} has as its "
        "own port until it ends"
    )


def ports_of(*texts: str) -> list[int]:
    """The ports at which the endpoint answers, as the files say that make it listen."""
    found = (int(port) for text in texts for port in _PORT.findall(text))
    return list(dict.fromkeys(found))


def verdict(answer: bytes) -> dict[str, Any]:
    """Read an HTTP answer as the endpoint gives it. Raises NoAnswer for anything else."""
    found = _STATUS_LINE.match(answer)
    try:
        data = json.loads(answer.partition(b"\r\n\r\n")[2])
    except (ValueError, RecursionError):
        data = None
    if not found or not isinstance(data, dict):
        raise NoAnswer("it does not answer as mycat_status does")
    shown = {name: data.get(name) for name in _FIELDS}
    shown.update({name: data[name] for name in _SOMETIMES if data.get(name)})
    return {"code": int(found.group(1)), **shown}
