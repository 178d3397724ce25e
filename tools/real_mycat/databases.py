"""Rows 1 and 4: MyCat and the databases behind it."""

from __future__ import annotations

import time
from collections.abc import Callable

from lab.hosts import await_

from .hosts import (
    MYCAT,
    PATIENCE,
    SCRIPT,
    await_up,
    hang_database,
    jvm,
    played,
    start_database,
    status,
    stop_database,
    wake_database,
)
from .watching import watch

# As long as the run in which unready MyCats were found to serve.
LOOK = 40.0


def _stop() -> None:
    """Stop MyCat, and wait until nobody is sent to it."""
    MYCAT.run(SCRIPT, "stop")
    await_(lambda: not status().startswith("UP"), PATIENCE, "HAProxy has it out")


def _start() -> None:
    MYCAT.run(SCRIPT, "start")


def _kill_jvm() -> None:
    MYCAT.run("kill", "-KILL", jvm())


def ready_once() -> None:
    """Row 1."""
    _stop()
    _unready("started while its database is down", stop_database, _start, start_database)
    _stop()
    _unready("started while its database hangs", hang_database, _start, wake_database)
    _unready("JVM killed while its database is down", stop_database, _kill_jvm, start_database)
    _reported("database stops later", stop_database, start_database)


def _unready(
    what: str,
    break_: Callable[[], object],
    begin: Callable[[], object],
    mend: Callable[[], object],
) -> None:
    """Say what a MyCat that cannot reach its database answers from its first second on."""
    break_()
    seen = watch(LOOK, begin)
    print(f"{what}: {seen.codes} in {LOOK:.0f} s, {seen.failed}", flush=True)
    print(f"    {seen.answers[-1].body['reason']}", flush=True)
    _bring_back(mend)


def _bring_back(mend: Callable[[], object]) -> None:
    """Mend the database, and say when HAProxy has MyCat back."""
    mend()
    begun = time.monotonic()
    await_up()
    print(f"    database back: UP {time.monotonic() - begun:.1f} s later", flush=True)


def _reported(what: str, break_: Callable[[], object], mend: Callable[[], object]) -> None:
    """A database that fails once MyCat was ready is no reason for a 503."""
    await_up()
    seen = watch(LOOK, break_)
    print(f"{what}: {seen.codes} in {LOOK:.0f} s", flush=True)
    mend()


def required() -> None:
    """Row 4."""
    settings = {"mycat_status_manager_port": 9066, "mycat_status_require_backends": True}
    played("site", **settings)
    _lost("required database stopped", stop_database, start_database)
    _lost("required database hangs", hang_database, wake_database)
    _stop()
    stop_database()
    seen = watch(LOOK, _start)
    false = sum(one.code == 200 for one in seen.answers)
    print(f"started without its required database: {false} answers 200 of {len(seen.answers)}")
    start_database()
    await_up()
    played("site")


def _lost(what: str, break_: Callable[[], object], mend: Callable[[], object]) -> None:
    await_up()
    seen = watch(LOOK, break_)
    print(f"{what}: 503 after {seen.first(503)}; {seen.answers[-1].body['reason']}", flush=True)
    _bring_back(mend)
