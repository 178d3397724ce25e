# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""HAProxy of one cluster: what the role haproxy needs on each load balancer. Pure."""

from __future__ import annotations

from typing import Any, Iterator, Mapping

from ..haproxy import settings as haproxy
from ..readers import SettingError
from . import changes
from .hosts import HostView, address_of, vips_of
from .managed import HAPROXY_CFG
from .request import Cluster


def needs(cluster: Cluster) -> Iterator[dict[str, Any]]:
    """What the role needs of each load balancer."""
    for host in cluster.load_balancers:
        try:
            model = _model(cluster, host)
        except SettingError as error:
            cluster.refused.add(host.name, error)
            continue
        context = {"haproxy": model, "settings": host.settings["haproxy"]}
        text = cluster.request.roles["haproxy"].render(
            "haproxy.cfg.j2", {"ansible_managed": cluster.request.managed, **context}
        )
        yield cluster.request.needs(
            "haproxy",
            host,
            context,
            text=text,
            nofile=model["nofile"],
            nonlocal_bind=model["nonlocal_bind"],
            units=["haproxy.service"],
            further=list(_changes(host, text)),
        )


def _changes(host: HostView, text: str) -> Iterator[str]:
    installed = text.replace("@digest@", changes.digest(text)[:16])
    file = (host.state.get("files") or {}).get(HAPROXY_CFG) or {}
    running = host.state.get("haproxy") or {}
    if file.get("sha256") != changes.digest(installed):
        yield HAPROXY_CFG
    elif not (running.get("alive") and running.get("loaded_is_file") is not False):
        yield "HAProxy does not serve with its file"


def _model(cluster: Cluster, host: HostView) -> dict[str, Any]:
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
    settings = dict(host.settings["haproxy"])
    settings["vips"] = vips_of(host)
    settings.setdefault("haproxy_mycat_bind", haproxy.default_bind(settings["vips"]))
    return haproxy.resolve(
        settings,
        [_server(host, mycat) for mycat in cluster.mycats],
        _inventory(cluster, settings),
        host.version("haproxy") or haproxy.distributed_version(host.facts),
    )


def _inventory(cluster: Cluster, settings: Mapping[str, Any]) -> haproxy.Inventory:
    """The groups, and the addresses of the hosts in those that haproxy_listeners name."""
    groups, hosts = cluster.request.groups, cluster.request.hosts
    named = {
        str(listener.get("group"))
        for listener in settings.get("haproxy_listeners") or ()
        if isinstance(listener, Mapping)
    }
    return haproxy.Inventory(
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
    return {
        "name": mycat.name,
        "address": address_of(mycat),
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
