# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module as Ansible runs it, on a directory of its own."""

from __future__ import annotations

import contextlib
import grp
import io
import json
import os
import pwd
import stat
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from ansible_collections.mycat.ha.plugins.module_utils.host import files as host_files
from ansible_collections.mycat.ha.plugins.modules import files
from lab.module import patch_module_args

OWN = {
    "owner": pwd.getpwuid(os.geteuid()).pw_name,
    "group": grp.getgrgid(os.getegid()).gr_name,
}
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")


def entry(path: Path, content: str | None = "text\n", **options: Any) -> dict[str, Any]:
    made = {"path": str(path), "mode": "0644", **OWN, **options}
    return made if content is None else {**made, "content": content}


def folder(path: Path, **options: Any) -> dict[str, Any]:
    return entry(path, None, **{"directory": True, "mode": "0755", **options})


def run(*entries: dict[str, Any], absent: list[Path] = [], **options: Any) -> dict[str, Any]:  # noqa: B006
    arguments = {"files": list(entries), "absent": [str(path) for path in absent], **options}
    said = io.StringIO()
    streams = contextlib.redirect_stdout(said)
    with patch_module_args(arguments), streams, pytest.raises(SystemExit):
        files.main()
    return json.loads(said.getvalue())


def mode(path: Path) -> str:
    return f"{stat.S_IMODE(path.stat().st_mode):04o}"


def leftovers(directory: Path) -> list[Path]:
    return list(directory.glob(".mycat_ha*"))


def test_files_and_folders_are_made_in_order(tmp_path: Path) -> None:
    inner = tmp_path / "a" / "b"
    entries = [
        folder(tmp_path / "a"),
        folder(inner, mode="0700"),
        entry(inner / "f", "näïve\n", mode="0600"),
    ]
    result = run(*entries)
    assert result["changed"] is True
    assert result["changed_paths"] == [str(tmp_path / "a"), str(inner), str(inner / "f")]
    assert (inner / "f").read_text() == "näïve\n"
    assert (mode(inner), mode(inner / "f")) == ("0700", "0600")
    assert not leftovers(inner)
    again = run(*entries)
    assert (again["changed"], again["changed_paths"]) == (False, [])


def kept(path: Path) -> tuple[int, ...]:
    """Return what only a change changes; reading alone makes another time of access."""
    found = path.stat()
    return found.st_ino, found.st_mode, found.st_mtime_ns, found.st_ctime_ns


def test_an_unchanged_file_is_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "f"
    run(entry(path))
    before = kept(path)
    tmp_path.chmod(0o555)
    assert run(entry(path))["changed"] is False
    assert kept(path) == before


@pytest.mark.parametrize("was", ["other text\n", "longer than the new one\n" * 9, ""])
def test_a_file_that_differs_is_replaced(tmp_path: Path, was: str) -> None:
    path = tmp_path / "f"
    path.write_text(was)
    reader = path.open()
    result = run(entry(path))
    assert result["changed_paths"] == [str(path)]
    assert path.read_text() == "text\n"
    assert reader.read() == was, "a reader keeps the file that it opened"


