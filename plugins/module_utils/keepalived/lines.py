# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lines of a keepalived.conf as the daemon sees them: without comments, definitions replaced,
repetitions written out, includes put in their place. Pure: no file is opened.

The grammar is that of keepalived.conf(5) and of keepalived 2.2.7 to 2.4.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from ..vrrp.rules import reading

# Far above what a real file needs, low enough to answer within a second or two.
MAX_LINES = 50_000
MAX_EXPANDED_LINE = 64 * 1024
# keepalived reads lines into a buffer of 1024 bytes and cuts longer ones in two.
KEEPALIVED_LINE = 1023


class ConfError(ValueError):
    """A text that is no keepalived.conf at all. ``line`` counts from 1."""

    def __init__(self, line: int, problem: str) -> None:
        super().__init__(f"line {line}: {problem}")
        self.line = line
        self.problem = problem


_COMMENT_OR_QUOTE = re.compile(r'[!#"\\]')
_DEFINITION = re.compile(r"\$([A-Za-z_][A-Za-z0-9_]*)=[ \t]*(.*)", re.DOTALL)
_REFERENCE = re.compile(r"\$(?:\{([A-Za-z_][A-Za-z0-9_]*)\}|([A-Za-z_][A-Za-z0-9_]*)(?=[ \t,)]|$))")
_CONDITION = re.compile(r"@(\^?)([^ \t]*)[ \t]+(.*)", re.DOTALL)
_SEQUENCE = re.compile(r"~SEQ(x?)[ \t]*\([ \t]*([^ \t,)]+)[ \t]*,([^)]*)\)[ \t]*(.*)", re.DOTALL)
_LIST = re.compile(
    r"~LST[ \t]*\([ \t]*(\{[^{}]*\}|[^ \t,{}()]+)[ \t]*,([^()]*)\)[ \t]*(.*)", re.DOTALL
)
_LIST_VALUE = re.compile(r"\{([^{}]*)\}|([^,{}]+)")
_INCLUDE = re.compile(r"include[rmwba]?[ \t]+(.*)", re.DOTALL)
_UNDEFINED = re.compile(r'"[^"]*"?|(\$\{[A-Za-z_][A-Za-z0-9_]*\})')


def _is_named(path: str, name: str) -> bool:
    """Whether an include names this path: by itself, by a pattern, or from the file's folder."""
    patterns = (name,) if name.startswith("/") else (name, f"*/{name}")
    return any(fnmatch.fnmatchcase(path, pattern) for pattern in patterns)


def without_comment(text: str) -> tuple[str, bool]:
    """A physical line without comment and outer blanks, and whether its quotes are balanced."""
    text = text.strip(" \t")
    if not _COMMENT_OR_QUOTE.search(text):
        return text, True
    kept = []
    quoted = False
    start = at = 0
    while True:
        found = _COMMENT_OR_QUOTE.search(text, at)
        if found is None:
            kept.append(text[start:])
            break
        at = found.start()
        char = text[at]
        if char == '"':
            quoted = not quoted
            at += 1
        elif char == "\\":
            if not quoted and text[at + 1 : at + 2] in ("#", "!"):
                kept.append(text[start:at])
                start = at + 1
            at += 2
        elif quoted:
            at += 1
        else:
            kept.append(text[start:at])
            break
    return "".join(kept).rstrip(" \t"), not quoted


