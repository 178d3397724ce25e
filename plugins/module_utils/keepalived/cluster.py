# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The keepalived of one cluster: from the settings of its hosts to their configurations, proven.

For the controller only (``configuration`` needs jinja2). No I/O. Settings are judged, the plan is
made, the template rendered and the texts read back and validated, each of it once.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field, replace
from typing import Any, Iterator, Mapping, Sequence

from ..vrrp import versions
from ..vrrp.findings import Finding, Severity
from ..vrrp.model import Authentication, Check, CheckKind, ModelError, Node
from ..vrrp.plan import Plan, draft, unwished
from ..vrrp.request import InterfaceAddress, Request, read_request
from ..vrrp.router_ids import assigned_router_ids
from ..vrrp.validate import Report, validate
from . import configuration
from .claims import Claim, claims
from .reader import parse_cluster
from .settings import note, resolve, together


@dataclass(frozen=True)
class Installed:
    """Where the role puts what keepalived starts and reads, and who runs it."""

    script_user: str = "keepalived_script"
    record_state: str = "/usr/local/libexec/mycat_ha/record_state"
    #: Name of a check -> program, which takes its deadline in seconds as argument.
    scripts: Mapping[str, str] = field(
        default_factory=lambda: {
            "haproxy": "/usr/local/libexec/mycat_ha/check_haproxy",
            "backends": "/usr/local/libexec/mycat_ha/check_backends",
        }
    )
    #: Name of a tracked file -> its path.
    files: Mapping[str, str] = field(
        default_factory=lambda: {
            "haproxy_process": "/run/mycat_ha/haproxy_down",
            "maintenance": "/run/mycat_ha/maintenance",
        }
    )


@dataclass(frozen=True)
class Host:
    """A load balancer as it is asked for and as it was found."""

    name: str
    #: The role's options {name: value}, typed, with defaults.
    settings: Mapping[str, Any]
    #: Its ``ansible_facts``; empty where it was not reached.
    facts: Mapping[str, Any] = field(default_factory=dict)
    #: The keepalived that is installed, such as 2.2.7; empty: none, or not known.
    version: str = ""
    systemd: bool = True
    #: Virtual address -> virtual router id, as its keepalived has them now.
    in_use: Mapping[str, int] = field(default_factory=dict)
    #: The instances of its keepalived now, as keepalived_info returns them.
    instances: Sequence[Mapping[str, object]] = ()
    #: Its address as the inventory has it, for a host without facts.
    address: str = ""
    #: Names of the variables that the operator set.
    given: frozenset[str] = frozenset()
    #: What changes whenever a script of the role does.
    digest: str = ""


@dataclass(frozen=True)
class HostPlan:
    """What a load balancer gets. ``links`` are its interface and address for each VIP, in their
    order; ``claims`` what it claims of the network and did not have; ``programs`` what must be on
    it, {"variable", "path"}."""

    name: str
    text: str
    version: str
    links: tuple[Mapping[str, str], ...]
    claims: tuple[Claim, ...]
    programs: tuple[Mapping[str, str], ...]


@dataclass(frozen=True)
class ClusterPlan:
    """The plan of a cluster. Times are seconds.

    ``checks``, ``bounds`` and ``outcomes`` are those that ``vrrp_plan`` returns; ``notes`` is what
    the operator should know, one sentence each. ``virtual_router_ids`` and ``instances`` map each
    VIP (without prefix) to its id and to the name of its instance; ``addresses`` are all virtual
    ones. Nothing is proven before ``slowest`` has passed.
    """

    hosts: Mapping[str, HostPlan]
    checks: tuple[Mapping[str, object], ...]
    bounds: Mapping[str, float | None]
    outcomes: tuple[Mapping[str, object], ...]
    findings: tuple[Finding, ...]
    notes: tuple[str, ...]
    virtual_router_ids: Mapping[str, int]
    instances: Mapping[str, str]
    addresses: tuple[str, ...]
    slowest: float


