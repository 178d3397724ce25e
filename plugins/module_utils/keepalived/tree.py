# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The statements of a keepalived.conf: words, and what stands in their braces.

Only a newline or a brace ends a statement: ``state MASTER priority 100`` on one line is one
statement with three arguments, as the daemon has it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sized
from dataclasses import dataclass, field
from typing import Any

from ..vrrp.findings import Finding, Rule
from ..vrrp.rules import reading
from .lines import ConfError, ReadableLines

# Far above what a real file needs, low enough to answer within a second or two.
MAX_BYTES = 1024 * 1024
MAX_DEPTH = 64
MAX_FINDINGS = 1000

_SPACE = " \t\f\n\r\v"


@dataclass(frozen=True)
class Statement:
    """One statement: its words, and the statements in its braces (``None``: it has no braces).

    ``text`` is the line as written, without comment: ``script`` quotes by rules of its own.
    """

    line: int
    words: tuple[str, ...]
    block: tuple[Statement, ...] | None = None
    text: str = ""

    @property
    def keyword(self) -> str:
        """The first word, or an empty string."""
        return self.words[0] if self.words else ""

    @property
    def value(self) -> str:
        """The second word, or an empty string."""
        return self.words[1] if len(self.words) > 1 else ""


@dataclass(frozen=True)
class Tree:
    """The statements of a text, and what was wrong with its form."""

    statements: tuple[Statement, ...]
    findings: tuple[Finding, ...]


_BRACE_OR_QUOTED = re.compile(r'[{}]|"[^"]*"?')
_WORD = re.compile(r'"([^"]*)"?|[^ \t\f\n\r\v"]+')


def words_of(text: str) -> tuple[str, ...]:
    """Words as most keywords have them: blanks divide, double quotes hold together."""
    return tuple(
        found.group(1) if found.group(1) is not None else found.group(0)
        for found in _WORD.finditer(text)
    )


_ESCAPES = {
    "a": "\a",
    "b": "\b",
    "E": "\x1b",
    "f": "\f",
    "n": "\n",
    "r": "\r",
    "t": "\t",
    "v": "\v",
}
_SHELL_PART = re.compile(
    r"""[ \t\f\n\r\v]+ | \\x([0-9A-Fa-f]+) | \\c(.) | \\([0-7]{1,3}) | \\(.)
        | (["']) | [^ \t\f\n\r\v"'\\]+ | \\""",
    re.VERBOSE | re.DOTALL,
)


def shell_words(text: str) -> list[str]:
    r"""Words as ``script`` has them: both kinds of quotes, backslash escapes (\n, \x41, \101)."""
    words: list[str] = []
    current: list[str] | None = None
    quote = ""
    for found in _SHELL_PART.finditer(text):
        part = found.group(0)
        hexadecimal, control, octal, escaped, mark = found.groups()
        if mark and quote in ("", mark):
            quote = "" if quote else mark
            current = current or []
        elif part[0] in _SPACE and not quote:
            if current is not None:
                words.append("".join(current))
            current = None
        else:
            current = current or []
            if hexadecimal:
                part = chr(int(hexadecimal[-2:], 16))
            elif control:
                part = chr(ord(control) & 0x1F)
            elif octal:
                part = chr(int(octal, 8) & 0xFF)
            elif escaped:
                part = _ESCAPES.get(escaped, escaped)
            current.append(part)
    if current is not None:
        words.append("".join(current))
    return words


def _pieces(text: str) -> Iterator[str]:
    """A line cut at its braces: ``{`` and ``}`` stand alone."""
    start = 0
    for found in _BRACE_OR_QUOTED.finditer(text):
        if found.group(0) in ("{", "}"):
            yield text[start : found.start()]
            yield found.group(0)
            start = found.end()
    yield text[start:]


@dataclass
class _Open:
    """A block under construction."""

    statement: Statement
    children: list[Statement] = field(default_factory=list)


