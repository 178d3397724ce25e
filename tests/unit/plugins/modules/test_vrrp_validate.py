# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module vrrp_validate."""

from __future__ import annotations

import json

import pytest
import yaml
from ansible_collections.mycat.ha.plugins.modules import vrrp_plan, vrrp_validate
from lab.module import patch_module_args

CONF = """
vrrp_script chk_haproxy {{
    script "/bin/check"
    weight 2
    user nobody
}}
vrrp_instance VI_1 {{
    interface eth0
    virtual_router_id 51
    priority {priority}
    authentication {{
        auth_type PASS
        auth_pass {word}
    }}
    track_script {{
        chk_haproxy
    }}
    virtual_ipaddress {{
        192.0.2.100/24
    }}
}}
"""
ADDRESSES = {"lb1": "192.0.2.11", "lb2": "192.0.2.12"}


def configs(first=100, second=90, word="hunter2"):
    return {
        "lb1": CONF.format(priority=first, word="hunter2"),
        "lb2": CONF.format(priority=second, word=word),
    }


def run(capsys, module=vrrp_validate, **options):
    """What the module prints, and its exit code."""
    with patch_module_args(options), pytest.raises(SystemExit) as ended:
        module.main()
    return json.loads(capsys.readouterr().out), ended.value.code


def test_failing_run_prints_the_findings(capsys):
    result, code = run(capsys, configs=configs(), addresses=ADDRESSES)
    assert code == 1
    assert result["failed"] is True
    assert result["ok"] is False
    assert [item["id"] for item in result["findings"]] == [
        "no-failover",
        "weight-below-gap",
        "needless-move",
    ]
    assert result["findings"][0]["trace"][1] == "chk_haproxy fails on lb1"
    assert result["findings"][1]["line"] == 16
    assert "1. keepalived starts on lb1" in result["msg"]
    assert "needless-move" not in result["msg"]
    assert {"failures": [], "holders": {"192.0.2.100": ["lb1"]}} in result["outcomes"]


@pytest.mark.parametrize(
    ("options", "code", "ok"),
    [
        pytest.param({"configs": configs(100, 99)}, 0, True, id="sound"),
        pytest.param({"configs": configs(), "fail_on": "never"}, 0, False, id="error, never"),
        pytest.param({"configs": configs(), "fail_on": "error"}, 1, False, id="error"),
        pytest.param({"configs": configs(), "fail_on": "warning"}, 1, False, id="error, warning"),
        pytest.param({"configs": {"lb1": CONF.format(priority=1, word="a")}}, 0, True, id="alone"),
        pytest.param(
            {"configs": {"lb1": CONF.format(priority=1, word="a")}, "fail_on": "warning"},
            0,
            True,
            id="alone, warning",
        ),
    ],
)
def test_fail_on(capsys, options, code, ok):
    result, exit_code = run(capsys, **options)
    assert (exit_code, result["ok"], result.get("changed")) == (code, ok, False)


def test_output_never_shows_a_password(capsys):
    result, _code = run(capsys, configs=configs(word="swordfish"), addresses=ADDRESSES)
    assert "auth-mismatch" in [item["id"] for item in result["findings"]]
    assert "hunter2" not in json.dumps(result)
    assert "swordfish" not in json.dumps(result)


def secretive(word="swordfish"):
    """A pair whose nodes are given as data, with a password."""
    instance = {
        "name": "VI_1",
        "virtual_router_id": 51,
        "interface": "eth0",
        "version": 2,
        "virtual_ipaddress": ["192.0.2.100/24"],
        "authentication": {"auth_type": "PASS", "auth_pass": word},
    }
    return {"lb1": [dict(instance, priority=100)], "lb2": [dict(instance, priority=90)]}


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({"nodes": secretive()}, id="sound"),
        pytest.param({"nodes": json.dumps(secretive())}, id="as text"),
        pytest.param({"nodes": secretive("swordfish and blanks")}, id="no password"),
        pytest.param({"nodes": {"lb1": [[{"auth_pass": "swordfish"}]]}}, id="no cluster"),
        pytest.param({"nodes": [secretive()]}, id="list"),
        pytest.param({"nodes": secretive(), "fail_on": "bogus"}, id="wrong option"),
        pytest.param({"nodes": secretive(), "configs": {}}, id="exclusive option"),
    ],
)
def test_password_in_nodes_is_neither_printed_nor_logged(capsys, monkeypatch, options):
    logged = []
    monkeypatch.setattr(vrrp_validate.Module, "log", lambda _self, *said, **_: logged.append(said))
    result, _code = run(capsys, **options)
    assert "auth_pass" in json.dumps(result["invocation"])
    assert "swordfish" not in json.dumps(result) + repr(logged)


