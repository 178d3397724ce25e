"""keepalived on the hosts: what it says of its instances, and one with another configuration."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType

from ansible_collections.mycat.ha.plugins.module_utils.keepalived_state import (
    DumpError,
    InstanceState,
    parse_data,
)

from .hosts import Host, await_

# keepalived.conf(5), "state_dump_file": SIGUSR1 has it write these.
_DUMP = """
rm -f /tmp/keepalived.data
kill -USR1 "$(pgrep -o -x keepalived)" || exit 0
for _ in $(seq 50); do
    sleep 0.02
    if grep -qs 'Interfaces >' /tmp/keepalived.data; then break; fi
done
cat /tmp/keepalived.data
rm -f /tmp/keepalived.data /tmp/keepalived_parent.data
"""
_CONFIGURATION = "/etc/keepalived/lab.conf"
_UNIT = "lab-keepalived"
_NO_RESTART = "/run/systemd/system/haproxy.service.d/zz-lab.conf"


def instances(host: Host) -> dict[str, InstanceState]:
    """What the running keepalived says of its instances, by name; nothing where none answers."""
    try:
        return {found.name: found for found in parse_data(host.run("sh", "-c", _DUMP).stdout)}
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
    """Context manager: keepalived with configurations of the caller's in place of the role's.

    ``configurations`` maps hosts to the text of their keepalived.conf. It runs as a unit of its
    own, so nothing that the role has set up applies to it or is changed.
    """

    def __init__(self, configurations: Mapping[Host, str]) -> None:
        self._configurations = configurations

    def __enter__(self) -> Keepalived:
        for host, text in self._configurations.items():
            host.run("systemctl", "stop", "keepalived")
            write(host, _CONFIGURATION, text, mode="600")
        for host in self._configurations:
            self.start(host)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for host in self._configurations:
            self.stop(host)
            host.run("rm", "-f", _CONFIGURATION)
            host.run("systemctl", "start", "keepalived")

    def start(self, host: Host) -> None:
        host.run(
            *("systemd-run", "--quiet", "--collect", f"--unit={_UNIT}", "-p", "KillMode=process"),
            *("keepalived", "--dont-fork", "--log-detail", f"--use-file={_CONFIGURATION}"),
        )
        await_(lambda: instances(host), 10, f"keepalived answers on {host.name}")

    def stop(self, host: Host) -> None:
        host.run("systemctl", "stop", _UNIT, check=False)


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
