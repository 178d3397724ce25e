# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A keepalived.conf from the role's template, which is the one place that writes it.

For the controller only: it needs jinja2. The template is plain jinja2; ``context`` says what it
may print.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, field, replace
from typing import Any, Callable, Mapping

from ..host.maintenance import moving_file
from ..vrrp import versions
from ..vrrp.model import Authentication, Check, CheckKind, Instance, Node
from ..vrrp.plan import Plan
from ..vrrp.request import Request, move_file
from ..vrrp.structured import instance_data, node_data
from .peers import peer_line
from .settings import HostRequest

# What the template prints beside the model, as it is where nothing is set.
_NODE: Mapping[str, object] = {
    "managed": "",
    "vrrp_version": 3,
    "startup_delay": 0,
    "garp": (),
    "notify_fifo": "",
    "notify_fifo_script": "",
    "notify_user": "",
    "mail": None,
    "global_extra": (),
    "extra": (),
}
_INSTANCE: Mapping[str, object] = {
    "use_vmac": False,
    "vmac_interface": "",
    "vmac_xmit_base": False,
    "mcast_src_ip": "",
    "auth_hmac": None,
    "virtual_routes": (),
    "virtual_rules": (),
    # Further interfaces to track, each as a line of track_interface.
    "interfaces": (),
    "notify": "",
    "notify_master": "",
    "notify_backup": "",
    "notify_fault": "",
    "notify_stop": "",
    "extra": (),
}


def render(template: str, context: Mapping[str, object]) -> str:
    """The text that ``template`` makes of ``context``.

    Raises jinja2.UndefinedError for a name that the context does not have.
    """
    return str(_compiled(template).render(context))


@functools.lru_cache(maxsize=16)
def _compiled(template: str) -> Any:
    # Managed hosts have no jinja2, and ansible-test imports every file here as they would.
    import jinja2

    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701  it prints no HTML
    )
    return environment.from_string(template)


def context(
    node: Node, instances: Mapping[str, Mapping[str, object]] | None = None, **more: object
) -> dict[str, Any]:
    """What the template of keepalived.conf prints for a node.

    ``instances`` maps the name of an instance to what it has beside the model (the keys of
    ``_INSTANCE``), ``more`` is what the node has (the keys of ``_NODE``). Everything that is not
    given is not printed. Raises TypeError for a key that the template does not know.
    """
    _ask_for_known(more, _NODE)
    return {
        **_NODE,
        **node_data(node),
        "name": node.name,
        # keepalived before 2.1 knows it for all instances only.
        "check_unicast_src": all(instance.check_unicast_src for instance in node.instances),
        "instances": [
            _instance(instance, (instances or {}).get(instance.name, {}))
            for instance in node.instances
        ],
        **more,
    }


def _instance(instance: Instance, more: Mapping[str, object]) -> dict[str, object]:
    _ask_for_known(more, _INSTANCE)
    # A unicast_peer block without peers is not the same as none.
    peers = None if instance.unicast_peer is None else list(instance.unicast_peer)
    return {
        **_INSTANCE,
        **instance_data(instance),
        "unicast_peer": peers,
        "mcast_dst_ip": instance.multicast_group,
        "check_unicast_src": instance.check_unicast_src,
        "unicast_ttl": instance.unicast_ttl,
        **more,
    }


def _ask_for_known(given: Mapping[str, object], known: Mapping[str, object]) -> None:
    unknown = sorted(given.keys() - known.keys())
    if unknown:
        raise TypeError(f"the template of keepalived.conf prints no {', '.join(unknown)}")


# --- a host of a plan ---------------------------------------------------------------------------


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
            "maintenance": "/var/lib/mycat_ha/maintenance",
        }
    )


def host_text(
    node: Node,
    plan: Plan,
    request: Request,
    settings: Mapping[str, Any],
    wanted: HostRequest,
    *,
    template: str,
    installed: Installed,
    managed: str,
) -> str:
    """The keepalived.conf of a planned node; ``wanted`` is what its host asks for."""
    user = settings["keepalived_notify_user"] or installed.script_user
    lets_in = {
        vip.name: functools.partial(
            peer_line,
            networks=networks,
            hops=settings.get("keepalived_peer_hops"),
            version=versions.numbers(wanted.version),
        )
        for vip, networks in zip(request.vips, wanted.networks)
    }
    moved = {move_file(name): moving_file(name) for name in request.moved_by.values()}
    printed = {
        vip.name: {
            **own,
            "notify": " ".join(filter(None, (installed.record_state, own["notify"]))),
            "mcast_src_ip": link["address"] if request.multicast else "",
            "auth_hmac": _hmac(settings),
        }
        for vip, own, link in zip(request.vips, wanted.vips, wanted.links)
    }
    return render(
        template,
        context(
            _configured(node, plan, settings, installed, lets_in, moved),
            printed,
            managed=managed,
            vrrp_version=request.vrrp_version,
            startup_delay=settings["keepalived_startup_delay"],
            garp=wanted.garp,
            notify_fifo=settings["keepalived_notify_fifo"],
            notify_fifo_script=settings["keepalived_notify_fifo_script"],
            notify_user=user,
            mail=wanted.mail,
            global_extra=settings["keepalived_global_extra"],
            extra=settings["keepalived_extra"],
        ),
    )


def _configured(
    node: Node,
    plan: Plan,
    settings: Mapping[str, Any],
    installed: Installed,
    lets_in: Mapping[str, Callable[[str], str]],
    moved: Mapping[str, str],
) -> Node:
    """The planned node with the commands of its checks, its users, its password, and whose adverts
    it lets in: ``lets_in`` gives the line of a peer by the name of the instance. ``moved`` are the
    paths of the files by which addresses are moved, by the names of their checks."""
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
                command=_command(check, given, deadlines, installed, moved),
                user=given.get(check.name, {}).get("user") or "",
            )
            for check in node.checks
        ),
        instances=tuple(
            replace(
                instance,
                authentication=authentication,
                unicast_peer=instance.unicast_peer
                and tuple(map(lets_in[instance.name], instance.unicast_peer)),
                check_unicast_src=bool(instance.unicast_peer),
            )
            for instance in node.instances
        ),
        script_security=True,
        script_user=installed.script_user,
    )


def _command(
    check: Check,
    given: Mapping[str, Mapping[str, Any]],
    deadlines: Mapping[str, float],
    installed: Installed,
    moved: Mapping[str, str],
) -> str:
    if check.kind is CheckKind.FILE:
        return moved.get(check.name) or installed.files[check.name]
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
