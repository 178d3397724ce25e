# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.mycat.ha.plugins.module_utils.haproxy.listeners import Inventory
from ansible_collections.mycat.ha.plugins.module_utils.haproxy.settings import (
    RESERVE,
    default_bind,
    resolve,
)
from ansible_collections.mycat.ha.plugins.module_utils.readers import RefusalError, SettingError

ROLE = Path(__file__).parents[5] / "roles/haproxy"
DEFAULTS = {
    **yaml.safe_load((ROLE / "defaults/main.yml").read_text(encoding="utf-8")),
    "haproxy_mycat_bind": "*:8066",
    "haproxy_check_inter": "1s",
    "haproxy_check_fastinter": "250ms",
    "haproxy_timeout_check": "2s",
    "vips": ["192.0.2.100/24"],
}
PORTS = {"port": 8066, "check_port": 48700}
MYCATS = [
    {"name": "mycat1", "address": "192.0.2.21", **PORTS},
    {"name": "mycat2", "address": "192.0.2.22", **PORTS},
]
INVENTORY = Inventory(
    {"web": ["web1"], "lost": ["lost"], "spaces": ["a b"], "nobody": []},
    {"web1": "2001:db8::1", "a b": "192.0.2.23"},
)
SERVER = {"name": "s1", "address": "192.0.2.31", "port": 80}
WEB = {"name": "web", "bind": "*:80", "servers": [SERVER]}


def resolved(mycats: list | None = None, version: str = "2.6.12", **changes: Any) -> dict[str, Any]:
    return resolve({**DEFAULTS, **changes}, mycats or MYCATS, INVENTORY, version)


def with_web(**changes: Any) -> dict[str, Any]:
    return {"haproxy_listeners": [{**WEB, **changes}]}


def with_server(**changes: Any) -> dict[str, Any]:
    return with_web(servers=[{**SERVER, **changes}])


def test_a_limit_for_each_client_is_off_unless_asked_for() -> None:
    asked = resolved(haproxy_mycat_client_maxconn=200, haproxy_mycat_extra=["option x"])
    table, track, reject = asked["listeners"][0]["extra"][1:]
    assert table.startswith("stick-table type ipv6 size 8192 ")
    assert track == "tcp-request connection track-sc0 src"
    assert reject == "tcp-request connection reject if { sc0_conn_cur gt 200 }"
    assert resolved()["listeners"][0]["extra"] == []


def test_the_defaults_balance_every_mycat() -> None:
    model = resolved()
    (mycat,) = model["listeners"]
    assert mycat["bind"] == ["*:8066"]
    assert [(s["name"], s["address"], s["port"]) for s in mycat["servers"]] == [
        ("mycat1", "192.0.2.21", 8066),
        ("mycat2", "192.0.2.22", 8066),
    ]
    assert mycat["check"]["port"] == 48700
    assert "on-marked-down shutdown-sessions" in mycat["default_server"]
    assert "observe layer4" in mycat["default_server"]
    assert model["stats"]["bind"] == ["127.0.0.1:48800"]


def test_a_full_listener_leaves_connections_for_the_health_answer() -> None:
    assert resolved(haproxy_maxconn=1000)["maxconn"] == 1000 + RESERVE
    model = resolved(haproxy_maxconn=1000, **with_web(maxconn=50))
    assert model["maxconn"] == 1000 + 50 + RESERVE


def test_numbers_may_come_as_text() -> None:
    assert resolved(haproxy_maxconn="1000")["listeners"][0]["maxconn"] == 1000
    (_, web) = resolved(**with_server(weight="7"))["listeners"]
    assert web["servers"][0]["weight"] == 7


def test_a_name_that_nobody_knows_keeps_no_haproxy_from_starting() -> None:
    mycats = [{**MYCATS[0], "address": "mycat1.example"}, {**MYCATS[1], "check_port": 1}]
    (mycat, web) = resolved(mycats, **with_server(address="db", options="init-addr none"))[
        "listeners"
    ]
    assert [server["options"] for server in mycat["servers"]] == [
        "init-addr libc,none port 48700",
        "port 1",
    ]
    assert web["servers"][0]["options"] == "init-addr none"


