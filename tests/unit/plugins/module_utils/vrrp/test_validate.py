# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Clusters judged as a whole: sound ones, those that people were bitten by; and the report."""

from __future__ import annotations

import pytest
from ansible_collections.mycat.ha.plugins.module_utils.readers import SettingError
from ansible_collections.mycat.ha.plugins.module_utils.vrrp.findings import Severity
from ansible_collections.mycat.ha.plugins.module_utils.vrrp.model import (
    Authentication,
    Check,
    Cluster,
    Instance,
    Node,
    State,
    SyncGroup,
    Track,
)
from ansible_collections.mycat.ha.plugins.module_utils.vrrp.rules.catalogue import (
    finding,
)
from ansible_collections.mycat.ha.plugins.module_utils.vrrp.validate import Report, validate
from clusters import (
    MULTICAST,
    OTHER,
    PASSWORD,
    PROCESS,
    SCRIPT,
    V2,
    VIP,
    conf,
    group,
    ids,
    make,
    model,
    read,
    scripted,
    severe,
    text,
    version,
    weight,
)
from rule_cases import CASES


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("cluster", "where"),
    [
        pytest.param(
            lambda: make(both={"tracks": tuple(Track(f"c{i}") for i in range(101))}),
            "tracked checks of VI_1 on lb1",
            id="checks",
        ),
        pytest.param(
            lambda: make(nodes=group(tracks=tuple(Track(f"c{i}") for i in range(99)))),
            "tracked checks of VI_1 on lb1",
            id="checks of the group",
        ),
        pytest.param(
            lambda: make(both={"virtual_ipaddress": ("192.0.2.1",) * 1001}),
            "addresses of VI_1 on lb1",
            id="addresses",
        ),
        pytest.param(
            lambda: make(nodes={"sync_groups": (SyncGroup("G", ("VI_1",) * 101),)}),
            "members of G on lb1",
            id="members",
        ),
        pytest.param(lambda: make(*[{}] * 101), "nodes that share VI_1", id="nodes"),
        pytest.param(lambda: make(more=[OTHER] * 12_750), "instances", id="instances"),
    ],
)
def test_what_is_too_large_to_judge_in_time_is_refused(cluster, where):
    with pytest.raises(SettingError, match="at most") as raised:
        validate(cluster())
    assert raised.value.option == where


def test_equal_priorities_without_addresses_do_not_mean_two_masters():
    """Hosts have different addresses, told or not, so one of two MASTERs gives way."""
    both = {"priority": 100, "unicast_src_ip": None, "unicast_peer": None}
    report = validate(make(both=both, nodes={"address": ""}))
    assert severe(report) == ["equal-priority"]


def test_no_finding_shows_a_password():
    for cluster in (
        make({"authentication": Authentication("PASS", "hunter2hunter2")}, PASSWORD, both=V2),
        make({"authentication": Authentication("AH", "hunter2hunter2")}),
    ):
        report = validate(cluster)
        assert severe(report)
        assert "hunter2" not in str(report)
        assert "1111" not in str(report)


# --- sound configurations ---------------------------------------------------------------------

SOUND = {
    "planned, fault mode": model(),
    "three nodes": model({}, {}, {}),
    "two addresses, spread": model(
        {}, {}, more=({**OTHER},), both={"virtual_ipaddress": (VIP, "192.0.2.102/24")}
    ),
    "IPv6": model(both={"virtual_ipaddress": ("2001:db8::100/64",), **MULTICAST}),
    "as text": text(),
    "weights larger than the gap": model({"priority": 100}, {"priority": 90}, both=weight(-20)),
    "weight mode, sticky by equal priorities": model(both={"priority": 200, **weight(-20)}),
    "version 2 with a password": model(both={**V2, **PASSWORD}),
    "instances on two networks": model(
        more=({**OTHER, "virtual_router_id": 51, "interface": "eth1"},)
    ),
    "a shell that is called": model(nodes=scripted(command="/bin/bash -c 'true; exit 0'")),
    "operators that are arguments": model(nodes=scripted(command="/bin/grep -c 'a | b' '<f>'")),
    "an address with options": model(nodes=scripted(command="curl http://x/?a=1&b=2")),
}


@pytest.mark.parametrize("name", SOUND)
def test_sound_configuration_has_no_error_and_no_warning(name):
    assert severe(SOUND[name]()) == []


# --- the source's own configurations ----------------------------------------------------------


