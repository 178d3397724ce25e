# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module as Ansible runs it, on a directory of its own."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import stat
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.mycat.ha.plugins.module_utils.host import files as host_files
from ansible_collections.mycat.ha.plugins.modules import snapshot
from lab.module import patch_module_args

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")


class Host:
    """A directory with managed files in it, and one for snapshots."""

    def __init__(self, directory: Path) -> None:
        self.etc = directory / "etc"
        self.etc.mkdir()
        self.kept = directory / "lib" / "mycat_ha" / "snapshot"

    def run(self, state: str, *paths: Path, **options: Any) -> dict[str, Any]:
        arguments = {"state": state, "directory": str(self.kept), **options}
        if paths:
            arguments["paths"] = [str(path) for path in paths]
        said = io.StringIO()
        streams = contextlib.redirect_stdout(said)
        with patch_module_args(arguments), streams, pytest.raises(SystemExit):
            snapshot.main()
        return json.loads(said.getvalue())

    def tree(self) -> dict[str, Any]:
        """Everything in the directory, so that two states of it can be compared."""
        return {str(path): self._described(path) for path in self.etc.rglob("*")}

    @staticmethod
    def _described(path: Path) -> Any:
        found = path.lstat()
        if path.is_symlink():
            return os.readlink(path)
        data = path.read_bytes() if path.is_file() else None
        return found.st_mode, found.st_uid, found.st_gid, data


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def test_a_round_trip(host: Host) -> None:
    config, binary, link, folder = (host.etc / name for name in ("c", "b", "l", "d"))
    new, new_folder, retyped = host.etc / "n", host.etc / "e", host.etc / "t"
    config.write_text("former\n")
    config.chmod(0o640)
    binary.write_bytes(b"\0\xff\n")
    link.symlink_to("c")
    folder.mkdir(mode=0o750)
    (folder / "f").write_text("in a directory\n")
    retyped.mkdir()
    paths = [config, binary, link, folder, folder / "f", new, new_folder, new_folder / "f", retyped]
    before = host.tree()
    assert host.run("saved", *paths)["changed"] is True

    config.write_text("changed\n")
    config.chmod(0o666)
    binary.unlink()
    link.unlink()
    link.write_text("a file now\n")
    shutil.rmtree(folder)
    new.write_text("new\n")
    new_folder.mkdir()
    (new_folder / "f").write_text("new\n")
    retyped.rmdir()
    retyped.write_text("a file now\n")
    changed = host.tree()

    check = host.run("restored", _ansible_check_mode=True)
    assert host.tree() == changed
    result = host.run("restored")
    assert host.tree() == before
    assert sorted(result["restored"]) == sorted(map(str, paths))
    assert result["restored"] == check["restored"]
    again = host.run("restored")
    assert (again["changed"], again["restored"]) == (False, [])


def test_a_directory_in_the_place_of_a_file(host: Host) -> None:
    path = host.etc / "f"
    path.write_text("former\n")
    host.run("saved", path)
    path.unlink()
    path.mkdir()
    assert host.run("restored")["restored"] == [str(path)]
    assert path.read_text() == "former\n"


@needs_root
def test_owner_and_special_bits_come_back(host: Host) -> None:
    path = host.etc / "f"
    path.write_text("x")
    os.chown(path, 1234, 1235)
    path.chmod(0o6711)
    before = host.tree()
    host.run("saved", path)
    os.chown(path, 0, 0)
    assert host.run("restored")["changed"] is True
    assert host.tree() == before


def test_some_of_them(host: Host) -> None:
    first, second = host.etc / "1", host.etc / "2"
    for path in (first, second):
        path.write_text("former\n")
    host.run("saved", first, second)
    for path in (first, second):
        path.write_text("changed\n")
    assert host.run("restored", first)["restored"] == [str(first)]
    assert second.read_text() == "changed\n"
    other = host.etc / "3"
    result = host.run("restored", other)
    assert result["msg"] == f"the snapshot in {host.kept} does not have {other}"


def test_the_second_replaces_the_first(host: Host) -> None:
    path, other = host.etc / "f", host.etc / "g"
    path.write_text("1")
    assert host.run("saved", path, other)["changed"] is True
    assert host.run("saved", path, other)["changed"] is False
    path.write_text("2")
    assert host.run("saved", path, _ansible_check_mode=True)["changed"] is True
    assert host.run("saved", path)["changed"] is True
    path.write_text("3")
    assert host.run("restored")["restored"] == [str(path)]
    assert path.read_text() == "2"


