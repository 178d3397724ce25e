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

import enum
import functools
import ipaddress
from dataclasses import dataclass, replace
from typing import Iterable, Iterator, Mapping

from . import priority, timing
from .model import Cluster, Instance, Node


class VrrpState(enum.Enum):
    """The state of an instance. INIT: keepalived does not run. ABANDONED: it was killed while
    MASTER, and the VIPs are still on the interface."""

    # Members are singletons; states are hashed too often for the hash of a name.
    __hash__ = object.__hash__

    INIT = "INIT"
    BACKUP = "BACKUP"
    MASTER = "MASTER"
    FAULT = "FAULT"
    ABANDONED = "ABANDONED"


class Trigger(enum.Enum):
    """What moves a unit from one state to another."""

    START = "keepalived starts, all checks good"
    START_AS_MASTER = "keepalived starts as address owner (or state MASTER before 2.0.0)"
    START_FAULTY = "keepalived starts, a check without weight fails"
    STOP = "keepalived stops"
    KILL = "keepalived is killed (kill -9)"
    POWER_LOSS = "the node loses power"
    FAULT_BEGINS = "a check without weight fails"
    FAULT_ENDS = "no check without weight fails any more"
    DOWN_TIMER_EXPIRES = "the down timer expires"
    STRONGER_ADVERT = "a stronger MASTER is heard"


_STARTS = {
    Trigger.START: VrrpState.BACKUP,
    Trigger.START_AS_MASTER: VrrpState.MASTER,
    Trigger.START_FAULTY: VrrpState.FAULT,
}

TRANSITIONS: Mapping[VrrpState, Mapping[Trigger, VrrpState]] = {
    VrrpState.INIT: _STARTS,
    VrrpState.BACKUP: {
        Trigger.DOWN_TIMER_EXPIRES: VrrpState.MASTER,
        Trigger.FAULT_BEGINS: VrrpState.FAULT,
        Trigger.STOP: VrrpState.INIT,
        Trigger.KILL: VrrpState.INIT,
        Trigger.POWER_LOSS: VrrpState.INIT,
    },
    VrrpState.MASTER: {
        Trigger.STRONGER_ADVERT: VrrpState.BACKUP,
        Trigger.FAULT_BEGINS: VrrpState.FAULT,
        Trigger.STOP: VrrpState.INIT,
        Trigger.KILL: VrrpState.ABANDONED,
        Trigger.POWER_LOSS: VrrpState.INIT,
    },
    VrrpState.FAULT: {
        # Never straight to MASTER: the full down timer passes first.
        Trigger.FAULT_ENDS: VrrpState.BACKUP,
        Trigger.STOP: VrrpState.INIT,
        Trigger.KILL: VrrpState.INIT,
        Trigger.POWER_LOSS: VrrpState.INIT,
    },
    VrrpState.ABANDONED: {**_STARTS, Trigger.POWER_LOSS: VrrpState.INIT},
}

HOLDING = frozenset({VrrpState.MASTER, VrrpState.ABANDONED})
"""The states in which the VIPs are on the interface."""


class IllegalTransitionError(RuntimeError):
    """A trigger that cannot occur in this state: a defect of the model, not of a cluster."""

    def __init__(self, state: VrrpState, trigger: Trigger) -> None:
        super().__init__(f"{trigger.name} cannot happen in state {state.name}")
        self.state = state
        self.trigger = trigger


class IllegalEventError(ValueError):
    """An event that cannot happen now, such as stopping a daemon that does not run."""

    def __init__(self, event: Event, why: str) -> None:
        super().__init__(f"{event}: {why}")
        self.event = event
        self.why = why


class EndlessElectionError(RuntimeError):
    """Sync groups overlap so that their members push each other out of MASTER for ever."""


def next_state(state: VrrpState, trigger: Trigger) -> VrrpState:
    """The state after ``trigger``; ``IllegalTransitionError`` if the table has no such move."""
    try:
        return TRANSITIONS[state][trigger]
    except KeyError:
        raise IllegalTransitionError(state, trigger) from None


@dataclass(frozen=True)
class Event:
    """Something that happens to one node, from outside."""

    node: str


