# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Have HAProxy count no server as up before it was checked; systemd runs this around HAProxy.

    haproxy_state start     before a start: every checked server begins as down
    haproxy_state reload    before a reload: servers keep their state, new ones begin as down
    haproxy_state await     after a start: wait, for a bounded time, until a server of each is up

A server that begins as down needs one good check to be up. HAProxy reads the file that its
configuration names as ``server-state-file``. What it finds there wins over its configuration, so a
server keeps only whether it is up, what its checks said and what an operator did to it
(maintenance, drain); port, check, TLS, weight and address are those of the configuration, and a
server with another address begins as down. Version 1 of the format has been the same since HAProxy
2.2, later releases only add columns at the end. A failure here must not keep HAProxy from running,
so without a state HAProxy has its own way: servers are up until checked.
"""

from __future__ import annotations

import contextlib
import csv
import ipaddress
import os
import re
import socket
import struct
import sys
import time

SOCKET = "/run/haproxy/admin.sock"
PATIENCE = 3.0  # seconds
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW

COLUMNS = [
    "be_id",
    "be_name",
    "srv_id",
    "srv_name",
    "srv_addr",
    "srv_op_state",
    "srv_admin_state",
    "srv_uweight",
    "srv_iweight",
    "srv_time_since_last_change",
    "srv_check_status",
    "srv_check_result",
    "srv_check_health",
    "srv_check_state",
    "srv_agent_state",
    "bk_f_forced_id",
    "srv_f_forced_id",
    "srv_fqdn",
    "srv_port",
    "srvrecord",
]
# Stopped; one success short of `rise`.
WAITING = {
    "srv_op_state": "0",
    "srv_time_since_last_change": "0",
    "srv_check_status": "1",
    "srv_check_result": "0",
    "srv_check_health": "1",
}
# Not stopped by an operator; check enabled.
NEW = {
    **dict.fromkeys(COLUMNS, "0"),
    **WAITING,
    "srv_uweight": "1",
    "srv_iweight": "1",
    "srv_check_state": "6",
    "srv_fqdn": "-",
    "srvrecord": "-",
}

_STATE_FILE = re.compile(r"^\s+server-state-file\s+(/\S+)", re.MULTILINE)
_PROXY = re.compile(r"^(?:listen|backend)\s+(\S+)")
_SECTION = re.compile(r"^[a-z]\S*")
_SERVER = re.compile(r"^\s+server\s+(\S+)\s+(\S+?)(?::\+?(\d+))?(?:\s+(.*))?$")


def state_file(configuration):
    """Return the path of the state that the configuration names, None where it names none."""
    named = _STATE_FILE.search(configuration)
    return named and named[1]


def servers(configuration):
    """Return {(proxy, server): (address, port, checked)} of all servers with a line of their own.

    ``checked`` tells whether ``check`` stands on that line. A port is 0 where the client's is used.
    """
    found, proxy = {}, None
    for line in configuration.splitlines():
        section = _PROXY.match(line)
        if section or _SECTION.match(line):
            proxy = section and section[1]
        server = _SERVER.match(line)
        if proxy and server:
            name, address, port, options = server.groups()
            checked = "check" in (options or "").split()
            found[proxy, name] = address.strip("[]"), port or "0", checked
    return found


def unchecked(configured):
    """Return {(proxy, server): row} for the checked servers, as stopped until their first check."""
    found, numbers = {}, {}
    for (proxy, name), (address, port, checked) in configured.items():
        numbers[proxy] = numbers.get(proxy, 0) + 1
        if checked:
            known = {"be_name": proxy, "srv_id": str(numbers[proxy]), "srv_name": name}
            found[proxy, name] = {**NEW, **known, "srv_addr": address, "srv_port": port}
    return found


def plain(address):
    """Return an address or a name so that the same ones are equal."""
    try:
        return str(ipaddress.ip_address(address))
    except ValueError:
        return address.lower()


def kept(row, address, port, checked):
    """Return the row of a server that goes on; at another address it has to be checked first.

    HAProxy has the weight of its file win where the state says that nobody changed it.
    """
    row = {**row, "srv_uweight": row["srv_iweight"], "srv_port": port}
    if plain(address) in (plain(row["srv_addr"]), plain(row["srv_fqdn"])):
        return row
    return {**row, **(WAITING if checked else {}), "srv_addr": address, "srv_fqdn": "-"}


def merged(live, configuration):
    """Return the state file: what ``show servers state`` said, and new servers as unchecked.

    Columns that are left out HAProxy takes from its configuration.
    """
    configured = servers(configuration)
    rows = unchecked(configured)
    for line in live.splitlines():
        words = line.split()
        if line.startswith("#") or len(words) < len(COLUMNS):
            continue
        row = dict(zip(COLUMNS, words))
        server = row["be_name"], row["srv_name"]
        # A name that HAProxy made of a variable is in no line; such a server keeps what it has.
        rows[server] = kept(row, *configured[server]) if server in configured else row
    lines = (" ".join(row[column] for column in COLUMNS) for row in rows.values())
    return "\n".join(["1", "# " + " ".join(COLUMNS), *lines]) + "\n"


def refuse_other_owner(admin):
    """Raise PermissionError unless the socket was made with the rights of this process.

    HAProxy makes it before it gives up those of root. Whoever is in its group can put another one
    in the same place.
    """
    size = struct.calcsize("3i")
    answer = admin.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
    _pid, owner, _group = struct.unpack("3i", answer)
    if owner != os.geteuid():
        raise PermissionError(f"{SOCKET} is of the user with the id {owner}, not HAProxy's")


def ask(command, deadline=2.0):
    """Return HAProxy's answer to one command on its admin socket."""
    with socket.socket(socket.AF_UNIX) as admin:
        admin.settimeout(deadline)
        admin.connect(SOCKET)
        refuse_other_owner(admin)
        admin.sendall(command.encode() + b"\n")
        return b"".join(iter(lambda: admin.recv(65536), b"")).decode()


