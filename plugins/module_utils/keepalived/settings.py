# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The variables of the keepalived role, judged and put as ``vrrp_plan`` and the template want them.

Pure. Whatever cannot be used raises ``SettingError`` with the variable's name and what to write
instead; what is wrong with a password is said without the password.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from typing import Any, Mapping, Sequence

from .. import readers
from ..network.addresses import own_networks
from ..readers import RefusalError, SettingError, collected
from ..vrrp import versions
from .hooks import Settings, judge_command, judge_hooks, programs
from .keywords import KEYWORDS
from .raw_lines import judge_raw_lines
from .vips import addresses_of, links_of, printed_vip

GARP = {
    "keepalived_garp_master_delay": (0, 86400),
    "keepalived_garp_master_repeat": (1, 1000),
    "keepalived_garp_master_refresh": (0, 86400),
    "keepalived_garp_master_refresh_repeat": (1, 1000),
    "keepalived_garp_lower_prio_delay": (0, 86400),
    "keepalived_garp_lower_prio_repeat": (0, 1000),
    "keepalived_garp_interval": (0, 86400),
    "keepalived_gna_interval": (0, 86400),
}
# Where a set variable needs a newer keepalived than Debian 11 has.
SINCE = {
    "keepalived_auth_hmac": KEYWORDS["vrrp_instance"]["auth_hmac"].since,
    "keepalived_peer_hops": versions.PEER_TTL_SINCE,
}
MOST_SECONDS = 1000
AUTH_PASS = 8

_PASSWORD = re.compile(r"""[^\s{}"'#!$@~\\\0]+""")
_MAIL = re.compile(r"[^\s\"{}#!@]+@[^\s\"{}#!@]+")
_HEX = re.compile(r"hex:((?:[0-9A-Fa-f]{2})+)")


@dataclass(frozen=True)
class HostRequest:
    """What the variables of one host ask for.

    ``version`` is its keepalived, ``links`` are its address and interface for each VIP,
    ``networks`` the host's subnets on the interface of each, ``addresses`` all virtual ones,
    ``programs`` what has to be on it (``path``, ``variable``).
    ``asked`` are options of ``vrrp_plan``, the same on all hosts. The template prints ``garp``
    (pairs of keyword and value), ``mail``, and of each VIP what ``vips`` has for it.
    """

    name: str
    version: str
    links: tuple[Mapping[str, str], ...]
    networks: tuple[tuple[str, ...], ...]
    addresses: tuple[str, ...]
    programs: tuple[Mapping[str, str], ...]
    asked: Mapping[str, Any]
    garp: tuple[tuple[str, object], ...]
    mail: Mapping[str, Any] | None
    vips: tuple[Mapping[str, Any], ...]


def resolve(
    settings: Settings,
    facts: Mapping[str, Any],
    name: str,
    installed: str = "",
    carried: Sequence[str] = (),
) -> HostRequest:
    """What one host's variables ask for.

    ``settings`` are the variables {name: value} with their types, ``facts`` the host's
    ``ansible_facts``, ``name`` its name, ``installed`` the version of its keepalived, if any,
    ``carried`` the virtual addresses of the keepalived that runs. Raises SettingError, or
    RefusalError for several.
    """
    systemd = facts.get("service_mgr") == "systemd"
    version = _version(settings, facts, installed)
    _ask_for_a_vip(settings)
    *_judged, links, asked = collected(
        lambda: _judge_version(settings, version),
        lambda: _judge_authentication(settings),
        lambda: _judge_hops(settings),
        lambda: _judge_delays(settings),
        lambda: _judge_grace(settings, systemd),
        lambda: _judge_garp(settings),
        lambda: _judge_mail(settings),
        lambda: judge_hooks(settings),
        lambda: _judge_raw_lines(settings),
        lambda: tuple(links_of(settings, facts, carried)),
        lambda: _asked(settings, systemd),
    )
    vips = collected(
        *(
            functools.partial(printed_vip, index, settings, link["interface"], version)
            for index, link in enumerate(links)
        )
    )
    addresses = {
        address.split("/")[0]
        for vip in settings["keepalived_vips"]
        for address in addresses_of(vip)
    }
    return HostRequest(
        name=name,
        version=version,
        links=links,
        networks=tuple(
            own_networks(facts, link["interface"], [*addresses, *carried]) for link in links
        ),
        addresses=tuple(sorted(addresses)),
        programs=tuple(programs(settings)),
        asked=asked,
        garp=tuple(
            (option.replace("keepalived_", ""), settings[option])
            for option in GARP
            if settings.get(option) is not None
        ),
        mail=_mail_to_print(settings, str(facts.get("fqdn") or name)),
        vips=tuple(vips),
    )


