# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a keepalived.conf means."""

from __future__ import annotations

import pytest
from ansible_collections.mycat.ha.plugins.module_utils.keepalived.lines import ConfError
from ansible_collections.mycat.ha.plugins.module_utils.keepalived.reader import (
    parse,
    parse_cluster,
)
from ansible_collections.mycat.ha.plugins.module_utils.readers import SettingError
from ansible_collections.mycat.ha.plugins.module_utils.vrrp.model import (
    Authentication,
    Check,
    CheckKind,
    Instance,
    Node,
    State,
    SyncGroup,
    Track,
)
from hypothesis import example, given, settings
from hypothesis import strategies as st


def ids(parsed):
    return [found.id for found in parsed.findings]


INSTANCE = """
vrrp_script chk {
    script "/usr/bin/chk -a 'b c'"
    interval 3
    timeout 2
    rise 4
    fall 5
    weight -20
    user nobody
    init_fail
}
track_file down {
    file /run/down
}
vrrp_track_process haproxy {
    process haproxy -f x
    weight 7 reverse
}
global_defs {
    vrrp_version 3
    enable_script_security
    script_user keepalived_script
    vrrp_down_timer_adverts 4
    router_id x
}
vrrp_sync_group G {
    group {
        VI_1
        VI_2
    }
    track_interface {
        eth1
    }
    sync_group_tracking_weight
}
vrrp_instance VI_1 {
    state BACKUP
    interface eth0
    virtual_router_id 51
    priority 200
    advert_int 0.25
    nopreempt
    preempt_delay 1.5
    no_accept
    unicast_src_ip 192.0.2.11
    unicast_peer {
        192.0.2.12 min_ttl 255
        192.0.2.13
    }
    authentication {
        auth_type PASS
        auth_pass 1111
    }
    track_script {
        chk
    }
    track_file {
        down
    }
    track_process {
        haproxy
        haproxy2 weight 3 reverse
    }
    track_interface {
        eth1 weight -5
    }
    virtual_ipaddress {
        192.0.2.100/24 dev eth0 label eth0:1
    }
    virtual_ipaddress_excluded {
        2001:db8::1/64
    }
    notify "/bin/x"
}
"""


def test_everything_an_instance_can_say():
    parsed = parse(INSTANCE, "lb1", keepalived_version=(2, 3, 4))
    assert not parsed.findings
    assert parsed.node == Node(
        "lb1",
        "192.0.2.11",
        (
            Instance(
                "VI_1",
                51,
                "eth0",
                State.BACKUP,
                200,
                3,
                0.25,
                True,
                1.5,
                False,
                False,
                (
                    Track("chk", CheckKind.SCRIPT, -20),
                    Track("down", CheckKind.FILE, 1),
                    Track("haproxy", CheckKind.PROCESS, 7, True),
                    Track("haproxy2", CheckKind.PROCESS, 3, True),
                    Track("eth1", CheckKind.INTERFACE, -5),
                ),
                ("192.0.2.100/24 dev eth0 label eth0:1",),
                ("2001:db8::1/64",),
                "192.0.2.11",
                ("192.0.2.12 min_ttl 255", "192.0.2.13"),
                Authentication("PASS", "1111"),
                4,
                check_unicast_src=True,
            ),
        ),
        (
            Check("chk", CheckKind.SCRIPT, 3.0, 2.0, 4, 5, True, "/usr/bin/chk -a 'b c'", "nobody"),
            Check("down", CheckKind.FILE, command="/run/down"),
            Check("haproxy", CheckKind.PROCESS, command="haproxy -f x"),
        ),
        (SyncGroup("G", ("VI_1", "VI_2"), True, (Track("eth1", CheckKind.INTERFACE),)),),
        True,
        "keepalived_script",
        (2, 3, 4),
    )
    assert parsed.lines[("VI_1", "priority")] == 40
    assert parsed.lines[("VI_1", "track_script chk")] == 55


def instance(body, before=""):
    """A node with one instance of this body, and what was found."""
    text = f"{before}\nvrrp_instance V {{\nvirtual_router_id 9\n{body}\n}}\n"
    parsed = parse(text, "lb1")
    return parsed.node.instances[0], parsed


