# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What mycat.ha.host_state is asked for on a host. Pure."""

from __future__ import annotations

import contextlib
from typing import Any, Mapping, Sequence

from ..keepalived.hooks import programs
from ..readers import SettingError
from . import mycat
from .files import Role
from .hosts import HostView, answering_port, vips_of
from .managed import ACCOUNTS, MAIN_FILES, PACKAGES, SOCKET_UNIT, UNITS, XINETD_SERVICE


def questions(
    host: HostView,
    load_balancers: Sequence[HostView],
    mycats: Sequence[HostView],
    roles: Mapping[str, Role],
) -> dict[str, Any]:
    """The options of host_state.

    ``roles`` are those of the host; ``load_balancers`` and ``mycats`` are the first of each
    cluster that the host belongs to: they say which VIPs there are and who logs in.
    """
    own = host.settings.get("mycat_status") or {}
    asked: dict[str, Any] = {
        "paths": [
            path for name, role in roles.items() for path in (*role.paths, *MAIN_FILES[name])
        ],
        "packages": [name for role in roles for name in PACKAGES[role]],
        "units": [name for role in roles for name in UNITS[role]],
        "accounts": [name for role in roles for name in ACCOUNTS[role]],
        "vips": [
            {"address": vip.partition("/")[0], "port": port}
            for lb in load_balancers
            for port in [answering_port(lb)]
            for vip in vips_of(lb)
            if vip and port
        ],
    }
    if "keepalived" in roles:
        with contextlib.suppress(SettingError, KeyError, TypeError):
            asked["programs"] = [
                program["path"] for program in programs(host.settings["keepalived"])
            ]
    if own.get("mycat_status_port"):
        asked["endpoint_port"] = own["mycat_status_port"]
        asked["endpoint_listeners"] = [XINETD_SERVICE, SOCKET_UNIT]
        asked["ports"] = [own["mycat_status_port"]]
    if "mycat" in roles:
        more = mycat.asked(host)
        asked["paths"] += [path for path in more["paths"] if path not in asked["paths"]]
        asked["packages"] += more["packages"]
        asked["java"] = more["java"]
        asked["ports"] = [*asked.get("ports", ()), *mycat.ports_of(host)]
    if own.get("mycat_status_credentials_file"):
        asked["paths"].append(own["mycat_status_credentials_file"])
    login = next(
        (
            one.settings["mycat_status"]
            for one in mycats
            if one.settings["mycat_status"].get("mycat_status_user")
        ),
        None,
    )
    if login:
        asked["login"] = {
            "user": login["mycat_status_user"],
            "password": login["mycat_status_password"],
        }
    return asked
