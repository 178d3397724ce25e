# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import itertools
import time

import brute_force
import pytest
from ansible_collections.mycat.ha.plugins.module_utils.vrrp import (
    election,
    events,
    explore,
    search,
)
from ansible_collections.mycat.ha.plugins.module_utils.vrrp.events import (
    CheckFails,
    LinkCut,
    LinkHealed,
    NodeLost,
)
from ansible_collections.mycat.ha.plugins.module_utils.vrrp.model import (
    Check,
    CheckKind,
    Cluster,
    Instance,
    Node,
    State,
    SyncGroup,
    Track,
)
from ansible_collections.mycat.ha.plugins.module_utils.vrrp.pairs import (
    DUAL_MASTER,
    NEEDLESS_MOVE,
    NO_FAILOVER,
)
from ansible_collections.mycat.ha.plugins.module_utils.vrrp.words import describe
from lab.bounds import LATE

VIP = "192.0.2.9"


def instance(priority=100, weight=None, name="VI_1", vrid=51, **options):
    options.setdefault("virtual_ipaddress", (VIP + "/24",))
    options.setdefault("tracks", () if weight is None else (Track("haproxy", weight=weight),))
    return Instance(name, vrid, priority=priority, **options)


def node(place, *instances, **options):
    options.setdefault("checks", (Check("haproxy"),))
    return Node(f"lb{place}", f"192.0.2.{place}", instances, **options)


def cluster(*instances, **options):
    return Cluster(tuple(node(place, one, **options) for place, one in enumerate(instances, 1)))


def kinds(exploration):
    return {found.kind for found in exploration.violations + exploration.needless_moves}


def verdict(exploration):
    return {
        (found.kind, vip)
        for found in exploration.violations + exploration.needless_moves
        for vip in found.addresses
    }


STICKY = {"nopreempt": True}


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        pytest.param(
            cluster(instance(100, 2, state=State.MASTER, nopreempt=True), instance(90, 2)),
            {NO_FAILOVER, NEEDLESS_MOVE},
            id="the source's example: 100 and 90, weight 2",
        ),
        pytest.param(
            cluster(instance(90, 20), instance(80, 40)), {NEEDLESS_MOVE}, id="90+20 and 80+40"
        ),
        pytest.param(
            cluster(instance(70, -20), instance(80, -40)), {NEEDLESS_MOVE}, id="70-20 and 80-40"
        ),
        pytest.param(
            cluster(instance(110, 0, **STICKY), instance(100, 0, **STICKY)), set(), id="sticky"
        ),
        pytest.param(
            cluster(instance(110, 20, **STICKY), instance(100, 20)),
            {NO_FAILOVER},
            id="nopreempt with weights on the first",
        ),
        pytest.param(
            cluster(instance(110, 20), instance(100, 20, **STICKY)),
            {NO_FAILOVER, NEEDLESS_MOVE},
            id="nopreempt with weights on the second",
        ),
        pytest.param(
            cluster(instance(110, -10), instance(100, -10)),
            {NO_FAILOVER, NEEDLESS_MOVE},
            id="weight equal to the gap",
        ),
        pytest.param(
            cluster(instance(110, -11), instance(100, -11)),
            {NEEDLESS_MOVE},
            id="weight just above the gap",
        ),
        pytest.param(
            cluster(instance(254, 50), instance(240, 50)),
            {NO_FAILOVER},
            id="254+50 is clamped to a tie",
        ),
        pytest.param(
            cluster(instance(20, -50), instance(10, -50)),
            {NEEDLESS_MOVE},
            id="20-50 is clamped, and still moves",
        ),
        pytest.param(
            cluster(instance(100, 0), instance(100, 0)), set(), id="equal priorities, weight 0"
        ),
        pytest.param(
            cluster(instance(255, 50), instance(100, 50)),
            {NO_FAILOVER, NEEDLESS_MOVE},
            id="an address owner ignores its weighted check",
        ),
        pytest.param(
            cluster(instance(110, 0, version=3), instance(100, 0)),
            {DUAL_MASTER},
            id="versions differ",
        ),
        pytest.param(
            cluster(instance(110, 0), instance(100, 0, vrid=52)), {DUAL_MASTER}, id="VRIDs differ"
        ),
        pytest.param(
            cluster(
                instance(110, 0, tracks=(Track("nosuch"),)),
                instance(100, tracks=(Track("nosuch"),)),
            ),
            {NO_FAILOVER, NEEDLESS_MOVE},
            id="the tracked script does not exist",
        ),
        pytest.param(
            cluster(
                instance(110, tracks=(Track("haproxy", weight=20, reverse=True),)),
                instance(100, tracks=(Track("haproxy", weight=20, reverse=True),)),
            ),
            {NEEDLESS_MOVE},
            id="a check in reverse fails when all is well",
        ),
        pytest.param(
            cluster(
                instance(110, 0, virtual_ipaddress=(VIP, "192.0.2.10"), **STICKY),
                instance(100, 0, **STICKY),
                keepalived_version=(2, 3, 3),
            ),
            {NO_FAILOVER},
            id="a VIP that one node does not list is nowhere while that one holds the rest",
        ),
        pytest.param(
            cluster(
                instance(110, version=3, advert_int=0.1, **STICKY),
                instance(100, version=3, advert_int=5.0, **STICKY),
            ),
            {NEEDLESS_MOVE},
            id="nopreempt does not help who cannot hear in time",
        ),
        pytest.param(
            cluster(instance(110, 0, preempt_delay=60.0), instance(100, 0)),
            {NEEDLESS_MOVE},
            id="preempt_delay only postpones",
        ),
    ],
)
def test_verdicts(one, expected):
    exploration = explore.explore(one)
    assert kinds(exploration) == expected
    assert exploration.proven
    replay(one, exploration)


