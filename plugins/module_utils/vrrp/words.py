# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Events, traces and lists of names as sentences for a person."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Iterable, Iterator, Sequence

from .election import Election
from .events import (
    CheckFails,
    CheckRecovers,
    Event,
    KeepalivedKilled,
    KeepalivedStarts,
    KeepalivedStops,
    LinkCut,
    LinkHealed,
    NodeLost,
    NodeReturns,
)
from .hearing import is_address
from .pairs import DUAL_MASTER, NEEDLESS_MOVE
from .search import Path, holder_names
from .units import Service

_MOST_NAMED = 4

_SENTENCES = {
    KeepalivedStarts: "keepalived starts on {node}",
    KeepalivedStops: "keepalived stops on {node}",
    KeepalivedKilled: "keepalived is killed on {node}",
    NodeLost: "{node} loses power",
    NodeReturns: "{node} returns",
    LinkCut: "the link of {node} is cut",
    LinkHealed: "the link of {node} works again",
}


def describe(event: Event) -> str:
    """The event as a sentence, without a full stop."""
    if isinstance(event, CheckFails):
        return f"{event.check} fails on {event.node}"
    if isinstance(event, CheckRecovers):
        return f"{event.check} passes again on {event.node}"
    return _SENTENCES[type(event)].format(node=event.node)


def trace_words(election: Election, path: Path, down: tuple[str, ...]) -> Iterator[str]:
    """The path as sentences: what happens, and where the VIP is then."""
    vips = _vips(path.service)
    if down:
        yield f"{listed(down)} {'is' if len(down) == 1 else 'are'} down"
    holders = holder_names(election, path.service, path.states[0])
    yield (
        f"keepalived starts on {_in_turn(path.started)}; all is well; "
        f"{listed(holders) or 'nobody'} {'hold' if len(holders) > 1 else 'holds'} {vips.said}"
    )
    moved = False
    for event, state in zip(path.events, path.states[1:]):
        yield describe(event)
        now = holder_names(election, path.service, state)
        moved = now != holders
        if moved:
            yield _movement(vips, holders, now)
        holders = now
    yield _verdict(path, vips, holders, moved or not path.events)


def _movement(vips: _Vips, before: tuple[str, ...], now: tuple[str, ...]) -> str:
    if not now:
        return f"nobody holds {vips.said}"
    if len(before) == len(now) == 1:
        return f"{vips.said} {vips.verb('moves', 'move')} to {now[0]}"
    return f"{vips.said} {vips.verb('is', 'are')} on {listed(now)}"


def _verdict(path: Path, vips: _Vips, holders: tuple[str, ...], moved: bool) -> str:
    first, second = path.pair
    if path.kind == DUAL_MASTER:
        return f"{first} and {second} both hold {vips.said}, and neither gives way"
    if path.kind == NEEDLESS_MOVE:
        return f"{vips.said} {vips.verb('has', 'have')} left {first}, which is healthy"
    if not holders:
        return f"nobody holds {vips.said}; {second} is healthy"
    verb = vips.verb("is", "are") if moved else vips.verb("stays", "stay")
    which = "which is unhealthy" if len(holders) == 1 else "which are unhealthy"
    return f"{vips.said} {verb} on {listed(holders)}, {which}; {second} is healthy"


@dataclass(frozen=True)
class _Vips:
    """What moves, as the subject of a sentence."""

    said: str
    many: bool

    def verb(self, one: str, many: str) -> str:
        return many if self.many else one


def _vips(service: Service) -> _Vips:
    if not is_address(service.addresses[0]):
        return _Vips(f"{listed(service.addresses)} (which has no address)", many=False)
    many = len(service.addresses) > 1
    return _Vips(f"{'VIPs' if many else 'VIP'} {listed(shortened(service.addresses))}", many)


def _in_turn(names: Sequence[str]) -> str:
    if len(names) < 4:
        return ", then on ".join(names)
    return f"{listed(names)}, in this order"


def listed(names: Sequence[str]) -> str:
    """The names as an enumeration: a, b and c."""
    return " and ".join(filter(None, (", ".join(names[:-1]), *names[-1:])))


def shortened(names: Sequence[str]) -> Sequence[str]:
    """The names, of many the first ones and how many more there are."""
    return names if len(names) <= _MOST_NAMED else (*names[:2], f"{len(names) - 2} more")


def counted(count: int, noun: str) -> str:
    """A number of things: 1 error, 2 errors."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def sentence(text: str) -> str:
    """The text with a capital letter in front and a full stop; empty for nothing."""
    return text[:1].upper() + text[1:] + "." if text else ""


def dotted(version: Iterable[int]) -> str:
    """A version as people write it: 2.2.7."""
    return ".".join(map(str, version))
