# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.mycat.ha.plugins.module_utils.report.cluster import mapping, texts
from ansible_collections.mycat.ha.plugins.module_utils.report.judge import (
    judge,
    new_problems,
    settled,
)
from ansible_collections.mycat.ha.plugins.module_utils.report.table import table

OPTIONS = {
    "playbook": {"type": "str", "required": True},
    "report": {"type": "path"},
    "fail": {"type": "bool", "default": False},
}


@dataclass(frozen=True)
class Facts:
    """What the run left in the hosts' variables, as plain data."""

    expected: dict[str, Any]
    states: dict[str, Any]
    before: dict[str, Any]
    done: dict[str, Any] | None
    started: float


def collect(task_vars: Mapping[str, Any]) -> Facts:
    """Read the facts of all hosts of the play and of the plan, without templating anything.

    ``done`` is None where no host has any: then the playbook is one that changes nothing.
    """
    expected = _plain(task_vars.get("__mycat_ha_expected")) or {}
    hosts = dict.fromkeys((*texts(task_vars.get("ansible_play_hosts_all")), *_members(expected)))
    facts = {host: mapping(task_vars["hostvars"].raw_get(host)) for host in hosts}

    def of_each(name: str) -> dict[str, Any]:
        return {host: _plain(known[name]) for host, known in facts.items() if name in known}

    return Facts(
        expected,
        of_each("__mycat_ha_state"),
        of_each("__mycat_ha_before"),
        of_each("__mycat_ha_done") or None,
        min((_seconds(one) for one in of_each("__mycat_ha_started").values()), default=time.time()),
    )


def _members(expected: Any) -> list[str]:
    clusters = [mapping(one) for one in mapping(mapping(expected).get("clusters")).values()]
    return [
        host
        for cluster in clusters
        for group in ("load_balancers", "mycats")
        for host in texts(cluster.get(group))
    ]


def _plain(value: Any) -> Any:
    """``value`` in builtin types: from core 2.19 on variables are subclasses that carry tags."""
    return json.loads(json.dumps(value, default=str, skipkeys=True))


def _seconds(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return time.time()


def write_report(report: Mapping[str, Any], path: str) -> str:
    """Write ``report`` as JSON, whole or not at all; return why not, "" on success."""
    if not path.endswith(".json"):
        return f"mycat_ha_report: {path} does not end in .json; write such as /tmp/report.json"
    try:
        folder = os.path.dirname(os.path.abspath(path))
        with tempfile.NamedTemporaryFile("w", dir=folder, encoding="utf-8", delete=False) as file:
            try:
                json.dump(report, file, indent=2, ensure_ascii=False)
                file.write("\n")
                os.fchmod(file.fileno(), 0o644)
                file.flush()
                os.replace(file.name, path)
            except BaseException:
                os.unlink(file.name)
                raise
    except OSError as error:
        return f"mycat_ha_report: {path} cannot be written: {error.strerror}"
    return ""


class ActionModule(ActionBase):
    """Judge the hosts and report; see the module of the same name for its documentation."""

    _requires_connection = False

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        _valid, options = self.validate_argument_spec(OPTIONS)
        facts = collect(task_vars or {})
        run = {
            "playbook": options["playbook"],
            "started": facts.started,
            "seconds": max(0.0, time.time() - facts.started),
        }
        former = judge(facts.expected, facts.before, **run)
        report = judge(facts.expected, facts.states, before=facts.before, changed=facts.done, **run)
        lines = table(report)
        result.update(changed=False, ok=report["ok"], settled=settled(facts.states, facts.expected))
        refusal = write_report(report, options["report"]) if options["report"] else ""
        if refusal or (options["fail"] and not report["ok"]):
            # Without the rest, which Ansible would print below the message.
            result.update(failed=True, msg="\n".join([refusal, *lines] if refusal else lines))
            return result
        result.update(
            report=report,
            lines=lines,
            problems=[
                {**problem, "cluster": name}
                for name, cluster in report["clusters"].items()
                for problem in cluster["problems"]
            ],
            new_problems=new_problems(former, report),
        )
        return result
