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
   in health or in an effective priority, and of these the extremes (``profiles_of``).

So the verdict costs n^2 comparisons for each VIP. Where the assumption of step 2 does not hold, the
search visits the states themselves, up to ``SEARCH_LIMIT``; ``Exploration.proven`` says whether it
came to an end. For a broken property, the shortest sequence of events is found by breadth-first
search from the healthy cluster, all daemons started in order or in reverse order. If that would
take too long (many nodes), the search is made among the two nodes that show it, the others being
down; ``Trace.down`` names them.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from typing import Iterator, Sequence

from .election import Election, EndlessElectionError
from .events import CheckFails, CheckRecovers, ClusterState, Event, NodeLost
from .hearing import is_address
from .model import Cluster
from .pairs import NEEDLESS_MOVE, Pairs, Shown, best_results
from .search import Path, Search, constructed_path, healthy_start, holder_names
from .units import Member, Service, services_of
from .words import trace_words

SEARCH_LIMIT = 12_000
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
        for address in member.carries:
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


class _Component:
    """A part of the cluster that nothing else influences."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.election = Election(cluster)
        self.services = tuple(services_of(self.election.members))
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
            search = Search(self.election, self.services)
            complete = search.run(SEARCH_LIMIT)
            return [self._told(path, (path.pair,), ()) for path in search.found.values()], complete
        pairs = Pairs(self.election.units)
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
        self, service: Service, judged: dict[str, tuple[Shown, ...]]
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
        self, service: Service, kind: str, shown: Shown, pairs: tuple[tuple[str, str], ...]
    ) -> Discovery:
        two = pairs[0]
        down = tuple(name for name in self.names if name not in two)
        pair = _Component(Cluster(tuple(n for n in self.cluster.nodes if n.name in two)))
        part = next(one for one in pair.services if set(service.addresses) <= set(one.addresses))
        path = pair._shortest(part, {kind: two}).get(kind)
        if path is None:
            path = constructed_path(pair.election, part, kind, shown, two)
        asked = replace(part, addresses=service.addresses)
        return pair._told(replace(path, service=asked), pairs, down)

    def _shortest(self, service: Service, wanted: dict[str, tuple[str, str]]) -> dict[str, Path]:
        """The shortest path to each kind that is wanted, with a pair that shows it."""
        if not wanted:
            return {}
        # The taker must go and return; otherwise, something must happen to the holder.
        likely = {pair[kind == NEEDLESS_MOVE] for kind, pair in wanted.items()}
        search = Search(self.election, (service,), likely)
        search.run(_TRACE_LIMIT // len(self.names), {(service.addresses, kind) for kind in wanted})
        return {kind: path for (_addresses, kind), path in search.found.items() if kind in wanted}

    def _told(
        self, path: Path, pairs: tuple[tuple[str, str], ...], down: tuple[str, ...]
    ) -> Discovery:
        return Discovery(
            kind=path.kind,
            addresses=path.service.addresses,
            pairs=tuple(sorted(pairs, key=lambda pair: pair != path.pair)),
            trace=Trace(
                started=path.started,
                down=down,
                events=path.events,
                words=tuple(trace_words(self.election, path, down)),
            ),
        )


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
                for check in sorted(unit.checks - unit.never_pass):
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
            (address, holder_names(election, service, reached[failed]))
            for service in component.services
            for address in service.addresses
            if is_address(address)
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
