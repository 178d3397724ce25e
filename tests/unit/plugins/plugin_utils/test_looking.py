# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import multiprocessing
import os
import time
from typing import Any

import pytest
from ansible_collections.mycat.ha.plugins.plugin_utils import looking
from lab.bounds import LATE


def test_hosts_are_asked_at_once_and_told_apart() -> None:
    meeting = multiprocessing.get_context("fork").Barrier(3)

    def ask(host: str) -> Any:
        meeting.wait(LATE * 6)
        return {"files": host}

    hosts = ["lb1", "lb2", "mycat1"]
    assert dict(looking._each(ask, hosts)) == {host: {"files": host} for host in hosts}


@pytest.mark.thorough
def test_one_that_dies_and_one_that_hangs_have_no_state(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looking, "PATIENCE", 3.0)
    pids = multiprocessing.get_context("fork").Array("i", 1)

    def ask(host: str) -> Any:
        if host == "dies":
            os._exit(3)
        pids[0] = os.getpid()
        time.sleep(3600)

    began = time.monotonic()
    assert dict(looking._each(ask, ["dies", "hangs"])) == {"dies": None, "hangs": None}
    assert time.monotonic() - began < 3 + LATE * 6
    with pytest.raises(ProcessLookupError):
        os.kill(pids[0], 0)


def test_no_more_at_once_than_forks() -> None:
    assert list(looking._groups(["a", "b", "c"], 2)) == [["a", "b"], ["c"]]
