#!/usr/bin/env python3
# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand-in MyCat: the MySQL protocol as far as a client, a health check or HAProxy sees it.

``mycat_standin.py HOME`` serves SQL on 8066 and the manager on 9066. Statements that MyCat
answers itself are answered here; every other command is relayed, packet by packet, to the
MariaDB behind it, over one backend session per client session. Settings and faults are in
``HOME/conf/standin.json`` (``DEFAULTS`` below); the file is read again when it changes, so a fault
can be switched on while the server runs.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import re
import signal
import struct
import sys
import time

DEFAULTS = {
    "bind": "0.0.0.0",  # noqa: S104 - a database listens
    "sql_port": 8066,
    "manager_port": 9066,
    "user": "mycat",
    "password": "mycat-demo",
    "schemas": ["TESTDB"],
    "version": "5.6.29-mycat-1.6.7.6-release-20220524173810",
    # Stock settings announce mysql_native_password in the greeting, the code default does not.
    "announce_plugin": True,
    # Unix socket of the database behind; null answers every relayed statement with an error.
    "backend_socket": "/run/mysqld/mysqld.sock",
    "backend_port": 3306,  # what `show @@heartbeat` calls it
    "heartbeat_period": 10.0,
    # Between opening the ports and having initialised the data hosts.
    "init_seconds": 0.0,
    # Delay of every answer to a statement, in seconds.
    "query_delay": 0.0,
    # One of FAULTS, or null.
    "fault": None,
}
FAULTS = ("no-greeting", "silent-after-greeting", "silent-after-login", "refuse-start")

(LONG_PASSWORD, FOUND_ROWS, LONG_FLAG, CONNECT_WITH_DB) = (0x1, 0x2, 0x4, 0x8)
(ODBC, IGNORE_SPACE, PROTOCOL_41, INTERACTIVE) = (0x40, 0x100, 0x200, 0x400)
(IGNORE_SIGPIPE, TRANSACTIONS, SECURE_CONNECTION) = (0x1000, 0x2000, 0x8000)
(MULTI_STATEMENTS, MULTI_RESULTS, PLUGIN_AUTH) = (0x10000, 0x20000, 0x80000)
CAPABILITIES = LONG_PASSWORD | FOUND_ROWS | LONG_FLAG | CONNECT_WITH_DB | ODBC | IGNORE_SPACE
CAPABILITIES |= PROTOCOL_41 | INTERACTIVE | IGNORE_SIGPIPE | TRANSACTIONS | SECURE_CONNECTION
CAPABILITIES |= MULTI_STATEMENTS | MULTI_RESULTS
COM_QUIT, COM_INIT_DB, COM_QUERY, COM_PING = 0x01, 0x02, 0x03, 0x0E
UTF8 = 33
AUTOCOMMIT = 2
AUTH_TIMEOUT = 15.0
NATIVE = b"mysql_native_password"

ER_YES = (1003, b"HY000")
ER_ACCESS_DENIED = (1045, b"28000")
ER_UNKNOWN_COMMAND = (1047, b"08S01")
ER_BAD_DB = (1049, b"42000")
ER_SHUTDOWN = (1053, b"HY000")
ER_NO_DATASOURCE = (1184, b"HY000")


class Settings:
    """The settings file over the defaults, fresh whenever the file changed."""

    def __init__(self, path):
        self._path = path
        self._stamp = None
        self._values = dict(DEFAULTS)

    def __getattr__(self, name):
        try:
            status = os.stat(self._path)
            stamp = (status.st_mtime_ns, status.st_ino, status.st_size)
        except FileNotFoundError:
            stamp = None
        if stamp and stamp != self._stamp:
            with open(self._path, encoding="utf-8") as handle:
                loaded = json.load(handle)
            unknown = set(loaded) - set(DEFAULTS)
            if unknown:
                raise ValueError(f"unknown settings: {sorted(unknown)}")
            if loaded.get("fault") not in (None, *FAULTS):
                raise ValueError(f"fault must be one of {FAULTS}")
            self._values = {**DEFAULTS, **loaded}
            self._stamp = stamp
        return self._values[name]


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


def error(code, message, sequence=1):
    number, state = code
    return packet(sequence, b"\xff" + struct.pack("<H", number) + b"#" + state + message.encode())


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
            capabilities = capabilities & CAPABILITIES | PLUGIN_AUTH | SECURE_CONNECTION
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


