"""Hosts that are containers, and conditions to await on them."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

CLIENT_LOGIN = ("--user=mycat", "--password=mycat-demo")


class NotYetError(AssertionError):
    """A condition did not become true in time."""


def await_(condition: Callable[[], object], within: float, what: str, every: float = 0.1) -> object:
    """Return the first true value of ``condition()``; NotYetError after ``within`` seconds."""
    deadline = time.monotonic() + within
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() >= deadline:
            raise NotYetError(f"{what}: not within {within:g} s")
        time.sleep(every)


@dataclass(frozen=True)
class Host:
    """A container of the network; ``name`` is its name in the inventory."""

    name: str
    network: str

    @property
    def container(self) -> str:
        return f"{self.network}-{self.name}"

    def argv(self, *command: str, stdin: bool = False) -> list[str]:
        return ["docker", "exec", *(["-i"] if stdin else []), self.container, *command]

    def run(self, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(self.argv(*command), capture_output=True, text=True, timeout=60)
        if check and done.returncode:
            raise RuntimeError(f"{self.name}: {' '.join(command)}: {done.stdout}{done.stderr}")
        return done

    def addresses(self) -> list[str]:
        links = json.loads(self.run("ip", "-json", "address").stdout)
        return [address["local"] for link in links for address in link["addr_info"]]

    def state_of(self, unit: str) -> str:
        return self.run("systemctl", "is-active", unit, check=False).stdout.strip()

    def journal(self, unit: str, since: float) -> str:
        """Return what a unit has logged since a moment of time.time()."""
        return self.run(
            *("journalctl", "--no-pager", "-q", "-o", "cat", "-u", unit, f"--since=@{since:.3f}")
        ).stdout

    def query(self, address: str, sql: str, port: int = 8066) -> subprocess.CompletedProcess[str]:
        """Run one statement with the real MySQL client of this host."""
        return self.run(
            *("mariadb", "--batch", "--skip-column-names", "--connect-timeout=5"),
            *(f"--host={address}", f"--port={port}", *CLIENT_LOGIN, f"--execute={sql}"),
            check=False,
        )


def holders(hosts: Iterable[Host], vip: str) -> list[Host]:
    """Return the hosts whose kernel has the address (without prefix) on an interface."""
    return [host for host in hosts if vip in host.addresses()]


def await_one_holder(hosts: Iterable[Host], vip: str, within: float = 15.0) -> Host:
    """Wait until exactly one host holds the address; return it."""
    hosts = list(hosts)

    def one() -> Host | None:
        found = holders(hosts, vip)
        return found[0] if len(found) == 1 else None

    holder = await_(one, within, f"exactly one of {', '.join(h.name for h in hosts)} holds {vip}")
    assert isinstance(holder, Host)
    return holder


def answering(client: Host, address: str, sessions: int = 6) -> set[str]:
    """Return which MyCats answer a few sessions that are open at the same time.

    One after another, all would go to the same MyCat while the other has a session more.
    """
    held = "select @@hostname from (select sleep(0.5)) as held"
    with ThreadPoolExecutor(sessions) as pool:
        answers = pool.map(lambda _: client.query(address, held).stdout.strip(), range(sessions))
    return set(answers)