@dataclass(frozen=True)
class CheckFails(Event):
    """A check of the node begins to fail (a tracked file: holds 1)."""

    check: str


@dataclass(frozen=True)
class CheckRecovers(Event):
    """A failing check of the node passes again (a tracked file: holds 0)."""

    check: str


@dataclass(frozen=True)
class KeepalivedStarts(Event):
    """keepalived is started."""


@dataclass(frozen=True)
class KeepalivedStops(Event):
    """keepalived is stopped in an orderly way."""


@dataclass(frozen=True)
class KeepalivedKilled(Event):
    """All processes of keepalived get SIGKILL."""


@dataclass(frozen=True)
class NodeLost(Event):
    """The node loses power."""


@dataclass(frozen=True)
class NodeReturns(Event):
    """A lost node boots, and keepalived starts with it."""


@dataclass(frozen=True)
class LinkCut(Event):
    """The node and the others no longer hear each other; its interface stays up."""


@dataclass(frozen=True)
class LinkHealed(Event):
    """A cut link works again."""


@dataclass(frozen=True)
class NodeState:
    """One node at rest. ``states`` are those of its instances, in the order of the node's
    ``instances``; ``failed`` are the names of the checks that fail."""

    states: tuple[VrrpState, ...]
    running: bool = False
    lost: bool = False
    cut: bool = False
    failed: frozenset[str] = frozenset()

    def with_states(self, states: Iterable[VrrpState]) -> NodeState:
        """The same node with other states of its instances."""
        return NodeState(tuple(states), self.running, self.lost, self.cut, self.failed)


@dataclass(frozen=True)
class ClusterState:
    """The cluster at rest, its nodes in the order of ``Cluster.nodes``."""

    nodes: tuple[NodeState, ...]


class Rejection(enum.Enum):
    """Why a receiver never acts on a sender's adverts."""

    ROUTER = "another virtual router (VRID, address family or network)"
    VERSION = "another VRRP version"
    AUTHENTICATION = "another authentication"
    ADVERT_INT = "another advert interval (version 2)"
    CAST = "unicast against multicast"
    PEER = "the sender does not list the receiver as unicast peer"
    VIPS = "another list of virtual addresses (up to keepalived 2.3.2)"


_VIP_LIST_ONLY_LOGGED_SINCE = (2, 3, 3)


@functools.lru_cache(maxsize=4096)
def plain_address(text: str) -> str:
    """The address alone, normalised, of what ``virtual_ipaddress`` and ``unicast_peer`` hold
    ("192.0.2.9/24 dev eth0" gives "192.0.2.9"); words that are no address come back as they are."""
    words = text.split()
    host = words[0].partition("/")[0] if words else text
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        return host


def addresses_of(instance: Instance) -> tuple[str, ...]:
    """The VIPs that come and go with the instance, without prefix length, in order."""
    listed = instance.virtual_ipaddress + instance.virtual_ipaddress_excluded
    return tuple(dict.fromkeys(map(plain_address, listed)))


def source_address(node: Node, instance: Instance) -> str:
    """Where the instance's adverts come from."""
    return plain_address(instance.unicast_src_ip or node.address)


def _family(instance: Instance) -> int:
    listed = instance.virtual_ipaddress + instance.virtual_ipaddress_excluded
    return 6 if any(":" in plain_address(vip) for vip in listed[:1]) else 4


def _authentication(instance: Instance) -> tuple[str, str] | None:
    written = instance.authentication
    if written is None or instance.version != 2 or instance.strict_mode:
        return None
    return (written.auth_type, written.auth_pass[:8])


@dataclass(frozen=True)
class _Adverts:
    """What an instance sends, as far as a receiver may mind."""

    router: tuple[int, int]
    peers: frozenset[str]
    version: int
    authentication: tuple[str, str] | None
    interval: float | None
    vips: frozenset[str]


def _adverts(instance: Instance) -> _Adverts:
    return _Adverts(
        router=(instance.virtual_router_id, _family(instance)),
        peers=frozenset(map(plain_address, instance.unicast_peer or ())),
        version=instance.version,
        authentication=_authentication(instance),
        interval=priority.advert_interval(instance) if instance.version == 2 else None,
        vips=frozenset(map(plain_address, instance.virtual_ipaddress)),
    )


