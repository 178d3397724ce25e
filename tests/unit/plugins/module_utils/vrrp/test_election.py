# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from ansible_collections.mycat.ha.plugins.module_utils.vrrp import election, hearing
from ansible_collections.mycat.ha.plugins.module_utils.vrrp.events import (
    CheckFails,
    CheckRecovers,
    Event,
    IllegalEventError,
    KeepalivedKilled,
    KeepalivedStarts,
    KeepalivedStops,
    LinkCut,
    LinkHealed,
    NodeLost,
    NodeReturns,
    VrrpState,
)
from ansible_collections.mycat.ha.plugins.module_utils.vrrp.model import (
    Authentication,
    Check,
    CheckKind,
    Cluster,
    Instance,
    Node,
    State,
    SyncGroup,
    Track,
)
from hypothesis import given, settings
from hypothesis import strategies as st

VIP = "192.0.2.9"
VIP2 = "192.0.2.10"


def instance(priority=100, weight=None, **options):
    options.setdefault("virtual_ipaddress", (VIP + "/24",))
    tracks = () if weight is None else (Track("c", weight=weight),)
    return Instance("VI_1", 51, priority=priority, tracks=tracks, **options)


def node(name, number, *instances, **options):
    return Node(name, f"192.0.2.{number}", instances, checks=(Check("c"),), **options)


def pair(first, second, **options):
    return Cluster((node("a", 1, first, **options), node("b", 2, second, **options)))


def run(cluster, *events, start=None):
    """The holders of the first VIP after a start of all nodes and after each event."""
    state = election.initial(cluster)
    vip = hearing.addresses_of(cluster.nodes[0].instances[0])[0]
    for name in start or [one.name for one in cluster.nodes]:
        state = election.apply(cluster, state, KeepalivedStarts(name))
    seen = ["".join(sorted(election.holders(cluster, state)[vip]))]
    for event in events:
        state = election.apply(cluster, state, event)
        seen.append("".join(sorted(election.holders(cluster, state)[vip])))
    return seen


class TestLegality:
    cluster = pair(instance(110, 0), instance(100, 0))

    @pytest.mark.parametrize(
        ("events", "why"),
        [
            pytest.param([KeepalivedStarts("x")], "no such node", id="unknown node"),
            pytest.param([CheckFails("a", "x")], "tracks this check", id="unknown check"),
            pytest.param([CheckRecovers("a", "c")], "does not fail", id="recovers unfailed"),
            pytest.param([CheckFails("a", "c")] * 2, "fails already", id="fails twice"),
            pytest.param([KeepalivedStarts("a")] * 2, "runs already", id="starts twice"),
            pytest.param([KeepalivedStops("a")], "does not run", id="stops unstarted"),
            pytest.param([KeepalivedKilled("a")], "does not run", id="killed unstarted"),
            pytest.param([NodeLost("a")] * 2, "is lost", id="lost twice"),
            pytest.param([NodeLost("a"), LinkCut("a")], "is lost", id="lost node"),
            pytest.param([NodeReturns("a")], "not lost", id="returns unlost"),
            pytest.param([LinkCut("a")] * 2, "cut already", id="cut twice"),
            pytest.param([LinkHealed("a")], "not cut", id="healed uncut"),
            pytest.param([Event("a")], "not an event", id="no event at all"),
        ],
    )
    def test_an_event_that_cannot_happen_raises(self, events, why):
        state = election.initial(self.cluster)
        for event in events[:-1]:
            state = election.apply(self.cluster, state, event)
        with pytest.raises(IllegalEventError, match=why) as caught:
            election.apply(self.cluster, state, events[-1])
        assert caught.value.event == events[-1]

    def test_the_legal_events_are_the_ones_that_do_not_raise(self):
        kinds = (
            KeepalivedStarts,
            KeepalivedStops,
            KeepalivedKilled,
            NodeLost,
            NodeReturns,
            LinkCut,
            LinkHealed,
        )
        possible = [kind(name) for kind in kinds for name in "ab"]
        possible += [kind(name, "c") for kind in (CheckFails, CheckRecovers) for name in "ab"]
        states = {election.initial(self.cluster)}
        for _ in range(2):
            for state in list(states):
                legal = set(election.legal_events(self.cluster, state))
                for event in possible:
                    if event in legal:
                        states.add(election.apply(self.cluster, state, event))
                    else:
                        with pytest.raises(IllegalEventError):
                            election.apply(self.cluster, state, event)
        assert len(states) > 20

    def test_a_check_can_change_while_keepalived_is_stopped(self):
        assert run(self.cluster, CheckFails("b", "c"), KeepalivedStarts("b"), start="a") == (
            ["a", "a", "a"]
        )