def test_a_run_that_is_killed_leaves_the_former_one(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = host.etc / "f"
    path.write_text("1")
    host.run("saved", path)
    path.write_text("2")

    class Killed(BaseException):
        pass

    def kill(*_given: Any, **_named: Any) -> None:
        raise Killed

    taken = snapshot.snapshot.take([str(path)])
    with monkeypatch.context() as patch:
        patch.setattr(host_files.os, "rename", kill)
        patch.setattr(host_files.os, "unlink", kill)
        with pytest.raises(Killed):
            snapshot.snapshot.save(str(host.kept), taken)
    host.run("restored")
    assert path.read_text() == "1"


def test_only_its_owner_looks_into_a_snapshot(host: Host) -> None:
    path = host.etc / "f"
    path.write_text("s3cret")
    host.kept.parent.mkdir(parents=True)
    host.kept.mkdir(mode=0o755)
    result = host.run("saved", path)
    assert "s3cret" not in json.dumps(result)
    assert stat.S_IMODE(host.kept.stat().st_mode) == 0o700
    (kept,) = host.kept.iterdir()
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600


def test_check_mode_keeps_nothing(host: Host) -> None:
    assert host.run("saved", host.etc / "f", _ansible_check_mode=True)["changed"] is True
    assert not host.kept.parent.exists()


def test_what_cannot_be_put_back_keeps_no_other(host: Host) -> None:
    full, other = host.etc / "a", host.etc / "b"
    other.write_text("former\n")
    host.run("saved", full, other)
    full.mkdir()
    (full / "not kept").write_text("x")
    other.write_text("changed\n")
    result = host.run("restored")
    assert result["msg"] == (
        f"not everything was put back: {full} cannot be removed: Directory not empty"
    )
    assert (result["changed"], result["restored"]) == (True, [str(other)])
    assert other.read_text() == "former\n"


def test_a_file_whose_folder_went_away(host: Host) -> None:
    path, never = host.etc / "d" / "f", host.etc / "none" / "f"
    path.parent.mkdir()
    path.write_text("former\n")
    host.run("saved", path, never)
    shutil.rmtree(path.parent)
    result = host.run("restored")
    assert "d cannot be used: No such file or directory" in result["msg"]
    assert result["restored"] == []


@pytest.mark.parametrize("kind", ["pipe", "huge"])
def test_what_is_not_kept(host: Host, kind: str) -> None:
    path = host.etc / "f"
    if kind == "pipe":
        os.mkfifo(path)
    else:
        with path.open("wb") as file:
            file.truncate(2**40)
    assert host.run("saved", path)["msg"].startswith(f"{path} is ")
    assert not host.kept.exists()


@needs_root
def test_somebody_elses_folder_is_refused(host: Host) -> None:
    path = host.etc / "f"
    path.write_text("former\n")
    host.run("saved", path)
    path.write_text("changed\n")
    os.chown(host.etc, 1234, 0)
    assert "belongs to the user with the id 1234" in host.run("saved", path)["msg"]
    assert "belongs to the user with the id 1234" in host.run("restored")["msg"]
    assert path.read_text() == "changed\n"


@needs_root
def test_somebody_elses_snapshot_is_not_believed(host: Host) -> None:
    path = host.etc / "f"
    host.run("saved", path)
    os.chown(host.kept, 1234, 0)
    assert "belongs to the user with the id 1234" in host.run("restored")["msg"]


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"schema": 2, "paths": {}}', '{"schema": 1, "paths": {"/f": {}}}', "\udcff"],
)
def test_what_is_no_snapshot(host: Host, text: str) -> None:
    assert host.run("restored")["msg"] == f"there is no snapshot in {host.kept}; save one first"
    host.kept.mkdir(parents=True)
    (host.kept / "snapshot.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    assert "is no snapshot of this version" in host.run("restored")["msg"]


def test_a_link_in_the_place_of_the_snapshot(host: Host) -> None:
    host.kept.parent.mkdir(parents=True)
    host.kept.symlink_to(host.etc)
    result = host.run("saved", host.etc / "f")
    assert "cannot be made a directory" in result["msg"]
    assert not list(host.etc.iterdir())


def test_paths_are_needed_to_save(host: Host) -> None:
    assert "paths" in host.run("saved")["msg"]


def test_the_documentation_describes_the_options() -> None:
    options = yaml.safe_load(snapshot.DOCUMENTATION)["options"]
    described = {
        name: {key: value for key, value in option.items() if key != "description"}
        for name, option in options.items()
    }
    assert described == snapshot.argument_spec()
