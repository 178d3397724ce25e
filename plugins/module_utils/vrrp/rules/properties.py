# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The broken properties, each with the causes found where it shows."""

from __future__ import annotations

from typing import Iterator, Mapping, Sequence

from .. import pairs
from ..estate import Estate, NodeInstance
from ..explore import Discovery, Exploration
from ..findings import Finding, Rule, Severity
from ..priority import HIGHEST, is_owner
from ..words import listed

NO_FAILOVER = Rule(
    pairs.NO_FAILOVER,
    Severity.ERROR,
    harm="Some failure leaves the address on a node that cannot serve, or on no node, although "
    "another node could serve.",
    example="lb1: priority 100, track_script { chk_haproxy weight 2 }\n"
    "lb2: priority 90,  track_script { chk_haproxy weight 2 }",
    fix="Mend the causes that the finding names; weight 0 on every node always fails over.",
    breaks=pairs.NO_FAILOVER,
)

DUAL_MASTER = Rule(
    pairs.DUAL_MASTER,
    Severity.ERROR,
    harm="Two nodes hold the address at the same time and stay so: clients reach either.",
    example="lb1: vrrp_version 2\nlb2: vrrp_version 3",
    fix="Mend the causes that the finding names, until each node accepts the other's adverts.",
    breaks=pairs.DUAL_MASTER,
)

NEEDLESS_MOVE = Rule(
    pairs.NEEDLESS_MOVE,
    Severity.INFO,
    harm="The address leaves a healthy node for another one: one more interruption, usually "
    "when a preferred node comes back.",
    example="lb1: priority 100\nlb2: priority 90\n# no nopreempt",
    fix="Where that is not wanted, write state BACKUP, nopreempt and weight 0 on all nodes.",
)

SEARCH_INCOMPLETE = Rule(
    "search-incomplete",
    Severity.WARNING,
    harm="What was found is true, but there can be more: the cluster is too entangled to look "
    "at every state, or sync groups push each other out for ever.",
    example="lb1: vrrp_sync_group G { group { VI_1 VI_2 } }\n"
    "lb2: vrrp_sync_group G { group { VI_2 VI_3 } }\n"
    "lb3: vrrp_sync_group G { group { VI_3 VI_1 } }",
    fix="Put the same instances into the same sync group on every node.",
)

_RULE_OF = {rule.id: rule for rule in (NO_FAILOVER, DUAL_MASTER, NEEDLESS_MOVE)}

RULES = (
    NO_FAILOVER,
    DUAL_MASTER,
    NEEDLESS_MOVE,
    SEARCH_INCOMPLETE,
)


_UNEXPLAINED = "Change what the last event of the trace meets, and judge again."


def broken_properties(
    estate: Estate,
    exploration: Exploration,
    causes: Sequence[Finding],
    breaks: Mapping[str, str],
) -> Iterator[Finding]:
    """The broken properties, each with the causes that were found where it shows; ``breaks`` says
    which property a cause's id breaks."""
    for discovery in exploration.violations:
        concerned = _concerned(estate, discovery, causes)
        explained = [f for f in concerned if breaks[f.id] == discovery.kind] or concerned
        said = f"{discovery.trace.words[-1]}. "
        if explained:
            named = dict.fromkeys(f"{f.id} on {f.node}" for f in explained)
            said += f"Cause: {listed(list(named))}."
        else:
            said += "No single setting explains it; follow the trace."
        fixes = dict.fromkeys(f.fix for f in explained)
        yield _property(estate, discovery, said, " ".join(fixes) or _UNEXPLAINED)
    for discovery in exploration.needless_moves:
        concerned = _concerned(estate, discovery, causes)
        silent = [cause for cause in concerned if breaks[cause.id] == pairs.NO_FAILOVER]
        fix = _staying(estate, discovery, silent)
        yield _property(estate, discovery, f"{discovery.trace.words[-1]}.", fix)
    if not exploration.proven:
        yield SEARCH_INCOMPLETE.finding(
            "not every state of this cluster could be looked at", _simpler(estate)
        )


def _staying(estate: Estate, discovery: Discovery, errors: Sequence[Finding]) -> str:
    """What keeps the address where it is: nopreempt, which an address owner does not know, and on
    which checks that say nothing would do harm."""
    carriers = [m for address in discovery.addresses for m in estate.carriers[address]]
    owners = dict.fromkeys(str(member) for member in carriers if is_owner(member.instance))
    lower = [f"Set the priority of {name} to {HIGHEST}." for name in owners]
    return " ".join((*dict.fromkeys(error.fix for error in errors), *lower, NEEDLESS_MOVE.fix))


def _simpler(estate: Estate) -> str:
    """Sync groups are what entangles; without any, what the search has to try."""
    grouped = [node.name for node in estate.cluster.nodes if node.sync_groups]
    if grouped:
        return (
            f"Remove the sync groups on {listed(grouped)} (or put the same instances into the same "
            "group on every node)."
        )
    return "Set the weight to 0 on all nodes (fewer states are left)."


def _property(estate: Estate, discovery: Discovery, message: str, fix: str) -> Finding:
    member = _member_to_show(estate, discovery)
    return _RULE_OF[discovery.kind].finding(
        message,
        fix,
        node=member.node.name,
        instance=member.instance.name,
        trace=discovery.trace.words,
        line=member.line(),
    )


def _member_to_show(estate: Estate, discovery: Discovery) -> NodeInstance:
    """The instance on the node that shows it first; a node that holds others back need not carry
    the addresses itself."""
    carriers = [member for address in discovery.addresses for member in estate.carriers[address]]
    first = [member for member in carriers if member.node.name == discovery.pairs[0][0]]
    return (first or carriers)[0]


def _concerned(estate: Estate, discovery: Discovery, found: Sequence[Finding]) -> list[Finding]:
    """The errors on the instances that carry the addresses, and on the others
    in the same virtual router."""
    carriers = [m for address in discovery.addresses for m in estate.carriers[address]]
    concerned = {
        (member.node.name, member.instance.name)
        for router in estate.routers
        if any(carrier in router for carrier in carriers)
        for member in router
    }
    return [
        item
        for item in found
        if item.severity is Severity.ERROR and (item.node, item.instance) in concerned
    ]