def replay(one, exploration):
    """Every trace really leads to what it is said to show."""
    for found in exploration.violations + exploration.needless_moves:
        ends = [(None, started(one, found.trace.started))]
        for event in found.trace.events:
            ends = [
                (before, after)
                for _, before in ends
                for after in election.settle_all(one, before, event)
            ]
        shown = {key for before, after in ends for key in brute_force.shown_by(one, before, after)}
        assert {(found.kind, vip) for vip in found.addresses} <= shown


def started(one, names):
    return search.healthy_start(election.Election(one), names)


@pytest.mark.slow
class TestAgainstBruteForce:
    """The proof by pairs gives the verdict that visiting every state gives, and the traces are as
    short as can be. ``bench/explore.py --long`` covers more."""

    CHOICES = tuple(
        {"priority": priority, "weight": weight, "nopreempt": nopreempt}
        for priority in (100, 110)
        for weight in (0, 5, -20)
        for nopreempt in (False, True)
    )

    def compare(self, one, events):
        exploration = explore.explore(one)
        expected = brute_force.verdict(one, events)
        assert exploration.proven
        assert verdict(exploration) == set(expected)
        return exploration, expected

    def test_two_nodes(self):
        for pair in itertools.product(self.CHOICES, repeat=2):
            one = cluster(*(instance(**choice) for choice in pair))
            self.compare(one, brute_force.CHECKS_AND_STOPS)

    @pytest.mark.parametrize("deaf", ["nobody", "first", "both"])
    @pytest.mark.parametrize("first", CHOICES[:8:3], ids=str)
    @pytest.mark.parametrize("second", CHOICES[1::4], ids=str)
    def test_two_nodes_every_event_and_the_shortest_trace(self, first, second, deaf):
        to_second, to_first = ("192.0.2.2",), ("192.0.2.1",)
        unreachable = ("192.0.2.77",)
        one = cluster(
            instance(**first, unicast_peer=unreachable if deaf == "both" else to_second),
            instance(**second, unicast_peer=to_first if deaf == "nobody" else unreachable),
        )
        exploration, expected = self.compare(one, brute_force.EVERY_EVENT)
        replay(one, exploration)
        for found in exploration.violations + exploration.needless_moves:
            assert len(found.trace.events) == expected[found.kind, VIP]

    @pytest.mark.parametrize(
        ("size", "choices"),
        [
            pytest.param(3, CHOICES[::3], id="3"),
            pytest.param(4, CHOICES[3::7], id="4"),
            pytest.param(5, CHOICES[4:5], id="5, moving"),
            pytest.param(5, CHOICES[7:8], id="5, sticky"),
        ],
    )
    def test_more_nodes(self, size, choices):
        for several in itertools.combinations_with_replacement(choices, size):
            one = cluster(*(instance(**choice) for choice in several))
            exploration, _expected = self.compare(one, brute_force.CHECKS_AND_STOPS)
            replay_pairs(one, exploration)

    @pytest.mark.parametrize("deaf", [(1, 2), (1, 3), (2, 1), (3, 1)], ids=str)
    def test_three_nodes_one_of_which_does_not_hear_another(self, deaf):
        receiver, sender = deaf
        rows = []
        for place, choice in enumerate(
            ({"priority": 110}, {"priority": 100, "nopreempt": True}, {"priority": 105}), 1
        ):
            peers = {n: f"192.0.2.{n}" for n in (1, 2, 3) if n != place}
            if place == sender:
                peers[receiver] = "192.0.2.77"
            rows.append(instance(weight=-20, **choice, unicast_peer=tuple(peers.values())))
        self.compare(cluster(*rows), brute_force.WITH_CUTS)

    @pytest.mark.parametrize(
        ("rows", "version"),
        [
            pytest.param([(255, 0, 5), (100, 1, 0)], (2, 2, 7), id="one address owner"),
            pytest.param([(255, 0, 5), (255, 0, 5)], (2, 2, 7), id="two of them"),
            pytest.param([(100, 1, 5), (110, 1, -20)], (1, 4, 5), id="state MASTER in 1.4.5"),
            pytest.param([(100, 1, 0), (100, 1, -20)], (1, 4, 5), id="the same, equal"),
        ],
    )
    def test_who_starts_as_master(self, rows, version):
        several = [
            instance(base, weight, nopreempt=bool(nopreempt), state=State.MASTER)
            for base, nopreempt, weight in rows
        ]
        self.compare(cluster(*several, keepalived_version=version), brute_force.WITH_CUTS)

    def test_sync_groups(self):
        for first, second, weight in itertools.product((100, 110), (100, 110), (0, 20)):
            one = grouped([(110, 100), (first, second)], weight)
            self.compare(one, brute_force.WITH_CUTS)

    def test_instances_that_share_checks(self):
        both = [
            node(
                place,
                instance(high, weight),
                instance(low, 20, name="VI_2", vrid=52, virtual_ipaddress=("192.0.2.10",)),
            )
            for place, high, low, weight in ((1, 110, 100, 20), (2, 100, 110, 2))
        ]
        exploration, _ = self.compare(Cluster(tuple(both)), brute_force.WITH_CUTS)
        assert (NO_FAILOVER, VIP) in verdict(exploration)
        assert (NO_FAILOVER, "192.0.2.10") not in verdict(exploration)


