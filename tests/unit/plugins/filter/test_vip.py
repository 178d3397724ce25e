# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.mycat.ha.plugins.filter.vip import FilterModule

vip_interface = FilterModule().filters()["vip_interface"]
FACTS = {
    "interfaces": ["eth0"],
    "eth0": {"device": "eth0", "ipv4": {"address": "192.0.2.11", "prefix": "24"}},
}


def test_the_interface_of_an_address() -> None:
    expected = {"interface": "eth0", "address": "192.0.2.11", "prefix": 24}
    assert vip_interface(FACTS, "192.0.2.100/24") == expected
    assert vip_interface(FACTS, ["203.0.113.100/24"], interface="eth0") == expected


@pytest.mark.parametrize(
    ("facts", "says"),
    [
        pytest.param(FACTS, r"mycat_ha_vip: 203\.0\.113\.100/24 is in no subnet", id="outside"),
        pytest.param("eth0", "give it a host's ansible_facts", id="no-facts"),
    ],
)
def test_a_failure_is_a_filter_error(facts: Any, says: str) -> None:
    with pytest.raises(AnsibleFilterError, match=says):
        vip_interface(facts, "203.0.113.100/24")
