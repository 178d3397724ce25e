# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""keepalived.conf, read and written. Pure: no file is opened, an ``include`` is only recognised.

Theory of operation
-------------------
keepalived reads lines, not tokens, and so does this module, in three steps.

1. *Lines* (``_Lines``). Comments go (``#`` and ``!`` outside double quotes, anywhere in a line),
   ``@id`` lines are kept or dropped, ``$NAME=value`` is remembered and ``$NAME`` and ``${NAME}``
   are replaced, ``~SEQ`` and ``~LST`` repeat the rest of their line, ``include`` is replaced by the
   text the caller has for it.
2. *Statements* (``parse_tree``). Only a newline or a brace ends a statement: ``state MASTER
   priority 100`` on one line is one statement with three arguments, as the daemon has it.
3. *Meaning* (``parse``). Known statements become a ``model.Node``; whatever the daemon would skip
   or replace becomes a finding with its line. A track entry whose check is defined further down is
   dropped, because the daemon drops it; other values stay as written, and the rules judge them.

``render`` is the way back: ``parse(render(node), node.name, address=node.address).node == node``.

The grammar is that of keepalived.conf(5) and of keepalived 2.2.7 to 2.4.
"""

from __future__ import annotations

import ipaddress
import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sized
from dataclasses import dataclass, field

from ..vrrp import options
from ..vrrp.findings import Finding
from ..vrrp.model import (
    Authentication,
    Check,
    CheckKind,
    Cluster,
    Instance,
    ModelError,
    Node,
    State,
    SyncGroup,
    Track,
)
from ..vrrp.rules.catalogue import finding
from .keywords import ARGUMENTS, KEYWORDS, OTHER_BLOCKS

# Limits: far above what a real file needs, low enough to answer within a second or two.
MAX_BYTES = 1024 * 1024
MAX_DEPTH = 64
MAX_LINES = 50_000
MAX_FINDINGS = 1000
MAX_EXPANDED_LINE = 64 * 1024
# keepalived reads lines into a buffer of 1024 bytes and cuts longer ones in two.
KEEPALIVED_LINE = 1023

_SPACE = " \t\f\n\r\v"


class ConfError(ValueError):
    """A text that is no keepalived.conf at all. ``line`` counts from 1."""

    def __init__(self, line: int, problem: str) -> None:
        super().__init__(f"line {line}: {problem}")
        self.line = line
        self.problem = problem


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


@dataclass(frozen=True)
class Parsed:
    """A node as its keepalived.conf says, the findings of reading it, and where things stand.

    ``lines`` maps (block name, keyword) to a line; the keyword is empty for the block itself, the
    block name for what stands outside any named block.
    """

    node: Node
    findings: tuple[Finding, ...]
    lines: Mapping[tuple[str, str], int]


# --- 1. lines ---------------------------------------------------------------------------------

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
_BRACE_OR_QUOTED = re.compile(r'[{}]|"[^"]*"?')


def _without_comment(text: str) -> tuple[str, bool]:
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
class _Lines:
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
                "conditional-skipped",
                self.conditional_line,
                f"no @ line of this file is meant for {self.config_id or 'an unnamed host'}; "
                "all of them were left out",
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
                "syntax",
                number,
                f"the line is {len(raw)} characters long; keepalived cuts it after "
                f"{KEEPALIVED_LINE}",
                "Break the line in two.",
            )
        text, balanced = _without_comment(raw.rstrip("\r"))
        if not balanced:
            self.report("syntax", number, "a double quote is not closed on this line")
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
            text = _without_comment(replaced)[0]
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
                    "syntax",
                    number,
                    f"{found.group(1)} is not defined here, so its braces open a block",
                    "Define it above this line.",
                )

    def _included(self, number: int, text: str) -> bool:
        include = _INCLUDE.match(text)
        if not include:
            return False
        name = include.group(1)
        content = self.includes.get(name)
        if content is None:
            self.report("missing-include", number, f"the text of the include {name} was not given")
        else:
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
                    "syntax", number, f"{text[:4]} is not written as keepalived.conf(5) says"
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
            self.report("syntax", number, "~SEQ needs (name, start, step, end) with whole numbers")
            return range(0)
        start, step, end = bounds
        result = range(start, end + (1 if step > 0 else -1), step)
        if len(result) > MAX_LINES:
            raise ConfError(number, f"~SEQ expands to more than {MAX_LINES} lines")
        return result


# --- 2. statements ----------------------------------------------------------------------------

_WORD = re.compile(r'"([^"]*)"?|[^ \t\f\n\r\v"]+')


def _words(text: str) -> tuple[str, ...]:
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


def parse_tree(text: str, config_id: str = "", includes: Mapping[str, str] | None = None) -> Tree:
    """The statements of a keepalived.conf.

    ``config_id`` selects ``@id`` lines; ``includes`` maps what stands after ``include`` to text.
    Raises ConfError for a text over ``MAX_BYTES``, with NUL bytes, nested deeper than
    ``MAX_DEPTH``, with more than ``MAX_FINDINGS`` faults, or whose definitions expand without end.
    """
    findings: list[Finding] = []

    def report(rule_id: str, line: int, message: str, fix: str = "") -> None:
        _check_count(findings, line)
        findings.append(finding(rule_id, message, fix, line=line))

    for content in (text, *(includes or {}).values()):
        _check_size(content)
    stack = [_Open(Statement(0, ()))]
    for number, line in _Lines(text, config_id, includes or {}, report):
        for piece in _pieces(line):
            if piece == "{":
                _open(stack, number, report)
            elif piece == "}":
                _close(stack, number, report)
            else:
                words = _words(piece)
                if words:
                    stack[-1].children.append(Statement(number, words, None, piece.strip(_SPACE)))
    while len(stack) > 1:
        opened = stack[-1].statement
        report(
            "syntax",
            opened.line,
            f"the brace that opens {opened.keyword or 'this block'} is never closed",
        )
        _close(stack, 0, report)
    return Tree(tuple(stack[0].children), tuple(findings))


def _check_size(text: str) -> None:
    nul = text.find("\0")
    if nul >= 0:
        raise ConfError(text.count("\n", 0, nul) + 1, "a NUL byte; this is no text file")
    if len(text) > MAX_BYTES:
        line = text.count("\n", 0, MAX_BYTES) + 1
        raise ConfError(line, f"the text is longer than {MAX_BYTES} characters")


def _check_count(findings: Sized, line: int) -> None:
    if len(findings) >= MAX_FINDINGS:
        raise ConfError(line, f"more than {MAX_FINDINGS} faults up to here; this is another file")


def _open(stack: list[_Open], number: int, report: Callable[..., None]) -> None:
    if len(stack) > MAX_DEPTH:
        raise ConfError(number, f"blocks are nested deeper than {MAX_DEPTH}")
    siblings = stack[-1].children
    if siblings and siblings[-1].block is None:
        statement = siblings.pop()
    else:
        report("syntax", number, "a brace opens a block that has no name")
        statement = Statement(number, ())
    stack.append(_Open(statement))


def _close(stack: list[_Open], number: int, report: Callable[..., None]) -> None:
    if len(stack) == 1:
        report("syntax", number, "a closing brace has no opening one")
        return
    done = stack.pop()
    opened = done.statement
    stack[-1].children.append(
        Statement(opened.line, opened.words, tuple(done.children), opened.text)
    )


# --- 3. meaning -------------------------------------------------------------------------------

_DEFINITIONS = ("vrrp_script", "track_file", "vrrp_track_file", "vrrp_track_process")
_TRACK_KINDS = {kind.value: kind for kind in CheckKind}
# The weight of a track entry that names none, and whose check's definition names none either.
_DEFAULT_WEIGHT = {
    CheckKind.SCRIPT: 0,
    CheckKind.FILE: 1,
    CheckKind.PROCESS: 1,
    CheckKind.INTERFACE: 0,
}
_TRUE, _FALSE = ("on", "true", "yes"), ("off", "false", "no")
_INTEGER = re.compile(r"[+-]?[0-9]{1,9}\Z")
_DECIMAL = re.compile(r"\+?[0-9]{1,9}(\.[0-9]{0,9})?\Z")


@dataclass(frozen=True)
class _Defined:
    """A check's definition: the check, and what an entry that says nothing takes from it."""

    check: Check
    line: int
    position: int
    weight: int
    reverse: bool


@dataclass
class _Globals:
    """What ``global_defs`` sets for every instance."""

    version: int = 2
    strict: bool = False
    down_timer_adverts: int = 3
    script_security: bool = False
    script_user: str = ""


class _Reader:
    """Turns the statements of one node into its model; what it cannot take becomes a finding."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.findings: list[Finding] = []
        self.lines: dict[tuple[str, str], int] = {}
        self.globals = _Globals()
        self.defined: dict[tuple[CheckKind, str], _Defined] = {}
        self.instances: list[Instance] = []
        self.groups: list[SyncGroup] = []
        # Checks that some instance tracks in vain, and those that some instance really tracks.
        self.ignored: set[tuple[CheckKind, str]] = set()
        self.in_time: set[tuple[CheckKind, str]] = set()
        self.block = ""

    def report(self, rule_id: str, line: int | None, message: str, fix: str = "") -> None:
        """Adds a finding about the block that is being read."""
        _check_count(self.findings, line or 1)
        self.findings.append(
            finding(rule_id, message, fix, node=self.name, instance=self.block, line=line)
        )

    # Values

    def boolean(self, statement: Statement) -> bool:
        """A flag: alone it means yes."""
        if statement.value in _FALSE:
            return False
        if statement.value and statement.value not in _TRUE:
            self.invalid(statement, "on, off, true, false, yes or no")
        return True

    def invalid(self, statement: Statement, wanted: str, rule_id: str = "invalid-value") -> None:
        """Reports a value that is not what it must be."""
        value = statement.value
        said = f"{statement.keyword} is {value!r}" if value else f"{statement.keyword} has no value"
        self.report(rule_id, statement.line, f"{said}; it must be {wanted}")

    def integer(self, statement: Statement, default: int, rule_id: str = "invalid-value") -> int:
        """A whole number of any size that makes sense somewhere."""
        if _INTEGER.match(statement.value):
            return int(statement.value)
        self.invalid(statement, "a whole number", rule_id)
        return default

    def decimal(
        self, statement: Statement, default: float, rule_id: str = "invalid-value"
    ) -> float:
        """A number of seconds."""
        if _DECIMAL.match(statement.value):
            return float(statement.value)
        self.invalid(statement, "a number of seconds", rule_id)
        return default

    def entries(self, statement: Statement) -> Iterator[Statement]:
        """The lines of a block that is a list."""
        if statement.block is None:
            self.report(
                "syntax", statement.line, f"{statement.keyword} needs a block in braces", ""
            )
        for entry in statement.block or ():
            if entry.block is not None:
                self.report("syntax", entry.line, f"{entry.keyword} opens a block inside a list")
            if entry.words:
                yield entry

    def settings(self, statement: Statement) -> Iterator[Statement]:
        """The known statements of a block; the others are reported."""
        known = KEYWORDS[statement.keyword]
        if statement.block is None:
            self.report("syntax", statement.line, f"{statement.keyword} needs a block in braces")
        for child in statement.block or ():
            if child.keyword in known:
                self.lines.setdefault((self.block, child.keyword), child.line)
                self.excess(child)
                yield child
            elif child.words:
                self.unknown(child, f"in {statement.keyword} {self.block}".rstrip())

    def excess(self, statement: Statement) -> None:
        """Reports words that the daemon does not read, such as a second setting on the line."""
        read = 1 + ARGUMENTS.get(statement.keyword, len(statement.words))
        if len(statement.words) > read:
            said = repr(" ".join(statement.words[read:]))
            if statement.keyword.startswith("auth"):
                said = "the rest of the line"
            self.report(
                "syntax",
                statement.line,
                f"the daemon ignores {said} after {statement.keyword}; a statement ends with its "
                "line",
                "Write one statement a line.",
            )

    def unknown(self, statement: Statement, where: str) -> None:
        """Reports a keyword that the daemon does not know."""
        # What stands in authentication can be a password: it is never repeated.
        said = "this line" if where.startswith("in authentication") else repr(statement.keyword)
        self.report("unknown-keyword", statement.line, f"the daemon does not know {said} {where}")

    # Blocks

    def read(self, statements: Iterable[Statement]) -> None:
        """Reads a whole file. Globals come first: the daemon applies them when the file is read."""
        ordered = tuple(statements)
        readers = {
            "vrrp_script": self.script,
            "track_file": self.file,
            "vrrp_track_file": self.file,
            "vrrp_track_process": self.process,
            "vrrp_instance": self.instance,
            "vrrp_sync_group": self.group,
        }
        for statement in ordered:
            if statement.keyword == "global_defs":
                self.global_defs(statement)
        for is_definition in (True, False):
            for position, statement in enumerate(ordered):
                reader = readers.get(statement.keyword)
                if reader and (statement.keyword in _DEFINITIONS) == is_definition:
                    self.named(statement, position, reader)
        for statement in ordered:
            known = statement.keyword in KEYWORDS and statement.keyword != "authentication"
            if statement.words and not known and statement.keyword not in OTHER_BLOCKS:
                self.unknown(statement, "outside any block")

    def named(
        self, statement: Statement, position: int, reader: Callable[[Statement, int], None]
    ) -> None:
        """A block that must have a name of its own among its kind."""
        kind = statement.keyword
        if not statement.value:
            self.report("syntax", statement.line, f"{kind} needs a name")
            return
        if (kind, statement.value) in self.lines:
            first = self.lines[(kind, statement.value)]
            self.report(
                "duplicate-name",
                statement.line,
                f"{kind} {statement.value} is already defined on line {first}; this one is ignored",
            )
            return
        self.lines[(kind, statement.value)] = statement.line
        self.block = statement.value
        self.lines.setdefault((self.block, ""), statement.line)
        reader(statement, position)
        self.block = ""

    def checks(self) -> tuple[Check, ...]:
        """The checks in the order of their definition, without those that are tracked in vain: to
        the daemon these are not defined."""
        ignored = self.ignored - self.in_time
        kept = [its for key, its in self.defined.items() if key not in ignored]
        return tuple(its.check for its in sorted(kept, key=lambda its: its.position))

    def global_defs(self, statement: Statement) -> None:
        """The globals that change instances and scripts."""
        values = self.globals
        for child in self.settings(statement):
            if child.keyword == "vrrp_version":
                values.version = self.version(child, values.version)
            elif child.keyword == "vrrp_strict":
                values.strict = True
            elif child.keyword == "vrrp_down_timer_adverts":
                values.down_timer_adverts = self.adverts(child, values.down_timer_adverts)
            elif child.keyword == "enable_script_security":
                values.script_security = True
            elif child.keyword == "script_user":
                values.script_user = child.value

    def version(self, statement: Statement, default: int) -> int:
        """The VRRP version."""
        if statement.value in ("2", "3"):
            return int(statement.value)
        self.invalid(statement, "2 or 3")
        return default

    def adverts(self, statement: Statement, default: int) -> int:
        """How many adverts may be missed."""
        value = self.integer(statement, default)
        if 1 <= value <= 100:
            return value
        self.invalid(statement, "a number from 1 to 100")
        return default

    def runs(self, statement: Statement) -> int:
        """rise or fall."""
        value = self.integer(statement, 1)
        if value >= 1:
            return value
        self.invalid(statement, "at least 1")
        return 1

    def define(
        self, check: Check, statement: Statement, position: int, weight: Statement | None
    ) -> None:
        """Remembers a check with its default weight."""
        value, reverse = _DEFAULT_WEIGHT[check.kind], False
        if weight:
            value = self.integer(weight, value, "weight-range")
            reverse = weight.words[2:3] == ("reverse",)
        self.defined[(check.kind, check.name)] = _Defined(
            check, statement.line, position, value, reverse
        )

    def script(self, statement: Statement, position: int) -> None:
        """vrrp_script"""
        values: dict[str, object] = {}
        weight = None
        for child in self.settings(statement):
            if child.keyword == "script":
                words = shell_words(child.text)
                values["command"] = words[1] if len(words) > 1 else ""
                if len(words) > 2:
                    self.report(
                        "script-arguments-unquoted",
                        child.line,
                        f"the daemon runs {words[1]!r} and drops {' '.join(words[2:])!r}",
                    )
            elif child.keyword in ("interval", "timeout"):
                value = self.decimal(child, 0.0)
                if value <= 0:
                    self.invalid(child, "more than 0")
                else:
                    values[child.keyword] = value
            elif child.keyword in ("rise", "fall"):
                values[child.keyword] = self.runs(child)
            elif child.keyword == "init_fail":
                values["init_fail"] = True
            elif child.keyword == "user":
                values["user"] = child.value
            else:
                weight = child
        check = Check(statement.value, CheckKind.SCRIPT, **values)  # type: ignore[arg-type]
        self.define(check, statement, position, weight)

    def file(self, statement: Statement, position: int) -> None:
        """track_file"""
        self.watched(statement, position, CheckKind.FILE, "file")

    def process(self, statement: Statement, position: int) -> None:
        """vrrp_track_process"""
        self.watched(statement, position, CheckKind.PROCESS, "process")

    def watched(self, statement: Statement, position: int, kind: CheckKind, what: str) -> None:
        """A check that needs no command: ``what`` names the file or the process."""
        command = ""
        weight = None
        for child in self.settings(statement):
            if child.keyword == what:
                command = " ".join(child.words[1:])
            elif child.keyword == "weight":
                weight = child
        self.define(Check(statement.value, kind, command=command), statement, position, weight)

    def tracks(self, statement: Statement, position: int) -> Iterator[Track]:
        """The entries of a track_* block."""
        kind = _TRACK_KINDS[statement.keyword]
        seen = set()
        for entry in self.entries(statement):
            name = entry.keyword
            if name in seen:
                self.report("duplicate-name", entry.line, f"{name} is tracked twice")
                continue
            seen.add(name)
            self.lines.setdefault((self.block, f"{statement.keyword} {name}"), entry.line)
            defined = self.defined.get((kind, name))
            if defined and defined.position > position:
                self.ignored.add((kind, name))
                self.report(
                    "script-order",
                    entry.line,
                    f"{name} is defined on line {defined.line}, below {self.block}, which tracks "
                    "it; the daemon ignores this entry",
                )
            elif defined and kind is CheckKind.SCRIPT and not defined.check.command:
                self.ignored.add((kind, name))
                self.report(
                    "script-missing-command",
                    entry.line,
                    f"{name}, defined on line {defined.line}, has no script; the daemon removes "
                    "it, and its failure moves nothing",
                )
            elif defined:
                self.in_time.add((kind, name))
            weight = defined.weight if defined else _DEFAULT_WEIGHT[kind]
            reverse = defined.reverse if defined else False
            options = entry.words[1:]
            if options:
                track = self.track_options(entry, options, weight, reverse)
                if track is None:
                    continue
                weight, reverse = track
            yield Track(name, kind, weight, reverse)

    def track_options(
        self, entry: Statement, options: tuple[str, ...], weight: int, reverse: bool
    ) -> tuple[int, bool] | None:
        """weight N [reverse|noreverse]; None when the daemon would drop the whole entry."""
        if options[0] != "weight" or len(options) < 2:
            self.report(
                "invalid-value",
                entry.line,
                f"the daemon ignores {' '.join(entry.words)!r}; an entry is NAME weight NUMBER",
            )
            return None
        if _INTEGER.match(options[1]):
            weight = int(options[1])
        else:
            self.report("weight-range", entry.line, f"weight {options[1]!r} is no whole number")
        if len(options) > 2:
            if options[2] in ("reverse", "noreverse", "no_reverse"):
                reverse = options[2] == "reverse"
            else:
                self.report("invalid-value", entry.line, f"unknown weight option {options[2]!r}")
        return weight, reverse

    def group(self, statement: Statement, position: int) -> None:
        """vrrp_sync_group"""
        members: list[str] = []
        tracks: list[Track] = []
        weighted = False
        for child in self.settings(statement):
            if child.keyword == "group":
                for entry in self.entries(child):
                    members.extend(entry.words)
            elif child.keyword in _TRACK_KINDS:
                tracks.extend(self.tracks(child, position))
            elif child.keyword in ("sync_group_tracking_weight", "global_tracking"):
                weighted = True
        self.groups.append(SyncGroup(statement.value, tuple(members), weighted, tuple(tracks)))

    def instance(self, statement: Statement, position: int) -> None:
        """vrrp_instance"""
        self.instances.append(_InstanceReader(self, statement, position).read())


class _InstanceReader:
    """Reads one ``vrrp_instance``: one method a keyword that needs more than a value."""

    def __init__(self, reader: _Reader, statement: Statement, position: int) -> None:
        self.reader = reader
        self.statement = statement
        self.position = position
        self.values: dict[str, object] = {
            "nopreempt": False,
            "strict_mode": reader.globals.strict,
            "down_timer_adverts": reader.globals.down_timer_adverts,
        }
        self.lists: dict[str, tuple[str, ...]] = {}
        self.tracks: list[Track] = []
        self.version = 0
        self.priority: int | None = None
        self.state: State | None = None

    def read(self) -> Instance:
        """The instance as its block says, defaults filled in as the daemon does."""
        for child in self.reader.settings(self.statement):
            handler = getattr(self, "on_" + child.keyword, None)
            if child.keyword in _TRACK_KINDS:
                self.tracks.extend(self.reader.tracks(child, self.position))
            elif handler:
                handler(child)
        return self.finish()

    def finish(self) -> Instance:
        """Defaults that depend on other values."""
        values = self.values
        addresses = self.lists.get("virtual_ipaddress", ())
        ipv6 = bool(addresses) and ":" in addresses[0]
        priority = self.priority
        if priority is None:
            priority = 100
            if self.state is State.MASTER:
                priority = 255
                self.reader.report(
                    "master-without-priority",
                    self.statement.line,
                    "state is MASTER and no priority is written, so the daemon takes 255",
                )
        state = self.state or (State.MASTER if priority == 255 else State.BACKUP)
        version = self.version or (3 if ipv6 else self.reader.globals.version)
        vrid = values.pop("virtual_router_id", 0)
        return Instance(
            self.statement.value,
            vrid,  # type: ignore[arg-type]
            state=state,
            priority=priority,
            version=version,
            tracks=tuple(self.tracks),
            **self.lists,  # type: ignore[arg-type]
            **values,  # type: ignore[arg-type]
        )

    def on_state(self, child: Statement) -> None:
        """MASTER wins over a BACKUP that follows; any other word is BACKUP."""
        if child.value == "MASTER":
            self.state = State.MASTER
            return
        if child.value != "BACKUP":
            self.reader.report(
                "state-lowercase",
                child.line,
                f"state {child.value!r} is not known; the daemon takes BACKUP",
            )
        elif self.state is State.MASTER:
            self.reader.report("invalid-value", child.line, "state BACKUP after MASTER is ignored")
            return
        self.state = State.BACKUP

    def on_priority(self, child: Statement) -> None:
        self.priority = self.reader.integer(child, 100, "priority-range")

    def on_virtual_router_id(self, child: Statement) -> None:
        self.values["virtual_router_id"] = self.reader.integer(child, 0, "vrid-range")

    def on_version(self, child: Statement) -> None:
        self.version = self.reader.version(child, self.version)

    def on_native_ipv6(self, _child: Statement) -> None:
        self.version = 3

    def on_advert_int(self, child: Statement) -> None:
        self.values["advert_int"] = self.reader.decimal(child, 1.0, "advert-int-range")

    def on_interface(self, child: Statement) -> None:
        self.values["interface"] = child.value

    def on_nopreempt(self, _child: Statement) -> None:
        self.values["nopreempt"] = True

    def on_preempt(self, _child: Statement) -> None:
        self.values["nopreempt"] = False

    def on_preempt_delay(self, child: Statement) -> None:
        value = self.reader.decimal(child, 0.0)
        if value > 1000:
            self.reader.invalid(child, "0 to 1000 seconds")
            value = 0.0
        self.values["preempt_delay"] = value

    def on_accept(self, _child: Statement) -> None:
        self.values["accept"] = True

    def on_no_accept(self, _child: Statement) -> None:
        self.values["accept"] = False

    def on_strict_mode(self, child: Statement) -> None:
        self.values["strict_mode"] = self.reader.boolean(child)

    def on_down_timer_adverts(self, child: Statement) -> None:
        self.values["down_timer_adverts"] = self.reader.adverts(child, 3)

    def on_unicast_src_ip(self, child: Statement) -> None:
        self.values["unicast_src_ip"] = child.value

    def on_unicast_peer(self, child: Statement) -> None:
        """Options after an address (min_ttl, max_ttl) do not matter here."""
        peers = tuple(entry.keyword for entry in self.reader.entries(child))
        self._extend(child.keyword, peers)

    def addresses(self, child: Statement) -> None:
        """Addresses with their options, each as one string; the daemon skips what is none."""
        found = []
        for entry in self.reader.entries(child):
            try:
                ipaddress.ip_interface(entry.keyword)
            except ValueError:
                self.reader.report(
                    "invalid-value", entry.line, f"{entry.keyword!r} is no address; it is skipped"
                )
            else:
                found.append(" ".join(entry.words))
        self._extend(child.keyword, found)

    def _extend(self, keyword: str, more: Iterable[str]) -> None:
        """A list that is written in several blocks is one list."""
        self.lists[keyword] = (*self.lists.get(keyword, ()), *more)

    on_virtual_ipaddress = addresses
    on_virtual_ipaddress_excluded = addresses

    def on_authentication(self, child: Statement) -> None:
        """auth_type PASS or AH with an auth_pass."""
        auth_type = auth_pass = ""
        for setting in self.reader.settings(child):
            if setting.keyword == "auth_pass":
                auth_pass = setting.value
            elif setting.value in ("PASS", "AH"):
                auth_type = setting.value
            else:
                self.reader.report("invalid-value", setting.line, "auth_type must be PASS or AH")
        if auth_type:
            self.values["authentication"] = Authentication(auth_type, auth_pass)


def parse(
    text: str,
    name: str,
    *,
    address: str = "",
    keepalived_version: tuple[int, ...] = (2, 2, 7),
    config_id: str | None = None,
    includes: Mapping[str, str] | None = None,
) -> Parsed:
    """The node called ``name`` as its keepalived.conf describes it.

    ``address`` is where its adverts come from; without it, the first unicast_src_ip or
    mcast_src_ip counts. ``config_id`` selects ``@id`` lines (default: the name up to the first
    dot). Raises ConfError as ``parse_tree`` does.
    """
    tree = parse_tree(text, name.split(".")[0] if config_id is None else config_id, includes)
    reader = _Reader(name)
    reader.read(tree.statements)
    source = next((i.unicast_src_ip for i in reader.instances if i.unicast_src_ip), "")
    node = Node(
        name,
        address or source or _multicast_source(tree.statements),
        tuple(reader.instances),
        reader.checks(),
        tuple(reader.groups),
        reader.globals.script_security,
        reader.globals.script_user,
        keepalived_version,
    )
    located = tuple(
        Finding(f.id, f.severity, f.message, f.fix, name, f.instance, f.trace, f.line)
        for f in tree.findings
    )
    return Parsed(node, located + tuple(reader.findings), reader.lines)


def parse_cluster(
    texts: Mapping[str, str],
    addresses: Mapping[str, str] | None = None,
    keepalived_version: tuple[int, ...] = (2, 2, 7),
) -> tuple[Cluster, tuple[Finding, ...], dict[str, Mapping[tuple[str, str], int]]]:
    """The cluster that these files describe, node name to text, with the findings of reading them
    and, for each node, where its options stand.

    Raises ModelError for what is no text at all, naming node and line.
    """
    if not texts:
        raise ModelError("configs", "is empty; give the text of each node's keepalived.conf")
    parsed = []
    for name, text in texts.items():
        options.word("configs", name)
        if not isinstance(text, str):
            raise ModelError(f"configs.{name}", "is not the text of a keepalived.conf")
        address = (addresses or {}).get(name, "")
        try:
            parsed.append(parse(text, name, address=address, keepalived_version=keepalived_version))
        except ConfError as error:
            raise ModelError(f"configs.{name}", str(error)) from error
    return (
        Cluster(tuple(one.node for one in parsed)),
        tuple(item for one in parsed for item in one.findings),
        {one.node.name: one.lines for one in parsed},
    )


def _multicast_source(statements: Iterable[Statement]) -> str:
    for statement in statements:
        if statement.keyword == "vrrp_instance":
            for child in statement.block or ():
                if child.keyword == "mcast_src_ip":
                    return child.value
    return ""


# --- and back ---------------------------------------------------------------------------------

_PLAIN = re.compile(r"""[^\s{}"'#!$@~\\]+\Z""")


def render(node: Node) -> str:
    """A keepalived.conf that says what ``node`` is; ``node.address`` stands in it only as
    unicast_src_ip.

    Raises ModelError for a name or value that a keepalived.conf cannot hold.
    """
    lines: list[str] = []
    _block(lines, "global_defs", _global_lines(node))
    for check in node.checks:
        _block(lines, *_check_block(check))
    for group in node.sync_groups:
        body = [*_nested("group", group.members), *_track_lines(group.tracks)]
        if group.tracking_weight:
            body.append("sync_group_tracking_weight")
        _block(lines, f"vrrp_sync_group {_plain('sync_groups', group.name)}", body)
    for instance in node.instances:
        _block(
            lines,
            f"vrrp_instance {_plain('instances', instance.name)}",
            list(_instance_lines(instance)),
        )
    return "\n".join(lines) + "\n"


def _plain(where: str, value: str) -> str:
    if not _PLAIN.match(value):
        raise ModelError(where, f"{value!r} cannot stand in a keepalived.conf as one word")
    return value


def _block(lines: list[str], head: str, body: Iterable[str]) -> None:
    lines.append(head + " {")
    lines.extend("    " + line for line in body)
    lines.append("}")


def _nested(head: str, entries: Iterable[str]) -> list[str]:
    lines: list[str] = []
    _block(lines, head, (_words_of(head, entry) for entry in entries))
    return lines


def _words_of(where: str, entry: str) -> str:
    return " ".join(_plain(where, word) for word in entry.split()) or _plain(where, entry)


def _number(value: float) -> str:
    return f"{value:.6f}".rstrip("0").rstrip(".")


def _global_lines(node: Node) -> Iterator[str]:
    if node.script_security:
        yield "enable_script_security"
    if node.script_user:
        yield f"script_user {_plain('script_user', node.script_user)}"


def _check_block(check: Check) -> tuple[str, list[str]]:
    name = _plain("checks", check.name)
    if check.kind is CheckKind.INTERFACE:
        raise ModelError(f"checks {name}", "an interface needs no definition")
    if check.kind is CheckKind.FILE:
        return f"track_file {name}", [f"file {_quoted(name, check.command)}"]
    if check.kind is CheckKind.PROCESS:
        return f"vrrp_track_process {name}", [f"process {_words_of(name, check.command)}"]
    body = [f"interval {_number(check.interval)}", f"rise {check.rise}", f"fall {check.fall}"]
    if check.command:
        escaped = check.command.replace("\\", "\\\\")
        body.insert(0, f"script {_quoted(name, escaped)}")
    if check.timeout is not None:
        body.append(f"timeout {_number(check.timeout)}")
    if check.user:
        body.append(f"user {_plain(name, check.user)}")
    if check.init_fail:
        body.append("init_fail")
    return f"vrrp_script {name}", body


def _quoted(where: str, value: str) -> str:
    if not value or any(char in value for char in '"\n\r\0') or "${" in value:
        raise ModelError(where, f"{value!r} cannot stand in a keepalived.conf in quotes")
    return f'"{value}"'


def _track_lines(tracks: Iterable[Track]) -> Iterator[str]:
    for kind, entries in itertools.groupby(tracks, key=lambda track: track.kind):
        yield kind.value + " {"
        for track in entries:
            reverse = " reverse" if track.reverse else ""
            yield f"    {_plain(kind.value, track.check)} weight {track.weight}{reverse}"
        yield "}"


def _instance_lines(instance: Instance) -> Iterator[str]:
    yield from _value_lines(instance)
    if instance.authentication is not None:
        yield from _nested("authentication", _authentication_lines(instance.authentication))
    yield from _track_lines(instance.tracks)
    if instance.unicast_peer is not None:
        yield from _nested("unicast_peer", instance.unicast_peer)
    for keyword, entries in (
        ("virtual_ipaddress", instance.virtual_ipaddress),
        ("virtual_ipaddress_excluded", instance.virtual_ipaddress_excluded),
    ):
        if entries:
            yield from _nested(keyword, entries)


def _value_lines(instance: Instance) -> Iterator[str]:
    yield f"state {instance.state.value}"
    yield f"virtual_router_id {instance.virtual_router_id}"
    yield f"priority {instance.priority}"
    yield f"version {instance.version}"
    yield f"advert_int {_number(instance.advert_int)}"
    yield f"preempt_delay {_number(instance.preempt_delay)}"
    yield f"strict_mode {'on' if instance.strict_mode else 'off'}"
    yield f"down_timer_adverts {instance.down_timer_adverts}"
    if instance.interface:
        yield f"interface {_plain('interface', instance.interface)}"
    if instance.nopreempt:
        yield "nopreempt"
    if instance.accept is not None:
        yield "accept" if instance.accept else "no_accept"
    if instance.unicast_src_ip is not None:
        yield f"unicast_src_ip {_plain('unicast_src_ip', instance.unicast_src_ip)}"


def _authentication_lines(authentication: Authentication) -> Iterator[str]:
    yield f"auth_type {_plain('auth_type', authentication.auth_type)}"
    if authentication.auth_pass:
        if not _PLAIN.match(authentication.auth_pass):
            # The value is a secret: it is not shown.
            raise ModelError("auth_pass", "cannot stand in a keepalived.conf as one word")
        yield f"auth_pass {authentication.auth_pass}"
