# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What keepalived does on a host: from what it recorded, and asked only where that will not do."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, replace
from typing import Any

from ..host import units
from ..host.addresses import Addresses
from ..host.commands import find
from ..host.files import read_text
from ..host.problems import Problems, iso
from ..host.processes import start_of
from ..vrrp.model import Node
from . import dump, recorded
from .config_test import masked
from .process import find_daemon, from_daemon
from .reader import parse
from .tree import parse_tree

STATES = "/run/mycat_ha/state"
_PROGRAM = "keepalived"
_MOST_STATE = 100  # bytes
_PART = "keepalived"


def state(
    path: str,
    version: str,
    unit: units.Properties,
    addresses: Addresses,
    problems: Problems,
    seconds: float,
) -> Mapping[str, Any] | None:
    """Return ``keepalived`` of host_state, None where there is none.

    ``path`` is that of its configuration, ``version`` that of the program (empty without one),
    ``unit`` are the properties of its unit; an answer of the daemon may take ``seconds``.
    """
    text = problems.part(_PART, lambda: read_text(path), "")
    pid = problems.part(_PART, find_daemon, None)
    if not text and pid is None and not version:
        return None
    host = platform.node()
    node = problems.part(f"{_PART}: {path}", lambda: parse(text, host).node, None) if text else None

    def ask() -> Collection[dump.InstanceState]:
        if pid is None:
            return ()
        program = find(_PROGRAM) or os.readlink(f"/proc/{pid}/exe")
        statements = parse_tree(text, host.split(".")[0]).statements if node else ()
        found = from_daemon(program, version, pid, statements, seconds)
        # It may have become master, or standby, since they were read.
        addresses.read_again()
        return found

    none: list[tuple[dump.InstanceState, float | None]] = []
    found = problems.part(_PART, lambda: _instances(node, pid, addresses.present, ask), none)
    return {
        "running": pid is not None,
        "pid": pid,
        "version": version,
        "loaded_is_file": problems.part(_PART, lambda: _has_loaded(path, pid, unit), None),
        "text": masked(text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")),
        "instances": [
            _instance_data(instance, since, addresses.present) for instance, since in found
        ],
    }


def recorded_state(instance: str) -> recorded.Recorded | None:
    """Return what the notify script recorded of an instance, None where it did not."""
    path = os.path.join(STATES, recorded.file_name(instance))
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    with open(descriptor, "rb") as file:
        since = os.fstat(descriptor).st_mtime
        text = file.read(_MOST_STATE)
    return recorded.Recorded(text.decode("ascii", "replace").strip(), since)


def _instances(
    node: Node | None,
    pid: int | None,
    present: Collection[str],
    ask: Callable[[], Collection[dump.InstanceState]],
) -> list[tuple[dump.InstanceState, float | None]]:
    """Return each instance, and since when it is in its state (seconds since 1970).

    ``node`` is the configuration, ``pid`` that of the daemon; ``ask`` asks the daemon.
    """
    configured = dump.stopped(node) if node else ()
    if pid is None or (node and not configured):
        return [(instance, None) for instance in configured]
    started = start_of(pid) or time.time()
    found: list[tuple[dump.InstanceState, float | None]] = []
    for instance in configured:
        record = recorded_state(instance.name)
        if record and recorded.agrees(record, instance, present, started):
            found.append((replace(instance, state=record.state), record.since))
    if node and len(found) == len(configured):
        return found
    return [(instance, instance.last_transition) for instance in ask()]


def _instance_data(
    instance: dump.InstanceState, since: float | None, present: Collection[str]
) -> dict[str, Any]:
    data = asdict(instance)
    del data["last_transition"]
    data["since"] = None if since is None else iso(since)
    data["held"] = dump.held(instance, present)
    return data


def _has_loaded(path: str, pid: int | None, unit: units.Properties) -> bool | None:
    """Return whether a process has read the file as it is, None where nothing tells."""
    started = start_of(pid) if pid else None
    if started is None or not os.path.exists(path):
        return None
    return dump.has_loaded(os.stat(path).st_ctime, started, units.last_change(unit, pid))
