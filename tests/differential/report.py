# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the test prints."""

from __future__ import annotations

import collections
import dataclasses
import re
from pathlib import Path

from ansible_collections.mycat.ha.plugins.module_utils.vrrp import events

from .cases import Case
from .known import Known
from .run import Holders, Outcome, Step, configuration


def cluster(case: Case) -> str:
    """The nodes' configurations, as keepalived gets them."""
    parts = [f"seed {case.seed}, settled after {case.quiet:.2f} s without a change"]
    for node in case.cluster.nodes:
        parts.append(f"--- {node.name}, {node.address}")
        parts.append(configuration(node, Path("/run/checks")))
    return "\n".join(parts)


def steps(outcome: Outcome) -> str:
    """The events and, after each, who holds what; a disagreement shows both sides."""
    return "\n".join(map(_step, outcome.steps))


def _step(step: Step) -> str:
    line = f"{_event(step.event):<34} {_holders(step.daemon)}"
    if step.agrees:
        return line + ("" if step.certain else "   (timing decides)")
    expected = " or ".join(map(_holders, step.model))
    return f"{line}\n{'    the model says':<34} {expected}"


def _event(event: events.Event) -> str:
    values = [str(getattr(event, field.name)) for field in dataclasses.fields(event)]
    return "{}({})".format(type(event).__name__, ", ".join(values))


def _holders(holders: Holders | None) -> str:
    if holders is None:
        return "never settles"
    return ", ".join(
        "{} on {}".format(vip, "+".join(sorted(nodes)) or "nobody")
        for vip, nodes in sorted(holders.items())
    )


def suspect(outcome: Outcome) -> str:
    """One line for a first disagreement; it is run again before it counts."""
    step = outcome.steps[-1]
    where = f"event {len(outcome.steps)}, {_event(step.event)}"
    return f"seed {outcome.case.seed} disagrees at {where}"


def disagreement(outcome: Outcome) -> str:
    """Everything that it takes to understand a disagreement."""
    return "\n".join((cluster(outcome.case), steps(outcome), logs(outcome)))


# What says nothing new, again and again.
_REPEATED = re.compile(
    "gratuitous ARP|received lower priority|Receive advertisement timeout|invalid"
)


def logs(outcome: Outcome, lines: int = 12) -> str:
    """The end of what each daemon logged."""
    parts: list[str] = []
    for node, text in outcome.logs.items():
        kept = [line for line in text.splitlines() if not _REPEATED.search(line)]
        parts += [f"--- log of {node}", *kept[-lines:]]
    return "\n".join(parts)


def verdict(explained: Known | None) -> str:
    """Whether a disagreement is a known fault of this keepalived."""
    if explained is None:
        return "UNEXPLAINED"
    return f"known fault of keepalived: {explained.name} ({explained.reason})"


def progress(tally: collections.Counter[str], suspects: list[int], seconds: float) -> str:
    """How far a campaign has come."""
    return (
        f"{tally['cases']} cases, {tally['events']} events in {seconds:.0f} s, "
        f"{len(suspects)} to be run again"
    )


def summary(tally: collections.Counter[str], unexplained: list[int], seconds: float) -> str:
    """The result of a campaign."""
    lines = [
        f"{tally['cases']} cases, {tally['events']} events "
        f"({tally['certain']} with one possible outcome) in {seconds:.0f} s",
        f"{tally['load']} disagreed in company and agreed alone, "
        f"{tally['known']} are known faults of this keepalived, "
        f"{tally['unexplained']} are unexplained",
    ]
    lines += [f"replay with --seed {seed}" for seed in unexplained]
    return "\n".join(lines)
