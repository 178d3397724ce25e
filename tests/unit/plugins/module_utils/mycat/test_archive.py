# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an archive of MyCat holds, which Java it needs, and which the distributions have."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.mycat.ha.plugins.module_utils.mycat import archive, java
from lab import mycat_archive

DEBIAN = {"os_family": "Debian", "distribution": "Debian", "architecture": "x86_64"}


def read(path: Path, *args: Any) -> archive.Archive:
    mycat_archive.write(path / "a.tar.gz", *args)
    return archive.read(str(path / "a.tar.gz"))


def test_an_archive_as_it_is_published_needs_java_8(tmp_path: Path) -> None:
    found = read(tmp_path, 8)
    assert (found.java, found.last_java) == (8, 8)
    assert "sun/misc/Cleaner" in found.why
    assert found.wrappers == ("wrapper-linux-x86-64",)
    assert found.wrapper_conf == mycat_archive.WRAPPER_CONF
    assert [number for number in (7, 8, 11, 17) if found.runs_on(number)] == [8]


def test_one_that_was_built_for_a_later_java_has_no_upper_limit(tmp_path: Path) -> None:
    found = read(tmp_path, 17)
    assert (found.java, found.last_java) == (17, 0)
    assert [number for number in (8, 11, 17, 21) if found.runs_on(number)] == [17, 21]


@pytest.mark.parametrize(
    ("without", "said"),
    [
        ("bin/mycat", "is no MyCat: it has no mycat/bin/mycat"),
        ("bin/wrapper-linux-x86-64", "not MyCat's for Linux"),
        ("lib/Mycat-server-1.6.7.6-release.jar", "no jar in its lib/ has classes of io.mycat"),
    ],
)
def test_what_is_no_mycat_is_said(tmp_path: Path, without: str, said: str) -> None:
    with pytest.raises(archive.ArchiveError, match=said):
        read(tmp_path, 8, (without,))


def test_what_is_no_archive_is_said(tmp_path: Path) -> None:
    path = tmp_path / "a.tar.gz"
    path.write_bytes(b"<html>404</html>")
    for reader in (archive.read, archive.java_release):
        with pytest.raises(archive.ArchiveError, match="cannot be read as an archive"):
            reader(str(path))


def test_an_archive_of_java_tells_its_version(tmp_path: Path) -> None:
    path = tmp_path / "java.tar.gz"
    mycat_archive.write_java(path, "1.8.0_412")
    assert archive.java_release(str(path)) == (8, "jre-1.8.0_412")
    mycat_archive.write(path)
    with pytest.raises(archive.ArchiveError, match="is no Java"):
        archive.java_release(str(path))


@pytest.mark.parametrize(
    ("text", "number"), [("1.8.0_412", 8), ("17.0.15", 17), ("21", 21), ("", 0), ("x", 0)]
)
def test_versions_of_java(text: str, number: int) -> None:
    assert archive.java_number(text) == number


@pytest.mark.parametrize(
    ("name", "version"),
    [
        ("/x/1.2.3/Mycat-server-1.6.7.6-release-20220524173810-linux.tar.gz", "1.6.7.6"),
        ("https://example.org/mycat.tar.gz", "archive"),
    ],
)
def test_the_version_in_a_name(name: str, version: str) -> None:
    assert archive.version_in(name) == version


@pytest.mark.parametrize(
    ("release", "oldest", "last", "chosen"),
    [
        ("11", 8, 0, 17),
        ("12", 17, 0, 17),
        ("13", 17, 0, 21),
        ("12", 8, 8, 0),
        ("11", 8, 11, 11),
        ("9", 8, 0, 0),
    ],
)
def test_the_java_of_the_distribution(release: str, oldest: int, last: int, chosen: int) -> None:
    facts = {**DEBIAN, "distribution_major_version": release}
    assert java.chosen(archive.Archive(oldest, last, "", (), ""), facts) == chosen


def test_where_the_packages_of_java_are() -> None:
    redhat = {"os_family": "RedHat", "distribution_major_version": "9"}
    arm = {**DEBIAN, "architecture": "aarch64"}
    assert java.package(17, DEBIAN) == "openjdk-17-jre-headless"
    assert java.command(17, arm) == "/usr/lib/jvm/java-17-openjdk-arm64/bin/java"
    assert java.package(8, redhat) == "java-1.8.0-openjdk-headless"
    assert java.command(8, redhat) == "/usr/lib/jvm/jre-1.8.0/bin/java"
    assert [java.of_package(java.package(8, facts)) for facts in (DEBIAN, redhat)] == [8, 8]
    assert java.of_package("tomcat") == 0
