# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The variables of the keepalived role, judged and put as ``vrrp_plan`` and the template want them.

Pure. Whatever cannot be used raises ``SettingError`` with the variable's name and what to write
instead; what is wrong with a password is said without the password.
"""

from __future__ import annotations

import functools
import ipaddress
import re
from dataclasses import dataclass
from typing import Any, Iterator, Mapping, Sequence

from .. import readers
from ..network.addresses import judge_prefix, own_networks, vip_interface
from ..readers import RefusalError, SettingError, collected
from ..vrrp import versions
from .keywords import KEYWORDS
from .raw_lines import judge_raw_lines

Settings = Mapping[str, Any]

NOTIFY = ("notify", "notify_master", "notify_backup", "notify_fault", "notify_stop")
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
# Options of a VIP that list addresses which move along.
FURTHER = ("virtual_ipaddress", "virtual_ipaddress_excluded")
# IFNAMSIZ of Linux, without the final NUL.
LONGEST_INTERFACE = 15
MOST_SECONDS = 1000
AUTH_PASS = 8

_SHELL = re.compile(r"[|&;<>`$*?()]")
_PASSWORD = re.compile(r"""[^\s{}"'#!$@~\\\0]+""")
_MAIL = re.compile(r"[^\s\"{}#!@]+@[^\s\"{}#!@]+")
_VMAC = re.compile(r"vrrp6?[._]\d+")
_PREFERENCE = frozenset(("preference", "order", "priority"))
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
        lambda: _judge_hooks(settings),
        lambda: _judge_raw_lines(settings),
        lambda: tuple(_links(settings, facts, carried)),
        lambda: _asked(settings, systemd),
    )
    vips = collected(
        *(
            functools.partial(_vip, index, settings, link["interface"], version)
            for index, link in enumerate(links)
        )
    )
    addresses = {
        address.split("/")[0] for vip in settings["keepalived_vips"] for address in _addresses(vip)
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


# --- commands -------------------------------------------------------------------------------------


def _judge_hooks(settings: Settings) -> None:
    for keyword in NOTIFY:
        _judge_hook(f"keepalived_{keyword}", settings[f"keepalived_{keyword}"])
    fifo, reader = settings["keepalived_notify_fifo"], settings["keepalived_notify_fifo_script"]
    _judge_hook("keepalived_notify_fifo_script", reader)
    if fifo and not re.fullmatch(r"/[^\s\"{}#!$@~]+", fifo):
        raise readers.wrong(
            "keepalived_notify_fifo", fifo, "a whole path like /run/keepalived.fifo"
        )
    if reader and not fifo:
        raise SettingError(
            "keepalived_notify_fifo", "is missing for keepalived_notify_fifo_script; name the FIFO"
        )
    log = settings.get("keepalived_log")
    if log and not re.fullmatch(r"/[\w./-]+", log, re.ASCII):
        raise readers.wrong("keepalived_log", log, "a whole path like /var/log/haproxy_check.log")
    metrics = settings.get("keepalived_metrics_directory")
    if metrics and not re.fullmatch(r"(/[\w.-]+)+", metrics, re.ASCII):
        raise readers.wrong(
            "keepalived_metrics_directory",
            metrics,
            "a whole path like /var/lib/prometheus/node-exporter",
        )
    if settings["keepalived_notify_user"]:
        readers.user("keepalived_notify_user", settings["keepalived_notify_user"])


def programs(settings: Settings) -> Iterator[dict[str, str]]:
    """What has to be on the host, as ``path``, and the ``variable`` that names it."""
    named: dict[str, str] = {}
    for keyword in (*NOTIFY, "notify_fifo_script"):
        named.setdefault(settings[f"keepalived_{keyword}"], f"keepalived_{keyword}")
    for index, vip in enumerate(settings["keepalived_vips"]):
        for keyword in NOTIFY:
            named.setdefault(vip.get(keyword) or "", f"keepalived_vips[{index}].{keyword}")
    for index, check in enumerate(settings["keepalived_checks"]):
        named.setdefault(check["script"], f"keepalived_checks[{index}].script")
    for command, variable_name in named.items():
        if command:
            yield {"variable": variable_name, "path": command.split()[0]}


def _judge_hook(where: str, command: str) -> None:
    if command:
        _judge_command(where, command)


def _judge_command(where: str, command: str) -> None:
    readers.text(where, command)
    if not command.startswith("/"):
        raise readers.wrong(where, command, "a command with the whole path of its program")
    if _SHELL.search(command):
        raise SettingError(
            where,
            "{value} needs a shell, and keepalived starts commands without one; put it into a "
            "script and name that",
            value=command,
        )


# --- VIPs -----------------------------------------------------------------------------------------


def _links(
    settings: Settings, facts: Mapping[str, Any], carried: Sequence[str]
) -> Iterator[dict[str, Any]]:
    vips = settings["keepalived_vips"]
    facts = _without_virtual_interfaces(facts, vips)
    every = [address for vip in vips for address in _addresses(vip)]
    own = _own_addresses(settings["keepalived_address"])
    for index, vip in enumerate(vips):
        where = f"keepalived_vips[{index}]"
        interface = vip.get("interface") or settings["keepalived_interface"]
        if interface:
            _judge_interface(
                f"{where}.interface" if vip.get("interface") else "keepalived_interface", interface
            )
        link = vip_interface(
            facts,
            vip["address"],
            interface,
            option=f"{where}.address",
            others=every,
            carried=carried,
            own=own.get(6 if ":" in vip["address"] else 4, ""),
        )
        for key in FURTHER:
            for place, line in enumerate(vip.get(key) or ()):
                readers.virtual_address(f"{where}.{key}[{place}]", line)
                judge_prefix(
                    facts,
                    line,
                    str(link["interface"]),
                    others=[*every, *carried],
                    option=f"{where}.{key}[{place}]",
                )
        yield {"address": link["address"], "interface": link["interface"]}


def _without_virtual_interfaces(
    facts: Mapping[str, Any], vips: Sequence[Settings]
) -> dict[str, Any]:
    """The facts without the interfaces that keepalived makes for ``use_vmac``: an address that is
    the first one there is not the host's own."""
    made = {vip.get("vmac_interface") for vip in vips}
    names = facts.get("interfaces")
    if not isinstance(names, (list, tuple)):
        return dict(facts)
    kept = [name for name in names if name not in made and not _VMAC.fullmatch(str(name))]
    return {**facts, "interfaces": kept}


def _addresses(vip: Settings) -> Iterator[str]:
    yield vip["address"]
    for key in FURTHER:
        for address in vip.get(key) or ():
            yield from address.split()[:1]


def _own_addresses(given: Sequence[str]) -> dict[int, str]:
    own: dict[int, str] = {}
    for index, address in enumerate(given):
        where = f"keepalived_address[{index}]"
        family = ipaddress.ip_address(readers.address(where, address)).version
        if family in own:
            raise SettingError(
                where, f"{address} is IPv{family} as {own[family]} is; write one of each family"
            )
        own[family] = address
    return own


def _judge_interface(where: str, name: str) -> None:
    readers.word(where, name)
    if len(name) > LONGEST_INTERFACE or "/" in name:
        raise readers.wrong(
            where, name, f"an interface's name of at most {LONGEST_INTERFACE} characters"
        )


def _vip(index: int, settings: Settings, interface: str, version: str) -> dict[str, Any]:
    """What there is to print for a VIP, given by its index."""
    where, vip = f"keepalived_vips[{index}]", settings["keepalived_vips"][index]
    multicast = settings["keepalived_multicast"]
    judge_raw_lines(f"{where}.extra", vip.get("extra") or [], "vrrp_instance")
    for key in NOTIFY:
        _judge_hook(f"{where}.{key}", vip.get(key) or "")
    _judge_vmac(where, vip, multicast, version)
    if (
        multicast
        and ":" in vip["address"]
        and versions.numbers(version) < versions.MULTICAST_IPV6_SINCE
    ):
        raise SettingError(
            "keepalived_multicast",
            f"needs keepalived 2.2 or newer for {vip['address']}, and this host has {version}, "
            "which wants link-local addresses there; leave it out",
        )
    _judge_entries(where, vip, interface)
    use_vmac = bool(vip.get("use_vmac"))
    return {
        "use_vmac": use_vmac,
        "vmac_interface": vip.get("vmac_interface") or "",
        "vmac_xmit_base": use_vmac and (not multicast or bool(vip.get("vmac_xmit_base"))),
        **{key: list(vip.get(key) or []) for key in ("virtual_routes", "virtual_rules", "extra")},
        "interfaces": list(vip.get("track_interface") or []),
        **{key: vip.get(key) or settings[f"keepalived_{key}"] for key in NOTIFY},
    }


def _judge_vmac(where: str, vip: Settings, multicast: bool, version: str) -> None:
    if not vip.get("use_vmac"):
        for key in ("vmac_interface", "vmac_xmit_base"):
            if vip.get(key):
                raise SettingError(
                    f"{where}.{key}", "does nothing without use_vmac; set that to true"
                )
        return
    if vip.get("vmac_interface"):
        _judge_interface(f"{where}.vmac_interface", vip["vmac_interface"])
    if multicast:
        return
    if versions.numbers(version) < versions.UNICAST_VMAC_SINCE:
        raise SettingError(
            f"{where}.use_vmac",
            f"needs keepalived 2.2 or newer where adverts are unicast, and this host has "
            f"{version}; leave it out, or set keepalived_multicast",
        )
    if vip.get("vmac_xmit_base") is False:
        raise SettingError(
            f"{where}.vmac_xmit_base",
            "is false, and a virtual MAC address without it needs multicast; leave it out, or set "
            "keepalived_multicast",
        )


def _judge_entries(where: str, vip: Settings, interface: str) -> None:
    for key in ("virtual_routes", "virtual_rules", "track_interface"):
        for index, line in enumerate(vip.get(key) or []):
            words = _entry(f"{where}.{key}[{index}]", line)
            if key == "virtual_rules" and not _PREFERENCE.intersection(words):
                raise SettingError(
                    f"{where}.{key}[{index}]",
                    "has no preference, and keepalived would choose one; write one at its end, "
                    "such as preference 100",
                )
            if key == "track_interface" and words[0] == interface:
                raise SettingError(
                    f"{where}.{key}[{index}]",
                    f"{interface} is the interface of {vip['address']}, which keepalived watches "
                    "anyway; leave it out",
                )


def _entry(where: str, line: str) -> list[str]:
    words = [readers.word(where, word) for word in line.split(" ") if word]
    if not words:
        raise readers.wrong(where, line, "one line of words")
    return words


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
        _judge_command(f"{where}.script", check["script"])
        if check.get("user"):
            readers.user(f"{where}.user", check["user"])
        asked = {key: check[key] for key in ("name", "effect", "budget") if check.get(key)}
        if check.get("weight") is not None:
            asked["weight"] = str(check["weight"])
        checks.append(asked)
    if settings["keepalived_backends_check"]:
        checks.append({"name": "backends", "effect": "rank", "budget": BACKENDS_BUDGET})
    return checks
