#!/usr/bin/env python3
# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How short a budget for a lost node may be before a VIP moves without need.

    sudo .venv/bin/python bench/node_loss.py                       three releases, ten minutes
    sudo .venv/bin/python bench/node_loss.py --budget 2 --seconds 60

A planned pair of each Debian release's keepalived runs in network namespaces while all processors
are busy many times over and memory is short. In turn the holder and the standby stand still for a
moment, as a virtual machine does that is moved. Nothing may move. At the end the holder is lost,
again and again. Fails when an address moved without need or a loss took longer than the bound.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / ".collections"), str(ROOT)]

from ansible_collections.mycat.ha.plugins.module_utils.vrrp.plan import make_plan  # noqa: E402
from ansible_collections.mycat.ha.plugins.module_utils.vrrp.request import read_request  # noqa: E402

from tests.differential import lab  # noqa: E402
from tests.differential.daemon import Daemon, release  # noqa: E402
from tests.differential.run import configuration, set_check  # noqa: E402

RELEASES = ("bullseye", "bookworm", "trixie")
ADDRESSES = {"lb1": "10.99.0.1", "lb2": "10.99.0.2"}
VIP = "10.99.0.100"
# Seconds between two pauses of a node.
EVERY = 5.0
LOSSES = 5
# Where keepalived runs before others and stays in memory.
REALTIME = "global_defs {\n    vrrp_rt_priority 50\n    vrrp_no_swap\n}\n"
# Megabytes that the programs of the run need beside what is written over.
NEEDED = 192
# Keeps touching its memory and reads files, so that the kernel takes pages of programs.
HOG = """
import pathlib, sys
memory = bytearray(int(sys.argv[1]))
while True:
    for page in range(0, len(memory), 4096):
        memory[page] = 1
    for path in pathlib.Path("/usr/lib").glob("*/*.so*"):
        path.read_bytes()
"""
# cgroup version 1, else 2: where groups are, what limits one, how often it was short.
LIMITED = Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes", "memory.failcnt"
if not LIMITED[0].exists():
    LIMITED = Path("/sys/fs/cgroup"), "memory.max", "memory.events"


@dataclass
class Result:
    """What a pair did. Seconds."""

    version: str
    bound: float
    pauses: int = 0
    moves: int = 0
    lost: list[float] = field(default_factory=list)

    @property
    def kept(self) -> bool:
        return not self.moves and max(self.lost) <= self.bound * 1.05


def say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')}  {text}", flush=True)


@contextlib.contextmanager
def short_of_memory(megabytes: int) -> Iterator[list[list[str]]]:
    """Have this process and what it starts share so much memory, until the end of the block; the
    commands that use it up."""
    if not megabytes:
        yield []
        return
    parent, limit, short = LIMITED
    group = parent / "mycat_ha_node_loss"
    group.mkdir()
    (group / limit).write_text(str(megabytes << 20))
    (group / "cgroup.procs").write_text(str(os.getpid()))
    try:
        yield [[sys.executable, "-c", HOG, str((megabytes - NEEDED) << 20)]]
        say(f"{megabytes} MB were short: {' '.join((group / short).read_text().split())}")
    finally:
        (parent / "cgroup.procs").write_text(str(os.getpid()))
        end = time.monotonic() + 10
        while (group / "cgroup.procs").read_text() and time.monotonic() < end:
            time.sleep(0.1)
        group.rmdir()


@contextlib.contextmanager
def load(loops: int, megabytes: int) -> Iterator[None]:
    """Busy processors and little memory, until the end of the block."""
    commands = [["sh", "-c", "while :; do :; done"]] * loops
    with short_of_memory(megabytes) as hogs, contextlib.ExitStack() as stack:
        running = []
        for command in (*commands, *hogs):
            process = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", *command])
            running.append(process)
            stack.callback(process.wait)
            stack.callback(process.kill)
        yield
        if any(process.poll() is not None for process in running):
            raise lab.LabError("what was to keep processors and memory busy has ended")


