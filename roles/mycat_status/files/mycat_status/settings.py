# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The settings of the program, and who may ask it."""

from __future__ import annotations

import json
import os
import socket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Iterable, Mapping

PREFIX = "mycat_status_"  # of the role's variables, as messages name settings
LEVELS = ("process", "greeting", "query")


def printable(value: object) -> str:
    """``value`` as text on one line without control characters, for logs and reasons."""
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)[:300]


# Addresses


def parse_address(text: str) -> bytes:
    """The address as bytes, 4 for IPv4 and 16 for IPv6. Raise ValueError for anything else."""
    try:
        return socket.inet_pton(socket.AF_INET6 if ":" in text else socket.AF_INET, text)
    except OSError:
        raise ValueError(f"{text} is not an address") from None


class Network:
    """The addresses with one prefix: ``192.0.2.0/24``, or ``192.0.2.7`` for itself alone."""

    def __init__(self, text: str) -> None:
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

    def __contains__(self, packed: bytes) -> bool:
        same_family = len(packed) == self._size
        return same_family and int.from_bytes(packed, "big") >> self._host_bits == self._prefix


def is_allowed(peer: str, networks: Iterable[Network]) -> bool:
    """Is the address ``peer`` in one of ``networks``? An IPv4 client of an IPv6 socket is IPv4."""
    try:
        packed = parse_address(peer.partition("%")[0])
    except ValueError:
        return False
    if packed[:-4] == b"\0" * 10 + b"\xff\xff":
        packed = packed[-4:]
    return any(packed in network for network in networks)


# Values


class SettingError(ValueError):
    """A setting that cannot be used; ``name`` is the role's variable."""

    def __init__(self, name: str, problem: str) -> None:
        super().__init__(f"{PREFIX}{name}: {problem}")
        self.name = PREFIX + name


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value or not value.isprintable():
        raise ValueError("must be a text without control characters")
    return value


def _path(value: Any) -> str:
    if not _text(value).startswith("/"):
        raise ValueError("must be an absolute path")
    return str(value).rstrip("/") or "/"


def _port(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 65535:
        raise ValueError("must be a port, 1 to 65535")
    return value


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("must be true or false")
    return value


def _seconds(low: float, high: float) -> Callable[[Any], float]:
    def check(value: Any) -> float:
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not number or not low <= value <= high:
            raise ValueError(f"must be a number of seconds, {low:g} to {high:g}")
        return float(value)

    return check


def _level(value: Any) -> str:
    if value not in LEVELS:
        raise ValueError("must be one of " + ", ".join(LEVELS))
    return str(value)


def _address(value: Any) -> str:
    parse_address(_text(value))
    return str(value)


def _allow(value: Any) -> list[Network]:
    if not isinstance(value, list) or not value:
        raise ValueError("must be a list of addresses or networks, and not empty")
    return [Network(_text(item)) for item in value]


def _optional(check: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: None if value is None else check(value)


# name: (default, what makes a usable value of it or raises ValueError)
SETTINGS: dict[str, tuple[Any, Callable[[Any], Any]]] = {
    "home": ("/usr/local/mycat", _path),
    "long_name": ("Mycat-server", _text),
    "pid_file": (None, _optional(_path)),
    "require_pid": (False, _flag),
    "wrapper": (None, _optional(_text)),
    "host": ("127.0.0.1", _address),
    "sql_port": (8066, _port),
    "manager_port": (None, _optional(_port)),
    "level": (None, _optional(_level)),
    "marker": ("-mycat-", _text),
    "use_status_command": (False, _flag),
    "credentials_file": (None, _optional(_path)),
    "ready_query": ("select now()", _text),
    "require_backends": (False, _flag),
    "allow": ([], _allow),
    "check_timeout": (1.0, _seconds(0.05, 30)),
    "client_timeout": (1.0, _seconds(0.05, 30)),
    "max_age": (0.5, _seconds(0.05, 30)),
    "recovery_time": (3.5, _seconds(0, 300)),
    "drain": (False, _flag),
    "drain_file": ("/run/mycat_status/drain", _path),
    "memory_file": ("/run/mycat_status/memory/memory.json", _path),
}


class Settings:
    """The settings of one run: an attribute for each name in ``SETTINGS``."""

    home: str
    long_name: str
    pid_file: str
    require_pid: bool
    wrapper: str | None
    host: str
    sql_port: int
    manager_port: int | None
    level: str
    marker: str
    use_status_command: bool
    credentials_file: str | None
    ready_query: str
    require_backends: bool
    allow: list[Network]
    check_timeout: float
    client_timeout: float
    max_age: float
    recovery_time: float
    drain: bool
    drain_file: str
    memory_file: str

    def __init__(self, values: Mapping[str, Any]) -> None:
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
    def load(cls, path: str) -> Settings:
        """Raise SettingError, or OSError, or ValueError for what is not JSON."""
        with open(path, encoding="utf-8") as handle:
            try:
                values = json.load(handle)
            except RecursionError:
                values = None
        if not isinstance(values, dict):
            raise ValueError(f"{path} does not hold a JSON object")
        return cls(values)

    def credentials(self) -> tuple[str, str]:
        """(user, password). Raise SettingError when they are missing or open to everyone."""
        name, path = "credentials_file", str(self.credentials_file)
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
