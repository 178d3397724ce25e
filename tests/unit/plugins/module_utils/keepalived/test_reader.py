# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The reader and writer of keepalived.conf."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
from ansible_collections.mycat.ha.plugins.module_utils.keepalived import reader
from ansible_collections.mycat.ha.plugins.module_utils.keepalived.reader import (
    MAX_BYTES,
    MAX_DEPTH,
    MAX_LINES,
    ConfError,
    parse,
    parse_cluster,
    parse_tree,
    render,
    shell_words,
)
from ansible_collections.mycat.ha.plugins.module_utils.vrrp.model import (
    Authentication,
    Check,
    CheckKind,
    Instance,
    ModelError,
    Node,
    State,
    SyncGroup,
    Track,
)
from hypothesis import example, given, settings
from hypothesis import strategies as st


def shape(statements):
    """Statements as nested lists: words, then the block if there is one."""
    return [
        [*statement.words] + ([shape(statement.block)] if statement.block is not None else [])
        for statement in statements
    ]


def tree(text, **kwargs):
    parsed = parse_tree(text, **kwargs)
    assert not parsed.findings
    return shape(parsed.statements)


def ids(parsed):
    return [found.id for found in parsed.findings]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("", [], id="empty"),
        pytest.param("! a\n# b\n  a b # c\na!b\n", [["a", "b"], ["a"]], id="comments"),
        pytest.param('a "b # c ! d" e', [["a", "b # c ! d", "e"]], id="comment signs in quotes"),
        pytest.param(r"a \#b \! c", [["a", "#b", "!", "c"]], id="escaped comment signs"),
        pytest.param('a "b  c"d', [["a", "b  c", "d"]], id="quotes end a word"),
        pytest.param('a ""', [["a", ""]], id="empty quotes"),
        pytest.param("a 'b c'", [["a", "'b", "c'"]], id="single quotes are plain"),
        pytest.param('a "{ }" b', [["a", "{ }", "b"]], id="braces in quotes"),
        pytest.param("a { b 1 }", [["a", [["b", "1"]]]], id="block on one line"),
        pytest.param("a x{b}c", [["a", "x", [["b"]]], ["c"]], id="braces need no blanks"),
        pytest.param(
            "a { b { c } } d { }", [["a", [["b", [["c"]]]]], ["d", []]], id="blocks on one line"
        ),
        pytest.param("a\n\n{\nb\n}\n", [["a", [["b"]]]], id="brace on a line of its own"),
        pytest.param("a 1 b 2", [["a", "1", "b", "2"]], id="blanks do not end a statement"),
        pytest.param("a\r\nb\r\n", [["a"], ["b"]], id="carriage returns"),
        pytest.param("a\tb\v c\f", [["a", "b", "c"]], id="every kind of blank"),
        pytest.param("@lb1 a\n@lb2 b\n@^lb1 c\n@^lb2 d", [["a"], ["d"]], id="conditions"),
        pytest.param("@lb1\n@^lb9\n@lb1 a", [["a"]], id="condition without a line"),
        pytest.param("@lb1 @^lb2 a", [["a"]], id="condition of a condition"),
        pytest.param("$A=1\na $A b$A ${A}b", [["a", "1", "b1", "1b"]], id="definitions"),
        pytest.param("$A=1\na $AB $A.", [["a", "$AB", "$A."]], id="names end at a blank"),
        pytest.param('a "${A}" $B', [["a", "${A}", "$B"]], id="undefined stays"),
        pytest.param(
            "$A=${B}x\n$B=1\na ${A}\n$B=2\na ${A}", [["a", "1x"], ["a", "2x"]], id="at use"
        ),
        pytest.param("$A=\na ${A}b", [["a", "b"]], id="empty definition"),
        pytest.param("$A=1\n$A=2\na $A", [["a", "2"]], id="redefined"),
        pytest.param("@lb1 $A=1\n@lb2 $A=2\na $A", [["a", "1"]], id="conditional definition"),
        pytest.param("$C=@lb1\n$C a\n$C", [["a"]], id="defined condition"),
        pytest.param("a ${_INSTANCE}", [["a", "lb1"]], id="predefined"),
        pytest.param(
            "$A= \\\nb { \\\nc ${N} \\\n}\n$N=1\n$A\n$N=2\n$A",
            [["b", [["c", "1"]]], ["b", [["c", "2"]]]],
            id="definition over lines",
        ),
        pytest.param(
            "$B= \\\n b 1 \\\n b 2\n$A= \\\n$B \\\n c\n$A",
            [["b", "1"], ["b", "2"], ["c"]],
            id="nested definitions",
        ),
        pytest.param("$A=x \\\ny\na $A b", [["a", "$A", "b"]], id="lines only at the end"),
        pytest.param("~SEQ(N, 3) a $N", [["a", "1"], ["a", "2"], ["a", "3"]], id="sequence to"),
        pytest.param("~SEQ(N,0,1) a $N", [["a", "0"], ["a", "1"]], id="sequence from to"),
        pytest.param(
            "~SEQ(N,5,-2,1) a $N", [["a", "5"], ["a", "3"], ["a", "1"]], id="sequence down"
        ),
        pytest.param(
            "~SEQx(N,0x90,0x10,0xa0) a ::$N", [["a", "::90"], ["a", "::a0"]], id="hexadecimal"
        ),
        pytest.param(
            "~SEQ(N,1,2) ~SEQ(M,1,2) a ${N}${M}",
            [["a", "11"], ["a", "12"], ["a", "21"], ["a", "22"]],
            id="nested sequences",
        ),
        pytest.param("~LST(N, x, y) a $N", [["a", "x"], ["a", "y"]], id="list"),
        pytest.param(
            "~LST({N, M}, {1,2},{3}) a ${N}-${M}", [["a", "1-2"], ["a", "3-"]], id="list of tuples"
        ),
    ],
)
def test_statements(text, expected):
    assert tree(text, config_id="lb1") == expected


