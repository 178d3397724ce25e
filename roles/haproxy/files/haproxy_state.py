# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Have HAProxy count no server as up before it was checked; systemd runs this around HAProxy.

    haproxy_state start     before a start: every checked server begins as down
    haproxy_state reload    before a reload: servers keep their state, new ones begin as down
    haproxy_state await     after a start: wait, for a bounded time, until all were checked

A server that begins as down needs one good check to be up. HAProxy reads the file STATE as its
``server-state-file``; version 1 of its format has been the same since HAProxy 2.2, later releases
only add columns at the end. A failure here must not keep HAProxy from running, so without a state
HAProxy has its own way: servers are up until checked.
"""

from __future__ import annotations

import os
import re
import socket
import sys
import time

STATE = "/run/haproxy/server-state"
SOCKET = "/run/haproxy/admin.sock"
PATIENCE = 3.0  # seconds

COLUMNS = (
    "be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight "
    "srv_time_since_last_change srv_check_status srv_check_result srv_check_health srv_check_state "
    "srv_agent_state bk_f_forced_id srv_f_forced_id srv_fqdn srv_port srvrecord"
)
# Stopped, not by an operator; check enabled, one success short of `rise`.
UNCHECKED = "0 {proxy} {number} {server} {address} 0 0 1 1 0 1 0 1 6 0 0 0 - {port} -"

_PROXY = re.compile(r"^(?:listen|backend)\s+(\S+)")
_SECTION = re.compile(r"^[a-z]\S*")
_SERVER = re.compile(r"^\s+server\s+(\S+)\s+(\S+):(\d+)\s(?:.*\s)?check(?:\s|$)")


def checked_servers(configuration):
    """Return {(proxy, server): line} for the servers with ``check`` on their own line."""
    found, proxy = {}, None
    for line in configuration.splitlines():
        section = _PROXY.match(line)
        if section or _SECTION.match(line):
            proxy = section and section[1]
        server = _SERVER.match(line)
        if proxy and server:
            key = proxy, server[1]
            found[key] = UNCHECKED.format(
                proxy=proxy,
                number=1 + sum(other == proxy for other, _server in found),
                server=server[1],
                address=server[2].strip("[]"),
                port=server[3],
            )
    return found


def merged(live, configuration):
    """Return the state file: what ``show servers state`` said, and new servers as unchecked."""
    unchecked = checked_servers(configuration)
    head, rest = ["1", "# " + COLUMNS], []
    for line in live.splitlines():
        words = line.split()
        if line.startswith("#"):
            head[1] = line
        elif len(words) > 3:
            rest.append(line)
            unchecked.pop((words[1], words[3]), None)
    return "\n".join([*head, *rest, *unchecked.values()]) + "\n"


def ask(command, deadline=2.0):
    """Return HAProxy's answer to one command on its admin socket."""
    with socket.socket(socket.AF_UNIX) as admin:
        admin.settimeout(deadline)
        admin.connect(SOCKET)
        admin.sendall(command.encode() + b"\n")
        return b"".join(iter(lambda: admin.recv(65536), b"")).decode()


def write(state):
    with open(STATE + ".new", "w", encoding="ascii") as file:
        file.write(state)
    os.replace(STATE + ".new", STATE)


def all_checked(stat):
    """Tell from ``show stat`` whether no server still waits for its first check."""
    rows = [line.split(",") for line in stat.splitlines() if line]
    column = rows[0].index("check_status")
    # INI: not yet. "* ..." is the first check under way.
    return not any(len(row) > column and row[column].startswith(("INI", "*")) for row in rows[1:])


def main(verb):
    if verb == "await":
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            try:
                if all_checked(ask("show stat -1 4 -1")):
                    break
            except OSError:
                pass
            time.sleep(0.05)
        return
    try:
        with open(os.environ.get("CONFIG", "/etc/haproxy/haproxy.cfg"), encoding="utf-8") as file:
            configuration = file.read()
        write(merged(ask("show servers state") if verb == "reload" else "", configuration))
    except (OSError, ValueError) as error:
        print(f"haproxy_state {verb}: {error}; servers are up until checked", file=sys.stderr)
        if os.path.exists(STATE):
            os.unlink(STATE)


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1] not in ("start", "reload", "await"):
        sys.exit(__doc__)
    main(sys.argv[1])
