# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A model as the keepalived.conf of its nodes, whatever is wrong with it, a statement a line."""

from __future__ import annotations

from typing import Iterable, Iterator

from ansible_collections.mycat.ha.plugins.module_utils.vrrp.estate import entry_of
from ansible_collections.mycat.ha.plugins.module_utils.vrrp.model import (
    Check,
    CheckKind,
    Instance,
    Node,
    SyncGroup,
    Track,
)

DEFINITIONS = {
    CheckKind.SCRIPT: ("vrrp_script", "script"),
    CheckKind.FILE: ("vrrp_track_file", "file"),
    CheckKind.PROCESS: ("vrrp_track_process", "process"),
}


def block(head: str, lines: Iterable[str]) -> Iterator[str]:
    yield f"{head} {{"
    yield from lines
    yield "}"


def _check(check: Check) -> Iterator[str]:
    _keyword, what = DEFINITIONS[check.kind]
    if check.command:
        yield f'{what} "{check.command}"' if what == "script" else f"{what} {check.command}"
    if check.kind is CheckKind.SCRIPT:
        yield f"interval {check.interval:g}"
        yield f"rise {check.rise}"
        yield f"fall {check.fall}"
        yield from [f"timeout {check.timeout:g}"] if check.timeout else []
        yield from ["init_fail"] if check.init_fail else []
        yield from [f"user {check.user}"] if check.user else []


def _tracks(tracks: Iterable[Track]) -> Iterator[str]:
    for kind in CheckKind:
        entries = [entry_of(track) for track in tracks if track.kind is kind]
        if entries:
            yield from block(kind.value, entries)


def _instance(instance: Instance) -> Iterator[str]:
    yield from [f"interface {instance.interface}"] if instance.interface else []
    yield f"virtual_router_id {instance.virtual_router_id}"
    yield f"state {instance.state.value}"
    yield f"priority {instance.priority}"
    yield f"version {instance.version}"
    yield f"advert_int {instance.advert_int:g}"
    yield f"preempt_delay {instance.preempt_delay:g}"
    for keyword in ("nopreempt", "accept", "strict_mode", "check_unicast_src"):
        yield from [keyword] if getattr(instance, keyword) else []
    yield from [f"unicast_src_ip {instance.unicast_src_ip}"] if instance.unicast_src_ip else []
    yield from [] if instance.unicast_ttl is None else [f"unicast_ttl {instance.unicast_ttl}"]
    yield from [f"mcast_dst_ip {instance.multicast_group}"] if instance.multicast_group else []
    if instance.unicast_peer is not None:
        yield from block("unicast_peer", instance.unicast_peer)
    if instance.authentication:
        password = instance.authentication.auth_pass
        lines = [f"auth_type {instance.authentication.auth_type}"]
        yield from block("authentication", lines + [f"auth_pass {password}"] * bool(password))
    if instance.auth_hmac:
        lines = [f"key {number} {key}" for number, key in instance.auth_hmac.keys]
        lines += [f"active_key {instance.auth_hmac.active_key}", f"mode {instance.auth_hmac.mode}"]
        yield from block("auth_hmac", lines)
    for keyword in ("virtual_ipaddress", "virtual_ipaddress_excluded"):
        if getattr(instance, keyword):
            yield from block(keyword, getattr(instance, keyword))
    yield from _tracks(instance.tracks)


def _group(group: SyncGroup) -> Iterator[str]:
    yield from block("group", group.members)
    yield from ["sync_group_tracking_weight"] if group.tracking_weight else []
    yield from _tracks(group.tracks)


def _node(node: Node) -> Iterator[str]:
    security = ["enable_script_security"] if node.script_security else []
    yield from block(
        "global_defs", security + [f"script_user {node.script_user}"] * bool(node.script_user)
    )
    for check in node.checks:
        yield from block(f"{DEFINITIONS[check.kind][0]} {check.name}", _check(check))
    for instance in node.instances:
        yield from block(f"vrrp_instance {instance.name}", _instance(instance))
    for group in node.sync_groups:
        yield from block(f"vrrp_sync_group {group.name}", _group(group))


def text_of(node: Node) -> str:
    """The keepalived.conf of a node."""
    return "\n".join((*_node(node), ""))
