# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One cluster for real: a network namespace and a keepalived for each node, a bridge between.

The bridge has a namespace of its own, so the machine's interfaces, addresses and routes are
not involved. Who holds an address is read from the kernel, not from what keepalived says.
"""

from __future__ import annotations

import contextlib
import ctypes
import itertools
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Iterator, Mapping, Sequence

from .daemon import Daemon

PREFIX = "mycatha"
INTERFACE = "e0"
NAMESPACES = Path("/run/netns")
CLONE_NEWNET = 0x40000000
PR_SET_CHILD_SUBREAPER = 36
START_LIMIT = 10.0
# linux/rtnetlink.h: the group that tells of IPv4 addresses.
RTMGRP_IPV4_IFADDR = 0x10

_libc = ctypes.CDLL(None, use_errno=True)
_numbers = itertools.count(1)

# Set to make every lab give up waiting, so that an interrupted run cleans up at once.
stop = threading.Event()


class LabError(Exception):
    """The machine does not do what the lab needs: no statement about keepalived."""


class Interrupted(Exception):  # noqa: N818 - not an error, a request
    """``stop`` was set while a lab was waiting."""


@dataclass
class _Host:
    """A node's namespace and what runs in it."""

    namespace: str
    address: str
    watch: socket.socket
    process: subprocess.Popen[bytes] | None = None
    lost: bool = False


