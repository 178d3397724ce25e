# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from ansible.errors import AnsibleFilterError
from ansible_collections.mycat.ha.plugins.module_utils.network.addresses import vip_interface
from ansible_collections.mycat.ha.plugins.module_utils.readers import SettingError


def _vip_interface(facts: dict, vips: str | list, interface: str = "") -> dict:
    if not isinstance(facts, dict):
        raise AnsibleFilterError("vip_interface: give it a host's ansible_facts")
    try:
        return vip_interface(facts, vips, interface)
    except SettingError as error:
        raise AnsibleFilterError(str(error)) from error


class FilterModule:
    """The filters that place virtual addresses."""

    def filters(self) -> dict:
        return {"vip_interface": _vip_interface}
