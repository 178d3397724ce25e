# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the program accepts as settings, and the words with which it refuses the rest."""

from __future__ import annotations

import json
import subprocess

import pytest

from conftest import EOF, GREETING, LOGIN_OK, FakeMyCat, command, packet  # isort: skip

ALLOW = {"allow": ["127.0.0.1"]}


def check_config(path):
    arguments = command(path, "--check-config")
    return subprocess.run(arguments, capture_output=True, text=True, timeout=10, check=False)


@pytest.mark.parametrize(
    ("settings", "name", "problem"),
    [
        ({}, "allow", "must be a list of addresses or networks, and not empty (is [])"),
        ({"allow": "127.0.0.1"}, "allow", "must be a list"),
        ({"allow": ["lb1"]}, "allow", "lb1 is not an address"),
        ({"allow": ["192.0.2.256"]}, "allow", "192.0.2.256 is not an address"),
        ({"allow": ["192.0.2.0/33"]}, "allow", "192.0.2.0/33 is not a network"),
        ({"allow": ["192.0.2.0/-1"]}, "allow", "192.0.2.0/-1 is not a network"),
        ({"allow": ["192.0.2.1/24"]}, "allow", "192.0.2.1/24 has bits set behind its prefix"),
        ({"allow": [7]}, "allow", "must be a text"),
        ({"level": "deep"}, "level", "must be one of process, greeting, query"),
        ({"level": ["process"]}, "level", "must be one of process, greeting, query"),
        ({"level": "query"}, "credentials_file", "the level query needs it"),
        ({"manager_port": 9066}, "credentials_file", "mycat_status_manager_port needs it"),
        ({"require_backends": True}, "manager_port", "mycat_status_require_backends needs it"),
        ({"sql_port": 0}, "sql_port", "must be a port, 1 to 65535 (is 0)"),
        ({"sql_port": "8066"}, "sql_port", "must be a port"),
        ({"sql_port": True}, "sql_port", "must be a port"),
        ({"host": "localhost"}, "host", "localhost is not an address"),
        ({"home": "mycat"}, "home", "must be an absolute path"),
        ({"home": "/a\nb"}, "home", "without control characters"),
        ({"marker": ""}, "marker", "must be a text"),
        ({"long_name": 5}, "long_name", "must be a text"),
        ({"use_status_command": "no"}, "use_status_command", "must be true or false"),
        ({"check_timeout": 0}, "check_timeout", "must be a number of seconds, 0.05 to 30"),
        ({"client_timeout": "1"}, "client_timeout", "must be a number of seconds"),
        ({"max_age": float("nan")}, "max_age", "must be a number of seconds"),
        ({"max_age": False}, "max_age", "must be a number of seconds"),
        ({"drain_file": "drain"}, "drain_file", "must be an absolute path"),
        ({"colour": "red"}, "colour", "is not a setting"),
    ],
    ids=lambda value: json.dumps(value) if isinstance(value, dict) else "",
)
def test_a_wrong_setting_is_named_as_the_role_names_it(program, settings, name, problem):
    with pytest.raises(program.SettingError) as caught:
        program.Settings(settings if "allow" in settings or not settings else {**ALLOW, **settings})
    assert caught.value.name == f"mycat_status_{name}"
    assert str(caught.value).startswith(f"mycat_status_{name}: ")
    assert problem in str(caught.value)


def test_defaults(program):
    settings = program.Settings(ALLOW)
    assert (settings.level, settings.sql_port, settings.max_age) == ("greeting", 8066, 0.5)
    assert settings.pid_file == "/usr/local/mycat/logs/mycat.pid"


def test_credentials_make_query_the_default_level(program):
    assert program.Settings({**ALLOW, "credentials_file": "/c"}).level == "query"


def test_check_config_says_what_is_wrong_and_exits_2(tmp_path):
    path = tmp_path / "config.json"
    path.write_text(json.dumps({**ALLOW, "level": "de\x1bep"}))
    result = check_config(path)
    assert result.returncode == 2
    assert result.stderr.startswith(f"{path}: mycat_status_level: must be one of")
    assert result.stderr.rstrip("\n").isprintable()
    path.write_text(json.dumps(ALLOW))
    assert check_config(path).returncode == 0


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "[" * 100000, "\xff"])
def test_a_file_that_holds_no_settings(program, tmp_path, capsys, text):
    path = tmp_path / "config.json"
    path.write_text(text, encoding="latin-1")
    assert program.check_config(str(path)) == 2
    assert capsys.readouterr().err.startswith(f"{path}: ")


