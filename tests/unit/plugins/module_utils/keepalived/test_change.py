# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import hashlib

import pytest
from ansible_collections.mycat.ha.plugins.module_utils.keepalived.change import (
    cluster_wide,
    hastens_adverts,
    restart_required,
    with_known_secrets,
)
from ansible_collections.mycat.ha.plugins.module_utils.keepalived.config_test import masked

CONF = """\
global_defs {
    vrrp_version 3
    script_user nobody
}
vrrp_script chk {
    script /bin/true
}
vrrp_instance VI_1 {
    state BACKUP
    interface eth0
    virtual_router_id 51
    priority 100
    advert_int 1
    unicast_src_ip 192.0.2.1
    unicast_peer {
        192.0.2.2
    }
    virtual_ipaddress {
        192.0.2.100/24
    }
    track_script {
        chk
    }
}
"""
VERSION_2 = CONF.replace("vrrp_version 3", "vrrp_version 2").replace(
    "    virtual_ipaddress",
    "    authentication {\n auth_type PASS\n auth_pass one\n}\nvirtual_ipaddress",
)

# What is replaced by what, and the changes that a reload does not make.
RESTARTS = {
    "nothing": ("", "", []),
    "priority": ("priority 100", "priority 90", []),
    "check": ("/bin/true", "/bin/false", []),
    "script_user": ("nobody", "daemon", []),
    "vrrp_version": ("vrrp_version 3", "vrrp_version 2", []),
    "net_namespace": (
        "global_defs {",
        "net_namespace blue\nglobal_defs {",
        ["net_namespace: off -> blue"],
    ),
    "net_namespace in global_defs": (
        "global_defs {",
        "global_defs {\n    net_namespace blue",
        ["net_namespace: off -> blue"],
    ),
    "instance": ("global_defs {", "instance one\nglobal_defs {", ["instance: off -> one"]),
    "nftables without a name": (
        "global_defs {",
        "global_defs {\n    nftables",
        ["nftables: off -> on"],
    ),
    "SNMP and IGMP": (
        "global_defs {",
        "global_defs {\n    enable_snmp_vrrp\n    disable_local_igmp",
        ["disable_local_igmp: off -> on", "enable_snmp_vrrp: off -> on"],
    ),
}


@pytest.mark.parametrize(("old", "new", "expected"), RESTARTS.values(), ids=RESTARTS)
def test_restart_required(old: str, new: str, expected: list[str]) -> None:
    after = CONF.replace(old, new, 1)
    assert list(restart_required(CONF, after)) == expected
    back = [f"{name}: {new} -> {old}" for name, old, new in map(_parts, expected)]
    assert list(restart_required(after, CONF)) == back


def _parts(change: str) -> tuple[str, str, str]:
    name, _, values = change.partition(": ")
    old, _, new = values.partition(" -> ")
    return name, old, new


ALONE = {
    "nothing": ("", ""),
    "priority": ("priority 100", "priority 90"),
    "check": ("/bin/true", "/bin/false"),
    "tracking": ("    track_script {\n        chk\n    }\n", ""),
    "interval of version 3": ("advert_int 1", "advert_int 2"),
    "nopreempt": ("priority 100", "nopreempt"),
    "spelling of an address": ("192.0.2.100/24", "192.0.2.100/32 dev eth0"),
}


@pytest.mark.parametrize(("old", "new"), ALONE.values(), ids=ALONE)
def test_a_node_makes_these_alone(old: str, new: str) -> None:
    assert cluster_wide(CONF, CONF.replace(old, new, 1)) == ()


