# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host tells of itself, part by part, as `host_state` returns it under the same names."""

from __future__ import annotations

import functools
import os
import pwd
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from ..network import mysql
from ..network.connection import NoAnswer
from . import endpoint, packages, units
from .background import in_background
from .commands import find, run
from .files import described, exposed, read_text
from .problems import Problems
from .processes import connected, listeners

RESERVED_PORTS = "/proc/sys/net/ipv4/ip_local_reserved_ports"
#: By it systemd-tmpfiles makes what keepalived's hook needs.
STATE_TMPFILES = "/etc/tmpfiles.d/mycat_ha_state.conf"
_LINK = re.compile(r"^L\+ (\S+\.prom) ", re.MULTILINE)
STATEMENT = "show mycat_status"
MOST_HASHED = 64 * 1024 * 1024  # bytes


def files_state(paths: Iterable[str], problems: Problems) -> dict[str, Any]:
    """Return ``files``."""
    found: dict[str, Any] = {}
    folders: dict[str, str] = {}
    for path in paths:
        found[path], problem = described(path, MOST_HASHED)
        folder = os.path.dirname(path)
        if folder not in folders:
            folders[folder] = exposed(path)
        found[path]["exposed"] = folders[folder]
        if problem:
            problems.sentences.append(f"files: {problem}")
    return found


def has_account(name: str) -> bool:
    """Return whether there is a user of this name."""
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


def packages_state(names: Sequence[str]) -> Mapping[str, str | None]:
    """Return ``packages``. Raises CommandError, and LookupError without a package manager."""
    found = packages.versions(names)
    if found is None:
        raise LookupError("this host has neither dpkg nor rpm")
    return found


def shown_units(names: Iterable[str]) -> list[units.Properties]:
    """Return the properties of units, as systemd tells them. Raises CommandError, LookupError."""
    systemctl = find("systemctl")
    said = run([systemctl, *units.SHOW, "--", *names]) if systemctl else None
    if not said or not said.out.strip():
        raise LookupError(said.err.strip() if said else "this host has no systemd")
    return units.blocks(said.out)


def program_version(
    program: str, argument: str, version: Callable[[str], str | None]
) -> str | None:
    """Return the version that a program prints, None without such a program."""
    path = find(program)
    if path is None:
        return None
    said = run([path, argument])
    return version(said.out + said.err) or None


def memory() -> int:
    """Return ``memory``."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20


def endpoint_ports(paths: Iterable[str]) -> list[int]:
    """Return ``endpoint_ports``. Raises OSError."""
    return endpoint.ports_of(*(read_text(path) for path in paths))


def ask_endpoint(wanted: int | None, ports: Sequence[int], seconds: float) -> dict[str, Any] | None:
    """Return ``endpoint``; it is asked at a port that it has."""
    if not wanted:
        return None
    port = wanted if wanted in ports or not ports else ports[0]
    said = endpoint.ask(endpoint.HERE, port, seconds)
    if said["code"] is None and not listeners([port])[port]:
        said["reason"] += f"; {endpoint.why_nobody_listens(port, connected([port])[port])}"
    return said


def reserved_ports() -> str | None:
    """Return ``reserved_ports``. Raises OSError."""
    if not os.access(RESERVED_PORTS, os.W_OK):
        return None
    # The kernel refuses to be asked for more than 4 MiB.
    return read_text(RESERVED_PORTS, most=65536).strip()


def metrics_links(tmpfiles: str) -> list[str]:
    """Return ``metrics_links`` as the text of STATE_TMPFILES has them."""
    return _LINK.findall(tmpfiles)


def ask_vip(vip: Mapping[str, Any], login: Mapping[str, str] | None, seconds: float) -> str:
    """Return ``ok``, or why there was no good answer."""
    address, port = vip["address"], vip["port"]
    try:
        if not login:
            mysql.greeting(address, port, seconds)
            return "ok"
        rows = mysql.query(address, port, login["user"], login["password"], STATEMENT, seconds)
    except NoAnswer as problem:
        return str(problem)
    status = rows[0].get("STATUS") if rows else None
    return "ok" if status == "ON" else f"{STATEMENT} says {status}"


def ask_vips(
    vips: Iterable[Mapping[str, Any]], login: Mapping[str, str] | None, seconds: float
) -> dict[str, Callable[[], str]]:
    """Ask all at once; return {name: function that waits for the answer}."""
    return {
        f"{vip['address']}:{vip['port']}": in_background(
            functools.partial(ask_vip, vip, login, seconds)
        )
        for vip in vips
    }
