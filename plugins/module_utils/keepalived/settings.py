# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The variables of the keepalived role, judged and put as ``vrrp_plan`` and the template want them.

Pure. Whatever cannot be used raises ``ModelError`` with the variable's name and what to write
instead; what is wrong with a password is said without the password.
"""

from __future__ import annotations

import difflib
import ipaddress
import re
from typing import Any, Iterable, Iterator, Mapping, Sequence

from ..network.addresses import vip_interface
from ..vrrp import options, versions
from ..vrrp.model import ModelError
from .keywords import KEYWORDS, OTHER_BLOCKS
from .lines import ConfError
from .tree import Statement, parse_tree

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
# These are in no result, since results are shown at -v.
SECRETS = ("keepalived_auth_pass", "keepalived_auth_hmac")
SECRET_KEYWORDS = {
    "authentication": "keepalived_auth_pass",
    "auth_pass": "keepalived_auth_pass",
    "auth_hmac": "keepalived_auth_hmac",
}
# Where a set variable needs a newer keepalived than Debian 11 has.
SINCE = {"keepalived_auth_hmac": versions.AUTH_HMAC_SINCE}
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
_TOP = frozenset(KEYWORDS) | OTHER_BLOCKS | {"include"}


def resolve(
    settings: Settings, facts: Mapping[str, Any], name: str, installed: str = ""
) -> dict[str, Any]:
    """What one host's variables ask for.

    ``settings`` are the variables {name: value} with their types, ``facts`` the host's
    ``ansible_facts``, ``name`` its name, ``installed`` the version of its keepalived, if any.

    Returns ``name``, ``links`` (its interface and address for each VIP), ``version`` (its
    keepalived), ``addresses`` (all virtual ones), ``programs`` (what has to be on the host, and
    the variables that name it), ``request`` (what is asked of the plan, the same on all hosts),
    and for the template ``settings`` (without those that hold passwords), ``garp`` (pairs of
    keyword and value), ``mail`` and ``vips`` (what there is to print for each VIP).
    """
    version = _version(settings, facts, installed)
    _since(settings, version)
    _authentication(settings)
    _seconds(settings)
    _grace(settings, facts.get("service_mgr") == "systemd")
    _garp(settings)
    _mail(settings)
    _scripts(settings)
    _raw("keepalived_global_extra", settings["keepalived_global_extra"], "global_defs")
    _raw("keepalived_extra", settings["keepalived_extra"], "")
    links = list(_links(settings, facts))
    return {
        "name": name,
        "links": links,
        "version": version,
        "addresses": sorted(
            {
                address.split("/")[0]
                for vip in settings["keepalived_vips"]
                for address in _addresses(vip)
            }
        ),
        "programs": list(_programs(settings)),
        "request": _request(settings, facts.get("service_mgr") == "systemd"),
        "settings": {key: settings[key] for key in settings if key not in SECRETS},
        "garp": [
            [name.replace("keepalived_", ""), settings[name]]
            for name in GARP
            if settings.get(name) is not None
        ],
        "mail": _mail_to_print(settings, str(facts.get("fqdn") or name)),
        "vips": [
            _vip(f"keepalived_vips[{index}]", vip, settings, link["interface"], version)
            for index, (vip, link) in enumerate(zip(settings["keepalived_vips"], links))
        ],
    }


def misspelt(names: Iterable[str], known: Iterable[str]) -> None:
    """Refuses a variable whose name is almost one of ``known`` or of the inventory's."""
    known = sorted((*known, *INVENTORY))
    for name in sorted(set(names) - set(known)):
        close = difflib.get_close_matches(name, known, 1, 0.9)
        if close:
            raise ModelError(name, f"is not known; write {close[0]}")


