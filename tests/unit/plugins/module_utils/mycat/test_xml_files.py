# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""server.xml, schema.xml and rule.xml are refused before a host has them."""

from __future__ import annotations

import pytest
from ansible_collections.mycat.ha.plugins.module_utils.mycat import xml_files
from ansible_collections.mycat.ha.plugins.module_utils.mycat.xml_files import RULE, SCHEMA, SERVER
from lab.mycat_archive import RULE_XML, SCHEMA_XML, SERVER_XML

GOOD = {SERVER: SERVER_XML, SCHEMA: SCHEMA_XML, RULE: RULE_XML}
FIREWALL = "<firewall>{}</firewall><user name"


def refused(name: str, old: str, new: str, user: str = "mycat") -> str:
    """The only sentence on the files with this change."""
    assert old in GOOD[name]
    (problem,) = xml_files.check({**GOOD, name: GOOD[name].replace(old, new)}, user).problems
    assert problem.option == name
    return problem.problem


def test_good_files_are_good_together_and_alone() -> None:
    assert xml_files.check(GOOD, "mycat").problems == []
    for name, text in GOOD.items():
        assert xml_files.check({name: text}, "mycat").problems == []
    assert xml_files.check({}).problems == []


@pytest.mark.parametrize(
    ("name", "old", "new", "said"),
    [
        (SCHEMA, "</mycat:schema>", "", "is no well-formed XML"),
        (SCHEMA, "mycat:schema", "mycat:server", "begins with <server>"),
        (SCHEMA, 'dataHost="db"', 'dataHost="no"', "the dataNode dn1 is on the dataHost no"),
        (SCHEMA, 'dataNode="dn1"', 'dataNode="dn$1-2"', "is on the dataNode dn2"),
        (
            SCHEMA,
            '"dn1"/>',
            '"dn1"><table name="t" dataNode="dn1" rule="r"/></schema>',
            "the table t has the rule r",
        ),
        (SERVER, ">TESTDB<", ">OTHER<", "may use the schema OTHER"),
        (SERVER, 'user name="mycat"', 'user name="other"', "has no user mycat"),
        (
            SERVER,
            "<user name",
            FIREWALL.format('<whitehost><host host="10.*" user="mycat"/></whitehost>'),
            "does not let mycat log in from 127.0.0.1",
        ),
        (
            SERVER,
            "<user name",
            FIREWALL.format(
                '<blacklist check="true"><property name="showAllow">false</property></blacklist>'
            ),
            "showAllow false",
        ),
    ],
)
def test_a_mistake_gets_one_sentence(name: str, old: str, new: str, said: str) -> None:
    assert said in refused(name, old, new)


@pytest.mark.parametrize("host", ["127.0.0.1", "1*7.0.0.*", "%", "127.0.0.%"])
def test_hosts_of_the_whitelist(host: str) -> None:
    listed = f'<whitehost><host host="{host}" user="a,mycat"/></whitehost>'
    text = SERVER_XML.replace("<user name", FIREWALL.format(listed))
    assert xml_files.check({SERVER: text}, "mycat").problems == []


def test_ports_and_timeouts_are_told() -> None:
    system = '<system><property name="serverPort">8067</property>'
    system += '<property name="idleTimeout">60000</property></system>'
    checked = xml_files.check({SERVER: SERVER_XML.replace("<system/>", system)})
    assert checked.ports == {"serverPort": 8067}
    assert checked.timeouts == {"idleTimeout": 60.0}


@pytest.mark.parametrize(
    ("text", "names"),
    [("dn1, dn2", ["dn1", "dn2"]), ("a$1-3b,c", ["a1b", "a2b", "a3b", "c"]), (None, [])],
)
def test_lists_of_nodes(text: str | None, names: list[str]) -> None:
    assert xml_files.spread(text) == names
