# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with a cluster: one function a rule, and ``validate``, which runs them all.

Theory of operation
-------------------
Two kinds of findings meet here. *Properties* (``no-failover``, ``dual-master``) come from the
search in ``explore``: it looks at every reachable state and returns the shortest events that lead
to harm. *Causes* come from the rules below: each looks at the configuration alone and says, with
numbers, what to change. A property finding names the causes found in the same virtual router.

A rule sees the cluster as an ``Estate``: nodes and their instances, put together into *routers*,
the instances that are meant to share their addresses. What an id means, how severe it is and what
harm it does stands in ``findings.CATALOGUE``; a rule adds who, where and which number.
"""

from __future__ import annotations

import collections
import functools
import re
import shlex
from dataclasses import dataclass, replace
from typing import Callable, Hashable, Iterable, Iterator, Mapping, Sequence, Tuple

from . import priority
from .election import addresses_of, plain_address, source_address
from .explore import Discovery, Exploration, Outcome, describe, explore
from .findings import CATALOGUE, Finding, Rule, Severity, finding
from .model import Check, CheckKind, Cluster, Instance, ModelError, Node, State, Track

__all__ = ["CATALOGUE", "Finding", "Report", "Rule", "Severity", "validate"]

# What one judgement takes. Larger estates are judged in parts: routers do not touch each other.
MOST_INSTANCES = 25_500
MOST_NODES = 100
MOST_CHECKS = 100
MOST_MEMBERS = 100
MOST_ADDRESSES = 1000

# Node name to (block, keyword) to line.
Lines = Mapping[str, Mapping[Tuple[str, str], int]]


@dataclass(frozen=True)
class Report:
    """What ``validate`` found, worst first."""

    findings: tuple[Finding, ...]
    outcomes: tuple[Outcome, ...] = ()

    def as_data(self) -> dict[str, object]:
        """Findings and outcomes as the modules return them."""
        return {
            "findings": [item.as_data() for item in self.findings],
            "outcomes": [
                {
                    "failures": [describe(event) for event in outcome.failures],
                    "holders": {address: list(names) for address, names in outcome.holders},
                }
                for outcome in self.outcomes
            ],
        }

    def as_text(self, least: Severity) -> str:
        """The findings of at least this severity for a person to read, worst first."""
        shown = [item for item in self.findings if item.severity.rank <= least.rank]
        return "\n\n".join(map(_paragraph, shown))

    def reaches(self, severity: Severity) -> bool:
        """Whether a finding is at least this severe."""
        return any(found.severity.rank <= severity.rank for found in self.findings)


def _paragraph(found: Finding) -> str:
    where = [found.node, found.instance, f"line {found.line}" if found.line else ""]
    place = ", ".join(filter(None, where))
    lines = [f"{found.severity.value}: {found.id}" + (f" ({place})" if place else "")]
    lines.append("  " + found.message)
    lines += [f"    {number}. {event}" for number, event in enumerate(found.trace, start=1)]
    lines.append("  Fix: " + found.fix)
    return "\n".join(lines)


@dataclass(frozen=True)
class Member:
    """An instance on its node, with where its options stand in the node's file."""

    node: Node
    instance: Instance
    lines: Mapping[tuple[str, str], int]

    def __str__(self) -> str:
        return self.node.name

    @functools.cached_property
    def source(self) -> str:
        """Where its adverts come from; empty if unknown."""
        return source_address(self.node, self.instance)

    @functools.cached_property
    def peers(self) -> frozenset[str]:
        """The addresses it speaks to; empty with multicast."""
        return frozenset(map(plain_address, self.instance.unicast_peer or ()))

    @property
    def family(self) -> int:
        """4 or 6, by its first address."""
        first = self.instance.virtual_ipaddress[:1]
        return 6 if first and ":" in plain_address(first[0]) else 4

    @functools.cached_property
    def counting(self) -> tuple[Track, ...]:
        """The tracks the daemon really uses."""
        return priority.counting_tracks(self.node, self.instance)

    @property
    def weighted(self) -> tuple[Track, ...]:
        """The tracks whose failure changes the priority instead of being a fault."""
        return tuple(track for track in self.counting if track.weight)

    @functools.cached_property
    def written(self) -> tuple[Track, ...]:
        """The tracks the operator wrote."""
        return priority.written_tracks(self.node, self.instance)

    def unused(self) -> Iterator[Track]:
        """The tracks that were written and that the daemon does not use."""
        used = {(track.kind, track.check) for track in self.counting}
        return (track for track in self.written if (track.kind, track.check) not in used)

    def total(self, failed: str = "") -> int:
        """The priority before clamping when every check passes but ``failed``."""
        return priority.base_priority(self.instance) + sum(
            priority.contribution(track, _result(track, failed)) or 0 for track in self.counting
        )

    def effective(self, failed: str = "") -> int | None:
        """The priority on the wire when every check passes but ``failed``; None in FAULT."""
        results = {track.check: _result(track, failed) for track in self.counting}
        return priority.effective_priority(self.node, self.instance, results)

    def line(self, *keywords: str) -> int | None:
        """The line of the first of these keywords that was written, else of the block."""
        for keyword in (*keywords, ""):
            if (self.instance.name, keyword) in self.lines:
                return self.lines[(self.instance.name, keyword)]
        return None

    def finding(
        self,
        rule_id: str,
        message: str,
        fix: str = "",
        *keywords: str,
        severity: Severity | None = None,
    ) -> Finding:
        """A finding about this instance."""
        return finding(
            rule_id,
            message,
            fix,
            node=self.node.name,
            instance=self.instance.name,
            line=self.line(*keywords),
            severity=severity,
        )


def _result(track: Track, failed: str) -> priority.Result:
    """What a check says when it is healthy, or when it is the failed one."""
    unhealthy = track.check == failed
    for failing in (False, True):
        if priority.is_healthy(track, failing) != unhealthy:
            return priority.result_of(track.kind, failing)
    return priority.result_of(track.kind, unhealthy)


Router = Sequence[Member]


