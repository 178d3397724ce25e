# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The states of several hosts, read by one task: each host over its own connection.

A task that repeats itself would grow the play, and be shown, with every repetition.
"""

from __future__ import annotations

import inspect
import os
import signal
import time
from collections.abc import Callable, Iterable, Sequence
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from ansible.executor.task_executor import TaskExecutor
from ansible.playbook.play_context import PlayContext
from ansible.utils.display import Display
from ansible.utils.multiprocessing import context as processes

from .inventory import Inventory, plain

MODULE = "mycat.ha.host_state"
# Seconds after which a host has given no answer; ssh gives up before, unless the host hangs.
PATIENCE = 60.0


def states(
    inventory: Inventory, shared: Any, play_context: Any, hosts: Sequence[str], forks: int
) -> dict[str, Any]:
    """What `MODULE` says on each host, None where there is no answer: {host: state}.

    ``shared`` are the loaders of plugins and ``play_context`` the passwords that a task has.
    """
    passwords = {"conn_pass": play_context.password, "become_pass": play_context.become_pass}

    def ask(host: str) -> Any:
        found = _run(inventory, shared, passwords, host)
        return found if "files" in found else None

    return {host: state for some in _groups(hosts, forks) for host, state in _each(ask, some)}


def _groups(hosts: Sequence[str], size: int) -> Iterable[Sequence[str]]:
    return (hosts[start : start + size] for start in range(0, len(hosts), size))


def _run(inventory: Inventory, shared: Any, passwords: dict[str, Any], host: str) -> Any:
    """Run `MODULE` on a host as the strategy of a play would."""
    task = inventory.task.copy()
    task.action, task.args, task.register = MODULE, {}, None
    manager = inventory.task.get_variable_manager()
    given = {
        "host": manager._inventory.get_host(host),
        "task": task,
        "job_vars": dict(inventory.variables(host)),
        "play_context": PlayContext(play=task.play, passwords=passwords),
        "new_stdin": open(os.devnull),  # noqa: SIM115 - it ends with the process
        "loader": inventory.loader,
        "shared_loader_obj": shared,
        "final_q": Display()._final_q,
        "variable_manager": manager,
    }
    # Which of them it takes differs between versions of ansible-core.
    taken = list(inspect.signature(TaskExecutor.__init__).parameters)[1:]
    return plain(TaskExecutor(**{name: given[name] for name in taken}).run())


def _each(ask: Callable[[str], Any], hosts: Sequence[str]) -> Iterable[tuple[str, Any]]:
    """Ask all ``hosts`` at once, in processes of their own, so that nothing of it stays."""
    asked = {host: _start(ask, host) for host in hosts}
    until = time.monotonic() + PATIENCE
    for host, (process, answer) in asked.items():
        yield host, _received(answer, until - time.monotonic())
        process.kill()
        process.join()
        process.close()
        answer.close()


def _start(ask: Callable[[str], Any], host: str) -> tuple[BaseProcess, Connection]:
    answer, told = processes.Pipe(duplex=False)

    def tell() -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        told.send(ask(host))

    process = processes.Process(target=tell, daemon=True)
    process.start()
    told.close()
    return process, answer


def _received(answer: Connection, seconds: float) -> Any:
    try:
        return answer.recv() if wait([answer], max(0.0, seconds)) else None
    except EOFError:
        return None
