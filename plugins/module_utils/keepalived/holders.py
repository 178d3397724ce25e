# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who holds each virtual address of a cluster, as one of its hosts and the network see it. Pure.

The host itself says what it holds. Of the others the network tells: whoever has an address answers
for it, and whoever is master says so. That is what clients depend on, and it needs no second host
to be reachable for Ansible.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from typing import Any

# A node with one of these may have the address, or may get it.
_IN_THE_ELECTION = ("BACKUP", "MASTER")
# RFC 5798 section 7.3: with virtual MACs the address tells the router, not the host.
_VIRTUAL_MAC = "00:00:5e:00:0"


def problems(
    host: str,
    info: Mapping[str, Any],
    probe: Mapping[str, Any],
    members: Mapping[str, Iterable[str]],
    former: Iterable[Mapping[str, Any]] = (),
) -> tuple[str, ...]:
    """What is wrong after ``host`` was changed, in sentences; nothing where nothing is.

    ``info`` and ``probe`` are what keepalived_info and vrrp_probe returned on it, ``members`` the
    Ethernet and IP addresses of each host. ``former`` are its instances before the change: one
    that was in FAULT then may be so still, whatever the change was.
    """
    if not info["running"]:
        return (f"keepalived does not run on {host}",)
    names = {mark.lower(): name for name, marks in members.items() for mark in marks}
    faulty = {instance["name"] for instance in former if instance["state"] == "FAULT"}
    found = [
        f"{instance['name']} is in {instance['state']} on {host}"
        for instance in info["instances"]
        if instance["state"] not in _IN_THE_ELECTION and instance["name"] not in faulty
    ]
    for instance in info["instances"]:
        found += _about_masters(host, instance, probe, names)
        held = {_ip(address) for address in instance["held"]}
        for line in (*instance["virtual_ipaddress"], *instance["virtual_ipaddress_excluded"]):
            address = _ip(line)
            holders = {host} if address in held else set()
            holders |= {_holder(mac, names) for mac in probe["holders"].get(address, ())}
            found += _about_holders(address, sorted(holders))
    return tuple(dict.fromkeys(found))


def _about_holders(address: str, holders: list[str]) -> list[str]:
    if not holders:
        return [f"nobody has {address}"]
    return [f"{' and '.join(holders)} have {address} at once"] if len(holders) > 1 else []


def _about_masters(
    host: str, instance: Mapping[str, Any], probe: Mapping[str, Any], names: Mapping[str, str]
) -> list[str]:
    family = next((ipaddress.ip_interface(a).version for a in instance["virtual_ipaddress"]), 4)
    masters = {host} if instance["state"] == "MASTER" else set()
    masters |= {
        names.get(heard["address"], heard["address"])
        for heard in probe["masters"]
        if heard["virtual_router_id"] == instance["virtual_router_id"]
        and ipaddress.ip_address(heard["address"]).version == family
    }
    if len(masters) < 2:
        return []
    return [f"{' and '.join(sorted(masters))} are master of {instance['name']} at once"]


def _holder(mac: str, names: Mapping[str, str]) -> str:
    return names.get(mac, "a load balancer" if mac.startswith(_VIRTUAL_MAC) else mac)


def _ip(address: str) -> str:
    return str(ipaddress.ip_interface(address).ip)