def test_all_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(RefusalError) as refusal:
        resolved(
            haproxy_maxconn=0,
            haproxy_timeout_client="soon",
            haproxy_timeout_queue="1",
            haproxy_mycat_bind="nowhere",
            haproxy_stats_uri="a b",
            haproxy_alive_bind="*:1",
            haproxy_global_extra=["a\nb"],
            haproxy_listeners=[{**WEB, "mode": "udp"}, {"name": "other"}],
        )
    assert sorted(error.option for error in refusal.value.errors) == [
        "haproxy_alive_bind",
        "haproxy_global_extra[0]",
        "haproxy_listeners[0].mode",
        "haproxy_listeners[1].bind",
        "haproxy_maxconn",
        "haproxy_mycat_bind",
        "haproxy_stats_uri",
        "haproxy_timeout_client",
        "haproxy_timeout_queue",
    ]


def test_servers_of_a_group() -> None:
    given = {"name": "web", "bind": ["*:80", "[::]:81"], "group": "web", "port": 8080}
    (_, web) = resolved(haproxy_listeners=[given])["listeners"]
    assert [(s["name"], s["address"], s["port"]) for s in web["servers"]] == [
        ("web1", "2001:db8::1", 8080)
    ]
    assert web["bind"] == ["*:80", "[::]:81"]


def test_options_left_out_come_as_none_from_ansible() -> None:
    (_, web) = resolved(**with_web(tls=None, check={"type": None, "port": None}))["listeners"]
    assert web["check"] == {"type": "tcp"}
    assert "tls" not in web


def test_the_manager_port_is_balanced_on_request_only() -> None:
    assert [listener["name"] for listener in resolved()["listeners"]] == ["mycat"]
    (_, manager) = resolved(haproxy_manager_bind="127.0.0.1:9066")["listeners"]
    assert [server["port"] for server in manager["servers"]] == [9066, 9066]
    assert manager["servers"][0]["options"] == "track mycat/mycat1"
    assert resolved(haproxy_manager_bind="*:9066", haproxy_manager_exposed=True)


def test_the_password_is_not_in_the_result() -> None:
    given = {"haproxy_stats_bind": "*:48800", "haproxy_stats_password": "long enough"}
    model = resolved(**given)
    assert model["stats"]["password"] is True
    assert "long enough" not in repr(model)


def section(server: str) -> str:
    return f"backend sql\n  option mysql-check user x\n# one server\n  server db {server} check\n"


def test_mysql_check_is_for_databases() -> None:
    (_, database) = resolved(**with_web(extra=["option mysql-check user haproxy"]))["listeners"]
    assert database["extra"] == ["option mysql-check user haproxy"]
    others = "backend mycat2\n  server mycat1 192.0.2.21:8066\n"
    assert resolved(haproxy_extra=section("192.0.2.31:3306") + others)


@pytest.mark.parametrize(
    ("settings", "nonlocal_bind"),
    [
        pytest.param({}, False, id="all-addresses"),
        pytest.param({"haproxy_mycat_bind": "192.0.2.11:8066"}, False, id="own-address"),
        pytest.param({"haproxy_mycat_bind": "192.0.2.100:8066"}, True, id="virtual-ip"),
        pytest.param(with_web(bind="192.0.2.100:80"), True, id="virtual-ip-of-another-service"),
        pytest.param({"haproxy_nonlocal_bind": True}, True, id="asked-for"),
    ],
)
def test_the_virtual_ip_is_bound_wherever_it_is(
    settings: dict[str, Any], nonlocal_bind: bool
) -> None:
    assert resolved(**settings)["nonlocal_bind"] is nonlocal_bind


def test_a_check_with_headers_of_its_own_is_fine_as_http_check_send() -> None:
    lines = ["option httpchk", "http-check send meth OPTIONS uri * ver HTTP/1.1 hdr Host www"]
    (_, web) = resolved(**with_web(extra=lines))["listeners"]
    assert web["extra"] == lines


