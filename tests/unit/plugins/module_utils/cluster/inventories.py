# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts as the plan sees them, made by hand, and their states as a run would leave them."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml
from ansible_collections.mycat.ha.plugins.module_utils.cluster import changes
from ansible_collections.mycat.ha.plugins.module_utils.cluster.files import Role, roles
from ansible_collections.mycat.ha.plugins.module_utils.cluster.hosts import HostView
from ansible_collections.mycat.ha.plugins.module_utils.cluster.managed import (
    ACCOUNTS,
    HAPROXY_CFG,
    KEEPALIVED_CONF,
    MAIN_FILES,
    PACKAGES,
    SOCKET_UNIT,
    UNITS,
    XINETD_SERVICE,
)
from ansible_collections.mycat.ha.plugins.module_utils.cluster.members import Members
from ansible_collections.mycat.ha.plugins.module_utils.cluster.plan import Result, make
from ansible_collections.mycat.ha.plugins.module_utils.cluster.request import Request
from ansible_collections.mycat.ha.plugins.module_utils.haproxy.config_text import check_ports
from ansible_collections.mycat.ha.plugins.module_utils.host.endpoint import ports_of
from ansible_collections.mycat.ha.plugins.module_utils.host.state import (
    STATE_TMPFILES,
    metrics_links,
)
from ansible_collections.mycat.ha.plugins.module_utils.keepalived.config_test import masked
from ansible_collections.mycat.ha.plugins.module_utils.keepalived.reader import parse
from ansible_collections.mycat.ha.plugins.module_utils.settings import typed
from ansible_collections.mycat.ha.plugins.plugin_utils.views import OPTIONAL, ROLES_OF, fold

ROOT = Path(__file__).parents[5]
NAMES = ("mycat", "mycat_status", "haproxy", "keepalived")
VIP = "192.0.2.100"
LATER = "2026-11-26T00:13:00Z"


@functools.lru_cache(maxsize=1)
def all_roles() -> dict[str, Role]:
    """The collection's roles."""
    return roles(ROOT, NAMES)


@functools.lru_cache(maxsize=1)
def all_specs() -> dict[str, dict[str, Any]]:
    """The options of each role, and those of the collection as ``common``."""
    text = (ROOT / "meta/argument_specs.yml").read_text(encoding="utf-8")
    common = yaml.safe_load(text)["argument_specs"]["main"]["options"]
    return {"common": common, **{name: role.spec() for name, role in all_roles().items()}}


def facts(address: str) -> dict[str, Any]:
    """Facts of a host with Debian and one interface; ``address`` has its prefix length."""
    own, _slash, prefix = address.partition("/")
    interface = {
        "device": "eth0",
        "macaddress": "02:00:" + ":".join(f"{int(part):02x}" for part in own.split(".")),
        "ipv4": {"address": own, "prefix": prefix},
        "ipv6": [],
    }
    return {
        "interfaces": ["eth0"],
        "eth0": interface,
        "default_ipv4": {"address": own},
        "all_ipv4_addresses": [own],
        "all_ipv6_addresses": [],
        "service_mgr": "systemd",
        "os_family": "Debian",
        "distribution": "Debian",
        "distribution_major_version": "12",
    }


def view(name: str, address: str, kinds: Iterable[str], variables: Mapping[str, Any]) -> HostView:
    """A host that answers and has nothing yet."""
    specs = all_specs()
    wanted = [
        role
        for kind in kinds
        for role in ROLES_OF[kind]
        if role not in OPTIONAL or OPTIONAL[role] in variables
    ]
    common, wrong = typed(specs["common"], variables)
    settings = {}
    for role in wanted:
        settings[role], errors = typed(specs[role], variables)
        wrong += errors
    assert not wrong, wrong
    if "keepalived" in settings:
        fold(settings["keepalived"], common)
    return HostView(
        name,
        common,
        settings,
        frozenset(variables),
        facts(address),
        {"files": {path: {"kind": "absent"} for path in _paths(wanted)}, "versions": {}},
        address.partition("/")[0],
    )


def _paths(wanted: Iterable[str]) -> Iterable[str]:
    for role in wanted:
        yield from all_roles()[role].paths
        yield from MAIN_FILES[role]


def lb(last: int, *, net: str = "192.0.2", **variables: Any) -> HostView:
    """A load balancer called lb1 for 11."""
    given = dict(variables)
    if "mycat_ha_vips" not in variables:
        given.setdefault("mycat_ha_vip", f"{net}.100/24")
    return view(f"lb{last - 10}", f"{net}.{last}/24", ["load_balancer"], given)