# Options of vrrp_plan that the role calls otherwise.
_VARIABLES = {"mode": "failover_mode"}


def cluster_request(hosts: Sequence[HostRequest]) -> dict[str, Any]:
    """What ``vrrp_plan`` is to be asked for these hosts, in order of preference. Raises
    RefusalError where they ask for different things."""
    first, *others = hosts
    differences = [
        SettingError(
            f"keepalived_{_VARIABLES.get(key, key)}",
            f"differs between {first.name} and {other.name}; write it once for the whole group",
        )
        for other in others
        for key, value in first.asked.items()
        if other.asked[key] != value
    ]
    if differences:
        raise RefusalError(differences)
    return {
        "nodes": [{"name": host.name, "links": host.links} for host in hosts],
        **first.asked,
        "keepalived_version": min((host.version for host in hosts), key=versions.numbers),
    }


# --- keepalived's version -------------------------------------------------------------------------


def _version(settings: Settings, facts: Mapping[str, Any], installed: str) -> str:
    given = settings.get("keepalived_version")
    if given:
        readers.version("keepalived_version", given)
        return str(given)
    return installed or versions.distributed_version(facts)


def _judge_version(settings: Settings, version: str) -> None:
    for name, since in SINCE.items():
        if settings.get(name) and versions.numbers(version) < since:
            raise SettingError(
                name,
                f"needs keepalived {versions.text(since)} and this host has {version}; leave "
                "it out",
            )


# --- single settings ------------------------------------------------------------------------------


def _ask_for_a_vip(settings: Settings) -> None:
    vips = settings["keepalived_vips"]
    if not vips or not all(vip["address"] for vip in vips):
        raise SettingError(
            "mycat_ha_vip",
            "no virtual IP is set; write the address that clients shall use with its prefix "
            "length, such as 192.0.2.100/24, free and in the load balancers' subnet (or a list, in "
            "mycat_ha_vips)",
        )


def _judge_raw_lines(settings: Settings) -> None:
    judge_raw_lines("keepalived_global_extra", settings["keepalived_global_extra"], "global_defs")
    judge_raw_lines("keepalived_extra", settings["keepalived_extra"], "")


def _judge_authentication(settings: Settings) -> None:
    password, kind = settings["keepalived_auth_pass"], settings["keepalived_auth_type"]
    hmac = settings.get("keepalived_auth_hmac")
    if hmac:
        _judge_hmac(hmac)
        if password or kind:
            raise SettingError(
                "keepalived_auth_hmac", "stands beside keepalived_auth_pass; write one of them"
            )
    if not password and not kind:
        return
    if settings["keepalived_vrrp_version"] != 2:
        raise SettingError(
            "keepalived_auth_pass" if password else "keepalived_auth_type",
            "VRRP 3 has no authentication; leave it out, or set keepalived_vrrp_version to 2",
        )
    if not password:
        raise SettingError(
            "keepalived_auth_pass", f"is missing for {kind}; write 1 to {AUTH_PASS} characters"
        )
    if len(password.encode()) > AUTH_PASS:
        raise SettingError(
            "keepalived_auth_pass",
            f"is longer than {AUTH_PASS} characters, and VRRP 2 would cut it; write {AUTH_PASS} at "
            "most",
        )
    _judge_secret("keepalived_auth_pass", password)