def test_a_mode_alone_is_a_change(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_text("text\n")
    path.chmod(0o666)
    result = run(entry(path, mode="0640"), _ansible_diff=True)
    assert mode(path) == "0640"
    (shown,) = result["diff"]
    assert shown["before"].startswith("0666 ")
    assert shown["after"].startswith("0640 ")
    made = tmp_path / "d"
    made.mkdir(mode=0o700)
    assert run(folder(made, mode="1755"))["changed_paths"] == [str(made)]
    assert mode(made) == "1755"


@needs_root
def test_an_owner_alone_is_a_change_and_keeps_the_mode(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_text("text\n")
    assert run(entry(path, owner="1234", group="daemon", mode="4755"))["changed"] is True
    found = path.stat()
    assert (found.st_uid, found.st_gid) == (1234, grp.getgrnam("daemon").gr_gid)
    assert mode(path) == "4755"


def test_nobody_can_read_a_new_file_before_it_has_its_mode(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def watched(descriptor: int, uid: int, gid: int) -> None:
        found = os.fstat(descriptor)
        seen.append((stat.S_IMODE(found.st_mode), found.st_size))

    monkeypatch.setattr(host_files.os, "fchown", watched)
    run(entry(tmp_path / "f", "secret\n", mode="0644", secret=True))
    assert seen == [(0o600, 0)]


def test_what_fails_leaves_no_temporary_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    path = tmp_path / "f"
    path.write_text("former\n")
    monkeypatch.setattr(host_files.os, "fsync", full)
    result = run(entry(tmp_path / "g", "g"), entry(path))
    assert result["failed"] is True
    assert result["msg"] == f"{tmp_path / 'g'} cannot be written: No space left on device"
    assert path.read_text() == "former\n"
    assert not leftovers(tmp_path)


def test_a_failure_names_what_was_done_before(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    result = run(entry(tmp_path / "f"), entry(tmp_path / "d"))
    assert result["msg"] == (
        f"{tmp_path / 'd'} is a directory, but should be a file; move it away first"
    )
    assert (result["changed"], result["changed_paths"]) == (True, [str(tmp_path / "f")])


# --- links and other people's folders -------------------------------------------------------------


def test_a_link_is_replaced_and_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("text\n")
    victim.chmod(0o600)
    path = tmp_path / "f"
    path.symlink_to(victim)
    assert run(entry(path, mode="0666"))["changed"] is True
    assert not path.is_symlink()
    assert (victim.read_text(), mode(victim)) == ("text\n", "0600")


def test_a_link_is_no_directory(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "d").symlink_to("real")
    assert "is a link, but should be a directory" in run(folder(tmp_path / "d"))["msg"]


def test_a_folder_behind_a_link_of_roots_is_used(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "relative").symlink_to("real/../real")
    (tmp_path / "absolute").symlink_to(tmp_path / "relative")
    run(entry(tmp_path / "absolute" / "f"))
    assert (tmp_path / "real" / "f").read_text() == "text\n"


def test_links_in_a_circle_end(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    (tmp_path / "c").symlink_to("..")
    monkey = tmp_path / "a" / "f"
    result = run(entry(monkey))
    assert "too many symbolic links" in result["msg"]


@needs_root
@pytest.mark.parametrize("how", ["folder", "link", "deep"])
def test_a_folder_that_another_user_can_exchange_is_refused(tmp_path: Path, how: str) -> None:
    real = tmp_path / "real"
    real.mkdir()
    path = real / "f"
    if how == "folder":
        os.chown(real, 1234, 0)
    elif how == "link":
        link = tmp_path / "link"
        link.symlink_to(real)
        os.lchown(link, 1234, 0)
        path = link / "f"
    else:
        os.chown(real, 1234, 0)
        (real / "inner").mkdir()
        path = real / "inner" / "f"
    (real / "f").write_text("former\n")
    refused = [run(entry(path)), run(entry(path), _ansible_check_mode=True)]
    if how != "folder":
        refused.append(run(absent=[path]))
    for result in refused:
        assert "belongs to the user with the id 1234" in result["msg"]
    assert (real / "f").read_text() == "former\n"


@needs_root
@pytest.mark.parametrize(("group", "trusted"), [(1234, False), (0, True)])
def test_a_folder_that_a_group_can_write_to_is_refused(
    tmp_path: Path, group: int, trusted: bool
) -> None:
    os.chown(tmp_path, 0, group)
    tmp_path.chmod(0o2775)
    result = run(entry(tmp_path / "f"))
    assert bool(result.get("changed")) is trusted
    if not trusted:
        assert "the group 1234 can write to" in result["msg"]


@needs_root
def test_a_file_to_keep_gets_a_mode_and_a_group_alone(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_text("of the operator")
    os.chown(path, 1234, 0)
    wanted = {"path": str(path), "keep": True, "mode": "0640", "group": "1235"}
    assert run(wanted, _ansible_check_mode=True)["changed_paths"] == [str(path)]
    assert path.stat().st_gid == 0
    assert run(wanted)["changed_paths"] == [str(path)]
    found = path.stat()
    assert (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == (1234, 1235, 0o640)
    assert path.read_text() == "of the operator"
    assert run(wanted)["changed"] is False


@pytest.mark.parametrize("how", ["link", "absent", "directory"])
def test_what_is_no_file_is_not_kept(tmp_path: Path, how: str) -> None:
    path, other = tmp_path / "f", tmp_path / "other"
    other.write_text("x")
    other.chmod(0o600)
    if how == "link":
        path.symlink_to(other)
    elif how == "directory":
        path.mkdir()
    group = str(os.getegid())
    result = run({"path": str(path), "keep": True, "mode": "0644", "group": group})
    assert f"{path} is not a file" in result["msg"]
    assert stat.S_IMODE(other.stat().st_mode) == 0o600


@needs_root
def test_what_another_user_could_remove_is_removed(tmp_path: Path) -> None:
    foreign, secret = tmp_path / "foreign", tmp_path / "secret"
    foreign.mkdir()
    secret.write_text("x")
    for name in ("file", "link"):
        path = foreign / name
        path.symlink_to(secret) if name == "link" else path.write_text("x")
        os.chown(foreign, 1234, 1234)
        foreign.chmod(0o2775)
        assert run(absent=[path])["changed_paths"] == [str(path)]
    assert list(foreign.iterdir()) == []
    assert secret.exists()


def test_a_folder_that_everybody_can_write_to_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    assert "every user can write to" in run(entry(tmp_path / "f"))["msg"]
    tmp_path.chmod(0o1777)
    assert run(entry(tmp_path / "f"))["changed"] is True


def test_a_pipe_in_the_way_holds_nobody(tmp_path: Path) -> None:
    path = tmp_path / "f"
    os.mkfifo(path)
    assert "is neither a file nor a directory" in run(entry(path))["msg"]
    assert "remove it by hand" in run(absent=[path])["msg"]


def test_a_file_that_becomes_a_pipe_while_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "f"
    path.write_text("text\n")
    lstat = os.lstat

    def racing(name: str, **options: Any) -> os.stat_result:
        found = lstat(name, **options)
        path.unlink()
        os.mkfifo(path)
        return found

    with host_files.Place(str(path)) as place:
        monkeypatch.setattr(host_files.os, "lstat", racing)
        found = place.read(100)
    assert (found.kind, found.data) == ("other", None)


def test_a_file_that_becomes_a_link_while_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "f"
    path.write_text("text\n")
    lstat = os.lstat

    def racing(name: str, **options: Any) -> os.stat_result:
        found = lstat(name, **options)
        path.unlink()
        path.symlink_to("/etc/passwd")
        return found

    monkeypatch.setattr(host_files.os, "lstat", racing)
    assert "cannot be read" in run(entry(path))["msg"]


# --- removing -------------------------------------------------------------------------------------


def test_what_is_retired_goes(tmp_path: Path) -> None:
    inner = tmp_path / "d"
    inner.mkdir()
    (inner / "f").write_text("x")
    target = tmp_path / "target"
    target.write_text("x")
    (inner / "link").symlink_to(target)
    wanted = [inner / "f", inner / "link", inner, tmp_path / "none", tmp_path / "no" / "folder"]
    check = run(absent=wanted, _ansible_check_mode=True)
    assert (inner / "f").exists()
    result = run(absent=wanted, _ansible_diff=True)
    assert result["changed_paths"] == check["changed_paths"] == list(map(str, wanted[:3]))
    assert [one["before"] for one in result["diff"]] == ["(file)\n", "(link)\n", "(directory)\n"]
    assert not inner.exists()
    assert target.exists()
    assert run(absent=wanted)["changed"] is False


def test_what_python_compiled_goes_with_its_source(tmp_path: Path) -> None:
    cache = tmp_path / "__pycache__"
    cache.mkdir()
    for name in ("old.cpython-39.pyc", "old.cpython-311.pyc", "older.cpython-311.pyc"):
        (cache / name).write_text("x")
    source = tmp_path / "old.py"
    source.write_text("x")
    compiled = [cache / "old.cpython-311.pyc", cache / "old.cpython-39.pyc"]
    check = run(absent=[source], _ansible_check_mode=True)
    assert run(absent=[source])["changed_paths"] == check["changed_paths"]
    assert check["changed_paths"] == list(map(str, [*compiled, source]))
    assert [path.name for path in cache.iterdir()] == ["older.cpython-311.pyc"]
    assert run(absent=[source])["changed"] is False


@pytest.mark.parametrize("check_mode", [False, True])
def test_a_directory_with_something_in_it_stays(tmp_path: Path, check_mode: bool) -> None:
    inner = tmp_path / "d"
    inner.mkdir()
    (inner / "f").write_text("x")
    result = run(absent=[inner], _ansible_check_mode=check_mode)
    assert result["msg"] == f"{inner} is a directory with something in it; remove that first"
    assert (inner / "f").exists()


# --- check mode and diff --------------------------------------------------------------------------


def test_check_mode_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_text("former\n")
    before = kept(path)
    entries = [
        entry(path),
        folder(tmp_path / "d"),
        entry(tmp_path / "d" / "f"),
        entry(tmp_path / "g", group="not-yet-there"),
    ]
    result = run(*entries, _ansible_check_mode=True, _ansible_diff=True)
    assert result["changed_paths"] == [one["path"] for one in entries]
    assert len(result["diff"]) == 4
    assert kept(path) == before
    assert list(tmp_path.iterdir()) == [path]


def test_an_owner_that_comes_later_is_a_change_in_check_mode(tmp_path: Path) -> None:
    path = tmp_path / "f"
    run(entry(path))
    wanted = entry(path, group="not-yet-there")
    result = run(wanted, _ansible_check_mode=True, _ansible_diff=True)
    assert result["diff"][0]["after"] == "owner or group is missing still\n"
    assert run(wanted)["msg"] == "group: this host has no group not-yet-there"


def test_a_diff_for_each_file(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_text("former\n")
    unchanged = tmp_path / "u"
    unchanged.write_text("text\n")
    result = run(entry(path), entry(unchanged), entry(tmp_path / "n"), _ansible_diff=True)
    first, second = result["diff"]
    assert (first["before"], first["after"]) == ("former\n", "text\n")
    assert first["before_header"].startswith(f"{path} (0644 ")
    assert (second["before"], second["after"]) == ("", "text\n")
    assert "diff" not in run(entry(path, "other"))


def test_a_secret_is_nowhere_in_the_answer(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_text("s3cret\n")
    result = run(entry(path, "s3cret, new\n", secret=True), _ansible_diff=True)
    assert "s3cret" not in json.dumps(result)
    (shown,) = result["diff"]
    assert (shown["before"], shown["after"]) == ("********\n", "******** (new)\n")


def test_content_is_not_echoed_and_hides_nothing_else(tmp_path: Path) -> None:
    name = str(tmp_path / "f")
    result = run(entry(tmp_path / "f", name), entry(tmp_path / "g", "a long text"))
    assert "a long text" not in json.dumps(result)
    assert result["changed_paths"][0] == name


def test_what_cannot_be_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MOST_SHOWN", 1000)
    binary, huge = tmp_path / "binary", tmp_path / "huge"
    binary.write_bytes(b"\0\xff\n")
    with huge.open("wb") as file:
        file.truncate(2**40)
    result = run(entry(binary), entry(huge), _ansible_diff=True)
    assert result["diff"][0]["dst_binary"] == str(binary)
    assert result["diff"][1]["dst_larger"] == 1000
    assert huge.read_text() == "text\n"


def test_bytes_that_are_no_text_come_through(tmp_path: Path) -> None:
    # Given by hand: where controller code is loaded as well, ansible-core refuses such arguments.
    params = {"files": [entry(tmp_path / "f", "caf\udce9\n")]}
    module = SimpleNamespace(params=params, no_log_values=set())
    assert files.taken_contents(module) == [b"caf\xe9\n"]


# --- options --------------------------------------------------------------------------------------


def test_wrong_options_are_all_said_before_anything_is_done(tmp_path: Path) -> None:
    path = tmp_path / "f"
    result = run(
        entry(path, mode=420),
        entry(tmp_path / "g", mode="644"),
        entry(tmp_path / "h", directory=True),
        entry(tmp_path / "i", None),
        absent=[path],
    )
    assert result["msg"].split("; ") == [
        'files[0].mode: write four octal digits in quotes, such as "0644" (is 420)',
        "files[1].mode: write four octal digits in quotes, such as \"0644\" (is '644')",
        "files[2].content: a directory has none, leave it out",
        "files[3].content: is missing",
        f"{path}: is named twice",
    ]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("path", ["relative", "/", "/tmp/..", "/tmp/."])  # noqa: S108
def test_a_path_that_names_no_file(path: str) -> None:
    assert "is not the absolute path of a file" in run({**entry(Path("x")), "path": path})["msg"]


def test_a_folder_that_is_missing(tmp_path: Path) -> None:
    result = run(entry(tmp_path / "none" / "f"))
    assert result["msg"] == (
        f"the folder {tmp_path / 'none'} cannot be used: No such file or directory"
    )
    (tmp_path / "file").write_text("")
    assert "file is not a folder" in run(entry(tmp_path / "file" / "f"))["msg"]


def described(options: dict[str, Any]) -> dict[str, Any]:
    """The argument spec that the documentation describes."""
    spec = {}
    for name, option in options.items():
        kept = {key: value for key, value in option.items() if key != "description"}
        if "suboptions" in kept:
            kept["options"] = described(kept.pop("suboptions"))
        spec[name] = kept
    return spec


def test_no_content_is_logged_on_the_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ansible hides a text that is an option's value, but not as repr() writes it into the log."""
    logged: list[str] = []
    monkeypatch.setattr(
        files.AnsibleModule, "log", lambda _self, message, **_options: logged.append(message)
    )
    run(entry(tmp_path / "f", '{"password": "s3cret"}\n', secret=True))
    assert "Invoked with" in logged[0]
    assert "s3cret" not in "".join(logged)


def test_the_documentation_describes_the_options() -> None:
    spec = files.argument_spec()
    del spec["files"]["no_log"]
    assert described(yaml.safe_load(files.DOCUMENTATION)["options"]) == spec


@pytest.mark.parametrize("check_mode", [False, True])
def test_a_folder_goes_where_nothing_of_others_is_in_it(tmp_path: Path, check_mode: bool) -> None:
    ours, shared = tmp_path / "ours", tmp_path / "shared"
    for directory in (ours, shared):
        directory.mkdir()
        (directory / "own").write_text("", encoding="utf-8")
    (shared / "theirs").write_text("", encoding="utf-8")
    absent = [ours / "own", shared / "own"]
    result = run(
        absent=absent,
        absent_if_empty=[str(ours), str(shared), str(tmp_path / "missing")],
        _ansible_check_mode=check_mode,
    )
    assert result["changed_paths"] == [*map(str, absent), str(ours)]
    assert ours.exists() is check_mode
    assert (shared / "theirs").exists()
