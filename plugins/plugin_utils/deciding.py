# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Actions that decide, from what the hosts were found to be, what a run does to them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from ansible.plugins.action import ActionBase
from ansible_collections.mycat.ha.plugins.module_utils.readers import SettingError
from ansible_collections.mycat.ha.plugins.module_utils.report.cluster import mapping

from .inventory import Inventory


@dataclass(frozen=True)
class Situation:
    """What a run knows: ``run`` is what the plan says of it, ``hosts`` are all of its clusters."""

    inventory: Inventory
    run: Mapping[str, Any]
    hosts: list[str]

    @classmethod
    def of(cls, inventory: Inventory) -> Situation:
        """What the run of these variables knows."""
        here = inventory.task_vars["inventory_hostname"]
        run = mapping(inventory.kept(here, "__mycat_ha_run"))
        return cls(inventory, run, list(mapping(run.get("clusters"))))

    @property
    def expected(self) -> Any:
        """What the plan expects of the clusters, as `judge` takes it."""
        return self.run.get("expected")

    @property
    def states(self) -> dict[str, Any]:
        """What mycat.ha.host_state says of each host, None where there was no answer."""
        return {host: self.inventory.state(host) or None for host in self.hosts}

    @property
    def failed(self) -> list[str]:
        """The hosts on which a task failed."""
        return [host for host in self.hosts if self.inventory.kept(host, "__mycat_ha_failure")]

    @property
    def started(self) -> str:
        """The name of this run: when it began."""
        return str(self.run.get("started"))


class Decision(ActionBase):
    """Decides on the controller; see the module of the same name for its documentation.

    ``OPTIONS`` are its options as Ansible wants them.
    """

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True
    OPTIONS: ClassVar[dict[str, Any]] = {}

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result = super().run(tmp, task_vars)
        _valid, options = self.validate_argument_spec(self.OPTIONS)
        situation = Situation.of(Inventory(self._task, self._loader, task_vars or {}))
        try:
            return {**result, "changed": False, **self.decide(situation, options)}
        except SettingError as error:
            return {**result, "failed": True, "msg": str(error)}

    def decide(self, situation: Situation, options: dict[str, Any]) -> dict[str, Any]:
        """What the task returns. Raises SettingError."""
        raise NotImplementedError
