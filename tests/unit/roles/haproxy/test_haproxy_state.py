# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from types import ModuleType

import pytest
from lab.servers import answering, serving

PROGRAM = Path(__file__).parents[4] / "roles/haproxy/files/haproxy_state.py"
CONFIGURATION = """\
global
    server-state-file {state}
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
# As HAProxy 2.8 has them: names of columns up to srvrecord, then TLS, check port and the rest.
HEAD = (
    "# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight "
    "srv_time_since_last_change srv_check_status srv_check_result srv_check_health srv_check_state "
    "srv_agent_state bk_f_forced_id srv_f_forced_id srv_fqdn srv_port srvrecord srv_use_ssl "
    "srv_check_port srv_check_addr srv_agent_addr srv_agent_port"
)
ROW = "4 {} 1 {} {} 2 {} 7 1 300 15 3 5 6 0 0 0 {} {} - 1 48700 - - 0"


def live(*rows: tuple[str, str, str, str, str, str]) -> str:
    """``show servers state`` with rows of (proxy, server, address, admin state, name, port)."""
    return "\n".join(["1", HEAD, *(ROW.format(*row) for row in rows), ""])


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    spec = importlib.util.spec_from_file_location("haproxy_state", PROGRAM)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    config = tmp_path / "haproxy.cfg"
    config.write_text(CONFIGURATION.format(state=tmp_path / "server-state"), encoding="utf-8")
    monkeypatch.setenv("CONFIG", str(config))
    monkeypatch.setattr(module, "SOCKET", str(tmp_path / "admin.sock"))
    return module


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The state file that the configuration names."""
    return tmp_path / "server-state"


def lines(file: Path) -> list[list[str]]:
    text = file.read_text(encoding="ascii")
    version, head, *rest = text.splitlines()
    assert version == "1"
    assert head.startswith("# be_id be_name ")
    return [line.split() for line in rest]


def test_a_start_begins_with_every_checked_server_down(state: ModuleType, file: Path) -> None:
    state.main("start")
    written = lines(file)
    assert [(line[1], line[2], line[3], line[4], line[18]) for line in written] == [
        ("mycat", "1", "mycat1", "192.0.2.21", "8066"),
        ("mycat", "2", "mycat2", "2001:db8::2", "8066"),
        ("web", "2", "web2", "192.0.2.32", "80"),
    ]
    # As many columns as the oldest HAProxy wants; stopped (0).
    assert {len(line) for line in written} == {20}
    assert {line[5] for line in written} == {"0"}


def reloaded(
    state: ModuleType, monkeypatch: pytest.MonkeyPatch, *rows: tuple[str, str, str, str, str, str]
) -> dict[str, dict[str, str]]:
    """The state after a reload by server, {column: text}, of a HAProxy that said ``rows``."""
    monkeypatch.setattr(state, "ask", {"show servers state": live(*rows)}.__getitem__)
    state.main("reload")
    configuration = Path(os.environ["CONFIG"]).read_text(encoding="utf-8")
    rows_of_file = lines(Path(state.state_file(configuration)))
    assert {len(row) for row in rows_of_file} == {len(state.COLUMNS)}
    return {row[3]: dict(zip(state.COLUMNS, row)) for row in rows_of_file}


