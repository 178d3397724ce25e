# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every fix that is offered cures, alone, what it is offered for."""

from __future__ import annotations

import itertools
import re
from dataclasses import replace

import pytest
from ansible_collections.mycat.ha.plugins.module_utils.vrrp.findings import Severity
from ansible_collections.mycat.ha.plugins.module_utils.vrrp.model import (
    Check,
    CheckKind,
    Cluster,
    Instance,
    Node,
    State,
    Track,
)
from ansible_collections.mycat.ha.plugins.module_utils.vrrp.validate import Report, validate

FIXED = ("weight-below-gap", "weight-clamped", "nopreempt-with-weight")
PRIORITIES = ((100, 90), (100, 100), (254, 250), (20, 10), (200, 99), (150, 140, 130))
WEIGHTS = ((2,), (-5,), (-50,), (60,), (-3, -4), (20, -20), (-253,))
NOPREEMPT = ((False, False), (True, True), (True, False), (False, True))


def cluster(priorities, weights, nopreempt, bare=False):
    names = ("chk_a", "chk_b")[: len(weights)]
    tracks = tuple(Track(name, CheckKind.SCRIPT, w) for name, w in zip(names, weights))
    return Cluster(
        tuple(
            Node(
                f"lb{n}",
                f"192.0.2.{n}",
                (
                    Instance(
                        "VI_1",
                        51,
                        "eth0",
                        State.BACKUP,
                        value,
                        nopreempt=nopreempt[(n - 1) % 2],
                        tracks=() if bare and n > 1 else tracks,
                        virtual_ipaddress=("192.0.2.100/24",),
                    ),
                ),
                tuple(Check(name, command="/bin/x", user="nobody") for name in names),
                script_security=True,
            )
            for n, value in enumerate(priorities, start=1)
        )
    )


CLUSTERS = [
    cluster(*parts, bare=bare)
    for parts in itertools.product(PRIORITIES, WEIGHTS, NOPREEMPT)
    for bare in (False, True)
]


def applied(whole: Cluster, fix: str) -> Cluster:
    """The cluster with one alternative of a fix, as a reader would make it."""
    for step in re.split(r" and (?=set |remove )", fix):
        whole = _step(whole, re.sub(r" \(.*?\)", "", step))
    return whole


def _step(whole: Cluster, step: str) -> Cluster:
    everybody = [node.name for node in whole.nodes]

    def changed(change):
        return Cluster(
            tuple(
                replace(node, instances=tuple(change(node.name, one) for one in node.instances))
                for node in whole.nodes
            )
        )

    found = re.fullmatch(r"remove nopreempt on (.*)", step)
    if found:
        names = re.split(", | and ", found[1])
        return changed(lambda n, one: replace(one, nopreempt=one.nopreempt and n not in names))
    found = re.fullmatch(r"set the priority of (\S+) to at least (\d+)", step)
    if found:
        return changed(
            lambda n, one: replace(one, priority=int(found[2]) if n == found[1] else one.priority)
        )
    found = re.fullmatch(r"set the priority to (.*)", step)
    if found:
        values = {n: int(p) for p, n in re.findall(r"(\d+) on (lb\d)", found[1])}
        return changed(lambda n, one: replace(one, priority=values.get(n, one.priority)))
    found = re.fullmatch(
        r"set the weight(?: of (.*))? to (?:at least |at most )?(-?\d+) on (.*)", step
    )
    assert found, step
    checks = re.split(", | and ", found[1]) if found[1] else None
    names = everybody if found[3] == "all nodes" else re.split(", | and ", found[3])

    def weighted(name, one):
        if name not in names:
            return one
        kept = [t.check for t in one.tracks]
        tracks = [
            replace(t, weight=int(found[2])) if checks is None or t.check in checks else t
            for t in one.tracks
        ]
        tracks += [
            Track(check, CheckKind.SCRIPT, int(found[2]))
            for check in checks or ()
            if check not in kept and int(found[2])
        ]
        return replace(one, tracks=tuple(tracks))

    return changed(weighted)


def errors(report: Report) -> set[str]:
    return {item.id for item in report.findings if item.severity is Severity.ERROR}


def holder(report: Report):
    return next(outcome.holders for outcome in report.outcomes if not outcome.failures)


def offered():
    for whole in CLUSTERS:
        report = validate(whole)
        for item in report.findings:
            if item.id in FIXED:
                for fix in re.split(", or ", item.fix[:1].lower() + item.fix[1:].rstrip(".")):
                    yield whole, report, item.id, fix


@pytest.mark.slow
def test_every_fix_cures_alone_what_it_is_offered_for():
    tried = set()
    for whole, report, rule, fix in offered():
        if (whole, fix) in tried:
            continue
        tried.add((whole, fix))
        after = validate(applied(whole, fix))
        assert not errors(after), f"{rule}: {fix!r} leaves {errors(after)}"
        assert holder(after) == holder(report), f"{rule}: {fix!r} moves the address"
    assert len(tried) > 200


@pytest.mark.thorough
def test_something_is_offered_for_each():
    for whole in CLUSTERS[:40]:
        for item in validate(whole).findings:
            if item.id in FIXED:
                assert re.search(r"\d|nopreempt on", item.fix)
