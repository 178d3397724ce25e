# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keep a load balancer out of the election, for good or while its addresses move.

keepalived watches one file for the host, and one for each of several addresses: host or address
is in fault unless its file holds `SERVES`. A switch-over writes `MOVING` and takes it back;
mycat_ha_addresses.service does so where a switch-over was cut off. The lock on the file of the host
keeps two of them apart.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator, Sequence

from .locks import is_locked, lock

FILE = "/var/lib/mycat_ha/maintenance"
#: Where versions before 0.2.0 had it.
FORMER = "/run/mycat_ha/maintenance"
#: Of the files by which one address is moved alone.
FOLDER = "/var/lib/mycat_ha/moving"
SERVES, MAINTENANCE, MOVING = "0", "1", "2"
POLL = 0.01


class NotMovedError(Exception):
    """Why a load balancer was not taken out; the text is a sentence."""


def moving_file(instance: str) -> str:
    """The path of the file by which the address of an instance is moved alone."""
    return f"{FOLDER}/{instance.replace('/', '_')}"


def value() -> str | None:
    """What the file of the host holds, None where there is none."""
    held = (_held(path) for path in (FILE, FORMER))
    return next((one for one in held if one is not None), None)


def is_moving(paths: Sequence[str]) -> bool:
    """Whether one of these files holds `MOVING`."""
    return MOVING in map(_held, paths)


def _held(path: str) -> str | None:
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            return file.readline(16).strip() or SERVES
    except OSError:
        return None


def state() -> tuple[bool | None, bool]:
    """Whether somebody keeps the host out, None where nothing tells, and whether a switch-over
    from it is under way."""
    held = value()
    alone = [f"{FOLDER}/{name}" for name in os.listdir(FOLDER)] if os.path.isdir(FOLDER) else []
    moving = held == MOVING or is_locked(FILE) or is_moving(alone)
    return None if held is None else held not in (SERVES, MOVING), moving


@contextlib.contextmanager
def alone(paths: Sequence[str] = ()) -> Iterator[None]:
    """Keep others from moving addresses of this host, by its file or by ``paths``, which are those
    of addresses. Raises NotMovedError where one is at it."""
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
        if paths and not os.path.isdir(FOLDER):
            raise NotMovedError(f"there is no {FOLDER}; run mycat.ha.site, which makes it")
        yield
    finally:
        os.close(descriptor)


def write(text: str, paths: Sequence[str] = ()) -> None:
    """Write one of the values into the file of the host, or into ``paths``, in one step and to the
    disk. One of an address is made when it is moved first: keepalived watches the folder."""
    for path in paths or (FILE,):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT)
        try:
            # The hook, which is not root, reads it.
            os.fchmod(descriptor, 0o644)
            os.pwrite(descriptor, f"{text}\n".encode("ascii"), 0)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextlib.contextmanager
def writing(text: str, former: str, paths: Sequence[str] = ()) -> Iterator[None]:
    """Write ``text``; if what follows fails or is ended, write ``former`` again."""
    try:
        write(text, paths)
        yield
    except BaseException:
        write(former, paths)
        raise


def await_(condition: Callable[[], bool], seconds: float, every: float = POLL) -> bool:
    """Whether a condition became true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() >= deadline:
            return False
        time.sleep(every)
    return True
