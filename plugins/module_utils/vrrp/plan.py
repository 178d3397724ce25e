# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From wishes to numbers: priorities, weights, router ids and timers of a cluster.

Priorities. The most preferred node has 254, the next 253, and so on: a backup waits a skew of
(256 - priority)/256 adverts before it takes over, so high priorities make a clean handover
cost milliseconds. Three ways to be sticky or to return follow from keepalived's election:

* No check has a weight (mode ``fault``, mode ``kill``): a failed check takes the node out of
  the election, whatever its priority, so ``nopreempt`` can keep the address where it is.
* Some check has a weight: ``nopreempt`` would keep the address on the failed node, so it is
  never set. To be sticky all nodes get the same base priority instead: a backup that hears
  its own priority stays a backup, so the incumbent among equals keeps the address.
* Preferred: bases differ by one, nobody has ``nopreempt``.

Weights. A node's rank is the most severe check it fails. For ranks never to cross, the weight
of a check must exceed all that lighter checks can take away together plus the gap between the
highest and the lowest base. A check that is noticed both by event and by polling takes its
weight away once or twice. The sum stays above 0, so that nothing is clamped.
"""

from __future__ import annotations

import enum
import hashlib
import ipaddress
import math
import re
from dataclasses import asdict, dataclass
from typing import Iterable, Iterator, Mapping, Sequence, Union

from .findings import Finding, Severity
from .model import Check, CheckKind, Cluster, Instance, ModelError, Node, Track
from .timing import EVENT, Span, clean_stop, polled, silence

MOST_NODES = 100
TOP_PRIORITY = 254
#: Adverts more frequent than this make a stall of the CPU look like a lost node.
STURDY_ADVERT = 0.1

Interface = Union[ipaddress.IPv4Interface, ipaddress.IPv6Interface]
_NAME = re.compile(r"\w[\w.:-]*")


class Mode(enum.Enum):
    """What a failed check does to its node."""

    FAULT = "fault"
    WEIGHT = "weight"
    KILL = "kill"


class Preempt(enum.Enum):
    """Where the address is once everything is well again."""

    STICKY = "sticky"
    PREFERRED = "preferred"


@dataclass(frozen=True)
class PlannedNode:
    """A node to plan for; ``address`` is what its adverts come from."""

    name: str
    address: str
    interface: str = ""


@dataclass(frozen=True)
class VirtualAddress:
    """An address to keep up, with its prefix. Without a router id, one is derived."""

    address: str
    name: str
    virtual_router_id: int | None = None


@dataclass(frozen=True)
class RankedCheck:
    """A check to plan for. ``weight`` None means: the plan decides. ``event``: the end of what
    it watches is also reported at once through a tracked file, 1 for down."""

    name: str
    weight: int | None = None
    event: bool = False


@dataclass(frozen=True)
class Request:
    """Everything a plan depends on. ``nodes`` are in order of preference, ``checks`` in order
    of severity, budgets are seconds."""

    nodes: tuple[PlannedNode, ...]
    vips: tuple[VirtualAddress, ...]
    mode: Mode = Mode.FAULT
    preempt: Preempt = Preempt.STICKY
    checks: tuple[RankedCheck, ...] = (RankedCheck("haproxy", event=True),)
    failover_budget: float = 2.0
    node_loss_budget: float = 4.0
    vrrp_version: int = 3
    taken_virtual_router_ids: tuple[int, ...] = ()
    keepalived_version: tuple[int, ...] = (2, 2, 7)


@dataclass(frozen=True)
class Poll:
    """How often a check runs, how many failures count, and within how many seconds its
    command has to answer by itself (keepalived before 2.3.2 knows whole seconds only)."""

    interval: float
    fall: int
    deadline: float

    @property
    def detection(self) -> Span:
        return polled(self.interval, self.fall, self.deadline)


@dataclass(frozen=True)
class Bounds:
    """The longest time without service, in seconds, as long as a healthy node is left. None:
    nothing in this plan notices such a failure that way."""

    check_failure_event: float | None
    check_failure_poll: float | None
    clean_stop: float
    node_loss: float


@dataclass(frozen=True)
class Plan:
    """The cluster, the bounds it promises, and what the operator should know about it."""

    cluster: Cluster
    bounds: Bounds
    poll: Poll | None = None
    findings: tuple[Finding, ...] = ()

    def as_data(self) -> dict[str, object]:
        """The plan as ``vrrp_plan`` returns it."""
        return {
            "instances": {
                node.name: [_instance_data(instance) for instance in node.instances]
                for node in self.cluster.nodes
            },
            "checks": [self._check_data(check) for check in self.cluster.nodes[0].checks],
            "bounds": asdict(self.bounds),
            "findings": [_finding_data(finding) for finding in self.findings],
            "outcomes": [],
        }

    def _check_data(self, check: Check) -> dict[str, object]:
        data: dict[str, object] = {"name": check.name, "kind": check.kind.value}
        if check.kind is CheckKind.SCRIPT and self.poll:
            data.update(
                interval=_whole(check.interval),
                timeout=_whole(check.timeout or check.interval),
                deadline=self.poll.deadline,
                rise=check.rise,
                fall=check.fall,
            )
        return data


def _whole(value: float) -> int | float:
    """Whole seconds without a fraction: keepalived before 2.3.2 refuses one."""
    return int(value) if value == int(value) else value


def _instance_data(instance: Instance) -> dict[str, object]:
    return {
        "name": instance.name,
        "state": instance.state.value,
        "interface": instance.interface,
        "priority": instance.priority,
        "nopreempt": instance.nopreempt,
        "virtual_router_id": instance.virtual_router_id,
        "version": instance.version,
        "advert_int": _whole(instance.advert_int),
        **{
            kind.value: [
                {"name": track.check, "weight": track.weight}
                for track in instance.tracks
                if track.kind is kind
            ]
            for kind in (CheckKind.FILE, CheckKind.SCRIPT)
        },
        "virtual_ipaddress": list(instance.virtual_ipaddress),
        "unicast_src_ip": instance.unicast_src_ip,
        "unicast_peer": list(instance.unicast_peer or ()),
    }


def _finding_data(finding: Finding) -> dict[str, object]:
    return {
        "id": finding.id,
        "severity": finding.severity.value,
        "node": finding.node,
        "instance": finding.instance,
        "message": finding.message,
        "fix": finding.fix,
        "trace": list(finding.trace),
    }


# --- reading the request -------------------------------------------------------------------


def _mapping(where: str, value: object) -> Mapping[str, object]:
    if not isinstance(value, Mapping):
        raise ModelError(where, f"is {value!r}; write a dictionary")
    return value


def _sequence(where: str, value: object) -> Sequence[object]:
    if not isinstance(value, (list, tuple)):
        raise ModelError(where, f"is {value!r}; write a list")
    return value


def _name(where: str, value: object) -> str:
    if not isinstance(value, str) or not _NAME.fullmatch(value) or len(value) > 64:
        raise ModelError(
            where,
            f"{_shown(value)} is not a name; write at most 64 letters, digits and . _ - : and begin with a "
            "letter or digit",
        )
    return value


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _integer(where: str, value: object, least: int, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise ModelError(
            where, "is %s; write a whole number from %d to %d" % (_shown(value), least, most)
        )
    return value


def _budget(where: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ModelError(where, f"is {_shown(value)}; write a number of seconds")
    if not (math.isfinite(value) and value > 0):
        raise ModelError(where, f"is {_shown(value)}; write a number of seconds above 0")
    return float(value)


def _choice(where: str, value: object, choices: Iterable[str]) -> str:
    choices = tuple(choices)
    if value not in choices:
        raise ModelError(where, "is {}; write one of {}".format(_shown(value), ", ".join(choices)))
    return str(value)


def _flag(where: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise ModelError(where, f"is {_shown(value)}; write true or false")
    return value


def _unusable(address: Interface) -> str:
    """Why no host can use this address as its own, or nothing."""
    ip = address.ip
    if ip.is_multicast or ip.is_unspecified or ip.is_loopback:
        return "is not an address that a host on a network can have"
    network = address.network
    if network.prefixlen < ip.max_prefixlen - 1:
        if ip == network.network_address:
            return "is the network itself"
        if ip.version == 4 and ip == network.broadcast_address:
            return f"is the broadcast address of {network}"
    return ""


def _host_address(where: str, value: object) -> str:
    try:
        if not isinstance(value, str):
            raise ValueError
        address = ipaddress.ip_interface(value + ("/128" if ":" in value else "/32"))
    except ValueError:
        raise ModelError(
            where,
            f"{_shown(value)} is not an address; write one like 192.0.2.11, without a prefix",
        ) from None
    problem = _unusable(address)
    if problem:
        raise ModelError(where, f"{value} {problem}")
    return str(address.ip)


def _vip_address(where: str, value: object) -> Interface:
    try:
        if not isinstance(value, str) or "/" not in value:
            raise ValueError
        address = ipaddress.ip_interface(value)
    except ValueError:
        raise ModelError(
            where,
            f"{_shown(value)} is not an address with its prefix; write one like 192.0.2.100/24",
        ) from None
    problem = _unusable(address)
    if problem:
        raise ModelError(where, f"{value} {problem}; write an address that hosts can have")
    return address


def _unique(where: str, values: Sequence[object], what: str) -> None:
    for index, value in enumerate(values):
        if value in values[:index]:
            raise ModelError(
                where % index, f"{value} is {what} of an earlier one too; write another"
            )


def _read_nodes(value: object) -> tuple[PlannedNode, ...]:
    nodes = []
    for index, item in enumerate(_sequence("nodes", value)):
        where = "nodes[%d]" % index
        node = _mapping(where, item)
        interface = node.get("interface") or ""
        nodes.append(
            PlannedNode(
                name=_name(where + ".name", node.get("name")),
                address=_host_address(where + ".address", node.get("address")),
                interface=_name(where + ".interface", interface) if interface else "",
            )
        )
    if len(nodes) < 2:
        given = f"only {nodes[0].name} is given" if nodes else "none is given"
        raise ModelError("nodes", f"{given}; give at least two, or nothing can take over")
    if len(nodes) > MOST_NODES:
        raise ModelError("nodes", "%d are given; give at most %d" % (len(nodes), MOST_NODES))
    _unique("nodes[%d].name", [node.name for node in nodes], "the name")
    _unique("nodes[%d].address", [node.address for node in nodes], "the address")
    families = {ipaddress.ip_address(node.address).version for node in nodes}
    if len(families) > 1:
        raise ModelError("nodes", "addresses are IPv4 and IPv6; write one family for all nodes")
    return tuple(nodes)


def _read_vips(value: object, nodes: Sequence[PlannedNode]) -> tuple[VirtualAddress, ...]:
    owners = {node.address: node.name for node in nodes}
    family = ipaddress.ip_address(nodes[0].address).version
    vips = []
    for index, item in enumerate(_sequence("vips", value)):
        where = "vips[%d]" % index
        vip = _mapping(where, item)
        address = _vip_address(where + ".address", vip.get("address"))
        if str(address.ip) in owners:
            raise ModelError(
                where + ".address",
                f"{address.ip} is the address of {owners[str(address.ip)]} itself; write one that no host has",
            )
        if address.version != family:
            raise ModelError(
                where + ".address",
                "%s is IPv%d but the nodes' addresses are IPv%d; adverts need one family, so give "
                "the nodes' IPv%d addresses, or plan this one apart"
                % (address.ip, address.version, family, address.version),
            )
        router_id = vip.get("virtual_router_id")
        vips.append(
            VirtualAddress(
                address=str(address),
                name=_name(
                    where + ".name", vip.get("name") or "vip_" + re.sub(r"\W", "_", str(address.ip))
                ),
                virtual_router_id=None
                if router_id is None
                else _integer(where + ".virtual_router_id", router_id, 1, 255),
            )
        )
    if not vips:
        raise ModelError("vips", "none is given; give at least one like 192.0.2.100/24")
    _unique("vips[%d].address", [vip.address.split("/")[0] for vip in vips], "the address")
    _unique("vips[%d].name", [vip.name for vip in vips], "the name")
    return tuple(vips)


def _read_weight(where: str, value: object) -> int | None:
    if value is None or value == "auto":
        return None
    if isinstance(value, str) and re.fullmatch(r"[+-]?[0-9]{1,4}", value):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not -253 <= value <= 253:
        raise ModelError(where, f"is {_shown(value)}; write auto, 0, or a number from -253 to -1")
    if value > 0:
        raise ModelError(
            where,
            "is %d, which raises the nodes that pass; write %d, which lowers the one that fails "
            "by as much" % (value, -value),
        )
    return value


def _read_checks(value: object) -> tuple[RankedCheck, ...]:
    checks = []
    for index, item in enumerate(_sequence("checks", value)):
        where = "checks[%d]" % index
        check = _mapping(where, item)
        checks.append(
            RankedCheck(
                name=_name(where + ".name", check.get("name")),
                weight=_read_weight(where + ".weight", check.get("weight")),
                event=_flag(where + ".event", check.get("event", False)),
            )
        )
    _unique("checks[%d].name", [check.name for check in checks], "the name")
    return tuple(checks)


def _read_version(where: str, value: object) -> tuple[int, ...]:
    if not isinstance(value, str) or not re.fullmatch(r"[0-9]{1,4}(\.[0-9]{1,4}){1,3}", value):
        raise ModelError(where, f"is {_shown(value)}; write a version like 2.2.7")
    return tuple(int(part) for part in value.split("."))


def read_request(data: Mapping[str, object]) -> Request:
    """The request in ``vrrp_plan``'s options; absent ones take the defaults of ``Request``.

    Raises ModelError for anything that is not a request, naming the option.
    """
    nodes = _read_nodes(data.get("nodes"))
    default = Request(nodes=nodes, vips=())
    checks = data.get("checks")
    taken = data.get("taken_virtual_router_ids") or ()
    keepalived_version = data.get("keepalived_version")
    return Request(
        nodes=nodes,
        vips=_read_vips(data.get("vips"), nodes),
        mode=Mode(_choice("mode", data.get("mode", "fault"), [mode.value for mode in Mode])),
        preempt=Preempt(
            _choice("preempt", data.get("preempt", "sticky"), [wish.value for wish in Preempt])
        ),
        checks=default.checks if checks is None else _read_checks(checks),
        failover_budget=_budget(
            "failover_budget", data.get("failover_budget", default.failover_budget)
        ),
        node_loss_budget=_budget(
            "node_loss_budget", data.get("node_loss_budget", default.node_loss_budget)
        ),
        vrrp_version=_integer("vrrp_version", data.get("vrrp_version", 3), 2, 3),
        taken_virtual_router_ids=tuple(
            _integer("taken_virtual_router_ids[%d]" % index, item, 1, 255)
            for index, item in enumerate(_sequence("taken_virtual_router_ids", taken))
        ),
        keepalived_version=default.keepalived_version
        if keepalived_version is None
        else _read_version("keepalived_version", keepalived_version),
    )


# --- priorities and weights ----------------------------------------------------------------


def spread(nodes: int, vips: int) -> list[list[int]]:
    """For each address the nodes in order of preference, by index.

    Every node is the first choice for as many addresses as any other, give or take one, and
    what it leaves behind falls evenly to the rest. The order is built one node at a time: a new
    node takes its share of first (then of second) places from those that have most, and goes
    last everywhere else. So a node added at the end never reorders the nodes before it.
    """
    orders = [[0] for _ in range(vips)]
    for node in range(1, nodes):
        for place in (0, 1):
            groups: dict[tuple[int, ...], list[int]] = {}
            for vip, order in enumerate(orders):
                if place < len(order) == node:
                    groups.setdefault(tuple(order[:place]), []).append(vip)
            for group in groups.values():
                _take_share(orders, group, node, place)
        for order in orders:
            if len(order) == node:
                order.append(node)
    return orders


def _take_share(orders: list[list[int]], group: Sequence[int], node: int, place: int) -> None:
    held: dict[int, list[int]] = {}
    for vip in group:
        held.setdefault(orders[vip][place], []).append(vip)
    for _ in range(len(group) // (node + 1 - place)):
        most = max(len(vips) for vips in held.values())
        candidates = (vip for vips in held.values() if len(vips) == most for vip in vips)
        vip = max(candidates, key=lambda vip: (vip % (node + 1) == node, vip))
        held[orders[vip][place]].remove(vip)
        orders[vip].insert(place, node)


@dataclass(frozen=True)
class _Ranks:
    """Weights in the order of the checks; ``gap`` lies between the highest and lowest base."""

    weights: tuple[int, ...]
    gap: int

    @property
    def weighted(self) -> bool:
        return any(self.weights)

    @property
    def lowest(self) -> int:
        """The lowest priority of a node that passes all checks."""
        return TOP_PRIORITY - self.gap


def _rank(request: Request) -> _Ranks:
    """Weights that keep the order of severity, without clamping. Raises ModelError."""
    if request.mode is Mode.KILL:
        return _Ranks((), len(request.nodes) - 1)
    weighted = any(_starting_weight(request.mode, check) for check in request.checks)
    sticky = request.preempt is Preempt.STICKY
    gap = 0 if weighted and sticky else len(request.nodes) - 1
    weights: list[int] = []
    lost = 0
    fault_below = ""
    for index in reversed(range(len(request.checks))):
        check = request.checks[index]
        least = gap + lost + 1
        weight = -least if check.weight is None and request.mode is Mode.WEIGHT else check.weight
        weight = weight or 0
        where = "checks[%d].weight" % index
        if weight and fault_below:
            raise ModelError(
                where,
                f"is {_written(check)}, but the lighter check {fault_below} has 0, which takes its node out altogether; "
                "write 0 here as well, or a weight there",
            )
        if weight and -weight < least:
            raise ModelError(
                where,
                "is %d, but a node that fails %s must fall by more than the gap of %d between the "
                "nodes and the %d that lighter checks take away; write %d, or auto"
                % (weight, check.name, gap, lost, -least),
            )
        if not weight:
            fault_below = check.name
        lost += -weight * (2 if check.event else 1)
        weights.insert(0, weight)
    if gap + lost >= TOP_PRIORITY:
        raise ModelError(
            "checks",
            "%d nodes with these checks need %d priorities and VRRP has %d; %s"
            % (len(request.nodes), gap + lost + 1, TOP_PRIORITY, _nearest(request, gap)),
        )
    return _Ranks(tuple(weights), gap)


def _starting_weight(mode: Mode, check: RankedCheck) -> bool:
    return mode is Mode.WEIGHT if check.weight is None else check.weight != 0


def _written(check: RankedCheck) -> str:
    return "auto" if check.weight is None else str(check.weight)


def _nearest(request: Request, gap: int) -> str:
    """What to change for the ranks to fit: the least far from what was asked."""
    remedies = []
    if gap:
        remedies.append((request.checks, 0, "write preempt: sticky, which needs no gap"))
    silent = tuple(RankedCheck(check.name, check.weight) for check in request.checks)
    remedies.append((silent, gap, "leave out event, so that each weight counts once"))
    for checks, tried_gap, advice in remedies:
        lost = 0
        for check in reversed(checks):
            weight = tried_gap + lost + 1 if check.weight is None else -check.weight
            lost += weight * (2 if check.event else 1)
        if tried_gap + lost < TOP_PRIORITY:
            return advice
    return "write mode: fault, which needs none for checks"


def _derived_router_id(address: str) -> int:
    """A router id from 1 to 255 that depends on nothing but the address."""
    ip = ipaddress.ip_interface(address).ip
    return int.from_bytes(hashlib.sha256(ip.packed).digest()[:8], "big") % 255 + 1


def _router_ids(request: Request) -> list[int]:
    """One router id an address: the given one, or the next free one from the derived one."""
    used = set(request.taken_virtual_router_ids)
    for index, vip in enumerate(request.vips):
        router_id = vip.virtual_router_id
        if router_id is None:
            continue
        if router_id in used:
            taken = router_id in request.taken_virtual_router_ids
            raise ModelError(
                "vips[%d].virtual_router_id" % index,
                "%d is %s; write another, or leave it out to have one derived"
                % (
                    router_id,
                    "among taken_virtual_router_ids" if taken else "given to an earlier one too",
                ),
            )
        used.add(router_id)
    ids = []
    for vip in request.vips:
        router_id = vip.virtual_router_id
        if router_id is None:
            if len(used) == 255:
                raise ModelError(
                    "vips",
                    "%d need more than the 255 router ids of one network; give fewer"
                    % len(request.vips),
                )
            router_id = _derived_router_id(vip.address)
            while router_id in used:
                router_id = router_id % 255 + 1
            used.add(router_id)
        ids.append(router_id)
    return ids


# --- timers --------------------------------------------------------------------------------


def _polls(version: tuple[int, ...]) -> list[Poll]:
    """Ways to poll, the most desirable first: a single failure should not move an address, and
    runs should be rare. keepalived before 2.3.2 runs scripts every whole second."""
    intervals = (1.0, 0.5, 0.25, 0.1) if version >= (2, 3, 2) else (1.0,)
    polls = [
        Poll(interval, fall, deadline)
        for interval in intervals
        for fall in (3, 2, 1)
        for deadline in (0.5, 0.25, 0.1)
        if deadline <= interval
    ]
    return sorted(
        polls,
        key=lambda poll: (min(poll.fall, 2), poll.interval, poll.fall, poll.deadline),
        reverse=True,
    )


def _seconds(value: float) -> float:
    """Rounded up to a millisecond: a bound is never promised shorter than it is."""
    return math.ceil(round(value * 1000, 6)) / 1000


class _Timers:
    """The timers that keep the budgets, and the bounds they give."""

    def __init__(self, request: Request, ranks: _Ranks) -> None:
        self._request = request
        self._priority = ranks.lowest
        weights = (0,) if request.mode is Mode.KILL else ranks.weights
        checks = (
            (RankedCheck("haproxy", event=True),) if request.mode is Mode.KILL else request.checks
        )
        self._weighted = any(weights)
        self._weighted_event = any(w for w, check in zip(weights, checks) if check.event)
        self._event = any(check.event for check in checks)
        self._polled = request.mode is not Mode.KILL
        version = request.vrrp_version
        self._adverts = [1.0] if version == 2 else [step / 100 for step in range(100, 0, -1)]

    def _stop(self, advert: float) -> Span:
        return clean_stop(self._request.vrrp_version, self._priority, advert)

    def _silence(self, advert: float) -> Span:
        return silence(self._request.vrrp_version, self._priority, advert)

    def bounds(self, advert: float, poll: Poll | None) -> Bounds:
        def takeover(weighted: bool) -> Span:
            return self._silence(advert) if weighted else self._stop(advert)

        return Bounds(
            check_failure_event=_seconds((EVENT + takeover(self._weighted_event)).most)
            if self._event
            else None,
            check_failure_poll=_seconds((poll.detection + takeover(self._weighted)).most)
            if poll
            else None,
            clean_stop=_seconds(self._stop(advert).most),
            node_loss=_seconds(self._silence(advert).most),
        )

    def _longest(self, poll: Poll | None, sturdy: bool) -> float | None:
        for advert in self._adverts:
            if sturdy and advert < STURDY_ADVERT:
                break
            bounds = self.bounds(advert, poll)
            if (
                bounds.node_loss <= self._request.node_loss_budget
                and (bounds.check_failure_event or 0) <= self._request.failover_budget
                and (bounds.check_failure_poll or 0) <= self._request.failover_budget
            ):
                return advert
        return None

    def choose(self) -> tuple[float, Poll | None]:
        """The advert interval and the polling that keep the budgets. Raises ModelError."""
        polls: Sequence[Poll | None] = (
            _polls(self._request.keepalived_version) if self._polled else (None,)
        )
        for sturdy in (True, False):
            for poll in polls:
                advert = self._longest(poll, sturdy)
                if advert is not None:
                    return advert, poll
        shortest = [self.bounds(self._adverts[-1], poll) for poll in polls]
        raise self._refusal(min(shortest, key=lambda bounds: bounds.check_failure_poll or 0))

    def _refusal(self, shortest: Bounds) -> ModelError:
        request = self._request
        why = "VRRPv2 adverts are 1 s apart" if request.vrrp_version == 2 else ""
        if shortest.node_loss > request.node_loss_budget:
            return ModelError(
                "node_loss_budget",
                "{:g} s cannot be kept: the bound node_loss is {:g} s at the shortest advert interval{}; "
                "write at least {:g}{}".format(
                    request.node_loss_budget,
                    shortest.node_loss,
                    f" ({why})" if why else "",
                    shortest.node_loss,
                    ", or vrrp_version: 3" if why else "",
                ),
            )
        name, bound = max(
            ("check_failure_event", shortest.check_failure_event or 0.0),
            ("check_failure_poll", shortest.check_failure_poll or 0.0),
            key=lambda pair: pair[1],
        )
        remedies = [f"write at least {bound:g}"]
        if self._weighted:
            remedies.append("mode: fault")
        if self._polled and request.keepalived_version < (2, 3, 2):
            remedies.append(
                "use keepalived 2.3.2 or newer, which runs checks more than once a second"
            )
        return ModelError(
            "failover_budget",
            "{:g} s cannot be kept: the bound {} is {:g} s with the shortest timers; {}".format(
                request.failover_budget, name, bound, ", or ".join(remedies)
            ),
        )


# --- the plan ------------------------------------------------------------------------------


def _tracks(request: Request, ranks: _Ranks) -> tuple[Track, ...]:
    tracks = []
    for check, weight in zip(request.checks, ranks.weights):
        if check.event:
            tracks.append(Track(check.name, CheckKind.FILE, weight))
        tracks.append(Track(check.name, CheckKind.SCRIPT, weight))
    return tuple(tracks)


def _checks(request: Request, poll: Poll | None) -> tuple[Check, ...]:
    if poll is None:
        return ()
    checks = []
    for check in request.checks:
        if check.event:
            checks.append(Check(check.name, CheckKind.FILE))
        checks.append(
            Check(
                check.name,
                CheckKind.SCRIPT,
                interval=poll.interval,
                timeout=poll.interval,
                rise=2,
                fall=poll.fall,
            )
        )
    return tuple(checks)


def make_plan(request: Request) -> Plan:
    """Priorities, weights, router ids and timers for the request, proven before it returns.

    Raises ModelError, naming the option, for what cannot be had.
    """
    if request.mode is Mode.KILL:
        _only_one_check(request)
    elif not request.checks:
        raise ModelError(
            "checks", "none is given, so no failed HAProxy would be noticed; give at least one"
        )
    ranks = _rank(request)
    timers = _Timers(request, ranks)
    advert, poll = timers.choose()
    sticky = request.preempt is Preempt.STICKY
    orders = spread(len(request.nodes), len(request.vips))
    router_ids = _router_ids(request)
    checks = _checks(request, poll)
    tracks = _tracks(request, ranks)
    nodes = []
    for index, node in enumerate(request.nodes):
        instances = tuple(
            Instance(
                name=vip.name,
                virtual_router_id=router_id,
                interface=node.interface,
                priority=TOP_PRIORITY - (order.index(index) if ranks.gap else 0),
                version=request.vrrp_version,
                advert_int=advert,
                nopreempt=sticky and not ranks.weighted,
                tracks=tracks,
                virtual_ipaddress=(vip.address,),
                unicast_src_ip=node.address,
                unicast_peer=tuple(peer.address for peer in request.nodes if peer is not node),
            )
            for vip, router_id, order in zip(request.vips, router_ids, orders)
        )
        nodes.append(
            Node(
                node.name,
                node.address,
                instances,
                checks,
                keepalived_version=request.keepalived_version,
            )
        )
    return Plan(
        cluster=Cluster(tuple(nodes)),
        bounds=timers.bounds(advert, poll),
        poll=poll,
        findings=tuple(_notes(request, ranks, advert)),
    )


def _notes(request: Request, ranks: _Ranks, advert: float) -> Iterator[Finding]:
    """What the operator should know although the plan holds."""
    if advert < STURDY_ADVERT:
        yield Finding(
            "advert-int-short",
            Severity.WARNING,
            f"adverts every {advert:g} s: a CPU that stalls for {3 * advert:g} s looks like a lost node, and the address "
            "moves or is held twice for a moment",
            "give failover_budget and node_loss_budget more time, or measure the hosts' stalls",
        )
    if request.preempt is Preempt.STICKY and len(request.vips) > 1:
        yield Finding(
            "spread-not-kept",
            Severity.INFO,
            "with preempt: sticky the addresses stay where they are: after a failure, or when one "
            "node starts first, one node can hold all %d" % len(request.vips),
            "write preempt: preferred to have them return to their own nodes",
        )
    if request.mode is Mode.KILL:
        yield Finding(
            "hang-unnoticed",
            Severity.INFO,
            "mode kill notices a HAProxy that ends, not one that hangs",
            "write mode: fault, which notices both",
        )


def _only_one_check(request: Request) -> None:
    if len(request.checks) > 1:
        raise ModelError(
            "checks",
            "mode kill stops keepalived together with HAProxy and knows no other check; "
            f"write mode: fault, or leave out {request.checks[1].name}",
        )
    for check in request.checks:
        if check.weight:
            raise ModelError(
                "checks[0].weight", "is %d, but mode kill has no weights; write auto" % check.weight
            )
