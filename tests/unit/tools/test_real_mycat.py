# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The figures of a look at a real MyCat."""

from __future__ import annotations

from real_mycat.watching import Answer, Seen

SEEN = Seen(
    100.0,
    [Answer(100.0 + at, code, {}) for at, code in ((0.1, 200), (0.4, 200), (1.25, 503), (2, 200))],
    ["ok", "failed", "ok"],
)


def test_codes_are_told_once_as_long_as_they_stay() -> None:
    assert SEEN.codes == "200 503 200"


def test_when_a_code_came_first() -> None:
    assert (SEEN.first(503), SEEN.first(404)) == ("1.2 s", "never")


def test_what_clients_lost() -> None:
    assert SEEN.failed == "1 of 3 client queries failed"
