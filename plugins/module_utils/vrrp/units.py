# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The instances of a cluster made ready for elections: everything that no event changes.

A ``Member`` is one instance of one node; the members of a sync group change state together and
make one ``Unit``, an instance in no group makes one by itself.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Iterable, Iterator

from . import priority, timing, versions
from .commands import never_passes
from .events import ClusterState, VrrpState
from .hearing import carried_by, source_address
from .model import CheckKind, Cluster, Instance, Node


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
        self.carries = carried_by(it)
        self.nopreempt = priority.nopreempt_in_force(owner, it)
        self.preempt_delay = priority.preempt_delay_in_force(owner, it)
        self.is_owner = priority.is_owner(it)
        self.starts_as_master = priority.starts_as_master(owner, it)
        self.interval = priority.advert_interval(it)
        self.adverts = priority.down_timer_adverts(owner, it)
        # Where addresses are unknown, break ties by inventory order: the first node counts as the
        # higher address.
        self.strength = _strength_of_address(source_address(owner, it)) or (0, -node, "")
        self.old = owner.keepalived_version < versions.SECOND_GENERATION_SINCE
        self.hears: tuple[Member, ...] = ()
        self._hears_of: dict[int, tuple[Member, ...]] = {}
        self.unit: Unit
        self.base = priority.base_priority(it)
        self.tracks = priority.counting_tracks(owner, it)
        self.written = priority.written_tracks(owner, it)
        self.checks = frozenset(track.check for track in self.written)
        # Checks that can never pass, whatever runs on the node.
        self.never_pass = self.checks & checks_that_never_pass(owner)
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
        self.never_pass = frozenset(check for member in members for check in member.never_pass)
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


def members_of(cluster: Cluster) -> Iterator[Member]:
    """Every instance of every node, nodes in order."""
    index = 0
    for place, node in enumerate(cluster.nodes):
        for position, instance in enumerate(node.instances):
            yield Member(index, place, position, node, instance)
            index += 1


def units_of(cluster: Cluster, members: tuple[Member, ...]) -> Iterator[Unit]:
    """The members by sync group; who is in none makes a unit alone."""
    together: dict[tuple[int, str], list[Member]] = {}
    for member in members:
        group = priority.sync_group_of(cluster.nodes[member.node], member.instance)
        # A space cannot occur in a name that keepalived reads, so the two kinds never collide.
        name = f"group {group.name}" if group is not None else str(member.position)
        together.setdefault((member.node, name), []).append(member)
    for index, ((node, _name), group_members) in enumerate(together.items()):
        yield Unit(index, node, tuple(group_members))


@dataclass(frozen=True)
class Service:
    """VIPs that the same instances carry, and the units of those instances."""

    addresses: tuple[str, ...]
    units: tuple[Unit, ...]


def services_of(members: Iterable[Member]) -> Iterator[Service]:
    """The VIPs of a cluster, those that always move together in one service."""
    carriers: dict[str, set[Unit]] = {}
    for member in members:
        for address in member.carries:
            carriers.setdefault(address, set()).add(member.unit)
    alike: dict[tuple[Unit, ...], list[str]] = {}
    for address, units in carriers.items():
        ordered = tuple(sorted(units, key=lambda unit: unit.index))
        alike.setdefault(ordered, []).append(address)
    for together, addresses in alike.items():
        yield Service(tuple(addresses), together)


def checks_that_never_pass(node: Node) -> frozenset[str]:
    """The scripts of the node whose commands fail whatever the state of the service."""
    return frozenset(
        check.name
        for check in node.checks
        if check.kind is CheckKind.SCRIPT and never_passes(check)
    )
