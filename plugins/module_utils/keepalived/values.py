# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The values of single statements, as the daemon takes them; what it does not take is reported."""

from __future__ import annotations

import re
from dataclasses import replace

from ..vrrp.findings import Finding, Rule, Severity
from ..vrrp.rules import reading
from .fixes import value_to_write
from .tree import Statement, check_count

TRUE, FALSE = ("on", "true", "yes"), ("off", "false", "no")
INTEGER = re.compile(r"[+-]?[0-9]{1,9}\Z")
_LEADING = re.compile(r"[+-]?[0-9]{1,9}")
_DECIMAL = re.compile(r"\+?[0-9]{1,9}(\.[0-9]{0,9})?\Z")


class ValueReader:
    """Reads values, and keeps the findings about one node's file."""

    def __init__(self, name: str, version: tuple[int, ...]) -> None:
        self.name = name
        self.keepalived_version = version
        self.findings: list[Finding] = []
        self._places: dict[tuple[str, Severity, str, int | None, str], int] = {}
        #: The name of the block that is being read.
        self.block = ""

    def report(
        self,
        rule: Rule,
        line: int | None,
        message: str,
        fix: str = "",
        severity: Severity | None = None,
    ) -> None:
        """Adds a finding about the block that is being read; what one fix cures is one finding."""
        check_count(self.findings, line or 1)
        found = rule.finding(
            message, fix, node=self.name, instance=self.block, line=line, severity=severity
        )
        cured_by = (rule.id, found.severity, self.block, line, fix or message)
        if cured_by in self._places:
            place = self._places[cured_by]
            earlier = self.findings[place].message
            self.findings[place] = replace(found, message=f"{earlier}; {message}")
            return
        self._places[cured_by] = len(self.findings)
        self.findings.append(found)

    def boolean(self, statement: Statement) -> bool:
        """A flag: alone it means yes."""
        if statement.value in FALSE:
            return False
        if statement.value and statement.value not in TRUE:
            self.invalid(statement, "on, off, true, false, yes or no")
        return True

    def invalid(
        self,
        statement: Statement,
        wanted: str,
        rule: Rule = reading.INVALID_VALUE,
        taken: float | None = None,
    ) -> None:
        """Reports a value that is not what it must be, and what the daemon takes instead."""
        value = statement.value
        said = f"{statement.keyword} is {value!r}" if value else f"{statement.keyword} has no value"
        instead = "" if taken is None else f"; the daemon takes {taken:g}"
        fix = value_to_write(statement, taken)
        self.report(rule, statement.line, f"{said}; it must be {wanted}{instead}", fix)

    def integer(
        self, statement: Statement, default: int, rule: Rule = reading.INVALID_VALUE
    ) -> int:
        """A whole number of any size that makes sense somewhere."""
        if INTEGER.match(statement.value):
            return int(statement.value)
        self.invalid(statement, "a whole number", rule, default or None)
        return default

    def leading_integer(
        self, statement: Statement, default: int, rule: Rule = reading.INVALID_VALUE
    ) -> int:
        """A whole number of which the daemon takes the digits in front, as in ``-20abc``."""
        leading = _LEADING.match(statement.value)
        if not leading or leading.group() == statement.value:
            return self.integer(statement, default, rule)
        self.report(
            rule,
            statement.line,
            f"{statement.keyword} is {statement.value!r}; the daemon takes {leading.group()}",
            f"Write {statement.keyword} {leading.group()}.",
            severity=Severity.WARNING,
        )
        return int(leading.group())

    def decimal(
        self, statement: Statement, default: float, rule: Rule = reading.INVALID_VALUE
    ) -> float:
        """A number of seconds."""
        if _DECIMAL.match(statement.value):
            return float(statement.value)
        self.invalid(statement, "a number of seconds", rule, default or None)
        return default
