# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import re
from pathlib import Path

import pytest
from faults import CASES
from pair import VIP, broken, main, problem


@pytest.mark.parametrize("name", CASES)
def test_a_problem_is_named_with_its_fix(name: str) -> None:
    breaks, kind, severity, host, what, fix = CASES[name]
    pair = broken(*breaks)
    found = problem(pair, kind, host)
    assert found["severity"] == severity
    assert what in found["what"]
    assert fix in found["fix"]
    cluster = main(pair)
    severities = {one["severity"] for one in cluster["problems"]}
    assert cluster["degraded"] is ("degraded" in severities)
    assert cluster["ok"] is (severities <= {"warning"})
    if severity == "error":
        assert not cluster["vips"][VIP]["serves"]


def test_every_kind_has_a_case() -> None:
    found = {one["kind"] for name in CASES for one in main(broken(*CASES[name][0]))["problems"]}
    assert found == {kind for _breaks, kind, *_rest in CASES.values()}


def test_every_kind_is_documented_with_its_severities() -> None:
    page = (Path(__file__).parents[5] / "docs/report.md").read_text(encoding="utf-8")
    documented = dict(re.findall(r"^\| `([a-z-]+)` \| ([a-z, ]+) \|", page, re.MULTILINE))
    severities: dict[str, set[str]] = {}
    for _breaks, kind, severity, *_rest in CASES.values():
        severities.setdefault(kind, set()).add(severity)
    assert documented == {kind: ", ".join(sorted(found)) for kind, found in severities.items()}
