# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong in a cluster: which host, what, and what to do about it. Pure.

One function finds one kind of problem, in one place with its sentences. `error`: a virtual IP does
not serve. `degraded`: it serves, and the next failure may end that. `warning`: something to know.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..host import draining
from .cluster import (
    ABSENT,
    ANSWERED,
    DRAINING,
    NOT_ASKED,
    NOT_SERVING,
    STARTING,
    TAKES_SESSIONS,
    Cluster,
    Host,
    Instance,
    Server,
    View,
    Vip,
    mapping,
    text,
    texts,
)

ERROR, DEGRADED, WARNING = SEVERITIES = ("error", "degraded", "warning")

MAINTENANCE_FILE = "/var/lib/mycat_ha/maintenance"
_FIREWALLS = "the firewalls (in a cloud, the security groups too)"


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong.

    ``kind`` is a stable id. ``host`` is where to look, "" where it is the cluster as a whole.
    ``what`` reads on after the host's name; ``fix`` is a sentence that says what to do. ``seen_by``
    are the hosts that show it, where those are not ``host`` itself.
    """

    kind: str
    severity: str
    host: str
    what: str
    fix: str
    vip: str | None = None
    seen_by: tuple[str, ...] = ()

    def as_data(self) -> dict[str, object]:
        """The problem as a report has it."""
        return {
            "kind": self.kind,
            "severity": self.severity,
            "host": self.host,
            "vip": self.vip,
            "what": self.what,
            "fix": self.fix,
            "seen_by": list(self.seen_by),
        }


def problems(cluster: Cluster, views: Sequence[View]) -> tuple[Problem, ...]:
    """All that is wrong in ``cluster``, worst first. ``views`` holds one `View` of each VIP."""
    found = [
        *(problem for view in views for problem in _of_vip(cluster, view)),
        *(problem for host in cluster.load_balancers for problem in _of_balancer(host, views)),
        *(problem for host in cluster.mycats for problem in _of_mycat(cluster, host)),
        *_not_spread(cluster, views),
        *_from_hosts(cluster),
        *(
            Problem("note", WARNING, "", note, "Change the inventory as the note says.")
            for note in cluster.notes
        ),
    ]
    return tuple(sorted(dict.fromkeys(found), key=lambda one: SEVERITIES.index(one.severity)))


# ---- virtual IPs ----


def _of_vip(cluster: Cluster, view: View) -> Iterator[Problem]:
    unseen = [host for host in cluster.load_balancers if not host.reachable]
    for host in view.strangers:
        yield _holder_is_stranger(cluster, view.vip, host)
    if len(view.holders) > 1:
        yield _two_holders(view)
    elif view.holder and view.silent:
        yield _vip_silent(cluster, view, view.holder)
    elif not view.holders and not view.strangers:
        if not view.answers:
            yield _nobody_holds(cluster, view.vip)
        elif not unseen:
            yield _outsider_answers(view)
    if view.serves:
        yield from _cut_off_mycats(cluster, view)
        if view.witnesses == view.holders:
            yield _only_holder_asked(view)
    if view.holder and not view.standby:
        yield _no_standby(cluster, view, view.holder)


def _holder_is_stranger(cluster: Cluster, vip: Vip, host: Host) -> Problem:
    return Problem(
        "holder-is-stranger",
        ERROR,
        host.name,
        f"has {vip.address}, but is no load balancer of cluster {cluster.name}",
        f"Retire it: run `systemctl disable --now keepalived` on {host.name}, remove the address "
        "from its interface if it stays there, or put the host back into the group.",
        vip.address,
    )


def _two_holders(view: View) -> Problem:
    vip, names = view.vip, _names(view.holders)
    left = [host for host in view.holders if not host.runs_keepalived]
    routers = {
        host.name: instance.virtual_router_id
        for host in view.holders
        for instance in [host.instance(vip)]
        if instance
    }
    if left:
        host = left[0]
        what = f"keepalived does not run on {host.name} and left the address behind"
        fix = f"Run `systemctl restart keepalived` on {host.name}: it removes the address at start."
    elif len(set(routers.values())) > 1:
        host = view.holders[0]
        what = "they are not the same virtual router: " + ", ".join(
            f"virtual_router_id {number} on {name}" for name, number in routers.items()
        )
        fix = (
            "Give all load balancers of the cluster the same virtual_router_id (run mycat.ha.site)."
        )
    else:
        host = view.holders[0]
        what = "neither hears the other's adverts"
        fix = (
            f"Let VRRP (IP protocol 112) of {names} pass {_FIREWALLS}; if it does, compare "
            "vrrp_version, authentication and unicast_peer in their keepalived.conf."
        )
    what = f"{names} have {vip.address} at once: {what}"
    return Problem("two-holders", ERROR, host.name, what, fix, vip.address)


def _nobody_holds(cluster: Cluster, vip: Vip) -> Problem:
    reasons = [unfit(host, vip) or _waits(host, vip) for host in cluster.load_balancers]
    listed = "; ".join(f"{reason.host} {reason.what}" for reason in reasons)
    # What an operator can end at once comes first, an unreachable host last.
    first = min(reasons, key=lambda reason: _EASIEST_FIRST.index(reason.kind), default=None)
    return Problem(
        "nobody-holds",
        ERROR,
        first.host if first else "",
        f"no load balancer has {vip.address}: {listed or 'the cluster has none'}",
        first.fix if first else "Put two hosts into the group of the load balancers.",
        vip.address,
    )


def _waits(host: Host, vip: Vip) -> Problem:
    instance = host.instance(vip)
    router = instance.virtual_router_id if instance else "?"
    return Problem(
        "waits",
        ERROR,
        host.name,
        "is BACKUP and waits, as if it heard another master",
        f"Look on {host.name} who sends adverts of virtual_router_id {router} (`tcpdump -n proto "
        f"112`); if nobody does, run `systemctl restart keepalived`, and let VRRP (IP protocol "
        f"112) and the address {vip.address} pass {_FIREWALLS} (ARP or port security).",
        vip.address,
    )


def _outsider_answers(view: View) -> Problem:
    vip = view.vip
    host = next(host for host in view.witnesses if host not in view.silent)
    return Problem(
        "holder-is-stranger",
        ERROR,
        host.name,
        f"gets an answer at {vip.address}, which no asked host has",
        f"Find who has it (`ip neigh show {vip.address}` on {host.name} tells the Ethernet "
        "address), and take the address away there.",
        vip.address,
    )


def _vip_silent(cluster: Cluster, view: View, holder: Host) -> Problem:
    vip, (host, *others) = view.vip, view.silent
    reason = host.answer(vip) or NOT_ASKED
    also = f", nor {'does' if len(others) == 1 else 'do'} {_names(others)}" if others else ""
    why, fix = _why_silent(cluster, view, holder, reason)
    return Problem(
        "vip-silent",
        ERROR,
        host.name,
        f"gets no answer from {vip.address} port {vip.port} on {holder.name} ({reason}){also}: "
        f"{why}",
        fix,
        vip.address,
        tuple(one.name for one in view.silent),
    )


def _why_silent(cluster: Cluster, view: View, holder: Host, reason: str) -> tuple[str, str]:
    """The likely cause, and the fix."""
    vip, names = view.vip, _names(view.silent)
    if not holder.haproxy_alive:
        return f"HAProxy is not alive on {holder.name}", _restart("haproxy", holder)
    seen = {mycat.name: cluster.seen(mycat).get(holder.name, ABSENT) for mycat in cluster.mycats}
    if not any(state in TAKES_SESSIONS for state in seen.values()):
        if any(state in DRAINING for state in seen.values()):
            drained = _first(seen, DRAINING)
            return (
                "no MyCat takes sessions, some drain",
                f"End the drain of one: remove {draining.FILE} on {drained} (or its "
                "mycat_status_drain).",
            )
        return (
            f"no MyCat is UP in HAProxy on {holder.name}",
            "Bring one MyCat up; its own line tells what it lacks.",
        )
    if "denied" in reason.lower():
        return (
            "MyCat refuses the login",
            "Correct mycat_status_user and mycat_status_password, or the user in MyCat.",
        )
    if view.answers:
        return (
            "other load balancers get one",
            f"Open port {vip.port} from {names} to {vip.address}, and compare `ip neigh show "
            f"{vip.address}` there with the Ethernet address of {holder.name}.",
        )
    if holder.answer(vip) == ANSWERED:
        return (
            f"{holder.name} itself gets one, so the network keeps it from the others",
            f"Open port {vip.port} on {holder.name} and let {vip.address} pass {_FIREWALLS} "
            "(ARP or port security, allowed address pairs).",
        )
    return (
        "HAProxy has a MyCat that is UP",
        f"Read `journalctl -u haproxy -n 50` on {holder.name}, and see that haproxy_mycat_bind "
        f"covers {vip.address} port {vip.port}.",
    )


def _cut_off_mycats(cluster: Cluster, view: View) -> Iterator[Problem]:
    vip = view.vip
    for host in cluster.mycats:
        answer = host.answer(vip)
        if host not in (*view.holders, *cluster.load_balancers) and answer not in (None, ANSWERED):
            yield Problem(
                "mycat-without-answer",
                WARNING,
                host.name,
                f"gets no answer from {vip.address} port {vip.port} ({answer}), others do",
                f"Open port {vip.port} from {host.name} to {vip.address} if anything on it is a "
                "client; on a network of its own behind the load balancers this is right.",
                vip.address,
            )


def _only_holder_asked(view: View) -> Problem:
    host = view.holders[0]
    return Problem(
        "only-holder-asked",
        WARNING,
        host.name,
        f"only the holder itself asked {view.vip.address}; nobody else could be asked",
        "Run mycat.ha.status without --limit when another host is reachable.",
        view.vip.address,
    )


def _no_standby(cluster: Cluster, view: View, holder: Host) -> Problem:
    others = [host for host in cluster.load_balancers if host is not holder]
    reasons = [unfit(host, view.vip) or _waits(host, view.vip) for host in others]
    listed = "; ".join(f"{reason.host} {reason.what}" for reason in reasons)
    what = listed or "it is the cluster's only load balancer"
    fix = f"Mend {_names(others)}" if others else "Add a second load balancer"
    wished = others and all(reason.host in cluster.taken_out for reason in reasons)
    return Problem(
        "no-standby",
        WARNING if wished else DEGRADED,
        holder.name,
        f"no load balancer could take {view.vip.address} over: {what}",
        f"{fix}, or set mycat_ha_allow_degraded: true for as long as that is meant.",
        view.vip.address,
    )


def displaced(cluster: Cluster, views: Sequence[View]) -> list[tuple[View, str]]:
    """The virtual IPs that are not where the plan would have them, each with that load balancer."""
    homes = [(one, cluster.placement.get(one.vip.address)) for one in views]
    return [
        (one, home)
        for one, home in homes
        if home and home not in [host.name for host in one.holders]
    ]


def _not_spread(cluster: Cluster, views: Sequence[View]) -> Iterator[Problem]:
    """With sticky nothing returns by itself; a load balancer that holds one more is no matter."""
    able = [host for host in cluster.load_balancers if host.instances]
    counts = {host.name: sum(one.holder is host for one in views) for host in able}
    moves = [
        f"{one.vip.address} to {home}" for one, home in displaced(cluster, views) if one.holder
    ]
    if moves and not cluster.homes and max(counts.values()) - min(counts.values()) > 1:
        shown = ", ".join(f"{number} on {name}" for name, number in counts.items())
        yield Problem(
            "not-spread",
            WARNING,
            "",
            f"the virtual IPs are not spread ({shown}), and with sticky each stays where it is",
            "Run `mycat.ha.switchover` with `-e mycat_ha_rebalance=yes`, which moves "
            f"{', '.join(moves)}.",
        )


# ---- load balancers ----


def _of_balancer(host: Host, views: Sequence[View]) -> Iterator[Problem]:
    for view in views:
        found = unfit(host, view.vip)
        if found and found.kind == "lb-unreachable":
            yield _unreachable_balancer(host, views)
        elif found:
            yield found
    if not views and not host.reachable:
        yield _unreachable(host, "lb-unreachable")
    if host.maintenance:
        yield _in_maintenance(host)
    for name, said in (("keepalived", host.keepalived), ("haproxy", host.haproxy)):
        if said.get("loaded_is_file") is False:
            yield Problem(
                "not-loaded",
                WARNING,
                host.name,
                f"{name} runs with another configuration than its file has",
                f"Run mycat.ha.site, or `systemctl reload {name}` on {host.name} if the file is "
                "the right one.",
                seen_by=(name,),
            )


def _unreachable_balancer(host: Host, views: Sequence[View]) -> Problem:
    """A warning where the VIPs have a holder and a standby without it, else degraded."""
    missed = [view.vip.address for view in views if not view.standby or not view.holders]
    held = [view.vip.address for view in views if not view.holders and view.answers]
    return _unreachable(
        host,
        "lb-unreachable",
        f", and may be the one that has {', '.join(held)}" if held else "",
        DEGRADED if missed else WARNING,
    )


def unfit(host: Host, vip: Vip) -> Problem | None:
    """Why ``host`` cannot have the address; None if it has it or could take it."""
    if not host.reachable:
        return _unreachable(host, "lb-unreachable")
    if not host.keepalived:
        return _unfit_because(host, "keepalived-down", "has no keepalived", _SITE)
    if not host.runs_keepalived:
        what = "does not run keepalived"
        return _unfit_because(host, "keepalived-down", what, _restart("keepalived", host))
    if not host.haproxy:
        return _unfit_because(host, "haproxy-down", "has no HAProxy", _SITE)
    if not host.haproxy_alive:
        what = f"has no HAProxy that is alive{_said(host.haproxy)}"
        return _unfit_because(host, "haproxy-down", what, _restart("haproxy", host))
    return _unfit_instance(host, vip, host.instance(vip))


def _unfit_instance(host: Host, vip: Vip, instance: Instance | None) -> Problem | None:
    if instance is None:
        what = f"has no VRRP instance with {vip.address}"
        return _unfit_because(host, "instance-missing", what, _SITE, vip)
    if instance.state == "FAULT":
        return _in_fault(host, vip, instance)
    if instance.state == "MASTER" and not host.has(vip):
        return _unfit_because(
            host,
            "address-lost",
            f"has {instance.name} in MASTER, but {vip.address} on no interface",
            f"Run `systemctl restart keepalived` on {host.name}, and find what removed the address "
            "(networkd, NetworkManager, a script).",
            vip,
        )
    if instance.state not in ("MASTER", "BACKUP"):
        what = f"has {instance.name} in state {instance.state or 'unknown'}"
        fix = _if_it_stays(_restart("keepalived", host))
        return _unfit_because(host, "instance-unsettled", what, fix, vip)
    return None


def _in_fault(host: Host, vip: Vip, instance: Instance) -> Problem:
    if host.maintenance:
        return _in_maintenance(host)
    if host.handing_over:
        what = "takes no part while it hands its addresses over"
        fix = "Run mycat.ha.status again in half a minute; it ends by itself."
        return Problem("handing-over", WARNING, host.name, what, fix)
    mend = (
        f"Mend the check, interface or address that `journalctl -u keepalived -n 50` names on "
        f"{host.name}; the instance returns by itself."
    )
    if host.maintenance is None:
        mend = f"{mend} If somebody put it into maintenance, end that: {_end(host)}."
    what = f"has {instance.name} in FAULT although HAProxy is alive"
    return _unfit_because(host, "instance-fault", what, mend, vip)


def _in_maintenance(host: Host) -> Problem:
    fix = f"End the maintenance when its work is done: {_end(host)}."
    return Problem("maintenance", WARNING, host.name, "is in maintenance", fix)


def _end(host: Host) -> str:
    return (
        f"`mycat.ha.switchover` with `-e mycat_ha_maintenance_end={host.name}`, or `echo 0 > "
        f"{MAINTENANCE_FILE}` on {host.name}"
    )


_SITE = "Run mycat.ha.site, which installs it."
_EASIEST_FIRST = (
    *(
        "handing-over",
        "maintenance",
        "keepalived-down",
        "haproxy-down",
        "address-lost",
        "instance-fault",
    ),
    *("instance-missing", "instance-unsettled", "waits", "lb-unreachable"),
)


def _unfit_because(host: Host, kind: str, what: str, fix: str, vip: Vip | None = None) -> Problem:
    return Problem(kind, DEGRADED, host.name, what, fix, vip.address if vip else None)


def _unreachable(host: Host, kind: str, more: str = "", severity: str = WARNING) -> Problem:
    return Problem(
        kind,
        severity,
        host.name,
        f"gave Ansible no answer in this run{more}",
        f"Find out why (`ansible {host.name} -m ansible.builtin.ping`; --limit leaves hosts out), "
        "then run mycat.ha.status.",
    )


# ---- MyCats ----


def _of_mycat(cluster: Cluster, host: Host) -> Iterator[Problem]:
    seen = cluster.seen(host)
    missing = tuple(name for name, state in seen.items() if state in NOT_SERVING)
    if missing and not cluster.draining(host):
        yield _mycat_down(cluster, host, seen, missing)
    elif not host.reachable:
        yield _unreachable(host, "mycat-unreachable")
    elif host.health == "down" and not cluster.draining(host):
        yield Problem(
            "mycat-not-ready",
            WARNING,
            host.name,
            f"says that MyCat is not ready ({_reason(host)}), though no HAProxy has it DOWN",
            _if_it_stays(_mend_mycat(host)),
        )
    if "drain" in host.endpoint:
        yield _drains(host)
    for name, state in seen.items():
        if state == "MAINT":
            yield Problem(
                "mycat-in-maint",
                WARNING,
                host.name,
                f"is in MAINT in HAProxy on {name}",
                f"Take it back when the work is done: `echo set server mycat/{host.name} state "
                f"ready | socat - /run/haproxy/admin.sock` on {name}.",
                seen_by=(name,),
            )


def _drains(host: Host) -> Problem:
    """Somebody's own drain, or one that a rolling run left."""
    drain = mapping(host.endpoint.get("drain"))
    by, since = text(drain.get("by")) or "somebody", text(drain.get("since"))
    end = f"remove {draining.FILE} on {host.name}"
    if by == "mycat_status_drain":
        end = f"take mycat_status_drain from {host.name} and run mycat.ha.site"
    elif by == "offline":
        end = f"send `online` to the manager port of MyCat on {host.name}"
    fix = f"End it when its work is done: {end}."
    if by.startswith("mycat.ha."):
        fix = f"If {by} does not run any more, run it again: it finishes what is left. Or {end}."
    asked = f"{by}, since {since}" if since else by
    what = f"drains, and takes no new sessions (asked for by {asked})"
    return Problem("mycat-draining", WARNING, host.name, what, fix)


