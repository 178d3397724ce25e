# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Javas of the distributions, by the names of their packages. Pure."""

from __future__ import annotations

import re
from typing import Any, Mapping

from .archive import Archive, java_number

#: What was measured; the nearest to it is taken.
USUAL = 17
#: {(distribution, major version): Javas}.
_DEBIAN = {
    ("Debian", "11"): (11, 17),
    ("Debian", "12"): (17,),
    ("Debian", "13"): (21,),
    ("Ubuntu", "20"): (8, 11, 17, 21),
    ("Ubuntu", "22"): (8, 11, 17, 21),
    ("Ubuntu", "24"): (8, 11, 17, 21),
}
_REDHAT = {"8": (8, 11, 17, 21), "9": (8, 11, 17, 21), "10": (21,)}
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "ppc64le": "ppc64el"}
_NUMBER = re.compile(r"(?:openjdk-|java-)(1\.8\.0|\d+)")


def offered(facts: Mapping[str, Any]) -> tuple[int, ...]:
    """The Javas that the distribution of a host has, as far as it is known."""
    major = str(facts.get("distribution_major_version") or "")
    if facts.get("os_family") == "RedHat":
        return _REDHAT.get(major, ())
    return _DEBIAN.get((str(facts.get("distribution")), major), ())


def chosen(archive: Archive, facts: Mapping[str, Any]) -> int:
    """The Java of the distribution on which the archive is to run, 0 where none can."""
    fitting = [java for java in offered(facts) if archive.runs_on(java)]
    return min(fitting, key=lambda java: abs(java - USUAL), default=0)


def package(java: int, facts: Mapping[str, Any]) -> str:
    """The package of a Java without desktop."""
    if facts.get("os_family") == "RedHat":
        return f"java-{'1.8.0' if java == 8 else java}-openjdk-headless"
    return f"openjdk-{java}-jre-headless"


def of_package(name: str) -> int:
    """The Java that a package has, 0 where its name does not tell."""
    found = _NUMBER.match(name)
    return java_number(found.group(1)) if found else 0


def command(java: int, facts: Mapping[str, Any]) -> str:
    """Where the package of a Java puts its program."""
    if facts.get("os_family") == "RedHat":
        return f"/usr/lib/jvm/jre-{'1.8.0' if java == 8 else java}/bin/java"
    machine = str(facts.get("architecture") or "x86_64")
    return f"/usr/lib/jvm/java-{java}-openjdk-{_ARCHITECTURES.get(machine, machine)}/bin/java"