REFUSED = {
    "time without unit": (
        {"haproxy_timeout_client": "30"},
        r'^haproxy_timeout_client: "30" is not a time; write a number and a unit',
    ),
    "time as number": ({"haproxy_check_inter": 500}, "^haproxy_check_inter: 500 is not a time"),
    "time and more": ({"haproxy_check_inter": "1s\n"}, r'^haproxy_check_inter: "1s\\n" is not'),
    "fall 0": ({"haproxy_check_fall": 0}, "^haproxy_check_fall: 0 is out of range; write 1 to"),
    "port 0": ({"mycats": [{**MYCATS[0], "port": 0}]}, "^haproxy_mycat_port: 0 is out of range"),
    "no host": (
        with_web(servers=None, group="nobody", port=80),
        r'^haproxy_listeners\[0\]\.group: the inventory has no host in the group "nobody"',
    ),
    "no group": (
        with_web(servers=None, group="other", port=80),
        r'^haproxy_listeners\[0\]\.group: the inventory has no host in the group "other"',
    ),
    "bind without port": (
        {"haproxy_mycat_bind": "192.0.2.1"},
        "^haproxy_mycat_bind: .*ADDRESS:PORT",
    ),
    "bind to a port too high": ({"haproxy_mycat_bind": "*:70000"}, '^haproxy_mycat_bind: "70000"'),
    "bind with options": ({"haproxy_mycat_bind": "*:1 ssl"}, "^haproxy_mycat_bind: .*ADDRESS:PORT"),
    "maxconn 0": ({"haproxy_maxconn": 0}, "^haproxy_maxconn: 0 is out of range"),
    "maxconn true": ({"haproxy_maxconn": True}, "^haproxy_maxconn: True is out of range"),
    "more for a client than for all": (
        {"haproxy_maxconn": 100, "haproxy_mycat_client_maxconn": 101},
        "^haproxy_mycat_client_maxconn: 101 is out of range; write 0 to 100",
    ),
    "fewer than none for a client": (
        {"haproxy_mycat_client_maxconn": -1},
        "^haproxy_mycat_client_maxconn: -1 is out of range",
    ),
    "two tables": (
        {"haproxy_mycat_client_maxconn": 9, "haproxy_mycat_extra": ["stick-table type ip size 1"]},
        "^haproxy_mycat_client_maxconn: take `stick-table` out of haproxy_mycat_extra, or write 0",
    ),
    "balance": ({"haproxy_mycat_balance": "best"}, '^haproxy_mycat_balance: "best" is unknown'),
    "mysql-check": (
        {"haproxy_mycat_extra": ["balance first", " option  mysql-check user x"]},
        r"^haproxy_mycat_extra\[1\]: `option mysql-check` does not tell .* without a password",
    ),
    "mysql-check in defaults": (
        {"haproxy_defaults_extra": ["option mysql-check"]},
        r"^haproxy_defaults_extra\[0\]: `option mysql-check`",
    ),
    "mysql-check on a MyCat": (
        with_web(
            servers=[{"name": "m", "address": "192.0.2.21", "port": 8066}],
            extra=["option mysql-check"],
        ),
        r"^haproxy_listeners\[0\]\.extra\[0\]: `option mysql-check`",
    ),
    "mysql-check on a MyCat by its name": (
        with_web(
            servers=[{"name": "m", "address": "mycat2", "port": 8066}],
            extra=["option mysql-check"],
        ),
        r"^haproxy_listeners\[0\]\.extra\[0\]: `option mysql-check`",
    ),
    "mysql-check on a MyCat in a raw section": (
        {"haproxy_extra": section("192.0.2.31:3306") + section("192.0.2.22:8066")},
        r"^haproxy_extra: `option mysql-check`",
    ),
    "no raw sections": ({"haproxy_extra": ["listen x"]}, "^haproxy_extra: is no text"),
    "headers behind httpchk": (
        {"haproxy_mycat_extra": ["option httpchk OPTIONS * HTTP/1.1\\r\\nHost:\\ www"]},
        r"^haproxy_mycat_extra\[0\]: headers behind `option httpchk` .* `http-check send ",
    ),
    "headers behind httpchk in a raw section": (
        {"haproxy_extra": "backend x\n  option httpchk GET / HTTP/1.0\\r\\nHost:\\ www\n"},
        "^haproxy_extra: headers behind `option httpchk`",
    ),
    "health answers for all": (
        {"haproxy_alive_bind": "*:48801"},
        r'^haproxy_alive_bind: "\*:48801" is reached from other hosts.* Write 127\.0\.0\.1:48801',
    ),
    "line break in a raw line": (
        {"haproxy_global_extra": ["a\nb"]},
        r"^haproxy_global_extra\[0\]: .*several lines",
    ),
    "line break in raw words": (
        {"haproxy_mycat_server_options": "a\nb"},
        "^haproxy_mycat_server_options: ",
    ),
    "stats for all without password": (
        {"haproxy_stats_bind": "*:48800"},
        "^haproxy_stats_password: is missing",
    ),
    "stats on one more address": (
        {"haproxy_stats_bind": "127.0.0.1:48800,192.0.2.11:48800"},
        "^haproxy_stats_password: is missing",
    ),
    "password as the user": (
        {"haproxy_stats_user": "administrator", "haproxy_stats_password": "administrator"},
        "^haproxy_stats_password: is easily guessed",
    ),
    "admin:admin": ({"haproxy_stats_password": "admin"}, "^haproxy_stats_password: is easily"),
    "password with a line break": (
        {"haproxy_stats_password": "12345678\n"},
        "^haproxy_stats_password: has characters",
    ),
    "manager for all": (
        {"haproxy_manager_bind": "*:9066"},
        "^haproxy_manager_bind: .* switch MyCat",
    ),
    "manager on IPv6 for all": ({"haproxy_manager_bind": "[::]:9066"}, "^haproxy_manager_bind: "),
    "manager on the VIP": (
        {"haproxy_manager_bind": "192.0.2.100:9066"},
        "^haproxy_manager_bind: .*haproxy_manager_exposed",
    ),
    "port taken": (
        {"haproxy_stats_bind": "127.0.0.1:8066"},
        '^haproxy_stats_bind: "127.0.0.1:8066" is taken by haproxy_mycat_bind',
    ),
    "no list": ({"haproxy_listeners": {"name": "web"}}, "^haproxy_listeners: .* no list"),
    "no mapping": ({"haproxy_listeners": ["web"]}, r"^haproxy_listeners\[0\]: .*no mapping"),
    "unknown option": (with_web(blance="x"), r"^haproxy_listeners\[0\]\.blance: is no option"),
    "no name": (
        {"haproxy_listeners": [{"bind": "*:80", "servers": [SERVER]}]},
        r"^haproxy_listeners\[0\]\.name: is missing",
    ),
    "name with a space": (with_web(name="a b"), r'^haproxy_listeners\[0\]\.name: "a b" is no name'),
    "name with a newline": (
        with_web(name="a\n"),
        r'^haproxy_listeners\[0\]\.name: "a\\n" is no name',
    ),
    "name of the role": (with_web(name="mycat"), r"^haproxy_listeners\[0\]\.name: .*taken"),
    "name twice": (
        {"haproxy_listeners": [WEB, {**WEB, "bind": "*:81"}]},
        r'^haproxy_listeners\[1\]\.name: "web" is taken by haproxy_listeners\[0\]\.name',
    ),
    "port twice": (
        {"haproxy_listeners": [WEB, {**WEB, "name": "x", "bind": "192.0.2.1:80"}]},
        r'^haproxy_listeners\[1\]\.bind: "192.0.2.1:80" is taken by haproxy_listeners\[0\]\.bind',
    ),
    "port of MyCat": (
        with_web(bind="*:8066"),
        r"^haproxy_listeners\[0\]\.bind: .*haproxy_mycat_bind",
    ),
    "no servers": (with_web(servers=[]), r"^haproxy_listeners\[0\]\.servers: is empty"),
    "servers and group": (with_web(group="web"), r"^haproxy_listeners\[0\]\.servers: write either"),
    "group without port": (
        {"haproxy_listeners": [{"name": "web", "bind": "*:80", "group": "web"}]},
        r"^haproxy_listeners\[0\]\.port: is missing",
    ),
    "empty group": (
        {"haproxy_listeners": [{"name": "web", "bind": "*:80", "group": "nobody", "port": 1}]},
        r'^haproxy_listeners\[0\]\.group: .* group "nobody"',
    ),
    "mode": (with_web(mode="udp"), r'^haproxy_listeners\[0\]\.mode: "udp" is unknown'),
    "timeout": (
        with_web(timeouts={"client": "30"}),
        r'^haproxy_listeners\[0\]\.timeouts\.client: "30" is not a time',
    ),
    "check type": (with_web(check={"type": "mysql"}), r"^haproxy_listeners\[0\]\.check\.type: "),
    "check with a space": (
        with_web(check={"type": "http", "uri": "/ HTTP/1.1"}),
        r"^haproxy_listeners\[0\]\.check\.uri: ",
    ),
    "TLS without certificate": (
        with_web(tls={"options": "alpn h2"}),
        r"^haproxy_listeners\[0\]\.tls\.certificate: is missing",
    ),
    "weight": (
        {
            "haproxy_listeners": [
                WEB,
                {**WEB, "name": "x", "bind": "*:81", "servers": [{**SERVER, "weight": 300}]},
            ]
        },
        r"^haproxy_listeners\[1\]\.servers\[0\]\.weight: 300 is out of range; write 0 to 256$",
    ),
    "server twice": (
        with_web(servers=[SERVER, SERVER]),
        r'^haproxy_listeners\[0\]\.servers\[1\]\.name: "s1" is taken by .*servers\[0\]\.name',
    ),
    "server without port": (
        with_web(servers=[{"name": "a", "address": "192.0.2.1"}]),
        r"^haproxy_listeners\[0\]\.servers\[0\]\.port: is missing",
    ),
    "server's name": (with_server(name="a b"), r"\.servers\[0\]\.name: "),
    "server's address": (with_server(address="192.0.2.1 check"), r"\.servers\[0\]\.address: "),
    "server's port": (with_server(port="http"), r'\.servers\[0\]\.port: "http" is out of range'),
    "server's options": (with_server(options="a\nb"), r"\.servers\[0\]\.options: "),
}


