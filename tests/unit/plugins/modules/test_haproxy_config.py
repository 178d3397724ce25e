# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module as Ansible runs it, on a host whose HAProxy and systemd are stand-ins.

The scenario `balance` has the real ones, of three releases.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import resource
import shutil
import socket
import socketserver
import stat
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest
from ansible.module_utils.basic import AnsibleModule
from ansible_collections.mycat.ha.plugins.modules import haproxy_config
from lab.module import patch_module_args

GOOD = "global\n    description @digest@\n    maxconn 10\n"
SECRET = GOOD + "userlist u\n    user admin insecure-password s3cret\n"
NOWHERE = GOOD + "    # does not start\n"
LEAST_FILES = 100  # what HAProxy's master may open

# The file to test is $3. Real ones name it in each line, as this does.
HAPROXY = """#!/bin/sh
grep -q deprecated "$3" && echo "[WARNING] (1) : config : parsing [$3:3] : 'x' is deprecated." >&2
grep -q bogus "$3" || exit 0
echo "[ALERT] (1) : config : parsing [$3:3] : unknown option '$(sed -n 's/.*bogus //p' "$3")'." >&2
exit 1
"""
# HAProxy serves with what lies in `loaded`; whether it runs is whether that is there.
SYSTEMCTL = """#!/bin/sh
cd {directory}
case $1 in
is-active) [ -e loaded ]; exit ;;
show) cat pid; exit ;;
reset-failed) exit ;;
is-enabled) [ ! -e disabled ]; exit ;;
enable) rm disabled; exit ;;
esac
echo "$1" >>done
[ ! -e masked ] || {{ echo 'Unit haproxy.service is masked.' >&2; exit 1; }}
if ! grep -q 'does not start' etc/haproxy.cfg; then
    cp etc/haproxy.cfg loaded
elif [ "$1" != reload ]; then
    rm -f loaded
fi
"""
JOURNALCTL = """#!/bin/sh
echo '[NOTICE]   (1) : haproxy version is 2.6.12'
echo '[ALERT]    (1) : Starting proxy nowhere: cannot bind UNIX socket'
"""


class Host:
    """A directory with a haproxy.cfg, and an HAProxy that serves with it or not."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.warnings: list[str] = []
        self.bin = directory / "bin"
        self.etc = directory / "etc"
        self.dest = self.etc / "haproxy.cfg"
        self.loaded = directory / "loaded"
        self.bin.mkdir()
        self.etc.mkdir()
        for name, script in (
            ("haproxy", HAPROXY),
            ("systemctl", SYSTEMCTL.format(directory=directory)),
            ("journalctl", JOURNALCTL),
        ):
            self.program(name, script)
        # Of HAProxy's master; no process has it, so nothing can be done to one.
        (directory / "pid").write_text(str(2**22 + 1))

    def program(self, name: str, script: str) -> None:
        path = self.bin / name
        path.write_text(script)
        path.chmod(0o755)

    def serves_with(self, text: str) -> None:
        """Let HAProxy have been started with this file."""
        self.dest.write_text(text)
        self.loaded.write_text(text)

    @property
    def done(self) -> list[str]:
        """What systemd was asked to do to HAProxy."""
        path = self.directory / "done"
        return path.read_text().split() if path.exists() else []

    @property
    def starts_at_boot(self) -> bool:
        return not self.disabled.exists()

    @property
    def disabled(self) -> Path:
        return self.directory / "disabled"

    @property
    def backups(self) -> list[Path]:
        return [path for path in self.etc.iterdir() if path != self.dest]

    def run(self, content: str = GOOD, **options: Any) -> dict[str, Any]:
        arguments = {
            "content": content,
            "dest": str(self.dest),
            "socket": str(self.directory / "admin.sock"),
            "timeout": 1,
            "owner": str(os.geteuid()),
            "group": str(os.getegid()),
            **options,
        }
        said = io.StringIO()
        streams = contextlib.redirect_stdout(said)
        with patch_module_args(arguments), streams, pytest.raises(SystemExit):
            haproxy_config.main()
        assert "s3cret" not in said.getvalue() + "".join(self.warnings)
        return json.loads(said.getvalue())


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    made = Host(tmp_path)

    class Admin(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            assert self.rfile.readline() == b"show info\n"
            if made.loaded.exists():
                line = made.loaded.read_text().splitlines()[1].split()
                self.wfile.write(f"Name: HAProxy\ndescription: {line[-1]}\n".encode())

    # Where controller code is loaded as well, a warning goes to the screen and not to the result.
    monkeypatch.setattr(AnsibleModule, "warn", lambda _, text: made.warnings.append(text))
    monkeypatch.setenv("PATH", f"{made.bin}:{os.environ['PATH']}")
    with socketserver.ThreadingUnixStreamServer(str(tmp_path / "admin.sock"), Admin) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,)).start()
        yield made
        server.shutdown()


@pytest.fixture
def taken() -> Iterator[int]:
    """A port of the loopback address that another program has."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def test_a_new_file_is_loaded_once(host: Host) -> None:
    host.serves_with("former\n    description none\n")
    result = host.run()
    assert result["changed"] is True
    assert result["action"] == "reload"
    assert host.loaded.read_text() == host.dest.read_text() != GOOD
    assert stat.S_IMODE(host.dest.stat().st_mode) == 0o640
    assert not host.backups
    again = host.run()
    assert (again["changed"], again["action"]) == (False, "none")
    assert host.done == ["reload"]


