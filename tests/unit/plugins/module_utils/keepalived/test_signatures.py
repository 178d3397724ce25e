# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""auth_hmac in a text."""

from __future__ import annotations

from ansible_collections.mycat.ha.plugins.module_utils.keepalived.reader import Parsed, parse
from ansible_collections.mycat.ha.plugins.module_utils.vrrp.model import Hmac

KEY = "s3cret" * 6


def read(*lines: str, version: tuple[int, ...] = (2, 4, 0)) -> Parsed:
    block = "\n".join(("vrrp_instance V {", "auth_hmac {", *lines, "}", "}"))
    return parse(block, "lb1", keepalived_version=version)


def hmac(parsed: Parsed) -> Hmac | None:
    return parsed.node.instances[0].auth_hmac


def test_everything() -> None:
    parsed = read(
        f"key 1 {KEY}",
        "key 2 file:/run/key",
        "active_key 2",
        "mode permissive",
        "anti_replay monotonic",
        "time_window 7",
    )
    keys = ((1, KEY), (2, "file:/run/key"))
    assert hmac(parsed) == Hmac(keys, 2, "permissive", "monotonic", 7)
    assert not parsed.findings


def test_what_the_daemon_ignores_leaves_its_own_choice() -> None:
    parsed = read(
        f"key x {KEY}", f"key 256 {KEY}", "key 1 s3cret", "key 1", "active_key 0", "mode s3cret",
        "anti_replay", "time_window 301",
    )  # fmt: skip
    assert hmac(parsed) == Hmac(())
    assert [(item.id, item.line) for item in parsed.findings] == [
        ("invalid-value", line) for line in range(3, 11)
    ]


def test_no_message_repeats_a_secret() -> None:
    parsed = read(f"kez 1 {KEY}", "key 1 s3cret", "mode s3cret")
    assert len(parsed.findings) == 3
    assert "s3cret" not in repr(parsed.findings)


def test_an_older_daemon_does_not_know_it() -> None:
    assert hmac(read(f"key 1 {KEY}", version=(2, 3, 4))) is None
