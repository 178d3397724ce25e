# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a finding is, and the catalogue of all of them.

The catalogue is data: one ``Rule`` for each stable id, with its severity, the harm in one line,
an example and the fix. ``rules`` and the readers raise findings by id; ``docs/rules.md`` is
generated from here.

Severity: *error* is what leaves the service without its address, puts the address on two nodes, or
makes the daemon run something else than the file says where that can do either; *warning* is what
makes failover slower, less predictable or more surprising; *info* tells what was not judged.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Severity(enum.Enum):
    """How bad a finding is."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"

    @property
    def rank(self) -> int:
        """0 is the worst."""
        return list(Severity).index(self)


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong. ``node`` and ``instance`` are empty where none is meant.

    ``trace`` is the shortest list of events that shows the harm, ``line`` the line of the node's
    keepalived.conf (from 1), if it was read from text.
    """

    id: str
    severity: Severity
    message: str
    fix: str
    node: str = ""
    instance: str = ""
    trace: tuple[str, ...] = ()
    line: int | None = None

    def as_data(self) -> dict[str, object]:
        """The finding as the modules return it."""
        return {
            "id": self.id,
            "severity": self.severity.value,
            "node": self.node,
            "instance": self.instance,
            "message": self.message,
            "fix": self.fix,
            "trace": list(self.trace),
            "line": self.line,
        }


@dataclass(frozen=True)
class Rule:
    """What the catalogue says about an id.

    ``breaks`` is the property that an instance of an error violates (``no-failover``,
    ``dual-master``), ``unless`` when it does not all the same; where an error breaks neither,
    ``unproven`` says why.
    """

    id: str
    severity: Severity
    harm: str
    example: str
    fix: str
    breaks: str = ""
    unless: str = ""
    unproven: str = ""


_E, _W, _I = Severity.ERROR, Severity.WARNING, Severity.INFO
_FAILOVER, _DUAL = "no-failover", "dual-master"
_OUTRANKED = "the other nodes take the address from this one anyway as soon as they are healthy."

_PROPERTIES = (
    Rule(
        "no-failover",
        _E,
        harm="Some failure leaves the address on a node that cannot serve, or on no node, although "
        "another node could serve.",
        example="lb1: priority 100, track_script { chk_haproxy weight 2 }\n"
        "lb2: priority 90,  track_script { chk_haproxy weight 2 }",
        fix="Mend the causes that the finding names; weight 0 on every node always fails over.",
        breaks=_FAILOVER,
    ),
    Rule(
        "dual-master",
        _E,
        harm="Two nodes hold the address at the same time and stay so: clients reach either.",
        example="lb1: vrrp_version 2\nlb2: vrrp_version 3",
        fix="Mend the causes that the finding names, until each node accepts the other's adverts.",
        breaks=_DUAL,
    ),
    Rule(
        "needless-move",
        _I,
        harm="The address leaves a healthy node for another one: one more interruption, usually "
        "when a preferred node comes back.",
        example="lb1: priority 100\nlb2: priority 90\n# no nopreempt",
        fix="Where that is not wanted: state BACKUP, nopreempt and weight 0 on all nodes.",
    ),
    Rule(
        "search-incomplete",
        _W,
        harm="What was found is true, but there can be more: the cluster is too entangled to look "
        "at every state, or sync groups push each other out for ever.",
        example="lb1: vrrp_sync_group G { group { VI_1 VI_2 } }\n"
        "lb2: vrrp_sync_group G { group { VI_2 VI_3 } }\n"
        "lb3: vrrp_sync_group G { group { VI_3 VI_1 } }",
        fix="Put the same instances into the same sync group on every node.",
    ),
)

