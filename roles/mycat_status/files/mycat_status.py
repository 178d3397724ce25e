# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tell over HTTP whether the MyCat on this host can take clients.

``mycat_status --config FILE`` answers on the sockets it inherits: a connected one on fd 0 (xinetd,
``wait = no``), a listening one on fd 0 (xinetd, ``wait = yes``) or those of systemd (LISTEN_FDS).
200 ready, 503 not ready, 404 draining, 400 for what is not HTTP. Whatever cannot be told is a 503.

How it works. One thread, the event loop (``Server``), owns every socket of a client. A deep check
blocks, so it runs in a thread of its own, one at a time (``Refresher``); all who ask meanwhile wait
for that one result. A check carries a deadline into each of its steps, and the loop keeps a
watchdog over the check, so that even a step that ignores its deadline ends in a 503.

Needs Python 3.6 and its standard library. It logs in to MyCat by itself and not through a database
driver because no driver bounds a whole login and query by one deadline. Imports are few and cheap,
for with xinetd's ``wait = no`` each probe pays for them: hence ``_thread``, and no ``ipaddress``.
"""

import _thread
import collections
import errno
import json
import os
import selectors
import socket
import struct
import sys
import time

PREFIX = "mycat_status_"  # of the role's variables, as messages name settings
LEVELS = ("process", "greeting", "query")

MAX_REQUEST_LINE = 2048  # bytes
MAX_EMPTY_LINES = 16  # bytes
MAX_REQUEST = 8192  # bytes, with the headers
MAX_CONNECTIONS = 2048
LINGER = 1.0  # seconds that a client who is still sending has to read its answer
WATCHDOG_GRACE = 0.25  # seconds beyond a check's own deadline
MANAGER_MAX_AGE = 5.0  # seconds; MyCat itself looks at its data hosts every 10 s
REFUSAL_LOG_INTERVAL = 60.0  # seconds
CONFIG_POLL = 0.5  # seconds


def printable(value):
    """``value`` as text on one line without control characters, for logs and reasons."""
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)[:300]


# Addresses


def parse_address(text):
    """The address as bytes, 4 for IPv4 and 16 for IPv6. Raise ValueError for anything else."""
    try:
        return socket.inet_pton(socket.AF_INET6 if ":" in text else socket.AF_INET, text)
    except OSError:
        raise ValueError(f"{text} is not an address") from None


class Network:
    """The addresses with one prefix: ``192.0.2.0/24``, or ``192.0.2.7`` for itself alone."""

    def __init__(self, text):
        address, slash, length = text.partition("/")
        packed = parse_address(address)
        bits = len(packed) * 8
        if not slash:
            length = str(bits)
        if not (length.isdigit() and int(length) <= bits):
            raise ValueError(f"{text} is not a network")
        self._size = len(packed)
        self._host_bits = bits - int(length)
        self._prefix = int.from_bytes(packed, "big") >> self._host_bits
        if self._prefix << self._host_bits != int.from_bytes(packed, "big"):
            raise ValueError(f"{text} has bits set behind its prefix")

    def __contains__(self, packed):
        same_family = len(packed) == self._size
        return same_family and int.from_bytes(packed, "big") >> self._host_bits == self._prefix


def is_allowed(peer, networks):
    """Is the address ``peer`` in one of ``networks``? An IPv4 client of an IPv6 socket is IPv4."""
    try:
        packed = parse_address(peer.partition("%")[0])
    except ValueError:
        return False
    if packed[:-4] == b"\0" * 10 + b"\xff\xff":
        packed = packed[-4:]
    return any(packed in network for network in networks)


# Settings


class SettingError(ValueError):
    """A setting that cannot be used; ``name`` is the role's variable."""

    def __init__(self, name, problem):
        super().__init__(f"{PREFIX}{name}: {problem}")
        self.name = PREFIX + name


def _text(value):
    if not isinstance(value, str) or not value or not value.isprintable():
        raise ValueError("must be a text without control characters")
    return value


def _path(value):
    if not _text(value).startswith("/"):
        raise ValueError("must be an absolute path")
    return value.rstrip("/") or "/"


def _port(value):
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 65535:
        raise ValueError("must be a port, 1 to 65535")
    return value


def _flag(value):
    if not isinstance(value, bool):
        raise ValueError("must be true or false")
    return value


def _seconds(low, high):
    def check(value):
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not number or not low <= value <= high:
            raise ValueError(f"must be a number of seconds, {low:g} to {high:g}")
        return float(value)

    return check


