# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the variables, facts and states of all hosts to what each role does on each of them.

Pure, but for the roles' own files that it renders. Nothing is judged, planned or rendered twice:
the roles install what stands here. Refusals are collected, so that an operator sees all of them at
once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Iterable, Iterator, Mapping, Sequence

from ..haproxy.values import is_local
from ..readers import SettingError
from ..report import document, watching
from . import changes, endpoint, firewall, haproxy, keepalived, mycat, waves
from .hosts import HostView, answering_port, vips_of
from .managed import ACCOUNTS, MAIN_FILES
from .request import Cluster, Refusals, Request, kinds
from .router_ids import RouterIds, known_ids, networks_of

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
    """A cluster and the plan of its keepalived, where there is one."""

    cluster: Cluster
    keepalived: keepalived.Planned | None


def make(request: Request) -> Result:
    """The plan of all clusters."""
    refused = Refusals()
    hosts: dict[str, dict[str, Any]] = {
        name: {"clusters": [], "changes": [], "roles": [], "paths": [], "units": [], "restarts": []}
        for members in request.clusters
        for name in members.hosts
    }
    clusters = [Cluster(request, members, refused) for members in request.clusters]
    planned = _planned(request, clusters)
    needs: dict[str, Iterable[dict[str, Any]]] = {
        "mycat": mycat.needs(request, refused) if "mycat" in request.roles else (),
        "mycat_status": endpoint.needs(request, refused) if "mycat_status" in request.roles else (),
        "haproxy": (
            each for one in clusters if "haproxy" in request.roles for each in haproxy.needs(one)
        ),
        "keepalived": (each for one in planned if one.keepalived for each in one.keepalived.needs),
    }
    for one in clusters:
        for name in one.members.hosts:
            hosts[name]["clusters"].append(one.members.name)
    for role, found in needs.items():
        for each in found:
            _merge(request, hosts[each["name"]], role, each)
    for name, entry in hosts.items():
        _refuse_exposed(request.hosts[name], entry, refused)
        _open_firewall(request, request.hosts[name], entry)
    _refuse_shared_vips(request, refused)
    _refuse_report(request, refused)
    watch = _watch(request, refused)
    return Result(
        refusals=refused.sentences(kinds(request.clusters)),
        hosts=hosts,
        run={**_run(request, planned, hosts), "watch": watch},
    )


def _planned(request: Request, clusters: Sequence[Cluster]) -> list[_Planned]:
    """The plan of each cluster's keepalived; clusters on one network have ids of their own."""
    if "keepalived" not in request.roles:
        return [_Planned(one, None) for one in clusters]
    ids, final = RouterIds(), RouterIds()
    networks = {}
    for members in (*request.clusters, *request.others):
        lbs = [request.hosts[name] for name in members.load_balancers if name in request.hosts]
        networks[members.name] = networks_of(lbs)
        ids.add(members.name, networks[members.name], known_ids(lbs))
    planned = []
    for one in clusters:
        name = one.members.name
        found = keepalived.planned(one, ids.of_others(name, networks[name]))
        if found:
            for kept in (ids, final):
                kept.add(name, networks[name], found.plan.virtual_router_ids.values())
        planned.append(_Planned(one, found))
    _refuse_shared_ids(final, clusters)
    return planned


def _refuse_shared_ids(ids: RouterIds, clusters: Sequence[Cluster]) -> None:
    """Refuse a virtual router id that clusters on one network were given, or have already."""
    for number, network, sharing in ids.shared():
        for one in clusters:
            if one.members.name in sharing:
                one.refuse(
                    f"mycat_ha_vips: the clusters {' and '.join(sharing)} both have the virtual "
                    f"router id {number} in {network}, and each would hear the other; write "
                    "another virtual_router_id for a VIP of one of them",
                )


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
    # What is below /run a daemon writes again.
    entry["paths"] += [path for path in needs["absent"] if not path.startswith("/run/")]
    entry["paths"] += [path for path in MAIN_FILES[role] if path not in entry["paths"]]
    if needs.pop("restart", False):
        entry["restarts"].append("keepalived.service")
    may_change = host.reachable and role in request.changing
    if may_change and found and not needs["packages"]:
        entry["roles"].append(role)
    if may_change:
        entry["changes"] += [change for change in found if change not in entry["changes"]]
        if found and needs.get("settled_after"):
            entry["settle"] = needs["settled_after"]


