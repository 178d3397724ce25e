# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The outputs are what `keepalived -t -f /tmp/x` printed, of 2.1.5, 2.2.7 and 2.3.3 (Debian 11,
12 and 13), paths shortened."""

from __future__ import annotations

import pytest
from ansible_collections.mycat.ha.plugins.module_utils.keepalived import config_test as verdict

GOOD = {
    "silent success, every version": (0, ""),
    "checks of another user than root, 2.2.7, in a shell": (143, "Terminated\n"),
    "checks of another user than root, 2.2.7": (-15, ""),
}


@pytest.mark.parametrize(("code", "output"), GOOD.values(), ids=GOOD)
def test_good_file_has_no_complaint(code: int, output: str) -> None:
    assert verdict.complaints(code, output) == ()


# Exit code, output, and what a reader is told.
BAD = {
    "unknown keyword, 2.1.5": (
        0,
        "(/tmp/x: Line 13) Unknown keyword 'foo'\n",
        ("(Line 13) Unknown keyword 'foo'",),
    ),
    "unknown keyword at the top, read four times, 2.2.7": (
        5,
        "(Line 18) Unknown keyword 'foo'\n" + "(/tmp/x: Line 18) Unknown keyword 'foo'\n" * 3,
        ("(Line 18) Unknown keyword 'foo'",),
    ),
    "missing brace, 2.1.5 crashes": (
        -11,
        "There are 1 missing '}'s or extra '{'s\n" * 2,
        ("There are 1 missing '}'s or extra '{'s",),
    ),
    "missing parameter, 2.1.5": (
        3,
        "(/tmp/x: Line 15) *** Configuration line starting `auth_pass` is missing a parameter\n",
        ("(Line 15) *** Configuration line starting `auth_pass` is missing a parameter",),
    ),
    "virtual router id": (
        5,
        "(/tmp/x: Line 10) number '0' outside range [1, 255]\n"
        "(/tmp/x: Line 10) (VI_1): VRID '0' not valid - must be between 1 & 255\n"
        "(VI_1) the virtual router id must be set\n",
        (
            "(Line 10) number '0' outside range [1, 255]",
            "(Line 10) (VI_1): VRID '0' not valid - must be between 1 & 255",
            "(VI_1) the virtual router id must be set",
        ),
    ),
    "nopreempt of a MASTER": (
        5,
        "(VI_1) Warning - nopreempt will not work with initial state MASTER - clearing\n",
        ("(VI_1) Warning - nopreempt will not work with initial state MASTER - clearing",),
    ),
    "script missing, 2.1.5": (
        0,
        "Disabling track script chk since not found/accessible\n",
        ("Disabling track script chk since not found/accessible",),
    ),
    "script that others can write, 2.3.3": (
        5,
        "Disabling track script chk due to insecure\n",
        ("Disabling track script chk due to insecure",),
    ),
    "6 hides the 5 of the other line, 2.3.3": (
        6,
        "(/tmp/x: Line 18) (VI_1) weight for chk cannot be +/-254. Setting to +/-253\n"
        "SECURITY VIOLATION - scripts are being executed but script_security not enabled.\n",
        (
            "(Line 18) (VI_1) weight for chk cannot be +/-254. Setting to +/-253",
            "SECURITY VIOLATION - scripts are being executed but script_security not enabled.",
        ),
    ),
    "complaint before 2.2.7 ends itself": (
        -15,
        "(/tmp/x: Line 15) (VI_1) track script chk not found, ignoring...\n",
        ("(Line 15) (VI_1) track script chk not found, ignoring...",),
    ),
    "tracked file without a directory, 2.3.3": (
        5,
        "(/tmp/x: Line 8) realpath() error 2 (No such file or directory) for haproxy\n" * 2,
        ("(Line 8) realpath() error 2 (No such file or directory) for haproxy",),
    ),
    "included file missing, 2.2.7": (
        0,
        "(Line 18) Config files missing '/nonexistent/*.conf'.\n",
        ("(Line 18) Config files missing '/nonexistent/*.conf'.",),
    ),
    "duplicate instance": (
        5,
        "(/tmp/x: Line 20) vrrp instance VI_1 already defined\n",
        ("(Line 20) vrrp instance VI_1 already defined",),
    ),
    "interface missing": (
        5,
        "(/tmp/x: Line 9) WARNING - interface nope0 for vrrp_instance VI_1 doesn't exist\n"
        "Non-existent interface specified in configuration\n",
        (
            "(Line 9) WARNING - interface nope0 for vrrp_instance VI_1 doesn't exist",
            "Non-existent interface specified in configuration",
        ),
    ),
    # A complaint may hold the words of a start's log.
    "a keyword called Running": (
        5,
        "(/tmp/x: Line 13) Unknown keyword 'Running'\n",
        ("(Line 13) Unknown keyword 'Running'",),
    ),
    "an error in an included file keeps its name": (
        5,
        "(/tmp/x.d/y: Line 3) Unknown keyword 'foo'\n",
        ("(/tmp/x.d/y: Line 3) Unknown keyword 'foo'",),
    ),
    "failure without a word": (2, "\n", ("keepalived -t ended with 2 and said nothing",)),
    "strange exit code": (255, "", ("keepalived -t ended with 255 and said nothing",)),
    "another signal": (-11, "", ("keepalived -t was killed by signal 11 and said nothing",)),
}


@pytest.mark.parametrize(("code", "output", "told"), BAD.values(), ids=BAD)
def test_bad_file_has_complaints(code: int, output: str, told: tuple[str, ...]) -> None:
    assert verdict.complaints(code, output, "/tmp/x") == told  # noqa: S108


@pytest.mark.parametrize("code", [143, -15])
def test_terminated(code: int) -> None:
    assert verdict.terminated(code)
    assert not verdict.timed_out(code)


@pytest.mark.parametrize("code", [124, 137, -9])
def test_timed_out(code: int) -> None:
    assert verdict.timed_out(code)
    assert not verdict.terminated(code)


def test_with_root_scripts_changes_users_only() -> None:
    text = (
        "global_defs {\n"
        "    script_user nobody nogroup\n"
        "    vrrp_notify_fifo_script /usr/bin/x nobody\n"
        "    notification_email { ops@example.org }\n"
        "}\n"
        "vrrp_script a { user nobody }\n"
        "vrrp_script b {\n\tuser\tnobody # not root\n}\n"
        'vrrp_instance VI_1 {\n    notify "/usr/bin/y z" nobody\n    notify_master /x }\n'
    )
    expected = (
        "global_defs {\n"
        "    script_user root\n"
        "\n"
        "    notification_email { ops@example.org }\n"
        "}\n"
        "vrrp_script a { user root }\n"
        "vrrp_script b {\n\tuser\troot # not root\n}\n"
        "vrrp_instance VI_1 {\n\n}\n"
    )
    assert verdict.with_root_scripts(text) == expected


def test_what_only_root_would_mind_is_no_complaint() -> None:
    output = (
        "Disabling track script chk due to insecure\n"
        "Disabling track script other since not found/accessible\n"
    )
    assert verdict.complaints_with_root_scripts(5, output) == (
        "Disabling track script other since not found/accessible",
    )


def test_scripts() -> None:
    text = (
        "global_defs {\n    notify_fifo /run/fifo\n    vrrp_notify_fifo_script /opt/fifo\n}\n"
        'vrrp_script a {\n    script "/usr/bin/timeout 1 /opt/check"\n}\n'
        "vrrp_script b {\n    script /opt/b\n    # script /opt/old\n}\n"
        'vrrp_script c {\n    script "killall -0 haproxy"\n}\n'
        "vrrp_instance VI_1 {\n    notify_master \"'/opt/with blank' VI_1\" nobody\n"
        "    notify_priority_changes true\n}\n"
        "vrrp_sync_group G {\n    notify /opt/g\n}\n"
    )
    assert verdict.scripts(text) == (
        ("global_defs: vrrp_notify_fifo_script", "/opt/fifo"),
        ("vrrp_script a: script", "/usr/bin/timeout"),
        ("vrrp_script b: script", "/opt/b"),
        ("vrrp_instance VI_1: notify_master", "/opt/with blank"),
        ("vrrp_sync_group G: notify", "/opt/g"),
    )


def test_scripts_of_no_configuration() -> None:
    assert verdict.scripts("script /x\0") == ()


M = verdict.MASK
# The text, and what of it may be seen.
SECRETS = {
    "plain": (
        "authentication {\n    auth_type PASS\n    auth_pass s3cret\n}\npriority 100\n",
        f"authentication {{\n    auth_type PASS\n    auth_pass {M}\n}}\npriority 100\n",
    ),
    "tabs and quotes": ('auth_pass\t"s3 cret"', f"auth_pass\t{M}"),
    "quoted keyword": ('"auth_pass" s3cret', f'"auth_pass" {M}'),
    "quote not closed": ('auth_pass "s3cret', f"auth_pass {M}"),
    "several words": ("auth_pass s3cret s3cret2", f"auth_pass {M}"),
    "one line": (
        "authentication { auth_type PASS auth_pass s3cret }\npriority 100",
        f"authentication {{ auth_type PASS auth_pass {M}\npriority 100",
    ),
    "closing brace behind the password": (
        "authentication {\n    auth_pass s3cret }\npriority 100",
        f"authentication {{\n    auth_pass {M}\npriority 100",
    ),
    "brace on a line of its own": (
        "authentication\n{\n    pass s3cret\n}\npriority 100",
        f"authentication\n{{\n    {M}\n}}\npriority 100",
    ),
    "brace in the password": (
        'authentication {\n    auth_pass "s3}cret"\n    s3cret\n}',
        f"authentication {{\n    auth_pass {M}\n    {M}\n}}",
    ),
    "comment": ("# auth_pass s3cret", f"# auth_pass {M}"),
    "for one host": ("@lb1 auth_pass s3cret", f"@lb1 auth_pass {M}"),
    "mistyped": (
        "authentication {\n    auth_pas s3cret\n    password s3cret\n}",
        f"authentication {{\n    auth_pas {M}\n    {M}\n}}",
    ),
    "auth_hmac": (
        "auth_hmac {\n    algorithm s3cret\n    key 1 s3cret\n}\npriority 100",
        f"auth_hmac {{\n    {M}\n    {M}\n}}\npriority 100",
    ),
    "auth_hmac without a block": (
        "auth_hmac sha256 s3cret\npriority 100",
        f"auth_hmac {M}\npriority 100",
    ),
    "definition": (
        "$OTHER=x\n$KEY=s3cret\nauth_pass $KEY\n",
        f"$OTHER=x\n$KEY={M}\nauth_pass {M}\n",
    ),
    "definition of a definition": (
        "$A=s3cret\n$B=${A}\nauth_pass ${B}",
        f"$A={M}\n$B={M}\nauth_pass {M}",
    ),
    "definition over several lines": (
        "$A=s3cret \\\n  s3cret2\nauth_pass $A",
        f"$A={M}\n{M}\nauth_pass {M}",
    ),
    "keyword from a definition": (
        "$K=auth_pass\nauthentication {\n    $K s3cret\n}",
        f"$K=auth_pass\nauthentication {{\n    {M}\n}}",
    ),
    "repetition": ("~LST(P, s3cret) auth_pass $P", M),
    "repetition of a definition": (
        "$S=auth_pass $P\n~LST(P, s3cret) $S",
        f"$S=auth_pass {M}\n~LST(P, {M}) $S",
    ),
    "not a configuration": ("\0 auth_pass s3cret", f"\0 auth_pass {M}"),
    "nothing to hide": (
        "# authentication is off\nvrrp_instance authentication_1 {\n    auth_type PASS\n}\n",
        "# authentication is off\nvrrp_instance authentication_1 {\n    auth_type PASS\n}\n",
    ),
}


@pytest.mark.parametrize(("text", "expected"), SECRETS.values(), ids=SECRETS)
def test_masked(text: str, expected: str) -> None:
    assert verdict.masked(text) == expected


# What 2.2.7 repeats of a faulty line.
REPEATED = {
    "quote not closed": (
        'authentication {\n auth_pass "s3cret\n}',
        "(Line 15) Unterminated quote 'auth_pass \"s3cret'",
        f"(Line 15) Unterminated quote 'auth_pass \"{M}'",
    ),
    "keyword": (
        "authentication {\n s3cret\n}",
        "(Line 2) Unknown keyword 's3cret'",
        f"(Line 2) Unknown keyword '{M}'",
    ),
    "one of two words": (
        'auth_pass "s3 cret"',
        "(Line 2) Unknown keyword 'cret\"'",
        f"(Line 2) Unknown keyword '{M}\"'",
    ),
    "what resembles it stays": (
        "authentication {\n auth_pas s3\n}",
        "(Line 2) Unknown keyword 'auth_pas' s3x",
        "(Line 2) Unknown keyword 'auth_pas' s3x",
    ),
    "mistyped key": (
        "auth_hmac {\n key 1 s3cret\n}",
        "(Line 3) Unknown keyword 'key' s3cret",
        f"(Line 3) Unknown keyword 'key' {M}",
    ),
    "no configuration": ("auth_pass s3cret\n\0", "'s3cret'", f"'{M}'"),
}


@pytest.mark.parametrize(("text", "line", "expected"), REPEATED.values(), ids=REPEATED)
def test_complaint_without_secrets(text: str, line: str, expected: str) -> None:
    assert verdict.without_secrets(line, verdict.secrets(text)) == expected
