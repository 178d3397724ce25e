# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a plan is asked for, and how it is read from ``vrrp_plan``'s options.

Whatever is no request raises ``SettingError``, whose text names the option and says what to write
instead.
"""

from __future__ import annotations

import enum
import ipaddress
import math
import re
from dataclasses import dataclass
from typing import Any, Callable, Iterator, Mapping, Sequence, Union

from .. import readers
from ..readers import SettingError
from . import versions

MOST_NODES = 100
MOST_CHECKS = 100
ROUTER_IDS = 255
LOWEST_WEIGHT = -253
LONGEST_PREEMPT_DELAY = 1000
#: Seconds, by version of VRRP, unless one is given. Version 2 has an advert a second at most.
NODE_LOSS_BUDGETS: Mapping[int, float] = {2: 4.0, 3: 1.0}
#: So many addresses fit into an advert whatever the version of keepalived.
MOST_ADVERTISED = 20

InterfaceAddress = Union[ipaddress.IPv4Interface, ipaddress.IPv6Interface]

_INTEGER = re.compile(r"[+-]?[0-9]{1,4}")


def move_file(name: str) -> str:
    """What keepalived calls the tracked file by which an address is moved alone."""
    return f"move_{name}"


class Mode(enum.Enum):
    """What a failed check does to its node."""

    FAULT = "fault"
    WEIGHT = "weight"
    KILL = "kill"


class Preempt(enum.Enum):
    """Where an address is once everything is well again."""

    STICKY = "sticky"
    PREFERRED = "preferred"


class Effect(enum.Enum):
    """What one failed check does to its node: a fault takes it out, a rank lowers it."""

    FAULT = "fault"
    RANK = "rank"


@dataclass(frozen=True)
class Link:
    """What a node's adverts for one address come from, and the interface that has it."""

    address: str
    interface: str = ""


@dataclass(frozen=True)
class PlannedNode:
    """A node to plan for; ``address`` is what its adverts come from. With ``links``, one for
    each virtual address, it is that of the first."""

    name: str
    address: str
    interface: str = ""
    links: tuple[Link, ...] = ()

    def link(self, vip: int) -> Link:
        """The node's side of a virtual address, given by its index."""
        return self.links[vip] if self.links else Link(self.address, self.interface)

    def own_addresses(self) -> Iterator[tuple[str, str]]:
        """Each address of the node, and below which of its options it stands."""
        if not self.links:
            yield self.address, "address"
        for index, link in enumerate(self.links):
            yield link.address, f"links[{index}].address"


@dataclass(frozen=True)
class VirtualAddress:
    """An address to keep up, with its prefix. Without a router id, one is derived. The further
    addresses move with it, those excluded without being in the adverts; so does every address
    of the same ``sync_group``."""

    address: str
    name: str
    virtual_router_id: int | None = None
    virtual_ipaddress: tuple[str, ...] = ()
    virtual_ipaddress_excluded: tuple[str, ...] = ()
    sync_group: str = ""

    @property
    def family(self) -> int:
        """4 or 6."""
        return _family(self.address)


@dataclass(frozen=True)
class RankedCheck:
    """A check to plan for. ``weight`` None: the plan decides. ``event``: a tracked file, 1 for
    down, reports the end of what is watched at once, besides the polling, or without ``poll``
    instead of it. ``effect`` None: what the mode says. ``budget``: seconds without service when
    this check fails; None: ``failover_budget``."""

    name: str
    weight: int | None = None
    event: bool = False
    effect: Effect | None = None
    budget: float | None = None
    poll: bool = True

    @property
    def file_name(self) -> str:
        """The name of the tracked file. It differs from a script's, since either can fail
        without the other: a process that hangs has not ended."""
        return f"{self.name}_process" if self.poll else self.name

    def is_ranked(self, mode: Mode) -> bool:
        """Whether its failure lowers a priority instead of being a fault."""
        if self.weight is not None:
            return self.weight != 0
        if self.effect is not None:
            return self.effect is Effect.RANK
        return mode is Mode.WEIGHT


