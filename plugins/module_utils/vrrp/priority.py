# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The priority an instance really runs with, and the options that really are in force.

A priority in keepalived.conf is only a base. Each tracked check adds to it or takes from it, or
puts the instance into FAULT, and the sum is clamped. keepalived also drops options it considers
contradictory, most of them without refusing the configuration. This module is the arithmetic
and those exceptions; it follows ``keepalived/vrrp/vrrp_track.c`` and ``vrrp.c``.
"""

from __future__ import annotations

from typing import Mapping, Union

from . import versions
from .commands import is_dropped
from .model import Check, CheckKind, Instance, Node, State, SyncGroup, Track

OWNER = 255
"""The base priority of an address owner: it never changes, whatever is tracked."""
LOWEST = 1
HIGHEST = 254
DEFAULT = 100

FILE_FAULT = -254
"""A tracked file whose value times its weight is this low is a fault."""
WEIGHT_LIMIT = 253

Result = Union[bool, int, None]
"""What a check says: True or False (script, process, interface), the number in the file (file),
or None for a script whose first run has not ended."""

KIND_SINCE = {
    CheckKind.PROCESS: versions.TRACK_PROCESS_SINCE,
    CheckKind.FILE: versions.TRACK_FILE_SINCE,
}


def clamp(total: int) -> int:
    """The priority keepalived puts on the wire for this sum: 1..254."""
    return max(LOWEST, min(HIGHEST, total))


def base_priority(instance: Instance) -> int:
    """The base in force: keepalived reports a number outside 1..255 and uses 100."""
    return instance.priority if LOWEST <= instance.priority <= OWNER else DEFAULT


def is_owner(instance: Instance) -> bool:
    """Whether the instance is an address owner (base priority 255)."""
    return base_priority(instance) == OWNER


def sync_group_of(node: Node, instance: Instance) -> SyncGroup | None:
    """The sync group the instance belongs to: the first that names it, as in keepalived."""
    return next((group for group in node.sync_groups if instance.name in group.members), None)


def nopreempt_in_force(node: Node, instance: Instance) -> bool:
    """Whether ``nopreempt`` works. ``state MASTER`` clears it since 2.0.0; 255 always does."""
    cleared = (
        instance.state is State.MASTER
        and node.keepalived_version >= versions.SECOND_GENERATION_SINCE
    )
    return instance.nopreempt and not cleared and not is_owner(instance)


def preempt_delay_in_force(node: Node, instance: Instance) -> float:
    """The preempt delay that works, in seconds. ``state MASTER`` (since 2.0.0), ``vrrp_strict``,
    nopreempt and 255 reset it."""
    cleared = (
        (
            instance.state is State.MASTER
            and node.keepalived_version >= versions.SECOND_GENERATION_SINCE
        )
        or instance.strict_mode
        or instance.nopreempt
        or is_owner(instance)
    )
    return 0.0 if cleared else instance.preempt_delay


def starts_as_master(node: Node, instance: Instance) -> bool:
    """Whether the instance begins as MASTER without listening first: an address owner that also
    says ``state MASTER``; either of the two in 1.4.5 and older."""
    wishes_it = instance.state is State.MASTER
    if node.keepalived_version < versions.SECOND_GENERATION_SINCE:
        return is_owner(instance) or wishes_it
    return is_owner(instance) and wishes_it


def down_timer_adverts(node: Node, instance: Instance) -> int:
    """How many advert intervals of silence end in a takeover; always 3 before 2.2.3."""
    if node.keepalived_version < versions.DOWN_TIMER_ADVERTS_SINCE:
        return 3
    return instance.down_timer_adverts


def advert_interval(instance: Instance) -> float:
    """The advert interval in force, in seconds. Version 2 knows whole seconds 1..255: it rounds
    a fraction (half a second up) and uses 1 for a number out of range; version 3 knows
    0.01..40.95."""
    interval = instance.advert_int
    if instance.version == 2:
        return float(int(interval + 0.5)) if 1 <= interval <= 255 else 1.0
    return 1.0 if interval < 0.01 else min(interval, 40.95)


def counting_tracks(node: Node, instance: Instance) -> tuple[Track, ...]:
    """The tracks keepalived really uses for this instance, weights as it uses them.

    Not used, although written: a check that is not defined, a second track of the same check, a
    kind of check the version does not know, a weighted check of an address owner, and a weighted
    script or file of a sync group's member unless the group says ``sgroup_tracking_weight``.
    There a file of weight 1 (the default) becomes a fault condition. The tracks written in the
    sync group itself keep their weights; next to an address owner they lose them. A check that
    the instance and its group both track counts as ``_counted_twice`` says.
    """
    group = sync_group_of(node, instance)
    own = _usable(node, tuple(_own_interface_unweighted(instance, t) for t in instance.tracks))
    if is_owner(instance):
        own = tuple(_with_weight(track, 0) for track in own if _has_default_weight(track))
    elif group is not None and not group.tracking_weight:
        own = tuple(kept for kept in map(_in_sync_group, own) if kept is not None)
    if group is None:
        return own
    shared = _usable(node, group.tracks)
    if any(is_owner(member) for member in node.instances if member.name in group.members):
        shared = tuple(_with_weight(track, 0) for track in shared)
    return _together(own, shared)


def _own_interface_unweighted(instance: Instance, track: Track) -> Track:
    """keepalived drops the entry of the instance's own interface, whose loss is a fault anyway."""
    if track.kind is CheckKind.INTERFACE and track.check == instance.interface:
        return Track(track.check, track.kind)
    return track


