# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The shortest sequence of events that breaks a property, by search through settled states."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Collection, Iterator, Sequence, Tuple

from .election import Election
from .events import (
    HOLDING,
    CheckFails,
    CheckRecovers,
    ClusterState,
    Event,
    KeepalivedStarts,
    LinkCut,
    LinkHealed,
    VrrpState,
)
from .pairs import DUAL_MASTER, NEEDLESS_MOVE, NO_FAILOVER, Shown, best_results
from .units import Service

_Key = Tuple[Tuple[str, ...], str]
_Step = Tuple[ClusterState, Event]


@dataclass(frozen=True)
class Path:
    """A way through settled states to a discovery; ``states`` begins with the start."""

    kind: str
    service: Service
    pair: tuple[str, str]
    started: tuple[str, ...]
    events: tuple[Event, ...]
    states: tuple[ClusterState, ...]


class Search:
    """Breadth-first through the settled states, from the healthy cluster started in order and in
    reverse order. ``found`` holds the first, hence shortest, path to each discovery."""

    def __init__(
        self, election: Election, services: Sequence[Service], likely: Collection[str] = ()
    ) -> None:
        """Of equally short paths, those with events on ``likely`` nodes are found first."""
        self.found: dict[_Key, Path] = {}
        self._likely = likely
        self._election = election
        self._services = services
        self._came_from: dict[ClusterState, _Step | None] = {}
        self._views: dict[ClusterState, tuple[_View, ...]] = {}
        self._roots: dict[ClusterState, tuple[str, ...]] = {}
        self._waiting: deque[ClusterState] = deque()

    def run(self, limit: int, wanted: set[_Key] | None = None) -> bool:
        """Search until all ``wanted`` is found or everything is visited, True, or ``limit``
        transitions are tried, False."""
        for started in (self._election.names, self._election.names[::-1]):
            state = healthy_start(self._election, started)
            self._roots.setdefault(state, started)
            self._arrive(state, None)
        tried = 0
        while self._waiting:
            state = self._waiting.popleft()
            events = self._election.legal_events(state)
            for event in sorted(events, key=lambda event: event.node not in self._likely):
                if wanted is not None and wanted <= self.found.keys():
                    return True
                tried += 1
                for after in self._election.settlements(state, event):
                    self._arrive(after, (state, event))
            if tried > limit:
                return False
        return True

    def _arrive(self, state: ClusterState, step: _Step | None) -> None:
        views = self._views.get(state)
        if views is None:
            views = tuple(_View(one, state) for one in self._services)
            self._views[state] = views
            self._came_from[state] = step
            self._waiting.append(state)
            for service, view in zip(self._services, views):
                for kind, pair in view.broken():
                    self._found(kind, service, pair, step, state)
        if step is not None:
            for service, before, after in zip(self._services, self._views[step[0]], views):
                for pair in after.needless_since(before):
                    self._found(NEEDLESS_MOVE, service, pair, step, state)

    def _found(
        self,
        kind: str,
        service: Service,
        pair: tuple[int, int],
        step: _Step | None,
        state: ClusterState,
    ) -> None:
        if (service.addresses, kind) in self.found:
            return
        states = [state]
        events: list[Event] = []
        while step is not None:
            states.append(step[0])
            events.append(step[1])
            step = self._came_from[step[0]]
        self.found[service.addresses, kind] = Path(
            kind=kind,
            service=service,
            pair=(self._election.names[pair[0]], self._election.names[pair[1]]),
            started=self._roots[states[-1]],
            events=tuple(events[::-1]),
            states=tuple(states[::-1]),
        )


class _View:
    """What a settled state is to a service. Nodes are numbers, in order."""

    def __init__(self, service: Service, state: ClusterState) -> None:
        nodes = state.nodes
        self.masters = sorted(
            {unit.node for unit in service.units if unit.state(state) is VrrpState.MASTER}
        )
        self.in_reach = [node for node in self.masters if not nodes[node].cut]
        self.healthy = [
            unit.node
            for unit in service.units
            if nodes[unit.node].running
            and not nodes[unit.node].cut
            and unit.healthy(nodes[unit.node].failed)
        ]

    def broken(self) -> Iterator[tuple[str, tuple[int, int]]]:
        """The properties the state breaks, each with two nodes that show it."""
        if len(self.in_reach) > 1:
            yield DUAL_MASTER, (self.in_reach[0], self.in_reach[1])
        if self.healthy and not any(node in self.in_reach for node in self.healthy):
            yield NO_FAILOVER, ((self.in_reach or self.healthy)[0], self.healthy[0])

    def needless_since(self, before: _View) -> Iterator[tuple[int, int]]:
        """A healthy node that held the VIPs and does no more, and the one that took them."""
        for holder in before.masters:
            if holder not in self.masters and holder in before.healthy and holder in self.healthy:
                for taker in self.in_reach:
                    if taker not in before.masters:
                        yield holder, taker


def healthy_start(election: Election, started: Sequence[str]) -> ClusterState:
    """Every check good on every node, then keepalived started on ``started``, in that order."""
    state = election.initial()
    for name, units in zip(election.names, election.units_of_node):
        for check in sorted(
            frozenset().union(*(best_results(unit) - unit.never_pass for unit in units))
        ):
            state = election.apply(state, CheckFails(name, check))
    for name in started:
        state = election.apply(state, KeepalivedStarts(name))
    return state


def constructed_path(
    election: Election, service: Service, kind: str, shown: Shown, pair: tuple[str, str]
) -> Path:
    """The sequence of events that the proof gives for two nodes."""
    first, second = pair
    state = healthy_start(election, (first,))
    events: list[Event] = []
    if kind == DUAL_MASTER:
        events += [LinkCut(second), KeepalivedStarts(second)]
        events += _changes(state, election, first, shown.first_failed)
        events += _changes(state, election, second, shown.second_failed)
        events.append(LinkHealed(second))
    else:
        events += _changes(state, election, first, shown.first_failed)
        events += _changes(state, election, second, shown.second_failed)
        if first != second:
            events.append(KeepalivedStarts(second))
    states = [state]
    for event in events:
        states.append(election.apply(states[-1], event))
    return Path(kind, service, pair, (first,), tuple(events), tuple(states))


def _changes(
    state: ClusterState, election: Election, name: str, failed: frozenset[str]
) -> Iterator[Event]:
    now = state.nodes[election.node_index[name]].failed
    for check in sorted(now ^ failed):
        yield CheckRecovers(name, check) if check in now else CheckFails(name, check)


def holder_names(election: Election, service: Service, state: ClusterState) -> tuple[str, ...]:
    nodes = {unit.node for unit in service.units if unit.state(state) in HOLDING}
    return tuple(election.names[node] for node in sorted(nodes))
