# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

PROGRAM = Path(__file__).parents[4] / "roles/haproxy/files/haproxy_state.py"
CONFIGURATION = """\
global
    server-state-file /run/haproxy/server-state
listen mycat
    option httpchk
    default-server inter 1s
    server mycat1 192.0.2.21:8066 check
    server mycat2 2001:db8::2:8066 check weight 5
backend web
    server web1 192.0.2.31:80
    server web2 192.0.2.32:80 weight 3 check
    server checker 192.0.2.33:80 track web/web2
frontend other
    # server none 192.0.2.34:80 check
    bind *:80
"""
LIVE = """\
1
# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state more
4 mycat 1 mycat1 192.0.2.21 2 0 1
4 web 1 web1 192.0.2.31 2 0 1
"""


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    spec = importlib.util.spec_from_file_location("haproxy_state", PROGRAM)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    config = tmp_path / "haproxy.cfg"
    config.write_text(CONFIGURATION, encoding="utf-8")
    monkeypatch.setenv("CONFIG", str(config))
    monkeypatch.setattr(module, "STATE", str(tmp_path / "server-state"))
    monkeypatch.setattr(module, "SOCKET", str(tmp_path / "admin.sock"))
    return module


def lines(state: ModuleType) -> list[list[str]]:
    text = Path(state.STATE).read_text(encoding="ascii")
    version, head, *rest = text.splitlines()
    assert version == "1"
    assert head.startswith("# be_id be_name ")
    return [line.split() for line in rest]


def test_a_start_begins_with_every_checked_server_down(state: ModuleType) -> None:
    state.main("start")
    written = lines(state)
    assert [(line[1], line[2], line[3], line[4], line[18]) for line in written] == [
        ("mycat", "1", "mycat1", "192.0.2.21", "8066"),
        ("mycat", "2", "mycat2", "2001:db8::2", "8066"),
        ("web", "1", "web2", "192.0.2.32", "80"),
    ]
    # As many columns as the oldest HAProxy wants; stopped (0).
    assert {len(line) for line in written} == {20}
    assert {line[5] for line in written} == {"0"}


def test_a_reload_keeps_what_is_known_and_adds_the_rest_as_down(
    state: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state, "ask", {"show servers state": LIVE}.__getitem__)
    state.main("reload")
    assert [(line[1], line[3], line[5]) for line in lines(state)] == [
        ("mycat", "mycat1", "2"),
        ("web", "web1", "2"),
        ("mycat", "mycat2", "0"),
        ("web", "web2", "0"),
    ]


def test_without_an_answer_no_state_is_left(
    state: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    Path(state.STATE).write_text("of an earlier run", encoding="ascii")
    state.main("reload")
    assert not Path(state.STATE).exists()
    assert "servers are up until checked" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("statuses", "done"),
    [
        pytest.param(["L7OK", "L4CON", ""], True, id="all"),
        pytest.param(["L7OK", "INI"], False, id="one-waits"),
        pytest.param(["* L7OK"], False, id="under-way"),
    ],
)
def test_all_checked(state: ModuleType, statuses: list[str], done: bool) -> None:
    stat = "# pxname,svname,check_status,\n" + "".join(f"mycat,s,{s},\n" for s in statuses)
    assert state.all_checked(stat) is done
