# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the nodes of a virtual router must have in common."""

from __future__ import annotations

import itertools
from collections.abc import Hashable
from typing import Iterable, Iterator, Mapping, Sequence

from .. import priority
from ..estate import (
    Estate,
    Judge,
    NodeInstance,
    Router,
    differing,
    first_differing,
    first_value,
    names_of,
    others,
    placed,
    values_said,
)
from ..findings import Finding, Rule, Severity
from ..hearing import addresses_of, authentication_in_force, plain_address
from ..pairs import DUAL_MASTER
from ..signing import disbelief, signing_of
from ..versions import AUTH_HMAC_SINCE, VIP_LIST_ONLY_LOGGED_SINCE
from ..words import listed, sentence

AUTH_PASS_LENGTH = Rule(
    "auth-pass-length",
    Severity.WARNING,
    harm="Only the first 8 characters of auth_pass count.",
    example="auth_pass averylongpassword",
    fix="Use at most 8 characters; better, VRRP version 3 without authentication.",
)


def auth_pass_length(estate: Estate) -> Iterator[Finding]:
    """An auth_pass of which only the beginning counts."""
    for member in estate.members:
        used = authentication_in_force(member.instance)
        authentication = member.instance.authentication
        if used and authentication and len(authentication.auth_pass) > 8:
            yield member.finding(
                AUTH_PASS_LENGTH,
                f"auth_pass has {len(authentication.auth_pass)} characters on {member}; only the "
                "first 8 count",
                f"Cut auth_pass to its first 8 characters on {member}.",
                "auth_pass",
            )


AUTH_PASS_MISSING = Rule(
    "auth-pass-missing",
    Severity.ERROR,
    harm="Authentication without a password is dropped, or the daemon refuses to start.",
    example="authentication {\n    auth_type PASS\n}",
    fix="Write an auth_pass, or remove the authentication block on all nodes.",
    unproven="The daemon may not start, and then there is nothing to search.",
)


def auth_pass_missing(estate: Estate) -> Iterator[Finding]:
    """An auth_type without an auth_pass."""
    for member in estate.members:
        authentication = member.instance.authentication
        if authentication and not authentication.auth_pass:
            yield member.finding(
                AUTH_PASS_MISSING,
                f"authentication without an auth_pass on {member}",
                f"Remove the authentication block on {member} (or write the same auth_pass on all "
                "nodes).",
                "auth_pass",
                "auth_type",
            )


AUTH_WITH_V3 = Rule(
    "auth-with-v3",
    Severity.WARNING,
    harm="VRRP version 3 and strict mode have no authentication: the block is ignored and "
    "protects nothing.",
    example="version 3\nauthentication {\n    auth_type PASS\n    auth_pass 1111\n}",
    fix="Remove the authentication block; restrict VRRP to the peers with a firewall.",
)


def auth_with_v3(estate: Estate) -> Iterator[Finding]:
    """Authentication where there is none."""
    for member in estate.members:
        instance = member.instance
        if instance.authentication and (instance.version == 3 or instance.strict_mode):
            mode = "VRRP version 3" if instance.version == 3 else "strict mode"
            yield member.finding(
                AUTH_WITH_V3,
                f"{mode} has no authentication: it is ignored on {member}",
                f"Remove the authentication block on {member} (and let a firewall restrict VRRP to "
                "the peers).",
                "authentication",
                "auth_type",
            )


AUTH_MISMATCH = Rule(
    "auth-mismatch",
    Severity.ERROR,
    harm="Nodes with different authentication reject each other's adverts: both become master.",
    example="lb1: auth_pass 1111\nlb2: auth_pass 2222",
    fix="Use the same auth_type and auth_pass on all nodes, or none.",
    breaks=DUAL_MASTER,
)


def auth_mismatch(estate: Estate) -> Iterator[Finding]:
    """Nodes with different authentication; passwords are never said."""
    for router in estate.routers:
        found = differing(router, lambda member: authentication_in_force(member.instance))
        if not found or differing(router, lambda member: member.instance.version):
            continue
        types = differing(
            router, lambda m: (authentication_in_force(m.instance) or ("none", ""))[0]
        )
        said = f"auth_type is {values_said(types)}" if types else "the auth_pass differs"
        having = [member for value, members in found.items() if value for member in members]
        first = having[0]
        yield first_differing(found).finding(
            AUTH_MISMATCH,
            f"{said} ({names_of(router)}): they ignore each other, and each becomes master",
            f"Write the authentication block of {first} on {names_of(others(router, first))} too, "
            f"or remove the authentication block on {names_of(having)}.",
            "auth_pass",
            "authentication",
        )


