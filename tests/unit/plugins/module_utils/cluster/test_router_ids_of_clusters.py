# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import ipaddress

from ansible_collections.mycat.ha.plugins.module_utils.cluster.router_ids import (
    RouterIds,
    known_ids,
    networks_of,
)
from ansible_collections.mycat.ha.plugins.module_utils.vrrp.router_ids import derived_router_id
from inventories import VIP, installed, lb, mycat, planned, unreached

NEAR, FAR = ipaddress.ip_network("192.0.2.0/24"), ipaddress.ip_network("198.51.100.0/24")


def test_ids_count_on_the_networks_that_have_them() -> None:
    ids = RouterIds()
    ids.add("east", [NEAR], [7, 8])
    ids.add("west", [NEAR, FAR], [8, 9])
    assert ids.of_others("east", [NEAR]) == {8, 9}
    assert ids.of_others("west", [FAR]) == set()
    assert ids.of_others("north", [NEAR, FAR]) == {7, 8, 9}
    assert list(ids.shared()) == [(8, NEAR, ["east", "west"])]


def test_a_vip_is_on_the_network_of_its_prefix_and_of_the_hosts() -> None:
    assert networks_of([lb(11)]) == {NEAR}
    whole = lb(11, mycat_ha_vip=f"{VIP}/32")
    assert networks_of([whole]) == {ipaddress.ip_network(f"{VIP}/32"), NEAR}
    assert networks_of([unreached(whole)]) == {ipaddress.ip_network(f"{VIP}/32")}
    assert networks_of([lb(11, mycat_ha_vip="rubbish")]) == set()


def test_known_ids_are_those_that_are_set_and_those_that_run() -> None:
    given = lb(11, mycat_ha_vips=[{"address": f"{VIP}/24", "virtual_router_id": 9}])
    assert known_ids([given]) == {9}
    assert known_ids([lb(11)]) == set()
    assert known_ids([unreached(lb(11))]) == {derived_router_id(VIP)}
    hosts = [lb(11), lb(12), mycat(21)]
    running = installed(hosts, planned(hosts))
    assert known_ids(running[:2]) == {derived_router_id(VIP)}
