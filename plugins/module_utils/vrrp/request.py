# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a plan is asked for, and how it is read from ``vrrp_plan``'s options.

Whatever is no request raises ``ModelError``, whose text names the option and says what to write
instead.
"""

from __future__ import annotations

import enum
import ipaddress
import re
from dataclasses import dataclass
from typing import Any, Callable, Mapping, Sequence, Union

from . import options
from .model import ModelError

MOST_NODES = 100
MOST_CHECKS = 100
ROUTER_IDS = 255
LOWEST_WEIGHT = -253
FILES_SINCE = (2, 0, 0)

InterfaceAddress = Union[ipaddress.IPv4Interface, ipaddress.IPv6Interface]

_INTEGER = re.compile(r"[+-]?[0-9]{1,4}")


class Mode(enum.Enum):
    """What a failed check does to its node."""

    FAULT = "fault"
    WEIGHT = "weight"
    KILL = "kill"


class Preempt(enum.Enum):
    """Where an address is once everything is well again."""

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
    """A check to plan for. ``weight`` None: the plan decides. ``event``: a tracked file, 1 for
    down, reports the end of what is watched at once, besides the polling."""

    name: str
    weight: int | None = None
    event: bool = False

    @property
    def file_name(self) -> str:
        """The name of the tracked file. It differs from the script's, since either can fail
        without the other: a process that hangs has not ended."""
        return f"{self.name}_process"


@dataclass(frozen=True)
class Request:
    """Everything that a plan depends on. ``nodes`` are in order of preference, ``checks`` in
    order of severity; the budgets are seconds without service."""

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


def read_request(data: Mapping[str, object]) -> Request:
    """The request in ``vrrp_plan``'s options. Absent options take the defaults of ``Request``."""
    given = {option: value for option, value in data.items() if value is not None}
    unknown = sorted(set(given) - {"nodes", "vips", *_OPTIONS})
    if unknown:
        raise ModelError(unknown[0], "is not an option of a plan; leave it out")
    nodes = _nodes(given.get("nodes", []))
    request = Request(
        nodes=nodes,
        vips=_vips(given.get("vips", []), nodes),
        **{
            option: read(option, given[option])
            for option, read in _OPTIONS.items()
            if option in given
        },
    )
    _supported(request)
    return request


def _supported(request: Request) -> None:
    """Raises ModelError for what VRRP or the nodes' keepalived does not know."""
    if request.vrrp_version == 2 and _family(request.nodes[0].address) == 6:
        raise ModelError("vrrp_version", "is 2, which knows IPv4 only; write 3")
    if request.keepalived_version < FILES_SINCE:
        for index, check in enumerate(request.checks):
            if check.event and request.mode is not Mode.KILL:
                raise ModelError(
                    f"checks[{index}].event",
                    "needs the tracked files of keepalived 2.0.0 or newer; write false, or "
                    "mode: kill",
                )


def virtual_address(where: str, value: object) -> InterfaceAddress:
    """An address with its prefix that hosts can have: not a network's own or its broadcast
    address, nor loopback or multicast."""
    try:
        if not isinstance(value, str) or "/" not in value or "%" in value:
            raise ValueError
        address = ipaddress.ip_interface(value)
    except ValueError:
        raise options.wrong(where, value, "an address and its prefix like 192.0.2.100/24") from None
    return _usable(where, address)


def _host_address(where: str, value: object) -> str:
    address = ipaddress.ip_address(options.address(where, value))
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
        raise ModelError(where, f"{address} cannot be used: {problem}; write another address")
    return address


def _router_ids(where: str, value: object) -> tuple[int, ...]:
    return tuple(
        options.integer(at, item, 1, ROUTER_IDS) for at, item in options.items(where, value)
    )