def test_statements_know_their_lines():
    statements = parse_tree("a {\n  b\n\n  c 1 }\nd\n").statements
    assert [(s.line, s.keyword) for s in statements] == [(1, "a"), (5, "d")]
    assert [(s.line, s.keyword, s.value) for s in statements[0].block] == [
        (2, "b", ""),
        (4, "c", "1"),
    ]


@pytest.mark.parametrize(
    ("text", "rule", "line"),
    [
        pytest.param("a {\nb\n", "syntax", 1, id="brace not closed"),
        pytest.param("a\n}\n", "syntax", 2, id="brace not opened"),
        pytest.param("a\n{ }\n{\n}\n", "syntax", 3, id="block without a name"),
        pytest.param('a\nb "c\n', "syntax", 2, id="quote not closed"),
        pytest.param("a " + "x" * 1022, "syntax", 1, id="line too long for keepalived"),
        pytest.param("~SEQ(N) a", "syntax", 1, id="sequence without numbers"),
        pytest.param("~SEQ(N,1,0,5) a", "syntax", 1, id="sequence without step"),
        pytest.param("~SEQ(N,a,b) a", "syntax", 1, id="sequence of words"),
        pytest.param("~LST(N) a", "syntax", 1, id="list without values"),
        pytest.param("a\ninclude b.conf\n", "missing-include", 2, id="include"),
        pytest.param("includer b.conf\n", "missing-include", 1, id="include variant"),
        pytest.param("a\nb ${A}\n", "syntax", 2, id="undefined in braces"),
        pytest.param("a\n@lb2 b\n", "conditional-skipped", 2, id="no condition holds"),
    ],
)
def test_form_findings(text, rule, line):
    found = parse_tree(text, config_id="lb1").findings
    assert [(item.id, item.line) for item in found] == [(rule, line)]


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("a " + "x" * 1021, id="longest line"),
        pytest.param("includes b.conf", id="no include"),
        pytest.param("@lb1 b\n@lb2 c", id="a condition holds"),
        pytest.param("a '\n", id="single quote"),
        pytest.param('a # "\n', id="quote in a comment"),
    ],
)
def test_form_near_misses(text):
    assert not parse_tree(text, config_id="lb1").findings


