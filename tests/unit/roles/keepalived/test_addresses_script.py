"""The watch over addresses that come and go, as bash runs it."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import jinja2
import pytest

TEMPLATES = Path(__file__).parents[4] / "roles/keepalived/templates"
ONE, TWO = "192.0.2.11", "2001:db8::11"
VIP, VIP6 = "192.0.2.100", "2001:db8::100"
# `ip address show to X` prints the file X; `ip monitor` tells of two changes.
IP = """#!/bin/sh
case $* in
*monitor*) echo changed; echo changed ;;
*) cat "{folder}/has/${{5}}" 2>/dev/null || true ;;
esac
"""
# One session; the kernel ends it unless it is an old one.
SS = """#!/bin/sh
case $* in
*--kill*) echo "ss $*" >>{folder}/called; [ -e {folder}/old ] || echo ended ;;
*) [ ! -e {folder}/old ] || echo left ;;
esac
"""
SYSTEMCTL = """#!/bin/sh
case $* in
*is-active*) ! [ -e {folder}/stopped ] ;;
*) echo "$*" >>{folder}/called ;;
esac
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The run folder, with the programs that the script calls in ``bin``."""
    for name in ("bin", "has"):
        (tmp_path / name).mkdir()
    for name, text in (("ip", IP), ("systemctl", SYSTEMCTL), ("ss", SS)):
        (tmp_path / "bin" / name).write_text(text.format(folder=tmp_path))
        (tmp_path / "bin" / name).chmod(0o755)
    text = (TEMPLATES / "addresses.sh.j2").read_text()
    script = jinja2.Template(text, undefined=jinja2.StrictUndefined, trim_blocks=True)
    lists = {"own_addresses": [ONE, TWO], "vips": [VIP, VIP6], "end_sessions": True}
    (tmp_path / "addresses").write_text(
        script.render(
            ansible_managed="",
            run_folder=tmp_path,
            state_folder=tmp_path,
            handover_limit=20,
            **lists,
        )
    )
    return tmp_path


@pytest.fixture
def call(folder: Path) -> Callable[[str], list[str]]:
    """Call the script; return what it asked of systemd and of ss. What it said is in ``said``."""

    def run(verb: str) -> list[str]:
        (folder / "called").unlink(missing_ok=True)
        done = subprocess.run(
            ["bash", folder / "addresses", verb],
            check=True,
            timeout=20,
            capture_output=True,
            text=True,
            env={"PATH": f"{folder}/bin:{os.environ['PATH']}"},
        )
        assert done.stderr == ""
        (folder / "said").write_text(done.stdout)
        called = folder / "called"
        return called.read_text().splitlines() if called.exists() else []

    return run


def has(folder: Path, *addresses: str, flags: str = "") -> None:
    """Give the host these addresses and no others; ``flags`` are those of its own."""
    for path in (folder / "has").iterdir():
        path.unlink()
    for address in addresses:
        mine = flags if address in (ONE, TWO) else ""
        (folder / "has" / address).write_text(f"2: e0 inet {address} scope global {mine}\n")


def test_keepalived_stops_with_an_address_and_starts_when_all_are_back(
    folder: Path, call: Callable[[str], list[str]]
) -> None:
    has(folder, ONE, TWO, VIP, VIP6)
    assert call("watch") == []
    has(folder, TWO, VIP, VIP6)
    assert call("watch") == ["stop keepalived"]
    assert call("watch") == [], "once"
    has(folder, ONE, TWO, VIP, VIP6, flags="tentative")
    assert call("watch") == [], "an address that is tried yet is none"
    has(folder, ONE, TWO, VIP, VIP6)
    assert call("watch") == ["--no-block start keepalived"]
    assert call("watch") == [], "once"


def test_a_keepalived_that_somebody_stopped_stays_so(
    folder: Path, call: Callable[[str], list[str]]
) -> None:
    (folder / "stopped").touch()
    has(folder, VIP, VIP6)
    assert call("watch") == []
    has(folder, ONE, TWO, VIP, VIP6)
    assert call("watch") == []


@pytest.mark.thorough
def test_it_waits_for_all(folder: Path, call: Callable[[str], list[str]]) -> None:
    has(folder, ONE, TWO, VIP, VIP6)
    assert call("wait") == []
    has(folder, ONE, VIP, VIP6)
    with pytest.raises(subprocess.TimeoutExpired):
        subprocess.run(
            ["bash", folder / "addresses", "wait"],
            timeout=1,
            env={"PATH": f"{folder}/bin:{os.environ['PATH']}"},
        )


@pytest.mark.parametrize(
    ("there", "where"), [(VIP6, VIP), (VIP, f"[{VIP6}]")], ids=["IPv4", "IPv6"]
)
def test_sessions_at_an_address_that_left_are_ended_once(
    folder: Path, call: Callable[[str], list[str]], there: str, where: str
) -> None:
    has(folder, ONE, TWO, there)
    assert call("watch") == [f"ss --kill --no-header --tcp --numeric src {where}"]
    assert "1 of its sessions here were ended" in (folder / "said").read_text()


@pytest.mark.parametrize("name", ["maintenance", "moving/vip_1"])
@pytest.mark.parametrize(
    ("value", "age", "left"),
    [("2", 30, "0"), ("2", 0, "2"), ("2", -900, "0"), ("1", 900, "1"), ("0", 900, "0")],
)
def test_a_switch_over_that_was_cut_off_ends(
    folder: Path, call: Callable[[str], list[str]], value: str, age: float, left: str, name: str
) -> None:
    has(folder, ONE, TWO, VIP, VIP6)
    file = folder / name
    file.parent.mkdir(exist_ok=True)
    file.write_text(f"{value}\n")
    os.utime(file, (time.time() - age,) * 2)
    call("watch")
    assert file.read_text() == f"{left}\n"


def test_a_kernel_that_ends_no_session_is_named(
    folder: Path, call: Callable[[str], list[str]]
) -> None:
    has(folder, ONE, TWO, VIP)
    (folder / "old").touch()
    call("watch")
    assert "1 of its sessions here last until a time-out" in (folder / "said").read_text()
