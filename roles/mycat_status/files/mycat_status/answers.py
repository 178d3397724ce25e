# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the program says: HTTP, the JSON of a verdict, Prometheus' text."""

from __future__ import annotations

import collections
import json
import os
import time

from mycat_status.checks import Verdict
from mycat_status.settings import LEVELS, PREFIX, Settings, printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MAX_REQUEST_LINE = 2048  # bytes
MAX_EMPTY_LINES = 16  # bytes

REASONS = {200: "OK", 400: "Bad Request", 404: "Not Found", 503: "Service Unavailable"}

TOKEN = b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
CONTROL = bytes(range(0x20)) + b"\x7f"
VERSIONS = (b"HTTP/1.0\r", b"HTTP/1.1\r", b"HTTP/1.0", b"HTTP/1.1")


class NotHTTP(Exception):  # noqa: N818
    """The client does not speak HTTP/1."""


class Request:
    """What a client asked for, as far as it matters."""

    __slots__ = ("has_body", "head", "metrics")

    def __init__(self, method: bytes = b"GET", target: bytes = b"/", headers: bytes = b"") -> None:
        self.head = method == b"HEAD"
        self.metrics = method in (b"GET", b"HEAD") and target.partition(b"?")[0] == b"/metrics"
        headers = headers.lower()
        self.has_body = b"\ncontent-length:" in headers or b"\ntransfer-encoding:" in headers


def parse_request(received: bytes) -> tuple[Request, bool]:
    """(Request, complete) for what a client sent so far, which may be nothing.

    Until the request line is there, the Request is one for the verdict. Raise NotHTTP as soon as
    the bytes cannot become a request any more.
    """
    request = received.lstrip(b"\r\n")  # RFC 9112 2.2: empty lines before the request line
    if len(received) - len(request) > MAX_EMPTY_LINES:
        raise NotHTTP
    line, line_end, headers = request.partition(b"\n")
    method, _space, others = line.partition(b" ")
    target, _space, version = others.partition(b" ")
    if len(line) > MAX_REQUEST_LINE or method.translate(None, TOKEN):
        raise NotHTTP
    if line.startswith(b" ") or b"  " in line or target.translate(None, CONTROL) != target:
        raise NotHTTP
    if line_end:
        if version not in VERSIONS:
            raise NotHTTP
        headers = line_end + headers
        complete = b"\n\r\n" in headers or b"\n\n" in headers
        return Request(method, target, headers), complete
    if not any(known.startswith(version) for known in VERSIONS):
        raise NotHTTP
    return Request(), False


def response(code: int, content_type: str, body: str, head: bool) -> bytes:
    """The bytes of one HTTP answer; ``body`` is text, and left out when ``head``."""
    data = body.encode()
    lines = (
        f"HTTP/1.1 {code} {REASONS[code]}",
        "Content-Type: " + content_type,
        f"Content-Length: {len(data)}",
        "Cache-Control: no-store",
        "Connection: close",
        "\r\n",
    )
    return "\r\n".join(lines).encode() + (b"" if head else data)


def drain_order(settings: Settings) -> dict[str, str | None] | None:
    """None, or {"since": ISO time, "by": text} when the operator wants no new clients here.

    Raise OSError when it cannot be told.
    """
    if settings.drain:
        return {"since": None, "by": PREFIX + "drain"}
    try:
        status = os.stat(settings.drain_file)
    except FileNotFoundError:
        return None
    try:
        fd = os.open(settings.drain_file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            by = printable(os.read(fd, 200).partition(b"\n")[0].strip())
        finally:
            os.close(fd)
    except OSError:
        by = ""  # that it is there is enough
    return {"since": iso_time(status.st_mtime), "by": by or f"uid {status.st_uid}"}


def iso_time(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


class Report:
    """What the program knows at one moment, and the two ways to say it."""

    def __init__(self, settings: Settings, verdict: Verdict) -> None:
        self.level = settings.level
        self.verdict = verdict
        self.up, self.reason = verdict.up, verdict.reason
        self.drain: dict[str, str | None] | None = None
        if verdict.offline:
            self.drain = {"since": None, "by": "offline"}
        try:
            self.drain = drain_order(settings) or self.drain
        except OSError as error:
            self.up = False
            self.reason = f"cannot look at {settings.drain_file}: {error.strerror}"
        if self.up and self.drain:
            self.reason = f"draining, asked for by {self.drain['by']}"

    @property
    def status(self) -> str:
        if not self.up:
            return "down"
        return "drain" if self.drain else "up"

    @property
    def code(self) -> int:
        return {"up": 200, "drain": 404, "down": 503}[self.status]

    def body(self, since: float) -> str:
        verdict = self.verdict
        values: dict[str, Any] = {
            "status": self.status,
            "level": self.level,
            "reason": self.reason,
            "since": iso_time(since),
            "seconds": verdict.seconds,
        }
        if verdict.warnings:
            values["warnings"] = [f"{cause}: {text}" for cause, text in verdict.warnings.items()]
        if self.drain:
            values["drain"] = self.drain
        if verdict.manager:
            values["manager"] = verdict.manager.error or verdict.manager.server
            values["backends"] = verdict.manager.backends
        return json.dumps(values) + "\n"


class Metrics:
    """Counters, and the text of them for Prometheus."""

    def __init__(self) -> None:
        self.answers: collections.Counter[int] = collections.Counter()  # by HTTP code
        self.refused = 0
        self.dropped = 0

    def text(self, report: Report, since: float, checks: int) -> str:
        verdict = report.verdict
        up, drain = int(report.up), int(report.drain is not None)
        levels = {level: int(level == report.level) for level in LEVELS}
        reached = verdict.manager.backends if verdict.manager else {}
        backends = {name: int(up) for name, up in reached.items()}
        warnings = dict.fromkeys(verdict.warnings, 1)
        table: tuple[tuple[str, str, str, str | None, Any], ...] = (
            ("up", "gauge", "1 when MyCat is ready.", None, up),
            ("draining", "gauge", "1 when an operator asked for no new clients.", None, drain),
            ("level", "gauge", "1 for the level that is checked.", "level", levels),
            ("warning", "gauge", "1 for what is wrong, but no reason to fail.", "cause", warnings),
            ("check_seconds", "gauge", "Last run of each check.", "check", verdict.seconds),
            ("last_change_timestamp_seconds", "gauge", "Last change of status.", None, since),
            ("checks_total", "counter", "Deep checks made.", None, checks),
            ("probes_total", "counter", "Probes answered, by HTTP code.", "code", self.answers),
            ("refused_total", "counter", "Clients not in the allow-list.", None, self.refused),
            ("dropped_total", "counter", "Clients dropped unanswered.", None, self.dropped),
            ("backend_up", "gauge", "1 when MyCat finds the data host ok.", "name", backends),
        )
        lines = []
        for name, kind, meaning, label, value in table:
            lines += [f"# HELP {PREFIX}{name} {meaning}", f"# TYPE {PREFIX}{name} {kind}"]
            if label is None:
                lines.append(f"{PREFIX}{name} {value}")
            else:
                for key in sorted(value):
                    lines.append(f'{PREFIX}{name}{{{label}="{_label(key)}"}} {value[key]}')
        return "\n".join(lines) + "\n"


def _label(value: object) -> str:
    return str(value).replace("\\", "\\\\").replace('"', '\\"')
