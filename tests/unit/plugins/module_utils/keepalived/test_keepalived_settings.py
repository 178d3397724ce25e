# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.mycat.ha.plugins.module_utils.keepalived.settings import (
    HostRequest,
    cluster_request,
    resolve,
)
from ansible_collections.mycat.ha.plugins.module_utils.readers import RefusalError, SettingError
from ansible_collections.mycat.ha.plugins.module_utils.vrrp.versions import installed_version

VIP = "192.0.2.100/24"
VIP6 = "2001:db8::64/64"
BANNER = "Keepalived v2.3.3 (03/30,2025)\n\nCopyright(C) 2001-2025"
KEY = "k" * 32


def link(device: str, *addresses: str) -> dict[str, Any]:
    """An interface in a host's facts; of several IPv4 addresses the first comes first there."""
    parts = [address.split("/") for address in addresses]
    ipv4 = [{"address": ip, "prefix": prefix} for ip, prefix in parts if ":" not in ip]
    return {
        "device": device,
        **({"ipv4": ipv4[0], "ipv4_secondaries": ipv4[1:]} if ipv4 else {}),
        "ipv6": [{"address": ip, "prefix": prefix} for ip, prefix in parts if ":" in ip],
    }


def facts(*links: dict[str, Any], **more: Any) -> dict[str, Any]:
    links = links or (link("eth0", "192.0.2.11/24", "2001:db8::b/64"),)
    return {
        "interfaces": [item["device"] for item in links],
        **{item["device"]: item for item in links},
        "service_mgr": "systemd",
        **more,
    }


def settings(**given: Any) -> dict[str, Any]:
    """The role's variables with their defaults; ``given`` without the role's prefix."""
    return {
        **{
            f"keepalived_{name}": value
            for name, value in {
                "vips": [{"address": VIP}],
                "failover_mode": "fault",
                "preempt": "sticky",
                "failover_budget": 2.0,
                "node_loss_budget": 4.0,
                "interface": "",
                "address": [],
                "priorities": [],
                "preempt_delay": 0.0,
                "startup_delay": 0.0,
                "restart_grace": 0.0,
                "multicast": False,
                "vrrp_version": 3,
                "taken_virtual_router_ids": [],
                "auth_type": "",
                "auth_pass": "",
                "backends_check": True,
                "checks": [],
                "notify": "",
                "notify_master": "",
                "notify_backup": "",
                "notify_fault": "",
                "notify_stop": "",
                "notify_user": "",
                "notify_fifo": "",
                "notify_fifo_script": "",
                "global_extra": [],
                "extra": [],
                "version": "",
                **given,
            }.items()
        }
    }


def model(host: dict[str, Any] | None = None, name: str = "lb1", **given: Any) -> HostRequest:
    return resolve(settings(**given), host or facts(), name, installed_version(BANNER))


def vip(**options: Any) -> list[dict[str, Any]]:
    return [{"address": VIP, **options}]


def hmac(**options: Any) -> dict[str, Any]:
    return {
        "version": "2.4.0",
        "auth_hmac": {"keys": [{"id": 1, "key": KEY}], **options},
    }


def mail(**options: Any) -> dict[str, Any]:
    return {"mail": {"notification_email": ["dba@example.org"], "smtp_server": "mx", **options}}


def check(**options: Any) -> dict[str, Any]:
    return {"checks": [{"name": "disk", "script": "/usr/local/bin/disk", **options}]}


