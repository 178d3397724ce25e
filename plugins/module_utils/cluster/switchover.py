# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who gives which addresses up, so that a wish comes true; and whether that may be. Pure.

Whether a load balancer is able to take addresses over is what the report says of it (`problems`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from ..host.maintenance import moving_file
from ..report.cluster import TAKES_SESSIONS, Cluster, Host, View, Vip, read_clusters, text, view
from ..report.problems import DEGRADED, ERROR, Problem, displaced, problems, unfit
from .members import Members
from .wishes import BACK, FORCE, LEAVE, OUT, REBALANCE, TO, Wish


@dataclass
class Steps:
    """Hosts and what they do, in this order: ``drain``, ``aside``, ``give_up`` or ``out``, then
    ``aside`` again, or ``back``. ``refusals``: if there are any, nothing is done. ``lines`` say
    what is done. ``targets``: {cluster: {address: its new holder, "" for any but those of ``out``
    and ``give_up``}}. ``aside_only`` and ``give_up_only``: {host: instances that are meant alone},
    without the hosts of which everything is meant; ``vips``: {host: the addresses it may lose}."""

    refusals: list[str] = field(default_factory=list)
    drain: list[str] = field(default_factory=list)
    aside: list[str] = field(default_factory=list)
    give_up: list[str] = field(default_factory=list)
    out: list[str] = field(default_factory=list)
    back: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    targets: dict[str, dict[str, str]] = field(default_factory=dict)
    vips: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    aside_only: dict[str, list[str]] = field(default_factory=dict)
    give_up_only: dict[str, list[str]] = field(default_factory=dict)

    def as_data(self) -> dict[str, Any]:
        """The steps as a task returns them."""
        return asdict(self)


def wish_out(cluster: Cluster, name: str, force: bool) -> Wish:
    """The wish to take a load balancer out for work."""
    lbs = tuple(host.name for host in cluster.load_balancers)
    members = Members(cluster.name, lbs, tuple(host.name for host in cluster.mycats))
    return Wish(OUT, name, members, force=force)


def vips_of(cluster: Cluster) -> list[dict[str, Any]]:
    """The addresses of a cluster, as the module maintenance takes them."""
    return list(map(_as_option, cluster.vips))


def _as_option(vip: Vip) -> dict[str, Any]:
    return {"address": vip.address, "port": vip.port}


def steps(wishes: Iterable[Wish], expected: Any, states: Any) -> Steps:
    """What to do for all wishes. ``expected`` and ``states`` are those of `judge`."""
    clusters = {cluster.name: cluster for cluster in read_clusters(expected, states)}
    found = Steps()
    for wish in wishes:
        cluster = clusters[wish.members.name]
        if wish.verb == REBALANCE:
            _rebalance(found, cluster, wish)
        else:
            _one(found, wish, cluster)
    return found


@dataclass(frozen=True)
class _Case:
    """A wish, the host that it names, and what is known of its cluster."""

    wish: Wish
    cluster: Cluster
    host: Host
    views: Sequence[View]

    @property
    def here(self) -> list[View]:
        """The addresses that the host has."""
        return [one for one in self.views if self.host in one.holders]

    @property
    def elsewhere(self) -> list[View]:
        """The others."""
        return [one for one in self.views if one.holder is not self.host]

    def say(self, found: Steps, line: str) -> None:
        """Add a line on this cluster."""
        found.lines.append(f"{self.cluster.name}: {line}")


def _one(found: Steps, wish: Wish, cluster: Cluster) -> None:
    host = next(one for one in cluster.load_balancers if one.name == wish.host)
    case = _Case(wish, cluster, host, [view(cluster, vip) for vip in cluster.vips])
    found.vips.update((one.name, vips_of(cluster)) for one in cluster.load_balancers)
    refusals = [*_busy(cluster)] or [*_judge(case)]
    _refuse(found, wish, refusals)
    if not refusals:
        _plan(found, case)


def _refuse(found: Steps, wish: Wish, refusals: Sequence[str]) -> None:
    found.refusals += [f"{wish.verb}: {refusal}" for refusal in dict.fromkeys(refusals)]


def _busy(cluster: Cluster) -> Iterator[str]:
    for host in cluster.load_balancers:
        if host.handing_over:
            yield (
                f"another switch-over or maintenance of {host.name} is under way, or was cut off a "
                "moment ago; run this again in half a minute"
            )


# ---- may it be ----


def _judge(case: _Case) -> Iterator[str]:
    """Why the wish must not come true."""
    others = [each for each in case.cluster.load_balancers if each is not case.host]
    if case.wish.verb == TO:
        for one in case.elsewhere:
            yield from _returns(case.cluster, one, case.host.name)
            yield from _no_holder(case.cluster, one) or _unable(case.cluster, case.host, one)
    elif case.wish.verb == LEAVE:
        for one in case.here:
            yield from _returns(case.cluster, one, "", case.host.name)
            yield from _nobody_able(case.cluster, one, others)
    elif not case.host.reachable:
        yield from (_sentence(unfit(case.host, one.vip)) for one in case.views[:1])
    elif case.wish.verb == OUT and not case.wish.force and not case.host.maintenance:
        for one in case.views:
            if one.holder not in others:
                for reason in _nobody_able(case.cluster, one, others):
                    yield f"{reason} Or set {FORCE}=yes, and clients may be without service."


def _returns(cluster: Cluster, one: View, to: str, leave: str = "") -> Iterator[str]:
    """Why the address would not stay where it is to go."""
    home = cluster.homes.get(one.vip.address)
    if home and home != to and leave in ("", home):
        yield (
            f"mycat_ha_preempt is preferred, and {one.vip.address} would return to {home} at once; "
            f"take {home} out with {OUT}={home} for as long as that is meant, or set "
            "mycat_ha_preempt: sticky"
        )


def _no_holder(cluster: Cluster, one: View) -> list[str]:
    """Why it is not known who has the address, empty where it is."""
    if one.holder:
        return []
    unseen = [host.name for host in cluster.load_balancers if not host.reachable]
    said = [
        _sentence(problem)
        for problem in problems(cluster, [view(cluster, vip) for vip in cluster.vips])
        if (problem.severity == ERROR and problem.vip == one.vip.address) or problem.host in unseen
    ]
    return said or [f"it is not known who has {one.vip.address}; mycat.ha.status tells more"]


def _unable(cluster: Cluster, host: Host, one: View) -> list[str]:
    """Why ``host`` could not serve the address, empty where it could."""
    found = unfit(host, one.vip)
    if found:
        return [_sentence(found)]
    if host not in one.standby:
        return [f"{host.name} is no standby of {one.vip.address}; mycat.ha.status tells more"]
    return [
        _sentence(problem)
        for problem in problems(cluster, [one])
        if problem.severity == DEGRADED and host.name in problem.seen_by
        # What no load balancer gets is no reason to stay where one is.
        if not one.holder or one.holder.name not in problem.seen_by
    ] or _no_mycat(cluster, host)


def _no_mycat(cluster: Cluster, host: Host) -> list[str]:
    seen = [cluster.seen(mycat).get(host.name) for mycat in cluster.mycats]
    if any(state in TAKES_SESSIONS for state in seen):
        return []
    return [f"no MyCat takes sessions from HAProxy on {host.name}; mycat.ha.status tells more"]


def _nobody_able(cluster: Cluster, one: View, others: Sequence[Host]) -> Iterator[str]:
    reasons = [_unable(cluster, host, one) for host in others]
    if all(reasons):
        listed = " ".join(reason for found in reasons for reason in found)
        yield f"no other load balancer could serve {one.vip.address}: {listed}"


def _sentence(problem: Problem | None) -> str:
    return f"{problem.host} {problem.what.rstrip('.')}. {problem.fix}" if problem else ""


# ---- what is done ----


def _plan(found: Steps, case: _Case) -> None:
    """Add what brings the wish about to ``found``."""
    name, verb = case.host.name, case.wish.verb
    if verb == BACK:
        found.back.append(name)
        ended = "takes part again" if case.host.maintenance else "is in no maintenance"
        case.say(found, f"{name} {ended}")
        return
    moving = case.elsewhere if verb == TO else case.here
    if verb == TO and moving and all(_moves_alone(case.cluster, one.vip) for one in moving):
        _move_each(found, case.cluster, [(one, name) for one in moving], case.wish.drain > 0)
        return
    holders = list(dict.fromkeys(one.holder.name for one in moving if one.holder))
    found.drain += holders if case.wish.drain else []
    found.targets[case.cluster.name] = {
        one.vip.address: name if verb == TO else ""
        for one in moving
        if verb != OUT or not case.wish.force
    }
    for one in moving:
        to = name if verb == TO else "another load balancer"
        case.say(found, f"{one.vip.address} goes from {', '.join(holders)} to {to}")
    if verb == OUT:
        found.out.append(name)
        already = "is in maintenance already" if case.host.maintenance else "is taken out for work"
        case.say(found, f"{name} {already}")
        return
    found.give_up += holders
    if not moving:
        case.say(found, f"{name} has {'every' if verb == TO else 'no'} virtual IP already")
    elif verb == TO:
        found.aside += [
            one.name
            for one in case.cluster.load_balancers
            if one.name not in (name, *holders) and one.reachable and not one.maintenance
        ]


# ---- several addresses, each to its own load balancer ----


def _rebalance(found: Steps, cluster: Cluster, wish: Wish) -> None:
    """Add what brings each address to where the plan would have it to ``found``."""
    moves = displaced(cluster, [view(cluster, vip) for vip in cluster.vips])
    refusals = [*_busy(cluster)] or [
        reason for one, home in moves for reason in _why_not_there(cluster, one, home)
    ]
    _refuse(found, wish, refusals)
    if len(cluster.vips) < 2:
        found.lines.append(f"{cluster.name}: has one virtual IP, and nothing to spread")
    elif not moves:
        found.lines.append(f"{cluster.name}: each virtual IP is on its own load balancer already")
    elif not refusals:
        _move_each(found, cluster, moves, wish.drain > 0)


def _move_each(
    found: Steps, cluster: Cluster, moves: Sequence[tuple[View, str]], drain: bool
) -> None:
    """Bring addresses to load balancers, each alone: where several give some up, one that is
    through takes part again and must not get those of another."""
    names = [host.name for host in cluster.load_balancers]
    found.vips.update((name, []) for name in names)
    found.targets[cluster.name] = {one.vip.address: home for one, home in moves}
    for one, home in moves:
        _move(found, cluster, one, home)
    found.give_up += [name for name in names if name in found.give_up_only]
    found.drain += [name for name in names if name in found.give_up_only and drain]
    found.aside += [name for name in names if name in found.aside_only]


def _move(found: Steps, cluster: Cluster, one: View, home: str) -> None:
    """Have its holder give the address up, and nobody but its home take it."""
    for host in cluster.load_balancers:
        if host is one.holder:
            meant = found.give_up_only.setdefault(host.name, [])
            found.vips[host.name].append(_as_option(one.vip))
            found.lines.append(f"{cluster.name}: {one.vip.address} goes from {host.name} to {home}")
        elif host.name != home and host.reachable and not host.maintenance:
            meant = found.aside_only.setdefault(host.name, [])
        else:
            continue
        if one.vip.moved_by not in meant:
            meant.append(one.vip.moved_by)


def _why_not_there(cluster: Cluster, one: View, home: str) -> list[str]:
    """Why the address cannot go to the load balancer, empty where it can."""
    if not one.vip.moved_by:
        return [
            f"{one.vip.address} cannot be moved alone (a cluster with one virtual IP or one sync "
            f"group, or keepalived before 2.0.0); move all of them with {TO}={home}"
        ]
    target = next(host for host in cluster.load_balancers if host.name == home)
    return (
        _no_holder(cluster, one)
        or _unable(cluster, target, one)
        or [
            f"keepalived on {host.name} does not watch {moving_file(one.vip.moved_by)}; run "
            "mycat.ha.site, which has it do that, and then this again"
            for host in cluster.load_balancers
            if host.reachable and not _watches(host, one.vip)
        ]
    )


def _moves_alone(cluster: Cluster, vip: Vip) -> bool:
    watched = (_watches(host, vip) for host in cluster.load_balancers if host.reachable)
    return bool(vip.moved_by) and all(watched)


def _watches(host: Host, vip: Vip) -> bool:
    """Whether the keepalived of the host runs with the file by which the address is moved."""
    written = f'"{moving_file(vip.moved_by)}"' in text(host.keepalived.get("text"))
    return written and host.keepalived.get("loaded_is_file") is not False


def not_there(done: Any, expected: Any, states: Any) -> list[str]:
    """The addresses that are not where they were to go, a sentence each.

    ``done`` are the steps as data.
    """
    left = [*done["give_up"], *done["out"]]
    found = []
    for cluster in read_clusters(expected, states):
        for address, to in done["targets"].get(cluster.name, {}).items():
            one = next(view(cluster, vip) for vip in cluster.vips if vip.address == address)
            names = [host.name for host in one.holders]
            if names != [to] if to else not names or set(names) & set(left):
                where = f"on {' and '.join(names)}" if names else "on no load balancer"
                wished = to or "another load balancer"
                found.append(f"{address} did not go to {wished}: it is {where}")
    return found