def _level(value):
    if value not in LEVELS:
        raise ValueError("must be one of " + ", ".join(LEVELS))
    return value


def _address(value):
    parse_address(_text(value))
    return value


def _allow(value):
    if not isinstance(value, list) or not value:
        raise ValueError("must be a list of addresses or networks, and not empty")
    return [Network(_text(item)) for item in value]


def _optional(check):
    return lambda value: None if value is None else check(value)


# name: (default, what makes a usable value of it or raises ValueError)
SETTINGS = {
    "home": ("/usr/local/mycat", _path),
    "long_name": ("Mycat-server", _text),
    "pid_file": (None, _optional(_path)),
    "wrapper": ("wrapper-linux-x86-64", _text),
    "host": ("127.0.0.1", _address),
    "sql_port": (8066, _port),
    "manager_port": (None, _optional(_port)),
    "level": (None, _optional(_level)),
    "marker": ("-mycat-", _text),
    "use_status_command": (False, _flag),
    "credentials_file": (None, _optional(_path)),
    "require_backends": (False, _flag),
    "allow": ([], _allow),
    "check_timeout": (1.0, _seconds(0.05, 30)),
    "client_timeout": (1.0, _seconds(0.05, 30)),
    "max_age": (0.5, _seconds(0.05, 30)),
    "drain": (False, _flag),
    "drain_file": ("/run/mycat_status/drain", _path),
}


class Settings:
    """The settings of one run: an attribute for each name in ``SETTINGS``."""

    def __init__(self, values):
        for name in values:
            if name not in SETTINGS:
                raise SettingError(name, "is not a setting")
        for name, (default, check) in SETTINGS.items():
            value = values.get(name, default)
            try:
                setattr(self, name, check(value))
            except ValueError as problem:
                raise SettingError(name, f"{problem} (is {json.dumps(value)})") from None
        if self.level is None:
            self.level = "query" if self.credentials_file else "greeting"
        if self.pid_file is None:
            self.pid_file = self.home + "/logs/mycat.pid"
        if self.level == "query" and not self.credentials_file:
            raise SettingError("credentials_file", "the level query needs it")
        if self.manager_port and not self.credentials_file:
            raise SettingError("credentials_file", f"{PREFIX}manager_port needs it")
        if self.require_backends and not self.manager_port:
            raise SettingError("manager_port", f"{PREFIX}require_backends needs it")

    @classmethod
    def load(cls, path):
        """Raise SettingError, or OSError, or ValueError for what is not JSON."""
        with open(path, encoding="utf-8") as handle:
            try:
                values = json.load(handle)
            except RecursionError:
                values = None
        if not isinstance(values, dict):
            raise ValueError(f"{path} does not hold a JSON object")
        return cls(values)

    def credentials(self):
        """(user, password). Raise SettingError when they are missing or open to everyone."""
        name, path = "credentials_file", self.credentials_file
        try:
            with open(path, encoding="utf-8") as handle:
                if os.fstat(handle.fileno()).st_mode & 0o007:
                    raise SettingError(name, f"{path} is open to others; make its mode 0640")
                values = json.load(handle)
            user, password = values["user"], values["password"]
            if not isinstance(user, str) or not isinstance(password, str) or not user:
                raise TypeError
        except OSError as error:
            raise SettingError(name, f"{path}: {error.strerror}") from None
        except (KeyError, TypeError, UnicodeError):
            raise SettingError(name, f"{path} must hold user and password") from None
        except ValueError as error:
            if isinstance(error, SettingError):
                raise
            raise SettingError(name, f"{path} is not JSON") from None
        return user, password


# Checks


class CheckFailed(Exception):  # noqa: N818 - not an error of the program
    """MyCat is not ready; the text says why."""


class Deadline:
    """One allowance of time for all the steps of a check."""

    def __init__(self, seconds):
        self.seconds = seconds
        self._end = time.monotonic() + seconds

    def left(self):
        """Seconds left. Raise CheckFailed when none are."""
        left = self._end - time.monotonic()
        if left <= 0:
            raise CheckFailed(f"no answer within {self.seconds:g} s")
        return left


