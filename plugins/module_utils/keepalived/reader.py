# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A keepalived.conf as the model of a node. Pure: no file is opened, an ``include`` is only
recognised.

keepalived reads lines, not tokens, and so do its readers here: ``lines`` gives the lines after all
substitution, ``tree`` the statements in them, and this module their meaning. Known statements
become a ``model.Node``; whatever the daemon would skip or replace becomes a finding with its line.
A track entry whose check is defined further down is dropped, because the daemon drops it; other
values stay as written, and the rules judge them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from .. import readers
from ..readers import SettingError
from ..vrrp.findings import Finding, Severity
from ..vrrp.model import (
    Check,
    CheckKind,
    Cluster,
    Instance,
    Node,
    SyncGroup,
    Track,
)
from ..vrrp.rules import priorities, reading
from ..vrrp.words import dotted, listed
from . import keywords
from .blocks import Misread, as_read
from .fixes import entry_meant, instead, known_instead, on_own_lines, without_value
from .instances import InstanceReader
from .keywords import ARGUMENTS, KEYWORDS
from .lines import ConfError
from .tree import Statement, parse_tree, shell_words, unrendered
from .values import FALSE, INTEGER, ValueReader


@dataclass(frozen=True)
class Parsed:
    """A node as its keepalived.conf says, the findings of reading it, and where things stand.

    ``lines`` maps (block name, keyword) to a line; the keyword is empty for the block itself, the
    block name for what stands outside any named block.
    """

    node: Node
    findings: tuple[Finding, ...]
    lines: Mapping[tuple[str, str], int]


_DEFINITIONS = ("vrrp_script", "track_file", "vrrp_track_file", "vrrp_track_process")
_TRACK_KINDS = {kind.value: kind for kind in CheckKind}
# The weight of a track entry that names none, and whose check's definition names none either.
_DEFAULT_WEIGHT = {
    CheckKind.SCRIPT: 0,
    CheckKind.FILE: 1,
    CheckKind.PROCESS: 0,
    CheckKind.INTERFACE: 0,
}


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
    check_unicast_src: bool = False
    down_timer_adverts: int = 3
    script_security: bool = False
    script_user: str = ""
    multicast_groups: dict[int, str] = field(default_factory=dict)