HMAC_MISMATCH = Rule(
    "hmac-mismatch",
    Severity.ERROR,
    harm="A node refuses adverts whose signature it does not believe, and signed ones where it has "
    "no auth_hmac: both become master. Said of keepalived 2.4 by its source text; not run.",
    example="lb1: auth_hmac {\n    key 1 one-key-of-thirty-two-characters\n    active_key 1\n}\n"
    "lb2: no auth_hmac",
    fix="Use the same auth_hmac block on all nodes, or none.",
    breaks=DUAL_MASTER,
)


def hmac_mismatch(estate: Estate) -> Iterator[Finding]:
    """A node that refuses the signed or unsigned adverts of another; keys are never said."""
    for router in estate.routers:
        signing = [(member, signing_of(member.instance)) for member in router]
        for (receiver, own), (sender, other) in itertools.permutations(signing, 2):
            problem = disbelief(own, other)
            if problem:
                yield receiver.finding(
                    HMAC_MISMATCH,
                    f"{receiver} refuses the adverts of {sender}, for they {problem}: each becomes "
                    "master",
                    _one_hmac(router, [member for member, used in signing if used]),
                    "auth_hmac",
                )
                break


def _one_hmac(router: Router, signing: Sequence[NodeInstance]) -> str:
    """One auth_hmac for all, where all know it, or none."""
    alternatives = [f"remove auth_hmac on {names_of(signing)}"]
    if all(member.node.keepalived_version >= AUTH_HMAC_SINCE for member in router):
        first = signing[0]
        rest = names_of(others(router, first))
        alternatives.insert(0, f"write the auth_hmac block of {first} on {rest} too")
    return sentence(", or ".join(alternatives))


HMAC_DROPPED = Rule(
    "hmac-dropped",
    Severity.ERROR,
    harm="Where active_key is the number of no key that the daemon takes (32 to 64 bytes), it "
    "drops the whole auth_hmac: anybody's adverts count. Said of keepalived 2.4 by its source "
    "text; not run.",
    example="auth_hmac {\n    key 1 short\n    active_key 1\n}",
    fix="Write a key of 32 to 64 characters and its number as active_key, the same on all nodes.",
    unproven="The address moves as it does without signatures.",
)


def hmac_dropped(estate: Estate) -> Iterator[Finding]:
    """An auth_hmac that comes to nothing."""
    for member in estate.members:
        hmac = member.instance.auth_hmac
        if hmac and not signing_of(member.instance):
            said = f"active_key {hmac.active_key}" if hmac.active_key else "no active_key"
            yield member.finding(
                HMAC_DROPPED,
                f"{said} in auth_hmac on {member}, and no key of 32 to 64 bytes has this number: "
                "the daemon signs nothing and asks for no signature",
                f"Remove auth_hmac on {member} (or write the same key of 32 to 64 characters and "
                "its number as active_key on all nodes).",
                "auth_hmac",
            )


VERSION_MISMATCH = Rule(
    "version-mismatch",
    Severity.ERROR,
    harm="Nodes that speak different VRRP versions reject each other's adverts: both become "
    "master.",
    example="lb1: vrrp_version 2\nlb2: vrrp_version 3",
    fix="Use the same version on all nodes, 3 if all can.",
    breaks=DUAL_MASTER,
)


def version_mismatch(estate: Estate) -> Iterator[Finding]:
    """Nodes that speak different VRRP versions."""
    for router in estate.routers:
        found = differing(router, lambda member: member.instance.version)
        if found:
            # Version 3 wants an address in each instance.
            able = all(member.instance.virtual_ipaddress for member in router)
            yield first_differing(found).finding(
                VERSION_MISMATCH,
                f"VRRP version {values_said(found)}: they ignore each other, and each becomes "
                "master",
                f"Use version {3 if able else 2} on {names_of(router)}.",
                "version",
            )


ADVERT_INT_MISMATCH = Rule(
    "advert-int-mismatch",
    Severity.ERROR,
    harm="In VRRP version 2 nodes with different advert intervals reject each other's adverts: "
    "both become master. In version 3 the backup follows the master's interval, so this is a "
    "warning: the time to fail over depends on who is master.",
    example="vrrp_version 2\nlb1: advert_int 1\nlb2: advert_int 2",
    fix="Use the same advert_int on all nodes.",
    breaks=DUAL_MASTER,
)


