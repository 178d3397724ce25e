# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""For each id what raises it, and what comes near without raising it."""

from __future__ import annotations

from ansible_collections.mycat.ha.plugins.module_utils.vrrp.model import (
    Authentication,
    Check,
    CheckKind,
    Cluster,
    Hmac,
    SyncGroup,
    Track,
)
from clusters import (
    FAULT,
    FILE,
    MASTER,
    MULTICAST,
    OTHER,
    PASSWORD,
    PROCESS,
    SCRIPT,
    V2,
    VIP,
    Judged,
    circle,
    conf,
    given,
    group,
    make,
    model,
    planned,
    scripted,
    signed,
    text,
    together,
    version,
    weight,
)

ASKING = {"check_unicast_src": True}
LATE = "vrrp_script late {\n    script /bin/x\n}"

# Each id: what raises it, and what comes near without raising it.
CASES = {
    "no-failover": (
        model({"priority": 100}, {"priority": 90}, both=weight(2)),
        model({"priority": 100}, {"priority": 90}, both=weight(11)),
    ),
    "dual-master": (model(V2), model(both=V2)),
    "needless-move": (model(both={"nopreempt": False}), model()),
    "search-incomplete": (
        circle(((1, 100), (3, 110)), ((1, 110), (2, 100)), ((2, 110), (3, 100))),
        circle(((1, 100), (2, 100)), ((1, 110), (2, 110)), ((1, 90), (2, 90))),
    ),
    "nopreempt-with-weight": (
        model(both={"tracks": (Track("haproxy", SCRIPT, -50),)}),
        model(both={**weight(-50), **MASTER, "nopreempt": True}),
    ),
    "weight-below-gap": (
        model({"priority": 100}, {"priority": 90}, both=weight(-10)),
        model({"priority": 100}, {"priority": 90}, both=weight(-11)),
    ),
    "weight-clamped": (
        model({"priority": 20}, {"priority": 1}, both=weight(-50)),
        model({"priority": 70}, {"priority": 51}, both=weight(-50)),
    ),
    "equal-priority": (model(both={"priority": 200}), model()),
    "nopreempt-cleared-by-master": (model(MASTER), model({**MASTER, "nopreempt": False})),
    "preempt-delay-with-weight": (
        model({}, {"preempt_delay": 5.0}, both=weight(-50)),
        model({}, {"preempt_delay": 5.0}, both=weight(0)),
    ),
    "preempt-delay-with-nopreempt": (
        model({"preempt_delay": 5.0}),
        model({"preempt_delay": 5.0, "nopreempt": False}),
    ),
    "master-without-priority": (
        text(values="state MASTER", priority="# none"),
        text(values="state BACKUP", priority="# none"),
    ),
    "priority-range": (model({"priority": 256}), model({"priority": 254})),
    "vrid-range": (
        model(both={"virtual_router_id": 256}),
        model(both={"virtual_router_id": 255}),
    ),
    "weight-range": (model(both=weight(-254)), model(both=weight(-253))),
    "advert-int-range": (
        model(both={**V2, "advert_int": 0.5}),
        model(both={"advert_int": 0.5}),
    ),
    "address-owner-with-weight": (
        model({"priority": 255, **weight(-200)}, {"priority": 200, **weight(-200)}),
        model({"priority": 254, **weight(-200)}, {"priority": 200, **weight(-200)}),
    ),
    "address-owner-with-nopreempt": (
        model({"priority": 255}),
        model({"priority": 255, "nopreempt": False}),
    ),
    "weighted-script-in-sync-group": (
        model(both=weight(-50), nodes=group()),
        model(both=weight(-50), nodes=group(tracking_weight=True)),
    ),
    "positive-file-weight": (
        model(both={"tracks": (Track("haproxy_process", FILE, 1),)}),
        model(both={"tracks": (Track("haproxy_process", FILE, -1),)}),
    ),
    "auth-pass-length": (
        model(both={**V2, "authentication": Authentication("PASS", "123456789")}),
        model(both={**V2, "authentication": Authentication("PASS", "12345678")}),
    ),
    "auth-pass-missing": (
        model(both={**V2, "authentication": Authentication("PASS")}),
        model(both={**V2, **PASSWORD}),
    ),
    "auth-with-v3": (model(both=PASSWORD), model(both={**V2, **PASSWORD})),
    "auth-mismatch": (
        model({"authentication": Authentication("PASS", "2222")}, PASSWORD, both=V2),
        # Only the first eight characters count.
        model(
            {"authentication": Authentication("PASS", "12345678a")},
            {"authentication": Authentication("PASS", "12345678b")},
            both=V2,
        ),
    ),
    "hmac-mismatch": (
        model(signed("1" * 32), both=signed("2" * 32), nodes=version((2, 4, 0))),
        # More keys than the other node has do not matter, only the one that is signed with.
        model(
            {"auth_hmac": Hmac(((1, "1" * 32), (2, "2" * 32)), 1)},
            both=signed("1" * 32),
            nodes=version((2, 4, 0)),
        ),
    ),
    "hmac-dropped": (
        model(both=signed("1" * 31), nodes=version((2, 4, 0))),
        model(both=signed("hex:" + "1f" * 32), nodes=version((2, 4, 0))),
    ),
    "version-mismatch": (model(V2), model(both=V2)),
    "advert-int-mismatch": (
        model({"advert_int": 2.0}, both=V2),
        # Both become 1.
        model({"advert_int": 0.5}, both=V2),
    ),
    "vrid-mismatch": (
        model({"virtual_router_id": 52}),
        model({"virtual_router_id": 52}, {"virtual_router_id": 52}),
    ),
    "vip-mismatch": (
        model({"virtual_ipaddress": (VIP, "192.0.2.101/24")}),
        model({"virtual_ipaddress": ("192.0.2.100/32 dev eth0",)}),
    ),
    "vrid-duplicate": (
        model(more=({**OTHER, "virtual_router_id": 51},)),
        model(more=({**OTHER, "virtual_router_id": 51, "interface": "eth1"},)),
    ),
    "vip-duplicate": (
        model(more=({**OTHER, "virtual_ipaddress": (VIP,)},)),
        model(more=(OTHER,)),
    ),
    "vip-is-own-address": (
        model(both={"virtual_ipaddress": ("192.0.2.12/24",)}),
        model(both={"virtual_ipaddress": ("192.0.2.13/24",)}),
    ),
    "no-vip": (
        model(both={"virtual_ipaddress": (), "virtual_ipaddress_excluded": (VIP,)}),
        model(both={"virtual_ipaddress_excluded": ("2001:db8::1/64",)}),
    ),
    "no-instance": (given(conf(1), conf(2), ""), text()),
    "interface-missing": (
        model(both={"interface": "", **MULTICAST}),
        model(both={"interface": ""}),
    ),
    "single-node": (
        Judged(Cluster((make().nodes[0],))),
        model(),
    ),
    "sync-group-mismatch": (
        model(more=(OTHER,), node=(together("G"), {})),
        model(more=(OTHER,), node=(together("G"), together("H"))),
    ),
    "unicast-no-peers": (model({"unicast_peer": ()}), model(both=MULTICAST)),
    "unicast-self": (
        model({"unicast_peer": ("192.0.2.11", "192.0.2.12")}),
        model({"unicast_peer": ("192.0.2.12",)}),
    ),
    "unicast-peer-asymmetry": (
        model({"unicast_peer": ("192.0.2.13",)}),
        model({"unicast_peer": ("192.0.2.13", "192.0.2.12")}),
    ),
    "unicast-unknown-peer": (
        model({"unicast_peer": ("192.0.2.12", "192.0.2.13")}),
        model({}, {}, {}),
    ),
    "unicast-ttl": (
        model({"unicast_ttl": 64}, {"unicast_peer": ("192.0.2.11 min_ttl 255",), **ASKING}),
        model({"unicast_ttl": 255}, {"unicast_peer": ("192.0.2.11 min_ttl 255",), **ASKING}),
    ),
    "unicast-mismatch": (model(MULTICAST), model(both=MULTICAST)),
    "script-undefined": (
        model(both={"tracks": (Track("haproxie"),)}),
        model(both={"tracks": (Track("haproxy"), Track("eth1", CheckKind.INTERFACE))}),
    ),
    "track-unsupported": (
        model(
            both={"tracks": (Track("p", PROCESS),), **V2},
            nodes={"checks": (Check("p", PROCESS),), **version((2, 0, 10))},
        ),
        model(
            both={"tracks": (Track("p", PROCESS),), **V2},
            nodes={"checks": (Check("p", PROCESS),), **version((2, 0, 11))},
        ),
    ),
    "no-check": (
        model({}, {"tracks": ()}),
        model({}, {"tracks": FAULT[:1]}),
    ),
    "script-tracked-twice": (
        model(both={"tracks": (Track("haproxy"),)}, nodes=group(tracks=(Track("haproxy"),))),
        model(both={"tracks": (Track("haproxy"),)}, nodes=group(tracks=(Track("b"),))),
    ),
    "script-order": (
        text(tracked="late", after=LATE),
        text(tracked="late", before=LATE),
    ),
    "script-timeout-above-interval": (
        model(nodes=scripted(interval=2, timeout=3)),
        model(nodes=scripted(interval=2, timeout=2)),
    ),
    "script-interval-fraction": (
        model(nodes=scripted(interval=0.5)),
        model(nodes={**scripted(interval=0.5), **version((2, 3, 2))}),
    ),
    "script-too-slow": (
        model(nodes=scripted(command="/bin/ping -c2 192.0.2.1")),
        model(nodes=scripted(command="/bin/ping -c2 192.0.2.1", interval=2)),
    ),
    "script-shell-operators": (
        model(nodes=scripted(command="pidof haproxy || exit 1")),
        model(nodes=scripted(command="/bin/sh -c 'pidof haproxy || exit 1'")),
    ),
    "script-arguments-unquoted": (
        text(script="script /usr/bin/killall -0 haproxy"),
        text(script='script "/usr/bin/killall -0 haproxy"'),
    ),
    "script-missing-command": (text(script="interval 2"), text()),
    "script-security": (
        model(nodes={"script_user": ""}),
        model(nodes={"script_user": "", **scripted(user="nobody")}),
    ),
    "strict-no-accept": (
        model(both={"strict_mode": True, **MULTICAST}),
        model(both={"strict_mode": True, "accept": True, **MULTICAST}),
    ),
    "strict-unicast": (
        model(both={"strict_mode": True, "accept": True}),
        model(both={"strict_mode": True, "accept": True, **MULTICAST}),
    ),
    "state-lowercase": (text(values="state backup"), text(values="state BACKUP")),
    "unknown-keyword": (text(body="prioritty 9"), text(body="garp_master_delay 9")),
    "invalid-value": (text(body="preempt_delay soon"), text(body="preempt_delay 0")),
    "duplicate-name": (text(after=LATE + "\n" + LATE), text(after=LATE)),
    "syntax": (text(after="}"), text(after="# }")),
    "missing-include": (text(after="include more.conf"), text(after="# include more.conf")),
    "advert-int-short": (planned(node_loss_budget=0.2), planned(node_loss_budget=2)),
    "spread-not-kept": (
        planned(vips=[{"address": VIP}, {"address": "192.0.2.101/24"}]),
        planned(vips=[{"address": VIP}]),
    ),
    "hang-unnoticed": (planned(mode="kill"), planned(mode="fault")),
    "conditional-skipped": (text(after="@main $X=1"), text(after="@lb1 $X=1\n@main $X=2")),
    "multicast-mismatch": (
        model({"multicast_group": "224.0.0.50"}, both=MULTICAST),
        model(both={**MULTICAST, "multicast_group": "224.0.0.50"}),
    ),
    "script-no-program": (
        model(both={"tracks": (Track("haproxy"),)}, nodes=scripted(command="! pidof haproxy")),
        model(
            both={"tracks": (Track("haproxy"),)}, nodes=scripted(command="/bin/test ! -e /run/down")
        ),
    ),
    "check-mismatch": (
        model({"tracks": (*FAULT, Track("b"))}),
        # Another name for what can be the same check.
        model({"tracks": (*FAULT, Track("b"))}, {"tracks": (*FAULT, Track("c"))}),
    ),
    "sync-group-member-unknown": (
        model(nodes={"sync_groups": (SyncGroup("G", ("VI_1", "VI_9")),)}),
        model(nodes=group()),
    ),
    "priority-clamped": (
        model({"priority": 250}, {"priority": 240}, both=weight(20)),
        model({"priority": 230}, {"priority": 220}, both=weight(20)),
    ),
    "source-foreign": (
        model({"unicast_src_ip": "192.0.2.21"}),
        # Nothing is told of a node's addresses in other networks.
        model({"unicast_src_ip": "198.51.100.1"}),
    ),
    "source-duplicate": (
        model(both={"unicast_src_ip": "198.51.100.1"}),
        model({"unicast_src_ip": "198.51.100.1"}, {"unicast_src_ip": "198.51.100.2"}),
    ),
    "track-own-interface": (
        model(both={"tracks": (*FAULT, Track("eth0", CheckKind.INTERFACE, -20))}),
        model(both={"tracks": (*FAULT, Track("eth1", CheckKind.INTERFACE, -20))}),
    ),
    "value-missing": (text(body="garp_master_delay"), text(body="garp_master_delay 5")),
    "trailing-words": (text(values="nopreempt false"), text(values="nopreempt # false")),
    "family-mixed": (
        text(body="virtual_ipaddress {\n2001:db8::100/64\n}"),
        text(body="virtual_ipaddress_excluded {\n2001:db8::100/64\n}"),
    ),
    "template-unrendered": (
        text(priority="priority {{ keepalived_priority }}"),
        text(before="$PRIORITY=100", priority="priority ${PRIORITY}"),
    ),
    "script-path-linked": (
        model(nodes={**scripted(command="/bin/check", user="root"), **version((2, 3, 3))}),
        model(nodes={**scripted(command="/bin/check", user="root"), **version((2, 2, 8))}),
    ),
}