def together(hosts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What ``vrrp_plan`` is to be asked for these hosts, in order of preference; each is what
    ``resolve`` returned for it."""
    first, *others = hosts
    for other in others:
        for key, value in first["request"].items():
            if other["request"][key] != value:
                raise ModelError(
                    variable(key),
                    f"differs between {first['name']} and {other['name']}; write it once for the "
                    "whole group",
                )
    return {
        "nodes": [{"name": host["name"], "links": host["links"]} for host in hosts],
        **first["request"],
        "keepalived_version": min((host["version"] for host in hosts), key=_numbers),
    }


# --- names ----------------------------------------------------------------------------------------

_SHARED = ("vips", "failover_mode", "preempt", "failover_budget", "node_loss_budget")
INVENTORY = (
    *(f"mycat_ha_{name}" for name in _SHARED),
    "mycat_ha_vip",
    "mycat_ha_address",
    "mycat_ha_lb_group",
    "mycat_ha_mycat_group",
)


def variable(option: str) -> str:
    """The variable behind an option of ``vrrp_plan``."""
    return "keepalived_" + {"mode": "failover_mode"}.get(option, option)


def spoken(message: str, request: Mapping[str, Any], inventory: Iterable[str]) -> str:
    """A message of ``vrrp_plan`` or of this module, in the words of the inventory.

    ``request`` is what the plan was asked for; ``inventory`` are the names of all variables that
    are set, of which some say for the whole collection what a variable of the role would say.
    """
    message = re.sub(r"^vrrp_plan: ", "", message)
    message = re.sub(
        r"^checks\[(\d+)\]", lambda found: _check_named(int(found.group(1)), request), message
    )
    message = re.sub(
        r"^nodes\[(\d+)\]\.?",
        lambda found: request["nodes"][int(found.group(1))]["name"] + ": ",
        message,
    )
    message = re.sub(r"^nodes\b", "the hosts of the group (keepalived_group)", message)
    names = [key for key in request if key not in ("nodes", "checks")]
    alternatives = "|".join(sorted(names, key=len, reverse=True))
    if alternatives:
        message = re.sub(rf"^({alternatives})\b", lambda found: variable(found.group(1)), message)
        message = re.sub(
            rf"(?<![\w.])({alternatives})(?=: \w)", lambda found: variable(found.group(1)), message
        )
    message = re.sub(r"(?<![\w.])vips\[", "keepalived_vips[", message)
    if any(check.get("effect") == "rank" for check in request.get("checks", ())):
        message = message.replace(
            "effect: fault for every check",
            "keepalived_backends_check: false and effect: fault for every check",
        )
    shared = set(inventory)
    if "mycat_ha_vips" not in shared and "mycat_ha_vip" in shared:
        message = re.sub(r"\bkeepalived_vips\[0\](?:\.address\b)?", "mycat_ha_vip", message)
    for name in _SHARED:
        if f"mycat_ha_{name}" in shared or name != "vips":
            message = re.sub(rf"\bkeepalived_{name}\b", f"mycat_ha_{name}", message)
    return message


def _check_named(index: int, request: Mapping[str, Any]) -> str:
    return f"keepalived_checks {request['checks'][index]['name']}"


def note(finding: Mapping[str, Any]) -> str:
    """A finding of the plan or of the proof as one sentence for an operator."""
    where = ", ".join(filter(None, (finding["node"], finding["instance"])))
    said = f"{where}: {finding['message']}" if where else finding["message"]
    text = " ".join(filter(None, (said, finding["fix"], f"({finding['id']})")))
    return re.sub(r"(?<!\w)(failover|node_loss)_budget\b", r"mycat_ha_\1_budget", text)


_LINE = re.compile(r"\bLine (\d+)\b")


def traced(message: str, text: str, settings: Settings) -> str:
    """A complaint of ``keepalived -t`` with the raw lines that it is about.

    ``text`` is the configuration that it counts the lines of, ``settings`` are the role's.
    """
    lines = text.splitlines()
    raw = {line.strip(): where for where, line in _raw_lines(settings) if line.strip()}
    found = []
    for number in dict.fromkeys(map(int, _LINE.findall(message))):
        line = lines[number - 1].strip() if 0 < number <= len(lines) else ""
        if line in raw:
            found.append(f"Line {number} is {raw[line]}: {line}")
    return ". ".join([message, *found])


def _raw_lines(settings: Settings) -> Iterator[tuple[str, str]]:
    lists = [(name, settings.get(name)) for name in ("keepalived_global_extra", "keepalived_extra")]
    for index, vip in enumerate(settings["keepalived_vips"]):
        for key in ("virtual_routes", "virtual_rules", "track_interface", "extra"):
            lists.append((f"keepalived_vips[{index}].{key}", vip.get(key)))
    for name, lines in lists:
        for index, line in enumerate(lines or []):
            yield f"{name}[{index}]", line


# --- keepalived's version -------------------------------------------------------------------------


def _version(settings: Settings, facts: Mapping[str, Any], installed: str) -> str:
    given = settings.get("keepalived_version")
    if given:
        options.version("keepalived_version", given)
        return str(given)
    return installed or versions.distributed_version(facts)


def _numbers(version: str) -> tuple[int, ...]:
    return options.version("keepalived_version", version)


def _since(settings: Settings, version: str) -> None:
    for name, since in SINCE.items():
        if settings.get(name) and _numbers(version) < since:
            raise ModelError(
                name,
                f"needs keepalived {'.'.join(map(str, since))} and this host has {version}; leave "
                "it out",
            )


# --- single settings ------------------------------------------------------------------------------


def _authentication(settings: Settings) -> None:
    password, kind = settings["keepalived_auth_pass"], settings["keepalived_auth_type"]
    hmac = settings.get("keepalived_auth_hmac")
    if hmac:
        _hmac(hmac)
        if password or kind:
            raise ModelError(
                "keepalived_auth_hmac", "stands beside keepalived_auth_pass; write one of them"
            )
    if not password and not kind:
        return
    if settings["keepalived_vrrp_version"] != 2:
        raise ModelError(
            "keepalived_auth_pass" if password else "keepalived_auth_type",
            "VRRP 3 has no authentication; leave it out, or set keepalived_vrrp_version to 2",
        )
    if not password:
        raise ModelError(
            "keepalived_auth_pass", f"is missing for {kind}; write 1 to {AUTH_PASS} characters"
        )
    if len(password.encode()) > AUTH_PASS:
        raise ModelError(
            "keepalived_auth_pass",
            f"is longer than {AUTH_PASS} characters, and VRRP 2 would cut it; write {AUTH_PASS} at "
            "most",
        )
    _secret("keepalived_auth_pass", password)


def _secret(where: str, value: str) -> None:
    if not _PASSWORD.fullmatch(value):
        raise ModelError(
            where,
            "has characters that keepalived takes for something else; write it without blanks, "
            "quotes, braces, backslashes and any of # ! $ @ ~",
        )


def _hmac(hmac: Settings) -> None:
    where = "keepalived_auth_hmac"
    ids = []
    for index, key in enumerate(hmac["keys"]):
        at = f"{where}.keys[{index}]"
        ids.append(options.integer(f"{at}.id", key["id"], 1, 255))
        value = key["key"]
        _secret(f"{at}.key", value)
        hexadecimal = _HEX.fullmatch(value)
        size = len(hexadecimal.group(1)) // 2 if hexadecimal else len(value.encode())
        if not value.startswith("file:/") and not 32 <= size <= 64:
            raise ModelError(
                f"{at}.key",
                "is not 32 to 64 bytes; write as many characters, hex: and two digits a byte, or "
                "file: and the path of a file",
            )
    if not ids:
        raise ModelError(f"{where}.keys", "is empty; give at least one key")
    options.unique(f"{where}.keys", "id", ids)
    if hmac.get("active_key") not in (None, *ids):
        raise ModelError(
            f"{where}.active_key",
            f"{hmac['active_key']} is the id of no key; write one of {', '.join(map(str, ids))}",
        )
    if hmac.get("time_window") is not None:
        options.integer(f"{where}.time_window", hmac["time_window"], 1, 300)


def _seconds(settings: Settings) -> None:
    for name in ("keepalived_preempt_delay", "keepalived_startup_delay"):
        if not 0 <= settings[name] <= MOST_SECONDS:
            raise options.wrong(name, settings[name], f"seconds from 0 to {MOST_SECONDS}")


def _grace(settings: Settings, systemd: bool) -> None:
    name = "keepalived_restart_grace"
    if not 0 <= settings[name] <= MOST_SECONDS:
        raise options.wrong(name, settings[name], f"seconds from 0 to {MOST_SECONDS}")
    if settings[name] and settings["keepalived_failover_mode"] == "kill":
        raise ModelError(
            name,
            "mode kill stops keepalived together with HAProxy; leave it out, or use mode fault",
        )
    if settings[name] and not systemd:
        raise ModelError(name, "only systemd tells of a restart; leave it out")


def _garp(settings: Settings) -> None:
    for name, (least, most) in GARP.items():
        value = settings.get(name)
        if value is not None and not least <= value <= most:
            raise options.wrong(name, value, f"a number from {least} to {most}")


def _mail(settings: Settings) -> None:
    mail = settings.get("keepalived_mail")
    if not mail:
        return
    where = "keepalived_mail"
    if not mail["notification_email"]:
        raise ModelError(f"{where}.notification_email", "is empty; say who gets the mail")
    addresses = [
        (f"{where}.notification_email[{index}]", address)
        for index, address in enumerate(mail["notification_email"])
    ]
    if mail.get("notification_email_from"):
        addresses.append((f"{where}.notification_email_from", mail["notification_email_from"]))
    for at, address in addresses:
        if not _MAIL.fullmatch(address):
            raise options.wrong(at, address, "a mail address like dba@example.org")
    server, *port = mail["smtp_server"].split() or [""]
    options.word(f"{where}.smtp_server", server)
    if len(port) > 1 or not all(number.isdigit() and 0 < int(number) < 65536 for number in port):
        raise options.wrong(
            f"{where}.smtp_server", mail["smtp_server"], "an address and perhaps a port"
        )
    if mail.get("smtp_helo_name"):
        options.word(f"{where}.smtp_helo_name", mail["smtp_helo_name"])
    if mail.get("smtp_connect_timeout") is not None:
        options.integer(f"{where}.smtp_connect_timeout", mail["smtp_connect_timeout"], 1, 3600)


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


def _scripts(settings: Settings) -> None:
    for keyword in NOTIFY:
        _hook(f"keepalived_{keyword}", settings[f"keepalived_{keyword}"])
    fifo, reader = settings["keepalived_notify_fifo"], settings["keepalived_notify_fifo_script"]
    _hook("keepalived_notify_fifo_script", reader)
    if fifo and not re.fullmatch(r"/[^\s\"{}#!$@~]+", fifo):
        raise options.wrong(
            "keepalived_notify_fifo", fifo, "a whole path like /run/keepalived.fifo"
        )
    if reader and not fifo:
        raise ModelError(
            "keepalived_notify_fifo", "is missing for keepalived_notify_fifo_script; name the FIFO"
        )
    if settings["keepalived_notify_user"]:
        options.word("keepalived_notify_user", settings["keepalived_notify_user"])


def _programs(settings: Settings) -> Iterator[dict[str, str]]:
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


def _hook(where: str, command: str) -> None:
    if command:
        _command(where, command)


def _command(where: str, command: str) -> None:
    options.text(where, command)
    if not command.startswith("/"):
        raise options.wrong(where, command, "a command with the whole path of its program")
    if _SHELL.search(command):
        raise ModelError(
            where,
            f"{command!r} needs a shell, and keepalived starts commands without one; put it into a "
            "script and name that",
        )


# --- raw lines ------------------------------------------------------------------------------------


def _raw(where: str, lines: Sequence[str], block: str) -> None:
    """Refuses lines that would close the block they stand in, or that no version knows there."""
    for index, line in enumerate(lines):
        if "\0" in line or "\n" in line:
            raise options.wrong(f"{where}[{index}]", line, "one line in each item of the list")
    known = KEYWORDS[block] if block else _TOP
    try:
        tree = parse_tree("\n".join(lines))
    except ConfError as error:
        raise ModelError(f"{where}[{error.line - 1}]", error.problem) from error
    for finding in tree.findings:
        if finding.id == "syntax":
            raise ModelError(f"{where}[{(finding.line or 1) - 1}]", finding.message)
    _without_secrets(where, tree.statements)
    for statement in tree.statements:
        if statement.keyword not in known and not statement.keyword.startswith("$"):
            close = difflib.get_close_matches(statement.keyword, sorted(known), 1)
            raise ModelError(
                f"{where}[{statement.line - 1}]",
                f"{statement.keyword!r} is no keyword of keepalived "
                + (f"in {block}; " if block else "outside all blocks; ")
                + (f"write {close[0]}" if close else "leave it out"),
            )


def _without_secrets(where: str, statements: Iterable[Statement]) -> None:
    for statement in statements:
        instead = SECRET_KEYWORDS.get(statement.keyword)
        if instead:
            raise ModelError(
                f"{where}[{statement.line - 1}]",
                f"{statement.keyword} holds a password, and raw lines are shown; write {instead}",
            )
        _without_secrets(where, statement.block or ())


# --- VIPs -----------------------------------------------------------------------------------------


def _links(settings: Settings, facts: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    vips = settings["keepalived_vips"]
    facts = _without_virtual_interfaces(facts, vips)
    every = [address for vip in vips for address in _addresses(vip)]
    own = _own(settings["keepalived_address"])
    for index, vip in enumerate(vips):
        where = f"keepalived_vips[{index}]"
        interface = vip.get("interface") or settings["keepalived_interface"]
        if interface:
            _interface_name(
                f"{where}.interface" if vip.get("interface") else "keepalived_interface", interface
            )
        link = vip_interface(
            facts,
            vip["address"],
            interface,
            option=f"{where}.address",
            others=every,
            own=own.get(6 if ":" in vip["address"] else 4, ""),
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
    for key in ("virtual_ipaddress", "virtual_ipaddress_excluded"):
        for address in vip.get(key) or ():
            yield from address.split()[:1]


def _own(given: Sequence[str]) -> dict[int, str]:
    own: dict[int, str] = {}
    for index, address in enumerate(given):
        where = f"keepalived_address[{index}]"
        family = ipaddress.ip_address(options.address(where, address)).version
        if family in own:
            raise ModelError(
                where, f"{address} is IPv{family} as {own[family]} is; write one of each family"
            )
        own[family] = address
    return own


def _interface_name(where: str, name: str) -> None:
    options.word(where, name)
    if len(name) > LONGEST_INTERFACE or "/" in name:
        raise options.wrong(
            where, name, f"an interface's name of at most {LONGEST_INTERFACE} characters"
        )


def _vip(
    where: str, vip: Settings, settings: Settings, interface: str, version: str
) -> dict[str, Any]:
    multicast = settings["keepalived_multicast"]
    _raw(f"{where}.extra", vip.get("extra") or [], "vrrp_instance")
    for key in NOTIFY:
        _hook(f"{where}.{key}", vip.get(key) or "")
    _vmac(where, vip, multicast, version)
    if multicast and ":" in vip["address"] and _numbers(version) < versions.MULTICAST_IPV6_SINCE:
        raise ModelError(
            "keepalived_multicast",
            f"needs keepalived 2.2 or newer for {vip['address']}, and this host has {version}, "
            "which wants link-local addresses there; leave it out",
        )
    _entries(where, vip, interface)
    use_vmac = bool(vip.get("use_vmac"))
    return {
        "use_vmac": use_vmac,
        "vmac_interface": vip.get("vmac_interface") or "",
        "vmac_xmit_base": use_vmac and (not multicast or bool(vip.get("vmac_xmit_base"))),
        **{key: list(vip.get(key) or []) for key in ("virtual_routes", "virtual_rules", "extra")},
        "interfaces": list(vip.get("track_interface") or []),
        **{key: vip.get(key) or settings[f"keepalived_{key}"] for key in NOTIFY},
    }


def _vmac(where: str, vip: Settings, multicast: bool, version: str) -> None:
    if not vip.get("use_vmac"):
        for key in ("vmac_interface", "vmac_xmit_base"):
            if vip.get(key):
                raise ModelError(
                    f"{where}.{key}", "does nothing without use_vmac; set that to true"
                )
        return
    if vip.get("vmac_interface"):
        _interface_name(f"{where}.vmac_interface", vip["vmac_interface"])
    if multicast:
        return
    if _numbers(version) < versions.UNICAST_VMAC_SINCE:
        raise ModelError(
            f"{where}.use_vmac",
            f"needs keepalived 2.2 or newer where adverts are unicast, and this host has "
            f"{version}; leave it out, or set keepalived_multicast",
        )
    if vip.get("vmac_xmit_base") is False:
        raise ModelError(
            f"{where}.vmac_xmit_base",
            "is false, and a virtual MAC address without it needs multicast; leave it out, or set "
            "keepalived_multicast",
        )


def _entries(where: str, vip: Settings, interface: str) -> None:
    for key in ("virtual_routes", "virtual_rules", "track_interface"):
        for index, line in enumerate(vip.get(key) or []):
            words = _entry(f"{where}.{key}[{index}]", line)
            if key == "virtual_rules" and not _PREFERENCE.intersection(words):
                raise ModelError(
                    f"{where}.{key}[{index}]",
                    "has no preference, and keepalived would choose one; write one at its end, "
                    "such as preference 100",
                )
            if key == "track_interface" and words[0] == interface:
                raise ModelError(
                    f"{where}.{key}[{index}]",
                    f"{interface} is the interface of {vip['address']}, which keepalived watches "
                    "anyway; leave it out",
                )


def _entry(where: str, line: str) -> list[str]:
    words = [options.word(where, word) for word in line.split(" ") if word]
    if not words:
        raise options.wrong(where, line, "one line of words")
    return words


# --- the plan -------------------------------------------------------------------------------------

BACKENDS_BUDGET = 5.0


def _request(settings: Settings, systemd: bool) -> dict[str, Any]:
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
    }


def _checks(settings: Settings, systemd: bool) -> list[dict[str, Any]]:
    """What the plan is to rank, the most severe first. Only systemd tells of HAProxy's end."""
    mode, given = settings["keepalived_failover_mode"], settings["keepalived_checks"]
    if mode == "kill":
        if given:
            raise ModelError(
                "keepalived_checks",
                "mode kill stops keepalived together with HAProxy and knows no further check; "
                "leave them out, or set mycat_ha_failover_mode to fault",
            )
        if not systemd:
            raise ModelError(
                "keepalived_failover_mode", "is kill, which needs systemd on the hosts; write fault"
            )
        return [{"name": "haproxy", "event": True}]
    checks: list[dict[str, Any]] = [
        {"name": "maintenance", "event": True, "poll": False, "weight": "0"},
        {"name": "haproxy", "event": systemd},
    ]
    for index, check in enumerate(given):
        where = f"keepalived_checks[{index}]"
        options.word(f"{where}.name", check["name"])
        if check["name"] in ("maintenance", "haproxy", "backends"):
            raise ModelError(f"{where}.name", f"{check['name']} is the role's own; write another")
        _command(f"{where}.script", check["script"])
        if check.get("user"):
            options.word(f"{where}.user", check["user"])
        asked = {key: check[key] for key in ("name", "effect", "budget") if check.get(key)}
        if check.get("weight") is not None:
            asked["weight"] = str(check["weight"])
        checks.append(asked)
    if settings["keepalived_backends_check"]:
        checks.append({"name": "backends", "effect": "rank", "budget": BACKENDS_BUDGET})
    return checks
