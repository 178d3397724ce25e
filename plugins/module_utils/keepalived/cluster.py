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
from typing import Any, Mapping, Sequence

from ..readers import RefusalError, SettingError
from ..vrrp import versions
from ..vrrp.estate import Lines
from ..vrrp.findings import Finding, Severity
from ..vrrp.model import Cluster
from ..vrrp.plan import Plan, draft, unwished
from ..vrrp.request import InterfaceAddress, Request, read_request, virtual_address
from ..vrrp.router_ids import assigned_router_ids
from ..vrrp.spread import orders_of
from ..vrrp.validate import Report, validate
from .claims import Claim, carried, claims_of
from .configuration import Installed, host_text
from .names import OperatorNames
from .raw_lines import raw_lines
from .reader import parse_cluster
from .settings import HostRequest, cluster_request, resolve


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


@dataclass(frozen=True)
class HostPlan:
    """What a load balancer gets. ``links`` are its interface and address for each VIP, in their
    order; ``claims`` what it newly claims of the network, ``watched`` all that it claims;
    ``programs`` what must be on it, {"variable", "path"}."""

    name: str
    text: str
    version: str
    links: tuple[Mapping[str, str], ...]
    claims: tuple[Claim, ...]
    watched: tuple[Claim, ...]
    programs: tuple[Mapping[str, str], ...]


