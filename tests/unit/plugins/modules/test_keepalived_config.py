# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module as Ansible runs it, with a keepalived that answers as a real one did."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import stat
import time
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.basic import AnsibleModule
from ansible_collections.mycat.ha.plugins.modules import keepalived_config
from lab.module import patch_module_args

GOOD = "vrrp_instance VI_1 {\n    priority 100\n}\n"
AUTH = "authentication {\n    auth_type PASS\n    auth_pass s3cret\n}\n"


class Host:
    """A directory with a keepalived.conf, and a keepalived of our own in the PATH."""

    def __init__(self, directory: Path) -> None:
        self.warnings: list[str] = []
        self.bin = directory / "bin"
        self.etc = directory / "etc"
        self.dest = self.etc / "keepalived.conf"
        self.bin.mkdir()
        self.etc.mkdir()
        self.keepalived("")

    def keepalived(self, script: str) -> None:
        """``script`` runs for ``keepalived -t``; the file to test is $3."""
        path = self.bin / "keepalived"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    def run(self, content: str = GOOD, **options: Any) -> dict[str, Any]:
        arguments = {
            "content": content,
            "dest": str(self.dest),
            "owner": str(os.geteuid()),
            "group": str(os.getegid()),
            **options,
        }
        said = io.StringIO()
        streams = contextlib.redirect_stdout(said)
        with patch_module_args(arguments), streams, pytest.raises(SystemExit):
            keepalived_config.main()
        # Nothing is left behind but the file, its backups, and what the test made.
        assert not list(self.etc.glob(".keepalived-*"))
        for secret in ("s3cret", "s3 cret"):
            assert secret not in said.getvalue()
        return json.loads(said.getvalue())


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    made = Host(tmp_path)
    # Where controller code is loaded as well, a warning goes to the screen and not to the result.
    monkeypatch.setattr(AnsibleModule, "warn", lambda _, text: made.warnings.append(text))
    monkeypatch.setenv("PATH", f"{made.bin}:{os.environ['PATH']}")
    return made


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_good_file_is_installed_once(host: Host) -> None:
    host.dest.write_text("old\n")
    host.dest.chmod(0o644)
    result = host.run()
    assert result["changed"] is True
    assert result["complaints"] == []
    assert host.dest.read_text() == GOOD
    assert mode(host.dest) == 0o600
    assert host.run()["changed"] is False


def test_a_wrong_mode_alone_is_a_change(host: Host) -> None:
    host.dest.write_text(GOOD)
    host.dest.chmod(0o644)
    assert host.run(_ansible_check_mode=True)["changed"] is True
    assert mode(host.dest) == 0o644
    assert host.run()["changed"] is True
    assert mode(host.dest) == 0o600


@pytest.mark.parametrize("content", ["a b", "a\r\nb\n", "", "# \u4e3b\n"])
def test_content_is_installed_byte_by_byte(host: Host, content: str) -> None:
    assert host.run(content)["changed"] is True
    assert host.dest.read_bytes() == content.encode()
    assert host.run(content)["changed"] is False


def test_a_refused_file_is_not_installed(host: Host) -> None:
    host.dest.write_text("old\n")
    host.keepalived("echo \"($3: Line 13) Unknown keyword 'foo'\" >&2")
    result = host.run()
    assert result["failed"] is True
    assert result["changed"] is False
    assert result["complaints"] == ["(Line 13) Unknown keyword 'foo'"]
    assert "Unknown keyword 'foo'" in result["msg"]
    assert f"{host.dest} is as it was" in result["msg"]
    assert host.dest.read_text() == "old\n"


def test_a_refused_file_is_refused_in_check_mode(host: Host) -> None:
    host.dest.write_text("old\n")
    host.keepalived("echo bad >&2; exit 5")
    content = GOOD.replace("priority", "interface lo\n    priority")
    result = host.run(f"global_defs {{\n script_user root\n}}\n{content}", _ansible_check_mode=True)
    assert result["failed"] is True
    assert "bad" in result["msg"]
    assert host.warnings == []
    assert host.dest.read_text() == "old\n"


@pytest.mark.parametrize(
    "missing",
    [
        'vrrp_script x {\n    script "/nowhere/x"\n}\n',
        "global_defs {\n    script_user no.such.user\n}\n",
        "vrrp_instance y {\n    interface nowhere0\n}\n",
    ],
    ids=["script", "user", "interface"],
)
def test_what_a_play_may_install_first_is_a_warning_in_check_mode(host: Host, missing: str) -> None:
    host.dest.write_text("old\n")
    host.keepalived("echo bad >&2; exit 5")
    result = host.run(GOOD + missing, _ansible_check_mode=True)
    assert result["changed"] is True
    assert "bad" in host.warnings[0]
    assert host.dest.read_text() == "old\n"


def test_secrets_stay_secret(host: Host) -> None:
    host.dest.write_text(AUTH)
    host.keepalived("sed 's/^/Unterminated quote: /' $3 >&2; exit 2")
    result = host.run(AUTH + GOOD, _ansible_diff=True, _ansible_verbosity=4)
    assert result["failed"] is True
    assert result["diff"]["before"] == AUTH.replace("s3cret", "********")
    assert "auth_pass ********" in result["msg"]
    assert result["invocation"]["module_args"]["content"] == "VALUE_SPECIFIED_IN_NO_LOG_PARAMETER"


