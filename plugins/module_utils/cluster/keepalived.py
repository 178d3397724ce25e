# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""keepalived of one cluster: its plan, and what the role keepalived needs on each load balancer.

Pure, but for the role's template.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Callable, Collection, Iterator, Mapping, Sequence

from ..keepalived import cluster as keepalived
from ..keepalived.change import (
    cluster_wide,
    hastens_adverts,
    restart_required,
    with_known_secrets,
)
from ..keepalived.claims import Claim
from ..keepalived.raw_lines import raw_lines
from ..network.addresses import canonical, is_address
from ..readers import RefusalError
from . import changes, former, placement
from .hosts import HostView, all_virtual_addresses, answering_port
from .managed import (
    ADDRESS_UNIT,
    FORMER_MAINTENANCE,
    HANDOVER_LIMIT,
    KEEPALIVED_CONF,
    LIBEXEC,
    RUN_FOLDER,
    STATE_FOLDER,
    metrics_link,
)
from .request import Cluster

# What modes kill and weight write into keepalived_log; log readers may know these lines.
LOG_LINES = {
    "kill": "haproxy is stopped, killall keepalived!",
    "weight": "haproxy is stopped, vip shift!",
}


def _option(name: str) -> Callable[[HostView], Any]:
    return lambda host: host.settings["keepalived"].get(name)


#: What load balancers of a cluster have alike, besides what the plan is asked for.
ALIKE: Mapping[str, Callable[[HostView], Any]] = {
    "mycat_ha_allow_degraded": lambda host: host.common.get("mycat_ha_allow_degraded"),
    "the port in haproxy_mycat_bind": answering_port,
    **{
        name: _option(name)
        for name in ("keepalived_auth_type", "keepalived_auth_pass", "keepalived_auth_hmac")
    },
}


@dataclass(frozen=True)
class Planned:
    """``needs`` of the role on each load balancer; ``together`` tells whether all of them must
    change at once, ``holder_first`` whether the holder has to before the others; ``notes`` is what
    the operator should know, besides what the plan says; ``homes`` {address: the load balancer that
    it returns to}, empty with sticky."""

    plan: keepalived.ClusterPlan
    needs: Sequence[dict[str, Any]]
    together: bool
    holder_first: bool
    notes: Sequence[str]
    homes: Mapping[str, str]


def planned(cluster: Cluster, taken: Collection[int]) -> Planned | None:
    """The plan of a cluster, None where something is refused.

    ``taken`` are virtual router ids of other clusters on the same networks.
    """
    if not _has_hosts_and_vips(cluster) or _refuse_differences(cluster):
        return None
    _refuse_left_out_vips(cluster)
    for host in cluster.load_balancers:
        _refuse_no_address(cluster, host)
        _refuse_two_answers(cluster, host)
    try:
        plan = _plan(cluster, taken)
    except RefusalError as refusal:
        for error in refusal.errors:
            cluster.refuse(error)
        return None
    _refuse_used_addresses(cluster, plan.addresses)
    together = any(_makes(cluster_wide, host, plan) for host in cluster.load_balancers)
    if together and "keepalived" in cluster.request.changing:
        _refuse_unless_all_answer(cluster)
        _refuse_unless_all_play(cluster)
    notes = _judge_former(cluster, plan)
    first = _first_plan(cluster, plan, taken)
    return Planned(
        plan,
        [_needs(cluster, host, plan, first) for host in cluster.load_balancers],
        together,
        any(_makes(hastens_adverts, host, plan) for host in cluster.load_balancers),
        notes,
        {} if _is_sticky(cluster) else plan.homes,
    )


def _plan(cluster: Cluster, taken: Collection[int], **instead: Any) -> keepalived.ClusterPlan:
    """The plan, with options of the role ``instead`` of those that the operator set."""
    role = cluster.request.roles["keepalived"]
    return keepalived.plan_cluster(
        [_as_asked(host, instead) for host in cluster.load_balancers],
        template=(role.folder / "templates/keepalived.conf.j2").read_text(encoding="utf-8"),
        taken=sorted(taken),
        managed=cluster.request.managed,
    )


def _is_sticky(cluster: Cluster) -> bool:
    return bool(_settings(cluster.load_balancers[0])["keepalived_preempt"] == "sticky")


def _first_plan(
    cluster: Cluster, plan: keepalived.ClusterPlan, taken: Collection[int]
) -> keepalived.ClusterPlan | None:
    """The plan that a new cluster starts with, so that each address goes to its own load balancer;
    None where that of the operator places them, or there is nothing to place."""
    homes = set(plan.homes.values())
    if len(homes) < 2 or not _is_sticky(cluster) or not placement.is_new(cluster.load_balancers):
        return None
    try:
        return _plan(cluster, taken, keepalived_preempt="preferred")
    except RefusalError:
        # With so many checks only sticky finds room for all priorities.
        return None


