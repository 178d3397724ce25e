# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What HAProxy says on its admin socket (its management guide, chapter 9) and by `haproxy -v`."""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Mapping

from ..network.connection import Connection, NoAnswer

# `show stat` of all proxies (-1), servers alone (4), of any id (-1).
STATE = "show info;show stat -1 4 -1"

# Bytes of an answer; a thousand servers need half of that.
_MOST = 1024 * 1024
# Column of `show stat` -> name in the result.
_COLUMNS = {
    "pxname": "proxy",
    "svname": "server",
    "status": "status",
    "weight": "weight",
    "scur": "scur",
    "lastchg": "lastchg",
    "check_status": "check_status",
    "check_code": "check_code",
    "check_desc": "check_desc",
    "last_chk": "last_chk",
    "agent_status": "agent_status",
    "last_agt": "last_agt",
    "addr": "addr",
}


def ask(path: str, command: str, seconds: float) -> str:
    """Return HAProxy's answer on the socket at ``path``. Raises NoAnswer.

    HAProxy makes it before it gives up the rights of root; whoever is in its group can put another
    one in the same place.
    """
    with Connection(path, seconds) as connection:
        if connection.owner() not in (0, os.geteuid()):
            raise NoAnswer("the admin socket is another user's, not HAProxy's")
        connection.send(command.encode() + b"\n")
        return connection.rest(_MOST).decode(errors="replace")


def info(answer: str) -> dict[str, str]:
    """The values of ``show info``, by the names that HAProxy gives them."""
    lines = answer.partition("\n# ")[0].splitlines()
    return dict(line.split(": ", 1) for line in lines if ": " in line)


def servers(answer: str) -> list[Mapping[str, str]]:
    """The servers in the answer to ``show stat``, each with ``proxy``, ``server`` and what HAProxy
    knows of it, all as text; what a release does not tell is empty.
    """
    head, found, table = answer.rpartition("# pxname,")
    if not found or (head and not head.endswith("\n")):
        return []
    rows = csv.DictReader(("pxname," + table).splitlines())
    return [
        {name: row.get(column) or "" for column, name in _COLUMNS.items()}
        for row in rows
        if row.get("svname") not in (None, "FRONTEND", "BACKEND")
    ]


def version(text: str) -> str:
    """``2.6.12`` of what ``haproxy -v`` prints or ``show info`` has; empty where it names none."""
    found = re.search(r"\d+(?:\.\d+)+", text)
    return found.group() if found else ""
