# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the variables, facts and states of all hosts to what each role does on each of them.

Pure, but for the roles' own files that it renders. Nothing is judged, planned or rendered twice:
the roles install what stands here. What cannot be had is collected, so that an operator reads of
all of it at once.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any, Iterable, Iterator, Mapping, Sequence

from ..haproxy import settings as haproxy
from ..keepalived import cluster as keepalived
from ..keepalived.change import cluster_wide, restart_required
from ..keepalived.claims import Claim, claims
from ..readers import RefusalError, SettingError
from . import changes, endpoint
from .files import Role, RoleFiles
from .hosts import HostView, address_of, own_addresses
from .members import Members

PACKAGES = {"haproxy": ("haproxy",), "keepalived": ("keepalived",), "mycat_status": ("python3",)}
ACCOUNTS = {"haproxy": (), "keepalived": ("keepalived_script",), "mycat_status": ("mycat_status",)}
HAPROXY_CFG = "/etc/haproxy/haproxy.cfg"
KEEPALIVED_CONF = "/etc/keepalived/keepalived.conf"
MAIN_FILES = {"haproxy": (HAPROXY_CFG,), "keepalived": (KEEPALIVED_CONF,), "mycat_status": ()}
SOCKET_UNIT = "/etc/systemd/system/mycat_status.socket"
XINETD_SERVICE = "/etc/xinetd.d/mycat_status"
# In it a file for each VRRP instance, which says its state.
STATE_FOLDER = "/run/mycat_ha/state"
# Seconds until a change of the health endpoint or of HAProxy shows, and until a run gives up.
QUICK = 2
PATIENCE = 30
# What the kill and weight modes of the source write into keepalived_log.
LOG_LINES = {
    "kill": "haproxy is stopped, killall keepalived!",
    "weight": "haproxy is stopped, vip shift!",
}


@dataclass(frozen=True)
class Request:
    """What is to be planned. ``hosts`` has every member of ``clusters``; ``roles`` are those that
    are planned, ``changing`` those of them that may change a host; ``groups`` are the inventory's;
    ``notes`` is what the operator should know already, ``started`` when the run began (s since
    1970), ``managed`` what files say at their top."""

    clusters: Sequence[Members]
    hosts: Mapping[str, HostView]
    roles: Mapping[str, Role]
    changing: Sequence[str]
    groups: Mapping[str, Sequence[str]]
    notes: Sequence[str] = ()
    started: float = 0.0
    managed: str = "Ansible managed"


@dataclass
class Refusals:
    """What cannot be had, and whom it concerns."""

    found: dict[str, list[str]] = field(default_factory=dict)

    def add(self, host: str, error: Exception | str) -> None:
        """Keep an error of a host's variables."""
        self.found.setdefault(str(error), []).append(host)

    def sentences(self, together: Iterable[Iterable[str]]) -> list[str]:
        """One sentence for each wrong variable, with the hosts where that is not wrong on all.

        ``together`` are the sets of hosts of which none need be named: those of one kind.
        """
        kinds = [set(hosts) for hosts in together]
        return [
            text
            if hosts[0] in text or any(kind and kind <= set(hosts) for kind in kinds)
            else f"{text} (on {', '.join(dict.fromkeys(hosts))})"
            for text, hosts in self.found.items()
        ]


@dataclass
class Result:
    """``refusals`` are sentences; ``hosts`` {host: what its roles need}; ``run`` is what the tasks
    of all hosts ask about: the order, who changes, what the report expects."""

    refusals: list[str]
    hosts: dict[str, dict[str, Any]]
    run: dict[str, Any]