def advert_int_mismatch(estate: Estate) -> Iterator[Finding]:
    """Nodes with different advert intervals."""
    for router in estate.routers:
        found = differing(router, lambda member: f"{priority.advert_interval(member.instance):g}")
        if not found or differing(router, lambda member: member.instance.version):
            continue
        said = f"advert_int is {values_said(found)}"
        if router[0].instance.version == 2:
            yield first_differing(found).finding(
                ADVERT_INT_MISMATCH,
                f"{said}: they ignore each other, and each becomes master",
                f"Use advert_int {first_value(found)} on {names_of(router)}.",
                "advert_int",
            )
        else:
            yield first_differing(found).finding(
                ADVERT_INT_MISMATCH,
                f"{said}: the time to fail over depends on who is master",
                f"Use advert_int {first_value(found)} on {names_of(router)}.",
                "advert_int",
                severity=Severity.WARNING,
            )


VRID_MISMATCH = Rule(
    "vrid-mismatch",
    Severity.ERROR,
    harm="Nodes that use different virtual_router_ids for one address do not know of each "
    "other: both hold it.",
    example="lb1: virtual_router_id 51\nlb2: virtual_router_id 52",
    fix="Use the same virtual_router_id for the address on all nodes.",
    breaks=DUAL_MASTER,
)


def vrid_mismatch(estate: Estate) -> Iterator[Finding]:
    """One address under different router ids on different nodes."""
    done = set()
    for address, carriers in estate.carriers.items():
        members = [member for member in carriers if member.runs]
        found = differing(members, lambda member: member.instance.virtual_router_id)
        # Twice on one node is what vip-duplicate says.
        if not found or len({member.node.name for member in members}) < len(members):
            continue
        key = tuple((member.node.name, member.instance.name) for member in members)
        if key in done:
            continue
        done.add(key)
        yield first_differing(found).finding(
            VRID_MISMATCH,
            f"{address} has virtual_router_id {values_said(found)}: they do not know of each "
            "other, and each becomes master",
            f"Use virtual_router_id {_fitting(members, found)} for {placed(members)}.",
            "virtual_router_id",
        )


def _fitting(members: Sequence[NodeInstance], found: Iterable[Hashable]) -> Hashable:
    """The first of these router ids that no other instance of the nodes has."""
    taken = {
        one.virtual_router_id
        for member in members
        for one in member.node.instances
        if one is not member.instance
    }
    free = (vrid for vrid in range(1, 256) if vrid not in taken)
    return next((vrid for vrid in found if vrid not in taken), next(free, 255))


VIP_MISMATCH = Rule(
    "vip-mismatch",
    Severity.ERROR,
    harm="Up to keepalived 2.3.2 an advert with another list of addresses is rejected, and "
    "both nodes become master; later versions accept it, and an address is gone after a "
    "failover.",
    example="lb1: virtual_ipaddress { 192.0.2.100/24 }\nlb2: virtual_ipaddress { 192.0.2.101/24 }",
    fix="Write the same addresses on all nodes.",
    breaks=DUAL_MASTER,
)


def vip_mismatch(estate: Estate) -> Iterator[Finding]:
    """Nodes of one router with different addresses."""
    for router in estate.routers:
        for keyword in ("virtual_ipaddress", "virtual_ipaddress_excluded"):
            found = differing(
                router,
                lambda member, keyword=keyword: tuple(_plain(member, keyword)),  # type: ignore[misc]
            )
            if found:
                yield _vip_mismatch(router, keyword, found)


def _vip_mismatch(
    router: Router, keyword: str, found: Mapping[Hashable, list[NodeInstance]]
) -> Finding:
    written = {
        plain_address(address): address.split()[0]
        for member in router
        for address in getattr(member.instance, keyword)
    }
    lists = [(member, _plain(member, keyword)) for member in router]
    said, fixes = [], []
    for address in sorted(written):
        lacking = [member for member, listed_here in lists if address not in listed_here]
        twice = [member for member, listed_here in lists if listed_here.count(address) > 1]
        if lacking:
            said.append(f"{address} is missing on {names_of(lacking)}")
            fixes.append(f"Add {written[address]} to {keyword} on {names_of(lacking)}.")
        if twice and len(twice) < len(router):
            said.append(f"{address} is written twice on {names_of(twice)}")
            fixes.append(f"Write {address} once in {keyword} on {names_of(twice)}.")
    rejects = keyword == "virtual_ipaddress" and any(
        member.node.keepalived_version < VIP_LIST_ONLY_LOGGED_SINCE for member in router
    )
    harm = (
        "the nodes ignore each other, and each becomes master"
        if rejects
        else "it is gone while that node is master"
    )
    return first_differing(found).finding(
        VIP_MISMATCH, f"{keyword}: {listed(said)}; {harm}", " ".join(fixes), keyword
    )