def check_pid_file(settings):
    """Look at what ``mycat status`` looks at, without its forks, and delete nothing."""
    path = settings.pid_file
    try:
        # Without O_NONBLOCK a named pipe in this place would hold us.
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            text = os.read(fd, 64)
        finally:
            os.close(fd)
    except FileNotFoundError:
        raise CheckFailed(f"not running: no pid file {path}") from None
    except OSError as error:
        raise CheckFailed(f"cannot read {path}: {error.strerror}") from None
    text = text.strip()
    if not text.isdigit() or len(text) > 10 or int(text) == 0:
        raise CheckFailed(f"{path} does not hold a process id")
    pid = int(text)
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as handle:
            command = handle.read(65536).replace(b"\0", b" ")
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ESRCH) and not _exists(pid):
            raise CheckFailed(f"not running: {path} is stale, no process {pid}") from None
        raise CheckFailed(f"cannot look at process {pid}: {error.strerror}") from None
    # The control script puts the "/./" there, on the path it was called by or the real one.
    for home in (settings.home, os.path.realpath(settings.home)):
        if os.fsencode(f"{home}/bin/./{settings.wrapper}") in command:
            return f"process {pid} runs"
    raise CheckFailed(f"not running: process {pid} of {path} is not the wrapper")


def _exists(pid):
    """True for a process that /proc hides from us, too (hidepid)."""
    try:
        os.kill(pid, 0)
    except OSError as error:
        return error.errno == errno.EPERM
    return True