def _tracked_scripts(node: Node) -> tuple[Check, ...]:
    tracked = {
        track.check
        for instance in node.instances
        for track in priority.written_tracks(node, instance)
        if track.kind is CheckKind.SCRIPT
    }
    return tuple(
        check for check in node.checks if check.kind is CheckKind.SCRIPT and check.name in tracked
    )


class Estate:
    """A cluster, and its instances put together into routers."""

    def __init__(self, cluster: Cluster, lines: Lines) -> None:
        self.cluster = cluster
        self.lines = lines
        self.members = tuple(
            Member(node, instance, lines.get(node.name, {}))
            for node in cluster.nodes
            for instance in node.instances
        )
        self.routers = tuple(_routers(self.members))
        self.carriers: dict[str, list[Member]] = {}
        for member in self.members:
            for address in addresses_of(member.instance):
                self.carriers.setdefault(address, []).append(member)
        self.own_addresses = {
            address: member.node.name for member in self.members for address in (member.source,)
        }
        self.own_addresses.update(
            (plain_address(node.address), node.name) for node in cluster.nodes if node.address
        )
        self.own_addresses.pop("", None)
        # The scripts that some instance tracks, each with its node.
        self.scripts = tuple(
            (node, check) for node in cluster.nodes for check in _tracked_scripts(node)
        )

    def line(self, node: Node, *where: tuple[str, str]) -> int | None:
        """The first of these places of a node's file that was written."""
        places = self.lines.get(node.name, {})
        return next((places[place] for place in where if place in places), None)


def _routers(members: Iterable[Member]) -> Iterator[Router]:
    """Instances of several nodes that are one virtual router on the wire: same id and family, and
    a common address, a peer in common, or multicast. A router id that a node uses twice is told
    apart by interface."""
    wires: dict[tuple[Hashable, ...], list[Member]] = {}
    for member in members:
        wires.setdefault((member.instance.virtual_router_id, member.family), []).append(member)
    for wire in wires.values():
        by_interface = len({member.node.name for member in wire}) < len(wire)
        parts: dict[str, list[Member]] = {}
        for member in wire:
            parts.setdefault(member.instance.interface if by_interface else "", []).append(member)
        for part in parts.values():
            yield from _connected(part)


def _connected(part: Sequence[Member]) -> Iterator[Router]:
    """The members of a wire in groups that have a key in common, in order."""
    parents: dict[str, str] = {}

    def root(key: str) -> str:
        while parents.setdefault(key, key) != key:
            key = parents[key]
        return key

    firsts = []
    for member in part:
        keys = [*member.peers, *addresses_of(member.instance), member.source]
        if not member.peers:
            keys.append("multicast")
        known = [key for key in keys if key]
        firsts.append(known[0])
        for key in known[1:]:
            parents[root(key)] = root(known[0])
    groups: dict[str, list[Member]] = {}
    for member, first in zip(part, firsts):
        groups.setdefault(root(first), []).append(member)
    yield from groups.values()


# --- the rules --------------------------------------------------------------------------------

_Judge = Callable[[Estate], Iterator[Finding]]
_RULES: list[_Judge] = []


def _rule(function: _Judge) -> _Judge:
    _RULES.append(function)
    return function


def _names(members: Iterable[Member]) -> str:
    return _listed([member.node.name for member in members])


def _listed(words: Sequence[str]) -> str:
    if len(words) < 2:
        return "".join(words)
    return ", ".join(words[:-1]) + " and " + words[-1]


def _place(track: Track) -> str:
    return f"{track.kind.value} {track.check}"


def _others(router: Router, member: Member) -> list[Member]:
    return [other for other in router if other is not member]


# Priorities and weights


@dataclass(frozen=True)
class _Short:
    """A failing check that does not bring ``holder`` below ``taker``."""

    holder: Member
    taker: Member
    track: Track
    clamped: bool
    missing: int


def _short_weights(router: Router) -> Iterator[_Short]:
    """For each weighted check the pair of nodes that it fails most clearly."""
    checks = dict.fromkeys(
        (track.kind, track.check) for member in router for track in member.weighted
    )
    for key in checks:
        shorts = []
        for holder in router:
            track = {(mine.kind, mine.check): mine for mine in holder.weighted}.get(key)
            if track is None:
                continue
            failing = holder.effective(track.check)
            for taker in _others(router, holder):
                healthy = taker.effective()
                if failing is None or healthy is None or failing < healthy:
                    continue
                gap = holder.total(track.check) - taker.total()
                missing = failing - healthy + 1
                shorts.append(_Short(holder, taker, track, gap < 0, missing))
        if shorts:
            yield max(shorts, key=lambda short: (short.missing, not short.clamped))


@_rule
def weight_below_gap(estate: Estate) -> Iterator[Finding]:
    """A weight that is not larger than the gap between two priorities."""
    for router in estate.routers:
        for short in _short_weights(router):
            if short.clamped:
                continue
            track, holder, taker = short.track, short.holder, short.taker
            enough = abs(track.weight) + short.missing
            raised = priority.base_priority(taker.instance) + short.missing
            fixes = ["set the weight to 0 on all nodes (a failed check is then a fault)"]
            if raised < priority.base_priority(holder.instance):
                fixes.insert(0, f"set the priority of {taker} to at least {raised}")
            if enough <= priority.WEIGHT_LIMIT:
                sign = "-" if track.weight < 0 else ""
                direction = "at most" if track.weight < 0 else "at least"
                fixes.insert(0, f"set the weight to {direction} {sign}{enough} on all nodes")
            yield holder.finding(
                "weight-below-gap",
                f"when {track.check} fails on {holder}, its priority becomes "
                f"{holder.effective(track.check)}; healthy {taker} has {taker.effective()}, which "
                f"is not higher, so {holder} keeps the address",
                _sentence(", or ".join(fixes)),
                _place(track),
                "priority",
            )