def plan_cluster(
    hosts: Sequence[Host],
    *,
    template: str,
    taken: Sequence[int] = (),
    installed: Installed | None = None,
    managed: str = "Ansible managed",
) -> ClusterPlan:
    """The plan for ``hosts``, which are in order of preference.

    ``template`` is the text of the role's keepalived.conf.j2, ``taken`` are virtual router ids of
    others on the same networks, ``managed`` is what the first line of each text says. Raises
    ModelError for what cannot be had.
    """
    installed = installed or Installed()
    models = _models(hosts)
    asked = together(models)
    asked["vips"] = _with_router_ids(hosts, asked, taken)
    request = read_request(asked)
    plan = draft(request)
    texts = {
        host.name: text_of(
            node,
            plan,
            request,
            host.settings,
            model,
            template=template,
            installed=installed,
            managed=managed,
            digest=host.digest,
        )
        for host, model, node in zip(hosts, models, plan.cluster.nodes)
    }
    report = _proof(hosts, request, texts)
    findings = (*plan.report.findings, *unwished(report.findings, request))
    planned = replace(plan, report=replace(report, findings=findings)).as_data()
    return ClusterPlan(
        hosts={
            host.name: HostPlan(
                host.name,
                texts[host.name],
                model["version"],
                tuple(model["links"]),
                claims(texts[host.name], host.instances),
                tuple(model["programs"]),
            )
            for host, model in zip(hosts, models)
        },
        checks=tuple(planned["checks"]),
        bounds=planned["bounds"],
        outcomes=tuple(planned["outcomes"]),
        findings=findings,
        notes=tuple(
            dict.fromkeys(
                note(item.as_data()) for item in findings if item.severity is not Severity.INFO
            )
        ),
        virtual_router_ids={
            _ip(vip.address): instance.virtual_router_id
            for vip, instance in zip(request.vips, plan.cluster.nodes[0].instances)
        },
        instances={_ip(vip.address): vip.name for vip in request.vips},
        addresses=tuple(models[0]["addresses"]),
        slowest=plan.slowest,
    )


def text_of(
    node: Node,
    plan: Plan,
    request: Request,
    settings: Mapping[str, Any],
    model: Mapping[str, Any],
    *,
    template: str,
    installed: Installed,
    managed: str,
    digest: str = "",
) -> str:
    """The keepalived.conf of a planned node; ``model`` is what ``resolve`` returned for it."""
    user = settings["keepalived_notify_user"] or installed.script_user
    printed = {
        vip.name: {
            **own,
            "notify": " ".join(filter(None, (installed.record_state, own["notify"]))),
            "mcast_src_ip": link["address"] if request.multicast else "",
            "auth_hmac": _hmac(settings),
        }
        for vip, own, link in zip(request.vips, model["vips"], model["links"])
    }
    return configuration.render(
        template,
        configuration.context(
            _configured(node, plan, settings, installed),
            printed,
            managed=managed,
            digest=digest,
            vrrp_version=request.vrrp_version,
            startup_delay=settings["keepalived_startup_delay"],
            garp=model["garp"],
            notify_fifo=settings["keepalived_notify_fifo"],
            notify_fifo_script=settings["keepalived_notify_fifo_script"],
            notify_user=user,
            mail=model["mail"],
            global_extra=settings["keepalived_global_extra"],
            extra=settings["keepalived_extra"],
        ),
    )


def _configured(node: Node, plan: Plan, settings: Mapping[str, Any], installed: Installed) -> Node:
    """The planned node with the commands of its checks, its users and its password."""
    given = {check["name"]: check for check in settings["keepalived_checks"]}
    deadlines = {item.check.name: item.poll.deadline for item in plan.checks if item.poll}
    password = settings["keepalived_auth_pass"]
    authentication = (
        Authentication(settings["keepalived_auth_type"] or "PASS", password) if password else None
    )
    return replace(
        node,
        checks=tuple(
            replace(
                check,
                command=_command(check, given, deadlines, installed),
                user=given.get(check.name, {}).get("user") or "",
            )
            for check in node.checks
        ),
        instances=tuple(
            replace(instance, authentication=authentication) for instance in node.instances
        ),
        script_security=True,
        script_user=installed.script_user,
    )


def _command(
    check: Check,
    given: Mapping[str, Mapping[str, Any]],
    deadlines: Mapping[str, float],
    installed: Installed,
) -> str:
    if check.kind is CheckKind.FILE:
        return installed.files[check.name]
    deadline = deadlines[check.name]
    if check.name in given:
        return f"/usr/bin/timeout {deadline} {given[check.name]['script']}"
    # The role's own scripts ask twice.
    return f"{installed.scripts[check.name]} {deadline / 2}"


def _hmac(settings: Mapping[str, Any]) -> dict[str, Any] | None:
    hmac = settings.get("keepalived_auth_hmac")
    if not hmac:
        return None
    return {
        "keys": hmac["keys"],
        "active_key": hmac.get("active_key") or hmac["keys"][0]["id"],
        "anti_replay": hmac.get("anti_replay") or "time",
        "time_window": hmac.get("time_window"),
        "mode": hmac.get("mode") or "enforce",
    }


