# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.mycat.ha.plugins.filter.haproxy_model import FilterModule

haproxy_model = FilterModule().filters()["haproxy_model"]


def test_a_refusal_is_a_filter_error() -> None:
    times = {f"haproxy_timeout_{name}": "30" for name in ("connect", "client", "server", "check")}
    with pytest.raises(AnsibleFilterError, match=r'haproxy_timeout_connect: "30" is not a time'):
        haproxy_model(times, {}, {})