@_rule
def weight_clamped(estate: Estate) -> Iterator[Finding]:
    """A weight that would do, were the sum not cut off at 1 and 254."""
    for router in estate.routers:
        for short in _short_weights(router):
            if not short.clamped:
                continue
            totals = [member.total() for member in router]
            totals += [member.total(t.check) for member in router for t in member.weighted]
            over = max(totals) - priority.HIGHEST
            under = priority.LOWEST - min(totals)
            if over > 0 and under > 0:
                fix = "Use smaller weights and priorities further from 1 and 254."
            else:
                move = "Lower" if over > 0 else "Raise"
                fix = f"{move} the priority of all nodes by {max(over, under)}."
            holder, taker, track = short.holder, short.taker, short.track
            yield holder.finding(
                "weight-clamped",
                f"when {track.check} fails on {holder}, its priority is "
                f"{holder.total(track.check)} against {taker.total()} of healthy {taker}, but the "
                f"daemon keeps both within 1 and 254: {holder.effective(track.check)} against "
                f"{taker.effective()}, so {holder} keeps the address",
                fix,
                _place(track),
                "priority",
            )


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + "."


def _weighted_elsewhere(router: Router, member: Member) -> tuple[Member, Track] | None:
    """A weighted check of another node; of the node itself where there is no other."""
    for other in _others(router, member) or [member]:
        for track in other.weighted:
            return other, track
    return None


@_rule
def nopreempt_with_weight(estate: Estate) -> Iterator[Finding]:
    """nopreempt in force on a node that should take over from one with weights."""
    for router in estate.routers:
        for member in router:
            if not priority.nopreempt_in_force(member.node, member.instance):
                continue
            found = _weighted_elsewhere(router, member)
            if found:
                other, track = found
                yield member.finding(
                    "nopreempt-with-weight",
                    f"{member} has nopreempt: when {track.check} fails on {other} and its priority "
                    f"drops by {abs(track.weight)}, {member} still leaves the address there",
                    f"Set the weight of {track.check} to 0 on all nodes and keep nopreempt, or "
                    "remove nopreempt on all nodes.",
                    "nopreempt",
                )


@_rule
def preempt_delay_with_weight(estate: Estate) -> Iterator[Finding]:
    """preempt_delay on a node that should take over from one with weights."""
    for router in estate.routers:
        for member in router:
            delay = priority.preempt_delay_in_force(member.node, member.instance)
            found = _weighted_elsewhere(router, member) if delay else None
            if found:
                other, track = found
                yield member.finding(
                    "preempt-delay-with-weight",
                    f"when {track.check} fails on {other}, {member} waits {delay:g} s (its "
                    "preempt_delay) before it takes the address; the service is down meanwhile",
                    f"Set the weight of {track.check} to 0 on all nodes, or remove preempt_delay "
                    f"on {member}.",
                    "preempt_delay",
                )


@_rule
def preempt_delay_with_nopreempt(estate: Estate) -> Iterator[Finding]:
    """preempt_delay that has nothing to delay."""
    for member in estate.members:
        nopreempt = priority.nopreempt_in_force(member.node, member.instance)
        if nopreempt and member.instance.preempt_delay:
            yield member.finding(
                "preempt-delay-with-nopreempt",
                f"{member} has nopreempt, so its preempt_delay is dropped",
                "",
                "preempt_delay",
            )


@_rule
def nopreempt_cleared_by_master(estate: Estate) -> Iterator[Finding]:
    """nopreempt or preempt_delay next to state MASTER."""
    for member in estate.members:
        node, instance = member.node, member.instance
        if instance.state is not State.MASTER or node.keepalived_version < (2, 0, 0):
            continue
        for option, written in (
            ("nopreempt", instance.nopreempt),
            ("preempt_delay", instance.preempt_delay),
        ):
            if written and not priority.is_owner(instance):
                yield member.finding(
                    "nopreempt-cleared-by-master",
                    f"state MASTER clears {option} on {member}: it takes the address back as soon "
                    "as it can",
                    f"Write state BACKUP on {member}; who starts as master is decided by the "
                    "priorities.",
                    option,
                )


@_rule
def address_owner_with_nopreempt(estate: Estate) -> Iterator[Finding]:
    """nopreempt at priority 255."""
    for member in estate.members:
        if priority.is_owner(member.instance) and member.instance.nopreempt:
            yield member.finding(
                "address-owner-with-nopreempt",
                f"at priority 255 {member} always takes the address; nopreempt is dropped",
                "",
                "nopreempt",
            )


@_rule
def equal_priority(estate: Estate) -> Iterator[Finding]:
    """Nodes of one router with one priority."""
    for router in estate.routers:
        by_priority: dict[int, list[Member]] = {}
        for member in router:
            by_priority.setdefault(priority.base_priority(member.instance), []).append(member)
        for value, members in by_priority.items():
            if len({member.node.name for member in members}) < 2:
                continue
            weighted = any(member.weighted for member in members)
            free = [n for n in range(priority.HIGHEST, 0, -1) if n not in by_priority]
            advice = ", ".join(f"{n} on {member}" for n, member in zip([value, *free], members))
            yield members[0].finding(
                "equal-priority",
                f"{_names(members)} have the same priority {value}: the node that starts first, or "
                "has the higher IP address, gets the address; whoever has it keeps it",
                "" if weighted else f"For example {advice}, with nopreempt if it should stay put.",
                "priority",
                # With weights, equal priorities are the only way to be sticky.
                severity=Severity.INFO if weighted else None,
            )


@_rule
def priority_range(estate: Estate) -> Iterator[Finding]:
    """A priority outside 1 to 255."""
    for member in estate.members:
        value = member.instance.priority
        if not priority.LOWEST <= value <= priority.OWNER:
            yield member.finding(
                "priority-range",
                f"priority {value} is not accepted; {member} runs with {priority.DEFAULT}",
                f"Use {priority.HIGHEST if value > priority.OWNER else priority.LOWEST}, or any "
                "other number from 1 to 254.",
                "priority",
            )


@_rule
def vrid_range(estate: Estate) -> Iterator[Finding]:
    """A virtual_router_id outside 1 to 255."""
    for member in estate.members:
        value = member.instance.virtual_router_id
        if not 1 <= value <= 255:
            said = f"virtual_router_id {value} is not accepted" if value else "no virtual_router_id"
            yield member.finding(
                "vrid-range",
                f"{said}: the instance does not run on {member}",
                "",
                "virtual_router_id",
            )


