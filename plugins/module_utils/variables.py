# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Variables that nobody knows. Pure."""

from __future__ import annotations

import difflib
from typing import Collection, Iterable, Sequence

from .readers import SettingError

# No other collection has variables with these prefixes.
_OURS = ("mycat_ha_", "mycat_status_")
# Other people's roles have variables with these.
_SHARED = ("haproxy_", "keepalived_")
IGNORE = "mycat_ha_ignore_variables"


def unknown_variables(
    names: Iterable[str], known: Collection[str], ignore: Collection[str] = ()
) -> tuple[list[SettingError], list[str]]:
    """The refusals and the warnings for variables that are set and not known.

    ``names`` are the variables that are set, ``known`` those of the collection, ``ignore`` those
    that the operator wants nothing said about. Each names the nearest that is known.
    """
    unknown = sorted(set(names) - set(known) - set(ignore))
    every = sorted(known)
    refusals = [
        SettingError(name, f"is not known; {_instead(name, every)}")
        for name in unknown
        if name.startswith(_OURS)
    ]
    warnings = [
        f"{name}: is no variable of this collection and does nothing here; {_instead(name, every)}"
        for name in unknown
        if name.startswith(_SHARED)
    ]
    return refusals, warnings


def _instead(name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, known, 1, 0.75)
    return f"write {near[0]}" if near else f"leave it out, or name it in {IGNORE}"
