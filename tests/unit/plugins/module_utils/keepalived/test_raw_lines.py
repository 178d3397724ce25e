# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.mycat.ha.plugins.module_utils.keepalived.raw_lines import (
    judge_raw_lines,
    with_raw_lines,
)
from ansible_collections.mycat.ha.plugins.module_utils.readers import SettingError
from test_keepalived_settings import settings, vip


def test_complaints_name_the_raw_lines_they_are_about() -> None:
    given = settings(vips=vip(extra=["garp_extra_if x"]), extra=["garp_group {", "}"])
    text = "vrrp_instance a {\n    garp_extra_if x\n    state BACKUP\n}\ngarp_group {\n}\n"
    assert with_raw_lines("(Line 2) bad; (Line 2) worse", text, given) == (
        "(Line 2) bad; (Line 2) worse. Line 2 is keepalived_vips[0].extra[0]: garp_extra_if x"
    )
    assert with_raw_lines("(Line 5) bad", text, given).endswith("keepalived_extra[0]: garp_group {")
    for other in ("(Line 3) bad", "(Line 99) bad", "no line"):
        assert with_raw_lines(other, text, given) == other


def test_a_keyword_with_braces_is_shown_as_it_is() -> None:
    with pytest.raises(SettingError, match=r"extra\[0\]: '~\(vips\)' is no keyword of keepalived"):
        judge_raw_lines("extra", ["~(vips) x"], "global_defs")
