# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why a virtual IP moved, from what each load balancer noted."""

from __future__ import annotations

import pytest
from ansible_collections.mycat.ha.plugins.module_utils.report.moves import Change, Move, moves
from pair import VIP, Pair, main

TOOK = "no better load balancer was heard"
START = "keepalived started, and this load balancer can take over"
FIRST = Move(2, None, "lb1", "it was the first to be ready, as far as is known")


def changes(*rows: tuple[float, str, str]) -> list[Change]:
    return [Change(*row) for row in rows]


LB1 = changes((1, "BACKUP", START), (2, "MASTER", TOOK))


@pytest.mark.parametrize(
    ("left", "took", "cause"),
    [
        ((100.0, "FAULT", "HAProxy is down"), 100.02, "HAProxy is down (lb1)"),
        ((100.0, "STOP", "keepalived stops"), 100.02, "keepalived stops (lb1)"),
        # The clocks differ a little, or the higher one is heard after it took the address.
        (
            (104.0, "BACKUP", "another load balancer ranks higher"),
            100,
            "another load balancer ranks ",
        ),
        (None, 100, "lb1 was not heard any more, and noted nothing"),
        # It came back much later, or at once, and tells nothing of its end.
        ((900.0, "BACKUP", START), 100, "lb1 was not heard any more, and noted nothing"),
        ((101.0, "BACKUP", START), 100, "lb1 was not heard any more, and noted nothing"),
        ((100.0, "FAULT", "x"), 160, "x (lb1), and nobody had it for 60 s"),
    ],
)
def test_the_cause_is_what_the_former_holder_noted(
    left: tuple[float, str, str] | None, took: float, cause: str
) -> None:
    found = moves(
        {
            "lb1": [*LB1, *changes(*([left] if left else []))],
            "lb2": changes((3, "BACKUP", START), (took, "MASTER", TOOK)),
        }
    )
    assert found[0] == FIRST
    assert (found[1].time, found[1].left, found[1].to) == (took, "lb1", "lb2")
    assert found[1].cause.startswith(cause)


def test_notes_may_begin_with_the_end_of_the_first_holder() -> None:
    """As where they began while it had the address, or the oldest are gone."""
    took = changes((3.0, "MASTER", TOOK))
    found = moves({"lb1": changes((2.9, "FAULT", "x")), "lb2": took})
    assert found == [Move(3, "lb1", "lb2", "x (lb1)")]
    for other in ((900.0, "FAULT", "x"), (2.9, "BACKUP", START)):
        assert moves({"lb1": changes(other), "lb2": took})[0].left is None


def test_one_that_lost_it_and_took_it_again_moved_too() -> None:
    found = moves({"lb1": [*LB1, *changes((9, "FAULT", "x"), (10, "MASTER", TOOK))], "lb2": []})
    assert found == [FIRST, Move(10, "lb1", "lb1", "x (lb1)")]


def test_a_reload_that_says_master_again_is_no_move() -> None:
    assert moves({"lb1": [*LB1, *changes((9, "MASTER", TOOK))]}) == [FIRST]


def test_nobody_noted_anything() -> None:
    assert moves({}) == []
    assert moves({"lb1": [], "lb2": changes((1, "BACKUP", START))}) == []


def test_the_report_tells_them_by_one_clock() -> None:
    """lb1's clock is an hour ahead, and is not believed."""

    def row(seconds: float, state: str, cause: str) -> dict[str, object]:
        return {"instance": "mycat_1", "time": seconds, "state": state, "cause": cause}

    pair = Pair()
    pair.states["lb1"].update(
        clock_ahead=3600.0,
        history=[
            row(1795658400.0 + 3600, "MASTER", TOOK),
            row(1795658460.0 + 3600, "FAULT", "HAProxy is down"),
        ],
    )
    # As long as an answer took.
    pair.states["lb2"].update(clock_ahead=-0.9, history=[row(1795658460.1, "MASTER", TOOK)])
    assert main(pair)["moves"][1:] == [
        {
            "time": "2026-11-26T02:01:00Z",
            "vip": VIP,
            "from": "lb1",
            "to": "lb2",
            "cause": "HAProxy is down (lb1)",
        }
    ]
