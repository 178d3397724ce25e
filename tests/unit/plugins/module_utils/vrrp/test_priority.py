# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.mycat.ha.plugins.module_utils.vrrp import priority
from ansible_collections.mycat.ha.plugins.module_utils.vrrp.model import (
    Check,
    CheckKind,
    Instance,
    Node,
    State,
    SyncGroup,
    Track,
)
from hypothesis import given, settings
from hypothesis import strategies as st

SCRIPT, FILE, PROCESS, INTERFACE = (
    CheckKind.SCRIPT,
    CheckKind.FILE,
    CheckKind.PROCESS,
    CheckKind.INTERFACE,
)


def node(instance, *, kind=SCRIPT, version=(2, 2, 7), groups=(), others=(), init_fail=False):
    return Node(
        "lb1",
        "192.0.2.1",
        (instance, *others),
        checks=(Check("c", kind, init_fail=init_fail), Check("d", kind)),
        sync_groups=groups,
        keepalived_version=version,
    )


def instance(base=100, *tracks, **options):
    return Instance("VI_1", 51, priority=base, tracks=tracks, **options)


@pytest.mark.parametrize(
    ("weight", "reverse", "passing", "failing"),
    [
        pytest.param(20, False, 120, 100, id="positive weight is added while passing"),
        pytest.param(-20, False, 100, 80, id="negative weight is taken while failing"),
        pytest.param(0, False, 100, None, id="no weight: a failure is a fault"),
        pytest.param(20, True, 80, 100, id="positive weight in reverse is taken while passing"),
        pytest.param(-20, True, 100, 120, id="negative weight in reverse is added while failing"),
        pytest.param(0, True, None, 100, id="no weight in reverse: passing is a fault"),
    ],
)
@pytest.mark.parametrize("kind", [SCRIPT, PROCESS, INTERFACE])
def test_one_check(kind, weight, reverse, passing, failing):
    it = instance(100, Track("c", kind, weight, reverse))
    here = node(it, kind=kind)
    assert priority.effective_priority(here, it, {"c": True}) == passing
    assert priority.effective_priority(here, it, {"c": False}) == failing
    assert priority.effective_priority(here, it, {}) == passing


@pytest.mark.parametrize(
    ("value", "weight", "reverse", "expected"),
    [
        pytest.param(0, 1, False, 100, id="an empty file adds nothing"),
        pytest.param(7, 2, False, 114, id="the number counts times the weight"),
        pytest.param(7, 2, True, 86, id="in reverse it is taken"),
        pytest.param(1, 0, False, None, id="no weight: any number is a fault"),
        pytest.param(0, 0, False, 100, id="no weight: zero is none"),
        pytest.param(0, 0, True, None, id="no weight in reverse: zero is the fault"),
        pytest.param(-254, 1, False, None, id="-254 is a fault"),
        pytest.param(-253, 1, False, 1, id="-253 is not"),
        pytest.param(-127, 2, False, None, id="the product decides"),
        pytest.param(1000, 1, False, 254, id="above 253 it is cut off"),
    ],
)
def test_a_file(value, weight, reverse, expected):
    it = instance(100, Track("c", FILE, weight, reverse))
    assert priority.effective_priority(node(it, kind=FILE), it, {"c": value}) == expected


def test_a_large_file_value_is_cut_off_before_the_sum():
    it = instance(1, Track("c", FILE, 1), Track("d", FILE, -1))
    here = node(it, kind=FILE)
    assert priority.effective_priority(here, it, {"c": 1000, "d": 100}) == 154


@pytest.mark.parametrize(
    ("base", "weight", "passing", "failing"),
    [
        pytest.param(254, 50, 254, 254, id="254 and 50: the gap is gone"),
        pytest.param(20, -50, 20, 1, id="20 and -50: not below 1"),
        pytest.param(1, -253, 1, 1, id="the lowest"),
        pytest.param(0, 10, 110, 100, id="priority 0 is an error: 100"),
        pytest.param(256, 10, 110, 100, id="priority 256 is an error: 100"),
        pytest.param(100, 300, 254, 100, id="a weight above 253 is 253"),
    ],
)
def test_bounds(base, weight, passing, failing):
    it = instance(base, Track("c", weight=weight))
    assert priority.effective_priority(node(it), it, {"c": True}) == passing
    assert priority.effective_priority(node(it), it, {"c": False}) == failing


