# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report that ends a run: whether each virtual IP serves, and what is wrong. Pure.

docs/report.md says what the report means; `problems` holds what can be wrong, in sentences.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from typing import Any

from ..keepalived.recorded import file_name
from .cluster import (
    ABSENT,
    NOT_SERVING,
    STARTING,
    Cluster,
    Host,
    View,
    mapping,
    read_clusters,
    text,
    texts,
    view,
)
from .moves import moves
from .problems import DEGRADED, ERROR, problems

SCHEMA = 1
# Of each VIP.
MOST_MOVES = 20
_THIS_RUN = "this run changed"
# The ways in which a report shows that a load balancer does not work.
_OF_BALANCER = (
    *("lb-unreachable", "keepalived-down", "haproxy-down", "instance-missing", "instance-fault"),
    *("instance-unsettled", "address-lost"),
)
# The endpoint's status -> states in HAProxy that its next checks will change. DOWN is none of them
# for a drain: after a restart a draining MyCat is DOWN until the drain ends.
_NOT_NOTICED_YET = {"up": ("DOWN", "NOLB"), "drain": ("UP",), "down": ("UP", "NOLB")}
# Never a reason to roll back: their causes are problems of their own, or out of reach.
_NEVER_NEW = ("no-standby", "lb-unreachable")


def judge(
    expected: Any,
    states: Any,
    *,
    before: Any = None,
    changed: Any = None,
    check_mode: bool = False,
    playbook: str,
    started: float,
    seconds: float,
) -> dict[str, Any]:
    """The report (schema 1) on all clusters of ``expected``. Never raises on odd data.

    ``expected`` is the plan's, ``states`` {HOST: result of host_state, None if unreachable},
    ``before`` the same from the start of the run, ``changed`` {HOST: [what was done]} (None: the
    playbook changes nothing by nature), in ``check_mode`` what would be done, ``started`` seconds
    since 1970, ``seconds`` the run's length.
    """
    then = {cluster.name: cluster for cluster in read_clusters(expected, before)}
    clusters = {
        cluster.name: _cluster(cluster, then[cluster.name] if before else None, changed)
        for cluster in read_clusters(expected, states)
    }
    return {
        "schema": SCHEMA,
        "playbook": playbook,
        "check_mode": check_mode,
        "started": _iso(started),
        "seconds": round(seconds, 1),
        "ok": bool(clusters) and all(cluster["ok"] for cluster in clusters.values()),
        "clusters": clusters,
    }


def _cluster(cluster: Cluster, then: Cluster | None, changed: Any) -> dict[str, Any]:
    views = [view(cluster, vip) for vip in cluster.vips]
    found = problems(cluster, views)
    degraded = any(problem.severity == DEGRADED for problem in found)
    broken = any(problem.severity == ERROR for problem in found)
    serves = all(one.serves for one in views) and not broken
    members = {host.name for host in (*cluster.load_balancers, *cluster.mycats)}
    return {
        "ok": serves and (cluster.allow_degraded or not degraded),
        "degraded": degraded,
        "vips": {one.vip.address: _vip(one) for one in views},
        "load_balancers": {host.name: _balancer(host) for host in cluster.load_balancers},
        "mycats": {host.name: _mycat(cluster, host) for host in cluster.mycats},
        "moves": [move for one in views for move in _all_moves(cluster, one, then, changed)],
        "bounds": dict(cluster.bounds),
        "changed": None
        if changed is None
        else {
            text(host): list(done)
            for host, done in ((host, texts(done)) for host, done in mapping(changed).items())
            if done and text(host) in members
        },
        "problems": [problem.as_data() for problem in found],
    }


def _vip(one: View) -> dict[str, Any]:
    return {
        "instance": one.vip.instance,
        "port": one.vip.port,
        "holder": one.holder.name if one.holder else None,
        "holders": [host.name for host in one.holders],
        "strangers": [host.name for host in one.strangers],
        "standby": [host.name for host in one.standby],
        "since": _since(one),
        "serves": one.serves,
        "asked": dict(one.asked),
    }


def _since(one: View) -> str | None:
    instance = one.holder.instance(one.vip) if one.holder else None
    return instance.since if instance and instance.state == "MASTER" else None


def _balancer(host: Host) -> dict[str, Any]:
    return {
        "reachable": host.reachable,
        "maintenance": host.maintenance,
        "instances": {
            instance.name: {
                "state": instance.state or None,
                "since": instance.since,
                "priority": instance.priority,
                "effective_priority": instance.effective_priority,
                "virtual_router_id": instance.virtual_router_id,
            }
            for instance in host.instances
        },
        "haproxy": {
            "alive": host.haproxy_alive if host.reachable else None,
            "loaded_is_file": host.haproxy.get("loaded_is_file"),
            "version": host.haproxy.get("version"),
        },
        "keepalived": {
            "running": host.runs_keepalived if host.reachable else None,
            "version": host.keepalived.get("version"),
            "loaded_is_file": host.keepalived.get("loaded_is_file"),
        },
    }


def _mycat(cluster: Cluster, host: Host) -> dict[str, Any]:
    health = {key: host.endpoint.get(key) for key in ("status", "level", "reason")}
    return {
        "reachable": host.reachable,
        "seen": cluster.seen(host),
        "health": health,
        "draining": cluster.draining(host),
    }