def test_include_with_its_text():
    includes = {"conf.d/*.conf": "b 1\n# no\ninclude deeper\n", "deeper": "c"}
    assert tree("a\ninclude conf.d/*.conf\nd", includes=includes) == [
        ["a"],
        ["b", "1"],
        ["c"],
        ["d"],
    ]


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        pytest.param("a\nb\0c\n", 2, "NUL", id="nul"),
        pytest.param("a {\n" * 10_000, MAX_DEPTH + 1, "nested", id="braces on lines"),
        pytest.param("{" * 10_000, 1, "nested", id="nameless braces"),
        pytest.param("a\n" * (5 * 1024 * 1024), 524_289, "longer", id="10 MB"),
        pytest.param("x" * (10 * 1024 * 1024), 1, "longer", id="10 MB in a line"),
        pytest.param("\n" * (MAX_LINES + 1), MAX_LINES + 1, "lines", id="many lines"),
        pytest.param("$A=${A}\n$A", 2, "without end", id="definition of itself"),
        pytest.param("$A=${B}${B}\n$B=${A}x\n$A", 3, "without end", id="definitions of each other"),
        pytest.param("$A=x \\\n$A\n$A", 3, "lines", id="lines of themselves"),
        pytest.param("~SEQ(N,1,9999999) a", 1, "lines", id="long sequence"),
        pytest.param("~SEQ(A,1,999) ~SEQ(B,1,999) a", 1, "lines", id="long nested sequence"),
        pytest.param(
            "".join(f"$A{n + 1}=${{A{n}}}${{A{n}}}\n" for n in range(40)) + "$A0=xxxx\na ${A40}",
            42,
            "without end",
            id="doubling definitions",
        ),
    ],
)
def test_no_conf_at_all(text, line, problem):
    started = time.process_time()
    with pytest.raises(ConfError, match=problem) as caught:
        parse(text, "lb1")
    assert caught.value.line == line
    assert time.process_time() - started < 2


def test_include_of_itself_ends():
    with pytest.raises(ConfError, match="lines"):
        parse_tree("include a", includes={"a": "b\ninclude a"})


def test_largest_text_is_read_in_time():
    text = "vrrp_instance V {\n" + "accept\n" * (MAX_LINES - 10) + "}\n"
    assert len(text) < MAX_BYTES
    started = time.process_time()
    assert parse(text + "#" * (MAX_BYTES - len(text)), "lb1").node.instances[0].name == "V"
    assert time.process_time() - started < 2