def test_an_haproxy_that_does_not_run_is_started(host: Host) -> None:
    result = host.run()
    assert (result["changed"], result["action"]) == (True, "start")
    host.loaded.unlink()
    assert host.run(_ansible_check_mode=True)["changed"] is True
    result = host.run()
    assert (result["changed"], result["action"]) == (True, "start")


def test_a_file_that_was_written_and_not_loaded_is_loaded(host: Host) -> None:
    host.run()
    host.loaded.write_text("of before\n    description none\n")
    result = host.run()
    assert (result["changed"], result["action"]) == (True, "reload")
    assert host.run()["changed"] is False


def test_a_wrong_mode_alone_is_mended_without_a_reload(host: Host) -> None:
    host.run()
    host.dest.chmod(0o644)
    result = host.run()
    assert (result["changed"], result["action"]) == (True, "none")


def test_check_mode_changes_nothing(host: Host) -> None:
    host.serves_with("former\n    description none\n")
    result = host.run(SECRET, _ansible_check_mode=True, _ansible_diff=True)
    assert result["changed"] is True
    assert "maxconn 10" in result["diff"]["after"]
    assert host.dest.read_text() == "former\n    description none\n"
    assert host.done == []


@pytest.mark.skipif(
    shutil.which("haproxy", path="/usr/sbin:/usr/local/sbin:" + os.environ["PATH"]) is not None,
    reason="an HAProxy is installed",
)
def test_without_haproxy(host: Host) -> None:
    (host.bin / "haproxy").unlink()
    result = host.run(_ansible_check_mode=True)
    assert result["changed"] is True
    assert "complaints" not in result
    assert "HAProxy is not installed" in host.run()["msg"]
    assert not host.dest.exists()


def test_the_diff_shows_a_change_and_no_password(host: Host) -> None:
    host.serves_with(SECRET.replace("s3cret", "former-s3cret"))
    diff = host.run(SECRET, _ansible_diff=True)["diff"]
    assert diff["before"].endswith("insecure-password ********\n")
    assert diff["after"].endswith("insecure-password ******** (new)\n")


@pytest.mark.parametrize("mode", [{}, {"_ansible_check_mode": True}], ids=["run", "check"])
def test_what_haproxy_refuses_is_not_installed(host: Host, mode: dict[str, Any]) -> None:
    host.serves_with("former\n    description none\n")
    result = host.run(SECRET + "# bogus s3cret\n", **mode)
    assert result["failed"] is True
    assert result["changed"] is False
    reason = f"parsing [{host.dest}:3] : unknown option '********'."
    assert result["complaints"] == [reason]
    assert result["msg"].endswith(f"{host.dest} is as it was: {reason}")
    assert host.dest.read_text() == host.loaded.read_text() == "former\n    description none\n"
    assert host.done == []


