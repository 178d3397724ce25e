# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The file by which a load balancer is kept out of the election."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.mycat.ha.plugins.module_utils.host import maintenance


@pytest.fixture(autouse=True)
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(maintenance, "FILE", str(tmp_path / "maintenance"))
    monkeypatch.setattr(maintenance, "FORMER", str(tmp_path / "former"))
    monkeypatch.setattr(maintenance, "FOLDER", str(tmp_path / "moving"))
    return tmp_path / "maintenance"


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ("0\n", (False, False)),
        ("1\n", (True, False)),
        ("2\n", (False, True)),
        ("", (False, False)),
        ("x", (True, False)),
        ("0\nlonger before", (False, False)),
    ],
)
def test_state(file: Path, content: str, found: tuple[bool, bool]) -> None:
    file.write_text(content)
    assert maintenance.state() == found


def test_nothing_tells_without_a_file() -> None:
    assert maintenance.state() == (None, False)


def test_the_file_of_an_earlier_version_counts(tmp_path: Path) -> None:
    (tmp_path / "former").write_text("1\n")
    assert maintenance.state() == (True, False)


@pytest.mark.thorough
def test_who_is_at_it_is_seen_and_keeps_others_out(file: Path) -> None:
    file.write_text("0\n")
    with maintenance.alone():
        assert maintenance.state() == (False, True)
        with pytest.raises(maintenance.NotMovedError, match="is under way"), maintenance.alone():
            pass
    assert maintenance.state() == (False, False)
    with maintenance.alone():
        pass


def test_a_host_without_the_file_is_told_what_makes_it() -> None:
    told = pytest.raises(maintenance.NotMovedError, match=r"run mycat\.ha\.site")
    with told, maintenance.alone():
        pass


def test_what_was_written_is_taken_back_where_something_fails(file: Path) -> None:
    file.write_text("0")
    seen = []

    def fail() -> None:
        with maintenance.writing(maintenance.MOVING, maintenance.SERVES):
            seen.append(maintenance.value())
            raise SystemExit

    with pytest.raises(SystemExit):
        fail()
    assert seen == [maintenance.MOVING]
    assert file.read_text() == "0\n"


def test_a_condition_that_never_comes_true_is_given_up() -> None:
    assert not maintenance.await_(lambda: False, 0.01)
    assert maintenance.await_(lambda: True, 0)
