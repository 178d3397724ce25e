# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keep a load balancer out of the election, for good or while its addresses move.

keepalived watches one file: a host is in fault unless the file holds `SERVES`. A switch-over
writes `MOVING` and takes it back; mycat_ha_addresses.service does so where a switch-over was cut
off. The lock on the file keeps two of them apart.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator

from .locks import is_locked, lock

FILE = "/var/lib/mycat_ha/maintenance"
#: Where versions before 0.2.0 had it.
FORMER = "/run/mycat_ha/maintenance"
SERVES, MAINTENANCE, MOVING = "0", "1", "2"
POLL = 0.01


class NotMovedError(Exception):
    """Why a load balancer was not taken out; the text is a sentence."""


def value() -> str | None:
    """What the file holds, None where there is none."""
    for path in (FILE, FORMER):
        try:
            with open(path, encoding="ascii", errors="replace") as file:
                return file.readline(16).strip() or SERVES
        except OSError:
            continue
    return None


def state() -> tuple[bool | None, bool]:
    """Whether somebody keeps the host out, None where nothing tells, and whether a switch-over
    from it is under way."""
    held = value()
    moving = held == MOVING or is_locked(FILE)
    return None if held is None else held not in (SERVES, MOVING), moving


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Keep others from moving addresses of this host. Raises NotMovedError where one is at it."""
    try:
        descriptor = os.open(FILE, os.O_RDWR)
    except OSError as error:
        raise NotMovedError(
            f"{FILE} cannot be opened ({error.strerror}); run mycat.ha.site, which makes it"
        ) from None
    try:
        if not lock(descriptor):
            raise NotMovedError(
                "another switch-over or maintenance of this host is under way; wait for its end"
            )
        yield
    finally:
        os.close(descriptor)


def write(text: str) -> None:
    """Write one of the values, in one step and to the disk."""
    descriptor = os.open(FILE, os.O_WRONLY)
    try:
        os.pwrite(descriptor, f"{text}\n".encode("ascii"), 0)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def writing(text: str, former: str) -> Iterator[None]:
    """Write ``text``; if what follows fails or is ended, write ``former`` again."""
    write(text)
    try:
        yield
    except BaseException:
        write(former)
        raise


def await_(condition: Callable[[], bool], seconds: float, every: float = POLL) -> bool:
    """Whether a condition became true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() >= deadline:
            return False
        time.sleep(every)
    return True
