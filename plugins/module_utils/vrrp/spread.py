# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which node is preferred for which address: addresses are spread evenly over the nodes."""

from __future__ import annotations

from typing import Sequence

from .request import Request


def spread(nodes: int, vips: int) -> list[list[int]]:
    """For each address the nodes in order of preference, by index.

    Every node is the first choice for as many addresses as any other, give or take one, and
    what it leaves behind falls evenly to the rest. The orders grow one node at a time: a new
    node takes its share of first, then of second places from those that have most, and goes
    last everywhere else. So a node added at the end never reorders the nodes before it.
    """
    orders = [[0] for _vip in range(vips)]
    for node in range(1, nodes):
        for place in range(min(node, 2)):
            groups: dict[tuple[int, ...], list[int]] = {}
            for vip, order in enumerate(orders):
                if len(order) == node:
                    groups.setdefault(tuple(order[:place]), []).append(vip)
            for group in groups.values():
                _take_share(orders, group, node, place)
        for order in orders:
            if len(order) == node:
                order.append(node)
    return orders


def _take_share(orders: list[list[int]], group: Sequence[int], node: int, place: int) -> None:
    holders: dict[int, list[int]] = {}
    for vip in group:
        holders.setdefault(orders[vip][place], []).append(vip)
    for _turn in range(len(group) // (node + 1 - place)):
        most = max(len(held) for held in holders.values())
        candidates = (vip for held in holders.values() if len(held) == most for vip in held)
        # The first address to the first node, the second to the second, as a reader expects.
        vip = max(candidates, key=lambda vip: (vip % (node + 1) == node, vip))
        holders[orders[vip][place]].remove(vip)
        orders[vip].insert(place, node)


def orders_of(request: Request) -> list[list[int]]:
    """``spread`` for the addresses of a request: those of a sync group have one order."""
    slots: dict[str, int] = {}
    places = [
        slots.setdefault(f"group {vip.sync_group}" if vip.sync_group else vip.name, len(slots))
        for vip in request.vips
    ]
    orders = spread(len(request.nodes), len(slots))
    return [orders[place] for place in places]
