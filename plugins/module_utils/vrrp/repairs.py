# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Changes that make a virtual router fail over, each tried out before it is offered.

A change is a few numbers for all nodes. It is applied to the model and judged by the same search
that found the harm: what does not cure it alone, or has another node hold the address when all is
well, is not offered.
"""

from __future__ import annotations

import functools
import itertools
from dataclasses import dataclass, replace
from typing import Callable, Iterable, Iterator, Sequence

from . import priority
from .explore import explore
from .model import CheckKind, Cluster, Instance, Node, Track
from .words import listed

# Trying out costs a search each; beyond that the rules say what to do in general.
_MOST_NODES = 8
_MOST_OFFERS = 3


@dataclass(frozen=True)
class Repair:
    """A change in words, and the cluster with it."""

    words: str
    cluster: Cluster


_Change = Callable[[Cluster], Iterator[Repair]]


@functools.lru_cache(maxsize=128)
def offers(cluster: Cluster) -> tuple[Repair, ...]:
    """What cures a cluster of one virtual router, the smallest change first; empty where nothing
    that is known here does, or the cluster is too large to try."""
    if len(cluster.nodes) > _MOST_NODES or any(len(n.instances) != 1 for n in cluster.nodes):
        return ()
    wanted = _holder(cluster)
    found: dict[Cluster, Repair] = {}
    for repair in _candidates(cluster):
        if repair.cluster not in found and _is_sound(repair.cluster, wanted):
            found[repair.cluster] = repair
        if len(found) == _MOST_OFFERS:
            break
    return tuple(found.values())


def unweighted(cluster: Cluster) -> Iterator[Repair]:
    """No weights at all, whatever else is wrong."""
    return _unweighted(cluster)


def within_bounds(cluster: Cluster) -> tuple[Repair, ...]:
    """Priorities whose sums are cut off nowhere, if that cures the cluster."""
    wanted = _holder(cluster)
    return tuple(one for one in _shifted(cluster) if _is_sound(one.cluster, wanted))


def ranked(cluster: Cluster) -> Repair | None:
    """Priorities one below the other, if that is all that the cluster needs."""
    wanted = _holder(cluster)
    return next((one for one in _closer(cluster) if _is_sound(one.cluster, wanted)), None)


def disowned(cluster: Cluster, name: str) -> Repair | None:
    """The highest priority of a node that is no address owner's, if one does."""
    wanted = _holder(cluster)
    rest = [priority.base_priority(n.instances[0]) for n in cluster.nodes if n.name != name]
    for value in sorted({priority.HIGHEST, min(max(rest, default=0) + 1, priority.HIGHEST)})[::-1]:
        changed = _with_priority(cluster, name, value)
        if _is_sound(changed, wanted):
            return Repair(f"set the priority of {name} to {value}", changed)
    return None


def _with_priority(cluster: Cluster, name: str, value: int) -> Cluster:
    return _instances(
        cluster,
        lambda node, one: replace(one, priority=value) if node.name == name else one,
    )


def _holder(cluster: Cluster) -> object:
    outcomes = explore(cluster).outcomes
    return next((outcome.holders for outcome in outcomes if not outcome.failures), None)


def _is_sound(cluster: Cluster, wanted: object) -> bool:
    exploration = explore(cluster)
    first = next((o.holders for o in exploration.outcomes if not o.failures), None)
    return exploration.proven and not exploration.violations and first == wanted


def _candidates(cluster: Cluster) -> Iterator[Repair]:
    """Single changes, then pairs of them, then the one that always works as long as a node can."""
    changes: tuple[_Change, ...] = (_heavier, _closer, _shifted)
    for change in changes:
        yield from change(cluster)
    for change in (_without_nopreempt, _unweighted):
        yield from change(cluster)
    for freed in _without_nopreempt(cluster):
        for change in changes:
            for repair in change(freed.cluster):
                yield Repair(f"{freed.words} and {repair.words}", repair.cluster)
    for moved, heavier in itertools.product((_shifted, _closer), (_heavier,)):
        for first in moved(cluster):
            for second in heavier(first.cluster):
                yield Repair(f"{first.words} and {second.words}", second.cluster)


def _instances(cluster: Cluster, change: Callable[[Node, Instance], Instance]) -> Cluster:
    return Cluster(
        tuple(
            replace(node, instances=tuple(change(node, one) for one in node.instances))
            for node in cluster.nodes
        )
    )


def _weighted(cluster: Cluster) -> list[tuple[CheckKind, str]]:
    """The checks that have a weight somewhere, in order."""
    tracks = (track for node in cluster.nodes for track in node.instances[0].tracks)
    return list(dict.fromkeys((track.kind, track.check) for track in tracks if track.weight))


def _by_rank(cluster: Cluster) -> list[Node]:
    """The nodes, the one that holds the address when all is well first."""
    return sorted(cluster.nodes, key=lambda node: -priority.base_priority(node.instances[0]))


def _names(nodes: Iterable[Node]) -> str:
    return listed([node.name for node in nodes])


