# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be wrong with the pair, and what the report has to say of it."""

from __future__ import annotations

from pair import VIP, Break, Pair, balancer, mycat


def stop_keepalived(host: str) -> Break:
    return lambda pair: pair.states[host]["keepalived"].update(running=False, instances=[])


def kill_haproxy(host: str) -> Break:
    return lambda pair: pair.states[host]["haproxy"].update(
        alive=False, servers=[], reason="No such file or directory"
    )


def not_installed(host: str) -> Break:
    def change(pair: Pair) -> None:
        state = pair.states[host]
        state.update(keepalived=None, haproxy=None)
        state["addresses"] = [one for one in state["addresses"] if one != VIP]

    return change


def maintenance(host: str) -> Break:
    return lambda pair: (pair.fault(host), pair.states[host].update(maintenance=True))


def lose(host: str) -> Break:
    return lambda pair: pair.states.update({host: None})


def both_on_one(pair: Pair) -> None:
    """Two virtual IPs, of which lb1 should have the first, and has none."""
    second = "192.0.2.101"
    pair.main["vips"][second] = {"instance": "mycat_2", "port": 8066}
    pair.main["placement"] = {VIP: "lb1", second: "lb2"}
    for name in ("lb1", "lb2"):
        instances = pair.states[name]["keepalived"]["instances"]
        more = {"name": "mycat_2", "virtual_ipaddress": [f"{second}/24"]}
        instances.append({**instances[0], **more})
    pair.give_vip("lb2", vip=second)
    for state in pair.states.values():
        state["asked"][f"{second}:8066"] = "ok"


def silence_all(pair: Pair) -> None:
    pair.silent("lb1", "lb2", "mycat1", "mycat2")


def all_down(pair: Pair) -> None:
    for number in (1, 2):
        pair.states[f"mycat{number}"] = mycat(number, "down", "process: no pid file")
        pair.row(f"mycat{number}", "DOWN", "L7STS")
    silence_all(pair)


def all_drain(pair: Pair) -> None:
    for number in (1, 2):
        pair.states[f"mycat{number}"] = mycat(number, "drain", "draining, asked for by root")
        pair.row(f"mycat{number}", "NOLB", "L7OKC")
    silence_all(pair)


def drained_by(by: str) -> Break:
    def drain(pair: Pair) -> None:
        pair.states["mycat1"] = mycat(1, "drain", f"draining, asked for by {by}")
        since = {"since": "2026-11-26T02:00:00Z", "by": by}
        pair.states["mycat1"]["endpoint"]["drain"] = since
        pair.row("mycat1", "NOLB", "L7OKC")

    return drain


RESTART_KEEPALIVED = (
    "Read `journalctl -u keepalived -n 50` on lb1, mend what it names, then "
    "`systemctl restart keepalived`."
)
RESTART_HAPROXY = RESTART_KEEPALIVED.replace("keepalived", "haproxy")