@_rule
def weight_range(estate: Estate) -> Iterator[Finding]:
    """A weight outside -253 to 253."""
    limit = priority.WEIGHT_LIMIT
    for member in estate.members:
        for track in member.written:
            if abs(track.weight) > limit:
                nearest = limit if track.weight > 0 else -limit
                yield member.finding(
                    "weight-range",
                    f"weight {track.weight} of {track.check} is not accepted on {member}",
                    f"Use {nearest}, or 0 if the failed check is to be a fault.",
                    _place(track),
                )


@_rule
def advert_int_range(estate: Estate) -> Iterator[Finding]:
    """An advert interval that the version cannot have."""
    for member in estate.members:
        instance = member.instance
        value = instance.advert_int
        if instance.version == 2:
            fine = 1 <= value <= 255 and value == int(value)
            fix = "Use a whole number from 1 to 255, or version 3 on all nodes."
        else:
            fine = 0.01 <= value <= 40.95 and abs(value * 100 - round(value * 100)) < 1e-6
            fix = "Use a number from 0.01 to 40.95 with at most two decimals."
        if not fine:
            yield member.finding(
                "advert-int-range",
                f"VRRP version {instance.version} cannot have advert_int {value:g}; {member} uses "
                f"{priority.advert_interval(instance):g}",
                fix,
                "advert_int",
            )


@_rule
def address_owner_with_weight(estate: Estate) -> Iterator[Finding]:
    """Weighted checks at priority 255."""
    for member in estate.members:
        if not priority.is_owner(member.instance):
            continue
        for track in member.unused():
            if track.weight and _is_defined(member, track):
                yield member.finding(
                    "address-owner-with-weight",
                    f"{member} has priority 255, so {track.check} (weight {track.weight}) is "
                    "removed; its failure moves nothing",
                    f"Set the priority of {member} to 254 or less.",
                    "priority",
                )


@_rule
def weighted_script_in_sync_group(estate: Estate) -> Iterator[Finding]:
    """Weighted checks of a sync group's member."""
    for member in estate.members:
        group = priority.sync_group_of(member.node, member.instance)
        if group is None or group.tracking_weight or priority.is_owner(member.instance):
            continue
        for track in member.unused():
            if track.weight and _is_defined(member, track):
                yield member.finding(
                    "weighted-script-in-sync-group",
                    f"{member.instance.name} is in sync group {group.name}, so {track.check} "
                    f"(weight {track.weight}) is removed on {member}; its failure moves nothing",
                    f"Set the weight of {track.check} to 0, or take {member.instance.name} out of "
                    f"{group.name}.",
                    _place(track),
                )


@_rule
def positive_file_weight(estate: Estate) -> Iterator[Finding]:
    """A tracked file whose value raises the priority."""
    for member in estate.members:
        for track in member.counting:
            sign = -1 if track.reverse else 1
            if track.kind is CheckKind.FILE and track.weight * sign > 0:
                yield member.finding(
                    "positive-file-weight",
                    f"a 1 in the file of {track.check} adds {track.weight * sign} to the priority "
                    f"of {member}",
                    f"If 1 means failure, write weight 0, or weight {-track.weight}.",
                    _place(track),
                )


# What the nodes must have in common


def _differing(
    router: Router, value: Callable[[Member], Hashable]
) -> dict[Hashable, list[Member]] | None:
    """The members by value, if there is more than one."""
    by_value: dict[Hashable, list[Member]] = {}
    for member in router:
        by_value.setdefault(value(member), []).append(member)
    return by_value if len(by_value) > 1 else None


def _said(by_value: Mapping[Hashable, list[Member]]) -> str:
    return _listed([f"{value} on {_names(members)}" for value, members in by_value.items()])


def _first(by_value: Mapping[Hashable, list[Member]]) -> Hashable:
    """The value of the first node."""
    return next(iter(by_value))


def _last(by_value: Mapping[Hashable, list[Member]]) -> Member:
    """The member to complain about: the first that differs from the first node."""
    return list(by_value.values())[1][0]


@_rule
def version_mismatch(estate: Estate) -> Iterator[Finding]:
    """Nodes that speak different VRRP versions."""
    for router in estate.routers:
        found = _differing(router, lambda member: member.instance.version)
        if found:
            yield _last(found).finding(
                "version-mismatch",
                f"VRRP version {_said(found)}: they ignore each other, and each becomes master",
                f"Use version {max(map(str, found))} on {_names(router)}.",
                "version",
            )


def _authentication(member: Member) -> tuple[str, str] | None:
    instance = member.instance
    if instance.version != 2 or instance.strict_mode or instance.authentication is None:
        return None
    if not instance.authentication.auth_pass:
        return None
    return instance.authentication.auth_type, instance.authentication.auth_pass[:8]


@_rule
def auth_mismatch(estate: Estate) -> Iterator[Finding]:
    """Nodes with different authentication; passwords are never said."""
    for router in estate.routers:
        found = _differing(router, _authentication)
        if not found or _differing(router, lambda member: member.instance.version):
            continue
        types = _differing(router, lambda m: (_authentication(m) or ("none", ""))[0])
        said = f"auth_type is {_said(types)}" if types else "the auth_pass differs"
        yield _last(found).finding(
            "auth-mismatch",
            f"{said} ({_names(router)}): they ignore each other, and each becomes master",
            "",
            "auth_pass",
            "authentication",
        )


@_rule
def auth_pass_length(estate: Estate) -> Iterator[Finding]:
    """An auth_pass of which only the beginning counts."""
    for member in estate.members:
        used = _authentication(member)
        authentication = member.instance.authentication
        if used and authentication and len(authentication.auth_pass) > 8:
            yield member.finding(
                "auth-pass-length",
                f"auth_pass has {len(authentication.auth_pass)} characters on {member}; only the "
                "first 8 count",
                "",
                "auth_pass",
            )


@_rule
def auth_pass_missing(estate: Estate) -> Iterator[Finding]:
    """An auth_type without an auth_pass."""
    for member in estate.members:
        authentication = member.instance.authentication
        if authentication and not authentication.auth_pass:
            yield member.finding(
                "auth-pass-missing",
                f"authentication without an auth_pass on {member}",
                "",
                "auth_type",
            )