@dataclass(frozen=True)
class Request:
    """Everything that a plan depends on. ``nodes`` are in order of preference, ``checks`` in
    order of severity; the budgets are seconds without service. ``priorities``, one for each node,
    are used instead of computed ones; ``preempt_delay`` is seconds. ``move_files``: each of several
    addresses can be given up alone."""

    nodes: tuple[PlannedNode, ...]
    vips: tuple[VirtualAddress, ...]
    mode: Mode = Mode.FAULT
    preempt: Preempt = Preempt.STICKY
    checks: tuple[RankedCheck, ...] = (RankedCheck("haproxy", event=True),)
    failover_budget: float = 2.0
    node_loss_budget: float = NODE_LOSS_BUDGETS[3]
    vrrp_version: int = 3
    taken_virtual_router_ids: tuple[int, ...] = ()
    keepalived_version: tuple[int, ...] = versions.ASSUMED
    priorities: tuple[int, ...] = ()
    preempt_delay: float = 0.0
    multicast: bool = False
    move_files: bool = False

    @property
    def moved_by(self) -> dict[str, str]:
        """By whose tracked file an address leaves a node without the others: {name: name of itself,
        or of the first of its sync group}. A single address has none, for it leaves with its
        node."""
        firsts: dict[str, str] = {}
        for vip in self.vips:
            firsts.setdefault(f"group {vip.sync_group}" if vip.sync_group else vip.name, vip.name)
        known = self.keepalived_version >= versions.TRACK_FILE_SINCE
        if not (self.move_files and known and len(firsts) > 1):
            return {}
        return {
            vip.name: firsts[f"group {vip.sync_group}"] if vip.sync_group else vip.name
            for vip in self.vips
        }

    @property
    def tracked(self) -> tuple[RankedCheck, ...]:
        """The checks that keepalived tracks; in mode kill only files that somebody writes."""
        if self.mode is not Mode.KILL:
            return self.checks
        if self.keepalived_version < versions.TRACK_FILE_SINCE:
            return ()
        return tuple(check for check in self.checks if not check.poll)


def read_request(data: Mapping[str, object]) -> Request:
    """The request in ``vrrp_plan``'s options. Absent options take the defaults of ``Request``."""
    given = {option: value for option, value in data.items() if value is not None}
    unknown = sorted(set(given) - {"nodes", "vips", *_OPTIONS})
    if unknown:
        raise SettingError(unknown[0], "is not an option of a plan; leave it out")
    nodes = _nodes(given.get("nodes", []))
    options = {
        option: read(option, given[option]) for option, read in _OPTIONS.items() if option in given
    }
    options.setdefault("node_loss_budget", NODE_LOSS_BUDGETS[options.get("vrrp_version", 3)])
    request = Request(nodes=nodes, vips=_vips(given.get("vips", []), nodes), **options)
    _supported(request)
    return request


def _supported(request: Request) -> None:
    """Raises SettingError for what VRRP or the nodes' keepalived does not know."""
    if request.vrrp_version == 2 and any(vip.family == 6 for vip in request.vips):
        raise SettingError("vrrp_version", "is 2, which knows IPv4 only; write 3")
    if request.priorities and len(request.priorities) != len(request.nodes):
        raise SettingError(
            "priorities",
            f"has {len(request.priorities)} numbers and there are {len(request.nodes)} nodes; "
            "write one for each node, in their order, or leave it out",
        )
    if request.multicast:
        _ask_for_interfaces(request)
    if request.keepalived_version < versions.TRACK_FILE_SINCE:
        for index, check in enumerate(request.checks):
            if check.event and request.mode is not Mode.KILL:
                raise SettingError(
                    f"checks[{index}].event",
                    "needs the tracked files of keepalived 2.0.0 or newer; write false, or "
                    "{mode}: kill",
                )
    if request.keepalived_version < versions.SECOND_GENERATION_SINCE:
        _ask_for_little(request)
    for index, check in enumerate(request.checks):
        if check.name in map(move_file, request.moved_by.values()):
            raise SettingError(
                f"checks[{index}].name",
                f"{check.name} is the name of the tracked file of an address; write another",
            )


def _ask_for_interfaces(request: Request) -> None:
    for index, node in enumerate(request.nodes):
        for vip in range(len(request.vips)):
            if not node.link(vip).interface:
                below = f".links[{vip}]" if node.links else ""
                raise SettingError(
                    f"nodes[{index}]{below}.interface",
                    f"is missing, and with multicast the adverts go out there; write the "
                    f"interface of {node.name} that has {node.link(vip).address}",
                )