# kind, severity, host, words of what, words of the fix
CASES: dict[str, tuple[tuple[Break, ...], str, str, str, str, str]] = {
    "both in maintenance": (
        (maintenance("lb1"), maintenance("lb2"), silence_all),
        *("nobody-holds", "error", "lb1"),
        f"no load balancer has {VIP}: lb1 is in maintenance; lb2 is in maintenance",
        "End the maintenance when its work is done: `mycat.ha.switchover` with `-e "
        "mycat_ha_maintenance_end=lb1`, or `echo 0 > /var/lib/mycat_ha/maintenance` on lb1.",
    ),
    "keepalived runs nowhere": (
        (
            stop_keepalived("lb1"),
            stop_keepalived("lb2"),
            lambda pair: pair.drop_vip("lb2"),
            silence_all,
        ),
        *("nobody-holds", "error", "lb1"),
        f"no load balancer has {VIP}: lb1 does not run keepalived; lb2 does not run keepalived",
        RESTART_KEEPALIVED,
    ),
    "HAProxy runs nowhere": (
        (
            kill_haproxy("lb1"),
            kill_haproxy("lb2"),
            lambda pair: pair.fault("lb1", "lb2"),
            silence_all,
        ),
        *("nobody-holds", "error", "lb1"),
        "lb1 has no HAProxy that is alive (No such file or directory); lb2 has no HAProxy",
        RESTART_HAPROXY,
    ),
    "a check fails on both": (
        (lambda pair: pair.fault("lb1", "lb2"), silence_all),
        *("nobody-holds", "error", "lb1"),
        "lb1 has mycat_1 in FAULT although HAProxy is alive",
        "Mend the check, interface or address that `journalctl -u keepalived -n 50` names on lb1",
    ),
    "what ends maintenance comes before a restart": (
        (kill_haproxy("lb1"), lambda pair: pair.fault("lb1"), maintenance("lb2"), silence_all),
        *("nobody-holds", "error", "lb2"),
        "(No such file or directory); lb2 is in maintenance",
        "`echo 0 > /var/lib/mycat_ha/maintenance` on lb2",
    ),
    "both wait": (
        (
            lambda pair: pair.drop_vip("lb2"),
            lambda pair: pair.instance("lb2", state="BACKUP"),
            silence_all,
        ),
        *("nobody-holds", "error", "lb1"),
        "lb1 is BACKUP and waits, as if it heard another master",
        "Look on lb1 who sends adverts of virtual_router_id 100 (`tcpdump -n proto 112`)",
    ),
    "the address was removed": (
        (lambda pair: pair.drop_vip("lb2"), silence_all),
        *("nobody-holds", "error", "lb2"),
        f"lb2 has mycat_1 in MASTER, but {VIP} on no interface",
        "Run `systemctl restart keepalived` on lb2, and find what removed the address",
    ),
    "nobody, and one is out of reach": (
        (maintenance("lb1"), lose("lb2"), lambda pair: pair.silent("mycat1", "mycat2", "lb1")),
        *("nobody-holds", "error", "lb1"),
        "lb1 is in maintenance; lb2 gave Ansible no answer in this run",
        "on lb1",
    ),
    "two that hear nothing": (
        (lambda pair: pair.give_vip("lb1"), lambda pair: pair.instance("lb1", state="MASTER")),
        *("two-holders", "error", "lb1"),
        f"lb1 and lb2 have {VIP} at once: neither hears the other's adverts",
        "Let VRRP (IP protocol 112) of lb1 and lb2 pass the firewalls",
    ),
    "two virtual routers": (
        (
            lambda pair: pair.give_vip("lb1"),
            lambda pair: pair.instance("lb1", state="MASTER", virtual_router_id=51),
        ),
        *("two-holders", "error", "lb1"),
        "virtual_router_id 51 on lb1, virtual_router_id 100 on lb2",
        "Give all load balancers of the cluster the same virtual_router_id",
    ),
    "an address that a killed keepalived left": (
        (stop_keepalived("lb1"), lambda pair: pair.give_vip("lb1")),
        *("two-holders", "error", "lb1"),
        "keepalived does not run on lb1 and left the address behind",
        "Run `systemctl restart keepalived` on lb1: it removes the address at start.",
    ),
    "a former member": (
        (
            lambda pair: pair.states.update(lb3=balancer(3, "MASTER")),
            lambda pair: pair.drop_vip("lb2"),
            lambda pair: pair.instance("lb2", state="BACKUP"),
        ),
        *("holder-is-stranger", "error", "lb3"),
        f"has {VIP}, but is no load balancer of cluster main",
        "Retire it: run `systemctl disable --now keepalived` on lb3",
    ),
    "a MyCat host has it": (
        (lambda pair: pair.give_vip("mycat2"),),
        *("holder-is-stranger", "error", "mycat2"),
        "is no load balancer of cluster main",
        "Retire it",
    ),
    "somebody outside answers": (
        (lambda pair: pair.drop_vip("lb2"), lambda pair: pair.instance("lb2", state="BACKUP")),
        *("holder-is-stranger", "error", "lb1"),
        f"gets an answer at {VIP}, which no asked host has",
        f"Find who has it (`ip neigh show {VIP}` on lb1",
    ),
    "silent: HAProxy of the holder": (
        (kill_haproxy("lb2"), silence_all),
        *("vip-silent", "error", "lb1"),
        f"gets no answer from {VIP} port 8066 on lb2 (timed out): HAProxy is not alive on lb2",
        "`systemctl restart haproxy`",
    ),
    "silent: no MyCat": (
        (all_down,),
        *("vip-silent", "error", "lb1"),
        "no MyCat is UP in HAProxy on lb2",
        "Bring one MyCat up; its own line tells what it lacks.",
    ),
    "silent: all drain": (
        (all_drain,),
        *("vip-silent", "error", "lb1"),
        "no MyCat takes sessions, some drain",
        "remove /run/mycat_status/drain on mycat1",
    ),
    "silent: login": (
        (lambda pair: pair.silent("lb1", reason="error 1045 Access denied for user 'probe'"),),
        *("vip-silent", "error", "lb1"),
        "MyCat refuses the login",
        "Correct mycat_status_user and mycat_status_password",
    ),
    "silent: the network": (
        (lambda pair: pair.silent("lb1"),),
        *("vip-silent", "error", "lb1"),
        "lb2 itself gets one, so the network keeps it from the others",
        f"Open port 8066 on lb2 and let {VIP} pass",
    ),
    "silent: for one of two": (
        (
            lambda pair: pair.states.update(lb3=balancer(3, "BACKUP")),
            lambda pair: pair.main["load_balancers"].append("lb3"),
            lambda pair: pair.silent("lb3"),
        ),
        *("vip-silent", "error", "lb3"),
        "(timed out): other load balancers get one",
        f"Open port 8066 from lb3 to {VIP}",
    ),
    "silent: HAProxy does not listen there": (
        (silence_all,),
        *("vip-silent", "error", "lb1"),
        "HAProxy has a MyCat that is UP",
        f"see that haproxy_mycat_bind covers {VIP} port 8066",
    ),
    "silent: did not ask": (
        (lambda pair: pair.states["lb1"].update(asked={}),),
        *("vip-silent", "error", "lb1"),
        "(it did not ask)",
        "Open port 8066 on lb2",
    ),
    "a MyCat host on a back network": (
        (lambda pair: pair.silent("mycat1"),),
        *("mycat-without-answer", "warning", "mycat1"),
        f"gets no answer from {VIP} port 8066 (timed out), others do",
        f"Open port 8066 from mycat1 to {VIP}",
    ),
    "only the holder could ask": (
        (lose("lb1"), lose("mycat1"), lose("mycat2")),
        *("only-holder-asked", "warning", "lb2"),
        f"only the holder itself asked {VIP}",
        "Run mycat.ha.status without --limit",
    ),
    "one load balancer": (
        (
            lambda pair: pair.main.update(load_balancers=["lb2"]),
            lambda pair: pair.states.pop("lb1"),
        ),
        *("no-standby", "degraded", "lb2"),
        f"no load balancer could take {VIP} over: it is the cluster's only load balancer",
        "Add a second load balancer, or set mycat_ha_allow_degraded: true",
    ),
    "the standby in maintenance": (
        (maintenance("lb1"),),
        *("no-standby", "degraded", "lb2"),
        "lb1 is in maintenance",
        "Mend lb1, or set mycat_ha_allow_degraded: true",
    ),
    "the standby that this run took out": (
        (maintenance("lb1"), lambda pair: pair.main.update(taken_out=["lb1"])),
        *("no-standby", "warning", "lb2"),
        "lb1 is in maintenance",
        "Mend lb1, or set mycat_ha_allow_degraded",
    ),
    "a switch-over": (
        (lambda pair: (pair.fault("lb1"), pair.states["lb1"].update(handing_over=True)),),
        *("handing-over", "warning", "lb1"),
        "takes no part while it hands its addresses over",
        "Run mycat.ha.status again in half a minute; it ends by itself.",
    ),
    "maintenance": (
        (maintenance("lb1"),),
        *("maintenance", "warning", "lb1"),
        "is in maintenance",
        "End the maintenance when its work is done: `mycat.ha.switchover` with `-e "
        "mycat_ha_maintenance_end=lb1`, or `echo 0 > /var/lib/mycat_ha/maintenance` on lb1.",
    ),
    "both on one": (
        (both_on_one,),
        *("not-spread", "warning", ""),
        "the virtual IPs are not spread (0 on lb1, 2 on lb2), and with sticky each stays where",
        f"with `-e mycat_ha_rebalance=yes`, which moves {VIP} to lb1.",
    ),
    "keepalived stopped": (
        (stop_keepalived("lb1"),),
        *("keepalived-down", "degraded", "lb1"),
        "does not run keepalived",
        RESTART_KEEPALIVED,
    ),
    "keepalived not there": (
        (lambda pair: pair.states["lb1"].update(keepalived=None),),
        *("keepalived-down", "degraded", "lb1"),
        "has no keepalived",
        "Run mycat.ha.site",
    ),
    "HAProxy dead": (
        (kill_haproxy("lb1"), lambda pair: pair.fault("lb1")),
        *("haproxy-down", "degraded", "lb1"),
        "has no HAProxy that is alive",
        RESTART_HAPROXY,
    ),
    "fault": (
        (lambda pair: pair.fault("lb1"),),
        *("instance-fault", "degraded", "lb1"),
        "has mycat_1 in FAULT although HAProxy is alive",
        "Mend the check, interface or address",
    ),
    "fault, maintenance unknown": (
        (lambda pair: pair.fault("lb1"), lambda pair: pair.states["lb1"].pop("maintenance")),
        *("instance-fault", "degraded", "lb1"),
        "has mycat_1 in FAULT",
        "or `echo 0 > /var/lib/mycat_ha/maintenance` on lb1",
    ),
    "HAProxy not there": (
        (lambda pair: pair.states["lb1"].update(haproxy=None),),
        *("haproxy-down", "degraded", "lb1"),
        "has no HAProxy",
        "Run mycat.ha.site, which installs it.",
    ),
    "no instance": (
        (lambda pair: pair.states["lb1"]["keepalived"].update(instances=[]),),
        *("instance-missing", "degraded", "lb1"),
        f"has no VRRP instance with {VIP}",
        "Run mycat.ha.site",
    ),
    "an instance without a state": (
        (lambda pair: pair.instance("lb1", state=None),),
        *("instance-unsettled", "degraded", "lb1"),
        "has mycat_1 in state unknown",
        "Run mycat.ha.status again in ten seconds; if it stays so: Read `journalctl",
    ),
    "master without the address beside a holder": (
        (lambda pair: pair.instance("lb1", state="MASTER"),),
        *("address-lost", "degraded", "lb1"),
        f"has mycat_1 in MASTER, but {VIP} on no interface",
        "Run `systemctl restart keepalived` on lb1",
    ),
    "unreachable standby": (
        (lose("lb1"),),
        *("lb-unreachable", "degraded", "lb1"),
        "gave Ansible no answer in this run",
        "`ansible lb1 -m ansible.builtin.ping`",
    ),
    "unreachable holder": (
        (lambda pair: pair.states.pop("lb2"),),
        *("lb-unreachable", "degraded", "lb2"),
        f"gave Ansible no answer in this run, and may be the one that has {VIP}",
        "then run mycat.ha.status",
    ),
    "unreachable third": (
        (lambda pair: pair.main["load_balancers"].append("lb3"),),
        *("lb-unreachable", "warning", "lb3"),
        "gave Ansible no answer in this run",
        "run mycat.ha.status",
    ),
    "keepalived runs with another file": (
        (lambda pair: pair.states["lb1"]["keepalived"].update(loaded_is_file=False),),
        *("not-loaded", "warning", "lb1"),
        "keepalived runs with another configuration than its file has",
        "Run mycat.ha.site, or `systemctl reload keepalived` on lb1",
    ),
    "HAProxy runs with another file": (
        (lambda pair: pair.states["lb2"]["haproxy"].update(loaded_is_file=False),),
        *("not-loaded", "warning", "lb2"),
        "haproxy runs with another configuration than its file has",
        "`systemctl reload haproxy` on lb2",
    ),
    "MyCat stopped": (
        (
            lambda pair: pair.states.update(mycat1=mycat(1, "down", "process: no pid file")),
            lambda pair: pair.row("mycat1", "DOWN", "L7STS"),
        ),
        *("mycat-down", "degraded", "mycat1"),
        "is DOWN in HAProxy on lb1 and lb2: process: no pid file",
        "Start MyCat on mycat1; if it runs, read its logs/wrapper.log",
    ),
    "MyCat hangs and is always being checked": (
        (
            lambda pair: pair.states.update(mycat1=mycat(1, "down", "greeting: timed out")),
            lambda pair: pair.row("mycat1", "DOWN", "* L7STS"),
        ),
        *("mycat-down", "degraded", "mycat1"),
        "is DOWN in HAProxy on lb1 and lb2: greeting: timed out",
        "Start MyCat on mycat1",
    ),
    "MyCat refuses the check's login": (
        (
            lambda pair: pair.states.update(mycat1=mycat(1, "down", "query: Access denied")),
            lambda pair: pair.row("mycat1", "DOWN", "L7STS"),
        ),
        *("mycat-down", "degraded", "mycat1"),
        "query: Access denied",
        "Correct mycat_status_user and mycat_status_password",
    ),
    "firewall before the endpoint": (
        (lambda pair: pair.row("mycat1", "DOWN", "L4TOUT", on="lb1"),),
        *("mycat-down", "degraded", "mycat1"),
        "is DOWN in HAProxy on lb1: its endpoint answers on the host itself, but not to lb1",
        "Open the endpoint's port (mycat_status_port, 48700 unless set) on mycat1 for lb1",
    ),
    "firewall, check under way": (
        (lambda pair: pair.row("mycat1", "DOWN", "* L4TOUT", on="lb1"),),
        *("mycat-down", "degraded", "mycat1"),
        "is starting in HAProxy on lb1: its endpoint answers on the host itself, but not to lb1",
        "see that mycat_status_allow has their addresses",
    ),
    "turned away": (
        (lambda pair: pair.row("mycat1", "DOWN", "L7RSP", "closed"),),
        *("mycat-down", "degraded", "mycat1"),
        "its endpoint says up on the host itself, but HAProxy's check says L7RSP closed",
        "See that mycat_status_allow on mycat1 has the addresses of lb1 and lb2",
    ),
    "never checked": (
        (lambda pair: pair.row("mycat1", "DOWN", "* INI"),),
        *("mycat-down", "degraded", "mycat1"),
        "is starting in HAProxy on lb1 and lb2: its endpoint says up, HAProxy is still checking",
        "Run mycat.ha.status again in ten seconds.",
    ),
    "no endpoint": (
        (
            lambda pair: pair.states["mycat1"].update(
                endpoint={"code": None, "status": None, "reason": "Connection refused"}
            ),
            lambda pair: pair.row("mycat1", "DOWN", "L4CON"),
        ),
        *("mycat-down", "degraded", "mycat1"),
        "its health endpoint does not answer on the host itself (Connection refused)",
        "Run mycat.ha.site, or read `journalctl -t mycat_status -n 50` on mycat1.",
    ),
    "MyCat host gone": (
        (lose("mycat1"), lambda pair: pair.row("mycat1", "DOWN", "* L4TOUT", "timeout")),
        *("mycat-down", "degraded", "mycat1"),
        "is DOWN in HAProxy on lb1 and lb2: HAProxy's check says L4TOUT timeout, and Ansible gets",
        "Start mycat1, or mend the network to it.",
    ),
    "MyCat unknown to HAProxy": (
        (lambda pair: pair.row("mycat1", "", "", on="lb2"),),
        *("mycat-down", "degraded", "mycat1"),
        "is absent in HAProxy on lb2: HAProxy does not know it",
        "Run mycat.ha.site",
    ),
    "MyCat out of Ansible's reach": (
        (lose("mycat1"),),
        *("mycat-unreachable", "warning", "mycat1"),
        "gave Ansible no answer in this run",
        "`ansible mycat1 -m ansible.builtin.ping`",
    ),
    "HAProxy has not noticed": (
        (lambda pair: pair.states.update(mycat1=mycat(1, "down", "greeting: refused")),),
        *("mycat-not-ready", "warning", "mycat1"),
        "says that MyCat is not ready (greeting: refused), though no HAProxy has it DOWN",
        "Run mycat.ha.status again in ten seconds; if it stays so: Start MyCat on mycat1",
    ),
    "set to MAINT": (
        (lambda pair: pair.row("mycat1", "MAINT", "L7OK", on="lb1"),),
        *("mycat-in-maint", "warning", "mycat1"),
        "is in MAINT in HAProxy on lb1",
        "Take it back when the work is done: `echo set server mycat/mycat1 state ready |",
    ),
    "somebody drains it": (
        (drained_by("alice: kernel"),),
        *("mycat-draining", "warning", "mycat1"),
        "takes no new sessions (asked for by alice: kernel, since 2026-11-26T02:00:00Z)",
        "End it when its work is done: remove /run/mycat_status/drain on mycat1.",
    ),
    "its variable drains it": (
        (drained_by("mycat_status_drain"),),
        *("mycat-draining", "warning", "mycat1"),
        "drains, and takes no new sessions (asked for by mycat_status_drain",
        "take mycat_status_drain from mycat1 and run mycat.ha.site",
    ),
    "offline": (
        (drained_by("offline"),),
        *("mycat-draining", "warning", "mycat1"),
        "drains, and takes no new sessions (asked for by offline",
        "send `online` to the manager port of MyCat on mycat1",
    ),
    "a rolling run left it": (
        (drained_by("mycat.ha.rolling_restart_mycat"),),
        *("mycat-draining", "warning", "mycat1"),
        "drains, and takes no new sessions (asked for by mycat.ha.rolling_restart_mycat",
        "If mycat.ha.rolling_restart_mycat does not run any more, run it again: it finishes",
    ),
    "the host's own words": (
        (lambda pair: pair.states["lb1"].update(problems=["systemctl: timed out."]),),
        *("warning-from-host", "warning", "lb1"),
        "systemctl: timed out",
        "Mend that on lb1",
    ),
    "the endpoint's warnings": (
        (lambda pair: pair.states["mycat1"]["endpoint"].update(warnings=["data host db1 down"]),),
        *("warning-from-host", "warning", "mycat1"),
        "data host db1 down",
        "Mend that on mycat1",
    ),
    "a note of the plan": (
        (lambda pair: pair.main.update(notes=["haproxy_maxcon: unknown, haproxy_maxconn?"]),),
        *("note", "warning", ""),
        "haproxy_maxcon: unknown",
        "Change the inventory as the note says.",
    ),
}
