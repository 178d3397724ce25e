# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Priorities, and the weights by which failed checks lower them.

**Priorities.** The most preferred node has 254, the next 253, and so on: a backup waits for
(256 - priority)/256 of an advert interval before it takes over from a master that leaves in
order, so high priorities make such a handover cost milliseconds.

**Weights.** A node ranks by the most severe check that it fails. For ranks never to cross, a
check's weight must exceed what all lighter checks together can take away plus the gap between
the highest and the lowest base. A check that is noticed by event and by polling takes its weight
away once or twice. The lowest sum stays above 0, so nothing is ever clamped.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, replace
from typing import Sequence

from ..readers import SettingError
from . import priority
from .request import Mode, Preempt, RankedCheck, Request

TOP_PRIORITY = priority.HIGHEST


@dataclass(frozen=True)
class Ranks:
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


def ranks_of(request: Request) -> Ranks:
    """Weights that keep the order of severity without clamping. Raises SettingError."""
    weighted = _is_weighted(request)
    bases = request.priorities or _bases(len(request.nodes), request.preempt, weighted)
    gap = max(bases) - min(bases)
    _ask_for_sticky(request, gap, weighted)
    weights: tuple[int, ...] = ()
    if request.mode is Mode.KILL:
        _without_ranks(request)
        weights = (0,) * len(request.tracked)
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
    return Ranks(weights, bases, given=bool(request.priorities))


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
    polled = [check for check in request.checks if check.poll]
    if len(polled) > 1:
        raise SettingError(
            "checks",
            "mode kill stops keepalived together with HAProxy and knows no further check; leave "
            f"out {polled[1].name}, or write {{mode}}: fault",
        )
    for index, check in enumerate(request.checks):
        if check.weight:
            raise SettingError(
                f"checks[{index}].weight", "mode kill has no weights; write auto, or {mode}: weight"
            )
        for option, given in (("effect", check.effect), ("budget", check.budget)):
            if given is not None:
                raise SettingError(
                    f"checks[{index}].{option}",
                    "mode kill ranks and polls nothing; leave it out, or write {mode}: fault",
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
