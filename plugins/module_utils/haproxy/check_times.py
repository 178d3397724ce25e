# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When MyCat is checked, so that one that hangs is out within a budget. Pure.

HAProxy checks every ``inter``, and after a check that failed every ``fastinter``, until ``fall``
in a row have failed; the endpoint gives each check ``timeout`` (docs/health.md).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ..readers import SettingError

BUDGET = "mycat_ha_mycat_loss_budget"
#: Seconds. Below it a MyCat that collects garbage for a moment would be out.
LEAST_BUDGET = 1.0
DEFAULT_BUDGET = 3.5

_UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_TIME = re.compile(r"([0-9]+)(us|ms|s|m|h|d)")


@dataclass(frozen=True)
class CheckTimes:
    """Seconds, and how many failures in a row (``fall``) take a MyCat out."""

    inter: float
    fastinter: float
    timeout: float
    fall: int = 2

    @property
    def hang(self) -> float:
        """At most this long after a MyCat hangs it is out."""
        return self.inter + self._failing

    @property
    def pause(self) -> float:
        """A MyCat that stands still for less than this stays in."""
        return self._failing

    @property
    def _failing(self) -> float:
        return self.fall * self.timeout + (self.fall - 1) * self.fastinter


def times_for(budget: float) -> CheckTimes:
    """The times that ride out the longest pause within the budget, in seconds.

    A budget above the default lengthens only what a check may take: checks more seldom than once
    a second would make it slower to see that a MyCat is gone. A fourteenth is left for the network.
    Raises SettingError for a budget that cannot be kept.
    """
    if budget < LEAST_BUDGET:
        raise SettingError(BUDGET, f"is {budget:g}; write {LEAST_BUDGET:g} or more seconds")
    if budget <= DEFAULT_BUDGET:
        timeout = budget / DEFAULT_BUDGET
        return CheckTimes(inter=timeout, fastinter=timeout / 4, timeout=timeout)
    inter, fastinter = 1.0, 0.25
    return CheckTimes(inter, fastinter, timeout=(budget * 13 / 14 - inter - fastinter) / 2)


def seconds(text: str) -> float:
    """A time of HAProxy with its unit, such as ``250ms``, in seconds. Raises ValueError."""
    found = _TIME.fullmatch(text)
    if not found:
        raise ValueError(text)
    return int(found[1]) * _UNITS[found[2]]


def written(time: float) -> str:
    """A time in seconds as HAProxy reads it, in whole milliseconds."""
    milliseconds = round(time * 1000)
    whole, rest = divmod(milliseconds, 1000)
    return f"{milliseconds}ms" if rest else f"{whole}s"