def pair(
    first: tuple[int, int], second: tuple[int, int], nopreempt: str = "", **first_values: object
) -> Report:
    """Two nodes of (priority, weight), version 2 and multicast as in the source; ``nopreempt``
    names the nodes that have it: M, B or MB."""
    common = {**V2, **MULTICAST, **PASSWORD, "nopreempt": False}
    changes = [
        {
            **common,
            "priority": priority,
            "tracks": (Track("haproxy", SCRIPT, value),),
            "nopreempt": letter in nopreempt,
        }
        for letter, (priority, value) in zip("MB", (first, second))
    ]
    return validate(make({**changes[0], **first_values}, changes[1]))


def test_example_of_the_source_never_fails_over():
    report = pair((100, 2), (90, 2), "M", state=State.MASTER)
    assert severe(report) == ["no-failover", "weight-below-gap", "nopreempt-cleared-by-master"]
    broken, cause, _cleared = report.findings[:3]
    assert broken.trace == (
        "keepalived starts on lb1, then on lb2; all is well; lb1 holds VIP 192.0.2.100",
        "haproxy fails on lb1",
        "VIP 192.0.2.100 stays on lb1, which is unhealthy; lb2 is healthy",
    )
    assert broken.message.endswith("Cause: weight-below-gap on lb1.")
    assert cause.fix.startswith(
        "Set the weight to at least 11 on all nodes, or set the priority of lb2 to at least 99"
    )
    assert broken.fix == cause.fix


@pytest.mark.parametrize(
    ("first", "second"),
    [((100, 11), (90, 11)), ((100, 2), (99, 2)), ((100, 0), (90, 0))],
    ids=["the weight of the fix", "the priority of the fix", "weight 0 of the fix"],
)
def test_fix_of_the_example_holds(first, second):
    assert severe(pair(first, second)) == []


@pytest.mark.parametrize(
    ("first", "second"), [((90, 20), (80, 40)), ((70, -20), (80, -40))], ids=["plus", "minus"]
)
def test_pairs_of_the_source_pass(first, second):
    assert severe(pair(first, second)) == []


@pytest.mark.parametrize(
    ("nopreempt", "state", "weights", "expected"),
    [
        pytest.param("", State.BACKUP, 20, None, id="none"),
        pytest.param("M", State.BACKUP, 20, "lb2", id="M only: stuck on B"),
        pytest.param("B", State.BACKUP, 20, "lb1", id="B only: stuck on M"),
        pytest.param("MB", State.BACKUP, 20, "lb1", id="both: stuck on M"),
        pytest.param("M", State.MASTER, 20, None, id="M with state MASTER: cleared"),
        pytest.param("MB", State.BACKUP, 0, None, id="weight 0, both"),
    ],
)
def test_placements_of_nopreempt(nopreempt, state, weights, expected):
    report = pair((100, weights), (90, weights), nopreempt, state=state)
    broken = [item for item in report.findings if item.id == "no-failover"]
    if expected is None:
        assert not broken
        return
    assert "nopreempt-with-weight" in broken[0].message
    assert f"{expected}, which is unhealthy" in broken[0].trace[-1]


# --- what keepalived -t says nothing about ----------------------------------------------------

SILENT = {
    "nopreempt with a weight": (CASES["nopreempt-with-weight"][0], "nopreempt-with-weight"),
    "weight not above the gap": (CASES["weight-below-gap"][0], "weight-below-gap"),
    "clamped at the top": (
        model({"priority": 254}, {"priority": 250}, both=weight(50)),
        "weight-clamped",
    ),
    "clamped at the bottom": (CASES["weight-clamped"][0], "weight-clamped"),
    "missing include": (CASES["missing-include"][0], "missing-include"),
    "MASTER without a priority": (CASES["master-without-priority"][0], "master-without-priority"),
    "strict without accept": (CASES["strict-no-accept"][0], "strict-no-accept"),
    "strict with unicast": (CASES["strict-unicast"][0], "strict-unicast"),
    "own address among the peers": (CASES["unicast-self"][0], "unicast-self"),
    "address in two instances": (CASES["vip-duplicate"][0], "vip-duplicate"),
    "address written twice": (model(both={"virtual_ipaddress": (VIP, VIP)}), "vip-duplicate"),
    "address of a node": (CASES["vip-is-own-address"][0], "vip-is-own-address"),
    "shell operators": (CASES["script-shell-operators"][0], "script-shell-operators"),
    "timeout above interval": (
        CASES["script-timeout-above-interval"][0],
        "script-timeout-above-interval",
    ),
    "preempt_delay with weights": (
        CASES["preempt-delay-with-weight"][0],
        "preempt-delay-with-weight",
    ),
    "router ids differ": (CASES["vrid-mismatch"][0], "vrid-mismatch"),
    "versions differ": (CASES["version-mismatch"][0], "version-mismatch"),
    "authentication differs": (CASES["auth-mismatch"][0], "auth-mismatch"),
    "intervals differ, version 2": (CASES["advert-int-mismatch"][0], "advert-int-mismatch"),
    "intervals differ, version 3": (model({"advert_int": 2.0}), "advert-int-mismatch"),
    "addresses differ": (CASES["vip-mismatch"][0], "vip-mismatch"),
    "peers differ": (CASES["unicast-peer-asymmetry"][0], "unicast-peer-asymmetry"),
    "unicast against multicast": (CASES["unicast-mismatch"][0], "unicast-mismatch"),
}