def check_status_command(settings, deadline):
    """Ask ``mycat status`` and believe only its positive answer together with exit code 0."""
    import subprocess

    command = settings.home + "/bin/mycat"
    try:
        process = subprocess.Popen(  # noqa: S603 - the control script that the settings name
            [command, "status"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            # COLUMNS would make ps cut its lines, and the script remove the pid file as stale.
            env={"PATH": os.defpath, "LC_ALL": "C"},
            start_new_session=True,
        )
    except OSError as error:
        raise CheckFailed(f"cannot run {command}: {error.strerror}") from None
    try:
        output = process.communicate(timeout=deadline.left())[0]
    except subprocess.TimeoutExpired:
        raise CheckFailed(f"mycat status: no answer within {deadline.seconds:g} s") from None
    finally:
        if process.returncode is None:
            import signal

            os.killpg(process.pid, signal.SIGKILL)  # its children hold the pipe open
            process.wait()
            process.stdout.close()
    lines = output.decode("utf-8", "replace").splitlines()
    for line in lines if process.returncode == 0 else ():
        before, running, after = line.strip().partition(f"{settings.long_name} is running (")
        if running and not before and after.endswith(").") and after[:-2].isdigit():
            return printable(line)
    said = printable(output.strip()) or "nothing"
    raise CheckFailed(f"mycat status: exit code {process.returncode}, said {said}")


class MySQL:
    """A client of the MySQL protocol: greeting, native password login, small text results.

    Every read and write ends by the deadline; CheckFailed says what went wrong.
    """

    LONG_PASSWORD, PROTOCOL_41, SECURE_CONNECTION, PLUGIN_AUTH = 0x1, 0x200, 0x8000, 0x80000
    COM_QUIT, COM_QUERY = 0x01, 0x03
    UTF8 = 33
    NATIVE = b"mysql_native_password"
    MAX_PACKET = 65536  # far above any answer to what is asked here
    MAX_ROWS = 1000

    def __init__(self, host, port, deadline):
        self.deadline = deadline
        self.name = f"{host}:{port}"
        self.buffer = b""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_STREAM)
        try:
            self.socket.settimeout(deadline.left())
            self.socket.connect((host, port))
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.version, self.salt, self.sequence = None, None, 0
        except socket.timeout:
            self.socket.close()
            deadline_passed = f"{self.name}: no connection within {deadline.seconds:g} s"
            raise CheckFailed(deadline_passed) from None
        except OSError as error:
            self.socket.close()
            raise CheckFailed(f"{self.name}: {error.strerror}") from None

    def __enter__(self):
        return self

    def __exit__(self, *_exception):
        self.socket.close()

    def _timed(self, operation, argument):
        try:
            self.socket.settimeout(self.deadline.left())
            return operation(argument)
        except (socket.timeout, CheckFailed):
            silence = f"{self.name}: no answer within {self.deadline.seconds:g} s"
            raise CheckFailed(silence) from None
        except OSError as error:
            raise CheckFailed(f"{self.name}: {error.strerror}") from None

    def _exactly(self, size):
        while len(self.buffer) < size:
            data = self._timed(self.socket.recv, 65536)
            if not data:
                raise CheckFailed(f"{self.name}: closed the connection")
            self.buffer += data
        data, self.buffer = self.buffer[:size], self.buffer[size:]
        return data

    def _receive(self):
        header = self._exactly(4)
        size = header[0] | header[1] << 8 | header[2] << 16
        self.sequence = header[3]
        if not 0 < size <= self.MAX_PACKET:
            raise CheckFailed(f"{self.name}: does not speak the MySQL protocol")
        payload = self._exactly(size)
        if payload[0] == 0xFF:
            raise CheckFailed(f"{self.name}: {self._error(payload)}")
        return payload

    @staticmethod
    def _error(payload):
        text = payload[3:]
        if text[:1] == b"#":  # an SQL state, which MyCat leaves out before the login
            text = text[6:]
        number = int.from_bytes(payload[1:3], "little")
        return f"error {number} {printable(text)}"

    def _send(self, sequence, payload):
        packet = struct.pack("<I", len(payload))[:3] + bytes([sequence & 0xFF]) + payload
        self._timed(self.socket.sendall, packet)

    def greet(self, marker):
        """Read the server's greeting; its version has to hold ``marker``. Returns the version."""
        payload = self._receive()
        version, _zero, rest = payload[1:].partition(b"\0")
        if payload[0] != 10 or len(rest) < 13:
            raise CheckFailed(f"{self.name}: does not speak the MySQL protocol")
        if marker.encode() not in version:
            found = printable(version)
            raise CheckFailed(f"{self.name}: is not MyCat: no {marker} in {found}")
        # Thread id (4), salt (8), NUL, capabilities (2), charset, status (2), capabilities (2),
        # length, filler (10), then the rest of the salt and its NUL.
        self.salt = rest[4:12] + rest[31:43]
        self.version = printable(version)
        return self.version

    def login(self, user, password):
        """Native password login, the one that every MyCat does."""
        if len(self.salt) != 20:
            raise CheckFailed(f"{self.name}: the greeting has no salt for a login")
        token = native_password(password.encode(), self.salt)
        capabilities = (
            self.LONG_PASSWORD | self.PROTOCOL_41 | self.SECURE_CONNECTION | self.PLUGIN_AUTH
        )
        response = struct.pack("<IIB23x", capabilities, self.MAX_PACKET, self.UTF8)
        response += user.encode() + b"\0" + bytes([len(token)]) + token + self.NATIVE + b"\0"
        self._send(self.sequence + 1, response)
        if self._receive()[0] != 0:
            raise CheckFailed(f"{self.name}: wants another login than {self.NATIVE.decode()}")

    def query(self, statement):
        """Rows of a result set as a list of {column: text or None}; none where it is an OK."""
        self._send(0, bytes([self.COM_QUERY]) + statement.encode())
        count = self._receive()[0]
        if count == 0:
            return []
        try:
            columns = [_fields(self._receive())[4] for _column in range(count)]
            self._until_eof(1)
            rows = self._until_eof(self.MAX_ROWS)
            return [dict(zip(columns, _fields(row))) for row in rows]
        except (IndexError, ValueError):
            raise CheckFailed(f"{self.name}: unreadable answer to {statement}") from None

    def _until_eof(self, most):
        payloads = []
        while len(payloads) <= most:
            payload = self._receive()
            if payload[0] == 0xFE and len(payload) < 9:
                return payloads
            payloads.append(payload)
        raise ValueError("no end")

    def quit(self):
        """Say goodbye, or MyCat 1.6.1 and older keep the session's memory."""
        self._send(0, bytes([self.COM_QUIT]))


def _fields(payload):
    """The length-encoded strings a packet begins with; raises IndexError when one is cut short."""
    fields, at = [], 0
    while at < len(payload):
        size, at = payload[at], at + 1
        if size == 0xFB:
            fields.append(None)
            continue
        if size == 0x0C and len(fields) == 6:  # the fixed part of a column definition
            break
        if size == 0xFC:
            size, at = int.from_bytes(payload[at : at + 2], "little"), at + 2
        elif size > 0xFB:
            raise ValueError("longer than anything asked for")
        if at + size > len(payload):
            raise IndexError
        fields.append(printable(payload[at : at + size]))
        at += size
    return fields


def native_password(password, salt):
    """SHA1(password) XOR SHA1(salt + SHA1(SHA1(password))): mysql_native_password."""
    try:
        from _sha1 import sha1  # hashlib would load OpenSSL, a fifth of a whole probe
    except ImportError:  # Red Hat builds Python without it
        from hashlib import sha1
    if not password:
        return b""
    once = sha1(password).digest()  # noqa: S324 - the protocol wants it
    mask = sha1(salt + sha1(once).digest()).digest()  # noqa: S324
    return bytes(a ^ b for a, b in zip(once, mask))


