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
    broken,
    collect,
    stopped,
    to_put_back,
    wave_failed,
    write_report,
)
from ansible_collections.mycat.ha.plugins.module_utils.report.judge import judge
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
        "files": {},
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


class Kept:
    """An Inventory that knows only what the run left on its hosts."""

    def __init__(self, run: dict[str, Any] | None, hosts: dict[str, dict[str, Any]]) -> None:
        self.hosts = {**hosts, "here": {"__mycat_ha_run": run}}
        self.task_vars = {"inventory_hostname": "here"}

    def kept(self, host: str, name: str) -> Any:
        return self.hosts.get(host, {}).get(name)

    def state(self, host: str) -> dict[str, Any]:
        return self.kept(host, "__mycat_ha_state") or {}


def test_facts_are_read_from_the_members() -> None:
    run = {
        "expected": EXPECTED,
        "clusters": {"lb1": ["main"], "lb2": ["main"]},
        "started": "1000.5",
    }
    hosts = {
        "lb1": {"__mycat_ha_state": {"files": {}}, "__mycat_ha_failure": "it broke"},
        "lb2": {"__mycat_ha_before": {}, "__haproxy_served": {"action": "reload"}},
        "elsewhere": {"__mycat_ha_state": {"files": {}}},
    }
    facts = collect(Kept(run, hosts))
    assert facts.expected == EXPECTED
    assert facts.states == {"lb1": {"files": {}}, "lb2": None}
    assert facts.before == {"lb2": {}}
    assert facts.done == {"lb1": [], "lb2": ["haproxy reloaded"]}
    assert facts.failures == {"lb1": "it broke"}
    assert facts.started == 1000.5


def test_without_facts_there_is_nothing_to_judge() -> None:
    facts = collect(Kept(None, {}))
    assert (facts.expected, facts.states, facts.done) == ({}, {}, {})
    assert facts.started == pytest.approx(time.time(), abs=60)


def test_a_keepalived_that_did_not_run_before_was_started() -> None:
    written = {"__keepalived_written": {"action": "reload"}}
    running = {"__mycat_ha_before": {"files": {}, "keepalived": {"running": True}}}
    run = {"clusters": {"lb1": ["main"], "lb2": ["main"]}}
    facts = collect(Kept(run, {"lb1": {**written, **running}, "lb2": written}))
    assert facts.done == {"lb1": ["keepalived reloaded"], "lb2": ["keepalived started"]}


def test_what_broke_is_told_for_each_cluster() -> None:
    facts = collect(
        Kept(
            {"clusters": {"a1": ["east"], "b1": ["west"], "b2": ["west"]}},
            {"b1": {"__mycat_ha_failure": "b1: no space left"}},
        )
    )
    worse = [{"cluster": "east", "what": "is in FAULT"}]
    assert broken(facts, worse, ["a1", "b1"]) == {
        "east": ["is in FAULT"],
        "west": ["b1: no space left"],
    }
    assert broken(facts, worse, ["b1"]) == {"west": ["b1: no space left"]}
    assert stopped(facts) == ["west"]
    assert broken(facts, [], ["b2"]) == {}


def test_a_wave_failed_where_each_of_its_clusters_did() -> None:
    clusters = {"a1": ["east"], "b1": ["west"], "b2": ["west"], "both": ["east", "west"]}
    facts = collect(Kept({"clusters": clusters}, {"b1": {"__mycat_ha_failure": "no space"}}))
    assert wave_failed(facts, ["b1", "b2", "both"])
    assert not wave_failed(facts, ["a1", "b1"])
    assert not wave_failed(facts, [])


def test_what_the_network_says_of_a_changed_host_counts() -> None:
    instance = {
        "name": "mycat_1",
        "state": "BACKUP",
        "virtual_router_id": 51,
        "virtual_ipaddress": [f"{VIP}/24"],
        "virtual_ipaddress_excluded": [],
        "held": [],
    }
    running = {"running": True, "instances": [instance]}
    facts = collect(
        Kept(
            {"clusters": {"lb1": ["main"]}, "marks": {"lb1": ["192.0.2.11"]}},
            {
                "lb1": {
                    "__mycat_ha_state": {"files": {}, "keepalived": running},
                    "__mycat_ha_seen": {"holders": {VIP: []}, "masters": []},
                }
            },
        )
    )
    assert broken(facts, [], ["lb1"]) == {"main": [f"nobody has {VIP}"]}


