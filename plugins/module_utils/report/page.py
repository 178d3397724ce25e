# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A report as a page for a browser: what is drawn, and where. Controller only, pure.

roles/cluster/templates/report.html.j2 writes it. It escapes everything: hosts choose the words.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .cluster import DRAINING, NOT_SERVING, TAKES_SESSIONS
from .problems import SEVERITIES
from .table import age, clock, moment, shown_severity

# Units of the drawing, which are pixels: two boxes side by side fit on a telephone.
BOX_WIDTH, BOX_HEIGHT = 134.0, 52.0
_GAP, _ROW = 18.0, 132.0
# Where on its way down a line has its word, so that words of crossing lines stand apart.
_WORD_AT = 0.74
_AS_PLANNED = (*DRAINING, "MAINT")


@dataclass(frozen=True)
class Box:
    """A virtual IP or a host. ``look`` is good, bad, aside (on purpose) or unknown."""

    x: float
    y: float
    name: str
    word: str
    look: str

    @property
    def middle(self) -> float:
        return self.x + BOX_WIDTH / 2

    @property
    def bottom(self) -> float:
        return self.y + BOX_HEIGHT


@dataclass(frozen=True)
class Line:
    """From the bottom of a box to the top of another; ``word`` stands on it unless empty."""

    upper: Box
    lower: Box
    word: str
    look: str

    @property
    def word_x(self) -> float:
        return self.upper.middle + (self.lower.middle - self.upper.middle) * _WORD_AT

    @property
    def word_y(self) -> float:
        return self.upper.bottom + (self.lower.y - self.upper.bottom) * _WORD_AT


@dataclass(frozen=True)
class Drawing:
    """A cluster: virtual IPs above load balancers above MyCats."""

    width: float
    height: float
    boxes: tuple[Box, ...]
    lines: tuple[Line, ...]


def page(
    report: Mapping[str, Any],
    template: str,
    *,
    failures: Sequence[str] = (),
    every: float | None = None,
) -> str:
    """The page. ``failures`` are sentences on what failed in the run; a page that is written anew
    ``every`` so many seconds has the browser read it as often."""
    end = moment(report["started"]) + report["seconds"]
    return str(
        _compiled(template).render(
            report=report,
            failures=failures,
            every=every,
            verdict=verdict(report, failures),
            good=report["ok"] and not failures,
            drawings={name: drawing(one) for name, one in report["clusters"].items()},
            problems={name: _problems(one) for name, one in report["clusters"].items()},
            age=lambda since: age(since, end).strip(),
            box_width=BOX_WIDTH,
            box_height=BOX_HEIGHT,
        )
    )


