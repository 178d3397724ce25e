# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything that is wrong with a cluster: the rules and the search, put together.

Two kinds of findings meet here. *Properties* (``no-failover``, ``dual-master``) come from the
search in ``explore``: it looks at every reachable state and returns the shortest events that lead
to harm. *Causes* come from ``rules``: each looks at the configuration alone and says, with
numbers, what to change. A property finding names the causes found in the same virtual router.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Iterable, Iterator, Sequence

from ..readers import SettingError
from .estate import Estate, Lines
from .explore import Outcome, explore
from .findings import Finding, Severity
from .model import Cluster
from .rules import agreement, checks, reading, unicast
from .rules import running as running_rules
from .rules.catalogue import CATALOGUE, JUDGES
from .rules.properties import broken_properties
from .running import running
from .sources import with_sources
from .words import counted, describe

# What one judgement takes. Larger estates are judged in parts: routers do not touch each other.
MOST_INSTANCES = 25_500
MOST_NODES = 100
MOST_CHECKS = 100
MOST_MEMBERS = 100
MOST_ADDRESSES = 1000

_BREAKS = {rule.id: rule.breaks for rule in CATALOGUE.values()}


@dataclass(frozen=True)
class Report:
    """What ``validate`` found, worst first."""

    findings: tuple[Finding, ...]
    outcomes: tuple[Outcome, ...] = ()

    def as_data(self) -> dict[str, object]:
        """Findings and outcomes as the modules return them."""
        return {
            "findings": [item.as_data() for item in self.findings],
            "outcomes": [
                {
                    "failures": [describe(event) for event in outcome.failures],
                    "holders": {address: list(names) for address, names in outcome.holders},
                }
                for outcome in self.outcomes
            ],
        }

    def as_text(self, least: Severity) -> str:
        """The findings of at least this severity for a person to read, worst first."""
        shown = [item for item in self.findings if item.severity.rank <= least.rank]
        alike: dict[tuple[str, ...], list[Finding]] = {}
        names = {item.node for item in shown} - {""}
        for item in shown:
            alike.setdefault(_apart_from_node(item, names), []).append(item)
        return "\n\n".join(map(_paragraph, alike.values()))

    @property
    def verdict(self) -> str:
        """All in one line: the worst that can happen, and how much was found."""
        counts = [
            counted(sum(item.severity is severity for item in self.findings), severity.value)
            for severity in (Severity.ERROR, Severity.WARNING)
        ]
        worst = [item for item in self.findings if item.trace and item.severity is Severity.ERROR]
        said = worst[0].message.partition(". ")[0] if worst else ""
        return ": ".join(filter(None, (", ".join(counts), said))) + "."

    def reaches(self, severity: Severity) -> bool:
        """Whether a finding is at least this severe."""
        return any(found.severity.rank <= severity.rank for found in self.findings)


def _apart_from_node(found: Finding, nodes: Iterable[str]) -> tuple[str, ...]:
    """What findings about several nodes have in common. A fix may name all nodes, in any order."""
    message = _masked(found.message, [found.node])
    return (found.id, found.severity.value, found.instance, message, _masked(found.fix, nodes))


def _masked(text: str, names: Iterable[str]) -> str:
    for name in filter(None, names):
        text = re.sub(rf"(?<![\w.-]){re.escape(name)}(?![\w-])", "\0", text)
    return text


def _paragraph(alike: Sequence[Finding]) -> str:
    """One finding, and where else the same was found."""
    found = alike[0]
    lines = [f"{found.severity.value}: {found.id}" + _place(found)]
    lines.append("  " + found.message)
    lines += [f"    {number}. {event}" for number, event in enumerate(found.trace, start=1)]
    # A broken property is cured by its causes, which follow.
    if not found.trace or "Cause: " not in found.message:
        lines.append("  Fix: " + found.fix)
    if len(alike) > 1:
        lines.append("  Also" + ";".join(map(_place, alike[1:])))
    return "\n".join(lines)


def _place(found: Finding) -> str:
    where = [found.node, found.instance, f"line {found.line}" if found.line else ""]
    place = ", ".join(filter(None, where))
    return f" ({place})" if place else ""


