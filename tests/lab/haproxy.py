"""What a host's HAProxy says of its servers, over its admin socket."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable

from .hosts import Host

# Debian's HAProxy brings no client for its admin socket.
_ASK = """
import socket, sys
admin = socket.socket(socket.AF_UNIX)
admin.connect("/run/haproxy/admin.sock")
admin.sendall(sys.argv[1].encode() + b"\\n")
print(b"".join(iter(lambda: admin.recv(65536), b"")).decode())
"""


def admin(lb: Host, command: str) -> str:
    """Return the answer to a command of HAProxy's management guide."""
    return lb.run("python3", "-c", _ASK, command).stdout


def servers(lb: Host, proxy: str = "mycat") -> dict[str, dict[str, str]]:
    """Return the rows of ``show stat`` by the names of the servers, none where nobody answers."""
    try:
        stat = admin(lb, "show stat")
    except RuntimeError:
        return {}
    rows = csv.DictReader(io.StringIO(stat.lstrip("# ")))
    return {
        row["svname"]: row
        for row in rows
        if row["pxname"] == proxy and row["svname"] not in ("FRONTEND", "BACKEND")
    }


def all_up(lbs: Iterable[Host], mycats: Iterable[Host]) -> bool:
    """Return whether all load balancers balance over all of these MyCats and no others."""
    names = {mycat.name for mycat in mycats}
    return all(
        {name for name, row in servers(lb).items() if row["status"] == "UP"} == names for lb in lbs
    )