def replay_pairs(one, exploration):
    """Every pair named shows the property with the other nodes left out, and no other pair does."""
    for kind in (NO_FAILOVER, DUAL_MASTER):
        named = {
            frozenset(pair)
            for found in exploration.violations
            if found.kind == kind
            for pair in found.pairs
        }
        for two in itertools.combinations(one.nodes, 2):
            shown = kind in kinds(explore.explore(Cluster(two)))
            assert (frozenset(n.name for n in two) in named) is shown


def grouped(priorities, weight):
    """Two nodes with a sync group of two instances; the first is tracked."""
    group = SyncGroup("G", ("VI_1", "VI_2"), tracking_weight=True)
    return Cluster(
        tuple(
            node(
                place,
                instance(first, weight),
                instance(second, name="VI_2", vrid=52, virtual_ipaddress=("192.0.2.10",)),
                sync_groups=(group,),
            )
            for place, (first, second) in enumerate(priorities, 1)
        )
    )


class TestTraces:
    def test_a_person_can_follow_it(self):
        one = cluster(instance(100, 2), instance(90, 2))
        (found,) = explore.explore(one).violations
        assert found.kind == NO_FAILOVER
        assert found.addresses == (VIP,)
        assert found.pairs == (("lb1", "lb2"),)
        assert found.trace.started == ("lb1", "lb2")
        assert found.trace.down == ()
        assert found.trace.events == (CheckFails("lb1", "haproxy"),)
        assert found.trace.words == (
            "keepalived starts on lb1, then on lb2; all is well; lb1 holds VIP 192.0.2.9",
            "haproxy fails on lb1",
            "VIP 192.0.2.9 stays on lb1, which is unhealthy; lb2 is healthy",
        )

    def test_the_pair_of_the_trace_comes_first(self):
        one = cluster(*(instance(base, 2, **STICKY) for base in (90, 110, 100)))
        (found,) = explore.explore(one).violations
        assert found.trace.events == (CheckFails("lb1", "haproxy"),)
        assert found.pairs[0][0] == "lb1"
        assert len(found.pairs) == 6

    def test_it_says_where_the_vip_goes_meanwhile(self):
        one = cluster(instance(110, 20, nopreempt=True), instance(100, 20, nopreempt=False))
        (found,) = explore.explore(one).violations
        assert found.trace.started == ("lb2", "lb1")
        assert found.trace.words[-1].startswith("VIP 192.0.2.9 stays on lb2")
        (move,) = explore.explore(cluster(instance(110, 0), instance(100, 0))).needless_moves
        assert move.trace.words[1:] == (
            "keepalived stops on lb1",
            "VIP 192.0.2.9 moves to lb2",
            "keepalived starts on lb1",
            "VIP 192.0.2.9 moves to lb1",
            "VIP 192.0.2.9 has left lb2, which is healthy",
        )

    def test_two_masters(self):
        (found,) = explore.explore(cluster(instance(110, 0, version=3), instance(100))).violations
        assert found.trace.events == ()
        assert found.trace.words == (
            "keepalived starts on lb1, then on lb2; all is well; lb1 and lb2 hold VIP 192.0.2.9",
            "lb1 and lb2 both hold VIP 192.0.2.9, and neither gives way",
        )

    def test_nobody(self):
        one = cluster(
            instance(110, 0, virtual_ipaddress=(VIP, "192.0.2.10")),
            instance(120, 0),
            keepalived_version=(2, 3, 3),
        )
        words = [found.trace.words[-1] for found in explore.explore(one).violations]
        assert "nobody holds VIP 192.0.2.10; lb1 is healthy" in words

    def test_in_a_large_cluster_the_other_nodes_are_down(self):
        rows = [instance(240 - 20 * place, 50) for place in range(9)] + [instance(20, 2)]
        rows += [instance(10, 2)]
        one = cluster(*rows)
        exploration = explore.explore(one)
        found = next(v for v in exploration.violations if v.kind == NO_FAILOVER)
        assert len(found.trace.down) == 9
        assert set(found.trace.started) | set(found.trace.down) >= {"lb1", "lb11"}
        assert found.trace.words[0].endswith("are down")
        replay(one, exploration)

    def test_many_starts_are_listed_once(self):
        rows = [instance(100 - place, 0) for place in range(4)]
        (move,) = explore.explore(cluster(*rows)).needless_moves
        assert move.trace.words[0].startswith(
            "keepalived starts on lb1, lb2, lb3 and lb4, in this order;"
        )

    @pytest.mark.parametrize(
        ("event", "words"),
        [
            (events.KeepalivedStops("lb1"), "keepalived stops on lb1"),
            (events.KeepalivedKilled("lb1"), "keepalived is killed on lb1"),
            (events.NodeLost("lb1"), "lb1 loses power"),
            (events.NodeReturns("lb1"), "lb1 returns"),
            (LinkCut("lb1"), "the link of lb1 is cut"),
            (LinkHealed("lb1"), "the link of lb1 works again"),
            (events.CheckRecovers("lb1", "c"), "c passes again on lb1"),
        ],
        ids=lambda value: type(value).__name__,
    )
    def test_every_event_has_words(self, event, words):
        assert describe(event) == words

    def test_only_a_heal_shows_one_way_deafness_of_a_sticky_pair(self):
        one = cluster(
            instance(90, 20, nopreempt=True, unicast_peer=("192.0.2.77",)),
            instance(100, 20, nopreempt=True, unicast_peer=("192.0.2.1",)),
        )
        found = next(v for v in explore.explore(one).violations if v.kind == DUAL_MASTER)
        assert any(isinstance(event, LinkHealed) for event in found.trace.events)


