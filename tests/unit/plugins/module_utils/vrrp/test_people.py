# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Texts as people write them: ``tests/cases/validator``, decided by real daemons."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ansible_collections.mycat.ha.plugins.module_utils.keepalived.reader import parse_cluster
from ansible_collections.mycat.ha.plugins.module_utils.vrrp.findings import Severity
from ansible_collections.mycat.ha.plugins.module_utils.vrrp.validate import Report, validate

CASES = Path(__file__).parents[4] / "cases" / "validator"
VERDICTS = json.loads((CASES / "cases.json").read_text(encoding="utf-8"))
ADDRESSES = {"a": "192.0.2.11", "b": "192.0.2.12"}
# They depend on the machine, or on how many nodes a case needs; not on what it is about.
ASIDE = ("single-node", "no-check", "script-security")


def texts(name: str) -> dict[str, str]:
    return {
        path.name.split(".")[1]: path.read_bytes().decode("utf-8")
        for path in sorted(CASES.glob(f"{name}.?.conf"))
    }


def judged(name: str, *, told: bool = True) -> Report:
    given = texts(name)
    addresses = {node: ADDRESSES[node] for node in given} if told else {}
    return validate(*parse_cluster(given, addresses, (2, 2, 7)))


def places(report: Report, severity: Severity) -> list[str]:
    found = (item for item in report.findings if item.severity is severity)
    return sorted({f"{item.node}:{item.line} {item.id}" for item in found if item.id not in ASIDE})


def held(report: Report) -> dict[str, list[str]]:
    """Who holds each address when all is well."""
    first = next((outcome for outcome in report.outcomes if not outcome.failures), None)
    rows = first.holders if first else ()
    return {address: list(names) for address, names in rows if names}


@pytest.mark.parametrize("name", VERDICTS)
def test_findings(name):
    report = judged(name)
    assert places(report, Severity.ERROR) == VERDICTS[name]["errors"]
    assert places(report, Severity.WARNING) == VERDICTS[name]["warnings"]


@pytest.mark.parametrize(
    "name", [name for name, row in VERDICTS.items() if row["held"] is not None]
)
def test_the_holder_is_the_daemons(name):
    assert held(judged(name)) == VERDICTS[name]["held"]


@pytest.mark.parametrize("name", [name for name, row in VERDICTS.items() if row["exits"]])
def test_a_daemon_that_ends_is_an_error_with_a_line(name):
    errors = [item for item in judged(name).findings if item.severity is Severity.ERROR]
    for node in VERDICTS[name]["exits"]:
        assert any(item.node == node and item.line for item in errors)


# Where a source address is wrong only against what was told, nothing shows without it.
@pytest.mark.parametrize(
    "name", [name for name, row in VERDICTS.items() if row["held"] and name != "u-srcnotlocal"]
)
def test_the_holder_is_found_without_addresses_too(name):
    assert held(judged(name, told=False)) == VERDICTS[name]["held"]
