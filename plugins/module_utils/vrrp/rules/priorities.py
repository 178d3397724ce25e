# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Priorities and weights: what changes them, and what the daemon makes of them."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Iterator, Sequence

from .. import priority, repairs, versions
from ..estate import (
    Estate,
    Judge,
    NodeInstance,
    Router,
    cluster_of,
    is_defined,
    names_of,
    others,
    place_of,
)
from ..findings import OUTRANKED, Finding, Rule, Severity
from ..model import CheckKind, State, Track
from ..pairs import NO_FAILOVER
from ..words import listed, sentence

NOPREEMPT_WITH_WEIGHT = Rule(
    "nopreempt-with-weight",
    Severity.ERROR,
    harm="With nopreempt a backup never takes over from a master that is alive, however far "
    "its priority has dropped: a failed check moves nothing.",
    example="state BACKUP\nnopreempt\ntrack_script {\n    chk_haproxy weight -50\n}",
    fix="Keep nopreempt and set the weight to 0, or keep the weight and remove nopreempt.",
    breaks=NO_FAILOVER,
)


def _weighted_names(router: Router) -> list[str]:
    return list(dict.fromkeys(t.check for member in router for t in member.weighted))


def _weighted_elsewhere(router: Router, member: NodeInstance) -> tuple[NodeInstance, Track] | None:
    """A weighted check of another node; of the node itself where there is no other."""
    for other in others(router, member) or [member]:
        for track in other.weighted:
            return other, track
    return None


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
                    NOPREEMPT_WITH_WEIGHT,
                    f"{member} has nopreempt: when {track.check} fails on {other} and its priority "
                    f"drops by {abs(track.weight)}, {member} still leaves the address there",
                    _offered(router),
                    "nopreempt",
                )


WEIGHT_BELOW_GAP = Rule(
    "weight-below-gap",
    Severity.ERROR,
    harm="The check's weight is not larger than the distance between the priorities, so the "
    "failing node still has the higher priority and keeps the address.",
    example="lb1: priority 100, track_script { chk_haproxy weight 2 }\n"
    "lb2: priority 90,  track_script { chk_haproxy weight 2 }",
    fix="Make the weight larger than the gap between the priorities, or set it to 0.",
    breaks=NO_FAILOVER,
)


@dataclass(frozen=True)
class _Short:
    """A failing check that does not bring ``holder`` below ``taker``."""

    holder: NodeInstance
    taker: NodeInstance
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
            for taker in others(router, holder):
                healthy = taker.effective()
                if failing is None or healthy is None or failing < healthy:
                    continue
                gap = holder.total(track.check) - taker.total()
                missing = failing - healthy + 1
                shorts.append(_Short(holder, taker, track, gap < 0, missing))
        if shorts:
            yield max(shorts, key=lambda short: (short.missing, not short.clamped))


def _offered(router: Router) -> str:
    """What cures the router, as a sentence. Where another cause stays, what takes this one away."""
    cluster = cluster_of(router)
    offered = repairs.offers(cluster) or tuple(repairs.unweighted(cluster))
    return sentence(", or ".join(repair.words for repair in offered))


def weight_below_gap(estate: Estate) -> Iterator[Finding]:
    """A weight that is not larger than the gap between two priorities."""
    for router in estate.routers:
        for short in _short_weights(router):
            if short.clamped:
                continue
            track, holder, taker = short.track, short.holder, short.taker
            yield holder.finding(
                WEIGHT_BELOW_GAP,
                f"when {track.check} fails on {holder}, its priority becomes "
                f"{holder.effective(track.check)}; healthy {taker} has {taker.effective()}, which "
                f"is not higher, so {holder} keeps the address",
                _offered(router),
                place_of(track),
                "priority",
            )


WEIGHT_CLAMPED = Rule(
    "weight-clamped",
    Severity.ERROR,
    harm="Effective priorities stay within 1 and 254; what is cut off there was the "
    "difference that should have moved the address.",
    example="lb1: priority 254, track_script { chk_haproxy weight 50 }\n"
    "lb2: priority 250, track_script { chk_haproxy weight 50 }",
    fix="Move the priorities so that priority plus weights stays within 1 and 254.",
    breaks=NO_FAILOVER,
)


