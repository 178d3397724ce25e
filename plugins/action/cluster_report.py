# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.mycat.ha.plugins.module_utils.keepalived.holders import (
    problems as holding_problems,
)
from ansible_collections.mycat.ha.plugins.module_utils.report import document
from ansible_collections.mycat.ha.plugins.module_utils.report.cluster import mapping
from ansible_collections.mycat.ha.plugins.module_utils.report.judge import (
    judge,
    new_problems,
    settled,
)
from ansible_collections.mycat.ha.plugins.module_utils.report.page import page
from ansible_collections.mycat.ha.plugins.module_utils.report.table import table
from ansible_collections.mycat.ha.plugins.plugin_utils.inventory import COLLECTION, Inventory

PAGE = COLLECTION / "roles/cluster/templates/report.html.j2"
DONE = {"start": "started", "reload": "reloaded", "restart": "restarted"}
OPTIONS = {
    "playbook": {"type": "str", "default": "site"},
    "changed": {"type": "bool", "default": True},
    "wave": {"type": "list", "elements": "str", "default": []},
    "report": {"type": "path"},
}


@dataclass(frozen=True)
class Facts:
    """What the run left in the hosts' variables, as plain data; each but the last is {host: ...}.

    ``failures`` are sentences of hosts on which a task failed, ``turns`` the hosts that a rolling
    run takes one after another, ``seen`` what mycat.ha.vrrp_probe heard on them.
    """

    expected: dict[str, Any]
    clusters: dict[str, Any]
    marks: dict[str, Any]
    changing: list[str]
    states: dict[str, Any]
    before: dict[str, Any]
    done: dict[str, list[str]]
    failures: dict[str, Any]
    turns: list[Any]
    seen: dict[str, Any]
    started: float


def collect(inventory: Inventory) -> Facts:
    """Read what the run left on all members, without templating anything."""
    here = inventory.task_vars["inventory_hostname"]
    run = mapping(inventory.kept(here, "__mycat_ha_run"))
    hosts = list(mapping(run.get("clusters")))

    def of_each(name: str) -> dict[str, Any]:
        found = {host: inventory.kept(host, name) for host in hosts}
        return {host: value for host, value in found.items() if value is not None}

    expected = dict(mapping(run.get("expected")))
    taken_out = mapping(inventory.kept(here, "__mycat_ha_moves")).get("out") or []
    for cluster in mapping(expected.get("clusters")).values():
        cluster["taken_out"] = taken_out
    return Facts(
        expected=expected,
        clusters=dict(mapping(run.get("clusters"))),
        marks=dict(mapping(run.get("marks"))),
        changing=list(run.get("changing") or ()),
        states={host: inventory.state(host) or None for host in hosts},
        before=of_each("__mycat_ha_before"),
        done={host: done_on(inventory, host) for host in hosts},
        failures=of_each("__mycat_ha_failure"),
        turns=list(mapping(inventory.kept(here, "__mycat_ha_rolling")).get("turns") or ()),
        seen=of_each("__mycat_ha_seen"),
        started=_seconds(run.get("started")),
    )


def done_on(inventory: Inventory, host: str) -> list[str]:
    """What the roles did on a host, as they registered it."""
    endpoint = mapping(inventory.kept(host, "__mycat_status_installed"))
    found = ["mycat_status set up"] if endpoint.get("changed") else []
    if mapping(inventory.kept(host, "__mycat_switched")).get("changed"):
        found.insert(0, "mycat set up")
    haproxy = mapping(inventory.kept(host, "__haproxy_served")).get("action")
    if haproxy in DONE:
        found.append(f"haproxy {DONE[haproxy]}")
    keepalived = mapping(inventory.kept(host, "__keepalived_written")).get("action")
    if keepalived in DONE:
        before = mapping(mapping(inventory.kept(host, "__mycat_ha_before")).get("keepalived"))
        found.append(f"keepalived {DONE[keepalived] if before.get('running') else 'started'}")
    for name in ("__mycat_ha_moved", "__mycat_ha_returned"):
        found += mapping(inventory.kept(host, name)).get("done") or ()
    found += mapping(inventory.kept(host, "__mycat_ha_updated")).get("done") or ()
    found += (
        ["rebooted"] if mapping(inventory.kept(host, "__mycat_ha_rebooted")).get("rebooted") else []
    )
    steps = mapping(inventory.kept(host, "__mycat_ha_steps"))
    found += mapping(steps.get("restarted")).get("done") or ()
    return found


