# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.mycat.ha.plugins.module_utils.host import addresses


@pytest.mark.parametrize("flag", ["tentative", "dadfailed"])
def test_an_address_that_does_not_answer_is_not_held(flag: str) -> None:
    def listing(**more: Any) -> str:
        return json.dumps([{"addr_info": [{"local": "fd00::1", **more}, {}]}, {}])

    assert addresses.kernel_addresses(listing()) == {"fd00::1"}
    assert addresses.kernel_addresses(listing(**{flag: True})) == set()


@pytest.mark.parametrize("text", ["", "3", "[3]", '[{"addr_info": [{"local": "x"}]}]'])
def test_strange_addresses(text: str) -> None:
    with pytest.raises(addresses.AddressesError):
        addresses.kernel_addresses(text)


def test_the_order_is_that_of_the_numbers() -> None:
    found = frozenset(["fd00::2", "192.0.2.10", "192.0.2.9", "::1"])
    assert addresses.in_order(found) == ["192.0.2.9", "192.0.2.10", "::1", "fd00::2"]