_PRIORITIES = (
    Rule(
        "nopreempt-with-weight",
        _E,
        harm="With nopreempt a backup never takes over from a master that is alive, however far "
        "its priority has dropped: a failed check moves nothing.",
        example="state BACKUP\nnopreempt\ntrack_script {\n    chk_haproxy weight -50\n}",
        fix="Keep nopreempt and set the weight to 0, or keep the weight and remove nopreempt.",
        breaks=_FAILOVER,
    ),
    Rule(
        "weight-below-gap",
        _E,
        harm="The check's weight is not larger than the distance between the priorities, so the "
        "failing node still has the higher priority and keeps the address.",
        example="lb1: priority 100, track_script { chk_haproxy weight 2 }\n"
        "lb2: priority 90,  track_script { chk_haproxy weight 2 }",
        fix="Make the weight larger than the gap between the priorities, or set it to 0.",
        breaks=_FAILOVER,
    ),
    Rule(
        "weight-clamped",
        _E,
        harm="Effective priorities stay within 1 and 254; what is cut off there was the "
        "difference that should have moved the address.",
        example="lb1: priority 254, track_script { chk_haproxy weight 50 }\n"
        "lb2: priority 250, track_script { chk_haproxy weight 50 }",
        fix="Move the priorities so that priority plus weights stays within 1 and 254.",
        breaks=_FAILOVER,
    ),
    Rule(
        "equal-priority",
        _W,
        harm="Nodes of equal priority can both become master for a moment, and which one starts "
        "with the address depends on start order and IP addresses.",
        example="lb1: priority 100\nlb2: priority 100",
        fix="Give every node a priority of its own.",
    ),
    Rule(
        "nopreempt-cleared-by-master",
        _W,
        harm="The daemon clears nopreempt and preempt_delay where the state is MASTER: the node "
        "takes the address back as soon as it recovers, which is one more interruption.",
        example="state MASTER\nnopreempt",
        fix="Write state BACKUP on every node that has nopreempt or preempt_delay.",
    ),
    Rule(
        "preempt-delay-with-weight",
        _E,
        harm="A backup that waits out preempt_delay also waits when the master's check has "
        "failed: the service is down for the whole delay.",
        example="preempt_delay 60\ntrack_script {\n    chk_haproxy weight -50\n}",
        fix="Set the weight to 0 (a failed check is then a fault, which is not delayed), or remove "
        "preempt_delay.",
        unproven="The address does move, after the delay; the properties only ask whether it "
        "moves at all.",
    ),
    Rule(
        "preempt-delay-with-nopreempt",
        _W,
        harm="A node that never preempts has nothing to delay: the daemon drops preempt_delay.",
        example="nopreempt\npreempt_delay 60",
        fix="Remove preempt_delay, or remove nopreempt.",
    ),
    Rule(
        "master-without-priority",
        _E,
        harm="state MASTER without a priority makes the node the address owner, priority 255: "
        "weighted checks and nopreempt are dropped.",
        example="vrrp_instance VI_1 {\n    state MASTER\n    # no priority\n}",
        fix="Write the priority down: any number from 1 to 254.",
        unproven="Checks of weight 0 still move the address; weighted ones are reported as "
        "address-owner-with-weight.",
    ),
    Rule(
        "priority-range",
        _E,
        harm="The daemon does not accept the priority and runs with 100, whatever was meant.",
        example="priority 256",
        fix="Use a number from 1 to 254.",
        unproven="100 can happen to keep the order of the nodes.",
    ),
    Rule(
        "vrid-range",
        _E,
        harm="Without a virtual_router_id from 1 to 255 the instance does not run at all.",
        example="virtual_router_id 0",
        fix="Use a number from 1 to 255, the same on all nodes.",
        unproven="An instance that does not run is no part of the search.",
    ),
    Rule(
        "weight-range",
        _E,
        harm="The daemon replaces a weight outside -253 to 253 by one of its own choice.",
        example="track_script {\n    chk_haproxy weight 254\n}",
        fix="Use a weight from -253 to 253, or 0 for a fault.",
        unproven="The weight that is used instead can be enough.",
    ),
    Rule(
        "advert-int-range",
        _E,
        harm="The daemon does not accept the advert interval and uses another one, so failover "
        "takes another time than planned.",
        example="vrrp_version 2\nadvert_int 0.5",
        fix="VRRP version 2 takes whole seconds from 1 to 255; version 3 takes 0.01 to 40.95 in "
        "steps of 0.01.",
        unproven="The address moves, only later than the number says.",
    ),
    Rule(
        "address-owner-with-weight",
        _E,
        harm="At priority 255 the daemon removes weighted checks: their failure moves nothing.",
        example="priority 255\ntrack_script {\n    chk_haproxy weight -50\n}",
        fix="Use a priority of at most 254.",
        breaks=_FAILOVER,
        unless=_OUTRANKED,
    ),
    Rule(
        "address-owner-with-nopreempt",
        _W,
        harm="At priority 255 the daemon drops nopreempt: the node always takes the address back.",
        example="priority 255\nnopreempt",
        fix="Use a priority of at most 254.",
    ),
    Rule(
        "weighted-script-in-sync-group",
        _E,
        harm="Weighted checks of a sync group's member are removed: their failure moves nothing.",
        example="vrrp_sync_group G1 { group { VI_1 } }\n"
        "vrrp_instance VI_1 { track_script { chk_haproxy weight -50 } }",
        fix="Set the weight to 0, or take the instance out of the sync group.",
        breaks=_FAILOVER,
        unless=_OUTRANKED,
    ),
    Rule(
        "positive-file-weight",
        _W,
        harm="A tracked file adds its value times the weight: a file that says 1 for failure "
        "makes the failing node stronger. A track_file without a weight has weight 1.",
        example="track_file {\n    haproxy_down\n}",
        fix="Write weight 0 (a value other than 0 is a fault) or a negative weight.",
    ),
)

