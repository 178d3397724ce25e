# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands in the variables of the keepalived role: what keepalived starts, judged. Pure.

Raises SettingError as `settings` does.
"""

from __future__ import annotations

import re
from typing import Any, Iterator, Mapping

from .. import readers
from ..readers import SettingError

Settings = Mapping[str, Any]

NOTIFY = ("notify", "notify_master", "notify_backup", "notify_fault", "notify_stop")

_SHELL = re.compile(r"[|&;<>`$*?()]")


def judge_hooks(settings: Settings) -> None:
    """What is started at a change of state, and where it writes."""
    for keyword in NOTIFY:
        judge_hook(f"keepalived_{keyword}", settings[f"keepalived_{keyword}"])
    fifo, reader = settings["keepalived_notify_fifo"], settings["keepalived_notify_fifo_script"]
    judge_hook("keepalived_notify_fifo_script", reader)
    if fifo and not re.fullmatch(r"/[^\s\"{}#!$@~]+", fifo):
        raise readers.wrong(
            "keepalived_notify_fifo", fifo, "a whole path like /run/keepalived.fifo"
        )
    if reader and not fifo:
        raise SettingError(
            "keepalived_notify_fifo", "is missing for keepalived_notify_fifo_script; name the FIFO"
        )
    log = settings.get("keepalived_log")
    if log and not re.fullmatch(r"/[\w./-]+", log, re.ASCII):
        raise readers.wrong("keepalived_log", log, "a whole path like /var/log/haproxy_check.log")
    metrics = settings.get("keepalived_metrics_directory")
    if metrics and not re.fullmatch(r"(/[\w.-]+)+", metrics, re.ASCII):
        raise readers.wrong(
            "keepalived_metrics_directory",
            metrics,
            "a whole path like /var/lib/prometheus/node-exporter",
        )
    if settings["keepalived_notify_user"]:
        readers.user("keepalived_notify_user", settings["keepalived_notify_user"])


def programs(settings: Settings) -> Iterator[dict[str, str]]:
    """What has to be on the host, as ``path``, and the ``variable`` that names it."""
    named: dict[str, str] = {}
    for keyword in (*NOTIFY, "notify_fifo_script"):
        named.setdefault(settings[f"keepalived_{keyword}"], f"keepalived_{keyword}")
    for index, vip in enumerate(settings["keepalived_vips"]):
        for keyword in NOTIFY:
            named.setdefault(vip.get(keyword) or "", f"keepalived_vips[{index}].{keyword}")
    for index, check in enumerate(settings["keepalived_checks"]):
        named.setdefault(check["script"], f"keepalived_checks[{index}].script")
    for command, variable_name in named.items():
        if command:
            yield {"variable": variable_name, "path": command.split()[0]}


def judge_hook(where: str, command: str) -> None:
    """A command that may be left out."""
    if command:
        judge_command(where, command)


def judge_command(where: str, command: str) -> None:
    """A command that keepalived starts without a shell."""
    readers.text(where, command)
    if not command.startswith("/"):
        raise readers.wrong(where, command, "a command with the whole path of its program")
    if _SHELL.search(command):
        raise SettingError(
            where,
            "{value} needs a shell, and keepalived starts commands without one; put it into a "
            "script and name that",
            value=command,
        )
