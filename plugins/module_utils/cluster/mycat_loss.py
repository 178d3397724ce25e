# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How soon a cluster notices that a MyCat hangs: the checks of HAProxy and those of the endpoint.
Pure."""

from __future__ import annotations

from typing import Any, Iterable, Mapping, Sequence

from ..haproxy.check_times import BUDGET, DEFAULT_BUDGET, CheckTimes, seconds, times_for, written
from ..readers import SettingError
from .hosts import HostView

_INTER, _FASTINTER, _FALL = "haproxy_check_inter", "haproxy_check_fastinter", "haproxy_check_fall"
_TIMEOUT = "mycat_status_check_timeout"
#: Seconds. The endpoint answers in its own time, and HAProxy waits for it a little longer.
_ANSWER = 1.0


def budget_of(hosts: Iterable[HostView]) -> float:
    """The shortest budget, in seconds, of these load balancers."""
    return min((host.common[BUDGET] for host in hosts), default=DEFAULT_BUDGET)


def haproxy_settings(host: HostView) -> dict[str, Any]:
    """The settings of a load balancer's HAProxy, with those of its checks that nobody set.

    Raises SettingError for a budget that cannot be kept.
    """
    times = times_for(host.common[BUDGET])
    return {
        _INTER: written(times.inter),
        _FASTINTER: written(times.fastinter),
        "haproxy_timeout_check": written(times.timeout + _ANSWER),
        **host.settings["haproxy"],
    }


def endpoint_settings(settings: Mapping[str, Any], budget: float) -> dict[str, Any]:
    """The settings of a MyCat's endpoint, with those that nobody set.

    A MyCat that comes and goes changes for HAProxy once within the budget at most. Raises
    SettingError for a budget that cannot be kept.
    """
    return {
        _TIMEOUT: _endpoint_timeout(budget),
        "mycat_status_recovery_time": budget,
        **settings,
    }


def _endpoint_timeout(budget: float) -> float:
    return round(times_for(budget).timeout, 3)


def check_times(
    host: HostView, settings: Mapping[str, Any], mycats: Sequence[HostView]
) -> CheckTimes:
    """When the MyCats are checked with these judged settings of HAProxy; the slowest counts."""
    unset = _endpoint_timeout(host.common[BUDGET])
    timeouts = [mycat.settings["mycat_status"].get(_TIMEOUT, unset) for mycat in mycats]
    return CheckTimes(
        seconds(settings[_INTER]),
        seconds(settings[_FASTINTER]),
        max(timeouts, default=unset),
        settings[_FALL],
    )


def refuse_late(host: HostView, times: CheckTimes) -> None:
    """Raise SettingError where somebody asks for a budget that these times do not keep."""
    budget = host.common[BUDGET]
    if BUDGET in host.given and times.hang > budget:
        raise SettingError(
            BUDGET,
            f"{budget:g} cannot be kept: with {_INTER}, {_FASTINTER}, {_FALL} and {_TIMEOUT} as "
            f"they are set a MyCat that hangs is out after up to {times.hang:.3g} s; write "
            f"{times.hang:.3g} or more, or leave them out",
        )


def bounds(times: CheckTimes) -> dict[str, float]:
    """What is promised, in seconds: a MyCat that hangs is out, one that pauses stays in."""
    return {"mycat_hang": round(times.hang, 3), "mycat_pause": round(times.pause, 3)}
