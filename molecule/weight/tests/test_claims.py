"""What the source claims of priorities, weights and nopreempt, put to real daemons.

Every case is an instance of its own on one pair of daemons, so that all of them live through the
same failures: node M is the first load balancer, B the second. The check is the source's script,
which looks for HAProxy's process, and HAProxy is really stopped.
"""

from __future__ import annotations

import contextlib
import ipaddress
import itertools
import time
from dataclasses import dataclass

import pytest
from lab import source
from lab.daemon import instances, own_keepalived
from lab.hosts import NotYetError, await_

STAGES = ("healthy", "M fails", "M recovers", "B fails")
# Three adverts and a skew, a round of the check, and a busy machine.
PATIENCE = 15
# A timer that runs had as long as those that were awaited.
MARGIN = 1.0


@dataclass(frozen=True)
class Case:
    """``m`` and ``b``: priority, weight, and other statements. ``holders``: by stage."""

    m: tuple
    b: tuple
    holders: str


NOPREEMPT = "state BACKUP\n nopreempt"
CLAIM_7 = {
    "none": Case((100, 20), (90, 20), "MBMM"),
    "on M: stuck on B": Case((100, 20, NOPREEMPT), (90, 20), "MBBB"),
    "on B: stuck on M": Case((100, 20), (90, 20, NOPREEMPT), "MMMM"),
    "on both: stuck on M": Case((100, 20, NOPREEMPT), (90, 20, NOPREEMPT), "MMMM"),
    "on M, where state MASTER clears it": Case(
        (100, 20, "state MASTER\n nopreempt"), (90, 20), "MBMM"
    ),
    "on both, weight 0": Case((100, 0, NOPREEMPT), (90, 0, NOPREEMPT), "MBBM"),
}
SOURCES = {
    "its example never moves": Case((100, 2, "state MASTER\n nopreempt"), (90, 2), "MMMM"),
    "90 +20 and 80 +40": Case((90, 20), (80, 40), "BBBM"),
    "70 -20 and 80 -40": Case((70, -20), (80, -40), "BBBM"),
    "weight 0 moves whatever the priorities": Case((250, 0), (2, 0), "MBMM"),
}
CLAMPED = {
    "above": Case((250, 20), (200, 20), "MMMM"),
    "below": Case((30, -40), (20, -40), "MBMM"),
    "address owner": Case((255, -200), (100, 0), "MMMM"),
}
TIE = {"tie": Case((100, 0), (100, 0), "MBBM")}
CASES = {**CLAIM_7, **SOURCES, **CLAMPED, **TIE}


def named(number):
    return f"C{number}"


def configuration(side, script, subnet):
    blocks = [f"vrrp_script chk_haproxy {{\n script {script}\n interval 1\n}}"]
    for number, case in enumerate(CASES.values(), 1):
        priority, weight, *more = getattr(case, side)
        blocks.append(f"""vrrp_instance {named(number)} {{
 interface eth0
 virtual_router_id {100 + number}
 priority {priority}
 advert_int 1
 {" ".join(more)}
 authentication {{
  auth_type PASS
  auth_pass 1111
 }}
 track_script {{
  chk_haproxy weight {weight}
 }}
 virtual_ipaddress {{
  {subnet[150 + number]}
 }}
}}""")
    return "\n".join(blocks) + "\n"


class History:
    """Who holds what, and with which priorities, after each stage."""

    def __init__(self, nodes, subnet):
        self._nodes = nodes
        self._vips = {name: str(subnet[150 + n]) for n, name in enumerate(CASES, 1)}
        self.holders = {}
        self.priorities = {}

    def now(self):
        """{case: names of the nodes that hold its address}"""
        held = {side: set(node.addresses()) for side, node in self._nodes.items()}
        return {
            name: "".join(side for side in held if vip in held[side])
            for name, vip in self._vips.items()
        }

    def record(self, stage, expected):
        """Wait for what is expected to move, then as long for what is not."""
        with contextlib.suppress(NotYetError):
            await_(lambda: self.now() == expected, PATIENCE, stage)
        time.sleep(MARGIN)
        self.holders[stage] = self.now()
        found = {side: instances(node) for side, node in self._nodes.items()}
        self.priorities[stage] = {
            name: tuple(found[side][named(n)].effective_priority for side in "MB")
            for n, name in enumerate(CASES, 1)
        }


