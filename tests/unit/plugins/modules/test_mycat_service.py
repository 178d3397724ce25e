# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which changed files a MyCat takes over while it runs."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.mycat.ha.plugins.module_utils.host import snapshot
from ansible_collections.mycat.ha.plugins.modules import mycat_service
from lab.mycat_archive import SCHEMA_XML


@pytest.fixture
def took_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Changes a file since the snapshot; says whether MyCat took it over, and what it was asked."""
    kept = tmp_path / "snapshot"
    monkeypatch.setattr(mycat_service.snapshot, "FOLDER", str(kept))
    asked: list[tuple[int, str]] = []
    monkeypatch.setattr(
        mycat_service.mycat, "reload_config", lambda *given: not asked.append(given)
    )

    def change(name: str, old: str, new: str, with_snapshot: bool = True):
        path = tmp_path / name
        path.write_text(SCHEMA_XML)
        if with_snapshot:
            snapshot.save(str(kept), snapshot.take([str(path)]))
        path.write_text(SCHEMA_XML.replace(old, new))
        params = {"changed": [str(path)], "manager_port": 9066, "credentials_file": "/c"}
        return mycat_service.takes_over(params), asked

    return change


def test_a_schema_is_taken_over(took_over) -> None:
    assert took_over("schema.xml", 'schema name="TESTDB"', 'schema name="OTHER"') == (
        True,
        [(9066, "/c")],
    )


@pytest.mark.parametrize(
    ("name", "old", "new", "with_snapshot"),
    [
        ("schema.xml", "127.0.0.1", "192.0.2.1", True),
        ("wrapper.conf", "TESTDB", "OTHER", True),
        ("schema.xml", 'schema name="TESTDB"', 'schema name="OTHER"', False),
    ],
    ids=["data host", "another file", "no snapshot"],
)
def test_for_what_else_mycat_is_not_even_asked(took_over, name, old, new, with_snapshot) -> None:
    assert took_over(name, old, new, with_snapshot) == (False, [])