def _mycat_down(
    cluster: Cluster, host: Host, seen: dict[str, str], missing: tuple[str, ...]
) -> Problem:
    rows = [
        balancer.servers[host.name]
        for balancer in cluster.balancing
        if balancer.name in missing and host.name in balancer.servers
    ]
    states = " and ".join(dict.fromkeys(seen[name] for name in missing))
    why, fix = _why_down(host, rows, _words(missing))
    return Problem(
        "mycat-down",
        DEGRADED,
        host.name,
        f"is {states} in HAProxy on {_words(missing)}: {why}",
        fix,
        seen_by=missing,
    )


def _why_down(host: Host, rows: Sequence[Server], balancers: str) -> tuple[str, str]:
    """The likely cause, and the fix. ``rows`` are the server's where it is not up."""
    if not rows:
        return "HAProxy does not know it", _SITE
    result, last = rows[0].result, rows[0].last
    check = f"HAProxy's check says {' '.join(filter(None, (result, last)))}"
    if not host.reachable:
        return (
            f"{check}, and Ansible gets no answer from it either",
            f"Start {host.name}, or mend the network to it.",
        )
    if not host.health:
        return (
            f"its health endpoint does not answer on the host itself{_said(host.endpoint)}",
            f"Run mycat.ha.site, or read `journalctl -t mycat_status -n 50` on {host.name}.",
        )
    if host.health == "down":
        return _reason(host), _mend_mycat(host)
    if result in ("L4CON", "L4TOUT"):
        return (
            f"its endpoint answers on the host itself, but not to {balancers} ({result})",
            f"Open the endpoint's port (mycat_status_port, 48700 unless set) on {host.name} for "
            f"{balancers} in {_FIREWALLS}, and see that mycat_status_allow has their addresses.",
        )
    if any(row.state(host.health) == STARTING for row in rows):
        return (
            f"its endpoint says {host.health}, HAProxy is still checking",
            "Run mycat.ha.status again in ten seconds.",
        )
    return (
        f"its endpoint says {host.health} on the host itself, but {check}",
        f"See that mycat_status_allow on {host.name} has the addresses of {balancers}, and read "
        "`journalctl -t mycat_status -n 50` there.",
    )