def weight_clamped(estate: Estate) -> Iterator[Finding]:
    """A weight that would do, were the sum not cut off at 1 and 254."""
    for router in estate.routers:
        for short in _short_weights(router):
            if not short.clamped:
                continue
            holder, taker, track = short.holder, short.taker, short.track
            yield holder.finding(
                WEIGHT_CLAMPED,
                f"when {track.check} fails on {holder}, its priority is "
                f"{holder.total(track.check)} against {taker.total()} of healthy {taker}, but the "
                f"daemon keeps both within 1 and 254: {holder.effective(track.check)} against "
                f"{taker.effective()}, so {holder} keeps the address",
                _offered(router),
                place_of(track),
                "priority",
            )


PRIORITY_CLAMPED = Rule(
    "priority-clamped",
    Severity.WARNING,
    harm="Effective priorities stay within 1 and 254: two nodes that were meant to differ count "
    "alike, and which one has the address depends on start order and IP addresses.",
    example="lb1: priority 250, track_script { chk_haproxy weight 20 }\n"
    "lb2: priority 240, track_script { chk_haproxy weight 20 }",
    fix="Move the priorities so that priority plus weights stays within 1 and 254.",
)


def priority_clamped(estate: Estate) -> Iterator[Finding]:
    """Healthy nodes of different sums that count alike once the sums are cut off."""
    for router in estate.routers:
        if any(short.clamped for short in _short_weights(router)):
            continue
        for member, other in itertools.combinations(router, 2):
            effective = member.effective()
            cut = effective in (priority.LOWEST, priority.HIGHEST)
            if cut and effective == other.effective() and member.total() != other.total():
                yield member.finding(
                    PRIORITY_CLAMPED,
                    f"healthy {member} has {member.total()} and healthy {other} {other.total()}, "
                    f"but both count as {effective}",
                    _unclamped(router),
                    "priority",
                )
                break


def _unclamped(router: Router) -> str:
    """Numbers that stay within the bounds, or weights that are none."""
    cluster = cluster_of(router)
    offered = repairs.within_bounds(cluster) or tuple(repairs.unweighted(cluster))
    return sentence(offered[0].words if offered else "")


EQUAL_PRIORITY = Rule(
    "equal-priority",
    Severity.WARNING,
    harm="Nodes of equal priority can both become master for a moment, and which one starts "
    "with the address depends on start order and IP addresses.",
    example="lb1: priority 100\nlb2: priority 100",
    fix="Give every node a priority of its own.",
)


def equal_priority(estate: Estate) -> Iterator[Finding]:
    """Nodes of one router with one priority."""
    for router in estate.routers:
        by_priority: dict[int, list[NodeInstance]] = {}
        for member in router:
            by_priority.setdefault(priority.base_priority(member.instance), []).append(member)
        for value, members in by_priority.items():
            if len({member.node.name for member in members}) < 2:
                continue
            weighted = any(member.weighted for member in members)
            yield members[0].finding(
                EQUAL_PRIORITY,
                f"{names_of(members)} have the same priority {value}: the node that starts first, "
                "or has the higher IP address, gets the address; whoever has it keeps it",
                _ranked(router, members),
                "priority",
                # With weights, equal priorities are the only way to be sticky.
                severity=Severity.INFO if weighted else None,
            )


def _ranked(router: Router, members: Sequence[NodeInstance]) -> str:
    """A priority of its own for each node of the router, the first ones highest."""
    repair = repairs.ranked(cluster_of(router))
    if repair:
        return sentence(repair.words)
    taken = {priority.base_priority(member.instance) for member in router}
    value = priority.base_priority(members[0].instance)
    free = [n for n in range(min(value, priority.HIGHEST), 0, -1) if n not in taken]
    words = [f"{n} on {member}" for n, member in zip(free, members[1:])]
    return f"Set the priority to {listed(words)}."


def _weights_of_others(estate: Estate, member: NodeInstance) -> bool:
    """Whether a node that the member can take over from has weights."""
    router = next((router for router in estate.routers if member in router), ())
    return _weighted_elsewhere(router, member) is not None


