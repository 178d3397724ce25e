# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What `systemctl show` says of units. Pure: text to values."""

from __future__ import annotations

import time
from typing import Iterable, Mapping

_PROPERTIES = "Names,LoadState,ActiveState,UnitFileState,MainPID,StateChangeTimestampMonotonic"
SHOW = ("show", f"--property={_PROPERTIES}")

Properties = Mapping[str, str]


def blocks(text: str) -> list[Properties]:
    """The properties of each unit that the output of ``systemctl show UNIT...`` tells of."""
    return [
        dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        for block in text.split("\n\n")
        if block.strip()
    ]


def properties_of(unit: str, shown: Iterable[Properties]) -> Properties:
    """Those of one unit by any of its names, none where systemd did not tell of it."""
    wanted = {unit, f"{unit}.service"}
    return next((block for block in shown if wanted & {*block.get("Names", "").split()}), {})


def state_of(unit: Properties) -> dict[str, str]:
    """``{"active": "active", "enabled": "enabled"}``; ``not-found`` where there is no such unit."""
    loaded = unit.get("LoadState", "not-found")
    return {
        "active": unit.get("ActiveState", "inactive"),
        "enabled": unit.get("UnitFileState") or loaded,
    }


def last_change(unit: Properties, pid: int | None) -> float | None:
    """When systemd last started or reloaded a process, in seconds since 1970.

    None where the process is not the unit's own.
    """
    if not pid or unit.get("MainPID") != str(pid):
        return None
    age = time.monotonic() - int(unit["StateChangeTimestampMonotonic"]) / 1e6
    return time.time() - age
