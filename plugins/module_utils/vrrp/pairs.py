# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The proof that needs two nodes only: the properties of a component, pair by pair.

Why two are enough stands in ``explore``.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Iterator, Sequence

from . import priority
from .units import Member, Service, Unit

NO_FAILOVER = "no-failover"
DUAL_MASTER = "dual-master"
NEEDLESS_MOVE = "needless-move"


@dataclass(frozen=True)
class Profile:
    """What a unit outside FAULT is to others: the effective priority of each member. ``failed``
    is one smallest set of failing checks that makes it so."""

    healthy: bool
    effective: tuple[int, ...]
    failed: frozenset[str]


@dataclass(frozen=True)
class Shown:
    """Two nodes that show a property, and the checks that fail on them meanwhile."""

    first: int
    second: int
    first_failed: frozenset[str] = frozenset()
    second_failed: frozenset[str] = frozenset()


def best_results(unit: Unit) -> frozenset[str]:
    """The checks of the unit that fail when all is well: those tracked in reverse, and those that
    never pass."""
    return unit.never_pass | frozenset(
        track.check
        for member in unit.members
        for track in member.written
        if priority.is_healthy(track, failing=True)
    )


def profiles_of(unit: Unit) -> tuple[Profile, ...]:
    """All profiles of the unit, built check by check, so that combinations of checks that come
    to the same are followed once."""
    totals: dict[tuple[bool, tuple[int, ...]], frozenset[str]] = {
        (True, tuple(member.base for member in unit.members)): frozenset()
    }
    best = best_results(unit)
    for check in sorted(unit.checks):
        grown: dict[tuple[bool, tuple[int, ...]], frozenset[str]] = {}
        # The better condition first, so that the failing sets kept are the smallest changes.
        for failing in (True,) if check in unit.never_pass else (check in best, check not in best):
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
    profiles: dict[tuple[bool, tuple[int, ...]], Profile] = {}
    for (healthy, _sums), failed in sorted(totals.items(), key=lambda item: len(item[1] ^ best)):
        effective = tuple(member.effective(failed) or 0 for member in unit.members)
        profiles.setdefault((healthy, effective), Profile(healthy, effective, failed))
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


class Pairs:
    """The properties of a component, decided two nodes at a time. Every node has one unit."""

    def __init__(self, units: Sequence[Unit]) -> None:
        self.units = units
        self.profiles = {unit.index: profiles_of(unit) for unit in units}
        self._audible: dict[tuple[int, int], list[tuple[int, int, Member, Member]]] = {}
        for unit in units:
            for here, member in enumerate(unit.members):
                for other in member.hears:
                    there = other.unit.members.index(other)
                    self._audible.setdefault((unit.index, other.unit.index), []).append(
                        (here, there, member, other)
                    )

    def judge(self, service: Service) -> Iterator[tuple[str, tuple[Shown, ...]]]:
        """Each kind of discovery the service has, with the pairs that show it."""
        for kind, shown in (
            (NO_FAILOVER, self._stuck(service)),
            (DUAL_MASTER, self._dual(service)),
            (NEEDLESS_MOVE, self._moving(service)),
        ):
            pairs = tuple(shown)
            if pairs:
                yield kind, pairs

    def _stuck(self, service: Service) -> Iterator[Shown]:
        for unit in service.units:
            best = best_results(unit)
            if not unit.healthy(best):
                continue
            if unit.faulty(best):
                yield Shown(unit.node, unit.node, best, best)
                continue
            waiting = Profile(True, tuple(m.effective(best) or 0 for m in unit.members), best)
            for master in self.units:
                carries = master in service.units
                for now in self.profiles[master.index]:
                    if not (carries and now.healthy) and self._held_back(
                        unit, waiting, master, now
                    ):
                        yield Shown(master.node, unit.node, now.failed, best)
                        break

    def _dual(self, service: Service) -> Iterator[Shown]:
        for one, other in itertools.combinations(service.units, 2):
            if self._hear_each_other(one, other):
                continue
            for mine, theirs in itertools.product(
                self.profiles[one.index], self.profiles[other.index]
            ):
                if not self._yields(one, mine, other, theirs) and not self._yields(
                    other, theirs, one, mine
                ):
                    yield Shown(one.node, other.node, mine.failed, theirs.failed)
                    break

    def _moving(self, service: Service) -> Iterator[Shown]:
        for holder in service.units:
            for held in self.profiles[holder.index]:
                if not held.healthy:
                    continue
                for taker in service.units:
                    for now in self.profiles[taker.index]:
                        if self._takes_over(taker, now, holder, held) and self._yields(
                            holder, held, taker, now
                        ):
                            yield Shown(holder.node, taker.node, held.failed, now.failed)
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

    def _takes_over(self, taker: Unit, now: Profile, holder: Unit, held: Profile) -> bool:
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

    def _held_back(self, unit: Unit, mine: Profile, master: Unit, theirs: Profile) -> bool:
        return any(
            member.nopreempt or theirs.effective[there] >= mine.effective[here]
            for here, there, member, _other in self._audible.get((unit.index, master.index), ())
        )

    def _yields(self, unit: Unit, mine: Profile, master: Unit, theirs: Profile) -> bool:
        return any(
            (theirs.effective[there], other.strength) > (mine.effective[here], member.strength)
            for here, there, member, other in self._audible.get((unit.index, master.index), ())
        )
