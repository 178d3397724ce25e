# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What MyCat's wrapper wrote into its log since a certain moment."""

from __future__ import annotations

import os
import re

_MOST = 1 << 20
# A start never survives these.
_FATAL = re.compile(
    r"\w*ConfigException: .*|Unrecognized VM option .*|Unable to start JVM.*"
    r"|.*UnsupportedClassVersionError.*|.*Could not find or load main class.*"
)
_ANY = re.compile(r"\w*(?:Exception|Error): .*")


def size(path: str) -> int:
    """Bytes of the log, 0 where there is none."""
    try:
        return os.stat(path).st_size
    except OSError:
        return 0


def since(path: str, known: int) -> str:
    """What was written since the log had ``known`` bytes; a log that is shorter now is new."""
    try:
        with open(path, "rb") as file:
            file.seek(known if size(path) >= known else 0)
            return file.read(_MOST).decode("utf-8", "replace")
    except OSError:
        return ""


def complaint(path: str, known: int, ended: bool) -> str:
    """Why MyCat does not run, as far as the log says it since it had ``known`` bytes, else "".

    A MyCat that has not ``ended`` may live with most errors.
    """
    text = since(path, known)
    found = _FATAL.search(text) or (_ANY.search(text) if ended else None)
    return found.group().strip()[:300] if found else ""