def make(request: Request) -> Result:
    """The plan of all clusters."""
    refused = Refusals()
    hosts: dict[str, dict[str, Any]] = {
        name: {"clusters": [], "changes": [], "paths": [], "units": [], "restarts": []}
        for name in request.hosts
    }
    planned = []
    taken: dict[str, int] = {}
    for members in request.clusters:
        cluster = _Cluster(request, members, refused, taken)
        cluster.fill(hosts)
        taken.update(cluster.router_ids)
        planned.append(cluster)
    _apart(request, refused)
    _about_report(request, refused)
    return Result(
        refusals=refused.sentences(kinds(request.clusters)),
        hosts=hosts,
        run=_run(request, planned, hosts),
    )


def kinds(clusters: Iterable[Members]) -> list[list[str]]:
    """All load balancers, and all MyCats."""
    every = list(clusters)
    return [
        [host for members in every for host in members.load_balancers],
        [host for members in every for host in members.mycats],
    ]


def _run(
    request: Request, planned: Sequence[_Cluster], hosts: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    waves = [cluster.waves(hosts) for cluster in planned]
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
            dict.fromkeys(
                (*request.notes, *(note for cluster in planned for note in cluster.notes))
            )
        ),
        "started": request.started,
        "settle": {name: hosts[name].get("settle", QUICK) for name in changing},
        "patience": max([needs["verify_timeout"] for needs in lbs.values()] + [PATIENCE]),
        "expected": {"clusters": {cluster.members.name: cluster.expected() for cluster in planned}},
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


