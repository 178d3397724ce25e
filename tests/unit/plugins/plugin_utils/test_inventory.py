# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible_collections.mycat.ha.plugins.plugin_utils.inventory import Inventory

VARIABLES = {
    "lb1": {"ansible_host": "192.0.2.11"},
    "lb2": {"mycat_ha_address": "lb2.example", "ansible_host": "192.0.2.12"},
    "lb3": {"ansible_facts": {"all_ipv4_addresses": ["192.0.2.13"], "all_ipv6_addresses": []}},
    "lb4": {},
}


@pytest.fixture
def inventory() -> Inventory:
    found = Inventory(
        None, DataLoader(), {"inventory_hostname": "lb1", "groups": {"all": list(VARIABLES)}}
    )
    found._variables = dict(VARIABLES)
    return found


@pytest.mark.parametrize(
    ("address", "host"),
    [
        ("192.0.2.11", "lb1"),
        ("192.0.2.12", "lb2"),
        ("lb2.example", "lb2"),
        ("192.0.2.13", "lb3"),
        ("192.0.2.14", ""),
    ],
)
def test_the_host_that_has_an_address(inventory: Inventory, address: str, host: str) -> None:
    assert inventory.name_of(address) == host