@dataclass
class ReadableLines:
    """Yields (line number, text) as the daemon would see them after substitution."""

    text: str
    config_id: str
    includes: Mapping[str, str]
    report: Callable[..., None]
    definitions: dict[str, list[str]] = field(default_factory=dict)
    # What an expansion has put in front of the rest of the file, next line last: a line of text,
    # or a definition to make.
    pending: list[tuple[int, str, tuple[tuple[str, str], ...]]] = field(default_factory=list)
    conditional_line: int = 0
    conditional_matched: bool = False
    count: int = 0

    def __iter__(self) -> Iterator[tuple[int, str]]:
        physical = self._physical()
        while True:
            if self.pending:
                number, text, assignments = self.pending.pop()
                self.definitions.update((name, [value]) for name, value in assignments)
            else:
                item = next(physical, None)
                if item is None:
                    break
                number, text = item
            self._count(number)
            expanded = self._expand(number, text, physical)
            if expanded:
                yield number, expanded
        if self.conditional_line and not self.conditional_matched:
            self.report(
                reading.CONDITIONAL_SKIPPED,
                self.conditional_line,
                f"no @ line of this file is meant for {self.config_id or 'an unnamed host'}; "
                "all of them were left out",
                "Say in config_ids which id the node has.",
            )

    def _count(self, number: int) -> None:
        self.count += 1
        if self.count > MAX_LINES:
            raise ConfError(number, f"more than {MAX_LINES} lines, definitions expanded")

    def _physical(self) -> Iterator[tuple[int, str]]:
        for number, raw in enumerate(self.text.split("\n"), start=1):
            yield number, self._clean(number, raw)

    def _clean(self, number: int, raw: str) -> str:
        if len(raw) > KEEPALIVED_LINE:
            self.report(
                reading.SYNTAX,
                number,
                f"the line is {len(raw)} characters long; keepalived cuts it after "
                f"{KEEPALIVED_LINE}",
                "Break the line in two.",
            )
        text, balanced = without_comment(raw.rstrip("\r"))
        if not balanced:
            self.report(
                reading.SYNTAX,
                number,
                "a double quote is not closed on this line",
                "Close the quote on this line.",
            )
        return text

    def _expand(self, number: int, text: str, physical: Iterator[tuple[int, str]]) -> str:
        """The text after substitution; empty when the line was consumed."""
        if text[:1] not in ("@", "~", "i") and "$" not in text:
            return text
        while text:
            if text[0] == "@":
                text = self._condition(number, text)
                continue
            definition = _DEFINITION.match(text)
            if definition:
                self._define(definition.group(1), definition.group(2), physical)
                return ""
            if text.startswith(("~SEQ", "~LST")):
                self._repeat(number, text)
                return ""
            replaced = self._substitute(number, text)
            if replaced == text:
                if self._included(number, text):
                    return ""
                self._undefined(number, text)
                return text
            text = without_comment(replaced)[0]
        return ""

    def _condition(self, number: int, text: str) -> str:
        self.conditional_line = self.conditional_line or number
        condition = _CONDITION.match(text)
        if not condition:
            return ""
        negated, wanted, rest = condition.groups()
        if (wanted == self.config_id) == bool(negated):
            return ""
        self.conditional_matched = True
        return rest

    def _define(self, name: str, value: str, physical: Iterator[tuple[int, str]]) -> None:
        """A value that ends with a backslash goes on in the next lines."""
        values = [value]
        while values[-1].endswith("\\"):
            values[-1] = values[-1][:-1].rstrip(" \t")
            item = (0, self.pending.pop()[1]) if self.pending else next(physical, None)
            if item is None or not item[1]:
                break
            values.append(item[1])
        self.definitions[name] = [line for line in values if line] or [""]

    def _substitute(self, number: int, text: str) -> str:
        at = 0
        for _unused in range(1000):
            found = _REFERENCE.search(text, at)
            if found is None:
                return text
            name = found.group(1) or found.group(2)
            value = [self.config_id] if name == "_INSTANCE" else self.definitions.get(name)
            at_end = found.end() == len(text)
            if value is None or (len(value) > 1 and not at_end):
                at = found.start() + 1
                continue
            for following in reversed(value[1:]):
                self.pending.append((number, following, ()))
            text = text[: found.start()] + value[0] + text[found.end() :]
            at = found.start()
            if len(text) > MAX_EXPANDED_LINE:
                break
        raise ConfError(number, "a definition expands without end")

    def _undefined(self, number: int, text: str) -> None:
        """Outside quotes, the braces of a name that is not defined are braces of a block."""
        for found in _UNDEFINED.finditer(text) if "${" in text else ():
            if found.group(1):
                self.report(
                    reading.SYNTAX,
                    number,
                    f"{found.group(1)} is not defined here, so its braces open a block",
                    "Define it above this line.",
                )

    def _included(self, number: int, text: str) -> bool:
        include = _INCLUDE.match(text)
        if not include:
            return False
        name = include.group(1).strip('"')
        texts = [text for path, text in sorted(self.includes.items()) if _is_named(path, name)]
        if not texts:
            self.report(
                reading.MISSING_INCLUDE,
                number,
                f"the text of the include {name} was not given",
                f"Give the text of {name} in includes.",
            )
        for content in reversed(texts):
            for raw in reversed(content.split("\n")):
                self.pending.append((number, self._clean(number, raw), ()))
            if len(self.pending) > MAX_LINES:
                raise ConfError(number, f"more than {MAX_LINES} lines, includes expanded")
        return True

    def _repeat(self, number: int, text: str) -> None:
        """~SEQ(var, start, step, end) rest; ~LST({a, b}, {1, 2}, {3, 4}) rest."""
        sequence = _SEQUENCE.match(text)
        if sequence:
            hexadecimal, name, numbers, rest = sequence.groups()
            values = self._sequence(number, self._substitute(number, numbers))
            rounds: list[tuple[tuple[str, str], ...]] = [
                ((name, f"{value:{'x' if hexadecimal else 'd'}}"),) for value in values
            ]
        else:
            listed = _LIST.match(text)
            if not listed:
                self.report(
                    reading.SYNTAX,
                    number,
                    f"{text[:4]} is not written as keepalived.conf(5) says",
                    "Remove the line.",
                )
                return
            names = [name.strip() for name in listed.group(1).strip("{}").split(",")]
            rest = listed.group(3)
            rounds = []
            for braced, plain in _LIST_VALUE.findall(listed.group(2)):
                given = [value.strip() for value in (braced or plain).split(",")]
                if any(given):
                    given += [""] * (len(names) - len(given))
                    rounds.append(tuple(zip(names, given)))
        self.pending.extend((number, rest, assignments) for assignments in reversed(rounds))

    def _sequence(self, number: int, numbers: str) -> range:
        try:
            bounds = [int(part, 0) for part in numbers.split(",") if len(part) < 12]
        except ValueError:
            bounds = []
        if len(bounds) == 1:
            bounds = [-1 if bounds[0] < 0 else 1, bounds[0]]
        if len(bounds) == 2:
            bounds.insert(1, 1 if bounds[0] <= bounds[1] else -1)
        if len(bounds) != 3 or not bounds[1] or (bounds[2] - bounds[0]) * bounds[1] < 0:
            self.report(
                reading.SYNTAX,
                number,
                "~SEQ needs (name, start, step, end) with whole numbers",
                "Remove the line.",
            )
            return range(0)
        start, step, end = bounds
        result = range(start, end + (1 if step > 0 else -1), step)
        if len(result) > MAX_LINES:
            raise ConfError(number, f"~SEQ expands to more than {MAX_LINES} lines")
        return result