def test_hosts_go_back_the_holder_last() -> None:
    def holding(*held: str) -> dict[str, Any]:
        instances = [{"name": "mycat_1", "held": list(held)}]
        return {"__mycat_ha_state": {"files": {}, "keepalived": {"instances": instances}}}

    hosts = {"a1": holding(VIP), "a2": holding(), "b1": holding(), "a3": holding()}
    clusters = {"a1": ["east"], "a2": ["east"], "a3": ["east"], "b1": ["west"]}
    hosts["a3"]["__mycat_ha_failure"] = "a3: put back with its wave"
    facts = collect(Kept({"clusters": clusters, "changing": ["a1", "a2", "a3", "b1"]}, hosts))
    assert to_put_back(facts, [{"cluster": "east", "what": "x"}]) == ["a2", "a1"]
    assert to_put_back(facts, []) == []


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


def test_a_page_is_written_where_the_name_ends_in_html(tmp_path: Path) -> None:
    report = judge(EXPECTED, {"lb1": state("MASTER", VIP)}, playbook="site", started=0, seconds=1)
    path = tmp_path / "report.html"
    assert write_report(report, str(path), ["lb1: no <space> left"]) == ""
    text = path.read_text(encoding="utf-8")
    assert text.startswith("<!DOCTYPE html>")
    assert "lb1: no &lt;space&gt; left" in text


def test_another_ending_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "report.txt"
    assert write_report({}, str(path)) == (
        f"mycat_ha_report: {path} ends in neither .json nor .html; write such as /tmp/report.html"
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
        more = {"run_once": True, "register": name, "ignore_errors": True}
        return {"name": name, "mycat.ha.cluster_report": options, **more}

    facts = {
        "__mycat_ha_run": {
            "expected": EXPECTED,
            "clusters": {"lb1": ["main"], "lb2": ["main"]},
            "started": time.time() - 60,
        },
        "__mycat_ha_before": "{{ given[inventory_hostname] }}",
        "__mycat_ha_state": "{{ given[inventory_hostname] }}",
        "__haproxy_served": {"action": "{{ 'reload' if inventory_hostname == 'lb1' else 'none' }}"},
    }
    dump = {
        "content": "{{ {'good': good, 'lost': lost, 'ending': ending} | to_json }}",
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
                "ansible.builtin.set_fact": {
                    "__mycat_ha_state": None,
                    "__mycat_ha_failure": "lb1: no space left",
                },
                "when": "inventory_hostname == 'lb1'",
            },
            task("lost", {"wave": ["lb1"]}),
            task("ending", {"report": str(folder / "report.txt")}),
            {"ansible.builtin.copy": dump, "check_mode": False, "run_once": True},
        ],
    }
    playbook = folder / "play.yml"
    playbook.write_text(yaml.safe_dump([play]))
    command = [sys.executable, "-m", "ansible", "playbook", "--inventory", "lb1,lb2,"]
    done = subprocess.run(
        [*command, str(playbook)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert results.exists(), done.stdout + done.stderr
    return {**json.loads(results.read_text()), "path": path}


@pytest.mark.playbook
def test_the_results_of_a_task(run: dict[str, Any]) -> None:
    good = run["good"]
    assert not good.get("failed")
    assert good["ok"]
    assert good["settled"]
    assert good["changed"] is False
    assert good["lines"][0].startswith(f"VIP {VIP} on lb2 since ")
    assert "| changed: haproxy reloaded on lb1 | " in good["lines"][0]
    assert (good["failures"], good["broken"]) == ([], {})
    assert good["report"] == json.loads(run["path"].read_text())
    assert good["report"]["seconds"] >= 60


@pytest.mark.playbook
def test_what_failed_stands_first(run: dict[str, Any]) -> None:
    lost = run["lost"]
    assert not lost.get("failed")
    assert lost["ok"] is False
    assert lost["lines"][0] == "FAILED lb1: no space left"
    assert lost["lines"][1].startswith(f"VIP {VIP} on lb2")
    assert any("lb1: gave Ansible no answer" in line for line in lost["lines"])
    assert "lb1: no space left" in lost["broken"]["main"]


@pytest.mark.playbook
def test_a_wrong_ending_is_refused(run: dict[str, Any]) -> None:
    said = run["ending"]["msg"]
    assert said.startswith("mycat_ha_report: ")
    assert said.endswith(
        "report.txt ends in neither .json nor .html; write such as /tmp/report.html"
    )