def check_greeting(settings, deadline):
    with MySQL(settings.host, settings.sql_port, deadline) as mysql:
        return f"greets as {mysql.greet(settings.marker)}"


def check_query(settings, deadline):
    """Greeting, login and ``show mycat_status``, which MyCat answers by itself."""
    with MySQL(settings.host, settings.sql_port, deadline) as mysql:
        mysql.greet(settings.marker)
        mysql.login(*settings.credentials())
        rows = mysql.query("show mycat_status")
        mysql.quit()
    status = rows[0].get("STATUS") if rows else None
    if status != "ON":
        raise CheckFailed(f"show mycat_status says {status}")
    return "show mycat_status is ON"


Verdict = collections.namedtuple("Verdict", "up reason seconds")  # seconds: {check: duration}
Manager = collections.namedtuple("Manager", "server backends error")


def check_mycat(settings):
    """Run the checks of the level, each including the ones before it. Returns a Verdict."""
    deadline = Deadline(settings.check_timeout)
    seconds = {}

    def check_process():
        if settings.use_status_command:
            return check_status_command(settings, deadline)
        return check_pid_file(settings)

    checks = [("process", check_process)]
    # A query begins with the greeting: no connection of its own for that.
    if settings.level == "greeting":
        checks.append(("greeting", lambda: check_greeting(settings, deadline)))
    elif settings.level == "query":
        checks.append(("query", lambda: check_query(settings, deadline)))
    reason = ""
    for name, check in checks:
        started = time.monotonic()
        try:
            reason = check()
        except (CheckFailed, SettingError) as failure:
            return Verdict(False, f"{name}: {failure}", seconds)
        finally:
            seconds[name] = round(time.monotonic() - started, 6)
    return Verdict(True, reason, seconds)


def check_manager(settings):
    """What MyCat's manager port says of MyCat and of its data hosts. Returns a Manager."""
    deadline = Deadline(settings.check_timeout)
    try:
        with MySQL(settings.host, settings.manager_port, deadline) as mysql:
            mysql.greet(settings.marker)
            mysql.login(*settings.credentials())
            server = mysql.query("show @@server")
            heartbeat = mysql.query("show @@heartbeat")
            mysql.quit()
    except (CheckFailed, SettingError) as failure:
        return Manager(None, {}, str(failure))
    backends = {str(row.get("NAME")): row.get("RS_CODE") == "1" for row in heartbeat}
    return Manager(server[0].get("STATUS") if server else None, backends, None)


class Refresher:
    """The last result of a blocking check, made anew in a thread when it is too old.

    check: called without arguments, in the thread; never two calls at once.
    failed: makes a result of the text that says why there is none.
    max_age, timeout: seconds.
    wake: called from the thread when a new result is there.
    """

    def __init__(self, check, failed, max_age, timeout, wake):
        self._check, self._failed, self._wake = check, failed, wake
        self._max_age, self._timeout = max_age, timeout
        self.last = None
        self.runs = 0
        self.started = None  # while a check runs
        self._finished = None

    def current(self, now):
        """A result no older than max_age, or None while it is being made."""
        started = self.started  # the thread may clear it meanwhile
        if started is not None:
            if now < started + self._timeout + WATCHDOG_GRACE:
                return None
            return self._failed(f"check still runs after {now - started:.1f} s")
        if self.last is not None and now - self._finished <= self._max_age:
            return self.last
        self.started = now
        self.runs += 1
        try:
            _thread.start_new_thread(self._run, ())
        except RuntimeError as error:  # no memory or no process left for a thread
            self.started = None
            return self._failed(str(error))
        return None

    def overdue_at(self):
        """When the running check is given up; None when none runs."""
        started = self.started
        return None if started is None else started + self._timeout + WATCHDOG_GRACE

    def _run(self):
        try:
            result = self._check()
        except Exception as error:
            result = self._failed(f"check failed: {type(error).__name__}: {error}")
        self.last, self._finished = result, time.monotonic()
        self.started = None
        self._wake()


# Answers

REASONS = {200: "OK", 400: "Bad Request", 404: "Not Found", 503: "Service Unavailable"}

TOKEN = b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
CONTROL = bytes(range(0x20)) + b"\x7f"
VERSIONS = (b"HTTP/1.0\r", b"HTTP/1.1\r", b"HTTP/1.0", b"HTTP/1.1")


