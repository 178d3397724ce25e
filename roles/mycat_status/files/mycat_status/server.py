# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The event loop: it owns the sockets of the clients, and answers with the last verdict."""

from __future__ import annotations

import _thread
import collections
import errno
import json
import selectors
import socket
import time

from mycat_status.answers import Metrics, NotHTTP, Report, Request, parse_request, response
from mycat_status.checks import Checker, Verdict
from mycat_status.settings import PREFIX, Settings, is_allowed, printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Iterable

MAX_REQUEST = 8192  # bytes, with the headers
MAX_CONNECTIONS = 2048
MAX_PEERS = 1024  # that are remembered
LINGER = 1.0  # seconds that a client who is still sending has to read its answer
WATCHDOG_GRACE = 0.25  # seconds beyond a check's own deadline
RETRY_PAUSE = 0.1  # seconds between a failed check and the next
REFUSAL_LOG_INTERVAL = 60.0  # seconds
POLL = 0.5  # seconds between two looks at whether to stop


class Refresher:
    """The last verdict of a blocking check, which is made anew in a thread when it is too old.

    check: called without arguments, in the thread; never two calls at once.
    max_age, timeout: seconds.
    wake: called from the thread when a new verdict is there.
    """

    def __init__(
        self,
        check: Callable[[], Verdict],
        max_age: float,
        timeout: float,
        wake: Callable[[], None],
    ) -> None:
        self._check, self._wake = check, wake
        self._max_age, self._timeout = max_age, timeout
        self._last: Verdict | None = None
        self._finished = 0.0
        self._started: float | None = None  # while a check runs
        self.runs = 0  # also the number of the last verdict

    def current(self, now: float, told: int = 0) -> Verdict | None:
        """A verdict no older than max_age, or None while it is being made.

        told: number of the verdict that the asker had last. It gets no failure twice, so that two
        failed checks of an HAProxy (``fall 2``) are always two failures of MyCat.
        """
        started = self._started  # the thread may clear it meanwhile
        if started is not None:
            if now < started + self._timeout + WATCHDOG_GRACE:
                return None
            return Verdict(False, f"check still runs after {now - started:.1f} s")
        if self._last is not None:
            age = now - self._finished
            known = not self._last.up and told == self.runs
            if age <= self._max_age and not known:
                return self._last
            if known and age < RETRY_PAUSE:
                return None
        self._started = now
        self.runs += 1
        try:
            _thread.start_new_thread(self._run, ())
        except RuntimeError as error:  # no memory or no process left for a thread
            self._started = None
            return Verdict(False, printable(error))
        return None

    def due(self, now: float) -> float:
        """When those who wait can be told something, or a check be begun, without being woken."""
        if self._started is not None:
            return self._started + self._timeout + WATCHDOG_GRACE
        return max(now, self._finished + RETRY_PAUSE)

    def _run(self) -> None:
        try:
            verdict = self._check()
        except Exception as error:
            verdict = Verdict(False, printable(f"check failed: {type(error).__name__}: {error}"))
        self._last, self._finished = verdict, time.monotonic()
        self._started = None
        self._wake()


class Connection:
    """A client: its socket, what it sent so far, and what it asked for."""

    __slots__ = ("deadline", "peer", "received", "registered", "request", "sent_all", "socket")

    def __init__(self, client: socket.socket, peer: str, deadline: float) -> None:
        self.socket = client
        self.peer = peer  # its address
        self.deadline = deadline  # monotonic seconds
        self.received = b""
        self.request = Request()
        self.sent_all = False
        self.registered = False  # with the selector


