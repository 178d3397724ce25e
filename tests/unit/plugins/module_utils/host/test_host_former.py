# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What stood there before comes back, and nothing that the collection wrote."""

from __future__ import annotations

from ansible_collections.mycat.ha.plugins.module_utils.host.former import Verdict, backups, judge

DEST = "/etc/haproxy/haproxy.cfg"
OURS, THEIRS = "global\n    description 0123456789abcdef\n", "global\n    daemon\n"
PATTERN = r"^\s*description [0-9a-f]{16}$"


def judged(text: str | None, *kept: str) -> Verdict:
    return judge(DEST, text, [(str(number), one) for number, one in enumerate(kept)], PATTERN)


def test_backups_are_in_the_order_of_their_times() -> None:
    first, second = "a.cfg.99.2026-11-26@03:00:00~", "a.cfg.7.2026-11-26@03:00:01~"
    others = ["a.cfg", "a.cfg.orig", "b.cfg.1.2026-11-26@03:00:00~", "aXcfg.1.2026-11-26@03:00:00~"]
    assert backups("a.cfg", [second, *others, first]) == [first, second]


def test_the_oldest_backup_comes_back_and_ours_go() -> None:
    assert judged(OURS, THEIRS, OURS) == Verdict(restore="0", remove=["1"])


def test_where_nothing_stood_the_file_goes() -> None:
    assert judged(OURS) == Verdict(remove=[DEST])
    # Ours was first, so a later one is somebody's change of it.
    assert judged(OURS, OURS, THEIRS) == Verdict(remove=[DEST, "0"])


def test_what_somebody_else_wrote_since_stays() -> None:
    assert judged(THEIRS, THEIRS, OURS) == Verdict(remove=["1"], foreign=True)


def test_a_second_time_nothing_is_left_to_do() -> None:
    assert judged(None) == Verdict()
    assert judged(None, THEIRS) == Verdict()
    assert judged(THEIRS) == Verdict(foreign=True)
