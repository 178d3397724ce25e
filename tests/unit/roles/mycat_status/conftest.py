# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The program as it is run on a host: real sockets, a real process, the stand-in MyCat."""

from __future__ import annotations

import atexit
import contextlib
import functools
import importlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import types
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[4]
FILES = ROOT / "roles/mycat_status/files"
STANDIN = ROOT / "molecule/shared/standin/files"
# Set to another interpreter to run the program by it.
PYTHON = os.environ.get("MYCAT_STATUS_PYTHON", sys.executable)
GET = b"GET / HTTP/1.0\r\n\r\n"


def install(folder):
    """Put the program under ``folder`` as the role does under /usr/local; returns its launcher."""
    shutil.copytree(FILES / "mycat_status", folder / "lib/mycat_status")
    (folder / "bin").mkdir()
    launcher = folder / "bin/mycat_status"
    launcher.write_text((FILES / "launcher.py").read_text().replace("/usr/local", str(folder)))
    subprocess.run([PYTHON, "-m", "compileall", "-q", folder / "lib"], check=True)
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)  # other users run it, too
    return launcher


@functools.lru_cache
def installed():
    folder = Path(tempfile.mkdtemp(prefix="mycat-status-"))
    atexit.register(shutil.rmtree, folder)
    return install(folder)


def command(config, *options, program=None, python=PYTHON):
    """The program as the role has it started."""
    return [python, "-IS", str(program or installed()), *options, "--config", str(config)]


@functools.lru_cache
def load_program():
    """What the modules of the program define, in one namespace."""
    sys.path.insert(0, str(installed().parents[1] / "lib"))
    names = ("settings", "mysql", "process", "memory", "checks", "answers", "server", "program")
    found = {}
    for name in names:
        found.update(vars(importlib.import_module(f"mycat_status.{name}")))
    return types.SimpleNamespace(**found)


@pytest.fixture(scope="session")
def program():
    return load_program()


class Answer:
    """One HTTP answer, parsed strictly; ``raw`` is empty when the server only closed."""

    def __init__(self, raw):
        self.raw = raw
        self.code, self.headers, self.body = None, {}, ""
        if raw:
            head, separator, body = raw.partition(b"\r\n\r\n")
            assert separator, raw
            lines = head.decode("ascii").split("\r\n")
            version, code, _reason = lines[0].split(" ", 2)
            assert version == "HTTP/1.1"
            self.code = int(code)
            self.headers = dict(line.split(": ", 1) for line in lines[1:])
            self.body = body.decode("ascii")

    @property
    def json(self):
        assert self.headers["Content-Type"] == "application/json"
        assert self.body.endswith("\n")
        assert self.body.count("\n") == 1
        return json.loads(self.body)


def read_all(client):
    data = b""
    with contextlib.suppress(ConnectionResetError):
        while True:
            chunk = client.recv(65536)
            if not chunk:
                break
            data += chunk
    return data


def probe(address, request=GET, timeout=20.0, source=None):
    """Send ``request`` on a new connection and read until the server closes it."""
    source_address = (source, 0) if source else None
    with socket.create_connection(address, timeout, source_address) as client:
        with contextlib.suppress(OSError):
            client.sendall(request)
        return Answer(read_all(client))


def listen(host="127.0.0.1"):
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, 0), family=family, backlog=1024)


class Endpoint:
    """The long-lived program, started as by xinetd with ``wait = yes`` or as by systemd."""

    def __init__(self, config, *listeners, systemd=False, program=None):
        self.config = config
        self.address = listeners[0].getsockname()[:2]
        arguments = command(config, program=program)
        if systemd:
            moves = " ".join(f"{3 + n}<&{one.fileno()}" for n, one in enumerate(listeners))
            start = f'LISTEN_FDS={len(listeners)} LISTEN_PID=$$ exec "$0" "$@" {moves}'
            fds = [one.fileno() for one in listeners]
            self.process = subprocess.Popen(["bash", "-c", start, *arguments], pass_fds=fds)
        else:
            only = listeners[0]
            self.process = subprocess.Popen(arguments, stdin=only, stdout=only, stderr=only)
        for listener in listeners:
            listener.close()

    def probe(self, request=GET, **options):
        return probe(self.address, request, **options)

    def metrics(self):
        lines = self.probe(b"GET /metrics HTTP/1.0\r\n\r\n").body.splitlines()
        return dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))

    def resident_kib(self):
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0])

    def stop(self):
        self.process.kill()
        self.process.wait()