def test_a_deprecation_is_passed_on(host: Host) -> None:
    result = host.run(GOOD + "# deprecated\n")
    assert result["changed"] is True
    assert result["complaints"] == [f"parsing [{host.dest}:3] : 'x' is deprecated."]
    assert host.warnings == [f"HAProxy says of the new configuration: {result['complaints'][0]}"]


def test_a_port_of_another_program_is_found_before_haproxy_is_touched(
    host: Host, taken: int
) -> None:
    host.serves_with("former\n    description none\n")
    result = host.run(f"{GOOD}    bind 127.0.0.1:{taken}\n")
    assert f"cannot bind to 127.0.0.1:{taken}: Address already in use" in result["msg"]
    assert host.loaded.read_text() == "former\n    description none\n"
    assert host.done == []


# 192.0.2.0/24 is documentation's, RFC 5737: no interface has it.
@pytest.mark.parametrize(
    ("line", "options", "refused"),
    [
        pytest.param("192.0.2.7:1", {}, True, id="nobody's"),
        pytest.param("192.0.2.7:1", {"nonlocal_bind": True}, True, id="kernel-setting-not-made"),
        pytest.param(
            "192.0.2.7:1",
            {"nonlocal_bind": True, "_ansible_check_mode": True},
            False,
            id="kernel-setting-to-come",
        ),
        pytest.param("192.0.2.7:1 transparent", {}, False, id="transparent"),
        pytest.param("*:0", {}, False, id="all"),
        pytest.param("127.0.0.1:0,[::1]:0", {}, False, id="several"),
        pytest.param("127.0.0.1:0,192.0.2.7:1", {}, True, id="one-of-several"),
        pytest.param("${NAME}:1", {}, False, id="variable"),
        pytest.param("/run/socket", {}, False, id="socket"),
        pytest.param("abns@name:1", {}, False, id="abstract-socket"),
    ],
)
def test_addresses(host: Host, line: str, options: dict[str, Any], refused: bool) -> None:
    result = host.run(f"{GOOD}    bind {line}\n", **options)
    assert result.get("failed", False) is refused
    assert ("Cannot assign requested address" in result.get("msg", "")) is refused


@pytest.mark.thorough
def test_what_does_not_come_up_gives_way_to_the_former_file(host: Host) -> None:
    host.serves_with(former := "former\n    description none\n")
    result = host.run(NOWHERE, backup=True)
    assert result["failed"] is True
    assert result["changed"] is False
    assert result["msg"] == (
        f"HAProxy does not serve with the new configuration; the former {host.dest} is back, and "
        "HAProxy serves with it: Starting proxy nowhere: cannot bind UNIX socket"
    )
    assert host.dest.read_text() == host.loaded.read_text() == former
    assert host.done == ["reload", "reload"]
    assert not host.backups


@pytest.mark.thorough
def test_a_service_that_cannot_be_started_says_why(host: Host) -> None:
    (host.directory / "masked").touch()
    host.program("journalctl", "#!/bin/sh\n")
    result = host.run()
    assert result["msg"] == (
        "HAProxy does not serve with the new configuration; the file is as it was before: "
        "Unit haproxy.service is masked."
    )


def test_a_backup_is_kept_on_request(host: Host) -> None:
    host.serves_with("former\n    description none\n")
    backup = Path(host.run(backup=True)["backup_file"])
    assert host.backups == [backup]
    assert backup.read_text() == "former\n    description none\n"
    assert "backup_file" not in host.run(backup=True)


def test_a_symbolic_link_stays_one(host: Host) -> None:
    target = host.directory / "target.cfg"
    host.dest.symlink_to(target)
    host.run()
    assert host.dest.is_symlink()
    assert host.dest.read_text() == target.read_text()


