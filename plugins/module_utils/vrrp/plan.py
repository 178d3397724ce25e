# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From wishes to numbers: the priorities, weights, router ids and timers of a cluster.

**Priorities.** The most preferred node has 254, the next 253, and so on: a backup waits for
(256 - priority)/256 of an advert interval before it takes over from a master that leaves in
order, so high priorities make such a handover cost milliseconds.

**Sticky or preferred.** Preferred: bases differ by one and nobody has ``nopreempt``. Sticky has
two forms, because ``nopreempt`` also holds back the backup of a node whose weight has dropped:

* Where no check has a weight (a fault, mode ``kill``), a failed check takes its node out
  of the election, so ``nopreempt`` is safe and keeps an address where it is.
* Where a check has a weight, nobody has ``nopreempt``, and all bases are equal instead: a backup
  that hears a priority no lower than its own stays backup, so the incumbent among equals stays.

**Sync groups.** Its addresses share one order of nodes. Its checks are tracked by the group and not
by its instances, whose weights keepalived would drop.

**Weights.** A node ranks by the most severe check that it fails. For ranks never to cross, a
check's weight must exceed what all lighter checks together can take away plus the gap between
the highest and the lowest base. A check that is noticed by event and by polling takes its weight
away once or twice. The lowest sum stays above 0, so nothing is ever clamped.

**Timers.** Adverts are as rare as the budgets allow, at most one a second; checks are as
tolerant of a single failure as the budgets allow. A check with a budget of its own is polled as
that one allows; the others share ``failover_budget``, and one way to be polled.
"""

from __future__ import annotations

import ipaddress
import math
from dataclasses import asdict, dataclass, replace
from typing import Any, Iterator, Sequence

from ..readers import Naming, SettingError, plain_name
from . import priority, versions
from .findings import Finding, Severity
from .model import Check, CheckKind, Cluster, Instance, Node, SyncGroup, Track
from .request import Mode, Preempt, RankedCheck, Request
from .router_ids import router_ids
from .structured import check_data, instance_data, track_data
from .timing import EVENT, Span, clean_stop, polled, silence
from .validate import Report, validate

TOP_PRIORITY = priority.HIGHEST
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
    failure in that way."""

    check_failure_event: float | None
    check_failure_poll: float | None
    clean_stop: float
    node_loss: float

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
class Plan:
    """The planned cluster, what it promises, and what the validator and the plan say about it.
    In mode ``kill``, ``checks`` is empty."""

    cluster: Cluster
    bounds: Bounds
    checks: tuple[CheckPlan, ...]
    report: Report

    @property
    def slowest(self) -> float:
        """The longest bound there is, in seconds."""
        checks = (bound for item in self.checks for bound in (item.by_event, item.by_poll))
        return max(bound or 0.0 for bound in (*asdict(self.bounds).values(), *checks))

    def as_data(self) -> dict[str, Any]:
        """The plan as ``vrrp_plan`` returns it."""
        defined = [item for check in self.checks for item in check.as_data()]
        return {
            "instances": {
                node.name: [instance_data(instance) for instance in node.instances]
                for node in self.cluster.nodes
            },
            "sync_groups": [
                {
                    "name": group.name,
                    "group": list(group.members),
                    **track_data(group.tracks),
                }
                for group in self.cluster.nodes[0].sync_groups
            ],
            "checks": sorted(defined, key=lambda item: item["kind"] != CheckKind.SCRIPT.value),
            "bounds": asdict(self.bounds),
            **self.report.as_data(),
        }


def make_plan(request: Request) -> Plan:
    """The plan for a request, proven before it is returned.

    Raises SettingError for what cannot be had; its text names the nearest thing that can.
    """
    return _proven(draft(request), request)


def draft(request: Request, naming: Naming = plain_name) -> Plan:
    """The plan without its proof; the report holds what the plan itself has to say, with options
    as ``naming`` calls them."""
    ranks = _rank(request)
    timers = _timers(request, ranks)
    return Plan(
        cluster=_cluster(request, ranks, timers),
        bounds=_bounds(request, ranks, timers),
        checks=timers.checks,
        report=Report(tuple(_notes(request, ranks, timers, naming))),
    )


def _proven(plan: Plan, request: Request) -> Plan:
    """The plan with the validator's report. Raises SettingError if the plan does not hold, which
    would be a defect of this module."""
    report = validate(plan.cluster)
    if report.reaches(Severity.ERROR):
        raise SettingError("plan", f"does not hold, please report it: {report.findings[0].message}")
    found = unwished(report.findings, request)
    return replace(plan, report=replace(report, findings=plan.report.findings + found))


