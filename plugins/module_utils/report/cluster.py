# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Clusters as their hosts described them: what `host_state` returned, typed. Pure.

What a host did not say, or said in a shape that nobody expects, reads as unknown (None or empty),
so that a report can always be made.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..network.addresses import canonical
from .moves import Change

# The proxy of the MyCats in haproxy.cfg; a server has the name of its host.
PROXY = "mycat"
ANSWERED = "ok"
NOT_ASKED = "it did not ask"

# What a server's state is called in a report. The others are HAProxy's own words: UP, DOWN, NOLB
# (its check says 404), DRAIN and MAINT (set on HAProxy's socket), "no check".
STARTING, ABSENT = "starting", "absent"
NOT_SERVING = ("DOWN", STARTING, ABSENT)
DRAINING = ("NOLB", "DRAIN")
TAKES_SESSIONS = ("UP", "no check")
_NEVER_CHECKED = ("INI", "UNK")
# Seconds; less cannot be told from the time that the answer of a host takes.
_CLOCKS_DIFFER = 2.0


@dataclass(frozen=True)
class Vip:
    """A virtual IP that is to be served. ``address`` is spelt as the plan spells it; ``moved_by``
    is the instance by whose file it is moved without the others, empty where it cannot be."""

    address: str
    instance: str
    port: int
    moved_by: str = ""

    @property
    def ip(self) -> str:
        """The address as `canonical` spells it."""
        return canonical(self.address)


@dataclass(frozen=True)
class Instance:
    """A VRRP instance as its keepalived runs it; ``addresses`` as `canonical` spells them."""

    name: str
    state: str
    since: str | None
    priority: Any
    effective_priority: Any
    virtual_router_id: Any
    addresses: frozenset[str]


@dataclass(frozen=True)
class Server:
    """A row of HAProxy's statistics: ``status``, ``check_status`` and ``last_chk``."""

    status: str
    check: str
    last: str

    @property
    def in_motion(self) -> bool:
        """Whether HAProxy counts checks towards another state ("UP 1/2")."""
        return "/" in self.status

    def state(self, endpoint: str) -> str:
        """The state's name in a report. ``endpoint`` is the MyCat's own status, "" if unknown.

        A server that is down and was never checked, has passed a check, or is being checked while
        its endpoint says up, is `STARTING`.
        """
        word = self.status.split(" ")[0]
        if word == "no":
            return "no check"
        if word != "DOWN":
            return word
        under_way = self.check.startswith("*") and endpoint == "up"
        rising = self.in_motion or self.result in _NEVER_CHECKED
        return STARTING if under_way or rising else word

    @property
    def result(self) -> str:
        """The check's last result, such as L7STS, whether or not another check is under way."""
        return self.check.lstrip("* ")


@dataclass(frozen=True, eq=False)
class Host:
    """What is known of a host; all of it unknown where it could not be reached."""

    name: str
    reachable: bool = False
    addresses: frozenset[str] = frozenset()
    asked: Mapping[tuple[str, int], str] = field(default_factory=dict)
    keepalived: Mapping[str, Any] = field(default_factory=dict)
    instances: tuple[Instance, ...] = ()
    haproxy: Mapping[str, Any] = field(default_factory=dict)
    servers: Mapping[str, Server] = field(default_factory=dict)
    endpoint: Mapping[str, Any] = field(default_factory=dict)
    maintenance: bool | None = None
    handing_over: bool = False
    restart: Mapping[str, Any] = field(default_factory=dict)
    problems: tuple[str, ...] = ()
    history: Mapping[str, tuple[Change, ...]] = field(default_factory=dict)

    def has(self, vip: Vip) -> bool:
        """Whether the kernel has the address."""
        return vip.ip in self.addresses

    def instance(self, vip: Vip) -> Instance | None:
        """The instance of that name, else one that carries the address."""
        named = [one for one in self.instances if one.name == vip.instance]
        carrying = [one for one in self.instances if vip.ip in one.addresses]
        return next(iter(named + carrying), None)

    def answer(self, vip: Vip) -> str | None:
        """What it got when it asked the virtual IP: `ANSWERED`, or why not; None: did not ask."""
        return self.asked.get((vip.ip, vip.port))

    @property
    def runs_keepalived(self) -> bool:
        return bool(self.keepalived.get("running"))

    @property
    def haproxy_alive(self) -> bool:
        return bool(self.haproxy.get("alive"))

    @property
    def health(self) -> str:
        """The endpoint's status (up, down, drain), "" if it gave none."""
        return text(self.endpoint.get("status"))