def _judge_former(cluster: Cluster, plan: keepalived.ClusterPlan) -> list[str]:
    """Refuse that a load balancer leaves the group with a virtual IP; the notes on others."""
    lbs = cluster.load_balancers
    gone = former.left_out(
        lbs,
        {name: host.text for name, host in plan.hosts.items()},
        {host.name: _former(host, plan.hosts[host.name].text) for host in lbs},
    )
    names = [cluster.request.name_of(address) or address for address in gone]
    kept = [vip for vip in plan.instances if placement.nobody_has(vip, lbs)]
    for name in names if kept else ():
        cluster.refuse(former.refusal(name, cluster.members.name, kept))
    return [former.note(name, cluster.members.name) for name in names]


def _has_hosts_and_vips(cluster: Cluster) -> bool:
    lbs = cluster.load_balancers
    if len(lbs) < 2:
        group = (lbs or cluster.mycats)[0].common["mycat_ha_lb_group"]
        cluster.refuse(
            f"mycat_ha_lb_group: the group {group!r} has "
            f"{len(lbs)} host(s) of the cluster {cluster.members.name}; put at least two load "
            "balancers into it, or name the group they are in: one alone has nobody to hand the "
            "VIP to",
        )
        return False
    for host in lbs:
        vips = host.settings["keepalived"].get("keepalived_vips") or []
        if not vips or not all(vip.get("address") for vip in vips):
            cluster.refuse(
                "mycat_ha_vip: no virtual IP is set; write the address that clients shall use "
                "with its prefix length, such as mycat_ha_vip=192.0.2.100/24, free and in the "
                "load balancers' subnet (or a list, in mycat_ha_vips)",
            )
            return False
    return True


def _refuse_differences(cluster: Cluster) -> bool:
    """Refuse what the load balancers must have alike and have not, and tell whether there is any;
    of what the plan is asked for, the plan says it."""
    first, *others = cluster.load_balancers
    found = [
        (option, other.name)
        for option, value_of in ALIKE.items()
        for other in others
        if value_of(other) != value_of(first)
    ]
    for option, name in found:
        cluster.refuse(
            f"{option}: differs between {first.name} and {name}; write it once for the load "
            f"balancers of the cluster {cluster.members.name}"
        )
    return bool(found)


def _refuse_left_out_vips(cluster: Cluster) -> None:
    """Refuse a virtual IP that one variable has and the one that counts has not."""
    for host in cluster.load_balancers:
        counting = "keepalived_vips" if "keepalived_vips" in host.given else "mycat_ha_vips"
        given = host.common.get("mycat_ha_vips") or ()
        named = [("mycat_ha_vips", str(vip.get("address") or "")) for vip in given]
        named.append(("mycat_ha_vip", str(host.common.get("mycat_ha_vip") or "")))
        for variable, vip in named:
            if vip and canonical(vip) not in all_virtual_addresses(host):
                cluster.refused.add(
                    host.name,
                    f"{variable}: has {vip}, which is not in {counting}, and that counts; write it "
                    f"there too, or take it out of {variable}",
                )


def _alive_binds(host: HostView) -> list[tuple[str, str]]:
    """The addresses and ports where HAProxy tells that it is alive."""
    bind = (host.settings.get("haproxy") or {}).get("haproxy_alive_bind") or "127.0.0.1:48801"
    pairs = [one.strip().rpartition(":") for one in bind.split(",")]
    return [(canonical(address.strip("[]")), port) for address, _colon, port in pairs]


def _refuse_two_answers(cluster: Cluster, host: HostView) -> None:
    """Refuse that keepalived asks HAProxy where it does not answer."""
    if "haproxy" not in cluster.request.roles and "haproxy_alive_bind" not in host.given:
        return
    settings = _settings(host)
    asked = settings["keepalived_haproxy_alive_address"], settings["keepalived_haproxy_alive_port"]
    options = ("keepalived_haproxy_alive_address", "keepalived_haproxy_alive_port")
    if (canonical(asked[0]), str(asked[1])) not in _alive_binds(host):
        said = ",".join(":".join(bind) for bind in _alive_binds(host))
        for option, value in zip(options, asked):
            if option in host.given:
                cluster.refused.add(
                    host.name,
                    f"{option}: is {value}, and haproxy_alive_bind is {said}; write it in "
                    "haproxy_alive_bind alone, which counts for both",
                )


