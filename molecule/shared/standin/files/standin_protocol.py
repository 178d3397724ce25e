# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The MySQL protocol as MyCat speaks it, and a client of it for the database behind."""

from __future__ import annotations

import asyncio
import hashlib
import struct

CONNECT_WITH_DB, LOCAL_FILES, SECURE_CONNECTION, PLUGIN_AUTH = 0x8, 0x80, 0x8000, 0x80000
# Local files, but no multi statements.
CAPABILITIES = 0xAB7CF & ~PLUGIN_AUTH
COM_QUIT, COM_INIT_DB, COM_QUERY, COM_PING = 0x01, 0x02, 0x03, 0x0E
COM_STATISTICS, COM_PROCESS_KILL = 0x09, 0x0C
UTF8 = 33
AUTOCOMMIT = 2
NATIVE = b"mysql_native_password"
ER_YES, ER_ACCESS_DENIED, ER_UNKNOWN_COMMAND, ER_BAD_DB = 1003, 1045, 1047, 1049
ER_SHUTDOWN, ER_NO_DATASOURCE, ER_NO_SCHEMA, ER_REFUSED = 1053, 1184, 3000, 3012


def scramble(password, salt):
    """Native password login: SHA1(password) XOR SHA1(salt + SHA1(SHA1(password)))."""
    if not password:
        return b""
    once = hashlib.sha1(password.encode()).digest()  # noqa: S324 - the protocol's
    twice = hashlib.sha1(once).digest()  # noqa: S324
    mask = hashlib.sha1(salt + twice).digest()  # noqa: S324
    return bytes(a ^ b for a, b in zip(once, mask))


def packet(sequence, payload):
    return struct.pack("<I", len(payload))[:3] + bytes([sequence & 0xFF]) + payload


def text(value):
    """A length-encoded string; None is NULL."""
    if value is None:
        return b"\xfb"
    data = str(value).encode()
    if len(data) < 251:
        return bytes([len(data)]) + data
    return b"\xfc" + struct.pack("<H", len(data)) + data


def ok(sequence=1, affected=0):
    return packet(sequence, struct.pack("<BBBHH", 0, affected, 0, AUTOCOMMIT, 0))


def error(number, message, sequence=1):
    """MyCat gives each of its own errors the same SQLSTATE."""
    return packet(sequence, b"\xff" + struct.pack("<H", number) + b"#HY000" + message.encode())


def result_set(columns, rows):
    """One text result set, ended by EOF packets: CLIENT_DEPRECATE_EOF is never offered."""
    payloads = [bytes([len(columns)])]
    for name in columns:
        names = text("def") + text("") * 3 + text(name) + text("")
        payloads.append(names + struct.pack("<BHIBHBH", 0x0C, UTF8, 1024, 0xFD, 0, 0, 0))
    eof = b"\xfe" + struct.pack("<HH", 0, AUTOCOMMIT)
    payloads.append(eof)
    payloads.extend(b"".join(text(value) for value in row) for row in rows)
    payloads.append(eof)
    return b"".join(packet(number, payload) for number, payload in enumerate(payloads, 1))


async def read_packet(reader):
    header = await reader.readexactly(4)
    length = header[0] | header[1] << 8 | header[2] << 16
    return header[3], header + await reader.readexactly(length)


class Backend:
    """One session on the database behind."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer

    @classmethod
    async def login(cls, settings, capabilities, charset, database):
        """Raise OSError with the server's words when it does not let us in."""
        if settings.backend_socket is None:
            raise ConnectionRefusedError("no database behind")
        reader, writer = await asyncio.open_unix_connection(settings.backend_socket)
        try:
            _, data = await read_packet(reader)
            body = data[4:]
            if body[0] != 10:
                raise ConnectionError(body[3:].decode("utf-8", "replace"))
            at = body.index(b"\0", 1) + 5
            salt = body[at : at + 8] + body[at + 27 : at + 39]
            capabilities = capabilities & CAPABILITIES & ~LOCAL_FILES
            capabilities |= PLUGIN_AUTH | SECURE_CONNECTION
            capabilities = capabilities & ~CONNECT_WITH_DB | (CONNECT_WITH_DB if database else 0)
            token = scramble(settings.password, salt)
            response = [
                struct.pack("<IIB23x", capabilities, 1 << 24, charset),
                settings.user.encode() + b"\0",
                bytes([len(token)]) + token,
                database.encode() + b"\0" if database else b"",
                NATIVE + b"\0",
            ]
            writer.write(packet(1, b"".join(response)))
            sequence, data = await read_packet(reader)
            if data[4] == 0xFE:  # the account's plugin is another one: asked to start over
                plugin, _, salt = data[5:].partition(b"\0")
                if plugin != NATIVE:
                    raise ConnectionError(f"database wants {plugin!r}")
                writer.write(packet(sequence + 1, scramble(settings.password, salt[:20])))
                _, data = await read_packet(reader)
            if data[4] != 0:
                raise ConnectionError(data[7:].decode("utf-8", "replace"))
        except BaseException:
            writer.close()
            raise
        return cls(reader, writer)

    def close(self):
        self.writer.write(packet(0, bytes([COM_QUIT])))
        self.writer.close()