def _has_default_weight(track: Track) -> bool:
    return track.weight == (1 if track.kind is CheckKind.FILE else 0) or track.weight == 0


def _in_sync_group(track: Track) -> Track | None:
    # keepalived forgets processes. Of an interface it says that the weight is ignored, but the
    # interface has noted it before, so it goes on counting.
    if track.kind in (CheckKind.PROCESS, CheckKind.INTERFACE):
        return track
    if _has_default_weight(track):
        return _with_weight(track, 0)
    return None


def _with_weight(track: Track, weight: int) -> Track:
    return Track(check=track.check, kind=track.kind, weight=weight, reverse=track.reverse)


def _together(own: tuple[Track, ...], shared: tuple[Track, ...]) -> tuple[Track, ...]:
    """An instance's tracks and its sync group's."""
    groups = {(track.kind, track.check): track for track in shared}
    counted: list[Track] = []
    for track in own:
        twice = groups.pop((track.kind, track.check), None)
        counted.extend((track,) if twice is None else _counted_twice(track, twice))
    return (*counted, *groups.values())


def _counted_twice(own: Track, shared: Track) -> tuple[Track, ...]:
    """What counts of a check that instance and group both track: the group's weight and
    ``reverse`` (of a process the weight only), unless the instance tracks it without weight.

    A script that both track without weight is a fault for ever: keepalived then waits for two
    first results and counts one. As tracks: neither result is the good one.
    """
    if own.weight != 0:
        return (_with_weight(own, shared.weight) if own.kind is CheckKind.PROCESS else shared,)
    if own.kind is CheckKind.SCRIPT and shared.weight == 0:
        return (own, Track(own.check, own.kind, reverse=not own.reverse))
    return (own,)


def _usable(node: Node, tracks: tuple[Track, ...]) -> tuple[Track, ...]:
    defined = {
        (check.kind, check.name)
        for check in node.checks
        if check.kind is not CheckKind.SCRIPT or not is_dropped(check.command)
    }
    return _first_of_each(
        tuple(
            _as_read(node, track)
            for track in tracks
            if node.keepalived_version >= KIND_SINCE.get(track.kind, (0,))
            # An interface needs no block of its own to be tracked.
            and (track.kind is CheckKind.INTERFACE or (track.kind, track.check) in defined)
        )
    )