def write(path, state):
    """Replace a file; no link is followed, and nothing that is there already is written to."""
    name = os.path.basename(path)
    new = name + ".new"
    folder = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        # Of a process that was killed.
        with contextlib.suppress(FileNotFoundError):
            os.unlink(new, dir_fd=folder)
        descriptor = os.open(new, _CREATE, 0o600, dir_fd=folder)
        with open(descriptor, "w", encoding="ascii") as file:
            file.write(state)
        os.replace(new, name, src_dir_fd=folder, dst_dir_fd=folder)
    finally:
        os.close(folder)


def serves(stat):
    """Tell from ``show stat`` whether each proxy has a server that is up, or none left to check."""
    up, waiting = set(), set()
    for row in csv.DictReader(stat.lstrip("# ").splitlines()):
        if row["status"].startswith("UP"):
            up.add(row["pxname"])
        # INI: not yet. "* ..." is the first check under way.
        elif row["check_status"].startswith(("INI", "*")):
            waiting.add(row["pxname"])
    return waiting <= up


def main(verb):
    if verb == "await":
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            try:
                if serves(ask("show stat -1 4 -1")):
                    break
            except OSError:
                pass
            time.sleep(0.05)
        return
    path = None
    try:
        with open(os.environ.get("CONFIG", "/etc/haproxy/haproxy.cfg"), encoding="utf-8") as file:
            configuration = file.read()
        path = state_file(configuration)
        if path:
            write(
                path, merged(ask("show servers state") if verb == "reload" else "", configuration)
            )
    except (OSError, ValueError) as error:
        print(f"haproxy_state {verb}: {error}; servers are up until checked", file=sys.stderr)
        if path:
            with contextlib.suppress(OSError):
                os.unlink(path)


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1] not in ("start", "reload", "await"):
        sys.exit(__doc__)
    main(sys.argv[1])
