"""Rows 5, 6 and 8: what the health endpoint sees, and what it costs."""

from __future__ import annotations

import time

from .hosts import HOME, MYCAT, await_up, jvm, manager, played
from .watching import ask, watch

LOG = f"{HOME}/logs/mycat.log"
LISTENERS: dict[str, dict[str, object]] = {
    "systemd": {"mycat_status_listener": "systemd"},
    "xinetd, wait": {"mycat_status_listener": "xinetd"},
    "xinetd, nowait": {"mycat_status_listener": "xinetd", "mycat_status_xinetd_wait": False},
}
DAY = 86400


def process_level() -> None:
    """Row 5."""
    played("site", mycat_status_level="process")
    await_up()
    pid = jvm()
    seen = watch(5, lambda: MYCAT.run("kill", "-STOP", pid))
    MYCAT.run("kill", "-CONT", pid)
    print(f"level process, JVM hangs: {seen.codes}", flush=True)
    played("site")


def pid_file() -> None:
    """Row 6."""
    await_up()
    MYCAT.run("rm", f"{HOME}/logs/mycat.pid")
    answer = ask()
    print(f"pid file gone: {answer.code}, {answer.body.get('warnings')}", flush=True)
    MYCAT.run("systemctl", "restart", "mycat")


def log_lines() -> None:
    """Row 8."""
    for name, settings in LISTENERS.items():
        played("site", **settings)
        await_up()
        print(f"mycat.log, {name}: {_megabytes_a_day(120):.1f} MB a day", flush=True)
        _offline(name)
    played("site")


def _megabytes_a_day(seconds: float) -> float:
    """By the checks of two load balancers, one a second each."""
    before, begun = _size(), time.monotonic()
    time.sleep(seconds)
    return (_size() - before) * DAY / (time.monotonic() - begun) / 1e6


def _size() -> int:
    return int(MYCAT.run("stat", "--format=%s", LOG).stdout)


def _offline(name: str) -> None:
    seen = watch(4, lambda: manager("offline"))
    manager("online")
    print(f"offline, {name}: 404 after {seen.first(404)}", flush=True)
    await_up()
