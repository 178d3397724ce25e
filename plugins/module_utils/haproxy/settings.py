# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The settings of the haproxy role, judged and completed before a host is touched.

`resolve` takes the role's variables as an inventory gives them and returns listeners that a
template prints as they are. Every refusal names the variable, says what it is and
what to write.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from ..network.addresses import canonical, is_address
from ..readers import SettingError, collected
from . import values
from .client_limit import OPTION, limited
from .listeners import (
    BALANCE,
    CHECK_TIMES,
    MOST_CONNECTIONS,
    Inventory,
    read_listener,
    server,
    unique,
)
from .versions import knows_keepalive_times

# Connections kept for the health answer, the stats page and the admin socket, so that a full
# listener does not make HAProxy look dead.
RESERVE = 256
MANAGER_MAXCONN = 64

_WILD = ("", "*", "0.0.0.0", "::", "[::]")  # noqa: S104 - what an operator may have written
_MYSQL_CHECK = re.compile(r"^\s*option\s+mysql-check\b")
_PROXY = re.compile(r"^(?=[ \t]*(?:listen|backend)\s)", re.MULTILINE)
_SERVER = re.compile(r"^\s*server\s+\S+\s+(\S+):(\d+)(?!\S)", re.MULTILINE)

NO_MYSQL_CHECK = (
    "`option mysql-check` does not tell whether a MyCat works: it needs a MySQL user without a "
    "password, and says nothing of a MyCat that is offline or waits for its databases. Take the "
    "line out; mycat_status on port 48700 is asked instead"
)


def _default_server(listener: Mapping[str, Any]) -> str:
    """The words of ``default-server``. `check` itself stands on each server's line."""
    words = [listener["server_options"].strip()]
    for key in ("port", *CHECK_TIMES, "fall", "rise"):
        if key in listener["check"] and listener["check"]["type"] != "none":
            words.append(f"{key} {listener['check'][key]}")
    return " ".join(filter(None, words))


def _found_at_start(server: Mapping[str, Any]) -> dict[str, Any]:
    """The server; one with a name instead of an address keeps no HAProxy from starting."""
    options = str(server.get("options", ""))
    if not is_address(server["address"]) and "init-addr" not in options.split():
        options = f"init-addr libc,none {options}".strip()
    return {**server, "options": options}


def _quoted(text: str) -> str:
    """Quoted as one word of haproxy.cfg; in single quotes only the quote itself is special."""
    return "'" + text.replace("'", "'\\''") + "'" if text else ""