_COMMON = (
    Rule(
        "auth-pass-length",
        _W,
        harm="Only the first 8 characters of auth_pass count.",
        example="auth_pass averylongpassword",
        fix="Use at most 8 characters; better, VRRP version 3 without authentication.",
    ),
    Rule(
        "auth-pass-missing",
        _E,
        harm="Authentication without a password is dropped, or the daemon refuses to start.",
        example="authentication {\n    auth_type PASS\n}",
        fix="Write an auth_pass, or remove the authentication block on all nodes.",
        unproven="The daemon may not start, and then there is nothing to search.",
    ),
    Rule(
        "auth-with-v3",
        _W,
        harm="VRRP version 3 and strict mode have no authentication: the block is ignored and "
        "protects nothing.",
        example="version 3\nauthentication {\n    auth_type PASS\n    auth_pass 1111\n}",
        fix="Remove the authentication block; restrict VRRP to the peers with a firewall.",
    ),
    Rule(
        "auth-mismatch",
        _E,
        harm="Nodes with different authentication reject each other's adverts: both become master.",
        example="lb1: auth_pass 1111\nlb2: auth_pass 2222",
        fix="Use the same auth_type and auth_pass on all nodes, or none.",
        breaks=_DUAL,
    ),
    Rule(
        "version-mismatch",
        _E,
        harm="Nodes that speak different VRRP versions reject each other's adverts: both become "
        "master.",
        example="lb1: vrrp_version 2\nlb2: vrrp_version 3",
        fix="Use the same version on all nodes, 3 if all can.",
        breaks=_DUAL,
    ),
    Rule(
        "advert-int-mismatch",
        _E,
        harm="In VRRP version 2 nodes with different advert intervals reject each other's adverts: "
        "both become master. In version 3 the backup follows the master's interval, so this is a "
        "warning: the time to fail over depends on who is master.",
        example="vrrp_version 2\nlb1: advert_int 1\nlb2: advert_int 2",
        fix="Use the same advert_int on all nodes.",
        breaks=_DUAL,
    ),
    Rule(
        "vrid-mismatch",
        _E,
        harm="Nodes that use different virtual_router_ids for one address do not know of each "
        "other: both hold it.",
        example="lb1: virtual_router_id 51\nlb2: virtual_router_id 52",
        fix="Use the same virtual_router_id for the address on all nodes.",
        breaks=_DUAL,
    ),
    Rule(
        "vip-mismatch",
        _E,
        harm="Up to keepalived 2.3.2 an advert with another list of addresses is rejected, and "
        "both nodes become master; later versions accept it, and an address is gone after a "
        "failover.",
        example="lb1: virtual_ipaddress { 192.0.2.100/24 }\n"
        "lb2: virtual_ipaddress { 192.0.2.101/24 }",
        fix="Write the same addresses on all nodes.",
        breaks=_DUAL,
    ),
    Rule(
        "vrid-duplicate",
        _E,
        harm="Two instances on one interface share a virtual_router_id: the daemon refuses the "
        "configuration.",
        example="vrrp_instance VI_1 { interface eth0 virtual_router_id 51 }\n"
        "vrrp_instance VI_2 { interface eth0 virtual_router_id 51 }",
        fix="Give every instance on an interface a virtual_router_id of its own.",
        unproven="The daemon does not start, so there is nothing to search.",
    ),
    Rule(
        "vip-duplicate",
        _E,
        harm="Two instances carry one address: each can hold it on another node.",
        example="vrrp_instance VI_1 { virtual_ipaddress { 192.0.2.100/24 } }\n"
        "vrrp_instance VI_2 { virtual_ipaddress { 192.0.2.100/24 } }",
        fix="Keep the address in one instance.",
        unproven="The search looks at each instance by itself, and each is sound.",
    ),
    Rule(
        "vip-is-own-address",
        _E,
        harm="The virtual address is also a node's own: that node keeps it when it should give it "
        "away, and loses its own address with it.",
        example="lb1 has 192.0.2.11\nvirtual_ipaddress { 192.0.2.11/24 }",
        fix="Use an address that no node has.",
        unproven="The address is on the node for another reason than VRRP, which is all that the "
        "search knows of.",
    ),
    Rule(
        "no-vip",
        _E,
        harm="An instance without a virtual_ipaddress has nothing to move; VRRP version 3 refuses "
        "it.",
        example="vrrp_instance VI_1 { virtual_router_id 51 }",
        fix="Write a virtual_ipaddress block with at least one address.",
        unproven="There is no address that could be on the wrong node.",
    ),
    Rule(
        "no-instance",
        _W,
        harm="The node takes no part: its file is empty, is not the one that the daemon reads, or "
        "keeps its instances in an include.",
        example="# /etc/keepalived/keepalived.conf is empty",
        fix="Give the file that the daemon really reads, or leave the node out.",
    ),
    Rule(
        "interface-missing",
        _E,
        harm="An instance with neither an interface nor a unicast_src_ip does not run.",
        example="vrrp_instance VI_1 { virtual_router_id 51 }",
        fix="Name the interface that carries the nodes' own addresses.",
        unproven="An instance that does not run is no part of the search.",
    ),
    Rule(
        "single-node",
        _W,
        harm="Only one node has this instance: nothing can take its address over.",
        example="lb1: vrrp_instance VI_1 { ... }\nlb2: nothing",
        fix="Configure the instance on a second node.",
    ),
    Rule(
        "sync-group-mismatch",
        _W,
        harm="Instances move together on one node and each by itself on another: after a failure "
        "their addresses can be on different nodes, which the group was to prevent.",
        example="lb1: vrrp_sync_group G { group { VI_1 VI_2 } }\nlb2: no vrrp_sync_group",
        fix="Write the same sync groups on every node.",
    ),
    Rule(
        "unicast-no-peers",
        _E,
        harm="Unicast without a peer falls back to multicast, which many networks drop: then "
        "every node is master.",
        example="unicast_src_ip 192.0.2.11\nunicast_peer {\n}",
        fix="List every other node's address in unicast_peer.",
        unproven="Where multicast works, or every node falls back, the address still moves.",
    ),
    Rule(
        "unicast-self",
        _W,
        harm="The node sends its adverts to itself: useless traffic, and a sign that one peer "
        "list was copied to every node.",
        example="unicast_src_ip 192.0.2.11\nunicast_peer {\n    192.0.2.11\n}",
        fix="Remove the node's own address from unicast_peer.",
    ),
    Rule(
        "unicast-peer-asymmetry",
        _E,
        harm="A node that is in no peer list of the master hears nothing and becomes master too.",
        example="lb1: unicast_peer { 192.0.2.12 }\nlb2: unicast_peer { 192.0.2.13 }",
        fix="Let every node list every other node of the instance.",
        breaks=_DUAL,
    ),
    Rule(
        "unicast-unknown-peer",
        _W,
        harm="A peer is no node of the cluster: a stale address, or a node that was not given.",
        example="lb1: unicast_peer { 192.0.2.12 192.0.2.99 }\nlb2 has 192.0.2.12",
        fix="Remove the address, or give the configuration of its node too.",
    ),
    Rule(
        "unicast-mismatch",
        _E,
        harm="One node speaks unicast, another multicast: they reject each other's adverts, and "
        "both become master.",
        example="lb1: unicast_peer { 192.0.2.12 }\nlb2: no unicast_peer",
        fix="Use unicast_peer on all nodes, or on none.",
        breaks=_DUAL,
    ),
)