@pytest.mark.parametrize(
    ("content", "mode", "problem"),
    [
        ('{"user": "u", "password": "s3cret"}', 0o640, None),
        ('{"user": "u", "password": "s3cret"}', 0o600, None),
        ('{"user": "u", "password": "s3cret"}', 0o644, "is open to others; make its mode 0640"),
        ('{"user": "u", "password": "s3cret"}', 0o642, "is open to others"),
        ('{"user": "u"}', 0o640, "must hold user and password"),
        ('{"user": "", "password": "s3cret"}', 0o640, "must hold user and password"),
        ('{"user": "u", "password": 1}', 0o640, "must hold user and password"),
        ("[]", 0o640, "must hold user and password"),
        ("user=u", 0o640, "is not JSON"),
        (None, 0o640, "No such file"),
    ],
)
def test_credentials(program, tmp_path, capsys, content, mode, problem):
    credentials = tmp_path / "credentials.json"
    if content is not None:
        credentials.write_text(content)
        credentials.chmod(mode)
    path = tmp_path / "config.json"
    path.write_text(json.dumps({**ALLOW, "credentials_file": str(credentials)}))
    code = program.check_config(str(path))
    said = capsys.readouterr().err
    if problem is None:
        assert (code, said) == (0, "")
    else:
        assert code == 2
        assert "mycat_status_credentials_file: " in said
        assert problem in said
        assert "s3cret" not in said


@pytest.mark.parametrize(
    ("peer", "allowed"),
    [
        ("192.0.2.7", True),
        ("192.0.2.8", False),
        ("198.51.100.255", True),
        ("198.51.101.0", False),
        ("2001:db8::5", True),
        ("2001:db9::5", False),
        ("fe80::1%eth0", True),
        ("::ffff:192.0.2.7", True),
        ("::ffff:192.0.2.8", False),
        ("::c000:207", False),
        ("", False),
        ("a socket's path", False),
    ],
)
def test_allow_list(program, peer, allowed):
    networks = ["192.0.2.7", "198.51.100.0/24", "2001:db8::/32", "fe80::/10"]
    assert program.is_allowed(peer, [program.Network(text) for text in networks]) is allowed


def test_native_password_login_matches_the_documented_hash(program):
    """A server keeps SHA1(SHA1(password)) and has to find it in the token again."""
    import hashlib

    salt, password = bytes(range(20)), b"secret"
    stored = hashlib.sha1(hashlib.sha1(password).digest()).digest()  # noqa: S324
    token = program.native_password(password, salt)
    mask = hashlib.sha1(salt + stored).digest()  # noqa: S324
    once = bytes(a ^ b for a, b in zip(token, mask))
    assert hashlib.sha1(once).digest() == stored, "a server could not verify it"  # noqa: S324
    assert program.native_password(b"", salt) == b""


COLUMN = packet(2, b"\x03def\0\0\0\x06STATUS\0\x0c!\0\0\1\0\0\xfd\0\0\0\0\0")


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ([packet(1, b"\1"), COLUMN, EOF, packet(4, b"\x02ON"), EOF], None),
        ([packet(1, b"\1"), COLUMN, EOF, packet(4, b"\x03OFF"), EOF], "says OFF"),
        ([packet(1, b"\1"), COLUMN, EOF, packet(4, b"\xfb"), EOF], "says None"),
        ([packet(1, b"\1"), COLUMN, EOF, EOF], "says None"),
        ([LOGIN_OK], "says None"),
        ([packet(1, b"\1"), COLUMN, EOF, packet(4, b"\x09ON"), EOF], "unreadable answer"),
        ([packet(1, b"\1"), packet(2, b"\x03def"), EOF], "unreadable answer"),
        ([packet(1, b"\1"), COLUMN, *[packet(4, b"\x02ON")] * 3], "unreadable answer"),
        ([packet(1, b"\1"), COLUMN, EOF, *[packet(4, b"\x02ON")] * 1100], "unreadable answer"),
        ([packet(1, b"\xff\x28\x04#HY000no")], "error 1064 no"),
        ([packet(1, b"\xff")], "error 0"),
    ],
    ids=["on", "off", "null", "no-row", "ok", "cut-row", "cut-column", "no-eof", "endless", "error",
         "empty-error"],
)  # fmt: skip
def test_answers_to_show_mycat_status(program, tmp_path, answer, reason):
    server = FakeMyCat([GREETING, LOGIN_OK, b"".join(answer)])
    credentials = tmp_path / "credentials.json"
    credentials.write_text('{"user": "u", "password": "p"}')
    credentials.chmod(0o600)
    settings = {**ALLOW, "credentials_file": str(credentials), "sql_port": server.port}
    settings["memory_file"] = str(tmp_path / "memory.json")
    verdict = program.Checker(program.Settings(settings), keep=False).check()
    server.listener.close()
    assert verdict.up is (reason is None)
    assert (reason or "ON") in verdict.reason