def _all_moves(
    cluster: Cluster, one: View, then: Cluster | None, changed: Any
) -> list[dict[str, Any]]:
    """The last moves of the VIP that its load balancers noted, and what this run knows of them."""
    name = file_name(one.vip.instance)
    noted_by = {host.name: host.history.get(name, ()) for host in cluster.load_balancers}
    noted: list[dict[str, Any]] = [
        {
            "time": _iso(move.time),
            "vip": one.vip.address,
            "from": move.left,
            "to": move.to,
            "cause": move.cause,
        }
        for move in moves(noted_by)
    ][-MOST_MOVES:]
    for own in _moves(one, then, changed):
        last = noted[-1] if noted else {}
        if (last.get("from"), last.get("to")) != (own["from"], own["to"]):
            noted.append(own)
        elif own["cause"].startswith(_THIS_RUN):
            last["cause"] = own["cause"]
    return noted


def _moves(one: View, then: Cluster | None, changed: Any) -> Iterator[dict[str, Any]]:
    """How the VIP moved between the start of the run and now; of what it did in between only where
    it came back from is known."""
    former = view(then, one.vip).holder if then else None
    if then is None or former is None or one.holder is None:
        return
    left = former.name
    if left == one.holder.name:
        left = _deputy(one, then)
    done = texts(mapping(changed).get(former.name))
    if left:
        yield {
            "time": _since(one),
            "vip": one.vip.address,
            "from": left,
            "to": one.holder.name,
            "cause": f"{_THIS_RUN} {former.name}: {', '.join(done)}"
            if done
            else f"not this run; `journalctl -u keepalived` on {former.name} tells",
        }


def _deputy(one: View, then: Cluster) -> str:
    """The load balancer that had the VIP while its holder was away in between, empty where it
    stayed: that became BACKUP since, and the holder became MASTER anew."""

    def since(host: Host | None) -> str | None:
        instance = host.instance(one.vip) if host else None
        return instance.since if instance else None

    before = {host.name: since(host) for host in then.load_balancers}
    if one.holder is None or since(one.holder) == before.get(one.holder.name):
        return ""
    back = {host.name: since(host) or "" for host in one.standby}
    changed = [name for name, moment in back.items() if moment and moment != before.get(name)]
    return max(changed, key=lambda name: back[name], default="")


def settled(states: Any, expected: Any) -> bool:
    """Whether nothing in the states of the hosts is about to change by itself.

    If something is, the hosts should be read again, as long as there is time.
    """
    return not any(_in_motion(cluster) for cluster in read_clusters(expected, states))


def _in_motion(cluster: Cluster) -> bool:
    return any(_vip_in_motion(cluster, view(cluster, vip)) for vip in cluster.vips) or any(
        _mycat_in_motion(cluster, host) for host in cluster.mycats
    )


def _vip_in_motion(cluster: Cluster, one: View) -> bool:
    running = [host for host in cluster.load_balancers if host.runs_keepalived]
    states = {}
    for host in running:
        instance = host.instance(one.vip)
        if instance:
            states[host] = instance.state
    unknown = any(state not in ("MASTER", "BACKUP", "FAULT") for state in states.values())
    kernel_differs = any((state == "MASTER") != host.has(one.vip) for host, state in states.items())
    due = "BACKUP" in states.values() and not one.holders and not one.answers
    return unknown or kernel_differs or due or len(one.holders) > 1


def _mycat_in_motion(cluster: Cluster, host: Host) -> bool:
    """Whether an HAProxy still counts checks, or has not noticed yet what the endpoint says."""
    rows = [one.servers[host.name] for one in cluster.balancing if host.name in one.servers]
    late = (STARTING, *_NOT_NOTICED_YET.get(host.health, ()))
    return any(row.in_motion or row.state(host.health) in late for row in rows)


def new_problems(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The errors and degradations of the report ``after`` in what worked in the report ``before``.

    What did not work before, or was not there, is not new, whichever problem shows it now. Each
    problem has its "cluster" besides.
    """
    found = []
    for name, cluster in mapping(after.get("clusters")).items():
        former = mapping(mapping(before.get("clusters")).get(name))
        found += [
            {**problem, "cluster": name}
            for problem in cluster["problems"]
            if problem["severity"] in (ERROR, DEGRADED) and _worked(problem, former)
        ]
    return found


def _worked(problem: Mapping[str, Any], former: Mapping[str, Any]) -> bool:
    """Whether what ``problem`` is about worked in the former report on its cluster."""
    if not former or problem["kind"] in _NEVER_NEW:
        return False
    if problem["severity"] == ERROR:
        return bool(mapping(former["vips"].get(problem["vip"])).get("serves"))
    if problem["kind"] == "mycat-down":
        seen = mapping(former["mycats"].get(problem["host"])).get("seen", {})
        return any(seen.get(name, ABSENT) not in NOT_SERVING for name in problem["seen_by"])
    if problem["host"] not in former["load_balancers"]:
        return False
    broken = [
        known["vip"]
        for known in former["problems"]
        if known["host"] == problem["host"] and known["kind"] in _OF_BALANCER
    ]
    return None not in broken and any(
        vip not in broken for vip in former["vips"] if problem["vip"] in (None, vip)
    )


def _iso(seconds: float) -> str:
    moment = datetime.fromtimestamp(seconds, timezone.utc)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
