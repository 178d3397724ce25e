# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Clusters as plain data."""

from __future__ import annotations

import json

import pytest
from ansible_collections.mycat.ha.plugins.module_utils.keepalived.dialect import SINCE
from ansible_collections.mycat.ha.plugins.module_utils.keepalived.instances import InstanceReader
from ansible_collections.mycat.ha.plugins.module_utils.keepalived.keywords import KEYWORDS
from ansible_collections.mycat.ha.plugins.module_utils.readers import SettingError
from ansible_collections.mycat.ha.plugins.module_utils.vrrp import structured
from ansible_collections.mycat.ha.plugins.module_utils.vrrp.model import (
    Authentication,
    Check,
    CheckKind,
    Cluster,
    Hmac,
    Instance,
    Node,
    State,
    SyncGroup,
    Track,
)
from ansible_collections.mycat.ha.plugins.module_utils.vrrp.structured import (
    node_data,
    read_cluster,
)

FULL = Node(
    "lb1",
    "192.0.2.11",
    (
        Instance(
            "VI_1",
            51,
            "eth0",
            State.MASTER,
            200,
            2,
            2.0,
            True,
            1.5,
            False,
            True,
            (
                Track("chk", CheckKind.SCRIPT, -20, True),
                Track("file", CheckKind.FILE, 0),
                Track("proc", CheckKind.PROCESS, 3),
                Track("eth1", CheckKind.INTERFACE, -5),
            ),
            ("192.0.2.100/24 dev eth0",),
            ("2001:db8::1/64",),
            "192.0.2.11",
            ("192.0.2.12",),
            Authentication("PASS", "1111"),
            4,
            "224.0.0.50",
            Hmac(((1, "k" * 32), (2, "file:/run/key")), 1, "permissive", "monotonic", 5),
            True,
            64,
        ),
        Instance("VI_2", 52),
    ),
    (
        Check("chk", CheckKind.SCRIPT, 0.5, 3.0, 2, 4, True, "/bin/check -a 'b'", "nobody"),
        Check("file", CheckKind.FILE, command="/run/down"),
        Check("proc", CheckKind.PROCESS),
    ),
    (SyncGroup("G", ("VI_1", "VI_2"), True, (Track("chk", CheckKind.SCRIPT),)),),
    True,
    "keepalived_script",
    (2, 4, 0),
)


def test_data_and_back_is_the_identity():
    data = json.loads(json.dumps({"lb1": node_data(FULL)}))
    assert read_cluster(data, keepalived_version=(2, 4, 0)) == (Cluster((FULL,)), ())


def test_list_of_instances_is_a_node():
    """As a plan returns it: the checks are those that are tracked, the address is the source."""
    cluster, findings = read_cluster(
        {
            "lb1": [
                {
                    "name": "V",
                    "virtual_router_id": 1,
                    "unicast_src_ip": "192.0.2.1",
                    "track_script": ["a", {"name": "b", "weight": -3}],
                    "track_file": ["f"],
                    "track_interface": ["eth1"],
                    "interface": "",
                    "accept": None,
                }
            ]
        }
    )
    (node,) = cluster.nodes
    assert findings == ()
    assert node.address == "192.0.2.1"
    assert node.checks == (Check("a"), Check("b"), Check("f", CheckKind.FILE))
    assert node.instances[0].tracks == (
        Track("a"),
        Track("b", weight=-3),
        Track("f", CheckKind.FILE, 1),
        Track("eth1", CheckKind.INTERFACE),
    )


@pytest.mark.parametrize(
    ("peers", "source", "expected"),
    [
        pytest.param([], None, None, id="nothing of unicast"),
        pytest.param([], "192.0.2.1", (), id="unicast without peers"),
        pytest.param(["192.0.2.2"], None, ("192.0.2.2",), id="peers"),
        pytest.param(None, None, None, id="multicast"),
    ],
)
def test_unicast(peers, source, expected):
    instance = {"name": "V", "unicast_peer": peers, "unicast_src_ip": source}
    cluster, _findings = read_cluster({"lb1": [instance]})
    assert cluster.nodes[0].instances[0].unicast_peer == expected