class Lab:
    """A context manager: inside it the namespaces exist, after it nothing of them is left.

    ``addresses`` maps node to IPv4 address (of one /24), ``extra_interfaces`` to the names of
    interfaces that are there to be tracked. keepalived is started with ``configuration(node)``,
    which the caller writes. The directory is kept when ``keep`` is set.
    """

    def __init__(
        self,
        daemon: Daemon,
        addresses: Mapping[str, str],
        extra_interfaces: Mapping[str, Sequence[str]],
        keep: bool = False,
    ) -> None:
        self._daemon = daemon
        self._addresses = dict(addresses)
        self._extra_interfaces = dict(extra_interfaces)
        self._keep = keep
        self._name = f"{PREFIX}-{os.getpid()}-{next(_numbers)}"
        self._switch = self._name + "-switch"
        self._hosts: dict[str, _Host] = {}
        self._exit = contextlib.ExitStack()
        self.directory = Path(tempfile.gettempdir()) / self._name

    def __enter__(self) -> Lab:
        try:
            self._build()
        except BaseException:
            self._exit.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._exit.close()

    def _build(self) -> None:
        self.directory.mkdir(mode=0o755)
        if not self._keep:
            self._exit.callback(shutil.rmtree, self.directory, ignore_errors=True)
        self._namespace(self._switch)
        _batch(self._switch, ["link add br0 type bridge", "link set br0 up"])
        for node, address in self._addresses.items():
            namespace = f"{self._name}-{node}"
            self._namespace(namespace)
            watch = _watch(namespace)
            self._exit.callback(watch.close)
            self._hosts[node] = _Host(namespace, address, watch)
            _batch(
                namespace,
                [
                    "link set lo up",
                    f"link add {INTERFACE} address {_mac(address)} type veth "
                    f"peer name p-{node} netns {self._switch}",
                    f"link set {INTERFACE} addrgenmode none up",
                    f"addr add {address}/24 dev {INTERFACE}",
                    *self._neighbours(address),
                ],
            )
            for name in self._extra_interfaces[node]:
                _batch(namespace, [
                    f"link add {name} type veth peer name {name}-far",
                    f"link set {name} up",
                    f"link set {name}-far up",
                ])  # fmt: skip
            _batch(self._switch, [f"link set p-{node} master br0 up"])
        # Registered last: the daemons end before their namespaces go.
        self._exit.callback(self._end_all)

    def _neighbours(self, address: str) -> list[str]:
        """Unicast adverts are not to wait for ARP's retries when a link is healed."""
        return [
            f"neigh replace {peer} lladdr {_mac(peer)} dev {INTERFACE} nud permanent"
            for peer in self._addresses.values()
            if peer != address
        ]

    def _namespace(self, name: str) -> None:
        _run(["ip", "netns", "add", name])
        self._exit.callback(_run, ["ip", "netns", "del", name])

    def _end_all(self) -> None:
        for node in self._hosts:
            self.kill(node)

    # Events. What follows from them is for `settle` to wait for.

    def start(self, node: str) -> None:
        """Start keepalived with what stands in ``configuration(node)``, and wait until it runs."""
        host = self._hosts[node]
        if host.process is not None:
            raise LabError(f"keepalived on {node} runs already")
        running = self.directory / (node + ".vrrp.pid")
        running.unlink(missing_ok=True)
        options = ["--vrrp", "--dont-fork", "--log-console", "--log-detail", "--no-syslog",
                   f"--use-file={self.configuration(node)}",
                   "--pid=%s" % (self.directory / (node + ".pid")),
                   f"--vrrp_pid={running}"]  # fmt: skip
        with self._log(node).open("ab") as log:
            host.process = subprocess.Popen(
                [
                    # Even when this process is killed no daemon outlives it.
                    *("setpriv", "--pdeathsig", "TERM"),
                    *("nsenter", "--net=%s" % (NAMESPACES / host.namespace)),
                    *self._daemon.command(Path(tempfile.gettempdir()), options),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        end = time.monotonic() + START_LIMIT
        while not running.exists():
            if stop.is_set():
                raise Interrupted
            if host.process.poll() is not None or time.monotonic() > end:
                raise LabError(f"keepalived on {node} does not start: {self.log(node)}")
            time.sleep(0.02)

    def stop(self, node: str) -> None:
        """Stop keepalived as the service manager does, and wait for its end."""
        process = self._take(node)
        if process is None:
            return
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            _kill_all(process)
            raise LabError(f"keepalived on {node} does not end on SIGTERM") from None

    def kill(self, node: str) -> None:
        """Kill all of keepalived at once: no farewell, and the VIPs stay on the interface."""
        process = self._take(node)
        if process is not None:
            _kill_all(process)

    def lose(self, node: str) -> None:
        """The node loses power: its daemon, its VIPs and its link are gone."""
        self.kill(node)
        host = self._hosts[node]
        host.lost = True
        _batch(
            host.namespace,
            [
                f"addr flush dev {INTERFACE}",
                f"addr add {host.address}/24 dev {INTERFACE}",
                # Linux forgets them with the last address (fib_disable_ip).
                *self._neighbours(host.address),
            ],
        )

    def bring_back(self, node: str) -> None:
        """The node boots and starts its daemon."""
        self._hosts[node].lost = False
        self.start(node)

    def cut(self, node: str) -> None:
        """Nothing passes between the node and the others; its interface stays up."""
        _batch(self._switch, [f"link set p-{node} nomaster"])

    def heal(self, node: str) -> None:
        """Undo ``cut``."""
        _batch(self._switch, [f"link set p-{node} master br0"])

    @contextlib.contextmanager
    def standing_still(self, node: str) -> Iterator[None]:
        """Stop all of the node's keepalived, as a machine that stands still, until the end."""
        process = self._hosts[node].process
        if process is None:
            raise LabError(f"keepalived on {node} does not run")
        processes = [process.pid, *_children(process.pid)]
        for pid in processes:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in processes:
                os.kill(pid, signal.SIGCONT)

    def set_interface(self, node: str, name: str, up: bool) -> None:
        """Bring one of the node's extra interfaces up or down."""
        state = "up" if up else "down"
        _batch(self._hosts[node].namespace, [f"link set {name} {state}"])

    def _take(self, node: str) -> subprocess.Popen[bytes] | None:
        host = self._hosts[node]
        process, host.process = host.process, None
        return process

    # Observation.

    def configuration(self, node: str) -> Path:
        """Where ``node``'s keepalived.conf belongs."""
        return self.directory / (node + ".conf")

    def log(self, node: str) -> str:
        """What ``node``'s keepalived has logged, over all its starts."""
        path = self._log(node)
        return path.read_text(errors="replace") if path.exists() else ""

    def _log(self, node: str) -> Path:
        return self.directory / (node + ".log")

    def addresses(self, node: str) -> frozenset[str]:
        """The addresses on the node's interface now, without prefix length; none of a lost node."""
        host = self._hosts[node]
        if host.lost:
            return frozenset()
        out = _run(["ip", "-n", host.namespace, "-j", "address", "show", "dev", INTERFACE])
        return frozenset(
            info["local"] for link in json.loads(out) for info in link.get("addr_info", ())
        )

    def dead(self) -> list[str]:
        """The nodes whose keepalived ended by itself."""
        return [
            node
            for node, host in self._hosts.items()
            if host.process is not None and host.process.poll() is not None
        ]

    def settle(self, quiet: float, limit: float) -> bool:
        """Wait until no address has come or gone for ``quiet`` seconds; False after ``limit``."""
        sockets = [host.watch for host in self._hosts.values()]
        now = time.monotonic()
        end, calm = now + limit, now + quiet
        while now < min(end, calm):
            if stop.is_set():
                raise Interrupted
            ready, _, _ = select.select(sockets, [], [], min(calm - now, 0.5))
            now = time.monotonic()
            for watch in ready:
                _drain(watch)
                calm = now + quiet
        return now >= calm


def prepare() -> None:
    """Make this process fit for labs; raise LabError, saying why, where that cannot be."""
    missing = [tool for tool in ("ip", "nsenter", "setpriv", "unshare") if not shutil.which(tool)]
    if missing:
        raise LabError("missing on this machine: {}".format(", ".join(missing)))
    if os.geteuid() != 0:
        raise LabError("network namespaces and VRRP's raw sockets take root: run this as root")
    # A killed keepalived leaves its child to us, and not as a zombie to whoever is process 1.
    _libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    name = f"{PREFIX}-{os.getpid()}-0"
    _run(["ip", "netns", "add", name])
    try:
        _batch(name, ["link add br0 type bridge", "link add v0 type veth peer name v1"])
    finally:
        _run(["ip", "netns", "del", name])


def sweep() -> None:
    """Delete the namespaces and directories of runs that were killed before they could."""
    for namespace in NAMESPACES.glob(PREFIX + "-*"):
        if _ownerless(namespace.name):
            _run(["ip", "netns", "del", namespace.name])
    for directory in Path(tempfile.gettempdir()).glob(PREFIX + "-*"):
        if _ownerless(directory.name):
            shutil.rmtree(directory)


def _ownerless(name: str) -> bool:
    owner = name.split("-")[1]
    return owner.isdigit() and not Path("/proc", owner).exists()


def _watch(namespace: str) -> socket.socket:
    """A netlink socket that tells of every address that comes or goes in ``namespace``."""
    with open("/proc/thread-self/ns/net") as home, (NAMESPACES / namespace).open() as there:
        _setns(there.fileno())
        try:
            watch = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
            watch.bind((0, RTMGRP_IPV4_IFADDR))
            watch.setblocking(False)
        finally:
            _setns(home.fileno())
    return watch


def _setns(fd: int) -> None:
    # Of this thread alone. os.setns comes with Python 3.12.
    if _libc.setns(fd, CLONE_NEWNET):
        number = ctypes.get_errno()
        raise LabError(f"setns: {os.strerror(number)}")


def _drain(watch: socket.socket) -> None:
    with contextlib.suppress(BlockingIOError, OSError):
        while watch.recv(65536):
            pass


def _children(pid: int) -> list[int]:
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except OSError:
        return []
    return [int(child) for child in text.split()]


def _kill_all(process: subprocess.Popen[bytes]) -> None:
    """Kill parent and children as one: stopped first, the parent starts no other child."""
    children: list[int] = []
    if process.poll() is None:
        os.kill(process.pid, signal.SIGSTOP)
        children = _children(process.pid)
        for child in children:
            os.kill(child, signal.SIGKILL)
        process.kill()
    process.wait()
    for child in children:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(child, 0)


def _mac(address: str) -> str:
    """A locally administered MAC address for an IPv4 address."""
    return "02:00:" + ":".join(f"{int(part):02x}" for part in address.split("."))


def _batch(namespace: str, commands: Sequence[str]) -> None:
    _run(["ip", "-n", namespace, "-batch", "-"], "\n".join(commands) + "\n")


def _run(command: Sequence[str], stdin: str = "") -> str:
    result = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)
    if result.returncode:
        raise LabError("{} {}: {}".format(" ".join(command), stdin, result.stderr.strip()))
    return result.stdout
