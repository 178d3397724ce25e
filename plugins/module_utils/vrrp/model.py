# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a cluster of keepalived nodes is: frozen, hashable values without behaviour.

The words are keepalived's own (keepalived.conf(5)). Durations are seconds. Everything
here is a description of configuration; what happens at run time is in ``election``.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass


class CheckKind(enum.Enum):
    """What a check looks at; the value is the keyword of the block that tracks it."""

    SCRIPT = "track_script"
    FILE = "track_file"
    PROCESS = "track_process"
    INTERFACE = "track_interface"


class State(enum.Enum):
    """The ``state`` keyword of a vrrp_instance; only the start is affected by it."""

    MASTER = "MASTER"
    BACKUP = "BACKUP"


@dataclass(frozen=True)
class Check:
    """Something a node observes about itself: ``vrrp_script``, ``track_file``, ``track_process``
    or an interface. Its weight belongs to the instance that tracks it (``Track``)."""

    name: str
    kind: CheckKind = CheckKind.SCRIPT
    # Scripts only; keepalived's defaults.
    interval: float = 1.0
    timeout: float | None = None
    rise: int = 1
    fall: int = 1
    init_fail: bool = False
    command: str = ""
    user: str = ""


@dataclass(frozen=True)
class Track:
    """An instance tracks a check. Weight 0 means: a failed check is a fault of the instance."""

    check: str
    kind: CheckKind = CheckKind.SCRIPT
    weight: int = 0
    reverse: bool = False


@dataclass(frozen=True)
class Authentication:
    """VRRPv2 authentication: ``auth_type`` is PASS or AH."""

    auth_type: str
    auth_pass: str = ""


@dataclass(frozen=True)
class Hmac:
    """``auth_hmac`` of keepalived 2.4: adverts are signed. ``keys`` are number and secret as they
    are written; ``mode`` is enforce, permissive or receive-only."""

    keys: tuple[tuple[int, str], ...]
    active_key: int = 0
    mode: str = "enforce"
    anti_replay: str = "time"
    time_window: int | None = None


@dataclass(frozen=True)
class Instance:
    """One ``vrrp_instance`` of one node. Absent options hold keepalived's defaults."""

    name: str
    virtual_router_id: int
    interface: str = ""
    state: State = State.BACKUP
    priority: int = 100
    version: int = 2
    advert_int: float = 1.0
    nopreempt: bool = False
    preempt_delay: float = 0.0
    accept: bool | None = None
    strict_mode: bool = False
    tracks: tuple[Track, ...] = ()
    virtual_ipaddress: tuple[str, ...] = ()
    virtual_ipaddress_excluded: tuple[str, ...] = ()
    unicast_src_ip: str | None = None
    # None: multicast. An empty tuple is a unicast_peer block without peers. Each with its options,
    # such as "192.0.2.12 min_ttl 255 max_ttl 255".
    unicast_peer: tuple[str, ...] | None = None
    authentication: Authentication | None = None
    down_timer_adverts: int = 3
    # Where multicast adverts go; empty: the group that VRRP has for the address family.
    multicast_group: str = ""
    auth_hmac: Hmac | None = None
    # Unicast adverts of an address that is no peer are dropped.
    check_unicast_src: bool = False
    # Hops that unicast adverts live; None: 255 with IPv4, what the kernel gives with IPv6.
    unicast_ttl: int | None = None


@dataclass(frozen=True)
class SyncGroup:
    """``vrrp_sync_group``: its instances change state together."""

    name: str
    members: tuple[str, ...]
    tracking_weight: bool = False
    tracks: tuple[Track, ...] = ()


@dataclass(frozen=True)
class Node:
    """One host that runs keepalived; ``address`` is what its adverts come from."""

    name: str
    address: str
    instances: tuple[Instance, ...]
    checks: tuple[Check, ...] = ()
    sync_groups: tuple[SyncGroup, ...] = ()
    script_security: bool = False
    script_user: str = ""
    keepalived_version: tuple[int, ...] = (2, 2, 7)
    # Every address of the node's own, where somebody told them; empty: not known.
    addresses: tuple[str, ...] = ()
    # Whether the daemon ends at a line of its file.
    refused: bool = False


@dataclass(frozen=True)
class Cluster:
    """The nodes in order of preference. Names are unique, so are addresses."""

    nodes: tuple[Node, ...]