class TestWhatIsNoViolation:
    healthy = cluster(instance(110, 0, **STICKY), instance(100, 0, **STICKY))

    def test_a_killed_daemon_that_leaves_its_vip_is_not_a_second_master(self):
        state = started(self.healthy, ("lb1", "lb2"))
        state = election.apply(self.healthy, state, events.KeepalivedKilled("lb1"))
        assert election.holders(self.healthy, state)[VIP] == {"lb1", "lb2"}
        assert explore.explore(self.healthy).violations == ()

    def test_one_master_on_each_side_of_a_cut_link_is_meant(self):
        state = started(self.healthy, ("lb1", "lb2"))
        state = election.apply(self.healthy, state, LinkCut("lb1"))
        assert election.holders(self.healthy, state)[VIP] == {"lb1", "lb2"}
        assert explore.explore(self.healthy).violations == ()


class TestComponents:
    def test_instances_on_the_same_nodes_are_judged_apart(self):
        two = [
            node(
                place,
                instance(base),
                instance(base, name="VI_2", vrid=52, virtual_ipaddress=("192.0.2.10",)),
            )
            for place, base in ((1, 110), (2, 100))
        ]
        parts = explore.components_of(Cluster(tuple(two)))
        assert [[i.name for n in part.nodes for i in n.instances] for part in parts] == [
            ["VI_1", "VI_1"],
            ["VI_2", "VI_2"],
        ]

    def test_a_sync_group_keeps_them_together(self):
        assert len(explore.components_of(grouped([(110, 110), (100, 100)], 0))) == 1

    def test_a_vip_in_two_virtual_routers_keeps_them_together(self):
        one = cluster(instance(110), instance(100, vrid=52))
        assert len(explore.components_of(one)) == 1

    def test_a_vrid_used_again_elsewhere_does_not(self):
        pairs = [
            Node(
                f"lb{pair}{side}",
                f"10.0.{pair}.{side}",
                (
                    instance(
                        100 + side,
                        virtual_ipaddress=(f"10.0.{pair}.9",),
                        unicast_peer=(f"10.0.{pair}.{3 - side}",),
                    ),
                ),
            )
            for pair in (1, 2)
            for side in (1, 2)
        ]
        assert [len(part.nodes) for part in explore.components_of(Cluster(tuple(pairs)))] == [2, 2]

    def test_a_vip_twice_on_a_node_is_searched_state_by_state(self):
        one = Cluster(
            (
                node(1, instance(110, 0), instance(110, name="VI_2", vrid=52)),
                node(2, instance(100, 0)),
            )
        )
        exploration = explore.explore(one)
        assert exploration.proven
        assert DUAL_MASTER in kinds(exploration)
        replay(one, exploration)

    def test_a_search_that_reaches_its_limit_is_no_proof(self, monkeypatch):
        monkeypatch.setattr(explore, "SEARCH_LIMIT", 3)
        one = Cluster((node(1, instance(110, 0), instance(110, 0, name="VI_2", vrid=52)),))
        assert explore.explore(one).proven is False

    def test_groups_that_chase_each_other_are_no_proof(self):
        def member(place, priority):
            return instance(
                priority, name=f"VI_{place}", vrid=place, virtual_ipaddress=(f"192.0.2.{place}0",)
            )

        rows = (((1, 100), (3, 110)), ((1, 110), (2, 100)), ((2, 110), (3, 100)))
        ring = Cluster(
            tuple(
                node(
                    place,
                    *itertools.starmap(member, row),
                    sync_groups=(SyncGroup("G", tuple(f"VI_{one}" for one, _ in row)),),
                )
                for place, row in enumerate(rows, 1)
            )
        )
        exploration = explore.explore(ring)
        assert exploration.proven is False
        assert exploration.outcomes == ()

    def test_an_empty_cluster_has_nothing_to_show(self):
        assert explore.explore(Cluster(())) == explore.Exploration((), (), (), True)


