# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Random clusters and random events. The same seed always makes the same case.

Priorities and weights are multiples of ten from a short list: ties and clamped sums come up
often, and two backups that differ differ by more than the scheduling noise of the machine.

Left out, because a network namespace cannot show it: ``track_process`` (the kernel tells of
processes in the machine's own network namespace only).
"""

from __future__ import annotations

import dataclasses
import random
from dataclasses import dataclass
from typing import Callable, Sequence

from ansible_collections.mycat.ha.plugins.module_utils.vrrp import election, events
from ansible_collections.mycat.ha.plugins.module_utils.vrrp.model import (
    Authentication,
    Check,
    CheckKind,
    Cluster,
    Instance,
    Node,
    State,
    SyncGroup,
    Track,
)

from .lab import INTERFACE

PRIORITIES = (1, 30, 60, 100, 100, 100, 140, 180, 220, 250, 254, 255)
WEIGHTS = (-253, -150, -100, -60, -40, -20, 0, 0, 0, 20, 40, 60, 100, 150, 253)
SUBNET = "192.0.2."
FIRST_VRID = 51


@dataclass(frozen=True)
class Case:
    """What is run: ``events`` one after the other, each after the one before has settled."""

    seed: int
    cluster: Cluster
    events: tuple[events.Event, ...]

    @property
    def quiet(self) -> float:
        """Seconds without a change after which nothing more is going to come of an event."""
        return max(_patience(node) for node in self.cluster.nodes)

    @property
    def duration(self) -> float:
        """About how many seconds it takes to run."""
        return 1.5 * self.quiet * len(self.events) + 2


def make(seed: int, version: tuple[int, ...]) -> Case:
    """The case of ``seed``, for nodes that run keepalived ``version``."""
    rng = random.Random(seed)  # noqa: S311 - nothing secret: cases to be had again
    cluster = _cluster(rng, version)
    return Case(seed, cluster, _events(rng, cluster))


def _patience(node: Node) -> float:
    """Half as long again as the longest down interval, and what checks and preempt_delay add."""
    silence = max(
        (instance.down_timer_adverts + 1) * instance.advert_int for instance in node.instances
    )
    detection = max(
        (
            (max(check.rise, check.fall) + 0.5) * check.interval
            for check in node.checks
            if check.kind is CheckKind.SCRIPT
        ),
        default=0.0,
    )
    delay = max(instance.preempt_delay for instance in node.instances)
    return 1.5 * silence + detection + delay + 0.4


def _cluster(rng: random.Random, version: tuple[int, ...]) -> Cluster:
    names = [f"lb{number}" for number in range(1, rng.choice((2, 2, 3)) + 1)]
    addresses = [SUBNET + str(host) for host in rng.sample(range(11, 20), len(names))]
    vrrp_version = 2 if rng.random() < 0.04 else 3
    base = Instance(
        name="VI_1",
        virtual_router_id=FIRST_VRID,
        interface=INTERFACE,
        version=vrrp_version,
        advert_int=1.0 if vrrp_version == 2 else rng.choice((0.1, 0.1, 0.1, 0.05)),
        down_timer_adverts=rng.choice((3, 3, 3, 3, 2, 5)),
    )
    vrids = [FIRST_VRID + number for number in range(rng.choice((1, 1, 2)))]
    grouped = len(vrids) == 2 and rng.random() < 0.5
    unicast = rng.random() < 0.5
    nopreempt_likely = rng.choice((0.0, 0.0, 0.4, 1.0))
    nodes = []
    for name, address in zip(names, addresses):
        checks = _checks(rng)
        # An interface is tracked by its name; it has no definition.
        defined = tuple(check for check in checks if check.kind is not CheckKind.INTERFACE)
        instances = tuple(
            dataclasses.replace(
                base,
                name=f"VI_{vrid}",
                virtual_router_id=vrid,
                state=State.MASTER if rng.random() < 0.2 else State.BACKUP,
                priority=rng.choice(PRIORITIES),
                nopreempt=rng.random() < nopreempt_likely,
                preempt_delay=rng.choice((0.5, 1.0)) if rng.random() < 0.08 else 0.0,
                tracks=_tracks(rng, checks),
                virtual_ipaddress=(SUBNET + str(100 + vrid),),
                unicast_src_ip=address if unicast else None,
                unicast_peer=tuple(f"{a} min_ttl 255" for a in addresses if a != address)
                if unicast
                else None,
                check_unicast_src=unicast,
                authentication=_authentication(rng, vrrp_version),
            )
            for vrid in vrids
        )
        groups: tuple[SyncGroup, ...] = ()
        if grouped:
            groups = (
                SyncGroup(
                    "VG_1",
                    tuple(instance.name for instance in instances),
                    tracking_weight=rng.random() < 0.3,
                    tracks=_tracks(rng, checks) if rng.random() < 0.3 else (),
                ),
            )
        nodes.append(
            Node(
                name,
                address,
                instances,
                defined,
                groups,
                script_user="root",
                keepalived_version=version,
            )
        )
    if rng.random() < 0.1:
        nodes[-1] = _mismatched(rng, nodes[-1], tuple(addresses[:-1]))
    return Cluster(tuple(nodes))


def _authentication(rng: random.Random, vrrp_version: int) -> Authentication | None:
    if vrrp_version == 3:
        return None
    return Authentication("PASS", rng.choice(("secret", "secret", "secret", "other")))


def _checks(rng: random.Random) -> tuple[Check, ...]:
    checks: list[Check] = []
    for number in range(rng.choice((0, 1, 1, 1, 2, 3))):
        kind = rng.choices(
            (CheckKind.FILE, CheckKind.SCRIPT, CheckKind.INTERFACE), weights=(6, 3, 1)
        )[0]
        check = Check(f"{kind.name[0].lower()}{number}", kind)
        if kind is CheckKind.SCRIPT:
            check = dataclasses.replace(
                check,
                init_fail=rng.random() < 0.2,
                rise=rng.choice((1, 1, 1, 2)),
                fall=rng.choice((1, 1, 1, 2)),
            )
        checks.append(check)
    return tuple(checks)


def _tracks(rng: random.Random, checks: Sequence[Check]) -> tuple[Track, ...]:
    return tuple(
        Track(check.name, check.kind, rng.choice(WEIGHTS), reverse=rng.random() < 0.1)
        for check in checks
        if rng.random() < 0.85
    )


def _mismatched(rng: random.Random, node: Node, others: tuple[str, ...]) -> Node:
    """The node with one option of all its instances set apart from the other nodes'."""
    choices: dict[str, Callable[[Instance], Instance]] = {
        "version": lambda old: dataclasses.replace(
            old, version=5 - old.version, advert_int=1.0, authentication=None
        ),
        "addresses": lambda old: dataclasses.replace(
            old,
            virtual_ipaddress=(*old.virtual_ipaddress, SUBNET + str(150 + old.virtual_router_id)),
        ),
        "router": lambda old: dataclasses.replace(
            old, virtual_router_id=old.virtual_router_id + 10
        ),
        "interval": lambda old: dataclasses.replace(old, advert_int=old.advert_int * 2),
        "time to live": lambda old: dataclasses.replace(
            old, unicast_ttl=254 if old.unicast_peer else None
        ),
        "multicast": lambda old: dataclasses.replace(
            old, unicast_peer=None if old.unicast_peer else others
        ),
    }
    change = choices[rng.choice(sorted(choices))]
    return dataclasses.replace(node, instances=tuple(map(change, node.instances)))


def _events(rng: random.Random, cluster: Cluster) -> tuple[events.Event, ...]:
    """All nodes start one after the other, in any order; then 3 to 8 things happen."""
    state = election.initial(cluster)
    happened: list[events.Event] = []

    def then(event: events.Event) -> None:
        nonlocal state
        happened.append(event)
        state = election.apply(cluster, state, event)

    for node in rng.sample(cluster.nodes, len(cluster.nodes)):
        then(events.KeepalivedStarts(node.name))
    try:
        for _ in range(rng.randint(3, 8)):
            possible = election.legal_events(cluster, state)
            likely = [_LIKELIHOOD.get(type(event), 3) for event in possible]
            then(rng.choices(possible, likely)[0])
    except election.EndlessElectionError:
        pass
    return tuple(happened)


# Checks change most often; what ends a daemon is followed by what starts it again.
_LIKELIHOOD = {
    events.CheckFails: 8,
    events.CheckRecovers: 6,
    events.KeepalivedStarts: 8,
    events.NodeReturns: 8,
    events.LinkHealed: 8,
    events.NodeLost: 2,
}
