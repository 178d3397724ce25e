#!/usr/bin/env python3
# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand-in MyCat: the MySQL protocol as far as a client, a health check or HAProxy sees it.

``mycat_standin.py HOME`` serves SQL on 8066 and the manager on 9066. Statements that MyCat
answers itself are answered here; every other command is relayed, packet by packet, to the
MariaDB behind it, over one backend session per client session. Settings and faults are in
``HOME/conf/standin.json`` (``DEFAULTS`` below); the file is read again when it changes, so a fault
can be switched on while the server runs. Each login leaves two lines in ``HOME/logs/mycat.log``.
Times and texts are those of MyCat 1.6.7.6, except where a setting says otherwise.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import struct
import sys
import time
import xml.etree.ElementTree as ET

from standin_protocol import (
    AUTOCOMMIT,
    CAPABILITIES,
    COM_INIT_DB,
    COM_PING,
    COM_PROCESS_KILL,
    COM_QUERY,
    COM_QUIT,
    COM_STATISTICS,
    CONNECT_WITH_DB,
    ER_ACCESS_DENIED,
    ER_BAD_DB,
    ER_NO_DATASOURCE,
    ER_NO_SCHEMA,
    ER_REFUSED,
    ER_SHUTDOWN,
    ER_UNKNOWN_COMMAND,
    ER_YES,
    NATIVE,
    PLUGIN_AUTH,
    UTF8,
    Backend,
    error,
    ok,
    packet,
    read_packet,
    result_set,
    scramble,
)

DEFAULTS = {
    "bind": "0.0.0.0",  # noqa: S104 - a database listens
    "sql_port": 8066,
    "manager_port": 9066,
    "user": "mycat",
    "password": "mycat-demo",
    "schemas": ["TESTDB"],
    # Whether a client that names no schema gets the first; else 3000 for whatever has a table.
    "default_schema": True,
    # Addresses that server.xml's firewall lets in (null: all), and whether it allows ``show``.
    "whitehost": None,
    "show_allowed": True,
    "version": "5.6.29-mycat-1.6.7.6-release-20220524173810",
    # Stock settings announce mysql_native_password in the greeting, the code default does not.
    "announce_plugin": True,
    # Unix socket of the database behind; null answers every relayed statement with an error.
    "backend_socket": "/run/mysqld/mysqld.sock",
    "backend_port": 3306,  # what `show @@heartbeat` calls it
    "heartbeat_period": 10.0,
    # The JVM's, before it opens the ports.
    "boot_seconds": 0.6,
    # Between opening the ports and having initialised the data hosts.
    "init_seconds": 0.0,
    # From being told to stop to the end of the sessions, and from there to its own end.
    "stop_seconds": [1.2, 0.8],
    # Threads that serve the clients. Where the database was not there at the start, each statement
    # for it tries to initialise it again, on its thread: some fail at once, the later ones wait.
    "reactors": 2,
    "quick_failures": 20,
    "reactor_wait": 60.0,
    # A number that changes stops the whole server once for so many seconds.
    "pause": 0.0,
    # Delay of every answer to a statement, in seconds.
    "query_delay": 0.0,
    # One of FAULTS, or null.
    "fault": None,
}
FAULTS = (
    "no-greeting",
    "silent-after-greeting",
    "silent-after-login",
    "refuse-start",
    "no-acceptor",  # as an OutOfMemoryError leaves it: the port connects, until a restart
)

AUTH_TIMEOUT = 15.3
RETRIES = 3  # failed heartbeats that turn RS_CODE

# What names a table, and so needs a schema.
WITH_TABLE = re.compile(r"(insert|update|delete|replace|show (full )?tables|.* from (?!dual\b))")
SALT = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


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


class Heartbeat:
    """What ``show @@heartbeat`` says of the one data host."""

    def __init__(self):
        self.code, self.retry, self.checking = 1, 0, False
        self.answered = 0.0  # the year 1970 until there was an answer

    async def beat(self, settings):
        self.checking = True
        try:
            backend = await Backend.login(settings, CAPABILITIES, UTF8, None)
        except (OSError, asyncio.IncompleteReadError):
            self.retry += 1
            if self.retry == RETRIES:
                self.code, self.retry = -1, 0
        else:
            backend.close()
            self.code, self.retry = 1, 0
        self.checking, self.answered = False, time.time()


class Reactors:
    """The threads that serve the clients; a session is on one of them for its life."""

    def __init__(self, settings):
        self._settings = settings
        self._busy_until = [0.0] * settings.reactors

    def of(self, connection):
        return connection % len(self._busy_until)

    async def free(self, number):
        while time.monotonic() < self._busy_until[number]:
            await asyncio.sleep(0.02)

    async def wait(self, number):
        """Hold the thread. Returns whether no other was held meanwhile."""
        seconds = self._settings.reactor_wait
        started = time.monotonic()
        self._busy_until[number] = started + seconds
        await asyncio.sleep(seconds)
        others = self._busy_until[:number] + self._busy_until[number + 1 :]
        return not others or max(others) < started