def _reason(host: Host) -> str:
    return text(host.endpoint.get("reason")) or "its endpoint gives no reason"


def _mend_mycat(host: Host) -> str:
    if "denied" in _reason(host).lower():
        return "Correct mycat_status_user and mycat_status_password, or the user in MyCat."
    return f"Start MyCat on {host.name}; if it runs, read its logs/wrapper.log and logs/mycat.log."


# ---- what hosts say themselves ----


def _from_hosts(cluster: Cluster) -> Iterator[Problem]:
    for host in dict.fromkeys((*cluster.load_balancers, *cluster.mycats)):
        for said in (*host.problems, *texts(host.endpoint.get("warnings"))):
            yield Problem(
                "warning-from-host",
                WARNING,
                host.name,
                said.rstrip("."),
                f"Mend that on {host.name}, then run mycat.ha.status.",
            )


# ---- words ----


def _said(part: Mapping[str, Any]) -> str:
    """The reason that goes with it, in parentheses, if there is one."""
    reason = text(part.get("reason"))
    return f" ({reason})" if reason else ""


def _restart(service: str, host: Host) -> str:
    return (
        f"Read `journalctl -u {service} -n 50` on {host.name}, mend what it names, then "
        f"`systemctl restart {service}`."
    )


def _names(hosts: Iterable[Host]) -> str:
    return _words([host.name for host in hosts])


def _words(names: Sequence[str]) -> str:
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last


def _first(seen: dict[str, str], states: tuple[str, ...]) -> str:
    return next(name for name, state in seen.items() if state in states)


def _if_it_stays(fix: str) -> str:
    return f"Run mycat.ha.status again in ten seconds; if it stays so: {fix}"
