# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Strict mode."""

from __future__ import annotations

from typing import Iterator

from .. import priority
from ..estate import Estate, Judge
from ..findings import Finding, Rule, Severity
from ..words import listed

STRICT_NO_ACCEPT = Rule(
    "strict-no-accept",
    Severity.ERROR,
    harm="In strict mode the firewall drops what is sent to the address: it moves, and nobody "
    "can reach it.",
    example="global_defs {\n    vrrp_strict\n}",
    fix="Remove vrrp_strict, or write accept in the instance (VRRP version 3).",
    unproven="The address is on the right node; it does not answer there.",
)


def without_strict(estate: Estate) -> str:
    """One mode for all nodes, or they reject each other's adverts."""
    strict = [
        node for node in estate.cluster.nodes if any(one.strict_mode for one in node.instances)
    ]
    return f"Remove vrrp_strict on {listed([node.name for node in strict])}."


def strict_no_accept(estate: Estate) -> Iterator[Finding]:
    """Strict mode, in which the address does not answer."""
    for member in estate.members:
        instance = member.instance
        accepts = priority.is_owner(instance) or (instance.accept and instance.version == 3)
        if instance.strict_mode and not accepts:
            accepting = f", or write accept on {member}." if instance.version == 3 else "."
            yield member.finding(
                STRICT_NO_ACCEPT,
                f"strict mode on {member}: packets to the address are dropped",
                without_strict(estate)[:-1] + accepting,
                "strict_mode",
            )


RULES: dict[Rule, Judge] = {
    STRICT_NO_ACCEPT: strict_no_accept,
}
