# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import dataclasses

from ansible_collections.mycat.ha.plugins.module_utils.vrrp_holders import verdict


def _vrrp_verdict(infos: dict, host: str, former: list | None = None) -> dict:
    return dataclasses.asdict(verdict(infos, host, former or ()))


class FilterModule:
    """The filter that judges what all hosts of a cluster say they hold."""

    def filters(self) -> dict:
        return {"vrrp_verdict": _vrrp_verdict}
