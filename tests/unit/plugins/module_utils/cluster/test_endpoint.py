# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of the role mycat_status as its program gets them."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.mycat.ha.plugins.module_utils.cluster.endpoint import (
    load_program,
    template_context,
)
from ansible_collections.mycat.ha.plugins.module_utils.cluster.files import Role
from ansible_collections.mycat.ha.plugins.module_utils.cluster.hosts import HostView
from ansible_collections.mycat.ha.plugins.module_utils.readers import RefusalError
from ansible_collections.mycat.ha.plugins.module_utils.settings import typed

ROLE = Role(Path(__file__).parents[5] / "roles/mycat_status")
PROGRAM = load_program(ROLE.folder)


def context(**variables):
    settings, errors = typed(ROLE.spec(), variables)
    assert errors == []
    host = HostView(
        name="mycat1", common={}, settings={"mycat_status": settings}, given=frozenset()
    )
    return template_context(host, ["192.0.2.11"], PROGRAM, 3.5)


def test_each_setting_of_the_program_is_an_option():
    options = {f"mycat_status_{name}" for name in PROGRAM.SETTINGS}
    of_no_concern = {"mycat_status_drain_file", "mycat_status_memory_file"}
    assert options - set(ROLE.spec()) == of_no_concern


def test_the_defaults_of_options_and_program_are_the_same():
    asked = context()["program_settings"]
    fixed = ("allow", "credentials_file", "level", "pid_file", "wrapper")
    differ = {
        name
        for name, (default, _check) in PROGRAM.SETTINGS.items()
        if name not in fixed and asked.get(name, default) != default
    }
    assert differ == set()


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("require_pid", True),
        ("ready_query", "select 1 from t"),
        ("recovery_time", 10.0),
        ("max_age", 0.25),
        ("sql_port", 3307),
    ],
)
def test_the_program_gets_what_is_set(setting, value):
    asked = context(**{f"mycat_status_{setting}": value})["program_settings"]
    assert asked[setting] == value


def test_what_the_program_refuses_is_refused_by_the_name_of_the_option():
    with pytest.raises(RefusalError) as refusal:
        context(mycat_status_recovery_time=-1, mycat_status_host="nowhere", mycat_status_port=0)
    assert sorted(error.option for error in refusal.value.errors) == [
        "mycat_status_host",
        "mycat_status_port",
        "mycat_status_recovery_time",
    ]