def _ask_for_little(request: Request) -> None:
    """What keepalived before 2.0.0 lacks."""
    if request.preempt_delay % 1:
        raise SettingError(
            "preempt_delay",
            f"is {request.preempt_delay:g}, and keepalived before 2.0.0 knows whole seconds; "
            f"write {math.ceil(request.preempt_delay)}",
        )
    for index, vip in enumerate(request.vips):
        if vip.sync_group:
            raise SettingError(
                f"vips[{index}].sync_group",
                "needs the sync groups of keepalived 2.0.0 or newer, which track checks; leave "
                "it out",
            )


def virtual_address(where: str, value: object) -> InterfaceAddress:
    """An address with its prefix that hosts can have: not a network's own or its broadcast
    address, nor loopback or multicast."""
    try:
        if not isinstance(value, str) or "/" not in value or "%" in value:
            raise ValueError
        address = ipaddress.ip_interface(value)
    except ValueError:
        raise readers.wrong(where, value, "an address and its prefix like 192.0.2.100/24") from None
    return _usable(where, address)


def _host_address(where: str, value: object) -> str:
    address = ipaddress.ip_address(readers.address(where, value))
    return str(_usable(where, ipaddress.ip_interface(address)).ip)


def _usable(where: str, address: InterfaceAddress) -> InterfaceAddress:
    ip, network = address.ip, address.network
    problem = ""
    if (
        ip.is_multicast
        or ip.is_unspecified
        or ip.is_loopback
        or (ip.version == 4 and ip.is_reserved)
    ):
        problem = "no host on a network can have it"
    elif not network.prefixlen:
        problem = "its prefix of 0 is no subnet"
    elif network.prefixlen < ip.max_prefixlen - 1:
        if ip == network.network_address:
            problem = "it is the network itself"
        elif ip.version == 4 and ip == network.broadcast_address:
            problem = f"it is the broadcast address of {network}"
    if problem:
        raise SettingError(where, f"{address} cannot be used: {problem}; write another address")
    return address


def _router_ids(where: str, value: object) -> tuple[int, ...]:
    return tuple(
        readers.integer(at, item, 1, ROUTER_IDS) for at, item in readers.items(where, value)
    )


def _nodes(value: object) -> tuple[PlannedNode, ...]:
    nodes = tuple(_node(where, item) for where, item in readers.items("nodes", value))
    if len(nodes) < 2:
        given = f"only {nodes[0].name} is given" if nodes else "none is given"
        raise SettingError("nodes", f"{given}; give at least two, or nothing can take over")
    if len(nodes) > MOST_NODES:
        raise SettingError("nodes", f"{len(nodes)} are given; give at most {MOST_NODES}")
    readers.unique("nodes", "name", [node.name for node in nodes])
    owners: dict[str, int] = {}
    for index, node in enumerate(nodes):
        for address, option in node.own_addresses():
            owner = owners.setdefault(address, index)
            if owner != index:
                raise SettingError(
                    f"nodes[{index}].{option}",
                    f"{address} is given to {{nodes[{owner}]}} too; write another",
                )
    if len({_family(node.address) for node in nodes if not node.links}) > 1:
        raise SettingError("nodes", "addresses are IPv4 and IPv6; write one family for all nodes")
    return nodes


def _node(where: str, value: object) -> PlannedNode:
    node = readers.mapping(where, value, ("name", "address", "interface", "links"))
    name = readers.word(f"{where}.name", node.get("name"))
    if node.get("links") is None:
        link = _link(where, node)
        return PlannedNode(name, link.address, link.interface)
    for option in ("address", "interface"):
        if node.get(option):
            raise SettingError(
                f"{where}.{option}",
                f"is given and so are the links of {name}; write either address and interface, "
                "or links",
            )
    links = tuple(
        _link(at, readers.mapping(at, item, ("address", "interface")))
        for at, item in readers.items(f"{where}.links", node["links"])
    )
    if not links:
        raise SettingError(
            f"{where}.links", f"is empty for {name}; write one address and interface for each VIP"
        )
    places: dict[str, str] = {}
    for index, link in enumerate(links):
        place = places.setdefault(link.address, link.interface)
        if place != link.interface and not ipaddress.ip_address(link.address).is_link_local:
            raise SettingError(
                f"{where}.links[{index}].interface",
                f"is {link.interface or 'missing'}, and {link.address} has "
                f"{place or 'no interface'} further up; write one interface for one address",
            )
    return PlannedNode(name, links[0].address, links[0].interface, links)


def _link(where: str, given: Mapping[str, object]) -> Link:
    interface = given.get("interface") or ""
    return Link(
        _host_address(f"{where}.address", given.get("address")),
        readers.word(f"{where}.interface", interface) if interface else "",
    )


