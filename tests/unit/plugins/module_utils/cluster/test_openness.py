# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What would let strangers in, or root run what a variable says, is refused or said."""

from __future__ import annotations

from dataclasses import replace

import pytest
from ansible_collections.mycat.ha.plugins.module_utils.cluster.hosts import own_addresses
from inventories import all_roles, all_specs, lb, mycat, pair, planned, refused

RUDE = "127.0.0.1/1; touch /tmp/x; #"


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("keepalived_haproxy_alive_address", RUDE),
        ("haproxy_alive_bind", f"{RUDE}:48801"),
        ("keepalived_notify_user", "me;root"),
    ],
)
def test_what_is_no_address_and_no_user_reaches_no_script(variable: str, value: str) -> None:
    alone = {"keepalived": all_roles()["keepalived"]}
    said = refused(pair(**{variable: value}), roles=alone)
    assert any(sentence.startswith(f"{variable}: ") for sentence in said), said


@pytest.mark.parametrize("everybody", ["0.0.0.0/0", "::/0"])
def test_an_endpoint_for_everybody_is_refused(everybody: str) -> None:
    said = refused([*pair()[:2], mycat(21, mycat_status_allow=[everybody])])
    assert any(f"mycat_status_allow: {everybody} lets every host ask" in one for one in said)


STATISTICS = {"haproxy_stats_bind": "*:8404", "haproxy_stats_password": "a long one"}


@pytest.mark.parametrize(
    ("given", "noted"),
    [
        pytest.param(STATISTICS, True, id="readable"),
        pytest.param({**STATISTICS, "haproxy_stats_certificate": "/a.pem"}, False, id="TLS"),
        pytest.param({**STATISTICS, "haproxy_stats_bind": "127.0.0.1:8404"}, False, id="local"),
    ],
)
def test_a_password_that_travels_readably_is_said(given: dict[str, str], noted: bool) -> None:
    said = [note for note in planned(pair(**given)).run["notes"] if "haproxy_stats_pass" in note]
    assert len(said) == noted
    assert not any("a long one" in note for note in said)


def test_addresses_of_container_engines_are_let_in_where_a_mycat_is_there() -> None:
    bridges = {"docker0": "172.17.0.1", "br-0123456789ab": "172.18.0.1", "br0": "172.19.0.1"}
    host = lb(11)
    facts = {
        **host.facts,
        **{
            name: {"device": name, "ipv4": {"address": own, "prefix": "16"}}
            for name, own in bridges.items()
        },
        "interfaces": ["eth0", *bridges],
        "all_ipv4_addresses": ["192.0.2.11", *bridges.values()],
    }
    host = replace(host, facts=facts)
    assert own_addresses(host, ["192.0.2.21"]) == ["192.0.2.11", "172.19.0.1"]
    assert own_addresses(host, ["172.17.0.5"]) == ["192.0.2.11", "172.17.0.1", "172.19.0.1"]


def test_passwords_are_not_logged() -> None:
    shown = [
        name
        for spec in all_specs().values()
        for name, described in spec.items()
        if name.endswith(("_password", "_auth_pass")) and not described.get("no_log")
    ]
    assert shown == []
