# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What it takes to bring a changed keepalived.conf into force. Pure.

Most changes a running keepalived reads on SIGHUP, and an address that it holds stays. Some it
refuses then ("Cannot change ... at a reload", keepalived/core/main.c), and goes on with everything
it had before; some it reads and does not act on. And some changes two nodes must make together:
while one has made it and the other has not, neither hears the other, and both are master.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ..host.masking import MASK
from ..vrrp.hearing import plain_address
from ..vrrp.model import Instance
from ..vrrp.versions import NEWEST
from .config_test import masked
from .keywords import AT_START, KEYWORDS, SECRET_BLOCKS
from .lines import ConfError
from .reader import parse
from .tree import Statement, parse_tree

_GLOBALS = KEYWORDS["global_defs"]


def restart_required(before: str, after: str, config_id: str = "") -> tuple[str, ...]:
    """The changes that keepalived makes at a start only, such as ``net_namespace: blue -> green``.

    Empty where a reload does, and where there is no former configuration to compare with.
    """
    return tuple(_differences(_at_start(before, config_id), _at_start(after, config_id)))


def cluster_wide(before: str, after: str, config_id: str = "") -> tuple[str, ...]:
    """The changes that all nodes must make at once, such as ``VI_1: virtual_router_id: 51 -> 52``.

    While only some have made them, there are two masters: adverts with another version, password,
    interval or list of addresses are not accepted, those with another virtual router id or to
    another place not heard. Passwords are not told.
    """
    try:
        old, new = _cluster(before, config_id), _cluster(after, config_id)
    except ConfError:
        return ()
    if not old:
        return ()
    changes = [
        f"{name}: {change}"
        for name in old.keys() & new.keys()
        for change in _wire_changes(old[name], new[name])
    ]
    changes += [f"{name}: removed" for name in old.keys() - new.keys()]
    changes += [f"{name}: added" for name in new.keys() - old.keys()]
    return tuple(sorted(changes))


def hastens_adverts(before: str, after: str, config_id: str = "") -> bool:
    """Whether adverts come more often after a change, which the holder has to make first.

    After its reload a standby counts with its own interval until it hears an advert. Where the
    holder still sends them as rarely as before, it may take over in between (of 120 such reloads of
    2.1.5, 2.2.7 and 2.3.3, from 1 s to 0.33 s, three did).
    """
    old, new = _intervals(before, config_id), _intervals(after, config_id)
    return any(new[name] < old[name] for name in old.keys() & new.keys())


def with_known_secrets(former: str, sha256: str, new: str) -> str:
    """The former configuration, whose secrets are masked, with those of the new one where these are
    its own, as the SHA-256 of its file tells. Otherwise it comes back as it is, and its secrets
    count as changed."""
    known = {
        tuple(hidden): open_
        for hidden, open_ in zip(_secret_lines(masked(new)), _secret_lines(new, masked(new)))
    }
    lines: list[str] = []
    for secret, group in itertools.groupby(former.split("\n"), key=_is_secret):
        run = list(group)
        lines.extend(known.get(tuple(run), run) if secret else run)
    text = "\n".join(lines)
    return text if hashlib.sha256(text.encode()).hexdigest() == sha256 else former


def _intervals(text: str, config_id: str) -> dict[str, float]:
    """The advert interval of each instance, in seconds; nothing of a text that cannot be read."""
    try:
        instances = parse(text, config_id, keepalived_version=NEWEST).node.instances
    except ConfError:
        return {}
    return {instance.name: instance.advert_int for instance in instances}


def _is_secret(line: str) -> bool:
    return MASK in line


def _secret_lines(text: str, marks: str = "") -> list[list[str]]:
    """The runs of lines that hold a secret; ``marks`` is the same text with them masked."""
    pairs = zip(text.split("\n"), (marks or text).split("\n"))
    return [
        [line for line, _mark in run]
        for secret, run in itertools.groupby(pairs, key=lambda pair: _is_secret(pair[1]))
        if secret
    ]


@dataclass(frozen=True)
class _Wire:
    """What the nodes of a cluster must have alike in an instance."""

    settings: dict[str, str]
    # Never shown.
    secrets: tuple[tuple[str, ...], ...]


def _cluster(text: str, config_id: str) -> dict[str, _Wire]:
    statements = parse_tree(text, config_id).statements
    groups = {
        setting.keyword: " ".join(setting.words[1:])
        for setting in _global_settings(statements)
        if setting.keyword in _GLOBALS and _GLOBALS[setting.keyword].at_once
    }
    secrets = {
        statement.value: tuple(
            word
            for part in statement.block or ()
            if part.keyword in SECRET_BLOCKS
            for word in _words(part)
        )
        for statement in statements
        if statement.keyword == "vrrp_instance"
    }
    return {
        instance.name: _Wire({**groups, **_wire(instance)}, secrets.get(instance.name, ()))
        for instance in parse(text, config_id, keepalived_version=NEWEST).node.instances
    }


def _words(statement: Statement) -> Iterator[tuple[str, ...]]:
    yield statement.words
    for inner in statement.block or ():
        yield from _words(inner)


def _at_start(text: str, config_id: str) -> dict[str, str]:
    """Each setting that is read at a start only, and its value."""
    try:
        statements = parse_tree(text, config_id).statements
    except ConfError:
        return {}
    return {
        setting.keyword: " ".join(setting.words[1:]) or "on"
        for setting in _global_settings(statements)
        if setting.keyword in AT_START
    }


def _global_settings(statements: Iterable[Statement]) -> Iterator[Statement]:
    """net_namespace and instance stand outside of global_defs, and may stand in it."""
    for statement in statements:
        if statement.keyword == "global_defs":
            yield from statement.block or ()
        else:
            yield statement


def _differences(before: dict[str, str], after: dict[str, str]) -> Iterator[str]:
    for name in sorted(before.keys() | after.keys()):
        old, new = before.get(name, "off"), after.get(name, "off")
        if old != new:
            yield f"{name}: {old} -> {new}"


def _wire_changes(old: _Wire, new: _Wire) -> Iterator[str]:
    before, after = dict(old.settings), dict(new.settings)
    # Version 3 takes the interval over from the master.
    if before["version"] == after["version"] == "3":
        del before["advert_int"], after["advert_int"]
    yield from _differences(before, after)
    if old.secrets != new.secrets:
        yield "authentication"


def _wire(instance: Instance) -> dict[str, str]:
    return {
        row.name: _as_text(getattr(instance, row.field))
        for row in KEYWORDS["vrrp_instance"].values()
        if row.at_once and row.field and not row.secret
    }


def _as_text(value: object) -> str:
    if isinstance(value, tuple):
        return " ".join(sorted(map(plain_address, value))) or "none"
    if isinstance(value, float):
        return f"{value:g}"
    return "off" if value in (None, "") else str(value)
