# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A client of the MySQL protocol that ends in time."""

from __future__ import annotations

import socket
import struct
import time

from mycat_status.settings import printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Dict, List, Optional, TypeVar

    Result = TypeVar("Result")
    Argument = TypeVar("Argument")
    Rows = List[Dict[str, Optional[str]]]


class CheckFailed(Exception):  # noqa: N818 - not an error of the program
    """MyCat is not ready; the text says why."""


class Refused(CheckFailed):
    """Nothing listens there."""


class MySQLError(CheckFailed):
    """MyCat answered with an error packet; the session goes on."""

    def __init__(self, name: str, number: int, message: str) -> None:
        super().__init__(f"{name}: error {number} {message}")
        self.number, self.message = number, message


class Deadline:
    """One allowance of time, in seconds, for all the steps of a check."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._end = time.monotonic() + seconds

    def left(self) -> float:
        """Seconds left. Raise CheckFailed when none are."""
        left = self._end - time.monotonic()
        if left <= 0:
            raise CheckFailed(f"no answer within {self.seconds:g} s")
        return left

    def passed(self) -> bool:
        return time.monotonic() >= self._end


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

    def __init__(self, host: str, port: int, deadline: Deadline) -> None:
        self.deadline = deadline
        self.name = f"{host}:{port}"
        self.buffer = b""
        self.salt = b""
        self.sequence = 0
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_STREAM)
        try:
            self.socket.settimeout(deadline.left())
            self.socket.connect((host, port))
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except socket.timeout:
            self.socket.close()
            raise CheckFailed(f"{self.name}: no connection within {deadline.seconds:g} s") from None
        except OSError as error:
            self.socket.close()
            kind = Refused if isinstance(error, ConnectionRefusedError) else CheckFailed
            raise kind(f"{self.name}: {error.strerror}") from None

    def __enter__(self) -> MySQL:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def close(self) -> None:
        self.socket.close()

    def _timed(self, operation: Callable[[Argument], Result], argument: Argument) -> Result:
        try:
            self.socket.settimeout(self.deadline.left())
            return operation(argument)
        except (socket.timeout, CheckFailed):
            silence = f"{self.name}: no answer within {self.deadline.seconds:g} s"
            raise CheckFailed(silence) from None
        except OSError as error:
            raise CheckFailed(f"{self.name}: {error.strerror}") from None

    def _exactly(self, size: int) -> bytes:
        while len(self.buffer) < size:
            data = self._timed(self.socket.recv, 65536)
            if not data:
                raise CheckFailed(f"{self.name}: closed the connection")
            self.buffer += data
        data, self.buffer = self.buffer[:size], self.buffer[size:]
        return data

    def _receive(self) -> bytes:
        header = self._exactly(4)
        size = header[0] | header[1] << 8 | header[2] << 16
        self.sequence = header[3]
        if not 0 < size <= self.MAX_PACKET:
            raise CheckFailed(f"{self.name}: does not speak the MySQL protocol")
        payload = self._exactly(size)
        if payload[0] == 0xFF:
            raise self._error(payload)
        return payload

    def _error(self, payload: bytes) -> MySQLError:
        text = payload[3:]
        if text[:1] == b"#":  # an SQL state, which MyCat leaves out before the login
            text = text[6:]
        number = int.from_bytes(payload[1:3], "little")
        return MySQLError(self.name, number, printable(text))

    def _send(self, sequence: int, payload: bytes) -> None:
        packet = struct.pack("<I", len(payload))[:3] + bytes([sequence & 0xFF]) + payload
        self._timed(self.socket.sendall, packet)

    def greet(self, marker: str) -> str:
        """Read the server's greeting; its version has to hold ``marker``. Returns the version."""
        payload = self._receive()
        version, _zero, rest = payload[1:].partition(b"\0")
        if payload[0] != 10 or len(rest) < 13:
            raise CheckFailed(f"{self.name}: does not speak the MySQL protocol")
        found = printable(version)
        if marker.encode() not in version:
            raise CheckFailed(f"{self.name}: is not MyCat: no {marker} in {found}")
        # Thread id (4), salt (8), NUL, capabilities (2), charset, status (2), capabilities (2),
        # length, filler (10), then the rest of the salt and its NUL.
        self.salt = rest[4:12] + rest[31:43]
        return found

    def login(self, user: str, password: str) -> None:
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

    def query(self, statement: str) -> Rows:
        """Rows of a result set as a list of {column: text or None}; none where it is an OK."""
        self._send(0, bytes([self.COM_QUERY]) + statement.encode())
        count = self._receive()[0]
        if count == 0:
            return []
        try:
            columns = [str(_fields(self._receive())[4]) for _column in range(count)]
            self._until_eof(1)
            rows = self._until_eof(self.MAX_ROWS)
            return [dict(zip(columns, _fields(row))) for row in rows]
        except (IndexError, ValueError):
            raise CheckFailed(f"{self.name}: unreadable answer to {statement}") from None

    def _until_eof(self, most: int) -> list[bytes]:
        payloads: list[bytes] = []
        while len(payloads) <= most:
            payload = self._receive()
            if payload[0] == 0xFE and len(payload) < 9:
                return payloads
            payloads.append(payload)
        raise ValueError("no end")

    def quit(self) -> None:
        """Say goodbye, or MyCat 1.6.1 and older keep the session's memory."""
        self._send(0, bytes([self.COM_QUIT]))


def _fields(payload: bytes) -> list[str | None]:
    """The length-encoded strings a packet begins with; raises IndexError when one is cut short."""
    fields: list[str | None] = []
    at = 0
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


def native_password(password: bytes, salt: bytes) -> bytes:
    """SHA1(password) XOR SHA1(salt + SHA1(SHA1(password))): mysql_native_password."""
    try:
        # hashlib would load OpenSSL, a fifth of a whole probe
        from _sha1 import sha1  # type: ignore[import-not-found]
    except ImportError:  # Red Hat builds Python without it
        from hashlib import sha1
    if not password:
        return b""
    once = sha1(password).digest()  # noqa: S324 - the protocol wants it
    mask = sha1(salt + sha1(once).digest()).digest()  # noqa: S324
    return bytes(a ^ b for a, b in zip(once, mask))