class NodeReader(ValueReader):
    """Turns the statements of one node into its model; what it cannot take becomes a finding."""

    def __init__(self, name: str, version: tuple[int, ...]) -> None:
        super().__init__(name, version)
        # Whether the daemon ends at a line of this file.
        self.refused = False
        self.lines: dict[tuple[str, str], int] = {}
        self.globals = _Globals()
        self.defined: dict[tuple[CheckKind, str], _Defined] = {}
        self.instances: list[Instance] = []
        self.groups: list[SyncGroup] = []
        # Checks that some instance tracks in vain, and those that some instance really tracks.
        self.ignored: set[tuple[CheckKind, str]] = set()
        self.in_time: set[tuple[CheckKind, str]] = set()

    def entries(self, statement: Statement) -> Iterator[Statement]:
        """The lines of a block that is a list."""
        if statement.block is None:
            self.report(
                reading.SYNTAX,
                statement.line,
                f"{statement.keyword} needs a block in braces",
                "Remove the line.",
            )
        for entry in statement.block or ():
            if entry.block is not None:
                self.report(
                    reading.SYNTAX,
                    entry.line,
                    f"{entry.keyword} opens a block inside a list",
                    f"Remove the braces of {entry.keyword}.",
                )
            if entry.words:
                yield entry

    def settings(self, statement: Statement) -> Iterator[Statement]:
        """The known statements of a block; the others are reported."""
        kind = statement.keyword
        if statement.block is None:
            self.report(
                reading.SYNTAX,
                statement.line,
                f"{kind} needs a block in braces",
                "Remove the line.",
            )
        for child in statement.block or ():
            if not keywords.is_known(kind, child.keyword, self.keepalived_version):
                self.unknown(child, kind, f"in {kind} {self.block}".rstrip())
                continue
            self.lines.setdefault((self.block, child.keyword), child.line)
            if not child.value and KEYWORDS[kind][child.keyword].ends_without_value:
                self.refused = True
                self.report(
                    reading.VALUE_MISSING,
                    child.line,
                    f"{child.keyword} has no value: keepalived ends at this line",
                    without_value(kind, child.keyword),
                )
                continue
            self.trailing(child, KEYWORDS[kind])
            yield child

    def trailing(self, statement: Statement, settings: Iterable[str]) -> None:
        """Reports words that the daemon does not read after a value."""
        read = 1 + ARGUMENTS.get(statement.keyword, len(statement.words))
        rest = statement.words[read:]
        if not rest:
            return
        said = repr(" ".join(rest))
        if statement.keyword.startswith("auth"):
            said = "the rest of the line"
        lost = [word for word in rest if word.rstrip(";") in settings]
        if lost and not rest[0].startswith(("//", "--")):
            self.report(
                reading.SYNTAX,
                statement.line,
                f"the daemon ignores {said} after {statement.keyword}; a statement ends with its "
                "line",
                on_own_lines([word.rstrip(";") for word in lost]) + ".",
            )
        elif read == 1 and rest[0].lower() in (*FALSE, "0", "disable", "disabled"):
            self.report(
                reading.TRAILING_WORDS,
                statement.line,
                f"{statement.keyword} {rest[0]} is {statement.keyword}: the daemon ignores {said}",
                f"Remove the line if {statement.keyword} is not meant.",
                severity=Severity.WARNING,
            )
        else:
            self.report(
                reading.TRAILING_WORDS,
                statement.line,
                f"the daemon ignores {said} after {statement.keyword}",
                f"Remove {said} after {statement.keyword} (or make it a comment with #).",
            )

    def unknown(self, statement: Statement, block: str, where: str, more: str = "") -> None:
        """Reports a keyword that the daemon does not know in a block ("": outside any), and what
        ``more`` comes of it."""
        keyword = statement.keyword
        since = keywords.since(block, keyword)
        if since:
            self.report(
                reading.UNKNOWN_KEYWORD,
                statement.line,
                f"keepalived {dotted(self.keepalived_version)} does not know {keyword} {where}; it "
                f"came with {dotted(since)}{more}",
                f"Remove {keyword}"
                + (
                    f" (or update keepalived to {dotted(since)} or later on all nodes)."
                    if keyword in keywords.AT_ONCE
                    else f", or update keepalived to {dotted(since)} or later."
                ),
            )
            return
        # What stands in authentication can be a password: it is never repeated.
        said = "this line" if block == "authentication" else repr(keyword)
        fix = known_instead(
            statement,
            block,
            self.keepalived_version,
            [key for name, key in self.lines if name == self.block],
        )
        if keyword.startswith("\ufeff"):
            said = f"{keyword[1:] or 'the line'} behind the byte order mark of the file,"
            fix = "Save the file as UTF-8 without byte order mark."
        self.report(
            reading.UNKNOWN_KEYWORD,
            statement.line,
            f"the daemon does not know {said} {where}{more}",
            fix,
        )

    def misread(self, found: Misread) -> None:
        """Reports a brace that the daemon ignores, with what is lost by it."""
        keyword, around = found.statement.keyword, found.block
        self.block = around.value
        where = f"{around.keyword} {around.value}".rstrip()
        words = (statement.keyword for statement in found.lost)
        lost = list(dict.fromkeys(word for word in words if keywords.is_keyword(word)))
        so = f"the next closing brace ends {where}" if where else ""
        if lost:
            so += f"{', and ' if so else ''}it does not read {listed(lost)}"
        if found.known:
            words = (word.rstrip(";") for word in found.statement.words[1:])
            others = [word for word in words if word in keywords.names_in(around.keyword)]
            self.report(
                reading.SYNTAX,
                found.statement.line,
                f"the daemon ignores the brace after {keyword}" + (f": {so}" if so else ""),
                on_own_lines(others) + "." if others else f"Remove the braces of {keyword}.",
            )
        else:
            self.unknown(
                found.statement,
                around.keyword,
                f"in {where}" if where else "outside any block",
                f", and ignores its brace: {so}" if so else "",
            )
        self.block = ""

    # Blocks

    def read(self, statements: Iterable[Statement]) -> None:
        """Reads a whole file. Globals come first: the daemon applies them when the file is read."""
        ordered, misread = as_read(statements, self.keepalived_version)
        for found in misread:
            self.misread(found)
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
            if not keywords.is_known("", statement.keyword, self.keepalived_version):
                self.unknown(statement, "", "outside any block")

    def named(
        self, statement: Statement, position: int, reader: Callable[[Statement, int], None]
    ) -> None:
        """A block that must have a name of its own among its kind."""
        kind = statement.keyword
        if not statement.value:
            self.report(
                reading.SYNTAX,
                statement.line,
                f"{kind} needs a name",
                "Remove the block (or give it a name).",
            )
            return
        if (kind, statement.value) in self.lines:
            first = self.lines[(kind, statement.value)]
            self.report(
                reading.DUPLICATE_NAME,
                statement.line,
                f"{kind} {statement.value} is already defined on line {first}; this one is ignored",
                f"Remove this {kind} {statement.value} (or give it a name of its own).",
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
            elif child.keyword == "vrrp_check_unicast_src":
                values.check_unicast_src = True
            elif child.keyword == "vrrp_down_timer_adverts":
                values.down_timer_adverts = self.adverts(child, values.down_timer_adverts)
            elif child.keyword == "enable_script_security":
                values.script_security = True
            elif child.keyword == "script_user":
                values.script_user = child.value
            elif child.keyword in ("vrrp_mcast_group4", "vrrp_mcast_group6"):
                values.multicast_groups[int(child.keyword[-1])] = child.value

    def version(self, statement: Statement, default: int) -> int:
        """The VRRP version."""
        if statement.value in ("2", "3"):
            return int(statement.value)
        self.invalid(statement, "2 or 3")
        return default

    def adverts(self, statement: Statement, default: int) -> int:
        """How many adverts may be missed."""
        value = self.leading_integer(statement, default)
        if 1 <= value <= 100:
            return value
        self.invalid(statement, "a number from 1 to 100")
        return default

    def runs(self, statement: Statement) -> int:
        """rise or fall."""
        value = self.leading_integer(statement, 1)
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
            value = self.leading_integer(weight, value, priorities.WEIGHT_RANGE)
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
                        reading.SCRIPT_ARGUMENTS_UNQUOTED,
                        child.line,
                        f"the daemon runs {words[1]!r} and drops {' '.join(words[2:])!r}",
                        f"Put quotes around the whole command in vrrp_script {statement.value}.",
                    )
            elif child.keyword in ("interval", "timeout"):
                value = self.decimal(child, 1.0)
                if value <= 0:
                    self.invalid(child, "more than 0", taken=1)
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
                self.report(
                    reading.DUPLICATE_NAME,
                    entry.line,
                    f"{name} is tracked twice",
                    f"Remove this {name}.",
                )
                continue
            seen.add(name)
            self.lines.setdefault((self.block, f"{statement.keyword} {name}"), entry.line)
            defined = self.defined.get((kind, name))
            if defined and defined.position > position:
                self.ignored.add((kind, name))
                self.report(
                    reading.SCRIPT_ORDER,
                    entry.line,
                    f"{name} is defined on line {defined.line}, below {self.block}, which tracks "
                    "it; the daemon ignores this entry",
                    f"Move the definition of {name} above {self.block}.",
                )
            elif defined and kind is CheckKind.SCRIPT and not defined.check.command:
                self.ignored.add((kind, name))
                self.report(
                    reading.SCRIPT_MISSING_COMMAND,
                    entry.line,
                    f"{name}, defined on line {defined.line}, has no script; the daemon removes "
                    "it, and its failure moves nothing",
                    f"Write script and the command to run in vrrp_script {name}.",
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
                reading.INVALID_VALUE,
                entry.line,
                f"the daemon ignores {' '.join(entry.words)!r}; an entry is NAME weight NUMBER",
                instead(entry, entry_meant(entry)),
            )
            return None
        if INTEGER.match(options[1]):
            weight = int(options[1])
        else:
            self.report(
                priorities.WEIGHT_RANGE,
                entry.line,
                f"weight {options[1]!r} is no whole number",
                instead(entry, f"{entry.keyword} weight {weight}"),
            )
        if len(options) > 2:
            if options[2] in ("reverse", "noreverse", "no_reverse"):
                reverse = options[2] == "reverse"
            else:
                self.report(
                    reading.INVALID_VALUE,
                    entry.line,
                    f"unknown weight option {options[2]!r}",
                    instead(entry, " ".join(entry.words[:3])),
                )
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
        self.instances.append(InstanceReader(self, statement, position).read())


