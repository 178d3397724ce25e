# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest
from ansible_collections.mycat.ha.plugins.module_utils.host import files

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
MOST = 1000


def test_a_file_and_what_is_none(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"\0\xff")
    path.chmod(0o4750)
    found, problem = files.described(str(path), MOST)
    assert problem == ""
    assert found == {
        "kind": "file",
        "sha256": hashlib.sha256(b"\0\xff").hexdigest(),
        "mode": "4750",
        "owner": path.owner(),
        "group": path.group(),
    }
    none = {"kind": "absent", "sha256": None, "mode": None, "owner": None, "group": None}
    assert files.described(str(tmp_path / "none"), MOST) == (none, "")
    assert files.described(str(path / "below"), MOST) == (none, "")


def test_other_kinds_are_not_opened(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/etc/passwd")
    os.mkfifo(tmp_path / "pipe")
    for path, kind in (("link", "link"), ("pipe", "other"), (".", "directory")):
        found, problem = files.described(str(tmp_path / path), MOST)
        assert (found["kind"], found["sha256"], problem) == (kind, None, "")


def test_a_file_that_is_too_long_has_no_digest(tmp_path: Path) -> None:
    path = tmp_path / "f"
    with path.open("wb") as file:
        file.truncate(2**40)
    found, problem = files.described(str(path), MOST)
    assert (found["kind"], found["sha256"]) == ("file", None)
    assert problem == f"{path} is longer than 1000 bytes"


def test_a_file_that_another_takes_the_place_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "f"
    path.write_text("x")
    lstat = os.lstat

    def racing(name: str) -> os.stat_result:
        found = lstat(name)
        path.unlink()
        path.symlink_to("/etc/passwd")
        return found

    monkeypatch.setattr(files.os, "lstat", racing)
    found, problem = files.described(str(path), MOST)
    assert found["sha256"] is None
    assert problem == f"{path} cannot be read: Too many levels of symbolic links"


@needs_root
def test_users_without_a_name_are_numbers(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_text("x")
    os.chown(path, 61234, 61235)
    found, _problem = files.described(str(path), MOST)
    assert (found["owner"], found["group"]) == ("61234", "61235")


def test_a_text(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"caf\xe9")
    assert files.read_text(str(path)) == "caf\udce9"
    assert files.read_text(str(path), most=2) == "ca"
    assert files.read_text(str(tmp_path / "none")) == ""
    os.mkfifo(tmp_path / "pipe")
    assert files.read_text(str(tmp_path / "pipe")) == ""
    with pytest.raises(IsADirectoryError):
        files.read_text(str(tmp_path))


def test_programs(tmp_path: Path) -> None:
    path = tmp_path / "f"
    assert files.program_problem(str(path)) == "No such file or directory"
    path.write_text("x")
    path.chmod(0o644)
    assert files.program_problem(str(path)) == "is not an executable file"
    path.chmod(0o755)
    assert files.program_problem(str(path)) == ""
    assert files.program_problem(str(tmp_path)) == "is not an executable file"


@needs_root
def test_by_whom_root_could_be_led_elsewhere(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    assert files.exposed(str(folder / "f")) == ""
    assert files.exposed(str(tmp_path / "none/f")) == ""
    os.chown(folder, 1234, 0)
    assert "folder belongs to the user with the id 1234" in files.exposed(str(folder / "f"))
    assert "1234" in files.exposed(str(folder / "not/yet/f"))