@pytest.mark.parametrize(
    ("body", "attribute", "value"),
    [
        pytest.param("", "priority", 100, id="priority by default"),
        pytest.param("state MASTER\npriority 7", "state", State.MASTER, id="state"),
        pytest.param("priority 255", "state", State.MASTER, id="state of an owner"),
        pytest.param("priority 256", "priority", 256, id="priority as written"),
        pytest.param("nopreempt\npreempt", "nopreempt", False, id="preempt clears nopreempt"),
        pytest.param("", "version", 2, id="version by default"),
        pytest.param("virtual_ipaddress {\n2001:db8::9\n}", "version", 3, id="version of IPv6"),
        pytest.param("native_ipv6", "version", 3, id="native_ipv6"),
        pytest.param("strict_mode", "strict_mode", True, id="flag alone"),
        pytest.param("strict_mode off", "strict_mode", False, id="flag off"),
        pytest.param("accept", "accept", True, id="accept"),
        pytest.param("unicast_peer {\n}", "unicast_peer", (), id="no peers"),
        pytest.param("", "unicast_peer", None, id="multicast"),
        pytest.param(
            "unicast_peer {\n192.0.2.2 max_ttl 255 min_ttl 254\n}",
            "unicast_peer",
            ("192.0.2.2 max_ttl 255 min_ttl 254",),
            id="time to live",
        ),
        pytest.param(
            "unicast_peer {\n192.0.2.2 max_ttl 9\n}", "check_unicast_src", True, id="asks then"
        ),
        pytest.param("check_unicast_src", "check_unicast_src", True, id="asks who sends"),
        pytest.param("unicast_ttl 9", "unicast_ttl", 9, id="unicast_ttl"),
        pytest.param("advert_int 5", "advert_int", 5.0, id="advert_int"),
        pytest.param(
            "virtual_ipaddress { 192.0.2.1 }", "virtual_ipaddress", ("192.0.2.1",), id="one line"
        ),
    ],
)
def test_values(body, attribute, value):
    read, parsed = instance(body)
    assert getattr(read, attribute) == value
    assert not parsed.findings


def test_globals_hold_for_instances_above_them():
    parsed = parse(
        "vrrp_instance V {\nvirtual_router_id 1\n}\nglobal_defs {\nvrrp_strict\n}\n", "a"
    )
    assert parsed.node.instances[0].strict_mode


def test_before_2_1_a_peer_has_no_time_to_live():
    text = "vrrp_instance V {\nunicast_peer {\n192.0.2.2 min_ttl 255\n}\n}"
    parsed = parse(text, "lb1", keepalived_version=(2, 0, 19))
    (instance,) = parsed.node.instances
    assert instance.unicast_peer == ("192.0.2.2",)
    assert not instance.check_unicast_src
    assert [item.id for item in parsed.findings] == ["invalid-value"]


def test_all_instances_ask_who_sends():
    text = "vrrp_instance V {\nvirtual_router_id 1\n}\nglobal_defs {\nvrrp_check_unicast_src\n}"
    assert parse(text, "a").node.instances[0].check_unicast_src


def test_address_of_multicast():
    assert parse("vrrp_instance V {\nmcast_src_ip 192.0.2.7\n}", "a").node.address == "192.0.2.7"
    assert parse(INSTANCE, "a", address="192.0.2.8").node.address == "192.0.2.8"


SCRIPT = "vrrp_script chk {\nscript /a\n}"


