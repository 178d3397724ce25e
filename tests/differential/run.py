# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run a case through the model and through real daemons, and compare who holds what."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, FrozenSet, Mapping

from ansible_collections.mycat.ha.plugins.module_utils.keepalived.configuration import (
    context,
    render,
)
from ansible_collections.mycat.ha.plugins.module_utils.vrrp import election, events, hearing
from ansible_collections.mycat.ha.plugins.module_utils.vrrp.model import (
    Check,
    CheckKind,
    Cluster,
    Node,
)

from . import REPOSITORY
from .cases import Case
from .daemon import Daemon
from .lab import Lab, LabError

TEMPLATE = REPOSITORY / "roles/keepalived/templates/keepalived.conf.j2"

# How often an instance may go on changing before it counts as never settling, in quiet periods.
RESTLESS = 6

# Down timers this close together, in seconds, end in any order on a busy machine.
JITTER = 0.012

Holders = Mapping[str, FrozenSet[str]]
"""Names of the nodes that have each VIP on their interface."""


@dataclass(frozen=True)
class Step:
    """What both sides say after an event. ``model`` lists every outcome that the model allows, the
    likeliest first; None stands for an election that never settles."""

    event: events.Event
    model: tuple[Holders | None, ...]
    daemon: Holders | None

    @property
    def agrees(self) -> bool:
        """Whether the model allows what the daemons did."""
        return self.daemon in self.model

    @property
    def certain(self) -> bool:
        """Whether the model allows one outcome only."""
        return len(self.model) == 1


@dataclass(frozen=True)
class Outcome:
    """The steps of a case, up to the first that disagrees; ``logs`` are the daemons' then."""

    case: Case
    steps: tuple[Step, ...]
    logs: Mapping[str, str] = dataclasses.field(default_factory=dict)

    @property
    def agrees(self) -> bool:
        """Whether every step agrees."""
        return all(step.agrees for step in self.steps)


class Model:
    """The model's side. Where timing decides it goes on with every state that is still possible."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._possible = {election.initial(cluster)}

    def apply(self, event: events.Event) -> tuple[Holders | None, ...]:
        """Every outcome of the event, the likeliest first."""
        outcomes: list[Holders | None] = []
        following = set()
        for state in self._possible:
            try:
                following.add(election.apply(self._cluster, state, event))
                outcomes.append(self._holders(election.apply(self._cluster, state, event)))
                following |= election.settle_all(self._cluster, state, event, JITTER)
            except election.EndlessElectionError:
                outcomes.append(None)
        self._possible = following
        outcomes += map(self._holders, following)
        return tuple(holders for n, holders in enumerate(outcomes) if holders not in outcomes[:n])

    def observe(self, seen: Holders) -> None:
        """Drop the states that do not show as ``seen``."""
        self._possible = {state for state in self._possible if self._holders(state) == seen}

    def _holders(self, state: events.ClusterState) -> Holders:
        return dict(election.holders(self._cluster, state))


def run(case: Case, daemon: Daemon, keep: bool = False) -> Outcome:
    """Run ``case`` up to its first disagreement; LabError when it is the machine that fails."""
    cluster = case.cluster
    addresses = {node.name: node.address for node in cluster.nodes}
    extra = {node.name: _tracked_interfaces(node) for node in cluster.nodes}
    vips = {
        vip
        for node in cluster.nodes
        for instance in node.instances
        for vip in hearing.addresses_of(instance)
    }
    model = Model(cluster)
    steps: list[Step] = []
    with Lab(daemon, addresses, extra, keep) as lab:
        for node in cluster.nodes:
            for check in node.checks:
                set_check(lab.directory, node.name, check, passes=True)
            lab.configuration(node.name).write_text(configuration(node, lab.directory))
        for event in case.events:
            _perform(lab, cluster, event)
            expected = model.apply(event)
            settled = lab.settle(case.quiet, RESTLESS * case.quiet + 2)
            dead = lab.dead()
            if dead:
                raise LabError(f"seed {case.seed}: keepalived ended by itself: {lab.log(dead[0])}")
            present = {node: lab.addresses(node) for node in addresses}
            seen = {vip: frozenset(n for n in present if vip in present[n]) for vip in vips}
            steps.append(Step(event, expected, seen if settled else None))
            if not steps[-1].agrees:
                logs = {node: lab.log(node) for node in addresses}
                return Outcome(case, tuple(steps), logs)
            if not settled:
                break
            model.observe(seen)
    return Outcome(case, tuple(steps))


def configuration(node: Node, directory: Path) -> str:
    """The node's keepalived.conf, with checks that look at files in ``directory``."""
    checks = []
    for check in node.checks:
        flag = str(_flag(directory, node.name, check.name))
        command = "/usr/bin/test -e " + flag if check.kind is CheckKind.SCRIPT else flag
        checks.append(dataclasses.replace(check, command=command))
    return render(TEMPLATE.read_text(), context(dataclasses.replace(node, checks=tuple(checks))))


def _flag(directory: Path, node: str, check: str) -> Path:
    return directory / (f"{node}.{check}")


def set_check(directory: Path, node: str, check: Check, passes: bool) -> None:
    """A script looks whether its file is there, a tracked file holds 0 or 1."""
    flag = _flag(directory, node, check.name)
    if check.kind is CheckKind.FILE:
        flag.write_text("0" if passes else "1")
    elif passes:
        flag.touch()
    else:
        flag.unlink()


def _tracked_interfaces(node: Node) -> list[str]:
    tracks = [track for instance in node.instances for track in instance.tracks]
    tracks += [track for group in node.sync_groups for track in group.tracks]
    return sorted({track.check for track in tracks if track.kind is CheckKind.INTERFACE})


def _perform(lab: Lab, cluster: Cluster, event: events.Event) -> None:
    if isinstance(event, (events.CheckFails, events.CheckRecovers)):
        passes = isinstance(event, events.CheckRecovers)
        node = next(node for node in cluster.nodes if node.name == event.node)
        for check in node.checks:
            if check.name == event.check:
                set_check(lab.directory, event.node, check, passes)
                return
        lab.set_interface(event.node, event.check, up=passes)
        return
    actions: dict[type, Callable[[str], None]] = {
        events.KeepalivedStarts: lab.start,
        events.KeepalivedStops: lab.stop,
        events.KeepalivedKilled: lab.kill,
        events.NodeLost: lab.lose,
        events.NodeReturns: lab.bring_back,
        events.LinkCut: lab.cut,
        events.LinkHealed: lab.heal,
    }
    actions[type(event)](event.node)


def shrink(outcome: Outcome, daemon: Daemon) -> Outcome:
    """Leave out one event after the other as long as the two sides still disagree."""
    kept = tuple(step.event for step in outcome.steps)
    for event in kept[:-1]:
        fewer = tuple(other for other in kept if other is not event)
        if not _legal(outcome.case.cluster, fewer):
            continue
        shorter = run(dataclasses.replace(outcome.case, events=fewer), daemon)
        if not shorter.agrees:
            outcome, kept = shorter, tuple(step.event for step in shorter.steps)
    return outcome


def _legal(cluster: Cluster, happened: tuple[events.Event, ...]) -> bool:
    """Whether each event can happen after those before it."""
    model = Model(cluster)
    try:
        for event in happened:
            model.apply(event)
    except events.IllegalEventError:
        return False
    return True