class _Cluster:
    """The planning of one cluster, a role after the other."""

    def __init__(
        self, request: Request, members: Members, refused: Refusals, taken: Mapping[str, int]
    ) -> None:
        self.request, self.members, self.refused, self.taken = request, members, refused, taken
        self.lbs = [request.hosts[name] for name in members.load_balancers]
        self.mycats = [request.hosts[name] for name in members.mycats]
        self.notes: list[str] = []
        self.router_ids: dict[str, int] = {}
        self.plan: keepalived.ClusterPlan | None = None
        self.together = False

    def _refuse(self, error: Exception | str) -> None:
        """Keep what cannot be had of the whole cluster."""
        for name in self.members.load_balancers:
            self.refused.add(name, error)

    # --- what the hosts need ------------------------------------------------------------------

    def fill(self, hosts: dict[str, dict[str, Any]]) -> None:
        """Put what the roles need of each host of this cluster into ``hosts``."""
        for host in (*self.lbs, *self.mycats):
            hosts[host.name]["clusters"].append(self.members.name)
        for role, planned in (
            ("mycat_status", self._mycat_status),
            ("haproxy", self._haproxy),
            ("keepalived", self._keepalived),
        ):
            if role in self.request.roles:
                for name, needs in planned():
                    self._merge(hosts[name], role, needs)

    def _merge(self, entry: dict[str, Any], role: str, needs: dict[str, Any]) -> None:
        host = self.request.hosts[needs["name"]]
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
        may_change = host.reachable and role in self.request.changing
        needs["ready"] = may_change and not needs["packages"]
        if may_change:
            entry["changes"] += [change for change in found if change not in entry["changes"]]
            if found and needs.get("settled_after"):
                entry["settle"] = needs["settled_after"]

    def _role(
        self, role: str, host: HostView, context: Mapping[str, Any], **more: Any
    ) -> tuple[str, dict[str, Any]]:
        files: RoleFiles = self.request.roles[role].files(
            {"ansible_managed": self.request.managed, **context}
        )
        return host.name, {
            "name": host.name,
            "files": list(files.files),
            "absent": list(files.absent),
            "runtime": self.request.roles[role].runtime(context),
            "packages": list(PACKAGES[role]),
            "further": [],
            **more,
        }

    # --- the health endpoint ------------------------------------------------------------------

    def _mycat_status(self) -> Iterator[tuple[str, dict[str, Any]]]:
        role = self.request.roles["mycat_status"]
        program = endpoint.load_program(role.folder)
        for host in self.mycats:
            settings = host.settings["mycat_status"]
            try:
                allow = settings.get("mycat_status_allow") or self._askers(host)
                context = endpoint.template_context(host, allow, program)
            except SettingError as error:
                self.refused.add(host.name, error)
                continue
            xinetd = context["with_xinetd"]
            yield self._role(
                "mycat_status",
                host,
                context,
                with_xinetd=xinetd,
                leaves=self._left(host, xinetd),
                unit_known=xinetd or not changes.gone([SOCKET_UNIT], host.state.get("files") or {}),
                credentials_file=settings.get("mycat_status_credentials_file"),
                packages=["python3", *(["xinetd"] if xinetd else [])],
                units=["xinetd.service" if xinetd else "mycat_status.socket"],
            )

    def _left(self, host: HostView, xinetd: bool) -> list[str]:
        """The listener's file that the host has and shall not have any more."""
        other = SOCKET_UNIT if xinetd else XINETD_SERVICE
        return [] if changes.gone([other], host.state.get("files") or {}) else [other]

    def _askers(self, mycat: HostView) -> list[str]:
        """The load balancers' own addresses, of all clusters that the MyCat serves.

        Among addresses of one subnet Linux takes the first as the source in IPv4, but may take the
        newest in IPv6, which is the VIP.
        """
        asking = [
            (members, self.request.hosts[name])
            for members in self.request.clusters
            if mycat.name in members.mycats
            for name in members.load_balancers
        ]
        found: set[str] = set()
        vips: set[str] = set()
        for _members, host in asking:
            vips.update(vip.partition("/")[0].lower() for vip in vips_of(host))
            try:
                found.update(own_addresses(host))
            except SettingError as error:
                self.refused.add(
                    mycat.name,
                    f"mycat_status_allow: the addresses of {host.name} are not known, so it could "
                    f"not be let in; set mycat_ha_address for it ({error.problem})",
                )
        if not asking:
            raise SettingError(
                "mycat_status_allow",
                "nobody may ask this endpoint; put the load balancers into the group "
                f"{mycat.common.get('mycat_ha_lb_group')!r}, or list their addresses",
            )
        return sorted((found - vips) | {vip for vip in vips if ":" in vip})

    # --- HAProxy ------------------------------------------------------------------------------

    def _haproxy(self) -> Iterator[tuple[str, dict[str, Any]]]:
        for host in self.lbs:
            try:
                model = self._haproxy_model(host)
            except SettingError as error:
                self.refused.add(host.name, error)
                continue
            context = {"haproxy": model, "settings": host.settings["haproxy"]}
            text = self.request.roles["haproxy"].render(
                "haproxy.cfg.j2", {"ansible_managed": self.request.managed, **context}
            )
            installed = text.replace("@digest@", changes.digest(text)[:16])
            file = (host.state.get("files") or {}).get(HAPROXY_CFG) or {}
            running = host.state.get("haproxy") or {}
            further = []
            if file.get("sha256") != changes.digest(installed):
                further.append(HAPROXY_CFG)
            elif not (running.get("alive") and running.get("loaded_is_file") is not False):
                further.append("HAProxy does not serve with its file")
            yield self._role(
                "haproxy",
                host,
                context,
                text=text,
                nofile=model["nofile"],
                nonlocal_bind=model["nonlocal_bind"],
                units=["haproxy.service"],
                further=further,
            )

    def _haproxy_model(self, host: HostView) -> dict[str, Any]:
        if not self.mycats:
            raise SettingError(
                "mycat_ha_mycat_group",
                f"the group {host.common['mycat_ha_mycat_group']!r} has no host of the cluster "
                f"{self.members.name}; put its MyCats into that group, or name the group that "
                "they are in",
            )
        settings = dict(host.settings["haproxy"])
        settings["vips"] = vips_of(host)
        settings.setdefault("haproxy_mycat_bind", haproxy.default_bind(settings["vips"]))
        groups = dict(self.request.groups)
        wanted = {
            listener.get("group")
            for listener in settings.get("haproxy_listeners") or ()
            if isinstance(listener, Mapping)
        }
        addresses = {}
        for name in {name for group in wanted for name in groups.get(str(group), ())}:
            other = self.request.hosts.get(name)
            if other is not None:
                addresses[name] = address_of(other)
        if not host.systemd:
            raise SettingError(
                host.name,
                f"systemd is to run HAProxy, and this host has {host.facts.get('service_mgr')} "
                "instead; take the host out of the group, or boot it with systemd",
            )
        return haproxy.resolve(
            settings,
            [self._server(host, mycat) for mycat in self.mycats],
            haproxy.Inventory(groups, addresses),
            host.version("haproxy") or haproxy.distributed_version(host.facts),
        )

    def _server(self, lb: HostView, mycat: HostView) -> dict[str, Any]:
        """A MyCat as a server; its ports are those that its own variables say."""
        own, asked = mycat.settings["mycat_status"], lb.settings["haproxy"]
        return {
            "name": mycat.name,
            "address": address_of(mycat),
            "port": _one_fact(
                asked.get("haproxy_mycat_port"),
                "haproxy_mycat_port",
                own["mycat_status_sql_port"],
                "mycat_status_sql_port",
                mycat,
            ),
            "check_port": _one_fact(
                asked.get("haproxy_check_port"),
                "haproxy_check_port",
                own["mycat_status_port"],
                "mycat_status_port",
                mycat,
            ),
        }

    # --- keepalived ---------------------------------------------------------------------------

    def _keepalived(self) -> Iterator[tuple[str, dict[str, Any]]]:
        if not self._can_plan_keepalived():
            return
        role = self.request.roles["keepalived"]
        template = (role.folder / "templates/keepalived.conf.j2").read_text(encoding="utf-8")
        try:
            self.plan = keepalived.plan_cluster(
                [self._keepalived_host(host) for host in self.lbs],
                template=template,
                taken=sorted(set(self.taken.values())),
                managed=self.request.managed,
            )
        except RefusalError as refusal:
            for error in refusal.errors:
                self._refuse(error)
            return
        self.notes += self.plan.notes
        self._refuse_stolen(self.plan.addresses)
        self.router_ids = dict(self.plan.virtual_router_ids)
        for host in self.lbs:
            yield self._keepalived_needs(host, self.plan)
        self._refuse_half_a_change()

    def _can_plan_keepalived(self) -> bool:
        if len(self.lbs) < 2:
            self._refuse(
                f"mycat_ha_lb_group: the group "
                f"{self.lbs[0].common['mycat_ha_lb_group']!r} has {len(self.lbs)} host(s) of the "
                f"cluster {self.members.name}; put at least two load balancers into it, or name "
                "the group they are in: one alone has nobody to hand the VIP to",
            )
            return False
        for host in self.lbs:
            vips = host.settings["keepalived"].get("keepalived_vips") or []
            if not vips or not all(vip.get("address") for vip in vips):
                self._refuse(
                    "mycat_ha_vip: no virtual IP is set; write the address that clients shall use "
                    "with its prefix length, such as mycat_ha_vip=192.0.2.100/24, free and in the "
                    "load balancers' subnet (or a list, in mycat_ha_vips)",
                )
                return False
        return True

    def _keepalived_host(self, host: HostView) -> keepalived.Host:
        running = host.state.get("keepalived") or {}
        settings = dict(host.settings["keepalived"])
        alive = (host.settings.get("haproxy") or {}).get("haproxy_alive_bind") or "127.0.0.1:48801"
        address, _colon, port = alive.split(",")[0].rpartition(":")
        settings.setdefault("keepalived_haproxy_alive_address", address.strip("[]"))
        settings.setdefault("keepalived_haproxy_alive_port", int(port))
        return keepalived.Host(
            name=host.name,
            settings=settings,
            facts=host.facts,
            version=host.version("keepalived"),
            systemd=host.systemd,
            in_use={
                str(address).split()[0].partition("/")[0]: instance["virtual_router_id"]
                for instance in running.get("instances") or ()
                for address in instance["virtual_ipaddress"]
            },
            instances=running.get("instances") or (),
            address=str(host.common.get("mycat_ha_address") or host.connection),
            given=host.given,
        )

    def _refuse_stolen(self, addresses: Sequence[str]) -> None:
        """Refuse virtual addresses that a host outside this cluster's load balancers has."""
        for name, host in self.request.hosts.items():
            own = {
                *(host.facts.get("all_ipv4_addresses") or ()),
                *(host.facts.get("all_ipv6_addresses") or ()),
            }
            for address in () if name in self.members.load_balancers else addresses:
                if address in own:
                    self.refused.add(
                        name,
                        f"mycat_ha_vip: {address} is an address of {name} already; write one that "
                        "no host has, or take it from that host",
                    )

    def _refuse_missing(self, host: HostView, programs: Sequence[Mapping[str, str]]) -> None:
        """Refuse programs that the settings name and the host does not have."""
        found = host.state.get("programs") or {}
        for program in programs:
            if found.get(program["path"], "ok") != "ok":
                self.refused.add(
                    host.name,
                    f"{program['variable']}: {program['path']} is no executable file on "
                    f"{host.name}; put it there first, or leave the variable out",
                )

    def _keepalived_needs(
        self, host: HostView, plan: keepalived.ClusterPlan
    ) -> tuple[str, dict[str, Any]]:
        planned = plan.hosts[host.name]
        settings = self._keepalived_host(host).settings
        mode, log = settings["keepalived_failover_mode"], settings["keepalived_log"]
        context = {
            "mode": mode,
            "state_folder": STATE_FOLDER,
            "systemd": host.systemd,
            "grace": settings["keepalived_restart_grace"],
            "log": log,
            "log_line": LOG_LINES.get(mode, "") if log else "",
            "log_folder": log.rpartition("/")[0] or "/",
            "alive_address": settings["keepalived_haproxy_alive_address"],
            "alive_port": settings["keepalived_haproxy_alive_port"],
            "notify_user": settings["keepalived_notify_user"] or "keepalived_script",
            "node_loss": plan.bounds["node_loss"],
        }
        self._refuse_missing(host, planned.programs)
        running = host.state.get("keepalived") or {}
        former = running.get("text") or ""
        file = (host.state.get("files") or {}).get(KEEPALIVED_CONF) or {}
        further = []
        if file.get("sha256") != changes.digest(planned.text) or file.get("mode") != "0600":
            further.append(KEEPALIVED_CONF)
        elif not running.get("running"):
            further.append("keepalived does not run")
        elif running.get("loaded_is_file") is False:
            further.append("keepalived runs with an older configuration than its file")
        changed = KEEPALIVED_CONF in further and former
        if changed and cluster_wide(former, planned.text, host.name):
            self.together = True
        return self._role(
            "keepalived",
            host,
            context,
            text=planned.text,
            restart=bool(changed and restart_required(former, planned.text, host.name)),
            units=["keepalived.service"],
            further=further,
            claims=[_claim(claim) for claim in planned.claims],
            watched=[_claim(claim) for claim in claims(planned.text)],
            programs=[dict(program) for program in planned.programs],
            probe=settings["keepalived_probe"],
            port=answering_port(host),
            verify_timeout=settings["keepalived_verify_timeout"],
            settled_after=plan.slowest + 1,
            startup_delay=settings["keepalived_startup_delay"],
        )

    def _refuse_half_a_change(self) -> None:
        lost = [host.name for host in self.lbs if not host.reachable]
        if self.together and lost:
            self._refuse(
                f"{', '.join(lost)}: this change has to be made on all load balancers at once, and "
                "this one was not reached; bring it back, or take it out of the group",
            )

    # --- what is expected, and the order ------------------------------------------------------

    def expected(self) -> dict[str, Any]:
        """What the report expects of this cluster."""
        first = self.lbs[0] if self.lbs else None
        instances = self.plan.instances if self.plan else {}
        vips = [vip.partition("/")[0] for vip in vips_of(first)] if first else []
        return {
            "vips": {
                vip: {"instance": instances.get(vip, ""), "port": answering_port(first)}
                for vip in vips
                if first and "keepalived" in self.request.roles
            },
            "load_balancers": list(self.members.load_balancers),
            "mycats": list(self.members.mycats),
            "allow_degraded": bool(first and first.common.get("mycat_ha_allow_degraded")),
            "notes": list(dict.fromkeys(self.notes)),
        }

    def waves(self, hosts: Mapping[str, Mapping[str, Any]]) -> tuple[list[Any], list[Any]]:
        """The hosts that change, in the order in which they do."""
        mycats = [host.name for host in self.mycats if hosts[host.name]["changes"]]
        changing = [host for host in self.lbs if hosts[host.name]["changes"]]
        serving = any((host.state.get("endpoint") or {}).get("code") == 200 for host in self.mycats)
        holding = {host.name: _held(host) for host in self.lbs}
        if self.together or not any(holding.values()):
            order = [[host.name for host in changing]]
        else:
            order = [[host.name] for host in sorted(changing, key=lambda one: holding[one.name])]
        lone = [name for name in mycats if name not in self.members.load_balancers]
        return changes.waves_of(lone, order, serving=serving)


