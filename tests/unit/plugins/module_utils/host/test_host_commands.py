# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import time

import pytest
from ansible_collections.mycat.ha.plugins.module_utils.host import commands
from lab.bounds import LATE


def test_a_command_runs_in_the_locale_c(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    said = commands.run(["sh", "-c", "echo $LC_ALL; cat; printf '\\377' >&2; exit 3"])
    assert said == (3, "C\n", "\ufffd")


def test_a_command_that_hangs_or_is_missing() -> None:
    start = time.monotonic()
    with pytest.raises(commands.CommandError, match=r"sleep did not end within 0\.2 s"):
        commands.run(["sleep", "30"], seconds=0.2)
    assert time.monotonic() - start < LATE
    with pytest.raises(commands.CommandError, match="cannot be run: No such file"):
        commands.run(["/none"])


def test_roots_programs_are_found_without_a_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert commands.find("ldconfig") in ("/usr/sbin/ldconfig", "/sbin/ldconfig")
    assert commands.find("no-such-program") is None