@dataclass(frozen=True)
class _Receiver:
    """What an instance compares the adverts of others with."""

    own: _Adverts
    addresses: frozenset[str]
    minds_vips: bool

    def rejects(self, adverts: _Adverts) -> Rejection | None:
        """See ``rejection``."""
        own = self.own
        if own.router != adverts.router:
            return Rejection.ROUTER
        if bool(own.peers) != bool(adverts.peers):
            return Rejection.CAST
        if adverts.peers and adverts.peers.isdisjoint(self.addresses):
            return Rejection.PEER
        if own.version != adverts.version:
            return Rejection.VERSION
        if own.authentication != adverts.authentication:
            return Rejection.AUTHENTICATION
        if own.interval != adverts.interval:
            return Rejection.ADVERT_INT
        return Rejection.VIPS if self.minds_vips and own.vips != adverts.vips else None


def _receiver(node: Node, instance: Instance) -> _Receiver:
    return _Receiver(
        own=_adverts(instance),
        addresses=frozenset({plain_address(node.address), source_address(node, instance)}),
        minds_vips=node.keepalived_version < _VIP_LIST_ONLY_LOGGED_SINCE,
    )


def rejection(receiver_node: Node, receiver: Instance, sender: Instance) -> Rejection | None:
    """Why ``receiver`` never acts on the adverts of ``sender``, or None if it does. Whether a wire
    connects the two is not asked here."""
    return _receiver(receiver_node, receiver).rejects(_adverts(sender))


def _strength_of_address(address: str) -> tuple[int, int, str] | None:
    if not address:
        return None
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return (0, 0, address)
    return (parsed.version, int(parsed), "")


class Member:
    """One instance of one node, with everything about it that an election asks and no event
    changes."""

    def __init__(self, index: int, node: int, position: int, owner: Node, it: Instance) -> None:
        self.index = index
        self.node = node
        self.position = position
        self.instance = it
        self.addresses = addresses_of(it)
        self.nopreempt = priority.nopreempt_in_force(owner, it)
        self.preempt_delay = priority.preempt_delay_in_force(owner, it)
        self.is_owner = priority.is_owner(it)
        self.starts_as_master = priority.starts_as_master(owner, it)
        self.interval = priority.advert_interval(it)
        self.adverts = priority.down_timer_adverts(owner, it)
        # Hosts never share an address: of two that nobody told, the first node's is the higher.
        self.strength = _strength_of_address(source_address(owner, it)) or (0, -node, "")
        self.old = owner.keepalived_version < (2, 0, 0)
        self.hears: tuple[Member, ...] = ()
        self._hears_of: dict[int, tuple[Member, ...]] = {}
        self.unit: Unit
        self.base = priority.base_priority(it)
        self.tracks = priority.counting_tracks(owner, it)
        self.written = priority.written_tracks(owner, it)
        self.checks = frozenset(track.check for track in self.written)
        self._effective: dict[frozenset[str], int | None] = {}

    def hear(self, others: Iterable[Member]) -> None:
        """Say once whose adverts the instance accepts."""
        self.hears = tuple(others)
        for other in self.hears:
            self._hears_of[other.unit.index] = (*self.hears_of(other.unit.index), other)

    def hears_of(self, unit: int) -> tuple[Member, ...]:
        """The members of a unit, given by its index, whose adverts the instance accepts."""
        return self._hears_of.get(unit, ())

    def effective(self, failed: frozenset[str]) -> int | None:
        """The effective priority while ``failed`` checks fail; None in FAULT of its own."""
        if failed not in self._effective:
            results = {
                track.check: priority.result_of(track.kind, track.check in failed)
                for track in self.tracks
            }
            self._effective[failed] = priority.effective_from_tracks(
                self.base, self.tracks, results
            )
        return self._effective[failed]

    def added_by(self, check: str, failing: bool) -> int | None:
        """What a check adds to the priority in this condition; None is a fault."""
        added = [
            priority.contribution(track, priority.result_of(track.kind, failing))
            for track in self.tracks
            if track.check == check
        ]
        return None if None in added else sum(one for one in added if one is not None)

    def wants(self, check: str, failing: bool) -> bool:
        """Whether the operator wants the check in this condition, as far as this instance goes."""
        return all(
            priority.is_healthy(track, failing) for track in self.written if track.check == check
        )

    def down_interval(self, effective: int, interval: float) -> float:
        """Seconds of silence until takeover after adverts that came every ``interval``."""
        if self.instance.version == 2:
            interval = self.interval
        return timing.master_down(
            self.instance.version, self._timed_by(effective), interval, self.adverts
        )

    def skew(self, effective: int, interval: float) -> float:
        """Seconds until takeover after a farewell (priority 0)."""
        return timing.skew(self.instance.version, self._timed_by(effective), interval)

    def _timed_by(self, effective: int) -> int:
        """The priority that sets the skew: 1.4.5 and older took the base priority."""
        return self.base if self.old else effective

    def may_miss(self, other: Member, effective: int) -> bool:
        """Whether the down timer can end before the first advert of ``other`` comes, when both
        run version 3 with intervals far apart."""
        return other.interval > self.down_interval(effective, self.interval)


