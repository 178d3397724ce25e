# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The health endpoint of a MyCat host: its settings checked, and written as its program reads them.

The program checks its settings itself. It is loaded here from the role, so that wrong settings are
found before a host has them.
"""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any, Iterable, Iterator, Mapping, Sequence

from ..host import draining
from ..readers import RefusalError, SettingError
from . import changes, mycat_loss, ports
from .hosts import HostView, all_virtual_addresses, known_addresses, own_addresses
from .managed import CREDENTIALS, SOCKET_UNIT, XINETD_SERVICE
from .request import Refusals, Request

#: Of MyCat, where nothing says another.
MANAGER_PORT = 9066
LOCAL = ("127.0.0.1", "::1")
#: Options whose values the program takes as they are.
_SAME = (
    *("home", "long_name", "host", "sql_port", "marker", "use_status_command"),
    *("check_timeout", "client_timeout", "max_age", "drain"),
    *("require_pid", "ready_query", "recovery_time"),
)


def needs(request: Request, refused: Refusals) -> Iterator[dict[str, Any]]:
    """What the role mycat_status needs of each MyCat host, which may be of several clusters."""
    program = load_program(request.roles["mycat_status"].folder)
    names = dict.fromkeys(name for members in request.clusters for name in members.mycats)
    for host in map(request.hosts.__getitem__, names):
        settings, files = host.settings["mycat_status"], host.state.get("files") or {}
        try:
            allow = settings.get("mycat_status_allow")
            allow = _load_balancer_addresses(request, host, refused) if allow is None else allow
            budget = mycat_loss.budget_of(asking(request, host))
            former = _former_ports(request, host)
            context = template_context(host, allow, program, budget, former)
            reserved = _reserved(settings, context["ports"])
            reserve = ports.command(reserved, host.state)
        except (SettingError, RefusalError) as error:
            refused.add_each(host.name, error)
            continue
        xinetd = context["with_xinetd"]
        other = SOCKET_UNIT if xinetd else XINETD_SERVICE
        yield request.needs(
            "mycat_status",
            host,
            context,
            with_xinetd=xinetd,
            # The file of the other listener, if the host has it: that listener is to be stopped.
            leaves=[] if changes.gone([other], files) else [other],
            former_ports=former,
            reserve=reserve,
            listening=reserved,
            further=["ports for the endpoint and MyCat alone"] if reserve else [],
            ports=[*context["ports"], settings["mycat_status_sql_port"]],
            asking=[address for address in context["allow"] if address not in LOCAL],
            unit_known=xinetd or not changes.gone([SOCKET_UNIT], files),
            packages=["python3", *(["xinetd"] if xinetd else [])],
            units=["xinetd.service" if xinetd else "mycat_status.socket"],
        )


def asking(request: Request, mycat: HostView) -> list[HostView]:
    """The load balancers of all clusters that the MyCat serves."""
    return [
        request.hosts[name]
        for members in (*request.clusters, *request.others)
        if mycat.name in members.mycats
        for name in members.load_balancers
    ]


def _former_ports(request: Request, mycat: HostView) -> list[int]:
    """The ports other than its own at which the endpoint answers and is still asked.

    It answers at both until the load balancers have changed: at no moment is a MyCat unchecked.
    """
    own = mycat.settings["mycat_status"]["mycat_status_port"]
    return [
        port
        for port in mycat.state.get("endpoint_ports") or ()
        if port != own and any(_may_ask(lb, mycat.name, port) for lb in asking(request, mycat))
    ]


def _may_ask(lb: HostView, mycat: str, port: int) -> bool:
    """Whether a load balancer checks a MyCat at a port, as far as is known."""
    if not lb.reachable:
        return True
    asks = (lb.state.get("haproxy") or {"asks": {}}).get("asks")
    return asks is None or asks.get(mycat) == port


def _load_balancer_addresses(request: Request, mycat: HostView, refused: Refusals) -> list[str]:
    """The load balancers' own addresses and the virtual ones, of all clusters that the MyCat
    serves.

    The holder may ask from a VIP: Linux takes the first address of a subnet as the source in IPv4,
    which the VIP becomes when the host loses its own for a moment, and the newest in IPv6.
    """
    load_balancers = asking(request, mycat)
    if not load_balancers:
        raise SettingError(
            "mycat_status_allow",
            "nobody may ask this endpoint; put the load balancers into the group "
            f"{mycat.common.get('mycat_ha_lb_group')!r}, or list their addresses",
        )
    found: set[str] = set()
    for host in load_balancers:
        found.update(all_virtual_addresses(host))
        try:
            found.update(own_addresses(host, known_addresses(mycat)))
        except SettingError as error:
            refused.add(
                mycat.name,
                f"mycat_status_allow: the addresses of {host.name} are not known, so it could "
                f"not be let in; set mycat_ha_address for it ({error.problem})",
            )
    return sorted(found)


def load_program(role: Path) -> Any:
    """The module of the role's program that judges its settings."""
    path = role / "files/mycat_status/settings.py"
    spec = importlib.util.spec_from_file_location("mycat_status_program", path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is no module of Python")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def with_xinetd(settings: Mapping[str, Any], facts: Mapping[str, Any]) -> bool:
    """Tell whether xinetd is to listen rather than systemd."""
    listener = settings["mycat_status_listener"]
    return bool(
        listener == "xinetd"
        or (listener == "auto" and facts.get("os_family", "Debian") == "Debian")
    )


def template_context(
    host: HostView,
    allow: Sequence[str],
    program: Any,
    budget: float,
    former_ports: Sequence[int] = (),
) -> dict[str, Any]:
    """What the role's templates get. Raises RefusalError; ``allow`` are the addresses that may
    ask, ``budget`` is the time, in seconds, in which a MyCat that hangs is to be out,
    ``former_ports`` are those at which it answers besides its own."""
    settings = mycat_loss.endpoint_settings(host.settings["mycat_status"], budget)
    asked = _program_settings(settings, allow)
    errors = [*_problems(host), *_refused_by(program, asked)]
    if errors:
        raise RefusalError({error.option: error for error in reversed(errors)}.values())
    answering = [settings["mycat_status_port"], *former_ports]
    return {
        "with_xinetd": with_xinetd(settings, host.facts),
        "xinetd_wait": settings["mycat_status_xinetd_wait"],
        "init_script": host.facts.get("os_family", "Debian") == "Debian",
        "ports": answering,
        "reserve": ports.of_unit(ports.reservation(_reserved(settings, answering))),
        "listens": ports.of_unit(_until_it_listens(answering)),
        "allow": asked["allow"],
        "program_settings": asked,
        "credentials_file": settings.get("mycat_status_credentials_file") or "",
        "credentials": {
            "user": settings["mycat_status_user"],
            "password": settings["mycat_status_password"],
        },
    }


def _reserved(settings: Mapping[str, Any], answering: Iterable[int]) -> list[int]:
    """The ports of the endpoint and of its MyCat."""
    return [*answering, settings["mycat_status_sql_port"], manager_port(settings)]


def manager_port(settings: Mapping[str, Any]) -> int:
    """The manager port of the MyCat of a host, by the settings of its endpoint."""
    return int(settings.get("mycat_status_manager_port") or MANAGER_PORT)


def _until_it_listens(answering: Iterable[int]) -> str:
    """What a shell runs to have xinetd try its ports again until it listens at all of them, as
    long as it is to."""
    every = " && ".join(f'grep -q ":{port:04X} 0*:0000 0A" /proc/net/tcp*' for port in answering)
    return (
        f"listens() {{ ! test -e {XINETD_SERVICE} || {{ {every}; }}; }}; "
        "until listens; do sleep 1; listens || kill -HUP $MAINPID; done"
    )


def _refused_by(program: Any, asked: Mapping[str, Any]) -> Iterator[SettingError]:
    """The values that the program does not take; what does not go together, `_problems` says."""
    for name, value in asked.items():
        _default, usable = program.SETTINGS[name]
        try:
            usable(value)
        except ValueError as problem:
            yield SettingError(program.PREFIX + name, f"{problem} (is {json.dumps(value)})")


def _problems(host: HostView) -> Iterator[SettingError]:
    settings = host.settings["mycat_status"]
    user, password = settings["mycat_status_user"], settings["mycat_status_password"]
    elsewhere = settings.get("mycat_status_credentials_file")
    manager = settings.get("mycat_status_manager_port")
    if settings.get("mycat_status_allow") == []:
        yield SettingError(
            "mycat_status_allow",
            "nobody may ask this endpoint; list the load balancers' addresses, or leave it out",
        )
    for network in settings.get("mycat_status_allow") or ():
        if str(network).endswith("/0"):
            yield SettingError(
                "mycat_status_allow",
                f"{network} lets every host ask; write the load balancers' addresses or networks, "
                "or leave it out",
            )
    if elsewhere and (user or password):
        yield SettingError(
            "mycat_status_credentials_file",
            "mycat_status_user or mycat_status_password is set, too; give one or the other",
        )
    if not elsewhere and not (user and password) and (_level(settings) == "query" or manager):
        yield SettingError(
            "mycat_status_user and mycat_status_password",
            "both must be set where mycat_status_level is query or mycat_status_manager_port is "
            "set; name a MyCat user (or a mycat_status_credentials_file), or leave the level at "
            "greeting",
        )
    if settings["mycat_status_require_backends"] and not manager:
        yield SettingError(
            "mycat_status_manager_port",
            "mycat_status_require_backends needs it; set it to MyCat's manager port (9066), or "
            "leave mycat_status_require_backends at false",
        )
    if elsewhere and host.reachable:
        yield from _about_credentials_file(elsewhere, host)
    yield from _about_port(settings["mycat_status_port"], host)


def _about_credentials_file(path: str, host: HostView) -> Iterator[SettingError]:
    found = host.state["files"].get(path) or {"kind": "absent"}
    if found["kind"] != "file":
        yield SettingError("mycat_status_credentials_file", f"{path} is not a file on {host.name}")
    elif found["mode"][-1] != "0":
        yield SettingError(
            "mycat_status_credentials_file",
            f"{path} can be read by others; change its password, then its mode to 0640",
        )


def _about_port(port: int, host: HostView) -> Iterator[SettingError]:
    if not 0 < port < 65536:
        yield SettingError("mycat_status_port", f"{port} is not a port; write 1 to 65535")
        return
    listeners = host.state.get("listeners") or {}
    files = host.state.get("files") or {}
    # In a container the kernel may not tell even root which process has a socket.
    ours = {"mycat_status", "unknown"}
    for process, path in (("xinetd", XINETD_SERVICE), ("systemd", SOCKET_UNIT)):
        if (files.get(path) or {}).get("kind") == "file":
            ours.add(process)
    others = sorted(set(listeners.get(str(port)) or listeners.get(port) or ()) - ours)
    if others:
        yield SettingError(
            "mycat_status_port",
            f"{port} is in use on {host.name} by {', '.join(others)}; stop that program, or choose "
            "another port",
        )


def _level(settings: Mapping[str, Any]) -> str:
    """The level of the checks: as deep as the credentials allow, unless set."""
    logs_in = settings["mycat_status_user"] or settings.get("mycat_status_credentials_file")
    return str(settings.get("mycat_status_level") or ("query" if logs_in else "greeting"))


def _program_settings(settings: Mapping[str, Any], allow: Sequence[str]) -> dict[str, Any]:
    asked = {name: settings[f"mycat_status_{name}"] for name in _SAME}
    home = settings["mycat_status_home"]
    asked["pid_file"] = settings.get("mycat_status_pid_file") or f"{home}/logs/mycat.pid"
    asked["allow"] = [*LOCAL, *allow]
    asked["drain_file"] = draining.FILE
    asked["level"] = _level(settings)
    asked["require_backends"] = settings["mycat_status_require_backends"]
    elsewhere = settings.get("mycat_status_credentials_file")
    if elsewhere or settings["mycat_status_user"]:
        asked["credentials_file"] = elsewhere or CREDENTIALS
    for name in ("manager_port", "wrapper"):
        if settings.get(f"mycat_status_{name}"):
            asked[name] = settings[f"mycat_status_{name}"]
    return asked
