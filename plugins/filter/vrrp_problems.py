# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from ansible_collections.mycat.ha.plugins.module_utils.keepalived.holders import problems


def _vrrp_problems(
    info: dict, probe: dict, host: str, members: dict, former: list | None = None
) -> list:
    return list(problems(host, info, probe, members, former or ()))


class FilterModule:
    """The filter that judges who holds the virtual addresses."""

    def filters(self) -> dict:
        return {"vrrp_problems": _vrrp_problems}
