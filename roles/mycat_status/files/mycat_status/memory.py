# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a check has to know of the checks before it, kept in a file that all processes share.

Two judgements rest on it. *Ready once, then alive*: a MyCat is ready when a query has once gone
through to a database since it was started; later a database that fails is not MyCat's fault.
*Hysteresis*: a MyCat that failed twice in a row, which is when HAProxy takes it out, must pass
every check for a while before it is up again, unless it was started anew.
"""

from __future__ import annotations

import json
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

FAILURES_OF_A_FALL = 2  # in a row; as many as HAProxy waits for (haproxy_check_fall)


class Memory:
    """The content of the file ``path``; where it cannot be written, this process remembers alone.

    A MyCat is meant by its *sign*, a text that is another one after each start of its JVM.

    ready: sign of the MyCat that was shown ready last; "" where that one is gone; None where
        nothing is known, as when the endpoint comes to a host, or the file was lost.
    asked: sign of the MyCat that was asked last whether it is ready.
    unready: what was wrong with the answer, or "".
    ask_at: monotonic seconds; before, that MyCat is not to be asked again.
    checking: {data host: (its last answer, monotonic seconds since when MyCat waits)}.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._stored: str | None = None  # the file's text as far as we know it
        self.ready: str | None = None
        self.asked = ""
        self.unready = ""
        self.ask_at = 0.0
        self.checking: dict[str, tuple[str, float]] = {}
        self._failures = 0  # in a row
        self._failed = ""  # sign of the MyCat that failed last
        self._failed_at = 0.0  # monotonic seconds
        self._why = ""

    def load(self) -> None:
        """Learn what other processes wrote meanwhile."""
        try:
            with open(self._path, encoding="utf-8") as handle:
                text = handle.read()
        except (OSError, ValueError):
            return
        if text != self._stored:
            self._stored = text
            self._take(text)

    def _take(self, text: str) -> None:
        if not text.strip():
            self.ready = ""  # made empty at boot: whatever runs has to be shown ready
            return
        try:
            values = json.loads(text)
            ready, failures, failed = values["ready"], int(values["failures"]), values["failed"]
            failed_at, why = float(values["failed_at"]), str(values["why"])
            asked, unready, ask_at = values["asked"], values["unready"], float(values["ask_at"])
            checking = {
                name: (str(last), float(since))
                for name, (last, since) in values["checking"].items()
            }
        except (KeyError, TypeError, ValueError, AttributeError):
            return
        self.ready, self.checking = ready, checking
        self.asked, self.unready, self.ask_at = asked, unready, ask_at
        self._failures, self._failed, self._failed_at, self._why = failures, failed, failed_at, why

    def save(self) -> str:
        """Write what changed. Returns why it could not, or ""."""
        values: dict[str, Any] = {
            "ready": self.ready,
            "asked": self.asked,
            "unready": self.unready,
            "ask_at": self.ask_at,
            "failures": self._failures,
            "failed": self._failed,
            "failed_at": self._failed_at,
            "why": self._why,
            "checking": self.checking,
        }
        text = json.dumps(values) + "\n"
        if text == self._stored:
            return ""
        new = f"{self._path}.{os.getpid()}"
        try:
            with open(new, "w", encoding="utf-8") as handle:
                handle.write(text)
            os.replace(new, self._path)
        except OSError as error:
            return f"cannot write {self._path}: {error.strerror}"
        self._stored = text
        return ""

    def forget(self) -> None:
        """No MyCat is there any more."""
        self.ready = ""
        self.asked, self.unready, self.ask_at = "", "", 0.0

    def failed(self, sign: str, why: str, now: float) -> None:
        """The MyCat of this sign failed a check."""
        self._failures = min(self._failures + 1, FAILURES_OF_A_FALL)
        self._failed, self._failed_at, self._why = sign, now, why

    def passed(self, sign: str, now: float, recovery_time: float) -> str:
        """The MyCat of this sign passed a check. Returns why it is not up all the same, or ""."""
        ago = now - self._failed_at
        fell = self._failures >= FAILURES_OF_A_FALL and sign == self._failed
        if fell and ago < recovery_time:
            return f"recovering, has to pass for {recovery_time:g} s: {ago:.1f} s ago {self._why}"
        self._failures = 0
        return ""