@_rule
def auth_with_v3(estate: Estate) -> Iterator[Finding]:
    """Authentication where there is none."""
    for member in estate.members:
        instance = member.instance
        if instance.authentication and (instance.version == 3 or instance.strict_mode):
            mode = "VRRP version 3" if instance.version == 3 else "strict mode"
            yield member.finding(
                "auth-with-v3",
                f"{mode} has no authentication: it is ignored on {member}",
                "",
                "authentication",
                "auth_type",
            )


@_rule
def advert_int_mismatch(estate: Estate) -> Iterator[Finding]:
    """Nodes with different advert intervals."""
    for router in estate.routers:
        found = _differing(router, lambda member: f"{priority.advert_interval(member.instance):g}")
        if not found or _differing(router, lambda member: member.instance.version):
            continue
        said = f"advert_int is {_said(found)}"
        if router[0].instance.version == 2:
            yield _last(found).finding(
                "advert-int-mismatch",
                f"{said}: they ignore each other, and each becomes master",
                f"Use advert_int {_first(found)} on {_names(router)}.",
                "advert_int",
            )
        else:
            yield _last(found).finding(
                "advert-int-mismatch",
                f"{said}: the time to fail over depends on who is master",
                f"Use advert_int {_first(found)} on {_names(router)}.",
                "advert_int",
                severity=Severity.WARNING,
            )


@_rule
def vip_mismatch(estate: Estate) -> Iterator[Finding]:
    """Nodes of one router with different addresses."""
    for router in estate.routers:
        for keyword in ("virtual_ipaddress", "virtual_ipaddress_excluded"):
            found = _differing(
                router,
                lambda member, keyword=keyword: tuple(  # type: ignore[misc]
                    sorted(map(plain_address, getattr(member.instance, keyword)))
                ),
            )
            if found:
                yield _vip_mismatch(router, keyword, found)


def _vip_mismatch(router: Router, keyword: str, found: Mapping[Hashable, list[Member]]) -> Finding:
    everything = sorted({address for value in found for address in value})  # type: ignore[attr-defined]
    missing = [
        f"{address} is missing on {_names(members)}"
        for address in everything
        for members in [[m for value, ms in found.items() for m in ms if address not in value]]  # type: ignore[operator]
        if members
    ]
    rejects = keyword == "virtual_ipaddress" and any(
        member.node.keepalived_version < (2, 3, 3) for member in router
    )
    harm = (
        "the nodes ignore each other, and each becomes master"
        if rejects
        else "it is gone while that node is master"
    )
    return _last(found).finding(
        "vip-mismatch",
        f"{keyword}: {_listed(missing)}; {harm}",
        f"Write {_listed(everything)} in {keyword} on {_names(router)}.",
        keyword,
    )


@_rule
def vrid_mismatch(estate: Estate) -> Iterator[Finding]:
    """One address under different router ids on different nodes."""
    done = set()
    for address, members in estate.carriers.items():
        found = _differing(members, lambda member: member.instance.virtual_router_id)
        if not found or len({member.node.name for member in members}) < 2:
            continue
        key = tuple((member.node.name, member.instance.name) for member in members)
        if key in done:
            continue
        done.add(key)
        yield _last(found).finding(
            "vrid-mismatch",
            f"{address} has virtual_router_id {_said(found)}: they do not know of each other, and "
            "each becomes master",
            f"Use virtual_router_id {_first(found)} on {_names(members)}.",
            "virtual_router_id",
        )


@_rule
def vip_duplicate(estate: Estate) -> Iterator[Finding]:
    """One address in two instances of a node, or twice in one."""
    for address, members in estate.carriers.items():
        by_node: dict[str, list[Member]] = {}
        for member in members:
            by_node.setdefault(member.node.name, []).append(member)
        for mine in by_node.values():
            if len(mine) > 1:
                names = _listed([member.instance.name for member in mine])
                yield mine[1].finding(
                    "vip-duplicate",
                    f"{address} is in {names} on {mine[1]}: each can hold it on another node",
                    f"Remove {address} from {mine[1].instance.name}.",
                    "virtual_ipaddress",
                )
    for member in estate.members:
        instance = member.instance
        listed = [*map(plain_address, instance.virtual_ipaddress)]
        listed += map(plain_address, instance.virtual_ipaddress_excluded)
        for address in sorted({address for address in listed if listed.count(address) > 1}):
            yield member.finding(
                "vip-duplicate",
                f"{address} is written twice in {instance.name} on {member}",
                f"Remove one {address}.",
                "virtual_ipaddress",
                severity=Severity.WARNING,
            )


@_rule
def vrid_duplicate(estate: Estate) -> Iterator[Finding]:
    """Two instances of a node that share interface, family and router id."""
    seen: dict[Hashable, Member] = {}
    for member in estate.members:
        instance = member.instance
        key = (member.node.name, instance.interface, member.family, instance.virtual_router_id)
        first = seen.setdefault(key, member)
        if first is not member and not (
            # With unicast, the peers tell the two apart.
            first.peers and member.peers and first.peers.isdisjoint(member.peers)
        ):
            taken = {m.instance.virtual_router_id for m in estate.members}
            free = next((str(vrid) for vrid in range(1, 256) if vrid not in taken), "another one")
            yield member.finding(
                "vrid-duplicate",
                f"{first.instance.name} and {instance.name} both have virtual_router_id "
                f"{instance.virtual_router_id} on {member}; the daemon refuses the configuration",
                f"Use {free} for {instance.name} on all nodes.",
                "virtual_router_id",
            )


@_rule
def vip_is_own_address(estate: Estate) -> Iterator[Finding]:
    """A virtual address that is also a node's own."""
    for address, members in estate.carriers.items():
        if address in estate.own_addresses:
            owner = estate.own_addresses[address]
            first = next((m for m in members if m.node.name == owner), members[0])
            yield first.finding(
                "vip-is-own-address",
                f"{address} is the own address of {owner}",
                f"Use a virtual address that no node has, or correct the address of {owner}.",
                "virtual_ipaddress",
            )