def unwished(findings: Sequence[Finding], request: Request) -> tuple[Finding, ...]:
    """The findings without those that say what the request asks for."""
    wished = set()
    if request.preempt is Preempt.PREFERRED:
        wished.add("needless-move")
    if request.mode is Mode.KILL:
        wished.add("no-check")
    return tuple(item for item in findings if item.id not in wished)


# --- who is preferred ----------------------------------------------------------------------


def spread(nodes: int, vips: int) -> list[list[int]]:
    """For each address the nodes in order of preference, by index.

    Every node is the first choice for as many addresses as any other, give or take one, and
    what it leaves behind falls evenly to the rest. The orders grow one node at a time: a new
    node takes its share of first, then of second places from those that have most, and goes
    last everywhere else. So a node added at the end never reorders the nodes before it.
    """
    orders = [[0] for _vip in range(vips)]
    for node in range(1, nodes):
        for place in range(min(node, 2)):
            groups: dict[tuple[int, ...], list[int]] = {}
            for vip, order in enumerate(orders):
                if len(order) == node:
                    groups.setdefault(tuple(order[:place]), []).append(vip)
            for group in groups.values():
                _take_share(orders, group, node, place)
        for order in orders:
            if len(order) == node:
                order.append(node)
    return orders


def _take_share(orders: list[list[int]], group: Sequence[int], node: int, place: int) -> None:
    holders: dict[int, list[int]] = {}
    for vip in group:
        holders.setdefault(orders[vip][place], []).append(vip)
    for _turn in range(len(group) // (node + 1 - place)):
        most = max(len(held) for held in holders.values())
        candidates = (vip for held in holders.values() if len(held) == most for vip in held)
        # The first address to the first node, the second to the second, as a reader expects.
        vip = max(candidates, key=lambda vip: (vip % (node + 1) == node, vip))
        holders[orders[vip][place]].remove(vip)
        orders[vip].insert(place, node)


def _orders(request: Request) -> list[list[int]]:
    """``spread`` for the addresses of a request: those of a sync group have one order."""
    slots: dict[str, int] = {}
    places = [
        slots.setdefault(f"group {vip.sync_group}" if vip.sync_group else vip.name, len(slots))
        for vip in request.vips
    ]
    orders = spread(len(request.nodes), len(slots))
    return [orders[place] for place in places]


# --- how far a failed check takes a node down ----------------------------------------------


@dataclass(frozen=True)
class _Ranks:
    """Weights in the order of the checks. ``bases`` are the priorities of nodes that pass all
    checks: by node where ``given``, otherwise by place in an address's order of preference."""

    weights: tuple[int, ...]
    bases: tuple[int, ...]
    given: bool = False

    @property
    def weighted(self) -> bool:
        return any(self.weights)

    @property
    def lowest(self) -> int:
        """The lowest priority of a node that passes all checks."""
        return min(self.bases)

    def base(self, node: int, order: Sequence[int]) -> int:
        """The priority of a node, given by index, in this order of preference."""
        return self.bases[node if self.given else order.index(node)]


def _rank(request: Request) -> _Ranks:
    """Weights that keep the order of severity without clamping. Raises SettingError."""
    weighted = _is_weighted(request)
    bases = request.priorities or _bases(len(request.nodes), request.preempt, weighted)
    gap = max(bases) - min(bases)
    _ask_for_sticky(request, gap, weighted)
    weights: tuple[int, ...] = ()
    if request.mode is Mode.KILL:
        _without_ranks(request)
    elif not request.checks:
        raise SettingError(
            "checks", "none is given, so nothing would notice a dead HAProxy; give at least one"
        )
    else:
        weights = _weights(request.mode, request.checks, gap)
        needed = _priorities(request.checks, weights, gap)
        if needed > max(bases):
            raise _out_of_priorities(request, gap, needed)
    _ask_for_harmless_delay(request, weighted)
    return _Ranks(weights, bases, given=bool(request.priorities))


def _is_weighted(request: Request) -> bool:
    return request.mode is not Mode.KILL and any(
        check.is_ranked(request.mode) for check in request.checks
    )


def _bases(nodes: int, preempt: Preempt, weighted: bool) -> tuple[int, ...]:
    """One below the other, or all equal where that is what keeps an address in its place."""
    equal = weighted and preempt is Preempt.STICKY
    return tuple(TOP_PRIORITY - (0 if equal else place) for place in range(nodes))


def _out_of_priorities(request: Request, gap: int, needed: int) -> SettingError:
    if request.priorities:
        lowest = needed - gap
        advice = (
            f"write at least {lowest} as the lowest"
            if lowest + gap <= TOP_PRIORITY
            else "leave them out"
        )
        return SettingError(
            "priorities",
            f"the lowest is {min(request.priorities)} and failed checks take away up to "
            f"{needed - gap - 1}, which would end below 1; {advice}",
        )
    return SettingError(
        "checks",
        f"{len(request.nodes)} nodes with these checks need {needed} priorities and VRRP has "
        f"{TOP_PRIORITY}; " + _nearest(request, gap),
    )


def _ask_for_sticky(request: Request, gap: int, weighted: bool) -> None:
    """Where checks rank, equal priorities keep an address in its place, and among equals that
    meet, the higher address wins: of a sync group on one node, all or none."""
    if not weighted or request.preempt is not Preempt.STICKY:
        return
    if gap:
        raise SettingError(
            "priorities",
            "differ, so the address would return although {preempt} is sticky: with checks that "
            "rank, sticky needs equal priorities; write one number for all nodes, or {preempt}: "
            "preferred, or {checks[].effect}: fault for every check",
        )
    groups: dict[str, int] = {}
    for index, vip in enumerate(request.vips):
        first = groups.setdefault(vip.sync_group, index) if vip.sync_group else index
        if not _same_winners(request, first, index):
            raise SettingError(
                f"vips[{index}].sync_group",
                f"{vip.sync_group} would wait for itself: with equal priorities the higher address "
                f"wins, and the nodes' addresses for {vip.name} are in another order than for "
                f"{request.vips[first].name}; write {{preempt}}: preferred, or "
                "{checks[].effect}: fault for every check, or let the addresses rise in the same "
                "order",
            )


def _same_winners(request: Request, one: int, other: int) -> bool:
    """Whether the same nodes have the higher address for two addresses, given by index. With
    multicast, the system chooses the source, so only one interface and family tells."""

    def order(vip: int) -> list[int]:
        return sorted(
            range(len(request.nodes)),
            key=lambda node: int(ipaddress.ip_address(request.nodes[node].link(vip).address)),
        )

    if request.multicast:
        return all(
            node.link(one).interface == node.link(other).interface for node in request.nodes
        ) and (request.vips[one].family == request.vips[other].family)
    return order(one) == order(other)


def _ask_for_harmless_delay(request: Request, weighted: bool) -> None:
    if not request.preempt_delay:
        return
    if request.preempt is Preempt.STICKY:
        raise SettingError(
            "preempt_delay",
            "delays the return of an address, and with {preempt}: sticky none returns; write 0, or "
            "{preempt}: preferred",
        )
    if weighted:
        raise SettingError(
            "preempt_delay",
            f"would leave clients without service for {request.preempt_delay:g} s when a check "
            "that ranks fails, since it also delays the takeover from a node whose priority has "
            "dropped; write 0, or {checks[].effect}: fault for every check",
        )


def _without_ranks(request: Request) -> None:
    if len(request.checks) > 1:
        raise SettingError(
            "checks",
            "mode kill stops keepalived together with HAProxy and knows no further check; leave "
            f"out {request.checks[1].name}, or write {{mode}}: fault",
        )
    if request.checks and request.checks[0].weight:
        raise SettingError(
            "checks[0].weight", "mode kill has no weights; write auto, or {mode}: weight"
        )
    for check in request.checks:
        for option, given in (
            ("effect", check.effect is not None),
            ("budget", check.budget is not None),
            ("poll", not check.poll),
        ):
            if given:
                raise SettingError(
                    f"checks[0].{option}",
                    "mode kill tracks nothing; leave it out, or write {mode}: fault",
                )


def _weights(mode: Mode, checks: Sequence[RankedCheck], gap: int) -> tuple[int, ...]:
    weights: list[int] = []
    lighter = 0
    for index in reversed(range(len(checks))):
        check = checks[index]
        least = gap + lighter + 1
        weight = check.weight
        if weight is None:
            weight = -least if check.is_ranked(mode) else 0
        if weight and 0 in weights:
            raise SettingError(
                f"checks[{index}].weight",
                f"{check.name} is more severe than {checks[index + 1 + weights.index(0)].name}, "
                "whose weight of 0 takes a node out; write 0 here too, or a weight there, or "
                "list it first",
            )
        if weight and -weight < least:
            raise SettingError(
                f"checks[{index}].weight",
                f"{weight} does not outweigh the gap of {gap} between the nodes and the {lighter} "
                f"that lighter checks can take away; write {-least}, or auto",
            )
        weights.insert(0, weight)
        lighter += _most_taken(check, weight)
    return tuple(weights)


def _most_taken(check: RankedCheck, weight: int) -> int:
    """What a failed check takes away at most: its file and its script both count."""
    return -weight * (check.event + check.poll)


def _priorities(checks: Sequence[RankedCheck], weights: Sequence[int], gap: int) -> int:
    """How many priorities lie between the best node and the worst, both included."""
    return 1 + gap + sum(_most_taken(check, weight) for check, weight in zip(checks, weights))


def _nearest(request: Request, gap: int) -> str:
    """What to change for the ranks to fit: the smallest step from what was asked."""
    automatic = [replace(check, weight=None) for check in request.checks]
    polled_only = [replace(check, event=not check.poll) for check in automatic]
    for checks, fitting_gap, advice in (
        (automatic, gap, "leave out the weights that you gave"),
        (request.checks, 0, "write {preempt}: sticky, which needs no gap between the nodes"),
        (polled_only, gap, "leave out event, so that each check counts once"),
    ):
        weights = _weights(request.mode, checks, fitting_gap)
        if _priorities(checks, weights, fitting_gap) <= TOP_PRIORITY:
            return advice
    if request.mode is Mode.WEIGHT:
        return "write {mode}: fault, which needs no weights"
    return "write {checks[].effect}: fault for more of them, which needs no weight"


# --- how fast ------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Timers:
    advert: float
    checks: tuple[CheckPlan, ...]


def _timers(request: Request, ranks: _Ranks) -> _Timers:
    """The advert interval and the polling that keep every budget. Raises SettingError."""
    polls = _polls(request)
    shares = any(check.budget is None for check in _tracked(request))
    for shortest in (STURDY_ADVERT, 0.0):
        for shared in polls if shares else polls[:1]:
            for advert in _adverts(request):
                timers = advert >= shortest and _kept(request, ranks, advert, shared, polls)
                if timers:
                    return timers
    raise _refusal(request, ranks)


def _kept(
    request: Request, ranks: _Ranks, advert: float, shared: Poll, polls: Sequence[Poll]
) -> _Timers | None:
    """The timers with this advert interval, if they keep every budget: the checks that share
    ``failover_budget`` are polled in one way, any other in the most desirable way for itself."""
    planned = []
    for check, weight in zip(_tracked(request), ranks.weights):
        for poll in (shared,) if check.budget is None else polls:
            plan = _check_plan(request, ranks, check, weight, advert, poll)
            if plan.bound <= (check.budget or request.failover_budget):
                planned.append(plan)
                break
        else:
            return None
    timers = _Timers(advert, tuple(planned))
    bounds = _bounds(request, ranks, timers)
    within = (
        bounds.node_loss <= request.node_loss_budget and bounds.failover <= request.failover_budget
    )
    return timers if within else None


def _tracked(request: Request) -> tuple[RankedCheck, ...]:
    return () if request.mode is Mode.KILL else request.checks


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
    request: Request, ranks: _Ranks, check: RankedCheck, weight: int, advert: float, poll: Poll
) -> CheckPlan:
    election = (silence if weight else clean_stop)(request.vrrp_version, ranks.lowest, advert)
    return CheckPlan(
        check=check,
        weight=weight,
        poll=poll if check.poll else None,
        by_event=_milliseconds((EVENT + election).most) if check.event else None,
        by_poll=_milliseconds((poll.detection + election).most) if check.poll else None,
    )