@dataclass(frozen=True)
class ClusterPlan:
    """The plan of a cluster. Times are seconds.

    ``checks``, ``bounds`` and ``outcomes`` are those that ``vrrp_plan`` returns; ``notes`` is what
    the operator should know, one sentence each. ``virtual_router_ids`` and ``instances`` map each
    VIP (without prefix) to its id and to the name of its instance, ``homes`` to the load balancer
    that is the first choice for it, ``moved_by`` each instance to the one by whose file it is moved
    alone; ``addresses`` are all virtual ones. Nothing is proven before ``slowest`` has passed.
    """

    hosts: Mapping[str, HostPlan]
    checks: tuple[Mapping[str, object], ...]
    bounds: Mapping[str, float | None]
    outcomes: tuple[Mapping[str, object], ...]
    findings: tuple[Finding, ...]
    notes: tuple[str, ...]
    virtual_router_ids: Mapping[str, int]
    instances: Mapping[str, str]
    homes: Mapping[str, str]
    moved_by: Mapping[str, str]
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
    RefusalError with every setting that cannot be used, called as the operator calls it.
    """
    given = frozenset(name for host in hosts for name in host.given)
    names = OperatorNames(given)
    try:
        wishes = _host_requests(hosts)
        asked = cluster_request(wishes)
        names = OperatorNames.of_request(given, asked)
        request = read_request({**asked, "vips": _with_router_ids(hosts, asked, taken)})
        plan = draft(request, names)
        texts = {
            host.name: host_text(
                node,
                plan,
                request,
                host.settings,
                wanted,
                template=template,
                installed=installed or Installed(),
                managed=managed,
            )
            for host, wanted, node in zip(hosts, wishes, plan.cluster.nodes)
        }
        cluster, reading, lines = parse_cluster(
            texts,
            keepalived_version=request.keepalived_version,
            # Each text is read, and its host behaves in the proof, as its own keepalived does.
            more={
                wanted.name: {"keepalived_version": versions.numbers(wanted.version)}
                for wanted in wishes
            },
        )
        report = _proof(hosts, cluster, reading, lines)
    except RefusalError as several:
        raise RefusalError(error.named(names) for error in several.errors) from None
    except SettingError as error:
        raise RefusalError([error.named(names)]) from None
    findings = (*plan.report.findings, *unwished(report.findings, request))
    return _cluster_plan(
        replace(plan, report=replace(report, findings=findings)),
        request,
        {
            host.name: HostPlan(
                host.name,
                texts[host.name],
                wanted.version,
                wanted.links,
                claims_of(node.instances, host.instances),
                claims_of(node.instances),
                tuple(
                    {**program, "variable": names(program["variable"])}
                    for program in wanted.programs
                ),
            )
            for host, wanted, node in zip(hosts, wishes, cluster.nodes)
        },
        wishes[0].addresses,
    )


def _cluster_plan(
    plan: Plan, request: Request, hosts: Mapping[str, HostPlan], addresses: tuple[str, ...]
) -> ClusterPlan:
    data = plan.as_data()
    findings = plan.report.findings
    said = (item for item in findings if item.severity is not Severity.INFO)
    instances = plan.cluster.nodes[0].instances
    return ClusterPlan(
        hosts=hosts,
        checks=tuple(data["checks"]),
        bounds=data["bounds"],
        outcomes=tuple(data["outcomes"]),
        findings=findings,
        notes=tuple(dict.fromkeys(map(finding_sentence, said))),
        virtual_router_ids={
            _ip(vip.address): instance.virtual_router_id
            for vip, instance in zip(request.vips, instances)
        },
        instances={_ip(vip.address): vip.name for vip in request.vips},
        homes=_homes(request),
        moved_by=request.moved_by,
        addresses=addresses,
        slowest=plan.slowest,
    )


def _homes(request: Request) -> dict[str, str]:
    given = request.priorities
    firsts = [given.index(max(given)) if given else order[0] for order in orders_of(request)]
    return {_ip(vip.address): request.nodes[at].name for vip, at in zip(request.vips, firsts)}


def finding_sentence(finding: Finding) -> str:
    """Where a finding is, what it says, what to change, and its id."""
    where = ", ".join(filter(None, (finding.node, finding.instance)))
    said = f"{where}: {finding.message}" if where else finding.message
    return " ".join(filter(None, (f"{said}.", finding.fix, f"({finding.id})")))


def _proof(
    hosts: Sequence[Host], cluster: Cluster, reading: tuple[Finding, ...], lines: Lines
) -> Report:
    """What is to be said of the cluster as its texts were read back. Raises SettingError for an
    error: raw lines are at fault, or else the plan or the template."""
    report = validate(cluster, reading, lines)
    if report.reaches(Severity.ERROR):
        said = finding_sentence(report.findings[0])
        raw = dict.fromkeys(
            where.rpartition("[")[0] for host in hosts for where, _line in raw_lines(host.settings)
        )
        if raw:
            listed = ", ".join(f"{{{where}}}" for where in raw)
            raise SettingError(
                next(iter(raw)), f"the cluster fails with the raw lines in {listed}: {said}"
            )
        raise SettingError("plan", f"does not hold, please report it: {said}")
    return report


# --- what the hosts ask for -----------------------------------------------------------------------


def _host_requests(hosts: Sequence[Host]) -> list[HostRequest]:
    """What ``resolve`` says of each host. What is not known of a host without facts is as it is on
    the others."""
    known = [host for host in hosts if host.facts]
    if not known:
        raise SettingError("nodes", "none of them was reached; nothing is known to plan with")
    found = _resolved(known, {host.name: host.facts for host in known})
    first = found[known[0].name]
    oldest = min((wanted.version for wanted in found.values()), key=versions.numbers)
    unknown = [replace(host, version=host.version or oldest) for host in hosts if not host.facts]
    found.update(
        _resolved(unknown, {host.name: _assumed_facts(host, first.links) for host in unknown})
    )
    return [found[host.name] for host in hosts]


def _resolved(
    hosts: Sequence[Host], facts: Mapping[str, Mapping[str, Any]]
) -> dict[str, HostRequest]:
    """What ``resolve`` says of each host, by name. Raises RefusalError; what is wrong on all of
    them is said once."""
    found = {}
    wrong: dict[tuple[str, str], list[tuple[str, SettingError]]] = {}
    for host in hosts:
        service_mgr = "systemd" if host.systemd else ""
        known = {**facts[host.name], "service_mgr": service_mgr}
        try:
            found[host.name] = resolve(
                host.settings, known, host.name, host.version, sorted(carried(host.instances))
            )
        except (SettingError, RefusalError) as error:
            for one in error.errors if isinstance(error, RefusalError) else (error,):
                wrong.setdefault((one.option, one.problem), []).append((host.name, one))
    if wrong:
        raise RefusalError(
            error.on("" if len(places) == len(hosts) else ", ".join(name for name, _one in places))
            for places in wrong.values()
            for _name, error in places[:1]
        )
    return found


def _assumed_facts(host: Host, links: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    """Network facts of a host that was not reached: the address that the settings or the inventory
    tell, on the interface that another host has for the same VIP (``links``)."""
    settings = host.settings
    interfaces: dict[str, dict[str, Any]] = {}
    for index, (vip, link) in enumerate(zip(settings["keepalived_vips"], links)):
        address = virtual_address(f"keepalived_vips[{index}].address", vip["address"])
        own = _known_address(host, address)
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
    raise SettingError(
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
