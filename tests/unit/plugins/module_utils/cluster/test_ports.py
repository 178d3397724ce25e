# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ports that no connection that leaves a host may take, as a shell adds them to the kernel's."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from ansible_collections.mycat.ha.plugins.module_utils.cluster import ports
from inventories import installed, lb, mycat, planned

CFG = """\
frontend alive
    bind 127.0.0.1:48801
    # bind *:1
listen mycat
    bind :::8066 v4v6 transparent
    bind [2001:db8::1]:8067
"""


def test_the_ports_of_haproxy() -> None:
    assert [ports.port_of(bind) for bind in ports.binds(CFG)] == [48801, 8066, 8067]


@pytest.mark.skipif(not shutil.which("flock"), reason="flock is not installed")
@pytest.mark.parametrize(
    ("others", "after"),
    [("", "8066,48700\n"), ("50000-50010,60000\n", "8066,48700,50000-50010,60000\n")],
)
def test_ports_are_added_to_those_of_others(tmp_path: Path, others: str, after: str) -> None:
    file = tmp_path / "reserved"
    file.write_text(others, encoding="ascii")
    script = ports.reservation([48700, 8066, 48700], str(file))
    # As systemd reads a unit.
    line = ports.of_unit(script).replace("$$", "$").replace("%%", "%")
    subprocess.run(shlex.split(line), check=True, timeout=60)
    assert file.read_text(encoding="ascii") == after


@pytest.mark.parametrize(
    ("listed", "lacks"),
    [
        pytest.param("", True, id="none"),
        pytest.param("8066", True, id="one"),
        pytest.param("8000-8100,48700", False, id="all"),
        pytest.param("48700-48701,8066", False, id="all, in another order"),
        pytest.param(None, False, id="a host that cannot change them"),
    ],
)
def test_a_run_adds_what_the_kernel_lacks(listed: str | None, lacks: bool) -> None:
    command = ports.command([8066, 48700], {"reserved_ports": listed})
    assert bool(command) is lacks
    assert ports.command([1], {}) == []


@pytest.mark.parametrize("listener", ["xinetd", "systemd"])
def test_each_host_reserves_the_ports_of_what_listens_there(listener: str) -> None:
    hosts = [lb(11), lb(12), mycat(21, mycat_status_listener=listener)]
    hosts = installed(hosts, planned(hosts))
    assert planned(hosts).run["changing"] == []
    lacking = [replace(host, state={**host.state, "reserved_ports": "1"}) for host in hosts]
    plan = planned(lacking)
    assert plan.run["changing"] == ["lb1", "lb2", "mycat1"]
    for name, role, text in (
        ("lb1", "haproxy", "8066,48800,48801"),
        ("mycat1", "mycat_status", "8066,9066,48700"),
    ):
        assert f'echo "{text}${{others' in plan.hosts[name][role]["reserve"][2]
        units = [row["content"] for row in plan.hosts[name][role]["files"] if "content" in row]
        assert sum(f'echo "{text}$${{others' in unit for unit in units) == 1


@pytest.mark.parametrize(
    ("listed", "left"),
    [("48700,8066", "\n"), ("8060-8066,9000", "8060,8061,8062,8063,8064,8065,9000\n")],
)
def test_ports_are_given_back_without_those_of_others(
    tmp_path: Path, listed: str, left: str
) -> None:
    file = tmp_path / "reserved"
    file.write_text(listed, encoding="ascii")
    subprocess.run(
        ports.release([48700, 8066], {"reserved_ports": listed}, str(file)), check=True, timeout=60
    )
    assert file.read_text(encoding="ascii") == left


@pytest.mark.parametrize("listed", ["", "9000", None])
def test_ports_that_nobody_keeps_are_not_given_back(listed: str | None) -> None:
    assert ports.release([8066], {"reserved_ports": listed}) == []
