#!/usr/bin/env python3
# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What planning and proving many clusters costs on the controller.

    .venv/bin/python bench/plan.py             10, 25 and 50 clusters; fails above 15 s or 500 MB
    .venv/bin/python bench/plan.py --profile   where the time goes with 25 clusters

Each cluster has two load balancers and four MyCats. No host is asked: facts and states are made up,
the states as if everything had been installed. Measured is what the actions cluster_plan and
cluster_report do, from Ansible's own inventory and variables on. CPU seconds of one core, the
least of three runs; memory is the peak of a process of its own.
"""

from __future__ import annotations

import argparse
import cProfile
import multiprocessing
import os
import pstats
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [
    str(ROOT / ".collections"),
    str(ROOT / "tests/unit/plugins/module_utils/cluster"),
]

from ansible.inventory.manager import InventoryManager  # noqa: E402
from ansible.parsing.dataloader import DataLoader  # noqa: E402
from ansible.playbook.play import Play  # noqa: E402
from ansible.playbook.play_context import PlayContext  # noqa: E402
from ansible.plugins.loader import connection_loader, init_plugin_loader  # noqa: E402
from ansible.template import Templar  # noqa: E402
from ansible.vars.manager import VariableManager  # noqa: E402
from ansible_collections.mycat.ha.plugins.action import (  # noqa: E402
    cluster_plan,
    cluster_report,
)
from inventories import facts, state  # noqa: E402

SECONDS = 15.0
MEGABYTES = 500
SIZES = (10, 25, 50)
# How much more a cluster may cost among many than among few.
GROWTH = 1.25


def names(cluster: int) -> tuple[list[str], list[str]]:
    """The load balancers and the MyCats of a cluster."""
    return (
        [f"lb{cluster}-{number}" for number in (1, 2)],
        [f"mycat{cluster}-{number}" for number in (1, 2, 3, 4)],
    )


def inventory(clusters: int) -> dict[str, Any]:
    """An inventory as an operator would write it: a group for each cluster."""
    children: dict[str, Any] = {"haproxy": {"hosts": {}}, "mycat": {"hosts": {}}}
    for cluster in range(clusters):
        lbs, mycats = names(cluster)
        children["haproxy"]["hosts"].update(dict.fromkeys(lbs))
        children["mycat"]["hosts"].update(dict.fromkeys(mycats))
        children[f"group{cluster}"] = {
            "hosts": dict.fromkeys((*lbs, *mycats)),
            "vars": {
                "mycat_ha_cluster": f"cluster{cluster}",
                "mycat_ha_vip": f"10.{cluster}.0.100/24",
                "haproxy_maxconn": "{{ 1000 + 24 }}",
            },
        }
    return {"all": {"children": children}}


class Controller:
    """Ansible's inventory and variables, and a task on the first host."""

    def __init__(self, folder: Path, clusters: int) -> None:
        source = folder / "inventory.yml"
        source.write_text(yaml.safe_dump(inventory(clusters)))
        self.loader = DataLoader()
        self.inventory = InventoryManager(loader=self.loader, sources=[str(source)])
        self.variables = VariableManager(loader=self.loader, inventory=self.inventory)
        play = {"hosts": "all", "gather_facts": False, "tasks": [{"ansible.builtin.debug": {}}]}
        self.play = Play.load(play, variable_manager=self.variables, loader=self.loader)
        self.task = self.play.tasks[0].block[0]
        self.first = self.inventory.get_host(names(0)[0][0])

    def run(self, action: Any, **arguments: Any) -> dict[str, Any]:
        """The result of an action plugin on the first host."""
        self.task.args = arguments
        variables = self.variables.get_vars(play=self.play, host=self.first, task=self.task)
        templar = Templar(loader=self.loader, variables=variables)
        local = connection_loader.get("ansible.builtin.local", PlayContext(), os.devnull)
        module = action.ActionModule(self.task, local, PlayContext(), self.loader, templar, None)
        result: dict[str, Any] = module.run(task_vars=variables)
        return result

    def keep(self, host: str, **values: Any) -> None:
        """Keep variables as register and set_fact do."""
        self.variables.set_nonpersistent_facts(host, values)


def planned(controller: Controller) -> dict[str, Any]:
    """The plan; fails where something is refused."""
    result = controller.run(cluster_plan)
    if result["refusals"]:
        raise SystemExit("\n".join(result["refusals"]))
    return result


def prepare(controller: Controller, clusters: int) -> None:
    """Make hosts known that have everything already."""
    hosts = {}
    for cluster in range(clusters):
        lbs, mycats = names(cluster)
        for last, host in enumerate((*lbs, *mycats), 11):
            hosts[host] = f"10.{cluster}.0.{last}/24"
    for host, address in hosts.items():
        controller.variables.set_host_facts(host, facts(address))
        controller.keep(host, __mycat_ha_state={"files": {}, "packages": {}})
    plan = planned(controller)
    holders = {lbs[0] for lbs, _mycats in map(names, range(clusters))}
    for host in hosts:
        known = state(plan["hosts"][host], host in holders)
        controller.keep(host, __mycat_ha_state=known, __mycat_ha_before=known, __mycat_ha_done=[])


def plan_and_prove(clusters: int, profile: bool = False) -> tuple[float, float, float]:
    """Seconds of CPU that the plan and the proof took, and the peak of memory in megabytes."""
    init_plugin_loader()
    with tempfile.TemporaryDirectory() as folder:
        controller = Controller(Path(folder), clusters)
        prepare(controller, clusters)
        profiler = cProfile.Profile(time.process_time)
        if profile:
            profiler.enable()
        begun = time.process_time()
        plan = planned(controller)
        middle = time.process_time()
        for cluster in range(clusters):
            for host in (host for kind in names(cluster) for host in kind):
                controller.keep(host, __mycat_ha_run=plan["run"])
        report = controller.run(cluster_report)
        end = time.process_time()
        profiler.disable()
        if profile:
            pstats.Stats(profiler).sort_stats("cumulative").print_stats(60)
    if plan["run"]["waves"] or len(report["report"]["clusters"]) != clusters:
        raise SystemExit("the plan changes hosts that have everything, or the proof lacks clusters")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return middle - begun, end - middle, peak


def main() -> int:
    """Print the figures; 1 where one is above its limit."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--profile", action="store_true")
    if parser.parse_args().profile:
        plan_and_prove(25, profile=True)
        return 0
    costs = {}
    failed = False
    print("clusters  hosts   plan    proof   of one   memory")
    for clusters in SIZES:
        with multiprocessing.get_context("spawn").Pool(1, None, (), 1) as alone:
            runs = [alone.apply(plan_and_prove, (clusters,)) for _run in range(3)]
        plan, proof, peak = (min(figures) for figures in zip(*runs))
        costs[clusters] = (plan + proof) / clusters
        print(
            f"{clusters:8} {6 * clusters:6} {plan:6.2f} s {proof:6.2f} s "
            f"{1000 * costs[clusters]:4.0f} ms {peak:5.0f} MB"
        )
        failed |= plan + proof > SECONDS or peak > MEGABYTES
    if costs[SIZES[-1]] > GROWTH * costs[SIZES[0]]:
        print("FAILED: a cluster costs more among many than among few")
        failed = True
    if failed:
        print(f"FAILED: at most {SECONDS:g} s and {MEGABYTES} MB, growing no faster than linear")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