def _as_read(node: Node, track: Track) -> Track:
    weight = max(-WEIGHT_LIMIT, min(WEIGHT_LIMIT, track.weight))
    reverse = track.reverse and node.keepalived_version >= versions.REVERSE_SINCE
    return Track(check=track.check, kind=track.kind, weight=weight, reverse=reverse)


def _first_of_each(tracks: tuple[Track, ...]) -> tuple[Track, ...]:
    seen: set[tuple[CheckKind, str]] = set()
    first: list[Track] = []
    for track in tracks:
        if (track.kind, track.check) not in seen:
            seen.add((track.kind, track.check))
            first.append(track)
    return tuple(first)


def contribution(track: Track, result: Result) -> int | None:
    """What one track adds to the priority while its check says ``result``; None is a fault.

    ``result`` None is a script that has not run yet: a fault at weight 0, otherwise nothing.
    """
    sign = -1 if track.reverse else 1
    if track.kind is CheckKind.FILE:
        return _file_contribution(track.weight * sign, int(result or 0), track)
    if result is None:
        return None if track.weight == 0 else 0
    if track.weight == 0:
        return 0 if bool(result) == (not track.reverse) else None
    counts = bool(result) == (track.weight > 0)
    return track.weight * sign if counts else 0


def _file_contribution(weight: int, value: int, track: Track) -> int | None:
    if track.weight == 0:
        return 0 if bool(value) == track.reverse else None
    status = value * weight
    return None if status <= FILE_FAULT else min(status, WEIGHT_LIMIT)


def effective_from_tracks(
    base: int, tracks: tuple[Track, ...], results: Mapping[str, Result]
) -> int | None:
    """The effective priority of a base and its counting tracks: 1..254, 255 for an owner, None
    in FAULT. A check missing in ``results`` is fine (a file holds 0)."""
    total = base
    for track in tracks:
        added = contribution(track, results.get(track.check, track.kind is not CheckKind.FILE))
        if added is None:
            return None
        total += added
    return OWNER if base == OWNER else clamp(total)


def effective_priority(node: Node, instance: Instance, results: Mapping[str, Result]) -> int | None:
    """The priority ``instance`` runs with on ``node`` while its checks say ``results`` (by name of
    the check): 1..254, 255 for an address owner, or None: the instance itself is in FAULT.

    A member of a sync group can be in FAULT for another member's sake; that is for the election
    to know (``election.Election``).
    """
    return effective_from_tracks(base_priority(instance), counting_tracks(node, instance), results)


def first_results(node: Node) -> dict[str, Result]:
    """What the checks say between the start of the daemon and the end of their first run: a
    script is unknown, or failed with ``init_fail``; everything else is seen at once."""
    return {check.name: _first_result(check) for check in node.checks}


def _first_result(check: Check) -> Result:
    if check.kind is CheckKind.SCRIPT:
        return False if check.init_fail else None
    return 0 if check.kind is CheckKind.FILE else True


def written_tracks(node: Node, instance: Instance) -> tuple[Track, ...]:
    """Every track the operator wrote for the instance, its sync group's included, whether or not
    keepalived uses it. This is what "healthy" is judged by."""
    group = sync_group_of(node, instance)
    return _first_of_each(instance.tracks + (group.tracks if group is not None else ()))


def is_healthy(track: Track, failing: bool) -> bool:
    """Whether a check in this condition is the better one for the instance that tracks it. It is
    when the check passes, except in ``reverse``, and except for a file with a positive weight,
    where a number in the file raises the priority."""
    passing_is_better = _rank(track, failing=False) >= _rank(track, failing=True)
    return failing != passing_is_better


def result_of(kind: CheckKind, failing: bool) -> Result:
    """What a passing or failing check says; a file holds 0 or 1."""
    return int(failing) if kind is CheckKind.FILE else not failing


def _rank(track: Track, failing: bool) -> float:
    added = contribution(track, result_of(track.kind, failing))
    return float("-inf") if added is None else added
