# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Disagreements that are understood and not the model's to mend: faults of keepalived versions.

A disagreement that a row explains is counted apart, with the row's reason; every other one fails
the run.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Callable

from ansible_collections.mycat.ha.plugins.module_utils.vrrp import hearing

from .cases import Case

OWNER = 255
ANY_VERSION: tuple[int, ...] = ()
NOT_YET: tuple[int, ...] = (99,)


@dataclass(frozen=True)
class Known:
    """A fault of keepalived from version ``since`` up to ``until``, and where it can show."""

    name: str
    reason: str
    since: tuple[int, ...]
    until: tuple[int, ...]
    applies: Callable[[Case], bool]


def explain(case: Case, version: tuple[int, ...]) -> Known | None:
    """The row that explains a disagreement of ``case``, None when nothing does."""
    for known in KNOWN:
        if known.since <= version < known.until and known.applies(case):
            return known
    return None


def _two_owners(case: Case) -> bool:
    owned = [
        instance.virtual_router_id
        for node in case.cluster.nodes
        for instance in node.instances
        if instance.priority == OWNER
    ]
    return len(owned) != len(set(owned))


# What is looked at only after the advert was handed to the instance.
_READ_AND_REJECTED = {
    hearing.Rejection.VERSION,
    hearing.Rejection.AUTHENTICATION,
    hearing.Rejection.ADVERT_INT,
    hearing.Rejection.VIPS,
}


def _third_node_beside_rejection(case: Case) -> bool:
    nodes = case.cluster.nodes
    return len(nodes) > 2 and any(
        hearing.rejection(node, instance, sender) in _READ_AND_REJECTED
        for node, other in itertools.permutations(nodes, 2)
        for instance, sender in itertools.product(node.instances, other.instances)
    )


KNOWN: tuple[Known, ...] = (
    Known(
        "two address owners",
        "a MASTER of priority 255 that hears another one lowers its own base to 254 until it is "
        "started again; who does depends on whose advert comes first (vrrp.c, "
        "vrrp_state_master_rx)",
        ANY_VERSION,
        NOT_YET,
        _two_owners,
    ),
    Known(
        "rejected adverts silence a MASTER",
        "each advert that a MASTER reads and rejects (other version, authentication, interval or "
        "addresses) starts its advert timer afresh, so of two that reject each other one may send "
        "nothing for seconds, and a third node takes over (vrrp_scheduler.c, "
        "vrrp_dispatcher_read)",
        ANY_VERSION,
        NOT_YET,
        _third_node_beside_rejection,
    ),
)