@_rule
def no_vip(estate: Estate) -> Iterator[Finding]:
    """An instance without an address."""
    for member in estate.members:
        if not member.instance.virtual_ipaddress:
            yield member.finding("no-vip", f"{member.instance.name} has no address on {member}")


@_rule
def no_instance(estate: Estate) -> Iterator[Finding]:
    """A node on which there is nothing to judge."""
    for node in estate.cluster.nodes:
        if not node.instances:
            yield finding("no-instance", f"{node.name} has no vrrp_instance", node=node.name)


@_rule
def interface_missing(estate: Estate) -> Iterator[Finding]:
    """An instance that does not know where it is."""
    for member in estate.members:
        if not member.instance.interface and not member.instance.unicast_src_ip:
            yield member.finding(
                "interface-missing",
                f"{member.instance.name} has neither interface nor unicast_src_ip on {member}",
            )


@_rule
def single_node(estate: Estate) -> Iterator[Finding]:
    """An instance that only one node has."""
    for router in estate.routers:
        addresses = [a for member in router for a in addresses_of(member.instance)]
        nodes = {member.node.name for address in addresses for member in estate.carriers[address]}
        if len(nodes | {member.node.name for member in router}) == 1:
            member = router[0]
            yield member.finding(
                "single-node", f"only {member} has {member.instance.name}: nothing can take over"
            )


@_rule
def sync_group_mismatch(estate: Estate) -> Iterator[Finding]:
    """Instances in one sync group on one node, and apart on another that has them too."""
    router_of = {
        (member.node.name, member.instance.name): router
        for router in estate.routers
        for member in router
    }
    said = set()
    for node in estate.cluster.nodes:
        for group in node.sync_groups:
            found: dict[str, list[Member]] = {}
            for name in group.members:
                for member in router_of.get((node.name, name), ()):
                    found.setdefault(member.node.name, []).append(member)
            for members in found.values():
                names = _listed([member.instance.name for member in members])
                place = (members[0].node.name, names)
                if _move_together(members) or place in said:
                    continue
                said.add(place)
                yield members[0].finding(
                    "sync-group-mismatch",
                    f"{names} are in sync group {group.name} on {node.name}, and not in one group "
                    f"on {members[0]}: there one can move without the others",
                    f"Put {names} into one sync group on {members[0]} too, or into none on every "
                    "node.",
                )


def _move_together(members: Sequence[Member]) -> bool:
    """Whether a sync group holds these instances of one node together; one needs no group."""
    groups = {priority.sync_group_of(member.node, member.instance) for member in members}
    return len(members) < 2 or (len(groups) == 1 and None not in groups)


# Unicast


@_rule
def unicast_no_peers(estate: Estate) -> Iterator[Finding]:
    """Unicast that falls back to multicast."""
    for router in estate.routers:
        for member in router:
            instance = member.instance
            meant = instance.unicast_peer is not None or instance.unicast_src_ip is not None
            if meant and not instance.unicast_peer:
                peers = [other.source for other in _others(router, member) if other.source]
                yield member.finding(
                    "unicast-no-peers",
                    f"{member} has no unicast peer, so it falls back to multicast",
                    f"Write unicast_peer {{ {' '.join(peers)} }} on {member}." if peers else "",
                    "unicast_peer",
                    "unicast_src_ip",
                )


@_rule
def unicast_self(estate: Estate) -> Iterator[Finding]:
    """A node that is its own peer."""
    for member in estate.members:
        own = {member.source, plain_address(member.node.address)} - {""}
        for address in sorted(own & member.peers):
            yield member.finding(
                "unicast-self",
                f"{address} is {member} itself",
                f"Remove {address} from unicast_peer on {member}.",
                "unicast_peer",
            )


@_rule
def unicast_peer_asymmetry(estate: Estate) -> Iterator[Finding]:
    """A node that another one does not speak to."""
    for router in estate.routers:
        for member in router:
            if not member.peers:
                continue
            forgotten = [
                other
                for other in _others(router, member)
                if other.peers
                and other.source
                and member.peers.isdisjoint({other.source, plain_address(other.node.address)})
            ]
            if forgotten:
                yield member.finding(
                    "unicast-peer-asymmetry",
                    f"{member} does not list {_names(forgotten)} as a peer: while {member} is "
                    f"master, {_names(forgotten)} hears nothing and becomes master too",
                    f"Add {_listed([other.source for other in forgotten])} to unicast_peer on "
                    f"{member}.",
                    "unicast_peer",
                )


@_rule
def unicast_unknown_peer(estate: Estate) -> Iterator[Finding]:
    """A peer that is no node of the cluster."""
    if len(estate.cluster.nodes) < 2:
        return
    for member in estate.members:
        unknown = sorted(member.peers - estate.own_addresses.keys())
        # Without everybody's address there is nothing to compare with.
        if unknown and all(other.source for other in estate.members):
            yield member.finding(
                "unicast-unknown-peer",
                f"{_listed(unknown)} is a peer of {member}, but the address of no node given here",
                "",
                "unicast_peer",
            )


@_rule
def unicast_mismatch(estate: Estate) -> Iterator[Finding]:
    """Unicast on one node, multicast on another."""
    for router in estate.routers:
        found = _differing(router, lambda member: "unicast" if member.peers else "multicast")
        if found:
            silent = found["multicast"][0]
            peers = [m.source for m in _others(router, silent) if m.source]
            yield silent.finding(
                "unicast-mismatch",
                f"the adverts are {_said(found)}: they ignore each other, and each becomes master",
                f"Write unicast_peer {{ {' '.join(peers)} }} on {silent}." if peers else "",
                "unicast_peer",
                "interface",
            )


# Checks


def _is_defined(member: Member, track: Track) -> bool:
    return track.kind is CheckKind.INTERFACE or any(
        (check.kind, check.name) == (track.kind, track.check) for check in member.node.checks
    )


@_rule
def script_undefined(estate: Estate) -> Iterator[Finding]:
    """A tracked check that is not defined."""
    for member in estate.members:
        for track in member.written:
            if not _is_defined(member, track):
                defined = sorted(c.name for c in member.node.checks if c.kind is track.kind)
                known = f"defined are {_listed(defined)}" if defined else "no such check is defined"
                yield member.finding(
                    "script-undefined",
                    f"{member} tracks {track.check}, which is not defined there ({known}); the "
                    "daemon ignores it, and its failure moves nothing",
                    f"Define {track.check} above {member.instance.name} on {member}.",
                    _place(track),
                )


