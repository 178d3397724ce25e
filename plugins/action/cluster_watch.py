# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import signal
import time
from dataclasses import replace
from typing import Any, NoReturn

from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.mycat.ha.plugins.action.cluster_report import (
    Facts,
    collect,
    write_report,
)
from ansible_collections.mycat.ha.plugins.module_utils.report.judge import judge
from ansible_collections.mycat.ha.plugins.module_utils.report.table import clock, table
from ansible_collections.mycat.ha.plugins.plugin_utils.inventory import Inventory
from ansible_collections.mycat.ha.plugins.plugin_utils.looking import states

OPTIONS = {
    "every": {"type": "float", "required": True},
    "report": {"type": "path"},
}


class ActionModule(ActionBase):
    """Reads, judges and shows until it is interrupted; the module of the same name documents it."""

    TRANSFERS_FILES = False
    _supports_check_mode = True

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result = super().run(tmp, task_vars)
        _valid, options = self.validate_argument_spec(OPTIONS)
        inventory = Inventory(self._task, self._loader, task_vars or {})
        try:
            self._watch(inventory, **options)
        except AnsibleError as error:
            return {**result, "failed": True, "msg": str(error)}

    def _watch(self, inventory: Inventory, every: float, report: str | None) -> NoReturn:
        facts = collect(inventory)
        hosts = list(facts.clusters)
        forks = int(inventory.task_vars.get("ansible_forks") or len(hosts))
        while True:
            _show(facts, every, report)
            time.sleep(every)
            began = time.time()
            found = states(
                inventory, self._shared_loader_obj, self._play_context, hosts, max(1, forks)
            )
            facts = replace(facts, states=found, started=began)


def _show(facts: Facts, every: float, path: str | None) -> None:
    """Show the states, and write them to ``path``. Raises AnsibleError."""
    seconds = max(0.0, time.time() - facts.started)
    report = judge(
        facts.expected, facts.states, playbook="status", started=facts.started, seconds=seconds
    )
    refusal = write_report(report, path, every=every) if path else ""
    if refusal:
        raise AnsibleError(refusal)
    _display("\n".join(["", f"{clock(report['started'])} UTC", *table(report)]))


def _display(text: str) -> None:
    """Display a text whole: of a worker that ends in the middle Ansible would wait without end for
    the lock of its queue."""
    former = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        Display().display(text)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, former)