def planned(capsys, *addresses, **options):
    nodes = [{"name": name, "address": address} for name, address in ADDRESSES.items()]
    vips = [{"address": address, **options} for address in addresses]
    plan, _code = run(capsys, vrrp_plan, nodes=nodes, vips=vips)
    return plan


def test_instances_of_a_plan_are_taken_as_they_are(capsys):
    plan = planned(capsys, "192.0.2.100/24")
    result, code = run(capsys, nodes=plan["instances"], fail_on="warning")
    assert (code, result["ok"], result["findings"]) == (0, True, [])


@pytest.mark.parametrize("options", [{}, {"sync_group": "both"}], ids=["apart", "sync group"])
def test_a_whole_plan_is_taken_as_it_is(capsys, options):
    plan = planned(capsys, "192.0.2.100/24", "192.0.2.101/24", **options)
    whole = {
        name: {"instances": its, "checks": plan["checks"], "sync_groups": plan["sync_groups"]}
        for name, its in plan["instances"].items()
    }
    result, code = run(capsys, nodes=whole, fail_on="warning")
    assert (code, result["ok"], result["findings"]) == (0, True, [])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        pytest.param({}, "one of the following is required: configs, nodes", id="nothing"),
        pytest.param({"configs": {}, "nodes": {}}, "mutually exclusive", id="both"),
        pytest.param({"nodes": {}}, "nodes: is {}", id="no node"),
        pytest.param({"configs": {}}, "configs: is empty", id="no text"),
        pytest.param({"configs": {"lb1": "\0"}}, "configs.lb1: line 1: a NUL byte", id="NUL"),
        pytest.param(
            {"configs": {"lb1": "{" * 10_000}},
            "configs.lb1: line 1: blocks",
            id="braces",
            marks=pytest.mark.thorough,
        ),
        pytest.param({"configs": {"lb1": 5}}, "configs.lb1: is not the text", id="number"),
        pytest.param({"configs": [1]}, "configs", id="list"),
        pytest.param({"configs": {"": ""}}, "configs: is ''; write a name", id="no name"),
        pytest.param({"configs": {"a\0": ""}}, "configs: is 'a\\x00'; write", id="NUL in a name"),
        pytest.param(
            {"configs": {"x" * 10**7: ""}},
            "configs: is 'xxxxx",
            id="endless name",
            marks=pytest.mark.thorough,
        ),
        pytest.param(
            {"configs": {"lb1": "#" * 10**7}}, "configs.lb1: line 1: the text is longer", id="10 MB"
        ),
        pytest.param(
            {"configs": {f"lb{i}": configs()["lb1"] for i in range(1000)}},
            "nodes that share VI_1: 1000 are given; at most 100",
            id="1000 nodes",
            marks=pytest.mark.thorough,
        ),
        pytest.param(
            {"configs": {"lb1": "$A=$B\n$B=$A\n$A"}}, "configs.lb1: line 3: a def", id="recursion"
        ),
        pytest.param(
            {"configs": configs(), "addresses": {"lb9": "192.0.2.9"}},
            "addresses.lb9",
            id="stranger",
        ),
        pytest.param(
            {"configs": configs(), "addresses": {"lb1": "here"}}, "addresses.lb1", id="no address"
        ),
        pytest.param(
            {"configs": configs(), "keepalived_version": "new"}, "keepalived_version", id="version"
        ),
        pytest.param({"configs": configs(), "fail_on": "info"}, "fail_on", id="fail_on"),
        pytest.param(
            {"nodes": {"lb1": [{"name": "V", "priority": "x"}]}}, "nodes.lb1[0].priority", id="type"
        ),
    ],
)
def test_wrong_options_fail_by_name(capsys, options, message):
    result, code = run(capsys, **options)
    assert code == 1
    assert message in result["msg"]
    assert "Traceback" not in json.dumps(result)
    assert "findings" not in result