@pytest.fixture(scope="module")
def history(lbs, variables):
    first, second = lbs
    subnet = ipaddress.ip_network(variables["molecule_subnet"])
    told = History({"M": first, "B": second}, subnet)
    with source.script(lbs) as script:
        confs = {
            first: configuration("m", script, subnet),
            second: configuration("b", script, subnet),
        }
        with own_keepalived(confs, start=False) as daemons:
            daemons.start(first)
            await_(lambda: set(told.now().values()) == {"M"}, PATIENCE, "M holds everything")
            daemons.start(second)
            happenings = (None, (first, "stop"), (first, "start"), (second, "stop"))
            for number, (stage, happening) in enumerate(zip(STAGES, happenings)):
                if happening:
                    node, verb = happening
                    node.run("systemctl", verb, "haproxy")
                told.record(stage, {name: case.holders[number] for name, case in CASES.items()})
            second.run("systemctl", "start", "haproxy")
            await_(lambda: told.now()["tie"] == "M", PATIENCE, "the tie is M's")
            freeze_in_turn(told, lbs)
    return told


def freeze_in_turn(told, lbs):
    """Make both MASTER, twice: who is frozen does not hear that the other has taken over."""
    for side, node in zip("MB", lbs):
        other = "B" if side == "M" else "M"
        if told.now()["tie"] != side:
            continue
        node.run("pkill", "-STOP", "-x", "keepalived")
        try:
            await_(lambda o=other, s=side: told.now()["tie"] in (s + o, o + s), PATIENCE, "two")
        finally:
            node.run("pkill", "-CONT", "-x", "keepalived")
        await_(lambda: len(told.now()["tie"]) == 1, PATIENCE, "one of two masters gives up")
        time.sleep(MARGIN)
        told.holders[f"{side} was frozen"] = told.now()


@pytest.mark.parametrize(("name", "stage"), [*itertools.product(CLAIM_7, STAGES)])
def test_nopreempt_with_weights_by_placement(history, name, stage):
    assert history.holders[stage][name] == CLAIM_7[name].holders[STAGES.index(stage)]


@pytest.mark.parametrize(("name", "stage"), [*itertools.product(SOURCES, STAGES)])
def test_configurations_of_the_source(history, name, stage):
    assert history.holders[stage][name] == SOURCES[name].holders[STAGES.index(stage)]


# Priorities of M and B by stage, each of which lasts several rounds of the check.
@pytest.mark.parametrize(
    ("name", "priorities"),
    {
        "90 +20 and 80 +40": ((110, 120), (90, 120), (110, 120), (110, 80)),
        "70 -20 and 80 -40": ((70, 80), (50, 80), (70, 80), (70, 40)),
        "weight 0 moves whatever the priorities": ((250, 2),) * 4,
    }.items(),
)
def test_weight_adds_on_success_or_takes_away_on_failure(history, name, priorities):
    assert tuple(history.priorities[stage][name] for stage in STAGES) == priorities


@pytest.mark.parametrize(
    ("name", "priorities"),
    {
        "above": ((254, 220), (250, 220), (254, 220), (254, 200)),
        "below": ((30, 20), (1, 20), (30, 20), (30, 1)),
        # Its weighted script is dropped.
        "address owner": ((255, 100),) * 4,
    }.items(),
)
def test_priority_stays_between_1_and_254(history, name, priorities):
    assert tuple(history.priorities[stage][name] for stage in STAGES) == priorities
    assert [history.holders[stage][name] for stage in STAGES] == [*CLAMPED[name].holders]


def test_equal_priority_does_not_take_from_the_holder(history):
    """B, back in health, hears an equal priority; whichever address is the higher."""
    assert [history.holders[stage]["tie"] for stage in STAGES] == [*TIE["tie"].holders]


def test_of_two_masters_with_equal_priority_the_higher_address_wins(history, lbs):
    frozen = [stage for stage in history.holders if stage.endswith("frozen")]
    addresses = [
        min(map(ipaddress.ip_address, lb.run("hostname", "-I").stdout.split())) for lb in lbs
    ]
    higher = "M" if addresses[0] > addresses[1] else "B"
    assert frozen
    assert {history.holders[stage]["tie"] for stage in frozen} == {higher}