_CHECKS = (
    Rule(
        "script-undefined",
        _E,
        harm="The daemon ignores a tracked check that is not defined: its failure moves nothing.",
        example="track_script {\n    chk_haproxy\n}\n# no vrrp_script chk_haproxy",
        fix="Define the check above the instance, or correct the name.",
        breaks=_FAILOVER,
        unless=_OUTRANKED,
    ),
    Rule(
        "track-unsupported",
        _E,
        harm="This version of keepalived does not know the kind of check: its failure moves "
        "nothing.",
        example="track_process {\n    haproxy\n}\n# keepalived 2.0.10",
        fix="Use a newer keepalived, or a track_script.",
        breaks=_FAILOVER,
        unless=_OUTRANKED,
    ),
    Rule(
        "no-check",
        _W,
        harm="A node that tracks nothing keeps the address whatever happens to the service, as "
        "long as keepalived runs.",
        example="vrrp_instance VI_1 {\n    # no track_script, no track_file\n}",
        fix="Track the same checks on all nodes.",
    ),
    Rule(
        "script-tracked-twice",
        _E,
        harm="A script of weight 0 that both an instance and its sync group track leaves the whole "
        "group in FAULT for ever: since 2.0.0 the daemon waits for its first result twice and "
        "gets it once.",
        example="vrrp_sync_group G { group { VI_1 } track_script { chk_haproxy } }\n"
        "vrrp_instance VI_1 { track_script { chk_haproxy } }",
        fix="Track the script in one of the two places; the group's holds for all its members.",
        breaks=_FAILOVER,
    ),
    Rule(
        "script-order",
        _E,
        harm="The daemon reads the file once: a check that is defined below the instance that "
        "tracks it is ignored.",
        example="vrrp_instance VI_1 { track_script { chk } }\nvrrp_script chk { ... }",
        fix="Move the definition above the vrrp_instance.",
        breaks=_FAILOVER,
        unless=_OUTRANKED,
    ),
    Rule(
        "script-timeout-above-interval",
        _W,
        harm="No new run starts while one is under way: a check that hangs is noticed only after "
        "the timeout, not after the interval.",
        example="interval 2\ntimeout 10",
        fix="Set the timeout to at most the interval.",
    ),
    Rule(
        "script-interval-fraction",
        _E,
        harm="keepalived before 2.3.2 takes whole seconds only and ignores any other interval or "
        "timeout: the check runs every second.",
        example="interval 0.5",
        fix="Use a whole number of seconds; for a faster reaction use a track_file.",
        unproven="The address moves, only later than the number says.",
    ),
    Rule(
        "script-too-slow",
        _E,
        harm="The command needs longer than its timeout, so every run counts as a failure.",
        example='script "/bin/ping -c 2 192.0.2.1"\ninterval 1',
        fix="Let the command end well within the timeout, or raise interval and timeout.",
        unproven="The check fails on all nodes alike, and a node whose check fails is not "
        "expected to hold the address.",
    ),
    Rule(
        "script-shell-operators",
        _E,
        harm="The daemon starts the command without a shell: |, &&, ;, > and $(...) are handed to "
        "it as words, and the result means nothing.",
        example='script "pidof haproxy || exit 1"',
        fix="Put the command into a script file, or write sh -c '...' around it.",
        unproven="The search takes a check at its word; it cannot see what a command does.",
    ),
    Rule(
        "script-arguments-unquoted",
        _E,
        harm="Only the first word after script is used: a command that is not in quotes runs "
        "without its arguments.",
        example="script /usr/bin/killall -0 haproxy",
        fix='Put quotes around the whole command: script "/usr/bin/killall -0 haproxy".',
        unproven="The search takes a check at its word; it cannot see what a command does.",
    ),
    Rule(
        "script-missing-command",
        _E,
        harm="The daemon removes a vrrp_script without a script: its failure moves nothing.",
        example="vrrp_script chk_haproxy {\n    interval 2\n}",
        fix="Write the command to run.",
        breaks=_FAILOVER,
        unless=_OUTRANKED,
    ),
    Rule(
        "script-security",
        _W,
        harm="Checks can run as root, or are dropped without a word where the daemon finds no user "
        "to run them as.",
        example="# neither enable_script_security nor script_user in global_defs",
        fix="Write enable_script_security and script_user (an unprivileged user) in global_defs.",
    ),
)

