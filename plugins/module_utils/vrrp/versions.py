# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Versions of keepalived: which one a host has, and what each knows. Pure.

A version is a tuple of numbers, (2, 2, 7). A name that ends with ``_SINCE`` is the first version
that does so.
"""

from __future__ import annotations

import re
from typing import Any, Mapping

from ..distributions import version_there

#: What the search assumes where nothing tells.
ASSUMED = (2, 2, 7)
#: Knows everything: for texts whose daemon does not matter.
NEWEST = (99,)

#: Tracks of a sync group, delays of fractions of a second, a master that ignores nopreempt.
SECOND_GENERATION_SINCE = (2, 0, 0)
TRACK_FILE_SINCE = (2, 0, 0)
TRACK_PROCESS_SINCE = (2, 0, 11)
#: ``min_ttl`` and ``max_ttl`` after a unicast peer; they turn on check_unicast_src.
PEER_TTL_SINCE = (2, 1, 0)
#: ``reverse`` after the weight of a tracked check.
REVERSE_SINCE = (2, 0, 18)
#: A virtual MAC address whose adverts go out by unicast.
UNICAST_VMAC_SINCE = (2, 2, 0)
#: Before it, the source of multicast adverts over IPv6 must be link-local.
MULTICAST_IPV6_SINCE = (2, 2, 0)
DOWN_TIMER_ADVERTS_SINCE = (2, 2, 3)
#: A multicast group of an instance's own.
MCAST_DST_IP_SINCE = (2, 2, 5)
#: Unicast needs no interface, but in versions that look before they know of unicast.
NO_INTERFACE_SINCE = (2, 1, 0)
NO_INTERFACE_BROKEN_SINCE = (2, 2, 5)
NO_INTERFACE_MENDED_SINCE = (2, 2, 8)
#: Unicast in strict mode is refused, but by these versions, which look too early.
STRICT_UNICAST_RUNS_SINCE = (2, 2, 5)
STRICT_UNICAST_RUNS_UNTIL = (2, 4, 0)
#: Temporary files where TMPDIR says.
TMPDIR_SINCE = (2, 2, 5)
#: A script that root runs is dropped where its path has a symbolic link in it.
LINKED_PATHS_REFUSED_SINCE = (2, 3, 0)
#: Scripts that run several times a second.
FRACTIONS_SINCE = (2, 3, 2)
#: An advert with another list of addresses is logged and no longer rejected.
VIP_LIST_ONLY_LOGGED_SINCE = (2, 3, 3)
#: A source address that the node does not have is no fault any more.
FOREIGN_SOURCE_RUNS_SINCE = (2, 3, 3)
#: Signed adverts.
AUTH_HMAC_SINCE = (2, 4, 0)

# What a host's distribution would install: (distribution, major version) or whole version.
_DISTRIBUTED = {
    ("Debian", "11"): "2.1.5",
    ("Debian", "12"): "2.2.7",
    ("Debian", "13"): "2.3.3",
    ("Ubuntu", "20.04"): "2.0.19",
    ("Ubuntu", "22.04"): "2.2.4",
    ("Ubuntu", "24.04"): "2.2.8",
}
# An unknown distribution is treated as the oldest that is known to work.
_OLDEST = "2.1.5"

_BANNER = re.compile(r"Keepalived v(\d+(?:\.\d+){1,3})")


def numbers(version: str) -> tuple[int, ...]:
    """(2, 2, 7) for 2.2.7. Raises ValueError for what is none."""
    return tuple(map(int, version.split(".")))


def text(version: tuple[int, ...]) -> str:
    """2.2.7 for (2, 2, 7)."""
    return ".".join(map(str, version))


def installed_version(banner: str) -> str:
    """``2.2.7`` of what ``keepalived --version`` prints; empty where it names none."""
    found = _BANNER.search(banner)
    return found.group(1) if found else ""


def distributed_version(facts: Mapping[str, Any]) -> str:
    """The version that the distribution of a host with these ``ansible_facts`` would install."""
    return version_there(_DISTRIBUTED, facts) or _OLDEST