def parse(
    text: str,
    name: str,
    *,
    address: str = "",
    addresses: tuple[str, ...] = (),
    keepalived_version: tuple[int, ...] = (2, 2, 7),
    config_id: str | None = None,
    includes: Mapping[str, str] | None = None,
) -> Parsed:
    """The node called ``name`` as its keepalived.conf describes it.

    ``address`` is where its adverts come from; without it, the first unicast_src_ip or
    mcast_src_ip counts. ``addresses`` are all that the node has, if they are known. ``config_id``
    selects ``@id`` lines (default: the name up to the first dot), ``includes`` maps paths to the
    texts that ``include`` finds there. Raises ConfError as ``parse_tree`` does.
    """
    template = unrendered(text, name)
    if template:
        node = Node(name, address, (), keepalived_version=keepalived_version)
        return Parsed(node, (template,), {})
    tree = parse_tree(text, name.split(".")[0] if config_id is None else config_id, includes)
    reader = NodeReader(name, keepalived_version)
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
        addresses,
        reader.refused,
    )
    located = tuple(replace(found, node=name) for found in tree.findings)
    return Parsed(node, located + tuple(reader.findings), reader.lines)


def parse_cluster(
    texts: Mapping[str, str],
    addresses: Mapping[str, str] | None = None,
    keepalived_version: tuple[int, ...] = (2, 2, 7),
    more: Mapping[str, Mapping[str, Any]] | None = None,
) -> tuple[Cluster, tuple[Finding, ...], dict[str, Mapping[tuple[str, str], int]]]:
    """The cluster that these files describe, node name to text, with the findings of reading them
    and, for each node, where its options stand.

    ``more`` maps the names of nodes to further arguments of ``parse`` for them. Raises SettingError
    for what is no text at all, naming node and line.
    """
    if not texts:
        raise SettingError("configs", "is empty; give the text of each node's keepalived.conf")
    parsed = []
    for name, text in texts.items():
        readers.word("configs", name)
        if not isinstance(text, str):
            raise SettingError(f"configs.{name}", "is not the text of a keepalived.conf")
        told = {
            "address": (addresses or {}).get(name, ""),
            "keepalived_version": keepalived_version,
            **(more or {}).get(name, {}),
        }
        try:
            parsed.append(parse(text, name, **told))
        except ConfError as error:
            raise SettingError(f"configs.{name}", str(error)) from error
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