@pytest.mark.parametrize("name", SILENT)
def test_what_the_daemon_says_nothing_about(name):
    report, rule = SILENT[name]
    assert rule in severe(report())


# --- configurations people were bitten by -----------------------------------------------------

STUCK = "no-failover"
# Issue or pull request: the configuration, and the errors and warnings to find. Where the harm is
# not in the configuration (no findings), the comment says where it is.
BITTEN = {
    "#2599": (
        lambda: pair((103, 2), (100, 2), "MB"),
        {STUCK, "nopreempt-with-weight", "weight-below-gap"},
    ),
    "#2483": (lambda: pair((100, -50), (90, -50), "MB"), {STUCK, "nopreempt-with-weight"}),
    "#2379": (
        model(both={**weight(50), "nopreempt": True}, nodes=scripted(init_fail=True)),
        {STUCK, "nopreempt-with-weight", "weight-clamped"},
    ),
    "#198": (lambda: pair((100, 20), (90, 20), "M"), {STUCK, "nopreempt-with-weight"}),
    "kube-keepalived-vip#72": (
        lambda: pair((100, 50), (100, 50), "MB"),
        {STUCK, "nopreempt-with-weight"},
    ),
    "kubesphere#550": (lambda: pair((100, 2), (90, 2)), {STUCK, "weight-below-gap"}),
    "ansible-keepalived#4": (lambda: pair((150, 2), (100, 2)), {STUCK, "weight-below-gap"}),
    # 200+101 is cut to 254, and 100+101 is 201: it moves by the distance that is left.
    "hetzner#977": (lambda: pair((200, 101), (100, 101)), set()),
    "rke2#60": (
        model({"priority": 100}, {"priority": 50}, both=weight(10, 10, 10)),
        {STUCK, "weight-below-gap"},
    ),
    # -200 from 100 leaves 1: never FAULT, but the other takes over.
    "#942": (lambda: pair((100, -200), (90, -200)), set()),
    "#1472": (
        lambda: pair((100, 0), (90, 0), "MB", state=State.MASTER),
        {"nopreempt-cleared-by-master"},
    ),
    # The daemon was deaf after a link flap; the file is fine.
    "#2178": (model(), set()),
    "#1515": (CASES["vip-mismatch"][0], {"dual-master", "vip-mismatch"}),
    "#2105": (CASES["weighted-script-in-sync-group"][0], {STUCK, "weighted-script-in-sync-group"}),
    "#2184": (CASES["script-security"][0], {"script-security"}),
    "#842": (model(nodes={"script_user": "", "script_security": False}), {"script-security"}),
    "#1372": (model(nodes={"script_user": "root", "script_security": False}), {"script-security"}),
    # The script printed its status instead of exiting with it: only running it tells.
    "#2103": (model(nodes=scripted(command="/usr/local/bin/check.sh")), set()),
    "#781": (CASES["script-too-slow"][0], {"script-too-slow"}),
    # `keepalived -t` ends with 143 on this sound configuration.
    "#2617 and #2587": (model(nodes={"script_security": True, "script_user": "nobody"}), set()),
    # `keepalived -t` says nothing about a missing file.
    "#955": (lambda: read(conf(1), ""), {"no-instance", "single-node", "unicast-unknown-peer"}),
    # kill -9 leaves the address where it is; no configuration prevents that.
    "#2361": (model(), set()),
    # track_process is blind in containers; the file does not say where it runs.
    "#1469 and #2434": (
        model(both={"tracks": (Track("p", PROCESS),)}, nodes={"checks": (Check("p", PROCESS),)}),
        set(),
    ),
    # A stalled CPU: a matter of the machine and of the interval, which the plan warns about.
    "#2066": (model(both={"advert_int": 0.1}), set()),
    "#2339": (model(both={"strict_mode": True, **MULTICAST}), {"strict-no-accept"}),
    "machine-config-operator#3342": (
        model({"unicast_peer": ("192.0.2.99",)}),
        {"dual-master", "unicast-peer-asymmetry", "unicast-unknown-peer"},
    ),
    # What a check should look at, and how soon HAProxy notices a dead backend, is not to be seen.
    "machine-config-operator#3339 and #2091": (model(), set()),
}