class Server:
    """Answer clients until there is nobody left to answer.

    A connection is in exactly one of three places: ``reading`` its request, ``waiting`` for the
    verdict, or ``lingering`` until the client has read its answer. Each is in order of
    deadlines, so the first entry is always the next to expire.

    log: called with one line of text.
    listeners, clients: sockets, listening and connected.
    """

    def __init__(
        self,
        settings: Settings,
        log: Callable[[str], None],
        listeners: Iterable[socket.socket] = (),
        clients: Iterable[socket.socket] = (),
    ) -> None:
        self.settings, self.log = settings, log
        self.metrics = Metrics()
        self.status, self.since = "", time.time()
        self.reading: collections.OrderedDict[socket.socket, Connection] = collections.OrderedDict()
        self.waiting: list[Connection] = []
        self.lingering: collections.OrderedDict[socket.socket, Connection] = (
            collections.OrderedDict()
        )
        self.listeners = list(listeners)
        self._allowed: dict[str, bool] = {}
        self._told: dict[str, int] = {}  # {address: number of the verdict it had last}
        self._refusal_logged = -REFUSAL_LOG_INTERVAL
        self._wake_receiver, self._wake_sender = socket.socketpair()
        for end in (self._wake_receiver, self._wake_sender):
            end.setblocking(False)
        checker = Checker(settings, keep=bool(self.listeners))
        self.verdict = Refresher(checker.check, settings.max_age, settings.check_timeout, self.wake)
        self.selector = selectors.DefaultSelector()
        self.selector.register(self._wake_receiver, selectors.EVENT_READ, self._woken)
        for listener in self.listeners:
            listener.setblocking(False)
            listener.listen(1024)  # xinetd's backlog of 64 is short for a thousand clients
            self.selector.register(listener, selectors.EVENT_READ, self._accept)
        for client in clients:
            self._admit(client)

    def wake(self) -> None:
        """Make the loop look around; callable from any thread."""
        try:
            self._wake_sender.send(b"\0")
        except BlockingIOError:
            return  # it is being woken already

    def _woken(self, receiver: socket.socket) -> None:
        receiver.recv(4096)

    def run(self, should_stop: Callable[[], bool] = lambda: False) -> None:
        """Serve until no client is left and ``should_stop()`` or there are no listeners."""
        while True:
            self._expire()
            if self.waiting:
                self._answer_waiting()
            if self.listeners and should_stop():
                for listener in self.listeners:
                    self.selector.unregister(listener)
                self.listeners = []
            if not (self.listeners or self.reading or self.waiting or self.lingering):
                return
            for key, _events in self.selector.select(self._patience()):
                key.data(key.fileobj)

    def _patience(self) -> float:
        """Seconds until the next deadline."""
        now = time.monotonic()
        deadlines = [now + POLL]
        for line in (self.reading, self.lingering):
            if line:
                deadlines.append(next(iter(line.values())).deadline)
        if self.waiting:
            deadlines.append(self.verdict.due(now))
        return max(0.0, min(deadlines) - now)

    def _accept(self, listener: socket.socket) -> None:
        for _turn in range(64):  # then others have their turn
            if len(self.reading) + len(self.waiting) + len(self.lingering) >= MAX_CONNECTIONS:
                self._make_room()
            try:
                client, _peer = listener.accept()
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
                    self._make_room()
                    return
                continue  # the client is gone already
            self._admit(client)

    def _make_room(self) -> None:
        """Drop the client that has been there longest; a probe asks at once and is not it."""
        if self.lingering:
            self._close(next(iter(self.lingering.values())))
        elif self.reading:
            self._drop(next(iter(self.reading.values())))
        elif self.waiting:
            self._drop(self.waiting.pop(0))

    def _admit(self, client: socket.socket) -> None:
        client.setblocking(False)
        try:
            peer = client.getpeername()[0]
        except OSError:
            client.close()
            return
        if not self._is_allowed(peer):
            client.close()
            self.metrics.refused += 1
            self._log_refusal(peer)
            return
        connection = Connection(client, peer, time.monotonic() + self.settings.client_timeout)
        self.reading[client] = connection
        self._readable(client)  # a probe's request is mostly there already
        if client in self.reading:
            self.selector.register(client, selectors.EVENT_READ, self._readable)
            connection.registered = True

    def _is_allowed(self, peer: str) -> bool:
        allowed = self._allowed.get(peer)
        if allowed is None:
            if len(self._allowed) >= MAX_PEERS:
                self._allowed.clear()
            allowed = self._allowed[peer] = is_allowed(peer, self.settings.allow)
        return allowed

    def _log_refusal(self, peer: str) -> None:
        now = time.monotonic()
        if now - self._refusal_logged >= REFUSAL_LOG_INTERVAL:
            self._refusal_logged = now
            total = self.metrics.refused
            self.log(f"refused {peer}, not in {PREFIX}allow ({total} so far)")

    def _readable(self, client: socket.socket) -> None:
        connection = self.reading.get(client)
        if connection is None:
            self._discard(client)
            return
        try:
            data = client.recv(4096)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            self._drop(connection)
            return
        connection.received += data
        try:
            request, complete = parse_request(connection.received)
        except NotHTTP:
            self._answer_bad(connection)
            return
        connection.request = request
        if complete:
            # Then nothing is under way any more, and the answer may end the connection at once.
            headers_only = connection.received.endswith((b"\n\r\n", b"\n\n"))
            connection.sent_all = headers_only and not request.has_body
        elif not data:
            connection.sent_all = True
        if complete or not data or len(connection.received) > MAX_REQUEST:
            self._let_wait(connection)

    def _discard(self, client: socket.socket) -> None:
        """Read what a lingering client still sends."""
        connection = self.lingering.get(client)
        if connection is None:
            return
        try:
            if client.recv(65536):
                return
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            pass
        self._close(connection)

    def _let_wait(self, connection: Connection) -> None:
        self._forget(connection)
        self.waiting.append(connection)

    def _forget(self, connection: Connection) -> None:
        """Take the connection out of the place where it is."""
        self.reading.pop(connection.socket, None)
        self.lingering.pop(connection.socket, None)
        if connection.registered:
            self.selector.unregister(connection.socket)
            connection.registered = False

    def _expire(self) -> None:
        now = time.monotonic()
        while self.reading:
            connection = next(iter(self.reading.values()))
            if connection.deadline > now:
                break
            self._let_wait(connection)
        while self.lingering:
            connection = next(iter(self.lingering.values()))
            if connection.deadline > now:
                break
            self._close(connection)

    def _answer_waiting(self) -> None:
        now = time.monotonic()
        report, body, still_waiting = None, "", []
        for connection in self.waiting:
            metrics = connection.request.metrics
            told = 0 if metrics else self._told.get(connection.peer, 0)
            verdict = self.verdict.current(now, told)
            if verdict is None:
                still_waiting.append(connection)
                continue
            if report is None or report.verdict is not verdict:
                report = Report(self.settings, verdict)
                self._note_change(report)
                body = report.body(self.since)
            if metrics:
                text = self.metrics.text(report, self.since, self.verdict.runs)
                self._send(connection, 200, "text/plain; version=0.0.4; charset=utf-8", text)
            else:
                self._tell(connection, report.code, body)
        self.waiting = still_waiting

    def _tell(self, connection: Connection, code: int, body: str) -> None:
        if len(self._told) >= MAX_PEERS:
            self._told.clear()
        self._told[connection.peer] = self.verdict.runs
        self._send(connection, code, "application/json", body)

    def _note_change(self, report: Report) -> None:
        if report.status != self.status:
            self.log(f"{report.status}: {printable(report.reason)}")
            self.status, self.since = report.status, time.time()

    def _answer_bad(self, connection: Connection) -> None:
        self._forget(connection)
        body = json.dumps({"status": "error", "reason": "not an HTTP/1 request"}) + "\n"
        self._send(connection, 400, "application/json", body)

    def _send(self, connection: Connection, code: int, content_type: str, body: str) -> None:
        """An answer always fits the socket's buffer; a client that has no room for it is gone."""
        self.metrics.answers[code] += 1
        data = response(code, content_type, body, connection.request.head)
        try:
            complete = connection.socket.send(data) == len(data)
            if connection.sent_all or not complete:
                connection.socket.close()
                return
            # To close now would reset the connection if the client's bytes are still under way,
            # and take the answer from under its eyes.
            connection.socket.shutdown(socket.SHUT_WR)
        except OSError:
            connection.socket.close()
            return
        connection.deadline = time.monotonic() + LINGER
        self.lingering[connection.socket] = connection
        self.selector.register(connection.socket, selectors.EVENT_READ, self._readable)
        connection.registered = True

    def _drop(self, connection: Connection) -> None:
        self.metrics.dropped += 1
        self._close(connection)

    def _close(self, connection: Connection) -> None:
        self._forget(connection)
        connection.socket.close()