REFUSALS = {
    "auth_pass over 8 characters": (
        {"vrrp_version": 2, "auth_pass": "ninechars"},
        "keepalived_auth_pass: is longer than 8 characters",
    ),
    "auth_pass of 8 characters and more bytes": (
        {"vrrp_version": 2, "auth_pass": "gehäuse1"},
        "keepalived_auth_pass: is longer than 8",
    ),
    "auth_pass with a comment sign": (
        {"vrrp_version": 2, "auth_pass": "a#b"},
        "keepalived_auth_pass: has characters",
    ),
    "auth_pass of blanks": ({"vrrp_version": 2, "auth_pass": " "}, "keepalived_auth_pass: has"),
    "auth_pass with VRRP 3": (
        {"auth_pass": "secret"},
        "keepalived_auth_pass: VRRP 3 has no authentication",
    ),
    "auth_type with VRRP 3": ({"auth_type": "AH"}, "keepalived_auth_type: VRRP 3"),
    "auth_type without auth_pass": (
        {"vrrp_version": 2, "auth_type": "PASS"},
        "keepalived_auth_pass: is missing for PASS",
    ),
    "auth_hmac on an old keepalived": (
        {**hmac(), "version": "2.3.3"},
        "keepalived_auth_hmac: needs keepalived 2.4.0 and this host has 2.3.3",
    ),
    "auth_hmac beside auth_pass": (
        {**hmac(), "vrrp_version": 2, "auth_pass": "secret"},
        "keepalived_auth_hmac: stands beside keepalived_auth_pass",
    ),
    "short key": (
        hmac(keys=[{"id": 1, "key": "short"}]),
        r"keepalived_auth_hmac.keys\[0\].key: is not 32 to 64 bytes",
    ),
    "half a byte": (
        hmac(keys=[{"id": 1, "key": "hex:" + "0" * 65}]),
        r"keepalived_auth_hmac.keys\[0\].key: is not 32 to 64 bytes",
    ),
    "key id": (hmac(keys=[{"id": 0, "key": KEY}]), r"keepalived_auth_hmac.keys\[0\].id: is 0"),
    "key id twice": (
        hmac(keys=[{"id": 1, "key": KEY}, {"id": 1, "key": KEY}]),
        r"keepalived_auth_hmac.keys\[1\].id: 1 is given to",
    ),
    "no key": (hmac(keys=[]), "keepalived_auth_hmac.keys: is empty"),
    "active key of nobody": (hmac(active_key=2), "keepalived_auth_hmac.active_key: 2 is the id of"),
    "time window": (hmac(time_window=301), "keepalived_auth_hmac.time_window: is 301"),
    "preempt delay": ({"preempt_delay": 1001.0}, "keepalived_preempt_delay: is 1001"),
    "start-up delay": ({"startup_delay": -1.0}, "keepalived_startup_delay: is -1"),
    "grace": ({"restart_grace": -1.0}, "keepalived_restart_grace: is -1"),
    "grace in mode kill": (
        {"restart_grace": 1.0, "failover_mode": "kill"},
        "keepalived_restart_grace: mode kill stops keepalived",
    ),
    "garp": ({"garp_master_repeat": 0}, "keepalived_garp_master_repeat: is 0"),
    "nobody to mail to": (mail(notification_email=[]), "keepalived_mail.notification_email: is"),
    "no mail address": (
        mail(notification_email=["dba"]),
        r"keepalived_mail.notification_email\[0\]: is 'dba'",
    ),
    "no sender": (
        mail(notification_email_from="a b@c"),
        "keepalived_mail.notification_email_from: is",
    ),
    "no mail server": (mail(smtp_server=""), "keepalived_mail.smtp_server: is ''"),
    "mail port": (mail(smtp_server="mx 70000"), "keepalived_mail.smtp_server: is 'mx 70000'"),
    "command without a path": (
        {"notify_master": "page.sh"},
        "keepalived_notify_master: is 'page.sh'; write a command with the whole path",
    ),
    "command for a shell": (
        {"notify": "/bin/page | /bin/log"},
        "keepalived_notify: '/bin/page | /bin/log' needs a shell",
    ),
    "command with a quote": ({"notify": '/bin/page "x"'}, "keepalived_notify: is"),
    "command of one VIP": (
        {"vips": vip(notify_fault="page")},
        r"keepalived_vips\[0\].notify_fault: is 'page'",
    ),
    "FIFO that is no path": ({"notify_fifo": "fifo"}, "keepalived_notify_fifo: is 'fifo'"),
    "reader without a FIFO": (
        {"notify_fifo_script": "/bin/read"},
        "keepalived_notify_fifo: is missing",
    ),
    "unknown raw keyword": (
        {"vips": vip(extra=["garp_master_delay 1", "garp_master_dealy 2"])},
        r"keepalived_vips\[0\].extra\[1\]: 'garp_master_dealy' is no keyword of keepalived in "
        "vrrp_instance; write garp_master_delay",
    ),
    "raw line that leaves its block": (
        {"global_extra": ["}", "vrrp_instance x {"]},
        r"keepalived_global_extra\[0\]: .*brace",
    ),
    "raw block that is not closed": (
        {"extra": ["static_routes {"]},
        r"keepalived_extra\[0\]: the brace that opens static_routes is never closed",
    ),
    "raw line with a newline": (
        {"extra": ["a\nb"]},
        r"keepalived_extra\[0\]: is 'a\\nb'; write one line",
    ),
    "raw password": (
        {"vips": vip(extra=["authentication {", "auth_pass x", "}"])},
        r"keepalived_vips\[0\].extra\[0\]: authentication holds a password, .*keepalived_auth_pass",
    ),
    "raw password in a raw instance": (
        {"extra": ["vrrp_instance x {", "auth_hmac {", "key 1 x", "}", "}"]},
        r"keepalived_extra\[1\]: auth_hmac holds a password",
    ),
    "unknown raw block": (
        {"extra": ["vrrp_instanse x {", "}"]},
        r"keepalived_extra\[0\]: 'vrrp_instanse' is no keyword of keepalived outside all blocks; "
        "write vrrp_instance",
    ),
    "VIP in no subnet": (
        {"vips": [{"address": VIP}, {"address": "203.0.113.9/24"}]},
        r"keepalived_vips\[1\].address: 203.0.113.9/24 is in no subnet of the host \(eth0 192",
    ),
    "VIP is the host's": (
        {"vips": [{"address": "192.0.2.11/24"}]},
        r"keepalived_vips\[0\].address: 192.0.2.11/24 is the host's own address on eth0",
    ),
    "interface of nobody": (
        {"interface": "eth7"},
        r"keepalived_vips\[0\].address: the host has no IPv4 address on eth7",
    ),
    "interface with a long name": (
        {"interface": "a" * 16},
        "keepalived_interface: is 'aaaaaaaaaaaaaaaa'; write an interface's name",
    ),
    "own address of nobody": (
        {"address": ["192.0.2.12"]},
        "keepalived_address: 192.0.2.12 is no address of this host on eth0",
    ),
    "own address with a prefix": (
        {"address": ["192.0.2.11/24"]},
        r"keepalived_address\[0\]: is '192.0.2.11/24'",
    ),
    "two own addresses": (
        {"address": ["192.0.2.11", "192.0.2.12"]},
        r"keepalived_address\[1\]: 192.0.2.12 is IPv4 as 192.0.2.11 is",
    ),
    "name of a vmac alone": (
        {"vips": vip(vmac_interface="v")},
        r"keepalived_vips\[0\].vmac_interface: does nothing without use_vmac",
    ),
    "long name of a vmac": (
        {"vips": vip(use_vmac=True, vmac_interface="a" * 16)},
        r"keepalived_vips\[0\].vmac_interface: is",
    ),
    "vmac adverts by unicast": (
        {"vips": vip(use_vmac=True, vmac_xmit_base=False)},
        r"keepalived_vips\[0\].vmac_xmit_base: is false",
    ),
    "route with a brace": (
        {"vips": vip(virtual_routes=["198.51.100.0/24 }"])},
        r"keepalived_vips\[0\].virtual_routes\[0\]: is '}'",
    ),
    "empty rule": ({"vips": vip(virtual_rules=[""])}, r"keepalived_vips\[0\].virtual_rules\[0\]"),
    "rule without a preference": (
        {"vips": vip(virtual_rules=["from 192.0.2.100 table 1"])},
        r"keepalived_vips\[0\].virtual_rules\[0\]: has no preference",
    ),
    "interface of the VIP tracked": (
        {"vips": vip(track_interface=["eth1", "eth0 weight -5"])},
        r"keepalived_vips\[0\].track_interface\[1\]: eth0 is the interface of 192.0.2.100/24",
    ),
    "vmac by unicast on an old keepalived": (
        {"vips": vip(use_vmac=True), "version": "2.1.5"},
        r"keepalived_vips\[0\].use_vmac: needs keepalived 2.2",
    ),
    "IPv6 by multicast on an old keepalived": (
        {"vips": [{"address": VIP6}], "multicast": True, "version": "2.1.5"},
        "keepalived_multicast: needs keepalived 2.2 or newer for 2001:db8::64/64",
    ),
    "no number of routers": (
        {"peer_hops": 255},
        "keepalived_peer_hops: is 255; write a whole number from 0 to 254",
    ),
    "routers between and multicast": (
        {"peer_hops": 1, "multicast": True},
        "keepalived_peer_hops: is set, and no router passes multicast",
    ),
    "routers between and an old keepalived": (
        {"peer_hops": 1, "version": "2.0.19"},
        "keepalived_peer_hops: needs keepalived 2.1.0 and this host has 2.0.19",
    ),
    "checks in mode kill": (
        {"failover_mode": "kill", **check()},
        "keepalived_checks: mode kill",
    ),
    "check with the role's name": (
        check(name="haproxy"),
        r"keepalived_checks\[0\].name: haproxy is the role's own",
    ),
    "check without a script": (check(script=""), r"keepalived_checks\[0\].script: is ''"),
    "version": ({"version": "new"}, "keepalived_version: is 'new'; write a version like 2.2.7"),
}