class TestOutcomes:
    def table(self, one):
        return {
            ", ".join(map(describe, outcome.failures)): dict(outcome.holders)
            for outcome in explore.explore(one).outcomes
        }

    def test_each_set_of_lost_nodes_and_each_failing_check(self):
        one = cluster(instance(110, 0, **STICKY), instance(100, 0, **STICKY))
        assert self.table(one) == {
            "": {VIP: ("lb1",)},
            "lb1 loses power": {VIP: ("lb2",)},
            "lb2 loses power": {VIP: ("lb1",)},
            "lb1 loses power, lb2 loses power": {VIP: ()},
            "haproxy fails on lb1": {VIP: ("lb2",)},
            "haproxy fails on lb2": {VIP: ("lb1",)},
        }

    def test_several_vips_share_a_row(self):
        second = {"name": "VI_2", "vrid": 52, "virtual_ipaddress": ("192.0.2.10",)}
        one = Cluster(
            (
                node(1, instance(110, 0), instance(100, 0, **second)),
                node(2, instance(100, 0), instance(110, 0, **second)),
            )
        )
        table = self.table(one)
        assert table[""] == {VIP: ("lb1",), "192.0.2.10": ("lb2",)}
        assert table["lb2 loses power"] == {VIP: ("lb1",), "192.0.2.10": ("lb1",)}

    @pytest.mark.parametrize(("size", "rows"), [(5, 32), (6, 22)])
    def test_from_six_nodes_on_at_most_two_are_lost(self, size, rows):
        one = cluster(*(instance(100 - place) for place in range(size)))
        outcomes = explore.explore(one).outcomes
        assert len(outcomes) == rows
        assert all(isinstance(event, NodeLost) for row in outcomes for event in row.failures)

    def test_vips_that_want_a_check_in_opposite_conditions(self):
        second = {"name": "VI_2", "vrid": 52, "virtual_ipaddress": ("192.0.2.10",)}
        reverse = (Track("haproxy", reverse=True),)
        one = Cluster(
            tuple(
                node(place, instance(base, 0), instance(base, tracks=reverse, **second))
                for place, base in ((1, 110), (2, 100))
            )
        )
        table = self.table(one)
        assert table["haproxy fails on lb1"] == {VIP: ("lb2",), "192.0.2.10": ("lb1",)}
        assert table["haproxy passes again on lb1"] == {VIP: ("lb1",), "192.0.2.10": ("lb2",)}

    def test_a_check_in_reverse_worsens_by_passing(self):
        track = Track("haproxy", reverse=True)
        one = cluster(*(instance(base, tracks=(track,)) for base in (110, 100)))
        assert self.table(one)["haproxy passes again on lb1"] == {VIP: ("lb2",)}


