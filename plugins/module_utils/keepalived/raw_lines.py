# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lines that an operator writes into keepalived.conf as they are. Pure."""

from __future__ import annotations

import difflib
import re
from typing import Any, Iterable, Iterator, Mapping, Sequence

from ..readers import CONTROL, SettingError, wrong
from .keywords import KEYWORDS, SECRETS
from .lines import ConfError
from .tree import Statement, parse_tree

_TOP = frozenset((*KEYWORDS, *KEYWORDS[""], "include")) - {""}
_LINE = re.compile(r"\bLine (\d+)\b")


def judge_raw_lines(where: str, lines: Sequence[str], block: str) -> None:
    """Refuses lines that would close the block they stand in (empty: none), that no version knows
    there, or that hold a password."""
    for index, line in enumerate(lines):
        if CONTROL.search(line):
            raise wrong(f"{where}[{index}]", line, "one line in each item of the list")
    known = frozenset(KEYWORDS[block]) if block else _TOP
    try:
        tree = parse_tree("\n".join(lines))
    except ConfError as error:
        raise SettingError(f"{where}[{error.line - 1}]", error.problem) from error
    for finding in tree.findings:
        if finding.id == "syntax":
            raise SettingError(f"{where}[{(finding.line or 1) - 1}]", finding.message)
    _refuse_secrets(where, tree.statements)
    for statement in tree.statements:
        if statement.keyword not in known and not statement.keyword.startswith("$"):
            close = difflib.get_close_matches(statement.keyword, sorted(known), 1)
            raise SettingError(
                f"{where}[{statement.line - 1}]",
                "{value} is no keyword of keepalived "
                + (f"in {block}; " if block else "outside all blocks; ")
                + (f"write {close[0]}" if close else "leave it out"),
                value=statement.keyword,
            )


def _refuse_secrets(where: str, statements: Iterable[Statement]) -> None:
    for statement in statements:
        # Raw lines are shown.
        instead = SECRETS.get(statement.keyword)
        if instead:
            raise SettingError(
                f"{where}[{statement.line - 1}]",
                f"{statement.keyword} holds a password, and raw lines are shown; write {instead}",
            )
        _refuse_secrets(where, statement.block or ())


def raw_lines(settings: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Each raw line of the role's ``settings`` behind the path of its option."""
    lists = [(name, settings.get(name)) for name in ("keepalived_global_extra", "keepalived_extra")]
    for index, vip in enumerate(settings["keepalived_vips"]):
        for key in ("virtual_routes", "virtual_rules", "track_interface", "extra"):
            lists.append((f"keepalived_vips[{index}].{key}", vip.get(key)))
    for name, lines in lists:
        for index, line in enumerate(lines or []):
            yield f"{name}[{index}]", line


def with_raw_lines(message: str, text: str, settings: Mapping[str, Any]) -> str:
    """A complaint of ``keepalived -t`` about ``text``, with the raw lines that it is about."""
    lines = text.splitlines()
    raw = {line.strip(): where for where, line in raw_lines(settings) if line.strip()}
    found = []
    for number in dict.fromkeys(map(int, _LINE.findall(message))):
        line = lines[number - 1].strip() if 0 < number <= len(lines) else ""
        if line in raw:
            found.append(f"Line {number} is {raw[line]}: {line}")
    return ". ".join([message, *found])
