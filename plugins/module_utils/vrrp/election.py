# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who holds each VIP, and how that changes: the run-time model of VRRP as keepalived does it.

Theory of operation
===================

**One machine per sync group.** Each ``vrrp_instance`` is a state machine with the states of
``VrrpState``. The members of a sync group change state together, so the machine that moves here
is a *unit*: one sync group of one node, or one instance that is in none. ``TRANSITIONS`` holds
every legal move. Whatever is not in the table cannot happen, and asking for it raises.

**Two kinds of cause.** An *event* comes from outside: a check fails, a daemon is killed, a cable
is cut. Most events pull one trigger on each unit of one node. The other triggers,
``DOWN_TIMER_EXPIRES`` and ``STRONGER_ADVERT``, come from the election itself, when units hear each
other or fall silent. After an event the election runs until nothing moves: the state is then
*settled*, and only settled states are visible from outside this module.

**Who hears whom.** ``rejection`` compares two instances as the receiver would: same VRID and
family, then version, authentication, v2 advert interval, unicast or multicast, the VIP list.
Hearing can be one-way: with unicast, a node missing in a peer list is not spoken to. A cut link
separates its node from all others.

**The rules of the election**, from ``vrrp.c`` of keepalived:

1. A MASTER that hears a stronger MASTER (higher effective priority, at equal priority the
   numerically higher address) becomes BACKUP. ``nopreempt`` plays no part.
2. A BACKUP is *held back* by a MASTER it hears if it has ``nopreempt`` or the MASTER's priority is
   at least its own. While held back, its down timer starts afresh with each advert.
3. A BACKUP that nobody holds back becomes MASTER when its down timer ends. Of several, the one
   whose timer ends first moves first, and may then hold back the others.

The down timer is three advert intervals (``down_timer_adverts``) and the skew. It starts with the
last advert accepted, so those who heard the same MASTER differ only by their skew. A MASTER that
leaves in an orderly way (clean stop, FAULT) says so with priority 0, and only the skew remains.
``preempt_delay`` postpones rule 3 while a weaker MASTER is heard. A version 3 backup takes over the
MASTER's interval with its first advert; where its own is so much shorter that its first down timer
ends before that advert comes, it becomes MASTER without having listened, ``nopreempt`` or not.

**Why it ends.** The strongest MASTER never yields, and what hears it either stays BACKUP or is
stronger and takes its place, so after finitely many steps the strongest MASTER is final; the same
holds for those that do not hear it, and so on. Only sync groups that overlap on several nodes in a
circle can chase each other for ever; ``EndlessElectionError`` says so.

**Where timing decides.** With equal priorities, timers end at the same instant, and either unit
may be first. ``settle_all`` returns every settled state that can follow; ``apply`` picks one: the
earlier timer, then the stronger unit, then the order of the nodes. ``jitter`` widens "the same
instant": timers of a real pair 4 ms apart may well end in the other order.

**What the events mean.** ``KeepalivedStops`` is a clean stop. ``KeepalivedKilled`` is kill -9 of
all its processes: nothing is said, and a MASTER leaves its VIPs on the interface
(``VrrpState.ABANDONED``) until keepalived starts again and purges them. ``NodeLost`` is loss of
power; ``NodeReturns`` boots the node, and keepalived starts with it. ``LinkCut`` stands for a
switch or firewall between this node and all others: the interface stays up, so keepalived sees
nothing but silence. A tracked interface that goes down is a check that fails. Checks go on failing
and recovering while keepalived is stopped. ``init_fail``, ``rise`` and ``fall`` only delay what
happens, so they do not show in settled states.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Iterator, Mapping

from . import priority
from .events import (
    ENDINGS,
    HOLDING,
    CheckFails,
    CheckRecovers,
    ClusterState,
    Event,
    EventsOfNode,
    IllegalEventError,
    KeepalivedStarts,
    KeepalivedStops,
    NodeReturns,
    NodeState,
    Trigger,
    VrrpState,
    after_event,
    next_state,
)
from .hearing import is_address, networks, receiver_of
from .model import Cluster
from .units import Member, Unit, members_of, units_of


