# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.mycat.ha.plugins.action.cluster_report import (
    OPTIONS,
    collect,
    write_report,
)
from ansible_collections.mycat.ha.plugins.modules import cluster_report

VIP = "192.0.2.100"
EXPECTED = {
    "clusters": {
        "main": {
            "vips": {VIP: {"instance": "mycat_1", "port": 8066}},
            "load_balancers": ["lb1", "lb2"],
            "mycats": [],
            "allow_degraded": False,
            "notes": [],
        }
    }
}


def state(name: str, *addresses: str) -> dict[str, Any]:
    return {
        "addresses": list(addresses),
        "asked": {f"{VIP}:8066": "ok"},
        "haproxy": {"alive": True, "servers": []},
        "keepalived": {
            "running": True,
            "instances": [
                {"name": "mycat_1", "state": name, "since": "2026-11-26T00:13:00Z"},
            ],
        },
        "problems": ["a clock is wrong"],
    }


# ---- what is read ----


class HostVars:
    """Only what the plugin may use: templating would be wrong."""

    def __init__(self, hosts: dict[str, dict[str, Any]]) -> None:
        self.hosts = hosts

    def raw_get(self, host: str) -> Any:
        return self.hosts.get(host)


def test_facts_are_read_from_the_hosts_of_the_play_and_of_the_plan() -> None:
    hosts = {
        "lb1": {"__mycat_ha_state": {1: ("a",)}, "__mycat_ha_started": "1000.5"},
        "lb2": {"__mycat_ha_before": {}, "__mycat_ha_done": ["x"], "__mycat_ha_started": 1001},
        "former": {"__mycat_ha_state": None},
        "elsewhere": {"__mycat_ha_state": {}},
    }
    facts = collect(
        {
            "__mycat_ha_expected": EXPECTED,
            "ansible_play_hosts_all": ["former", "lb1"],
            "hostvars": HostVars(hosts),
        }
    )
    assert facts.expected == EXPECTED
    assert facts.states == {"former": None, "lb1": {"1": ["a"]}}
    assert facts.before == {"lb2": {}}
    assert facts.done == {"lb2": ["x"]}
    assert facts.started == 1000.5


def test_without_facts_there_is_nothing_to_judge() -> None:
    facts = collect({"hostvars": HostVars({})})
    assert (facts.expected, facts.states, facts.done) == ({}, {}, None)
    assert facts.started == pytest.approx(time.time(), abs=60)


# ---- the file ----


def test_the_report_is_written_whole_and_readable(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_text("old")
    path.chmod(0o600)
    assert write_report({"schema": 1, "what": "é"}, str(path)) == ""
    assert json.loads(path.read_text(encoding="utf-8")) == {"schema": 1, "what": "é"}
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "report.json"
    folder.mkdir()
    assert write_report({}, str(folder)).startswith(f"mycat_ha_report: {folder} cannot be written")
    assert list(tmp_path.iterdir()) == [folder]
    missing = tmp_path / "none" / "report.json"
    assert write_report({}, str(missing)) == (
        f"mycat_ha_report: {missing} cannot be written: No such file or directory"
    )


def test_another_ending_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "report.txt"
    assert write_report({}, str(path)) == (
        f"mycat_ha_report: {path} does not end in .json; write such as /tmp/report.json"
    )
    assert not path.exists()


# ---- as a task ----


def test_the_documentation_has_the_options() -> None:
    documented = yaml.safe_load(cluster_report.DOCUMENTATION)["options"]
    assert {
        name: {key: value for key, value in option.items() if key != "description"}
        for name, option in documented.items()
    } == OPTIONS


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the tasks of a play in check mode registered: {name: result}, and "path"."""
    folder = tmp_path_factory.mktemp("run")
    path, results = folder / "report.json", folder / "results.json"

    def task(name: str, options: dict[str, Any]) -> dict[str, Any]:
        options = {"playbook": "site", **options}
        more = {"run_once": True, "register": name, "ignore_errors": True}
        return {"name": name, "mycat.ha.cluster_report": options, **more}

    facts = {
        "__mycat_ha_expected": EXPECTED,
        "__mycat_ha_started": time.time() - 60,
        "__mycat_ha_before": "{{ given[inventory_hostname] }}",
        "__mycat_ha_state": "{{ given[inventory_hostname] }}",
        "__mycat_ha_done": "{{ ['haproxy reloaded'] if inventory_hostname == 'lb1' else [] }}",
    }
    dump = {
        "content": "{{ {'good': good, 'failed': failed, 'ending': ending} | to_json }}",
        "dest": str(results),
    }
    play = {
        "hosts": "all",
        "gather_facts": False,
        "vars": {
            "ansible_connection": "local",
            "ansible_python_interpreter": sys.executable,
            "given": {"lb1": state("BACKUP"), "lb2": state("MASTER", VIP)},
        },
        "tasks": [
            {"ansible.builtin.set_fact": facts},
            task("good", {"report": str(path)}),
            {
                "ansible.builtin.set_fact": {"__mycat_ha_state": None},
                "when": "inventory_hostname == 'lb1'",
            },
            task("failed", {"fail": True}),
            task("ending", {"report": str(folder / "report.txt")}),
            {"ansible.builtin.copy": dump, "check_mode": False, "run_once": True},
        ],
    }
    playbook = folder / "play.yml"
    playbook.write_text(yaml.safe_dump([play]))
    command = [sys.executable, "-m", "ansible", "playbook", "--check", "--inventory", "lb1,lb2,"]
    done = subprocess.run(
        [*command, str(playbook)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert results.exists(), done.stdout + done.stderr
    return {**json.loads(results.read_text()), "path": path}


def test_the_results_of_a_task(run: dict[str, Any]) -> None:
    good = run["good"]
    assert not good.get("failed")
    assert good["ok"]
    assert good["settled"]
    assert good["changed"] is False
    assert good["lines"][0].startswith(f"VIP {VIP} on lb2 since ")
    assert "| changed: haproxy reloaded on lb1 | 6" in good["lines"][0]
    assert [one["kind"] for one in good["problems"]] == ["warning-from-host"] * 2
    assert {one["cluster"] for one in good["problems"]} == {"main"}
    assert good["new_problems"] == []
    assert good["report"] == json.loads(run["path"].read_text())
    assert 60 <= good["report"]["seconds"] < 120


def test_a_failure_is_its_message_and_nothing_else(run: dict[str, Any]) -> None:
    failed = run["failed"]
    assert failed["failed"]
    assert failed["ok"] is False
    assert failed["msg"].splitlines()[0].startswith(f"VIP {VIP} on lb2")
    assert "DEGRADED lb1: gave Ansible no answer" in failed["msg"]
    assert not {"report", "lines", "problems", "new_problems"} & set(failed)


def test_a_wrong_ending_fails_with_the_proof_below(run: dict[str, Any]) -> None:
    first, second, *_rest = run["ending"]["msg"].splitlines()
    assert first.startswith("mycat_ha_report: ")
    assert first.endswith("report.txt does not end in .json; write such as /tmp/report.json")
    assert second.startswith(f"VIP {VIP} on lb2")