def test_address_where_the_data_says_none():
    nodes = {"lb1": [], "lb2": {"address": "192.0.2.2", "instances": []}}
    cluster, _findings = read_cluster(nodes, {"lb1": "192.0.2.1", "lb2": "192.0.2.9"})
    assert [node.address for node in cluster.nodes] == ["192.0.2.1", "192.0.2.2"]


def test_checks_that_are_given_are_all():
    node = {"instances": [{"name": "V", "track_script": ["a"]}], "checks": []}
    assert read_cluster({"lb1": node})[0].nodes[0].checks == ()


@pytest.mark.parametrize(
    ("state", "priority", "expected", "found"),
    [
        ("MASTER", None, 255, ["master-without-priority"]),
        ("MASTER", 150, 150, []),
        ("BACKUP", None, 100, []),
    ],
)
def test_priority_that_is_not_given(state, priority, expected, found):
    nodes = {"lb1": [{"name": "V", "state": state, "priority": priority}]}
    cluster, findings = read_cluster(nodes)
    assert cluster.nodes[0].instances[0].priority == expected
    assert [item.id for item in findings] == found


# Other words for what a dictionary says with a number or a flag.
SAID_OTHERWISE = {"native_ipv6", "preempt", "no_accept", "use_vmac"}
# The weight of a check's definition is what its entries have that say none; here each says its own.
OF_ENTRIES = {"weight"}


def test_data_knows_what_the_text_knows():
    handled = {name[3:] for name in dir(InstanceReader) if name.startswith("on_")}
    assert handled - SAID_OTHERWISE == set(structured._INSTANCE) - {"name"}
    assert {kind.value for kind in CheckKind} == set(structured._KINDS)
    script = {"command" if name == "script" else name for name in KEYWORDS["vrrp_script"]}
    named = {"name", "kind", *structured.PROMISES}
    assert script - OF_ENTRIES == set(structured._CHECK) - named
    assert {row.field for row in KEYWORDS["global_defs"].values() if row.field} <= {
        *structured._NODE,
        *structured._INSTANCE,
        "strict",
    }


def test_what_is_too_new_is_as_new_as_in_a_text():
    assert (
        structured._SINCE.items()
        <= {
            name: since for (block, name), since in SINCE.items() if block == "vrrp_instance"
        }.items()
    )


@pytest.mark.parametrize(
    ("keyword", "value", "since"),
    [
        ("mcast_dst_ip", "224.0.0.50", (2, 2, 5)),
        ("auth_hmac", {"keys": [{"id": 1, "key": "k" * 32}], "active_key": 1}, (2, 4, 0)),
    ],
)
def test_an_older_daemon_does_not_read_it(keyword, value, since):
    nodes = {"lb1": [{"name": "V", keyword: value}]}
    cluster, findings = read_cluster(nodes, keepalived_version=since)
    assert cluster.nodes[0].instances != (Instance("V", 0),)
    assert not findings
    older, findings = read_cluster(nodes, keepalived_version=(*since[:2], since[2] - 1))
    assert older.nodes[0].instances == (Instance("V", 0),)
    assert [item.id for item in findings] == ["unknown-keyword"]


def test_standard_group_is_as_none():
    cluster, _findings = read_cluster({"lb1": [{"name": "V", "mcast_dst_ip": "224.0.0.18"}]})
    assert cluster.nodes[0].instances == (Instance("V", 0),)


def test_list_of_addresses_is_all_that_a_node_has():
    cluster, _findings = read_cluster({"lb1": []}, {"lb1": ("192.0.2.1", "198.51.100.1")})
    assert cluster.nodes[0].address == "192.0.2.1"
    assert cluster.nodes[0].addresses == ("192.0.2.1", "198.51.100.1")


