# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.mycat.ha.plugins.module_utils.host import packages


def test_installed_packages() -> None:
    output = (
        "haproxy installed 2.6.12-1+deb12u4\nold config-files 1.0\nkernel installed 1\n"
        "package xinetd is not installed\nkernel installed 2\n"
    )
    names = ["haproxy", "old", "xinetd", "kernel"]
    assert packages.installed(names, output) == {
        "haproxy": "2.6.12-1+deb12u4",
        "old": None,
        "xinetd": None,
        "kernel": "2",
    }


def test_one_question_for_all_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = tmp_path / "rpm"
    tool.write_text('#!/bin/sh\necho >>"$0.asked"\necho haproxy installed 2.4.22-3.el9\nexit 1\n')
    tool.chmod(0o755)
    monkeypatch.setattr(packages, "find", lambda name: str(tool) if name == "rpm" else None)
    assert packages.versions(["haproxy", "x"]) == {"haproxy": "2.4.22-3.el9", "x": None}
    assert len((tmp_path / "rpm.asked").read_text().splitlines()) == 1
    monkeypatch.setattr(packages, "find", lambda _name: None)
    assert packages.versions(["haproxy"]) is None
    assert packages.versions([]) == {}
