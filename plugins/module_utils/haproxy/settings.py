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
from ..readers import CONTROL, SettingError, collected
from .check_times import seconds
from .client_limit import OPTION, limited
from .versions import knows_keepalive_times

BALANCE = ("leastconn", "roundrobin", "static-rr", "first", "source", "random", "uri", "hdr")
CHECKS = ("tcp", "http", "none")
CHECK_TIMES = ("inter", "fastinter", "downinter")
LISTENER_KEYS = (
    *("name", "bind", "mode", "balance", "servers", "group", "port", "check", "tls"),
    *("maxconn", "timeouts", "server_options", "extra"),
)
SERVER_KEYS = ("name", "address", "port", "weight", "backup", "options")
CHECK_KEYS = (
    *("type", "port", "method", "uri", "host", "status", *CHECK_TIMES),
    *("fall", "rise", "disable_on_404"),
)
TLS_KEYS = ("certificate", "options")

# HAProxy's own names. MASTER and GLOBAL are proxies that HAProxy makes itself.
RESERVED = ("alive", "mycat", "mycat_manager", "stats", "MASTER", "GLOBAL")

# Connections kept for the health answer, the stats page and the admin socket, so that a full
# listener does not make HAProxy look dead.
RESERVE = 256
MOST_CONNECTIONS = 10_000_000
MANAGER_MAXCONN = 64

_NAME = re.compile(r"[A-Za-z0-9_.:-]+")
_ADDRESS = re.compile(r"[A-Za-z0-9_.:*\[\]-]*:[0-9]+")
_HOST = re.compile(r"[A-Za-z0-9_.:-]+")
_WILD = ("", "*", "0.0.0.0", "::", "[::]")  # noqa: S104 - what an operator may have written
_LOCAL = re.compile(r"127\.\d+\.\d+\.\d+|::1|\[::1\]|localhost")
_MYSQL_CHECK = re.compile(r"^\s*option\s+mysql-check\b")
_HTTP_IN_HTTPCHK = re.compile(r"^\s*option\s+httpchk\b.*\\[rn]", re.IGNORECASE)
_PROXY = re.compile(r"^(?=[ \t]*(?:listen|backend)\s)", re.MULTILINE)
_SERVER = re.compile(r"^\s*server\s+\S+\s+(\S+):(\d+)(?!\S)", re.MULTILINE)

NO_MYSQL_CHECK = (
    "`option mysql-check` does not tell whether a MyCat works: it needs a MySQL user without a "
    "password, and says nothing of a MyCat that is offline or waits for its databases. Take the "
    "line out; mycat_status on port 48700 is asked instead"
)
NO_HTTP_IN_HTTPCHK = (
    "headers behind `option httpchk` are a form that HAProxy 2.8 and later refuse. Write "
    "`option httpchk` and, on the next line, such as `http-check send meth GET uri / ver HTTP/1.1 "
    "hdr Host www`"
)


def _refuse(where: str, value: object, wanted: str) -> SettingError:
    shown = _shown(value) if isinstance(value, str) else repr(value)
    return SettingError(where, f"{shown} is {wanted}")


def _name(where: str, value: object) -> str:
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise _refuse(where, value, "no name for HAProxy; write letters, digits and _ . : -")
    return value


def _time(where: str, value: object) -> str:
    text = value if isinstance(value, str) else ""
    try:
        seconds(text)
    except ValueError:
        wanted = "not a time; write a number and a unit (us, ms, s, m, h, d), such as 500ms or 35m"
        raise _refuse(where, value, wanted) from None
    return text


def _number(where: str, value: object, least: int, most: int) -> int:
    try:
        number = int(str(value)) if not isinstance(value, bool) else least - 1
    except ValueError:
        number = least - 1
    if not least <= number <= most:
        raise _refuse(where, value, f"out of range; write {least} to {most}")
    return number


def _port(where: str, value: object) -> int:
    return _number(where, value, 1, 65535)


