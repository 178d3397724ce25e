# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What can go wrong with a cluster, found by search and by proof.

The properties
==============

They are about settled states (``election``) that any sequence of events can lead to.

``no-failover``: some node is *healthy* for a VIP (its keepalived runs, its link is not cut, every
check written for the instance is as the operator wants it), and no healthy node holds the VIP: it
is on an unhealthy node or nowhere.

``dual-master``: two nodes whose links are not cut are both MASTER for a VIP, and stay so. While a
link is cut, a MASTER on each side is what VRRP is meant to do. A node whose keepalived was killed
(kill -9) keeps its VIPs until keepalived starts again there (acassen/keepalived#2361); no
configuration of VRRP prevents that, so it is no violation here. The cure is an init system that
starts keepalived again, since a start purges the VIPs.

A *needless move* breaks nothing: a healthy holder that stays in reach loses the VIP to a node that
did not hold it. Clients lose their connections for it.

Why two nodes are enough
========================

A cluster of n nodes has more than 2^n states, so the search does not visit them. It takes the
cluster apart, each step without loss:

1. *Components.* Instances that share no VIP, no sync group and no adverts never influence each
   other, even on one node: an event leaves every unit but those of its component as it was, and no
   unit can forbid an event. So each component is judged alone, with the same events.

2. *Pairs.* Let every node have one unit in the component (true unless sync groups differ between
   the nodes, or one node has a VIP twice). Let no unit start as MASTER, but for one address owner,
   which nobody ever holds back.

   Take a state that breaks ``no-failover``; node h is healthy, and not MASTER. If it were BACKUP
   and not held back, it would become MASTER. So it is held back by some MASTER s that it hears, or
   it is in FAULT. If s has the VIP, s is unhealthy, or this would be no violation. Now leave
   all other nodes down: start s, which becomes MASTER, being alone; let the same checks fail as
   before; start h. What holds back h depends on h and s only, so h stays BACKUP: the same
   violation, with two nodes. (In FAULT, h alone shows it.)

   Take a state that breaks ``dual-master``: neither of two MASTERs yields to the other, and that
   depends on the two alone. Leave the others down, cut the link of one, start both, let the same
   checks fail, heal the link: both stay MASTER.

   A needless move is of the same kind: the taker was not held back by the holder, which then
   yielded to it.

   The other way round, a pair's sequence of events is one of the cluster's: the others are stopped.

3. *Effective values.* Of a node's 2^c combinations of failing checks only those matter that differ
   in health or in an effective priority, and of these the extremes (``_profiles``).

So the verdict costs n^2 comparisons for each VIP. Where the assumption of step 2 does not hold, the
search visits the states themselves, up to ``SEARCH_LIMIT``; ``Exploration.proven`` says whether it
came to an end. For a broken property, the shortest sequence of events is found by breadth-first
search from the healthy cluster, all daemons started in order or in reverse order. If that would
take too long (many nodes), the search is made among the two nodes that show it, the others being
down; ``Trace.down`` names them.
"""

from __future__ import annotations

import itertools
from collections import deque
from dataclasses import dataclass, replace
from typing import Collection, Iterator, Sequence, Tuple

from . import priority
from .election import (
    HOLDING,
    CheckFails,
    CheckRecovers,
    ClusterState,
    Election,
    EndlessElectionError,
    Event,
    KeepalivedKilled,
    KeepalivedStarts,
    KeepalivedStops,
    LinkCut,
    LinkHealed,
    Member,
    NodeLost,
    NodeReturns,
    Unit,
    VrrpState,
)
from .model import Cluster

NO_FAILOVER = "no-failover"
DUAL_MASTER = "dual-master"
NEEDLESS_MOVE = "needless-move"

SEARCH_LIMIT = 20_000
"""Transitions tried at most in a component that cannot be reduced to pairs."""
_TRACE_LIMIT = 20_000
"""Transitions tried at most for the shortest traces, divided by the number of nodes: first in the
component, then in a pair."""
_SMALL, _MIDDLE = 5, 16
"""Outcomes cover every set of lost nodes up to the first number of nodes, pairs of lost nodes up to
the second, and single ones above."""


@dataclass(frozen=True)
class Trace:
    """A sequence of events that a person can follow, and repeat.

    ``started``: nodes in the order in which keepalived is started, everything being healthy;
    ``down``: nodes that are down throughout; ``events``: what happens then; ``words``: all of it as
    sentences, with what it does to the VIP.
    """

    started: tuple[str, ...]
    down: tuple[str, ...]
    events: tuple[Event, ...]
    words: tuple[str, ...]


@dataclass(frozen=True)
class Discovery:
    """A broken property (``kind`` is NO_FAILOVER or DUAL_MASTER) or a NEEDLESS_MOVE.

    ``addresses`` are the VIPs concerned; they move together. ``pairs`` are all pairs of nodes that
    show it on their own, that of the trace first: (holder, healthy node), (master, master),
    (holder, taker). A node that shows it alone stands there twice.
    """

    kind: str
    addresses: tuple[str, ...]
    pairs: tuple[tuple[str, str], ...]
    trace: Trace


@dataclass(frozen=True)
class Outcome:
    """Who holds each VIP after these failures, one after the other, in a healthy cluster started
    in order. A VIP that nobody holds has no nodes."""

    failures: tuple[Event, ...]
    holders: tuple[tuple[str, tuple[str, ...]], ...]


@dataclass(frozen=True)
class Exploration:
    """The verdict on a cluster. ``proven``: no other violation exists; otherwise a search ended at
    its limit, or an election never settles."""

    violations: tuple[Discovery, ...]
    needless_moves: tuple[Discovery, ...]
    outcomes: tuple[Outcome, ...]
    proven: bool


def explore(cluster: Cluster) -> Exploration:
    """Every broken property of ``cluster`` with its shortest trace, its needless moves, and who
    holds each VIP after which failures."""
    components = [_Component(part) for part in components_of(cluster)]
    found: list[Discovery] = []
    proven = True
    for component in components:
        discoveries, complete = component.discover()
        found.extend(discoveries)
        proven = proven and complete
    return Exploration(
        violations=tuple(item for item in found if item.kind != NEEDLESS_MOVE),
        needless_moves=tuple(item for item in found if item.kind == NEEDLESS_MOVE),
        outcomes=tuple(_outcomes(components)),
        proven=proven,
    )


# -- taking the cluster apart ------------------------------------------------------------------


def components_of(cluster: Cluster) -> tuple[Cluster, ...]:
    """The cluster as smaller ones that do not influence each other: instances stay together that
    share a VIP, a sync group, or adverts. Nodes keep their order."""
    election = Election(cluster)
    group = list(range(len(election.members)))

    def root(index: int) -> int:
        while group[index] != index:
            group[index] = group[group[index]]
            index = group[index]
        return index

    first_with: dict[str, int] = {}
    for member in election.members:
        for address in member.addresses:
            group[root(member.index)] = root(first_with.setdefault(address, member.index))
        for other in itertools.chain(member.hears, member.unit.members):
            group[root(other.index)] = root(member.index)
    together: dict[int, list[Member]] = {}
    for member in election.members:
        together.setdefault(root(member.index), []).append(member)
    return tuple(_part(cluster, members) for members in together.values())


def _part(cluster: Cluster, members: list[Member]) -> Cluster:
    kept: dict[int, list[Member]] = {}
    for member in members:
        kept.setdefault(member.node, []).append(member)
    return Cluster(
        tuple(
            replace(cluster.nodes[node], instances=tuple(member.instance for member in mine))
            for node, mine in kept.items()
        )
    )


@dataclass(frozen=True)
class _Service:
    """VIPs that the same instances carry, and the units of those instances."""

    addresses: tuple[str, ...]
    units: tuple[Unit, ...]


def _services(election: Election) -> Iterator[_Service]:
    carriers: dict[str, list[Member]] = {}
    for member in election.members:
        for address in member.addresses:
            carriers.setdefault(address, []).append(member)
    alike: dict[tuple[int, ...], list[str]] = {}
    for address, members in carriers.items():
        alike.setdefault(tuple(sorted({m.unit.index for m in members})), []).append(address)
    for indexes, addresses in alike.items():
        yield _Service(tuple(addresses), tuple(election.units[index] for index in indexes))


class _Component:
    """A part of the cluster that nothing else influences."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.election = Election(cluster)
        self.services = tuple(_services(self.election))
        self.names = tuple(node.name for node in cluster.nodes)

    def discover(self) -> tuple[list[Discovery], bool]:
        """What the component shows, and whether that is all there is. Sync groups that chase each
        other for ever have no settled states to judge."""
        try:
            return self._discover()
        except EndlessElectionError:
            return [], False

    def _discover(self) -> tuple[list[Discovery], bool]:
        if not self._is_regular():
            search = _Search(self.election, self.services)
            complete = search.run(SEARCH_LIMIT)
            return [self._told(path, (path.pair,), ()) for path in search.found.values()], complete
        pairs = _Pairs(self.election.units)
        return [
            discovery
            for service in self.services
            for discovery in self._explained(service, dict(pairs.judge(service)))
        ], True

    def _is_regular(self) -> bool:
        """Whether two nodes are enough, as the proof assumes."""
        eager = [unit for unit in self.election.units if unit.starts_as_master]
        owners = [unit for unit in eager if all(member.is_owner for member in unit.members)]
        return len(self.election.units) == len(self.names) and len(eager) == len(owners) <= 1

    def _explained(
        self, service: _Service, judged: dict[str, tuple[_Shown, ...]]
    ) -> Iterator[Discovery]:
        """The discoveries with the shortest traces that the limits allow."""
        pairs = {
            kind: tuple((self.names[one.first], self.names[one.second]) for one in shown)
            for kind, shown in judged.items()
        }
        paths = self._shortest(service, {kind: named[0] for kind, named in pairs.items()})
        for kind, named in pairs.items():
            if kind in paths:
                yield self._told(paths[kind], named, ())
            else:
                yield self._explained_by_two(service, kind, judged[kind][0], named)

    def _explained_by_two(
        self, service: _Service, kind: str, shown: _Shown, pairs: tuple[tuple[str, str], ...]
    ) -> Discovery:
        two = pairs[0]
        down = tuple(name for name in self.names if name not in two)
        pair = _Component(Cluster(tuple(n for n in self.cluster.nodes if n.name in two)))
        part = next(one for one in pair.services if set(service.addresses) <= set(one.addresses))
        path = pair._shortest(part, {kind: two}).get(kind)
        if path is None:
            path = _constructed(pair.election, part, kind, shown, two)
        asked = replace(part, addresses=service.addresses)
        return pair._told(replace(path, service=asked), pairs, down)

    def _shortest(self, service: _Service, wanted: dict[str, tuple[str, str]]) -> dict[str, _Path]:
        """The shortest path to each kind that is wanted, with a pair that shows it."""
        if not wanted:
            return {}
        # The taker must go and return; otherwise, something must happen to the holder.
        likely = {pair[kind == NEEDLESS_MOVE] for kind, pair in wanted.items()}
        search = _Search(self.election, (service,), likely)
        search.run(_TRACE_LIMIT // len(self.names), {(service.addresses, kind) for kind in wanted})
        return {kind: path for (_addresses, kind), path in search.found.items() if kind in wanted}

    def _told(
        self, path: _Path, pairs: tuple[tuple[str, str], ...], down: tuple[str, ...]
    ) -> Discovery:
        return Discovery(
            kind=path.kind,
            addresses=path.service.addresses,
            pairs=tuple(sorted(pairs, key=lambda pair: pair != path.pair)),
            trace=Trace(
                started=path.started,
                down=down,
                events=path.events,
                words=tuple(_words(self.election, path, down)),
            ),
        )


# -- the proof: pairs ----------------------------------------------------------------------------


@dataclass(frozen=True)
class _Profile:
    """What a unit outside FAULT is to others: the effective priority of each member. ``failed``
    is one smallest set of failing checks that makes it so."""

    healthy: bool
    effective: tuple[int, ...]
    failed: frozenset[str]


@dataclass(frozen=True)
class _Shown:
    """Two nodes that show a property, and the checks that fail on them meanwhile."""

    first: int
    second: int
    first_failed: frozenset[str] = frozenset()
    second_failed: frozenset[str] = frozenset()


def best_results(unit: Unit) -> frozenset[str]:
    """The checks of the unit that fail when all is well: none, except those tracked in reverse."""
    return frozenset(
        track.check
        for member in unit.members
        for track in member.written
        if priority.is_healthy(track, failing=True)
    )


def _profiles(unit: Unit) -> tuple[_Profile, ...]:
    """All profiles of the unit, built check by check, so that combinations of checks that come
    to the same are followed once."""
    totals: dict[tuple[bool, tuple[int, ...]], frozenset[str]] = {
        (True, tuple(member.base for member in unit.members)): frozenset()
    }
    best = best_results(unit)
    for check in sorted(unit.checks):
        grown: dict[tuple[bool, tuple[int, ...]], frozenset[str]] = {}
        # The better condition first, so that the failing sets kept are the smallest changes.
        for failing in (check in best, check not in best):
            added = [member.added_by(check, failing) for member in unit.members]
            if None in added:
                continue
            good = all(member.wants(check, failing) for member in unit.members)
            for (healthy, sums), failed in totals.items():
                key = (healthy and good, tuple(map(sum, zip(sums, _numbers(added)))))
                more = failed | {check} if failing else failed
                if key not in grown or len(more ^ best) < len(grown[key] ^ best):
                    grown[key] = more
        totals = grown
    profiles: dict[tuple[bool, tuple[int, ...]], _Profile] = {}
    for (healthy, _sums), failed in sorted(totals.items(), key=lambda item: len(item[1] ^ best)):
        effective = tuple(member.effective(failed) or 0 for member in unit.members)
        profiles.setdefault((healthy, effective), _Profile(healthy, effective, failed))
    if len(unit.members) > 1:
        return tuple(profiles.values())
    # Every question asked of one member is answered by its lowest or its highest priority.
    ranked = sorted(profiles.values(), key=lambda profile: (profile.healthy, profile.effective))
    by_health = [
        list(alike) for _healthy, alike in itertools.groupby(ranked, lambda one: one.healthy)
    ]
    return tuple(dict.fromkeys(end for alike in by_health for end in (alike[0], alike[-1])))


def _numbers(added: Sequence[int | None]) -> tuple[int, ...]:
    return tuple(one for one in added if one is not None)


class _Pairs:
    """The properties of a component, decided two nodes at a time. Every node has one unit."""

    def __init__(self, units: Sequence[Unit]) -> None:
        self.units = units
        self.profiles = {unit.index: _profiles(unit) for unit in units}
        self._audible: dict[tuple[int, int], list[tuple[int, int, Member, Member]]] = {}
        for unit in units:
            for here, member in enumerate(unit.members):
                for other in member.hears:
                    there = other.unit.members.index(other)
                    self._audible.setdefault((unit.index, other.unit.index), []).append(
                        (here, there, member, other)
                    )

    def judge(self, service: _Service) -> Iterator[tuple[str, tuple[_Shown, ...]]]:
        """Each kind of discovery the service has, with the pairs that show it."""
        for kind, shown in (
            (NO_FAILOVER, self._stuck(service)),
            (DUAL_MASTER, self._dual(service)),
            (NEEDLESS_MOVE, self._moving(service)),
        ):
            pairs = tuple(shown)
            if pairs:
                yield kind, pairs

    def _stuck(self, service: _Service) -> Iterator[_Shown]:
        for unit in service.units:
            best = best_results(unit)
            if not unit.healthy(best):
                continue
            if unit.faulty(best):
                yield _Shown(unit.node, unit.node, best, best)
                continue
            waiting = _Profile(True, tuple(m.effective(best) or 0 for m in unit.members), best)
            for master in self.units:
                carries = master in service.units
                for now in self.profiles[master.index]:
                    if not (carries and now.healthy) and self._held_back(
                        unit, waiting, master, now
                    ):
                        yield _Shown(master.node, unit.node, now.failed, best)
                        break

    def _dual(self, service: _Service) -> Iterator[_Shown]:
        for one, other in itertools.combinations(service.units, 2):
            if self._hear_each_other(one, other):
                continue
            for mine, theirs in itertools.product(
                self.profiles[one.index], self.profiles[other.index]
            ):
                if not self._yields(one, mine, other, theirs) and not self._yields(
                    other, theirs, one, mine
                ):
                    yield _Shown(one.node, other.node, mine.failed, theirs.failed)
                    break

    def _moving(self, service: _Service) -> Iterator[_Shown]:
        for holder in service.units:
            for held in self.profiles[holder.index]:
                if not held.healthy:
                    continue
                for taker in service.units:
                    for now in self.profiles[taker.index]:
                        if self._takes_over(taker, now, holder, held) and self._yields(
                            holder, held, taker, now
                        ):
                            yield _Shown(holder.node, taker.node, held.failed, now.failed)
                            break

    def _hear_each_other(self, one: Unit, other: Unit) -> bool:
        """Whether two members hear each other both ways: then one of two MASTERs always yields."""
        there = {
            (b.index, a.index)
            for _held, _now, a, b in self._audible.get((other.index, one.index), ())
        }
        return any(
            (a.index, b.index) in there and a.strength != b.strength
            for _held, _now, a, b in self._audible.get((one.index, other.index), ())
        )

    def _takes_over(self, taker: Unit, now: _Profile, holder: Unit, held: _Profile) -> bool:
        """Whether a unit that starts can become MASTER beside the holder."""
        audible = self._audible.get((taker.index, holder.index), [])
        return (
            taker.starts_as_master
            or not self._held_back(taker, now, holder, held)
            or all(
                member.may_miss(other, now.effective[here])
                for here, _there, member, other in audible
            )
        )

    def _held_back(self, unit: Unit, mine: _Profile, master: Unit, theirs: _Profile) -> bool:
        return any(
            member.nopreempt or theirs.effective[there] >= mine.effective[here]
            for here, there, member, _other in self._audible.get((unit.index, master.index), ())
        )

    def _yields(self, unit: Unit, mine: _Profile, master: Unit, theirs: _Profile) -> bool:
        return any(
            (theirs.effective[there], other.strength) > (mine.effective[here], member.strength)
            for here, there, member, other in self._audible.get((unit.index, master.index), ())
        )


# -- the search: states --------------------------------------------------------------------------

_Key = Tuple[Tuple[str, ...], str]
_Step = Tuple[ClusterState, Event]


@dataclass(frozen=True)
class _Path:
    """A way through settled states to a discovery; ``states`` begins with the start."""

    kind: str
    service: _Service
    pair: tuple[str, str]
    started: tuple[str, ...]
    events: tuple[Event, ...]
    states: tuple[ClusterState, ...]


class _Search:
    """Breadth-first through the settled states, from the healthy cluster started in order and in
    reverse order. ``found`` holds the first, hence shortest, path to each discovery."""

    def __init__(
        self, election: Election, services: Sequence[_Service], likely: Collection[str] = ()
    ) -> None:
        """Of equally short paths, those with events on ``likely`` nodes are found first."""
        self.found: dict[_Key, _Path] = {}
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
        service: _Service,
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
        self.found[service.addresses, kind] = _Path(
            kind=kind,
            service=service,
            pair=(self._election.names[pair[0]], self._election.names[pair[1]]),
            started=self._roots[states[-1]],
            events=tuple(events[::-1]),
            states=tuple(states[::-1]),
        )


class _View:
    """What a settled state is to a service. Nodes are numbers, in order."""

    def __init__(self, service: _Service, state: ClusterState) -> None:
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
        for check in sorted(frozenset().union(*map(best_results, units))):
            state = election.apply(state, CheckFails(name, check))
    for name in started:
        state = election.apply(state, KeepalivedStarts(name))
    return state


def _constructed(
    election: Election, service: _Service, kind: str, shown: _Shown, pair: tuple[str, str]
) -> _Path:
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
    return _Path(kind, service, pair, (first,), tuple(events), tuple(states))


def _changes(
    state: ClusterState, election: Election, name: str, failed: frozenset[str]
) -> Iterator[Event]:
    now = state.nodes[election.node_index[name]].failed
    for check in sorted(now ^ failed):
        yield CheckRecovers(name, check) if check in now else CheckFails(name, check)


# -- words -----------------------------------------------------------------------------------------

_SENTENCES = {
    KeepalivedStarts: "keepalived starts on {node}",
    KeepalivedStops: "keepalived stops on {node}",
    KeepalivedKilled: "keepalived is killed on {node}",
    NodeLost: "{node} loses power",
    NodeReturns: "{node} returns",
    LinkCut: "the link of {node} is cut",
    LinkHealed: "the link of {node} works again",
}


def describe(event: Event) -> str:
    """The event as a sentence, without a full stop."""
    if isinstance(event, CheckFails):
        return f"{event.check} fails on {event.node}"
    if isinstance(event, CheckRecovers):
        return f"{event.check} passes again on {event.node}"
    return _SENTENCES[type(event)].format(node=event.node)


def _words(election: Election, path: _Path, down: tuple[str, ...]) -> Iterator[str]:
    vip = _vip(path.service)
    if down:
        yield f"{_listed(down)} {'is' if len(down) == 1 else 'are'} down"
    holders = _holders(election, path.service, path.states[0])
    yield (
        f"keepalived starts on {_in_turn(path.started)}; all is well; "
        f"{_listed(holders) or 'nobody'} {'hold' if len(holders) > 1 else 'holds'} {vip}"
    )
    moved = False
    for event, state in zip(path.events, path.states[1:]):
        yield describe(event)
        now = _holders(election, path.service, state)
        moved = now != holders
        if moved:
            yield _movement(vip, holders, now)
        holders = now
    yield _verdict(path, vip, holders, moved or not path.events)


def _movement(vip: str, before: tuple[str, ...], now: tuple[str, ...]) -> str:
    if not now:
        return f"nobody holds {vip}"
    if len(before) == len(now) == 1:
        return f"{vip} moves to {now[0]}"
    return f"{vip} is on {_listed(now)}"


def _verdict(path: _Path, vip: str, holders: tuple[str, ...], moved: bool) -> str:
    first, second = path.pair
    if path.kind == DUAL_MASTER:
        return f"{first} and {second} both hold {vip}, and neither gives way"
    if path.kind == NEEDLESS_MOVE:
        return f"{vip} has left {first}, which is healthy"
    if not holders:
        return f"nobody holds {vip}; {second} is healthy"
    verb = "is" if moved else "stays"
    return f"{vip} {verb} on {_listed(holders)}, which is unhealthy; {second} is healthy"


def _vip(service: _Service) -> str:
    kind = "VIP" if len(service.addresses) == 1 else "VIPs"
    return f"{kind} {_listed(service.addresses)}"


def _in_turn(names: Sequence[str]) -> str:
    if len(names) < 4:
        return ", then on ".join(names)
    return f"{_listed(names)}, in this order"


def _listed(names: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(names[:-1]), *names[-1:])))


