# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every way to follow every fix of every finding is followed, and the outcome judged again: it
cures alone what it is offered for, without a new error, and without putting the backup first."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from ansible_collections.mycat.ha.plugins.module_utils.vrrp import priority
from ansible_collections.mycat.ha.plugins.module_utils.vrrp.findings import Finding, Severity
from ansible_collections.mycat.ha.plugins.module_utils.vrrp.model import Cluster
from ansible_collections.mycat.ha.plugins.module_utils.vrrp.running import is_refused
from ansible_collections.mycat.ha.plugins.module_utils.vrrp.validate import Report, validate
from clusters import Planned
from fixing import alternatives, followed
from rule_cases import CASES
from test_people import ADDRESSES, PAIR, RECORDED, VERDICTS, texts

from bench import Bench

PLANS = [rule for rule in CASES if isinstance(CASES[rule][0], Planned)]


def of_rules(place: int) -> dict[str, Bench]:
    named = ("", "near ")[place]
    cases = {rule: case[place] for rule, case in CASES.items() if rule not in PLANS}
    return {
        named + rule: Bench.of(case.cluster) if case.cluster else Bench(case.texts, {}, {})
        for rule, case in cases.items()
    }


def benches() -> dict[str, Bench]:
    people = {name: Bench(texts(name), ADDRESSES, {}) for name in VERDICTS}
    recorded = {" and ".join(row["quirks"]): Bench(row["texts"], PAIR, {}) for row in RECORDED}
    found = {**of_rules(0), **of_rules(1), **people, **recorded}
    for bench in found.values():
        bench.addresses = {n: told for n, told in bench.addresses.items() if n in bench.lines}
    return found


BENCHES = benches()


# A text of such a version is not understood that far.
UNKNOWN = {"track-unsupported": "unknown-keyword"}


@pytest.mark.parametrize("rule", [rule for rule in CASES if rule not in PLANS])
def test_the_bench_shows_what_the_case_shows(rule):
    assert UNKNOWN.get(rule, rule) in {found.id for found in BENCHES[rule].judge().findings}


def errors(report: Report) -> set[str]:
    return {found.id for found in report.findings if found.severity is Severity.ERROR}


def alike(report: Report, finding: Finding) -> list[Finding]:
    place = (finding.id, finding.node, finding.instance)
    return [one for one in report.findings if (one.id, one.node, one.instance) == place]


def held(report: Report) -> dict[str, tuple[str, ...]]:
    first = next((o for o in report.outcomes if not o.failures), None)
    return dict(first.holders) if first else {}


def firsts(bench: Bench) -> set[str]:
    """The nodes that no other node of the file outranks."""
    ranked: dict[str, int] = {
        node.name: max(map(priority.base_priority, node.instances), default=0)
        for node in bench.cluster().nodes
    }
    return {name for name, value in ranked.items() if value == max(ranked.values())}


def backup_put_first(bench: Bench, finding: Finding, before: Report, after: Report) -> list[str]:
    """With nopreempt everywhere, who starts first is first: that is what was asked for. And of a
    template nobody knew who it was."""
    now = held(after)
    return [
        f"{address} goes from {was[0]} to {now[address][0]}"
        for address, was in held(before).items()
        if len(was) == len(now.get(address, ())) == 1
        and now[address] != was
        and now[address][0] not in firsts(bench)
        and finding.id not in ("needless-move", "template-unrendered")
    ]


def new_errors(bench: Bench, finding: Finding, before: Report, after: Report) -> set[str]:
    """What a daemon that did not start has hidden shows as soon as it does: that is not new."""
    node = next((one for one in bench.cluster().nodes if one.name == finding.node), None)
    hidden = node is not None and is_refused(node)
    return set() if hidden else errors(after) - errors(before)


@pytest.mark.slow
@pytest.mark.parametrize("name", BENCHES)
def test_every_fix_cures_alone_what_it_is_offered_for(name):
    bench = BENCHES[name]
    before = bench.judge()
    for finding in before.findings:
        for steps in alternatives(finding.fix):
            after = followed(bench, finding, steps).judge()
            said = f"{finding.id} on {finding.node}: {steps}"
            assert len(alike(after, finding)) < len(alike(before, finding)), f"no cure, {said}"
            assert not new_errors(bench, finding, before, after), said
            assert not backup_put_first(bench, finding, before, after), said


def test_a_kind_of_check_is_known_from_the_version_that_is_named():
    case = CASES["track-unsupported"][0]
    fixes = {found.fix for found in case().findings if found.id == "track-unsupported"}
    assert {version for fix in fixes for version in re.findall(r"to ([0-9.]+) or", fix)} == {
        "2.0.11"
    }
    nodes = tuple(replace(one, keepalived_version=(2, 0, 11)) for one in case.cluster.nodes)
    assert "track-unsupported" not in {found.id for found in validate(Cluster(nodes)).findings}


WISHES = {
    "advert-int-short": {"node_loss_budget": 0.302, "failover_budget": 1.102},
    "spread-not-kept": {"preempt": "preferred"},
    "hang-unnoticed": {"mode": "fault"},
}


@pytest.mark.parametrize("rule", PLANS)
def test_a_wish_as_the_plan_says_is_fulfilled(rule):
    planned = CASES[rule][0]
    finding = next(found for found in planned().findings if found.id == rule)
    for option, value in WISHES[rule].items():
        assert option in finding.fix
        assert str(value) in finding.fix
    better = Planned(**{**planned.wish, **WISHES[rule]})
    assert rule not in {found.id for found in better().findings}