def _bounds(request: Request, ranks: _Ranks, timers: _Timers) -> Bounds:
    stop = clean_stop(request.vrrp_version, ranks.lowest, timers.advert)
    shared = [item for item in timers.checks if item.check.budget is None]
    by_event = [item.by_event for item in shared if item.by_event is not None]
    if request.mode is Mode.KILL:
        by_event = [_milliseconds((EVENT + stop).most)]
    return Bounds(
        check_failure_event=max(by_event, default=None),
        check_failure_poll=max(
            (item.by_poll for item in shared if item.by_poll is not None), default=None
        ),
        clean_stop=_milliseconds(stop.most),
        node_loss=_milliseconds(silence(request.vrrp_version, ranks.lowest, timers.advert).most),
    )


def _milliseconds(seconds: float) -> float:
    """Rounded up to a millisecond: a bound is never promised shorter than it is."""
    return math.ceil(round(seconds * 1000, 6)) / 1000


def _fastest(request: Request, ranks: _Ranks, advert: float) -> _Timers:
    """The timers with the fastest polling there is."""
    fastest = min(_polls(request), key=lambda poll: poll.detection.most)
    return _Timers(
        advert,
        tuple(
            _check_plan(request, ranks, check, weight, advert, fastest)
            for check, weight in zip(_tracked(request), ranks.weights)
        ),
    )


