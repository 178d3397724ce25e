# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""In which order MyCats are restarted, and whether one may be taken out now. Pure.

A turn is one MyCat of each cluster at the most. What is left of a turn is judged after each of its
steps by what the hosts answered.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from ..readers import SettingError
from ..report.cluster import TAKES_SESSIONS, Cluster, Host, mapping, read_clusters
from .members import Members
from .wishes import FORCE, ask_for_all, drain_seconds

ONLY, MINIMUM = "mycat_ha_restart", "mycat_ha_minimum_mycats"
USUAL_DRAIN = 30.0
PLAYBOOK = "mycat.ha.rolling_restart_mycat"
_SENTENCE_END = "Nothing else of its cluster was touched; mend that, and run this again"


@dataclass(frozen=True)
class Order:
    """``only`` names the MyCats (empty: all), ``minimum`` how many others have to take sessions,
    ``drain`` the seconds that sessions are given."""

    only: tuple[str, ...] = ()
    minimum: int = 1
    drain: float = USUAL_DRAIN
    force: bool = False


def read_order(
    values: Mapping[str, Any], clusters: Iterable[Members], playing: Collection[str]
) -> Order:
    """The order that the variables give, typed. Raises SettingError."""
    known = [name for members in clusters for name in members.mycats]
    only = tuple(dict.fromkeys(values.get(ONLY) or ()))
    for name in only:
        if name not in known:
            raise SettingError(
                ONLY, f"is {name}, which is no MyCat of this run; write one of {', '.join(known)}"
            )
    minimum = values.get(MINIMUM)
    if minimum is not None and minimum < 0:
        raise SettingError(MINIMUM, f"is {minimum}; write 0 or more")
    for members in clusters:
        ask_for_all(ONLY, members, playing, "name MyCats here")
    return Order(
        only,
        1 if minimum is None else minimum,
        drain_seconds(values, USUAL_DRAIN),
        bool(values.get(FORCE)),
    )


# ---- the whole run ----


@dataclass
class Rolling:
    """``turns`` are lists of hosts; where there are ``refusals`` nothing is done."""

    refusals: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    turns: list[list[str]] = field(default_factory=list)

    def as_data(self) -> dict[str, Any]:
        """As a task returns it."""
        return asdict(self)


def plan(order: Order, expected: Any, states: Any) -> Rolling:
    """All turns. ``expected`` and ``states`` are those of `judge`."""
    found = Rolling()
    clusters = read_clusters(expected, states)
    waiting: dict[str, list[Host]] = {}
    for cluster in clusters:
        waiting[cluster.name] = _waiting(order, cluster)
        found.refusals += _refusals(order, cluster, waiting[cluster.name])
        found.lines += _lines(order, cluster, waiting[cluster.name])
    if not found.refusals:
        found.turns = turns_of(clusters, waiting)
    return found


def _waiting(order: Order, cluster: Cluster) -> list[Host]:
    """The MyCats that are to be restarted, in order: what was left half-way, what serves nobody."""
    named = [host for host in cluster.mycats if host.name in order.only]
    left = [host for host in cluster.mycats if host.restart.get("state") != "done"]
    return sorted(
        named if order.only else left,
        key=lambda host: (not host.restart, serves(cluster, host)),
    )


def turns_of(clusters: Sequence[Cluster], waiting: Mapping[str, list[Host]]) -> list[list[str]]:
    """Lists of hosts, those of different clusters side by side; a host that is in several once."""
    of: dict[str, set[str]] = {}
    for cluster in clusters:
        for host in waiting[cluster.name]:
            of.setdefault(host.name, set()).add(cluster.name)
    turns: list[tuple[list[str], set[str]]] = []
    for name, own in of.items():
        # After every turn of its clusters, so that their order is kept.
        last = max((n for n, (_hosts, busy) in enumerate(turns) if busy & own), default=-1)
        if last + 1 == len(turns):
            turns.append(([], set()))
        hosts, busy = turns[last + 1]
        hosts.append(name)
        busy |= own
    return [hosts for hosts, _busy in turns]


def _lines(order: Order, cluster: Cluster, waiting: Sequence[Host]) -> Iterator[str]:
    names = ", then ".join(host.name for host in waiting)
    done = [host.name for host in cluster.mycats if host not in waiting and host.restart]
    if names:
        yield f"{cluster.name}: {names} restart, sessions get {order.drain:g} s"
    if done and not order.only:
        again = "" if names else "; run this again to restart them anew"
        yield (
            f"{cluster.name}: {', '.join(done)} restarted already in the run that did not end"
            f"{again}"
        )
    for host in waiting:
        if "drain" in host.endpoint and not host.restart.get("ours"):
            by = mapping(host.endpoint["drain"]).get("by") or "somebody"
            yield f"{cluster.name}: {host.name} drains for {by}, and stays so"


def _refusals(order: Order, cluster: Cluster, waiting: Sequence[Host]) -> Iterator[str]:
    yield from _unknown(order, cluster, waiting)
    for host in waiting:
        if host.restart.get("under_way") and not order.force:
            yield (
                f"another run is restarting {host.name}, or was cut off a moment ago; wait for its "
                f"end, or take its place with {FORCE}=yes"
            )
    ready = {host.name for host in cluster.mycats if serves(cluster, host)}
    for host in waiting:
        found = too_few(order, cluster, host, ready)
        if found:
            yield found
            return
        ready.add(host.name)


def _unknown(order: Order, cluster: Cluster, waiting: Sequence[Host]) -> Iterator[str]:
    for host in waiting:
        if not host.reachable:
            yield (f"{host.name} gave Ansible no answer; start it, or name the others with {ONLY}")
    for host in cluster.load_balancers:
        if not host.reachable and not order.force:
            yield (
                f"{host.name} gave Ansible no answer, and may send sessions that nobody counts; "
                f"start it, or set {FORCE}=yes"
            )
    if not cluster.balancing:
        yield (
            f"no HAProxy of the cluster {cluster.name} is alive, so nobody tells when a MyCat is "
            "drained; mycat.ha.status tells more"
        )


