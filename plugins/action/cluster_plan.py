# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import time
from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.mycat.ha.plugins.module_utils.cluster.files import roles
from ansible_collections.mycat.ha.plugins.module_utils.cluster.plan import make
from ansible_collections.mycat.ha.plugins.module_utils.cluster.request import (
    Refusals,
    Request,
    kinds,
)
from ansible_collections.mycat.ha.plugins.module_utils.readers import SettingError
from ansible_collections.mycat.ha.plugins.plugin_utils.inventory import (
    COLLECTION,
    Inventory,
)
from ansible_collections.mycat.ha.plugins.plugin_utils.mycat_sources import sources
from ansible_collections.mycat.ha.plugins.plugin_utils.views import (
    Views,
    all_views,
    asking_others,
)

ROLES = ("mycat", "mycat_status", "haproxy", "keepalived")


class ActionModule(ActionBase):
    """Plans all clusters on the controller; asks no host."""

    TRANSFERS_FILES = False
    _supports_check_mode = True

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result = super().run(tmp, task_vars)
        _checked, arguments = self.validate_argument_spec(
            argument_spec={
                "roles": {"type": "list", "elements": "str", "choices": list(ROLES)},
                "changing": {"type": "list", "elements": "str", "choices": list(ROLES)},
            }
        )
        wanted = arguments["roles"] or list(ROLES)
        inventory = Inventory(self._task, self._loader, task_vars or {})
        refused = Refusals()
        try:
            clusters, others = inventory.clusters()
        except SettingError as error:
            return {**result, "changed": False, **_refusal([str(error)])}
        every = roles(COLLECTION, ROLES)
        views = Views(inventory, every, refused)
        asking = asking_others(clusters, others)
        first = [host for members in others for host in members.load_balancers[:1]]
        hosts = all_views(views, clusters, (*asking, *first))
        found = sources(inventory, hosts.values(), refused)
        unknown = [
            host
            for host in dict.fromkeys((*kinds(clusters)[0], *kinds(clusters)[1], *asking))
            if not hosts[host].facts and not hosts[host].reachable
        ]
        if refused.found:
            # A variable may want facts of a host that was not read yet.
            refusal = _refusal(refused.sentences(kinds(clusters)))
            return {**result, "changed": False, **refusal, "missing": unknown}
        plan = make(
            Request(
                clusters=clusters,
                hosts=hosts,
                roles={name: every[name] for name in wanted},
                changing=wanted if arguments["changing"] is None else arguments["changing"],
                groups=inventory.groups,
                others=others,
                notes=views.notes,
                managed=self._managed(inventory),
                playing=inventory.task_vars.get("ansible_play_batch"),
                name_of=inventory.name_of,
                started=self._started(inventory),
                sources=found,
            )
        )
        if self._task.check_mode and plan.run["changing"]:
            # Nothing is at risk, so all hosts go at once.
            plan.run["waves"] = [plan.run["changing"]]
        return {**result, "changed": False, **vars(plan), "missing": unknown}

    @staticmethod
    def _started(inventory: Inventory) -> float:
        """When the run began, in seconds since 1970."""
        found = inventory.kept(inventory.task_vars["inventory_hostname"], "__mycat_ha_found") or {}
        return float(found.get("started") or time.time())

    @staticmethod
    def _managed(inventory: Inventory) -> str:
        here = inventory.task_vars["inventory_hostname"]
        return str(inventory.value(here, "ansible_managed") or "Ansible managed")


def _refusal(sentences: list[str]) -> dict[str, Any]:
    """The result where nothing can be planned."""
    return {"refusals": sentences, "missing": [], "hosts": {}, "run": {}}