def mycat(last: int, *, net: str = "192.0.2", **variables: Any) -> HostView:
    """A MyCat host called mycat1 for 21."""
    return view(f"mycat{last - 20}", f"{net}.{last}/24", ["mycat"], variables)


def unreached(host: HostView) -> HostView:
    """The host as the inventory alone knows it."""
    return replace(host, facts={}, state={})


def request(hosts: Sequence[HostView], clusters: Sequence[Members] = (), **more: Any) -> Request:
    """What is to be planned; without ``clusters`` all hosts are one."""
    lbs = [host.name for host in hosts if "keepalived" in host.settings]
    mycats = [host.name for host in hosts if "mycat_status" in host.settings]
    given = {
        "clusters": clusters or [Members("main", tuple(lbs), tuple(mycats))],
        "hosts": {host.name: host for host in hosts},
        "roles": all_roles(),
        "changing": NAMES,
        "groups": {"all": [host.name for host in hosts], "haproxy": lbs, "mycat": mycats},
    }
    return Request(**{**given, **more})


def planned(hosts: Sequence[HostView], clusters: Sequence[Members] = (), **more: Any) -> Result:
    """The plan, of which nothing is refused."""
    result = make(request(hosts, clusters, **more))
    assert result.refusals == []
    return result


def installed(
    hosts: Iterable[HostView], result: Result, holders: Iterable[str] = ("lb1",)
) -> list[HostView]:
    """The hosts after they got what the plan says; ``holders`` hold the VIPs."""
    return [
        replace(host, state=state(result.hosts[host.name], host.name in holders)) for host in hosts
    ]


def state(needs: Mapping[str, Any], holds: bool) -> dict[str, Any]:
    """What mycat.ha.host_state says of a host that has all that it ``needs``."""
    ours = [role for role in NAMES if role in needs]
    found: dict[str, Any] = {
        "packages": {name: "1" for role in ours for name in PACKAGES[role]},
        "versions": {"haproxy": "2.6.12", "keepalived": "2.2.7"},
        "units": {
            name: {"active": "active", "enabled": "enabled"}
            for role in ours
            for name in UNITS[role]
        },
        "accounts": {name: True for role in ours for name in ACCOUNTS[role]},
        "files": {path: row for role in ours for path, row in _files(needs[role])},
        "addresses": [],
        "keepalived": None,
        "haproxy": None,
        "endpoint": None,
    }
    if "haproxy" in needs:
        text = needs["haproxy"]["text"]
        text = text.replace("@digest@", changes.digest(text)[:16])
        found["files"][HAPROXY_CFG] = file(text, "0640")
        found["haproxy"] = {
            "alive": True,
            "loaded_is_file": True,
            "servers": [],
            "asks": check_ports(text, "mycat"),
        }
    if "keepalived" in needs:
        text = needs["keepalived"]["text"]
        found["files"][KEEPALIVED_CONF] = file(text, "0600")
        found["keepalived"] = {
            "running": True,
            "loaded_is_file": True,
            "text": masked(text),
            "instances": list(_instances(text, holds)),
        }
        if holds:
            found["addresses"] = [
                vip for one in found["keepalived"]["instances"] for vip in one["held"]
            ]
        written = {row["path"]: row.get("content", "") for row in needs["keepalived"]["files"]}
        found["metrics_links"] = metrics_links(written[STATE_TMPFILES])
    if "mycat_status" in needs:
        found["endpoint"] = {"code": 200, "status": "up", "level": "greeting", "reason": ""}
        written = {row["path"]: row.get("content", "") for row in needs["mycat_status"]["files"]}
        found["endpoint_ports"] = ports_of(written.get(XINETD_SERVICE) or written[SOCKET_UNIT])
    return found


def file(text: str, mode: str) -> dict[str, Any]:
    """A file of root as host_state describes it."""
    owner = {"owner": "root", "group": "root"}
    return {"kind": "file", "sha256": changes.digest(text), "mode": mode, **owner}


def _files(needs: Mapping[str, Any]) -> Iterable[tuple[str, dict[str, Any]]]:
    for path in needs["absent"]:
        yield path, {"kind": "absent"}
    for path in needs["runtime"]:
        yield path, {"kind": "directory"}
    for row in needs["files"]:
        known = file(row.get("content", ""), row["mode"])
        known.update({key: row[key] for key in ("owner", "group")})
        yield row["path"], {**known, **({"kind": "directory"} if row.get("directory") else {})}