_STRICT = (
    Rule(
        "strict-no-accept",
        _E,
        harm="In strict mode the firewall drops what is sent to the address: it moves, and nobody "
        "can reach it.",
        example="global_defs {\n    vrrp_strict\n}",
        fix="Remove vrrp_strict, or write accept in the instance (VRRP version 3).",
        unproven="The address is on the right node; it does not answer there.",
    ),
    Rule(
        "strict-unicast",
        _E,
        harm="Strict mode does not allow unicast: the instance is refused on any interface that "
        "could do multicast.",
        example="vrrp_strict\nunicast_peer {\n    192.0.2.12\n}",
        fix="Remove vrrp_strict.",
        unproven="An instance that is refused is no part of the search.",
    ),
)

_READING = (
    Rule(
        "state-lowercase",
        _W,
        harm="The daemon knows MASTER and BACKUP in capitals only; anything else is BACKUP.",
        example="state master",
        fix="Write state BACKUP (best on all nodes) or state MASTER.",
    ),
    Rule(
        "unknown-keyword",
        _E,
        harm="The daemon skips a line that it does not know: the setting is not there. The braces "
        "of an unknown block end the block around it early.",
        example="vrrp_instance VI_1 {\n    prioritty 90\n}",
        fix="Correct the keyword, or remove the line.",
        unproven="What the line was meant to do is not known.",
    ),
    Rule(
        "invalid-value",
        _E,
        harm="The daemon ignores a value that it cannot read and uses its default.",
        example="preempt_delay soon",
        fix="Use a value that keepalived.conf(5) names.",
        unproven="The default can be good enough.",
    ),
    Rule(
        "duplicate-name",
        _E,
        harm="The second block of the same name is ignored.",
        example="vrrp_instance VI_1 { ... }\nvrrp_instance VI_1 { ... }",
        fix="Give every block a name of its own.",
        unproven="The search sees the first block, as the daemon does.",
    ),
    Rule(
        "syntax",
        _E,
        harm="The file is not put together as the daemon reads it: what follows can be lost.",
        example="vrrp_instance VI_1 {\n    priority 100\n# the closing brace is missing",
        fix="Balance braces and quotes.",
        unproven="What the rest of the file was meant to say is not known.",
    ),
    Rule(
        "missing-include",
        _E,
        harm="The included file was not given, so this judgement leaves it out; the daemon itself "
        "skips a missing file without an error.",
        example="include /etc/keepalived/conf.d/*.conf",
        fix="Give the whole text, or make it one file.",
        unproven="What the included file says is not known.",
    ),
    Rule(
        "conditional-skipped",
        _I,
        harm="Lines that start with @name hold only where the daemon's config id is that name, "
        "which is the host's name unless keepalived is started with -i.",
        example="@main priority 150",
        fix="Judge each file under the name its node really has.",
    ),
)