@dataclass(frozen=True)
class Cluster:
    """A cluster's hosts. ``owners`` are all asked hosts, of any cluster: {address: hosts};
    ``homes`` {address: the load balancer that it returns to}, ``taken_out`` the load balancers that
    this run was to take out, ``placement`` {address: the load balancer on which the plan would have
    it}."""

    name: str
    vips: tuple[Vip, ...]
    load_balancers: tuple[Host, ...]
    mycats: tuple[Host, ...]
    owners: Mapping[str, list[Host]]
    allow_degraded: bool
    notes: tuple[str, ...]
    bounds: Mapping[str, Any]
    homes: Mapping[str, str]
    taken_out: tuple[str, ...]
    placement: Mapping[str, str] = field(default_factory=dict)

    @property
    def balancing(self) -> tuple[Host, ...]:
        """Load balancers whose HAProxy says how it sees the MyCats."""
        return tuple(host for host in self.load_balancers if host.haproxy_alive)

    @property
    def holders(self) -> frozenset[Host]:
        """Load balancers that have one of the addresses."""
        return frozenset(host for host in self.load_balancers if any(map(host.has, self.vips)))

    def seen(self, mycat: Host) -> dict[str, str]:
        """The MyCat's state in each HAProxy that is alive: {load balancer: state}."""
        return {
            host.name: host.servers[mycat.name].state(mycat.health)
            if mycat.name in host.servers
            else ABSENT
            for host in self.balancing
        }

    def draining(self, mycat: Host) -> bool:
        """Whether somebody asked it to take no new sessions.

        The endpoint names the drain also while MyCat is stopped.
        """
        asked_for = mycat.health == "drain" or "drain" in mycat.endpoint
        return asked_for or any(state in DRAINING for state in self.seen(mycat).values())


@dataclass(frozen=True)
class View:
    """Who has a virtual IP, who could take it over, and who gets an answer from it."""

    vip: Vip
    holders: tuple[Host, ...]
    strangers: tuple[Host, ...]
    standby: tuple[Host, ...]
    asked: Mapping[str, str]
    witnesses: tuple[Host, ...]
    silent: tuple[Host, ...]
    serves: bool

    @property
    def holder(self) -> Host | None:
        """The holder, if there is exactly one."""
        return self.holders[0] if len(self.holders) == 1 else None

    @property
    def answers(self) -> bool:
        """Whether some witness got an answer."""
        return len(self.silent) < len(self.witnesses)


def view(cluster: Cluster, vip: Vip) -> View:
    """What the hosts of ``cluster`` know of one virtual IP."""
    members = cluster.load_balancers
    holders = tuple(host for host in members if host.has(vip))
    strangers = tuple(host for host in cluster.owners.get(vip.ip, ()) if host not in members)
    witnesses, silent = _witnesses(cluster, vip, holders)
    unseen = any(not host.reachable for host in members)
    held = len(holders) == 1 or (not holders and unseen)
    return View(
        vip,
        holders,
        strangers,
        tuple(host for host in members if host not in holders and _is_standby(host, vip)),
        {
            host.name: answer
            for host in dict.fromkeys((*members, *cluster.mycats))
            for answer in [host.answer(vip)]
            if answer is not None
        },
        witnesses,
        silent,
        serves=held and not strangers and bool(witnesses) and not silent,
    )


def _is_standby(host: Host, vip: Vip) -> bool:
    instance = host.instance(vip)
    ready = host.runs_keepalived and host.haproxy_alive
    return ready and instance is not None and instance.state == "BACKUP"


def _witnesses(
    cluster: Cluster, vip: Vip, holders: tuple[Host, ...]
) -> tuple[tuple[Host, ...], tuple[Host, ...]]:
    """Whose answers count, and which of them got none.

    Load balancers that do not hold the address; without any, the MyCat hosts, of which one answer
    is enough; without those the holder, whose answer does not cross the network.
    """
    members = tuple(
        host for host in cluster.load_balancers if host.reachable and host not in holders
    )
    mycats = tuple(host for host in cluster.mycats if host.answer(vip) is not None)
    for hosts, one_is_enough in ((members, False), (mycats, True), (holders, False)):
        if hosts:
            silent = tuple(host for host in hosts if host.answer(vip) != ANSWERED)
            return hosts, () if one_is_enough and len(silent) < len(hosts) else silent
    return (), ()


def read_clusters(expected: Any, states: Any) -> tuple[Cluster, ...]:
    """The clusters of ``expected``, with what ``states`` says of their hosts.

    ``expected``: {"clusters": {NAME: {"vips", "load_balancers", "mycats", ...}}}, as the plan
    returns it. ``states``: {HOST: result of host_state, None if it could not be reached}.
    """
    hosts = {text(name): _host(text(name), state) for name, state in mapping(states).items()}
    clusters = mapping(mapping(expected).get("clusters"))
    owners: dict[str, list[Host]] = {}
    for host in hosts.values():
        for address in host.addresses:
            owners.setdefault(address, []).append(host)
    return tuple(
        _cluster(text(name), mapping(wanted), hosts, owners) for name, wanted in clusters.items()
    )