class Server:
    """State that all sessions share: online or not, data hosts initialised or not."""

    def __init__(self, home):
        self._home = home
        self.settings = Settings(os.path.join(home, "conf/standin.json"))
        self.online = True
        self.initialised = False  # as far as MyCat gets before the first statement
        self.reached = False  # the database, once
        self.failures = 0
        self.started = self.loaded = time.time()
        self.heartbeat = Heartbeat()
        self.reactors = Reactors(self.settings)
        self.sessions = set()
        self.connections = 0
        self._listeners = []
        self._tasks = set()  # or they could be collected while they run
        self._log = open(os.path.join(home, "logs/mycat.log"), "a", buffering=1)  # noqa: SIM115

    async def run(self):
        settings = self.settings
        if settings.fault == "refuse-start":
            sys.exit("fault refuse-start is set")
        await asyncio.sleep(settings.boot_seconds)
        problem = self.configuration_problem()
        if problem:
            print(f"io.mycat.config.util.ConfigException: {problem}", flush=True)
            sys.exit(255)
        for port, session in (
            (settings.manager_port, ManagerSession),
            (settings.sql_port, SqlSession),
        ):
            listener = await asyncio.start_server(
                lambda reader, writer, session=session: session(self, reader, writer).serve(),
                settings.bind,
                port,
                backlog=100,
            )
            self._listeners.append(listener)
        self._start(self._suffer())
        await asyncio.sleep(settings.init_seconds)
        self.initialised = True
        self.reached = await self._reach()
        last = time.monotonic() - settings.heartbeat_period
        while True:
            # A period that is changed counts at once.
            if time.monotonic() >= last + settings.heartbeat_period:
                last = time.monotonic()
                if not self.heartbeat.checking:
                    self._start(self.heartbeat.beat(settings))
            await asyncio.sleep(0.02)

    def configuration_problem(self):
        """What MyCat says of a schema.xml that it cannot use, nothing of one that it can."""
        path = os.path.join(self._home, "conf/schema.xml")
        if not os.path.exists(path):
            return ""
        try:
            schema = ET.parse(path).getroot()  # noqa: S314 - the operator's own
        except ET.ParseError as error:
            return f"org.xml.sax.SAXParseException; {error}"
        hosts = {host.get("name") for host in schema.iter("dataHost")}
        for node in schema.iter("dataNode"):
            name, host = node.get("name"), node.get("dataHost")
            if host not in hosts:
                return f"dataNode {name} reference dataHost:{host} not exists!"
        return ""

    def _start(self, coroutine):
        task = asyncio.ensure_future(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _reach(self):
        try:
            (await Backend.login(self.settings, CAPABILITIES, UTF8, None)).close()
        except (OSError, asyncio.IncompleteReadError):
            return False
        return True

    async def require_database(self, reactor):
        """Raise ConnectionRefusedError while a database that was not there at the start is not."""
        if not self.initialised:
            raise ConnectionRefusedError
        if self.reached:
            return
        self.failures += 1
        if self.failures > self.settings.quick_failures:
            alone = await self.reactors.wait(reactor)
            self.reached = self.reached or (alone and await self._reach())
        elif await self._reach():
            self.reached = True
        if not self.reached:
            raise ConnectionRefusedError

    async def _suffer(self):
        """The faults that are of the server and not of a session."""
        paused = self.settings.pause
        while True:
            if self.settings.pause != paused:
                paused = self.settings.pause
                time.sleep(paused)  # of the whole server
            if self.settings.fault == "no-acceptor":
                for listener in self._listeners:
                    for end in listener.sockets:
                        asyncio.get_running_loop().remove_reader(end.fileno())
                return
            await asyncio.sleep(0.02)

    async def stop(self):
        until_cut, until_end = self.settings.stop_seconds
        for listener in self._listeners:
            listener.close()
        await asyncio.sleep(until_cut)
        for session in list(self.sessions):
            session.writer.transport.abort()
        await asyncio.sleep(until_end)
        os._exit(0)

    def log(self, session, line):
        now = time.time()
        stamp = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(now)) + f".{now % 1 * 1000:03.0f}"
        self._log.write(f"{stamp}  INFO [$_NIOREACTOR-{session.reactor}-RW] {line}\n")