NOPREEMPT_CLEARED_BY_MASTER = Rule(
    "nopreempt-cleared-by-master",
    Severity.WARNING,
    harm="The daemon clears nopreempt and preempt_delay where the state is MASTER: the node "
    "takes the address back as soon as it recovers, which is one more interruption.",
    example="state MASTER\nnopreempt",
    fix="Write state BACKUP on every node that has nopreempt or preempt_delay.",
)


def nopreempt_cleared_by_master(estate: Estate) -> Iterator[Finding]:
    """nopreempt or preempt_delay next to state MASTER."""
    for member in estate.members:
        node, instance = member.node, member.instance
        old = node.keepalived_version < versions.SECOND_GENERATION_SINCE
        if instance.state is not State.MASTER or old:
            continue
        for option, written in (
            ("nopreempt", instance.nopreempt),
            ("preempt_delay", instance.preempt_delay),
        ):
            if written and not priority.is_owner(instance):
                yield member.finding(
                    NOPREEMPT_CLEARED_BY_MASTER,
                    f"state MASTER clears {option} on {member}: it takes the address back as soon "
                    "as it can",
                    f"Remove {option} on {member}."
                    if _weights_of_others(estate, member)
                    else f"Write state BACKUP on {member} (who starts as master is decided by the "
                    "priorities).",
                    option,
                )


PREEMPT_DELAY_WITH_WEIGHT = Rule(
    "preempt-delay-with-weight",
    Severity.ERROR,
    harm="A backup that waits out preempt_delay also waits when the master's check has "
    "failed: the service is down for the whole delay.",
    example="preempt_delay 60\ntrack_script {\n    chk_haproxy weight -50\n}",
    fix="Set the weight to 0 (a failed check is then a fault, which is not delayed), or remove "
    "preempt_delay.",
    unproven="The address does move, after the delay; the properties only ask whether it "
    "moves at all.",
)


def preempt_delay_with_weight(estate: Estate) -> Iterator[Finding]:
    """preempt_delay on a node that should take over from one with weights."""
    for router in estate.routers:
        for member in router:
            delay = priority.preempt_delay_in_force(member.node, member.instance)
            found = _weighted_elsewhere(router, member) if delay else None
            if found:
                other, track = found
                yield member.finding(
                    PREEMPT_DELAY_WITH_WEIGHT,
                    f"when {track.check} fails on {other}, {member} waits {delay:g} s (its "
                    "preempt_delay) before it takes the address; the service is down meanwhile",
                    f"Set the weight of {listed(_weighted_names(router))} to 0 on all nodes, or "
                    f"remove preempt_delay on {member}.",
                    "preempt_delay",
                )


PREEMPT_DELAY_WITH_NOPREEMPT = Rule(
    "preempt-delay-with-nopreempt",
    Severity.WARNING,
    harm="A node that never preempts has nothing to delay: the daemon drops preempt_delay.",
    example="nopreempt\npreempt_delay 60",
    fix="Remove preempt_delay, or remove nopreempt.",
)


def preempt_delay_with_nopreempt(estate: Estate) -> Iterator[Finding]:
    """preempt_delay that has nothing to delay."""
    for member in estate.members:
        nopreempt = priority.nopreempt_in_force(member.node, member.instance)
        if nopreempt and member.instance.preempt_delay:
            yield member.finding(
                PREEMPT_DELAY_WITH_NOPREEMPT,
                f"{member} has nopreempt, so its preempt_delay is dropped",
                f"Remove preempt_delay on {member}"
                + (
                    "."
                    if _weights_of_others(estate, member)
                    else f", or remove nopreempt on {member}."
                ),
                "preempt_delay",
            )


PRIORITY_RANGE = Rule(
    "priority-range",
    Severity.ERROR,
    harm="The daemon does not accept the priority and runs with 100, whatever was meant.",
    example="priority 256",
    fix="Use a number from 1 to 254.",
    unproven="100 can happen to keep the order of the nodes.",
)


def priority_range(estate: Estate) -> Iterator[Finding]:
    """A priority outside 1 to 255."""
    for member in estate.members:
        value = member.instance.priority
        if not priority.LOWEST <= value <= priority.OWNER:
            yield member.finding(
                PRIORITY_RANGE,
                f"priority {value} is not accepted; {member} runs with {priority.DEFAULT}",
                f"Set the priority of {member} to {priority.DEFAULT} (as it counts now; any number "
                "from 1 to 254 will do).",
                "priority",
            )