def _judge_secret(where: str, value: str) -> None:
    if not _PASSWORD.fullmatch(value):
        raise SettingError(
            where,
            "has characters that keepalived takes for something else; write it without blanks, "
            "quotes, braces, backslashes and any of # ! $ @ ~",
        )


def _judge_hmac(hmac: Settings) -> None:
    where = "keepalived_auth_hmac"
    ids = []
    for index, key in enumerate(hmac["keys"]):
        at = f"{where}.keys[{index}]"
        ids.append(readers.integer(f"{at}.id", key["id"], 1, 255))
        value = key["key"]
        _judge_secret(f"{at}.key", value)
        hexadecimal = _HEX.fullmatch(value)
        size = len(hexadecimal.group(1)) // 2 if hexadecimal else len(value.encode())
        if not value.startswith("file:/") and not 32 <= size <= 64:
            raise SettingError(
                f"{at}.key",
                "is not 32 to 64 bytes; write as many characters, hex: and two digits a byte, or "
                "file: and the path of a file",
            )
    if not ids:
        raise SettingError(f"{where}.keys", "is empty; give at least one key")
    readers.unique(f"{where}.keys", "id", ids)
    if hmac.get("active_key") not in (None, *ids):
        raise SettingError(
            f"{where}.active_key",
            f"{hmac['active_key']} is the id of no key; write one of {', '.join(map(str, ids))}",
        )
    if hmac.get("time_window") is not None:
        readers.integer(f"{where}.time_window", hmac["time_window"], 1, 300)


def _judge_hops(settings: Settings) -> None:
    name = "keepalived_peer_hops"
    if settings.get(name) is None:
        return
    readers.integer(name, settings[name], 0, 254)
    if settings["keepalived_multicast"]:
        raise SettingError(
            name,
            "is set, and no router passes multicast adverts on; leave it out, or set "
            "keepalived_multicast to false",
        )


def _judge_delays(settings: Settings) -> None:
    for name in ("keepalived_preempt_delay", "keepalived_startup_delay"):
        if not 0 <= settings[name] <= MOST_SECONDS:
            raise readers.wrong(name, settings[name], f"seconds from 0 to {MOST_SECONDS}")


def _judge_grace(settings: Settings, systemd: bool) -> None:
    name = "keepalived_restart_grace"
    if not 0 <= settings[name] <= MOST_SECONDS:
        raise readers.wrong(name, settings[name], f"seconds from 0 to {MOST_SECONDS}")
    if settings[name] and settings["keepalived_failover_mode"] == "kill":
        raise SettingError(
            name,
            "mode kill stops keepalived together with HAProxy; leave it out, or use mode fault",
        )
    if settings[name] and not systemd:
        raise SettingError(name, "only systemd tells of a restart; leave it out")


def _judge_garp(settings: Settings) -> None:
    for name, (least, most) in GARP.items():
        value = settings.get(name)
        if value is not None and not least <= value <= most:
            raise readers.wrong(name, value, f"a number from {least} to {most}")


def _judge_mail(settings: Settings) -> None:
    mail = settings.get("keepalived_mail")
    if not mail:
        return
    where = "keepalived_mail"
    if not mail["notification_email"]:
        raise SettingError(f"{where}.notification_email", "is empty; say who gets the mail")
    addresses = [
        (f"{where}.notification_email[{index}]", address)
        for index, address in enumerate(mail["notification_email"])
    ]
    if mail.get("notification_email_from"):
        addresses.append((f"{where}.notification_email_from", mail["notification_email_from"]))
    for at, address in addresses:
        if not _MAIL.fullmatch(address):
            raise readers.wrong(at, address, "a mail address like dba@example.org")
    server, *port = mail["smtp_server"].split() or [""]
    readers.word(f"{where}.smtp_server", server)
    if len(port) > 1 or not all(number.isdigit() and 0 < int(number) < 65536 for number in port):
        raise readers.wrong(
            f"{where}.smtp_server", mail["smtp_server"], "an address and perhaps a port"
        )
    if mail.get("smtp_helo_name"):
        readers.word(f"{where}.smtp_helo_name", mail["smtp_helo_name"])
    if mail.get("smtp_connect_timeout") is not None:
        readers.integer(f"{where}.smtp_connect_timeout", mail["smtp_connect_timeout"], 1, 3600)


