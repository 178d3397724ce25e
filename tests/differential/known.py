# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Disagreements that are understood and not the model's to mend: faults of keepalived versions.

A disagreement that a row explains is counted apart, with the row's reason; every other one fails
the run.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable, Optional, Tuple

from .cases import Case


@dataclass(frozen=True)
class Known:
    """A fault in keepalived from version ``since`` to ``until`` (exclusive), seen in some cases."""

    name: str
    reason: str
    since: Tuple[int, ...]
    until: Tuple[int, ...]
    applies: Callable[[Case], bool]


KNOWN: Tuple[Known, ...] = ()


def explain(case: Case, version: Tuple[int, ...]) -> Optional[Known]:
    """The row that explains a disagreement of ``case``, None when nothing does."""
    for known in KNOWN:
        if known.since <= version < known.until and known.applies(case):
            return known
    return None
