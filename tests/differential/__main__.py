# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``python -m tests.differential``: see README.md, or ``--help``."""

from __future__ import annotations

import argparse
import collections
import concurrent.futures
import itertools
import json
import os
import random
import signal
import sys
import time
from pathlib import Path
from types import FrameType
from typing import Iterator

from . import cases, known, lab, report, texts
from .daemon import Daemon, DaemonError, installed, release
from .run import Outcome, run, shrink


def main() -> int:
    """0: no unexplained disagreement; 1: at least one; 2: the machine cannot run the test."""
    options = _options()
    # SIGINT as well: a shell starts its background jobs with it ignored.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    try:
        lab.prepare()
        lab.sweep()
        daemon = release(options.release) if options.release else installed(options.keepalived)
        if options.texts:
            return _record(options, daemon) if options.record else _texts(options, daemon)
        return _campaign(options, daemon) if options.seed is None else _replay(options, daemon)
    except (DaemonError, lab.LabError) as error:
        print(f"differential test cannot run: {error}", file=sys.stderr)
        return 2


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.differential",
        description="Run random clusters through the VRRP model and through real keepalived "
        "processes in network namespaces, and compare who holds each virtual address.",
    )
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--keepalived", metavar="PATH", default=os.environ.get("KEEPALIVED"),
                       help="the keepalived to run (default: the installed one)")  # fmt: skip
    which.add_argument("--release", metavar="NAME",
                       help="run the keepalived of this Debian release (bookworm, trixie), fetched "
                       "into .cache/differential on first use; nothing is installed")  # fmt: skip
    parser.add_argument("--texts", action="store_true",
                        help="random texts as people write them instead of models")  # fmt: skip
    parser.add_argument("--record", metavar="PATH", type=Path,
                        help="with --texts: write what the daemons do with each kind")  # fmt: skip
    parser.add_argument("-n", "--cases", type=int, default=1000, help="stop after so many cases")
    parser.add_argument("--budget", type=float, metavar="SECONDS", default=float("inf"),
                        help="start no case that would end after this time")  # fmt: skip
    parser.add_argument("--first-seed", type=int, metavar="S",
                        help="the seeds are S, S+1, ... (default: S at random)")  # fmt: skip
    # A case mostly waits.
    parser.add_argument("--jobs", type=int, default=4 * (os.cpu_count() or 1),
                        help="cases at once (default: four for each processor)")  # fmt: skip
    parser.add_argument("--seed", type=int, help="replay the case of this seed, with every step")
    parser.add_argument("--keep", action="store_true",
                        help="with --seed: keep configurations and logs")  # fmt: skip
    return parser.parse_args()


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _texts(options: argparse.Namespace, daemon: Daemon) -> int:
    """Texts through the validator and the daemons; what disagrees is run again, alone."""
    first = options.first_seed if options.seed is None else options.seed
    if first is None:
        first = random.SystemRandom().randrange(1_000_000)
    count = options.cases if options.seed is None else 1
    print(f"keepalived {daemon.label}, texts from seed {first}", flush=True)
    end = time.monotonic() + options.budget

    def judged(seed: int) -> texts.Verdict | None:
        return texts.run(texts.make(seed), daemon) if time.monotonic() < end else None

    tried = failed = 0
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        for verdict in filter(None, pool.map(judged, range(first, first + count))):
            tried += 1
            if not verdict.agrees:
                again = texts.run(verdict.case, daemon)
                failed += not again.agrees
                print("" if again.agrees else texts.described(again), flush=True)
    print(f"{tried} texts, {failed} unexplained")
    return 1 if failed else 0


def _record(options: argparse.Namespace, daemon: Daemon) -> int:
    """Texts of every kind with what the daemons did, for the unit tests."""
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        verdicts = list(pool.map(lambda case: texts.run(case, daemon), texts.covering()))
    rows = [json.dumps(texts.recorded(verdict), ensure_ascii=False) for verdict in verdicts]
    options.record.write_text("[\n" + ",\n".join(rows) + "\n]\n", encoding="utf-8")
    print(f"{len(rows)} texts, {sum(not verdict.agrees for verdict in verdicts)} disagree")
    return 0


def _replay(options: argparse.Namespace, daemon: Daemon) -> int:
    case = cases.make(options.seed, daemon.version)
    print(report.cluster(case))
    outcome = run(case, daemon, options.keep)
    print(report.steps(outcome), flush=True)
    if outcome.agrees:
        return 0
    explained = known.explain(case, daemon.version)
    if not explained:
        outcome = shrink(outcome, daemon)
        print("--- the same disagreement in fewer events", report.steps(outcome), sep="\n")
    print(report.logs(outcome))
    print(report.verdict(explained))
    return 0 if explained else 1


def _campaign(options: argparse.Namespace, daemon: Daemon) -> int:
    first = options.first_seed
    if first is None:
        first = random.SystemRandom().randrange(1_000_000)
    print(f"keepalived {daemon.label}, seeds from {first}, {options.jobs} at once", flush=True)
    tally: collections.Counter[str] = collections.Counter()
    suspects: list[int] = []
    started = time.monotonic()
    try:
        for outcome in _outcomes(options, daemon, first, started):
            tally["cases"] += 1
            tally["events"] += len(outcome.steps)
            tally["certain"] += sum(step.certain for step in outcome.steps)
            if not outcome.agrees:
                suspects.append(outcome.case.seed)
                print(report.suspect(outcome), report.steps(outcome), sep="\n", flush=True)
            if tally["cases"] % 25 == 0:
                print(report.progress(tally, suspects, time.monotonic() - started), flush=True)
        return _conclude(daemon, tally, suspects, started)
    except KeyboardInterrupt:
        print(report.progress(tally, suspects, time.monotonic() - started) + ", interrupted")
        return 130


def _outcomes(
    options: argparse.Namespace, daemon: Daemon, first: int, started: float
) -> Iterator[Outcome]:
    """Outcomes as they come; ``jobs`` cases run at once, and none is left when this ends."""
    end = started + options.budget
    todo = (cases.make(seed, daemon.version) for seed in range(first, first + options.cases))
    fitting = (case for case in todo if time.monotonic() + case.duration < end)
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        running: set[concurrent.futures.Future[Outcome]] = set()
        try:
            while True:
                for case in itertools.islice(fitting, options.jobs - len(running)):
                    running.add(pool.submit(run, case, daemon))
                if not running:
                    return
                done, running = concurrent.futures.wait(
                    running, return_when=concurrent.futures.FIRST_COMPLETED
                )
                for future in done:
                    yield future.result()
        finally:
            if running:
                lab.stop.set()


def _conclude(
    daemon: Daemon, tally: collections.Counter[str], suspects: list[int], started: float
) -> int:
    """Run again, alone, what disagreed in company: what then agrees was the machine's load."""
    unexplained = []
    for seed in suspects:
        outcome = run(cases.make(seed, daemon.version), daemon)
        if outcome.agrees:
            tally["load"] += 1
            continue
        explained = known.explain(outcome.case, daemon.version)
        tally["known" if explained else "unexplained"] += 1
        if not explained:
            unexplained.append(seed)
            print(report.disagreement(shrink(outcome, daemon)))
        print(f"seed {seed}: {report.verdict(explained)}", flush=True)
    print(report.summary(tally, unexplained, time.monotonic() - started))
    return 1 if unexplained else 0


if __name__ == "__main__":
    sys.exit(main())
