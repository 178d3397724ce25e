"""Measure a real MyCat behind the collection, on the hosts of the scenario ``mycat``.

``make real-mycat ARCHIVE=PATH SHA256=SUM JAVA=PATH JAVA_SHA256=SUM``. Prints what clients lost, and
how soon HAProxy saw what.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from lab.haproxy import servers
from lab.hosts import Host, await_
from lab.mycat_archive import RULE_XML, SCHEMA_XML, SERVER_XML
from lab.outage import measure
from lab.playbook import run_playbook

NETWORK, VIP = "mycat-ha-mycat", "10.87.62.100"
LB, CLIENT = Host("lb1", NETWORK), Host("client", NETWORK)
MYCAT = Host("mycat2", NETWORK)
WRAPPER = "wrapper-linux-x86-64 "
PATIENCE = 90.0


def given(folder: str) -> dict[str, str]:
    """The role's variables for the archives that the environment names."""
    files = {"server": SERVER_XML, "schema": SCHEMA_XML, "rule": RULE_XML}
    for name, text in files.items():
        Path(folder, f"{name}.xml").write_text(text, encoding="utf-8")
    return {
        "mycat_archive": os.environ["ARCHIVE"],
        "mycat_archive_sha256": os.environ["SHA256"],
        "mycat_java": os.environ["JAVA"],
        "mycat_java_sha256": os.environ["JAVA_SHA256"],
        **{f"mycat_{name}_xml": str(Path(folder, f"{name}.xml")) for name in files},
    }


def under_load(what: str, work: Callable[[], object]) -> None:
    """Say what a client lost while this went on."""
    begun = time.monotonic()
    seen = measure(CLIENT, VIP, work, seconds=600, every=0.05, end_with_failure=True)
    total = seen.connections_ok + seen.connections_failed
    print(f"{what}: lost {seen.connections_failed} of {total} connections in", end=" ")
    print(f"{time.monotonic() - begun:.0f} s, longest wait {seen.outage_s:.2f} s", flush=True)


def played(playbook: str, **variables: object) -> None:
    done = run_playbook(f"playbooks/{playbook}.yml", **variables)
    if done.rc:
        raise SystemExit(done.output)


def status() -> str:
    return str(servers(LB)[MYCAT.name]["status"])


def seen_by_haproxy(what: str, work: Callable[[], object], undo: Callable[[], object]) -> None:
    """Say when HAProxy takes MyCat out, and when it has it back."""
    await_(lambda: status() == "UP", PATIENCE, "MyCat is UP")
    work()
    begun = time.monotonic()
    # "UP 1/2" is one that failed a check and has clients still.
    await_(lambda: not status().startswith("UP"), PATIENCE, what, every=0.02)
    out = time.monotonic() - begun
    undo()
    begun = time.monotonic()
    await_(lambda: status() == "UP", PATIENCE, what, every=0.02)
    print(f"{what}: out after {out:.1f} s, UP {time.monotonic() - begun:.1f} s later", flush=True)


def jvm() -> str:
    (wrapper,) = MYCAT.run("pgrep", "-f", WRAPPER).stdout.split()
    return MYCAT.run("pgrep", "-P", wrapper).stdout.strip()


def paused(seconds: float) -> None:
    """Say whether a pause of the JVM moves anything."""
    await_(lambda: status() == "UP", PATIENCE, "MyCat is UP")
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


def manager(statement: str) -> None:
    MYCAT.query("127.0.0.1", statement, port=9066)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        variables = given(folder)
        played("site", **variables)
        for seconds in (0.5, 1.0, 1.5, 2.0):
            paused(seconds)
        held: list[str] = []
        seen_by_haproxy(
            "JVM hangs",
            lambda: (held.append(jvm()), MYCAT.run("kill", "-STOP", held[0])),
            lambda: MYCAT.run("kill", "-CONT", held[0]),
        )
        nothing: Callable[[], object] = lambda: None  # noqa: E731
        seen_by_haproxy("JVM killed", lambda: MYCAT.run("kill", "-KILL", jvm()), nothing)
        seen_by_haproxy(
            "wrapper killed", lambda: MYCAT.run("pkill", "-KILL", "-f", WRAPPER), nothing
        )
        seen_by_haproxy("offline", lambda: manager("offline"), lambda: manager("online"))
        under_load("rolling restart", lambda: played("rolling_restart_mycat", **variables))


if __name__ == "__main__":
    main()
