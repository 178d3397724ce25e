# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each id by a case that raises it and a near miss that does not; causes and properties agree."""

from __future__ import annotations

import pytest
from ansible_collections.mycat.ha.plugins.module_utils.vrrp.findings import Severity
from ansible_collections.mycat.ha.plugins.module_utils.vrrp.model import (
    State,
    Track,
)
from ansible_collections.mycat.ha.plugins.module_utils.vrrp.rules.catalogue import (
    CATALOGUE,
)
from ansible_collections.mycat.ha.plugins.module_utils.vrrp.validate import validate
from clusters import (
    group,
    ids,
    make,
    weight,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from rule_cases import CASES


@pytest.mark.parametrize("rule", CASES)
def test_rule_is_raised(rule):
    assert rule in ids(CASES[rule][0]())


@pytest.mark.parametrize("rule", CASES)
def test_rule_is_not_raised_by_a_near_miss(rule):
    assert rule not in ids(CASES[rule][1]())


def test_every_id_has_a_case():
    assert set(CASES) == set(CATALOGUE)


ERRORS = [rule for rule in CATALOGUE.values() if rule.severity is Severity.ERROR]


@pytest.mark.parametrize("rule", [rule.id for rule in ERRORS if rule.breaks])
def test_an_error_breaks_the_property_that_it_names(rule):
    found = CASES[rule][0]().findings
    broken = [item for item in found if item.id == CATALOGUE[rule].breaks]
    assert broken
    assert all(item.trace for item in broken)
    if rule != CATALOGUE[rule].breaks:
        assert any(rule in item.message for item in broken)


def test_an_error_that_breaks_nothing_says_why():
    assert all(bool(rule.breaks) != bool(rule.unproven) for rule in ERRORS)
    assert not [r for r in CATALOGUE.values() if r not in ERRORS and (r.breaks or r.unproven)]
    assert not [rule for rule in CATALOGUE.values() if rule.unless and not rule.breaks]


PRIORITIES = st.sampled_from((1, 20, 90, 95, 100, 200, 250, 254, 255))
CHANGES = st.builds(
    lambda weights, **values: {**values, **weight(*weights), "nopreempt": values["nopreempt"]},
    st.lists(st.sampled_from((0, -50, -20, -5, 5, 20, 50, -253)), max_size=2),
    priority=PRIORITIES,
    nopreempt=st.booleans(),
    state=st.sampled_from(State),
)


@pytest.mark.slow
@settings(max_examples=80, deadline=None)
@given(
    CHANGES,
    st.lists(st.fixed_dictionaries({"priority": PRIORITIES}) | CHANGES, min_size=2, max_size=3),
    st.sampled_from(
        (None, group(), group(tracking_weight=True), group(tracks=(Track("haproxy"),)))
    ),
)
def test_causes_and_failover_agree(both, changes, nodes):
    """No broken failover without a cause, no cause without broken failover unless it says so."""
    found = ids(validate(make(*({**both, **change} for change in changes), nodes=nodes)))
    causes = {
        rule for rule in found if CATALOGUE[rule].breaks == "no-failover" and rule != "no-failover"
    }
    if "no-failover" in found:
        assert causes
    else:
        assert all(CATALOGUE[rule].unless for rule in causes)


def test_catalogue_is_written_for_people():
    for rule in CATALOGUE.values():
        for said in (rule.harm, rule.fix, *filter(None, [rule.unproven])):
            assert said.endswith(".")
        assert rule.example