def _instances(text: str, holds: bool) -> Iterable[dict[str, Any]]:
    for one in parse(text, "").node.instances:
        vips = list(one.virtual_ipaddress)
        yield {
            "name": one.name,
            "state": "MASTER" if holds else "BACKUP",
            "since": LATER,
            "priority": one.priority,
            "effective_priority": one.priority,
            "virtual_router_id": one.virtual_router_id,
            "interface": one.interface,
            "virtual_ipaddress": vips,
            "virtual_ipaddress_excluded": list(one.virtual_ipaddress_excluded),
            "held": [vip.split("/")[0] for vip in vips] if holds else [],
        }


# --- sets of hosts -------------------------------------------------------------------------------

# The same virtual router id is derived from both.
EAST_VIP, WEST_VIP = "192.0.2.105", "192.0.2.116"
EAST = Members("east", ("lb1", "lb2"), ("mycat1",))
WEST = Members("west", ("lb3", "lb4"), ("mycat2",))
BOTH = [EAST, WEST]
SECRET = {
    "keepalived_auth_type": "PASS",
    "keepalived_auth_pass": "secret",
    "keepalived_vrrp_version": 2,
}


def pair(**variables: Any) -> list[HostView]:
    """Two load balancers and two MyCats."""
    return [lb(11, **variables), lb(12, **variables), mycat(21), mycat(22)]


def on_port(port: int) -> list[HostView]:
    """The pair, whose health endpoints shall answer at this port."""
    own = {"mycat_status_port": port}
    return [lb(11, **own), lb(12, **own), mycat(21, **own), mycat(22, **own)]


def two_clusters(east: str = EAST_VIP, west: str = WEST_VIP, **more: Any) -> list[HostView]:
    """The hosts of EAST and WEST, on one network."""
    return [
        *(lb(last, mycat_ha_vip=f"{east}/24", **more) for last in (11, 12)),
        *(lb(last, mycat_ha_vip=f"{west}/24", **more) for last in (13, 14)),
        mycat(21),
        mycat(22),
    ]


def together(*, mycats: Mapping[str, Any] | None = None, **variables: Any) -> list[HostView]:
    """Two hosts that are load balancer and MyCat; ``mycats`` are variables of the latter."""
    own = mycat(21, **(mycats or {})).settings
    return [
        replace(one, settings={**one.settings, **own})
        for one in (lb(11, **variables), lb(12, **variables))
    ]


def without_systemd(host: HostView) -> HostView:
    return replace(host, facts={**host.facts, "service_mgr": "openrc"})


def reset(hosts: Sequence[HostView], asked: Sequence[HostView]) -> list[HostView]:
    """The hosts, for which the operator asks something else now."""
    return [replace(new, state=old.state) for old, new in zip(hosts, asked)]


def refused(hosts: Sequence[HostView], clusters: Sequence[Members] = (), **more: Any) -> list[str]:
    return make(request(hosts, clusters, **more)).refusals


def router_ids(result: Result) -> dict[str, int]:
    """The id that each load balancer's text says, of hosts with one VIP."""
    found = {}
    for name, needs in result.hosts.items():
        if "keepalived" in needs:
            _before, _word, after = needs["keepalived"]["text"].partition("virtual_router_id ")
            found[name] = int(after.split()[0])
    return found


def texts(result: Result) -> dict[str, Any]:
    """Everything that is installed."""
    return {
        host: {role: (part.get("text"), part["files"]) for role, part in needs.items()}
        for host, entry in result.hosts.items()
        for needs in [{role: entry[role] for role in entry if isinstance(entry[role], dict)}]
    }


def edited(host: HostView, path: str, **more: Any) -> HostView:
    """The host with another text in a file."""
    files = {**host.state["files"], path: {**host.state["files"][path], "sha256": "other"}}
    return replace(host, state={**host.state, "files": files, **more})


def allowed(result: Result, host: str) -> list[str]:
    """The addresses of IPv4 that may ask a MyCat, without those of the host itself."""
    (entry,) = (
        row
        for row in result.hosts[host]["mycat_status"]["files"]
        if row["path"] == "/etc/mycat_status/mycat_status.json"
    )
    return [text for text in json.loads(entry["content"])["allow"] if text.startswith("192")]
