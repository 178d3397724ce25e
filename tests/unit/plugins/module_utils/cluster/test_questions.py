# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a host is asked for."""

from __future__ import annotations

from ansible_collections.mycat.ha.plugins.module_utils.cluster.managed import (
    HAPROXY_CFG,
    KEEPALIVED_CONF,
)
from ansible_collections.mycat.ha.plugins.module_utils.cluster.questions import questions
from inventories import VIP, all_roles, lb, mycat

OF_BALANCER = {name: all_roles()[name] for name in ("haproxy", "keepalived")}
OF_MYCAT = {"mycat_status": all_roles()["mycat_status"]}
LOGIN = {"mycat_status_user": "monitor", "mycat_status_password": "secret"}


def test_a_load_balancer_is_asked_for_its_roles_and_for_the_vips() -> None:
    host = lb(11, keepalived_notify="/usr/local/bin/tell x")
    asked = questions(host, [host], [mycat(21)], OF_BALANCER)
    assert {HAPROXY_CFG, KEEPALIVED_CONF} < set(asked["paths"])
    assert asked["packages"] == ["haproxy", "keepalived"]
    assert {"haproxy.service", "keepalived.service"} <= set(asked["units"])
    assert "xinetd.service" not in asked["units"]
    assert asked["accounts"] == ["keepalived_script"]
    assert asked["vips"] == [{"address": VIP, "port": 8066}]
    assert asked["programs"] == ["/usr/local/bin/tell"]
    assert "login" not in asked
    assert "endpoint_port" not in asked


def test_a_mycat_is_asked_for_its_endpoint_and_logs_in_at_the_vips() -> None:
    host = mycat(21, mycat_status_credentials_file="/etc/c.json", mycat_status_port=48701)
    asked = questions(host, [lb(11)], [mycat(22, **LOGIN)], OF_MYCAT)
    assert (asked["endpoint_port"], asked["ports"]) == (48701, [48701])
    assert asked["paths"][-1] == "/etc/c.json"
    assert asked["vips"] == [{"address": VIP, "port": 8066}]
    assert asked["login"] == {"user": "monitor", "password": "secret"}
    assert "programs" not in asked


def test_each_cluster_s_vips_are_asked_and_none_that_answers_nowhere() -> None:
    west = lb(13, mycat_ha_vip="192.0.2.101/24", haproxy_mycat_bind="*:1")
    silent = lb(15, mycat_ha_vip="192.0.2.102/24", keepalived_verify_port=0)
    asked = questions(mycat(21), [lb(11), west, silent], [mycat(21)], OF_MYCAT)
    assert asked["vips"] == [
        {"address": VIP, "port": 8066},
        {"address": "192.0.2.101", "port": 1},
    ]


def test_settings_that_the_plan_refuses_are_no_reason_to_ask_less() -> None:
    host = lb(11, mycat_ha_vip="", keepalived_checks=[])
    asked = questions(host, [host], [], OF_BALANCER)
    assert asked["vips"] == []
    assert KEEPALIVED_CONF in asked["paths"]
