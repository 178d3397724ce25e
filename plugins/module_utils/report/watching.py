# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How often somebody who watches the clusters wants to see them. Pure."""

from __future__ import annotations

from ..readers import SettingError

VARIABLE = "mycat_ha_watch"
DEFAULT, LONGEST = 5.0, 86400.0
_YES, _NO = ("yes", "true", "on"), ("no", "false", "off", "")


def interval(value: str | None) -> float | None:
    """Seconds between two looks; None where nobody watches. Raises SettingError."""
    word = (value or "").strip().lower()
    if word in _NO:
        return None
    if word in _YES:
        return DEFAULT
    try:
        seconds = float(word)
    except ValueError:
        seconds = 0.0
    if 1 <= seconds <= LONGEST:
        return seconds
    raise SettingError(
        VARIABLE,
        f"is {{value}}; write the seconds between two looks, from 1 to {LONGEST:g}, or yes for "
        f"{DEFAULT:g}",
        value=value,
    )
