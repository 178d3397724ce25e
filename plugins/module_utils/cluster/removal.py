# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which hosts leave their clusters, in which order, and whether the others go on serving. Pure."""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from ..readers import SettingError
from ..report.cluster import Cluster, Host, mapping, read_clusters
from .members import Members
from .restart import Order, serves, too_few, turns_of
from .switchover import steps, vips_of, wish_out
from .wishes import ask_for_all

REMOVE, PACKAGES = "mycat_ha_remove", "mycat_ha_remove_packages"
ALL = "all"


@dataclass(frozen=True)
class Removal:
    """``hosts`` leave the clusters ``members``; ``shared`` are MyCats that stay for others."""

    hosts: frozenset[str]
    members: tuple[Members, ...]
    shared: tuple[str, ...] = ()
    packages: bool = False

    def goes_on(self, cluster: str) -> bool:
        """Whether hosts of a cluster stay."""
        return any(
            one.name == cluster and not set(one.hosts) <= {*self.hosts, *self.shared}
            for one in self.members
        )


def read_removal(
    values: Mapping[str, Any],
    clusters: Sequence[Members],
    others: Sequence[Members],
    playing: Collection[str],
) -> Removal:
    """The removal that the variables want, typed.

    ``others`` are clusters that the run leaves alone, ``playing`` the hosts of the play. Raises
    SettingError.
    """
    named = list(dict.fromkeys(values.get(REMOVE) or ()))
    if not named:
        raise SettingError(
            REMOVE,
            f"is not set; write the hosts that leave their cluster (-e {REMOVE}=lb2), or "
            f"{ALL} for everything that mycat.ha.site set up on the hosts of this run",
        )
    elsewhere = {host: one.name for one in others for host in one.hosts}
    if named == [ALL]:
        concerned = tuple(clusters)
        every = {host for one in clusters for host in one.hosts}
        shared = tuple(sorted(every & set(elsewhere)))
        hosts = every - set(shared)
    else:
        concerned, shared, hosts = _of_hosts(named, clusters, elsewhere), (), set(named)
    for members in concerned:
        _refuse_half(members, {*hosts, *shared})
        ask_for_all(REMOVE, members, playing, "name hosts here")
    return Removal(frozenset(hosts), concerned, shared, bool(values.get(PACKAGES)))


def _of_hosts(
    named: Sequence[str], clusters: Sequence[Members], elsewhere: Mapping[str, str]
) -> tuple[Members, ...]:
    """The clusters of these hosts. Raises SettingError."""
    known = list(dict.fromkeys(host for one in clusters for host in one.hosts))
    for host in named:
        if host in elsewhere:
            raise SettingError(
                REMOVE,
                f"is {host}, of the cluster {elsewhere[host]}, which mycat_ha_cluster_only or "
                "--limit leaves out; leave those out, or name a host of a cluster that is left",
            )
        if host not in known:
            raise SettingError(
                REMOVE,
                f"is {host}, which is no host of these clusters; write {ALL}, or some of "
                f"{', '.join(known)}",
            )
    return tuple(one for one in clusters if set(named) & set(one.hosts))


def _refuse_half(members: Members, hosts: Collection[str]) -> None:
    """Refuse what leaves MyCats without a load balancer, or the other way round."""
    for leaving, kind in ((members.load_balancers, "load balancer"), (members.mycats, "MyCat")):
        if leaving and set(leaving) <= set(hosts) and not set(members.hosts) <= set(hosts):
            raise SettingError(
                REMOVE,
                f"names every {kind} of the cluster {members.name}, and the other hosts would "
                f"serve nobody; write {ALL} (with mycat_ha_cluster_only={members.name} where there "
                "are other clusters), or keep one",
            )


# ---- the whole run ----


@dataclass
class Leaving:
    """``turns`` are lists of hosts; where there are ``refusals`` nothing is done. ``expected`` is
    what the report expects of the clusters that go on, ``after`` what then remains to be done."""

    refusals: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    turns: list[list[str]] = field(default_factory=list)
    expected: dict[str, Any] = field(default_factory=dict)
    after: list[str] = field(default_factory=list)

    def as_data(self) -> dict[str, Any]:
        """As a task returns it."""
        return asdict(self)


def plan(removal: Removal, order: Order, expected: Any, states: Any) -> Leaving:
    """All turns. ``expected`` and ``states`` are those of `judge`."""
    found = Leaving(expected=rest(removal, expected))
    clusters = read_clusters(expected, states)
    waiting: dict[str, list[Host]] = {}
    for cluster in clusters:
        waiting[cluster.name] = _waiting(removal, cluster)
        found.refusals += _refusals(
            removal, order, cluster, waiting[cluster.name], expected, states
        )
        found.lines += _lines(removal, cluster, waiting[cluster.name])
        found.after += _after(removal, cluster, waiting[cluster.name])
    if not found.refusals:
        found.turns = turns_of(clusters, waiting)
    return found


def rest(removal: Removal, expected: Any) -> dict[str, Any]:
    """What the report expects of those that stay; that fewer are left is what was asked for."""
    left = copy.deepcopy(dict(mapping(expected)))
    kept = {}
    for name, cluster in mapping(left.get("clusters")).items():
        if removal.goes_on(name):
            for kind in ("load_balancers", "mycats"):
                cluster[kind] = [one for one in cluster[kind] if one not in removal.hosts]
            kept[name] = {**cluster, "allow_degraded": True}
    return {**left, "clusters": kept}


