# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests and plans for the tests."""

from __future__ import annotations

from typing import Any

from ansible_collections.mycat.ha.plugins.module_utils.readers import SettingError
from ansible_collections.mycat.ha.plugins.module_utils.vrrp.model import Instance
from ansible_collections.mycat.ha.plugins.module_utils.vrrp.plan import (
    Plan,
    draft,
    make_plan,
)
from ansible_collections.mycat.ha.plugins.module_utils.vrrp.request import Request, read_request

HAPROXY = {"name": "haproxy", "event": True}
BACKENDS = {"name": "backends"}
RANKED = {"name": "backends", "effect": "rank", "budget": 5}
MAINTENANCE = {"name": "maintenance", "event": True, "poll": False}
MIXED = [HAPROXY, MAINTENANCE, RANKED]


def nodes(count: int = 2) -> list[dict[str, str]]:
    return [{"name": f"lb{i}", "address": f"192.0.2.{10 + i}"} for i in range(1, count + 1)]


def vips(count: int = 1) -> list[dict[str, str]]:
    return [{"address": f"192.0.2.{150 + i}/24"} for i in range(count)]


def request(count: int = 2, vip_count: int = 1, **options: Any) -> Request:
    return read_request({"nodes": nodes(count), "vips": vips(vip_count), **options})


def planned(*counts: int, **options: Any) -> Plan:
    return make_plan(request(*counts, **options))


def drafted(*counts: int, **options: Any) -> Plan:
    """Without the proof, which takes its time with many nodes."""
    return draft(request(*counts, **options))


def refusal(*counts: int, **options: Any) -> SettingError | None:
    try:
        drafted(*counts, **options)
    except SettingError as error:
        return error
    return None


def instances(plan: Plan, vip: int = 0) -> list[Instance]:
    return [node.instances[vip] for node in plan.cluster.nodes]


def weights(plan: Plan) -> dict[tuple[str, str], int]:
    return {(track.kind.value, track.check): track.weight for track in instances(plan)[0].tracks}


def router_ids(plan: Plan) -> list[int]:
    assert len({tuple(i.virtual_router_id for i in n.instances) for n in plan.cluster.nodes}) == 1
    return [instance.virtual_router_id for instance in plan.cluster.nodes[0].instances]


def two_families(count: int = 2, falling: bool = False) -> list[dict[str, Any]]:
    return [
        {
            "name": f"lb{i}",
            "links": [
                {"address": f"192.0.2.{10 + i}", "interface": "eth0"},
                {"address": f"2001:db8::{20 - i if falling else i}", "interface": "eth0"},
            ],
        }
        for i in range(1, count + 1)
    ]


VIP4 = {"address": "192.0.2.150/24", "virtual_router_id": 51}
VIP6 = {"address": "2001:db8::150/64", "virtual_router_id": 51}
GROUP = [{**VIP4, "sync_group": "front"}, {**VIP6, "sync_group": "front"}]
