# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How often nodes advertise and checks run, so that every budget is kept.

Adverts are as rare as the budgets allow, at most one a second; checks are as tolerant of a single
failure as the budgets allow. A check with a budget of its own is polled as that one allows; the
others share ``failover_budget``, and one way to be polled.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Iterator, Sequence

from ..readers import SettingError
from . import versions
from .model import Check, CheckKind
from .request import Mode, RankedCheck, Request
from .structured import check_data
from .timing import EVENT, Span, clean_stop, polled, silence
from .weights import Ranks

#: Seconds. With adverts closer together, a CPU that stalls soon looks like a lost node.
STURDY_ADVERT = 0.1


@dataclass(frozen=True)
class Poll:
    """How often a script runs, how many failures in a row count, and within how many seconds
    its command has to answer by itself: keepalived's own timeout may be coarser."""

    interval: float
    fall: int
    deadline: float

    @property
    def detection(self) -> Span:
        return polled(self.interval, self.fall, self.deadline)


@dataclass(frozen=True)
class Bounds:
    """The longest time without service, in seconds, as long as a healthy node is left. The
    checks are those that ``failover_budget`` limits. None: nothing in this plan notices such a
    failure in that way. ``node_pause`` is no failure: a node that stands still for less keeps its
    addresses."""

    check_failure_event: float | None
    check_failure_poll: float | None
    clean_stop: float
    node_loss: float
    node_pause: float

    @property
    def failover(self) -> float:
        """What ``failover_budget`` limits."""
        return max(self.check_failure_event or 0.0, self.check_failure_poll or 0.0)


@dataclass(frozen=True)
class CheckPlan:
    """A check, how it is polled, and the longest time without service when it fails, noticed by
    event and by polling. None: it is not noticed in that way."""

    check: RankedCheck
    weight: int
    poll: Poll | None
    by_event: float | None
    by_poll: float | None

    @property
    def bound(self) -> float:
        """What its budget limits."""
        return max(self.by_event or 0.0, self.by_poll or 0.0)

    def as_data(self) -> Iterator[dict[str, object]]:
        """What is to be defined on every node: a script, a tracked file, or both."""
        for check in self.definitions():
            data = check_data(check)
            if check.kind is CheckKind.SCRIPT and self.poll:
                data["deadline"] = self.poll.deadline
            data["bound"] = self.by_poll if check.kind is CheckKind.SCRIPT else self.by_event
            yield data

    def definitions(self) -> Iterator[Check]:
        """The script and the tracked file."""
        if self.poll:
            yield Check(
                self.check.name,
                CheckKind.SCRIPT,
                interval=self.poll.interval,
                timeout=self.poll.interval,
                rise=2,
                fall=self.poll.fall,
            )
        if self.check.event:
            yield Check(self.check.file_name, CheckKind.FILE)


@dataclass(frozen=True)
class Timers:
    advert: float
    checks: tuple[CheckPlan, ...]


def timers_of(request: Request, ranks: Ranks) -> Timers:
    """The advert interval and the polling that keep every budget. Raises SettingError."""
    polls = _polls(request)
    shares = any(check.budget is None for check in request.tracked)
    for shortest in (STURDY_ADVERT, 0.0):
        for shared in polls if shares else polls[:1]:
            for advert in _adverts(request):
                timers = advert >= shortest and _kept(request, ranks, advert, shared, polls)
                if timers:
                    return timers
    raise _refusal(request, ranks)


def _kept(
    request: Request, ranks: Ranks, advert: float, shared: Poll, polls: Sequence[Poll]
) -> Timers | None:
    """The timers with this advert interval, if they keep every budget: the checks that share
    ``failover_budget`` are polled in one way, any other in the most desirable way for itself."""
    planned = []
    for check, weight in zip(request.tracked, ranks.weights):
        for poll in (shared,) if check.budget is None else polls:
            plan = _check_plan(request, ranks, check, weight, advert, poll)
            if plan.bound <= (check.budget or request.failover_budget):
                planned.append(plan)
                break
        else:
            return None
    timers = Timers(advert, tuple(planned))
    bounds = bounds_of(request, ranks, timers)
    within = (
        bounds.node_loss <= request.node_loss_budget and bounds.failover <= request.failover_budget
    )
    return timers if within else None


def _adverts(request: Request) -> Sequence[float]:
    """Advert intervals in seconds, the most desirable first. VRRPv2 has whole seconds."""
    if request.vrrp_version == 2:
        return (1.0,)
    return [hundredths / 100 for hundredths in range(100, 0, -1)]


