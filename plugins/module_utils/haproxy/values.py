# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Single values of the haproxy role's variables, judged: names, times, ports, raw lines.

Each takes the path of the variable and the value as the inventory has it, and raises SettingError,
which says what it is and what to write.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from ..readers import CONTROL, SettingError
from .check_times import seconds

NAME = re.compile(r"[A-Za-z0-9_.:-]+")
_ADDRESS = re.compile(r"[A-Za-z0-9_.:*\[\]-]*:[0-9]+")
HOST = re.compile(r"[A-Za-z0-9_.:-]+")
_LOCAL = re.compile(r"127\.\d+\.\d+\.\d+|::1|\[::1\]|localhost")
HTTP_IN_HTTPCHK = re.compile(r"^\s*option\s+httpchk\b.*\\[rn]", re.IGNORECASE)

NO_HTTP_IN_HTTPCHK = (
    "headers behind `option httpchk` are a form that HAProxy 2.8 and later refuse. Write "
    "`option httpchk` and, on the next line, such as `http-check send meth GET uri / ver HTTP/1.1 "
    "hdr Host www`"
)


def refuse(where: str, value: object, wanted: str) -> SettingError:
    """What is wrong with a value: what it is instead of ``wanted``, and what to write."""
    said = shown(value) if isinstance(value, str) else repr(value)
    return SettingError(where, f"{said} is {wanted}")


def name(where: str, value: object) -> str:
    """A name that HAProxy takes for a proxy or a server."""
    if not isinstance(value, str) or not NAME.fullmatch(value):
        raise refuse(where, value, "no name for HAProxy; write letters, digits and _ . : -")
    return value


def time(where: str, value: object) -> str:
    """A time with its unit, as HAProxy reads it."""
    text = value if isinstance(value, str) else ""
    try:
        seconds(text)
    except ValueError:
        wanted = "not a time; write a number and a unit (us, ms, s, m, h, d), such as 500ms or 35m"
        raise refuse(where, value, wanted) from None
    return text


def number(where: str, value: object, least: int, most: int) -> int:
    """A whole number from ``least`` to ``most``."""
    try:
        found = int(str(value)) if not isinstance(value, bool) else least - 1
    except ValueError:
        found = least - 1
    if not least <= found <= most:
        raise refuse(where, value, f"out of range; write {least} to {most}")
    return found


def port(where: str, value: object) -> int:
    """A TCP port."""
    return number(where, value, 1, 65535)


def choice(where: str, value: object, choices: tuple[str, ...]) -> str:
    """One of several words."""
    if value not in choices:
        raise refuse(where, value, f"unknown; write one of {', '.join(choices)}")
    return str(value)


def word(where: str, value: object) -> str:
    """A single word that the file can carry as it is."""
    if not isinstance(value, str) or not re.fullmatch(r"[!-~]+", value):
        raise refuse(where, value, "no single word; write printable characters without spaces")
    if set(value) & set("\"'\\#$"):
        raise refuse(where, value, "more than a word to HAProxy; leave out \" ' \\ # and $")
    return value


def lines(where: str, value: object) -> list[str]:
    """Raw lines, one list entry each; a text of several lines is split."""
    given = value.splitlines() if isinstance(value, str) else value
    if not isinstance(given, list) or not all(isinstance(line, str) for line in given):
        raise SettingError(where, "is no list of lines")
    for index, line in enumerate(given):
        if CONTROL.search(line):
            raise SettingError(f"{where}[{index}]", "has several lines; write one in each entry")
        if HTTP_IN_HTTPCHK.match(line):
            raise SettingError(f"{where}[{index}]", NO_HTTP_IN_HTTPCHK)
    return [line.strip() for line in given if line.strip()]


def raw(where: str, value: object) -> str:
    """Raw words at the end of a line."""
    if not isinstance(value, str) or CONTROL.search(value):
        raise refuse(where, value, "not the rest of a line; write words without a newline")
    return value.strip()


def bind(where: str, value: object) -> list[str]:
    """One or several addresses, each with its port."""
    given = value.split(",") if isinstance(value, str) else value
    if not isinstance(given, list) or not given:
        raise refuse(where, value, "no address and port; write ADDRESS:PORT, such as *:8066")
    for address in given:
        if not isinstance(address, str) or not _ADDRESS.fullmatch(address):
            raise refuse(where, address, "no address and port; write ADDRESS:PORT, such as *:8066")
        port(where, address.rpartition(":")[2])
    return list(given)


def options(where: str, value: object, keys: Iterable[str]) -> dict[str, Any]:
    """A mapping with some of these keys, without those that were left out."""
    if not isinstance(value, Mapping):
        raise refuse(where, value, f"no mapping; write any of {', '.join(keys)}")
    # Ansible gives an option that was left out as None.
    given = {str(key): value[key] for key in value if value[key] is not None}
    for key in given:
        if key not in keys:
            raise SettingError(f"{where}.{key}", f"is no option; write one of {', '.join(keys)}")
    return given


def shown(value: str) -> str:
    """A text as a sentence shows it, on one line."""
    return '"' + value.replace("\n", "\\n") + '"'


def is_local(bind: str) -> bool:
    """Tell whether nobody but the host itself reaches this ADDRESS:PORT."""
    return bool(_LOCAL.fullmatch(bind.rpartition(":")[0]))