class Session:
    """Login and the command loop; what a statement means is the subclass's."""

    def __init__(self, server, reader, writer):
        self.server, self.settings = server, server.settings
        self.reader, self.writer = reader, writer
        self.host = writer.get_extra_info("peername")[0]
        self.database = None
        self.user = None  # once it has logged in
        self.started = time.time()
        server.connections += 1
        self.number = server.connections
        self.reactor = server.reactors.of(self.number)
        self.capabilities = CAPABILITIES
        self.charset = UTF8

    async def serve(self):
        try:
            self.server.sessions.add(self)
            await self.server.reactors.free(self.reactor)
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
        self.server.sessions.discard(self)
        if self.user:
            self.server.log(
                self,
                "(io.mycat.net.AbstractConnection.close(AbstractConnection.java:531)) - "
                f"close connection,reason:quit cmd ,{self}",
            )
        self.writer.close()

    def __str__(self):
        return (
            f"{self.kind} [id={self.number}, schema={self.database}, host={self.host}, "
            f"user={self.user},txIsolation=3, autocommit=true, schema={self.database}, "
            "executeSql=null]"
        )

    async def stay_silent(self):
        while await self.reader.read(4096):
            pass
        raise ConnectionResetError

    async def login(self, fault):
        settings = self.settings
        salt = bytes(SALT[byte % len(SALT)] for byte in os.urandom(20))
        plugin = settings.announce_plugin
        offered = CAPABILITIES | (PLUGIN_AUTH if plugin else 0)
        low, high = offered & 0xFFFF, offered >> 16
        greeting = [
            b"\x0a" + settings.version.encode() + b"\0",
            struct.pack("<I", self.number & 0xFFFFFFFF),
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
        denied = ""
        if user != settings.user.encode() or self.host not in (settings.whitehost or [self.host]):
            denied = f" with host '{self.host}'"
        elif token != scramble(settings.password, salt):
            denied = ", because password is error "
        if denied:
            message = f"Access denied for user '{user.decode('utf-8', 'replace')}'{denied}"
            self.writer.write(error(ER_ACCESS_DENIED, message, sequence + 1))
            await self.stay_silent()  # MyCat does not close, the timeout does
        if self.database is not None and self.database not in settings.schemas:
            self.writer.write(error(ER_BAD_DB, f"Unknown database '{self.database}'", sequence + 1))
            return False
        self.user = settings.user
        self.server.log(
            self,
            "(io.mycat.net.handler.FrontendAuthenticator.success(FrontendAuthenticator.java:241))"
            f" - {self}'{self.user}' login success",
        )
        self.writer.write(ok(sequence + 1))
        return True

    async def commands(self):
        while True:
            _, data = await read_packet(self.reader)
            await self.server.reactors.free(self.reactor)
            command = data[4]
            if command in (COM_QUIT, COM_PROCESS_KILL):
                return
            if self.settings.fault in ("silent-after-greeting", "silent-after-login"):
                await self.stay_silent()
            if self.settings.query_delay:
                await asyncio.sleep(self.settings.query_delay)
            if command == COM_PING:
                self.writer.write(self.when_online(ok()))
            elif command == COM_INIT_DB:
                await self.init_db(data)
            elif command == COM_STATISTICS:
                self.writer.write(error(ER_UNKNOWN_COMMAND, "Unknown command"))
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

    kind = "ServerConnection"

    def __init__(self, server, reader, writer):
        super().__init__(server, reader, writer)
        self.backend = None
        self.pump = None

    def finish(self):
        if self.pump:
            self.pump.cancel()
        if self.backend:
            self.backend.close()
        super().finish()

    async def query(self, statement, data):
        own = {
            "select 1": ("1", "1"),
            "select version()": ("VERSION()", self.settings.version),
            "select database()": ("DATABASE()", self.database),
            "select @@version_comment": ("@@VERSION_COMMENT", "MyCat Server (OpenCloudDB)"),
        }
        if statement.startswith("show") and not self.settings.show_allowed:
            message = f"The statement is unsafe SQL, reject for user '{self.user}'"
            self.writer.write(error(ER_REFUSED, message))
        elif statement == "show mycat_status":
            self.writer.write(self.when_online(result_set(["STATUS"], [["ON"]])))
        elif statement == "select user()":
            host = f"{self.user}@{self.host}"
            self.writer.write(self.when_online(result_set(["USER()"], [[host]])))
        elif statement in ("show databases", "show schemas"):
            rows = [[schema] for schema in self.settings.schemas]
            self.writer.write(result_set(["DATABASE"], rows))
        elif statement.partition(" limit")[0] in own:
            column, value = own[statement.partition(" limit")[0]]
            self.writer.write(result_set([column], [[value]]))
        elif WITH_TABLE.match(statement) and not self.schema:
            self.writer.write(error(ER_NO_SCHEMA, "No MyCAT Database selected"))
        else:
            await self.relay(data)

    @property
    def schema(self):
        settings = self.settings
        return self.database or (settings.schemas[0] if settings.default_schema else None)

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
            await self.server.require_database(self.reactor)
            self.backend = await Backend.login(
                self.settings, self.capabilities, self.charset, self.schema
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

    kind = "ManagerConnection"

    async def init_db(self, _data):
        self.writer.write(ok())

    async def other(self, _data):
        self.writer.write(error(ER_UNKNOWN_COMMAND, "Unknown command"))

    async def query(self, statement, _data):
        shown = {
            "show @@server": self.show_server,
            "show @@heartbeat": self.show_heartbeat,
            "show @@version": self.show_version,
            "show @@connection": self.show_connection,
            "show @@datasource": self.show_datasource,
            "show @@help": self.show_help,
        }
        if statement in shown:
            self.writer.write(result_set(*shown[statement]()))
        elif statement in ("offline", "online"):
            self.server.online = statement == "online"
            self.writer.write(ok(affected=1))
        elif statement == "reload @@config":
            self.writer.write(self.reload())
        else:
            self.writer.write(error(ER_YES, "Unsupported statement"))

    def reload(self):
        if self.server.configuration_problem():
            return error(ER_YES, "Reload config failure")
        self.server.loaded = time.time()
        return ok(affected=1)

    def show_server(self):
        server = self.server
        columns = ["UPTIME", "USED_MEMORY", "TOTAL_MEMORY", "MAX_MEMORY"]
        columns += ["RELOAD_TIME", "ROLLBACK_TIME", "CHARSET", "STATUS"]
        uptime = f"{time.time() - server.started:.0f}s"
        status = "ON" if server.online else "OFF"
        return columns, [[uptime, 0, 0, 0, int(server.loaded * 1000), -1, "utf8", status]]

    def show_heartbeat(self):
        beat = self.server.heartbeat
        columns = ["NAME", "TYPE", "HOST", "PORT", "RS_CODE", "RETRY", "STATUS", "TIMEOUT"]
        columns += ["EXECUTE_TIME", "LAST_ACTIVE_TIME", "STOP"]
        status = "checking" if beat.checking else "idle"
        answered = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(beat.answered))
        row = ["hostM1", "mysql", "127.0.0.1", self.settings.backend_port, beat.code, beat.retry]
        return columns, [[*row, status, 30000, "1,1,1", answered, "false"]]

    def show_version(self):
        return ["VERSION"], [[self.settings.version]]

    def show_connection(self):
        columns = ["PROCESSOR", "ID", "HOST", "PORT", "LOCAL_PORT", "USER", "SCHEMA", "CHARSET"]
        columns += ["NET_IN", "NET_OUT", "ALIVE_TIME(S)", "RECV_BUFFER", "SEND_QUEUE"]
        columns += ["txlevel", "autocommit"]
        rows = []
        for one in sorted(self.server.sessions, key=lambda session: session.number):
            port, local = (one.writer.get_extra_info(n)[1] for n in ("peername", "sockname"))
            row = [f"Processor{one.reactor}", one.number, one.host, port, local, one.user]
            row += [one.database, f"utf8:{one.charset}", 0, 0, int(time.time() - one.started)]
            rows.append([*row, 4096, 0, 3, "true"])
        return columns, rows

    def show_datasource(self):
        columns = ["DATANODE", "NAME", "TYPE", "HOST", "PORT", "W/R", "ACTIVE", "IDLE", "SIZE"]
        columns += ["EXECUTE", "READ_LOAD", "WRITE_LOAD"]
        active = sum(getattr(one, "backend", None) is not None for one in self.server.sessions)
        row = ["dn1", "hostM1", "mysql", "127.0.0.1", self.settings.backend_port, "W"]
        return columns, [[*row, active, 0, 1000, 0, 0, 0]]

    def show_help(self):
        return ["STATEMENT", "DESCRIPTION"], [
            ["show @@version", "Report Mycat Server version"],
            ["show @@server", "Report server status"],
            ["show @@datasource", "Report dataSources"],
            ["show @@connection", "Report connection status"],
            ["show @@heartbeat", "Report heartbeat status"],
            ["offline", "Change MyCat status to OFF"],
            ["online", "Change MyCat status to ON"],
        ]


async def serve(home):
    with open("/proc/self/comm", "w", encoding="ascii") as name:
        name.write("java")
    loop = asyncio.get_running_loop()
    server = Server(home)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, lambda: asyncio.ensure_future(server.stop()))
    if not sys.stdin.isatty():  # the wrapper's end of this pipe closes when the wrapper dies
        loop.add_reader(sys.stdin.fileno(), os._exit, 0)
    await server.run()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1]))