def _refusal(request: Request, ranks: _Ranks) -> SettingError:
    timers = _fastest(request, ranks, _adverts(request)[-1])
    shortest = _bounds(request, ranks, timers)
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


# --- the result ----------------------------------------------------------------------------


def _cluster(request: Request, ranks: _Ranks, timers: _Timers) -> Cluster:
    orders = _orders(request)
    numbers = router_ids(request)
    defined = [
        (check, item.weight)
        for kind in (CheckKind.SCRIPT, CheckKind.FILE)
        for item in timers.checks
        for check in item.definitions()
        if check.kind is kind
    ]
    tracks = tuple(Track(check.name, check.kind, weight) for check, weight in defined)
    groups = tuple(
        SyncGroup(
            name,
            members=tuple(vip.name for vip in request.vips if vip.sync_group == name),
            tracks=tracks,
        )
        for name in dict.fromkeys(vip.sync_group for vip in request.vips if vip.sync_group)
    )
    instances = [
        Instance(
            name=vip.name,
            virtual_router_id=router_id,
            version=request.vrrp_version,
            advert_int=timers.advert,
            nopreempt=request.preempt is Preempt.STICKY and not ranks.weighted,
            preempt_delay=request.preempt_delay,
            tracks=() if vip.sync_group else tracks,
            virtual_ipaddress=(vip.address, *vip.virtual_ipaddress),
            virtual_ipaddress_excluded=vip.virtual_ipaddress_excluded,
        )
        for vip, router_id in zip(request.vips, numbers)
    ]
    return Cluster(
        tuple(
            Node(
                name=node.name,
                address=node.address,
                instances=tuple(
                    replace(
                        _connected(request, instance, index, vip),
                        priority=ranks.base(index, order),
                    )
                    for vip, (instance, order) in enumerate(zip(instances, orders))
                ),
                checks=tuple(check for check, _weight in defined),
                sync_groups=groups,
                keepalived_version=request.keepalived_version,
            )
            for index, node in enumerate(request.nodes)
        )
    )