def _claim(claim: Claim) -> dict[str, Any]:
    """A claim as vrrp_probe takes it."""
    return {**dataclasses.asdict(claim), "addresses": list(claim.addresses)}


def _held(host: HostView) -> int:
    """How many virtual addresses a host holds."""
    instances = (host.state.get("keepalived") or {}).get("instances") or ()
    return sum(len(instance.get("held") or ()) for instance in instances)


def answering_port(host: HostView) -> int:
    """The port at which each VIP of a load balancer's cluster answers; 0 where nobody is to ask."""
    asked = host.settings.get("keepalived", {}).get("keepalived_verify_port")
    if asked is not None:
        return int(asked)
    bind = (host.settings.get("haproxy") or {}).get("haproxy_mycat_bind") or "*:8066"
    words = str(bind).split(",")[0].rpartition(":")[2].split() or [""]
    return int(words[0]) if words[0].isdigit() else 0


def vips_of(host: HostView) -> list[str]:
    """The virtual IPs of a load balancer's cluster, as the operator wrote them."""
    given = host.settings.get("keepalived", {}).get("keepalived_vips") or folded_vips(host.common)
    return [str(vip.get("address") or "") for vip in given]


def folded_vips(common: Mapping[str, Any]) -> list[dict[str, Any]]:
    """keepalived_vips as mycat_ha_vips or mycat_ha_vip says it."""
    if common.get("mycat_ha_vips"):
        return list(common["mycat_ha_vips"])
    return [{"address": common["mycat_ha_vip"]}] if common.get("mycat_ha_vip") else []


def _one_fact(asked: int | None, asking: str, own: int, owning: str, mycat: HostView) -> int:
    """A port that two variables can say. Raises SettingError where they contradict each other."""
    if asked is None or asked == own:
        return own
    if owning in mycat.given:
        raise SettingError(
            asking,
            f"is {asked}, and {owning} is {own} on {mycat.name}; write it once, in {owning}",
        )
    raise SettingError(
        asking,
        f"is {asked}, while {mycat.name} has {own} ({owning}); set {owning} there instead, "
        "which counts for both",
    )


def _about_report(request: Request, refused: Refusals) -> None:
    """Refuse a report that could not be written at the end."""
    for name, host in request.hosts.items():
        path = host.common.get("mycat_ha_report")
        if path and not path.endswith(".json"):
            refused.add(
                name,
                f"mycat_ha_report: {path} does not end in .json; write such as report.json",
            )


def _apart(request: Request, refused: Refusals) -> None:
    """Refuse clusters that share a VIP."""
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