def broken(facts: Facts, worse: list[dict[str, Any]], wave: list[str]) -> dict[str, list[str]]:
    """What the change of these hosts broke, {cluster: sentences}: what is worse than before in
    their clusters, what failed on them, and what the network says of their addresses."""
    clusters = {name for host in wave for name in facts.clusters.get(host, ())}
    found = [
        (problem["cluster"], problem["what"]) for problem in worse if problem["cluster"] in clusters
    ]
    for host in wave:
        said = [facts.failures[host]] if host in facts.failures else []
        running = mapping(mapping(facts.states.get(host)).get("keepalived"))
        former = mapping(mapping(facts.before.get(host)).get("keepalived"))
        heard = mapping(facts.seen.get(host))
        if running and "holders" in heard:
            said += holding_problems(
                host, running, heard, facts.marks, former.get("instances") or ()
            )
        found += [(name, text) for name in facts.clusters.get(host, ()) for text in said]
    sentences: dict[str, list[str]] = {}
    for name, text in dict.fromkeys(found):
        sentences.setdefault(name, []).append(text)
    return sentences


def stopped(facts: Facts) -> list[str]:
    """The clusters in which something failed; their other hosts are left as they are."""
    return sorted({name for host in facts.failures for name in facts.clusters.get(host, ())})


def wave_failed(facts: Facts, wave: list[str]) -> bool:
    """Whether something failed in every cluster of these hosts, so that none is to be awaited."""
    failed = set(stopped(facts))
    return bool(wave) and all(failed & set(facts.clusters.get(host, ())) for host in wave)


def to_put_back(facts: Facts, worse: list[dict[str, Any]]) -> list[str]:
    """The hosts that this run changed in clusters that are worse now, those that hold a virtual
    address last. A host on which something failed was put back with its wave."""
    clusters = {problem["cluster"] for problem in worse}
    hosts = [
        host
        for host in facts.changing
        if host not in facts.failures and clusters & set(facts.clusters.get(host, ()))
    ]
    return sorted(hosts, key=lambda host: _held(facts.states.get(host)))


def _held(state: Any) -> int:
    instances = mapping(mapping(state).get("keepalived")).get("instances") or ()
    return sum(len(mapping(one).get("held") or ()) for one in instances)


def _seconds(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return time.time()


def write_report(
    report: Mapping[str, Any],
    path: str,
    failures: Sequence[str] = (),
    every: float | None = None,
) -> str:
    """Write ``report`` as the ending of ``path`` says; return why not, "" on success.

    ``every`` are the seconds after which it is written anew.
    """
    wrong = document.refusal(path)
    if wrong:
        return wrong
    if path.endswith(document.HTML):
        text = page(report, PAGE.read_text("utf-8"), failures=failures, every=every)
        return document.write(path, text)
    return document.write(path, json.dumps(report, indent=2, ensure_ascii=False) + "\n")


class ActionModule(ActionBase):
    """Judge the hosts and report; see the module of the same name for its documentation."""

    _requires_connection = False

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        _valid, options = self.validate_argument_spec(OPTIONS)
        facts = collect(Inventory(self._task, self._loader, task_vars or {}))
        run = {
            "playbook": options["playbook"],
            "started": facts.started,
            "seconds": max(0.0, time.time() - facts.started),
        }
        check_mode = bool(self._task.check_mode)
        planned = [host for turn in facts.turns for host in turn] or facts.changing
        done = {host: ["change"] for host in planned} if check_mode else facts.done
        former = judge(facts.expected, facts.before, **run)
        report = judge(
            facts.expected,
            facts.states,
            before=facts.before,
            changed=done if options["changed"] else None,
            check_mode=check_mode,
            **run,
        )
        worse = new_problems(former, report)
        failures = list(facts.failures.values())
        if options["report"]:
            refusal = write_report(report, options["report"], failures)
            if refusal:
                return {**result, "failed": True, "msg": refusal}
        return {
            **result,
            "changed": False,
            "ok": report["ok"] and not failures,
            "failures": failures,
            "settled": settled(facts.states, facts.expected),
            "lines": [*(f"FAILED {text}" for text in failures), *table(report)],
            "report": report,
            "broken": broken(facts, worse, options["wave"]),
            "wave_failed": wave_failed(facts, options["wave"]),
            "stopped": stopped(facts),
            "to_put_back": to_put_back(facts, worse),
        }