def probe_nowait(config, request=GET):
    """One probe as xinetd runs it with ``wait = no``: the connection is fd 0, 1 and 2."""
    with listen() as listener:
        client = socket.create_connection(listener.getsockname(), 10)
        server, _peer = listener.accept()
    with client:
        process = subprocess.Popen(command(config), stdin=server, stdout=server, stderr=server)
        server.close()
        client.sendall(request)
        answer = Answer(read_all(client))
    process.wait(20)
    return answer


@pytest.fixture
def start(request):
    """Start an Endpoint that ends with the test."""

    def starter(config, *listeners, **options):
        endpoint = Endpoint(config, *(listeners or [listen()]), **options)
        request.addfinalizer(endpoint.stop)
        return endpoint

    return starter


class Home:
    """A MyCat home whose wrapper is only a process of the right name, for the level ``process``."""

    def __init__(self, path):
        self.path = path
        self.pid_file = path / "logs/mycat.pid"
        self.pid_file.parent.mkdir(parents=True)
        self.process = None

    def config(self, name="mycat_status.json", **settings):
        values = {
            "home": str(self.path),
            "level": "process",
            "allow": ["127.0.0.1"],
            "drain_file": str(self.path / "drain"),
            "memory_file": str(self.path / "memory.json"),
            "max_age": 0.05,
        }
        values.update(settings)
        path = self.path / name
        path.write_text(json.dumps(values))
        return path

    def up(self):
        wrapper = f"{self.path}/bin/./wrapper-linux-x86-64"
        # The shell carries the name among its arguments and waits for ever.
        self.process = subprocess.Popen(["sh", "-c", "read _", wrapper], stdin=subprocess.PIPE)
        self.pid_file.write_text(f"{self.process.pid}\n")

    def down(self):
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process.stdin.close()
            self.process = None


@pytest.fixture
def home(tmp_path):
    home = Home(tmp_path / "mycat")
    home.up()
    yield home
    home.down()