@pytest.mark.parametrize(
    ("body", "before", "rule", "line"),
    [
        pytest.param("prioritty 9", "", "unknown-keyword", 4, id="keyword of an instance"),
        pytest.param("", "vrrp_instanze V {\n}", "unknown-keyword", 1, id="keyword at the top"),
        pytest.param("priority 9 advert_int 5", "", "syntax", 4, id="two settings on a line"),
        pytest.param("nopreempt on", "", "trailing-words", 4, id="value of a flag"),
        pytest.param("strict_mode on\npriority 9 # 5", "", None, None, id="one value"),
        pytest.param(
            "authentication {\nauth_type PASS\nauth_pass a b\n}",
            "",
            "trailing-words",
            6,
            id="words",
        ),
        pytest.param("state master", "", "state-lowercase", 4, id="state in lower case"),
        pytest.param("state MASTER", "", "master-without-priority", 2, id="no priority"),
        pytest.param("priority high", "", "priority-range", 4, id="priority in words"),
        pytest.param("priority -1", "", None, None, id="negative priority is for the rules"),
        pytest.param("virtual_router_id x", "", "vrid-range", 4, id="router id in words"),
        pytest.param("advert_int fast", "", "advert-int-range", 4, id="interval in words"),
        pytest.param("advert_int -1", "", "advert-int-range", 4, id="negative interval"),
        pytest.param("preempt_delay soon", "", "invalid-value", 4, id="delay in words"),
        pytest.param("preempt_delay 1001", "", "invalid-value", 4, id="long delay"),
        pytest.param("preempt_delay 1000", "", None, None, id="longest delay"),
        pytest.param("version 4", "", "invalid-value", 4, id="version"),
        pytest.param("strict_mode maybe", "", "invalid-value", 4, id="flag"),
        pytest.param("down_timer_adverts 101", "", "invalid-value", 4, id="adverts"),
        pytest.param("down_timer_adverts 100", "", None, None, id="most adverts"),
        pytest.param(
            "state MASTER\npriority 9\nstate BACKUP", "", "invalid-value", 6, id="two states"
        ),
        pytest.param("virtual_ipaddress {\nbanana\n}", "", "invalid-value", 5, id="no address"),
        pytest.param("virtual_ipaddress", "", "syntax", 4, id="list without braces"),
        pytest.param("unicast_ttl 256", "", "invalid-value", 4, id="unicast_ttl"),
        *(
            pytest.param(f"unicast_peer {{\n192.0.2.2 {x}\n}}", "", "invalid-value", 5, id=x)
            for x in ("min_ttl", "min_ttl 256", "min_ttl high", "ttl 5", "min_ttl 5 max_ttl")
        ),
        pytest.param(
            "track_script {\nchk weigth 5\n}", SCRIPT, "invalid-value", 7, id="track option"
        ),
        pytest.param("track_script {\nchk weight\n}", SCRIPT, "invalid-value", 7, id="no weight"),
        pytest.param(
            "track_script {\nchk weight x\n}", SCRIPT, "weight-range", 7, id="weight in words"
        ),
        pytest.param(
            "track_script {\nchk weight 5 back\n}", SCRIPT, "invalid-value", 7, id="direction"
        ),
        pytest.param(
            "track_script {\nchk\nchk\n}", SCRIPT, "duplicate-name", 8, id="tracked twice"
        ),
        pytest.param(
            "track_script {\nchk\n}\n}\n" + SCRIPT + "\nglobal_defs {",
            "",
            "script-order",
            5,
            id="late",
        ),
        pytest.param("track_script {\nchk\n}", SCRIPT, None, None, id="early"),
        pytest.param("authentication {\nauth_type pass\n}", "", "invalid-value", 5, id="auth_type"),
        pytest.param(
            "authentication {\nauth_pas x\n}", "", "unknown-keyword", 5, id="auth keyword"
        ),
        pytest.param("", SCRIPT + "\n" + SCRIPT, "duplicate-name", 4, id="script twice"),
        pytest.param("}\nvrrp_instance V {", "", "duplicate-name", 5, id="instance twice"),
        pytest.param("}\nvrrp_instance {", "", "syntax", 5, id="instance without a name"),
        pytest.param(
            "track_script {\na\n}",
            "vrrp_script a {\n}",
            "script-missing-command",
            6,
            id="no command",
        ),
        pytest.param(
            "", "vrrp_script a {\nscript /a b c\n}", "script-arguments-unquoted", 2, id="no quotes"
        ),
        pytest.param("", 'vrrp_script a {\nscript "/a b c"\n}', None, None, id="quotes"),
        pytest.param("", "vrrp_script a {\nscript /a\nrise 0\n}", "invalid-value", 3, id="rise 0"),
        pytest.param(
            "", "vrrp_script a {\nscript /a\ninterval 0\n}", "invalid-value", 3, id="interval 0"
        ),
        pytest.param(
            "", "vrrp_script a {\nscript /a\nwait 1\n}", "unknown-keyword", 3, id="script keyword"
        ),
        pytest.param("", "virtual_server 192.0.2.1 80 {\nany thing\n}", None, None, id="not VRRP"),
        pytest.param(
            "", "global_defs {\nrouter_id a\nrooter_id b\n}", "unknown-keyword", 3, id="globals"
        ),
    ],
)
def test_meaning(body, before, rule, line):
    _read, parsed = instance(body, before)
    assert [(item.id, item.line) for item in parsed.findings] == ([(rule, line)] if rule else [])
    assert all(item.node == "lb1" for item in parsed.findings)


