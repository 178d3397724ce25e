# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A MyCat on this host: drained, stopped, started, and what it says of a start that fails."""

from __future__ import annotations

import contextlib
import json
import os
import re
import time
from collections.abc import Callable

from ..network import mysql
from ..network.connection import NoAnswer
from . import draining, endpoint, wrapper_log
from .commands import CommandError, run
from .processes import PROC, port_of

UNIT = "mycat.service"
#: There while somebody has stopped MyCat.
STOPPED_MARK = "/var/lib/mycat_ha/mycat_stopped"
MARKER = "-mycat-"
HERE = "127.0.0.1"
READY_BUT_DRAINING = 404
_ESTABLISHED = "01"
_LOOPBACK = ("0100007F", "00000000000000000000000001000000", "0000000000000000FFFF00000100007F")
_REASON = re.compile(r"\w*(?:Exception|Error): .*|Unrecognized VM option .*|Unable to start JVM.*")
_STOP_SECONDS = 90.0
_RELOAD_SECONDS = 20.0


class ServiceError(Exception):
    """MyCat did not do as it was told; the text is a sentence."""


def unit_runs() -> bool:
    """Whether systemd runs MyCat, or is about to start it again."""
    said = run(["systemctl", "show", "--property=ActiveState", "--value", UNIT])
    return said.out.strip() not in ("inactive", "failed", "")


def script_of(home: str) -> str:
    """The control script that the archive brought."""
    own = f"{home}/bin/mycat.orig"
    return own if os.path.exists(own) else f"{home}/bin/mycat"


def runs(home: str) -> bool:
    """Whether the MyCat of this home runs, whoever started it."""
    script = script_of(home)
    # With COLUMNS ps cuts its lines, and the script takes its own process for another one.
    return os.path.exists(script) and run(["env", "-u", "COLUMNS", script, "status"]).code == 0


def sessions(port: int) -> int:
    """How many sessions of other hosts there are at a port."""
    found = 0
    for table in ("tcp", "tcp6"):
        with contextlib.suppress(FileNotFoundError), open(f"{PROC}/net/{table}") as file:
            for row in [line.split() for line in file][1:]:
                if row[3] == _ESTABLISHED and port_of(row[1]) == port:
                    found += row[2].partition(":")[0] not in _LOOPBACK
    return found


def drain(port: int, notice: float, seconds: float) -> bool:
    """Let the health endpoint say 404, and wait until no session of another host is left.

    ``notice`` are the seconds until all load balancers know, ``seconds`` those that sessions get.
    Returns whether it was this that drained MyCat.
    """
    if not os.path.isdir(os.path.dirname(draining.FILE)):
        return False
    if not draining.drain("mycat.ha: a change of MyCat"):
        return False
    time.sleep(notice)
    deadline = time.monotonic() + seconds
    while sessions(port) and time.monotonic() < deadline:
        time.sleep(0.2)
    return True


def stop(home: str) -> None:
    """Stop MyCat, whoever started it. Raises ServiceError."""
    try:
        run(["systemctl", "stop", UNIT], _STOP_SECONDS)
        if runs(home):
            run(["env", "-u", "COLUMNS", script_of(home), "stop"], _STOP_SECONDS)
    except CommandError as error:
        raise ServiceError(f"MyCat cannot be stopped: {error}") from None
    # It was no person who stopped it.
    with contextlib.suppress(FileNotFoundError):
        os.unlink(STOPPED_MARK)


def reload(port: int, credentials_file: str) -> bool:
    """Have MyCat read its XML files anew, by its manager ``port``; whether it did."""
    try:
        with open(credentials_file, encoding="utf-8") as file:
            credentials = json.load(file)
        user, password = str(credentials["user"]), str(credentials["password"])
        mysql.query(HERE, port, user, password, "reload @@config", _RELOAD_SECONDS)
    except (OSError, ValueError, LookupError, TypeError, NoAnswer):
        return False
    return True


def start(home: str, port: int, seconds: float, endpoint_port: int = 0) -> None:
    """Start MyCat and wait until it greets, and, with ``endpoint_port``, is ready but draining.

    Raises ServiceError with the reason that MyCat gives.
    """
    log = f"{home}/logs/wrapper.log"
    before = wrapper_log.size(log)
    run(["systemctl", "enable", "--quiet", UNIT])
    started = run(["systemctl", "start", UNIT], seconds)
    if started.code:
        raise ServiceError(f"systemd does not start MyCat: {started.err.strip()}")
    _await(lambda: _greets(port), seconds, log, before)
    if endpoint_port:
        _await(lambda: _ready(endpoint_port), seconds, log, before)


def _await(condition: Callable[[], bool], seconds: float, log: str, before: int) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        reason = failure(log, before)
        if reason:
            raise ServiceError(f"MyCat does not start: {reason} ({log})")
        if time.monotonic() > deadline:
            raise ServiceError(
                f"MyCat is not ready {seconds:g} s after its start; see {log}, and "
                f"{os.path.dirname(log)}/mycat.log"
            )
        time.sleep(0.2)


def _greets(port: int) -> bool:
    try:
        return MARKER in mysql.greeting(HERE, port, 2)
    except NoAnswer:
        return False


def _ready(port: int) -> bool:
    return endpoint.ask(HERE, port, 2)["code"] in (READY_BUT_DRAINING, 200)


def failure(log: str, before: int) -> str:
    """The reason in the part of wrapper.log behind ``before`` bytes, "" where there is none."""
    found = _REASON.search(wrapper_log.since(log, before))
    return found.group().strip() if found else ""