WEIGHT_RANGE = Rule(
    "weight-range",
    Severity.ERROR,
    harm="The daemon replaces a weight outside -253 to 253 by one of its own choice.",
    example="track_script {\n    chk_haproxy weight 254\n}",
    fix="Use a weight from -253 to 253, or 0 for a fault.",
    unproven="The weight that is used instead can be enough.",
)


def weight_range(estate: Estate) -> Iterator[Finding]:
    """A weight outside -253 to 253."""
    limit = priority.WEIGHT_LIMIT
    for member in estate.members:
        for track in member.written:
            if abs(track.weight) > limit:
                nearest = limit if track.weight > 0 else -limit
                yield member.finding(
                    WEIGHT_RANGE,
                    f"weight {track.weight} of {track.check} is not accepted on {member}",
                    f"Set the weight of {track.check} to {nearest} on {member} (0 would make a "
                    "fault of a failed check).",
                    place_of(track),
                )


ADVERT_INT_RANGE = Rule(
    "advert-int-range",
    Severity.ERROR,
    harm="The daemon does not accept the advert interval and uses another one, so failover "
    "takes another time than planned.",
    example="vrrp_version 2\nadvert_int 0.5",
    fix="VRRP version 2 takes whole seconds from 1 to 255; version 3 takes 0.01 to 40.95 in "
    "steps of 0.01.",
    unproven="The address moves, only later than the number says.",
)


def advert_int_range(estate: Estate) -> Iterator[Finding]:
    """An advert interval that the version cannot have."""
    for member in estate.members:
        instance = member.instance
        value = instance.advert_int
        if instance.version == 2:
            fine = 1 <= value <= 255 and value == int(value)
            wanted = "a whole number from 1 to 255; a fraction needs version 3 on all nodes"
        else:
            fine = 0.01 <= value <= 40.95 and abs(value * 100 - round(value * 100)) < 1e-6
            wanted = "a number from 0.01 to 40.95 with at most two decimals"
        if not fine:
            used = round(priority.advert_interval(instance), 2)
            yield member.finding(
                ADVERT_INT_RANGE,
                f"VRRP version {instance.version} cannot have advert_int {value:g}; {member} uses "
                f"{used:g}",
                f"Write advert_int {used:g} on {member} ({wanted}).",
                "advert_int",
            )


ADDRESS_OWNER_WITH_WEIGHT = Rule(
    "address-owner-with-weight",
    Severity.ERROR,
    harm="At priority 255 the daemon removes weighted checks: their failure moves nothing.",
    example="priority 255\ntrack_script {\n    chk_haproxy weight -50\n}",
    fix="Use a priority of at most 254.",
    breaks=NO_FAILOVER,
    unless=OUTRANKED,
)


def address_owner_with_weight(estate: Estate) -> Iterator[Finding]:
    """Weighted checks at priority 255."""
    for member in estate.members:
        if not priority.is_owner(member.instance):
            continue
        for track in member.unused():
            if track.weight and is_defined(member, track):
                yield member.finding(
                    ADDRESS_OWNER_WITH_WEIGHT,
                    f"{member} has priority 255, so {track.check} (weight {track.weight}) is "
                    "removed; its failure moves nothing",
                    _disowned(estate, member),
                    "priority",
                )


def _disowned(estate: Estate, member: NodeInstance) -> str:
    """The highest priority below the owner's that does, else weights that are none."""
    for router in estate.routers:
        if member in router:
            repair = repairs.disowned(cluster_of(router), member.node.name)
            return sentence(repair.words) if repair else _unweighted_on(member)
    return f"Set the priority of {member} to {priority.HIGHEST}."


def _unweighted_on(member: NodeInstance) -> str:
    names = listed([track.check for track in member.written if track.weight])
    return f"Set the weight of {names} to 0 on {member} (a failed check is then a fault)."


