# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What may be seen of lines that a person wrote into a configuration. Pure.

No list of keywords tells which word of such a line is a password. So its keyword of one word or
two is shown, and where the role writes that keyword itself, what follows up to the first word that
is neither one of the role's nor a number, a time, an address, a path, or a name in its place.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable

from ..network.addresses import is_address
from .masking import MASK

_KEYWORD = re.compile(r"[a-z][a-z_-]*$")
_NAME = re.compile(r"[\w.-]+$")
_PATH = re.compile(r"/[\w./-]+$")
_NUMBER = re.compile(r"-?\d{1,9}(\.\d+)?(us|ms|s|m|h|d|k|%)?$")
# A comment, and what may go on behind the next space.
_MEANT_OTHERWISE = re.compile(r"^#|['\"\\]")
# A name follows these in haproxy.cfg.
_NAMING = frozenset(["listen", "frontend", "backend", "server", "userlist"])


class ForeignLines:
    """Tells the lines of a role from those of a person.

    ``content`` is a whole configuration; ``raw_lines`` are those of its lines that a person wrote.
    Any other line of ``content`` is the role's; one that ``content`` does not have is taken for a
    person's. ``mask`` replaces the secrets that keywords tell of, line by line, and marks those
    that a former text does not have.
    """

    def __init__(
        self, content: str, raw_lines: Iterable[str], mask: Callable[[str, str | None], str]
    ) -> None:
        raw = set(map(str.strip, raw_lines))
        lines = zip(content.split("\n"), mask(content, None).split("\n"))
        own = {line.strip(): shown.split() for line, shown in lines if line.strip() not in raw}
        self._mask = mask
        self._own = frozenset(own)
        self._words = frozenset(word for words in own.values() for word in words)
        first = {words[0] for words in own.values() if words}
        self._keywords = frozenset(word for word in first if _KEYWORD.match(word))

    def masked(self, text: str, known: str | None = None) -> str:
        """The text with what may not be seen of it replaced.

        A line that loses a word and that ``known`` does not have is marked, so that a diff shows
        another word as a change.
        """
        former = set(map(str.strip, (text if known is None else known).split("\n")))
        lines = zip(
            text.split("\n"),
            self._mask(text, None).split("\n"),
            self._mask(text, known).split("\n"),
        )
        return "\n".join(
            marked if line.strip() in self._own else self._cut(line, public, line.strip() in former)
            for line, public, marked in lines
        )

    def hidden(self, text: str) -> frozenset[str]:
        """The words of the text that may not be seen."""
        return frozenset(
            word.strip("'\"")
            for line in text.splitlines()
            for word in line.split()[self._seen(line.strip()) :]
            if word not in self._words and re.search(r"\w", word)
        )

    def _cut(self, line: str, public: str, is_known: bool) -> str:
        """A person's line, of which keywords leave ``public``, as far as it may be seen."""
        words = public.split()
        seen = words[: self._seen(public.strip())]
        if seen == line.split():
            return line
        indent = line[: len(line) - len(line.lstrip())]
        hidden = [] if MASK in seen else [MASK]
        return indent + " ".join([*seen, *hidden]) + ("" if is_known else " (new)")

    def _seen(self, line: str) -> int:
        """How many words of a line may be seen; from the first that may not on, none may."""
        words = line.split()
        if not words or line in self._own:
            return len(words)
        first, *others = words
        if not (first in self._keywords or _is_public(first)):
            return int(first == "#") or len(_keywords(words[:2]))
        seen = len(_keywords(others[:1]))
        pairs = list(zip(words, others))[seen:]
        plain = itertools.takewhile(lambda pair: self._is_plain(*pair), pairs)
        return 1 + seen + len(list(plain))

    def _is_plain(self, before: str, word: str) -> bool:
        if _MEANT_OTHERWISE.search(word):
            return False
        named = before in _NAMING and _NAME.match(word)
        return bool(named) or word in self._words or _is_public(word)


def _keywords(words: Iterable[str]) -> list[str]:
    """The words up to the first that does not look like one of a daemon's keywords."""
    return list(itertools.takewhile(_KEYWORD.match, words))


def _is_public(word: str) -> bool:
    """Whether a word is a number, a time, a path, or an address with or without prefix or port."""
    if _NUMBER.match(word) or _PATH.match(word):
        return True
    if is_address(word.partition("/")[0]):
        return True
    address, _colon, port = word.rpartition(":")
    return port.isdigit() and (address == "*" or is_address(address.strip("[]")))
