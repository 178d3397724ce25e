# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings that are wrong, and readers that find them.

A reader takes the path of an option as a user would write it, and the value, and returns the value
with its type or raises ``SettingError``. Pure.
"""

from __future__ import annotations

import ipaddress
import re
from enum import Enum
from typing import Any, Callable, Iterable, Mapping, Sequence, TypeVar

_Kind = TypeVar("_Kind", bound=Enum)

# What keepalived.conf could take for something else: blanks, braces, quotes, comments, variables.
_WORD = re.compile(r"""[^\s{}"'#!$@~\\\x00-\x1f\x7f]{1,255}""")
#: Signs that no line of a configuration has: terminals that show a diff would obey some of them.
CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,31}[$]?")
LONGEST = 1_000_000
MOST_ITEMS = 1000
_VERSION = re.compile(r"[0-9]{1,4}(\.[0-9]{1,4}){1,3}")
_STEP = r"[a-z_0-9]+(?:\[[0-9]*\])?"
_FIELD = re.compile(rf"\{{({_STEP}(?:\.{_STEP})*)\}}")

Naming = Callable[[str], str]


def plain_name(option: str) -> str:
    """An option by its path; that of any item of a list (``checks[].effect``) by its last name."""
    return option.rpartition("[].")[2]


class SettingError(ValueError):
    """A setting that cannot be used.

    ``path`` is its option, such as ``vips[0].address``, and ``option`` what ``naming`` calls that;
    ``problem`` goes on behind the name and says what to write instead. It is made of ``template``,
    which has other options in braces, as ``{mode}``, and ``{value}`` where that is to be shown.
    ``host`` is the host whose setting it is, empty for all.
    """

    def __init__(
        self,
        path: str,
        template: str,
        *,
        value: object = None,
        host: str = "",
        naming: Naming = plain_name,
    ) -> None:
        def fill(field: re.Match[str]) -> str:
            name = field.group(1)
            return _shown(value) if name == "value" else naming(name)

        super().__init__(path, template)
        self.path = path
        self.template = template
        self.value = value
        self.host = host
        self.option = naming(path)
        self.problem = _FIELD.sub(fill, template)

    def named(self, naming: Naming) -> SettingError:
        """The same error with every option as ``naming`` calls it."""
        return SettingError(
            self.path, self.template, value=self.value, host=self.host, naming=naming
        )

    def on(self, host: str) -> SettingError:
        """The same error, of this host."""
        return SettingError(self.path, self.template, value=self.value, host=host)

    def __str__(self) -> str:
        where = f"{self.host}: " if self.host else ""
        return f"{where}{self.option}: {self.problem}"


class RefusalError(ValueError):
    """All settings that cannot be used, in ``errors``; as text one sentence a line."""

    def __init__(self, errors: Iterable[SettingError]) -> None:
        self.errors = tuple(errors)
        super().__init__("\n".join(map(str, self.errors)))


def collected(*readers: Callable[[], object]) -> list[Any]:
    """The results of all ``readers``. Raises the one SettingError that they raise, or
    RefusalError with all of them."""
    results = []
    errors: list[SettingError] = []
    for read in readers:
        try:
            results.append(read())
        except RefusalError as several:
            errors.extend(several.errors)
        except SettingError as error:
            errors.append(error)
    if len(errors) == 1:
        raise errors[0]
    if errors:
        raise RefusalError(errors)
    return results


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def wrong(where: str, value: object, wanted: str) -> SettingError:
    """The error for a value that is not what is wanted."""
    return SettingError(where, f"is {{value}}; write {wanted}", value=value)


def mapping(where: str, value: object, options: Iterable[str]) -> Mapping[str, object]:
    """A dictionary that has none but these options."""
    known = tuple(options)
    if not isinstance(value, Mapping):
        raise wrong(where, value, "a dictionary with " + ", ".join(known))
    for key in value:
        if key not in known:
            raise SettingError(f"{where}.{key}", f"is not known here; write {', '.join(known)}")
    return value