def _proof(hosts: Sequence[Host], request: Request, texts: Mapping[str, str]) -> Report:
    """What is wrong with the texts, read back as keepalived reads them. Raises ModelError for an
    error: of raw lines, or of the plan or the template."""
    cluster, reading, lines = parse_cluster(texts, keepalived_version=request.keepalived_version)
    report = validate(cluster, reading, lines)
    if report.reaches(Severity.ERROR):
        said = note(report.findings[0].as_data())
        raw = list(dict.fromkeys(name for host in hosts for name in _raw_options(host.settings)))
        if raw:
            raise ModelError(", ".join(raw), f"with these lines, the cluster fails: {said}")
        raise ModelError("plan", f"does not hold, please report it: {said}")
    return report


def _raw_options(settings: Mapping[str, Any]) -> Iterator[str]:
    for name in ("keepalived_global_extra", "keepalived_extra"):
        if settings[name]:
            yield name
    for index, vip in enumerate(settings["keepalived_vips"]):
        if vip.get("extra"):
            yield f"keepalived_vips[{index}].extra"


# --- what is asked of the plan --------------------------------------------------------------------


def _models(hosts: Sequence[Host]) -> list[dict[str, Any]]:
    """What ``resolve`` says of each host. What is not known of a host without facts is as it is on
    the others."""
    known = {
        host.name: resolve(host.settings, _facts(host, host.facts), host.name, host.version)
        for host in hosts
        if host.facts
    }
    if not known:
        raise ModelError("hosts", "nothing is known of any of them; gather their facts")
    oldest = min((model["version"] for model in known.values()), key=versions.numbers)
    links = next(iter(known.values()))["links"]
    return [
        known.get(host.name)
        or resolve(
            host.settings,
            _facts(host, _assumed_facts(host, links)),
            host.name,
            host.version or oldest,
        )
        for host in hosts
    ]


def _facts(host: Host, facts: Mapping[str, Any]) -> dict[str, Any]:
    return {**facts, "service_mgr": "systemd" if host.systemd else ""}


def _assumed_facts(host: Host, links: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    """Network facts of a host that was not reached: the address that the settings or the inventory
    tell, on the interface that another host has for the same VIP (``links``)."""
    settings = host.settings
    interfaces: dict[str, dict[str, Any]] = {}
    for vip, link in zip(settings["keepalived_vips"], links):
        own = _known_address(host, ipaddress.ip_interface(vip["address"]))
        name = vip.get("interface") or settings["keepalived_interface"] or link["interface"]
        interface = interfaces.setdefault(
            name, {"device": name, "ipv4_secondaries": [], "ipv6": []}
        )
        key = "ipv6" if own.version == 6 else "ipv4_secondaries"
        interface[key].append({"address": str(own.ip), "prefix": own.network.prefixlen})
    return {"interfaces": list(interfaces), **interfaces}


def _known_address(host: Host, vip: InterfaceAddress) -> InterfaceAddress:
    for given, anywhere in [
        *((one, True) for one in host.settings["keepalived_address"]),
        (host.address, False),
    ]:
        try:
            own = ipaddress.ip_interface(f"{given}/{vip.network.prefixlen}")
        except ValueError:
            continue
        if own.version == vip.version and (anywhere or own.ip in vip.network):
            return own
    raise ModelError(
        "mycat_ha_address",
        f"nothing tells the address of {host.name} in {vip.network}, and the host was not reached; "
        "write it",
    )


def _with_router_ids(
    hosts: Sequence[Host], asked: Mapping[str, Any], taken: Sequence[int]
) -> list[dict[str, Any]]:
    """The VIPs, each with its virtual router id. One that is in use does not stay if the operator
    says that others use it."""
    avoided = asked["taken_virtual_router_ids"]
    ids = assigned_router_ids(
        [_ip(vip["address"]) for vip in asked["vips"]],
        {
            _ip(vip["address"]): vip["virtual_router_id"]
            for vip in asked["vips"]
            if vip.get("virtual_router_id")
        },
        in_use=[
            {_ip(vip): number for vip, number in host.in_use.items() if number not in avoided}
            for host in hosts
        ],
        taken=(*avoided, *taken),
    )
    return [{**vip, "virtual_router_id": ids[_ip(vip["address"])]} for vip in asked["vips"]]


def _ip(address: str) -> str:
    return str(ipaddress.ip_interface(address).ip)
