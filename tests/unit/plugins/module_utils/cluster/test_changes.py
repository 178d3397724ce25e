"""What a run would change on a host, and in which order the hosts of clusters change."""

from __future__ import annotations

import pytest
from ansible_collections.mycat.ha.plugins.module_utils.cluster.changes import (
    digest,
    file_changes,
    gone,
    missing,
    unit_changes,
)

ENTRY = {"path": "/etc/a", "content": "text\n", "mode": "0644", "owner": "root", "group": "root"}
AS_IT_IS = {
    "kind": "file",
    "sha256": digest("text\n"),
    "mode": "0644",
    "owner": "root",
    "group": "root",
}
FOLDER = {"path": "/etc/d", "directory": True, "mode": "0755", "owner": "root", "group": "root"}


def test_a_file_as_it_shall_be_is_no_change() -> None:
    assert list(file_changes([ENTRY], ["/etc/b"], {"/etc/a": AS_IT_IS})) == []


@pytest.mark.parametrize(
    "found",
    [
        {**AS_IT_IS, "sha256": digest("other")},
        {**AS_IT_IS, "mode": "0600"},
        {**AS_IT_IS, "owner": "nobody"},
        {**AS_IT_IS, "group": "nogroup"},
        {**AS_IT_IS, "kind": "link"},
        {"kind": "absent", "sha256": None, "mode": None, "owner": None, "group": None},
    ],
)
def test_whatever_differs_is_a_change(found: dict) -> None:
    assert list(file_changes([ENTRY], [], {"/etc/a": found})) == ["/etc/a"]


def test_a_folder_is_compared_by_its_kind_and_rights() -> None:
    folder = {"kind": "directory", "sha256": None, "mode": "0755", "owner": "root", "group": "root"}
    assert list(file_changes([FOLDER], [], {"/etc/d": folder})) == []
    assert list(file_changes([FOLDER], [], {"/etc/d": {**folder, "mode": "0700"}})) == ["/etc/d"]


def test_what_must_not_be_there_is_a_change() -> None:
    assert list(file_changes([], ["/etc/a"], {"/etc/a": AS_IT_IS})) == ["/etc/a"]


def test_of_a_path_that_nobody_looked_at_nothing_is_said() -> None:
    assert list(file_changes([ENTRY], ["/etc/b"], {})) == []


@pytest.mark.parametrize(
    ("unit", "said"),
    [
        ({"active": "active", "enabled": "enabled"}, []),
        ({"active": "reloading", "enabled": "generated"}, []),
        ({"active": "failed", "enabled": "enabled"}, ["x does not run"]),
        ({"active": "active", "enabled": "disabled"}, ["x does not start at boot"]),
        (None, ["x does not run"]),
    ],
)
def test_units(unit: dict | None, said: list) -> None:
    assert list(unit_changes(["x"], {"x": unit} if unit else {})) == said


def test_missing_and_gone() -> None:
    assert missing(["a", "b", "c"], {"a": "1.0", "b": None}) == ["b", "c"]
    assert gone(["/a", "/b"], {"/a": AS_IT_IS}) == ["/b"]
