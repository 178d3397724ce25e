# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a finding is, and what a rule is: the explanation of a finding's id.

Every id is a ``Rule`` beside the function that raises it (``rules``), with its severity, the harm
in one line, an example and the fix. ``docs/rules.md`` is made from these.

Severity: *error* is what leaves the service without its address, puts the address on two nodes, or
makes the daemon run something else than the file says where that can do either; *warning* is what
makes failover slower, less predictable or more surprising; *info* tells what was not judged.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Severity(enum.Enum):
    """How bad a finding is."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"

    @property
    def rank(self) -> int:
        """0 is the worst."""
        return list(Severity).index(self)


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong. ``node`` and ``instance`` are empty where none is meant.

    ``trace`` is the shortest list of events that shows the harm, ``line`` the line of the node's
    keepalived.conf (from 1), if it was read from text.
    """

    id: str
    severity: Severity
    message: str
    fix: str
    node: str = ""
    instance: str = ""
    trace: tuple[str, ...] = ()
    line: int | None = None

    def as_data(self) -> dict[str, object]:
        """The finding as the modules return it."""
        return {
            "id": self.id,
            "severity": self.severity.value,
            "node": self.node,
            "instance": self.instance,
            "message": self.message,
            "fix": self.fix,
            "trace": list(self.trace),
            "line": self.line,
        }


@dataclass(frozen=True)
class Rule:
    """The explanation of an id.

    ``breaks`` is the property that an instance of an error violates (``no-failover``,
    ``dual-master``), ``unless`` when it does not all the same; where an error breaks neither,
    ``unproven`` says why.
    """

    id: str
    severity: Severity
    harm: str
    example: str
    fix: str
    breaks: str = ""
    unless: str = ""
    unproven: str = ""

    def finding(
        self,
        message: str,
        fix: str = "",
        *,
        node: str = "",
        instance: str = "",
        trace: tuple[str, ...] = (),
        line: int | None = None,
        severity: Severity | None = None,
    ) -> Finding:
        """A finding of this rule; severity and fix are the rule's unless given."""
        return Finding(
            self.id,
            severity or self.severity,
            message,
            fix or self.fix,
            node,
            instance,
            trace,
            line,
        )


OUTRANKED = "the other nodes take the address from this one anyway as soon as they are healthy."
