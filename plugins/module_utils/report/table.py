# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A report as the lines that a run ends with. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

from .cluster import TAKES_SESSIONS
from .problems import DEGRADED, SEVERITIES, WARNING

# With a few VIPs above them they fit on a screen of 24 lines.
_MOST_PROBLEMS = 16
# Playbooks whose last lines tell where the VIPs were, and why they moved.
_TELLS_MOVES = ("status", "switchover")
_MOST_MOVES = 3
_UNITS = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))


def table(report: Mapping[str, Any]) -> list[str]:
    """One line for each VIP, then one for each problem, the worst first."""
    clusters: Mapping[str, Any] = report["clusters"]
    prefixes = {name: f"{name}: " if len(clusters) > 1 else "" for name in clusters}
    end = moment(report["started"]) + report["seconds"]
    lines = [
        prefixes[name] + " | ".join(_about_vip(address, vip, cluster, end, report["check_mode"]))
        for name, cluster in clusters.items()
        for address, vip in cluster["vips"].items()
    ] or ["no virtual IP was proven"]
    lines[-1] += f" | {report['seconds']:g} s"
    problems = [
        (SEVERITIES.index(problem["severity"]), prefixes[name] + _about_problem(problem, cluster))
        for name, cluster in clusters.items()
        for problem in cluster["problems"]
    ]
    told = [line for _rank, line in sorted(problems, key=lambda one: one[0])]
    if report["playbook"] in _TELLS_MOVES:
        told += [
            prefixes[name] + line
            for name, cluster in clusters.items()
            for line in _last_moves(cluster["moves"])
        ]
    left_out = len(told) - _MOST_PROBLEMS
    if left_out > 0:
        told[_MOST_PROBLEMS:] = [f"and {left_out} more, in the report (-e mycat_ha_report=PATH)"]
    return lines + told


def _last_moves(moves: Sequence[Mapping[str, Any]]) -> list[str]:
    """The last moves, the newest first."""
    newest = sorted(moves, key=lambda move: str(move["time"]), reverse=True)[:_MOST_MOVES]
    return [
        f"moved {clock(move['time'])} {move['vip']} {move['from'] or 'nobody'} -> {move['to']}: "
        f"{move['cause']}"
        for move in newest
    ]


def clock(iso: str) -> str:
    """A time of a report for people."""
    return f"{iso[:10]} {iso[11:19]}" if iso else "at a time that nobody knows"


def _about_vip(
    address: str, vip: Mapping[str, Any], cluster: Mapping[str, Any], end: float, check_mode: bool
) -> Iterator[str]:
    holders = " and ".join(vip["holders"] or vip["strangers"]) or "nobody"
    silent = "" if vip["serves"] else ", DOES NOT SERVE"
    yield f"VIP {address} on {holders}{age(vip['since'], end)}{silent}"
    yield f"standby {', '.join(vip['standby']) or 'none'}"
    yield f"MyCats {_up(cluster)}/{len(cluster['mycats'])}"
    if cluster["changed"] is not None:
        yield _planned(cluster["changed"]) if check_mode else _done(cluster["changed"])


def _up(cluster: Mapping[str, Any]) -> int:
    """How many MyCats take sessions from every HAProxy that was asked."""
    seen = [mycat["seen"].values() for mycat in cluster["mycats"].values()]
    return sum(bool(states) and all(one in TAKES_SESSIONS for one in states) for states in seen)


def _done(changed: Mapping[str, list[str]]) -> str:
    hosts: dict[str, list[str]] = {}
    for host, done in changed.items():
        for what in done:
            hosts.setdefault(what, []).append(host)
    told = "; ".join(f"{what} on {', '.join(names)}" for what, names in hosts.items())
    return f"changed: {told}" if told else "nothing changed"


def _planned(changed: Mapping[str, list[str]]) -> str:
    return f"would change {', '.join(changed)}" if changed else "nothing to change"


def _about_problem(problem: Mapping[str, Any], cluster: Mapping[str, Any]) -> str:
    where = f"{shown_severity(problem, cluster).upper()} {problem['host']}".rstrip()
    return f"{where}: {problem['what'].rstrip('.')}. {problem['fix']}"


def shown_severity(problem: Mapping[str, Any], cluster: Mapping[str, Any]) -> str:
    """The severity, but a warning for missing redundancy that mycat_ha_allow_degraded allows."""
    allowed = problem["severity"] == DEGRADED and cluster["ok"]
    return WARNING if allowed else str(problem["severity"])


def age(since: str | None, end: float) -> str:
    """Since when something is so, and for how long at ``end`` (s since 1970); "" for None."""
    if since is None:
        return ""
    try:
        began = moment(since)
    except ValueError:
        return f" since {since}"
    # The host's clock may be ahead of the controller's.
    seconds = max(0, int(end - began))
    size, unit = next((one for one in _UNITS if seconds >= one[0]), _UNITS[-1])
    then = datetime.fromtimestamp(began, timezone.utc)
    shown = then.strftime("%H:%M" if seconds < 86400 else "%Y-%m-%d %H:%M")
    return f" since {shown} ({seconds // size} {unit})"


def moment(iso: str) -> float:
    """A time of a report in seconds since 1970. Raises ValueError."""
    # Before Python 3.11 a fraction of a second needs three or six digits.
    whole = re.sub(r"\.(\d+)", lambda found: f".{found[1][:6]:0<6}", iso.replace("Z", "+00:00"))
    found = datetime.fromisoformat(whole)
    return (found if found.tzinfo else found.replace(tzinfo=timezone.utc)).timestamp()
