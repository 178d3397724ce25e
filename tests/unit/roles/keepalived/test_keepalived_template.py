"""keepalived.conf as the role's template prints it, read back by the project's own reader."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.mycat.ha.plugins.module_utils.keepalived.configuration import (
    Installed,
    host_text,
)
from ansible_collections.mycat.ha.plugins.module_utils.keepalived.reader import parse
from ansible_collections.mycat.ha.plugins.module_utils.keepalived.settings import (
    cluster_request,
    resolve,
)
from ansible_collections.mycat.ha.plugins.module_utils.vrrp.plan import make_plan
from ansible_collections.mycat.ha.plugins.module_utils.vrrp.request import read_request

ROOT = Path(__file__).parents[4]
sys.path.append(str(ROOT / "tests/unit/plugins/module_utils/keepalived"))
from test_keepalived_settings import facts, link, settings  # noqa: E402

TEMPLATE = (ROOT / "roles/keepalived/templates/keepalived.conf.j2").read_text()
INSTALLED = Installed(
    script_user="checks",
    record_state="/lib/record",
    scripts={"haproxy": "/lib/haproxy", "backends": "/lib/backends"},
    files={"haproxy_process": "/run/down", "maintenance": "/run/maintenance"},
)
VIP, VIP6 = {"address": "192.0.2.100/24"}, {"address": "2001:db8::64/64"}


def rendered(**given: Any) -> tuple[str, dict[str, Any]]:
    """The configuration of lb1 of two hosts, and its plan."""
    asked = settings(**{"notify_user": "hooks", **given})
    hosts = {
        name: facts(link("eth0", f"192.0.2.{last}/24", f"2001:db8::{last}/64"), fqdn="lb.example")
        for name, last in (("lb1", 11), ("lb2", 12))
    }
    models = [resolve(asked, host, name) for name, host in hosts.items()]
    request = read_request(cluster_request(models))
    plan = make_plan(request)
    text = host_text(
        plan.cluster.nodes[0],
        plan,
        request,
        asked,
        models[0],
        template=TEMPLATE,
        installed=INSTALLED,
        managed="Ansible managed",
    )
    return text, plan.as_data()


EVERYTHING = {
    "vips": [
        {
            **VIP,
            "name": "one",
            "sync_group": "pair",
            "use_vmac": True,
            "vmac_interface": "vip0",
            "virtual_ipaddress": ["192.0.2.101/24"],
            "virtual_ipaddress_excluded": ["192.0.2.102/24", "2001:db8::66/64"],
            "virtual_routes": ["203.0.113.0/24 via 192.0.2.1 dev eth0"],
            "virtual_rules": ["from 192.0.2.100/32 table 100 preference 100"],
            "track_interface": ["eth1 weight -10"],
            "notify": "/bin/each one",
            "notify_master": "/bin/up",
            "extra": ["lower_prio_no_advert true"],
        },
        {"address": "192.0.2.103/24", "name": "two", "sync_group": "pair"},
        VIP6,
    ],
    "version": "2.3.3",
    "startup_delay": 2.5,
    "garp_master_delay": 1,
    "gna_interval": 0.01,
    "notify_stop": "/bin/stop",
    "notify_fifo": "/run/fifo",
    "notify_fifo_script": "/bin/reader",
    "mail": {"notification_email": ["a@example.org", "b@example.org"], "smtp_server": "mx 2525"},
    "checks": [{"name": "disk", "script": "/bin/disk /var", "user": "disk", "effect": "rank"}],
    "global_extra": ["vrrp_rx_bufs_multiplier 3"],
    "extra": ["static_routes {", "198.51.100.0/24 via 192.0.2.1", "}"],
}
CASES = {
    "defaults": {},
    "two families": {"vips": [VIP, VIP6]},
    "everything": EVERYTHING,
    "weights": {"failover_mode": "weight", "preempt": "preferred", "node_loss_budget": 5.0},
    "kill": {"failover_mode": "kill"},
    "multicast": {"multicast": True},
    "VRRP 2": {"vrrp_version": 2, "auth_pass": "secret12", "auth_type": "AH"},
    "delayed": {"preempt": "preferred", "preempt_delay": 5.0, "backends_check": False},
}


@pytest.mark.parametrize("given", CASES.values(), ids=CASES)
def test_configuration_says_what_was_planned(given: dict[str, Any]) -> None:
    text, plan = rendered(**given)
    parsed = parse(text, "lb1", keepalived_version=(2, 3, 3))
    assert parsed.findings == ()
    found = {instance.name: instance for instance in parsed.node.instances}
    assert set(found) == {planned["name"] for planned in plan["instances"]["lb1"]}
    for planned in plan["instances"]["lb1"]:
        instance = found[planned["name"]]
        for key in ("priority", "virtual_router_id", "advert_int", "interface", "version"):
            assert getattr(instance, key) == planned[key], key
        assert instance.nopreempt == bool(planned.get("nopreempt"))
        assert instance.preempt_delay == planned.get("preempt_delay", 0)
        assert list(instance.virtual_ipaddress) == planned["virtual_ipaddress"]
        assert instance.unicast_peer == (
            None if given.get("multicast") else tuple(map(let_in, planned["unicast_peer"]))
        )
        tracked = {(track.kind.value, track.check, track.weight) for track in instance.tracks}
        assert tracked - {("track_interface", "eth1", -10)} == {
            (kind, track["name"], track["weight"])
            for kind in ("track_script", "track_file")
            for track in planned.get(kind) or ()
        }
    assert {check.name for check in parsed.node.checks} == {its["name"] for its in plan["checks"]}
    assert [group.members for group in parsed.node.sync_groups] == [
        tuple(group["group"]) for group in plan["sync_groups"]
    ]


def let_in(peer: str) -> str:
    return peer if ":" in peer else f"{peer} min_ttl 255 max_ttl 255"


def lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines()]


@pytest.mark.parametrize(
    "line",
    [
        "use_vmac vip0",
        "vmac_xmit_base",
        "vrrp_startup_delay 2.5",
        "vrrp_garp_master_delay 1",
        "vrrp_gna_interval 0.01",
        "vrrp_notify_fifo /run/fifo",
        'vrrp_notify_fifo_script "/bin/reader" hooks',
        "b@example.org",
        "notification_email_from keepalived@lb.example",
        "smtp_server mx 2525",
        "smtp_alert_vrrp true",
        "vrrp_check_unicast_src",
        "vrrp_rx_bufs_multiplier 3",
        "user disk",
        "203.0.113.0/24 via 192.0.2.1 dev eth0",
        "from 192.0.2.100/32 table 100 preference 100",
        "2001:db8::66/64",
        'notify "/lib/record /bin/each one" hooks',
        'notify "/lib/record" hooks',
        'notify_master "/bin/up" hooks',
        'notify_stop "/bin/stop" hooks',
        "lower_prio_no_advert true",
        "198.51.100.0/24 via 192.0.2.1",
    ],
)
def test_everything_that_is_set_is_there(line: str) -> None:
    assert line in lines(rendered(**EVERYTHING)[0])


def test_password_and_its_kind() -> None:
    text, _plan = rendered(**CASES["VRRP 2"])
    assert {"auth_type AH", "auth_pass secret12"} <= set(lines(text))


def test_multicast_names_its_source_and_no_peer() -> None:
    text, _plan = rendered(multicast=True)
    assert "mcast_src_ip 192.0.2.11" in lines(text)
    assert "unicast" not in text


def test_an_older_keepalived_only_asks_who_sends() -> None:
    said = lines(rendered(version="2.0.19")[0])
    assert "vrrp_check_unicast_src" in said
    assert said[said.index("unicast_peer {") + 1] == "192.0.2.12"


def test_signed_adverts() -> None:
    keys = [{"id": 2, "key": "k" * 32}, {"id": 1, "key": "l" * 32}]
    text, _plan = rendered(version="2.4.0", auth_hmac={"keys": keys, "time_window": 5})
    said = lines(text)
    start = said.index("auth_hmac {")
    assert said[start + 1 : start + 7] == [
        "key 2 " + "k" * 32,
        "key 1 " + "l" * 32,
        "active_key 2",
        "anti_replay time",
        "time_window 5",
        "mode enforce",
    ]


def test_no_line_is_loose() -> None:
    """Each line is indented by the blocks it is in."""
    depth = 0
    for line in rendered(**EVERYTHING)[0].splitlines():
        depth -= line.strip() == "}"
        if line.strip() and "198.51" not in line:
            assert len(line) - len(line.lstrip()) == 4 * depth, line
        depth += line.endswith("{")
    assert depth == 0
