# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What HAProxy does on a host, and whether that is what its file says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..host.files import read_text
from ..host.problems import Problems
from ..network.connection import NoAnswer
from . import admin
from .config_text import check_ports, has_digest


def state(
    path: str, installed: bool, answer: Callable[[], str], problems: Problems
) -> Mapping[str, Any] | None:
    """Return ``haproxy`` of host_state, None where there is none.

    ``path`` is that of its configuration, ``installed`` whether there is the program; ``answer``
    returns what the admin socket says to ``admin.STATE``, or raises NoAnswer.
    """
    text = problems.part("haproxy", lambda: read_text(path), "")
    dead: dict[str, Any] = {
        "alive": False,
        "reason": None,
        "version": None,
        "description": None,
        "loaded_is_file": None,
        "servers": [],
        # What it does once it is started.
        "asks": check_ports(text, "mycat") if _has_description(text) else {},
    }
    try:
        said = answer()
    except NoAnswer as problem:
        return {**dead, "reason": str(problem)} if installed or text else None
    info = admin.info(said)
    if not info:
        return {**dead, "reason": "the admin socket is not HAProxy's"}
    digest = info.get("description")
    is_file = has_digest(text, digest) if digest and _has_description(text) else None
    return {
        **dead,
        "alive": True,
        "version": admin.version(info.get("Version", "")) or None,
        "description": digest,
        "loaded_is_file": is_file,
        "servers": admin.servers(said),
        "asks": None if is_file is False else dead["asks"],
    }


def _has_description(text: str) -> bool:
    """Whether haproxy_config may have written a file."""
    return any(line.split()[:1] == ["description"] for line in text.splitlines())