class Unit:
    """The instances of one node that change state together: a sync group, or one alone."""

    def __init__(self, index: int, node: int, members: tuple[Member, ...]) -> None:
        self.index = index
        self.node = node
        self.members = members
        self.checks = frozenset(check for member in members for check in member.checks)
        self.preempt_delay = max(member.preempt_delay for member in members)
        self.starts_as_master = all(member.starts_as_master for member in members)
        self._faulty: dict[frozenset[str], bool] = {}
        self._healthy: dict[frozenset[str], bool] = {}
        for member in members:
            member.unit = self

    def state(self, cluster: ClusterState) -> VrrpState:
        """The state all members are in."""
        return cluster.nodes[self.node].states[self.members[0].position]

    def faulty(self, failed: frozenset[str]) -> bool:
        """Whether a check without weight fails at any member: all of them are in FAULT."""
        known = self._faulty.get(failed)
        if known is None:
            known = any(member.effective(failed) is None for member in self.members)
            self._faulty[failed] = known
        return known

    def healthy(self, failed: frozenset[str]) -> bool:
        """Whether every check of every member is as the operator wants it."""
        known = self._healthy.get(failed)
        if known is None:
            known = all(
                priority.is_healthy(track, track.check in failed)
                for member in self.members
                for track in member.written
            )
            self._healthy[failed] = known
        return known


@dataclass(frozen=True)
class _Moment:
    """An election under way: a state for each unit, and when each down timer ends (seconds after
    the event, -1 where none runs)."""

    states: tuple[VrrpState, ...]
    deadlines: tuple[float, ...]
    now: float = 0.0


class _Air:
    """What the units of a scope hear of each other at one moment."""

    def __init__(
        self, after: ClusterState, scope: tuple[Unit, ...], states: tuple[VrrpState, ...]
    ) -> None:
        self._nodes = after.nodes
        self._backups = [u for u, now in zip(scope, states) if now is VrrpState.BACKUP]
        self._masters = [u for u, now in zip(scope, states) if now is VrrpState.MASTER]
        self._audible = [unit.index for unit in self._masters if not after.nodes[unit.node].cut]

    def strength(self, member: Member) -> tuple[int, tuple[int, int, str]]:
        """What two MASTERs compare: effective priority, then address."""
        effective = member.effective(self._nodes[member.node].failed)
        return (effective or 0, member.strength)

    def heard(self, member: Member) -> list[Member]:
        """The MASTERs whose adverts the member accepts."""
        if self._nodes[member.node].cut:
            return []
        return [other for unit in self._audible for other in member.hears_of(unit)]

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


class _Possible:
    """The events of one node, made once."""

    def __init__(self, node: str, checks: tuple[str, ...]) -> None:
        self.checks = tuple((CheckFails(node, it), CheckRecovers(node, it)) for it in checks)
        self.starts = KeepalivedStarts(node)
        self.stops = KeepalivedStops(node)
        self.killed = KeepalivedKilled(node)
        self.lost = NodeLost(node)
        self.returns = NodeReturns(node)
        self.cut = LinkCut(node)
        self.healed = LinkHealed(node)