@pytest.mark.parametrize(("given", "says"), REFUSALS.values(), ids=REFUSALS)
def test_refusals_name_the_variable(given: dict[str, Any], says: str) -> None:
    with pytest.raises(SettingError, match="^" + says):
        model(**given)


@pytest.mark.parametrize(
    "given",
    [
        {"vrrp_version": 2, "auth_pass": "hunter2hunter2"},
        {"vrrp_version": 2, "auth_pass": "hun{r2"},
        {"auth_pass": "hunter2"},
        hmac(keys=[{"id": 1, "key": "hunter2"}]),
    ],
    ids=["long", "braces", "vrrp-3", "hmac"],
)
def test_refusals_do_not_tell_a_secret(given: dict[str, Any]) -> None:
    with pytest.raises(SettingError) as refused:
        model(**given)
    assert "hun" not in str(refused.value)


ACCEPTED = {
    "nothing": {},
    "auth": {"vrrp_version": 2, "auth_pass": "12345678"},
    "auth AH": {"vrrp_version": 2, "auth_pass": "x", "auth_type": "AH"},
    "hmac": hmac(time_window=5, active_key=1),
    "hmac in hexadecimal": hmac(keys=[{"id": 255, "key": "hex:" + "0f" * 32}]),
    "hmac in a file": hmac(keys=[{"id": 1, "key": "file:/etc/keepalived/key"}]),
    "mail": mail(smtp_server="192.0.2.25 2525", smtp_connect_timeout=5),
    "raw blocks": {"extra": ["static_routes {", "  198.51.100.0/24 via 192.0.2.1", "}"]},
    "raw comment": {"vips": vip(extra=["# why", "garp_extra_if 10"])},
    "fifo": {"notify_fifo": "/run/fifo", "notify_fifo_script": "/usr/local/bin/reader --all"},
}