def _connected(request: Request, instance: Instance, node: int, vip: int) -> Instance:
    """The instance of a virtual address as it is on a node, both given by index."""
    link = request.nodes[node].link(vip)
    instance = replace(instance, interface=link.interface)
    if request.multicast:
        return instance
    peers = [other.link(vip).address for other in request.nodes]
    return replace(
        instance,
        unicast_src_ip=link.address,
        unicast_peer=tuple(peers[:node] + peers[node + 1 :]),
    )


def _notes(request: Request, ranks: _Ranks, timers: _Timers, naming: Naming) -> Iterator[Finding]:
    """What the operator should know although the plan holds."""
    if timers.advert < STURDY_ADVERT:
        yield _short_adverts(request, ranks, timers.advert, naming)
    moving = {vip.sync_group or vip.address for vip in request.vips}
    if request.preempt is Preempt.STICKY and len(moving) > 1:
        yield Finding(
            "spread-not-kept",
            Severity.INFO,
            f"With {naming('preempt')}: sticky nothing returns: after a failure, or when one node "
            f"starts first, one node can hold all {len(request.vips)} addresses.",
            f"Write {naming('preempt')}: preferred to have each address return to its own node.",
        )
    if request.mode is Mode.KILL:
        yield Finding(
            "hang-unnoticed",
            Severity.INFO,
            "Mode kill notices a HAProxy that ends, not one that hangs.",
            f"Write {naming('mode')}: fault, which notices both.",
        )


def _short_adverts(request: Request, ranks: _Ranks, advert: float, naming: Naming) -> Finding:
    sturdy = _fastest(request, ranks, STURDY_ADVERT)
    bounds = _bounds(request, ranks, sturdy)
    wanted = [f"a {naming('node_loss_budget')} of at least {bounds.node_loss:g}"]
    if bounds.failover:
        wanted.append(f"a {naming('failover_budget')} of at least {bounds.failover:g}")
    wanted += [
        f"a budget of {item.check.name} of at least {item.bound:g}"
        for item in sturdy.checks
        if item.check.budget is not None and item.bound > item.check.budget
    ]
    return Finding(
        "advert-int-short",
        Severity.WARNING,
        f"Adverts are {advert:g} s apart: a CPU that stalls for {3 * advert:g} s looks like a "
        "lost node, and the address moves without need.",
        f"Write {' and '.join(wanted)}, or measure how long your hosts stall.",
    )
