# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the notify script has noted of each change of state; it outlives a reboot.

A line is ``SECONDS STATE CAUSE``, seconds since 1970 by the host's clock.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from typing import Any

FOLDER = "/var/lib/mycat_ha/history"
STATES = ("MASTER", "BACKUP", "FAULT", "STOP")
_MOST_BYTES = 16 * 1024
_MOST_LINES = 40


def history(folder: str = FOLDER) -> list[dict[str, Any]]:
    """The last changes of each instance, oldest first: ``instance`` (as its file is named),
    ``time``, ``state``, ``cause``. Raises OSError for a folder that cannot be read."""
    if not os.path.isdir(folder):
        return []
    return [
        {"instance": name, **change}
        for name in sorted(os.listdir(folder))
        for change in _changes(os.path.join(folder, name))[-_MOST_LINES:]
    ]


def _changes(path: str) -> list[dict[str, Any]]:
    # The folder belongs to the user of the hook, who could put a link there.
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with open(descriptor, "rb") as file:
        file.seek(max(0, os.fstat(descriptor).st_size - _MOST_BYTES))
        text = file.read(_MOST_BYTES).decode("utf-8", "replace")
    return sorted(parse(text), key=lambda change: float(change["time"]))


def parse(text: str) -> Iterator[dict[str, Any]]:
    """The changes in a text; what is no whole line is passed over."""
    for line in text.splitlines():
        moment, _space, rest = line.partition(" ")
        state, _space, cause = rest.partition(" ")
        try:
            seconds = float(moment)
        except ValueError:
            continue
        if state in STATES and math.isfinite(seconds):
            yield {"time": seconds, "state": state, "cause": cause}
