# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Locks on files that keep two runs apart on a host (flock(2)); they end with their process."""

from __future__ import annotations

import fcntl
import time

#: Seconds. Who only looks has a lock for an instant.
PATIENCE = 1.0
_POLL = 0.01


def is_locked(path: str) -> bool:
    """Whether another process has the lock of a file."""
    try:
        with open(path, encoding="ascii") as file:
            return not _try(file.fileno(), fcntl.LOCK_SH)
    except OSError:
        return False


def lock(descriptor: int) -> bool:
    """Take the lock of an open file, until it is closed; whether nobody else has it."""
    deadline = time.monotonic() + PATIENCE
    while not _try(descriptor, fcntl.LOCK_EX):
        if time.monotonic() >= deadline:
            return False
        time.sleep(_POLL)
    return True


def _try(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
