# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From wishes to numbers: the priorities, weights, router ids and timers of a cluster.

**Priorities.** The most preferred node has 254, the next 253, and so on: a backup waits for
(256 - priority)/256 of an advert interval before it takes over from a master that leaves in
order, so high priorities make such a handover cost milliseconds.

**Sticky or preferred.** Preferred: bases differ by one and nobody has ``nopreempt``. Sticky has
two forms, because ``nopreempt`` also holds back the backup of a node whose weight has dropped:

* Where no check has a weight (mode ``fault``, mode ``kill``), a failed check takes its node out
  of the election, so ``nopreempt`` is safe and keeps an address where it is.
* Where a check has a weight, nobody has ``nopreempt``, and all bases are equal instead: a backup
  that hears a priority no lower than its own stays backup, so the incumbent among equals stays.

**Weights.** A node ranks by the most severe check that it fails. For ranks never to cross, a
check's weight must exceed what all lighter checks together can take away plus the gap between
the highest and the lowest base. A check that is noticed by event and by polling takes its weight
away once or twice. The lowest sum stays above 0, so nothing is ever clamped.

**Timers.** Adverts are as rare as the budgets allow, at most one a second; checks are as
tolerant of a single failure as the budgets allow.
"""

from __future__ import annotations

import hashlib
import ipaddress
import math
from dataclasses import asdict, dataclass, replace
from typing import Iterator, Sequence

from . import priority
from .findings import Finding, Severity
from .model import Check, CheckKind, Cluster, Instance, ModelError, Node, Track
from .request import ROUTER_IDS, Mode, Preempt, RankedCheck, Request
from .rules import Report, validate
from .structured import check_data, instance_data
from .timing import EVENT, Span, clean_stop, polled, silence

TOP_PRIORITY = priority.HIGHEST
#: Seconds. With adverts closer together, a CPU that stalls soon looks like a lost node.
STURDY_ADVERT = 0.1
#: keepalived runs scripts several times a second from this version on.
FRACTIONS_SINCE = (2, 3, 2)


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
    """The longest time without service, in seconds, as long as a healthy node is left. None:
    nothing in this plan notices such a failure in that way."""

    check_failure_event: float | None
    check_failure_poll: float | None
    clean_stop: float
    node_loss: float

    @property
    def failover(self) -> float:
        """What ``failover_budget`` limits."""
        return max(self.check_failure_event or 0.0, self.check_failure_poll or 0.0)


@dataclass(frozen=True)
class Plan:
    """The planned cluster, what it promises, and what the validator and the plan say about it."""

    cluster: Cluster
    bounds: Bounds
    poll: Poll | None
    report: Report

    def as_data(self) -> dict[str, object]:
        """The plan as ``vrrp_plan`` returns it."""
        return {
            "instances": {
                node.name: [instance_data(instance) for instance in node.instances]
                for node in self.cluster.nodes
            },
            "checks": [self._check_data(check) for check in self.cluster.nodes[0].checks],
            "bounds": asdict(self.bounds),
            **self.report.as_data(),
        }

    def _check_data(self, check: Check) -> dict[str, object]:
        data = check_data(check)
        if check.kind is CheckKind.SCRIPT and self.poll:
            data["deadline"] = self.poll.deadline
        return data


def make_plan(request: Request) -> Plan:
    """The plan for a request, proven before it is returned.

    Raises ModelError for what cannot be had; its text names the nearest thing that can.
    """
    return _proven(draft(request), request)


def draft(request: Request) -> Plan:
    """The plan without its proof; the report holds what the plan itself has to say."""
    ranks = _rank(request)
    advert, poll = _timers(request, ranks)
    return Plan(
        cluster=_cluster(request, ranks, advert, poll),
        bounds=_bounds(request, ranks, advert, poll),
        poll=poll,
        report=Report(tuple(_notes(request, ranks, advert))),
    )


def _proven(plan: Plan, request: Request) -> Plan:
    """The plan with the validator's report. Raises ModelError if the plan does not hold, which
    would be a defect of this module."""
    report = validate(plan.cluster)
    if report.reaches(Severity.ERROR):
        raise ModelError("plan", f"does not hold, please report it: {report.findings[0].message}")
    wished = set()
    if request.preempt is Preempt.PREFERRED:
        wished.add("needless-move")
    if request.mode is Mode.KILL:
        wished.add("no-check")
    found = tuple(item for item in report.findings if item.id not in wished)
    return replace(plan, report=replace(report, findings=plan.report.findings + found))


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


def derived_router_id(address: str) -> int:
    """A router id from 1 to 255 that depends on nothing but the address."""
    digest = hashlib.sha256(ipaddress.ip_interface(address).ip.packed).digest()
    return int.from_bytes(digest, "big") % ROUTER_IDS + 1


def _router_ids(request: Request) -> list[int]:
    """A router id for each address: the given one, or the next free one from the derived one."""
    used = dict.fromkeys(request.taken_virtual_router_ids, "among taken_virtual_router_ids")
    for index, vip in enumerate(request.vips):
        if vip.virtual_router_id is None:
            continue
        if vip.virtual_router_id in used:
            raise ModelError(
                f"vips[{index}].virtual_router_id",
                f"{vip.virtual_router_id} is {used[vip.virtual_router_id]} too; write another, or "
                "leave it out to have one derived",
            )
        used[vip.virtual_router_id] = f"that of vips[{index}]"
    router_ids = []
    for index, vip in enumerate(request.vips):
        router_id = vip.virtual_router_id
        if router_id is None:
            if len(used) == ROUTER_IDS:
                raise ModelError(
                    "vips",
                    f"no router id is left for vips[{index}], all {ROUTER_IDS} are taken; give "
                    "fewer addresses, or fewer taken_virtual_router_ids",
                )
            router_id = derived_router_id(vip.address)
            while router_id in used:
                router_id = router_id % ROUTER_IDS + 1
            used[router_id] = f"that of vips[{index}]"
        router_ids.append(router_id)
    return router_ids


# --- how far a failed check takes a node down ----------------------------------------------


@dataclass(frozen=True)
class _Ranks:
    """Weights in the order of the checks; ``gap`` lies between the highest and lowest base."""

    weights: tuple[int, ...]
    gap: int

    @property
    def weighted(self) -> bool:
        return any(self.weights)

    @property
    def lowest(self) -> int:
        """The lowest priority of a node that passes all checks."""
        return TOP_PRIORITY - self.gap


def _rank(request: Request) -> _Ranks:
    """Weights that keep the order of severity without clamping. Raises ModelError."""
    gap = len(request.nodes) - 1
    if request.mode is Mode.KILL:
        _without_ranks(request)
        return _Ranks((), gap)
    if not request.checks:
        raise ModelError(
            "checks", "none is given, so nothing would notice a dead HAProxy; give at least one"
        )
    weighted = any(_weighted(request.mode, check) for check in request.checks)
    if weighted and request.preempt is Preempt.STICKY:
        gap = 0
    weights = _weights(request.mode, request.checks, gap)
    if _priorities(request.checks, weights, gap) > TOP_PRIORITY:
        raise ModelError(
            "checks",
            f"{len(request.nodes)} nodes with these checks need "
            f"{_priorities(request.checks, weights, gap)} priorities and VRRP has {TOP_PRIORITY}; "
            + _nearest(request, gap),
        )
    return _Ranks(weights, gap)


def _without_ranks(request: Request) -> None:
    if len(request.checks) > 1:
        raise ModelError(
            "checks",
            "mode kill stops keepalived together with HAProxy and knows no further check; leave "
            f"out {request.checks[1].name}, or write mode: fault",
        )
    if request.checks and request.checks[0].weight:
        raise ModelError(
            "checks[0].weight", "mode kill has no weights; write auto, or mode: weight"
        )


def _weighted(mode: Mode, check: RankedCheck) -> bool:
    return mode is Mode.WEIGHT if check.weight is None else check.weight != 0


def _weights(mode: Mode, checks: Sequence[RankedCheck], gap: int) -> tuple[int, ...]:
    weights: list[int] = []
    lighter = 0
    for index in reversed(range(len(checks))):
        check = checks[index]
        least = gap + lighter + 1
        weight = check.weight
        if weight is None:
            weight = -least if mode is Mode.WEIGHT else 0
        if weight and 0 in weights:
            raise ModelError(
                f"checks[{index}].weight",
                f"{check.name} is more severe than {checks[index + 1 + weights.index(0)].name}, "
                "whose weight of 0 takes a node out; write 0 here too, or a weight there",
            )
        if weight and -weight < least:
            raise ModelError(
                f"checks[{index}].weight",
                f"{weight} does not outweigh the gap of {gap} between the nodes and the {lighter} "
                f"that lighter checks can take away; write {-least}, or auto",
            )
        weights.insert(0, weight)
        lighter += _most_taken(check, weight)
    return tuple(weights)


def _most_taken(check: RankedCheck, weight: int) -> int:
    """What a failed check takes away at most: its file and its script both count."""
    return -weight * (2 if check.event else 1)


def _priorities(checks: Sequence[RankedCheck], weights: Sequence[int], gap: int) -> int:
    """How many priorities lie between the best node and the worst, both included."""
    return 1 + gap + sum(_most_taken(check, weight) for check, weight in zip(checks, weights))


def _nearest(request: Request, gap: int) -> str:
    """What to change for the ranks to fit: the smallest step from what was asked."""
    automatic = [RankedCheck(check.name, event=check.event) for check in request.checks]
    polled_only = [RankedCheck(check.name) for check in request.checks]
    for checks, fitting_gap, advice in (
        (automatic, gap, "leave out the weights that you gave"),
        (request.checks, 0, "write preempt: sticky, which needs no gap between the nodes"),
        (polled_only, gap, "leave out event, so that each check counts once"),
    ):
        weights = _weights(request.mode, checks, fitting_gap)
        if _priorities(checks, weights, fitting_gap) <= TOP_PRIORITY:
            return advice
    return "write mode: fault, which needs no weights"


# --- how fast ------------------------------------------------------------------------------


def _timers(request: Request, ranks: _Ranks) -> tuple[float, Poll | None]:
    """The advert interval and the polling that keep both budgets. Raises ModelError."""
    polls = _polls(request)
    adverts = _adverts(request)
    for shortest in (STURDY_ADVERT, 0.0):
        for poll in polls:
            for advert in adverts:
                bounds = _bounds(request, ranks, advert, poll)
                if (
                    advert >= shortest
                    and bounds.node_loss <= request.node_loss_budget
                    and bounds.failover <= request.failover_budget
                ):
                    return advert, poll
    raise _refusal(request, ranks)


def _adverts(request: Request) -> Sequence[float]:
    """Advert intervals in seconds, the most desirable first. VRRPv2 has whole seconds."""
    if request.vrrp_version == 2:
        return (1.0,)
    return [hundredths / 100 for hundredths in range(100, 0, -1)]


def _polls(request: Request) -> Sequence[Poll | None]:
    """Ways to poll, the most desirable first: one failure alone should not move an address, and
    scripts should run rarely."""
    if request.mode is Mode.KILL:
        return (None,)
    fractions = request.keepalived_version >= FRACTIONS_SINCE
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


def _bounds(request: Request, ranks: _Ranks, advert: float, poll: Poll | None) -> Bounds:
    stop = clean_stop(request.vrrp_version, ranks.lowest, advert)
    unheeded = silence(request.vrrp_version, ranks.lowest, advert)
    if request.mode is Mode.KILL:
        by_event: float | None = _milliseconds((EVENT + stop).most)
    elif any(check.event for check in request.checks):
        pairs = zip(request.checks, ranks.weights)
        weighted = any(weight for check, weight in pairs if check.event)
        by_event = _milliseconds((EVENT + (unheeded if weighted else stop)).most)
    else:
        by_event = None
    return Bounds(
        check_failure_event=by_event,
        check_failure_poll=_milliseconds(
            (poll.detection + (unheeded if ranks.weighted else stop)).most
        )
        if poll
        else None,
        clean_stop=_milliseconds(stop.most),
        node_loss=_milliseconds(unheeded.most),
    )


def _milliseconds(seconds: float) -> float:
    """Rounded up to a millisecond: a bound is never promised shorter than it is."""
    return math.ceil(round(seconds * 1000, 6)) / 1000


def _fastest(request: Request, ranks: _Ranks, advert: float) -> Bounds:
    """The bounds with the fastest polling there is."""
    return min(
        (_bounds(request, ranks, advert, poll) for poll in _polls(request)),
        key=lambda bounds: bounds.failover,
    )


def _refusal(request: Request, ranks: _Ranks) -> ModelError:
    shortest = _fastest(request, ranks, _adverts(request)[-1])
    if shortest.node_loss > request.node_loss_budget:
        why, instead = "", ""
        if request.vrrp_version == 2:
            why, instead = " of VRRPv2", ", or vrrp_version: 3"
        return ModelError(
            "node_loss_budget",
            f"{request.node_loss_budget:g} s cannot be kept: the bound node_loss is "
            f"{shortest.node_loss:g} s with the shortest adverts{why}; write at least "
            f"{shortest.node_loss:g}{instead}",
        )
    bound = "check_failure_poll"
    if shortest.check_failure_poll is None or shortest.check_failure_poll < shortest.failover:
        bound = "check_failure_event"
    remedies = [f"write at least {shortest.failover:g}"]
    if ranks.weighted:
        remedies.append("mode: fault")
    if request.mode is not Mode.KILL and request.keepalived_version < FRACTIONS_SINCE:
        remedies.append("use keepalived 2.3.2 or newer, which checks more than once a second")
    return ModelError(
        "failover_budget",
        f"{request.failover_budget:g} s cannot be kept: the bound {bound} is "
        f"{shortest.failover:g} s with the shortest timers; {', or '.join(remedies)}",
    )


# --- the result ----------------------------------------------------------------------------


def _cluster(request: Request, ranks: _Ranks, advert: float, poll: Poll | None) -> Cluster:
    sticky = request.preempt is Preempt.STICKY
    orders = spread(len(request.nodes), len(request.vips))
    router_ids = _router_ids(request)
    checks = _checks(request, poll)
    tracks = _tracks(request, ranks)
    return Cluster(
        tuple(
            Node(
                name=node.name,
                address=node.address,
                instances=tuple(
                    Instance(
                        name=vip.name,
                        virtual_router_id=router_id,
                        interface=node.interface,
                        priority=TOP_PRIORITY - (order.index(index) if ranks.gap else 0),
                        version=request.vrrp_version,
                        advert_int=advert,
                        nopreempt=sticky and not ranks.weighted,
                        tracks=tracks,
                        virtual_ipaddress=(vip.address,),
                        unicast_src_ip=node.address,
                        unicast_peer=tuple(
                            peer.address for peer in request.nodes if peer is not node
                        ),
                    )
                    for vip, router_id, order in zip(request.vips, router_ids, orders)
                ),
                checks=checks,
                keepalived_version=request.keepalived_version,
            )
            for index, node in enumerate(request.nodes)
        )
    )


def _checks(request: Request, poll: Poll | None) -> tuple[Check, ...]:
    if poll is None:
        return ()
    scripts = tuple(
        Check(
            check.name,
            CheckKind.SCRIPT,
            interval=poll.interval,
            timeout=poll.interval,
            rise=2,
            fall=poll.fall,
        )
        for check in request.checks
    )
    files = tuple(Check(check.file_name, CheckKind.FILE) for check in request.checks if check.event)
    return scripts + files


def _tracks(request: Request, ranks: _Ranks) -> tuple[Track, ...]:
    weighed = list(zip(request.checks, ranks.weights))
    scripts = tuple(Track(check.name, CheckKind.SCRIPT, weight) for check, weight in weighed)
    files = tuple(
        Track(check.file_name, CheckKind.FILE, weight) for check, weight in weighed if check.event
    )
    return scripts + files


def _notes(request: Request, ranks: _Ranks, advert: float) -> Iterator[Finding]:
    """What the operator should know although the plan holds."""
    if advert < STURDY_ADVERT:
        sturdy = _fastest(request, ranks, STURDY_ADVERT)
        yield Finding(
            "advert-int-short",
            Severity.WARNING,
            f"Adverts are {advert:g} s apart: a CPU that stalls for {3 * advert:g} s looks like a "
            "lost node, and the address moves without need.",
            f"Write a node_loss_budget of at least {sturdy.node_loss:g} and a failover_budget of "
            f"at least {sturdy.failover:g}, or measure how long your hosts stall.",
        )
    if request.preempt is Preempt.STICKY and len(request.vips) > 1:
        yield Finding(
            "spread-not-kept",
            Severity.INFO,
            f"With preempt: sticky nothing returns: after a failure, or when one node starts "
            f"first, one node can hold all {len(request.vips)} addresses.",
            "Write preempt: preferred to have each address return to its own node.",
        )
    if request.mode is Mode.KILL:
        yield Finding(
            "hang-unnoticed",
            Severity.INFO,
            "Mode kill notices a HAProxy that ends, not one that hangs.",
            "Write mode: fault, which notices both.",
        )
