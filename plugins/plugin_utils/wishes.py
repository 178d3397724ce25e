# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an operator wants of a run, as the variables of the command line say it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ansible_collections.mycat.ha.plugins.module_utils.cluster.members import Members
from ansible_collections.mycat.ha.plugins.module_utils.cluster.removal import (
    PACKAGES as REMOVE_PACKAGES,
)
from ansible_collections.mycat.ha.plugins.module_utils.cluster.removal import (
    REMOVE,
    Removal,
    read_removal,
)
from ansible_collections.mycat.ha.plugins.module_utils.cluster.restart import (
    MINIMUM,
    ONLY,
    Order,
    read_order,
)
from ansible_collections.mycat.ha.plugins.module_utils.cluster.update import PACKAGES, REBOOT
from ansible_collections.mycat.ha.plugins.module_utils.cluster.wishes import (
    DRAIN,
    FORCE,
    VERBS,
    Wish,
    read_wishes,
)
from ansible_collections.mycat.ha.plugins.module_utils.readers import SettingError
from ansible_collections.mycat.ha.plugins.module_utils.settings import typed

from .inventory import Inventory, collection_spec


def wishes(inventory: Inventory, clusters: list[Members], others: list[Members]) -> list[Wish]:
    """One wish for each cluster that is concerned. Raises SettingError."""
    settings = _settings(inventory, (*VERBS, DRAIN, FORCE))
    return read_wishes(settings, clusters, others, _playing(inventory))


def order(inventory: Inventory, clusters: list[Members]) -> Order:
    """Which MyCats are restarted, and how. Raises SettingError."""
    settings = _settings(inventory, (ONLY, MINIMUM, DRAIN, FORCE))
    return read_order(settings, clusters, _playing(inventory))


def update_wishes(inventory: Inventory) -> tuple[list[str], str]:
    """The packages that are updated, and which hosts are rebooted. Raises SettingError."""
    settings = _settings(inventory, (PACKAGES, REBOOT))
    return list(settings[PACKAGES]), str(settings[REBOOT])


def removal(inventory: Inventory, clusters: list[Members], others: list[Members]) -> Removal:
    """Which hosts leave. Raises SettingError."""
    settings = _settings(inventory, (REMOVE, REMOVE_PACKAGES))
    return read_removal(settings, clusters, others, _playing(inventory))


def _playing(inventory: Inventory) -> list[str]:
    return list(inventory.task_vars.get("ansible_play_hosts_all") or ())


def _settings(inventory: Inventory, names: Iterable[str]) -> dict[str, Any]:
    """These variables, typed. Raises SettingError."""
    every = collection_spec()
    values, broken = inventory.templated(inventory.task_vars["inventory_hostname"], names)
    for name, why in broken.items():
        raise SettingError(name, f"cannot be evaluated: {why}")
    settings, errors = typed({name: every[name] for name in names}, values)
    for error in errors:
        raise error
    return settings


def concerned(
    inventory: Inventory, clusters: list[Members], others: list[Members], removing: bool
) -> tuple[list[Members], list[Members]]:
    """The clusters of the hosts that the variables name, and all others. Raises SettingError."""
    if removing:
        named = list(removal(inventory, clusters, others).members)
    else:
        named = [wish.members for wish in wishes(inventory, clusters, others)]
    return named, [*others, *(members for members in clusters if members not in named)]
