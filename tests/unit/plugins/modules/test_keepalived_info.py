# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module with a process called keepalived, which answers with what a real one wrote."""

from __future__ import annotations

import contextlib
import ctypes
import io
import json
import os
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import Any, Iterator

import pytest
from ansible.module_utils.basic import AnsibleModule
from ansible_collections.mycat.ha.plugins.module_utils.keepalived import process
from ansible_collections.mycat.ha.plugins.modules import keepalived_info
from lab.bounds import LATE
from lab.module import patch_module_args

DUMPS = Path(__file__).parents[1] / "module_utils" / "keepalived" / "dumps"
DATA = int(signal.SIGUSR1)
JSON = signal.SIGRTMIN + 2
CONF = """
vrrp_instance VI_1 {
    interface e0
    virtual_router_id 51
    authentication {
        auth_type PASS
        auth_pass s3cr3t
    }
    virtual_ipaddress {
        10.9.0.100/24
        10.9.0.110/24
    }
}
"""
# A daemon: on its signals it writes the dump, in two parts and not at once, as a busy one does.
DAEMON = f"""#!/bin/sh
case $1 in
--version) echo 'Keepalived v2.2.7 (01/16,2022)' >&2; exit ;;
--signum=*) exec cat "$TMPDIR/$1" ;;
esac
answer() {{
    goal=$(cat "$TMPDIR/goal")/keepalived.$1
    head -c 1000 {DUMPS}/2.2.7.$1 >"$goal"
    sleep 0.1
    tail -c +1001 {DUMPS}/2.2.7.$1 >>"$goal"
}}
if [ ! -e "$TMPDIR/deaf" ]; then
    trap 'answer json' {JSON}
    trap 'answer data; : >"$TMPDIR/keepalived_parent.data"' {DATA}
fi
: >"$TMPDIR/ready"
while :; do
    sleep 5 &
    wait $!
done
"""


class Host:
    """A temporary directory, a keepalived.conf and tools of our own in the PATH."""

    def __init__(self, directory: Path) -> None:
        self.warnings: list[str] = []
        self.directory = directory
        self.conf = directory / "keepalived.conf"
        self.conf.write_text(CONF)
        self.tmp = directory / "tmp"
        self.bin = directory / "bin"
        self.tmp.mkdir()
        self.bin.mkdir()
        (self.tmp / "--signum=JSON").write_text(f"{JSON}\n")
        (self.tmp / "--signum=DATA").write_text(f"{DATA}\n")
        (self.tmp / "goal").write_text(str(self.tmp))
        self.tool("ip", f"#!/bin/sh\nexec cat {DUMPS}/ip.json\n")
        self.tool("keepalived", DAEMON)
        self.process: subprocess.Popen[bytes] | None = None

    def tool(self, name: str, text: str) -> None:
        path = self.bin / name
        path.write_text(text)
        path.chmod(0o755)

    def start(self) -> int:
        self.process = subprocess.Popen([str(self.bin / "keepalived")])
        while not (self.tmp / "ready").exists():
            time.sleep(0.01)
        return self.process.pid

    def end(self) -> None:
        if self.process:
            self.process.kill()
            self.process.wait()

    def run(self, **options: Any) -> dict[str, Any]:
        said = io.StringIO()
        streams = contextlib.redirect_stdout(said)
        arguments = {"path": str(self.conf), "timeout": 60, **options}
        with patch_module_args(arguments), streams, pytest.raises(SystemExit):
            keepalived_info.main()
        assert "s3cr3t" not in said.getvalue()
        result = json.loads(said.getvalue())
        assert result.get("changed", False) is False
        return result


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    if process.find_daemon() is not None:
        pytest.skip("a keepalived runs on this machine")
    made = Host(tmp_path)
    # Where controller code is loaded as well, a warning goes to the screen and not to the result.
    monkeypatch.setattr(AnsibleModule, "warn", lambda _, text: made.warnings.append(text))
    monkeypatch.setenv("PATH", f"{made.bin}:{os.environ['PATH']}")
    monkeypatch.setenv("TMPDIR", str(made.tmp))
    yield made
    made.end()


def test_running(host: Host) -> None:
    pid = host.start()
    result = host.run()
    assert (result["version"], result["running"], result["pid"]) == ("2.2.7", True, pid)
    assert [(one["name"], one["state"]) for one in result["instances"]] == [
        ("VI_1", "MASTER"),
        ("VI_2", "FAULT"),
        ("VI-6", "MASTER"),
        ("auth", "MASTER"),
    ]
    assert result["instances"][0]["effective_priority"] == 130
    assert result["instances"][0]["held"] == ["10.9.0.100/24", "10.9.0.101", "fd00:9::7/64"]
    (instance,) = result["configuration"]["instances"]
    assert instance["authentication"] == {"auth_type": "PASS", "auth_pass": "********"}


@pytest.mark.thorough
def test_whether_the_file_is_in_force(host: Host) -> None:
    pid = host.start()
    host.tool("systemctl", f'#!/bin/sh\necho MainPID={pid}\ncat "$TMPDIR/changed"\n')

    def changed(seconds_ago: float) -> None:
        moment = int((time.monotonic() - seconds_ago) * 1e6)
        (host.tmp / "changed").write_text(f"StateChangeTimestampMonotonic={moment}\n")

    changed(seconds_ago=0)
    assert host.run()["loaded"] is True
    changed(seconds_ago=100)
    host.conf.write_text(CONF + "# edited\n")
    time.sleep(0.02)
    assert host.run()["loaded"] is False
    # systemd knows another process, and the file is newer than the one that runs.
    host.tool("systemctl", "#!/bin/sh\necho MainPID=0\n")
    assert host.run()["loaded"] is None


