# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The stand-in MyCat as an archive starts, and refuses to start, as the real one does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import pytest
from lab import mycat_archive
from lab.bounds import LATE

SETTINGS = {"bind": "127.0.0.1", "backend_socket": None, "boot_seconds": 0}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The archive unpacked; nothing runs in it."""
    path = tmp_path / "Mycat-server-1.6.7.6-release-linux.tar.gz"
    mycat_archive.write(path, **SETTINGS)
    with tarfile.open(path) as archive:
        archive.extractall(tmp_path)  # noqa: S202 - ours
    conf = tmp_path / "mycat/conf/wrapper.conf"
    # No machine that runs tests has to have a Java.
    conf.write_text(conf.read_text().replace("command=java", f"command={sys.executable}"))
    return tmp_path / "mycat"


def mycat(home: Path, verb: str) -> subprocess.CompletedProcess[str]:
    command = [str(home / "bin/mycat"), verb]
    # COLUMNS would make ps cut its lines.
    env = {"PATH": f"{Path(sys.executable).parent}:{os.defpath}"}
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=env)


def await_log(home: Path, text: str) -> str:
    log = home / "logs/wrapper.log"
    end = time.monotonic() + 2 * LATE
    while not (log.exists() and text in log.read_text()):
        assert time.monotonic() < end, f"{text!r} is not in wrapper.log"
        time.sleep(0.05)
    return log.read_text()


def test_the_same_content_is_the_same_archive(tmp_path: Path) -> None:
    sums = [
        mycat_archive.write(tmp_path / name, java) for name, java in (("a", 8), ("b", 8), ("c", 17))
    ]
    assert sums[0] == sums[1] != sums[2]


@pytest.mark.thorough
def test_it_starts_where_a_link_leads(home: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(home)
    (home / "conf/standin.json").write_text(
        json.dumps({**SETTINGS, "sql_port": 0, "manager_port": 0})
    )
    assert mycat(link, "start").returncode == 0
    try:
        assert mycat(link, "status").stdout.startswith("Mycat-server is running (")
        assert (link / "logs/mycat.pid").read_text().strip().isdigit()
        assert mycat(link, "start").stdout.endswith("Mycat-server is already running.\n")
    finally:
        assert mycat(link, "stop").returncode == 0
    assert mycat(link, "status").returncode == 1


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            mycat_archive.SCHEMA_XML.replace('dataHost="db"', 'dataHost="no"'),
            "ConfigException: dataNode dn1",
        ),
        ("<mycat:schema", "ConfigException: org.xml.sax.SAXParseException"),
    ],
    ids=["a host that is not there", "no XML"],
)
def test_a_wrong_schema_ends_it_and_start_says_nothing(home: Path, text: str, said: str) -> None:
    (home / "conf/schema.xml").write_text(text)
    done = mycat(home, "start")
    assert (done.returncode, done.stdout) == (0, "Starting Mycat-server...\n")
    assert said in await_log(home, "<-- Wrapper Stopped")
    assert not (home / "logs/mycat.pid").exists()


@pytest.mark.thorough
def test_without_its_java_it_does_not_start(home: Path) -> None:
    conf = home / "conf/wrapper.conf"
    conf.write_text(conf.read_text().replace(f"command={sys.executable}", "command=/no/java"))
    assert mycat(home, "start").returncode == 0
    await_log(home, "Unable to start JVM")
    mycat(home, "stop")