def _refuse_no_address(cluster: Cluster, host: HostView) -> None:
    """Refuse what is no address: keepalived's scripts, which root runs, ask there."""
    asked = _settings(host)["keepalived_haproxy_alive_address"]
    option = "keepalived_haproxy_alive_address"
    if not is_address(asked) and asked != "localhost":
        cluster.refused.add(
            host.name,
            f"{option if option in host.given else 'haproxy_alive_bind'}: {asked!r} is no address; "
            "write one of the host itself like 127.0.0.1",
        )


def _settings(host: HostView) -> dict[str, Any]:
    """The role's options, with where HAProxy tells that it is alive."""
    settings = dict(host.settings["keepalived"])
    address, port = _alive_binds(host)[0]
    settings.setdefault("keepalived_haproxy_alive_address", address)
    # What else is wrong with it, the plan of HAProxy says.
    settings.setdefault("keepalived_haproxy_alive_port", int(port) if port.isdigit() else 0)
    return settings


def _as_asked(host: HostView, instead: Mapping[str, Any]) -> keepalived.Host:
    return keepalived.Host(
        name=host.name,
        settings={**_settings(host), **instead},
        facts=host.facts,
        version=host.version("keepalived"),
        systemd=host.systemd,
        in_use={
            canonical(str(address)): instance["virtual_router_id"]
            for instance in host.instances
            for address in instance["virtual_ipaddress"]
        },
        instances=host.instances,
        address=str(host.common.get("mycat_ha_address") or host.connection),
        given=host.given,
    )


def _refuse_used_addresses(cluster: Cluster, addresses: Sequence[str]) -> None:
    """Refuse virtual addresses that a host outside this cluster's load balancers has."""
    for name, host in cluster.request.hosts.items():
        own = {
            *(host.facts.get("all_ipv4_addresses") or ()),
            *(host.facts.get("all_ipv6_addresses") or ()),
        }
        for address in () if name in cluster.members.load_balancers else addresses:
            if address in own:
                cluster.refused.add(
                    name,
                    f"mycat_ha_vip: {address} is an address of {name} already; write one that "
                    "no host has, or take it from that host",
                )


def _refuse_missing(
    cluster: Cluster, host: HostView, programs: Sequence[Mapping[str, str]]
) -> None:
    """Refuse programs that the settings name and the host does not have."""
    found = host.state.get("programs") or {}
    for program in programs:
        if found.get(program["path"], "ok") != "ok":
            cluster.refused.add(
                host.name,
                f"{program['variable']}: {program['path']} is no executable file on "
                f"{host.name}; put it there first, or leave the variable out",
            )


def _refuse_unless_all_play(cluster: Cluster) -> None:
    """Refuse a change that a play with serial, or with --limit, would make on some of those that
    must make it at once."""
    playing = cluster.request.playing
    names = cluster.members.load_balancers
    there = [name for name in names if playing is None or name in playing]
    if there and there != list(names):
        away = ", ".join(name for name in names if name not in there)
        cluster.refuse(
            f"serial: this change has to be made on all load balancers of the cluster "
            f"{cluster.members.name} at once, and {', '.join(there)} would make it without {away}; "
            "run it once without serial and without --limit"
        )


def _refuse_unless_all_answer(cluster: Cluster) -> None:
    lost = [host.name for host in cluster.load_balancers if not host.reachable]
    if lost:
        cluster.refuse(
            f"{', '.join(lost)}: this change has to be made on all load balancers at once, and "
            "this one was not reached; bring it back, or take it out of the group",
        )


def _former(host: HostView, text: str) -> str:
    """The configuration that the host has, with the secrets that it shares with the new one."""
    known = str((host.state.get("keepalived") or {}).get("text") or "")
    file = (host.state.get("files") or {}).get(KEEPALIVED_CONF) or {}
    return with_known_secrets(known, file.get("sha256") or "", text) if known else ""


def _is_as(host: HostView, text: str) -> bool:
    file = (host.state.get("files") or {}).get(KEEPALIVED_CONF) or {}
    return file.get("sha256") == changes.digest(text) and file.get("mode") == "0600"


def _former_maintenance(host: HostView) -> bool:
    """Whether the host has a file of its own where earlier versions looked for its maintenance."""
    file = (host.state.get("files") or {}).get(FORMER_MAINTENANCE) or {}
    return file.get("kind") == "file"


def _changes(host: HostView, text: str) -> Iterator[str]:
    running = host.state.get("keepalived") or {}
    if _former_maintenance(host):
        yield FORMER_MAINTENANCE
    if not _is_as(host, text):
        yield KEEPALIVED_CONF
    elif not running.get("running"):
        yield "keepalived does not run"
    elif running.get("loaded_is_file") is False:
        yield "keepalived runs with an older configuration than its file"


