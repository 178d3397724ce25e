# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The keepalived that runs on a host: found in /proc, and asked for its state by a signal.

It answers by writing a file, which holds passwords and is removed after it was read.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
import time
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from ..host.commands import run
from ..host.processes import PROC, process_field, process_ids
from ..vrrp.versions import TMPDIR_SINCE, numbers
from . import dump
from .tree import Statement

POLL = 0.02
TMP = "/tmp"  # noqa: S108 - keepalived's own place
# Written along with keepalived.data.
PARENT_DUMP = "keepalived_parent.data"


class DumpKind(NamedTuple):
    """How a dump is asked for and read."""

    signal: str  # its name, for keepalived --signum
    file: str
    keyword: str  # of global_defs, names another file
    parse: Callable[[str], tuple[dump.InstanceState, ...]]


DUMPS = (
    DumpKind("JSON", "keepalived.json", "json_dump_file", dump.parse_json),
    DumpKind("DATA", "keepalived.data", "state_dump_file", dump.parse_data),
)


class NoDump(Exception):  # noqa: N818 - not an error of the program
    """A running keepalived that did not tell its state; the text is a sentence."""


# --- the process ----------------------------------------------------------------------------------


def network(pid: int | str) -> str:
    """Return what names the network namespace of a process."""
    try:
        return os.readlink(f"{PROC}/{pid}/ns/net")
    except OSError:
        return ""


def find_daemon() -> int | None:
    """Return the process id of the keepalived of this network namespace, None without one.

    Its children have its name as well; of several daemons the one that was started first counts.
    """
    here = network("self")
    found = (
        pid
        for pid in process_ids()
        if process_field(pid, "Name") == "keepalived"
        and process_field(process_field(pid, "PPid"), "Name") != "keepalived"
        and network(pid) == here
    )
    return next(found, None)


def listens_to(pid: int, number: int) -> bool:
    """Return whether a process catches or awaits a signal, which would end it otherwise."""
    masks = [int(process_field(pid, name) or "0", 16) for name in ("SigCgt", "SigBlk")]
    return any(mask >> (number - 1) & 1 for mask in masks)


def temporary_directory(pid: int, version: str) -> str:
    """Return where a keepalived puts temporary files."""
    if version and numbers(version) < TMPDIR_SINCE:
        return TMP
    with open(f"{PROC}/{pid}/environ", "rb") as file:
        entries = [entry.partition(b"=") for entry in file.read().split(b"\0")]
    settings = {name: value for name, _equals, value in entries}
    return os.fsdecode(settings.get(b"TMPDIR", b"")) or TMP


def open_files(pid: int | str) -> list[str]:
    """Return what the descriptors of a process stand for, as far as it still lives.

    Raises PermissionError where the kernel does not tell: root in a container without
    CAP_SYS_PTRACE is not told of a process that changed its user for a moment (proc(5)).
    """
    found = []
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for name in os.listdir(f"{PROC}/{pid}/fd"):
            with contextlib.suppress(FileNotFoundError):
                found.append(os.readlink(f"{PROC}/{pid}/fd/{name}"))
    return found


def watches_files(pid: int) -> bool | None:
    """Return whether a keepalived, or a process of its own, has an inotify instance.

    None where nothing tells. Where it gets none it only logs that it is unable to monitor its
    tracked files, and never acts on them. Root's are soon used up where many containers share them.
    """
    children = [child for child in process_ids() if process_field(child, "PPid") == str(pid)]
    try:
        return any("anon_inode:inotify" in open_files(process) for process in (pid, *children))
    except PermissionError:
        return None


# --- its dump -------------------------------------------------------------------------------------


def signature(path: str) -> tuple[int, int, int] | None:
    """Return what tells one version of a file from the next, None where there is no file."""
    try:
        found = os.lstat(path)
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


def read_own(path: str, uid: int) -> str:
    """Return the text of a regular file that belongs to the user, empty where there is none yet.

    Anybody can put a file or a link into /tmp.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return ""
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode) or found.st_uid != uid:
        os.close(descriptor)
        return ""
    with os.fdopen(descriptor, encoding="utf-8", errors="replace") as file:
        return file.read()


def await_file(path: str, seconds: float) -> None:
    """Wait until there is a file, but no longer than that."""
    deadline = time.monotonic() + seconds
    while signature(path) is None and time.monotonic() < deadline:
        time.sleep(POLL)


def remove(path: str) -> None:
    """Remove a file if it is there."""
    if signature(path) is not None:
        os.unlink(path)


@contextlib.contextmanager
def alone(directory: str, seconds: float) -> Iterator[None]:
    """Keep others who use this from the dumps in a directory, which they would remove."""
    descriptor = os.open(directory, os.O_RDONLY)
    deadline = time.monotonic() + seconds
    try:
        while time.monotonic() < deadline:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                time.sleep(POLL)
        yield
    finally:
        os.close(descriptor)


def _ask(
    pid: int, number: int, path: str, kind: DumpKind, seconds: float
) -> tuple[dump.InstanceState, ...]:
    """Have keepalived write its dump to ``path``, and return the instances that it tells of.

    A dump that lay there before is not believed, nor is one that is not complete yet.
    """
    uid = os.stat(f"{PROC}/{pid}").st_uid
    before = signature(path)
    start = asked = time.monotonic() - 1
    problem = "it wrote nothing"
    while time.monotonic() - start < seconds + 1:
        if time.monotonic() - asked >= 1 and listens_to(pid, number):
            os.kill(pid, number)
            asked = time.monotonic()
        time.sleep(POLL)
        if signature(path) not in (None, before):
            try:
                return kind.parse(read_own(path, uid))
            except dump.DumpError as error:
                problem = str(error)
    raise NoDump(
        f"keepalived (process {pid}) was asked for its state and did not write it to {path} "
        f"within {seconds:g} s (timeout): {problem}"
    )


def _wanted_dump(keepalived: str, pid: int) -> tuple[int, DumpKind]:
    """Return the number of the signal that has the daemon write a dump, and the kind of dump."""
    for kind in DUMPS:
        said = run([keepalived, f"--signum={kind.signal}"])
        if said.code == 0 and said.out.strip().isdigit() and listens_to(pid, int(said.out)):
            return int(said.out), kind
    raise NoDump(f"keepalived (process {pid}) awaits no signal to be asked by")


def from_daemon(
    keepalived: str, version: str, pid: int, statements: Iterable[Statement], seconds: float
) -> tuple[dump.InstanceState, ...]:
    """Return the instances as the running daemon has them.

    ``keepalived`` is the path of the program, ``statements`` are those of its configuration, which
    may name the file of the dump. Raises NoDump, CommandError, and OSError where the process ends.
    """
    number, kind = _wanted_dump(keepalived, pid)
    named = [
        setting.value
        for statement in statements
        if statement.keyword == "global_defs"
        for setting in statement.block or ()
        if setting.keyword == kind.keyword and setting.value
    ]
    root = f"{PROC}/{pid}/root"
    directory = root + temporary_directory(pid, version)
    path = root + named[-1] if named else os.path.join(directory, kind.file)
    with alone(os.path.dirname(path), seconds):
        instances = _ask(pid, number, path, kind, seconds)
        if not named:
            remove(path)
            if kind.signal == "DATA":
                # Another process writes it, at its own time.
                parent = os.path.join(directory, PARENT_DUMP)
                await_file(parent, seconds=1)
                remove(parent)
    return instances
