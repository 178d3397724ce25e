# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every budget for the loss of a MyCat is kept, or refused by name."""

from __future__ import annotations

import pytest
from ansible_collections.mycat.ha.plugins.module_utils.haproxy.check_times import (
    BUDGET,
    DEFAULT_BUDGET,
    CheckTimes,
    seconds,
    times_for,
    written,
)
from ansible_collections.mycat.ha.plugins.module_utils.readers import SettingError


def test_the_default_rides_out_two_seconds() -> None:
    times = times_for(DEFAULT_BUDGET)
    assert times == CheckTimes(inter=1.0, fastinter=0.25, timeout=1.0)
    assert times.pause > 2.0
    assert times.hang == 3.25


@pytest.mark.parametrize("budget", [1.0, 1.7, 2.0, 3.5, 3.6, 5.0, 30.0])
def test_a_hang_is_noticed_within_the_budget(budget: float) -> None:
    times = times_for(budget)
    assert 0.9 * budget < times.hang < budget
    assert times.pause >= times.hang / 2


def test_a_longer_budget_rides_out_longer_pauses() -> None:
    pauses = [times_for(budget).pause for budget in (1, 2, 3, 3.5, 4, 6, 10)]
    assert pauses == sorted(set(pauses))


@pytest.mark.parametrize("budget", [0.99, 0.0, -1.0])
def test_a_budget_that_cannot_be_kept_is_refused(budget: float) -> None:
    with pytest.raises(SettingError, match="write 1 or more seconds") as caught:
        times_for(budget)
    assert caught.value.option == BUDGET


@pytest.mark.parametrize(
    ("text", "time"),
    [("250ms", 0.25), ("1s", 1.0), ("2m", 120.0), ("90us", 90e-6), ("1h", 3600)],
)
def test_a_time_of_haproxy(text: str, time: float) -> None:
    assert seconds(text) == pytest.approx(time)


@pytest.mark.parametrize("text", ["", "s", "1500", "1.5s", "-1s", "1 s", "1w"])
def test_no_time_of_haproxy(text: str) -> None:
    with pytest.raises(ValueError, match="^" + text):
        seconds(text)


@pytest.mark.parametrize(("time", "text"), [(1.0, "1s"), (0.25, "250ms"), (1.4285, "1428ms")])
def test_a_time_as_haproxy_reads_it(time: float, text: str) -> None:
    assert written(time) == text
