# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import time

import pytest
from ansible_collections.mycat.ha.plugins.module_utils.host import units

SHOWN = """Names=haproxy.service
LoadState=loaded
ActiveState=active
UnitFileState=enabled
MainPID=7
StateChangeTimestampMonotonic=1000000

LoadState=not-found
ActiveState=inactive
UnitFileState=
MainPID=0
StateChangeTimestampMonotonic=0
Names=none.service

Names=a.socket b.socket
LoadState=loaded
ActiveState=failed
UnitFileState=static
"""


@pytest.mark.parametrize(
    ("unit", "active", "enabled"),
    [
        ("haproxy", "active", "enabled"),
        ("haproxy.service", "active", "enabled"),
        ("none", "inactive", "not-found"),
        ("b.socket", "failed", "static"),
        ("never asked", "inactive", "not-found"),
    ],
)
def test_the_state_of_a_unit(unit: str, active: str, enabled: str) -> None:
    found = units.properties_of(unit, units.blocks(SHOWN))
    assert units.state_of(found) == {"active": active, "enabled": enabled}


def test_when_systemd_last_changed_a_process() -> None:
    unit = units.properties_of("haproxy", units.blocks(SHOWN))
    changed = units.last_change(unit, 7)
    assert changed is not None
    assert changed == pytest.approx(time.time() - time.monotonic() + 1, abs=0.5)
    assert units.last_change(unit, 8) is None
    assert units.last_change({}, None) is None
