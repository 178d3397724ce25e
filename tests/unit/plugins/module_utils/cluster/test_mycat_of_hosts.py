# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role mycat needs of a host, and what it refuses before one is touched."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.mycat.ha.plugins.module_utils.cluster.hosts import HostView
from ansible_collections.mycat.ha.plugins.module_utils.cluster.mycat import Sources, asked
from ansible_collections.mycat.ha.plugins.module_utils.host.mycat import STOPPED_MARK
from ansible_collections.mycat.ha.plugins.module_utils.mycat.archive import Archive
from ansible_collections.mycat.ha.plugins.module_utils.mycat.xml_files import SCHEMA, SERVER
from inventories import installed, lb, mycat, planned, refused, reset
from lab.mycat_archive import SCHEMA_XML, SERVER_XML, WRAPPER_CONF

SHA = "5d849157" + "0" * 56
ARCHIVE = Archive(17, 0, "its classes are of Java 17", ("wrapper-linux-x86-64",), WRAPPER_CONF)
OLD = replace(ARCHIVE, java=8, last_java=8, why="it uses sun/misc/Cleaner")
FOLDER = "/usr/local/mycat-1.6.7.6-5d849157"
GIVEN = {"mycat_archive": "/x/Mycat-server-1.6.7.6-linux.tar.gz", "mycat_archive_sha256": SHA}


def hosts(**variables: Any) -> list[HostView]:
    return [lb(11), lb(12), mycat(21, **GIVEN, **variables), mycat(22)]


def sources(archive: Archive = ARCHIVE, **texts: str) -> dict[str, Sources]:
    return {"mycat1": Sources(archive, "/x/Mycat-server-1.6.7.6-linux.tar.gz", None, texts)}


def with_state(view: HostView, **more: Any) -> HostView:
    return replace(view, state={**view.state, **more})


def there(view: HostView, **more: dict[str, Any]) -> HostView:
    """The host as it is after the role has run there."""
    files = {
        **view.state["files"],
        FOLDER: {"kind": "directory"},
        "/usr/local/mycat": {"kind": "link", "target": FOLDER},
        **more,
    }
    return with_state(view, files=files)


def test_a_host_without_an_archive_has_no_such_role() -> None:
    result = planned([lb(11), lb(12), mycat(21), mycat(22)])
    assert all("mycat" not in entry for entry in result.hosts.values())


def test_a_new_host_gets_archive_java_files_and_link() -> None:
    result = planned(hosts(), sources=sources())
    entry = result.hosts["mycat1"]
    assert "mycat" not in result.hosts["mycat2"]
    assert entry["mycat"]["packages"] == ["procps", "openjdk-17-jre-headless"]
    (archive,) = entry["mycat"]["archives"]
    assert (archive["folder"], archive["user"]) == (FOLDER, "mycat")
    rows = {row["path"]: row for row in entry["mycat"]["files"]}
    conf = rows[f"{FOLDER}/conf/wrapper.conf"]["content"]
    assert "wrapper.java.command=/usr/lib/jvm/java-17-openjdk-amd64/bin/java\n" in conf
    assert "-Xmx1024m" in conf
    assert "/usr/local/mycat" in entry["changes"]


def test_a_host_that_has_it_all_does_not_change() -> None:
    asked_for = hosts()
    found = installed(asked_for, planned(asked_for, sources=sources()))
    found[2] = there(found[2])
    result = planned(found, sources=sources())
    assert result.hosts["mycat1"]["changes"] == []
    other = {**GIVEN, "mycat_archive_sha256": "1" * 64}
    newer = reset(found, [lb(11), lb(12), mycat(21, **other), mycat(22)])
    result = planned(newer, sources=sources())
    assert "/usr/local/mycat" in result.hosts["mycat1"]["changes"]


def test_what_a_person_stopped_is_not_started() -> None:
    (*lbs, first, second) = hosts()
    stopped = there(first, **{STOPPED_MARK: {"kind": "file"}})
    result = planned([*lbs, stopped, second], sources=sources())
    assert result.hosts["mycat1"]["mycat"]["units"] == []
    assert planned(hosts(), sources=sources()).hosts["mycat1"]["mycat"]["units"]


