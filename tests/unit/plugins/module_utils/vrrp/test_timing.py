# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.mycat.ha.plugins.module_utils.vrrp import timing
from ansible_collections.mycat.ha.plugins.module_utils.vrrp.timing import Span
from hypothesis import given, settings
from hypothesis import strategies as st

VERSIONS = st.sampled_from([2, 3])
PRIORITIES = st.integers(1, 254)
ADVERTS = st.floats(0.01, 40.95)


# The table of lower bounds that was derived from keepalived's source: takeover at priority 100.
@pytest.mark.parametrize(
    ("advert_int", "clean_stop", "node_loss"),
    [
        pytest.param(1.0, 0.609, (2.609, 3.609), id="1s"),
        pytest.param(0.1, 0.061, (0.261, 0.361), id="100ms"),
        pytest.param(0.01, 0.0061, (0.0261, 0.0361), id="10ms"),
    ],
)
def test_takeover_at_priority_100(
    advert_int: float, clean_stop: float, node_loss: tuple[float, float]
) -> None:
    left = timing.clean_stop(3, 100, advert_int)
    assert left.least == left.most == pytest.approx(clean_stop, rel=0.01)
    silent = timing.silence(3, 100, advert_int)
    assert (silent.least, silent.most) == pytest.approx(node_loss, rel=0.001)


@pytest.mark.parametrize(
    ("version", "priority", "advert_int", "expected"),
    [
        pytest.param(3, 254, 1.0, 2 / 256, id="highest"),
        pytest.param(3, 253, 1.0, 3 / 256, id="second"),
        pytest.param(3, 253, 0.1, 0.3 / 256, id="v3 shrinks with the adverts"),
        pytest.param(2, 253, 5.0, 3 / 256, id="v2 does not know of the adverts"),
        pytest.param(2, 1, 1.0, 255 / 256, id="lowest"),
    ],
)
def test_skew(version: int, priority: int, advert_int: float, expected: float) -> None:
    assert timing.skew(version, priority, advert_int) == pytest.approx(expected)


def test_down_timer_adverts_replace_the_three() -> None:
    assert timing.master_down(3, 254, 1.0, 2) == pytest.approx(2 + 2 / 256)
    assert timing.silence(3, 254, 1.0, 2).least == pytest.approx(1 + 2 / 256)


@pytest.mark.parametrize(
    ("interval", "fall", "run_time", "expected"),
    [
        pytest.param(1.0, 1, 0.0, Span(0.0, 1.0), id="next run"),
        pytest.param(1.0, 1, 0.5, Span(0.0, 1.5), id="next run hangs"),
        pytest.param(2.0, 3, 1.0, Span(4.0, 7.0), id="three in a row"),
    ],
)
def test_polled(interval: float, fall: int, run_time: float, expected: Span) -> None:
    assert timing.polled(interval, fall, run_time) == expected


def test_spans_add_up() -> None:
    assert Span(1.0, 2.0) + Span(0.5, 1.5) == Span(1.5, 3.5)


@settings(max_examples=50)
@given(VERSIONS, PRIORITIES, ADVERTS)
def test_a_higher_priority_never_waits_longer(version: int, priority: int, advert: float) -> None:
    higher = min(254, priority + 1)
    assert timing.master_down(version, higher, advert) <= timing.master_down(
        version, priority, advert
    )
    assert timing.skew(version, priority, advert) > 0


@settings(max_examples=50)
@given(VERSIONS, PRIORITIES, ADVERTS)
def test_leaving_in_order_is_never_slower_than_falling_silent(
    version: int, priority: int, advert: float
) -> None:
    left = timing.clean_stop(version, priority, advert)
    silent = timing.silence(version, priority, advert)
    assert left.most <= silent.least <= silent.most
    assert silent.most - silent.least == pytest.approx(advert)