@pytest.mark.parametrize("priority", [0, 256])
def test_what_keepalived_replaces_is_for_the_rules(priority):
    cluster, _findings = read_cluster({"lb1": [{"name": "V", "priority": priority}]})
    assert cluster.nodes[0].instances[0].priority == priority


def instance(**values):
    return {"lb1": [{"name": "V", **values}]}


def node(**values):
    return {"lb1": {"instances": [], **values}}


@pytest.mark.parametrize(
    ("nodes", "where", "problem"),
    [
        pytest.param(None, "nodes", "dictionary", id="nothing"),
        pytest.param({}, "nodes", "dictionary", id="no node"),
        pytest.param(
            instance(mcast_dst_ip="192.0.2.9"), "nodes.lb1[0].mcast_dst_ip", "multicast", id="group"
        ),
        pytest.param(
            instance(auth_hmac={"keys": ["x"]}), "nodes.lb1[0].auth_hmac.keys[0]", "id", id="key"
        ),
        pytest.param(
            instance(auth_hmac={"keys": [{"id": 1, "key": "a b"}]}),
            "nodes.lb1[0].auth_hmac.keys[0].key",
            "not a word",
            id="key of two words",
        ),
        pytest.param(
            instance(auth_hmac={"mode": "x"}), "nodes.lb1[0].auth_hmac.mode", "enforce", id="mode"
        ),
        pytest.param([], "nodes", "dictionary", id="a list"),
        pytest.param({"a b": []}, "nodes", "without blanks", id="name of a node"),
        pytest.param({5: []}, "nodes", "a name", id="number as a name"),
        pytest.param({"lb1": "x"}, "nodes.lb1", "dictionary", id="text as a node"),
        pytest.param(node(adress="x"), "nodes.lb1.adress", "not known", id="unknown option"),
        pytest.param(node(address="x"), "nodes.lb1.address", "an address", id="no address"),
        pytest.param(node(instances="x"), "nodes.lb1.instances", "a list", id="text as instances"),
        pytest.param(node(script_security=1), "nodes.lb1.script_security", "true", id="no flag"),
        pytest.param({"lb1": ["x"]}, "nodes.lb1[0]", "dictionary", id="text as an instance"),
        pytest.param({"lb1": [{}]}, "nodes.lb1[0].name", "missing", id="no name"),
        pytest.param({"lb1": [{"name": ""}]}, "nodes.lb1[0].name", "missing", id="empty name"),
        pytest.param({"lb1": [{"name": None}]}, "nodes.lb1[0].name", "missing", id="null name"),
        pytest.param({"lb1": [{}] * 1001}, "nodes.lb1", "at most 1000", id="instances"),
        pytest.param(
            {"lb1": [{"name": "V"}, {"name": "V"}]},
            "nodes.lb1[1].name",
            "is given to",
            id="name twice",
        ),
        *(
            pytest.param({"lb1": [{"name": name}]}, "nodes.lb1[0].name", "a name", id=repr(name))
            for name in ("a b", "a\n", "a{", "a}", 'a"', "a'", "a#", "$a", "a" * 256, 5, ["a"])
        ),
        pytest.param(
            instance(priority="100"), "nodes.lb1[0].priority", "whole", id="text priority"
        ),
        pytest.param(instance(priority=-1), "nodes.lb1[0].priority", "whole", id="negative"),
        pytest.param(
            instance(priority=True), "nodes.lb1[0].priority", "whole", id="true as number"
        ),
        pytest.param(instance(priority=1.5), "nodes.lb1[0].priority", "whole", id="fraction"),
        pytest.param(instance(priority=10**9), "nodes.lb1[0].priority", "whole", id="huge"),
        pytest.param(
            instance(advert_int=-1), "nodes.lb1[0].advert_int", "seconds", id="before now"
        ),
        pytest.param(
            instance(advert_int="1"), "nodes.lb1[0].advert_int", "seconds", id="text time"
        ),
        pytest.param(
            instance(advert_int=float("nan")), "nodes.lb1[0].advert_int", "seconds", id="nan"
        ),
        pytest.param(
            instance(advert_int=float("inf")), "nodes.lb1[0].advert_int", "seconds", id="inf"
        ),
        pytest.param(instance(nopreempt="yes"), "nodes.lb1[0].nopreempt", "true", id="text flag"),
        pytest.param(instance(state="master"), "nodes.lb1[0].state", "MASTER", id="state"),
        pytest.param(instance(version=4), "nodes.lb1[0].version", "2 to 3", id="version"),
        pytest.param(
            instance(virtual_ipaddress="192.0.2.1"),
            "nodes.lb1[0].virtual_ipaddress",
            "a list",
            id="address without a list",
        ),
        pytest.param(
            instance(virtual_ipaddress=["banana"]),
            "nodes.lb1[0].virtual_ipaddress[0]",
            "an address",
            id="no virtual address",
        ),
        pytest.param(
            instance(virtual_ipaddress=["192.0.2.1 }"]),
            "nodes.lb1[0].virtual_ipaddress[0]",
            "braces",
            id="brace after an address",
        ),
        pytest.param(
            instance(unicast_peer=["192.0.2.1/24"]),
            "nodes.lb1[0].unicast_peer[0]",
            "without a prefix",
            id="peer with a prefix",
        ),
        pytest.param(
            instance(track_script=[{"name": "a", "wait": 1}]),
            "nodes.lb1[0].track_script[0].wait",
            "not known",
            id="track option",
        ),
        pytest.param(
            instance(track_script=[{"name": "a", "weight": "2"}]),
            "nodes.lb1[0].track_script[0].weight",
            "whole",
            id="text weight",
        ),
        pytest.param(
            instance(track_script=[{"weight": 2}]),
            "nodes.lb1[0].track_script[0].name",
            "a name",
            id="track without a name",
        ),
        pytest.param(
            node(checks=[{"name": "a", "interval": 0}]),
            "nodes.lb1.checks[0].interval",
            "above 0",
            id="interval 0",
        ),
        pytest.param(
            node(checks=[{"name": "a", "rise": 0}]),
            "nodes.lb1.checks[0].rise",
            "from 1",
            id="rise 0",
        ),
        pytest.param(
            node(checks=[{"name": "a", "kind": "script"}]),
            "nodes.lb1.checks[0].kind",
            "track_script",
            id="kind",
        ),
        pytest.param(
            node(checks=[{"name": "a", "command": 'x "y"'}]),
            "nodes.lb1.checks[0].command",
            "double quotes",
            id="quotes in a command",
        ),
        pytest.param(
            node(checks=[{"name": "a"}, {"name": "a"}]),
            "nodes.lb1.checks[1].name",
            "is given to",
            id="check twice",
        ),
        pytest.param(
            node(sync_groups=[{"name": "G"}, {"name": "G"}]),
            "nodes.lb1.sync_groups[1].name",
            "is given to",
            id="group twice",
        ),
        pytest.param(
            instance(authentication={"auth_type": "none"}),
            "nodes.lb1[0].authentication.auth_type",
            "PASS",
            id="auth_type",
        ),
        pytest.param(
            instance(authentication={"auth_type": "PASS", "auth_pass": "hunter2 }"}),
            "nodes.lb1[0].authentication.auth_pass",
            "not a word",
            id="password",
        ),
    ],
)
def test_what_is_no_cluster(nodes, where, problem):
    with pytest.raises(SettingError, match=problem) as caught:
        read_cluster(nodes)
    assert caught.value.option == where
    assert "hunter2" not in str(caught.value)
    assert len(str(caught.value)) < 400