def test_xml_files_are_installed_for_mycat_alone() -> None:
    result = planned(hosts(), sources=sources(**{SCHEMA: SCHEMA_XML}))
    (row,) = [
        row
        for row in result.hosts["mycat1"]["mycat"]["files"]
        if row["path"].endswith("schema.xml")
    ]
    assert (row["content"], row["mode"], row["group"]) == (SCHEMA_XML, "0640", "mycat")
    assert row["secret"]


@pytest.mark.parametrize(
    ("variables", "found", "texts", "said"),
    [
        ({}, OLD, {}, "mycat_java: the archive cannot run on a Java of mycat1's distribution"),
        (
            {"mycat_java": "openjdk-17-jre-headless"},
            OLD,
            {},
            "openjdk-17-jre-headless is Java 17, on which the archive cannot run: it uses sun/misc",
        ),
        (
            {"mycat_java": "openjdk-11-jre-headless"},
            ARCHIVE,
            {},
            "write openjdk-17-jre-headless",
        ),
        ({"mycat_java": "tomcat"}, ARCHIVE, {}, "mycat_java: is 'tomcat'; write a package"),
        ({"mycat_java": "/opt/java"}, ARCHIVE, {}, "/opt/java/bin/java on mycat1 is no Java"),
        ({"mycat_heap": "4"}, ARCHIVE, {}, "mycat_heap: is '4'; write a size"),
        (
            {"mycat_jvm_options": ["-Da=b\nwrapper.java.command=/tmp/x"]},
            ARCHIVE,
            {},
            "mycat_jvm_options[0]: is '-Da=b\\nwrapper",
        ),
        (
            {},
            replace(ARCHIVE, wrappers=("wrapper-linux-ppc-64",)),
            {},
            "mycat_archive: has no wrapper for x86_64",
        ),
        ({}, ARCHIVE, {SCHEMA: "<x"}, "mycat_schema_xml: is no well-formed XML"),
        (
            {"mycat_status_sql_port": 8067},
            ARCHIVE,
            {SERVER: SERVER_XML},
            "mycat_server_xml: has serverPort 8066, and mycat_status_sql_port is 8067",
        ),
    ],
)
def test_what_cannot_work_gets_one_sentence(
    variables: dict[str, Any], found: Archive, texts: dict[str, str], said: str
) -> None:
    (sentence,) = refused(hosts(**variables), sources=sources(found, **texts))
    assert said in sentence


def test_a_directory_is_replaced_only_where_it_is_adopted() -> None:
    home = {"/usr/local/mycat": {"kind": "directory"}}
    (*lbs, first, second) = hosts()
    view = with_state(first, files={**first.state["files"], **home})
    (sentence,) = refused([*lbs, view, second], sources=sources())
    assert sentence.startswith("mycat_adopt_home: /usr/local/mycat on mycat1 is a directory")
    (*_lbs, adopting, _second) = hosts(mycat_adopt_home=True)
    view = with_state(adopting, files={**adopting.state["files"], **home})
    assert planned([*lbs, view, second], sources=sources()).hosts["mycat1"]["mycat"]["adopt"]


def test_ports_that_another_program_has_are_refused_where_no_mycat_is() -> None:
    (*lbs, first, second) = hosts()
    taken = with_state(first, listeners={"8066": ["mysqld"], "48700": []})
    (sentence,) = refused([*lbs, taken, second], sources=sources())
    assert sentence.startswith("mycat_status_sql_port: 8066 is in use on mycat1 by mysqld")
    assert refused([*lbs, there(taken), second], sources=sources()) == []


def test_a_timeout_of_haproxy_below_mycat_s_is_said() -> None:
    system = '<system><property name="idleTimeout">3600000</property></system>'
    text = SERVER_XML.replace("<system/>", system)
    result = planned(hosts(), sources=sources(**{SERVER: text}))
    assert any("haproxy_timeout_client: 35m is less than" in note for note in result.run["notes"])
    assert not any("timeout" in note for note in planned(hosts(), sources=sources()).run["notes"])


def test_the_host_is_asked_for_what_decides() -> None:
    found = asked(mycat(21, **GIVEN, mycat_java="/opt/java"))
    assert found["java"] == "/opt/java/bin/java"
    assert {FOLDER, "/usr/local/mycat", STOPPED_MARK} <= set(found["paths"])
    assert asked(mycat(21, **GIVEN, mycat_java="some-jre"))["packages"] == ["some-jre"]
