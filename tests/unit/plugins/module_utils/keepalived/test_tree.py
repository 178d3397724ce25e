# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lines and statements of keepalived.conf."""

from __future__ import annotations

import time

import pytest
from ansible_collections.mycat.ha.plugins.module_utils.keepalived.lines import MAX_LINES, ConfError
from ansible_collections.mycat.ha.plugins.module_utils.keepalived.reader import parse
from ansible_collections.mycat.ha.plugins.module_utils.keepalived.tree import (
    MAX_BYTES,
    MAX_DEPTH,
    parse_tree,
    shell_words,
)
from lab.bounds import LATE


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


@pytest.mark.thorough
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
    assert time.process_time() - started < LATE


@pytest.mark.thorough
def test_include_of_itself_ends():
    with pytest.raises(ConfError, match="lines"):
        parse_tree("include a", includes={"a": "b\ninclude a"})


@pytest.mark.thorough
def test_largest_text_is_read_in_time():
    text = "vrrp_instance V {\n" + "accept\n" * (MAX_LINES - 10) + "}\n"
    assert len(text) < MAX_BYTES
    started = time.process_time()
    assert parse(text + "#" * (MAX_BYTES - len(text)), "lb1").node.instances[0].name == "V"
    assert time.process_time() - started < LATE


@pytest.mark.thorough
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
    assert time.process_time() - started < LATE


@pytest.mark.thorough
def test_unbroken_text_of_quotes_is_read_in_time():
    started = time.process_time()
    parse('a "' * (MAX_BYTES // 3), "lb1")
    parse("\\" * MAX_BYTES, "lb1")
    parse("$" * MAX_BYTES, "lb1")
    assert time.process_time() - started < LATE


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
