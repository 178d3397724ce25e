# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Have the health endpoint of this host say that MyCat drains, by a file, and count sessions."""

from __future__ import annotations

import contextlib
import os

from .processes import PROC, port_of

_ESTABLISHED = "01"
_LOOPBACK = ("0100007F", "00000000000000000000000001000000", "0000000000000000FFFF00000100007F")
FILE = "/run/mycat_status/drain"


def drain(by: str) -> bool:
    """Ask the endpoint to drain; whether nobody had asked before. Raises OSError."""
    try:
        descriptor = os.open(FILE, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    except FileExistsError:
        return False
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(f"{by}\n")
    return True


def undrain() -> None:
    """End the drain that the file asks for."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(FILE)


def sessions(port: int) -> int:
    """How many sessions of other hosts there are at a port of this one."""
    found = 0
    for table in ("tcp", "tcp6"):
        with contextlib.suppress(FileNotFoundError), open(f"{PROC}/net/{table}") as file:
            for row in [line.split() for line in file][1:]:
                if row[3] == _ESTABLISHED and port_of(row[1]) == port:
                    found += row[2].partition(":")[0] not in _LOOPBACK
    return found