@pytest.mark.thorough
def test_tracked_files_that_nobody_watches(host: Host) -> None:
    host.start()
    assert not host.run().get("failed")
    assert host.warnings == []
    tracking = "track_file down {\n    file /run/down\n}\n" + CONF.replace(
        "    interface e0\n", "    interface e0\n    track_file {\n        down\n    }\n"
    )
    host.conf.write_text(tracking)
    host.run()
    assert host.warnings == [keepalived_info.UNWATCHED]


def test_a_process_that_watches_files(monkeypatch: pytest.MonkeyPatch) -> None:
    watch = ctypes.CDLL(None).inotify_init()
    try:
        assert process.watches_files(os.getpid()) is True
    finally:
        os.close(watch)
    assert process.watches_files(os.getpid()) is False

    def denied(_: str) -> str:
        raise PermissionError

    monkeypatch.setattr(os, "readlink", denied)
    assert process.watches_files(os.getpid()) is None


@pytest.mark.thorough
def test_two_that_ask_at_once(host: Host) -> None:
    host.start()
    other = contextlib.ExitStack()
    other.enter_context(process.alone(str(host.tmp), LATE))
    start = time.monotonic()
    threading.Timer(0.5, other.close).start()
    assert host.run()["running"] is True
    assert time.monotonic() - start >= 0.5


def test_who_keeps_the_dumps_for_too_long_is_not_waited_for(tmp_path: Path) -> None:
    with process.alone(str(tmp_path), LATE):
        start = time.monotonic()
        with process.alone(str(tmp_path), 0.3):
            assert time.monotonic() - start >= 0.3


@pytest.mark.parametrize("kind", ["json", "data"])
def test_nothing_is_left_behind_and_no_old_dump_believed(host: Host, kind: str) -> None:
    if kind == "data":
        (host.tmp / "--signum=JSON").unlink()
    old = host.tmp / f"keepalived.{kind}"
    old.write_text("[]" if kind == "json" else "------< Interfaces >------")
    host.start()
    assert len(host.run(_ansible_check_mode=True)["instances"]) == 4
    assert not list(host.tmp.glob("keepalived*"))


def test_a_dump_that_the_configuration_names_stays(host: Host) -> None:
    goal = host.directory / "goal"
    goal.mkdir()
    (host.tmp / "goal").write_text(str(goal))
    host.conf.write_text(CONF + f"global_defs {{\n json_dump_file {goal}/keepalived.json\n}}\n")
    host.start()
    assert len(host.run()["instances"]) == 4
    assert (goal / "keepalived.json").exists()


@pytest.mark.thorough
def test_a_daemon_that_does_not_answer(host: Host) -> None:
    (host.tmp / "keepalived.json").write_text("[]")
    (host.tmp / "goal").write_text(str(host.bin))
    host.start()
    start = time.monotonic()
    result = host.run(timeout=1)
    assert time.monotonic() - start < LATE
    assert result["failed"] is True
    assert "within 1 s (timeout): it wrote nothing" in result["msg"]


def test_a_process_that_a_signal_would_end_gets_none(host: Host) -> None:
    (host.tmp / "deaf").touch()
    host.start()
    assert "awaits no signal" in host.run()["msg"]
    assert host.process is not None
    assert host.process.poll() is None


@pytest.mark.parametrize("kind", ["link", "directory", "pipe"])
def test_what_anybody_can_put_there_is_not_read(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "keepalived.json"
    (tmp_path / "target").write_text("[]")
    if kind == "link":
        path.symlink_to(tmp_path / "target")
    elif kind == "directory":
        path.mkdir()
    else:
        os.mkfifo(path)
    assert process.read_own(str(path), os.geteuid()) == ""


def test_another_users_file_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "keepalived.json"
    path.write_text("[]")
    assert process.read_own(str(path), os.geteuid()) == "[]"
    assert process.read_own(str(path), os.geteuid() + 1) == ""


def test_stopped(host: Host) -> None:
    result = host.run()
    assert (result["running"], result["pid"], result["version"]) == (False, None, "2.2.7")
    (instance,) = result["instances"]
    assert (instance["state"], instance["effective_priority"]) == ("stopped", None)
    assert instance["held"] == ["10.9.0.100/24"]


def test_not_installed(host: Host) -> None:
    (host.bin / "keepalived").unlink()
    host.conf.unlink()
    if any(Path(place, "keepalived").exists() for place in ("/usr/sbin", "/usr/local/sbin")):
        pytest.skip("a keepalived is installed")
    result = host.run()
    assert {key: result[key] for key in ("version", "running", "instances", "configuration")} == {
        "version": "",
        "running": False,
        "instances": [],
        "configuration": None,
    }


def test_a_file_that_is_no_configuration(host: Host) -> None:
    host.conf.write_bytes(b"\0")
    host.start()
    result = host.run()
    assert len(result["instances"]) == 4
    assert result["configuration"] is None
    assert "NUL byte" in host.warnings[0]


def test_no_time(host: Host) -> None:
    assert host.run(timeout=0)["msg"] == "timeout: must be at least 1 s"


def test_where_the_dump_goes(host: Host) -> None:
    pid = host.start()
    assert process.temporary_directory(pid, "2.2.7") == str(host.tmp)
    assert process.temporary_directory(pid, "2.1.5") == process.TMP