@_rule
def script_tracked_twice(estate: Estate) -> Iterator[Finding]:
    """A script without weight that an instance and its sync group both track."""
    for member in estate.members:
        group = priority.sync_group_of(member.node, member.instance)
        counted = collections.Counter((track.kind, track.check) for track in member.counting)
        for track in member.counting:
            if group is None or counted.pop((track.kind, track.check), 1) < 2:
                continue
            yield member.finding(
                "script-tracked-twice",
                f"{member.instance.name} and its sync group {group.name} both track {track.check} "
                f"on {member}: the daemon waits for two first results and counts one, so the group "
                "stays in FAULT for ever",
                f"Remove {track.check} from the track_script of {member.instance.name}; "
                f"{group.name} tracks it for all its members.",
                _place(track),
            )


@_rule
def track_unsupported(estate: Estate) -> Iterator[Finding]:
    """A kind of check that the version does not know."""
    for member in estate.members:
        newest = replace(member.node, keepalived_version=(99,))
        known = {(t.kind, t.check) for t in priority.counting_tracks(newest, member.instance)}
        for track in member.unused():
            if (track.kind, track.check) in known:
                yield member.finding(
                    "track-unsupported",
                    f"keepalived {_dotted(member.node.keepalived_version)} on {member} does not "
                    f"know {track.kind.value}: {track.check} is ignored, and its failure moves "
                    "nothing",
                    "",
                    _place(track),
                )


def _dotted(version: Iterable[int]) -> str:
    return ".".join(map(str, version))


@_rule
def no_check(estate: Estate) -> Iterator[Finding]:
    """An instance that tracks nothing."""
    for router in estate.routers:
        idle = [member for member in router if not member.written]
        if idle:
            some = len(idle) < len(router)
            yield idle[0].finding(
                "no-check",
                f"{_names(idle)} tracks nothing"
                + (f", but {_names([m for m in router if m.written])} does" if some else ""),
                severity=None if some else Severity.INFO,
            )


def _script_finding(
    estate: Estate,
    node: Node,
    check: Check,
    rule_id: str,
    message: str,
    fix: str = "",
    keyword: str = "script",
) -> Finding:
    line = estate.line(node, (check.name, keyword), ("vrrp_script", check.name))
    return finding(rule_id, message, fix, node=node.name, instance=check.name, line=line)


@_rule
def script_timeout_above_interval(estate: Estate) -> Iterator[Finding]:
    """A check that may hang longer than its interval."""
    for node, check in estate.scripts:
        if check.timeout is not None and check.timeout > check.interval:
            yield _script_finding(
                estate,
                node,
                check,
                "script-timeout-above-interval",
                f"{check.name} may hang for {check.timeout:g} s (its timeout) although it should "
                f"run every {check.interval:g} s; a hanging check is noticed that much later",
                f"Set timeout to {check.interval:g} or less, or interval to {check.timeout:g}.",
                "timeout",
            )


@_rule
def script_interval_fraction(estate: Estate) -> Iterator[Finding]:
    """Part of a second where only whole ones count."""
    for node, check in estate.scripts:
        if node.keepalived_version >= (2, 3, 2):
            continue
        for keyword, value in (("interval", check.interval), ("timeout", check.timeout or 0)):
            if value != int(value):
                yield _script_finding(
                    estate,
                    node,
                    check,
                    "script-interval-fraction",
                    f"keepalived {_dotted(node.keepalived_version)} ignores {keyword} {value:g} of "
                    f"{check.name}",
                    f"Use {keyword} {max(1, round(value))}.",
                    keyword,
                )


_SLOW = re.compile(
    r"(?:\S*/)?(?:ping6?\b.*?\s-c\s*(?P<pings>\d{1,6})|sleep\s+(?P<sleep>\d{1,6}))\b"
)


@_rule
def script_too_slow(estate: Estate) -> Iterator[Finding]:
    """A command that cannot end within its timeout: several pings, a sleep."""
    for node, check in estate.scripts:
        found = _SLOW.match(check.command)
        if not found:
            continue
        # One second passes between two pings.
        needs = int(found["sleep"] or 0) or int(found["pings"] or 1) - 1
        allowed = check.timeout or check.interval
        if needs >= allowed:
            yield _script_finding(
                estate,
                node,
                check,
                "script-too-slow",
                f"{check.name} needs at least {needs} s and is stopped after {allowed:g} s: it "
                "always fails",
                f"Set interval and timeout to {needs + 1} or more, or make the command faster.",
            )


_SHELLS = frozenset(("sh", "bash", "dash", "ash", "ksh", "zsh"))
_OPERATOR = re.compile(r"(\|\|?|&&?|;|\d*[<>].*|\$\(.*|.*;|[^'\"]*`.*)\Z", re.DOTALL)


@_rule
def script_shell_operators(estate: Estate) -> Iterator[Finding]:
    """Operators of a shell where there is none."""
    for node, check in estate.scripts:
        try:
            # keepalived reads no longer line.
            words = shlex.split(check.command[:1024], posix=False)
        except ValueError:
            continue
        if not words or words[0].rpartition("/")[2] in _SHELLS:
            continue
        operators = [word for word in words[1:] if _OPERATOR.match(word)]
        if operators:
            yield _script_finding(
                estate,
                node,
                check,
                "script-shell-operators",
                f"{check.name} has {operators[0]!r} in its command, but no shell reads it",
            )


