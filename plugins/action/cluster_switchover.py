# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

from ansible_collections.mycat.ha.plugins.module_utils.cluster.switchover import not_there, steps
from ansible_collections.mycat.ha.plugins.plugin_utils.deciding import Decision, Situation
from ansible_collections.mycat.ha.plugins.plugin_utils.wishes import wishes


class ActionModule(Decision):
    """Which load balancers give addresses up, and afterwards whether they went."""

    def decide(self, situation: Situation, _options: dict[str, Any]) -> dict[str, Any]:
        inventory, expected, states = situation.inventory, situation.expected, situation.states
        wished = wishes(inventory, *inventory.clusters())
        done = inventory.kept(inventory.task_vars["inventory_hostname"], "__mycat_ha_moves")
        return {
            **steps(wished, expected, states).as_data(),
            "seconds": wished[0].drain,
            "force": wished[0].force,
            "missed": not_there(done, expected, states) if done else [],
        }