M_FAILS, M_RECOVERS, B_FAILS = CheckFails("a", "c"), CheckRecovers("a", "c"), CheckFails("b", "c")


@pytest.mark.parametrize(
    ("on_m", "on_b", "weight", "expected"),
    [
        pytest.param({}, {}, 20, ["a", "b", "a", "a"], id="none"),
        pytest.param({"nopreempt": True}, {}, 20, ["a", "b", "b", "b"], id="M only: stuck on B"),
        pytest.param({}, {"nopreempt": True}, 20, ["a", "a", "a", "a"], id="B only: stuck on M"),
        pytest.param(
            {"nopreempt": True},
            {"nopreempt": True},
            20,
            ["a", "a", "a", "a"],
            id="both: stuck on M",
        ),
        pytest.param(
            {"nopreempt": True, "state": State.MASTER},
            {},
            20,
            ["a", "b", "a", "a"],
            id="M with state MASTER: cleared",
        ),
        pytest.param(
            {"nopreempt": True},
            {"nopreempt": True},
            0,
            ["a", "b", "b", "a"],
            id="weight 0, nopreempt on both: sticky and safe",
        ),
    ],
)
def test_placements_of_nopreempt(on_m, on_b, weight, expected):
    """M fails, M recovers, B fails: keepalived's answers for each placement of nopreempt."""
    cluster = pair(instance(110, weight, **on_m), instance(100, weight, **on_b))
    assert run(cluster, M_FAILS, M_RECOVERS, B_FAILS) == expected


@pytest.mark.parametrize(
    ("first", "second", "events", "expected"),
    [
        pytest.param(
            instance(100, 2, state=State.MASTER, nopreempt=True),
            instance(90, 2),
            [M_FAILS, KeepalivedStops("b")],
            ["a", "a", "a"],
            id="weight 2 against a gap of 10 never moves",
        ),
        pytest.param(
            instance(90, 20),
            instance(80, 40),
            [B_FAILS, CheckRecovers("b", "c"), M_FAILS],
            ["b", "a", "b", "b"],
            id="90+20 against 80+40",
        ),
        pytest.param(
            instance(70, -20),
            instance(80, -40),
            [B_FAILS, CheckRecovers("b", "c"), M_FAILS],
            ["b", "a", "b", "b"],
            id="70-20 against 80-40",
        ),
        pytest.param(
            instance(110, -10),
            instance(100, -10),
            [M_FAILS],
            ["a", "a"],
            id="weight equal to the gap never moves",
        ),
        pytest.param(
            instance(110, -11),
            instance(100, -11),
            [M_FAILS],
            ["a", "b"],
            id="weight one above the gap moves",
        ),
        pytest.param(
            instance(254, 50),
            instance(250, 50),
            [M_FAILS],
            ["a", "a"],
            id="254+50: clamping eats the weight",
        ),
    ],
)
def test_weights(first, second, events, expected):
    assert run(pair(first, second), *events) == expected