@functools.lru_cache(maxsize=1)
def _compiled(template: str) -> Any:
    # Managed hosts have no jinja2, and ansible-test imports every file here as they would.
    import jinja2

    environment = jinja2.Environment(
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.globals.update(clock=clock, parts=parts)
    return environment.from_string(template)


def verdict(report: Mapping[str, Any], failures: Sequence[str] = ()) -> str:
    """The page's first sentence."""
    clusters = report["clusters"].values()
    serves = all(vip["serves"] for one in clusters for vip in one["vips"].values())
    if failures:
        return "The run failed."
    if not any(one["vips"] for one in clusters):
        return "No virtual IP was proven."
    if not serves:
        return "A virtual IP does not serve."
    if not report["ok"]:
        return "Every virtual IP serves, but redundancy is missing."
    if any(one["degraded"] for one in clusters):
        return "Every virtual IP serves. Redundancy is missing, as the inventory allows."
    return "Every virtual IP serves, and redundancy is whole."


def parts(text: str) -> list[tuple[bool, str]]:
    """``text`` in parts, each with whether it stood in backticks, as commands do."""
    pieces = text.split("`")
    return [(index % 2 == 1, piece) for index, piece in enumerate(pieces) if piece]


def _problems(cluster: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The problems of a cluster, the worst first, with the severity that counts."""
    shown = [{**one, "severity": shown_severity(one, cluster)} for one in cluster["problems"]]
    return sorted(shown, key=lambda one: SEVERITIES.index(one["severity"]))


def drawing(cluster: Mapping[str, Any]) -> Drawing:
    """The drawing of a cluster of a report."""
    strangers = {name for vip in cluster["vips"].values() for name in vip["strangers"]}
    rows: tuple[Mapping[str, tuple[str, str]], ...] = (
        {address: _vip(vip) for address, vip in cluster["vips"].items()},
        {
            **{name: _balancer(one) for name, one in cluster["load_balancers"].items()},
            **dict.fromkeys(sorted(strangers), ("stranger", "bad")),
        },
        {name: _mycat(one) for name, one in cluster["mycats"].items()},
    )
    width = max(_width(len(row)) for row in rows)
    vips, balancers, mycats = (
        {box.name: box for box in _row(row, number, width)} for number, row in enumerate(rows)
    )
    return Drawing(
        width,
        _ROW * 2 + BOX_HEIGHT,
        (*vips.values(), *balancers.values(), *mycats.values()),
        (*_held(cluster, vips, balancers), *_seen(cluster, balancers, mycats)),
    )


def _width(boxes: int) -> float:
    return boxes * (BOX_WIDTH + _GAP) - _GAP if boxes else BOX_WIDTH


def _row(row: Mapping[str, tuple[str, str]], number: int, width: float) -> Iterator[Box]:
    # What is wider than a telephone is seen from the left.
    room = min(width, _width(2))
    left = max(0.0, (room - _width(len(row))) / 2)
    for index, (name, (word, look)) in enumerate(row.items()):
        yield Box(left + index * (BOX_WIDTH + _GAP), number * _ROW, name, word, look)


def _vip(vip: Mapping[str, Any]) -> tuple[str, str]:
    if vip["serves"]:
        return f"port {vip['port']} serves", "good"
    held = vip["holders"] or vip["strangers"]
    return "does not serve" if held else "nobody has it", "bad"


def _balancer(host: Mapping[str, Any]) -> tuple[str, str]:
    states = {one["state"] or "unknown" for one in host["instances"].values()}
    if not host["reachable"]:
        return "no answer", "unknown"
    if host["maintenance"]:
        return "maintenance", "aside"
    if not host["keepalived"]["running"]:
        return "keepalived down", "bad"
    if not host["haproxy"]["alive"]:
        return "HAProxy down", "bad"
    settled = bool(states) and states <= {"MASTER", "BACKUP"}
    return ", ".join(sorted(states)) or "no instance", "good" if settled else "bad"


def _mycat(host: Mapping[str, Any]) -> tuple[str, str]:
    if host["draining"]:
        return "draining", "aside"
    down = any(state in NOT_SERVING for state in host["seen"].values())
    if not host["reachable"]:
        return "no answer", "bad" if down else "unknown"
    status = host["health"]["status"]
    return str(status or "no endpoint"), "good" if status == "up" and not down else "bad"


def _held(
    cluster: Mapping[str, Any], vips: Mapping[str, Box], balancers: Mapping[str, Box]
) -> Iterator[Line]:
    for address, vip in cluster["vips"].items():
        hosts = (*vip["holders"], *vip["strangers"])
        look = "good" if vip["serves"] and len(hosts) == 1 else "bad"
        for host in hosts:
            yield Line(vips[address], balancers[host], "", f"holder {look}")


def _seen(
    cluster: Mapping[str, Any], balancers: Mapping[str, Box], mycats: Mapping[str, Box]
) -> Iterator[Line]:
    for name, mycat in cluster["mycats"].items():
        for balancer, state in mycat["seen"].items():
            look = "aside" if state in _AS_PLANNED else "bad"
            up = state in TAKES_SESSIONS
            yield Line(
                balancers[balancer], mycats[name], "" if up else state, "good" if up else look
            )