TOGETHER = {
    "virtual router id": (CONF, "id 51", "id 52", "VI_1: virtual_router_id: 51 -> 52"),
    "version": (CONF, "version 3", "version 2", "VI_1: version: 3 -> 2"),
    "interface": (CONF, "eth0", "eth1", "VI_1: interface: eth0 -> eth1"),
    "address": (
        CONF,
        "192.0.2.100/24",
        "192.0.2.100/24\n192.0.2.101/24",
        "VI_1: virtual_ipaddress: 192.0.2.100 -> 192.0.2.100 192.0.2.101",
    ),
    "peer": (
        CONF,
        "192.0.2.2",
        "192.0.2.2\n192.0.2.3",
        "VI_1: unicast_peer: 192.0.2.2 -> 192.0.2.2 192.0.2.3",
    ),
    "multicast": (
        CONF,
        "    unicast_peer {\n        192.0.2.2\n    }\n",
        "",
        "VI_1: unicast_peer: 192.0.2.2 -> off",
    ),
    "group": (
        CONF,
        "global_defs {",
        "global_defs {\n    vrrp_mcast_group4 224.0.0.19",
        "VI_1: vrrp_mcast_group4: off -> 224.0.0.19",
    ),
    "interval of version 2": (
        VERSION_2,
        "advert_int 1",
        "advert_int 2",
        "VI_1: advert_int: 1 -> 2",
    ),
    "password": (VERSION_2, "auth_pass one", "auth_pass two", "VI_1: authentication"),
    "keyed hash": (
        CONF,
        "priority 100",
        "auth_hmac {\n key 1 sha256 s3cret\n}",
        "VI_1: authentication",
    ),
}


@pytest.mark.parametrize(("text", "old", "new", "expected"), TOGETHER.values(), ids=TOGETHER)
def test_all_nodes_make_these_together(text: str, old: str, new: str, expected: str) -> None:
    assert cluster_wide(text, text.replace(old, new, 1)) == (expected,)


def test_instances_that_come_and_go() -> None:
    assert cluster_wide(CONF, CONF.replace("VI_1", "VI_2")) == ("VI_1: removed", "VI_2: added")


@pytest.mark.parametrize("before", ["", "global_defs {\n}\n", "\0"])
def test_the_first_configuration_changes_nothing(before: str) -> None:
    assert cluster_wide(before, CONF) == ()


HMAC = CONF.replace(
    "    virtual_ipaddress", "    auth_hmac {\n  key 1 one\n  key 2 two\n }\n virtual_ipaddress"
)


def as_found(text: str) -> tuple[str, str]:
    """A configuration as a host shows it: its secrets masked, and the digest of its file."""
    return masked(text), hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.parametrize("text", [CONF, VERSION_2, HMAC], ids=["none", "password", "keys"])
def test_secrets_that_stay_are_known(text: str) -> None:
    after = text.replace("virtual_router_id 51", "virtual_router_id 52")
    former = with_known_secrets(*as_found(text), after)
    assert former == text
    assert cluster_wide(former, after) == ("VI_1: virtual_router_id: 51 -> 52",)


@pytest.mark.parametrize(("text", "old", "new"), [(VERSION_2, "one", "two"), (HMAC, "two", "six")])
def test_a_secret_that_changes_is_a_change(text: str, old: str, new: str) -> None:
    after = text.replace(old, new)
    former = with_known_secrets(*as_found(text), after)
    assert former == masked(text)
    assert cluster_wide(former, after) == ("VI_1: authentication",)


def test_a_secret_that_goes_is_a_change() -> None:
    former = with_known_secrets(*as_found(VERSION_2), CONF)
    assert "VI_1: authentication" in cluster_wide(former, CONF)


def with_interval(line: str) -> str:
    return CONF.replace("    advert_int 1\n", line)


@pytest.mark.parametrize(
    ("before", "after", "hastens"),
    [
        pytest.param(CONF, with_interval("advert_int 0.33\n"), True, id="more often"),
        pytest.param(with_interval("advert_int 0.33\n"), CONF, False, id="more seldom"),
        pytest.param(CONF, with_interval(""), False, id="the default instead"),
        pytest.param(with_interval("advert_int 3\n"), with_interval(""), True, id="the default"),
        pytest.param(CONF.replace("VI_1", "VI_2"), with_interval(""), False, id="another instance"),
        pytest.param("~SEQ(N,1,9999999) a", CONF, False, id="cannot be read"),
    ],
)
def test_adverts_that_come_more_often(before: str, after: str, hastens: bool) -> None:
    assert hastens_adverts(before, after) is hastens