def _choice(where: str, value: object, choices: tuple[str, ...]) -> str:
    if value not in choices:
        raise _refuse(where, value, f"unknown; write one of {', '.join(choices)}")
    return str(value)


def _word(where: str, value: object) -> str:
    """A single word that the file can carry as it is."""
    if not isinstance(value, str) or not re.fullmatch(r"[!-~]+", value):
        raise _refuse(where, value, "no single word; write printable characters without spaces")
    if set(value) & set("\"'\\#$"):
        raise _refuse(where, value, "more than a word to HAProxy; leave out \" ' \\ # and $")
    return value


def _lines(where: str, value: object) -> list[str]:
    """Raw lines, one list entry each; a text of several lines is split."""
    given = value.splitlines() if isinstance(value, str) else value
    if not isinstance(given, list) or not all(isinstance(line, str) for line in given):
        raise SettingError(where, "is no list of lines")
    for index, line in enumerate(given):
        if CONTROL.search(line):
            raise SettingError(f"{where}[{index}]", "has several lines; write one in each entry")
        if _HTTP_IN_HTTPCHK.match(line):
            raise SettingError(f"{where}[{index}]", NO_HTTP_IN_HTTPCHK)
    return [line.strip() for line in given if line.strip()]


def _raw(where: str, value: object) -> str:
    """Raw words at the end of a line."""
    if not isinstance(value, str) or CONTROL.search(value):
        raise _refuse(where, value, "not the rest of a line; write words without a newline")
    return value.strip()


def _bind(where: str, value: object) -> list[str]:
    """One or several addresses, each with its port."""
    given = value.split(",") if isinstance(value, str) else value
    if not isinstance(given, list) or not given:
        raise _refuse(where, value, "no address and port; write ADDRESS:PORT, such as *:8066")
    for address in given:
        if not isinstance(address, str) or not _ADDRESS.fullmatch(address):
            raise _refuse(where, address, "no address and port; write ADDRESS:PORT, such as *:8066")
        _port(where, address.rpartition(":")[2])
    return list(given)


def _options(where: str, value: object, keys: Iterable[str]) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise _refuse(where, value, f"no mapping; write any of {', '.join(keys)}")
    # Ansible gives an option that was left out as None.
    given = {str(key): value[key] for key in value if value[key] is not None}
    for key in given:
        if key not in keys:
            raise SettingError(f"{where}.{key}", f"is no option; write one of {', '.join(keys)}")
    return given


def is_local(bind: str) -> bool:
    """Tell whether nobody but the host itself reaches this ADDRESS:PORT."""
    return bool(_LOCAL.fullmatch(bind.rpartition(":")[0]))


def _check(where: str, value: object) -> dict[str, Any]:
    given = _options(where, value, CHECK_KEYS)
    check: dict[str, Any] = {"type": _choice(f"{where}.type", given.get("type", "tcp"), CHECKS)}
    for key in CHECK_TIMES:
        if key in given:
            check[key] = _time(f"{where}.{key}", given[key])
    for key in ("fall", "rise"):
        if key in given:
            check[key] = _number(f"{where}.{key}", given[key], 1, 1000)
    if "port" in given:
        check["port"] = _port(f"{where}.port", given["port"])
    if check["type"] == "http":
        check["method"] = _word(f"{where}.method", given.get("method", "GET"))
        check["uri"] = _word(f"{where}.uri", given.get("uri", "/"))
        if "host" in given:
            check["host"] = _word(f"{where}.host", given["host"])
        if "status" in given:
            check["status"] = _word(f"{where}.status", str(given["status"]))
        check["disable_on_404"] = bool(given.get("disable_on_404", False))
    return check