class Election:
    """A cluster made ready for many events. It holds no run-time state of its own."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.names = tuple(node.name for node in cluster.nodes)
        self.node_index = {node.name: index for index, node in enumerate(cluster.nodes)}
        self.members = tuple(_members(cluster))
        self.units = tuple(_units(cluster, self.members))
        self.units_of_node: tuple[tuple[Unit, ...], ...] = tuple(
            tuple(unit for unit in self.units if unit.node == index)
            for index in range(len(cluster.nodes))
        )
        self._connect()
        self._scopes = self._find_scopes()
        self.checks_of_node: tuple[tuple[str, ...], ...] = tuple(
            tuple(sorted(frozenset().union(*(unit.checks for unit in units))))
            for units in self.units_of_node
        )
        self._possible = tuple(map(_Possible, self.names, self.checks_of_node))

    # -- the cluster as a graph ------------------------------------------------------------

    def _connect(self) -> None:
        nodes = self.cluster.nodes
        receivers = [_receiver(nodes[member.node], member.instance) for member in self.members]
        networks: dict[tuple[int, int], list[Member]] = {}
        for member, receiver in zip(self.members, receivers):
            networks.setdefault(receiver.own.router, []).append(member)
        for sharing in networks.values():
            # A VRID used twice on one node is used on two networks: the interface tells which.
            by_interface = len({member.node for member in sharing}) < len(sharing)
            for member in sharing:
                rejects = receivers[member.index].rejects
                member.hear(
                    other
                    for other in sharing
                    if other.node != member.node
                    and not (by_interface and other.instance.interface != member.instance.interface)
                    and rejects(receivers[other.index].own) is None
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
        """All daemons stopped, all checks passing, all nodes up and connected."""
        return ClusterState(
            tuple(
                NodeState(states=(VrrpState.INIT,) * len(node.instances))
                for node in self.cluster.nodes
            )
        )

    def holders(self, state: ClusterState) -> dict[str, frozenset[str]]:
        """The names of the nodes that have each VIP on an interface, by the VIP's address."""
        found: dict[str, list[str]] = {}
        for member in self.members:
            holds = state.nodes[member.node].states[member.position] in HOLDING
            for address in member.addresses:
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
        changed = _outward(before, event, self.checks_of_node[index])
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
        air = _Air(after, scope, states)
        hasty = [
            (place, unit)
            for place, unit in enumerate(scope)
            if states[place] is VrrpState.BACKUP
            and unit.state(before) is not VrrpState.BACKUP
            and air.may_miss_all(unit)
        ]
        if not hasty and air.is_quiet():
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
            likelier = 2 * deadlines[place] < air.shortest_interval(unit)
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
        air = _Air(after, scope, moment.states)
        yielding = air.yielding()
        for unit in yielding:
            yield self._moved(after, scope, moment, unit, Trigger.STRONGER_ADVERT)
        if yielding:
            return
        ready: list[tuple[float, Unit]] = []
        deadlines = list(moment.deadlines)
        for place, unit in enumerate(scope):
            if moment.states[place] is VrrpState.BACKUP:
                if air.held_back(unit):
                    deadlines[place] = moment.now + air.down_interval(unit)
                else:
                    delay = unit.preempt_delay if air.hears_any(unit) else 0.0
                    ready.append((deadlines[place] + delay, unit))
        ready.sort(key=lambda item: max(map(air.strength, item[1].members)), reverse=True)
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


def _members(cluster: Cluster) -> Iterator[Member]:
    index = 0
    for place, node in enumerate(cluster.nodes):
        for position, instance in enumerate(node.instances):
            yield Member(index, place, position, node, instance)
            index += 1


def _units(cluster: Cluster, members: tuple[Member, ...]) -> Iterator[Unit]:
    together: dict[tuple[int, str], list[Member]] = {}
    for member in members:
        group = priority.sync_group_of(cluster.nodes[member.node], member.instance)
        # A space cannot occur in a name that keepalived reads, so the two kinds never collide.
        name = f"group {group.name}" if group is not None else str(member.position)
        together.setdefault((member.node, name), []).append(member)
    for index, ((node, _name), group_members) in enumerate(together.items()):
        yield Unit(index, node, tuple(group_members))