def _waiting(removal: Removal, cluster: Cluster) -> list[Host]:
    """The hosts that leave, in order: load balancers, the holder of an address last, then MyCats,
    those first that serve nobody."""
    holders = cluster.holders
    ordered = [
        *sorted(cluster.load_balancers, key=lambda host: host in holders),
        *sorted(cluster.mycats, key=lambda host: serves(cluster, host)),
    ]
    return [
        host for host in dict.fromkeys(ordered) if host.name in removal.hosts and host.reachable
    ]


def _refusals(
    removal: Removal,
    order: Order,
    cluster: Cluster,
    waiting: Sequence[Host],
    expected: Any,
    states: Any,
) -> Iterator[str]:
    for host in (*cluster.load_balancers, *cluster.mycats):
        if host.name in removal.hosts and not host.reachable and removal.goes_on(cluster.name):
            yield (
                f"{host.name} gave Ansible no answer, so nothing can be removed from it; if it is "
                "gone for good, take it out of the inventory and run mycat.ha.site"
            )
    if not removal.goes_on(cluster.name):
        return
    yield from may_not_leave(removal, order, cluster, waiting, expected, states)
    ready = {host.name for host in cluster.mycats if serves(cluster, host)} - removal.hosts
    for host in waiting:
        if host in cluster.mycats and serves(cluster, host):
            found = too_few(order, cluster, host, ready)
            if found:
                yield found
                return


def may_not_leave(
    removal: Removal,
    order: Order,
    cluster: Cluster,
    hosts: Iterable[Host],
    expected: Any,
    states: Any,
) -> Iterator[str]:
    """Why load balancers of a cluster that goes on must not leave it."""
    for host in hosts:
        if host in cluster.load_balancers and host.runs_keepalived:
            wish = wish_out(cluster, host.name, order.force)
            stay = removal.hosts - {host.name}
            found = steps([wish], _without(stay, cluster.name, expected), states)
            yield from (said.partition(": ")[2] for said in found.refusals)


def _without(hosts: Collection[str], name: str, expected: Any) -> dict[str, Any]:
    """``expected`` of one cluster as if these load balancers did not take addresses over."""
    one = mapping(mapping(mapping(expected).get("clusters")).get(name))
    lbs = [lb for lb in one["load_balancers"] if lb not in hosts]
    return {"clusters": {name: {**one, "load_balancers": lbs}}}


def _lines(removal: Removal, cluster: Cluster, waiting: Sequence[Host]) -> Iterator[str]:
    names = ", then ".join(host.name for host in waiting) or "no host"
    what = "is left" if removal.goes_on(cluster.name) else "is removed as a whole"
    by = "by" if removal.goes_on(cluster.name) else "from"
    yield f"{cluster.name}: {what} {by} {names}"
    for host in (*cluster.load_balancers, *cluster.mycats):
        if host.name in removal.shared:
            yield f"{cluster.name}: {host.name} stays as it is, for it serves another cluster too"
        elif host.name in removal.hosts and not host.reachable:
            yield f"{cluster.name}: {host.name} gave Ansible no answer, and stays as it is"


def _after(removal: Removal, cluster: Cluster, waiting: Sequence[Host]) -> Iterator[str]:
    if removal.goes_on(cluster.name):
        names = " and ".join(host.name for host in waiting)
        yield (
            f"{cluster.name} goes on without {names}: take {names} out of the inventory and run "
            "mycat.ha.site, which plans the others anew"
        )
    else:
        yield f"{cluster.name} is removed; MyCat itself is as it was"


# ---- one turn ----


@dataclass
class Turn:
    """``hosts`` are cleaned now; ``drain`` those of them that HAProxy is to send nothing first;
    ``vips`` {load balancer: the addresses that it gives up}; ``failures`` {host: sentence}."""

    hosts: list[str] = field(default_factory=list)
    drain: list[str] = field(default_factory=list)
    vips: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)

    def as_data(self) -> dict[str, Any]:
        """As a task returns it."""
        return asdict(self)


def turn(
    removal: Removal,
    order: Order,
    names: Collection[str],
    expected: Any,
    states: Any,
    failed: Collection[str],
) -> Turn:
    """What the hosts of a turn do now. ``failed``: hosts on which something failed."""
    found = Turn()
    clusters = read_clusters(expected, states)
    for name in names:
        own = [
            one
            for one in clusters
            if any(host.name == name for host in (*one.load_balancers, *one.mycats))
        ]
        if any(host.name in failed for one in own for host in (*one.load_balancers, *one.mycats)):
            continue
        going_on = [one for one in own if removal.goes_on(one.name)]
        refused = next(
            (
                why
                for one in going_on
                for why in may_not_leave(removal, order, one, _named(one, name), expected, states)
            ),
            "",
        )
        if refused:
            found.failures[name] = f"it stays as it is: {refused}"
            continue
        found.hosts.append(name)
        for one in going_on:
            _leave(found, one, name)
    return found


def _named(cluster: Cluster, name: str) -> list[Host]:
    return [host for host in cluster.load_balancers if host.name == name]


def _leave(found: Turn, cluster: Cluster, name: str) -> None:
    """Add to ``found`` how a host leaves a cluster that goes on."""
    if any(host.runs_keepalived for host in _named(cluster, name)):
        found.vips[name] = vips_of(cluster)
    for host in cluster.mycats:
        asked = host.name == name and serves(cluster, host) and len(cluster.mycats) > 1
        if asked and name not in found.drain:
            found.drain.append(name)