class TestWhatCounts:
    def counting(self, here, it):
        return [(t.check, t.weight) for t in priority.counting_tracks(here, it)]

    def test_an_undefined_script_does_not(self):
        it = instance(100, Track("nosuch"), Track("c", weight=5))
        assert self.counting(node(it), it) == [("c", 5)]

    def test_a_name_defined_as_another_kind_does_not(self):
        it = instance(100, Track("c", FILE))
        assert self.counting(node(it, kind=SCRIPT), it) == []

    def test_an_interface_needs_no_definition(self):
        it = instance(100, Track("eth1", INTERFACE, -5))
        assert self.counting(node(it), it) == [("eth1", -5)]

    def test_a_check_counts_once(self):
        it = instance(100, Track("c", weight=5), Track("c", weight=9))
        assert self.counting(node(it), it) == [("c", 5)]

    @pytest.mark.parametrize(
        ("version", "expected"), [((2, 0, 10), []), ((2, 0, 11), [("c", 5)])], ids=str
    )
    def test_a_process_does_since_2_0_11(self, version, expected):
        it = instance(100, Track("c", PROCESS, 5))
        assert self.counting(node(it, kind=PROCESS, version=version), it) == expected

    def test_reverse_does_since_2_0_18(self):
        it = instance(100, Track("c", weight=5, reverse=True))
        assert priority.effective_priority(node(it, version=(2, 0, 17)), it, {"c": True}) == 105
        assert priority.effective_priority(node(it, version=(2, 0, 18)), it, {"c": True}) == 95

    @pytest.mark.parametrize(
        ("kind", "weight", "expected"),
        [
            pytest.param(SCRIPT, 5, [], id="a weighted script is removed"),
            pytest.param(SCRIPT, 0, [("c", 0)], id="a script without weight stays"),
            pytest.param(INTERFACE, 5, [("c", 5)], id="a weighted interface goes on counting"),
            pytest.param(FILE, 1, [("c", 0)], id="a file of default weight becomes a fault"),
            pytest.param(FILE, 2, [], id="another weighted file is removed"),
            pytest.param(PROCESS, 5, [("c", 5)], id="a weighted process is forgotten, and counts"),
        ],
    )
    def test_in_a_sync_group(self, kind, weight, expected):
        it = instance(100, Track("c", kind, weight))
        plain = node(it, kind=kind, groups=(SyncGroup("G", ("VI_1",)),))
        assert self.counting(plain, it) == expected
        tracking = node(it, kind=kind, groups=(SyncGroup("G", ("VI_1",), tracking_weight=True),))
        assert self.counting(tracking, it) == [("c", weight)]

    def test_the_groups_own_tracks_keep_their_weight(self):
        it = instance(100, Track("c"))
        group = SyncGroup("G", ("VI_1",), tracks=(Track("d", weight=7),))
        assert self.counting(node(it, groups=(group,)), it) == [("c", 0), ("d", 7)]

    def test_the_groups_weights_are_cleared_next_to_an_address_owner(self):
        it = instance(100)
        owner = Instance("VI_2", 52, priority=255)
        group = SyncGroup("G", ("VI_1", "VI_2"), tracks=(Track("d", weight=7),))
        assert self.counting(node(it, groups=(group,), others=(owner,)), it) == [("d", 0)]

    def test_an_address_owner_keeps_only_faults(self):
        it = instance(255, Track("c", weight=5), Track("d", weight=0))
        assert self.counting(node(it), it) == [("d", 0)]
        assert priority.effective_priority(node(it), it, {"c": False}) == 255
        assert priority.effective_priority(node(it), it, {"d": False}) is None


@pytest.mark.parametrize(
    ("weight", "init_fail", "expected"),
    [
        pytest.param(0, False, None, id="no weight: fault until the first run ends"),
        pytest.param(20, False, 100, id="positive weight: not yet added"),
        pytest.param(-20, False, 100, id="negative weight: not yet taken"),
        pytest.param(0, True, None, id="init_fail without weight: fault"),
        pytest.param(-20, True, 80, id="init_fail with negative weight: taken"),
    ],
)
def test_before_the_first_run_of_a_script(weight, init_fail, expected):
    it = instance(100, Track("c", weight=weight))
    here = node(it, init_fail=init_fail)
    assert priority.effective_priority(here, it, priority.first_results(here)) == expected


def test_files_processes_and_interfaces_are_known_at_once():
    it = instance()
    checks = (Check("f", FILE), Check("p", PROCESS), Check("s", SCRIPT))
    here = Node("lb1", "192.0.2.1", (it,), checks=checks)
    assert priority.first_results(here) == {"f": 0, "p": True, "s": None}


@pytest.mark.parametrize(
    ("options", "version", "nopreempt", "delay"),
    [
        pytest.param({"nopreempt": True}, (2, 2, 7), True, 0, id="nopreempt"),
        pytest.param(
            {"nopreempt": True, "state": State.MASTER}, (2, 0, 0), False, 0, id="MASTER clears it"
        ),
        pytest.param(
            {"nopreempt": True, "state": State.MASTER}, (1, 4, 5), True, 0, id="not in 1.4.5"
        ),
        pytest.param({"nopreempt": True, "priority": 255}, (2, 2, 7), False, 0, id="255 clears it"),
        pytest.param({"preempt_delay": 9.0}, (2, 2, 7), False, 9, id="preempt_delay"),
        pytest.param(
            {"preempt_delay": 9.0, "nopreempt": True}, (2, 2, 7), True, 0, id="nopreempt wins"
        ),
        pytest.param(
            {"preempt_delay": 9.0, "state": State.MASTER},
            (2, 2, 7),
            False,
            0,
            id="MASTER clears the delay",
        ),
        pytest.param(
            {"preempt_delay": 9.0, "strict_mode": True},
            (2, 2, 7),
            False,
            0,
            id="strict clears the delay",
        ),
    ],
)
def test_preemption_in_force(options, version, nopreempt, delay):
    it = Instance("VI_1", 51, **options)
    here = node(it, version=version)
    assert priority.nopreempt_in_force(here, it) is nopreempt
    assert priority.preempt_delay_in_force(here, it) == delay