class NotHTTP(Exception):  # noqa: N818
    """The client does not speak HTTP/1."""


class Request:
    """What a client asked for, as far as it matters."""

    __slots__ = ("has_body", "head", "metrics")

    def __init__(self, method=b"GET", target=b"/", headers=b""):
        self.head = method == b"HEAD"
        self.metrics = method in (b"GET", b"HEAD") and target.partition(b"?")[0] == b"/metrics"
        headers = headers.lower()
        self.has_body = b"\ncontent-length:" in headers or b"\ntransfer-encoding:" in headers


def parse_request(received):
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


def response(code, content_type, body, head):
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


def drain_order(settings):
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


def iso_time(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


class Report:
    """What the program knows at one moment, and the two ways to say it."""

    def __init__(self, settings, verdict, manager):
        self.level = settings.level
        self.verdict, self.manager = verdict, manager
        self.up, self.reason = verdict.up, verdict.reason
        self.drain = None
        if self.up and settings.require_backends:
            self._require_backends()
        try:
            self.drain = drain_order(settings)
        except OSError as error:
            self.up = False
            self.reason = f"cannot look at {settings.drain_file}: {error.strerror}"
        if self.up and self.drain:
            self.reason = "draining, asked for by " + self.drain["by"]

    def _require_backends(self):
        down = sorted(name for name, up in self.manager.backends.items() if not up)
        if self.manager.error:
            self.up, self.reason = False, f"manager: {self.manager.error}"
        elif down or not self.manager.backends:
            self.up, self.reason = False, "data hosts down: " + (", ".join(down) or "all")

    @property
    def status(self):
        if not self.up:
            return "down"
        return "drain" if self.drain else "up"

    @property
    def code(self):
        return {"up": 200, "drain": 404, "down": 503}[self.status]

    def body(self, since):
        values = collections.OrderedDict()
        values["status"] = self.status
        values["level"] = self.level
        values["reason"] = self.reason
        values["since"] = iso_time(since)
        values["seconds"] = self.verdict.seconds
        if self.drain:
            values["drain"] = self.drain
        if self.manager:
            values["manager"] = self.manager.error or self.manager.server
            values["backends"] = self.manager.backends
        return json.dumps(values) + "\n"


class Metrics:
    """Counters, and the text of them for Prometheus."""

    def __init__(self):
        self.answers = collections.Counter()  # by HTTP code
        self.refused = 0
        self.dropped = 0

    def text(self, report, since, checks):
        up, drain = int(report.up), int(report.drain is not None)
        levels = {level: int(level == report.level) for level in LEVELS}
        backends = report.manager.backends if report.manager else {}
        backends = {name: int(up) for name, up in backends.items()}
        table = (
            ("up", "gauge", "1 when MyCat is ready.", None, up),
            ("draining", "gauge", "1 when an operator asked for no new clients.", None, drain),
            ("level", "gauge", "1 for the level that is checked.", "level", levels),
            ("check_seconds", "gauge", "Last run of each check.", "check", report.verdict.seconds),
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


def _label(value):
    return str(value).replace("\\", "\\\\").replace('"', '\\"')


# The event loop


class Connection:
    """A client: its socket, what it sent so far, and what it asked for."""

    __slots__ = ("deadline", "received", "registered", "request", "sent_all", "socket")

    def __init__(self, client, deadline):
        self.socket = client
        self.deadline = deadline
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

    def __init__(self, settings, log, listeners=(), clients=()):
        self.settings, self.log = settings, log
        self.metrics = Metrics()
        self.status, self.since = None, time.time()
        self.reading = collections.OrderedDict()
        self.waiting = []
        self.lingering = collections.OrderedDict()
        self._allowed = {}
        self._refusal_logged = -REFUSAL_LOG_INTERVAL
        self._wake_receiver, self._wake_sender = socket.socketpair()
        for end in (self._wake_receiver, self._wake_sender):
            end.setblocking(False)
        self.verdict = Refresher(
            lambda: check_mycat(settings),
            lambda why: Verdict(False, printable(why), {}),
            settings.max_age,
            settings.check_timeout,
            self.wake,
        )
        self.manager = settings.manager_port and Refresher(
            lambda: check_manager(settings),
            lambda why: Manager(None, {}, printable(why)),
            MANAGER_MAX_AGE,
            settings.check_timeout,
            self.wake,
        )
        self.selector = selectors.DefaultSelector()
        self.selector.register(self._wake_receiver, selectors.EVENT_READ, self._woken)
        self.listeners = []
        for listener in listeners:
            listener.setblocking(False)
            listener.listen(1024)  # xinetd's backlog of 64 is short for a thousand clients
            self.selector.register(listener, selectors.EVENT_READ, self._accept)
            self.listeners.append(listener)
        for client in clients:
            self._admit(client)

    def wake(self):
        """Make the loop look around; callable from any thread."""
        try:
            self._wake_sender.send(b"\0")
        except BlockingIOError:
            return  # it is being woken already

    def _woken(self, receiver):
        receiver.recv(4096)

    def run(self, should_stop=lambda: False):
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

    def _patience(self):
        """Seconds until the next deadline."""
        now = time.monotonic()
        deadlines = [now + CONFIG_POLL]
        for line in (self.reading, self.lingering):
            if line:
                deadlines.append(next(iter(line.values())).deadline)
        if self.waiting:
            for refresher in filter(None, (self.verdict, self.manager)):
                overdue = refresher.overdue_at()
                if overdue is not None and overdue > now:
                    deadlines.append(overdue)
        return max(0.0, min(deadlines) - now)

    def _accept(self, listener):
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

    def _make_room(self):
        """Drop the client that has been there longest; a probe asks at once and is not it."""
        if self.lingering:
            self._close(next(iter(self.lingering.values())))
        elif self.reading:
            self._drop(next(iter(self.reading.values())))
        elif self.waiting:
            self._drop(self.waiting.pop(0))

    def _admit(self, client):
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
        connection = Connection(client, time.monotonic() + self.settings.client_timeout)
        self.reading[client] = connection
        self._readable(client)  # a probe's request is mostly there already
        if client in self.reading:
            self.selector.register(client, selectors.EVENT_READ, self._readable)
            connection.registered = True

    def _is_allowed(self, peer):
        allowed = self._allowed.get(peer)
        if allowed is None:
            if len(self._allowed) >= 1024:
                self._allowed.clear()
            allowed = self._allowed[peer] = is_allowed(peer, self.settings.allow)
        return allowed

    def _log_refusal(self, peer):
        now = time.monotonic()
        if now - self._refusal_logged >= REFUSAL_LOG_INTERVAL:
            self._refusal_logged = now
            total = self.metrics.refused
            self.log(f"refused {peer}, not in {PREFIX}allow ({total} so far)")

    def _readable(self, client):
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

    def _discard(self, client):
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

    def _let_wait(self, connection):
        self._forget(connection)
        self.waiting.append(connection)

    def _forget(self, connection):
        """Take the connection out of the place where it is."""
        self.reading.pop(connection.socket, None)
        self.lingering.pop(connection.socket, None)
        if connection.registered:
            self.selector.unregister(connection.socket)
            connection.registered = False

    def _expire(self):
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

    def _answer_waiting(self):
        now = time.monotonic()
        verdict = self.verdict.current(now)
        manager = None
        if self.manager:
            manager = self.manager.current(now)
            if manager is None and not self.settings.require_backends:
                manager = self.manager.last  # an older one will do
            if manager is None:
                return
        if verdict is None:
            return
        report = Report(self.settings, verdict, manager)
        self._note_change(report)
        body = report.body(self.since)
        waiting, self.waiting = self.waiting, []
        for connection in waiting:
            if connection.request.metrics:
                text = self.metrics.text(report, self.since, self.verdict.runs)
                self._send(connection, 200, "text/plain; version=0.0.4; charset=utf-8", text)
            else:
                self._send(connection, report.code, "application/json", body)

    def _note_change(self, report):
        if report.status != self.status:
            self.log(f"{report.status}: {printable(report.reason)}")
            self.status, self.since = report.status, time.time()

    def _answer_bad(self, connection):
        self._forget(connection)
        body = json.dumps({"status": "error", "reason": "not an HTTP/1 request"}) + "\n"
        self._send(connection, 400, "application/json", body)

    def _send(self, connection, code, content_type, body):
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

    def _drop(self, connection):
        self.metrics.dropped += 1
        self._close(connection)

    def _close(self, connection):
        self._forget(connection)
        connection.socket.close()


# How it is started


def inherited_sockets():
    """(listening, connected): the sockets this process was started with."""
    if os.environ.pop("LISTEN_PID", "") == str(os.getpid()):
        fds = range(3, 3 + int(os.environ.pop("LISTEN_FDS", "0")))
    else:
        # xinetd gives the same socket as 0, 1 and 2: nothing else may write to it.
        fds = [os.dup(0)]
        null = os.open(os.devnull, os.O_RDWR)
        for fd in (0, 1, 2):
            os.dup2(null, fd)
    listening, connected = [], []
    for fd in fds:
        os.set_inheritable(fd, False)
        # Python 3.6 takes every inherited socket for an IPv4 one if it is not told otherwise.
        unknown = socket.socket(fileno=fd)
        family = unknown.getsockopt(socket.SOL_SOCKET, socket.SO_DOMAIN)
        inherited = socket.socket(family, socket.SOCK_STREAM, fileno=unknown.detach())
        accepts = inherited.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
        (listening if accepts else connected).append(inherited)
    return listening, connected


def turn_away(listeners):
    """Close what is waiting to be accepted, or we would be started again for it at once."""
    for listener in listeners:
        listener.setblocking(False)
        while True:
            try:
                listener.accept()[0].close()
            except OSError:
                break


def log_to_stderr(line):
    sys.stderr.write(printable(line) + "\n")
    sys.stderr.flush()


def log_to_syslog(line):
    """xinetd gives us no stderr; under systemd this ends in the journal, too."""
    import syslog

    syslog.openlog("mycat_status", syslog.LOG_PID, syslog.LOG_DAEMON)
    syslog.syslog(syslog.LOG_NOTICE, printable(line))


class ChangeWatch:
    """Notices that the configuration, the program or what starts it was replaced.

    The process then ends, and whoever started it starts the new one for the next probe, which
    waits in the listening socket meanwhile. A new configuration that is wrong is only logged.
    """

    def __init__(self, config, log):
        self._config, self._log = config, log
        self._files = (config, os.path.abspath(__file__), os.path.abspath(sys.argv[0]))
        self._seen = self._stamps()
        self._next = 0.0

    def _stamps(self):
        stamps = []
        for path in self._files:
            try:
                status = os.stat(path)
                stamps.append((status.st_mtime_ns, status.st_ino))
            except OSError:
                stamps.append(None)
        return stamps

    def __call__(self):
        now = time.monotonic()
        if now < self._next:
            return False
        self._next = now + CONFIG_POLL
        stamps = self._stamps()
        if stamps == self._seen:
            return False
        self._seen = stamps
        try:
            Settings.load(self._config)
        except (OSError, ValueError) as problem:
            self._log(f"keeps its configuration, the new one is wrong: {problem}")
            return False
        self._log("ends to start anew: its configuration or the program changed")
        return True


def raise_file_limit():
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_CONNECTIONS + 64
    if soft != resource.RLIM_INFINITY and soft < wanted:
        limit = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))


