# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from ansible_collections.mycat.ha.plugins.module_utils.variables import unknown_variables

KNOWN = ("keepalived_garp_master_delay", "mycat_ha_vips", "mycat_status_port", "haproxy_maxconn")


def test_known_and_foreign_variables_are_nobody_s_business() -> None:
    assert unknown_variables([*KNOWN, "nginx_port", "ansible_host"], KNOWN) == ([], [])


def test_what_only_we_could_have_is_refused() -> None:
    refusals, warnings = unknown_variables(["mycat_ha_vipss", "mycat_status_prot"], KNOWN)
    assert [str(refusal) for refusal in refusals] == [
        "mycat_ha_vipss: is not known; write mycat_ha_vips",
        "mycat_status_prot: is not known; write mycat_status_port",
    ]
    assert warnings == []


def test_what_another_role_may_have_is_a_warning() -> None:
    refusals, warnings = unknown_variables(["keepalived_garp_master_dealy", "haproxy_xyz"], KNOWN)
    assert refusals == []
    assert warnings == [
        "haproxy_xyz: is no variable of this collection and does nothing here; leave it out, or "
        "name it in mycat_ha_ignore_variables",
        "keepalived_garp_master_dealy: is no variable of this collection and does nothing here; "
        "write keepalived_garp_master_delay",
    ]


def test_what_is_ignored_is_neither() -> None:
    names = ["mycat_ha_mine", "keepalived_mine"]
    assert unknown_variables(names, KNOWN, names) == ([], [])
