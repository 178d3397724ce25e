# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verdict on a cluster by visiting every reachable state: slow, and simple enough to trust.

It knows the election, but nothing of the reductions in ``explore``; health and the properties are
written out once more.
"""

from __future__ import annotations

from ansible_collections.mycat.ha.plugins.module_utils.vrrp import election, events, hearing
from ansible_collections.mycat.ha.plugins.module_utils.vrrp.events import VrrpState
from ansible_collections.mycat.ha.plugins.module_utils.vrrp.pairs import (
    DUAL_MASTER,
    NEEDLESS_MOVE,
    NO_FAILOVER,
)

EVERY_EVENT = (
    events.CheckFails,
    events.CheckRecovers,
    events.KeepalivedStarts,
    events.KeepalivedStops,
    events.KeepalivedKilled,
    events.NodeLost,
    events.NodeReturns,
    events.LinkCut,
    events.LinkHealed,
)
CHECKS_AND_STOPS = EVERY_EVENT[:4]
WITH_CUTS = (*CHECKS_AND_STOPS, *EVERY_EVENT[-2:])


def healthy(node, instance, state):
    """Whether the node is in reach and every check of the instance, or of its sync group, is as it
    should be."""
    together = next((g.members for g in node.sync_groups if instance.name in g.members), ())
    return (
        state.running
        and not state.cut
        and all(
            (track.check in state.failed) == track.reverse
            for one in node.instances
            if one is instance or one.name in together
            for track in one.tracks
        )
    )


def facts(cluster, state):
    """For each VIP: all MASTERs, those in reach, and the healthy nodes that carry it."""
    found = {}
    for node, now in zip(cluster.nodes, state.nodes):
        for instance, role in zip(node.instances, now.states):
            for vip in hearing.addresses_of(instance):
                masters, in_reach, fit = found.setdefault(vip, (set(), set(), set()))
                if role is VrrpState.MASTER:
                    masters.add(node.name)
                    if not now.cut:
                        in_reach.add(node.name)
                if healthy(node, instance, now):
                    fit.add(node.name)
    return found


def shown_by(cluster, before, after):
    """The kinds of discovery that the state ``after``, or the step to it, shows, with the VIP."""
    return shown_by_facts(facts(cluster, before) if before else {}, facts(cluster, after))


def shown_by_facts(was, now):
    """The same, of what ``facts`` says of the two states; nothing for no state before."""
    for vip, (masters, in_reach, fit) in now.items():
        if len(in_reach) > 1:
            yield DUAL_MASTER, vip
        if fit and not in_reach & fit:
            yield NO_FAILOVER, vip
        if vip in was:
            had, _reached, was_fit = was[vip]
            if (had & was_fit & fit) - masters and in_reach - had:
                yield NEEDLESS_MOVE, vip


def verdict(cluster, kinds=EVERY_EVENT):
    """For all (kind, VIP) of a cluster without tracks in reverse, the least number of events that
    shows it after a start in order or in reverse order. Only events of ``kinds`` happen."""
    machine = election.Election(cluster)
    found, seen, layer = {}, {None: {}}, []
    for order in (machine.names, machine.names[::-1]):
        state = machine.initial()
        for name in order:
            state = machine.apply(state, events.KeepalivedStarts(name))
        layer.append((None, state))
    depth = 0
    while layer:
        following = []
        for before, state in layer:
            new = state not in seen
            if new:
                seen[state] = facts(cluster, state)
            for key in shown_by_facts(seen[before], seen[state]):
                found.setdefault(key, depth)
            if new:
                following.extend(
                    (state, after)
                    for event in machine.legal_events(state)
                    if type(event) in kinds
                    for after in machine.settlements(state, event)
                )
        layer = following
        depth += 1
    return found