class TestCost:
    """Loose bounds; the real figures are printed by ``bench/explore.py``."""

    def test_sixteen_nodes(self):
        names = ("haproxy", "mycat", "disk")
        rows = [
            instance(250 - place, tracks=tuple(Track(name) for name in names), **STICKY)
            for place in range(16)
        ]
        began = time.process_time()
        exploration = explore.explore(cluster(*rows, checks=tuple(map(Check, names))))
        assert time.process_time() - began < LATE
        assert exploration.violations == ()
        assert exploration.proven

    def test_twenty_checks(self):
        names = tuple(f"c{place}" for place in range(20))
        tracks = tuple(Track(name, weight=-place - 1) for place, name in enumerate(names))
        rows = [instance(base, tracks=tracks) for base in (254, 253)]
        began = time.process_time()
        exploration = explore.explore(cluster(*rows, checks=tuple(map(Check, names))))
        assert time.process_time() - began < LATE
        (found,) = exploration.violations
        # Check c0 takes 1, which is the gap.
        assert found.trace.events == (CheckFails("lb1", "c0"),)


def test_a_file_that_must_not_hold_a_number():
    track = Track("flag", CheckKind.FILE)
    one = cluster(
        instance(110, tracks=(track,)),
        instance(100, tracks=(track,)),
        checks=(Check("flag", CheckKind.FILE),),
    )
    assert kinds(explore.explore(one)) == {NEEDLESS_MOVE}