class EndlessElectionError(RuntimeError):
    """Sync groups overlap so that their members push each other out of MASTER for ever."""


@dataclass(frozen=True)
class _Moment:
    """An election under way: a state for each unit, and when each down timer ends (seconds after
    the event, -1 where none runs)."""

    states: tuple[VrrpState, ...]
    deadlines: tuple[float, ...]
    now: float = 0.0


class _Audible:
    """What the units of a scope hear of each other at one moment."""

    def __init__(
        self, after: ClusterState, scope: tuple[Unit, ...], states: tuple[VrrpState, ...]
    ) -> None:
        self._nodes = after.nodes
        self._backups = [u for u, now in zip(scope, states) if now is VrrpState.BACKUP]
        self._masters = [u for u, now in zip(scope, states) if now is VrrpState.MASTER]
        self._in_reach = [unit.index for unit in self._masters if not after.nodes[unit.node].cut]

    def strength(self, member: Member) -> tuple[int, tuple[int, int, str]]:
        """What two MASTERs compare: effective priority, then address."""
        effective = member.effective(self._nodes[member.node].failed)
        return (effective or 0, member.strength)

    def heard(self, member: Member) -> list[Member]:
        """The MASTERs whose adverts the member accepts."""
        if self._nodes[member.node].cut:
            return []
        return [other for unit in self._in_reach for other in member.hears_of(unit)]

    def yielding(self) -> list[Unit]:
        """The MASTERs that hear a stronger one (rule 1)."""
        if len(self._masters) < 2:
            return []
        return [
            unit
            for unit in self._masters
            if any(
                self.strength(other) > self.strength(member)
                for member in unit.members
                for other in self.heard(member)
            )
        ]

    def is_quiet(self) -> bool:
        """Whether nothing will move."""
        return all(map(self.held_back, self._backups)) and not self.yielding()

    def hears_any(self, unit: Unit) -> bool:
        """Whether any MASTER is heard."""
        return any(map(self.heard, unit.members))

    def held_back(self, unit: Unit) -> bool:
        """Rule 2."""
        return any(
            member.nopreempt or self.strength(other)[0] >= self.strength(member)[0]
            for member in unit.members
            for other in self.heard(member)
        )

    def may_miss_all(self, unit: Unit) -> bool:
        """Whether MASTERs are heard, but perhaps all of them too late."""
        audible = [(member, other) for member in unit.members for other in self.heard(member)]
        return bool(audible) and all(
            member.may_miss(other, self.strength(member)[0]) for member, other in audible
        )

    def shortest_interval(self, unit: Unit) -> float:
        """The shortest advert interval of the MASTERs heard."""
        return min(other.interval for member in unit.members for other in self.heard(member))

    def down_interval(self, unit: Unit) -> float:
        """The down timer that the heard adverts keep winding up."""
        return max(
            member.down_interval(self.strength(member)[0], other.interval)
            for member in unit.members
            for other in self.heard(member)
        )