def _makes(change: Callable[..., Any], host: HostView, plan: keepalived.ClusterPlan) -> bool:
    """Whether the host's new configuration makes such a change of the former one."""
    text = plan.hosts[host.name].text
    if _is_as(host, text):
        return False
    former = _former(host, text)
    return bool(former and change(former, text, host.name))


def _restarts(host: HostView, text: str) -> bool:
    if _is_as(host, text):
        return False
    former = _former(host, text)
    return bool(former and restart_required(former, text, host.name))


def _needs(
    cluster: Cluster,
    host: HostView,
    plan: keepalived.ClusterPlan,
    first: keepalived.ClusterPlan | None,
) -> dict[str, Any]:
    mine, settings = plan.hosts[host.name], _settings(host)
    _refuse_missing(cluster, host, mine.programs)
    waiting = any(placement.nobody_has(vip, cluster.load_balancers) for vip in plan.instances)
    return cluster.request.needs(
        "keepalived",
        host,
        _context(host, settings, plan),
        gone=[
            link
            for link in host.state.get("metrics_links") or ()
            if link != metrics_link(settings["keepalived_metrics_directory"])
        ],
        text=mine.text,
        first_text=first.hosts[host.name].text if first else "",
        own_vips=[vip for vip, home in plan.homes.items() if home == host.name],
        restart=_restarts(host, mine.text),
        units=["keepalived.service", *([ADDRESS_UNIT] if host.systemd else [])],
        further=list(_changes(host, mine.text)),
        former_maintenance=_former_maintenance(host),
        # Where all wait, somebody else has an address: the network tells who.
        claims=[_claim(claim) for claim in (mine.watched if waiting else mine.claims)],
        watched=[_claim(claim) for claim in mine.watched],
        programs=[dict(program) for program in mine.programs],
        probe=settings["keepalived_probe"],
        peers=[
            link["address"]
            for name, other in plan.hosts.items()
            if name != host.name
            for link in other.links
        ],
        port=answering_port(host),
        verify_timeout=settings["keepalived_verify_timeout"],
        settled_after=plan.slowest + 1,
        startup_delay=settings["keepalived_startup_delay"],
    )


def _context(
    host: HostView, settings: Mapping[str, Any], plan: keepalived.ClusterPlan
) -> dict[str, Any]:
    """What the templates of the scripts and units get."""
    mode, log = settings["keepalived_failover_mode"], settings["keepalived_log"]
    mine = plan.hosts[host.name]
    links = mine.links
    return {
        "mode": mode,
        "run_folder": RUN_FOLDER,
        "state_folder": STATE_FOLDER,
        "handover_limit": HANDOVER_LIMIT,
        "systemd": host.systemd,
        "grace": settings["keepalived_restart_grace"],
        "log": log,
        "log_line": LOG_LINES.get(mode, "") if log else "",
        "log_folder": log.rpartition("/")[0] or "/",
        "alive_address": settings["keepalived_haproxy_alive_address"],
        "alive_port": settings["keepalived_haproxy_alive_port"],
        "notify_user": settings["keepalived_notify_user"] or "keepalived_script",
        "node_loss": plan.bounds["node_loss"],
        "end_sessions": settings["keepalived_end_sessions"],
        "checks": list(_told_checks(settings)),
        "interfaces": list(dict.fromkeys(filter(None, (link["interface"] for link in links)))),
        "vips": list(plan.addresses),
        "instances": dict(plan.instances),
        "moved_by": dict(plan.moved_by),
        "metrics_link": metrics_link(settings["keepalived_metrics_directory"]),
        # What an operator's programs and raw lines need, nobody knows.
        "confined": not mine.programs and not list(raw_lines(settings)),
        "own_addresses": list(dict.fromkeys(link["address"] for link in links)),
    }


def _told_checks(settings: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    """The checks that the notify script runs to say which of them fails, where it is the checks'
    own user who runs it."""
    if settings["keepalived_failover_mode"] == "kill" or settings["keepalived_notify_user"]:
        return
    haproxy = f"{LIBEXEC}/check_haproxy"
    yield {"program": haproxy, "command": haproxy, "fails": "HAProxy does not answer"}
    for check in settings["keepalived_checks"]:
        if not check.get("user"):
            program = str(check["script"]).split()[0]
            fails = f"check {check['name']} fails"
            yield {"program": program, "command": check["script"], "fails": fails}
    if settings["keepalived_backends_check"]:
        backends = f"{LIBEXEC}/check_backends"
        yield {"program": backends, "command": backends, "fails": "no MyCat takes sessions here"}


def _claim(claim: Claim) -> dict[str, Any]:
    """A claim as vrrp_probe takes it."""
    return {**dataclasses.asdict(claim), "addresses": list(claim.addresses)}
