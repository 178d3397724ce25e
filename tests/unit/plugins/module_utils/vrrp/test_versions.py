# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.mycat.ha.plugins.module_utils.vrrp import versions


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Keepalived v2.2.7 (01/16,2022)\n\nCopyright", "2.2.7"),
        ("Keepalived v2.3.3-dirty", "2.3.3"),
        ("sh: not found", ""),
    ],
)
def test_installed_version(text: str, expected: str) -> None:
    assert versions.installed_version(text) == expected


@pytest.mark.parametrize(
    ("release", "expected"),
    [
        (("Debian", "12", "12.5"), "2.2.7"),
        (("Ubuntu", "24", "24.04"), "2.2.8"),
        (("Slackware", "15", "15.0"), "2.1.5"),
        ((), "2.1.5"),
    ],
)
def test_distributed_version(release: tuple[str, ...], expected: str) -> None:
    keys = ("distribution", "distribution_major_version", "distribution_version")
    assert versions.distributed_version(dict(zip(keys, release))) == expected


def test_versions_compare_as_numbers() -> None:
    assert versions.numbers("2.10.0") > versions.numbers("2.9.1")