def validate(
    cluster: Cluster, reading: Iterable[Finding] = (), lines: Lines | None = None
) -> Report:
    """Everything that is wrong with ``cluster``, and who holds what after which failures.

    ``reading`` are the findings of whoever read it, ``lines`` where options stand: node name to
    (block, keyword) to line, as ``keepalived_conf.Parsed.lines`` has it. Raises SettingError for a
    cluster so large that the answer would not come within seconds.
    """
    _ask_of_instances(cluster)
    cluster = with_sources(cluster)
    estate = Estate(cluster, lines or {})
    for router in estate.routers:
        _ask_at_most(MOST_NODES, len(router), f"nodes that share {router[0].instance.name}")
    causes = list(reading)
    for judge in JUDGES:
        causes.extend(judge(estate))
    causes = list(_without_echoes(causes))
    exploration = explore(running(cluster))
    properties = broken_properties(estate, exploration, causes, _BREAKS)
    return Report(_ordered([*properties, *causes]), exploration.outcomes)


def _ask_of_instances(cluster: Cluster) -> None:
    _ask_at_most(MOST_INSTANCES, sum(len(node.instances) for node in cluster.nodes), "instances")
    for node in cluster.nodes:
        for group in node.sync_groups:
            where = f"of {group.name} on {node.name}"
            _ask_at_most(MOST_MEMBERS, len(group.members), f"members {where}")
        groups = sum(len(group.tracks) for group in node.sync_groups)
        for instance in node.instances:
            where = f"of {instance.name} on {node.name}"
            _ask_at_most(MOST_CHECKS, len(instance.tracks) + groups, f"tracked checks {where}")
            addresses = [*instance.virtual_ipaddress, *instance.virtual_ipaddress_excluded]
            _ask_at_most(MOST_ADDRESSES, len(addresses), f"addresses {where}")


def _ask_at_most(most: int, count: int, what: str) -> None:
    if count > most:
        raise SettingError(what, f"{count} are given; at most {most} can be judged together")


# Id of a rule to the ids of reading that explain it on the same line.
_EXPLAINED_BY = {
    checks.SCRIPT_UNDEFINED.id: (reading.SCRIPT_ORDER.id, reading.SCRIPT_MISSING_COMMAND.id),
    agreement.AUTH_PASS_MISSING.id: (reading.VALUE_MISSING.id,),
}
# What nobody can say while the text of a node is not known.
_UNKNOWN_OF_A_TEMPLATE = (
    agreement.NO_INSTANCE.id,
    agreement.SINGLE_NODE.id,
    unicast.UNICAST_UNKNOWN_PEER.id,
)
# Found by reading where it is no number, and by the rules for the number taken instead.
_SAID_ONCE_A_LINE = (running_rules.VRID_RANGE.id,)


def _without_echoes(found: Sequence[Finding]) -> Iterator[Finding]:
    """What a finding of reading explains on the same line is not said again by a rule."""
    said = {(item.node, item.line, item.id) for item in found}
    templates = {item.node for item in found if item.id == reading.TEMPLATE_UNRENDERED.id}
    told: dict[tuple[object, ...], Finding] = {}
    for item in found:
        place = (item.node, item.line)
        reasons = _EXPLAINED_BY.get(item.id, ())
        if templates and item.id in _UNKNOWN_OF_A_TEMPLATE:
            continue
        if any((*place, reason) in said for reason in reasons):
            continue
        key = (*place, item.id) if item.id in _SAID_ONCE_A_LINE else (item,)
        # The rules know what the other nodes have.
        told[key] = replace(told[key], fix=item.fix) if key in told else item
    yield from told.values()


def _ordered(found: Iterable[Finding]) -> tuple[Finding, ...]:
    """Worst first, properties before causes, then as the catalogue and the nodes are ordered."""
    order = {rule_id: place for place, rule_id in enumerate(CATALOGUE)}
    unique = dict.fromkeys(found)
    return tuple(sorted(unique, key=lambda item: (item.severity.rank, order[item.id])))