def items(where: str, value: object, most: int = MOST_ITEMS) -> Iterable[tuple[str, object]]:
    """The items of a list, each with its own path."""
    if not isinstance(value, (list, tuple)):
        raise wrong(where, value, "a list")
    if len(value) > most:
        raise SettingError(where, f"has {len(value)} items; write at most {most}")
    return ((f"{where}[{index}]", item) for index, item in enumerate(value))


def word(where: str, value: object) -> str:
    """A name that can stand in a keepalived.conf without quotes."""
    if not isinstance(value, str) or not _WORD.fullmatch(value):
        raise wrong(where, value, "a name without blanks, quotes, braces or any of # ! $ @ ~")
    return value


def user(where: str, value: object) -> str:
    """The name of a user, which stands in configurations of systemd and keepalived."""
    if not isinstance(value, str) or not _USER.fullmatch(value):
        raise wrong(where, value, "a user's name like keepalived_script")
    return value


def text(where: str, value: object) -> str:
    """One line without double quotes, such as a command."""
    if not isinstance(value, str) or CONTROL.search(value) or re.search(r'"|\$\{', value):
        raise wrong(where, value, "one line without double quotes")
    return value


def integer(where: str, value: object, least: int = 0, most: int = 1_000_000) -> int:
    """A whole number within bounds."""
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise wrong(where, value, f"a whole number from {least} to {most}")
    return value


def seconds(where: str, value: object) -> float:
    """A duration of 0 or more seconds, at most 11 days."""
    # No comparison holds for NaN.
    if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= LONGEST:
        return float(value)
    raise wrong(where, value, f"a number of seconds from 0 to {LONGEST}")


def duration(where: str, value: object) -> float:
    """More than 0 seconds, at most 11 days."""
    positive = seconds(where, value)
    if not positive:
        raise wrong(where, value, "a number of seconds above 0")
    return positive


def flag(where: str, value: object) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise wrong(where, value, "true or false")
    return value


def choice(where: str, value: object, choices: Sequence[str]) -> str:
    """One of several words."""
    if value not in choices:
        raise wrong(where, value, "one of " + ", ".join(choices))
    return str(value)


def member_of(kind: type[_Kind]) -> Callable[[str, object], _Kind]:
    """A reader of the values of an enumeration."""
    values = [member.value for member in kind]
    return lambda where, value: kind(choice(where, value, values))


def unique(option: str, key: str, values: Sequence[object]) -> None:
    """Asks that no item of a list has the ``key`` of another; ``values`` are the keys in order."""
    seen: dict[object, int] = {}
    for index, value in enumerate(values):
        first = seen.setdefault(value, index)
        if first != index:
            raise SettingError(
                f"{option}[{index}].{key}",
                f"{value} is given to {{{option}[{first}]}} too; write another",
            )


def address(where: str, value: object) -> str:
    """An IP address without prefix."""
    try:
        if not isinstance(value, str) or "%" in value:
            raise ValueError
        ipaddress.ip_address(value)
    except ValueError:
        raise wrong(where, value, "an address like 192.0.2.11, without a prefix") from None
    return value


def virtual_address(where: str, value: object) -> str:
    """An IP address with or without prefix, followed by keepalived's words like ``dev eth0``."""
    words = value.split() if isinstance(value, str) else []
    try:
        if not words or "%" in words[0]:
            raise ValueError
        ipaddress.ip_interface(words[0])
    except ValueError:
        raise wrong(where, value, "an address like 192.0.2.100/24") from None
    return " ".join([words[0], *(word(where, other) for other in words[1:])])


def vrrp_version(where: str, value: object) -> int:
    """The version of the protocol: 2 or 3."""
    return integer(where, value, 2, 3)


def version(where: str, value: object) -> tuple[int, ...]:
    """A version such as 2.2.7 as numbers."""
    if not isinstance(value, str) or not _VERSION.fullmatch(value):
        raise wrong(where, value, "a version like 2.2.7")
    return tuple(int(part) for part in value.split("."))