class TestTies:
    cluster = pair(instance(), instance())

    @pytest.mark.parametrize("order", ["ab", "ba"])
    def test_the_incumbent_keeps_the_vip(self, order):
        assert run(self.cluster, start=order) == [order[0]]

    def test_of_two_masters_the_higher_address_wins(self):
        assert run(self.cluster, LinkCut("a"), LinkHealed("a")) == ["a", "ab", "b"]

    def test_addresses_compare_as_numbers(self):
        cluster = Cluster((node("a", 9, instance()), node("b", 10, instance())))
        assert run(cluster, LinkCut("a"), LinkHealed("a"))[-1] == "b"

    def test_the_source_address_of_unicast_counts(self):
        first = instance(unicast_src_ip="192.0.2.99", unicast_peer=("192.0.2.2",))
        second = instance(unicast_peer=("192.0.2.99",))
        cluster = pair(first, second)
        assert run(cluster, LinkCut("a"), LinkHealed("a"), start="ba")[-1] == "a"

    def test_two_equal_backups_race(self):
        trio = Cluster(
            (
                node("a", 1, instance(200)),
                node("b", 2, instance(nopreempt=True)),
                node("c", 3, instance(nopreempt=True)),
            )
        )
        state = election.initial(trio)
        for name in "abc":
            state = election.apply(trio, state, KeepalivedStarts(name))
        ends = election.settle_all(trio, state, KeepalivedStops("a"))
        assert {election.holders(trio, end)[VIP] for end in ends} == {
            frozenset("b"),
            frozenset("c"),
        }
        likeliest = election.apply(trio, state, KeepalivedStops("a"))
        assert likeliest in ends
        assert election.holders(trio, likeliest)[VIP] == {"c"}

    def test_jitter_widens_what_counts_as_the_same_instant(self):
        trio = Cluster(
            (
                node("a", 1, instance(200)),
                node("b", 2, instance(101, nopreempt=True)),
                node("c", 3, instance(100, nopreempt=True)),
            )
        )
        state = election.initial(trio)
        for name in "abc":
            state = election.apply(trio, state, KeepalivedStarts(name))
        lost = NodeLost("a")
        # One step of priority is 1/256 s of skew in version 2.
        assert len(election.settle_all(trio, state, lost)) == 1
        assert len(election.settle_all(trio, state, lost, jitter=0.0039)) == 1
        assert len(election.settle_all(trio, state, lost, jitter=0.0040)) == 2


class TestEnds:
    """How a MASTER can go, and what it leaves."""

    sticky = pair(instance(110, 0, nopreempt=True), instance(100, 0, nopreempt=True))
    preferred = pair(instance(110, 0), instance(100, 0))

    @pytest.mark.parametrize(
        ("leave", "back"),
        [
            pytest.param(KeepalivedStops("a"), KeepalivedStarts("a"), id="clean stop"),
            pytest.param(NodeLost("a"), NodeReturns("a"), id="power loss"),
            pytest.param(CheckFails("a", "c"), CheckRecovers("a", "c"), id="fault"),
        ],
    )
    def test_the_vip_goes_and_returns_if_preferred(self, leave, back):
        assert run(self.sticky, leave, back) == ["a", "b", "b"]
        assert run(self.preferred, leave, back) == ["a", "b", "a"]

    def test_a_killed_master_keeps_the_vip_until_keepalived_starts_there(self):
        killed, start = KeepalivedKilled("a"), KeepalivedStarts("a")
        assert run(self.sticky, killed, start) == ["a", "ab", "b"]
        assert run(self.preferred, killed, start) == ["a", "ab", "a"]

    def test_a_killed_backup_has_no_vip(self):
        assert run(self.sticky, KeepalivedKilled("b"), KeepalivedStops("a")) == ["a", "a", ""]

    def test_power_loss_takes_an_abandoned_vip_away(self):
        assert run(self.sticky, KeepalivedKilled("a"), NodeLost("a")) == ["a", "ab", "b"]

    def test_an_abandoned_vip_is_purged_by_a_start_into_fault(self):
        events = KeepalivedKilled("a"), CheckFails("a", "c"), KeepalivedStarts("a")
        assert run(self.sticky, *events)[-1] == "b"

    def test_nobody_holds_the_vip_when_all_are_in_fault(self):
        assert run(self.sticky, M_FAILS, B_FAILS, M_RECOVERS) == ["a", "b", "", "a"]

    def test_keepalived_of_a_lost_node_returns_with_it(self):
        events = KeepalivedStops("b"), NodeLost("b"), NodeReturns("b"), NodeLost("a")
        assert run(self.sticky, *events)[-1] == "b"


