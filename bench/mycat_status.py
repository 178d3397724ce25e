#!/usr/bin/env python
# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a probe costs: mycat_status against the script it replaces, on the same stand-in MyCat.

``sudo python bench/mycat_status.py`` starts the stand-in, a real xinetd with the old script and
with mycat_status (``wait = yes`` and ``no``), and mycat_status by systemd's own
systemd-socket-activate; then it probes each of them over loopback. What is measured runs on one
core, the client on another.

CPU time is the kernel's account of the serving processes and of all their children. Latencies are
open-loop: they count from when a probe was due, not from when the client got round to it.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
FILES = ROOT / "roles/mycat_status/files"
STANDIN = ROOT / "molecule/shared/standin/files"
REQUEST = b"OPTIONS * HTTP/1.1\r\nHost: www\r\n\r\n"
TICKS = os.sysconf("SC_CLK_TCK")
SERVER_CORE, CLIENT_CORE = 0, 1

SOURCE_SCRIPT = """#!/bin/bash
stopped=`{home}/bin/mycat status | grep 'not running' | wc -l`
if [ "$stopped" = "0" ]; then
    /bin/echo -e "HTTP/1.1 200 OK\\r\\n"
else
    /bin/echo -e "HTTP/1.1 503 Service Unavailable\\r\\n"
fi
"""
# xinetd's own limits (50 connections a second by default) would be measured instead of the script.
XINETD_DEFAULTS = """defaults
{
    instances = UNLIMITED
    cps = 100000 1
}
"""
XINETD_SERVICE = """service {name}
{{
    type = UNLISTED
    socket_type = stream
    protocol = tcp
    bind = 127.0.0.1
    port = {port}
    user = {user}
    wait = {wait}
    server = {server}
    server_args = {arguments}
}}
"""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def wait_for(port: int) -> None:
    end = time.monotonic() + 10
    while time.monotonic() < end:
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        time.sleep(0.05)
    raise SystemExit(f"nothing listens on port {port}")