@pytest.mark.parametrize("content", [GOOD, AUTH])
def test_the_diff_shows_what_changes(host: Host, content: str) -> None:
    diff = host.run(content, _ansible_diff=True)["diff"]
    assert diff["before"] == ""
    assert diff["after"] == content.replace("s3cret", "********")


def test_a_backup_is_as_secret_as_the_file(host: Host) -> None:
    host.dest.write_text(AUTH)
    host.dest.chmod(0o644)
    backup = Path(host.run(backup=True)["backup_file"])
    assert backup.read_text() == AUTH
    assert mode(backup) == 0o600
    assert backup.parent == host.etc
    assert "backup_file" not in host.run(backup=True)


def test_a_symbolic_link_stays_one(host: Host) -> None:
    target = host.etc / "target.conf"
    host.dest.symlink_to(target)
    result = host.run()
    assert result["dest"] == str(target)
    assert host.dest.is_symlink()
    assert target.read_text() == GOOD
    assert host.run()["changed"] is False


def test_the_candidate_lies_beside_the_file_and_is_secret(host: Host) -> None:
    host.keepalived("stat -c '%a' $3; dirname $3; exit 5")
    assert host.run()["complaints"] == ["600", str(host.etc)]


REFUSED = {
    "directory": ({"dest": "/"}, "dest: / is a directory"),
    "no directory": ({"dest": "/nonexistent/x"}, "dest: the directory /nonexistent does not exist"),
    "NUL": ({"content": "a\0b"}, "content: has a NUL byte"),
    "no time": ({"timeout": 0}, "timeout: must be at least 1 s"),
}


@pytest.mark.parametrize(("options", "message"), REFUSED.values(), ids=REFUSED)
def test_bad_option(host: Host, options: dict[str, Any], message: str) -> None:
    result = host.run(**options)
    assert result["failed"] is True
    assert result["msg"].startswith(message)


def test_check_mode_before_anything_is_installed(host: Host) -> None:
    dest = host.etc / "not/there.conf"
    assert host.run(dest=str(dest), _ansible_check_mode=True)["changed"] is True
    assert not dest.parent.exists()


@pytest.mark.skipif(
    shutil.which("keepalived", path="/usr/sbin:/usr/local/sbin:" + os.environ["PATH"]) is not None,
    reason="a keepalived is installed",
)
def test_without_keepalived(host: Host) -> None:
    (host.bin / "keepalived").unlink()
    result = host.run(_ansible_check_mode=True)
    assert result["changed"] is True
    assert "complaints" not in result
    assert "keepalived is not installed" in host.run()["msg"]
    assert not host.dest.exists()


@pytest.mark.thorough
@pytest.mark.parametrize("how", ["sleep 60", "trap '' TERM; sleep 60 & wait; sleep 60"])
def test_a_hanging_keepalived_is_ended(host: Host, how: str) -> None:
    host.keepalived(how)
    start = time.monotonic()
    result = host.run(timeout=1)
    assert time.monotonic() - start < 20
    assert "did not end within 1 s" in result["msg"]
    assert not host.dest.exists()


# 2.2.7 ends itself when it comes to scripts of another user, unless root's are all there are.
TERMINATES = "grep -q 'script_user nobody' $3 && kill -TERM $$; "


def test_debian_12_is_asked_again(host: Host) -> None:
    host.keepalived(TERMINATES + "true")
    assert host.run("global_defs {\n    script_user nobody\n}\n")["complaints"] == []
    host.keepalived(TERMINATES + 'echo "($3: Line 2) Disabling track script chk since not found"')
    result = host.run("global_defs {\n    script_user nobody nogroup\n}\n")
    assert result["complaints"] == ["(Line 2) Disabling track script chk since not found"]


def test_scripts_that_cannot_run(host: Host) -> None:
    plain = host.etc / "plain.sh"
    plain.write_text("")
    content = (
        f'vrrp_script a {{\n    script "{plain} x"\n}}\n'
        f'vrrp_script b {{\n    script "{host.bin}/keepalived"\n}}\n'
        f"vrrp_instance VI_1 {{\n    notify {host.etc}/none\n}}\n"
    )
    assert host.run(content)["complaints"] == [
        f"vrrp_script a: script: {plain}: is not an executable file",
        f"vrrp_instance VI_1: notify: {host.etc}/none: No such file or directory",
    ]


def test_what_a_change_takes(host: Host) -> None:
    host.run()
    result = host.run("instance blue\n" + GOOD.replace("100", "90"))
    assert result["restart_required"] == ["instance: off -> blue"]
    assert (result["action"], result["cluster_wide"]) == ("restart", [])
    result = host.run("instance blue\n" + GOOD.replace("priority 100", "virtual_router_id 9"))
    assert (result["action"], result["restart_required"]) == ("reload", [])
    assert [line.split(" -> ")[1] for line in result["cluster_wide"]] == ["9"]


def test_what_no_change_takes(host: Host) -> None:
    host.run()
    assert host.run()["action"] == "none"


def test_asked_without_a_test(host: Host) -> None:
    host.run()
    host.keepalived("echo no; exit 1")
    result = host.run("instance blue\n" + GOOD, test=False, _ansible_check_mode=True)
    assert (result["changed"], result["restart_required"]) == (True, ["instance: off -> blue"])
    assert "complaints" not in result
    assert not host.warnings
    assert host.dest.read_text() == GOOD


def test_no_installation_without_a_test(host: Host) -> None:
    assert host.run(test=False)["msg"] == "test: only check mode does without; leave it out"
    assert not host.dest.exists()
