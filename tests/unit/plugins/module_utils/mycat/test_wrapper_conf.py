# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""wrapper.conf as the role makes it of the archive's."""

from __future__ import annotations

import re

import pytest
from ansible_collections.mycat.ha.plugins.module_utils.mycat import wrapper_conf
from ansible_collections.mycat.ha.plugins.module_utils.mycat.wrapper_conf import Wishes
from lab.mycat_archive import WRAPPER_CONF

WISHES = Wishes("/opt/java/bin/java", 17, 512, 128)


def options(text: str) -> list[str]:
    """The options in the order of their numbers, which have no gap."""
    found = re.findall(r"^wrapper\.java\.additional\.([0-9]+)=(.*)$", text, re.MULTILINE)
    assert [int(number) for number, _option in found] == list(range(1, len(found) + 1))
    return [option for _number, option in found]


def test_what_the_archive_says_stays_but_for_what_is_ours() -> None:
    text = wrapper_conf.made(WRAPPER_CONF, WISHES)
    assert "wrapper.java.mainclass=org.tanukisoftware.wrapper.WrapperSimpleApp\n" in text
    assert re.findall("^wrapper.java.command=.*$", text, re.M) == [
        "wrapper.java.command=/opt/java/bin/java"
    ]
    assert re.findall("^wrapper.ping.timeout=.*$", text, re.M) == ["wrapper.ping.timeout=30"]
    given = options(text)
    assert given[:2] == ["-DMYCAT_HOME=.", "-server"]
    assert {"-Xms512m", "-Xmx512m", "-XX:MaxDirectMemorySize=128m"} <= set(given)
    assert "-XX:+ExitOnOutOfMemoryError" in given
    assert len(given) == len(set(given))


def test_a_jre_17_gets_what_it_needs_and_not_what_it_refuses() -> None:
    given = options(wrapper_conf.made(WRAPPER_CONF, WISHES))
    assert "-XX:+AggressiveOpts" not in given
    assert "--add-opens=java.base/jdk.internal.ref=ALL-UNNAMED" in given
    java_8 = options(wrapper_conf.made(WRAPPER_CONF, Wishes("java", 8, 512, 128)))
    assert not [option for option in java_8 if option.startswith("--add")]


def test_jmx_is_off_or_for_the_host_alone() -> None:
    assert "jmxremote" not in wrapper_conf.made(WRAPPER_CONF, WISHES)
    local = options(wrapper_conf.made(WRAPPER_CONF, Wishes("java", 17, 512, 128, jmx="local")))
    assert "-Dcom.sun.management.jmxremote.host=127.0.0.1" in local


def test_further_options_come_last_and_making_it_again_changes_nothing() -> None:
    wishes = Wishes("java", 17, 512, 128, options=["-Dx=1", "-Dy=2"])
    text = wrapper_conf.made(WRAPPER_CONF, wishes)
    assert options(text)[-2:] == ["-Dx=1", "-Dy=2"]
    once = wrapper_conf.made(WRAPPER_CONF, WISHES)
    assert sorted(set(options(wrapper_conf.made(once, WISHES)))) == sorted(set(options(once)))


@pytest.mark.parametrize(
    ("text", "megabytes"), [("512m", 512), ("4g", 4096), ("4G", 4096), ("4", 0), ("0g", 0), ("", 0)]
)
def test_sizes(text: str, megabytes: int) -> None:
    assert wrapper_conf.megabytes(text) == megabytes


def test_usual_sizes_fit_the_host() -> None:
    assert [wrapper_conf.usual_heap(memory) for memory in (300, 4096, 65536)] == [256, 2048, 8192]
    assert [wrapper_conf.usual_direct(memory) for memory in (300, 4096, 65536)] == [128, 512, 2048]


@pytest.mark.parametrize(
    ("text", "taken"),
    [
        ("-XX:+UseG1GC", True),
        ("-Xlog:gc*:file=/var/log/gc-%p.log:time,level:filecount=5", True),
        ("-Dname=value", True),
        ("UseG1GC", False),
        ("-Da=b -Dc=d", False),
        ("-Da=b\nwrapper.java.command=/tmp/x", False),
        ("-Da=$(touch /tmp/x)", False),
        ("-Da=`id`", False),
        ("-Da=b;id", False),
        ("", False),
    ],
)
def test_an_option_of_java_is_one_word(text: str, taken: bool) -> None:
    assert wrapper_conf.is_option(text) is taken
