"""Passwords of keepalived are in no output, log or file that others can read."""

from __future__ import annotations

import pytest
import yaml
from lab.hosts import await_one_holder
from lab.playbook import run_playbook

SITE = "playbooks/site.yml"
SECRET = "Zq7xPw3k"  # noqa: S105
SETTINGS = {"keepalived_vrrp_version": 2, "keepalived_auth_pass": SECRET}
REFUSED = {
    "password too long": {**SETTINGS, "keepalived_auth_pass": SECRET * 2},
    "password with a brace": {**SETTINGS, "keepalived_auth_pass": SECRET[:-1] + "}"},
    "password with VRRP 3": {**SETTINGS, "keepalived_vrrp_version": 3},
    "key with a brace": {
        "keepalived_version": "2.4.0",
        "keepalived_auth_hmac": {"keys": [{"id": 1, "key": SECRET * 4 + "}"}]},
    },
    "key for an old keepalived": {"keepalived_auth_hmac": {"keys": [{"id": 1, "key": SECRET * 4}]}},
}


@pytest.fixture
def run(tmp_path):
    """Run site.yml as talkatively as it gets; the settings come by a file, as a vault's would."""

    def run(settings, *options):
        file = tmp_path / "settings.yml"
        file.write_text(yaml.safe_dump(settings), encoding="utf-8")
        return run_playbook(SITE, f"--extra-vars=@{file}", "--diff", "-vvv", *options)

    return run


@pytest.fixture
def with_password(run, lbs, vip):
    done = run(SETTINGS)
    yield done
    assert run_playbook(SITE).rc == 0
    await_one_holder(lbs, vip)


def readable_files(host):
    """Files with the password that somebody other than their owner can read."""
    places = ("/etc", "/var", "/tmp", "/run", "/root", "/home", "/usr/local")  # noqa: S108
    found = host.run("grep", "-rlsF", SECRET, *places, check=False).stdout.splitlines()
    return [path for path in found if host.run("stat", "-c", "%a", path).stdout.strip() != "600"]


def test_password_is_nowhere_but_in_its_file(with_password, lbs, vip):
    assert with_password.rc == 0, with_password.output[-3000:]
    assert SECRET not in with_password.output
    await_one_holder(lbs, vip)
    for lb in lbs:
        assert SECRET in lb.run("cat", "/etc/keepalived/keepalived.conf").stdout
        assert readable_files(lb) == []
        assert SECRET not in lb.run("journalctl", "--no-pager", "-q").stdout


@pytest.mark.parametrize("settings", REFUSED.values(), ids=REFUSED)
def test_refusal_does_not_tell_the_password(run, settings):
    done = run(settings)
    assert done.rc != 0
    assert "keepalived_auth_" in done.said
    assert SECRET[:-1] not in done.output
    assert done.changed == set()