def start(*command: object) -> subprocess.Popen[bytes]:
    """Run a program on the measured core."""
    return subprocess.Popen(
        ["taskset", "-c", str(SERVER_CORE), *map(str, command)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


class Bed:
    """The stand-in MyCat, xinetd and the activated program, in a directory of their own."""

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="mycat-status-bench-"))
        self.path.chmod(0o755)
        self.running: list[subprocess.Popen[bytes]] = []
        self.sql_port = free_port()

    def start(self, python: str, level: str) -> None:
        self._start_standin()
        config = self._configure(level)
        # As the role installs it: a package, so that Python finds it compiled, and its launcher.
        shutil.copytree(FILES / "mycat_status", self.path / "lib/mycat_status")
        subprocess.run([python, "-m", "compileall", "-q", self.path / "lib"], check=True)
        launcher = self.path / "launcher"
        launcher.write_text(
            (FILES / "launcher.py").read_text().replace("/usr/local", str(self.path))
        )
        run = f"-IS {launcher} --config {config}"
        services = {
            "source": ("no", "root", self.path / "source.sh", "-"),
            "wait": ("yes", "nobody", python, run),
            "nowait": ("no", "nobody", python, run),
        }
        self.ports = {name: free_port() for name in services}
        text = XINETD_DEFAULTS
        for number, (name, (wait, user, server, arguments)) in enumerate(services.items()):
            text += XINETD_SERVICE.format(
                name=f"bench{number}",
                port=self.ports[name],
                wait=wait,
                user=user,
                server=server,
                arguments=arguments,
            )
        (self.path / "xinetd.conf").write_text(text)
        self.xinetd = start("xinetd", "-dontfork", "-f", self.path / "xinetd.conf")
        self.running.append(self.xinetd)
        self.ports["systemd"] = free_port()
        address = f"127.0.0.1:{self.ports['systemd']}"
        command = ["systemd-socket-activate", "-l", address, python, *run.split()]
        self.activated = start(*command)
        self.running.append(self.activated)
        for port in self.ports.values():
            wait_for(port)

    def _start_standin(self) -> None:
        for folder in ("bin", "lib", "conf", "logs"):
            (self.path / folder).mkdir()
        programs = ("bin/mycat", "bin/wrapper-linux-x86-64")
        modules = ("lib/mycat_standin.py", "lib/standin_protocol.py")
        for name in (*programs, *modules):
            shutil.copy(STANDIN / Path(name).name, self.path / name)
            (self.path / name).chmod(0o755)
        settings = {
            "bind": "127.0.0.1",
            "sql_port": self.sql_port,
            "manager_port": free_port(),
            "backend_socket": None,
        }
        (self.path / "conf/standin.json").write_text(json.dumps(settings))
        (self.path / "source.sh").write_text(SOURCE_SCRIPT.format(home=self.path))
        (self.path / "source.sh").chmod(0o755)
        subprocess.run([self.path / "bin/mycat", "start"], check=True, stdout=subprocess.DEVNULL)
        wait_for(self.sql_port)

    def _configure(self, level: str) -> Path:
        credentials = self.path / "credentials.json"
        credentials.write_text(json.dumps({"user": "mycat", "password": "mycat-demo"}))
        credentials.chmod(0o640)
        shutil.chown(credentials, "nobody")
        (self.path / "memory").mkdir()
        shutil.chown(self.path / "memory", "nobody")
        config = self.path / "mycat_status.json"
        settings = {
            "home": str(self.path),
            "sql_port": self.sql_port,
            "level": level,
            "allow": ["127.0.0.1"],
            "drain_file": str(self.path / "drain"),
            "memory_file": str(self.path / "memory/memory.json"),
            "credentials_file": str(credentials),
        }
        config.write_text(json.dumps(settings))
        return config

    def server(self, name: str) -> int:
        """Process whose account holds what a probe of ``name`` costs."""
        if name == "systemd":
            return self.activated.pid
        if name == "wait":
            return child_of(self.xinetd.pid)
        return self.xinetd.pid

    def close(self) -> None:
        for process in self.running:
            # xinetd leaves the server of a service with "wait = yes" behind when it ends.
            children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
            process.terminate()
            process.wait()
            for child in map(int, children.split()):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(child, signal.SIGTERM)
        with contextlib.suppress(OSError, ValueError):
            os.kill(int((self.path / "logs/mycat.pid").read_text()), signal.SIGKILL)
        shutil.rmtree(self.path)


def child_of(pid: int) -> int:
    end = time.monotonic() + 5
    while time.monotonic() < end:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        if children:
            return int(children[0])
        time.sleep(0.01)
    raise SystemExit("xinetd did not start the program")