class TestPartition:
    def test_each_side_runs_alone(self):
        cluster = pair(instance(110, 0, nopreempt=True), instance(100, 0, nopreempt=True))
        assert run(cluster, LinkCut("b")) == ["a", "ab"]

    def test_on_heal_the_strongest_master_wins_nopreempt_or_not(self):
        cluster = pair(instance(100, nopreempt=True), instance(110, nopreempt=True))
        assert run(cluster, LinkCut("b"), LinkHealed("b")) == ["a", "ab", "b"]

    def test_two_cut_nodes_do_not_hear_each_other(self):
        cluster = pair(instance(100), instance(110))
        assert run(cluster, LinkCut("a"), LinkCut("b"), LinkHealed("a"))[-1] == "ab"

    def test_a_node_in_fault_holds_nothing_while_cut(self):
        cluster = pair(instance(110, 0), instance(100, 0))
        assert run(cluster, LinkCut("a"), M_FAILS, M_RECOVERS) == ["a", "ab", "b", "ab"]

    def test_with_three_nodes_the_rest_elects_one(self):
        cluster = Cluster(tuple(node(n, k, instance(100 + k)) for k, n in enumerate("abc", 1)))
        assert run(cluster, LinkCut("c"), LinkHealed("c")) == ["c", "bc", "c"]


class TestTimers:
    def test_the_shorter_down_timer_moves_first_and_holds_back_nopreempt(self):
        def trio(adverts):
            return Cluster(
                (
                    node("a", 1, instance(200)),
                    node("b", 2, instance(150, nopreempt=True, down_timer_adverts=adverts)),
                    node("c", 3, instance(100, nopreempt=True)),
                )
            )

        assert run(trio(3), NodeLost("a")) == ["a", "b"]
        assert run(trio(5), NodeLost("a")) == ["a", "c"]
        # A farewell leaves only the skew, so the number of adverts plays no part.
        assert run(trio(5), KeepalivedStops("a")) == ["a", "b"]

    def test_before_2_0_0_the_skew_is_that_of_the_base_priority(self):
        def trio(version):
            return Cluster(
                (
                    node("a", 1, instance(254), keepalived_version=version),
                    node("b", 2, instance(90, 60, nopreempt=True), keepalived_version=version),
                    node("c", 3, instance(100, nopreempt=True), keepalived_version=version),
                )
            )

        assert run(trio((2, 0, 0)), NodeLost("a")) == ["a", "b"]
        assert run(trio((1, 4, 5)), NodeLost("a")) == ["a", "c"]

    def test_preempt_delay_only_postpones(self):
        cluster = pair(instance(110, preempt_delay=300.0), instance(100))
        assert run(cluster, start="ba") == ["a"]

    def test_preempt_delay_lets_a_weaker_backup_without_it_go_first(self):
        cluster = Cluster(
            (
                node("a", 1, instance(200, -150)),
                node("b", 2, instance(150, preempt_delay=60.0)),
                node("c", 3, instance(100)),
            )
        )
        # b then takes over from c after its delay.
        assert run(cluster, M_FAILS) == ["a", "b"]

    def test_a_v3_backup_that_cannot_hear_in_time_takes_over_without_listening(self):
        slow = instance(100, version=3, advert_int=2.0)
        fast = instance(110, version=3, advert_int=0.1, nopreempt=True)
        cluster = pair(slow, fast)
        state = election.apply(cluster, election.initial(cluster), KeepalivedStarts("a"))
        ends = election.settle_all(cluster, state, KeepalivedStarts("b"))
        assert {election.holders(cluster, end)[VIP] for end in ends} == {
            frozenset("a"),
            frozenset("b"),
        }
        assert run(cluster)[-1] == "b"  # 0.36 s of 2 s: the likelier
        alike = pair(replace(slow, advert_int=0.3), fast)
        assert run(alike) == ["a"]