class Election:
    """A cluster made ready for many events. It holds no run-time state of its own."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.names = tuple(node.name for node in cluster.nodes)
        self.node_index = {node.name: index for index, node in enumerate(cluster.nodes)}
        self.members = tuple(members_of(cluster))
        self.units = tuple(units_of(cluster, self.members))
        self.units_of_node: tuple[tuple[Unit, ...], ...] = tuple(
            tuple(unit for unit in self.units if unit.node == index)
            for index in range(len(cluster.nodes))
        )
        self._connect()
        self._scopes = self._find_scopes()
        self.checks_of_node: tuple[tuple[str, ...], ...] = tuple(
            tuple(sorted(frozenset().union(*(unit.checks - unit.never_pass for unit in units))))
            for units in self.units_of_node
        )
        self.never_pass_of_node: tuple[frozenset[str], ...] = tuple(
            frozenset().union(*(unit.never_pass for unit in units)) for units in self.units_of_node
        )
        self._possible = tuple(map(EventsOfNode, self.names, self.checks_of_node))

    # -- the cluster as a graph ------------------------------------------------------------

    def _connect(self) -> None:
        nodes = self.cluster.nodes
        receivers = [receiver_of(nodes[member.node], member.instance) for member in self.members]
        for sharing in networks([(self.names[m.node], m.instance) for m in self.members]):
            for receiver in sharing:
                self.members[receiver].hear(
                    self.members[sender]
                    for sender in sharing
                    if self.members[sender].node != self.members[receiver].node
                    and receivers[receiver].rejects(receivers[sender].own) is None
                )

    def _find_scopes(self) -> tuple[tuple[Unit, ...], ...]:
        """For each node the units an event there can move: those tied to its own by hearing."""
        neighbours: list[set[int]] = [set() for _unit in self.units]
        for member in self.members:
            for other in member.hears:
                neighbours[member.unit.index].add(other.unit.index)
                neighbours[other.unit.index].add(member.unit.index)
        return tuple(
            tuple(self.units[index] for index in sorted(_reach(neighbours, units)))
            for units in self.units_of_node
        )

    # -- states ----------------------------------------------------------------------------

    def initial(self) -> ClusterState:
        """All daemons stopped, all checks passing that can, all nodes up and connected."""
        return ClusterState(
            tuple(
                NodeState((VrrpState.INIT,) * len(node.instances), failed=never_pass)
                for node, never_pass in zip(self.cluster.nodes, self.never_pass_of_node)
            )
        )

    def holders(self, state: ClusterState) -> dict[str, frozenset[str]]:
        """The names of the nodes that have each VIP on an interface, by the VIP's address."""
        found: dict[str, list[str]] = {}
        for member in self.members:
            holds = state.nodes[member.node].states[member.position] in HOLDING
            for address in filter(is_address, member.carries):
                names = found.setdefault(address, [])
                if holds:
                    names.append(self.cluster.nodes[member.node].name)
        return {address: frozenset(names) for address, names in found.items()}

    def legal_events(self, state: ClusterState) -> Iterator[Event]:
        """Every event that can happen now, nodes in order."""
        for now, possible in zip(state.nodes, self._possible):
            if now.lost:
                yield possible.returns
                continue
            yield possible.stops if now.running else possible.starts
            for fails, recovers in possible.checks:
                yield recovers if fails.check in now.failed else fails
            if now.running:
                yield possible.killed
            yield possible.lost
            yield possible.healed if now.cut else possible.cut

    # -- events ----------------------------------------------------------------------------

    def apply(self, state: ClusterState, event: Event) -> ClusterState:
        """The settled state after ``event``; where timing decides, the likeliest."""
        index = self._index_of(event)
        scope = self._scopes[index]
        after = self._pulled(state, index, event)
        moment = next(iter(self._openings(state, after, scope, event)), None)
        seen = set()
        while moment is not None and moment.states not in seen:
            seen.add(moment.states)
            following = next(self._steps(after, scope, moment, 0.0), None)
            if following is None:
                return self._end(after, scope, moment)
            moment = following
        if moment is not None:
            raise EndlessElectionError(", ".join(self.names))
        return after

    def settlements(
        self, state: ClusterState, event: Event, jitter: float = 0.0
    ) -> tuple[ClusterState, ...]:
        """Every settled state that can follow ``event`` when down timers that end within
        ``jitter`` seconds of each other may end in any order; what ``apply`` gives comes first."""
        index = self._index_of(event)
        scope = self._scopes[index]
        after = self._pulled(state, index, event)
        begun = self._openings(state, after, scope, event)
        if not begun:
            return (after,)
        settled: dict[ClusterState, None] = {}
        seen = set(begun)
        waiting = list(reversed(begun))
        while waiting:
            moment = waiting.pop()
            following = list(self._steps(after, scope, moment, jitter))
            if not following:
                settled[self._end(after, scope, moment)] = None
            # The likeliest goes on the stack last, so it is followed first.
            for step in reversed(following):
                if step not in seen:
                    seen.add(step)
                    waiting.append(step)
            if len(seen) > _MOST_MOMENTS:
                raise EndlessElectionError(", ".join(self.names))
        return tuple(settled)

    def _index_of(self, event: Event) -> int:
        try:
            return self.node_index[event.node]
        except KeyError:
            raise IllegalEventError(event, "no such node") from None

    def _pulled(self, state: ClusterState, index: int, event: Event) -> ClusterState:
        """The state with what the event itself does, before anybody reacts."""
        before = state.nodes[index]
        changed = after_event(before, event, self.checks_of_node[index])
        inward = list(before.states)
        for unit in self.units_of_node[index]:
            trigger = _trigger(unit, before, changed, event)
            if trigger is not None:
                for member in unit.members:
                    inward[member.position] = next_state(before.states[member.position], trigger)
        changed = changed.with_states(inward)
        return ClusterState((*state.nodes[:index], changed, *state.nodes[index + 1 :]))

    def _openings(
        self, before: ClusterState, after: ClusterState, scope: tuple[Unit, ...], event: Event
    ) -> tuple[_Moment, ...]:
        """The moments an election can begin with, the likeliest first; none if nobody moves.

        There are several where a unit that only now became BACKUP may let its down timer end
        before it hears the MASTER, whose adverts are too far apart.
        """
        states = tuple(unit.state(after) for unit in scope)
        audible = _Audible(after, scope, states)
        hasty = [
            (place, unit)
            for place, unit in enumerate(scope)
            if states[place] is VrrpState.BACKUP
            and unit.state(before) is not VrrpState.BACKUP
            and audible.may_miss_all(unit)
        ]
        if not hasty and audible.is_quiet():
            return ()
        farewell = isinstance(event, (KeepalivedStops, CheckFails, CheckRecovers))
        deadlines = tuple(
            self._deadline(before, after, unit, farewell) if now is VrrpState.BACKUP else -1.0
            for unit, now in zip(scope, states)
        )
        openings = [_Moment(states, deadlines)]
        for place, unit in hasty:
            taken = [
                self._moved(after, scope, opening, unit, Trigger.DOWN_TIMER_EXPIRES)
                for opening in openings
            ]
            likelier = 2 * deadlines[place] < audible.shortest_interval(unit)
            openings = taken + openings if likelier else openings + taken
        return tuple(openings)

    def _deadline(
        self, before: ClusterState, after: ClusterState, unit: Unit, farewell: bool
    ) -> float:
        """When the down timer of a BACKUP ends if it hears nothing more, seconds from the event.
        The last advert counts as sent just now: it was for all who heard it."""
        return max(
            self._member_deadline(before, after, member, farewell) for member in unit.members
        )

    def _member_deadline(
        self, before: ClusterState, after: ClusterState, member: Member, farewell: bool
    ) -> float:
        effective = member.effective(after.nodes[member.node].failed) or priority.LOWEST
        interval = member.interval
        if member.unit.state(before) is VrrpState.BACKUP:
            for other in self._heard_masters(before, member):
                interval = other.interval
                if farewell and other.unit.state(after) is not VrrpState.MASTER:
                    return member.skew(effective, interval)
        return member.down_interval(effective, interval)

    def _heard_masters(self, state: ClusterState, member: Member) -> Iterator[Member]:
        if not state.nodes[member.node].cut:
            for other in member.hears:
                if other.unit.state(state) is VrrpState.MASTER and not state.nodes[other.node].cut:
                    yield other

    # -- the election ----------------------------------------------------------------------

    def _steps(
        self, after: ClusterState, scope: tuple[Unit, ...], moment: _Moment, jitter: float
    ) -> Iterator[_Moment]:
        """The moments that can come next, the likeliest first; none when all is quiet."""
        audible = _Audible(after, scope, moment.states)
        yielding = audible.yielding()
        for unit in yielding:
            yield self._moved(after, scope, moment, unit, Trigger.STRONGER_ADVERT)
        if yielding:
            return
        ready: list[tuple[float, Unit]] = []
        deadlines = list(moment.deadlines)
        for place, unit in enumerate(scope):
            if moment.states[place] is VrrpState.BACKUP:
                if audible.held_back(unit):
                    deadlines[place] = moment.now + audible.down_interval(unit)
                else:
                    delay = unit.preempt_delay if audible.hears_any(unit) else 0.0
                    ready.append((deadlines[place] + delay, unit))
        ready.sort(key=lambda item: max(map(audible.strength, item[1].members)), reverse=True)
        ready.sort(key=lambda item: item[0])
        for ends, unit in ready:
            if ends <= ready[0][0] + jitter:
                then = _Moment(moment.states, tuple(deadlines), max(moment.now, ends))
                yield self._moved(after, scope, then, unit, Trigger.DOWN_TIMER_EXPIRES)

    def _moved(
        self,
        after: ClusterState,
        scope: tuple[Unit, ...],
        moment: _Moment,
        unit: Unit,
        trigger: Trigger,
    ) -> _Moment:
        place = scope.index(unit)
        states = list(moment.states)
        deadlines = list(moment.deadlines)
        states[place] = next_state(states[place], trigger)
        failed = after.nodes[unit.node].failed
        deadlines[place] = -1.0
        if states[place] is VrrpState.BACKUP:
            deadlines[place] = moment.now + max(
                member.down_interval(member.effective(failed) or priority.LOWEST, member.interval)
                for member in unit.members
            )
        return _Moment(tuple(states), tuple(deadlines), moment.now)

    @staticmethod
    def _end(after: ClusterState, scope: tuple[Unit, ...], moment: _Moment) -> ClusterState:
        moved: dict[int, list[VrrpState]] = {}
        for unit, now in zip(scope, moment.states):
            if unit.state(after) is not now:
                states = moved.setdefault(unit.node, list(after.nodes[unit.node].states))
                for member in unit.members:
                    states[member.position] = now
        if not moved:
            return after
        nodes = list(after.nodes)
        for index, states in moved.items():
            nodes[index] = nodes[index].with_states(states)
        return ClusterState(tuple(nodes))


