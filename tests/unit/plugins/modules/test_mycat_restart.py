# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One MyCat's turn, on a host whose MyCat a test plays."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.mycat.ha.plugins.module_utils.host import (
    draining,
    endpoint,
    locks,
    restart,
)
from ansible_collections.mycat.ha.plugins.module_utils.host.locks import is_locked
from ansible_collections.mycat.ha.plugins.module_utils.host.mycat import MyCat, MyCatError
from ansible_collections.mycat.ha.plugins.module_utils.host.restart import Note, TurnError
from ansible_collections.mycat.ha.plugins.modules import mycat_restart

Ask = Callable[..., dict[str, Any]]


class Stage:
    """A MyCat that is up, until it is stopped; ``comes_up``: whether it starts."""

    def __init__(self) -> None:
        self.pid: int | None = 7
        self.uid, self.unit, self.pid_file = 1000, "mycat.service", "/nowhere"
        self.comes_up, self.events = True, list[str]()

    def stop(self, seconds: float) -> bool:
        self.pid = None
        self.events.append(f"stop {restart.read().state}")  # type: ignore[union-attr]
        return seconds < 1

    def start(self, _seconds: float, uid: int | None, _ready: Any) -> None:
        self.events.append(f"start {uid}")
        if not self.comes_up:
            raise MyCatError("MyCat is not ready")
        self.pid = 8


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stage:
    found = Stage()
    for name, file in {"FILE": "restart.json", "LOCK": "lock"}.items():
        monkeypatch.setattr(restart, name, str(tmp_path / file))
    monkeypatch.setattr(draining, "FILE", str(tmp_path / "drain"))
    monkeypatch.setattr(restart, "FOLDER", str(tmp_path))
    monkeypatch.setattr(mycat_restart, "mycat_of", lambda _params, _unit: found)
    monkeypatch.setattr(endpoint, "is_ready", lambda _port: found.pid is not None)
    return found


@pytest.fixture
def ask(stage: Stage) -> Ask:
    def call(state: str, check_mode: bool = False, **more: Any) -> dict[str, Any]:
        params = {
            "state": state,
            "run": "1",
            "by": "us",
            "lease": 30.0,
            "force": False,
            "home": "/nowhere",
            "pid_file": None,
            "unit": "",
            "endpoint_port": 1,
            "stop_seconds": 5.0,
            "start_seconds": 0.05,
            **more,
        }
        return mycat_restart.apply(params, check_mode)

    return call


def test_a_turn(stage: Stage, ask: Ask, tmp_path: Path) -> None:
    assert ask("drained")["ours"]
    assert (tmp_path / "drain").read_text() == "us\n"
    assert (restart.state() or {})["under_way"]
    done = ask("restarted")
    assert done["done"] == ["MyCat restarted"]
    assert stage.events == ["stop stopped", "start 1000"]
    assert not (tmp_path / "drain").exists()
    assert restart.state() == {"run": "1", "state": "done", "ours": True, "under_way": False}
    # Nothing is done twice.
    assert ask("restarted")["done"] == []
    assert ask("forgotten")["changed"]
    assert not ask("forgotten")["changed"]
    assert restart.state() is None


def test_one_that_does_not_stop_is_killed_and_that_is_said(ask: Ask) -> None:
    ask("drained")
    assert ask("restarted", stop_seconds=0.5)["done"] == ["MyCat restarted, killed after 0.5 s"]


def test_a_drain_of_somebody_else_stays(ask: Ask, tmp_path: Path) -> None:
    (tmp_path / "drain").write_text("alice\n")
    assert not ask("drained")["ours"]
    assert not ask("restarted")["ours"]
    assert (tmp_path / "drain").read_text() == "alice\n"


def test_what_does_not_come_up_stays_drained_until_the_next_run(
    stage: Stage, ask: Ask, tmp_path: Path
) -> None:
    ask("drained")
    stage.comes_up = False
    with pytest.raises(MyCatError):
        ask("restarted")
    assert (tmp_path / "drain").exists()
    note = restart.read()
    assert note is not None
    assert (note.state, note.uid, note.unit) == ("stopped", 1000, "mycat.service")
    # Who ran it is known although it does not run.
    restart.write(note.over("stopped"))
    stage.comes_up, stage.uid = True, 0
    assert ask("drained", run="2")["ours"]
    ask("restarted", run="2")
    assert stage.events[-1] == "start 1000"
    assert not (tmp_path / "drain").exists()


