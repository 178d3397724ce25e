# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What stood at a path before the collection wrote its own file there, as its backups tell."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

# As Ansible names them: FILE.PID.DATE@TIME~
_BACKUP = r"\.\d+\.(\d{4}-\d\d-\d\d@\d\d:\d\d:\d\d)~"


@dataclass(frozen=True)
class Verdict:
    """``restore`` is the backup that takes the file's place, ``remove`` the files that go, and
    ``foreign`` whether the file itself is somebody else's, and stays."""

    restore: str = ""
    remove: list[str] = field(default_factory=list)
    foreign: bool = False


def backups(name: str, names: Iterable[str]) -> list[str]:
    """The names of a file's backups, the oldest first."""
    pattern = re.compile(re.escape(name) + _BACKUP)
    found = [(match[1], one) for one in names for match in [pattern.fullmatch(one)] if match]
    return [one for _when, one in sorted(found)]


def judge(path: str, text: str | None, kept: Sequence[tuple[str, str]], pattern: str) -> Verdict:
    """What becomes of a file. ``kept`` are its backups, paths and texts, the oldest first;
    ``pattern`` finds a line of ours in a text.

    The oldest backup is what was there before; where it is of ours, nothing was.
    """
    ours = re.compile(pattern, re.MULTILINE)
    remove = [backup for backup, content in kept if ours.search(content)]
    if text is None:
        return Verdict(remove=remove)
    if not ours.search(text):
        return Verdict(remove=remove, foreign=True)
    if kept and kept[0][0] not in remove:
        return Verdict(restore=kept[0][0], remove=remove)
    return Verdict(remove=[path, *remove])
