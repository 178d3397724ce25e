# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From wishes to numbers: the priorities, weights, router ids and timers of a cluster.

**Sticky or preferred.** Preferred: bases differ by one and nobody has ``nopreempt``. Sticky has
two forms, because ``nopreempt`` also holds back the backup of a node whose weight has dropped:

* Where no check has a weight (a fault, mode ``kill``), a failed check takes its node out
  of the election, so ``nopreempt`` is safe and keeps an address where it is.
* Where a check has a weight, nobody has ``nopreempt``, and all bases are equal instead: a backup
  that hears a priority no lower than its own stays backup, so the incumbent among equals stays.

**Sync groups.** Its addresses share one order of nodes. Its checks are tracked by the group and not
by its instances, whose weights keepalived would drop.

The numbers come from ``spread``, ``weights``, ``timers`` and ``router_ids``.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any, Iterator, Sequence

from ..readers import Naming, SettingError, plain_name
from .findings import Finding, Severity
from .model import Check, CheckKind, Cluster, Instance, Node, SyncGroup, Track
from .request import Mode, Preempt, Request, move_file
from .router_ids import router_ids
from .spread import orders_of
from .structured import check_data, instance_data, track_data
from .timers import STURDY_ADVERT, Bounds, CheckPlan, Timers, bounds_of, fastest_timers, timers_of
from .timing import EVENT
from .validate import Report, validate
from .weights import Ranks, ranks_of


@dataclass(frozen=True)
class Plan:
    """The planned cluster, what it promises, and what the validator and the plan say about it.
    In mode ``kill``, ``checks`` has only tracked files. ``move_checks`` are the tracked files by
    which addresses leave alone."""

    cluster: Cluster
    bounds: Bounds
    checks: tuple[CheckPlan, ...]
    move_checks: tuple[Check, ...]
    report: Report

    @property
    def slowest(self) -> float:
        """The longest bound there is, in seconds."""
        checks = (bound for item in self.checks for bound in (item.by_event, item.by_poll))
        return max(bound or 0.0 for bound in (*asdict(self.bounds).values(), *checks))

    def as_data(self) -> dict[str, Any]:
        """The plan as ``vrrp_plan`` returns it."""
        defined = [item for check in self.checks for item in check.as_data()]
        leaves = round(EVENT.most + self.bounds.clean_stop, 3)
        defined += [{**check_data(check), "bound": leaves} for check in self.move_checks]
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
    ranks = ranks_of(request)
    timers = timers_of(request, ranks)
    return Plan(
        cluster=_cluster(request, ranks, timers),
        bounds=bounds_of(request, ranks, timers),
        checks=timers.checks,
        move_checks=_move_checks(request),
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


def _cluster(request: Request, ranks: Ranks, timers: Timers) -> Cluster:
    orders = orders_of(request)
    numbers = router_ids(request)
    defined = [
        (check, item.weight)
        for kind in (CheckKind.SCRIPT, CheckKind.FILE)
        for item in timers.checks
        for check in item.definitions()
        if check.kind is kind
    ]
    tracks = tuple(Track(check.name, check.kind, weight) for check, weight in defined)
    moves = {
        name: (Track(move_file(first), CheckKind.FILE),) for name, first in request.moved_by.items()
    }
    groups = tuple(
        SyncGroup(name, members, tracks=(*tracks, *moves.get(members[0], ())))
        for name, members in _sync_groups(request).items()
    )
    instances = [
        Instance(
            name=vip.name,
            virtual_router_id=router_id,
            version=request.vrrp_version,
            advert_int=timers.advert,
            nopreempt=request.preempt is Preempt.STICKY and not ranks.weighted,
            preempt_delay=request.preempt_delay,
            tracks=() if vip.sync_group else (*tracks, *moves.get(vip.name, ())),
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
                checks=(*(check for check, _weight in defined), *_move_checks(request)),
                sync_groups=groups,
                keepalived_version=request.keepalived_version,
            )
            for index, node in enumerate(request.nodes)
        )
    )


def _move_checks(request: Request) -> tuple[Check, ...]:
    firsts = dict.fromkeys(request.moved_by.values())
    return tuple(Check(move_file(first), CheckKind.FILE) for first in firsts)


def _sync_groups(request: Request) -> dict[str, tuple[str, ...]]:
    """The members of each sync group."""
    found: dict[str, tuple[str, ...]] = {}
    for vip in request.vips:
        if vip.sync_group:
            found[vip.sync_group] = (*found.get(vip.sync_group, ()), vip.name)
    return found


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


def _notes(request: Request, ranks: Ranks, timers: Timers, naming: Naming) -> Iterator[Finding]:
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


def _short_adverts(request: Request, ranks: Ranks, advert: float, naming: Naming) -> Finding:
    sturdy = fastest_timers(request, ranks, STURDY_ADVERT)
    bounds = bounds_of(request, ranks, sturdy)
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
        f"Write {' and '.join(wanted)} (or measure how long your hosts stall).",
    )
