# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from ansible.errors import AnsibleFilterError
from ansible_collections.mycat.ha.plugins.module_utils.haproxy.settings import (
    SettingError,
    resolve,
)


def _haproxy_model(settings: dict, groups: dict, hostvars: dict) -> dict:
    try:
        return resolve(settings, groups, hostvars)
    except SettingError as error:
        raise AnsibleFilterError(str(error)) from error


class FilterModule:
    """The filter that judges the haproxy role's settings."""

    def filters(self) -> dict:
        return {"haproxy_model": _haproxy_model}