def _server(where: str, value: object) -> dict[str, Any]:
    given = _options(where, value, SERVER_KEYS)
    for key in ("name", "address", "port"):
        if key not in given:
            raise SettingError(
                f"{where}.{key}", "is missing; every server has a name, address, port"
            )
    address = given["address"]
    if not isinstance(address, str) or not _HOST.fullmatch(address):
        raise _refuse(f"{where}.address", address, "no address; write an IP address or a name")
    server = {
        "name": _name(f"{where}.name", given["name"]),
        "address": address,
        "port": _port(f"{where}.port", given["port"]),
        "backup": bool(given.get("backup", False)),
        "options": _raw(f"{where}.options", given.get("options", "")),
    }
    if "weight" in given:
        server["weight"] = _number(f"{where}.weight", given["weight"], 0, 256)
    return server


def _unique(where: str, values: list[str]) -> None:
    for index, value in enumerate(values):
        if value in values[:index]:
            first = values.index(value)
            raise _refuse(
                where.format(index), value, f"taken by {where.format(first)}; give each its own"
            )


def _servers(where: str, given: object) -> list[dict[str, Any]]:
    if not isinstance(given, list) or not given:
        raise SettingError(where, "is empty; list the servers to balance")
    servers = [_server(f"{where}[{index}]", server) for index, server in enumerate(given)]
    _unique(where + "[{}].name", [server["name"] for server in servers])
    return servers


class Inventory:
    """The groups of an inventory, and the addresses of its hosts.

    ``groups``: {group: [host]}; ``addresses``: {host: address} as far as they are known.
    """

    def __init__(self, groups: Mapping[str, Any], addresses: Mapping[str, str]) -> None:
        self.groups, self.addresses = groups, addresses

    def servers(self, where: str, group: object, port: int) -> list[dict[str, Any]]:
        hosts = list(self.groups.get(str(group), []))
        if not hosts:
            shown = '"' + str(group) + '"'
            raise SettingError(
                where,
                f"the inventory has no host in the group {shown}. Put the hosts into it, "
                "or name the group they are in",
            )
        return [server(host, self.addresses.get(host, ""), port) for host in hosts]


def server(host: str, address: str, port: int) -> dict[str, Any]:
    """An inventory host as a server of a listener. Raises SettingError."""
    if not _NAME.fullmatch(host):
        raise SettingError(
            f"inventory host {_shown(host)}",
            "HAProxy takes letters, digits and _ . : - in a "
            "server's name. Rename the host and put its address into ansible_host",
        )
    if not address:
        raise SettingError(
            "mycat_ha_address",
            f"no address of {host} is known; write it for that host, or have its facts gathered",
        )
    if not _HOST.fullmatch(address):
        raise _refuse("mycat_ha_address", address, f"no address, and {host} has it")
    return {"name": host, "address": address, "port": port, "backup": False, "options": ""}


def _shown(value: str) -> str:
    return '"' + value.replace("\n", "\\n") + '"'


def _listener_servers(
    where: str, given: Mapping[str, Any], inventory: Inventory
) -> list[dict[str, Any]]:
    if ("servers" in given) == ("group" in given):
        raise SettingError(
            f"{where}.servers",
            "write either servers (a list) or group (an inventory group) and port",
        )
    if "servers" in given:
        return _servers(f"{where}.servers", given["servers"])
    if "port" not in given:
        raise SettingError(f"{where}.port", "is missing; say on which port the group serves")
    port = _port(f"{where}.port", given["port"])
    return inventory.servers(f"{where}.group", given["group"], port)


def _timeouts(where: str, value: object) -> dict[str, str]:
    if not isinstance(value, Mapping):
        raise _refuse(where, value, "no mapping; write such as {client: 30s, server: 30s}")
    return {_word(where, name): _time(f"{where}.{name}", value[name]) for name in value}


def _tls(where: str, value: object) -> dict[str, str]:
    tls = _options(where, value, TLS_KEYS)
    if "certificate" not in tls:
        raise SettingError(f"{where}.certificate", "is missing; name the PEM file on the host")
    return {
        "certificate": _word(f"{where}.certificate", tls["certificate"]),
        "options": _raw(f"{where}.options", tls.get("options", "")),
    }


