# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
import yaml
from ansible_collections.mycat.ha.plugins.module_utils.vrrp.plan import make_plan
from ansible_collections.mycat.ha.plugins.module_utils.vrrp.request import read_request
from ansible_collections.mycat.ha.plugins.modules import vrrp_plan

PAIR: dict[str, Any] = {
    "nodes": [{"name": "lb1", "address": "192.0.2.11"}, {"name": "lb2", "address": "192.0.2.12"}],
    "vips": [{"address": "192.0.2.100/24"}],
}


def run(options: dict[str, Any]) -> dict[str, Any]:
    """The module as Ansible runs it: options on standard input, the result on standard output."""
    done = subprocess.run(
        [sys.executable, vrrp_plan.__file__],
        input=json.dumps({"ANSIBLE_MODULE_ARGS": options}),
        env={"PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout, done.stderr
    return json.loads(done.stdout)


def test_a_plan_in_check_mode() -> None:
    result = run({**PAIR, "_ansible_check_mode": True})
    expected = make_plan(read_request(PAIR)).as_data()
    assert {key: result[key] for key in expected} == json.loads(json.dumps(expected))
    assert result["changed"] is False


@pytest.mark.parametrize(
    ("options", "message"),
    [
        pytest.param(
            {"nodes": PAIR["nodes"][:1]},
            "vrrp_plan: nodes: only lb1 is given; give at least two, or nothing can take over",
            id="one-node",
        ),
        pytest.param(
            {"mode": "wieght"},
            "value of mode must be one of: fault, weight, kill, got: wieght",
            id="mode",
        ),
    ],
)
def test_a_failure_names_the_option(options: dict[str, Any], message: str) -> None:
    result = run({**PAIR, **options})
    assert result["failed"]
    assert result["msg"] == message


def described(options: dict[str, Any]) -> dict[str, Any]:
    """The argument spec that the documentation describes."""
    spec = {}
    for name, option in options.items():
        kept = {key: value for key, value in option.items() if key not in ("description",)}
        if "suboptions" in kept:
            kept["options"] = described(kept.pop("suboptions"))
        spec[name] = kept
    return spec


def test_the_documentation_describes_the_options() -> None:
    documentation = yaml.safe_load(vrrp_plan.DOCUMENTATION)
    assert described(documentation["options"]) == vrrp_plan.argument_spec()


def test_the_documented_defaults_are_those_of_a_request() -> None:
    spec = vrrp_plan.argument_spec()
    defaults = {name: option["default"] for name, option in spec.items() if "default" in option}
    assert read_request({**PAIR, **defaults}) == read_request(PAIR)


def test_the_sample_is_what_the_module_returns() -> None:
    documented = yaml.safe_load(vrrp_plan.RETURN)
    nodes = [{**node, "interface": "eth0"} for node in PAIR["nodes"]]
    data = make_plan(read_request({**PAIR, "nodes": nodes})).as_data()
    sample = documented["instances"]["sample"]["lb1"][0]
    assert {key: data["instances"]["lb1"][0][key] for key in sample} == sample
    for shown, check in zip(documented["checks"]["sample"], data["checks"]):
        assert {key: check[key] for key in shown} == shown
    assert documented["bounds"]["sample"] == data["bounds"]
    assert set(documented) == set(data)