@pytest.mark.parametrize("given", ACCEPTED.values(), ids=ACCEPTED)
def test_accepted(given: dict[str, Any]) -> None:
    assert model(**given).links == ({"address": "192.0.2.11", "interface": "eth0"},)


ETH1 = link("eth1", "198.51.100.11/24", "198.51.100.12/24")


@pytest.mark.parametrize(
    ("host", "given", "links"),
    [
        pytest.param(
            facts(link("eth0", "192.0.2.11/24", "2001:db8::b/64"), ETH1),
            {"vips": [{"address": VIP}, {"address": "198.51.100.9/24"}, {"address": VIP6}]},
            [("192.0.2.11", "eth0"), ("198.51.100.11", "eth1"), ("2001:db8::b", "eth0")],
            id="subnets-and-families",
        ),
        pytest.param(
            facts(link("eth0", "192.0.2.101/24", "192.0.2.11/24")),
            {"vips": vip(virtual_ipaddress=["192.0.2.101/24 label eth0:1"])},
            [("192.0.2.11", "eth0")],
            id="holds-a-further-virtual-address",
        ),
        pytest.param(
            facts(link("eth0", "192.0.2.11/24"), ETH1),
            {"interface": "eth1"},
            [("198.51.100.11", "eth1")],
            id="interface-of-the-host",
        ),
        pytest.param(
            facts(link("eth0", "192.0.2.11/24"), ETH1),
            {"interface": "eth1", "vips": vip(interface="eth0")},
            [("192.0.2.11", "eth0")],
            id="interface-of-the-vip",
        ),
        pytest.param(
            facts(ETH1),
            {"vips": [{"address": "198.51.100.9/24"}], "address": ["198.51.100.12"]},
            [("198.51.100.12", "eth1")],
            id="address-of-the-host",
        ),
        pytest.param(
            facts(link("vrrp.5", "192.0.2.100/24"), link("eth0", "192.0.2.11/24")),
            {"vips": vip(use_vmac=True)},
            [("192.0.2.11", "eth0")],
            id="holder-with-a-virtual-mac-address",
        ),
        pytest.param(
            facts(link("vm", "192.0.2.100/24"), link("eth0", "192.0.2.11/24")),
            {"vips": vip(use_vmac=True, vmac_interface="vm")},
            [("192.0.2.11", "eth0")],
            id="holder-with-a-named-vmac",
        ),
    ],
)
def test_links(host: dict[str, Any], given: dict[str, Any], links: list[tuple[str, str]]) -> None:
    expected = [{"address": address, "interface": name} for address, name in links]
    assert list(model(host, **given).links) == expected