@pytest.mark.parametrize("case", BITTEN)
def test_people_were_bitten(case):
    report, expected = BITTEN[case]
    assert set(severe(report())) == expected


# --- readable, ordered, once ------------------------------------------------------------------


def test_findings_are_ordered_and_unique():
    report = read(conf(1, after="}", values="state master"), conf(1, tracked="haproxy weight 254"))
    ranks = [item.severity.rank for item in report.findings]
    assert ranks == sorted(ranks)
    assert len(set(report.findings)) == len(report.findings)
    twice = validate(make(), (finding("syntax", "x"), finding("syntax", "x")))
    assert [item.id for item in twice.findings] == ["syntax"]


def test_findings_know_their_lines():
    first = conf(1, body="preempt_delay 5", tracked="chk_sql")
    report = read(first, conf(2))
    lines = {item.id: first.splitlines()[(item.line or 0) - 1].strip() for item in report.findings}
    assert lines["script-undefined"] == "chk_sql"
    assert lines["preempt-delay-with-nopreempt"] == "preempt_delay 5"
    assert lines["no-failover"] == "vrrp_instance VI_1 {"


@pytest.mark.parametrize("reason", ["script-order", "script-missing-command"])
def test_a_check_that_is_dropped_is_not_undefined_as_well(reason):
    assert "script-undefined" not in ids(CASES[reason][0]())


def test_a_property_without_a_known_cause_says_so():
    nowhere = make({"unicast_peer": ("192.0.2.12",)}, both={"unicast_src_ip": "192.0.2.50"})
    broken = [item for item in validate(nowhere).findings if item.id == "dual-master"]
    assert all("Cause: " in item.message or "trace" in item.message for item in broken)


def test_report_as_data():
    data = CASES["no-failover"][0]().as_data()
    assert data["findings"][0] == {
        "id": "no-failover",
        "severity": "error",
        "node": "lb1",
        "instance": "VI_1",
        "message": "VIP 192.0.2.100 stays on lb1, which is unhealthy; lb2 is healthy. Cause: "
        "weight-below-gap on lb1.",
        "fix": "Set the weight to at least 11 on all nodes, or set the priority of lb2 to at least "
        "99, or set the weight to 0 on all nodes (a failed check is then a fault).",
        "trace": [
            "keepalived starts on lb1, then on lb2; all is well; lb1 holds VIP 192.0.2.100",
            "haproxy fails on lb1",
            "VIP 192.0.2.100 stays on lb1, which is unhealthy; lb2 is healthy",
        ],
        "line": None,
    }
    assert {"failures": ["lb1 loses power"], "holders": {"192.0.2.100": ["lb2"]}} in data[
        "outcomes"
    ]


def test_report_as_text():
    report = read(conf(1, tracked="chk_sql"), conf(2))
    shown = report.as_text(Severity.ERROR)
    assert shown.startswith(
        "error: no-failover (lb1, VI_1, line 11)\n  VIP 192.0.2.100 stays on lb1"
    )
    assert "    1. keepalived starts on lb1, then on lb2" in shown
    assert "\n\nerror: script-undefined (lb1, VI_1, line 22)\n" in shown
    assert "\n  Fix: Define chk_sql above VI_1 on lb1." in shown
    assert CASES["equal-priority"][0]().as_text(Severity.ERROR) == ""


def test_the_verdict_is_one_line():
    assert CASES["no-failover"][0]().verdict.startswith(
        "2 errors, 0 warnings: VIP 192.0.2.100 stays on lb1, which is unhealthy"
    )
    assert Report(()).verdict == "0 errors, 0 warnings."


def test_what_is_alike_on_several_nodes_is_said_once():
    shown = model(nodes=scripted(command="pidof haproxy || exit 1"))().as_text(Severity.ERROR)
    assert shown.count("script-shell-operators") == 1
    assert "\n  Also (lb2, haproxy)" in shown


def test_a_property_leaves_the_fix_to_its_causes():
    shown = CASES["weight-below-gap"][0]().as_text(Severity.ERROR)
    assert shown.count("Fix: ") == 1