def _mail_to_print(settings: Settings, host: str) -> dict[str, Any] | None:
    mail = settings.get("keepalived_mail")
    if not mail:
        return None
    return {
        "notification_email": mail["notification_email"],
        "notification_email_from": mail.get("notification_email_from") or f"keepalived@{host}",
        "smtp_server": mail["smtp_server"],
        "smtp_helo_name": mail.get("smtp_helo_name"),
        "smtp_connect_timeout": mail.get("smtp_connect_timeout"),
    }


# --- the plan -------------------------------------------------------------------------------------

BACKENDS_BUDGET = 5.0


def _asked(settings: Settings, systemd: bool) -> dict[str, Any]:
    return {
        "vips": [
            {
                key: vip[key]
                for key in (
                    "address",
                    "name",
                    "virtual_router_id",
                    "virtual_ipaddress",
                    "virtual_ipaddress_excluded",
                    "sync_group",
                )
                if vip.get(key)
            }
            for vip in settings["keepalived_vips"]
        ],
        "mode": settings["keepalived_failover_mode"],
        "preempt": settings["keepalived_preempt"],
        "checks": _checks(settings, systemd),
        "failover_budget": settings["keepalived_failover_budget"],
        "node_loss_budget": settings["keepalived_node_loss_budget"],
        "vrrp_version": settings["keepalived_vrrp_version"],
        "priorities": settings["keepalived_priorities"],
        "preempt_delay": settings["keepalived_preempt_delay"],
        "multicast": settings["keepalived_multicast"],
        "taken_virtual_router_ids": settings["keepalived_taken_virtual_router_ids"],
        "move_files": True,
    }


def _checks(settings: Settings, systemd: bool) -> list[dict[str, Any]]:
    """What the plan is to rank, the most severe first. Only systemd tells of HAProxy's end."""
    mode, given = settings["keepalived_failover_mode"], settings["keepalived_checks"]
    if mode == "kill":
        if given:
            raise SettingError(
                "keepalived_checks",
                "mode kill stops keepalived together with HAProxy and knows no further check; "
                "leave them out, or set {keepalived_failover_mode} to fault",
            )
        if not systemd:
            raise SettingError(
                "keepalived_failover_mode", "is kill, which needs systemd on the hosts; write fault"
            )
        return [
            {"name": "maintenance", "event": True, "poll": False},
            {"name": "haproxy", "event": True},
        ]
    checks: list[dict[str, Any]] = [
        {"name": "maintenance", "event": True, "poll": False, "weight": "0"},
        {"name": "haproxy", "event": systemd},
    ]
    for index, check in enumerate(given):
        where = f"keepalived_checks[{index}]"
        readers.word(f"{where}.name", check["name"])
        if check["name"] in ("maintenance", "haproxy", "backends"):
            raise SettingError(f"{where}.name", f"{check['name']} is the role's own; write another")
        judge_command(f"{where}.script", check["script"])
        if check.get("user"):
            readers.user(f"{where}.user", check["user"])
        asked = {key: check[key] for key in ("name", "effect", "budget") if check.get(key)}
        if check.get("weight") is not None:
            asked["weight"] = str(check["weight"])
        checks.append(asked)
    if settings["keepalived_backends_check"]:
        checks.append({"name": "backends", "effect": "rank", "budget": BACKENDS_BUDGET})
    return checks
