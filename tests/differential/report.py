# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the test prints."""

from __future__ import annotations

import collections
import dataclasses
from pathlib import Path
from typing import List, Optional

from ansible_collections.mycat.ha.plugins.module_utils.vrrp import election

from .cases import Case
from .known import Known
from .run import Holders, Outcome, Step, configuration


def cluster(case: Case) -> str:
    """The nodes' configurations, as keepalived gets them."""
    parts = ["seed %d, settles within %.2f s of silence" % (case.seed, case.quiet)]
    for node in case.cluster.nodes:
        parts.append("--- %s, %s" % (node.name, node.address))
        parts.append(configuration(node, Path("/run/checks")))
    return "\n".join(parts)


def steps(outcome: Outcome) -> str:
    """The events and, after each, who holds what; a disagreement shows both sides."""
    return "\n".join(map(_step, outcome.steps))


def _step(step: Step) -> str:
    line = "%-34s %s" % (_event(step.event), _holders(step.daemon))
    if step.agrees:
        return line + ("" if step.certain else "   (timing decides)")
    expected = " or ".join(map(_holders, step.model))
    return "%s\n%-34s %s" % (line, "    the model says", expected)


def _event(event: election.Event) -> str:
    values = [str(getattr(event, field.name)) for field in dataclasses.fields(event)]
    return "%s(%s)" % (type(event).__name__, ", ".join(values))


def _holders(holders: Optional[Holders]) -> str:
    if holders is None:
        return "never settles"
    return ", ".join(
        "%s on %s" % (vip, "+".join(sorted(nodes)) or "nobody") for vip, nodes in sorted(holders.items())
    )


def suspect(outcome: Outcome) -> str:
    """One line for a first disagreement; it is run again before it counts."""
    step = outcome.steps[-1]
    return "seed %d disagrees at event %d, %s" % (
        outcome.case.seed,
        len(outcome.steps),
        _event(step.event),
    )


def disagreement(outcome: Outcome) -> str:
    """Everything that it takes to understand a disagreement."""
    return "\n".join((cluster(outcome.case), steps(outcome), logs(outcome)))


def logs(outcome: Outcome, lines: int = 12) -> str:
    """The end of what each daemon logged."""
    parts: List[str] = []
    for node, text in outcome.logs.items():
        kept = [line for line in text.splitlines() if "gratuitous ARP" not in line]
        parts += ["--- log of %s" % node, *kept[-lines:]]
    return "\n".join(parts)


def verdict(explained: Optional[Known]) -> str:
    """Whether a disagreement is a known fault of this keepalived."""
    if explained is None:
        return "UNEXPLAINED"
    return "known fault of keepalived: %s (%s)" % (explained.name, explained.reason)


def progress(tally: collections.Counter[str], suspects: List[int], seconds: float) -> str:
    """How far a campaign has come."""
    return "%d cases, %d events in %d s, %d to be run again" % (
        tally["cases"],
        tally["events"],
        seconds,
        len(suspects),
    )


def summary(tally: collections.Counter[str], unexplained: List[int], seconds: float) -> str:
    """The result of a campaign."""
    lines = [
        "%d cases, %d events (%d with one possible outcome) in %d s"
        % (tally["cases"], tally["events"], tally["certain"], seconds),
        "%d disagreed under load and agreed alone, %d are known faults of this keepalived, "
        "%d are unexplained" % (tally["load"], tally["known"], tally["unexplained"]),
    ]
    lines += ["replay with --seed %d" % seed for seed in unexplained]
    return "\n".join(lines)
