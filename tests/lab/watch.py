"""Who holds an address, at every moment: the kernels' own reports on one time line."""

from __future__ import annotations

import itertools
import re
import subprocess
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from types import TracebackType

from .hosts import Host, holders

# ip-monitor(8), -tshort -oneline: "[2026-01-31T12:00:00.123456] Deleted 2: eth0 inet A/24 ..."
_LINE = re.compile(r"^\[(?P<at>[^\]]+)\] ?(?P<gone>Deleted )?\d+: \S+\s+inet6? (?P<address>[^/ ]+)")

# Two nodes may both have the address while one hands it over, on a busy machine for longer.
HANDOVER = 0.5


@dataclass(frozen=True)
class Span:
    """A stretch of time (seconds) in which the same hosts held the address."""

    start: float
    end: float
    holders: frozenset[str]

    @property
    def seconds(self) -> float:
        return self.end - self.start


def time_line(
    start: float, end: float, before: Iterable[str], changes: Iterable[tuple[float, str, bool]]
) -> list[Span]:
    """Join ``changes`` (time, host, whether it got the address or lost it) into spans."""
    spans = []
    now, holding = start, frozenset(before)
    for at, host, got in sorted(changes):
        after = holding | {host} if got else holding - {host}
        if after != holding:
            spans.append(Span(now, at, holding))
            now, holding = at, after
    spans.append(Span(now, end, holding))
    return spans


def read_change(line: str) -> tuple[float, str, bool]:
    """Read a line of the monitor: when (seconds since 1970), which address, whether it came."""
    found = _LINE.match(line)
    if not found:
        raise RuntimeError(f"ip monitor says what cannot be read: {line!r}")
    at = datetime.fromisoformat(found["at"] + "+00:00").timestamp()
    return at, found["address"], not found["gone"]


@dataclass
class Watch:
    """Context manager: records every gain and loss of ``vip`` by ``hosts`` while it is open.

    ``limit``: seconds after which it stops looking.
    """

    hosts: list[Host]
    vip: str
    spans: list[Span] = field(default_factory=list)
    limit: int = 300

    def __enter__(self) -> Watch:
        self._monitors = {
            host.name: subprocess.Popen(
                host.argv(
                    *("timeout", f"{self.limit}"),
                    *("ip", "-tshort", "-oneline", "monitor", "address"),
                ),
                stdout=subprocess.PIPE,
                text=True,
            )
            for host in self.hosts
        }
        self._start = time.time()
        self._before = [host.name for host in holders(self.hosts, self.vip)]
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        end = time.time()
        changes = []
        for host in self.hosts:
            host.run("pkill", "-x", "ip", check=False)
            monitor = self._monitors[host.name]
            output, _ = monitor.communicate(timeout=10)
            for line in output.splitlines():
                at, address, got = read_change(line)
                if address == self.vip:
                    changes.append((at, host.name, got))
        self.spans = time_line(self._start, end, self._before, changes)

    def assert_one_holder(self, gap: float) -> None:
        """Assert that never two had the address, and for at most ``gap`` seconds nobody."""
        assert self.longest_without_holder <= gap, self.spans
        assert self.longest_with_several <= HANDOVER, self.spans

    def owners_for(self, seconds: float) -> list[str]:
        """Return who had the address alone for at least so long, in order."""
        alone = [
            name
            for span in self.spans
            if len(span.holders) == 1 and span.seconds >= seconds
            for name in span.holders
        ]
        return [name for name, _ in itertools.groupby(alone)]

    @property
    def owners(self) -> list[str]:
        """Who had the address alone, in order."""
        return self.owners_for(0)

    def longest(self, count_is: range) -> float:
        """Return the longest time (s) during which the number of holders was in ``count_is``."""
        return max(
            (span.seconds for span in self.spans if len(span.holders) in count_is), default=0.0
        )

    @property
    def longest_without_holder(self) -> float:
        return self.longest(range(1))

    @property
    def longest_with_several(self) -> float:
        return self.longest(range(2, 1000))