@_rule
def script_security(estate: Estate) -> Iterator[Finding]:
    """Checks of which nobody says who runs them."""
    by_node: dict[str, tuple[Node, list[Check]]] = {}
    for node, check in estate.scripts:
        if check.command:
            by_node.setdefault(node.name, (node, []))[1].append(check)
    for node, scripts in by_node.values():
        anonymous = [check.name for check in scripts if not (check.user or node.script_user)]
        rooted = [c.name for c in scripts if (c.user or node.script_user) == "root"]
        message = ""
        if anonymous and node.script_security:
            message = (
                f"{_listed(anonymous)} has no user: unless a user keepalived_script exists on "
                f"{node.name}, the daemon removes it"
            )
        elif anonymous:
            message = (
                f"{_listed(anonymous)} has no user: unless a user keepalived_script exists on "
                f"{node.name}, it runs as root"
            )
        elif rooted and not node.script_security:
            message = (
                f"{_listed(rooted)} runs as root on {node.name} without enable_script_security"
            )
        if message:
            where = [("", "script_user"), ("vrrp_script", scripts[0].name)]
            yield finding(
                "script-security", message, node=node.name, line=estate.line(node, *where)
            )


# Strict mode


@_rule
def strict_no_accept(estate: Estate) -> Iterator[Finding]:
    """Strict mode, in which the address does not answer."""
    for member in estate.members:
        instance = member.instance
        accepts = priority.is_owner(instance) or (instance.accept and instance.version == 3)
        if instance.strict_mode and not accepts:
            yield member.finding(
                "strict-no-accept",
                f"strict mode on {member}: packets to the address are dropped",
                "",
                "strict_mode",
            )


@_rule
def strict_unicast(estate: Estate) -> Iterator[Finding]:
    """Strict mode with unicast."""
    for member in estate.members:
        if member.instance.strict_mode and member.peers:
            yield member.finding(
                "strict-unicast",
                f"strict mode with unicast on {member}: the instance is refused",
                "",
                "strict_mode",
            )


# --- properties -------------------------------------------------------------------------------


def _properties(
    estate: Estate, exploration: Exploration, causes: Sequence[Finding]
) -> Iterator[Finding]:
    """The broken properties, each with the causes that were found where it shows."""
    for discovery in exploration.violations:
        explained = _causes(estate, discovery, causes)
        said = f"{discovery.trace.words[-1]}. "
        if explained:
            named = dict.fromkeys(f"{f.id} on {f.node}" for f in explained)
            said += f"Cause: {_listed(list(named))}."
        else:
            said += "No single setting explains it; follow the trace."
        yield _property(estate, discovery, said, " ".join(dict.fromkeys(f.fix for f in explained)))
    for discovery in exploration.needless_moves:
        yield _property(estate, discovery, f"{discovery.trace.words[-1]}.", "")
    if not exploration.proven:
        yield finding("search-incomplete", "not every state of this cluster could be looked at")


def _property(estate: Estate, discovery: Discovery, message: str, fix: str) -> Finding:
    node = discovery.pairs[0][0]
    member = next(
        member for member in estate.carriers[discovery.addresses[0]] if member.node.name == node
    )
    return finding(
        discovery.kind,
        message,
        fix,
        node=node,
        instance=member.instance.name,
        trace=discovery.trace.words,
        line=member.line(),
    )


def _causes(estate: Estate, discovery: Discovery, found: Sequence[Finding]) -> list[Finding]:
    """The errors on the instances that carry the addresses and on those of the same router:
    those that break this property, or, failing that, all."""
    carriers = [m for address in discovery.addresses for m in estate.carriers[address]]
    concerned = {
        (member.node.name, member.instance.name)
        for router in estate.routers
        if any(carrier in router for carrier in carriers)
        for member in router
    }
    errors = [
        item
        for item in found
        if item.severity is Severity.ERROR and (item.node, item.instance) in concerned
    ]
    return [item for item in errors if CATALOGUE[item.id].breaks == discovery.kind] or errors


# --- all together -----------------------------------------------------------------------------


def validate(
    cluster: Cluster, reading: Iterable[Finding] = (), lines: Lines | None = None
) -> Report:
    """Everything that is wrong with ``cluster``, and who holds what after which failures.

    ``reading`` are the findings of whoever read it, ``lines`` where options stand: node name to
    (block, keyword) to line, as ``keepalived_conf.Parsed.lines`` has it. Raises ModelError for a
    cluster so large that the answer would not come within seconds.
    """
    _ask_of_instances(cluster)
    estate = Estate(cluster, lines or {})
    for router in estate.routers:
        _ask_at_most(MOST_NODES, len(router), f"nodes that share {router[0].instance.name}")
    causes = list(reading)
    for rule in _RULES:
        causes.extend(rule(estate))
    causes = list(_without_echoes(causes))
    exploration = explore(cluster)
    properties = _properties(estate, exploration, causes)
    return Report(_ordered([*properties, *causes]), exploration.outcomes)


def _ask_of_instances(cluster: Cluster) -> None:
    _ask_at_most(MOST_INSTANCES, sum(len(node.instances) for node in cluster.nodes), "instances")
    for node in cluster.nodes:
        for group in node.sync_groups:
            where = f"of {group.name} on {node.name}"
            _ask_at_most(MOST_MEMBERS, len(group.members), f"members {where}")
        groups = sum(len(group.tracks) for group in node.sync_groups)
        for instance in node.instances:
            where = f"of {instance.name} on {node.name}"
            _ask_at_most(MOST_CHECKS, len(instance.tracks) + groups, f"tracked checks {where}")
            addresses = [*instance.virtual_ipaddress, *instance.virtual_ipaddress_excluded]
            _ask_at_most(MOST_ADDRESSES, len(addresses), f"addresses {where}")


def _ask_at_most(most: int, count: int, what: str) -> None:
    if count > most:
        raise ModelError(what, f"{count} are given; at most {most} can be judged together")


def _without_echoes(found: Sequence[Finding]) -> Iterator[Finding]:
    """A check that the daemon drops for a reason known from reading is not undefined as well."""
    dropped = ("script-order", "script-missing-command")
    explained = {(item.node, item.line) for item in found if item.id in dropped}
    for item in found:
        if item.id != "script-undefined" or (item.node, item.line) not in explained:
            yield item


def _ordered(found: Iterable[Finding]) -> tuple[Finding, ...]:
    """Worst first, properties before causes, then as the catalogue and the nodes are ordered."""
    order = {rule_id: place for place, rule_id in enumerate(CATALOGUE)}
    unique = dict.fromkeys(found)
    return tuple(sorted(unique, key=lambda item: (item.severity.rank, order[item.id])))