def test_findings_never_show_a_password():
    text = """
    vrrp_instance V {
        virtual_router_id 1
        authentication {
            hunter22
            auth_type hunter22
            auth_pass "hunter22
            auth_pass { hunter22 }
            auth_pass x hunter22
            auth_pas hunter22
        }
        auth_pass hunter22
    }
    auth_pass hunter22
    """
    parsed = parse(text, "lb1")
    assert len(parsed.findings) > 4
    assert "hunter22" not in str(parsed.findings)


def test_second_block_of_a_name_is_ignored():
    text = "vrrp_instance V {\npriority 1\n}\nvrrp_instance V {\npriority 2\n}\n"
    assert [i.priority for i in parse(text, "a").node.instances] == [1]


def test_late_check_is_no_check():
    text = "vrrp_instance V {\nvirtual_router_id 1\ntrack_script {\nchk\n}\n}\n" + SCRIPT
    node = parse(text, "a").node
    assert node.instances[0].tracks == (Track("chk"),)
    assert node.checks == ()


def test_config_id_is_the_host_part_of_the_name():
    text = "vrrp_instance V {\npriority 1\n@lb1 priority 2\n}\n"
    assert parse(text, "lb1.example.org").node.instances[0].priority == 2
    assert parse(text, "lb1.example.org", config_id="x").node.instances[0].priority == 1


def test_cluster_of_texts():
    cluster, findings, lines = parse_cluster(
        {"lb1": "vrrp_instance V {\npriority 1\n}", "lb2": "nonsense"},
        {"lb1": "192.0.2.1"},
        (2, 4, 0),
    )
    assert [(node.name, node.address) for node in cluster.nodes] == [
        ("lb1", "192.0.2.1"),
        ("lb2", ""),
    ]
    assert {node.keepalived_version for node in cluster.nodes} == {(2, 4, 0)}
    assert [(item.id, item.node) for item in findings] == [("unknown-keyword", "lb2")]
    assert lines["lb1"][("V", "priority")] == 2


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ({"lb1": "a\0"}, "configs.lb1: line 1: a NUL byte"),
        ({"lb1": "a", "lb2": 5}, "configs.lb2: is not the text"),
        ({"lb1": None}, "configs.lb1: is not the text"),
    ],
)
def test_cluster_of_no_texts(texts, message):
    with pytest.raises(SettingError, match=message):
        parse_cluster(texts)


SNIPPETS = st.sampled_from(
    [
        "vrrp_instance V {",
        "vrrp_instance",
        "vrrp_script a {",
        "track_script {",
        "track_file x",
        "}",
        "{",
        "}\n",
        "\n",
        " ",
        '"',
        "'",
        "\\",
        "\\\n",
        "#",
        "!",
        "@lb1 ",
        "@^",
        "@",
        "$A=",
        "$A",
        "${A}",
        "${",
        "$",
        "~SEQ(A,1,3) ",
        "~SEQ(",
        "~LST({A,B},{1,2}) ",
        "~LST(",
        "include ",
        "priority 99999999999999999999",
        "priority",
        "priority \u0661",
        "weight 5",
        "a weight -5 reverse",
        "state MASTER",
        "auth_pass x",
        "authentication {",
        "virtual_ipaddress {",
        "192.0.2.1/24",
        "::1",
        "interval 1e9",
        "interval .",
        "script",
        'script "\\',
        "user",
        "group {",
        "vrrp_sync_group G {",
        "global_defs {",
        "vrrp_version",
        "script_user",
        "unicast_peer {",
        "\r",
        "\x0b",
        "\u2028",
        "\x85",
        "advert_int 0.0000000001",
        "version 3",
        "mcast_src_ip",
        "unicast_src_ip",
        "\ud800",
    ]
)


@settings(max_examples=120, deadline=None)
@given(st.lists(SNIPPETS | st.text(max_size=6), max_size=40).map("".join))
@example("vrrp_instance V {\nauthentication\n}")
@example("vrrp_instance V {\nunicast_peer { { } }\n}")
@example("$A= \\")
@example("~LST(A,}) x")
def test_no_text_raises_anything_but_its_own_error(text):
    try:
        parsed = parse(text, "lb1")
    except ConfError as error:
        lines = [error.line]
    else:
        lines = [item.line for item in parsed.findings if item.line is not None]
        assert parse(text, "lb1") == parsed
    assert all(1 <= line <= text.count("\n") + 1 for line in lines)