def test_older_keepalived_is_judged_as_such(capsys):
    fractions = {name: text.replace("weight 2", "interval 0.5") for name, text in configs().items()}
    for version, expected in (("2.2.7", 1), ("2.3.2", 0)):
        _result, code = run(capsys, configs=fractions, keepalived_version=version)
        assert code == expected


def test_documentation_is_that_of_the_options():
    documented = yaml.safe_load(vrrp_validate.DOCUMENTATION)["options"]
    spec = vrrp_validate.argument_spec()
    assert set(documented) == set(spec)
    for name, option in spec.items():
        assert documented[name].get("default") == option.get("default")
        assert documented[name].get("choices") == option.get("choices")


def found(result):
    return {item["id"] for item in result["findings"]}


def test_each_node_can_run_a_version_of_its_own(capsys):
    """Lists of addresses that differ: rejected up to 2.3.2."""
    texts = configs(100, 99)
    texts["lb2"] = texts["lb2"].replace("192.0.2.100/24", "192.0.2.100/24\n192.0.2.101/24")
    new = {"lb1": "2.3.3", "lb2": "2.3.3"}
    for versions, dual in (("2.2.7", True), (new, False), ({**new, "lb1": "2.2.7"}, True)):
        result, _code = run(capsys, configs=texts, keepalived_version=versions, fail_on="never")
        assert ("dual-master" in found(result)) is dual
    result, code = run(capsys, configs=texts, keepalived_version={"lb3": "2.2.7"})
    assert code == 1
    assert "keepalived_version.lb3" in result["msg"]


def test_an_id_selects_the_lines_that_are_meant_for_it(capsys):
    texts = configs("100\n    @main version 3", "90")
    for ids, expected in (({}, False), ({"lb1": "main"}, True)):
        result, _code = run(capsys, configs=texts, config_ids=ids, fail_on="never")
        assert ("version-mismatch" in found(result)) is expected


@pytest.mark.parametrize(
    ("includes", "missing"),
    [
        pytest.param({}, True, id="none"),
        pytest.param({"/etc/keepalived/conf.d/vi.conf": "priority 99"}, False, id="by pattern"),
        pytest.param({"/etc/keepalived/vi.conf": "priority 99"}, True, id="elsewhere"),
        pytest.param(
            {
                "lb1": {"/etc/keepalived/conf.d/vi.conf": "priority 100"},
                "lb2": {"/etc/keepalived/conf.d/vi.conf": "priority 99"},
            },
            False,
            id="by node",
        ),
    ],
)
def test_includes_are_given_by_path(capsys, includes, missing):
    texts = configs()
    for name in texts:
        texts[name] = texts[name].replace("    priority ", "    include conf.d/*.conf\n# ")
    result, _code = run(capsys, configs=texts, includes=includes, fail_on="never")
    assert ("missing-include" in found(result)) is missing


def test_all_addresses_of_a_node_can_be_told(capsys):
    texts = configs(100, 99)
    for number, name in enumerate(texts, start=1):
        peer = f"unicast_src_ip 192.0.2.1{number}\n unicast_peer {{\n 192.0.2.1{3 - number}\n }}\n"
        texts[name] = texts[name].replace("    priority ", f"    {peer}    priority ")
    for told, foreign in (("198.51.100.1", False), (["198.51.100.1"], True)):
        given = {"lb1": told, "lb2": "192.0.2.12"}
        result, _code = run(capsys, configs=texts, addresses=given, fail_on="never")
        assert ("source-foreign" in found(result)) is foreign