def _nodes(value: object) -> tuple[PlannedNode, ...]:
    nodes = []
    for where, item in options.items("nodes", value):
        node = options.mapping(where, item, ("name", "address", "interface"))
        interface = node.get("interface") or ""
        nodes.append(
            PlannedNode(
                name=options.word(f"{where}.name", node.get("name")),
                address=_host_address(f"{where}.address", node.get("address")),
                interface=options.word(f"{where}.interface", interface) if interface else "",
            )
        )
    if len(nodes) < 2:
        given = f"only {nodes[0].name} is given" if nodes else "none is given"
        raise ModelError("nodes", f"{given}; give at least two, or nothing can take over")
    if len(nodes) > MOST_NODES:
        raise ModelError("nodes", f"{len(nodes)} are given; give at most {MOST_NODES}")
    options.unique("nodes", "name", [node.name for node in nodes])
    options.unique("nodes", "address", [node.address for node in nodes])
    if len({_family(node.address) for node in nodes}) > 1:
        raise ModelError("nodes", "addresses are IPv4 and IPv6; write one family for all nodes")
    return tuple(nodes)


def _family(address: str) -> int:
    return ipaddress.ip_interface(address).version


def _vips(value: object, nodes: Sequence[PlannedNode]) -> tuple[VirtualAddress, ...]:
    owners = {node.address: node.name for node in nodes}
    family = _family(nodes[0].address)
    vips = []
    for where, item in options.items("vips", value):
        vip = options.mapping(where, item, ("address", "name", "virtual_router_id"))
        address = virtual_address(f"{where}.address", vip.get("address"))
        host = str(address.ip)
        if host in owners:
            raise ModelError(
                f"{where}.address",
                f"{host} is {owners[host]}'s own address; write one that no host has",
            )
        if address.version != family:
            raise ModelError(
                f"{where}.address",
                f"{host} is IPv{address.version} and the nodes' addresses are IPv{family}; adverts "
                f"need one family: write the nodes' IPv{address.version} addresses, or make a plan "
                "of its own for this one",
            )
        router_id = vip.get("virtual_router_id")
        vips.append(
            VirtualAddress(
                address=str(address),
                name=options.word(
                    f"{where}.name", vip.get("name") or "vip_" + re.sub(r"\W", "_", host)
                ),
                virtual_router_id=None
                if router_id is None
                else options.integer(f"{where}.virtual_router_id", router_id, 1, ROUTER_IDS),
            )
        )
    if not vips:
        raise ModelError("vips", "none is given; give at least one like 192.0.2.100/24")
    if len(vips) > ROUTER_IDS:
        raise ModelError("vips", f"{len(vips)} are given; one network has {ROUTER_IDS} router ids")
    options.unique("vips", "address", [vip.address.split("/")[0] for vip in vips])
    options.unique("vips", "name", [vip.name for vip in vips])
    return tuple(vips)


def _checks(where: str, value: object) -> tuple[RankedCheck, ...]:
    checks = []
    for at, item in options.items(where, value, MOST_CHECKS):
        check = options.mapping(at, item, ("name", "weight", "event"))
        checks.append(
            RankedCheck(
                name=options.word(f"{at}.name", check.get("name")),
                weight=_weight(f"{at}.weight", check.get("weight", "auto")),
                event=options.flag(f"{at}.event", check.get("event", False)),
            )
        )
    options.unique(where, "name", [check.name for check in checks])
    files = {check.file_name: check.name for check in checks if check.event}
    for index, name in enumerate(check.name for check in checks):
        if name in files:
            raise ModelError(
                f"{where}[{index}].name",
                f"{name} is the name of {files[name]}'s tracked file; write another",
            )
    return tuple(checks)


def _weight(where: str, value: object) -> int | None:
    if value is None or value == "auto":
        return None
    if isinstance(value, str) and _INTEGER.fullmatch(value):
        value = int(value)
    if isinstance(value, int) and 0 < value <= -LOWEST_WEIGHT and not isinstance(value, bool):
        raise ModelError(
            where,
            f"is {value}, which raises a node that passes; write {-value}, which lowers one that "
            "fails by as much",
        )
    if isinstance(value, bool) or not isinstance(value, int) or not LOWEST_WEIGHT <= value <= 0:
        raise options.wrong(
            where, value, f"auto, 0 for a fault, or a number from {LOWEST_WEIGHT} to -1"
        )
    return value


_OPTIONS: Mapping[str, Callable[[str, object], Any]] = {
    "mode": options.member_of(Mode),
    "preempt": options.member_of(Preempt),
    "checks": _checks,
    "failover_budget": options.duration,
    "node_loss_budget": options.duration,
    "vrrp_version": options.vrrp_version,
    "taken_virtual_router_ids": _router_ids,
    "keepalived_version": options.version,
}
