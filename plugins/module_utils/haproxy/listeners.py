# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Listeners of the haproxy role beside those of MyCat, their checks and servers, judged.

Raises SettingError as `values` does.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ..readers import SettingError
from . import values

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

MOST_CONNECTIONS = 10_000_000


def _check(where: str, value: object) -> dict[str, Any]:
    given = values.options(where, value, CHECK_KEYS)
    check: dict[str, Any] = {
        "type": values.choice(f"{where}.type", given.get("type", "tcp"), CHECKS)
    }
    for key in CHECK_TIMES:
        if key in given:
            check[key] = values.time(f"{where}.{key}", given[key])
    for key in ("fall", "rise"):
        if key in given:
            check[key] = values.number(f"{where}.{key}", given[key], 1, 1000)
    if "port" in given:
        check["port"] = values.port(f"{where}.port", given["port"])
    if check["type"] == "http":
        check["method"] = values.word(f"{where}.method", given.get("method", "GET"))
        check["uri"] = values.word(f"{where}.uri", given.get("uri", "/"))
        if "host" in given:
            check["host"] = values.word(f"{where}.host", given["host"])
        if "status" in given:
            check["status"] = values.word(f"{where}.status", str(given["status"]))
        check["disable_on_404"] = bool(given.get("disable_on_404", False))
    return check


def _server(where: str, value: object) -> dict[str, Any]:
    given = values.options(where, value, SERVER_KEYS)
    for key in ("name", "address", "port"):
        if key not in given:
            raise SettingError(
                f"{where}.{key}", "is missing; every server has a name, address, port"
            )
    address = given["address"]
    if not isinstance(address, str) or not values.HOST.fullmatch(address):
        raise values.refuse(
            f"{where}.address", address, "no address; write an IP address or a name"
        )
    server = {
        "name": values.name(f"{where}.name", given["name"]),
        "address": address,
        "port": values.port(f"{where}.port", given["port"]),
        "backup": bool(given.get("backup", False)),
        "options": values.raw(f"{where}.options", given.get("options", "")),
    }
    if "weight" in given:
        server["weight"] = values.number(f"{where}.weight", given["weight"], 0, 256)
    return server


def unique(where: str, names: list[str]) -> None:
    """Raise SettingError where two are alike; ``where`` has a place for the index."""
    for index, one in enumerate(names):
        if one in names[:index]:
            first = names.index(one)
            raise values.refuse(
                where.format(index), one, f"taken by {where.format(first)}; give each its own"
            )


def _servers(where: str, given: object) -> list[dict[str, Any]]:
    if not isinstance(given, list) or not given:
        raise SettingError(where, "is empty; list the servers to balance")
    servers = [_server(f"{where}[{index}]", server) for index, server in enumerate(given)]
    unique(where + "[{}].name", [server["name"] for server in servers])
    return servers


class Inventory:
    """The groups of an inventory, and the addresses of its hosts.

    ``groups``: {group: [host]}; ``addresses``: {host: address} as far as they are known.
    """

    def __init__(self, groups: Mapping[str, Any], addresses: Mapping[str, str]) -> None:
        self.groups, self.addresses = groups, addresses

    def servers(self, where: str, group: object, port: int) -> list[dict[str, Any]]:
        """The hosts of a group as servers of a listener. Raises SettingError."""
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
    if not values.NAME.fullmatch(host):
        raise SettingError(
            f"inventory host {values.shown(host)}",
            "HAProxy takes letters, digits and _ . : - in a "
            "server's name. Rename the host and put its address into ansible_host",
        )
    if not address:
        raise SettingError(
            "mycat_ha_address",
            f"no address of {host} is known; write it for that host, or have its facts gathered",
        )
    if not values.HOST.fullmatch(address):
        raise values.refuse("mycat_ha_address", address, f"no address, and {host} has it")
    return {"name": host, "address": address, "port": port, "backup": False, "options": ""}


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
    port = values.port(f"{where}.port", given["port"])
    return inventory.servers(f"{where}.group", given["group"], port)


def _timeouts(where: str, value: object) -> dict[str, str]:
    if not isinstance(value, Mapping):
        raise values.refuse(where, value, "no mapping; write such as {client: 30s, server: 30s}")
    return {values.word(where, name): values.time(f"{where}.{name}", value[name]) for name in value}


def _tls(where: str, value: object) -> dict[str, str]:
    tls = values.options(where, value, TLS_KEYS)
    if "certificate" not in tls:
        raise SettingError(f"{where}.certificate", "is missing; name the PEM file on the host")
    return {
        "certificate": values.word(f"{where}.certificate", tls["certificate"]),
        "options": values.raw(f"{where}.options", tls.get("options", "")),
    }


def read_listener(where: str, value: object, inventory: Inventory) -> dict[str, Any]:
    """One of haproxy_listeners, as `resolve` returns it."""
    given = values.options(where, value, LISTENER_KEYS)
    for key in ("name", "bind"):
        if key not in given:
            raise SettingError(f"{where}.{key}", "is missing; every listener has a name and a bind")
    name = values.name(f"{where}.name", given["name"])
    if name in RESERVED:
        raise values.refuse(f"{where}.name", name, "taken by the role; write another")
    balance = values.raw(f"{where}.balance", given.get("balance", "roundrobin"))
    values.choice(f"{where}.balance", re.split(r"[ (]", balance)[0], BALANCE)
    listener: dict[str, Any] = {
        "name": name,
        "bind": values.bind(f"{where}.bind", given["bind"]),
        "mode": values.choice(f"{where}.mode", given.get("mode", "tcp"), ("tcp", "http")),
        "balance": balance,
        "check": _check(f"{where}.check", given.get("check", {})),
        "timeouts": _timeouts(f"{where}.timeouts", given.get("timeouts", {})),
        "server_options": values.raw(f"{where}.server_options", given.get("server_options", "")),
        "extra": values.lines(f"{where}.extra", given.get("extra", [])),
        "servers": _listener_servers(where, given, inventory),
    }
    if "maxconn" in given:
        listener["maxconn"] = values.number(
            f"{where}.maxconn", given["maxconn"], 1, MOST_CONNECTIONS
        )
    if "tls" in given:
        listener["tls"] = _tls(f"{where}.tls", given["tls"])
    return listener
