# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an operator calls the options of the role and of the plan. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Collection, Mapping

# Wishes of the whole collection, which the role's variables of the same name default to.
SHARED = ("vips", "failover_mode", "preempt", "failover_budget", "node_loss_budget")

_PREFIX = "keepalived_"
_PATH = re.compile(r"([^.\[]*)(\[([0-9]*)\])?(.*)", re.DOTALL)
# The variables behind what a node of a plan has.
_OF_NODE = {"address": "keepalived_address", "interface": "keepalived_interface"}


@dataclass(frozen=True)
class OperatorNames:
    """Calls an option by the variable that the operator set, or would set.

    ``given`` are the variables that are set; ``checks`` and ``nodes`` the names of what the plan is
    asked for, which ``checks[1]`` and ``nodes[0]`` are called by.
    """

    given: Collection[str] = ()
    checks: tuple[str, ...] = ()
    nodes: tuple[str, ...] = ()

    @classmethod
    def of_request(cls, given: Collection[str], asked: Mapping[str, Any]) -> OperatorNames:
        """The names for ``asked``, the options of ``vrrp_plan``."""
        return cls(
            given,
            tuple(check["name"] for check in asked["checks"]),
            tuple(node["name"] for node in asked["nodes"]),
        )

    def __call__(self, option: str) -> str:
        found = _PATH.fullmatch(option)
        if found is None:
            return option
        head, brackets, index, rest = found.groups()
        if head == "nodes":
            return self._node(index, rest)
        if head == "checks":
            return self._check(index, rest)
        name = head[len(_PREFIX) :] if head.startswith(_PREFIX) else head
        name = "failover_mode" if name == "mode" else name
        if name == "vips":
            return self._vip(brackets or "", rest)
        if name in SHARED:
            own = _PREFIX + name
            return (own if own in self.given else f"mycat_ha_{name}") + (brackets or "") + rest
        return _PREFIX + name + (brackets or "") + rest if name in _ASKED else option

    def _node(self, index: str | None, rest: str) -> str:
        if not index:
            group = "keepalived_group" if "keepalived_group" in self.given else "mycat_ha_lb_group"
            return f"the load balancers ({group})"
        host = self.nodes[int(index)]
        if not rest:
            return host
        last = rest.rpartition(".")[2]
        return f"{_OF_NODE.get(last, rest.lstrip('.'))} of {host}"

    def _check(self, index: str | None, rest: str) -> str:
        if index:
            return f"keepalived_checks {self.checks[int(index)]}{rest}"
        if index is None:
            return "keepalived_checks"
        # Of every check: the role has one that ranks unless it is turned off.
        also = "keepalived_backends_check: false and " if "backends" in self.checks else ""
        return also + rest.lstrip(".")

    def _vip(self, brackets: str, rest: str) -> str:
        if f"{_PREFIX}vips" in self.given:
            return f"{_PREFIX}vips{brackets}{rest}"
        if "mycat_ha_vips" in self.given:
            return f"mycat_ha_vips{brackets}{rest}"
        if "mycat_ha_vip" in self.given and brackets in ("", "[0]"):
            return "mycat_ha_vip" + ("" if rest == ".address" else rest)
        return f"{_PREFIX}vips{brackets}{rest}"


# Options of vrrp_plan that the role has a variable for.
_ASKED = (
    "vrrp_version",
    "priorities",
    "preempt_delay",
    "multicast",
    "taken_virtual_router_ids",
    "keepalived_version",
)
