# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Versions of installed packages, as dpkg or rpm tells them. Pure but for ``versions``."""

from __future__ import annotations

from collections.abc import Sequence

from .commands import find, run

# Program -> how it is asked for one line a package: name, whether it is installed, version.
_DPKG = ("--show", "--showformat", "${Package} ${db:Status-Status} ${Version}\\n")
_RPM = ("--query", "--queryformat", "%{NAME} installed %{VERSION}-%{RELEASE}\\n")


def versions(names: Sequence[str]) -> dict[str, str | None] | None:
    """Return {name: version or None}; None where there is neither dpkg nor rpm.

    Raises CommandError.
    """
    if not names:
        return {}
    for program, arguments in (("dpkg-query", _DPKG), ("rpm", _RPM)):
        path = find(program)
        if path:
            # Its exit code says only that one of them is not installed.
            return installed(names, run([path, *arguments, "--", *names]).out)
    return None


def installed(names: Sequence[str], output: str) -> dict[str, str | None]:
    """The version of each name in the lines ``NAME STATUS VERSION``, None for what is not there.

    Of several versions, as of kernels, the last one counts.
    """
    lines = [line.split(" ") for line in output.splitlines()]
    found = {line[0]: line[2] for line in lines if len(line) == 3 and line[1] == "installed"}
    return {name: found.get(name) for name in names}