def _reach(neighbours: list[set[int]], units: tuple[Unit, ...]) -> set[int]:
    found = {unit.index for unit in units}
    waiting = list(found)
    while waiting:
        for index in neighbours[waiting.pop()] - found:
            found.add(index)
            waiting.append(index)
    return found


def _outward(before: NodeState, event: Event, checks: tuple[str, ...]) -> NodeState:
    """What the event changes on its node, apart from its instances' states."""
    if isinstance(event, NodeReturns):
        _require(before.lost, event, "the node is not lost")
        return replace(before, lost=False, running=True)
    _require(not before.lost, event, "the node is lost")
    if isinstance(event, (CheckFails, CheckRecovers)):
        _require(event.check in checks, event, "no instance of the node tracks this check")
        failing = event.check in before.failed
        _require(
            failing == isinstance(event, CheckRecovers),
            event,
            "the check fails already" if failing else "the check does not fail",
        )
        return replace(before, failed=before.failed ^ {event.check})
    if isinstance(event, KeepalivedStarts):
        _require(not before.running, event, "keepalived runs already")
        return replace(before, running=True)
    if isinstance(event, (KeepalivedStops, KeepalivedKilled)):
        _require(before.running, event, "keepalived does not run")
        return replace(before, running=False)
    if isinstance(event, NodeLost):
        return replace(before, lost=True, running=False)
    if isinstance(event, LinkCut):
        _require(not before.cut, event, "the link is cut already")
        return replace(before, cut=True)
    _require(isinstance(event, LinkHealed), event, "not an event of this model")
    _require(before.cut, event, "the link is not cut")
    return replace(before, cut=False)


def _require(met: bool, event: Event, otherwise: str) -> None:
    if not met:
        raise IllegalEventError(event, otherwise)


_ENDINGS: Mapping[type, Trigger] = {
    KeepalivedStops: Trigger.STOP,
    KeepalivedKilled: Trigger.KILL,
    NodeLost: Trigger.POWER_LOSS,
}


def _trigger(unit: Unit, before: NodeState, after: NodeState, event: Event) -> Trigger | None:
    """What the event pulls on a unit of its node, if anything."""
    faulty = unit.faulty(after.failed)
    if isinstance(event, (KeepalivedStarts, NodeReturns)):
        if faulty:
            return Trigger.START_FAULTY
        return Trigger.START_AS_MASTER if unit.starts_as_master else Trigger.START
    if type(event) in _ENDINGS:
        idle = before.states[unit.members[0].position] is VrrpState.INIT
        return None if idle else _ENDINGS[type(event)]
    if before.running and faulty != unit.faulty(before.failed):
        return Trigger.FAULT_BEGINS if faulty else Trigger.FAULT_ENDS
    return None


def transition_table() -> str:
    """``TRANSITIONS`` as a Markdown table."""
    rows = ["| in state | when | goes to |", "|---|---|---|"]
    for state, moves in TRANSITIONS.items():
        for trigger, target in moves.items():
            rows.append(f"| {state.value} | {trigger.value} | {target.value} |")
    return "\n".join(rows)


def transition_diagram() -> str:
    """``TRANSITIONS`` as a Mermaid state diagram, one arrow for each pair of states."""
    lines = ["stateDiagram-v2", "    [*] --> INIT"]
    for state, moves in TRANSITIONS.items():
        for target in dict.fromkeys(moves.values()):
            causes = " / ".join(t.value for t, to in moves.items() if to is target)
            lines.append(f"    {state.value} --> {target.value}: {causes}")
    return "\n".join(lines)


def document() -> str:
    """The text of ``docs/election.md``."""
    theory = (__doc__ or "").replace("``", "`")
    summary, _blank, essay = theory.partition("\n\n")
    essay = essay.partition("=\n\n")[2]
    return "\n".join(
        (
            "<!-- Generated from plugins/module_utils/vrrp/election.py; do not edit. -->",
            "# The election",
            "",
            summary,
            "",
            "## Every transition",
            "",
            "```mermaid",
            transition_diagram(),
            "```",
            "",
            transition_table(),
            "",
            "## Theory of operation",
            "",
            essay.rstrip() + "\n",
        )
    )


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
