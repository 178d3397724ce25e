# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the variables, facts and states of all hosts to what each role does on each of them.

Pure, but for the roles' own files that it renders. Nothing is judged, planned or rendered twice:
the roles install what stands here. Refusals are collected, so that an operator sees all of them at
once.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Iterator, Mapping, Sequence

from . import changes, endpoint, haproxy, keepalived
from .hosts import HostView, answering_port, vips_of
from .managed import ACCOUNTS, MAIN_FILES
from .request import Cluster, Refusals, Request, kinds

# Seconds until a change of the health endpoint or of HAProxy shows, and until a run gives up.
QUICK = 2
PATIENCE = 30


@dataclass
class Result:
    """``refusals`` are sentences; ``hosts`` {host: what its roles need}; ``run`` is what the tasks
    of all hosts ask about: the order, who changes, what the report expects."""

    refusals: list[str]
    hosts: dict[str, dict[str, Any]]
    run: dict[str, Any]


@dataclass(frozen=True)
class _Planned:
    """A cluster and what was planned for it; ``needs`` {role: what it needs of each host}."""

    cluster: Cluster
    keepalived: keepalived.Planned | None = None
    needs: dict[str, list[dict[str, Any]]] = field(default_factory=dict)


def make(request: Request) -> Result:
    """The plan of all clusters."""
    refused = Refusals()
    hosts: dict[str, dict[str, Any]] = {
        name: {"clusters": [], "changes": [], "roles": [], "paths": [], "units": [], "restarts": []}
        for members in request.clusters
        for name in members.hosts
    }
    planned = []
    taken: dict[str, int] = {}
    for members in request.clusters:
        one = _plan(Cluster(request, members, refused), taken)
        if one.keepalived:
            taken.update(one.keepalived.plan.virtual_router_ids)
        for name in members.hosts:
            hosts[name]["clusters"].append(members.name)
        for role, needs in one.needs.items():
            for each in needs:
                _merge(request, hosts[each["name"]], role, each)
        planned.append(one)
    _refuse_shared_vips(request, refused)
    _refuse_report(request, refused)
    return Result(
        refusals=refused.sentences(kinds(request.clusters)),
        hosts=hosts,
        run=_run(request, planned, hosts),
    )


def _plan(cluster: Cluster, taken: Mapping[str, int]) -> _Planned:
    roles = cluster.request.roles
    needs = {}
    found = None
    if "mycat_status" in roles:
        needs["mycat_status"] = list(endpoint.needs(cluster))
    if "haproxy" in roles:
        needs["haproxy"] = list(haproxy.needs(cluster))
    if "keepalived" in roles:
        found = keepalived.planned(cluster, set(taken.values()))
        needs["keepalived"] = list(found.needs) if found else []
    return _Planned(cluster, found, needs)


# --- what the hosts need --------------------------------------------------------------------------


def _merge(request: Request, entry: dict[str, Any], role: str, needs: dict[str, Any]) -> None:
    """Put what a role needs of a host into the host's ``entry``, with what it would change."""
    host = request.hosts[needs["name"]]
    state = host.state
    known = state.get("files") or {}
    needs["packages"] = changes.missing(needs["packages"], state.get("packages") or {})
    needs["accounts"] = changes.missing(ACCOUNTS[role], state.get("accounts") or {})
    needs["runtime_missing"] = changes.gone(needs["runtime"], known)
    further = needs.pop("further")
    found = [
        *(f"package {name}" for name in needs["packages"]),
        *(f"account {name}" for name in needs["accounts"]),
        *changes.file_changes(needs["files"], needs["absent"], known),
        *needs["runtime_missing"],
        *changes.unit_changes(needs["units"], state.get("units") or {}),
        *further,
    ]
    entry[role] = needs
    entry["units"] += [unit for unit in needs["units"] if unit not in entry["units"]]
    entry["paths"] += [row["path"] for row in needs["files"] if not row.get("directory")]
    entry["paths"] += needs["absent"] + [p for p in MAIN_FILES[role] if p not in entry["paths"]]
    if needs.pop("restart", False):
        entry["restarts"].append("keepalived.service")
    may_change = host.reachable and role in request.changing
    if may_change and found and not needs["packages"]:
        entry["roles"].append(role)
    if may_change:
        entry["changes"] += [change for change in found if change not in entry["changes"]]
        if found and needs.get("settled_after"):
            entry["settle"] = needs["settled_after"]


# --- what the tasks of all hosts ask about --------------------------------------------------------


