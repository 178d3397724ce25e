# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What `keepalived -t` really said, and a diff without secrets."""

from __future__ import annotations

import re

# Debian 12's keepalived 2.2.7 ends itself by SIGTERM when the configuration has both
# enable_script_security and a script_user other than root; mended in 2.2.8
# (acassen/keepalived issues 2587 and 2617). A shell reports that as 128 + 15, subprocess as -15.
_TERMINATED = (143, -15)

# Lines that belong to every run and complain of nothing.
_HARMLESS = re.compile(
    r"^(\s*$"
    r"|Terminated$"
    r"|\s*'"
    r"|.*\bStarting (Keepalived|VRRP|Healthcheck)"
    r"|.*\bStopped\b"
    r"|.*\bRunning on "
    r"|.*\bCommand line:"
    r"|.*\bConfiguration file "
    r"|.*\bOpening file )"
)

_SECRET = re.compile(r"(?m)^(\s*auth_pass\s+).*$")

MASK = "********"


def complaints(exit_code: int, output: str) -> tuple[str, ...]:
    """Return what is wrong with a configuration; nothing at all means that it holds.

    ``exit_code`` and ``output`` (stdout and stderr) are those of ``keepalived -t``. Neither alone
    tells the truth: a good file can end with 143, a bad one with 0 and a line such as
    "Disabling track script ...".
    """
    lines = tuple(line.strip() for line in output.splitlines() if not _HARMLESS.match(line))
    if lines or exit_code == 0 or exit_code in _TERMINATED:
        return lines
    return (f"keepalived -t ended with exit code {exit_code} and said nothing",)


def masked(text: str) -> str:
    """Return the configuration with every ``auth_pass`` replaced, for diffs and messages."""
    return _SECRET.sub(r"\g<1>" + MASK, text)
