# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.mycat.ha.plugins.module_utils.haproxy.config_text import masked
from ansible_collections.mycat.ha.plugins.module_utils.host.foreign_lines import ForeignLines
from ansible_collections.mycat.ha.plugins.module_utils.host.masking import MASK, without_secrets

OWN = """# Ansible managed
global
    user haproxy
    stats timeout 30s
    timeout client 35m
userlist stats_users
    user admin insecure-password 's3cret'
listen mycat
    http-check send meth GET uri /
    server mycat1 192.0.2.21:8066 check weight 3
"""
RAW = {
    "an environment": ("setenv PW s3cret", f"setenv {MASK}"),
    "a login": ("stats auth admin:s3cret", f"stats auth {MASK}"),
    "a login in quotes": ('stats auth "admin:s3cret"', f"stats auth {MASK}"),
    "a keyword in quotes": ('"stats" auth admin:s3cret', MASK),
    "a keyword that is escaped": ("st\\ats auth admin:s3cret", MASK),
    "a probe": ("tcp-check send AUTH\\ s3cret", f"tcp-check send {MASK}"),
    "a probe of digits": ("tcp-check send 12345678", f"tcp-check send {MASK}"),
    "a comment": ("# its password is s3cret", f"# {MASK}"),
    "a comment of digits": ("# 12345678", f"# {MASK}"),
    "a comment behind a setting": ("timeout client 40m # 12345678", f"timeout client 40m {MASK}"),
    "a header of digits": (
        "http-check send meth GET uri / hdr X-Pin 12345678",
        f"http-check send meth GET uri / {MASK}",
    ),
    "a user of digits": (
        "user haproxy insecure-password 12345678",
        f"user haproxy insecure-password {MASK}",
    ),
    "what the role writes, too": ("stats timeout 10s", "stats timeout 10s"),
    "a server": ("server db 192.0.2.9:3306 check", "server db 192.0.2.9:3306 check"),
    "a switch": ("option tcp-smart-accept", "option tcp-smart-accept"),
    "a path": ("stats socket /run/x.sock", "stats socket /run/x.sock"),
}


def foreign(*raw: str) -> tuple[ForeignLines, str]:
    text = OWN + "".join(f"    {line}\n" for line in raw)
    return ForeignLines(text, raw, masked), text


@pytest.mark.parametrize(("line", "shown"), RAW.values(), ids=RAW)
def test_a_raw_line_ends_where_a_password_may_be(line: str, shown: str) -> None:
    lines, text = foreign(line)
    assert lines.masked(text, text).splitlines()[-1] == f"    {shown}"


@pytest.mark.parametrize(("line", "shown"), RAW.values(), ids=RAW)
def test_a_line_that_the_role_did_not_write_counts_as_raw(line: str, shown: str) -> None:
    lines, _text = foreign()
    assert lines.masked(f"    {line}\n") == f"    {shown}\n"


def test_the_lines_of_the_role_are_shown_but_for_its_passwords() -> None:
    lines, text = foreign("setenv PW s3cret")
    shown = lines.masked(text, text)
    assert shown.splitlines()[: len(OWN.splitlines())] == masked(OWN).splitlines()
    assert "s3cret" not in shown


def test_another_word_shows_as_a_change() -> None:
    lines, text = foreign("setenv PW new", "stats timeout 10s")
    before = OWN + "    setenv PW old\n"
    assert lines.masked(text, before).splitlines()[-2:] == [
        f"    setenv {MASK} (new)",
        "    stats timeout 10s",
    ]
    assert lines.masked(before).splitlines()[-1] == f"    setenv {MASK}"


def test_a_daemon_may_quote_keywords_and_no_more() -> None:
    lines, text = foreign("option bogus", "setenv PW s3cret-1", "server x 192.0.2.9:1 check")
    hidden = lines.hidden(text)
    assert {"s3cret-1", "PW"} <= hidden
    assert not {"option", "bogus", "setenv", "check", "192.0.2.9:1", "/"} & hidden
    said = "unknown option 'bogus', too many args after 's3cret-1'"
    assert without_secrets(said, hidden) == f"unknown option 'bogus', too many args after '{MASK}'"
