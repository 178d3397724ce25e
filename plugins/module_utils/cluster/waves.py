# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The order in which hosts change, as waves of those that go together. Pure."""

from __future__ import annotations

import itertools
from collections import Counter
from typing import Sequence


def mycat_waves(changing: Sequence[str], serving: Sequence[Sequence[str]] = ()) -> list[list[str]]:
    """The waves in which MyCats change.

    ``serving`` are the MyCats of each cluster that has clients already, those that do not change
    included. In the first wave one of each such cluster goes alone; in none go all that a cluster
    has, if it has more than one. A MyCat may be of several clusters.
    """
    waves: list[list[str]] = []
    rest = list(changing)
    clusters = {
        host: [number for number, mycats in enumerate(serving) if host in mycats]
        for host in changing
    }
    while rest:
        wave = []
        going: Counter[int] = Counter()
        for host in rest:
            most = [1 if not waves else max(1, len(serving[n]) - 1) for n in clusters[host]]
            if all(going[n] < limit for n, limit in zip(clusters[host], most)):
                wave.append(host)
                going.update(clusters[host])
        waves.append(wave)
        rest = [host for host in rest if host not in wave]
    return waves


def side_by_side(clusters: Sequence[Sequence[Sequence[str]]]) -> list[list[str]]:
    """The waves of several clusters as waves of all: the first of each together, and so on."""
    together = itertools.zip_longest(*clusters, fillvalue=())
    return [
        wave for wave in ([host for part in parts for host in part] for parts in together) if wave
    ]
