# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module as Ansible runs it, on a directory of its own."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.mycat.ha.plugins.modules import former_file
from lab.module import patch_module_args

OURS, THEIRS = "# mycat_ha\n", "# theirs\n"


def run(dest: Path, **options: Any) -> dict[str, Any]:
    said = io.StringIO()
    arguments = {"dest": str(dest), "ours": "mycat_ha", **options}
    streams = contextlib.redirect_stdout(said)
    with patch_module_args(arguments), streams, pytest.raises(SystemExit):
        former_file.main()
    return json.loads(said.getvalue())


def test_the_file_from_before_comes_back_with_its_mode(tmp_path: Path) -> None:
    dest = tmp_path / "a.cfg"
    first, second = (tmp_path / f"a.cfg.7.2026-11-26@03:00:0{n}~" for n in (0, 1))
    dest.write_text(OURS, encoding="utf-8")
    first.write_text(THEIRS, encoding="utf-8")
    first.chmod(0o640)
    second.write_text(OURS, encoding="utf-8")
    check = run(dest, _ansible_check_mode=True, _ansible_diff=True)
    assert check["diff"]["before"] == f"{first}\n{second}\n"
    assert dest.read_text(encoding="utf-8") == OURS
    result = run(dest)
    assert (result["restored"], result["removed"]) == (str(first), [str(second)])
    assert check["changed"] is result["changed"] is True
    assert [path.name for path in tmp_path.iterdir()] == ["a.cfg"]
    assert dest.read_text(encoding="utf-8") == THEIRS
    assert dest.stat().st_mode & 0o777 == 0o640
    assert run(dest) == {**run(dest), "changed": False, "foreign": True}


def test_where_nothing_stood_the_file_goes(tmp_path: Path) -> None:
    dest = tmp_path / "a.cfg"
    dest.write_text(OURS, encoding="utf-8")
    assert run(dest)["removed"] == [str(dest)]
    assert list(tmp_path.iterdir()) == []
    assert run(dest)["changed"] is False
    assert run(tmp_path / "missing" / "a.cfg")["changed"] is False