def _family(address: str) -> int:
    return ipaddress.ip_interface(address).version


def _vips(value: object, nodes: Sequence[PlannedNode]) -> tuple[VirtualAddress, ...]:
    given = list(readers.items("vips", value))
    if not given:
        raise SettingError("vips", "none is given; give at least one like 192.0.2.100/24")
    for index, node in enumerate(nodes):
        if node.links and len(node.links) != len(given):
            raise SettingError(
                f"nodes[{index}].links",
                f"has {len(node.links)} for {node.name} and {{vips}} has {len(given)}; write one "
                "address and interface for each of {vips}, in their order",
            )
    vips = tuple(_vip(index, item, nodes) for index, (_where, item) in enumerate(given))
    if len(vips) > ROUTER_IDS:
        raise SettingError(
            "vips", f"{len(vips)} are given; one network has {ROUTER_IDS} router ids"
        )
    readers.unique("vips", "address", [vip.address.split("/")[0] for vip in vips])
    readers.unique("vips", "name", [vip.name for vip in vips])
    _ask_for_distinct_addresses(vips)
    groups = [vip.sync_group for vip in vips]
    for index, group in enumerate(groups):
        if group and groups.count(group) == 1:
            raise SettingError(
                f"vips[{index}].sync_group",
                f"{group} has no other member; write it for each of the vips that move together, "
                "or leave it out",
            )
    return vips


def _vip(index: int, value: object, nodes: Sequence[PlannedNode]) -> VirtualAddress:
    where = f"vips[{index}]"
    vip = readers.mapping(
        where,
        value,
        (
            "address",
            "name",
            "virtual_router_id",
            "virtual_ipaddress",
            "virtual_ipaddress_excluded",
            "sync_group",
        ),
    )
    address = _free_address(f"{where}.address", vip.get("address"), nodes)
    for place, node in enumerate(nodes):
        link = node.link(index)
        if _family(link.address) == address.version:
            continue
        if node.links:
            raise SettingError(
                f"nodes[{place}].links[{index}].address",
                f"{link.address} of {node.name} is IPv{_family(link.address)} and {{{where}}} "
                f"({address.ip}) is IPv{address.version}; write the IPv{address.version} address "
                f"that the adverts of {node.name} come from",
            )
        raise SettingError(
            f"{where}.address",
            f"{address.ip} is IPv{address.version} and the nodes' addresses are "
            f"IPv{_family(link.address)}; adverts need one family: write the nodes' "
            f"IPv{address.version} addresses, or nodes[].links with an address for each of vips",
        )
    router_id = vip.get("virtual_router_id")
    further = _further(f"{where}.virtual_ipaddress", vip.get("virtual_ipaddress"), nodes)
    for place, other in enumerate(further):
        if other.version != address.version:
            raise SettingError(
                f"{where}.virtual_ipaddress[{place}]",
                f"{other.ip} is IPv{other.version} and {address.ip} is IPv{address.version}; the "
                "adverts have one family: write it in virtual_ipaddress_excluded",
            )
    if len(further) >= MOST_ADVERTISED:
        raise SettingError(
            f"{where}.virtual_ipaddress",
            f"has {len(further)} addresses; write at most {MOST_ADVERTISED - 1}, and the others in "
            "virtual_ipaddress_excluded",
        )
    excluded = _further(
        f"{where}.virtual_ipaddress_excluded", vip.get("virtual_ipaddress_excluded"), nodes
    )
    group = vip.get("sync_group") or ""
    return VirtualAddress(
        address=str(address),
        name=readers.word(
            f"{where}.name", vip.get("name") or "vip_" + re.sub(r"\W", "_", str(address.ip))
        ),
        virtual_router_id=None
        if router_id is None
        else readers.integer(f"{where}.virtual_router_id", router_id, 1, ROUTER_IDS),
        virtual_ipaddress=tuple(map(str, further)),
        virtual_ipaddress_excluded=tuple(map(str, excluded)),
        sync_group=readers.word(f"{where}.sync_group", group) if group else "",
    )


def _free_address(where: str, value: object, nodes: Sequence[PlannedNode]) -> InterfaceAddress:
    """A virtual address that no node has as its own."""
    address = virtual_address(where, value)
    host = str(address.ip)
    for node in nodes:
        if any(own == host for own, _option in node.own_addresses()):
            raise SettingError(
                where, f"{host} is {node.name}'s own address; write one that no host has"
            )
    return address


