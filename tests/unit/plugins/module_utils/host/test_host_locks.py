# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.mycat.ha.plugins.module_utils.host import locks
from ansible_collections.mycat.ha.plugins.module_utils.host.locks import is_locked, lock


def test_one_at_a_time_has_the_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "PATIENCE", 0.02)
    path = tmp_path / "lock"
    assert not is_locked(str(path))
    path.write_text("")
    with path.open() as first, path.open() as second:
        assert lock(first.fileno())
        assert is_locked(str(path))
        assert not lock(second.fileno())
    assert not is_locked(str(path))
