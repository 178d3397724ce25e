# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What happens to a node, and the states it leads to: the table of every legal move.

A ``vrrp_instance`` is a state machine (``VrrpState``); ``TRANSITIONS`` holds every move it makes.
An *event* comes from outside and happens to one node; ``after_event`` says what it changes there.
The theory of operation stands in ``election``.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace
from typing import Iterable, Mapping


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


class EventsOfNode:
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


def after_event(before: NodeState, event: Event, checks: tuple[str, ...]) -> NodeState:
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


ENDINGS: Mapping[type, Trigger] = {
    KeepalivedStops: Trigger.STOP,
    KeepalivedKilled: Trigger.KILL,
    NodeLost: Trigger.POWER_LOSS,
}
