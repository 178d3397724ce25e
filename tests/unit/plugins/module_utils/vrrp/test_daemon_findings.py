# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the differential test found: real daemons did this, and the model once said otherwise.

Each test is the shortest form of a disagreement; the versions are those of the daemons that ran.
"""

from __future__ import annotations

import pytest
from ansible_collections.mycat.ha.plugins.module_utils.keepalived.reader import parse_cluster
from ansible_collections.mycat.ha.plugins.module_utils.vrrp import election, events
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
from ansible_collections.mycat.ha.plugins.module_utils.vrrp.validate import validate

VERSIONS = [(2, 2, 7), (2, 3, 3)]
VIP = "192.0.2.151"
FILE, INTERFACE, PROCESS = CheckKind.FILE, CheckKind.INTERFACE, CheckKind.PROCESS


def a_node(name, priority, version, *, tracks=(), shared=(), state=State.BACKUP):
    """A node with one instance; in a sync group when the group tracks something."""
    groups = (SyncGroup("VG", ("VI",), tracks=tuple(shared)),) if shared is not None else ()
    instance = Instance(
        "VI", 51, priority=priority, state=state, tracks=tuple(tracks), virtual_ipaddress=(VIP,)
    )
    checks = tuple(Check(track.check, track.kind) for track in (*tracks, *(shared or ())))
    address = f"192.0.2.{name[-1]}"
    return Node(name, address, (instance,), checks, groups, keepalived_version=version)


def holders(nodes, *events):
    cluster = Cluster(tuple(nodes))
    state = election.initial(cluster)
    for event in events:
        state = election.apply(cluster, state, event)
    return election.holders(cluster, state)[VIP]


@pytest.fixture(params=VERSIONS, ids=lambda version: ".".join(map(str, version)))
def version(request):
    return request.param


def test_a_weighted_interface_in_a_sync_group_goes_on_counting(version):
    """Seeds 121 and 267 on 2.2.7: "ignoring i0 tracked interface weight due to SYNC group", and
    then "Changing effective priority from 60 to 1"."""
    lb1 = a_node("lb1", 100, version, tracks=[Track("i0", INTERFACE, -60)])
    lb2 = a_node("lb2", 80, version)
    started = [events.KeepalivedStarts("lb1"), events.KeepalivedStarts("lb2")]
    assert holders([lb1], started[0], events.CheckFails("lb1", "i0")) == {"lb1"}
    assert holders([lb1, lb2], *started, events.CheckFails("lb1", "i0")) == {"lb2"}


@pytest.mark.parametrize(
    ("own", "shared", "moves"),
    [
        pytest.param(
            Track("i0", INTERFACE, 40),
            Track("i0", INTERFACE, 0),
            True,
            id="the group's fault counts",
        ),
        pytest.param(
            Track("i0", INTERFACE, -60),
            Track("i0", INTERFACE, -10),
            False,
            id="the group's weight counts, not the instance's",
        ),
        pytest.param(
            Track("i0", INTERFACE, -60),
            Track("i0", INTERFACE, -60, reverse=True),
            False,
            id="and so does its reverse",
        ),
        pytest.param(
            Track("f0", FILE, 0), Track("f0", FILE, 10), True, id="a fault stays one in spite of it"
        ),
    ],
)
def test_a_check_of_the_instance_and_its_sync_group(own, shared, moves, version):
    """Seeds 207 and 277 on 2.2.7, 5080 on 2.3.3."""
    lb1 = a_node("lb1", 100, version, tracks=[own], shared=[shared])
    lb2 = a_node("lb2", 80, version)
    held = holders(
        [lb1, lb2],
        events.KeepalivedStarts("lb1"),
        events.KeepalivedStarts("lb2"),
        events.CheckFails("lb1", own.check),
    )
    assert held == ({"lb2"} if moves else {"lb1"})


@pytest.mark.parametrize(
    ("own", "shared", "expected"),
    [
        pytest.param(0, 0, set(), id="without weight in both"),
        pytest.param(0, 20, {"lb1"}, id="with weight in the group"),
        pytest.param(None, 0, {"lb1"}, id="in the group only"),
    ],
)
def test_a_script_of_the_instance_and_its_sync_group(own, shared, expected, version):
    """Seeds 1116 on 2.2.7, 5162 and 5189 on 2.3.3: tracked without weight by both, a script that
    succeeds leaves the group in FAULT for ever."""
    tracks = [] if own is None else [Track("s0", weight=own)]
    lb1 = a_node("lb1", 100, version, tracks=tracks, shared=[Track("s0", weight=shared)])
    assert holders([lb1], events.KeepalivedStarts("lb1")) == expected
    flip = [events.CheckFails("lb1", "s0"), events.CheckRecovers("lb1", "s0")]
    assert holders([lb1], events.KeepalivedStarts("lb1"), *flip) == expected


def test_an_address_owner_in_state_backup_listens_first(version):
    """Seeds 1112 and 1289 on 2.2.7: it hears an equal, and stays BACKUP whatever its address."""
    lb1 = a_node("lb1", 255, version, state=State.MASTER, shared=None)
    lb2 = a_node("lb2", 255, version, shared=None)
    started = [events.KeepalivedStarts("lb1"), events.KeepalivedStarts("lb2")]
    assert holders([lb1, lb2], *started) == {"lb1"}


PAIR = """vrrp_instance VI {{
    {interface}
    virtual_router_id 51
    version 3
    priority {priority}
    unicast_src_ip {source}
    unicast_peer {{
        192.0.2.{peer}
    }}
    virtual_ipaddress {{
        192.0.2.151/24
    }}
}}
"""
TOLD = {"lb1": "192.0.2.11", "lb2": "192.0.2.12"}


def judged(version, interface="interface e0", source="192.0.2.12"):
    """A sound pair but for the interface and the source of the second node."""
    texts = {
        "lb1": PAIR.format(interface="interface e0", priority=100, source="192.0.2.11", peer=12),
        "lb2": PAIR.format(interface=interface, priority=90, source=source, peer=11),
    }
    return validate(*parse_cluster(texts, TOLD, version))


def held(report):
    return {vip: set(names) for vip, names in report.outcomes[0].holders if names}


def test_a_source_that_is_not_local_is_no_fault_from_2_3_3_on():
    """Texts 700680: 2.2.7 stays in FAULT, 2.3.3 binds to the address all the same, so it hears
    nobody."""
    assert held(judged((2, 2, 7), source="192.0.2.77")) == {VIP: {"lb1"}}
    assert held(judged((2, 3, 3), source="192.0.2.77")) == {VIP: {"lb1", "lb2"}}
    assert "source-foreign" in {f.id for f in judged((2, 3, 3), source="192.0.2.77").findings}


def test_an_address_without_an_interface_is_dropped():
    """Texts 700694: 2.3.3 needs no interface for unicast, but drops the address, and ends without
    any."""
    report = judged((2, 3, 3), interface="")
    assert [f.node for f in report.findings if f.id == "interface-missing"] == ["lb2"]
    lost = next(outcome for outcome in report.outcomes if outcome.failures)
    assert dict(lost.holders)[VIP] == ()
