# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stop, start and reload the MyCat of a host, by its unit or by `bin/mycat`, under a deadline.

`bin/mycat stop` itself waits without end, and `start` ends with 0 whatever came of it.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping

from ..network import mysql
from ..network.connection import NoAnswer
from . import wrapper_log
from .commands import CommandError, find, run
from .maintenance import await_
from .processes import process_field, process_ids, unit_of

USUAL_UNIT = "mycat.service"
NO_UNIT = "none"
#: There while somebody has stopped MyCat (role mycat).
STOPPED_MARK = "/var/lib/mycat_ha/mycat_stopped"
_HERE = "127.0.0.1"
_MARKER = "-mycat-"
_RELOAD_SECONDS = 20.0
_ENDED = ("inactive", "failed", "")
_SHOWN = "Id,LoadState,ActiveState,MainPID,PIDFile,ExecStart"
_KILLED = 5.0  # seconds that a killed process may take to go


class MyCatError(Exception):
    """Why MyCat was not stopped or started; the text is a sentence."""


class MyCat:
    """``unit`` is its unit, `NO_UNIT`, or empty: then it is found."""

    def __init__(self, home: str, pid_file: str = "", unit: str = "") -> None:
        self.pid_file = pid_file or f"{home}/logs/mycat.pid"
        self.log = f"{home}/logs/wrapper.log"
        self._home, self.unit = home, ""
        if unit != NO_UNIT:
            self.unit = unit or self._found_unit()

    @property
    def pid(self) -> int | None:
        """The id of its wrapper's process, None where it does not run."""
        try:
            with open(self.pid_file, encoding="ascii", errors="replace") as file:
                pid = int(file.read(32))
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                return pid if b"/bin/./wrapper" in file.read(65536) else None
        except (OSError, ValueError):
            return None

    @property
    def by_unit(self) -> bool:
        """Whether systemd runs it, or is about to start it again."""
        return bool(self.unit) and _shown(self.unit).get("ActiveState", "") not in _ENDED

    @property
    def control(self) -> str:
        """The control script that the archive brought; role mycat puts its own in its place."""
        own = f"{self._home}/bin/mycat"
        return f"{own}.orig" if os.path.exists(f"{own}.orig") else own

    @property
    def uid(self) -> int | None:
        """The user whom its wrapper's process belongs to."""
        try:
            return os.stat(f"/proc/{self.pid}").st_uid
        except OSError:
            return None

    def _found_unit(self) -> str:
        pid = self.pid
        for unit in (*([unit_of(pid)] if pid else []), USUAL_UNIT):
            shown = _shown(unit) if unit else {}
            runs_it = (
                shown.get("PIDFile") == self.pid_file
                or (pid and shown.get("MainPID") == str(pid))
                or f"{self._home}/bin/" in shown.get("ExecStart", "")
            )
            if shown.get("LoadState") == "loaded" and runs_it:
                return shown.get("Id", unit)
        return ""

    def stop(self, seconds: float) -> bool:
        """Stop it; return whether it had to be killed. Raises MyCatError."""
        pid = self.pid
        members = _tree(pid) if pid else []
        deadline = time.monotonic() + seconds
        if self.by_unit:
            _try([_systemctl(), "stop", self.unit], seconds)
        if _left(members):
            # A unit that lost its process unlinks the pid file when it is started.
            _try([self.control, "stop"], deadline - time.monotonic(), self.uid)
        if await_(lambda: not _left(members), deadline - time.monotonic(), every=0.1):
            return False
        for one in _left(members):
            with contextlib.suppress(ProcessLookupError):
                os.kill(one, signal.SIGKILL)
        if not await_(lambda: not _left(members), _KILLED, every=0.1):
            raise MyCatError(f"process {_left(members)[0]} of MyCat does not end even by SIGKILL")
        return True

    def start(self, seconds: float, uid: int | None, ready: Callable[[], bool]) -> None:
        """Start it, and wait until it is ready. Raises MyCatError."""
        began, known, refused = time.monotonic(), wrapper_log.size(self.log), ""
        if self.unit:
            with contextlib.suppress(CommandError):
                said = run([_systemctl(), "start", self.unit], seconds)
                refused = said.err.strip() if said.code else ""
        else:
            _try([self.control, "start"], seconds, uid)
        while not ready():
            age, ended = time.monotonic() - began, self.pid is None
            why = wrapper_log.complaint(self.log, known, ended) or (refused if ended else "")
            if why:
                raise MyCatError(f"MyCat does not start: {why} ({self.log})")
            if age > seconds:
                raise MyCatError(
                    f"MyCat is not ready {age:.0f} s after its start: read {self.log} and "
                    "mycat.log beside it"
                )
            time.sleep(0.2)


def greets(port: int) -> bool:
    """Whether a MyCat greets at its SQL port."""
    try:
        return _MARKER in mysql.greeting(_HERE, port, 2)
    except NoAnswer:
        return False


def reload_config(port: int, credentials_file: str) -> bool:
    """Have MyCat read its XML files anew, by its manager ``port``; whether it did."""
    try:
        with open(credentials_file, encoding="utf-8") as file:
            credentials = json.load(file)
        user, password = str(credentials["user"]), str(credentials["password"])
        mysql.query(_HERE, port, user, password, "reload @@config", _RELOAD_SECONDS)
    except (OSError, ValueError, LookupError, TypeError, NoAnswer):
        return False
    return True


def _systemctl() -> str:
    return find("systemctl") or "systemctl"


def _shown(unit: str) -> Mapping[str, str]:
    try:
        said = run([_systemctl(), "show", f"--property={_SHOWN}", "--", unit])
    except CommandError:
        return {}
    return dict(line.split("=", 1) for line in said.out.splitlines() if "=" in line)


def _tree(pid: int) -> list[int]:
    """A process and all that descend from it."""
    parents = {one: process_field(one, "PPid") for one in process_ids()}
    found = [pid]
    for one in found:
        found += [child for child, parent in parents.items() if parent == str(one)]
    return found


def _left(members: list[int]) -> list[int]:
    return [one for one in members if process_field(one, "State")[:1] not in ("", "Z")]


def _try(command: list[str], seconds: float, uid: int | None = None) -> None:
    """Run a command whose result shows elsewhere, for ``seconds`` at most.

    What it starts may keep its output open for good, so nobody reads that.
    """
    with contextlib.suppress(subprocess.TimeoutExpired):
        try:
            subprocess.run(  # noqa: S603 - no shell # pylint: disable=ansible-bad-function
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
                # With COLUMNS ps cuts its lines, and the script takes its own process for MyCat's.
                env={name: value for name, value in os.environ.items() if name != "COLUMNS"},
                timeout=max(seconds, 0.1),
                check=False,
                user=uid or None,
            )
        except OSError as error:
            raise MyCatError(f"{command[0]} cannot be run: {error.strerror}") from None
