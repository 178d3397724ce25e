# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Processes and TCP listeners of a host, read from /proc (proc(5)) without another program."""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Callable, Collection, Iterator, Mapping

PROC = "/proc"
_LISTEN = "0A"
# TIME_WAIT, CLOSE: of no process, and in no listener's way.
_ENDED = ("06", "07")
UNKNOWN = "unknown"
# Until their program runs it has other names: a number in systemd's executor, setpriv, python3.
_ENDPOINT_OF = {"mycat_status.service": "mycat_status", "xinetd.service": "xinetd"}


def process_ids() -> list[int]:
    """Return the ids of all processes, in rising order."""
    return sorted(int(name) for name in os.listdir(PROC) if name.isdigit())


def process_field(pid: int | str, name: str) -> str:
    """Return a field of /proc/<pid>/status, empty where there is none (any more)."""
    try:
        with open(f"{PROC}/{pid}/status", encoding="ascii", errors="replace") as file:
            found = [line.split(":", 1)[1].strip() for line in file if line.startswith(f"{name}:")]
    except OSError:
        return ""
    return found[0] if found else ""


def process_name(pid: int) -> str:
    """Return the name of a process, empty where it ended."""
    try:
        with open(f"{PROC}/{pid}/comm", encoding="utf-8", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return ""


def unit_of(pid: int) -> str:
    """Return the service of systemd that a process belongs to, empty where it is of none."""
    try:
        with open(f"{PROC}/{pid}/cgroup", encoding="utf-8", errors="replace") as file:
            found = re.findall(r"/([^/\n]+\.service)\b", file.read())
    except OSError:
        return ""
    return found[-1] if found else ""


def start_of(pid: int) -> float | None:
    """Return when a process started, as time.time() counts; None without such a process."""
    try:
        with open(f"{PROC}/{pid}/stat", encoding="ascii", errors="replace") as file:
            # Field 22, in clock ticks since the boot. The second one may hold anything.
            ticks = int(file.read().rpartition(")")[2].split()[19])
    except OSError:
        return None
    age = time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
    return time.time() - age


# --- listeners ------------------------------------------------------------------------------------


def listening() -> dict[str, tuple[str, str]]:
    """Return this network namespace's TCP listeners as {inode: (table, address)}."""
    return _sockets(lambda state: state == _LISTEN)


def _sockets(wanted: Callable[[str], bool]) -> dict[str, tuple[str, str]]:
    """The TCP sockets in a wanted state, as {inode: (table, own address)}."""
    found = {}
    for table in ("tcp", "tcp6"):
        # A kernel without IPv6 has no tcp6.
        with contextlib.suppress(FileNotFoundError), open(f"{PROC}/net/{table}") as file:
            rows = [line.split() for line in file][1:]
            found.update({row[9]: (table, row[1]) for row in rows if wanted(row[3])})
    return found


def port_of(address: str) -> int:
    """Return the port of an address as /proc/net/tcp writes it."""
    return int(address.rpartition(":")[2], 16)


def sockets_of(pid: int) -> set[str]:
    """Return the inodes, as text, of the sockets that a process has open."""
    return set(_sockets_of(pid))


def _sockets_of(pid: int) -> Iterator[str]:
    with contextlib.suppress(OSError):  # it ended
        for entry in os.scandir(f"{PROC}/{pid}/fd"):
            with contextlib.suppress(OSError):  # closed since
                kind, _bracket, inode = os.readlink(entry.path).partition(":[")
                if kind == "socket":
                    yield inode.rstrip("]")


def listeners(ports: Collection[int]) -> dict[int, list[str]]:
    """Return the names of the processes that listen on each port, ``UNKNOWN`` for a hidden one."""
    return _owners(ports, listening())


def connected(ports: Collection[int]) -> dict[int, list[str]]:
    """Return the names of the processes with a connection that has one of the ports as its own."""
    return _owners(ports, _sockets(lambda state: state not in (_LISTEN, *_ENDED)))


def _owners(ports: Collection[int], sockets: Mapping[str, tuple[str, str]]) -> dict[int, list[str]]:
    found: dict[int, set[str]] = {port: set() for port in ports}
    wanted = {
        inode: port
        for inode, (_table, address) in sockets.items()
        for port in [port_of(address)]
        if port in found
    }
    unseen = set(wanted)
    for pid in process_ids() if wanted else ():
        for inode in _sockets_of(pid):
            if inode in wanted:
                found[wanted[inode]].add(
                    _ENDPOINT_OF.get(unit_of(pid)) or process_name(pid) or UNKNOWN
                )
                unseen.discard(inode)
    for inode in unseen:
        found[wanted[inode]].add(UNKNOWN)
    return {port: sorted(names) for port, names in found.items()}