def _mycat(settings: Mapping[str, Any], mycats: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    check: dict[str, Any] = {"type": "http", "method": "GET", "uri": "/", "disable_on_404": True}
    check_ports = {mycat["check_port"] for mycat in mycats}
    if len(check_ports) == 1:
        check["port"] = values.port("haproxy_check_port", *check_ports)
    for key in CHECK_TIMES:
        check[key] = values.time(f"haproxy_check_{key}", settings[f"haproxy_check_{key}"])
    for key in ("fall", "rise"):
        variable = f"haproxy_check_{key}"
        check[key] = values.number(variable, settings[variable], 1, 1000)
    return {
        "name": "mycat",
        "bind": values.bind("haproxy_mycat_bind", settings["haproxy_mycat_bind"]),
        "mode": "tcp",
        "balance": values.choice(
            "haproxy_mycat_balance", settings["haproxy_mycat_balance"], BALANCE
        ),
        "check": check,
        "timeouts": {},
        "maxconn": int(settings["haproxy_maxconn"]),
        # A dead MyCat's sessions end at once instead of hanging. Three connections in a row
        # that fail bring the checks forward. They alone decide: with `sudden-death` HAProxy 3.0
        # left a client without an answer, in two kills of two.
        "server_options": "on-marked-down shutdown-sessions observe layer4 error-limit 3 "
        "on-error fastinter "
        + values.raw("haproxy_mycat_server_options", settings["haproxy_mycat_server_options"]),
        "extra": _mycat_lines(settings),
        "servers": [_mycat_server(mycat, check) for mycat in mycats],
    }


def _mycat_lines(settings: Mapping[str, Any]) -> list[str]:
    lines, served = settings["haproxy_mycat_extra"], int(settings["haproxy_maxconn"])
    most = values.number(OPTION, settings[OPTION], 0, served)
    return limited(values.lines("haproxy_mycat_extra", lines), most, served)


def _mycat_server(mycat: Mapping[str, Any], check: Mapping[str, Any]) -> dict[str, Any]:
    """A MyCat as a server; it names its check's port where that is not the same for all."""
    port = values.port("haproxy_mycat_port", mycat["port"])
    made = server(mycat["name"], mycat["address"], port)
    if "port" not in check:
        made["options"] = f"port {values.port('haproxy_check_port', mycat['check_port'])}"
    return made


def default_bind(vips: Iterable[str], port: int = 8066) -> str:
    """Where clients connect unless haproxy_mycat_bind says so: every address of the host."""
    return f":::{port}" if any(":" in vip for vip in vips) else f"*:{port}"


def _host(bind: str) -> str:
    """The address of ADDRESS:PORT, in its one spelling."""
    return canonical(bind.rpartition(":")[0].strip("[]"))


def _vips(settings: Mapping[str, Any]) -> list[str]:
    """The virtual IPs without their prefix lengths."""
    return [str(vip).partition("/")[0] for vip in settings["vips"]]


def _manager_bind(settings: Mapping[str, Any]) -> list[str]:
    bind = values.bind("haproxy_manager_bind", settings["haproxy_manager_bind"])
    for address in bind:
        exposed = _host(address) in (*_WILD, *_vips(settings))
        if exposed and not settings["haproxy_manager_exposed"]:
            raise values.refuse(
                "haproxy_manager_bind",
                address,
                "reached by the clients of the virtual IP, and every MyCat user may switch MyCat "
                "off on its manager port. Write 127.0.0.1:9066 or an address of an "
                "administrators' network, or set haproxy_manager_exposed",
            )
    values.port("haproxy_manager_port", settings["haproxy_manager_port"])
    return bind


def _manager(settings: Mapping[str, Any], mycat: Mapping[str, Any]) -> dict[str, Any]:
    port = values.port("haproxy_manager_port", settings["haproxy_manager_port"])
    return {
        **mycat,
        "name": "mycat_manager",
        "bind": _manager_bind(settings),
        "maxconn": MANAGER_MAXCONN,
        "check": {"type": "none"},
        "server_options": "on-marked-down shutdown-sessions",
        # One check serves both ports (`track`). A tracking server drains with the tracked one
        # only if it has these lines, too.
        "extra": ["option httpchk", "http-check disable-on-404"],
        "servers": [
            {**server, "port": port, "options": f"track mycat/{server['name']}"}
            for server in mycat["servers"]
        ],
    }


def _stats(settings: Mapping[str, Any]) -> dict[str, Any]:
    bind = values.bind("haproxy_stats_bind", settings["haproxy_stats_bind"])
    password, user = settings["haproxy_stats_password"], settings["haproxy_stats_user"]
    if not password and not all(map(values.is_local, bind)):
        raise SettingError(
            "haproxy_stats_password",
            f"is missing, and {', '.join(bind)} is reached from other "
            "hosts. Set a password, or leave haproxy_stats_bind on 127.0.0.1",
        )
    if password:
        values.name("haproxy_stats_user", user)
        if len(password) < 8 or password == user:
            raise SettingError(
                "haproxy_stats_password",
                "is easily guessed; write 8 characters at least, and not the user's name",
            )
        if not re.fullmatch(r"[ -~]+", password):
            raise SettingError(
                "haproxy_stats_password",
                "has characters that HAProxy cannot carry; write printable ASCII",
            )
    stats: dict[str, Any] = {
        "bind": bind,
        "uri": values.word("haproxy_stats_uri", settings["haproxy_stats_uri"]),
        "user": user,
        # This result is shown at -v, so the template takes the password from its variable.
        "password": bool(password),
    }
    stats["extra"] = values.lines("haproxy_stats_extra", settings["haproxy_stats_extra"])
    if settings["haproxy_stats_certificate"]:
        stats["certificate"] = values.word(
            "haproxy_stats_certificate", settings["haproxy_stats_certificate"]
        )
    return stats


def _ports_apart(binds: Iterable[tuple[str, str]], occupied: Iterable[tuple[str, str]]) -> None:
    """Refuse (variable, ADDRESS:PORT) that another has already, or another program of the host."""
    seen = [(who, _host(bind), bind.rpartition(":")[2]) for who, bind in occupied]
    for where, bind in binds:
        address, port = _host(bind), bind.rpartition(":")[2]
        for other, other_address, other_port in seen:
            same = address == other_address or address in _WILD or other_address in _WILD
            if port == other_port and same:
                free = f"{bind.rpartition(':')[0]}:{int(port) + 1}"
                raise values.refuse(
                    where, bind, f"taken by {other}; give each its own port, such as {free}"
                )
        seen.append((where, address, port))


def _no_mysql_check(where: str, lines: list[str]) -> None:
    for index, line in enumerate(lines):
        if _MYSQL_CHECK.match(line):
            raise SettingError(f"{where}[{index}]", NO_MYSQL_CHECK)


def _alive(value: object) -> list[str]:
    bind = values.bind("haproxy_alive_bind", value)
    for address in bind:
        if not values.is_local(address):
            raise values.refuse(
                "haproxy_alive_bind",
                address,
                "reached from other hosts, and its answers are for this one. Write 127.0.0.1:48801 "
                "or another loopback address; others may ask haproxy_stats_bind",
            )
    return bind


def _sections(text: object, mycats: set[tuple[str, int]]) -> None:
    """Judge raw sections; a MyCat must not be asked by mysql-check there, either."""
    if not isinstance(text, str):
        raise SettingError("haproxy_extra", "is no text; write sections as HAProxy reads them")
    for section in _PROXY.split(text):
        servers = _SERVER.findall(section)
        of_mycat = any((host.strip("[]"), int(port)) in mycats for host, port in servers)
        for line in section.splitlines():
            if of_mycat and _MYSQL_CHECK.match(line):
                raise SettingError("haproxy_extra", NO_MYSQL_CHECK)
            if values.HTTP_IN_HTTPCHK.match(line):
                raise SettingError("haproxy_extra", values.NO_HTTP_IN_HTTPCHK)


def _judge_times(settings: Mapping[str, Any]) -> None:
    collected(
        *(
            partial(values.time, f"haproxy_timeout_{name}", settings[f"haproxy_timeout_{name}"])
            for name in ("connect", "client", "server", "check", "queue")
        )
    )


def _raw_lines(settings: Mapping[str, Any]) -> dict[str, list[str]]:
    """The lines of the sections ``global`` and ``defaults``, and the targets of ``log``."""
    named = {"global": "haproxy_global_extra", "defaults": "haproxy_defaults_extra"}
    named["log"] = "haproxy_log"
    found = collected(*(partial(values.lines, name, settings[name]) for name in named.values()))
    lines = dict(zip(named, found))
    _no_mysql_check("haproxy_defaults_extra", lines["defaults"])
    return lines


def _listeners(settings: Mapping[str, Any], inventory: Inventory) -> list[dict[str, Any]]:
    """What haproxy_listeners says."""
    given = settings["haproxy_listeners"]
    if not isinstance(given, list):
        raise values.refuse("haproxy_listeners", given, "no list of listeners")
    listeners = collected(
        *(
            partial(read_listener, f"haproxy_listeners[{index}]", listener, inventory)
            for index, listener in enumerate(given)
        )
    )
    unique("haproxy_listeners[{}].name", [listener["name"] for listener in listeners])
    return listeners


def _judge_raw_checks(
    settings: Mapping[str, Any], mycat: Mapping[str, Any], others: Sequence[Mapping[str, Any]]
) -> None:
    """Refuse raw lines by which a MyCat would be asked with mysql-check."""
    balanced = {
        (server[known], server["port"])
        for server in mycat["servers"]
        for known in ("address", "name")
    }
    _no_mysql_check("haproxy_mycat_extra", mycat["extra"])
    _sections(settings["haproxy_extra"], balanced)
    for index, listener in enumerate(others):
        if any((server["address"], server["port"]) in balanced for server in listener["servers"]):
            _no_mysql_check(f"haproxy_listeners[{index}].extra", listener["extra"])


def resolve(
    settings: Mapping[str, Any],
    mycats: Sequence[Mapping[str, Any]],
    inventory: Inventory,
    version: str = "",
    occupied: Iterable[tuple[str, str]] = (),
) -> dict[str, Any]:
    """Judge the role's variables; return what the template prints.

    ``settings``: {variable: value}, all of the role's, and under "vips" the virtual IPs;
    ``mycats``: {"name", "address", "port", "check_port"} of each; ``inventory`` knows the groups
    that haproxy_listeners name; ``version``: the host's HAProxy, such as 2.6.12; ``occupied``:
    (who, ADDRESS:PORT) of other programs on the host. Raises SettingError, or RefusalError for
    several.
    """
    manager_asked = bool(settings["haproxy_manager_bind"])
    _times, maxconn, alive, mycat, stats, _manager_judged, lines, log_format, others = collected(
        lambda: _judge_times(settings),
        lambda: values.number("haproxy_maxconn", settings["haproxy_maxconn"], 1, MOST_CONNECTIONS),
        lambda: _alive(settings["haproxy_alive_bind"]),
        lambda: _mycat(settings, mycats),
        lambda: _stats(settings) if settings["haproxy_stats_bind"] else None,
        lambda: _manager_bind(settings) if manager_asked else None,
        lambda: _raw_lines(settings),
        lambda: values.raw("haproxy_log_format", settings["haproxy_log_format"]),
        lambda: _listeners(settings, inventory),
    )
    manager = [_manager(settings, mycat)] if manager_asked else []
    binds = [
        *(("haproxy_alive_bind", bind) for bind in alive),
        *(("haproxy_mycat_bind", bind) for bind in mycat["bind"]),
        *(("haproxy_stats_bind", bind) for bind in (stats or {"bind": ()})["bind"]),
        *(("haproxy_manager_bind", bind) for one in manager for bind in one["bind"]),
        *(
            (f"haproxy_listeners[{index}].bind", bind)
            for index, listener in enumerate(others)
            for bind in listener["bind"]
        ),
    ]
    collected(
        lambda: _judge_raw_checks(settings, mycat, others),
        lambda: _ports_apart(binds, occupied),
    )
    listeners = [
        {
            "maxconn": maxconn,
            **listener,
            "default_server": _default_server(listener),
            "servers": list(map(_found_at_start, listener["servers"])),
        }
        for listener in (mycat, *manager, *others)
    ]
    connections = sum(listener["maxconn"] for listener in listeners) + RESERVE
    return {
        "listeners": listeners,
        "keepalive_times": knows_keepalive_times(version),
        "stats": stats,
        "alive": alive,
        "lines": lines,
        "log_format": _quoted(log_format),
        "maxconn": connections,
        # Two descriptors a connection; the rest is listeners, checks and logs.
        "nofile": 2 * connections + 1024,
        # So that clients hear of the end of a session at a virtual IP that has left the host.
        "transparent": bool(_vips(settings)),
        # A virtual IP is on another host most of the time.
        "nonlocal_bind": bool(settings["haproxy_nonlocal_bind"])
        or any(_host(bind) in _vips(settings) for _where, bind in binds),
    }
