# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import threading

import pytest
from ansible_collections.mycat.ha.plugins.module_utils.host.background import in_background
from lab.bounds import LATE


def test_calls_run_side_by_side() -> None:
    together = threading.Barrier(5)
    waiting = [in_background(lambda: together.wait(LATE)) for _ in range(5)]
    assert sorted(wait() for wait in waiting) == [0, 1, 2, 3, 4]


def test_what_a_call_raises_is_raised_where_its_result_is_wanted() -> None:
    def fail() -> int:
        raise LookupError("x")

    wait = in_background(fail)
    with pytest.raises(LookupError, match="x"):
        wait()
