#!/usr/bin/env python3
# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the search over failures costs, and a long comparison with visiting every state.

    .venv/bin/python bench/explore.py          the benchmarks; fails above 1 s or 200 MB
    .venv/bin/python bench/explore.py --long   the comparison, up to five nodes (minutes)

CPU seconds of one core, the best of three runs; memory is the peak of a process of its own.
"""

from __future__ import annotations

import argparse
import itertools
import multiprocessing
import resource
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / ".collections"), str(ROOT / "tests/unit/plugins/module_utils/vrrp")]

import brute_force  # noqa: E402
from ansible_collections.mycat.ha.plugins.module_utils.vrrp.explore import explore  # noqa: E402
from ansible_collections.mycat.ha.plugins.module_utils.vrrp.model import (  # noqa: E402
    Check,
    Cluster,
    Instance,
    Node,
    Track,
)

SECONDS = 1.0
MEGABYTES = 200
CHECKS = ("haproxy", "mycat", "disk")


def node(name: str, address: str, *instances: Instance) -> Node:
    return Node(name, address, instances, checks=tuple(map(Check, CHECKS)))


def instance(number: int, vip: str, priority: int, weights: tuple, **options) -> Instance:
    return Instance(
        f"VI_{number}",
        number,
        version=3,
        priority=priority,
        tracks=tuple(Track(name, weight=weight) for name, weight in zip(CHECKS, weights)),
        virtual_ipaddress=(vip,),
        **options,
    )


def large(priorities, weights, **options) -> list:
    """One VIP on 16 nodes with three checks each."""
    return [
        Cluster(
            tuple(
                node(f"lb{k}", f"10.0.0.{k + 1}", instance(1, "10.0.0.99", p, weights, **options))
                for k, p in enumerate(priorities)
            )
        )
    ]


def estate(bases, weights, together=False, **options) -> list:
    """200 pairs with two VIPs, each node preferred for one; ``together``: as one cluster."""
    clusters = []
    for pair in range(200):
        address = [f"10.1.{pair}.{side}" for side in (1, 2)]
        nodes = []
        for side in (0, 1):
            peers = {"unicast_src_ip": address[side], "unicast_peer": (address[1 - side],)}
            nodes.append(
                node(
                    f"lb{pair}{'ab'[side]}",
                    address[side],
                    *(
                        instance(
                            1 + (2 * pair + vip) % 255,
                            f"10.1.{pair}.{100 + vip}",
                            bases[vip != side],
                            weights,
                            **peers,
                            **options,
                        )
                        for vip in (0, 1)
                    ),
                )
            )
        clusters.append(Cluster(tuple(nodes)))
    if together:
        return [Cluster(tuple(itertools.chain.from_iterable(c.nodes for c in clusters)))]
    return clusters


DESCENDING = range(254, 254 - 16, -1)
CASES = {
    "16 nodes x 3 checks, sticky": lambda: large(DESCENDING, (0, 0, 0), nopreempt=True),
    "16 nodes x 3 checks, weighted": lambda: large(DESCENDING, (-120, -60, -30)),
    "16 nodes x 3 checks, weights too small": lambda: large(range(160, 0, -10), (12, 4, 2)),
    "200 pairs x 2 VIPs, sticky": lambda: estate((254, 253), (0, 0, 0), nopreempt=True),
    "200 pairs x 2 VIPs, weighted": lambda: estate((110, 100), (60, 30, 20)),
    "200 pairs x 2 VIPs, weights too small": lambda: estate((110, 100), (6, 3, 2)),
    "200 pairs x 2 VIPs, in one cluster": lambda: estate((254, 253), (0, 0, 0), together=True),
}


def measure(name: str) -> tuple:
    """CPU seconds, peak megabytes and the number of violations of one case."""
    best = float("inf")
    for _ in range(3):
        clusters = CASES[name]()
        began = time.process_time()
        found = [explore(cluster) for cluster in clusters]
        best = min(best, time.process_time() - began)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return best, peak, sum(len(one.violations) for one in found)


def benchmark() -> bool:
    """Print the figures of every case; whether all keep the bounds."""
    kept = True
    print(f"{'case':42}{'seconds':>9}{'MB':>7}{'violations':>12}")
    for name in CASES:
        # A process of its own for each, so that the peak is that of the case.
        with multiprocessing.get_context("spawn").Pool(1) as alone:
            seconds, megabytes, violations = alone.apply(measure, (name,))
        within = seconds <= SECONDS and megabytes <= MEGABYTES
        kept = kept and within
        note = "" if within else "   above the bound"
        print(f"{name:42}{seconds:9.2f}{megabytes:7.0f}{violations:12}{note}", flush=True)
    print(f"bounds: {SECONDS:g} s, {MEGABYTES} MB")
    return kept


def comparison() -> bool:
    """Compare verdicts over the whole space of small settings; whether all agree."""
    settings = [
        {"priority": priority, "weights": (weight,), "nopreempt": nopreempt}
        for priority in (100, 105, 120, 254)
        for weight in (0, 5, 10, -20, 253)
        for nopreempt in (False, True)
    ]
    sizes = (
        (2, itertools.product(settings, repeat=2), brute_force.WITH_CUTS),
        (3, itertools.combinations_with_replacement(settings[::3], 3), brute_force.WITH_CUTS),
        (
            4,
            itertools.combinations_with_replacement(settings[::5], 4),
            brute_force.CHECKS_AND_STOPS,
        ),
        (
            5,
            itertools.combinations_with_replacement(settings[::9], 5),
            brute_force.CHECKS_AND_STOPS,
        ),
    )
    agreed = True
    for size, space, events in sizes:
        began, compared = time.monotonic(), 0
        for several in space:
            cluster = Cluster(
                tuple(
                    node(f"lb{k}", f"10.0.0.{k}", instance(1, "10.0.0.99", **one))
                    for k, one in enumerate(several, 1)
                )
            )
            found = explore(cluster)
            verdict = {
                (one.kind, vip)
                for one in found.violations + found.needless_moves
                for vip in one.addresses
            }
            compared += 1
            if verdict != set(brute_force.verdict(cluster, events)) or not found.proven:
                agreed = False
                print(f"disagreement: {several}", flush=True)
        took = time.monotonic() - began
        print(f"{size} nodes: {compared} clusters compared in {took:.0f} s", flush=True)
    return agreed


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--long", action="store_true", help="compare with visiting every state")
    return 0 if (comparison() if parser.parse_args().long else benchmark()) else 1


if __name__ == "__main__":
    sys.exit(main())