def serves(cluster: Cluster, host: Host) -> bool:
    """Whether a MyCat takes sessions from every HAProxy that is alive."""
    seen = cluster.seen(host).values()
    return bool(seen) and all(state in TAKES_SESSIONS for state in seen)


def too_few(order: Order, cluster: Cluster, host: Host, ready: Collection[str]) -> str:
    """Why the others would not do while ``host`` is away, empty where they would."""
    if order.force:
        return ""
    others = [one for one in cluster.mycats if one is not host]
    if not others and order.minimum:
        return (
            f"{host.name} is the only MyCat of the cluster {cluster.name}, and clients would be "
            f"without service; add a second one, or set {FORCE}=yes"
        )
    left = [one for one in others if one.name in ready]
    if len(left) >= order.minimum:
        return ""
    away = ", ".join(one.name for one in others if one not in left) or "none"
    return (
        f"only {len(left)} other MyCats of the cluster {cluster.name} would take sessions while "
        f"{host.name} is away (not ready: {away}), and {MINIMUM} is {order.minimum}; mend that, or "
        f"set {FORCE}=yes"
    )


# ---- one turn ----


@dataclass(frozen=True)
class Answers:
    """What the tasks of a turn returned on a host, each empty where it did not run or failed."""

    drained: Mapping[str, Any] = field(default_factory=dict)
    quiet: Mapping[str, Any] = field(default_factory=dict)
    restarted: Mapping[str, Any] = field(default_factory=dict)
    up: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class Turn:
    """What is done next: ``hosts`` are the MyCats, ``load_balancers`` {name: the MyCats whose
    sessions it counts}; ``failures`` {host: sentence} are new; ``back`` MyCats that are not
    restarted after all."""

    hosts: list[str] = field(default_factory=list)
    load_balancers: dict[str, list[str]] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    back: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)

    def as_data(self) -> dict[str, Any]:
        """As a task returns it."""
        return asdict(self)


class Judge:
    """Judges the steps of the turn of ``names``.

    ``answers`` {host: `Answers`}; ``failed`` are hosts on which something failed.
    """

    def __init__(
        self,
        order: Order,
        names: Collection[str],
        clusters: Sequence[Cluster],
        answers: Mapping[str, Answers],
        failed: Collection[str],
    ) -> None:
        self._order, self._clusters, self._answers = order, clusters, answers
        self._turn = Turn()
        self._names = [
            name
            for name in names
            if not any(host.name in failed for one in self._of(name) for host in one.mycats)
        ]

    def may_drain(self) -> Turn:
        """Which MyCats may be drained."""
        for name in self._names:
            hindrances = (self._hindrance(one, name) for one in self._of(name))
            self._take(name, next(filter(None, hindrances), ""))
        return self._finish()

    def _hindrance(self, cluster: Cluster, name: str) -> str:
        host = next(one for one in cluster.mycats if one.name == name)
        unknown = next(_unknown(self._order, cluster, [host]), "")
        ready = [one.name for one in cluster.mycats if serves(cluster, one)]
        return unknown or too_few(self._order, cluster, host, ready)

    def may_stop(self) -> Turn:
        """Which of the drained ones have no sessions any more, or had their time."""
        for name in self._names:
            if not self._answers[name].drained:
                self._take(name, _gone(name))
                continue
            why = ""
            for lb in self._balancers(name):
                said = self._answers[lb].quiet
                problem = mapping(said.get("problems")).get(name)
                seen = mapping(mapping(said.get("servers")).get(name))
                if problem or not seen:
                    why = why or f"{name} {problem} from HAProxy on {lb}" if problem else _gone(lb)
                else:
                    self._turn.lines.append(
                        f"{name}: HAProxy on {lb} had {seen['first']} sessions there, "
                        f"{seen['sessions']} are left"
                    )
            self._take(name, why)
            if why:
                self._turn.back.append(name)
        return self._finish()

    def returned(self) -> Turn:
        """Which restarted and are to be UP again."""
        for name in self._names:
            said = self._answers[name].restarted
            if not said:
                self._take(name, _gone(name))
            elif said.get("ours"):
                self._take(name, "")
        return self._finish()

    def seen_up(self) -> Turn:
        """Which of them HAProxy does not have UP."""
        for name in self._names:
            said = self._answers[name].restarted
            for lb in self._balancers(name) if said.get("ours") else ():
                up = self._answers[lb].up
                problem = mapping(up.get("problems")).get(name)
                if problem or not up:
                    why = f"{name} {problem} in HAProxy on {lb}" if problem else _gone(lb)
                    self._turn.failures[name] = f"{why}. {_SENTENCE_END}."
        return self._turn

    def _take(self, name: str, why: str) -> None:
        if why:
            self._turn.failures[name] = f"{why}. {_SENTENCE_END}."
        else:
            self._turn.hosts.append(name)

    def _finish(self) -> Turn:
        for name in self._turn.hosts:
            for lb in self._balancers(name):
                self._turn.load_balancers.setdefault(lb, []).append(name)
        return self._turn

    def _of(self, name: str) -> list[Cluster]:
        return [
            cluster
            for cluster in self._clusters
            if any(host.name == name for host in cluster.mycats)
        ]

    def _balancers(self, name: str) -> list[str]:
        found = (host.name for one in self._of(name) for host in one.balancing)
        return list(dict.fromkeys(found))


def _gone(host: str) -> str:
    return f"{host} gave Ansible no answer in the middle"
