"""Rows 2, 3, 7 and 9: what HAProxy sees of a MyCat, and what clients lose."""

from __future__ import annotations

import time
from collections.abc import Callable

from lab.hosts import await_, holders
from lab.outage import measure, measure_during

from .hosts import (
    CLIENT,
    LB,
    MYCAT,
    OTHER_LB,
    PATIENCE,
    VIP,
    WRAPPER,
    await_up,
    jvm,
    manager,
    played,
    status,
)


def pauses() -> None:
    for seconds in (0.5, 1.0, 1.5, 2.0):
        _paused(seconds)


def _paused(seconds: float) -> None:
    """Say whether a pause of the JVM moves anything."""
    await_up()
    pid, found = jvm(), set()
    MYCAT.run("kill", "-STOP", pid)
    end, went_on = time.monotonic() + seconds, False
    while time.monotonic() < end + 4:
        if not went_on and time.monotonic() >= end:
            MYCAT.run("kill", "-CONT", pid)
            went_on = True
        found.add(status())
        time.sleep(0.05)
    print(f"JVM pauses for {seconds:g} s: {', '.join(sorted(found))}", flush=True)


def faults() -> None:
    held: list[str] = []
    _out_and_in(
        "JVM hangs",
        lambda: (held.append(jvm()), MYCAT.run("kill", "-STOP", held[0])),
        lambda: MYCAT.run("kill", "-CONT", held[0]),
    )
    _out_and_in("JVM killed", lambda: MYCAT.run("kill", "-KILL", jvm()))
    _out_and_in("wrapper killed", lambda: MYCAT.run("pkill", "-KILL", "-f", WRAPPER))
    _out_and_in("offline", lambda: manager("offline"), lambda: manager("online"))


def _out_and_in(
    what: str, work: Callable[[], object], undo: Callable[[], object] = lambda: None
) -> None:
    """Say when HAProxy takes MyCat out, and when it has it back."""
    await_up()
    work()
    begun = time.monotonic()
    # "UP 1/2" is one that failed a check and has clients still.
    await_(lambda: not status().startswith("UP"), PATIENCE, what, every=0.02)
    out = time.monotonic() - begun
    undo()
    begun = time.monotonic()
    await_(lambda: status() == "UP", PATIENCE, what, every=0.02)
    print(f"{what}: out after {out:.1f} s, UP {time.monotonic() - begun:.1f} s later", flush=True)


def rolling_restart() -> None:
    under_load("rolling restart", lambda: played("rolling_restart_mycat"))


def failover() -> None:
    """What `make demo` shows."""
    (holder,) = holders([LB, OTHER_LB], VIP)
    seen = measure(CLIENT, VIP, lambda: holder.run("pkill", "-KILL", "-x", "haproxy"))
    print(f"HAProxy killed on the VIP's holder: {seen.outage_s:.2f} s without service", flush=True)


def under_load(what: str, work: Callable[[], object]) -> None:
    """Say what a client lost while this went on."""
    await_up()
    begun = time.monotonic()
    _result, seen = measure_during(CLIENT, VIP, work, 600)
    total = seen.connections_ok + seen.connections_failed
    print(f"{what}: lost {seen.connections_failed} of {total} connections in", end=" ")
    print(f"{time.monotonic() - begun:.0f} s, longest wait {seen.outage_s:.2f} s", flush=True)