class Server:
    """State that all sessions share: online or not, data hosts initialised or not."""

    def __init__(self, home):
        self.settings = Settings(os.path.join(home, "conf/standin.json"))
        self.online = True
        self.initialised = False
        self.started = time.time()
        self.heartbeat = 0  # RS_CODE: 0 init, 1 ok, -1 error
        self.connections = 0

    async def run(self):
        settings = self.settings
        if settings.fault == "refuse-start":
            sys.exit("fault refuse-start is set")
        for port, session in (
            (settings.manager_port, ManagerSession),
            (settings.sql_port, SqlSession),
        ):
            await asyncio.start_server(
                lambda reader, writer, session=session: session(self, reader, writer).serve(),
                settings.bind,
                port,
                backlog=1024,
            )
        await asyncio.sleep(settings.init_seconds)
        self.initialised = True
        while True:
            await self.beat()
            await asyncio.sleep(settings.heartbeat_period)

    async def beat(self):
        try:
            backend = await Backend.login(self.settings, CAPABILITIES, UTF8, None)
        except (OSError, asyncio.IncompleteReadError):
            self.heartbeat = -1
        else:
            backend.close()
            self.heartbeat = 1


class Session:
    """Login and the command loop; what a statement means is the subclass's."""

    def __init__(self, server, reader, writer):
        self.server, self.settings = server, server.settings
        self.reader, self.writer = reader, writer
        self.database = None
        self.capabilities = CAPABILITIES
        self.charset = UTF8

    async def serve(self):
        try:
            fault = self.settings.fault
            if fault == "no-greeting":
                await self.stay_silent()
            elif await asyncio.wait_for(self.login(fault), AUTH_TIMEOUT):
                await self.commands()
        except (OSError, asyncio.IncompleteReadError, asyncio.TimeoutError):
            pass
        finally:
            self.finish()

    def finish(self):
        self.writer.close()

    async def stay_silent(self):
        while await self.reader.read(4096):
            pass
        raise ConnectionResetError

    async def login(self, fault):
        settings = self.settings
        self.server.connections += 1
        # No NUL and no "$" in a salt; urandom's bytes are mapped to printable ones.
        salt = bytes(0x30 + byte % 0x4A for byte in os.urandom(20))
        plugin = settings.announce_plugin
        offered = CAPABILITIES | (PLUGIN_AUTH if plugin else 0)
        low, high = offered & 0xFFFF, offered >> 16
        greeting = [
            b"\x0a" + settings.version.encode() + b"\0",
            struct.pack("<I", self.server.connections & 0xFFFFFFFF),
            salt[:8] + b"\0",
            struct.pack("<HBHHB10x", low, UTF8, AUTOCOMMIT, high, len(salt) + 1),
            salt[8:] + b"\0",
            NATIVE + b"\0" if plugin else b"",
        ]
        self.writer.write(packet(0, b"".join(greeting)))
        sequence, data = await read_packet(self.reader)
        if fault == "silent-after-greeting":
            await self.stay_silent()
        self.capabilities, _, self.charset = struct.unpack_from("<IIB", data, 4)
        user, _, rest = data[36:].partition(b"\0")
        token, rest = rest[1 : 1 + rest[0]], rest[1 + rest[0] :]
        if self.capabilities & CONNECT_WITH_DB:
            self.database = rest.partition(b"\0")[0].decode("utf-8", "replace") or None
        if user != settings.user.encode() or token != scramble(settings.password, salt):
            host = self.writer.get_extra_info("peername")[0]
            name = user.decode("utf-8", "replace")
            message = f"Access denied for user '{name}' with host '{host}'"
            self.writer.write(error(ER_ACCESS_DENIED, message, sequence + 1))
            return False
        if self.database is not None and self.database not in settings.schemas:
            self.writer.write(error(ER_BAD_DB, f"Unknown database '{self.database}'", sequence + 1))
            return False
        self.writer.write(ok(sequence + 1))
        return True

    async def commands(self):
        while True:
            _, data = await read_packet(self.reader)
            command = data[4]
            if command == COM_QUIT:
                return
            if self.settings.fault in ("silent-after-greeting", "silent-after-login"):
                await self.stay_silent()
            if self.settings.query_delay:
                await asyncio.sleep(self.settings.query_delay)
            if command == COM_PING:
                self.writer.write(self.when_online(ok()))
            elif command == COM_INIT_DB:
                await self.init_db(data)
            elif command == COM_QUERY:
                statement = data[5:].decode("utf-8", "replace").strip().rstrip(";").rstrip()
                await self.query(re.sub(r"\s+", " ", statement.lower()), data)
            else:
                await self.other(data)
            await self.writer.drain()

    def when_online(self, answer):
        if self.server.online:
            return answer
        return error(ER_SHUTDOWN, "The server has been shutdown")

    async def init_db(self, data):
        raise NotImplementedError

    async def query(self, statement, data):
        """Answer ``statement`` (lower case, blanks squeezed), which came as the packet ``data``."""
        raise NotImplementedError

    async def other(self, data):
        raise NotImplementedError