@pytest.mark.parametrize(
    ("text", "line"),
    [
        pytest.param("{}" * (MAX_BYTES // 2), 1, id="braces"),
        pytest.param("}\n" * 45_000, 1001, id="closing braces"),
        pytest.param("vrrp_instance V {\n" + "x\n" * 45_000, 1002, id="unknown"),
        pytest.param("vrrp_script a {\nscript /bin/a\n}\n" * 1002, 3004, id="name"),
    ],
)
def test_a_text_of_faults_is_given_up(text, line):
    started = time.process_time()
    with pytest.raises(ConfError, match="more than 1000 faults") as raised:
        parse(text, "lb1")
    assert raised.value.line == line
    assert time.process_time() - started < 2


def test_unbroken_text_of_quotes_is_read_in_time():
    started = time.process_time()
    parse('a "' * (MAX_BYTES // 3), "lb1")
    parse("\\" * MAX_BYTES, "lb1")
    parse("$" * MAX_BYTES, "lb1")
    assert time.process_time() - started < 4


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("script /a", ["script", "/a"]),
        ('script "/a b" c', ["script", "/a b", "c"]),
        ("script '/a \"b\"'", ["script", '/a "b"']),
        (r'script "a\"b" \x41\101\cA\n', ["script", 'a"b', "AA\x01\n"]),
        ('script ab" efg h jkl "mnop', ["script", "ab efg h jkl mnop"]),
        ('script ""', ["script", ""]),
        ("script a\\", ["script", "a\\"]),
        ('script "a', ["script", "a"]),
    ],
)
def test_shell_words(text, words):
    assert shell_words(text) == words


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
                ("192.0.2.12", "192.0.2.13"),
                Authentication("PASS", "1111"),
                4,
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
        pytest.param("nopreempt on", "", "syntax", 4, id="value of a flag"),
        pytest.param("strict_mode on\npriority 9 # 5", "", None, None, id="one value"),
        pytest.param(
            "authentication {\nauth_type PASS\nauth_pass a b\n}", "", "syntax", 6, id="words"
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
    with pytest.raises(ModelError, match=message):
        parse_cluster(texts)


# --- properties -------------------------------------------------------------------------------

NAMES = st.from_regex(r"[A-Za-z0-9_.:/-]{1,12}", fullmatch=True)
WEIGHTS = st.integers(-300, 300)
SECONDS = st.integers(0, 100_000).map(lambda n: n / 100)
# A backslash or a brace in quotes is a matter of course; a variable would be replaced.
COMMANDS = st.text(st.sampled_from("ab /-'\\{}#!@ |;"), max_size=12).map("/a {}".format)
CHECKS = st.builds(
    Check,
    NAMES,
    interval=SECONDS.filter(bool),
    timeout=st.none() | SECONDS.filter(bool),
    rise=st.integers(1, 9),
    fall=st.integers(1, 9),
    init_fail=st.booleans(),
    command=COMMANDS,
    user=st.just("") | NAMES,
)
WATCHED = st.builds(
    Check, NAMES, st.sampled_from((CheckKind.FILE, CheckKind.PROCESS)), command=NAMES
)
ADDRESSES = st.ip_addresses(v=4).map(str)
VIPS = st.builds("{}/24 dev {}".format, ADDRESSES, NAMES) | ADDRESSES


@st.composite
def nodes(draw):
    checks = tuple(
        draw(
            st.lists(CHECKS | WATCHED, max_size=4, unique_by=lambda check: (check.kind, check.name))
        )
    )
    known = [(check.name, check.kind) for check in checks]
    interfaces = st.tuples(NAMES, st.just(CheckKind.INTERFACE))
    tracked = (st.sampled_from(known) | interfaces) if known else interfaces
    tracks = st.lists(
        st.builds(
            lambda check, weight, reverse: Track(*check, weight, reverse),
            tracked,
            WEIGHTS,
            st.booleans(),
        ),
        max_size=4,
        unique_by=lambda track: (track.kind, track.check),
    ).map(tuple)
    instances = st.builds(
        Instance,
        NAMES,
        st.integers(0, 300),
        st.just("") | NAMES,
        st.sampled_from(State),
        st.integers(0, 300),
        st.sampled_from((2, 3)),
        SECONDS,
        st.booleans(),
        SECONDS,
        st.sampled_from((None, True, False)),
        st.booleans(),
        tracks,
        st.lists(VIPS, max_size=3).map(tuple),
        st.lists(VIPS, max_size=2).map(tuple),
        st.none() | ADDRESSES,
        st.none() | st.lists(ADDRESSES, max_size=3).map(tuple),
        st.none() | st.builds(Authentication, st.sampled_from(("PASS", "AH")), st.just("") | NAMES),
        st.integers(1, 100),
    )
    groups = st.builds(
        SyncGroup, NAMES, st.lists(NAMES, max_size=3).map(tuple), st.booleans(), tracks
    )
    by_name = {"max_size": 3, "unique_by": lambda thing: thing.name}
    return Node(
        "lb1",
        draw(ADDRESSES),
        tuple(draw(st.lists(instances, **by_name))),
        checks,
        tuple(draw(st.lists(groups, **by_name))),
        draw(st.booleans()),
        draw(st.just("") | NAMES),
    )


@settings(max_examples=40, deadline=None)
@given(nodes())
def test_parse_of_render_is_the_identity(node):
    assert parse(render(node), node.name, address=node.address).node == node


@pytest.mark.parametrize(
    ("change", "where"),
    [
        pytest.param({"name": "a b"}, "instances", id="blank"),
        pytest.param({"name": "a}"}, "instances", id="brace"),
        pytest.param({"name": "a\nb"}, "instances", id="newline"),
        pytest.param({"name": ""}, "instances", id="nothing"),
        pytest.param({"interface": 'et"h'}, "interface", id="quote"),
        pytest.param({"virtual_ipaddress": ("192.0.2.1 #",)}, "virtual_ipaddress", id="comment"),
        pytest.param({"virtual_ipaddress": ("",)}, "virtual_ipaddress", id="empty address"),
        pytest.param({"unicast_src_ip": "$X"}, "unicast_src_ip", id="variable"),
        pytest.param({"authentication": Authentication("PASS", "a b")}, "auth_pass", id="password"),
    ],
)
def test_render_refuses_what_no_conf_can_hold(change, where):
    node = Node("lb1", "", (replace(Instance("V", 1), **change),))
    with pytest.raises(ModelError) as caught:
        render(node)
    assert caught.value.where == where
    assert "a b'" not in str(caught.value) or where != "auth_pass"


@pytest.mark.parametrize("command", ['a "b"', "a\nb", "${X}", "a\0"])
def test_render_refuses_commands_no_conf_can_hold(command):
    with pytest.raises(ModelError):
        render(Node("lb1", "", (), (Check("c", command=command),)))


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
        assert reader.parse(text, "lb1") == parsed
    assert all(1 <= line <= text.count("\n") + 1 for line in lines)