def check_config(path):
    """Exit code for ``--check-config``; says on stderr what is wrong."""
    try:
        settings = Settings.load(path)
        if settings.credentials_file:
            settings.credentials()
    except (OSError, ValueError) as problem:
        log_to_stderr(f"{path}: {problem}")
        return 2
    return 0


def serve(config):
    """Answer on the inherited sockets; returns the exit code."""
    listeners, clients = inherited_sockets()
    try:
        settings = Settings.load(config)
    except (OSError, ValueError) as problem:
        log_to_syslog(f"cannot start: {config}: {problem}")
        turn_away(listeners)
        return 2
    if listeners:
        raise_file_limit()
        log_to_syslog(f"checks at level {settings.level}")
        watch = ChangeWatch(config, log_to_syslog)
        try:
            Server(settings, log_to_syslog, listeners, clients).run(watch)
        except Exception as error:
            log_to_syslog(f"ends by an error of its own: {type(error).__name__}: {error}")
            raise
    else:
        Server(settings, lambda _line: None, clients=clients).run()
        os._exit(0)  # taking the interpreter down costs a tenth of the whole probe
    return 0


def main(arguments):
    if len(arguments) == 2 and arguments[0] == "--config":
        return serve(arguments[1])  # as it is always started: argparse would cost every probe
    import argparse

    parser = argparse.ArgumentParser(prog="mycat_status", description=__doc__.splitlines()[0])
    parser.add_argument("--config", default="/etc/mycat_status/mycat_status.json", metavar="FILE")
    parser.add_argument(
        "--check-config", action="store_true", help="only say whether FILE can be used"
    )
    options = parser.parse_args(arguments)
    return check_config(options.config) if options.check_config else serve(options.config)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