_PLANS = (
    Rule(
        "advert-int-short",
        _W,
        harm="Adverts come so often that a CPU which stalls for a moment looks like a lost node.",
        example="node_loss_budget: 0.2",
        fix="Write a larger node_loss_budget, or measure how long your hosts stall.",
    ),
    Rule(
        "spread-not-kept",
        _I,
        harm="Sticky addresses do not return: after a failure one node can hold all of them.",
        example="preempt: sticky\nvips: [{address: 192.0.2.100/24}, {address: 192.0.2.101/24}]",
        fix="Write preempt: preferred to have each address return to its own node.",
    ),
    Rule(
        "hang-unnoticed",
        _I,
        harm="Mode kill notices a HAProxy that ends, not one that hangs.",
        example="mode: kill",
        fix="Write mode: fault, which notices both.",
    ),
)

SECTIONS: tuple[tuple[str, tuple[Rule, ...]], ...] = (
    ("Properties", _PROPERTIES),
    ("Priorities and weights", _PRIORITIES),
    ("What the nodes must have in common", _COMMON),
    ("Checks", _CHECKS),
    ("Strict mode", _STRICT),
    ("Reading the file", _READING),
    ("Plans", _PLANS),
)

CATALOGUE: dict[str, Rule] = {rule.id: rule for _title, rules in SECTIONS for rule in rules}


def finding(
    rule_id: str,
    message: str,
    fix: str = "",
    *,
    node: str = "",
    instance: str = "",
    trace: tuple[str, ...] = (),
    line: int | None = None,
    severity: Severity | None = None,
) -> Finding:
    """A finding of the catalogue's rule; severity and fix are the rule's unless given.

    Raises KeyError for an id that the catalogue does not hold.
    """
    rule = CATALOGUE[rule_id]
    return Finding(
        rule_id, severity or rule.severity, message, fix or rule.fix, node, instance, trace, line
    )
