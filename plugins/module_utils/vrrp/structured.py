# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A cluster as plain dictionaries and lists, as modules take and return it, and as a model.

A node is either the list of its instances, which is what ``vrrp_plan`` returns for it, or a
dictionary with ``address``, ``instances`` and, where it matters, ``checks`` and the rest of
``_NODE``. Names are keepalived's own keywords. What is no cluster at all (a wrong type, a negative
number, a name that a keepalived.conf cannot hold, one name twice) raises ``SettingError`` with the
path of the option; what keepalived would replace (priority 256) is read as it stands, for the
rules to judge.
"""

from __future__ import annotations

import ipaddress
from typing import Any, Callable, Iterable, Iterator, Mapping, Sequence, Tuple

from .. import readers
from ..readers import SettingError
from .findings import Finding
from .hearing import STANDARD_GROUPS
from .model import (
    Authentication,
    Check,
    CheckKind,
    Cluster,
    Hmac,
    Instance,
    Node,
    State,
    SyncGroup,
    Track,
)
from .rules.catalogue import finding
from .signing import ANTI_REPLAYS, HMAC_MODES
from .versions import AUTH_HMAC_SINCE, MCAST_DST_IP_SINCE
from .words import dotted

_Reader = Callable[[str, object], object]

_KINDS = {kind.value: kind for kind in CheckKind}
# The weight of an entry that names none; keepalived's own defaults.
_DEFAULT_WEIGHT = {CheckKind.FILE: 1}


# --- from data to the model -------------------------------------------------------------------


def _at_least_one(where: str, value: object) -> int:
    return readers.integer(where, value, 1)


def _adverts(where: str, value: object) -> int:
    return readers.integer(where, value, 1, 100)


def _peers(where: str, value: object) -> tuple[str, ...]:
    return tuple(_peer(at, item) for at, item in readers.items(where, value))


def _peer(where: str, value: object) -> str:
    """An address and perhaps the time to live that its adverts must have."""
    address, *options = value.split() if isinstance(value, str) and value.split() else [""]
    limits = options[1::2]
    if (
        len(options) != 2 * len(limits)
        or not set(options[::2]) <= {"min_ttl", "max_ttl"}
        or not all(one.isdigit() and int(one) <= 255 for one in limits)
    ):
        raise readers.wrong(where, value, "an address, or one with min_ttl and max_ttl (0 to 255)")
    return " ".join([readers.address(where, address or value), *options])


def _time_to_live(where: str, value: object) -> int:
    return readers.integer(where, value, 0, 255)


def _virtual_addresses(where: str, value: object) -> tuple[str, ...]:
    return tuple(readers.virtual_address(at, item) for at, item in readers.items(where, value))


def _words(where: str, value: object) -> tuple[str, ...]:
    return tuple(readers.word(at, item) for at, item in readers.items(where, value))


def _authentication(where: str, value: object) -> Authentication:
    given = readers.mapping(where, value, ("auth_type", "auth_pass"))
    auth_type = readers.choice(f"{where}.auth_type", given.get("auth_type"), ("PASS", "AH"))
    auth_pass = given.get("auth_pass") or ""
    try:
        return Authentication(auth_type, readers.word(where, auth_pass) if auth_pass else "")
    except SettingError:
        # The value is a secret: it is not shown.
        raise SettingError(f"{where}.auth_pass", "is not a word that keepalived can read") from None


def _hmac(where: str, value: object) -> Hmac:
    """Keys, each with its id; no key is ever shown."""
    given = readers.mapping(
        where, value, ("keys", "active_key", "mode", "anti_replay", "time_window")
    )
    keys = tuple(
        _key(at, item) for at, item in readers.items(f"{where}.keys", given.get("keys") or [])
    )
    window = given.get("time_window")
    return Hmac(
        keys,
        readers.integer(f"{where}.active_key", given.get("active_key") or 0),
        readers.choice(f"{where}.mode", given.get("mode") or HMAC_MODES[0], HMAC_MODES),
        readers.choice(
            f"{where}.anti_replay", given.get("anti_replay") or ANTI_REPLAYS[0], ANTI_REPLAYS
        ),
        None if window is None else readers.integer(f"{where}.time_window", window),
    )


def _key(where: str, value: object) -> tuple[int, str]:
    if not isinstance(value, Mapping) or set(value) != {"id", "key"}:
        raise SettingError(where, "is not a dictionary with id and key")
    number = readers.integer(f"{where}.id", value["id"])
    try:
        return number, readers.word(f"{where}.key", value["key"])
    except SettingError:
        # The value is a secret: it is not shown.
        raise SettingError(f"{where}.key", "is not a word that keepalived can read") from None


def _multicast_group(where: str, value: object) -> str:
    """Empty for the group that VRRP has anyway."""
    group = readers.address(where, value)
    if not ipaddress.ip_address(group).is_multicast:
        raise readers.wrong(where, value, "a multicast address")
    return "" if group in STANDARD_GROUPS else group


_INSTANCE: Mapping[str, _Reader] = {
    "name": readers.word,
    "virtual_router_id": readers.integer,
    "interface": readers.word,
    "state": readers.member_of(State),
    "priority": readers.integer,
    "version": readers.vrrp_version,
    "advert_int": readers.seconds,
    "nopreempt": readers.flag,
    "preempt_delay": readers.seconds,
    "accept": readers.flag,
    "strict_mode": readers.flag,
    "virtual_ipaddress": _virtual_addresses,
    "virtual_ipaddress_excluded": _virtual_addresses,
    "unicast_src_ip": readers.address,
    "unicast_peer": _peers,
    "check_unicast_src": readers.flag,
    "unicast_ttl": _time_to_live,
    "authentication": _authentication,
    "auth_hmac": _hmac,
    "down_timer_adverts": _adverts,
    "mcast_dst_ip": _multicast_group,
}
# Keywords of an instance that a model has under another name.
_FIELDS = {"mcast_dst_ip": "multicast_group"}
# What an older daemon does not read.
_SINCE = {"mcast_dst_ip": MCAST_DST_IP_SINCE, "auth_hmac": AUTH_HMAC_SINCE}
# What the plan expects of a command, and promises for it; nothing that keepalived knows.
PROMISES = ("deadline", "bound")
_CHECK: Mapping[str, _Reader] = {
    "name": readers.word,
    "kind": readers.member_of(CheckKind),
    "interval": readers.duration,
    "timeout": readers.duration,
    "rise": _at_least_one,
    "fall": _at_least_one,
    "init_fail": readers.flag,
    "command": readers.text,
    "user": readers.word,
    **dict.fromkeys(PROMISES, readers.seconds),
}
_GROUP: Mapping[str, _Reader] = {
    "name": readers.word,
    "group": _words,
    "tracking_weight": readers.flag,
}
_NODE = ("address", "instances", "checks", "sync_groups", "script_security", "script_user")


def _read(
    where: str, value: object, known: Mapping[str, _Reader], more: Iterable[str] = ()
) -> tuple[dict[str, object], Mapping[str, object]]:
    """The values that a table of readers knows, and the dictionary itself. None and an empty
    string mean: not given."""
    given = readers.mapping(where, value, (*known, *more))
    if given.get("name") in (None, ""):
        raise SettingError(f"{where}.name", "is missing; every item has a name")
    return {
        key: read(f"{where}.{key}", given[key])
        for key, read in known.items()
        if given.get(key) is not None and given[key] != ""
    }, given


def _tracks(where: str, given: Mapping[str, object]) -> tuple[Track, ...]:
    return tuple(
        _track(at, item, kind)
        for keyword, kind in _KINDS.items()
        for at, item in readers.items(f"{where}.{keyword}", given.get(keyword) or [])
    )


def _track(where: str, value: object, kind: CheckKind) -> Track:
    """An entry of a track_ list: a name, or a dictionary."""
    given = readers.mapping(
        where, {"name": value} if isinstance(value, str) else value, ("name", "weight", "reverse")
    )
    weight = given.get("weight")
    return Track(
        readers.word(f"{where}.name", given.get("name")),
        kind,
        _DEFAULT_WEIGHT.get(kind, 0)
        if weight is None
        else readers.integer(f"{where}.weight", weight, -1_000_000),
        readers.flag(f"{where}.reverse", given.get("reverse", False)),
    )


def _instance(where: str, value: object, version: tuple[int, ...]) -> Instance:
    values, given = _read(where, value, _INSTANCE, _KINDS)
    for keyword, since in _SINCE.items():
        if keyword in values:
            read = values.pop(keyword)
            if version >= since:
                values[_FIELDS.get(keyword, keyword)] = read
    values.setdefault("virtual_router_id", 0)
    if any(" " in peer for peer in values.get("unicast_peer", ())):  # type: ignore[attr-defined]
        values["check_unicast_src"] = True
    if values.get("state") is State.MASTER:
        values.setdefault("priority", 255)
    if not values.get("unicast_peer") and "unicast_src_ip" not in values:
        # An empty list and no source: nothing of unicast is meant.
        values.pop("unicast_peer", None)
    return Instance(tracks=_tracks(where, given), **values)  # type: ignore[arg-type]


def _check(where: str, value: object) -> Check:
    values, _given = _read(where, value, _CHECK)
    for promise in PROMISES:
        values.pop(promise, None)
    return Check(**values)  # type: ignore[arg-type]


def _group(where: str, value: object) -> SyncGroup:
    values, given = _read(where, value, _GROUP, _KINDS)
    members = values.pop("group", ())
    return SyncGroup(members=members, tracks=_tracks(where, given), **values)  # type: ignore[arg-type]


def _node(
    name: str,
    value: object,
    told: str | Sequence[str],
    keepalived_version: tuple[int, ...],
) -> tuple[Node, tuple[Finding, ...]]:
    where = f"nodes.{readers.word('nodes', name)}"
    bare = isinstance(value, (list, tuple))
    given = readers.mapping(where, {"instances": value} if bare else value, _NODE)
    at_instances = where if bare else f"{where}.instances"
    instances = tuple(
        _instance(at, item, keepalived_version)
        for at, item in readers.items(at_instances, given.get("instances") or [])
    )
    readers.unique(at_instances, "name", [instance.name for instance in instances])
    groups = tuple(
        _group(at, item)
        for at, item in readers.items(f"{where}.sync_groups", given.get("sync_groups") or [])
    )
    readers.unique(f"{where}.sync_groups", "name", [group.name for group in groups])
    if given.get("checks") is None:
        checks = _assumed(instances, groups)
    else:
        checks = tuple(
            _check(at, item) for at, item in readers.items(f"{where}.checks", given["checks"])
        )
        readers.unique(
            f"{where}.checks", "name", [f"{check.kind.value} {check.name}" for check in checks]
        )
    everything = () if isinstance(told, str) else tuple(told)
    own = given.get("address") or ("".join(everything[:1]) if everything else told)
    source = next((i.unicast_src_ip for i in instances if i.unicast_src_ip), "")
    user = given.get("script_user") or ""
    node = Node(
        name,
        readers.address(f"{where}.address", own) if own else source,
        instances,
        checks,
        groups,
        readers.flag(f"{where}.script_security", given.get("script_security", False)),
        readers.word(f"{where}.script_user", user) if user else "",
        keepalived_version,
        everything,
    )
    written = tuple(readers.items(at_instances, given.get("instances") or []))
    return node, (*_owners(name, written), *_too_new(name, written, keepalived_version))


def _assumed(instances: Iterable[Instance], groups: Iterable[SyncGroup]) -> tuple[Check, ...]:
    """Where nothing is said about checks, those that are tracked exist."""
    tracked = dict.fromkeys(
        (track.check, track.kind)
        for tracks in [owner.tracks for owner in instances] + [owner.tracks for owner in groups]
        for track in tracks
        if track.kind is not CheckKind.INTERFACE
    )
    return tuple(Check(name, kind) for name, kind in tracked)


_Written = Iterable[Tuple[str, Any]]


def _too_new(node: str, written: _Written, version: tuple[int, ...]) -> Iterator[Finding]:
    """The keywords that this version of keepalived does not read."""
    for at, instance in written:
        for keyword, since in _SINCE.items():
            if instance.get(keyword) and version < since:
                yield finding(
                    "unknown-keyword",
                    f"{at}: keepalived {dotted(version)} does not know {keyword}; it came with "
                    f"{dotted(since)}",
                    f"Remove {keyword} on {node}.",
                    node=node,
                    instance=str(instance["name"]),
                )


def _owners(node: str, written: _Written) -> Iterator[Finding]:
    """The instances whose priority keepalived takes from state MASTER."""
    for at, instance in written:
        if instance.get("state") == "MASTER" and instance.get("priority") is None:
            yield finding(
                "master-without-priority",
                f"{at}: state is MASTER and there is no priority, so the daemon takes 255",
                node=node,
                instance=str(instance["name"]),
            )


def read_cluster(
    nodes: object,
    addresses: Mapping[str, str | Sequence[str]] | None = None,
    keepalived_version: tuple[int, ...] = (2, 2, 7),
    versions: Mapping[str, tuple[int, ...]] | None = None,
) -> tuple[Cluster, tuple[Finding, ...]]:
    """The cluster in ``nodes``, and what was noticed on reading it.

    ``addresses`` maps node names to the address that adverts come from where ``nodes`` does not
    say, or to a list of all that the node has; ``versions`` to the versions of nodes that run
    another one. Raises SettingError.
    """
    if not isinstance(nodes, Mapping) or not nodes:
        raise readers.wrong("nodes", nodes, "a dictionary of node name to instances")
    read = [
        _node(
            name,
            value,
            (addresses or {}).get(name, ""),
            (versions or {}).get(name, keepalived_version),
        )
        for name, value in nodes.items()
    ]
    return (
        Cluster(tuple(node for node, _found in read)),
        tuple(item for _node_read, found in read for item in found),
    )


# --- from the model to data -------------------------------------------------------------------


def _number(value: float) -> float:
    """Whole seconds as an integer: keepalived before 2.3.2 reads no fraction."""
    return int(value) if value == int(value) else value


def track_data(tracks: Iterable[Track]) -> dict[str, object]:
    """Tracks by the keyword of their block, as an instance or a sync group has them."""
    by_kind: dict[str, list[dict[str, object]]] = {keyword: [] for keyword in _KINDS}
    for track in tracks:
        entry: dict[str, object] = {"name": track.check, "weight": track.weight}
        if track.reverse:
            entry["reverse"] = True
        by_kind[track.kind.value].append(entry)
    return dict(by_kind)


def instance_data(instance: Instance) -> dict[str, object]:
    """An instance as ``vrrp_plan`` returns it and ``read_cluster`` reads it."""
    authentication = instance.authentication
    return {
        "name": instance.name,
        "state": instance.state.value,
        "interface": instance.interface,
        "priority": instance.priority,
        "nopreempt": instance.nopreempt,
        "preempt_delay": _number(instance.preempt_delay),
        "virtual_router_id": instance.virtual_router_id,
        "version": instance.version,
        "advert_int": _number(instance.advert_int),
        "down_timer_adverts": instance.down_timer_adverts,
        "accept": instance.accept,
        "strict_mode": instance.strict_mode,
        "virtual_ipaddress": list(instance.virtual_ipaddress),
        "virtual_ipaddress_excluded": list(instance.virtual_ipaddress_excluded),
        "unicast_src_ip": instance.unicast_src_ip,
        "unicast_peer": list(instance.unicast_peer or ()),
        "authentication": authentication
        and {"auth_type": authentication.auth_type, "auth_pass": authentication.auth_pass},
        **({"check_unicast_src": True} if instance.check_unicast_src else {}),
        **({} if instance.unicast_ttl is None else {"unicast_ttl": instance.unicast_ttl}),
        **({"mcast_dst_ip": instance.multicast_group} if instance.multicast_group else {}),
        **({"auth_hmac": _hmac_data(instance.auth_hmac)} if instance.auth_hmac else {}),
        **track_data(instance.tracks),
    }


def _hmac_data(hmac: Hmac) -> dict[str, object]:
    return {
        "keys": [{"id": number, "key": key} for number, key in hmac.keys],
        "active_key": hmac.active_key,
        "mode": hmac.mode,
        "anti_replay": hmac.anti_replay,
        "time_window": hmac.time_window,
    }


def check_data(check: Check) -> dict[str, object]:
    """A check as ``read_cluster`` reads it."""
    data: dict[str, object] = {
        "name": check.name,
        "kind": check.kind.value,
        "command": check.command,
    }
    if check.kind is CheckKind.SCRIPT:
        data.update(
            interval=_number(check.interval),
            timeout=None if check.timeout is None else _number(check.timeout),
            rise=check.rise,
            fall=check.fall,
            init_fail=check.init_fail,
            user=check.user,
        )
    return data


def node_data(node: Node) -> dict[str, object]:
    """A node as ``read_cluster`` reads it."""
    return {
        "address": node.address,
        "instances": [instance_data(instance) for instance in node.instances],
        "checks": [check_data(check) for check in node.checks],
        "sync_groups": [
            {
                "name": group.name,
                "group": list(group.members),
                "tracking_weight": group.tracking_weight,
                **track_data(group.tracks),
            }
            for group in node.sync_groups
        ],
        "script_security": node.script_security,
        "script_user": node.script_user,
    }
