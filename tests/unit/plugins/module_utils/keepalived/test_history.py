# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the notify script has noted, read back."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.mycat.ha.plugins.module_utils.keepalived.history import history, parse


def test_a_line_has_a_time_a_state_and_a_cause() -> None:
    (change,) = parse("1795661980.25 FAULT HAProxy is down\n")
    assert change == {"time": 1795661980.25, "state": "FAULT", "cause": "HAProxy is down"}


@pytest.mark.parametrize(
    "line", ["", "80.25 FAULTY x", "FAULT x", "x FAULT y", "980.2", "nan MASTER x", "\0\0"]
)
def test_what_is_no_whole_line_is_passed_over(line: str) -> None:
    text = f"1 BACKUP a\n{line}\n2 MASTER b\n"
    assert [change["cause"] for change in parse(text)] == ["a", "b"]


def test_the_last_changes_of_each_instance_in_order(tmp_path: Path) -> None:
    late_first = [f"{moment} BACKUP x\n" for moment in (2, 1, *range(3, 101))]
    (tmp_path / "vip_1").write_text("".join(late_first))
    (tmp_path / "vip_2").write_text("7 STOP keepalived stops\n")
    found = history(str(tmp_path))
    assert [one["time"] for one in found if one["instance"] == "vip_1"] == list(range(61, 101))
    assert [one["cause"] for one in found if one["instance"] == "vip_2"] == ["keepalived stops"]


def test_a_host_that_has_noted_nothing(tmp_path: Path) -> None:
    assert history(str(tmp_path / "none")) == []
    assert history(str(tmp_path)) == []


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/etc/hostname")
    with pytest.raises(OSError, match="link"):
        history(str(tmp_path))
