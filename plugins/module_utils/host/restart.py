# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host notes of its MyCat's turn in a rolling run, and the drain that the run asked for.

The note says whether the turn is done, and whether the drain is the run's own: one that was there
before is somebody else's and stays. The lock keeps two runs apart while one stops and starts MyCat;
between its steps ``until`` does.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

from . import draining
from .locks import is_locked, lock

FOLDER = "/var/lib/mycat_ha"
FILE = FOLDER + "/restart.json"
LOCK = FOLDER + "/restart.lock"
DRAINING, STOPPED, DONE = "draining", "stopped", "done"


class TurnError(Exception):
    """Why a MyCat was not drained or restarted; the text is a sentence."""


@dataclass(frozen=True)
class Note:
    """``run`` names the run; ``until`` (seconds since 1970) it counts as under way; ``ours``: the
    drain is the run's own; ``unit`` and ``uid``: what ran MyCat before it was stopped."""

    run: str
    state: str = DRAINING
    until: float = 0.0
    ours: bool = True
    unit: str = ""
    uid: int | None = None

    def over(self, state: str) -> Note:
        """The same turn in a state in which nothing is under way."""
        return replace(self, state=state, until=0.0)


def read() -> Note | None:
    """The note, None where there is none that can be read."""
    try:
        with open(FILE, encoding="utf-8") as file:
            return Note(**json.load(file))
    except (OSError, ValueError, TypeError):
        return None


def write(note: Note) -> None:
    """Write the note in one step and to the disk."""
    new = FILE + ".new"
    with open(new, "w", encoding="utf-8") as file:
        json.dump(asdict(note), file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(new, FILE)


def forget() -> bool:
    """Remove the note; return whether there was one."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(FILE)
        return True
    return False


def state() -> dict[str, Any] | None:
    """What host_state tells of it."""
    note = read()
    if note is None:
        return None
    under_way = note.until > time.time() or is_locked(LOCK)
    return {"run": note.run, "state": note.state, "ours": note.ours, "under_way": under_way}


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Keep other runs from this MyCat. Raises TurnError where one is at it."""
    os.makedirs(FOLDER, mode=0o755, exist_ok=True)
    descriptor = os.open(LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        if not lock(descriptor):
            raise TurnError("another run is just restarting this MyCat; wait for its end")
        yield
    finally:
        os.close(descriptor)


def drain(by: str, former: Note | None) -> bool:
    """Ask the endpoint to drain; return whether that is this run's own wish, or was already."""
    try:
        asked = draining.drain(by)
    except OSError as error:
        raise TurnError(
            f"{draining.FILE} cannot be written ({error.strerror}); run mycat.ha.site, which makes "
            "its folder"
        ) from None
    return asked or (former is not None and former.ours and former.state != DONE)