@pytest.mark.parametrize(
    ("nofile", "may_raise", "action"),
    [
        pytest.param(0, False, "reload", id="no-need"),
        pytest.param(LEAST_FILES, False, "reload", id="enough"),
        pytest.param(LEAST_FILES + 1, True, "reload", id="raised"),
        pytest.param(LEAST_FILES + 1, False, "restart", id="too-few"),
    ],
)
def test_a_restart_only_for_file_descriptors(
    host: Host, monkeypatch: pytest.MonkeyPatch, nofile: int, may_raise: bool, action: str
) -> None:
    limits = {1: 1000, int((host.directory / "pid").read_text()): LEAST_FILES}

    def prlimit(pid: int, what: int, new: tuple[int, int] | None = None) -> tuple[int, int]:
        assert what == resource.RLIMIT_NOFILE
        if new:
            if not may_raise:
                raise PermissionError
            limits[pid] = new[1]
        return limits[pid], limits[pid]

    monkeypatch.setattr(resource, "prlimit", prlimit)
    host.serves_with("former\n    description none\n")
    assert host.run(nofile=nofile)["action"] == action
    assert (nofile in limits.values()) is (action == "reload" and nofile > 0)


LISTEN = """
import socket, sys
listener = socket.socket()
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
listener.bind(("127.0.0.1", int(sys.argv[1])))
listener.listen()
print(listener.getsockname()[1], flush=True)
sys.stdin.read()
"""


@pytest.fixture
def listen() -> Iterator[Callable[[int], tuple[int, int]]]:
    """Have another process listen on a port; its process id and the port."""
    with contextlib.ExitStack() as started:

        def start(port: int) -> tuple[int, int]:
            process = started.enter_context(
                subprocess.Popen(
                    [sys.executable, "-c", LISTEN, str(port)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                )
            )
            assert process.stdout is not None
            return process.pid, int(process.stdout.readline())

        yield start


@pytest.mark.thorough
def test_a_listener_that_the_main_process_keeps(
    host: Host, listen: Callable[[int], tuple[int, int]]
) -> None:
    main, port = listen(0)
    (host.directory / "pid").write_text(str(main))
    host.serves_with("former\n    description none\n")
    assert host.run()["action"] == "reload"
    assert f"since a start that failed: {port}. Clients" in "".join(host.warnings)

    listen(port)  # a worker, with a listener of its own
    assert host.run(GOOD + "    # more\n")["action"] == "restart"
    assert host.done == ["reload", "reload", "restart"]


def test_more_files_than_the_host_gives_are_refused(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resource, "prlimit", lambda _pid, _what: (1000, 1000))
    host.serves_with("former\n    description none\n")
    most = 2**31 - 1  # more than Linux has in any limit
    result = host.run(nofile=most)
    assert f"maxconn needs {most} file descriptors, this host allows 1000" in result["msg"]
    assert host.done == []


def test_a_file_without_a_digest_could_not_be_known_again(host: Host) -> None:
    assert host.run("global\n")["msg"].startswith("content: has no line `description @digest@`")


def test_haproxy_starts_at_boot(host: Host) -> None:
    host.run()
    host.disabled.touch()
    assert host.run(_ansible_check_mode=True)["changed"]
    assert not host.starts_at_boot
    result = host.run()
    assert (result["changed"], result["action"]) == (True, "none")
    assert host.starts_at_boot
    assert not host.run()["changed"]


RAW = "    setenv PIN s3cret\n    # its password is s3cret\n"


def test_raw_lines_show_no_more_than_their_keyword(host: Host) -> None:
    host.serves_with(GOOD.replace("10", "9") + RAW.replace("PIN", "OLD"))
    raw_lines = RAW.splitlines()
    (diff,) = [host.run(GOOD + RAW, raw_lines=raw_lines, _ansible_diff=True)["diff"]]
    assert diff["before"].splitlines()[2:] == [
        "    maxconn 9",
        "    setenv ********",
        "    # ********",
    ]
    assert diff["after"].splitlines()[2:] == [
        "    maxconn 10",
        "    setenv ******** (new)",
        "    # ********",
    ]


def test_what_haproxy_says_of_a_raw_line_has_its_keyword_alone(host: Host) -> None:
    raw = "    option bogus s3cret"
    result = host.run(f"{GOOD}{raw}\n", raw_lines=[raw])
    assert result["complaints"][0].endswith("unknown option '********'.")


def test_the_digest_of_the_file_is_no_change_of_a_line(host: Host) -> None:
    host.serves_with(GOOD.replace("@digest@", "0123456789abcdef"))
    diff = host.run(GOOD, raw_lines=[], _ansible_diff=True)["diff"]
    assert diff["before"] == diff["after"]
