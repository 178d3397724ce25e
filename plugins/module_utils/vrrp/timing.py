# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long a failure is felt: the bounds of VRRP's timers and of keepalived's checks.

All durations are seconds. A takeover is detection (something notices) followed by election
(the next node takes the address); each is a ``Span``, and spans add up. What the bounds leave
out is what no configuration decides: the time a packet travels and the time a machine without
a free CPU stands still.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Span:
    """The shortest and the longest time something takes, in seconds."""

    least: float
    most: float

    def __add__(self, other: Span) -> Span:
        return Span(self.least + other.least, self.most + other.most)


#: From the end of a process to keepalived acting on it: systemd reaps the process, runs
#: ``ExecStopPost=``, which writes the tracked file, and keepalived's inotify watch wakes it.
#: A few milliseconds on an idle machine; the upper end leaves room for a busy one.
EVENT = Span(0.0, 0.05)


def skew(version: int, priority: int, advert_int: float) -> float:
    """What a backup of this effective priority waits beyond the master's silence.

    RFC 3768 section 6.1 for VRRPv2 (whatever the advert interval is), RFC 5798 section 6.1 for
    VRRPv3. keepalived computes it from the effective priority (vrrp.c, since 2.0).
    """
    unit = 1.0 if version == 2 else advert_int
    return (256 - priority) * unit / 256


def master_down(
    version: int, priority: int, advert_int: float, down_timer_adverts: int = 3
) -> float:
    """How long a backup listens to silence before it takes over (``Master_Down_Interval`` of
    the RFCs; ``down_timer_adverts`` of keepalived.conf(5) replaces their factor of 3)."""
    return down_timer_adverts * advert_int + skew(version, priority, advert_int)


def clean_stop(version: int, priority: int, advert_int: float) -> Span:
    """The master leaves with an advert of priority 0 (a stop, or a fault): the next node of
    this effective priority waits its skew and nothing else."""
    wait = skew(version, priority, advert_int)
    return Span(wait, wait)


def silence(version: int, priority: int, advert_int: float, down_timer_adverts: int = 3) -> Span:
    """The master's adverts stop being heard or heeded: its node is lost, or a failed check
    lowered its priority, of which keepalived sends no advert of its own. The last advert that
    counted may be up to one interval old."""
    most = master_down(version, priority, advert_int, down_timer_adverts)
    return Span(most - advert_int, most)


def polled(interval: float, fall: int, run_time: float) -> Span:
    """From a failure to the ``fall``-th failing run of a ``vrrp_script``; ``run_time`` is how
    long a failing run lasts at most, so the timeout of one that hangs."""
    return Span((fall - 1) * interval, fall * interval + run_time)
