# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The state of each instance as the notify script recorded it, and whether to believe it. Pure.

The role's record_state writes it into a file at every change. To ask the daemon itself costs a
signal, a file with passwords and a line in the journal.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from .dump import InstanceState, held

# STOP is not among them: a daemon that runs was started since.
_STATES = ("BACKUP", "FAULT", "MASTER")


@dataclass(frozen=True)
class Recorded:
    """A recorded state, and since when it is so, in seconds since 1970."""

    state: str
    since: float


def file_name(instance: str) -> str:
    """Return the name of the file that the state of an instance is in."""
    return instance.replace("/", "_")


def agrees(
    recorded: Recorded | None, instance: InstanceState, present: Collection[str], started: float
) -> bool:
    """Whether a record is of the daemon that runs, and the kernel's addresses fit it.

    ``present`` are the addresses of the host, ``started`` is when the daemon did, in seconds since
    1970. A master has all of its addresses, any other instance none.
    """
    if recorded is None or recorded.state not in _STATES or recorded.since < started:
        return False
    have = held(instance, present)
    if recorded.state != "MASTER":
        return not have
    return len(have) == len(instance.virtual_ipaddress + instance.virtual_ipaddress_excluded)
