# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Texts and data made wrong at random. The same seed always makes the same mistakes."""

from __future__ import annotations

import random
from typing import Any, Sequence

# What people and programs put where it does not belong.
ODD = (
    *'"{}#!=;@$\t\r\0',
    *("//", "~SEQ(a,1,9)", "\ufeff", "\uff11", "\u201c", "{{ x }}", "-1", "0", "255", "9" * 20),
    *("1.5", "x" * 300, "", "::1"),
)


def mutated(rng: random.Random, text: str, times: int = 3) -> str:
    """The text with lines dropped, doubled, swapped or cut, and odd characters put in."""
    lines = text.split("\n")
    for _round in range(rng.randint(1, times)):
        if not lines:
            break
        at, other = rng.randrange(len(lines)), rng.randrange(len(lines))
        change = rng.randrange(7)
        if change == 0:
            del lines[at]
        elif change == 1:
            lines.insert(other, lines[at])
        elif change == 2:
            lines[at], lines[other] = lines[other], lines[at]
        elif change == 3:
            lines[at] = lines[at][: rng.randint(0, len(lines[at]))]
        elif change == 4:
            place = rng.randint(0, len(lines[at]))
            lines[at] = lines[at][:place] + rng.choice(ODD) + lines[at][place:]
        elif change == 5:
            words = lines[at].split()
            if words:
                words[rng.randrange(len(words))] = rng.choice(ODD)
                lines[at] = " ".join(words)
        else:
            del lines[at:]
    return "\n".join(lines)


def mutated_data(rng: random.Random, value: Any, times: int = 3) -> Any:
    """The data with values of other types, keys dropped or misspelt, lists emptied or doubled."""
    for _round in range(rng.randint(1, times)):
        value = _changed(rng, value)
    return value


_OTHER: Sequence[Any] = (
    None,
    "",
    "x",
    -1,
    0,
    1.5,
    10**30,
    True,
    [],
    {},
    [[]],
    {"x": 1},
    "1",
    "::1",
)


def _changed(rng: random.Random, value: Any) -> Any:
    inside = isinstance(value, (dict, list)) and len(value) > 0 and rng.random() < 0.85
    if not inside:
        return rng.choice(_OTHER)
    if isinstance(value, list):
        changed = list(value)
        at = rng.randrange(len(changed))
        if rng.random() < 0.2:
            changed.insert(at, changed[at])
        else:
            changed[at] = _changed(rng, changed[at])
        return changed
    key = rng.choice(list(value))
    if rng.random() < 0.2:
        return {name: item for name, item in value.items() if name != key}
    return {**value, key: _changed(rng, value[key])}
