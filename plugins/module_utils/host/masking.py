# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands for a secret in everything that a person sees."""

from __future__ import annotations

import re
from collections.abc import Iterable

MASK = "********"


def without_secrets(line: str, words: Iterable[str]) -> str:
    """Return a line of a daemon's with the words replaced that must not be seen."""
    for word in sorted(words, key=len, reverse=True):
        line = re.sub(rf"(?<!\w){re.escape(word)}(?!\w)", MASK, line)
    return line
