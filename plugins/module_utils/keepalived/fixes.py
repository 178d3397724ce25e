# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What to write instead of a line that the daemon does not take, as far as one file tells."""

from __future__ import annotations

import difflib
import re
from collections.abc import Container, Sequence

from ..vrrp.words import listed
from . import keywords
from .keywords import KEYWORDS
from .tree import Statement

_INTEGER = re.compile(r"[+-]?[0-9]{1,9}\Z")
# A number in odd company: "= 90", "90;", "5 s".
_MEANT = re.compile(r"(?<![\w.])[+-]?[0-9]{1,9}(?:\.[0-9]+)?(?=s?[;,]*(?:\s|\Z))")


def value_to_write(statement: Statement, taken: float | None) -> str:
    """The number that was probably meant, else what the daemon takes. Where all nodes have to agree
    the latter comes first: nothing changes by it."""
    numbers = _MEANT.findall(" ".join(statement.words[1:]))
    meant = numbers[0] if len(numbers) == 1 and numbers[0] != statement.value else ""
    if taken is not None and (statement.keyword in keywords.AT_ONCE or not meant):
        meant = f"{taken:g}"
    return f"Write {statement.keyword} {meant}." if meant else "Remove the line."


def instead(entry: Statement, words: str) -> str:
    """One entry for another."""
    return f"Write {words} instead of {' '.join(entry.words)}."


def on_own_lines(words: Sequence[str]) -> str:
    """Words that stand where the daemon does not read them."""
    lines = "a line of its own" if len(words) == 1 else "lines of their own"
    return f"Write {listed(words)} on {lines}"


def entry_meant(entry: Statement) -> str:
    """The entry with the weight that was probably meant."""
    weights = [word for word in entry.words[1:] if _INTEGER.match(word)]
    return f"{entry.keyword} weight {weights[0]}" if len(weights) == 1 else entry.keyword


# Without these an instance does not run.
_NEEDED = ("interface", "virtual_router_id")


def without_value(block: str, keyword: str) -> str:
    """What to do about a keyword whose missing value ends the daemon."""
    if block == "authentication":
        return "Remove the authentication block (or write it with the same values on all nodes)."
    if keyword in _NEEDED:
        return f"Write a value after {keyword}."
    return f"Remove the line (or write a value after {keyword})."


def known_instead(
    statement: Statement, block: str, version: tuple[int, ...], written: Container[str]
) -> str:
    """What to do about a keyword that is not known in a block where these are written."""
    keyword = statement.keyword
    known = [
        name for name in sorted(keywords.names_in(block)) if keywords.is_known(block, name, version)
    ]
    near = difflib.get_close_matches(keyword, known, 1, 0.7)
    # What stands behind a block that is misread comes back with its removal, best everywhere.
    what = "block on all nodes that have it" if statement.block is not None else "line"
    if near and block != "authentication":
        # Nothing is changed by half: an instance that is misread on all nodes works.
        if near[0] in keywords.AT_ONCE:
            return f"Remove the {what} (or write {near[0]} instead, on all nodes alike)."
        if near[0] in written:
            return f"Remove the {what} ({near[0]} is written already)."
        return f"Write {near[0]} instead of {keyword}, or remove the {what}."
    elsewhere = [kind for kind in KEYWORDS if keywords.is_known(kind, keyword, version)]
    if elsewhere:
        place = elsewhere[0] or "the top of the file, outside any block"
        return f"Move {keyword} to {place}, or remove the {what}."
    return f"Remove the {what} (or correct the keyword)."
