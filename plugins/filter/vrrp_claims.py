# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import dataclasses

from ansible.errors import AnsibleFilterError
from ansible_collections.mycat.ha.plugins.module_utils.keepalived.claims import claims
from ansible_collections.mycat.ha.plugins.module_utils.keepalived.lines import ConfError


def _vrrp_claims(text: str, running: list | None = None) -> list:
    try:
        return [dataclasses.asdict(claim) for claim in claims(text, running or ())]
    except ConfError as error:
        raise AnsibleFilterError(f"vrrp_claims: {error}") from error


class FilterModule:
    """The filter that tells what a configuration newly claims of the network."""

    def filters(self) -> dict:
        return {"vrrp_claims": _vrrp_claims}
