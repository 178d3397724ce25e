"""What a lesser user of a host, or a stroke of bad luck, tries against what root does there."""

from __future__ import annotations

import pytest
from lab.bounds import LATE
from lab.daemon import write
from lab.haproxy import admin, servers
from lab.hosts import await_

ADMIN = "/run/haproxy/admin.sock"
FAKE_UNIT = "fake_admin"
CRON = "/etc/cron.d/attack"
# Tells of a server that an operator has put into maintenance (1), as HAProxy would.
FAKE = f"""
import socket
listener = socket.socket(socket.AF_UNIX)
listener.bind({ADMIN!r})
listener.listen()
row = "2 mycat 1 mycat1 192.0.2.1 0 1 1 1 5 1 0 1 6 0 0 0 - 8066 -"
while True:
    client, _ = listener.accept()
    client.recv(4096)
    client.sendall(("1\\n" + row + "\\n").encode())
    client.close()
"""


def as_haproxy(lb, *command):
    lb.run("runuser", "-u", "haproxy", "--", *command)


def states(lb):
    return {name: row["status"].split()[0] for name, row in servers(lb).items()}


@pytest.fixture
def fake_socket(standby):
    """The standby, where the user haproxy has put a socket of its own in the place of HAProxy's."""
    kept = f"{ADMIN}.kept"
    write(standby, "/usr/local/share/fake_admin.py", FAKE, mode="644")
    as_haproxy(standby, "mv", ADMIN, kept)
    standby.run(
        *("systemd-run", "--quiet", f"--unit={FAKE_UNIT}", "--uid=haproxy"),
        *("python3", "/usr/local/share/fake_admin.py"),
    )
    await_(lambda: standby.run("test", "-S", ADMIN, check=False).returncode == 0, LATE, "a socket")
    yield standby
    standby.run("systemctl", "stop", FAKE_UNIT)
    standby.run("mv", "-f", kept, ADMIN)
    standby.run("rm", "-f", CRON, "/usr/local/share/fake_admin.py")
    standby.run("systemctl", "restart", "haproxy")


def test_a_reload_writes_through_no_link(standby):
    admin(standby, "set server mycat/mycat1 state drain")
    for name in ("server-state", "server-state.new"):
        as_haproxy(standby, "ln", "-sf", CRON, f"/run/haproxy/{name}")
    try:
        standby.run("systemctl", "reload", "haproxy")
        assert standby.run("test", "-e", CRON, check=False).returncode != 0
        assert states(standby)["mycat1"] == "DRAIN", "what an operator did goes on"
    finally:
        standby.run("rm", "-f", CRON, "/run/haproxy/server-state", "/run/haproxy/server-state.new")
        admin(standby, "set server mycat/mycat1 state ready")


def test_the_state_is_where_only_root_can_write(standby):
    standby.run("systemctl", "reload", "haproxy")
    folder = "/run/mycat_ha_haproxy"
    shown = standby.run("stat", "-c", "%U:%G %a", folder, f"{folder}/server-state").stdout
    assert shown.splitlines() == ["root:root 755", "root:root 600"]


def test_a_socket_of_another_user_is_not_believed(fake_socket):
    fake_socket.run("systemctl", "reload", "haproxy")
    said = fake_socket.run("journalctl", "-u", "haproxy", "-q", "--no-pager", "-n", "50").stdout
    assert f"haproxy_state reload: {ADMIN} is of the user with the id" in said
    found = fake_socket.run("ls", "/run/mycat_ha_haproxy").stdout.split()
    assert found == [], "no word of the fake is kept"
