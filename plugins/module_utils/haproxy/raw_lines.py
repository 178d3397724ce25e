# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lines that an operator writes into haproxy.cfg as they are. Pure."""

from __future__ import annotations

from typing import Any, Iterator, Mapping

_LISTS = (
    "haproxy_global_extra",
    "haproxy_defaults_extra",
    "haproxy_mycat_extra",
    "haproxy_stats_extra",
)


def raw_lines(settings: Mapping[str, Any]) -> Iterator[str]:
    """The lines of all options that take some; ``settings`` are those of the role, judged."""
    for name in _LISTS:
        yield from settings[name]
    for listener in settings["haproxy_listeners"]:
        yield from listener.get("extra") or ()
    yield from settings["haproxy_extra"].splitlines()
