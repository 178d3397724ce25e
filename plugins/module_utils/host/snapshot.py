# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keep what is at some paths of a host, and put exactly that back.

All of it is in one file, which is replaced as a whole: a run that is killed leaves the former
snapshot or the new one.
"""

from __future__ import annotations

import base64
import json
import os
from typing import Any, Iterable, Mapping

from .files import ABSENT, Attributes, Content, FileError, Place, folder_exists

#: Where the last one is, unless told otherwise.
FOLDER = "/var/lib/mycat_ha/snapshot"

FILE = "snapshot.json"
SCHEMA = 1
# Bytes of one file, and of the snapshot. Configurations are a thousand times smaller.
_MOST_FILE = 8 * 1024 * 1024
_MOST = 64 * 1024 * 1024

Snapshot = Mapping[str, Content]


def take(paths: Iterable[str]) -> Snapshot:
    """Return what is at these paths. Raises FileError for what is no file, directory or link."""
    return {path: _keepable(path, _at(path)) for path in paths}


def save(directory: str, snapshot: Snapshot, check_mode: bool = False) -> bool:
    """Keep a snapshot in the place of the one before; return whether it is another one.

    The directory is made if need be, for its owner alone. Raises FileError.
    """
    path = os.path.join(directory, FILE)
    text = _encoded(snapshot)
    former = _at(path)
    if check_mode:
        return former.data != text
    _make_private(directory)
    if former.data == text:
        return False
    with Place(path) as place:
        place.write(text, Attributes(0o600, os.geteuid(), os.getegid()))
    return True


def load(directory: str) -> Snapshot:
    """Return the snapshot that is kept. Raises FileError where there is none."""
    path = os.path.join(directory, FILE)
    found = _at(path, _MOST)
    if found.kind != "file" or found.data is None:
        raise FileError(f"there is no snapshot in {directory}; save one first")
    try:
        return _decoded(found.data)
    except (ValueError, LookupError, TypeError, AttributeError):
        raise FileError(f"{path} is no snapshot of this version; remove it") from None


def restore(snapshot: Snapshot, check_mode: bool = False) -> tuple[list[str], list[str]]:
    """Put everything back; return the paths that were changed, and what went wrong.

    Where one path cannot be put back, all others are.
    """
    restored: list[str] = []
    problems: list[str] = []
    # The content of a directory is removed before it, and put back after it.
    leaving = sorted((path for path in snapshot if snapshot[path] == ABSENT), reverse=True)
    coming = sorted(path for path in snapshot if snapshot[path] != ABSENT)
    for path in leaving + coming:
        try:
            if not _same(_at(path), snapshot[path]):
                if not check_mode:
                    _put_back(path, snapshot[path])
                restored.append(path)
        except FileError as error:
            problems.append(str(error))
    return restored, problems


def _at(path: str, most: int = _MOST_FILE) -> Content:
    if not folder_exists(path):
        return ABSENT
    with Place(path) as place:
        return place.read(most)


def _keepable(path: str, content: Content) -> Content:
    if content.kind == "other":
        raise FileError(f"{path} is no file, directory or link, so it cannot be kept")
    if content.kind == "file" and content.data is None:
        raise FileError(f"{path} is longer than {_MOST_FILE} bytes, so it is not kept")
    return content


def _same(now: Content, then: Content) -> bool:
    if (now.kind, now.data) != (then.kind, then.data):
        return False
    # The mode and the owner of a link have no effect.
    return now.kind == "link" or now.attributes == then.attributes


def _put_back(path: str, then: Content) -> None:
    with Place(path) as place:
        now = place.read(0).kind
        directories = {now, then.kind} & {"directory"}
        if now != "absent" and (then == ABSENT or (directories and now != then.kind)):
            place.remove()
        if then.kind == "link" and then.data is not None:
            place.link(then.data)
        elif then.kind == "file" and then.data is not None and then.attributes:
            place.write(then.data, then.attributes)
        elif then.kind == "directory" and then.attributes:
            place.make_directory(then.attributes)


def _make_private(directory: str) -> None:
    """Make a directory for its owner alone, and those above it for all to read."""
    own = (os.geteuid(), os.getegid())
    missing = []
    above = os.path.dirname(directory.rstrip("/"))
    while not os.path.isdir(above):
        missing.append(above)
        above = os.path.dirname(above)
    for path in reversed(missing):
        with Place(path) as place:
            place.make_directory(Attributes(0o755, *own))
    with Place(directory) as place:
        place.make_directory(Attributes(0o700, *own))


def _encoded(snapshot: Snapshot) -> bytes:
    paths = {
        path: {
            "kind": content.kind,
            "attributes": content.attributes
            and [content.attributes.mode, content.attributes.uid, content.attributes.gid],
            "data": content.data if content.data is None else _text(content.data),
        }
        for path, content in snapshot.items()
    }
    return json.dumps({"schema": SCHEMA, "paths": paths}, sort_keys=True).encode()


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _decoded(text: bytes) -> Snapshot:
    """Raises ValueError, LookupError, TypeError or AttributeError for what is no snapshot."""
    data = json.loads(text)
    if data["schema"] != SCHEMA:
        raise ValueError
    return {path: _content(entry) for path, entry in data["paths"].items()}


def _content(entry: Mapping[str, Any]) -> Content:
    data = entry["data"] if entry["data"] is None else base64.b64decode(entry["data"])
    attributes = entry["attributes"] and Attributes(*entry["attributes"])
    return Content(entry["kind"], attributes, data)
