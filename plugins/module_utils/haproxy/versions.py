# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an HAProxy knows since which version, and which version a distribution has. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ..distributions import version_there

# clitcpka-idle and the options like it.
_KEEPALIVE_TIMES_SINCE = (2, 4)


def knows_keepalive_times(version: str) -> bool:
    """Whether a release, such as 2.6.12-1+deb12u1, takes clitcpka-idle; an unknown one does not."""
    return tuple(map(int, re.findall(r"\d+", version)[:2])) >= _KEEPALIVE_TIMES_SINCE


#: What a distribution would install: (distribution, major version or whole version).
_DISTRIBUTED = {
    ("Debian", "11"): "2.2",
    ("Debian", "12"): "2.6",
    ("Debian", "13"): "3.0",
    ("Ubuntu", "22.04"): "2.4",
    ("Ubuntu", "24.04"): "2.8",
}


def distributed_version(facts: Mapping[str, Any]) -> str:
    """The HAProxy that a host's distribution would install, empty where that is not known."""
    return version_there(_DISTRIBUTED, facts)