def _plain(member: NodeInstance, keyword: str) -> list[str]:
    return sorted(map(plain_address, getattr(member.instance, keyword)))


VIP_DUPLICATE = Rule(
    "vip-duplicate",
    Severity.ERROR,
    harm="Two instances carry one address: each can hold it on another node.",
    example="vrrp_instance VI_1 { virtual_ipaddress { 192.0.2.100/24 } }\n"
    "vrrp_instance VI_2 { virtual_ipaddress { 192.0.2.100/24 } }",
    fix="Keep the address in one instance.",
    unproven="The search looks at each instance by itself, and each is sound.",
)


def vip_duplicate(estate: Estate) -> Iterator[Finding]:
    """One address in two instances of a node, or twice in one."""
    for address, members in estate.carriers.items():
        by_node: dict[str, list[NodeInstance]] = {}
        for member in members:
            by_node.setdefault(member.node.name, []).append(member)
        for mine in by_node.values():
            if len(mine) > 1:
                names = listed([member.instance.name for member in mine])
                yield mine[1].finding(
                    VIP_DUPLICATE,
                    f"{address} is in {names} on {mine[1]}: each can hold it on another node",
                    _carried_once(address, mine[1], members),
                    "virtual_ipaddress",
                )
    for member in estate.members:
        for address in _written_twice(member):
            again = (one for one in estate.alike(member) if address in _written_twice(one))
            yield member.finding(
                VIP_DUPLICATE,
                f"{address} is written twice in {member.instance.name} on {member}",
                f"Write {address} once in {placed([member, *again])}.",
                "virtual_ipaddress",
                severity=Severity.WARNING,
            )


def _carried_once(address: str, second: NodeInstance, members: Sequence[NodeInstance]) -> str:
    """The second instance without the address, or not at all, wherever it has it."""
    same = [one for one in members if one.instance.name == second.instance.name]
    if all(set(addresses_of(one.instance)) == {address} for one in same):
        return f"Remove vrrp_instance {placed(same)}."
    return f"Remove {address} from {placed(same)}."


def _written_twice(member: NodeInstance) -> list[str]:
    written = [*_plain(member, "virtual_ipaddress"), *_plain(member, "virtual_ipaddress_excluded")]
    return sorted({address for address in written if written.count(address) > 1})


VIP_IS_OWN_ADDRESS = Rule(
    "vip-is-own-address",
    Severity.ERROR,
    harm="The virtual address is also a node's own: that node keeps it when it should give it "
    "away, and loses its own address with it.",
    example="lb1 has 192.0.2.11\nvirtual_ipaddress { 192.0.2.11/24 }",
    fix="Use an address that no node has.",
    unproven="The address is on the node for another reason than VRRP, which is all that the "
    "search knows of.",
)


def vip_is_own_address(estate: Estate) -> Iterator[Finding]:
    """A virtual address that is also a node's own."""
    for address, members in estate.carriers.items():
        if address in estate.own_addresses:
            owner = estate.own_addresses[address]
            first = next((m for m in members if m.node.name == owner), members[0])
            yield first.finding(
                VIP_IS_OWN_ADDRESS,
                f"{address} is the own address of {owner}",
                f"Write another address, which no node has, instead of {address} on "
                f"{names_of(members)}.",
                "virtual_ipaddress",
            )


NO_INSTANCE = Rule(
    "no-instance",
    Severity.WARNING,
    harm="The node takes no part: its file is empty, is not the one that the daemon reads, or "
    "keeps its instances in an include.",
    example="# /etc/keepalived/keepalived.conf is empty",
    fix="Give the file that the daemon really reads, or leave the node out.",
)


def no_instance(estate: Estate) -> Iterator[Finding]:
    """A node on which there is nothing to judge."""
    for node in estate.cluster.nodes:
        if not node.instances:
            yield NO_INSTANCE.finding(
                f"{node.name} has no vrrp_instance",
                f"Leave {node.name} out (or give the file that its daemon really reads).",
                node=node.name,
            )


SINGLE_NODE = Rule(
    "single-node",
    Severity.WARNING,
    harm="Only one node has this instance: nothing can take its address over. Where the file of "
    "one node only was given this is information: the rest was judged.",
    example="lb1: vrrp_instance VI_1 { ... }\nlb2: nothing",
    fix="Configure the instance on a second node.",
)


def single_node(estate: Estate) -> Iterator[Finding]:
    """An instance that only one node has."""
    for router in estate.routers:
        addresses = [a for member in router for a in addresses_of(member.instance)]
        nodes = {member.node.name for address in addresses for member in estate.carriers[address]}
        if len(nodes | {member.node.name for member in router}) == 1:
            yield _single_node(estate, router[0])