def test_one_that_is_not_restarted_after_all(stage: Stage, ask: Ask, tmp_path: Path) -> None:
    ask("drained")
    stage.pid = None
    with pytest.raises(MyCatError):
        ask("returned", endpoint_port=1)
    assert (tmp_path / "drain").exists()
    stage.pid = 9
    ask("returned")
    assert not (tmp_path / "drain").exists()
    # Its turn is still to come.
    assert restart.state() is None


def test_two_runs(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "PATIENCE", 0.02)
    ask("drained")
    with pytest.raises(TurnError, match="run this again in"):
        ask("drained", run="2")
    ask("drained", run="2", force=True)
    with pytest.raises(TurnError, match="another run took"):
        ask("restarted")
    with restart.alone():
        assert is_locked(restart.LOCK)
        with pytest.raises(TurnError, match="just restarting"):
            ask("drained", run="2")


def test_a_run_that_was_cut_off_is_over_after_its_time(ask: Ask) -> None:
    restart.write(Note("0", until=time.time() - 1))
    assert (restart.state() or {})["under_way"] is False
    ask("drained")


def test_check_mode_writes_nothing(ask: Ask, tmp_path: Path) -> None:
    assert ask("drained", check_mode=True)["changed"]
    assert list(tmp_path.iterdir()) == []


def test_a_note_that_nobody_can_read_is_none(stage: Stage, tmp_path: Path) -> None:
    for text in ("", "[]", '{"run": "1", "more": 1}'):
        (tmp_path / "restart.json").write_text(text)
        assert restart.read() is None


def test_without_its_folder_the_drain_is_a_sentence(
    ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(draining, "FILE", "/nowhere/at/all")
    with pytest.raises(TurnError, match=r"run mycat\.ha\.site"):
        ask("drained")


# ---- MyCat itself ----

CONTROL = """#!/bin/sh
home={home}
case $1 in
start) {start} ;;
stop) {stop} ;;
esac
"""


def a_mycat(home: Path, start: str, stop: str) -> MyCat:
    for name in ("bin", "logs"):
        (home / name).mkdir()
    (home / "bin/mycat").write_text(CONTROL.format(home=home, start=start, stop=stop))
    (home / "bin/mycat").chmod(0o755)
    (home / "bin/wrapper").write_text("#!/bin/sh\necho $$ >$1\ntrap '' TERM\nread forever\n")
    (home / "bin/wrapper").chmod(0o755)
    return MyCat(str(home), str(home / "logs/mycat.pid"), "none")


START = (
    "(sleep 60 | $home/bin/./wrapper $home/logs/mycat.pid) & "
    "until test -s $home/logs/mycat.pid; do :; done"
)
FAILING = "echo 'jvm 1 | x.ConfigException: no schema' >>$home/logs/wrapper.log"


def test_mycat_starts_and_one_that_does_not_stop_is_killed(tmp_path: Path) -> None:
    mycat = a_mycat(tmp_path, START, "sleep 60")
    assert mycat.pid is None
    mycat.start(60, None, lambda: mycat.pid is not None)
    assert mycat.uid == Path(f"/proc/{mycat.pid}").stat().st_uid
    assert mycat.stop(0.2)
    assert mycat.pid is None
    assert not mycat.stop(0.2)


def test_what_the_log_says_is_told_where_mycat_does_not_come_up(tmp_path: Path) -> None:
    mycat = a_mycat(tmp_path, FAILING, ":")
    (tmp_path / "logs/wrapper.log").write_text("ConfigException: of last year\n")
    with pytest.raises(MyCatError, match=r"does not start: ConfigException: no schema"):
        mycat.start(60, None, lambda: False)
    silent = MyCat(str(tmp_path), mycat.pid_file, "none")
    (tmp_path / "bin/mycat").write_text("#!/bin/sh\n")
    with pytest.raises(MyCatError, match=r"read .*wrapper\.log"):
        silent.start(0.1, None, lambda: False)


def test_another_process_is_not_mycat(tmp_path: Path) -> None:
    mycat = a_mycat(tmp_path, ":", ":")
    (tmp_path / "logs/mycat.pid").write_text("1\n")
    assert mycat.pid is None
    (tmp_path / "logs/mycat.pid").write_text("many\n")
    assert mycat.pid is None


def test_a_control_script_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(MyCatError, match="cannot be run"):
        MyCat(str(tmp_path), "/nowhere", "none").start(1, None, lambda: False)