class TestAddressOwner:
    def test_it_takes_over_at_once_and_returns(self):
        cluster = pair(instance(100), instance(255, nopreempt=True))
        assert run(cluster, KeepalivedStops("b"), KeepalivedStarts("b")) == ["b", "a", "b"]

    def test_a_weighted_check_does_not_move_it(self):
        cluster = pair(instance(255, 50), instance(254, 50))
        assert run(cluster, M_FAILS) == ["a", "a"]

    def test_a_fault_does(self):
        cluster = pair(instance(255, 0), instance(254, 0))
        assert run(cluster, M_FAILS, M_RECOVERS) == ["a", "b", "a"]


class TestOldState:
    @pytest.mark.parametrize(
        ("version", "holder"), [((1, 4, 5), "b"), ((2, 0, 0), "a")], ids=["1.4.5", "2.0.0"]
    )
    def test_state_master_went_straight_to_master_before_2_0_0(self, version, holder):
        second = instance(100, state=State.MASTER)
        cluster = pair(instance(100), second, keepalived_version=version)
        assert run(cluster) == [holder]

    def test_state_master_did_not_clear_nopreempt_before_2_0_0(self):
        first = instance(110, 20, state=State.MASTER, nopreempt=True)
        cluster = pair(first, instance(100, 20), keepalived_version=(1, 4, 5))
        assert run(cluster, M_FAILS, M_RECOVERS) == ["a", "b", "b"]


class TestDeafness:
    @pytest.mark.parametrize(
        "options",
        [
            {"version": 3},
            {"advert_int": 2.0},
            {"authentication": Authentication("PASS", "secret")},
            {"virtual_router_id": 99},
            {"unicast_peer": ("192.0.2.1",)},
        ],
        ids=str,
    )
    def test_two_that_reject_each_other_both_hold_the_vip(self, options):
        assert run(pair(instance(110), replace(instance(100), **options))) == ["ab"]

    def test_one_way_the_stronger_hears_nothing_and_stays(self):
        first = instance(110, -20, unicast_peer=("192.0.2.2",))
        second = instance(100, -20, unicast_peer=("192.0.2.77",))
        assert run(pair(first, second), M_FAILS) == ["a", "ab"]

    def test_a_vrid_used_on_two_networks_is_two_routers(self):
        inner = replace(
            instance(100, virtual_ipaddress=("198.51.100.9/24",)), name="VI_2", interface="eth1"
        )
        outer = instance(110, interface="eth0")
        cluster = Cluster((node("a", 1, outer, inner), node("b", 2, outer, inner)))
        state = election.initial(cluster)
        for name in "ab":
            state = election.apply(cluster, state, KeepalivedStarts(name))
        assert election.holders(cluster, state) == {
            VIP: frozenset("a"),
            "198.51.100.9": frozenset("a"),
        }