ADDRESS_OWNER_WITH_NOPREEMPT = Rule(
    "address-owner-with-nopreempt",
    Severity.WARNING,
    harm="At priority 255 the daemon drops nopreempt: the node always takes the address back.",
    example="priority 255\nnopreempt",
    fix="Use a priority of at most 254.",
)


def address_owner_with_nopreempt(estate: Estate) -> Iterator[Finding]:
    """nopreempt at priority 255."""
    for member in estate.members:
        if priority.is_owner(member.instance) and member.instance.nopreempt:
            yield member.finding(
                ADDRESS_OWNER_WITH_NOPREEMPT,
                f"at priority 255 {member} always takes the address; nopreempt is dropped",
                f"Remove nopreempt on {member}.",
                "nopreempt",
            )


WEIGHTED_SCRIPT_IN_SYNC_GROUP = Rule(
    "weighted-script-in-sync-group",
    Severity.ERROR,
    harm="Weighted checks of a sync group's member are removed: their failure moves nothing.",
    example="vrrp_sync_group G1 { group { VI_1 } }\n"
    "vrrp_instance VI_1 { track_script { chk_haproxy weight -50 } }",
    fix="Set the weight to 0, or take the instance out of the sync group.",
    breaks=NO_FAILOVER,
    unless=OUTRANKED,
)


def weighted_script_in_sync_group(estate: Estate) -> Iterator[Finding]:
    """Weighted checks of a sync group's member."""
    for member in estate.members:
        group = priority.sync_group_of(member.node, member.instance)
        if group is None or group.tracking_weight or priority.is_owner(member.instance):
            continue
        for track in member.unused():
            if track.weight and is_defined(member, track):
                yield member.finding(
                    WEIGHTED_SCRIPT_IN_SYNC_GROUP,
                    f"{member.instance.name} is in sync group {group.name}, so {track.check} "
                    f"(weight {track.weight}) is removed on {member}; its failure moves nothing",
                    f"Set the weight of {track.check} to 0 on {member} (a failed check is then a "
                    "fault).",
                    place_of(track),
                )


POSITIVE_FILE_WEIGHT = Rule(
    "positive-file-weight",
    Severity.WARNING,
    harm="A tracked file adds its value times the weight: a file that says 1 for failure "
    "makes the failing node stronger. A track_file without a weight has weight 1.",
    example="track_file {\n    haproxy_down\n}",
    fix="Write weight 0 (a value other than 0 is a fault) or a negative weight.",
)


def positive_file_weight(estate: Estate) -> Iterator[Finding]:
    """A tracked file whose value raises the priority."""
    for member in estate.members:
        for track in member.counting:
            sign = -1 if track.reverse else 1
            if track.kind is CheckKind.FILE and track.weight * sign > 0:
                yield member.finding(
                    POSITIVE_FILE_WEIGHT,
                    f"a 1 in the file of {track.check} adds {track.weight * sign} to the priority "
                    f"of {member}",
                    f"If a 1 means failure, set the weight of {track.check} to 0 on "
                    f"{names_of([member, *estate.alike(member)])}.",
                    place_of(track),
                )


RULES: dict[Rule, Judge] = {
    NOPREEMPT_WITH_WEIGHT: nopreempt_with_weight,
    WEIGHT_BELOW_GAP: weight_below_gap,
    WEIGHT_CLAMPED: weight_clamped,
    PRIORITY_CLAMPED: priority_clamped,
    EQUAL_PRIORITY: equal_priority,
    NOPREEMPT_CLEARED_BY_MASTER: nopreempt_cleared_by_master,
    PREEMPT_DELAY_WITH_WEIGHT: preempt_delay_with_weight,
    PREEMPT_DELAY_WITH_NOPREEMPT: preempt_delay_with_nopreempt,
    PRIORITY_RANGE: priority_range,
    WEIGHT_RANGE: weight_range,
    ADVERT_INT_RANGE: advert_int_range,
    ADDRESS_OWNER_WITH_WEIGHT: address_owner_with_weight,
    ADDRESS_OWNER_WITH_NOPREEMPT: address_owner_with_nopreempt,
    WEIGHTED_SCRIPT_IN_SYNC_GROUP: weighted_script_in_sync_group,
    POSITIVE_FILE_WEIGHT: positive_file_weight,
}