def _further(
    where: str, value: object, nodes: Sequence[PlannedNode]
) -> tuple[InterfaceAddress, ...]:
    return tuple(
        _free_address(at, item, nodes)
        for at, item in readers.items(where, [] if value is None else value)
    )


def _ask_for_distinct_addresses(vips: Sequence[VirtualAddress]) -> None:
    """No address may move with two of the vips, nor twice with one."""
    seen = {vip.address.split("/")[0]: f"vips[{i}].address" for i, vip in enumerate(vips)}
    for index, vip in enumerate(vips):
        for option in ("virtual_ipaddress", "virtual_ipaddress_excluded"):
            for place, address in enumerate(getattr(vip, option)):
                host = address.split("/")[0]
                where = f"vips[{index}].{option}[{place}]"
                if host in seen:
                    raise SettingError(where, f"{host} is {{{seen[host]}}} too; write it once")
                seen[host] = where


def _checks(where: str, value: object) -> tuple[RankedCheck, ...]:
    checks = []
    for at, item in readers.items(where, value, MOST_CHECKS):
        checks.append(_check(at, item))
    readers.unique(where, "name", [check.name for check in checks])
    files = {check.file_name: check.name for check in checks if check.event and check.poll}
    for index, name in enumerate(check.name for check in checks):
        if name in files:
            raise SettingError(
                f"{where}[{index}].name",
                f"{name} is the name of {files[name]}'s tracked file; write another",
            )
    return tuple(checks)


def _check(where: str, value: object) -> RankedCheck:
    given = readers.mapping(where, value, ("name", "weight", "event", "effect", "budget", "poll"))
    effect, budget = given.get("effect"), given.get("budget")
    check = RankedCheck(
        name=readers.word(f"{where}.name", given.get("name")),
        weight=_weight(f"{where}.weight", given.get("weight", "auto")),
        event=readers.flag(f"{where}.event", given.get("event", False)),
        effect=None if effect is None else readers.member_of(Effect)(f"{where}.effect", effect),
        budget=None if budget is None else readers.duration(f"{where}.budget", budget),
        poll=readers.flag(f"{where}.poll", given.get("poll", True)),
    )
    if not (check.poll or check.event):
        raise SettingError(
            f"{where}.poll",
            f"is false and so is event, so nothing would notice that {check.name} fails; write "
            "event: true for a tracked file, or poll: true for a script",
        )
    if check.effect is Effect.FAULT and check.weight:
        raise SettingError(
            f"{where}.weight",
            f"is {check.weight}, and effect: fault has no weight; write auto, or effect: rank",
        )
    if check.effect is Effect.RANK and check.weight == 0:
        raise SettingError(
            f"{where}.weight", "is 0, which is a fault; write auto, or effect: fault"
        )
    return check


def _priorities(where: str, value: object) -> tuple[int, ...]:
    return tuple(readers.integer(at, item, 1, 254) for at, item in readers.items(where, value))


def _preempt_delay(where: str, value: object) -> float:
    delay = readers.seconds(where, value)
    if delay > LONGEST_PREEMPT_DELAY:
        raise readers.wrong(where, value, f"a number of seconds from 0 to {LONGEST_PREEMPT_DELAY}")
    return delay


def _weight(where: str, value: object) -> int | None:
    if value is None or value == "auto":
        return None
    if isinstance(value, str) and _INTEGER.fullmatch(value):
        value = int(value)
    if isinstance(value, int) and 0 < value <= -LOWEST_WEIGHT and not isinstance(value, bool):
        raise SettingError(
            where,
            f"is {value}, which raises a node that passes; write {-value}, which lowers one that "
            "fails by as much",
        )
    if isinstance(value, bool) or not isinstance(value, int) or not LOWEST_WEIGHT <= value <= 0:
        raise readers.wrong(
            where, value, f"auto, 0 for a fault, or a number from {LOWEST_WEIGHT} to -1"
        )
    return value


_OPTIONS: Mapping[str, Callable[[str, object], Any]] = {
    "mode": readers.member_of(Mode),
    "preempt": readers.member_of(Preempt),
    "checks": _checks,
    "failover_budget": readers.duration,
    "node_loss_budget": readers.duration,
    "vrrp_version": readers.vrrp_version,
    "taken_virtual_router_ids": _router_ids,
    "keepalived_version": readers.version,
    "priorities": _priorities,
    "preempt_delay": _preempt_delay,
    "multicast": readers.flag,
    "move_files": readers.flag,
}
