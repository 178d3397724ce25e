# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the roles left on a host, as what the tasks of a removal take away. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ..host import maintenance, snapshot
from . import changes
from .files import Role
from .managed import (
    ACCOUNTS,
    ADDRESS_UNIT,
    HAPROXY_CFG,
    KEEPALIVED_CONF,
    LIBEXEC,
    RUN_FOLDER,
    STATE_FOLDER,
    UNITS,
    metrics_link,
)

_UNIT_FOLDER = "/etc/systemd/system/"
#: What daemons and runs leave in folders of their own; nobody else has anything there.
_TREES = {
    "haproxy": (RUN_FOLDER + "_haproxy",),
    "keepalived": (RUN_FOLDER, STATE_FOLDER + "/history", maintenance.FOLDER),
    "mycat_status": ("/run/mycat_status",),
}
#: What runs leave besides the files of the roles.
_NOTES = tuple(
    f"{STATE_FOLDER}/{name}" for name in ("maintenance", "update", "restart.json", "restart.lock")
)
#: Packages that nobody but the role needs.
_PACKAGES = {
    "haproxy": ("haproxy",),
    "keepalived": ("keepalived",),
    "mycat_status": ("xinetd",),
}
#: Files that a module of their own installed, and what tells them from others' files.
_FORMER = {
    "haproxy": (HAPROXY_CFG, r"^\s*description [0-9a-f]{16}$|mycat_ha"),
    "keepalived": (KEEPALIVED_CONF, "mycat_ha"),
    "mycat_status": None,
}


def remains(
    roles: Mapping[str, Role],
    state: Mapping[str, Any],
    settings: Mapping[str, Mapping[str, Any]],
    packages: bool,
) -> dict[str, Any]:
    """What is to go from a host that has ``roles``, for the tasks of a removal.

    ``state`` is that of host_state, ``settings`` {role: {option: value}}. Of a folder that others
    may use too (``folders``) nothing of theirs goes.
    """
    files = state.get("files") or {}
    absent, folders = [*_NOTES], [STATE_FOLDER, LIBEXEC]
    for name, role in roles.items():
        own, within = _paths(role, settings.get(name) or {})
        absent += [path for path in own if path not in absent]
        folders += [path for path in within if path not in folders]
    trees = [tree for name in roles for tree in _TREES[name]] + [snapshot.FOLDER]
    metrics = (settings.get("keepalived") or {}).get("keepalived_metrics_directory")
    links = [metrics_link(metrics), *(state.get("metrics_links") or ())]
    absent += dict.fromkeys(filter(None, links))
    return {
        "units": list(_units(roles, state, files)),
        "former": [
            {"dest": found[0], "ours": found[1]} for name in roles if (found := _FORMER[name])
        ],
        "trees": trees,
        "absent": [
            path
            for path in absent
            if not path.startswith(tuple(f"{tree}/" for tree in trees)) and path not in trees
        ],
        # Deeper ones first.
        "folders": sorted(
            (path for path in folders if path not in trees), key=lambda path: -path.count("/")
        ),
        "accounts": [name for role in roles for name in ACCOUNTS[role]],
        "packages": [
            name
            for role in roles
            for name in _PACKAGES[role]
            if packages and (state.get("packages") or {}).get(name)
        ],
    }


def _paths(role: Role, settings: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """The files of a role, and the folders that it made."""
    keep = settings.get("mycat_status_credentials_file") or ""
    rows = [row for row in role.manifest["files"] if "{{" not in row["path"]]
    own = [str(row["path"]) for row in rows if not row.get("directory") and row["path"] != keep]
    runtime = [str(row["path"]) for row in role.manifest["runtime"]]
    folders = [str(row["path"]) for row in rows if row.get("directory")]
    compiled = [f"{path}/__pycache__" for path in folders if path.startswith("/usr/local/lib/")]
    own += [path for path in (*runtime, *role.manifest["retired"]) if path not in own]
    return own, [*compiled, *folders]


def _units(
    roles: Iterable[str], state: Mapping[str, Any], files: Mapping[str, Any]
) -> Iterator[dict[str, Any]]:
    """The units that run, or would at the next boot; who watches over others first."""
    known = state.get("units") or {}
    names = [name for role in roles for name in UNITS[role]]
    for name in sorted(names, key=lambda one: (one != ADDRESS_UNIT, one != "keepalived.service")):
        found = known.get(name) or {}
        at_boot = found.get("enabled") == "enabled"
        if found.get("active", "inactive") not in ("inactive", "failed") or at_boot:
            yield {"name": name, "at_boot": at_boot}
    for name in ("mycat_status.service", "mycat_status_retry.service", "mycat_ha_grace.service"):
        if not changes.gone([_UNIT_FOLDER + name], files):
            yield {"name": name, "at_boot": False}