def _polls(request: Request) -> Sequence[Poll]:
    """Ways to poll, the most desirable first: one failure alone should not move an address, and
    scripts should run rarely."""
    fractions = request.keepalived_version >= versions.FRACTIONS_SINCE
    polls = [
        Poll(interval, fall, deadline)
        for interval in ((1.0, 0.5, 0.25, 0.1) if fractions else (1.0,))
        for fall in (3, 2, 1)
        for deadline in (0.5, 0.25, 0.1)
        if deadline <= interval
    ]
    return sorted(
        polls,
        key=lambda poll: (poll.fall > 1, poll.interval, poll.fall, poll.deadline),
        reverse=True,
    )


def _check_plan(
    request: Request, ranks: Ranks, check: RankedCheck, weight: int, advert: float, poll: Poll
) -> CheckPlan:
    election = (silence if weight else clean_stop)(request.vrrp_version, ranks.lowest, advert)
    return CheckPlan(
        check=check,
        weight=weight,
        poll=poll if check.poll else None,
        by_event=_milliseconds((EVENT + election).most) if check.event else None,
        by_poll=_milliseconds((poll.detection + election).most) if check.poll else None,
    )


def bounds_of(request: Request, ranks: Ranks, timers: Timers) -> Bounds:
    stop = clean_stop(request.vrrp_version, ranks.lowest, timers.advert)
    shared = [item for item in timers.checks if item.check.budget is None]
    by_event = [item.by_event for item in shared if item.by_event is not None]
    if request.mode is Mode.KILL:
        by_event = [_milliseconds((EVENT + stop).most)]
    lost = silence(request.vrrp_version, ranks.lowest, timers.advert)
    return Bounds(
        check_failure_event=max(by_event, default=None),
        check_failure_poll=max(
            (item.by_poll for item in shared if item.by_poll is not None), default=None
        ),
        clean_stop=_milliseconds(stop.most),
        node_loss=_milliseconds(lost.most),
        node_pause=math.floor(round(lost.least * 1000, 6)) / 1000,
    )


def _milliseconds(seconds: float) -> float:
    """Rounded up to a millisecond: a bound is never promised shorter than it is."""
    return math.ceil(round(seconds * 1000, 6)) / 1000


def fastest_timers(request: Request, ranks: Ranks, advert: float) -> Timers:
    """The timers with the fastest polling there is."""
    fastest = min(_polls(request), key=lambda poll: poll.detection.most)
    return Timers(
        advert,
        tuple(
            _check_plan(request, ranks, check, weight, advert, fastest)
            for check, weight in zip(request.tracked, ranks.weights)
        ),
    )


def _refusal(request: Request, ranks: Ranks) -> SettingError:
    timers = fastest_timers(request, ranks, _adverts(request)[-1])
    shortest = bounds_of(request, ranks, timers)
    if shortest.node_loss > request.node_loss_budget:
        why, instead = "", ""
        if request.vrrp_version == 2:
            why, instead = " of VRRPv2", ", or {vrrp_version}: 3"
        return SettingError(
            "node_loss_budget",
            f"{request.node_loss_budget:g} s cannot be kept: the bound node_loss is "
            f"{shortest.node_loss:g} s with the shortest adverts{why}; write at least "
            f"{shortest.node_loss:g}{instead}",
        )
    if shortest.failover > request.failover_budget:
        bound = "check_failure_poll"
        if shortest.check_failure_poll is None or shortest.check_failure_poll < shortest.failover:
            bound = "check_failure_event"
        return SettingError(
            "failover_budget",
            f"{request.failover_budget:g} s cannot be kept: the bound {bound} is "
            f"{shortest.failover:g} s with the shortest timers; "
            + _remedies(
                request, shortest.failover, [c for c in timers.checks if not c.check.budget]
            ),
        )
    index, item, budget = next(
        (index, item, item.check.budget)
        for index, item in enumerate(timers.checks)
        if item.check.budget is not None and item.bound > item.check.budget
    )
    return SettingError(
        f"checks[{index}].budget",
        f"{budget:g} s cannot be kept: {item.check.name} is felt for {item.bound:g} s with the "
        f"shortest timers; " + _remedies(request, item.bound, [item]),
    )


def _remedies(request: Request, bound: float, checks: Sequence[CheckPlan]) -> str:
    """What to write for a budget that these checks break."""
    remedies = [f"write at least {bound:g}"]
    if any(item.weight for item in checks):
        remedies.append("{mode}: fault" if request.mode is Mode.WEIGHT else "effect: fault")
    if any(item.poll for item in checks) and request.keepalived_version < versions.FRACTIONS_SINCE:
        remedies.append("use keepalived 2.3.2 or newer, which checks more than once a second")
    return ", or ".join(remedies)