@pytest.mark.parametrize(
    ("version", "written", "in_force"),
    [
        (2, 1.0, 1.0),
        (2, 3.0, 3.0),
        (2, 0.5, 1.0),
        # Seen on the wire of keepalived 2.2.7.
        (2, 1.4, 1.0),
        (2, 1.5, 2.0),
        (2, 255.4, 1.0),
        (2, 256.0, 1.0),
        (3, 0.1, 0.1),
        (3, 0.005, 1.0),
        (3, 41.0, 40.95),
    ],
)
def test_the_advert_interval_in_force(version, written, in_force):
    assert priority.advert_interval(Instance("V", 1, version=version, advert_int=written)) == (
        in_force
    )


def test_down_timer_adverts_is_unknown_before_2_2_3():
    it = Instance("V", 1, down_timer_adverts=7)
    assert priority.down_timer_adverts(node(it, version=(2, 2, 2)), it) == 3
    assert priority.down_timer_adverts(node(it, version=(2, 2, 3)), it) == 7


@pytest.mark.parametrize(
    ("track", "failing", "healthy"),
    [
        pytest.param(Track("c", weight=5), False, True, id="passing"),
        pytest.param(Track("c", weight=-5), True, False, id="failing"),
        pytest.param(Track("c"), True, False, id="failing, no weight"),
        pytest.param(Track("c", weight=5, reverse=True), True, True, id="failing in reverse"),
        pytest.param(Track("c", FILE, 0), True, False, id="a number in a file without weight"),
        pytest.param(Track("c", FILE, 1), True, True, id="a number that raises the priority"),
        pytest.param(Track("c", FILE, -1), True, False, id="a number that lowers it"),
    ],
)
def test_health(track, failing, healthy):
    assert priority.is_healthy(track, failing) is healthy
    assert priority.is_healthy(track, not failing) is not healthy


weights = st.integers(-253, 253)
tracks = st.lists(
    st.tuples(weights, st.booleans(), st.sampled_from([SCRIPT, PROCESS, INTERFACE, FILE])),
    max_size=5,
).map(
    lambda rows: tuple(
        Track(f"c{place}", kind, weight, reverse)
        for place, (weight, reverse, kind) in enumerate(rows)
    )
)
results = st.lists(st.integers(-300, 300), min_size=5, max_size=5)


def said(track_list, values):
    return {
        track.check: value if track.kind is FILE else value > 0
        for track, value in zip(track_list, values)
    }


@settings(max_examples=80, deadline=None)
@given(base=st.integers(1, 254), rows=tracks, values=results)
def test_the_priority_is_a_fault_or_1_to_254(base, rows, values):
    effective = priority.effective_from_tracks(base, rows, said(rows, values))
    assert effective is None or 1 <= effective <= 254


@settings(max_examples=80, deadline=None)
@given(base=st.integers(1, 253), rows=tracks, values=results)
def test_a_higher_base_never_gives_a_lower_priority(base, rows, values):
    lower = priority.effective_from_tracks(base, rows, said(rows, values))
    higher = priority.effective_from_tracks(base + 1, rows, said(rows, values))
    assert (lower is None) == (higher is None)
    if lower is not None and higher is not None:
        assert lower <= higher <= lower + 1


@settings(max_examples=80, deadline=None)
@given(base=st.integers(1, 254), rows=tracks, values=results, which=st.integers(0, 4))
def test_a_check_that_turns_bad_never_raises_the_priority(base, rows, values, which):
    if which >= len(rows):
        return
    turned = rows[which]
    good, bad = (
        priority.effective_from_tracks(
            base,
            rows,
            {
                **said(rows, values),
                turned.check: priority.result_of(turned.kind, failing),
            },
        )
        for failing in sorted((False, True), key=lambda f: not priority.is_healthy(turned, f))
    )
    assert bad is None or (good is not None and bad <= good)


@settings(max_examples=60, deadline=None)
@given(rows=tracks, values=results)
def test_an_address_owner_is_255_or_in_fault(rows, values):
    assert priority.effective_from_tracks(255, rows, said(rows, values)) in (None, 255)


@given(st.integers(-100_000, 100_000))
def test_clamp_is_the_nearest_priority(total):
    nearest = min(range(1, 255), key=lambda value: abs(value - total))
    assert priority.clamp(total) == nearest