class StandIn:
    """The stand-in MyCat of the molecule scenarios, without a database behind it."""

    def __init__(self):
        # Not pytest's directory: other users must be able to enter this one.
        self.path = Path(tempfile.mkdtemp(prefix="mycat-standin-"))
        self.path.chmod(0o755)
        for folder, names in {
            "bin": ("mycat", "wrapper-linux-x86-64"),
            "lib": ("mycat_standin.py", "standin_protocol.py"),
            "conf": (),
            "logs": (),
        }.items():
            (self.path / folder).mkdir()
            for name in names:
                shutil.copy(STANDIN / name, self.path / folder / name)
                (self.path / folder / name).chmod(0o755)
        self.pid_file = self.path / "logs/mycat.pid"
        with listen() as one, listen() as other:
            self.sql_port, self.manager_port = one.getsockname()[1], other.getsockname()[1]
        self.script = self.path / "mycat_status.sh"
        self.script.write_text(SOURCE_SCRIPT.format(home=self.path))
        self.script.chmod(0o755)

    def settings(self, **changes):
        values = {
            "bind": "127.0.0.1",
            "sql_port": self.sql_port,
            "manager_port": self.manager_port,
            "backend_socket": None,
            "boot_seconds": 0,
            "stop_seconds": [0, 0],
        }
        values.update(changes)
        path = self.path / "conf/new"
        path.write_text(json.dumps(values))
        path.rename(self.path / "conf/standin.json")

    def mycat(self, verb):
        command = [str(self.path / "bin/mycat"), verb]
        env = {"PATH": f"{Path(sys.executable).parent}:{os.defpath}"}
        return subprocess.run(
            command, capture_output=True, text=True, timeout=30, check=False, env=env
        )

    def start(self):
        assert self.mycat("start").returncode == 0
        wait_until(lambda: connects(("127.0.0.1", self.sql_port)))

    def pid(self):
        return int(self.pid_file.read_text())

    def child(self):
        pid = self.pid()
        return int(Path(f"/proc/{pid}/task/{pid}/children").read_text())

    def kill(self):
        """End it at once, and with it its child, whose pipe closes."""
        os.kill(self.pid(), signal.SIGKILL)
        self.pid_file.unlink()

    def config(self, **settings):
        """The program's settings for this MyCat, and nothing remembered of it."""
        (self.path / "memory.json").unlink(missing_ok=True)
        values = {
            "home": str(self.path),
            "sql_port": self.sql_port,
            "allow": ["127.0.0.1"],
            "drain_file": str(self.path / "drain"),
            "memory_file": str(self.path / "memory.json"),
        }
        if settings.get("level") == "query":
            credentials = self.path / "credentials.json"
            credentials.write_text(json.dumps({"user": "mycat", "password": "mycat-demo"}))
            credentials.chmod(0o640)
            values["credentials_file"] = str(credentials)
        values.update(settings)
        path = self.path / "mycat_status.json"
        path.write_text(json.dumps(values))
        return path


@pytest.fixture(scope="module")
def standin():
    standin = StandIn()
    standin.settings()
    standin.start()
    yield standin
    standin.kill()
    shutil.rmtree(standin.path)


@pytest.fixture
def stopped():
    """A home in which nothing runs."""
    standin = StandIn()
    yield standin
    shutil.rmtree(standin.path)


def packet(sequence, payload):
    return len(payload).to_bytes(3, "little") + bytes([sequence]) + payload


SALT = (b"a" * 8 + b"\0", b"b" * 12 + b"\0")
GREETING = packet(0, b"\x0a5.6.29-mycat-1.6\0" + bytes(4) + SALT[0] + bytes(18) + SALT[1])
LOGIN_OK = packet(2, b"\0\0\0\2\0\0\0")
EOF = packet(3, b"\xfe\0\0\2\0")


class FakeMyCat:
    """A server that sends ``chunks`` to each client, ``pause`` seconds before each."""

    def __init__(self, chunks=(GREETING,), pause=0.0, then_close=False):
        self.chunks, self.pause, self.then_close = chunks, pause, then_close
        self.accepted = 0
        self.listener = listen()
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        with contextlib.suppress(OSError):
            while True:
                client, _peer = self.listener.accept()
                self.accepted += 1
                threading.Thread(target=self.talk, args=(client,), daemon=True).start()

    def talk(self, client):
        with client, contextlib.suppress(OSError):
            for chunk in self.chunks:
                time.sleep(self.pause)
                client.sendall(chunk)
            if self.then_close:
                client.shutdown(socket.SHUT_WR)
            while client.recv(4096):
                pass


# What the endpoint used to be: the answer of `mycat status` without "not running" is a 200.
SOURCE_SCRIPT = """#!/bin/bash
stopped=`{home}/bin/mycat status | grep 'not running' | wc -l`
if [ "$stopped" = "0" ]; then
    /bin/echo -e "HTTP/1.1 200 OK\\r\\n"
else
    /bin/echo -e "HTTP/1.1 503 Service Unavailable\\r\\n"
fi
"""


def connects(address):
    try:
        socket.create_connection(address, 1).close()
    except OSError:
        return False
    return True


def wait_until(condition, timeout=20.0):
    end = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < end, "did not come about in time"
        time.sleep(0.01)