_MOST_MOMENTS = 10_000


def _reach(neighbours: list[set[int]], units: tuple[Unit, ...]) -> set[int]:
    found = {unit.index for unit in units}
    waiting = list(found)
    while waiting:
        for index in neighbours[waiting.pop()] - found:
            found.add(index)
            waiting.append(index)
    return found


def _trigger(unit: Unit, before: NodeState, after: NodeState, event: Event) -> Trigger | None:
    """What the event pulls on a unit of its node, if anything."""
    faulty = unit.faulty(after.failed)
    if isinstance(event, (KeepalivedStarts, NodeReturns)):
        if faulty:
            return Trigger.START_FAULTY
        return Trigger.START_AS_MASTER if unit.starts_as_master else Trigger.START
    if type(event) in ENDINGS:
        idle = before.states[unit.members[0].position] is VrrpState.INIT
        return None if idle else ENDINGS[type(event)]
    if before.running and faulty != unit.faulty(before.failed):
        return Trigger.FAULT_BEGINS if faulty else Trigger.FAULT_ENDS
    return None


@functools.lru_cache(maxsize=64)
def _prepared(cluster: Cluster) -> Election:
    return Election(cluster)


def initial(cluster: Cluster) -> ClusterState:
    """All daemons stopped, all checks passing, all nodes up and connected."""
    return _prepared(cluster).initial()


def apply(cluster: Cluster, state: ClusterState, event: Event) -> ClusterState:
    """The settled state after ``event``; ``IllegalEventError`` if it cannot happen in ``state``."""
    return _prepared(cluster).apply(state, event)


def settle_all(
    cluster: Cluster, state: ClusterState, event: Event, jitter: float = 0.0
) -> frozenset[ClusterState]:
    """Every settled state that can follow ``event`` when down timers that end within ``jitter``
    seconds of each other may end in any order. ``apply`` gives one of them."""
    return frozenset(_prepared(cluster).settlements(state, event, jitter))


def holders(cluster: Cluster, state: ClusterState) -> Mapping[str, frozenset[str]]:
    """The names of the nodes that have each VIP on an interface; keys are plain addresses. A
    node whose keepalived was killed while MASTER still has it."""
    return _prepared(cluster).holders(state)


def legal_events(cluster: Cluster, state: ClusterState) -> tuple[Event, ...]:
    """Every event that can happen in ``state``, nodes in order."""
    return tuple(_prepared(cluster).legal_events(state))