@pytest.mark.parametrize(
    ("banner", "given", "host", "version"),
    [
        pytest.param(BANNER, "", {}, "2.3.3", id="installed"),
        pytest.param(BANNER, "2.2.4", {}, "2.2.4", id="given"),
        pytest.param("", "", ("Debian", "12"), "2.2.7", id="bookworm"),
        pytest.param("", "", ("Ubuntu", "24", "24.04"), "2.2.8", id="ubuntu"),
        pytest.param("", "", ("Slackware", "15"), "2.1.5", id="unknown"),
    ],
)
def test_version(banner: str, given: str, host: Any, version: str) -> None:
    keys = ("distribution", "distribution_major_version", "distribution_version")
    known = facts(**dict(zip(keys, host)))
    resolved = resolve(settings(version=given), known, "lb1", installed_version(banner))
    assert resolved.version == version


def names(given: dict[str, Any]) -> list[str]:
    return [item["name"] for item in model(**given).asked["checks"]]


def test_checks() -> None:
    assert names({}) == ["maintenance", "haproxy", "backends"]
    assert names({"backends_check": False}) == ["maintenance", "haproxy"]
    assert names(check()) == ["maintenance", "haproxy", "disk", "backends"]
    assert names({"failover_mode": "kill"}) == ["maintenance", "haproxy"]


def test_only_systemd_tells_of_an_end() -> None:
    def event(service_mgr: str) -> bool:
        host = facts(service_mgr=service_mgr)
        (haproxy,) = [item for item in model(host).asked["checks"] if item["name"] == "haproxy"]
        return bool(haproxy["event"])

    assert event("systemd")
    assert not event("openrc")
    with pytest.raises(SettingError, match=r"^keepalived_failover_mode: is kill, .* systemd"):
        model(facts(service_mgr="openrc"), failover_mode="kill")
    with pytest.raises(SettingError, match="keepalived_restart_grace: only systemd"):
        model(facts(service_mgr="openrc"), restart_grace=1.0)


def test_what_is_asked_of_a_check_reaches_the_plan() -> None:
    asked = model(**check(weight=-5, budget=3.0, effect="rank")).asked["checks"][2]
    assert asked == {"name": "disk", "weight": "-5", "budget": 3.0, "effect": "rank"}


def test_a_model_has_no_password() -> None:
    given = {"vrrp_version": 2, "auth_pass": "hunter2"}
    assert "hunter2" not in str(model(**given))
    assert KEY not in str(model(**hmac()))


def test_notify_of_a_vip_comes_before_that_of_all() -> None:
    vips = [{"address": VIP, "notify_stop": "/bin/own"}, {"address": "192.0.2.101/24"}]
    given = {"vips": vips, "notify_stop": "/bin/all", "notify": "/bin/each"}
    printed = model(**given).vips
    assert [item["notify_stop"] for item in printed] == ["/bin/own", "/bin/all"]
    assert [item["notify"] for item in printed] == ["/bin/each"] * 2


def test_a_request_takes_the_oldest_version() -> None:
    hosts = [
        resolve(settings(version=version), facts(), name)
        for name, version in (("lb1", "2.10.0"), ("lb2", "2.9.0"))
    ]
    asked = cluster_request(hosts)
    assert asked["keepalived_version"] == "2.9.0"
    assert [node["name"] for node in asked["nodes"]] == ["lb1", "lb2"]


def test_hosts_that_want_different_things_are_refused() -> None:
    hosts = [model(), model(name="lb2", node_loss_budget=5.0)]
    with pytest.raises(
        RefusalError, match=r"^keepalived_node_loss_budget: differs between lb1 and lb2"
    ):
        cluster_request(hosts)


def test_everything_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(RefusalError) as refused:
        model(preempt_delay=1001.0, notify="page.sh", garp_master_repeat=0, interface="eth7")
    assert [error.option for error in refused.value.errors] == [
        "keepalived_preempt_delay",
        "keepalived_garp_master_repeat",
        "keepalived_notify",
        "keepalived_vips[0].address",
    ]


@pytest.mark.parametrize("vips", [[], [{"address": ""}]])
def test_no_virtual_ip(vips: list[dict[str, str]]) -> None:
    with pytest.raises(SettingError, match=r"^mycat_ha_vip: no virtual IP is set; write"):
        model(vips=vips)


def test_the_mail_s_sender_is_the_host() -> None:
    host = facts(fqdn="lb1.example.org")
    assert model(host, **mail()).mail["notification_email_from"] == "keepalived@lb1.example.org"
    assert model(**mail()).mail["notification_email_from"] == "keepalived@lb1"
