# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every rule there is, by section of docs/rules.md, and the functions that apply them."""

from __future__ import annotations

from ..estate import Judge
from ..findings import Finding, Rule
from . import (
    agreement,
    checks,
    plans,
    priorities,
    properties,
    reading,
    running,
    strict,
    unicast,
)

SECTIONS: tuple[tuple[str, tuple[Rule, ...]], ...] = (
    ("Properties", properties.RULES),
    ("What runs at all", tuple(running.RULES)),
    ("Priorities and weights", tuple(priorities.RULES)),
    ("What the nodes must have in common", tuple(agreement.RULES)),
    ("Unicast", tuple(unicast.RULES)),
    ("Checks", tuple(checks.RULES)),
    ("Strict mode", tuple(strict.RULES)),
    ("Reading the file", reading.RULES),
    ("Plans", plans.RULES),
)

CATALOGUE: dict[str, Rule] = {rule.id: rule for _title, rules in SECTIONS for rule in rules}

JUDGES: tuple[Judge, ...] = (
    *running.RULES.values(),
    *priorities.RULES.values(),
    *agreement.RULES.values(),
    *unicast.RULES.values(),
    *checks.RULES.values(),
    *strict.RULES.values(),
)


def finding(
    rule_id: str,
    message: str,
    fix: str = "",
    *,
    node: str = "",
    instance: str = "",
    line: int | None = None,
) -> Finding:
    """A finding of the rule with this id. Raises KeyError for an id that no rule has."""
    return CATALOGUE[rule_id].finding(message, fix, node=node, instance=instance, line=line)
