# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Virtual router ids: derived from addresses, without collisions. An id that is in use stays."""

from __future__ import annotations

import hashlib
import ipaddress
import itertools
from collections import Counter
from typing import Collection, Mapping, Sequence

from ..readers import SettingError
from .request import ROUTER_IDS, Request


def derived_router_id(address: str) -> int:
    """A router id from 1 to 255 that depends on nothing but the address."""
    digest = hashlib.sha256(ipaddress.ip_interface(address).ip.packed).digest()
    return int.from_bytes(digest, "big") % ROUTER_IDS + 1


def assigned_router_ids(
    addresses: Sequence[str],
    given: Mapping[str, int],
    *,
    in_use: Sequence[Mapping[str, int]] = (),
    taken: Collection[int] = (),
) -> dict[str, int]:
    """A router id for each virtual address, whatever their order is.

    Those in ``given`` are as they are. One that is ``in_use`` (a mapping for each host) for an
    address stays; where hosts differ, what most have. Any other is derived, and is none that is in
    use or ``taken``. Raises SettingError where none is left.
    """
    result = dict(given)
    for address in addresses:
        used = Counter(host[address] for host in in_use if address in host)
        if address not in result and used:
            result[address] = used.most_common(1)[0][0]
    unusable = {*taken, *result.values(), *(number for host in in_use for number in host.values())}
    missing = set(addresses) - result.keys()
    for address in sorted(missing, key=lambda one: (derived_router_id(one), one)):
        result[address] = _next_free(derived_router_id(address), unusable)
        unusable.add(result[address])
    return result


def _next_free(number: int, unusable: Collection[int]) -> int:
    for candidate in itertools.chain(range(number, ROUTER_IDS + 1), range(1, number)):
        if candidate not in unusable:
            return candidate
    raise SettingError(
        "vips",
        f"no router id is left for all of them, {ROUTER_IDS} are taken; give fewer addresses, or "
        "fewer {taken_virtual_router_ids}",
    )


def router_ids(request: Request) -> list[int]:
    """A router id for each address: the given one, or one that is derived and free."""
    used = dict.fromkeys(request.taken_virtual_router_ids, "among {taken_virtual_router_ids}")
    given: dict[int, list[int]] = {}
    for index, vip in enumerate(request.vips):
        if vip.virtual_router_id is None:
            continue
        sharing = given.setdefault(vip.virtual_router_id, [])
        shared = [other for other in sharing if not _may_share(request, other, index)]
        whose = f"that of {{vips[{shared[0]}]}}" if shared else ""
        if not sharing:
            whose = used.get(vip.virtual_router_id, "")
        if whose:
            raise SettingError(
                f"vips[{index}].virtual_router_id",
                f"{vip.virtual_router_id} is {whose} too; write another, or leave it out to have "
                "one derived",
            )
        sharing.append(index)
        used.setdefault(vip.virtual_router_id, f"that of {{vips[{index}]}}")
    found = assigned_router_ids(
        [vip.address for vip in request.vips],
        {vip.address: vip.virtual_router_id for vip in request.vips if vip.virtual_router_id},
        taken=request.taken_virtual_router_ids,
    )
    return [found[vip.address] for vip in request.vips]


def _may_share(request: Request, one: int, other: int) -> bool:
    """Whether two addresses, given by index, may have one router id: they differ in family, or are
    on two interfaces that are called the same on every node, as the validator tells them apart."""
    if request.vips[one].family != request.vips[other].family:
        return True
    pairs = {(n.link(one).interface, n.link(other).interface) for n in request.nodes}
    return len(pairs) == 1 and all(here and there and here != there for here, there in pairs)
