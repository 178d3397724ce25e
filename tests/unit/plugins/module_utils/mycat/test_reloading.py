# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a running MyCat takes over by a reload."""

from __future__ import annotations

import pytest
from ansible_collections.mycat.ha.plugins.module_utils.mycat import reloading
from lab.mycat_archive import RULE_XML, SCHEMA_XML, SERVER_XML

TEXTS = {"server.xml": SERVER_XML, "schema.xml": SCHEMA_XML, "rule.xml": RULE_XML}
RULE = '"http://io.mycat/"><tableRule name="r"/></mycat:rule>'
FIREWALL = '<system/><firewall><whitehost><host host="*" user="mycat"/></whitehost></firewall>'


@pytest.mark.parametrize(
    ("name", "old", "new", "enough"),
    [
        ("server.xml", ">mycat-demo<", ">another<", True),
        ("server.xml", "<system/>", '<system/>\n<user name="other"/>', True),
        ("server.xml", "<system/>", "<!-- nothing -->\n<system></system>", True),
        ("server.xml", "<system/>", '<system><property name="x">1</property></system>', False),
        ("server.xml", "<system/>", FIREWALL, False),
        ("schema.xml", '<schema name="TESTDB"', '<schema name="OTHER"', True),
        ("schema.xml", 'database="TESTDB"', 'database="OTHER"', False),
        ("schema.xml", 'maxCon="100"', 'maxCon="200"', False),
        ("schema.xml", "select user()", "select 1", False),
        ("schema.xml", "</mycat:schema>", "", False),
        ("rule.xml", '"http://io.mycat/"/>', RULE, True),
    ],
)
def test_what_a_reload_brings(name: str, old: str, new: str, enough: bool) -> None:
    before = TEXTS[name]
    assert old in before
    now = before.replace(old, new)
    assert reloading.is_enough(f"/conf/{name}", before.encode(), now.encode()) is enough


@pytest.mark.parametrize("name", ["wrapper.conf", "mycat.service"])
def test_no_reload_brings_other_files(name: str) -> None:
    assert not reloading.is_enough(f"/conf/{name}", SERVER_XML.encode(), SERVER_XML.encode())


def test_a_file_that_was_not_there() -> None:
    assert not reloading.is_enough("/conf/rule.xml", b"", RULE_XML.encode())
