# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How HAProxy bounds the connections of each client (its configuration manual, stick-table)."""

from __future__ import annotations

from ..readers import SettingError

OPTION = "haproxy_mycat_client_maxconn"


def limited(lines: list[str], most: int, served: int) -> list[str]:
    """The lines of a listener that serves ``served`` connections, ``most`` of them to one address.

    A connection more is closed at once; 0 is any number. Raises SettingError.
    """
    if not most:
        return lines
    if any(line.split()[:1] == ["stick-table"] for line in lines):
        raise SettingError(OPTION, "take `stick-table` out of haproxy_mycat_extra, or write 0")
    return [
        *lines,
        # A table of IPv6 addresses has IPv4 clients, too; of what is not connected it forgets.
        f"stick-table type ipv6 size {2 * served} expire 1m store conn_cur",
        "tcp-request connection track-sc0 src",
        f"tcp-request connection reject if {{ sc0_conn_cur gt {most} }}",
    ]
