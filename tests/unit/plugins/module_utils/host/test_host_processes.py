# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import socket
import time
from pathlib import Path

import pytest
from ansible_collections.mycat.ha.plugins.module_utils.host import processes


def test_who_listens() -> None:
    with socket.socket() as listener, socket.socket() as other:
        for one in (listener, other):
            one.bind(("127.0.0.1", 0))
        listener.listen()
        port, closed = listener.getsockname()[1], other.getsockname()[1]
        name = processes.process_name(os.getpid())
        assert name
        assert processes.listeners([port, closed]) == {port: [name], closed: []}
    assert processes.listeners([port]) == {port: []}


def test_who_has_a_port_without_listening() -> None:
    with socket.socket() as listener, socket.socket() as leaving, socket.socket() as idle:
        for one in (listener, leaving, idle):
            one.bind(("127.0.0.1", 0))
        listener.listen()
        leaving.connect(listener.getsockname())
        port, other = leaving.getsockname()[1], idle.getsockname()[1]
        name = processes.process_name(os.getpid())
        assert processes.connected([port, other]) == {port: [name], other: []}
        assert processes.listeners([port]) == {port: []}


def proc(root: Path) -> None:
    """A /proc with one listener on port 8066, and a process that may not be looked at."""
    (root / "net").mkdir(parents=True)
    row = "0: 00000000:1F82 00000000:0000 {} 0:0 0:0 0 0 0 {} 1\n"
    (root / "net" / "tcp").write_text("head\n" + row.format("0A", 111) + row.format("01", 222))
    (root / "7").mkdir()
    (root / "7" / "comm").write_text("haproxy\n")


def test_a_listener_whose_process_is_hidden(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "proc"
    proc(root)
    monkeypatch.setattr(processes, "PROC", str(root))
    assert processes.listeners([8066]) == {8066: ["unknown"]}
    (root / "7" / "fd").mkdir()
    (root / "7" / "fd" / "3").symlink_to("socket:[111]")
    assert processes.listeners([8066]) == {8066: ["haproxy"]}


def test_when_a_process_started() -> None:
    started = processes.start_of(os.getpid())
    assert started is not None
    assert time.time() - 3600 < started < time.time()
    assert processes.start_of(2**22 + 1) is None
    assert processes.process_name(2**22 + 1) == ""
    assert processes.process_field(2**22 + 1, "Name") == ""


def test_the_endpoint_is_known_by_its_unit_before_its_program_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """systemd 257 names a process for the descriptor of its program until that runs."""
    root = tmp_path / "proc"
    proc(root)
    (root / "7" / "comm").write_text("8\n")
    (root / "7" / "fd").mkdir()
    (root / "7" / "fd" / "3").symlink_to("socket:[111]")
    monkeypatch.setattr(processes, "PROC", str(root))
    assert processes.listeners([8066]) == {8066: ["8"]}
    (root / "7" / "cgroup").write_text("0::/system.slice/mycat_status.service\n")
    assert processes.listeners([8066]) == {8066: ["mycat_status"]}
    (root / "7" / "cgroup").write_text("1:name=systemd:/system.slice/xinetd.service\n")
    assert processes.listeners([8066]) == {8066: ["xinetd"]}