# Jinja, Go and Helm, ERB, Mustache.
_TEMPLATE = re.compile(r"\{\{.*?\}\}|\{%.*?%\}|<%.*?%>")


def unrendered(text: str, node: str) -> Finding | None:
    """The one finding for a file that still has to be rendered, whatever else is wrong with it."""
    for number, line in enumerate(text.splitlines(), start=1):
        found = _TEMPLATE.search(line)
        if found:
            return reading.TEMPLATE_UNRENDERED.finding(
                f"looks like a template that was not rendered, line {number}: {found.group()}",
                "Give the file that the template makes.",
                node=node,
                line=number,
            )
    return None


def parse_tree(text: str, config_id: str = "", includes: Mapping[str, str] | None = None) -> Tree:
    """The statements of a keepalived.conf.

    ``config_id`` selects ``@id`` lines; ``includes`` maps what stands after ``include`` to text.
    Raises ConfError for a text over ``MAX_BYTES``, with NUL bytes, nested deeper than
    ``MAX_DEPTH``, with more than ``MAX_FINDINGS`` faults, or whose definitions expand without end.
    """
    findings: list[Finding] = []

    def report(rule: Rule, line: int, message: str, fix: str = "") -> None:
        check_count(findings, line)
        findings.append(rule.finding(message, fix, line=line))

    for content in (text, *(includes or {}).values()):
        _check_size(content)
    stack = [_Open(Statement(0, ()))]
    for number, line in ReadableLines(text, config_id, includes or {}, report):
        for piece in _pieces(line):
            if piece == "{":
                _open(stack, number, report)
            elif piece == "}":
                _close(stack, number, report)
            else:
                words = words_of(piece)
                if words:
                    stack[-1].children.append(Statement(number, words, None, piece.strip(_SPACE)))
    while len(stack) > 1:
        opened = stack[-1].statement
        report(
            reading.SYNTAX,
            opened.line,
            f"the brace that opens {opened.keyword or 'this block'} is never closed",
            "Write the closing brace, at the latest at the end of the file.",
        )
        _close(stack, 0, report)
    return Tree(tuple(stack[0].children), tuple(findings))


def finding(rule_id: str, message: str, fix: str = "", **where: Any) -> Finding:
    """A finding of the rule with this id; ``where`` is node, instance and line of it."""
    # Imported when needed: the rules bring the model of the election with them, and what modules
    # read on a host is nearly always a good file.
    from ..vrrp.rules import catalogue

    return catalogue.finding(rule_id, message, fix, **where)


def _check_size(text: str) -> None:
    nul = text.find("\0")
    if nul >= 0:
        raise ConfError(text.count("\n", 0, nul) + 1, "a NUL byte; this is no text file")
    if len(text) > MAX_BYTES:
        line = text.count("\n", 0, MAX_BYTES) + 1
        raise ConfError(line, f"the text is longer than {MAX_BYTES} characters")


def check_count(findings: Sized, line: int) -> None:
    if len(findings) >= MAX_FINDINGS:
        raise ConfError(line, f"more than {MAX_FINDINGS} faults up to here; this is another file")


def _open(stack: list[_Open], number: int, report: Callable[..., None]) -> None:
    if len(stack) > MAX_DEPTH:
        raise ConfError(number, f"blocks are nested deeper than {MAX_DEPTH}")
    siblings = stack[-1].children
    if siblings and siblings[-1].block is None:
        statement = siblings.pop()
    else:
        report(
            reading.SYNTAX,
            number,
            "a brace opens a block that has no name",
            "Remove the brace and the one that closes it.",
        )
        statement = Statement(number, ())
    stack.append(_Open(statement))


def _close(stack: list[_Open], number: int, report: Callable[..., None]) -> None:
    if len(stack) == 1:
        report(reading.SYNTAX, number, "a closing brace has no opening one", "Remove this brace.")
        return
    done = stack.pop()
    opened = done.statement
    stack[-1].children.append(
        Statement(opened.line, opened.words, tuple(done.children), opened.text)
    )
