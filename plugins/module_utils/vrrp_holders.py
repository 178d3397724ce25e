# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who holds each virtual address of a cluster, by what keepalived_info said of its hosts. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

# A node with one of these may have the address, or may get it.
_IN_THE_ELECTION = ("BACKUP", "MASTER")


@dataclass(frozen=True)
class Held:
    """A virtual address without prefix length, its one holder, and a host to look at it from."""

    address: str
    holder: str
    seen_from: str


@dataclass(frozen=True)
class Verdict:
    """``problems`` are sentences; ``held`` has the addresses with exactly one holder."""

    problems: tuple[str, ...]
    held: tuple[Held, ...]


def verdict(
    infos: Mapping[str, Mapping[str, Any]], host: str, former: Iterable[Mapping[str, Any]] = ()
) -> Verdict:
    """Judge a cluster after ``host`` was changed.

    ``infos`` has the answer of keepalived_info of each host, ``former`` the instances of ``host``
    before: an instance that was in FAULT then may be so still, whatever the change was.
    """
    silent = {name: info for name, info in infos.items() if "instances" not in info}
    asked = {name: info for name, info in infos.items() if name not in silent}
    problems = [f"{name} did not tell: {info.get('msg', '')}" for name, info in silent.items()]
    if host in asked:
        problems += _own_problems(host, asked[host], former)
    holders = {address: _holders(address, asked) for address in _addresses(asked.values())}
    for address, names in holders.items():
        if not names:
            problems.append(f"nobody has {address}")
        elif len(names) > 1:
            problems.append(f"{' and '.join(names)} have {address} at once")
    held = tuple(
        Held(address, names[0], next((name for name in asked if name != names[0]), names[0]))
        for address, names in holders.items()
        if len(names) == 1
    )
    return Verdict(tuple(problems), held)


def _own_problems(
    host: str, info: Mapping[str, Any], former: Iterable[Mapping[str, Any]]
) -> list[str]:
    if not info["running"]:
        return [f"keepalived does not run on {host}"]
    faulty = {instance["name"] for instance in former if instance["state"] == "FAULT"}
    return [
        f"{instance['name']} is in {instance['state']} on {host}"
        for instance in info["instances"]
        if instance["state"] not in _IN_THE_ELECTION and instance["name"] not in faulty
    ]


def _addresses(infos: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """The virtual addresses of the instances that run."""
    return tuple(
        dict.fromkeys(
            _ip(address)
            for info in infos
            if info["running"]
            for instance in info["instances"]
            for address in (
                *instance["virtual_ipaddress"],
                *instance["virtual_ipaddress_excluded"],
            )
        )
    )


def _holders(address: str, infos: Mapping[str, Mapping[str, Any]]) -> Sequence[str]:
    return [
        name
        for name, info in infos.items()
        if any(address == _ip(held) for instance in info["instances"] for held in instance["held"])
    ]


def _ip(address: str) -> str:
    return str(ipaddress.ip_interface(address).ip)
