# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""HAProxy of one cluster: what the role haproxy needs on each load balancer. Pure."""

from __future__ import annotations

import ipaddress
from functools import partial
from typing import Any, Iterator, Mapping

from ..haproxy import settings as haproxy
from ..haproxy.listeners import Inventory
from ..haproxy.raw_lines import raw_lines
from ..haproxy.versions import distributed_version
from ..network.addresses import canonical, is_address
from ..readers import RefusalError, SettingError, collected
from . import changes, mycat_loss, ports
from .hosts import HostView, address_of, all_virtual_addresses, is_reachable, vips_of
from .managed import HAPROXY_CFG
from .request import Cluster


def needs(cluster: Cluster) -> Iterator[dict[str, Any]]:
    """What the role needs of each load balancer."""
    _refuse_shared_addresses(cluster)
    for host in cluster.load_balancers:
        try:
            settings = mycat_loss.haproxy_settings(host)
            model = _model(cluster, host, settings)
            times = mycat_loss.check_times(host, settings, cluster.mycats)
            mycat_loss.refuse_late(host, times)
        except (SettingError, RefusalError) as error:
            cluster.refused.add_each(host.name, error)
            continue
        context = {"haproxy": model, "settings": settings}
        text = cluster.request.roles["haproxy"].render(
            "haproxy.cfg.j2", {"ansible_managed": cluster.request.managed, **context}
        )
        listening = set(map(ports.port_of, ports.binds(text)))
        reserve = ports.command(listening, host.state)
        yield cluster.request.needs(
            "haproxy",
            host,
            {**context, "reserve": ports.of_unit(ports.reservation(listening))},
            text=text,
            raw_lines=None if settings["haproxy_show_raw_lines"] else list(raw_lines(settings)),
            nofile=model["nofile"],
            nonlocal_bind=model["nonlocal_bind"],
            units=["haproxy.service"],
            bounds=mycat_loss.bounds(times),
            reserve=reserve,
            listening=sorted(listening),
            further=[*_changes(host, text), *(["ports for HAProxy alone"] if reserve else [])],
        )


def _changes(host: HostView, text: str) -> Iterator[str]:
    installed = text.replace("@digest@", changes.digest(text)[:16])
    file = (host.state.get("files") or {}).get(HAPROXY_CFG) or {}
    running = host.state.get("haproxy") or {}
    if file.get("sha256") != changes.digest(installed):
        yield HAPROXY_CFG
    elif not (running.get("alive") and running.get("loaded_is_file") is not False):
        yield "HAProxy does not serve with its file"


def _model(cluster: Cluster, host: HostView, asked: Mapping[str, Any]) -> dict[str, Any]:
    if not cluster.mycats:
        raise SettingError(
            "mycat_ha_mycat_group",
            f"the group {host.common['mycat_ha_mycat_group']!r} has no host of the cluster "
            f"{cluster.members.name}; put its MyCats into that group, or name the group that "
            "they are in",
        )
    if not host.systemd:
        raise SettingError(
            host.name,
            f"systemd is to run HAProxy, and this host has {host.facts.get('service_mgr')} "
            "instead; take the host out of the group, or boot it with systemd",
        )
    settings = {**asked, "vips": vips_of(host)}
    settings.setdefault("haproxy_mycat_bind", haproxy.default_bind(settings["vips"]))
    (servers,) = collected(
        lambda: collected(*(partial(_server, host, mycat) for mycat in _balanced(cluster)))
    )
    return haproxy.resolve(
        settings,
        servers,
        _inventory(cluster, settings),
        host.version("haproxy") or distributed_version(host.facts),
        _occupied(host),
    )


def _balanced(cluster: Cluster) -> list[HostView]:
    """The MyCats, without those whose ports the plan of their health endpoint refuses."""
    ports = ("mycat_status_sql_port", "mycat_status_port")
    return [
        mycat
        for mycat in cluster.mycats
        if "mycat_status" not in cluster.request.roles
        or all(0 < mycat.settings["mycat_status"][port] < 65536 for port in ports)
    ]


def _occupied(host: HostView) -> Iterator[tuple[str, str]]:
    """What a MyCat on the same host listens on: (what says so, ADDRESS:PORT)."""
    own = host.settings.get("mycat_status")
    if own:
        address = own["mycat_status_host"]
        everywhere = ipaddress.ip_address(address).is_loopback if is_address(address) else True
        where = "*" if everywhere else address
        yield (
            "MyCat on the same host (mycat_status_sql_port)",
            f"{where}:{own['mycat_status_sql_port']}",
        )
        yield "the health endpoint (mycat_status_port)", f"*:{own['mycat_status_port']}"


def _refuse_shared_addresses(cluster: Cluster) -> None:
    """Refuse MyCats that are one and the same to HAProxy."""
    owners: dict[tuple[str, int], str] = {}
    for mycat in cluster.mycats:
        try:
            address = canonical(address_of(mycat))
        except SettingError:
            # Said where its server is made.
            continue
        port = mycat.settings["mycat_status"]["mycat_status_sql_port"]
        first = owners.setdefault((address, port), mycat.name)
        if first != mycat.name:
            cluster.refused.add(
                mycat.name,
                f"mycat_ha_address: {first} and {mycat.name} both have {address}; write for each "
                "the address by which the load balancers reach it, or list one host once",
            )


def _inventory(cluster: Cluster, settings: Mapping[str, Any]) -> Inventory:
    """The groups, and the addresses of the hosts in those that haproxy_listeners name."""
    groups, hosts = cluster.request.groups, cluster.request.hosts
    named = {
        str(listener.get("group"))
        for listener in settings.get("haproxy_listeners") or ()
        if isinstance(listener, Mapping)
    }
    return Inventory(
        dict(groups),
        {
            name: address_of(hosts[name])
            for group in named
            for name in groups.get(group, ())
            if name in hosts
        },
    )


def _server(lb: HostView, mycat: HostView) -> dict[str, Any]:
    """A MyCat as a server; its ports are those that its own variables say."""
    own, asked = mycat.settings["mycat_status"], lb.settings["haproxy"]
    address = address_of(mycat)
    _refuse_own_address(lb, mycat, canonical(address))
    return {
        "name": mycat.name,
        "address": address,
        "port": _agreed_port(
            asked.get("haproxy_mycat_port"),
            "haproxy_mycat_port",
            own["mycat_status_sql_port"],
            "mycat_status_sql_port",
            mycat,
        ),
        "check_port": _agreed_port(
            asked.get("haproxy_check_port"),
            "haproxy_check_port",
            own["mycat_status_port"],
            "mycat_status_port",
            mycat,
        ),
    }


def _refuse_own_address(lb: HostView, mycat: HostView, address: str) -> None:
    """Refuse an address by which the load balancer would reach itself, not the MyCat."""
    elsewhere = is_address(address) and not is_reachable(address) and mycat.name != lb.name
    if address in all_virtual_addresses(lb) or elsewhere:
        why = "which leads to a load balancer itself" if elsewhere else "a VIP of its cluster"
        raise SettingError(
            "mycat_ha_address",
            f"{address} is to be the address of {mycat.name}, {why}; write the MyCat's own",
        )


def _agreed_port(asked: int | None, asking: str, own: int, owning: str, mycat: HostView) -> int:
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