def _single_node(estate: Estate, member: NodeInstance) -> Finding:
    rest = [node.name for node in estate.cluster.nodes if node is not member.node]
    if not rest:
        return member.finding(
            SINGLE_NODE,
            f"only {member} was given: whether another node takes over was not judged",
            "Give the files of the other nodes too.",
            severity=Severity.INFO,
        )
    return member.finding(
        SINGLE_NODE,
        f"only {member} has {member.instance.name}: nothing can take over",
        f"Configure {member.instance.name} of {member} on {rest[0]} too, with a lower priority.",
    )


SYNC_GROUP_MISMATCH = Rule(
    "sync-group-mismatch",
    Severity.WARNING,
    harm="Instances move together on one node and each by itself on another: after a failure "
    "their addresses can be on different nodes, which the group was to prevent.",
    example="lb1: vrrp_sync_group G { group { VI_1 VI_2 } }\nlb2: no vrrp_sync_group",
    fix="Write the same sync groups on every node.",
)


def sync_group_mismatch(estate: Estate) -> Iterator[Finding]:
    """Instances in one sync group on one node, and apart on another that has them too."""
    router_of = {
        (member.node.name, member.instance.name): router
        for router in estate.routers
        for member in router
    }
    said = set()
    for node in estate.cluster.nodes:
        for group in node.sync_groups:
            found: dict[str, list[NodeInstance]] = {}
            for name in group.members:
                for member in router_of.get((node.name, name), ()):
                    found.setdefault(member.node.name, []).append(member)
            for members in found.values():
                names = listed([member.instance.name for member in members])
                place = (members[0].node.name, names)
                if _move_together(members) or place in said:
                    continue
                said.add(place)
                yield members[0].finding(
                    SYNC_GROUP_MISMATCH,
                    f"{names} are in sync group {group.name} on {node.name}, and not in one group "
                    f"on {members[0]}: there one can move without the others",
                    f"Put {names} into one sync group on {members[0]} too, or take {names} out of "
                    "their sync groups on all nodes.",
                )


def _move_together(members: Sequence[NodeInstance]) -> bool:
    """Whether a sync group holds these instances of one node together; one needs no group."""
    groups = {priority.sync_group_of(member.node, member.instance) for member in members}
    return len(members) < 2 or (len(groups) == 1 and None not in groups)


SYNC_GROUP_MEMBER_UNKNOWN = Rule(
    "sync-group-member-unknown",
    Severity.WARNING,
    harm="The daemon leaves out of a sync group what it does not find: addresses that were meant "
    "to move together can be on different nodes.",
    example="vrrp_sync_group G { group { VI_1 VI_9 } }\n# no vrrp_instance VI_9",
    fix="Correct the name, or remove it from the group.",
)


def sync_group_member_unknown(estate: Estate) -> Iterator[Finding]:
    """A sync group that names an instance that is not there."""
    for node in estate.cluster.nodes:
        names = {instance.name for instance in node.instances}
        for group in node.sync_groups:
            unknown = [name for name in group.members if name not in names]
            if unknown:
                verb = "is no vrrp_instance" if len(unknown) == 1 else "are no vrrp_instances"
                yield SYNC_GROUP_MEMBER_UNKNOWN.finding(
                    f"{listed(unknown)} in sync group {group.name} {verb} of {node.name}; the "
                    "daemon leaves it out",
                    f"Remove {listed(unknown)} from {group.name} on {node.name} (or correct the "
                    "name).",
                    node=node.name,
                    instance=group.name,
                    line=estate.line(node, (group.name, "group"), ("vrrp_sync_group", group.name)),
                )


RULES: dict[Rule, Judge] = {
    AUTH_PASS_LENGTH: auth_pass_length,
    AUTH_PASS_MISSING: auth_pass_missing,
    AUTH_WITH_V3: auth_with_v3,
    AUTH_MISMATCH: auth_mismatch,
    HMAC_MISMATCH: hmac_mismatch,
    HMAC_DROPPED: hmac_dropped,
    VERSION_MISMATCH: version_mismatch,
    ADVERT_INT_MISMATCH: advert_int_mismatch,
    VRID_MISMATCH: vrid_mismatch,
    VIP_MISMATCH: vip_mismatch,
    VIP_DUPLICATE: vip_duplicate,
    VIP_IS_OWN_ADDRESS: vip_is_own_address,
    NO_INSTANCE: no_instance,
    SINGLE_NODE: single_node,
    SYNC_GROUP_MISMATCH: sync_group_mismatch,
    SYNC_GROUP_MEMBER_UNKNOWN: sync_group_member_unknown,
}