def _with_weight(cluster: Cluster, check: tuple[CheckKind, str], weight: int) -> Cluster:
    """The check with this weight on every node, tracked where it was not."""

    def change(_node: Node, instance: Instance) -> Instance:
        others = [track for track in instance.tracks if (track.kind, track.check) != check]
        return replace(instance, tracks=(*others, Track(check[1], check[0], weight)))

    changed = _instances(cluster, change)
    defined = next(
        (c for node in cluster.nodes for c in node.checks if (c.kind, c.name) == check), None
    )
    if defined is None or check[0] is CheckKind.INTERFACE:
        return changed
    return Cluster(
        tuple(
            node
            if any((c.kind, c.name) == check for c in node.checks)
            else replace(node, checks=(*node.checks, defined))
            for node in changed.nodes
        )
    )


def _weight_words(
    cluster: Cluster, check: tuple[CheckKind, str], missing: Sequence[Node], weight: int
) -> str:
    bound = "at most" if weight < 0 else "at least"
    if len(_weighted(cluster)) == 1 and not missing:
        return f"set the weight to {bound} {weight} on all nodes"
    words = f"set the weight of {check[1]} to {bound} {weight} on {_names(cluster.nodes)}"
    return words + (f" (track it on {_names(missing)} too)" if missing else "")


def _heavier(cluster: Cluster) -> Iterator[Repair]:
    """One weight that is larger than all gaps, on every node."""
    bases = [priority.base_priority(node.instances[0]) for node in cluster.nodes]
    least = max(bases) - min(bases) + 1
    for check in _weighted(cluster):
        tracked = [t for n in cluster.nodes for t in n.instances[0].tracks]
        signs = {t.weight > 0 for t in tracked if (t.kind, t.check) == check and t.weight}
        for sign in (1, -1):
            if (sign > 0) in signs and least <= priority.WEIGHT_LIMIT:
                weight = sign * least
                missing = [
                    node
                    for node in cluster.nodes
                    if check not in [(t.kind, t.check) for t in node.instances[0].tracks]
                ]
                words = _weight_words(cluster, check, missing, weight)
                yield Repair(words, _with_weight(cluster, check, weight))


def _closer(cluster: Cluster) -> Iterator[Repair]:
    """Priorities one below the other, from the highest down."""
    ranked = _by_rank(cluster)
    top = min(priority.base_priority(ranked[0].instances[0]), priority.HIGHEST)
    places = {node.name: top - rank for rank, node in enumerate(ranked)}
    if min(places.values()) < priority.LOWEST:
        return
    moved = [
        node
        for node in cluster.nodes
        if priority.base_priority(node.instances[0]) != places[node.name]
    ]
    if len(moved) == 1:
        yield from _raised(cluster, moved[0], places[moved[0].name])
    elif moved:
        words = [f"{places[node.name]} on {node.name}" for node in moved]
        yield Repair(
            f"set the priority to {listed(words)}",
            _instances(
                cluster, lambda node, instance: replace(instance, priority=places[node.name])
            ),
        )


def _raised(cluster: Cluster, node: Node, most: int) -> Iterator[Repair]:
    """The lowest priority of one node, up to ``most``, that does."""

    def changed(value: int) -> Cluster:
        return _with_priority(cluster, node.name, value)

    least = priority.base_priority(node.instances[0]) + 1
    wanted = _holder(cluster)
    if least > most or not _is_sound(changed(most), wanted):
        return
    while least < most:
        middle = (least + most) // 2
        if _is_sound(changed(middle), wanted):
            most = middle
        else:
            least = middle + 1
    yield Repair(f"set the priority of {node.name} to at least {most}", changed(most))


def _shifted(cluster: Cluster) -> Iterator[Repair]:
    """All priorities lower or higher by the same, away from where sums are cut off."""
    rises = [sum(max(t.weight, 0) for t in n.instances[0].tracks) for n in cluster.nodes]
    falls = [sum(min(t.weight, 0) for t in n.instances[0].tracks) for n in cluster.nodes]
    bases = [priority.base_priority(node.instances[0]) for node in cluster.nodes]
    over = max(base + rise for base, rise in zip(bases, rises)) - priority.HIGHEST
    under = priority.LOWEST - min(base + fall for base, fall in zip(bases, falls))
    if (over > 0) == (under > 0):
        return
    step = -over if over > 0 else under
    if not priority.LOWEST <= min(bases) + step <= max(bases) + step <= priority.HIGHEST:
        return
    words = [f"{base + step} on {node.name}" for base, node in zip(bases, cluster.nodes)]
    yield Repair(
        f"set the priority to {listed(words)}",
        _instances(
            cluster,
            lambda _node, one: replace(one, priority=priority.base_priority(one) + step),
        ),
    )


def _unweighted(cluster: Cluster) -> Iterator[Repair]:
    """Weight 0: a failed check is a fault."""
    checks = _weighted(cluster)
    if checks:
        where = [n for n in cluster.nodes if any(t.weight for t in n.instances[0].tracks)]
        names = listed([name for _kind, name in checks])
        what = "the weight" if len(checks) == 1 else f"the weight of {names}"
        nodes = "all nodes" if len(where) == len(cluster.nodes) else _names(where)
        yield Repair(
            f"set {what} to 0 on {nodes} (a failed check is then a fault)",
            _instances(
                cluster,
                lambda _node, instance: replace(
                    instance, tracks=tuple(replace(track, weight=0) for track in instance.tracks)
                ),
            ),
        )


def _without_nopreempt(cluster: Cluster) -> Iterator[Repair]:
    having = [node for node in cluster.nodes if node.instances[0].nopreempt]
    if having:
        yield Repair(
            f"remove nopreempt on {_names(having)}",
            _instances(cluster, lambda _node, instance: replace(instance, nopreempt=False)),
        )
