# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Texts as people write them, decided by real daemons: ``tests/cases/validator``, each for one
kind, and ``tests/cases/texts``, random ones that ``tests/differential --texts --record`` wrote."""

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


RECORDED = json.loads((CASES.parent / "texts" / "2.2.7.json").read_text(encoding="utf-8"))
PAIR = {"lb1": "192.0.2.11", "lb2": "192.0.2.12"}


@pytest.mark.parametrize("row", RECORDED, ids=lambda row: " and ".join(row["quirks"]))
def test_a_recorded_text_is_held_as_the_daemons_held_it(row):
    """First all is well, then the node that holds an address loses power."""
    report = validate(*parse_cluster(row["texts"], PAIR, (2, 2, 7)))
    held: dict[str, list[str]] = {}
    steps = [[]]
    lost = next((name for name in PAIR if any(name in n for n in row["held"][0].values())), "")
    if lost:
        steps.append([f"{lost} loses power"])
    for failures, seen in zip(steps, row["held"]):
        for outcome in report.as_data()["outcomes"]:
            if outcome["failures"] == failures:
                held.update(outcome["holders"])
        assert {vip: names for vip, names in held.items() if names} == seen
    errors = {item.node for item in report.findings if item.severity is Severity.ERROR}
    assert set(row["ended"]) <= errors
