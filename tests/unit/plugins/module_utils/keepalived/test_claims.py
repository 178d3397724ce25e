# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

import pytest
from ansible_collections.mycat.ha.plugins.module_utils.keepalived.claims import (
    Claim,
    claims,
    strangers,
)
from ansible_collections.mycat.ha.plugins.module_utils.network.packets import Advert, Answer

TEXT = """
vrrp_instance VI_1 {
    interface eth0
    virtual_router_id 51
    virtual_ipaddress {
        192.0.2.100/24
        198.51.100.7/24 dev eth1
    }
    virtual_ipaddress_excluded {
        192.0.2.110
    }
}
vrrp_instance VI_6 {
    interface eth0
    virtual_router_id 51
    virtual_ipaddress {
        2001:DB8::0:100/64
    }
}
"""
FOUR = {
    "state": "MASTER",
    "virtual_router_id": 51,
    "virtual_ipaddress": ["192.0.2.100/24", "198.51.100.7/24"],
    "virtual_ipaddress_excluded": ["192.0.2.110"],
}
SIX = {"state": "FAULT", "virtual_router_id": 51, "virtual_ipaddress": ["2001:db8::100/64"]}
ALL = (
    Claim("eth0", 4, 51, ("192.0.2.100", "192.0.2.110")),
    Claim("eth1", 4, None, ("198.51.100.7",)),
    Claim("eth0", 6, 51, ("2001:db8::100",)),
)


RUNNING = {
    "nothing runs": ([], ALL),
    "it is stopped": ([{**FOUR, "state": "stopped"}, {**SIX, "state": "stopped"}], ALL),
    "it all runs": ([FOUR, SIX], ()),
    "an address is new": (
        [{**FOUR, "virtual_ipaddress_excluded": []}, SIX],
        (Claim("eth0", 4, None, ("192.0.2.110",)),),
    ),
    "an id is new": (
        [{**FOUR, "virtual_router_id": 52}, SIX],
        (Claim("eth0", 4, 51, ()),),
    ),
    "the id of another family is no other": ([FOUR], ALL[2:]),
}


@pytest.mark.parametrize(("running", "expected"), RUNNING.values(), ids=RUNNING)
def test_claims(running: list[dict[str, Any]], expected: tuple[Claim, ...]) -> None:
    assert claims(TEXT, running) == expected


MEMBER = "02:00:00:00:00:01"
STRANGER = bytes.fromhex("020000000063")
CLAIM = Claim("eth0", 4, 51, ("192.0.2.100",))


def advert(**settings: Any) -> Advert:
    fields = {"source": "192.0.2.99", "virtual_router_id": 51, "addresses": (), **settings}
    source = ip_address(fields["source"])
    return Advert(source, 3, fields["virtual_router_id"], 100, fields["addresses"])


def test_a_stranger_answers() -> None:
    answer = Answer(ip_address("192.0.2.100"), STRANGER)
    (found,) = strangers([CLAIM], [("eth0", answer)] * 3, [], [MEMBER])
    assert (found.kind, found.address, found.mac) == ("address", "192.0.2.100", "02:00:00:00:00:63")
    assert found.message == (
        "address: 192.0.2.100 is in use on eth0 already, by 02:00:00:00:00:63, which is none of "
        "the load balancers. Write one that no host has, or take it from that host."
    )


def test_a_stranger_advertises() -> None:
    heard = advert(addresses=(ip_address("192.0.2.50"),))
    other = advert(virtual_router_id=52)
    said = [("eth0", STRANGER, one) for one in (heard, other, heard)]
    (found,) = strangers([CLAIM], [], said, [MEMBER, "192.0.2.1"])
    assert (found.kind, found.address, found.mac) == (
        "virtual_router_id",
        "192.0.2.99",
        "02:00:00:00:00:63",
    )
    assert found.message == (
        "virtual_router_id: 51 is in use on eth0 already, by 192.0.2.99 (02:00:00:00:00:63) for "
        "192.0.2.50, which is none of the load balancers. Write another, such as 53."
    )


def test_the_last_id_is_followed_by_the_first() -> None:
    claim = Claim("eth0", 4, 255, ())
    said = [("eth0", STRANGER, advert(virtual_router_id=255))]
    (found,) = strangers([claim], [], said, [])
    assert found.message.endswith("such as 1.")


HARMLESS = {
    "a member has it": (
        [("eth0", Answer(ip_address("192.0.2.100"), bytes.fromhex("020000000001")))],
        [],
    ),
    "another address": ([("eth0", Answer(ip_address("192.0.2.101"), STRANGER))], []),
    "another interface": (
        [("eth1", Answer(ip_address("192.0.2.100"), STRANGER))],
        [("eth1", STRANGER, advert())],
    ),
    "a member advertises": ([], [("eth0", STRANGER, advert(source="192.0.2.1"))]),
    "another id": ([], [("eth0", STRANGER, advert(virtual_router_id=52))]),
    "another family": ([], [("eth0", STRANGER, advert(source="fe80::63"))]),
}


@pytest.mark.parametrize(("answers", "adverts"), HARMLESS.values(), ids=HARMLESS)
def test_no_stranger(answers: list[Any], adverts: list[Any]) -> None:
    assert strangers([CLAIM], answers, adverts, [MEMBER.upper(), "192.0.2.1"]) == ()
