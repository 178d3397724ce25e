# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An ``auth_hmac`` block as the model has it. It holds secrets: no message repeats a value."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from ..vrrp import signing
from ..vrrp.model import Hmac
from ..vrrp.rules import reading
from .tree import Statement

if TYPE_CHECKING:
    from .reader import NodeReader

_NUMBER = re.compile(r"[0-9]{1,3}\Z")


class HmacReader:
    """Reads the lines of one ``auth_hmac``: a method a keyword; the others are reported."""

    def __init__(self, reader: NodeReader) -> None:
        self.reader = reader
        self.keys: list[tuple[int, str]] = []
        self.active_key = 0
        self.mode, self.anti_replay = signing.HMAC_MODES[0], signing.ANTI_REPLAYS[0]
        self.time_window: int | None = None

    def read(self, entries: Iterable[Statement]) -> Hmac:
        """The block; a line that the daemon does not take leaves things as they were."""
        for entry in entries:
            handler = getattr(self, "on_" + entry.keyword, None)
            if handler is None:
                self.reader.report(
                    reading.UNKNOWN_KEYWORD,
                    entry.line,
                    "the daemon does not know this line in auth_hmac",
                    "Remove the line.",
                )
            else:
                handler(entry)
        return Hmac(
            tuple(self.keys), self.active_key, self.mode, self.anti_replay, self.time_window
        )

    def on_key(self, entry: Statement) -> None:
        number = self._number(entry, 255)
        written = "".join(entry.words[2:3])
        if number and signing.usable(number, written):
            self.keys.append((number, written))
        elif number:
            self._ignored(entry, "a number and 32 to 64 bytes")

    def on_active_key(self, entry: Statement) -> None:
        self.active_key = self._number(entry, 255) or self.active_key

    def on_time_window(self, entry: Statement) -> None:
        self.time_window = self._number(entry, 300) or self.time_window

    def on_mode(self, entry: Statement) -> None:
        self.mode = self._choice(entry, signing.HMAC_MODES, self.mode)

    def on_anti_replay(self, entry: Statement) -> None:
        self.anti_replay = self._choice(entry, signing.ANTI_REPLAYS, self.anti_replay)

    def _number(self, entry: Statement, most: int) -> int:
        number = int(entry.value) if _NUMBER.match(entry.value) else 0
        if 1 <= number <= most:
            return number
        self._ignored(entry, f"a number from 1 to {most}")
        return 0

    def _choice(self, entry: Statement, choices: tuple[str, ...], before: str) -> str:
        if entry.value in choices:
            return entry.value
        self._ignored(entry, ", ".join(choices[:-1]) + f" or {choices[-1]}")
        return before

    def _ignored(self, entry: Statement, wanted: str) -> None:
        self.reader.report(
            reading.INVALID_VALUE,
            entry.line,
            f"after {entry.keyword} in auth_hmac stands {wanted}; the daemon ignores the line",
            "Remove the line.",
        )
