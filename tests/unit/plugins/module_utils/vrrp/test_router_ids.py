# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.mycat.ha.plugins.module_utils.readers import SettingError
from ansible_collections.mycat.ha.plugins.module_utils.vrrp.router_ids import (
    assigned_router_ids,
    derived_router_id,
)
from plans import drafted, planned, router_ids, vips

A, B = "192.0.2.100", "192.0.2.101"


def next_of(number: int) -> int:
    return number % 255 + 1


def collision() -> tuple[str, str]:
    """Two addresses whose derived ids are the same."""
    first: dict[int, str] = {}
    for last in range(256):
        address = f"198.51.100.{last}"
        other = first.setdefault(derived_router_id(address), address)
        if other != address:
            return other, address
    raise AssertionError("256 addresses share 255 ids")


def test_an_id_in_use_stays() -> None:
    assert assigned_router_ids([A, B], {}, in_use=[{A: 77}, {}])[A] == 77
    taken_too = assigned_router_ids([A], {}, in_use=[{A: 77}], taken=[77])
    assert taken_too == {A: 77}


def test_a_given_id_is_stronger_than_one_in_use() -> None:
    assert assigned_router_ids([A], {A: 5}, in_use=[{A: 77}]) == {A: 5}


def test_of_hosts_that_differ_most_are_right() -> None:
    assert assigned_router_ids([A], {}, in_use=[{A: 7}, {A: 9}, {A: 9}]) == {A: 9}


@pytest.mark.parametrize("whose", ["in_use", "taken", "given"])
def test_a_newcomer_avoids_every_other_id(whose: str) -> None:
    wanted = derived_router_id(A)
    found = assigned_router_ids(
        [A],
        {B: wanted} if whose == "given" else {},
        in_use=[{B: wanted}] if whose == "in_use" else [],
        taken=[wanted] if whose == "taken" else [],
    )
    assert found[A] == next_of(wanted)


def test_the_order_of_the_addresses_does_not_matter() -> None:
    one, other = collision()
    found = assigned_router_ids([one, other], {})
    assert found == assigned_router_ids([other, one], {})
    assert len(set(found.values())) == 2


def test_a_newcomer_does_not_move_an_id_in_use() -> None:
    one, other = collision()
    (before,) = assigned_router_ids([other], {}).values()
    assert assigned_router_ids([one, other], {}, in_use=[{other: before}])[other] == before


def test_no_id_is_left() -> None:
    with pytest.raises(SettingError, match="no router id is left"):
        assigned_router_ids([A], {}, taken=range(1, 256))


def test_a_router_id_depends_on_its_address_alone() -> None:
    assert router_ids(planned(2, 3)) == [derived_router_id(vip["address"]) for vip in vips(3)]
    assert derived_router_id("192.0.2.100/24") == derived_router_id("192.0.2.100/16")
    assert derived_router_id("2001:db8::1/64") == derived_router_id("2001:db8:0::1/64")


def test_taken_router_ids_are_avoided() -> None:
    wanted = derived_router_id("192.0.2.150/24")
    taken = [wanted, wanted % 255 + 1]
    assert router_ids(planned(taken_virtual_router_ids=taken)) == [(wanted + 1) % 255 + 1]


def test_a_given_router_id_is_respected_and_avoided_by_the_others() -> None:
    wanted = derived_router_id("192.0.2.150/24")
    plan = planned(
        vips=[
            {"address": "192.0.2.150/24"},
            {"address": "192.0.2.9/24", "virtual_router_id": wanted},
        ]
    )
    assert router_ids(plan) == [wanted % 255 + 1, wanted]


def test_all_router_ids_can_be_used() -> None:
    many = [{"address": f"198.51.{i}.1/16"} for i in range(255)]
    assert sorted(router_ids(drafted(vips=many))) == list(range(1, 256))