class TestSyncGroup:
    def cluster(self, first=(110, 110), second=(100, 100), tracks=(), **options):
        def member(place, priority):
            return Instance(
                f"VI_{place}",
                51 + place,
                priority=priority,
                virtual_ipaddress=((VIP, VIP2)[place],),
                tracks=tracks if place == 0 else (),
                **options,
            )

        group = SyncGroup("G", ("VI_0", "VI_1"))
        return Cluster(
            tuple(
                node(
                    name, number, *itertools.starmap(member, enumerate(bases)), sync_groups=(group,)
                )
                for name, number, bases in (("a", 1, first), ("b", 2, second))
            )
        )

    def holders(self, cluster, *events):
        state = election.initial(cluster)
        for event in (KeepalivedStarts("a"), KeepalivedStarts("b"), *events):
            state = election.apply(cluster, state, event)
        found = election.holders(cluster, state)
        return "".join(sorted(found[VIP])), "".join(sorted(found[VIP2]))

    def test_a_fault_of_one_member_moves_all(self):
        assert self.holders(self.cluster(tracks=(Track("c"),)), M_FAILS) == ("b", "b")

    def test_a_weight_is_ignored(self):
        assert self.holders(self.cluster(tracks=(Track("c", weight=50),)), M_FAILS) == ("a", "a")

    def test_the_group_waits_until_every_member_may(self):
        cluster = self.cluster(first=(100, 110), second=(110, 100))
        assert self.holders(cluster) == ("a", "a")

    def test_members_that_disagree_leave_it_to_timing(self):
        cluster = self.cluster(first=(100, 110), second=(110, 100))
        state = election.initial(cluster)
        for event in (KeepalivedStarts("a"), LinkCut("b"), KeepalivedStarts("b")):
            state = election.apply(cluster, state, event)
        ends = election.settle_all(cluster, state, LinkHealed("b"))
        found = [election.holders(cluster, end) for end in ends]
        assert {(h[VIP], h[VIP2]) for h in found} == {
            (frozenset("a"), frozenset("a")),
            (frozenset("b"), frozenset("b")),
        }

    def test_groups_that_chase_each_other_are_reported(self):
        def member(place, priority):
            return Instance(
                f"VI_{place}", place, priority=priority, virtual_ipaddress=(f"192.0.2.{place}0",)
            )

        def with_group(name, number, *members):
            group = SyncGroup("G", tuple(one.name for one in members))
            return node(name, number, *members, sync_groups=(group,))

        ring = Cluster(
            (
                with_group("a", 1, member(1, 100), member(3, 110)),
                with_group("b", 2, member(1, 110), member(2, 100)),
                with_group("c", 3, member(2, 110), member(3, 100)),
            )
        )
        state = election.initial(ring)
        for name in "ab":
            state = election.apply(ring, state, KeepalivedStarts(name))
        with pytest.raises(election.EndlessElectionError):
            election.apply(ring, state, KeepalivedStarts("c"))
        with pytest.raises(election.EndlessElectionError):
            election.settle_all(ring, state, KeepalivedStarts("c"))


def test_a_file_check_fails_by_holding_one():
    it = Instance("VI_1", 51, tracks=(Track("c", CheckKind.FILE),), virtual_ipaddress=(VIP,))
    here = Node("a", "192.0.2.1", (it,), checks=(Check("c", CheckKind.FILE),))
    assert run(Cluster((here,)), M_FAILS, M_RECOVERS) == ["a", "", "a"]


options = st.fixed_dictionaries(
    {
        "priority": st.sampled_from([90, 100, 101, 255]),
        "weight": st.sampled_from([None, 0, 5, -20]),
        "nopreempt": st.booleans(),
        "version": st.sampled_from([2, 3]),
        "advert_int": st.sampled_from([1.0, 5.0]),
    }
)


@settings(max_examples=60, deadline=None)
@given(rows=st.lists(options, min_size=2, max_size=3), data=st.data())
def test_any_history_settles_and_the_likeliest_end_is_one_of_the_ends(rows, data):
    cluster = Cluster(tuple(node("abc"[k], k + 1, instance(**row)) for k, row in enumerate(rows)))
    state = election.initial(cluster)
    for _ in range(8):
        event = data.draw(st.sampled_from(election.legal_events(cluster, state)))
        ends = election.settle_all(cluster, state, event)
        state = election.apply(cluster, state, event)
        assert state in ends
        for end in ends:
            for here, its in zip(cluster.nodes, end.nodes):
                assert len(its.states) == len(here.instances)
                alive = {VrrpState.BACKUP, VrrpState.MASTER, VrrpState.FAULT}
                assert (its.states[0] in alive) is its.running
