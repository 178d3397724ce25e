# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a plan has to say although it holds; the planner raises them."""

from __future__ import annotations

from ..findings import Rule, Severity

ADVERT_INT_SHORT = Rule(
    "advert-int-short",
    Severity.WARNING,
    harm="Adverts come so often that a CPU which stalls for a moment looks like a lost node.",
    example="node_loss_budget: 0.2",
    fix="Write a larger node_loss_budget, or measure how long your hosts stall.",
)

SPREAD_NOT_KEPT = Rule(
    "spread-not-kept",
    Severity.INFO,
    harm="Sticky addresses do not return: after a failure one node can hold all of them.",
    example="preempt: sticky\nvips: [{address: 192.0.2.100/24}, {address: 192.0.2.101/24}]",
    fix="Write preempt: preferred to have each address return to its own node.",
)

HANG_UNNOTICED = Rule(
    "hang-unnoticed",
    Severity.INFO,
    harm="Mode kill notices a HAProxy that ends, not one that hangs.",
    example="mode: kill",
    fix="Write mode: fault, which notices both.",
)

RULES = (
    ADVERT_INT_SHORT,
    SPREAD_NOT_KEPT,
    HANG_UNNOTICED,
)