def _cluster(
    name: str,
    wanted: Mapping[str, Any],
    hosts: Mapping[str, Host],
    owners: Mapping[str, list[Host]],
) -> Cluster:
    balancers, mycats = texts(wanted.get("load_balancers")), texts(wanted.get("mycats"))
    return Cluster(
        name,
        tuple(_vip(text(address), vip) for address, vip in mapping(wanted.get("vips")).items()),
        tuple(hosts.get(one, Host(one)) for one in balancers),
        tuple(hosts.get(one, Host(one)) for one in mycats),
        owners,
        wanted.get("allow_degraded") is True,
        texts(wanted.get("notes")),
        mapping(wanted.get("bounds")),
        mapping(wanted.get("homes")),
        texts(wanted.get("taken_out")),
        mapping(wanted.get("placement")),
    )


def _vip(address: str, wanted: Any) -> Vip:
    said = mapping(wanted)
    name, port, moved_by = (said.get(key) for key in ("instance", "port", "moved_by"))
    return Vip(address, text(name), number(port), text(moved_by))


def _host(name: str, state: Any) -> Host:
    said = mapping(state)
    if "addresses" not in said or said.get("unreachable") is True:
        return Host(name)
    keepalived, haproxy = mapping(said.get("keepalived")), mapping(said.get("haproxy"))
    maintenance = said.get("maintenance")
    return Host(
        name,
        reachable=True,
        addresses=_addresses(said["addresses"]),
        asked={_target(text(to)): text(got) for to, got in mapping(said.get("asked")).items()},
        keepalived=keepalived,
        instances=tuple(_instance(mapping(one)) for one in sequence(keepalived.get("instances"))),
        haproxy=haproxy,
        servers={
            text(row.get("server")): _server(row)
            for row in map(mapping, sequence(haproxy.get("servers")))
            if row.get("proxy") == PROXY
        },
        endpoint=mapping(said.get("endpoint")),
        maintenance=maintenance if isinstance(maintenance, bool) else None,
        handing_over=said.get("handing_over") is True,
        restart=mapping(said.get("restart")),
        problems=texts(said.get("problems")),
        history=_history(said),
    )


def _history(said: Mapping[str, Any]) -> dict[str, tuple[Change, ...]]:
    """What the host noted of each instance, by the controller's clock."""
    ahead = _seconds(said.get("clock_ahead")) or 0.0
    # The answer itself takes about as long.
    offset = ahead if abs(ahead) > _CLOCKS_DIFFER else 0.0
    found: dict[str, list[Change]] = {}
    for row in map(mapping, sequence(said.get("history"))):
        seconds = _seconds(row.get("time"))
        if seconds is not None:
            change = Change(seconds - offset, text(row.get("state")), text(row.get("cause")))
            found.setdefault(text(row.get("instance")), []).append(change)
    return {name: tuple(changes) for name, changes in found.items()}


def _seconds(value: Any) -> float | None:
    usable = isinstance(value, (int, float)) and math.isfinite(value)
    return float(value) if usable else None


def _instance(said: Mapping[str, Any]) -> Instance:
    carried = (said.get("virtual_ipaddress"), said.get("virtual_ipaddress_excluded"))
    return Instance(
        text(said.get("name")),
        text(said.get("state")),
        text(said.get("since")) or None,
        said.get("priority"),
        said.get("effective_priority"),
        said.get("virtual_router_id"),
        frozenset().union(*map(_addresses, carried)),
    )


def _server(row: Mapping[str, Any]) -> Server:
    return Server(*(text(row.get(name)) for name in ("status", "check_status", "last_chk")))


def _target(asked: str) -> tuple[str, int]:
    address, _colon, port = asked.rpartition(":")
    return canonical(address), number(port)


def _addresses(listed: Any) -> frozenset[str]:
    return frozenset(map(canonical, texts(listed)))


def mapping(value: Any) -> Mapping[str, Any]:
    """``value``, or nothing where it is no mapping."""
    return value if isinstance(value, Mapping) else {}


def sequence(value: Any) -> tuple[Any, ...]:
    """``value``'s items, or nothing where it is no list."""
    return tuple(value) if isinstance(value, (list, tuple)) else ()


def text(value: Any) -> str:
    """``value`` as text, "" for None."""
    return "" if value is None else str(value)


def texts(value: Any) -> tuple[str, ...]:
    """The items of a list as text."""
    return tuple(map(text, sequence(value)))


def number(value: Any) -> int:
    """``value`` as a whole number, 0 where it is none."""
    try:
        return int(text(value))
    except ValueError:
        return 0
