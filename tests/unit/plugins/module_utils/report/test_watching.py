# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.mycat.ha.plugins.module_utils.readers import SettingError
from ansible_collections.mycat.ha.plugins.module_utils.report.watching import interval


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        *((None, None), ("", None), ("no", None), ("False", None)),
        *(("yes", 5.0), ("True", 5.0), ("1", 1.0), ("2.5", 2.5), (" 60 ", 60.0)),
    ],
)
def test_seconds_yes_and_no(value: str | None, seconds: float | None) -> None:
    assert interval(value) == seconds


@pytest.mark.parametrize("value", ["0", "-5", "0.9", "nan", "inf", "86401", "often", "5s"])
def test_other_values_are_refused_by_name(value: str) -> None:
    with pytest.raises(SettingError, match=r"mycat_ha_watch: is .*; write the seconds between"):
        interval(value)