def _run(
    request: Request, planned: Sequence[_Planned], hosts: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    waves = [_waves(one, hosts) for one in planned]
    changing = [name for name, entry in hosts.items() if entry["changes"]]
    lbs = {name: entry["keepalived"] for name, entry in hosts.items() if "keepalived" in entry}
    return {
        "waves": [
            *changes.side_by_side([mycats for mycats, _lbs in waves]),
            *changes.side_by_side([order for _mycats, order in waves]),
        ],
        "changing": changing,
        "clusters": {name: entry["clusters"] for name, entry in hosts.items()},
        "packages": {name: found for name in changing if (found := _packages(hosts[name]))},
        "probes": {
            name: needs["claims"]
            for name, needs in lbs.items()
            if needs["probe"] and needs["claims"] and request.hosts[name].reachable
        },
        "marks": {name: sorted(set(_marks(request.hosts[name]))) for name in lbs},
        "notes": list(
            dict.fromkeys((*request.notes, *(note for one in planned for note in _notes(one))))
        ),
        "started": request.started,
        "settle": {name: hosts[name].get("settle", QUICK) for name in changing},
        "patience": max([needs["verify_timeout"] for needs in lbs.values()] + [PATIENCE]),
        "expected": {"clusters": {one.cluster.members.name: _expected(one) for one in planned}},
    }


def _packages(entry: Mapping[str, Any]) -> list[str]:
    """The packages that the roles of a host miss."""
    needs = [value for value in entry.values() if isinstance(value, Mapping)]
    return sorted({name for each in needs for name in each.get("packages", ())})


def _marks(host: HostView) -> Iterator[str]:
    """The addresses by which the network knows a host, of IP and of Ethernet."""
    yield from host.facts.get("all_ipv4_addresses") or ()
    yield from host.facts.get("all_ipv6_addresses") or ()
    for fact in host.facts.values():
        if isinstance(fact, Mapping) and fact.get("macaddress"):
            yield fact["macaddress"]


def _notes(one: _Planned) -> Sequence[str]:
    return one.keepalived.plan.notes if one.keepalived else ()


def _expected(one: _Planned) -> dict[str, Any]:
    """What the report expects of a cluster."""
    members, lbs = one.cluster.members, one.cluster.load_balancers
    instances = one.keepalived.plan.instances if one.keepalived else {}
    return {
        "vips": {
            vip: {"instance": instances.get(vip, ""), "port": answering_port(lb)}
            for lb in (lbs[:1] if "keepalived" in one.cluster.request.roles else ())
            for vip in (text.partition("/")[0] for text in vips_of(lb))
        },
        "load_balancers": list(members.load_balancers),
        "mycats": list(members.mycats),
        "allow_degraded": any(lb.common.get("mycat_ha_allow_degraded") for lb in lbs[:1]),
        "notes": list(_notes(one)),
    }


def _waves(one: _Planned, hosts: Mapping[str, Mapping[str, Any]]) -> tuple[list[Any], list[Any]]:
    """The hosts of a cluster that change, in the order in which they do: MyCats, load balancers."""
    cluster = one.cluster
    changing = [host for host in cluster.load_balancers if hosts[host.name]["changes"]]
    holding = {host.name: _held(host) for host in cluster.load_balancers}
    if (one.keepalived and one.keepalived.together) or not any(holding.values()):
        order = [[host.name for host in changing]]
    else:
        order = [[host.name] for host in sorted(changing, key=lambda host: holding[host.name])]
    return changes.waves_of(
        [
            host.name
            for host in cluster.mycats
            if hosts[host.name]["changes"] and host.name not in cluster.members.load_balancers
        ],
        order,
        serving=any(_serves(host) for host in cluster.mycats),
    )


def _serves(mycat: HostView) -> bool:
    return bool((mycat.state.get("endpoint") or {}).get("code") == 200)


def _held(host: HostView) -> int:
    """How many virtual addresses a host holds."""
    return sum(len(instance.get("held") or ()) for instance in host.instances)


# --- what concerns no single cluster --------------------------------------------------------------


def _refuse_report(request: Request, refused: Refusals) -> None:
    """Refuse a report that could not be written at the end."""
    for name, host in request.hosts.items():
        path = host.common.get("mycat_ha_report")
        if path and not path.endswith(".json"):
            refused.add(
                name,
                f"mycat_ha_report: {path} does not end in .json; write such as report.json",
            )


def _refuse_shared_vips(request: Request, refused: Refusals) -> None:
    owner: dict[str, str] = {}
    for members in request.clusters:
        for name in members.load_balancers[:1]:
            for vip in vips_of(request.hosts[name]):
                address = vip.partition("/")[0]
                first = owner.setdefault(address, members.name)
                if first != members.name:
                    refused.add(
                        name,
                        f"mycat_ha_vip: {address} is the VIP of the clusters {first} and "
                        f"{members.name}; give each its own",
                    )
