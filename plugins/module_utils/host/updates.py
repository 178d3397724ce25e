# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Newer versions of installed packages, as apt-get or dnf tells them, and their installation."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Dict, Tuple

from .commands import CommandError, find, run
from .packages import versions

ALL = "all"
REBOOT_REQUIRED = "/run/reboot-required"
_LONG = 1800.0  # seconds
# Files of ours stay as they are.
_APT = (
    *("-q", "-y", "-o", "Dpkg::Options::=--force-confdef", "-o", "Dpkg::Options::=--force-confold"),
    *("-o", "DPkg::Lock::Timeout=300"),
)
# Restarting what else uses a library is for the reboot, or for whoever asked for this update.
_QUIET = {
    "DEBIAN_FRONTEND": "noninteractive",
    "NEEDRESTART_MODE": "l",
    "APT_LISTCHANGES_FRONTEND": "none",
}
_INST = re.compile(r"^Inst (\S+)(?: \[(\S+)\])? \((\S+)", re.MULTILINE)
_DNF = re.compile(r"^(\S+)\.(?:\w+)\s+(\S+)\s+\S+$", re.MULTILINE)

Updates = Dict[str, Tuple[str, str]]


def apt_updates(text: str) -> Updates:
    """{package: (version, newer version)} of what ``apt-get --simulate`` prints."""
    return {name: (old, new) for name, old, new in _INST.findall(text)}


def dnf_updates(text: str, installed: Mapping[str, str | None]) -> Updates:
    """The same of what ``dnf check-update`` prints, up to what it calls obsolete."""
    newer = dict(_DNF.findall(text.partition("\nObsoleting")[0]))
    return {name: (installed.get(name) or "", version) for name, version in newer.items()}


def listed(names: Sequence[str], refresh: bool) -> Updates:
    """What would be updated; ``names`` that are not installed are left out.

    Raises CommandError, LookupError.
    """
    apt = find("apt-get")
    tool = apt or find("dnf")
    if tool is None:
        raise LookupError("this host has neither apt-get nor dnf")
    if apt and refresh:
        _checked([apt, "-q", "update"])
    wanted = _wanted(names)
    if wanted == []:
        return {}
    if apt:
        return apt_updates(_checked([apt, "--simulate", *_what(wanted)]))
    said = run(
        [tool, "-q", *(["--refresh"] if refresh else []), "check-update", *(wanted or [])], _LONG
    )
    if said.code not in (0, 100):
        raise CommandError(f"dnf check-update: {said.err.strip() or said.out.strip()}")
    newer = dnf_updates(said.out, {})
    return dnf_updates(said.out, versions(list(newer)) or {})


def apply(names: Sequence[str]) -> None:
    """Update them. Raises CommandError, LookupError."""
    apt, dnf = find("apt-get"), find("dnf")
    wanted = _wanted(names)
    os.environ.update(_QUIET)
    if apt:
        _checked([apt, *_APT, *_what(wanted)])
    elif dnf:
        _checked([dnf, "-q", "-y", "upgrade", *(wanted or [])])
    else:
        raise LookupError("this host has neither apt-get nor dnf")


def _wanted(names: Sequence[str]) -> list[str] | None:
    """Those that are installed; None for all packages."""
    if ALL in names:
        return None
    return [name for name, version in (versions(names) or {}).items() if version]


def _what(wanted: Iterable[str] | None) -> list[str]:
    return ["dist-upgrade"] if wanted is None else ["install", "--only-upgrade", *wanted]


def _checked(command: Sequence[str]) -> str:
    said = run(command, _LONG)
    if said.code:
        lines = (said.err.strip() or said.out.strip()).splitlines()
        raise CommandError(f"{' '.join(command)}: {' '.join(lines[-3:])}")
    return said.out