def test_a_reload_keeps_what_is_known_and_adds_the_rest_as_down(
    state: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = reloaded(
        state,
        monkeypatch,
        ("mycat", "mycat1", "192.0.2.21", "8", "-", "8066"),
        ("web", "web1", "192.0.2.31", "0", "-", "80"),
    )
    assert {name: row["srv_op_state"] for name, row in found.items()} == {
        "mycat1": "2",
        "web1": "2",
        "mycat2": "0",
        "web2": "0",
    }
    # An operator's drain.
    assert found["mycat1"]["srv_admin_state"] == "8"


def test_the_file_wins_over_what_the_old_process_had(
    state: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = reloaded(
        state,
        monkeypatch,
        ("mycat", "mycat1", "192.0.2.21", "0", "-", "3307"),
        ("mycat", "mycat2", "2001:DB8:0::2", "0", "-", "3307"),
        ("web", "web2", "192.0.2.99", "1", "-", "80"),
    )
    # lines() found no column of TLS and of checks; a weight as the old file's is the new file's.
    assert {row["srv_port"] for name, row in found.items() if name.startswith("mycat")} == {"8066"}
    assert all(row["srv_uweight"] == row["srv_iweight"] for row in found.values())
    assert found["mycat2"]["srv_op_state"] == "2", "one address, written in two ways"
    moved = found["web2"]
    assert (moved["srv_addr"], moved["srv_op_state"], moved["srv_admin_state"]) == (
        "192.0.2.32",
        "0",
        "1",
    )


def test_a_server_by_its_name_goes_on_whatever_its_address(
    state: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = Path(os.environ["CONFIG"])
    named = config.read_text(encoding="utf-8").replace("192.0.2.21:", "db.example.net:")
    config.write_text(named, encoding="utf-8")
    row = ("mycat", "mycat1", "192.0.2.21", "0", "DB.example.net", "8066")
    assert reloaded(state, monkeypatch, row)["mycat1"]["srv_op_state"] == "2"


def test_without_an_answer_no_state_is_left(
    state: ModuleType, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_text("of an earlier run", encoding="ascii")
    state.main("reload")
    assert not file.exists()
    assert "servers are up until checked" in capsys.readouterr().err


def test_a_configuration_without_a_state_file_gets_none(
    state: ModuleType, file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path(os.environ["CONFIG"]).write_text("listen mycat\n    bind *:1\n", encoding="utf-8")
    before = set(tmp_path.iterdir())
    state.main("start")
    assert set(tmp_path.iterdir()) == before
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("name", ["server-state", "server-state.new"])
def test_no_link_is_followed(state: ModuleType, file: Path, tmp_path: Path, name: str) -> None:
    target = tmp_path / "cron"
    (tmp_path / name).symlink_to(target)
    state.main("start")
    assert not target.exists()
    assert not file.is_symlink()
    assert len(lines(file)) == 3
    assert not (tmp_path / "server-state.new").exists()


def test_a_folder_that_is_a_link_is_not_written_to(
    state: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    text = CONFIGURATION.format(state=tmp_path / "link/server-state")
    Path(os.environ["CONFIG"]).write_text(text, encoding="utf-8")
    state.main("start")
    assert list((tmp_path / "real").iterdir()) == []
    assert "servers are up until checked" in capsys.readouterr().err


@pytest.mark.parametrize("own", [True, False])
def test_only_a_socket_of_the_same_user_is_believed(
    state: ModuleType, file: Path, monkeypatch: pytest.MonkeyPatch, own: bool
) -> None:
    said = live(("mycat", "mycat1", "192.0.2.21", "8", "-", "8066")).encode()
    if not own:
        # To the program its own socket is another user's.
        monkeypatch.setattr(state.os, "geteuid", lambda: os.getuid() + 1)
    with serving(answering(said), state.SOCKET):
        state.main("reload")
    assert file.exists() is own
    if own:
        assert ("mycat1", "8") in {(line[3], line[6]) for line in lines(file)}


@pytest.mark.parametrize(
    ("servers", "done"),
    [
        pytest.param(["UP,L7OK", "DOWN,L4CON", "no check,"], True, id="all"),
        pytest.param(["UP,L7OK", "DOWN,INI"], True, id="one-is-up"),
        pytest.param(["UP 1/2,L7OK", "DOWN,INI"], True, id="one-is-up-and-fails"),
        pytest.param(["DOWN,L4CON", "DOWN,INI"], False, id="one-waits"),
        pytest.param(["DOWN,* L7OK"], False, id="under-way"),
        pytest.param(["DOWN,L4CON"], True, id="none-is-up"),
    ],
)
def test_a_start_waits_for_a_server(state: ModuleType, servers: list[str], done: bool) -> None:
    rows = "".join(f"mycat,s,{server},\n" for server in servers)
    other = "web,w,UP,L7OK,\n"
    assert state.serves(f"# pxname,svname,status,check_status,\n{rows}{other}") is done
