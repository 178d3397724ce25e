# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A load balancer that gives its addresses up, on a host whose kernel and peers a test plays."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.mycat.ha.plugins.module_utils.host import maintenance as file
from ansible_collections.mycat.ha.plugins.modules import maintenance

VIP = {"address": "192.0.2.100", "port": 8066}


class Stage:
    """``takes``: whether keepalived gives the address up; ``served``: whether others serve it.
    ``path``: the file that keepalived watches."""

    def __init__(self, path: Path) -> None:
        self.path, self.takes, self.served, self.holds = path, True, True, True
        self.open = {"192.0.2.100:8066 192.0.2.5:50001"}
        self.values: list[str] = []

    def value(self) -> str:
        return self.path.read_text().strip() if self.path.exists() else "0"

    def present(self) -> frozenset[str]:
        out = self.value() != "0"
        if out:
            self.values.append(self.value())
        gone = not self.holds or (out and self.takes)
        return frozenset() if gone else frozenset({VIP["address"]})


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stage:
    path = tmp_path / "maintenance"
    path.write_text("0\n")
    monkeypatch.setattr(file, "FILE", str(path))
    monkeypatch.setattr(file, "FORMER", str(tmp_path / "former"))
    monkeypatch.setattr(file, "FOLDER", str(tmp_path / "moving"))
    found = Stage(path)
    monkeypatch.setattr(maintenance.addresses, "host_addresses", found.present)
    monkeypatch.setattr(maintenance, "answers", lambda _vip: found.served)
    monkeypatch.setattr(maintenance, "sessions", lambda vips: set(found.open) if vips else set())
    return found


@pytest.fixture
def ask(stage: Stage) -> Callable[..., dict[str, Any]]:
    def call(state: str, check_mode: bool = False, **more: Any) -> dict[str, Any]:
        params = {"state": state, "vips": [VIP], "timeout": 0.05, "force": False, "only": []}
        params.update(more)
        return maintenance.apply(params, check_mode)

    return call


def test_a_hand_over_is_over_once_others_serve(
    stage: Stage, ask: Callable[..., dict[str, Any]]
) -> None:
    assert ask("handed_over") == {"changed": True, "done": ["gave 192.0.2.100 up"], "sessions": 1}
    assert set(stage.values) == {"2"}
    assert stage.value() == "0"


def test_maintenance_stays_until_somebody_ends_it(
    stage: Stage, ask: Callable[..., dict[str, Any]]
) -> None:
    assert ask("absent")["done"] == ["gave 192.0.2.100 up", "maintenance begun"]
    assert stage.value() == "1"
    assert ask("absent") == {"changed": False, "done": [], "sessions": 0}
    # A hand-over of one that is out leaves it out.
    ask("handed_over")
    assert stage.value() == "1"
    assert ask("rejoined")["changed"] is False
    assert ask("present") == {"changed": True, "done": ["maintenance ended"], "sessions": 0}
    assert stage.value() == "0"


def test_one_aside_waits_for_nobody(stage: Stage, ask: Callable[..., dict[str, Any]]) -> None:
    stage.served = False
    assert ask("aside")["changed"] is True
    assert stage.value() == "2"
    assert ask("rejoined")["changed"] is True
    assert stage.value() == "0"


@pytest.mark.parametrize("state", ["handed_over", "absent"])
@pytest.mark.parametrize(
    ("what", "says"),
    [
        ("takes", "keepalived does not give the addresses up"),
        ("served", r"no other load balancer served 192\.0\.2\.100 within 0\.05 s"),
    ],
)
def test_where_nobody_serves_the_host_takes_part_again(
    stage: Stage, ask: Callable[..., dict[str, Any]], state: str, what: str, says: str
) -> None:
    setattr(stage, what, False)
    with pytest.raises(file.NotMovedError, match=says):
        ask(state)
    assert stage.value() == "0"


def test_force_waits_for_nobody(stage: Stage, ask: Callable[..., dict[str, Any]]) -> None:
    stage.served = False
    ask("absent", force=True)
    assert stage.value() == "1"


@pytest.mark.parametrize("state", ["aside", "handed_over", "absent"])
def test_check_mode_changes_nothing(
    stage: Stage, ask: Callable[..., dict[str, Any]], state: str
) -> None:
    assert ask(state, check_mode=True)["changed"] is True
    assert stage.path.read_text() == "0\n"


def test_sessions_that_do_not_end_hold_nobody_up(
    stage: Stage, ask: Callable[..., dict[str, Any]]
) -> None:
    assert ask("drained", timeout=0.01) == {"changed": False, "done": [], "sessions": 1}
    stage.open = set()
    assert ask("drained", timeout=60)["sessions"] == 0


def test_who_is_ended_takes_back_what_it_wrote(
    stage: Stage, ask: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def end(_vip: object) -> bool:
        raise SystemExit("ended by signal 15")

    monkeypatch.setattr(maintenance, "answers", end)
    with pytest.raises(SystemExit):
        ask("handed_over")
    assert stage.value() == "0"


# ---- one address alone ----


@pytest.fixture
def alone(stage: Stage, tmp_path: Path) -> Path:
    """The file of one address, which is there after its first move."""
    (tmp_path / "moving").mkdir()
    host = stage.path
    stage.path = tmp_path / "moving/a_b"
    return host


def test_an_address_is_handed_over_alone(
    stage: Stage, alone: Path, ask: Callable[..., dict[str, Any]]
) -> None:
    for _time in range(2):
        stage.values.clear()
        assert ask("handed_over", only=["a/b"])["done"] == ["gave 192.0.2.100 up"]
        assert set(stage.values) == {"2"}
        assert (stage.value(), alone.read_text()) == ("0", "0\n")
    assert stage.path.stat().st_mode & 0o777 == 0o644


def test_one_aside_for_an_address_is_moving_until_it_rejoins(
    stage: Stage, alone: Path, ask: Callable[..., dict[str, Any]]
) -> None:
    assert ask("rejoined", only=["a/b"])["changed"] is False
    assert ask("aside", only=["a/b"])["changed"] is True
    assert (stage.value(), file.state()) == ("2", (False, True))
    assert ask("rejoined", only=["a/b"])["changed"] is True
    assert (stage.value(), file.state()) == ("0", (False, False))


@pytest.mark.parametrize("what", ["takes", "served"])
def test_an_address_that_nobody_serves_stays(
    stage: Stage, alone: Path, ask: Callable[..., dict[str, Any]], what: str
) -> None:
    setattr(stage, what, False)
    with pytest.raises(file.NotMovedError):
        ask("handed_over", only=["a/b"])
    assert stage.value() == "0"


def test_check_mode_makes_no_file(
    stage: Stage, alone: Path, ask: Callable[..., dict[str, Any]]
) -> None:
    assert ask("handed_over", check_mode=True, only=["a/b"])["changed"] is True
    assert not stage.path.exists()


def test_a_host_that_site_has_not_prepared_is_named(
    stage: Stage, ask: Callable[..., dict[str, Any]]
) -> None:
    with pytest.raises(file.NotMovedError, match=r"run mycat\.ha\.site"):
        ask("handed_over", only=["a/b"])
