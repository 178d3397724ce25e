"""Passwords are in no output, log or file that others can read."""

from __future__ import annotations

import re

import pytest
import yaml
from lab.hosts import await_one_holder
from lab.playbook import run_playbook

SITE = "playbooks/site.yml"
SECRET = "Zq7xPw3k"  # noqa: S105
SETTINGS = {"keepalived_vrrp_version": 2, "keepalived_auth_pass": SECRET}
# As people write them: no keyword tells that a password follows.
RAW_LINES = {
    "haproxy_global_extra": [f"setenv TOKEN {SECRET}", f"# the password is {SECRET}"],
    "haproxy_defaults_extra": [f'"log-tag" {SECRET}'],
    "haproxy_stats_extra": [f"stats auth operator:{SECRET}"],
    "haproxy_extra": f"""
backend spare
    mode tcp
    option tcp-check
    tcp-check send AUTH\\ {SECRET}\\r\\n
""",
}
REFUSED = {
    "raw lines in one": {"haproxy_global_extra": [f"setenv TOKEN {SECRET}\nbogus"]},
    "raw lines that are no list": {"haproxy_global_extra": {"setenv": SECRET}},
    "a raw line that HAProxy refuses": {"haproxy_global_extra": [f"setenv {SECRET}"]},
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


def test_raw_lines_are_not_shown(run, lbs):
    try:
        done = run(RAW_LINES)
        assert done.rc == 0, done.output[-3000:]
        assert SECRET not in done.output
        assert "setenv ******** (new)" in done.output
        for lb in lbs:
            assert SECRET in lb.run("cat", "/etc/haproxy/haproxy.cfg").stdout
    finally:
        back = run({})
    assert back.rc == 0
    assert SECRET not in back.output


@pytest.mark.parametrize("settings", REFUSED.values(), ids=REFUSED)
def test_refusal_does_not_tell_the_password(run, settings):
    done = run(settings)
    assert done.rc != 0
    assert re.search("keepalived_auth_|haproxy_global_extra|'setenv' expects", done.said)
    assert SECRET[:-1] not in done.output
    assert done.changed == set()