def _listener(where: str, value: object, inventory: Inventory) -> dict[str, Any]:
    given = _options(where, value, LISTENER_KEYS)
    for key in ("name", "bind"):
        if key not in given:
            raise SettingError(f"{where}.{key}", "is missing; every listener has a name and a bind")
    name = _name(f"{where}.name", given["name"])
    if name in RESERVED:
        raise _refuse(f"{where}.name", name, "taken by the role; write another")
    balance = _raw(f"{where}.balance", given.get("balance", "roundrobin"))
    _choice(f"{where}.balance", re.split(r"[ (]", balance)[0], BALANCE)
    listener: dict[str, Any] = {
        "name": name,
        "bind": _bind(f"{where}.bind", given["bind"]),
        "mode": _choice(f"{where}.mode", given.get("mode", "tcp"), ("tcp", "http")),
        "balance": balance,
        "check": _check(f"{where}.check", given.get("check", {})),
        "timeouts": _timeouts(f"{where}.timeouts", given.get("timeouts", {})),
        "server_options": _raw(f"{where}.server_options", given.get("server_options", "")),
        "extra": _lines(f"{where}.extra", given.get("extra", [])),
        "servers": _listener_servers(where, given, inventory),
    }
    if "maxconn" in given:
        listener["maxconn"] = _number(f"{where}.maxconn", given["maxconn"], 1, MOST_CONNECTIONS)
    if "tls" in given:
        listener["tls"] = _tls(f"{where}.tls", given["tls"])
    return listener


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
        check["port"] = _port("haproxy_check_port", *check_ports)
    for key in CHECK_TIMES:
        check[key] = _time(f"haproxy_check_{key}", settings[f"haproxy_check_{key}"])
    for key in ("fall", "rise"):
        variable = f"haproxy_check_{key}"
        check[key] = _number(variable, settings[variable], 1, 1000)
    return {
        "name": "mycat",
        "bind": _bind("haproxy_mycat_bind", settings["haproxy_mycat_bind"]),
        "mode": "tcp",
        "balance": _choice("haproxy_mycat_balance", settings["haproxy_mycat_balance"], BALANCE),
        "check": check,
        "timeouts": {},
        "maxconn": int(settings["haproxy_maxconn"]),
        # A dead MyCat's sessions end at once instead of hanging. Three connections in a row
        # that fail bring the checks forward. They alone decide: with `sudden-death` HAProxy 3.0
        # left a client without an answer, in two kills of two.
        "server_options": "on-marked-down shutdown-sessions observe layer4 error-limit 3 "
        "on-error fastinter "
        + _raw("haproxy_mycat_server_options", settings["haproxy_mycat_server_options"]),
        "extra": _mycat_lines(settings),
        "servers": [_mycat_server(mycat, check) for mycat in mycats],
    }


def _mycat_lines(settings: Mapping[str, Any]) -> list[str]:
    lines, served = settings["haproxy_mycat_extra"], int(settings["haproxy_maxconn"])
    most = _number(OPTION, settings[OPTION], 0, served)
    return limited(_lines("haproxy_mycat_extra", lines), most, served)


def _mycat_server(mycat: Mapping[str, Any], check: Mapping[str, Any]) -> dict[str, Any]:
    """A MyCat as a server; it names its check's port where that is not the same for all."""
    port = _port("haproxy_mycat_port", mycat["port"])
    made = server(mycat["name"], mycat["address"], port)
    if "port" not in check:
        made["options"] = f"port {_port('haproxy_check_port', mycat['check_port'])}"
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
    bind = _bind("haproxy_manager_bind", settings["haproxy_manager_bind"])
    for address in bind:
        exposed = _host(address) in (*_WILD, *_vips(settings))
        if exposed and not settings["haproxy_manager_exposed"]:
            raise _refuse(
                "haproxy_manager_bind",
                address,
                "reached by the clients of the virtual IP, and every MyCat user may switch MyCat "
                "off on its manager port. Write 127.0.0.1:9066 or an address of an "
                "administrators' network, or set haproxy_manager_exposed",
            )
    _port("haproxy_manager_port", settings["haproxy_manager_port"])
    return bind


