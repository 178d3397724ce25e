# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A cluster as the rules see it: instances with their lines, put together into routers.

A *router* is what instances of several nodes make when they are meant to share their addresses:
they share a network (``hearing.networks``), and have an address, a peer or multicast in common.
"""

from __future__ import annotations

import functools
from collections.abc import Hashable
from dataclasses import dataclass, replace
from typing import Callable, Iterable, Iterator, Mapping, Sequence, Tuple

from . import priority
from .findings import Finding, Rule, Severity
from .hearing import addresses_of, carried_by, networks, plain_address, source_address
from .model import Check, CheckKind, Cluster, Instance, Node, Track
from .running import borrowed_sources, runs
from .words import listed

# Node name to (block, keyword) to line.
Lines = Mapping[str, Mapping[Tuple[str, str], int]]


@dataclass(frozen=True)
class NodeInstance:
    """An instance on its node, with where its options stand in the node's file."""

    node: Node
    instance: Instance
    lines: Mapping[tuple[str, str], int]

    def __str__(self) -> str:
        return self.node.name

    @functools.cached_property
    def runs(self) -> bool:
        """Whether it can ever hold its addresses; one that cannot says nothing to others."""
        return runs(self.node, self.instance)

    @functools.cached_property
    def source(self) -> str:
        """Where its adverts come from; empty if unknown."""
        return source_address(self.node, self.instance)

    @functools.cached_property
    def peers(self) -> frozenset[str]:
        """The addresses it speaks to; empty with multicast."""
        return frozenset(map(plain_address, self.instance.unicast_peer or ()))

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

    @property
    def checks(self) -> frozenset[tuple[CheckKind, str]]:
        """The checks that were written, but for interfaces."""
        written = ((track.kind, track.check) for track in self.written)
        return frozenset(check for check in written if check[0] is not CheckKind.INTERFACE)

    def script(self, track: Track) -> Check | None:
        """The script that is tracked; None for another kind, or one that is not defined."""
        if track.kind is not CheckKind.SCRIPT:
            return None
        scripts = (check for check in self.node.checks if check.kind is CheckKind.SCRIPT)
        return next((check for check in scripts if check.name == track.check), None)

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
        rule: Rule,
        message: str,
        fix: str = "",
        *keywords: str,
        severity: Severity | None = None,
    ) -> Finding:
        """A finding about this instance."""
        return rule.finding(
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


Router = Sequence[NodeInstance]


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
            NodeInstance(node, instance, lines.get(node.name, {}))
            for node in cluster.nodes
            for instance in node.instances
        )
        borrowed = borrowed_sources(cluster)
        self.routers = tuple(
            _routers(
                [
                    member
                    for member in self.members
                    if member.runs
                    and (member.node.name, member.instance.unicast_src_ip) not in borrowed
                ]
            )
        )
        self.carriers: dict[str, list[NodeInstance]] = {}
        for member in self.members:
            for address in carried_by(member.instance):
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

    def alike(self, member: NodeInstance) -> Iterator[NodeInstance]:
        """The instances of other nodes that carry one of the member's addresses."""
        seen = {member.node.name}
        for address in carried_by(member.instance):
            for other in self.carriers[address]:
                if other.node.name not in seen:
                    seen.add(other.node.name)
                    yield other

    def line(self, node: Node, *where: tuple[str, str]) -> int | None:
        """The first of these places of a node's file that was written."""
        places = self.lines.get(node.name, {})
        return next((places[place] for place in where if place in places), None)


def _routers(members: Sequence[NodeInstance]) -> Iterator[Router]:
    """The instances that share a network and an address, a peer or multicast."""
    for sharing in networks([(member.node.name, member.instance) for member in members]):
        yield from _connected([members[position] for position in sharing])


def _connected(part: Sequence[NodeInstance]) -> Iterator[Router]:
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
            keys.append(f"multicast {member.instance.multicast_group}")
        known = [key for key in keys if key]
        firsts.append(known[0])
        for key in known[1:]:
            parents[root(key)] = root(known[0])
    groups: dict[str, list[NodeInstance]] = {}
    for member, first in zip(part, firsts):
        groups.setdefault(root(first), []).append(member)
    yield from groups.values()


def cluster_of(router: Router) -> Cluster:
    """The router as a cluster of its own, without the sync groups that tie it to others."""
    return Cluster(
        tuple(
            replace(
                member.node,
                instances=(member.instance,),
                sync_groups=tuple(
                    group
                    for group in member.node.sync_groups
                    if set(group.members) <= {member.instance.name}
                ),
            )
            for member in router
        )
    )


def names_of(members: Iterable[NodeInstance]) -> str:
    """The names of their nodes, enumerated."""
    return listed([member.node.name for member in members])


def placed(members: Iterable[NodeInstance]) -> str:
    """Their instances with the nodes: VI_1 on lb1 and lb2."""
    nodes: dict[str, list[str]] = {}
    for member in members:
        nodes.setdefault(member.instance.name, []).append(member.node.name)
    return listed([f"{name} on {listed(on)}" for name, on in nodes.items()])


def entry_of(track: Track) -> str:
    """The track as a line of its block."""
    default = 1 if track.kind is CheckKind.FILE else 0
    weight = f" weight {track.weight}" if track.weight != default or track.reverse else ""
    return track.check + weight + (" reverse" if track.reverse else "")


def place_of(track: Track) -> str:
    """The keyword under which a track's line is known."""
    return f"{track.kind.value} {track.check}"


def others(router: Router, member: NodeInstance) -> list[NodeInstance]:
    """The other members of the router."""
    return [other for other in router if other is not member]


def is_defined(member: NodeInstance, track: Track) -> bool:
    """Whether the check that the member tracks exists on its node."""
    return track.kind is CheckKind.INTERFACE or any(
        (check.kind, check.name) == (track.kind, track.check) for check in member.node.checks
    )


def differing(
    router: Router, value: Callable[[NodeInstance], Hashable]
) -> dict[Hashable, list[NodeInstance]] | None:
    """The members by value, if there is more than one."""
    by_value: dict[Hashable, list[NodeInstance]] = {}
    for member in router:
        by_value.setdefault(value(member), []).append(member)
    return by_value if len(by_value) > 1 else None


def values_said(by_value: Mapping[Hashable, list[NodeInstance]]) -> str:
    """Each value with the nodes that have it, enumerated."""
    return listed([f"{value} on {names_of(members)}" for value, members in by_value.items()])


def first_value(by_value: Mapping[Hashable, list[NodeInstance]]) -> Hashable:
    """The value of the first node."""
    return next(iter(by_value))


def first_differing(by_value: Mapping[Hashable, list[NodeInstance]]) -> NodeInstance:
    """The member to complain about: the first that differs from the first node."""
    return list(by_value.values())[1][0]


Judge = Callable[[Estate], Iterator[Finding]]