@pytest.mark.parametrize(("changes", "says"), REFUSED.values(), ids=REFUSED)
def test_refused_by_name(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(SettingError, match=says):
        resolved(**changes)


@pytest.mark.parametrize(
    ("group", "says"),
    [
        pytest.param("lost", "^mycat_ha_address: no address of lost is known", id="no-address"),
        pytest.param("spaces", '^inventory host "a b": .*Rename the host', id="name-with-a-space"),
    ],
)
def test_a_host_that_cannot_be_a_server(group: str, says: str) -> None:
    with pytest.raises(SettingError, match=says):
        resolved(**with_web(servers=None, group=group, port=80))


def test_mycats_with_different_check_ports_are_checked_each_at_its_own() -> None:
    (mycat,) = resolved([MYCATS[0], {**MYCATS[1], "check_port": 48701}])["listeners"]
    assert "port" not in mycat["check"]
    assert [server["options"] for server in mycat["servers"]] == ["port 48700", "port 48701"]


@pytest.mark.parametrize(
    ("version", "known"), [("2.2.9", False), ("2.4", True), ("3.0.8-1", True), ("", False)]
)
def test_keepalive_times_are_written_where_haproxy_knows_them(version: str, known: bool) -> None:
    assert resolved(version=version)["keepalive_times"] is known


def test_clients_connect_to_every_address_of_the_vips_kinds() -> None:
    assert default_bind(["192.0.2.100/24"]) == "*:8066"
    assert default_bind(["192.0.2.100/24", "2001:db8::64/64"]) == ":::8066"