def _holders(election: Election, service: _Service, state: ClusterState) -> tuple[str, ...]:
    nodes = {unit.node for unit in service.units if unit.state(state) in HOLDING}
    return tuple(election.names[node] for node in sorted(nodes))


# -- outcomes --------------------------------------------------------------------------------------


def _outcomes(components: Sequence[_Component]) -> Iterator[Outcome]:
    """For components on the same nodes one table: each set of lost nodes (of many nodes, small sets
    only), and each check failing alone."""
    alike: dict[tuple[str, ...], list[_Component]] = {}
    for component in components:
        alike.setdefault(component.names, []).append(component)
    for names, together in alike.items():
        most = len(names) if len(names) <= _SMALL else 2 if len(names) <= _MIDDLE else 1
        failures: list[tuple[Event, ...]] = [
            tuple(map(NodeLost, lost))
            for count in range(most + 1)
            for lost in itertools.combinations(names, count)
        ]
        failures += [(event,) for event in _worsening(together)]
        try:
            tables = [_after_failures(component, failures) for component in together]
        except EndlessElectionError:
            continue
        for place, failed in enumerate(failures):
            yield Outcome(failed, tuple(row for table in tables for row in table[place]))


def _worsening(components: Sequence[_Component]) -> Iterator[Event]:
    seen: set[Event] = set()
    for component in components:
        for units in component.election.units_of_node:
            for unit in units:
                best = best_results(unit)
                name = component.names[unit.node]
                for check in sorted(unit.checks):
                    event = (CheckRecovers if check in best else CheckFails)(name, check)
                    if event not in seen:
                        seen.add(event)
                        yield event


def _after_failures(
    component: _Component, failures: Sequence[tuple[Event, ...]]
) -> list[list[tuple[str, tuple[str, ...]]]]:
    election = component.election
    reached: dict[tuple[Event, ...], ClusterState] = {(): healthy_start(election, election.names)}
    for failed in failures[1:]:
        before, event = reached[failed[:-1]], failed[-1]
        reached[failed] = (
            election.apply(before, event) if _concerns(election, before, event) else before
        )
    return [
        [
            (address, _holders(election, service, reached[failed]))
            for service in component.services
            for address in service.addresses
        ]
        for failed in failures
    ]


def _concerns(election: Election, state: ClusterState, event: Event) -> bool:
    """Whether the event changes anything for a component: it may not track the check, or want it
    to fail anyway."""
    if not isinstance(event, (CheckFails, CheckRecovers)):
        return True
    node = election.node_index[event.node]
    failing = event.check in state.nodes[node].failed
    return event.check in election.checks_of_node[node] and failing == isinstance(
        event, CheckRecovers
    )
