# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.mycat.ha.plugins.module_utils.keepalived.peers import peer_line

NETWORKS = ("192.0.2.0/24", "2001:db8::/64")


@pytest.mark.parametrize(
    ("peer", "hops", "version", "options"),
    [
        pytest.param("192.0.2.12", None, (2, 1, 0), " min_ttl 255 max_ttl 255", id="same link"),
        pytest.param("198.51.100.12", None, (2, 1, 0), "", id="beyond routers"),
        pytest.param("198.51.100.12", 2, (2, 1, 0), " min_ttl 253 max_ttl 255", id="two routers"),
        pytest.param("192.0.2.12", 1, (2, 1, 0), " min_ttl 254 max_ttl 255", id="as it is said"),
        pytest.param("192.0.2.12", 0, (2, 0, 20), "", id="before 2.1"),
        pytest.param("2001:db8::12", None, (2, 4, 0), "", id="IPv6"),
    ],
)
def test_the_line_of_a_peer(peer, hops, version, options):
    assert peer_line(peer, NETWORKS, hops, version) == peer + options