def holder(pair: lab.Lab) -> str | None:
    """The one node that has the VIP, None where none or both have it."""
    found = [node for node in ADDRESSES if VIP in pair.addresses(node)]
    return found[0] if len(found) == 1 else None


def changes(pair: lab.Lab) -> int:
    """How often a node has become MASTER."""
    return sum(pair.log(node).count("Entering MASTER STATE") for node in ADDRESSES)


def await_holder(pair: lab.Lab, limit: float) -> str:
    end = time.monotonic() + limit
    while time.monotonic() < end:
        found = holder(pair)
        if found:
            return found
        time.sleep(0.01)
    raise lab.LabError(f"nobody has the VIP after {limit:g} s: {pair.log(min(ADDRESSES))}")


def soak(pair: lab.Lab, result: Result, options: argparse.Namespace) -> None:
    """Let holder and standby stand still in turn; count what moves."""
    before, end = changes(pair), time.monotonic() + options.seconds
    while time.monotonic() < end:
        for node in ADDRESSES:
            pair.settle(EVERY, EVERY)
            with pair.standing_still(node):
                time.sleep(options.pause)
            result.pauses += 1
        say(f"{result.version}: {result.pauses} pauses, {changes(pair) - before} moves")
    result.moves = changes(pair) - before


def lose(pair: lab.Lab, result: Result) -> None:
    """Lose the holder; measure until the other one has the VIP."""
    for _ in range(LOSSES):
        old = await_holder(pair, 30)
        pair.settle(2, 4)
        pair.cut(old)
        pair.lose(old)
        begun = time.monotonic()
        await_holder(pair, 30)
        result.lost.append(time.monotonic() - begun)
        pair.heal(old)
        pair.bring_back(old)


def measure(daemon: Daemon, options: argparse.Namespace) -> Result:
    """Run a planned pair of this keepalived through all of it."""
    nodes = [
        {"name": name, "address": address, "interface": lab.INTERFACE}
        for name, address in ADDRESSES.items()
    ]
    request = read_request(
        {
            "nodes": nodes,
            "vips": [{"address": f"{VIP}/24"}],
            "node_loss_budget": options.budget,
            "keepalived_version": daemon.label,
        }
    )
    plan = make_plan(request)
    result = Result(daemon.label, plan.bounds.node_loss)
    with lab.Lab(daemon, ADDRESSES, dict.fromkeys(ADDRESSES, ())) as pair:
        for node in plan.cluster.nodes:
            for check in node.checks:
                set_check(pair.directory, node.name, check, passes=True)
            text = configuration(node, pair.directory)
            extra = REALTIME if options.realtime else ""
            pair.configuration(node.name).write_text(extra + text)
            pair.start(node.name)
        await_holder(pair, 30)
        pair.settle(3, 10)
        soak(pair, result, options)
        lose(pair, result)
    return result


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--budget", type=float, default=1.0, help="seconds (default: 1)")
    parser.add_argument("--seconds", type=float, default=600, help="of load (default: 600)")
    parser.add_argument("--pause", type=float, default=0.5, help="seconds a node stands still")
    parser.add_argument("--realtime", action="store_true", help="keepalived before all others")
    parser.add_argument("--loops", type=int, default=8 * (os.cpu_count() or 1))
    parser.add_argument("--megabytes", type=int, default=0, help="that all of this shares")
    options = parser.parse_args()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: sys.exit(130))
    lab.prepare()
    lab.sweep()
    daemons = [release(name) for name in RELEASES]
    with load(options.loops, options.megabytes), concurrent.futures.ThreadPoolExecutor() as pool:
        results = list(pool.map(lambda daemon: measure(daemon, options), daemons))
    for one in results:
        say(
            f"keepalived {one.version}: {one.moves} moves in {options.seconds:g} s with "
            f"{one.pauses} pauses of {options.pause:g} s; a lost holder cost "
            f"{min(one.lost):.2f} to {max(one.lost):.2f} s (bound {one.bound:g})"
        )
    return 0 if all(one.kept for one in results) else 1


if __name__ == "__main__":
    sys.exit(main())
