# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run would change on a host: what it should have, compared with what host_state found.

Pure. A host without changes is not touched, so all that the roles manage has to be compared here.
"""

from __future__ import annotations

import hashlib
from typing import Any, Iterable, Iterator, Mapping

#: What systemd says of a unit that starts at boot; of an init script `generated`.
_AT_BOOT = ("enabled", "enabled-runtime", "generated", "static", "alias")
_ATTRIBUTES = ("mode", "owner", "group")


def file_changes(
    files: Iterable[Mapping[str, Any]], absent: Iterable[str], known: Mapping[str, Any]
) -> Iterator[str]:
    """The paths that differ. ``files`` and ``absent`` are options of mycat.ha.files, ``known`` is
    what host_state says of each path."""
    for entry in files:
        found = known.get(entry["path"])
        if found is not None and not _is_as(entry, found):
            yield entry["path"]
    for path in absent:
        if (known.get(path) or {"kind": "absent"})["kind"] != "absent":
            yield path


def _is_as(entry: Mapping[str, Any], found: Mapping[str, Any]) -> bool:
    if entry.get("directory"):
        same = found["kind"] == "directory"
    else:
        same = found["kind"] == "file" and (
            "content" not in entry or found["sha256"] == digest(entry["content"])
        )
    return same and all(found[key] == entry[key] for key in _ATTRIBUTES if key in entry)


def digest(text: str) -> str:
    """The SHA-256 of a text as host_state writes it."""
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def unit_changes(units: Iterable[str], known: Mapping[str, Any]) -> Iterator[str]:
    """The units that do not run, or would not at the next boot."""
    for name in units:
        found = known.get(name) or {}
        if found.get("active") not in ("active", "reloading"):
            yield f"{name} does not run"
        elif found.get("enabled") not in _AT_BOOT:
            yield f"{name} does not start at boot"


def missing(wanted: Iterable[str], known: Mapping[str, Any]) -> list[str]:
    """Those of the names (packages, accounts) that the host does not have."""
    return [name for name in wanted if not known.get(name)]


def gone(paths: Iterable[str], known: Mapping[str, Any]) -> list[str]:
    """Those of the paths that are not there."""
    return [path for path in paths if (known.get(path) or {"kind": "absent"})["kind"] == "absent"]