def test_many_addresses_are_not_all_told():
    vips = tuple(f"192.0.2.{number}/24" for number in range(100, 130))
    moved = model(both={"virtual_ipaddress": vips, "nopreempt": False})()
    told = next(item for item in moved.findings if item.id == "needless-move")
    assert "VIPs 192.0.2.100, 192.0.2.101 and 28 more" in told.message


@pytest.mark.parametrize(
    ("report", "severity", "expected"),
    [
        (Report(()), Severity.INFO, False),
        (Report((finding("needless-move", ""),)), Severity.INFO, True),
        (Report((finding("needless-move", ""),)), Severity.WARNING, False),
        (Report((finding("equal-priority", ""),)), Severity.WARNING, True),
        (Report((finding("equal-priority", ""),)), Severity.ERROR, False),
        (Report((finding("syntax", ""),)), Severity.WARNING, True),
    ],
)
def test_report_reaches(report, severity, expected):
    assert report.reaches(severity) is expected


@pytest.mark.parametrize(
    ("case", "fix"),
    [
        (
            "weight-clamped",
            "Set the priority of lb2 to at least 2, or set the priority to 70 on lb1 and 51 on "
            "lb2, or set the weight to 0 on all nodes (a failed check is then a fault).",
        ),
        ("vrid-mismatch", "Use virtual_router_id 52 for VI_1 on lb1 and lb2."),
        ("vrid-duplicate", "Use virtual_router_id 1 for VI_2 on lb1 and lb2."),
        ("vip-mismatch", "Add 192.0.2.101/24 to virtual_ipaddress on lb2."),
        ("unicast-peer-asymmetry", "Add 192.0.2.12 to unicast_peer on lb1."),
        (
            "unicast-mismatch",
            "Write unicast_peer { 192.0.2.12 } on lb1, or remove unicast_peer and unicast_src_ip "
            "on lb2.",
        ),
        ("script-interval-fraction", "Use interval 1."),
        ("script-too-slow", "Set interval and timeout to 2 or more (or make the command faster)."),
        (
            "equal-priority",
            "Set the priority to 199 on lb2.",
        ),
        (
            "weight-range",
            "Set the weight of haproxy to -253 on lb1 (0 would make a fault of a failed check).",
        ),
    ],
)
def test_fix_has_numbers(case, fix):
    assert fix in [item.fix for item in CASES[case][0]().findings if item.id == case]


def test_estate_of_many_pairs_is_not_one_router():
    """Pairs on one network that share router ids, told apart by unicast peers."""
    nodes = []
    for number in range(20):
        for node in make(both={"virtual_ipaddress": (f"198.51.100.{number + 1}/24",)}).nodes:
            last = int(node.address[-1])
            own, other = (f"192.0.2.{10 + 2 * number + step}" for step in (last - 1, 2 - last))
            (instance,) = node.instances
            values = {**vars(instance), "unicast_src_ip": own, "unicast_peer": (other,)}
            changed = {"name": f"{node.name}-{number}", "address": own}
            nodes.append(Node(**{**vars(node), **changed, "instances": (Instance(**values),)}))
    assert severe(validate(Cluster(tuple(nodes)))) == []


def test_several_addresses_are_said_in_the_plural():
    both = {**weight(2), "virtual_ipaddress": (VIP, "192.0.2.101/24")}
    report = model({"priority": 100}, {"priority": 90}, both=both)()
    first = report.findings[0]
    assert first.message.startswith("VIPs 192.0.2.100 and 192.0.2.101 stay on lb1, which is un")
    moves = next(item for item in report.findings if item.id == "needless-move")
    assert "VIPs 192.0.2.100 and 192.0.2.101 have left lb2" in moves.message


def test_a_fix_for_all_nodes_is_said_once():
    text = model(both={"virtual_router_id": 256})().as_text(Severity.ERROR)
    assert text.count("Fix: Write virtual_router_id 1 on ") == 1
    assert "Also (lb2, VI_1)" in text


@pytest.mark.parametrize(("number", "shell"), [((2, 2, 7), "/bin/sh"), ((2, 3, 3), "/usr/bin/sh")])
def test_a_shell_is_where_root_may_run_it(number, shell):
    nodes = {**scripted(command="pidof haproxy || exit 1", user="root"), **version(number)}
    fixes = {f.fix for f in model(nodes=nodes)().findings if f.id == "script-shell-operators"}
    assert all(f'"{shell} -c ' in fix for fix in fixes)
    assert fixes
