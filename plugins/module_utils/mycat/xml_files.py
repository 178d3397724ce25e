# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""MyCat's server.xml, schema.xml and rule.xml, read before a host has them. Pure."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from dataclasses import dataclass, field
from typing import Iterator, Mapping

from ..readers import SettingError

SERVER, SCHEMA, RULE = "mycat_server_xml", "mycat_schema_xml", "mycat_rule_xml"
#: {variable: the file in conf/}.
NAMES = {SERVER: "server.xml", SCHEMA: "schema.xml", RULE: "rule.xml"}
_ROOTS = {SERVER: "server", SCHEMA: "schema", RULE: "rule"}
#: dn$1-4 are dn1 to dn4.
_RANGE = re.compile(r"([^$]*)\$([0-9]+)-([0-9]+)(.*)")
_MOST = 100000


@dataclass(frozen=True)
class Checked:
    """``ports`` {property: port} and ``timeouts`` {property: seconds} that server.xml sets."""

    problems: list[SettingError] = field(default_factory=list)
    ports: Mapping[str, int] = field(default_factory=dict)
    timeouts: Mapping[str, float] = field(default_factory=dict)


def check(texts: Mapping[str, str], user: str = "") -> Checked:
    """Check the files, {variable: text}, each by itself and with the others that are given.

    ``user`` is the one of the health checks, "" for none.
    """
    roots: dict[str, ET.Element] = {}
    problems = []
    for name, text in texts.items():
        try:
            roots[name] = _root(name, text)
        except SettingError as error:
            problems.append(error)
    server, schema, rule = (roots.get(name) for name in NAMES)
    if schema is not None:
        problems += _about_schema(schema, rule)
    if server is None:
        return Checked(problems)
    problems += _about_server(server, schema, user)
    numbers = {
        name: int(value)
        for name, value in _properties(server.find("system"))
        if value.strip().isdigit()
    }
    return Checked(
        problems,
        {name: numbers[name] for name in ("serverPort", "managerPort") if name in numbers},
        {
            name: numbers[name] / scale
            for name, scale in (("idleTimeout", 1000), ("sqlExecuteTimeout", 1))
            if name in numbers
        },
    )


def _root(name: str, text: str) -> ET.Element:
    try:
        root = ET.fromstring(text.encode("utf-8", "surrogateescape"))  # noqa: S314 - the operator's
    except ET.ParseError as error:
        raise SettingError(name, f"is no well-formed XML ({error}); mend it") from None
    wanted = _ROOTS[name]
    if root.tag.rpartition("}")[2] != wanted:
        raise SettingError(
            name,
            f"begins with <{root.tag.rpartition('}')[2]}>; give the file whose first element is "
            f"<mycat:{wanted}>",
        )
    return root


def _about_schema(schema: ET.Element, rule: ET.Element | None) -> Iterator[SettingError]:
    hosts = {one.get("name") for one in schema.iter("dataHost")}
    nodes = {name for one in schema.iter("dataNode") for name in spread(one.get("name"))}
    rules = {one.get("name") for one in rule.iter("tableRule")} if rule is not None else None
    for node in schema.iter("dataNode"):
        for host in spread(node.get("dataHost")):
            if host not in hosts:
                yield SettingError(
                    SCHEMA,
                    f"the dataNode {node.get('name')} is on the dataHost {host}, which is not in "
                    "it; add that dataHost, or name one that is there",
                )
    for one in schema.iter("schema"):
        for part in (one, *one.iter("table")):
            for node_name in (*spread(part.get("dataNode")), *spread(part.get("randomDataNode"))):
                if node_name not in nodes and not node_name.startswith("distribute("):
                    yield SettingError(
                        SCHEMA,
                        f"the {part.tag} {part.get('name')} is on the dataNode {node_name}, which "
                        "is not in it; add that dataNode, or name one that is there",
                    )
            if rules is not None and part.get("rule") and part.get("rule") not in rules:
                yield SettingError(
                    SCHEMA,
                    f"the table {part.get('name')} has the rule {part.get('rule')}, which is not "
                    f"in {RULE}; add that tableRule, or name one that is there",
                )


def spread(text: str | None) -> list[str]:
    """The names in a list such as ``dn1,dn$2-4``."""
    found: list[str] = []
    for part in filter(None, (one.strip() for one in (text or "").split(","))):
        pattern = _RANGE.fullmatch(part)
        if not pattern:
            found.append(part)
            continue
        before, first, last, after = pattern.groups()
        numbers = range(int(first), min(int(last), int(first) + _MOST) + 1)
        found += [f"{before}{number}{after}" for number in numbers]
    return found


def _about_server(
    server: ET.Element, schema: ET.Element | None, user: str
) -> Iterator[SettingError]:
    users = {one.get("name"): dict(_properties(one)) for one in server.iter("user")}
    if not users:
        yield SettingError(SERVER, "has no <user>, so nobody could log in; add one")
    known = {one.get("name") for one in schema.iter("schema")} if schema is not None else None
    for name, properties in users.items():
        for one in spread(properties.get("schemas")):
            if known is not None and one not in known:
                yield SettingError(
                    SERVER,
                    f"the user {name} may use the schema {one}, which is not in {SCHEMA}; add "
                    "that schema, or name one that is there",
                )
    if user:
        yield from _about_health_user(server, user, user in users)


def _about_health_user(server: ET.Element, user: str, there: bool) -> Iterator[SettingError]:
    if not there:
        yield SettingError(
            SERVER,
            f"has no user {user}, by whom the health endpoint logs in (mycat_status_user); add it",
        )
    allowed = [
        one.get("host") or ""
        for one in server.findall("firewall/whitehost/host")
        if user in spread(one.get("user"))
    ]
    if server.find("firewall/whitehost/host") is not None and not any(map(_covers, allowed)):
        yield SettingError(
            SERVER,
            f"its <whitehost> does not let {user} log in from 127.0.0.1, as the health endpoint "
            f'does; add <host host="127.0.0.1" user="{user}"/>',
        )
    for blacklist in server.findall("firewall/blacklist"):
        refused = dict(_properties(blacklist)).get("showAllow", "").strip() == "false"
        if blacklist.get("check") == "true" and refused:
            yield SettingError(
                SERVER,
                "its <blacklist> has showAllow false, so `show mycat_status` of the health "
                "endpoint would be refused; leave it out",
            )


def _covers(host: str) -> bool:
    """Whether a host of <whitehost>, in which * and % stand for anything, is this one."""
    pattern = re.escape(host).replace(r"\*", ".*").replace("%", ".*").replace(r"\%", ".*")
    return bool(re.fullmatch(pattern, "127.0.0.1"))


def _properties(element: ET.Element | None) -> Iterator[tuple[str, str]]:
    if element is not None:
        for one in element.findall("property"):
            yield str(one.get("name")), one.text or ""
