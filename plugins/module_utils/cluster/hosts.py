# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host as the plan sees it: what the operator set, and what the host itself says. Pure."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field
from typing import Any, Mapping, Sequence

from ..keepalived.claims import carried
from ..keepalived.vips import FURTHER
from ..network.addresses import canonical, interface_addresses, is_address, respelled
from ..readers import SettingError

_NAME = re.compile(r"[A-Za-z0-9_.:-]+")
#: Of a host, in the DNS.
LONGEST_NAME = 253
# Behind these an engine of containers or virtual machines has networks of its own.
_ENGINE_BRIDGE = re.compile(r"(docker|podman|cni|virbr|lxcbr|lxdbr)\d+|br-[0-9a-f]{12}")


@dataclass(frozen=True)
class HostView:
    """``settings`` {role: {option: value}} and ``common`` (mycat_ha_*) are typed, ``given`` names
    the variables that somebody set, ``facts`` and ``state`` (of mycat.ha.host_state) are empty
    where the host does not answer; ``connection`` is what Ansible connects to."""

    name: str
    common: Mapping[str, Any]
    settings: Mapping[str, Mapping[str, Any]]
    given: frozenset[str]
    facts: Mapping[str, Any] = field(default_factory=dict)
    state: Mapping[str, Any] = field(default_factory=dict)
    connection: str = ""

    @property
    def reachable(self) -> bool:
        """Whether the host answered in this run."""
        return bool(self.state)

    @property
    def systemd(self) -> bool:
        """Whether systemd runs the host; true where nothing is known of it."""
        return bool(self.facts.get("service_mgr", "systemd") == "systemd")

    @property
    def instances(self) -> Sequence[Mapping[str, Any]]:
        """The VRRP instances of the keepalived that runs on the host."""
        return (self.state.get("keepalived") or {}).get("instances") or ()

    @property
    def virtual_addresses(self) -> set[str]:
        """The addresses, without prefix lengths, that the keepalived that runs may put on it."""
        return carried(self.instances)

    def version(self, program: str) -> str:
        """The version of a program that is on the host, empty where none is known."""
        return str((self.state.get("versions") or {}).get(program) or "")


def _of_facts(host: HostView, address: object) -> str:
    """An address that a host says it has. Raises SettingError for what nobody reaches it by."""
    if not is_reachable(str(address)):
        raise SettingError(
            "mycat_ha_address",
            f"{host.name} says that its address is {str(address)!r}, by which no other host "
            "reaches it; mend its network, or write its address",
        )
    return str(address)


def is_reachable(text: str) -> bool:
    """Whether others can reach a host by this address; not by a name, 0.0.0.0 or 127.0.0.1."""
    if not is_address(text):
        return False
    address = ipaddress.ip_address(text)
    nobodys = address.is_unspecified or address.is_multicast or address.is_reserved
    return not nobodys and not address.is_loopback


def address_of(host: HostView) -> str:
    """The address by which others reach a host. Raises SettingError where nothing tells it."""
    given = host.common.get("mycat_ha_address")
    if given:
        if not _NAME.fullmatch(given) or len(given) > LONGEST_NAME:
            raise SettingError(
                "mycat_ha_address",
                f"is {given!r} for {host.name}; write an IP address or a host name",
            )
        return str(given)
    for family in ("ipv4", "ipv6"):
        default = (host.facts.get(f"default_{family}") or {}).get("address")
        every = [default, *(host.facts.get(f"all_{family}_addresses") or ())] if default else []
        for address in every:
            # A virtual one comes first on a host that lost its own address for a moment.
            if str(address) not in host.virtual_addresses:
                return _of_facts(host, address)
    # What is forwarded to the controller is no address for others.
    if is_address(host.connection) and not ipaddress.ip_address(host.connection).is_loopback:
        return host.connection
    raise SettingError(
        "mycat_ha_address",
        f"no address of {host.name} is known: the host was not reached, and neither the inventory "
        "nor the fact cache tells it; write it for that host",
    )


def own_addresses(host: HostView, reached: Sequence[str] = ()) -> list[str]:
    """All addresses of its own that a host may send from to those that are ``reached``: without
    link-local ones, and those of container engines whose networks have none of them."""
    aside = {
        str(own.ip)
        for name, owns in (interface_addresses(host.facts) if "interfaces" in host.facts else ())
        for own in owns
        if _ENGINE_BRIDGE.fullmatch(name)
        and not any(ipaddress.ip_address(other) in own.network for other in reached)
    }
    usable = [
        address
        for address in known_addresses(host)
        if not _on_one_link(address) and address not in {*host.virtual_addresses, *aside}
    ]
    return usable or [address_of(host)]


def known_addresses(host: HostView) -> list[str]:
    """All addresses that the facts of a host tell."""
    return [
        _of_facts(host, address)
        for family in ("ipv4", "ipv6")
        for address in host.facts.get(f"all_{family}_addresses") or ()
    ]


def _on_one_link(address: str) -> bool:
    return ipaddress.ip_address(address).is_link_local


def answering_port(host: HostView) -> int:
    """The port at which each VIP of a load balancer's cluster answers; 0: none need answer."""
    asked = host.settings.get("keepalived", {}).get("keepalived_verify_port")
    if asked is not None:
        return int(asked)
    bind = (host.settings.get("haproxy") or {}).get("haproxy_mycat_bind") or "*:8066"
    words = str(bind).split(",", maxsplit=1)[0].rpartition(":")[2].split() or [""]
    return int(words[0]) if words[0].isdigit() else 0


def vips_of(host: HostView) -> list[str]:
    """The virtual IPs of a load balancer's cluster with their prefix lengths."""
    return [str(vip.get("address") or "") for vip in _vips(host)]


def all_virtual_addresses(host: HostView) -> set[str]:
    """The virtual IPs of a load balancer's cluster and what moves along with them, without
    prefix lengths."""
    lines = [str(line) for vip in _vips(host) for key in FURTHER for line in vip.get(key) or ()]
    return {canonical(text) for text in (*vips_of(host), *lines) if text}


def _vips(host: HostView) -> list[dict[str, Any]]:
    return host.settings.get("keepalived", {}).get("keepalived_vips") or folded_vips(host.common)


def folded_vips(common: Mapping[str, Any]) -> list[dict[str, Any]]:
    """keepalived_vips as mycat_ha_vips or mycat_ha_vip says it."""
    if common.get("mycat_ha_vips"):
        return list(map(respelled_vip, common["mycat_ha_vips"]))
    return (
        [respelled_vip({"address": common["mycat_ha_vip"]})] if common.get("mycat_ha_vip") else []
    )


def respelled_vip(vip: Mapping[str, Any]) -> dict[str, Any]:
    """A VIP with all its addresses in their one spelling, by which they can be compared."""
    given = dict(vip)
    if isinstance(given.get("address"), str):
        given["address"] = respelled(given["address"])
    for key in FURTHER:
        if given.get(key):
            given[key] = [respelled(str(line)) for line in given[key]]
    return given
