# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which firewall is in force on this host, and what rules somebody gave it.

firewalld is asked by firewall-cmd, ufw by its own files and by `ufw show added`. Of a bare set of
nftables only that it refuses something is told.
"""

from __future__ import annotations

import re
from typing import Any

from .commands import find, run
from .files import read_text

_UFW_CONF = "/etc/ufw/ufw.conf"
_UFW_ENABLED = re.compile(r"^ENABLED=yes\b", re.MULTILINE | re.IGNORECASE)
_INPUT = re.compile(r"hook input\b[^}]*", re.DOTALL)
_REFUSES = re.compile(r"policy drop|\b(?:drop|reject)\b")


def state() -> dict[str, Any]:
    """Return ``{"kind", "rules"}``: ``firewalld``, ``ufw`` or ``nftables``, None where none is in
    force; the rules are as the program prints them. Raises CommandError, OSError."""
    for kind, rules in (("firewalld", _firewalld), ("ufw", _ufw)):
        found = rules()
        if found is not None:
            return {"kind": kind, "rules": found}
    return {"kind": "nftables" if _nftables() else None, "rules": []}


def _firewalld() -> list[str] | None:
    program = find("firewall-cmd")
    if program is None or run([program, "--state"]).code:
        return None
    return list(filter(None, run([program, "--list-rich-rules"]).out.splitlines()))


def _ufw() -> list[str] | None:
    program = find("ufw")
    if program is None or not _UFW_ENABLED.search(read_text(_UFW_CONF)):
        return None
    lines = run([program, "show", "added"]).out.splitlines()
    return [line for line in lines if line.startswith("ufw ")]


def _nftables() -> bool:
    program = find("nft")
    return program is not None and refuses(run([program, "list", "ruleset"]).out)


def refuses(ruleset: str) -> bool:
    """Whether a set of rules as `nft list ruleset` prints it drops or rejects some input."""
    return any(_REFUSES.search(chain) for chain in _INPUT.findall(ruleset))
