# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.mycat.ha.plugins.module_utils.keepalived.names import OperatorNames

CHECKS, NODES = ("haproxy", "disk"), ("lb1", "lb2")


@pytest.mark.parametrize(
    ("option", "given", "expected"),
    [
        pytest.param("vips[0].address", ["mycat_ha_vip"], "mycat_ha_vip", id="one-vip"),
        pytest.param("vips[0]", ["mycat_ha_vip"], "mycat_ha_vip", id="one-vip-as-a-whole"),
        pytest.param(
            "keepalived_vips[0].address", ["mycat_ha_vip"], "mycat_ha_vip", id="vip-of-the-role"
        ),
        pytest.param("vips[1].name", ["mycat_ha_vips"], "mycat_ha_vips[1].name", id="several-vips"),
        pytest.param("vips", ["mycat_ha_vips"], "mycat_ha_vips", id="all-vips"),
        pytest.param("vips[1].name", [], "keepalived_vips[1].name", id="the-role's-own"),
        pytest.param(
            "vips[0].address",
            ["mycat_ha_vip", "keepalived_vips"],
            "keepalived_vips[0].address",
            id="the-role's-own-wins",
        ),
        pytest.param("checks[1].weight", [], "keepalived_checks disk.weight", id="check"),
        pytest.param("checks", [], "keepalived_checks", id="checks"),
        pytest.param("checks[].effect", [], "effect", id="every-check"),
        pytest.param("failover_budget", [], "mycat_ha_failover_budget", id="budget"),
        pytest.param("mode", [], "mycat_ha_failover_mode", id="mode"),
        pytest.param(
            "mode", ["keepalived_failover_mode"], "keepalived_failover_mode", id="mode-of-the-role"
        ),
        pytest.param(
            "keepalived_failover_mode", [], "mycat_ha_failover_mode", id="the-role's-mode"
        ),
        pytest.param("vrrp_version", [], "keepalived_vrrp_version", id="asked-of-the-plan"),
        pytest.param("nodes[1]", [], "lb2", id="node"),
        pytest.param("nodes[1].links[0].address", [], "keepalived_address of lb2", id="address"),
        pytest.param("nodes", [], "the load balancers (mycat_ha_lb_group)", id="nodes"),
        pytest.param("keepalived_mail.smtp_server", [], "keepalived_mail.smtp_server", id="other"),
        pytest.param("plan", [], "plan", id="the-plan"),
    ],
)
def test_options_are_called_as_the_operator_calls_them(
    option: str, given: list[str], expected: str
) -> None:
    assert OperatorNames(given, CHECKS, NODES)(option) == expected


def test_ranks_come_from_the_check_of_the_backends() -> None:
    names = OperatorNames((), ("haproxy", "backends"), NODES)
    assert names("checks[].effect") == "keepalived_backends_check: false and effect"