def _open_firewall(request: Request, host: HostView, entry: dict[str, Any]) -> None:
    """Put what the host's firewall has to be told into ``entry``: commands, and what is noted."""
    entry["firewall"], entry["firewall_notes"], entry["firewall_closing"] = [], [], []
    kind = (host.state.get("firewall") or {}).get("kind")
    if not kind or host.common.get("mycat_ha_firewall") == "off":
        return
    wanted = firewall.rules(host, entry)
    if kind == "nftables":
        entry["firewall_notes"] = list(dict.fromkeys(map(firewall.by_hand, wanted)))
        return
    entry["firewall_closing"] = firewall.closing(host, wanted)
    if set(request.changing) == set(request.roles):
        lacking = firewall.missing(host, wanted)
        entry["firewall"] = firewall.commands(host, lacking)
        entry["changes"] += [f"{kind}: {text}" for text in lacking]


# --- what the tasks of all hosts ask about --------------------------------------------------------


def _run(
    request: Request, planned: Sequence[_Planned], hosts: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    changing = [name for name, entry in hosts.items() if entry["changes"]]
    lbs = {name: entry["keepalived"] for name, entry in hosts.items() if "keepalived" in entry}
    return {
        "waves": [*_mycat_waves(planned, hosts), *_load_balancer_waves(planned, hosts)],
        "changing": changing,
        "waiting": _waiting(request, planned, hosts),
        "clusters": {name: entry["clusters"] for name, entry in hosts.items()},
        "packages": {
            name: found for name in changing if (found := _packages(hosts[name], request.changing))
        },
        "probes": {
            name: needs["claims"]
            for name, needs in lbs.items()
            if needs["probe"] and needs["claims"] and request.hosts[name].reachable
        },
        "marks": {name: sorted(set(_marks(request.hosts[name]))) for name in lbs},
        "notes": list(
            dict.fromkeys(
                (
                    *request.notes,
                    *(note for one in planned for note in _notes(one)),
                    *_notes_on_ports(request, hosts),
                    *_notes_on_statistics(request),
                    *mycat.notes(request),
                    *_notes_on_firewalls(hosts),
                )
            )
        ),
        "started": request.started,
        "settle": {name: hosts[name].get("settle", QUICK) for name in changing},
        "patience": max([needs["verify_timeout"] for needs in lbs.values()] + [PATIENCE]),
        "expected": {
            "clusters": {one.cluster.members.name: _expected(one, hosts) for one in planned}
        },
    }


def _waiting(
    request: Request, planned: Sequence[_Planned], hosts: Mapping[str, Mapping[str, Any]]
) -> list[str]:
    """The MyCats that answer at a former port until this run has changed the load balancers."""
    return [
        mycat.name
        for one in planned
        if any("haproxy" in hosts[lb.name]["roles"] for lb in one.cluster.load_balancers)
        for mycat in one.cluster.mycats
        if mycat.reachable and "mycat_status" in request.changing
        if hosts[mycat.name].get("mycat_status", {}).get("former_ports")
    ]


def _packages(entry: Mapping[str, Any], roles: Sequence[str]) -> list[str]:
    """The packages that these roles of a host miss."""
    return sorted({name for role in roles if role in entry for name in entry[role]["packages"]})


def _marks(host: HostView) -> Iterator[str]:
    """The addresses by which the network knows a host, of IP and of Ethernet."""
    yield from host.facts.get("all_ipv4_addresses") or ()
    yield from host.facts.get("all_ipv6_addresses") or ()
    for fact in host.facts.values():
        if isinstance(fact, Mapping) and fact.get("macaddress"):
            yield fact["macaddress"]


def _notes(one: _Planned) -> Sequence[str]:
    return [*one.keepalived.plan.notes, *one.keepalived.notes] if one.keepalived else []


def _notes_on_ports(request: Request, hosts: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    for name, entry in hosts.items():
        port = request.hosts[name].settings.get("mycat_status", {}).get("mycat_status_port")
        for former in entry.get("mycat_status", {}).get("former_ports") or ():
            yield (
                f"{name}: its health endpoint answers at {former} besides {port} until no load "
                f"balancer asks {former} any more"
            )


def _notes_on_statistics(request: Request) -> Iterator[str]:
    """The password of the statistics page, where it travels readably."""
    open_at = {
        bind: None
        for host in request.hosts.values()
        for settings in [host.settings.get("haproxy", {})]
        if settings.get("haproxy_stats_password") and not settings["haproxy_stats_certificate"]
        for bind in filter(None, map(str.strip, settings["haproxy_stats_bind"].split(",")))
        if not is_local(bind)
    }
    if open_at:
        yield (
            f"haproxy_stats_password: travels readably to {', '.join(open_at)}; set "
            "haproxy_stats_certificate, or write 127.0.0.1 in haproxy_stats_bind"
        )


def _notes_on_firewalls(hosts: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    for name, entry in hosts.items():
        if entry["firewall_notes"]:
            yield (
                f"{name}: nftables refuses some input. See that its rules have, before that: "
                f"{'; '.join(entry['firewall_notes'])} (mycat_ha_firewall: off silences this)"
            )


def _expected(one: _Planned, hosts: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """What the report expects of a cluster."""
    members, lbs = one.cluster.members, one.cluster.load_balancers
    instances = one.keepalived.plan.instances if one.keepalived else {}
    moved_by = one.keepalived.plan.moved_by if one.keepalived else {}
    return {
        "vips": {
            vip: {
                "instance": instances.get(vip, ""),
                "port": answering_port(lb),
                "moved_by": moved_by.get(instances.get(vip, ""), ""),
            }
            for lb in (lbs[:1] if "keepalived" in one.cluster.request.roles else ())
            for vip in (text.partition("/")[0] for text in vips_of(lb))
        },
        "load_balancers": list(members.load_balancers),
        "mycats": list(members.mycats),
        "allow_degraded": any(lb.common.get("mycat_ha_allow_degraded") for lb in lbs[:1]),
        "notes": list(_notes(one)),
        # Where addresses return to by themselves.
        "homes": dict(one.keepalived.homes) if one.keepalived else {},
        # Where the plan would have them.
        "placement": dict(one.keepalived.plan.homes) if one.keepalived else {},
        "bounds": _bounds(one, hosts),
    }


def _bounds(one: _Planned, hosts: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """What is promised in a cluster, in seconds: {event: how long clients may be without service},
    and in ``mycat_pause`` how long a MyCat may stand still."""
    bounds = dict(one.keepalived.plan.bounds) if one.keepalived else {}
    for name in one.cluster.members.load_balancers:
        bounds.update(hosts[name].get("haproxy", {}).get("bounds", {}))
    return bounds


def _mycat_waves(
    planned: Sequence[_Planned], hosts: Mapping[str, Mapping[str, Any]]
) -> list[list[str]]:
    """The MyCats that change, in their order; one that is a load balancer changes as such."""
    mycats = dict.fromkeys(name for one in planned for name in one.cluster.members.mycats)
    lbs = {name for one in planned for name in one.cluster.members.load_balancers}
    return waves.mycat_waves(
        [name for name in mycats if hosts[name]["changes"] and name not in lbs],
        [
            one.cluster.members.mycats
            for one in planned
            if any(_serves(mycat) for mycat in one.cluster.mycats)
        ],
    )


def _load_balancer_waves(
    planned: Sequence[_Planned], hosts: Mapping[str, Mapping[str, Any]]
) -> list[list[str]]:
    """The load balancers that change, in their order: standbys first, one after the other, unless
    the holder has to go first, all must change at once, or none holds anything."""
    orders = []
    for one in planned:
        changing = [host for host in one.cluster.load_balancers if hosts[host.name]["changes"]]
        together = one.keepalived and one.keepalived.together
        holder_first = bool(one.keepalived and one.keepalived.holder_first)
        if together or not any(map(_held, one.cluster.load_balancers)):
            orders.append([[host.name for host in changing]])
        else:
            order = sorted(changing, key=_held, reverse=holder_first)
            orders.append([[host.name] for host in order])
    return waves.side_by_side(orders)


def _serves(mycat: HostView) -> bool:
    return bool((mycat.state.get("endpoint") or {}).get("code") == 200)


def _held(host: HostView) -> int:
    """How many virtual addresses a host holds."""
    return sum(len(instance.get("held") or ()) for instance in host.instances)


# --- what concerns no single cluster --------------------------------------------------------------


def _refuse_exposed(host: HostView, entry: Mapping[str, Any], refused: Refusals) -> None:
    """Refuse paths on which another user could lead root to another file."""
    files = host.state.get("files") or {}
    found = dict.fromkeys((files.get(path) or {}).get("exposed") for path in entry["paths"])
    for sentence in filter(None, found):
        refused.add(host.name, f"{host.name}: {sentence}")


def _refuse_report(request: Request, refused: Refusals) -> None:
    """Refuse a report that could not be written at the end."""
    for name, host in request.hosts.items():
        path = host.common.get("mycat_ha_report")
        if path and document.refusal(path):
            refused.add(name, document.refusal(path))


def _watch(request: Request, refused: Refusals) -> float | None:
    """Seconds between two looks of an operator who watches; what cannot be that is refused."""
    found = None
    for name, host in request.hosts.items():
        try:
            found = found or watching.interval(host.common.get(watching.VARIABLE))
        except SettingError as error:
            refused.add(name, error)
    return found


def _refuse_shared_vips(request: Request, refused: Refusals) -> None:
    owner: dict[str, str] = {}
    for members in (*request.others, *request.clusters):
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
