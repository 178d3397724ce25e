"""Measure from a client host what a failure costs."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from .hosts import Host

Result = TypeVar("Result")

_PROBE = Path(__file__).with_name("probe.py").read_text(encoding="utf-8")


@dataclass(frozen=True)
class Outage:
    """``outage_s``: the longest time (s) without a MySQL greeting arriving at the client."""

    outage_s: float
    connections_ok: int
    connections_failed: int
    failures: tuple[str, ...]


def _command(vip: str, seconds: float, every: float) -> list[str]:
    return ["python3", "-", vip, f"--seconds={seconds}", f"--every={every}"]


def measure(
    client: Host,
    vip: str,
    failure: Callable[[], object],
    seconds: float = 6.0,
    every: float = 0.01,
    end_with_failure: bool = False,
) -> Outage:
    """Probe ``vip`` from ``client`` for ``seconds``; call ``failure`` once greetings arrive.

    ``every``: seconds between the starts of two connections. ``end_with_failure``: probe until
    ``failure`` has returned, for ``seconds`` at the most.
    """
    command = client.argv(*_command(vip, seconds, every), stdin=True)
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as probe:
        assert probe.stdin
        assert probe.stdout
        probe.stdin.write(_PROBE)
        probe.stdin.close()
        if "ready" not in probe.stdout.readline():
            raise RuntimeError(f"{vip} sends no MySQL greeting to {client.name}")
        failure()
        if end_with_failure:
            client.run("pkill", "-f", f"^{' '.join(_command(vip, seconds, every))}$", check=False)
        result = json.loads(probe.stdout.readline())
    return Outage(**{**result, "failures": tuple(result["failures"])})


def measure_during(
    client: Host, vip: str, work: Callable[[], Result], seconds: float = 300.0
) -> tuple[Result, Outage]:
    """Connect from ``client`` every 0.05 s until ``work`` has ended, for ``seconds`` at the most;
    return what it returned, too."""
    results: list[Result] = []
    seen = measure(client, vip, lambda: results.append(work()), seconds, 0.05, True)
    return results[0], seen
