"""keepalived on the hosts: what it says of its instances, and one with another configuration."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from ansible_collections.mycat.ha.plugins.module_utils.keepalived.dump import (
    DumpError,
    InstanceState,
    parse_data,
)

from .hosts import Host, await_

# SIGUSR1 has keepalived write keepalived.data, and ends one that has only just started.
_DUMP = """
import os, pathlib, signal, subprocess, time
dump = pathlib.Path("/tmp/keepalived.data")
pids = subprocess.run(["pgrep", "-x", "keepalived"], capture_output=True, text=True).stdout.split()
def awaits(pid):
    status = pathlib.Path("/proc", pid, "status").read_text().splitlines()
    masks = [int(line.split()[1], 16) for line in status if line.startswith(("SigCgt", "SigBlk"))]
    return any(mask >> (signal.SIGUSR1 - 1) & 1 for mask in masks)
if len(pids) > 1 and all(map(awaits, pids)):
    dump.unlink(missing_ok=True)
    os.kill(min(map(int, pids)), signal.SIGUSR1)
    text = ""
    for _ in range(50):
        time.sleep(0.02)
        text = dump.exists() and dump.read_text() or ""
        if "Interfaces >" in text:
            break
    print(text)
"""
_CONFIGURATION = "/etc/keepalived/lab.conf"
_UNIT = "lab-keepalived"
_NO_RESTART = "/run/systemd/system/haproxy.service.d/zz-lab.conf"


def instances(host: Host) -> dict[str, InstanceState]:
    """What the running keepalived says of its instances, by name; nothing where none answers."""
    try:
        return {found.name: found for found in parse_data(host.run("python3", "-c", _DUMP).stdout)}
    except (DumpError, RuntimeError):
        return {}


def ready(host: Host) -> bool:
    """Whether all instances of the running keepalived could take over, no check against them."""
    found = instances(host).values()
    return bool(found) and all(
        one.state in ("BACKUP", "MASTER") and (one.effective_priority or 0) >= one.priority
        for one in found
    )


class Keepalived:
    """keepalived with configurations of the caller's, as a unit of its own."""

    def start(self, host: Host) -> None:
        host.run(
            *("systemd-run", "--quiet", "--collect", f"--unit={_UNIT}", "--property=Type=notify"),
            *("keepalived", "--dont-fork", "--log-detail", f"--use-file={_CONFIGURATION}"),
        )
        await_(lambda: instances(host), 10, f"keepalived answers on {host.name}")

    def stop(self, host: Host) -> None:
        host.run("systemctl", "stop", _UNIT, check=False)


@contextmanager
def own_keepalived(configurations: Mapping[Host, str], start: bool = True) -> Iterator[Keepalived]:
    """Run keepalived with other configurations in place of the role's.

    ``configurations`` maps hosts to the text of their keepalived.conf. Nothing that the role has
    set up applies or is changed. Without ``start`` the caller starts the daemons.
    """
    daemons = Keepalived()
    try:
        for host, text in configurations.items():
            # Masked, or an HAProxy that wants it (mode kill) would start it.
            host.run("systemctl", "mask", "--runtime", "--now", "keepalived")
            write(host, _CONFIGURATION, text, mode="600")
        if start:
            for host in configurations:
                daemons.start(host)
        yield daemons
    finally:
        for host in configurations:
            daemons.stop(host)
            host.run("rm", "-f", _CONFIGURATION)
            host.run("systemctl", "unmask", "--runtime", "keepalived")
            host.run("systemctl", "start", "keepalived")


@contextmanager
def haproxy_unattended(*hosts: Host) -> Iterator[None]:
    """Have HAProxy stay dead when it dies; systemd would start it again."""
    try:
        for host in hosts:
            write(host, _NO_RESTART, "[Service]\nRestart=no\n")
            host.run("systemctl", "daemon-reload")
        yield
    finally:
        for host in hosts:
            host.run("rm", "-f", _NO_RESTART)
            host.run("systemctl", "daemon-reload")
            host.run("systemctl", "start", "haproxy")


def write(host: Host, path: str, text: str, mode: str = "644") -> None:
    """Write a file on a host, with the directories that it lies in."""
    host.run(
        *("sh", "-ec", 'mkdir -p "$(dirname "$1")"; printf %s "$2" >"$1"; chmod "$3" "$1"', "sh"),
        *(path, text, mode),
    )
