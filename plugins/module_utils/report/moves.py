# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a virtual IP was, and why it moved: what the load balancers noted, joined. Pure.

Each notes only its own changes, by its own clock. A move is a load balancer that became MASTER;
its cause is what the one before noted next, when it left. One that noted nothing was not heard
any more.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

# The hook begins so after a start of keepalived, whatever ended it before.
STARTED = "keepalived started"
# Seconds by which clocks may differ, and notes be late.
_SLACK = 5.0
# Nobody had the address for so long: that is worth a word.
_LONG = 10.0


@dataclass(frozen=True)
class Change:
    """A change of state on a host, in seconds since 1970 by the controller's clock."""

    time: float
    state: str
    cause: str


@dataclass(frozen=True)
class Move:
    """A virtual IP went to a load balancer. ``left`` is None where nobody had it before."""

    time: float
    left: str | None
    to: str
    cause: str


@dataclass(frozen=True)
class _Term:
    """From when a host was MASTER, and what it noted next."""

    host: str
    start: float
    end: Change | None


def moves(changes: Mapping[str, Sequence[Change]]) -> list[Move]:
    """All moves of one virtual IP, oldest first. ``changes``: {host: its changes in order}."""
    terms = sorted(
        (term for host, own in changes.items() for term in _terms(host, own)),
        key=lambda term: term.start,
    )
    first = _unnoted(changes, terms[0]) if terms else None
    return [_move(before, term) for before, term in zip([first, *terms], terms)]


def _unnoted(changes: Mapping[str, Sequence[Change]], term: _Term) -> _Term | None:
    """Who had the address before the first term: one whose notes begin with its leaving."""
    for host, own in changes.items():
        for begins in own[:1]:
            left = begins.state != "MASTER" and not begins.cause.startswith(STARTED)
            if host != term.host and left and abs(begins.time - term.start) <= _SLACK:
                return _Term(host, begins.time, begins)
    return None


def _terms(host: str, changes: Iterable[Change]) -> Iterator[_Term]:
    start: float | None = None
    for change in changes:
        if change.state != "MASTER" and start is not None:
            yield _Term(host, start, change)
            start = None
        elif change.state == "MASTER" and start is None:
            start = change.time
    if start is not None:
        yield _Term(host, start, None)


def _move(before: _Term | None, term: _Term) -> Move:
    if before is None:
        return Move(term.start, None, term.host, "it was the first to be ready, as far as is known")
    return Move(term.start, before.host, term.host, _cause(before, term.start))


def _cause(before: _Term, start: float) -> str:
    end = before.end
    if end is None or end.time > start + _SLACK or end.cause.startswith(STARTED):
        return f"{before.host} was not heard any more, and noted nothing"
    gap = start - end.time
    nobody = f", and nobody had it for {gap:.0f} s" if gap > _LONG else ""
    return f"{end.cause} ({before.host}){nobody}"
