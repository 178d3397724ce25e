# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The file by which somebody has the health endpoint of this host say that MyCat drains."""

from __future__ import annotations

import contextlib
import os

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