def _manager(settings: Mapping[str, Any], mycat: Mapping[str, Any]) -> dict[str, Any]:
    port = _port("haproxy_manager_port", settings["haproxy_manager_port"])
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
    bind = _bind("haproxy_stats_bind", settings["haproxy_stats_bind"])
    password, user = settings["haproxy_stats_password"], settings["haproxy_stats_user"]
    if not password and not all(map(is_local, bind)):
        raise SettingError(
            "haproxy_stats_password",
            f"is missing, and {', '.join(bind)} is reached from other "
            "hosts. Set a password, or leave haproxy_stats_bind on 127.0.0.1",
        )
    if password:
        _name("haproxy_stats_user", user)
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
        "uri": _word("haproxy_stats_uri", settings["haproxy_stats_uri"]),
        "user": user,
        # This result is shown at -v, so the template takes the password from its variable.
        "password": bool(password),
    }
    stats["extra"] = _lines("haproxy_stats_extra", settings["haproxy_stats_extra"])
    if settings["haproxy_stats_certificate"]:
        stats["certificate"] = _word(
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
                raise _refuse(
                    where, bind, f"taken by {other}; give each its own port, such as {free}"
                )
        seen.append((where, address, port))


def _no_mysql_check(where: str, lines: list[str]) -> None:
    for index, line in enumerate(lines):
        if _MYSQL_CHECK.match(line):
            raise SettingError(f"{where}[{index}]", NO_MYSQL_CHECK)


def _alive(value: object) -> list[str]:
    bind = _bind("haproxy_alive_bind", value)
    for address in bind:
        if not is_local(address):
            raise _refuse(
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
            if _HTTP_IN_HTTPCHK.match(line):
                raise SettingError("haproxy_extra", NO_HTTP_IN_HTTPCHK)


def _judge_times(settings: Mapping[str, Any]) -> None:
    collected(
        *(
            partial(_time, f"haproxy_timeout_{name}", settings[f"haproxy_timeout_{name}"])
            for name in ("connect", "client", "server", "check", "queue")
        )
    )


def _raw_lines(settings: Mapping[str, Any]) -> dict[str, list[str]]:
    """The lines of the sections ``global`` and ``defaults``, and the targets of ``log``."""
    named = {"global": "haproxy_global_extra", "defaults": "haproxy_defaults_extra"}
    named["log"] = "haproxy_log"
    found = collected(*(partial(_lines, name, settings[name]) for name in named.values()))
    lines = dict(zip(named, found))
    _no_mysql_check("haproxy_defaults_extra", lines["defaults"])
    return lines


def _listeners(settings: Mapping[str, Any], inventory: Inventory) -> list[dict[str, Any]]:
    """What haproxy_listeners says."""
    given = settings["haproxy_listeners"]
    if not isinstance(given, list):
        raise _refuse("haproxy_listeners", given, "no list of listeners")
    listeners = collected(
        *(
            partial(_listener, f"haproxy_listeners[{index}]", listener, inventory)
            for index, listener in enumerate(given)
        )
    )
    _unique("haproxy_listeners[{}].name", [listener["name"] for listener in listeners])
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
        lambda: _number("haproxy_maxconn", settings["haproxy_maxconn"], 1, MOST_CONNECTIONS),
        lambda: _alive(settings["haproxy_alive_bind"]),
        lambda: _mycat(settings, mycats),
        lambda: _stats(settings) if settings["haproxy_stats_bind"] else None,
        lambda: _manager_bind(settings) if manager_asked else None,
        lambda: _raw_lines(settings),
        lambda: _raw("haproxy_log_format", settings["haproxy_log_format"]),
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
