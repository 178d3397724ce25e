# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes from a host: all that the roles may have put there, and nothing of others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.mycat.ha.plugins.module_utils.cluster.files import roles
from ansible_collections.mycat.ha.plugins.module_utils.cluster.remains import remains
from ansible_collections.mycat.ha.plugins.module_utils.host import maintenance, restart

COLLECTION = Path(__file__).parents[5]
LB, MYCAT = ("keepalived", "haproxy"), ("mycat_status",)
ACTIVE = {"active": "active", "enabled": "enabled"}
NOTHING = {"active": "inactive", "enabled": "disabled"}


def left(names: Any, settings: Any = None, **state: Any) -> dict[str, Any]:
    return remains(roles(COLLECTION, names), state, settings or {}, packages=False)


@pytest.mark.parametrize("names", [LB, MYCAT, (*LB, *MYCAT)])
def test_every_path_of_the_roles_goes_once(names: tuple[str, ...]) -> None:
    found = left(names)
    going = [*found["absent"], *found["folders"], *found["trees"]]
    assert len(going) == len(set(going))
    for role in roles(COLLECTION, names).values():
        for path in role.paths:
            within = any(path.startswith(f"{tree}/") for tree in found["trees"])
            assert within or path in going, path


def test_folders_that_others_may_use_go_only_empty_and_deeper_ones_first() -> None:
    folders = left(MYCAT)["folders"]
    assert "/etc/systemd/system/xinetd.service.d" in folders
    assert folders.index("/usr/local/lib/mycat_status/__pycache__") < folders.index(
        "/usr/local/lib/mycat_status"
    )
    assert not set(folders) & set(left(MYCAT)["trees"])


def test_the_operators_own_file_of_credentials_stays() -> None:
    path = "/etc/mycat_status/credentials.json"
    assert path in left(MYCAT)["absent"]
    own = {"mycat_status": {"mycat_status_credentials_file": path}}
    assert path not in left(MYCAT, own)["absent"]


def test_the_link_for_node_exporter_goes() -> None:
    settings = {"keepalived": {"keepalived_metrics_directory": "/var/lib/metrics"}}
    link = "/var/lib/metrics/mycat_ha_vrrp.prom"
    assert link in left(LB, settings)["absent"]
    # The inventory may have it no more.
    assert link in left(LB, metrics_links=[link])["absent"]
    assert left(LB, settings, metrics_links=[link])["absent"].count(link) == 1


def test_what_runs_is_stopped_who_watches_first() -> None:
    units = {"haproxy.service": ACTIVE, "keepalived.service": ACTIVE}
    units["mycat_ha_addresses.service"] = {"active": "active", "enabled": "static"}
    found = left(LB, units=units)["units"]
    assert found == [
        {"name": "mycat_ha_addresses.service", "at_boot": False},
        {"name": "keepalived.service", "at_boot": True},
        {"name": "haproxy.service", "at_boot": True},
    ]
    assert left(LB, units=dict.fromkeys(units, NOTHING))["units"] == []
    assert left(LB)["units"] == []


def test_units_that_sockets_start_are_stopped_where_they_are_installed() -> None:
    path = "/etc/systemd/system/mycat_status.service"
    found = left(MYCAT, files={path: {"kind": "file"}})["units"]
    assert found == [{"name": "mycat_status.service", "at_boot": False}]
    assert left(MYCAT, files={path: {"kind": "absent"}})["units"] == []


def test_packages_stay_unless_asked_for() -> None:
    there = {"haproxy": "2.6.12", "keepalived": None}
    found = remains(roles(COLLECTION, LB), {"packages": there}, {}, True)
    assert found["packages"] == ["haproxy"]
    assert remains(roles(COLLECTION, LB), {"packages": there}, {}, False)["packages"] == []


def test_what_other_runs_note_goes() -> None:
    noted = {maintenance.FILE, restart.LOCK, restart.FILE}
    assert noted <= set(left(MYCAT)["absent"])
