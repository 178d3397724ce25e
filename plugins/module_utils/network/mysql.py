# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask a MySQL server, or a MyCat, for its greeting and one query, by one deadline.

Speaks as much of the client protocol as that takes: handshake version 10, mysql_native_password,
text results (https://dev.mysql.com/doc/dev/mysql-server/latest/PAGE_PROTOCOL.html).
"""

from __future__ import annotations

import hashlib
import struct
from typing import Mapping, Sequence

from .connection import Connection, NoAnswer, printable

_LONG_PASSWORD, _PROTOCOL_41, _SECURE_CONNECTION, _PLUGIN_AUTH = 0x1, 0x200, 0x8000, 0x80000
_COM_QUIT, _COM_QUERY = 0x01, 0x03
_UTF8 = 33
_NATIVE = b"mysql_native_password"
# Far above any answer to what is asked here.
_MOST_PACKET = 65536
_MOST_ROWS = 1000
_NOT_MYSQL = "it does not speak the MySQL protocol"

Row = Mapping[str, "str | None"]


def greeting(host: str, port: int, seconds: float) -> str:
    """Return the version in the server's greeting. Raises NoAnswer."""
    with Connection((host, port), seconds) as connection:
        return _Session(connection).version


def query(
    host: str, port: int, user: str, password: str, statement: str, seconds: float
) -> Sequence[Row]:
    """Log in, return the rows of one statement ({column: text or None}). Raises NoAnswer."""
    with Connection((host, port), seconds) as connection:
        session = _Session(connection)
        session.login(user, password)
        rows = session.query(statement)
        session.quit()
        return rows


def native_password(password: bytes, salt: bytes) -> bytes:
    """SHA1(password) XOR SHA1(salt + SHA1(SHA1(password))), nothing for an empty password."""
    if not password:
        return b""
    once = hashlib.sha1(password).digest()  # noqa: S324 - the protocol wants it
    mask = hashlib.sha1(salt + hashlib.sha1(once).digest()).digest()  # noqa: S324
    return bytes(a ^ b for a, b in zip(once, mask))


def fields(payload: bytes) -> list[bytes | None]:
    """The length-encoded strings that a packet consists of; None for NULL. Raises ValueError."""
    found: list[bytes | None] = []
    at = 0
    while at < len(payload):
        size, at = payload[at], at + 1
        if size == 0xFB:
            found.append(None)
            continue
        if size == 0xFC:
            size, at = int.from_bytes(payload[at : at + 2], "little"), at + 2
        elif size > 0xFC:
            raise ValueError("longer than anything that is asked for")
        if at + size > len(payload):
            raise ValueError("cut short")
        found.append(payload[at : at + size])
        at += size
    return found


def column_name(payload: bytes) -> str:
    """The name in the definition of a column: the fifth of its strings. Raises ValueError."""
    # Numbers follow the sixth string.
    end = 0
    for _string in range(6):
        end += 1 + payload[end] if end < len(payload) else 1
    name = fields(payload[:end])[4]
    return printable(name or b"")


class _Session:
    """What a server answers once a connection is there."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._sequence = 0
        payload = self._receive()
        version, _zero, rest = payload[1:].partition(b"\0")
        if payload[0] != 10 or len(rest) < 13:
            raise NoAnswer(_NOT_MYSQL)
        self.version = printable(version)
        # Thread id (4), salt (8), NUL, capabilities (2), charset, status (2), capabilities (2),
        # length, filler (10), then the rest of the salt and its NUL.
        self._salt = rest[4:12] + rest[31:43]

    def login(self, user: str, password: str) -> None:
        if len(self._salt) != 20:
            raise NoAnswer("the greeting has no salt for a login")
        token = native_password(password.encode(), self._salt)
        capabilities = _LONG_PASSWORD | _PROTOCOL_41 | _SECURE_CONNECTION | _PLUGIN_AUTH
        response = struct.pack("<IIB23x", capabilities, _MOST_PACKET, _UTF8)
        response += user.encode() + b"\0" + bytes([len(token)]) + token + _NATIVE + b"\0"
        self._send(self._sequence + 1, response)
        if self._receive()[0] != 0:
            raise NoAnswer(f"it wants another login than {_NATIVE.decode()}")

    def query(self, statement: str) -> list[Row]:
        self._send(0, bytes([_COM_QUERY]) + statement.encode())
        count = self._receive()[0]
        if count == 0:
            return []
        try:
            columns = [column_name(self._receive()) for _column in range(count)]
            self._until_eof(0)
            rows = [fields(payload) for payload in self._until_eof(_MOST_ROWS)]
        except (IndexError, ValueError):
            raise NoAnswer(f"unreadable answer to {statement}") from None
        return [
            dict(zip(columns, (None if text is None else printable(text) for text in row)))
            for row in rows
        ]

    def quit(self) -> None:
        """End the session in order; otherwise MyCat 1.6.1 and older never free its memory."""
        self._send(0, bytes([_COM_QUIT]))

    def _until_eof(self, most: int) -> list[bytes]:
        payloads: list[bytes] = []
        while len(payloads) <= most:
            payload = self._receive()
            if payload[0] == 0xFE and len(payload) < 9:
                return payloads
            payloads.append(payload)
        raise ValueError("no end")

    def _receive(self) -> bytes:
        header = self._connection.receive(4)
        size = int.from_bytes(header[:3], "little")
        self._sequence = header[3]
        if not 0 < size <= _MOST_PACKET:
            raise NoAnswer(_NOT_MYSQL)
        payload = self._connection.receive(size)
        if payload[0] == 0xFF:
            raise NoAnswer(_error(payload))
        return payload

    def _send(self, sequence: int, payload: bytes) -> None:
        header = struct.pack("<I", len(payload))[:3] + bytes([sequence & 0xFF])
        self._connection.send(header + payload)


def _error(payload: bytes) -> str:
    text = payload[3:]
    if text[:1] == b"#":  # an SQL state, which MyCat leaves out before the login
        text = text[6:]
    return f"error {int.from_bytes(payload[1:3], 'little')} {printable(text)}"