class SqlSession(Session):
    """Port 8066: what MyCat answers itself, and a relay for the rest."""

    def __init__(self, server, reader, writer):
        super().__init__(server, reader, writer)
        self.backend = None
        self.pump = None
        self.user_host = f"{self.settings.user}@{writer.get_extra_info('peername')[0]}"

    def finish(self):
        if self.pump:
            self.pump.cancel()
        if self.backend:
            self.backend.close()
        super().finish()

    async def query(self, statement, data):
        if statement == "show mycat_status":
            self.writer.write(self.when_online(result_set(["STATUS"], [["ON"]])))
        elif statement == "select user()":
            self.writer.write(self.when_online(result_set(["USER()"], [[self.user_host]])))
        elif statement == "select 1":
            self.writer.write(result_set(["1"], [["1"]]))
        elif statement.startswith("select @@version_comment"):
            comment = "MyCat Server (OpenCloudDB)"
            self.writer.write(result_set(["@@version_comment"], [[comment]]))
        else:
            await self.relay(data)

    async def init_db(self, data):
        database = data[5:].decode("utf-8", "replace")
        if database not in self.settings.schemas:
            self.writer.write(error(ER_BAD_DB, f"Unknown database '{database}'"))
            return
        self.database = database
        if self.backend:
            await self.relay(data)
        else:
            self.writer.write(ok())

    async def other(self, data):
        await self.relay(data)

    async def relay(self, data):
        if self.backend is None and not await self.connect():
            return
        self.backend.writer.write(data)
        await self.backend.writer.drain()

    async def connect(self):
        try:
            if not self.server.initialised:
                raise ConnectionRefusedError
            self.backend = await Backend.login(
                self.settings, self.capabilities, self.charset, self.database
            )
        except (OSError, asyncio.IncompleteReadError):
            self.writer.write(error(ER_NO_DATASOURCE, "Invalid DataSource:0"))
            return False
        self.pump = asyncio.ensure_future(self.pump_answers())
        return True

    async def pump_answers(self):
        """Answers go back as they are: both sides speak with the same capabilities."""
        try:
            while True:
                data = await self.backend.reader.read(65536)
                if not data:
                    break
                self.writer.write(data)
                await self.writer.drain()
        except OSError:
            pass
        self.writer.close()


class ManagerSession(Session):
    """Port 9066: the same users as 8066 and, as in MyCat, no further check."""

    async def init_db(self, _data):
        self.writer.write(ok())

    async def other(self, _data):
        self.writer.write(error(ER_UNKNOWN_COMMAND, "Unknown command"))

    async def query(self, statement, _data):
        server, settings = self.server, self.settings
        if statement == "show @@server":
            uptime = f"{time.time() - server.started:.0f}s"
            status = "ON" if server.online else "OFF"
            columns = ["UPTIME", "USED_MEMORY", "TOTAL_MEMORY", "MAX_MEMORY"]
            columns += ["RELOAD_TIME", "ROLLBACK_TIME", "CHARSET", "STATUS"]
            row = [uptime, 0, 0, 0, int(server.started * 1000), -1, "utf8", status]
            self.writer.write(result_set(columns, [row]))
        elif statement == "show @@heartbeat":
            columns = ["NAME", "TYPE", "HOST", "PORT", "RS_CODE", "RETRY", "STATUS", "TIMEOUT"]
            columns += ["EXECUTE_TIME", "LAST_ACTIVE_TIME", "STOP"]
            now = time.strftime("%Y-%m-%d %H:%M:%S")
            row = ["hostM1", "mysql", "127.0.0.1", settings.backend_port, server.heartbeat]
            row += [0, "idle", 0, "0,0,0", now, "false"]
            self.writer.write(result_set(columns, [row]))
        elif statement in ("offline", "online"):
            server.online = statement == "online"
            self.writer.write(ok(affected=1))
        else:
            self.writer.write(error(ER_YES, "Unsupported statement"))


async def serve(home):
    loop = asyncio.get_running_loop()
    server = asyncio.ensure_future(Server(home).run())
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, server.cancel)
    if not sys.stdin.isatty():  # the wrapper's end of this pipe closes when the wrapper dies
        loop.add_reader(sys.stdin.fileno(), server.cancel)
    try:
        await server
    except asyncio.CancelledError:
        # Cut every client at once, as the JVM's end does.
        os._exit(0)


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1]))