def cpu_seconds(pid: int) -> float:
    """User and system time of a process and of its children that have ended."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    return sum(map(int, fields[11:15])) / TICKS


def resident_kib(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0])


def ask(port: int, count: int) -> None:
    """``count`` probes at once, each on a connection of its own; all must be a 200."""
    clients = []
    for _ in range(count):
        client = socket.create_connection(("127.0.0.1", port), 10)
        client.sendall(REQUEST)
        clients.append(client)
    for client in clients:
        answer = client.recv(4096)
        if not answer.startswith(b"HTTP/1.1 200"):
            raise SystemExit(f"not a 200: {answer!r}")
        client.close()


def throughput(bed: Bed, name: str, seconds: float, at_once: int = 8) -> dict[str, float]:
    port = bed.ports[name]
    ask(port, 1)
    pid = bed.server(name)
    time.sleep(0.2)
    cpu, started, probes = cpu_seconds(pid), time.monotonic(), 0
    while time.monotonic() - started < seconds:
        ask(port, at_once)
        probes += at_once
    elapsed = time.monotonic() - started
    time.sleep(0.2)  # for the last children to be accounted
    used = cpu_seconds(pid) - cpu
    return {"per_second": probes / elapsed, "cpu_ms": used / probes * 1000}


def latency(bed: Bed, name: str, seconds: float, rate: float = 200.0) -> dict[str, float]:
    """Percentiles in milliseconds of an open-loop load."""
    port, late = bed.ports[name], []
    ask(port, 1)
    begun = time.monotonic()
    for number in range(int(seconds * rate)):
        due = begun + number / rate
        time.sleep(max(0.0, due - time.monotonic()))
        ask(port, 1)
        late.append((time.monotonic() - due) * 1000)
    late.sort()
    return {
        "p50_ms": late[len(late) // 2],
        "p99_ms": late[len(late) * 99 // 100],
        "max_ms": late[-1],
    }


def growth(bed: Bed, name: str, probes: int) -> dict[str, float]:
    """Resident memory after a warm-up and after ``probes`` more, in KiB."""
    port = bed.ports[name]
    for _ in range(2000 // 8):
        ask(port, 8)
    pid = bed.server(name)
    before = resident_kib(pid)
    for _ in range(probes // 8):
        ask(port, 8)
    return {"rss_kib": before, "rss_after_kib": resident_kib(pid), "probes": probes}


def measure(bed: Bed, seconds: float, probes: int) -> dict[str, dict[str, float]]:
    """Two rounds in opposite order, so that a busy moment of the machine falls on nobody alone."""
    names = list(bed.ports)
    rounds: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    for order in (names, names[::-1]):
        for name in order:
            rounds[name].append(throughput(bed, name, seconds / 2))
    figures = {
        name: {key: (one[key] + other[key]) / 2 for key in one}
        for name, (one, other) in rounds.items()
    }
    for name in ("wait", "systemd"):
        figures[name].update(latency(bed, name, seconds))
        figures[name].update(growth(bed, name, probes))
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--python", default="/usr/bin/python3", help="interpreter of the program")
    parser.add_argument("--level", default="greeting", choices=["process", "greeting", "query"])
    parser.add_argument("--seconds", type=float, default=5.0, help="of each measurement")
    parser.add_argument("--probes", type=int, default=100_000, help="for the growth of memory")
    parser.add_argument("--json", type=Path, help="write the figures to this file, too")
    options = parser.parse_args()
    for needed in ("xinetd", "systemd-socket-activate", "taskset"):
        if not shutil.which(needed):
            raise SystemExit(f"{needed} is not installed")
    if os.geteuid() != 0:
        raise SystemExit("xinetd starts programs as other users: run this as root")

    os.sched_setaffinity(0, {CLIENT_CORE})
    bed = Bed()
    try:
        bed.start(options.python, options.level)
        figures = measure(bed, options.seconds, options.probes)
    finally:
        bed.close()
    report(figures)
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n")


def report(figures: dict[str, dict[str, float]]) -> None:
    print(
        "probes/s: seen by the client; CPU ms: for one probe; per core: what that CPU time allows"
    )
    titles = ("", "probes/s", "x source", "CPU ms", "per core", "x source")
    rows = [(*titles, "p99 ms", "RSS MiB", "growth KiB")]
    source = figures["source"]
    for name, values in figures.items():
        row = [name, f"{values['per_second']:.0f}"]
        row.append(f"{values['per_second'] / source['per_second']:.1f}")
        row.append(f"{values['cpu_ms']:.3f}")
        row.append(f"{1000 / values['cpu_ms']:.0f}")
        row.append(f"{source['cpu_ms'] / values['cpu_ms']:.1f}")
        if "p99_ms" in values:
            row.append(f"{values['p99_ms']:.2f}")
            row.append(f"{values['rss_after_kib'] / 1024:.1f}")
            row.append(f"{values['rss_after_kib'] - values['rss_kib']:+d}")
        rows.append(row)
    for row in rows:
        print(f"{row[0]:18}" + "".join(f"{cell:>11}" for cell in row[1:]))


if __name__ == "__main__":
    main()
