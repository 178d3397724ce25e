# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host as the plan sees it: what the operator set, and what the host itself says. Pure."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field
from typing import Any, Mapping, Sequence

from ..readers import SettingError

_NAME = re.compile(r"[A-Za-z0-9_.:-]+")


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

    def version(self, program: str) -> str:
        """The version of a program that is on the host, empty where none is known."""
        return str((self.state.get("versions") or {}).get(program) or "")


def address_of(host: HostView) -> str:
    """The address by which others reach a host. Raises SettingError where nothing tells it."""
    given = host.common.get("mycat_ha_address")
    if given:
        if not _NAME.fullmatch(given):
            raise SettingError(
                "mycat_ha_address",
                f"is {given!r} for {host.name}; write an IP address or a host name",
            )
        return str(given)
    for family in ("default_ipv4", "default_ipv6"):
        address = (host.facts.get(family) or {}).get("address")
        if address:
            return str(address)
    if host.connection and _is_address(host.connection):
        return host.connection
    raise SettingError(
        "mycat_ha_address",
        f"no address of {host.name} is known: the host was not reached, and neither the inventory "
        "nor the fact cache tells it; write it for that host",
    )


def own_addresses(host: HostView) -> list[str]:
    """All addresses that a host may send from, without link-local ones."""
    known = [
        *(host.facts.get("all_ipv4_addresses") or ()),
        *(host.facts.get("all_ipv6_addresses") or ()),
    ]
    usable = [str(address) for address in known if not _on_one_link(str(address))]
    return usable or [address_of(host)]


def _on_one_link(address: str) -> bool:
    return ipaddress.ip_address(address).is_link_local


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def answering_port(host: HostView) -> int:
    """The port at which each VIP of a load balancer's cluster answers; 0: none need answer."""
    asked = host.settings.get("keepalived", {}).get("keepalived_verify_port")
    if asked is not None:
        return int(asked)
    bind = (host.settings.get("haproxy") or {}).get("haproxy_mycat_bind") or "*:8066"
    words = str(bind).split(",", maxsplit=1)[0].rpartition(":")[2].split() or [""]
    return int(words[0]) if words[0].isdigit() else 0


def vips_of(host: HostView) -> list[str]:
    """The virtual IPs of a load balancer's cluster, as the operator wrote them."""
    given = host.settings.get("keepalived", {}).get("keepalived_vips") or folded_vips(host.common)
    return [str(vip.get("address") or "") for vip in given]


def folded_vips(common: Mapping[str, Any]) -> list[dict[str, Any]]:
    """keepalived_vips as mycat_ha_vips or mycat_ha_vip says it."""
    if common.get("mycat_ha_vips"):
        return list(common["mycat_ha_vips"])
    return [{"address": common["mycat_ha_vip"]}] if common.get("mycat_ha_vip") else []
