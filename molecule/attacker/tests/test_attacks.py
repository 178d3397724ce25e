"""What a lesser user of a host, or a stroke of bad luck, tries against what root does there."""

from __future__ import annotations

import pytest
from lab.bounds import LATE
from lab.daemon import write
from lab.haproxy import admin, servers
from lab.hosts import await_
from lab.playbook import run_playbook

SITE = "playbooks/site.yml"

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


# --- files ----------------------------------------------------------------------------------------

LESSER = "/srv/lesser"
CREDENTIALS = f"{LESSER}/health.json"


@pytest.fixture
def lesser_folder(mycats):
    """A MyCat host with a folder that a lesser user owns."""
    mycat = mycats[0]
    mycat.run("install", "-d", "-o", "nobody", LESSER)
    yield mycat
    mycat.run("rm", "-rf", LESSER)


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (("ln", "-s", "/etc/shadow", CREDENTIALS), f"{CREDENTIALS} is not a file on mycat1"),
        (
            ("install", "-m", "600", "/etc/shadow", CREDENTIALS),
            f"the folder {LESSER} cannot be used: lesser belongs to the user with the id",
        ),
    ],
    ids=["link", "folder"],
)
def test_a_file_of_root_s_choice_alone_is_changed(lesser_folder, holder, made, said):
    lesser_folder.run(*made)
    look = ("stat", "-L", "-c", "%A %U %G", "/etc/shadow", CREDENTIALS)
    before = lesser_folder.run(*look).stdout
    run = run_playbook(SITE, mycat_status_credentials_file=CREDENTIALS)
    assert run.rc != 0
    assert said in run.said, run.output
    assert run.changed == set()
    assert lesser_folder.run(*look).stdout == before


# --- ports ----------------------------------------------------------------------------------------

PORT = 48700
RESERVED = "/proc/sys/net/ipv4/ip_local_reserved_ports"
OCCUPIER = "occupier"
# A connection that leaves the host with the endpoint's port as its own. What the endpoint has just
# closed is in the way of bind() without SO_REUSEADDR, and in nobody's way with it.
OCCUPY = f"""
import signal, socket
connection = socket.socket()
connection.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
connection.bind(("", {PORT}))
connection.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
connection.connect(("127.0.0.1", 8066))
signal.pause()
"""


def listens(mycat):
    return bool(mycat.run("ss", "-Hltn", f"sport = {PORT}").stdout)


def occupied(mycat):
    return f":{PORT}" in mycat.run("ss", "-Htn", "state", "established").stdout


@pytest.fixture
def occupy(request):
    """Have a connection of a host's own take the endpoint's port while its listener starts."""

    def occupy(mycat, *units):
        request.addfinalizer(lambda: mycat.run("systemctl", "stop", OCCUPIER, check=False))
        mycat.run("systemctl", "stop", *units)
        await_(lambda: not listens(mycat), LATE, "the port is free")
        mycat.run("systemd-run", "--quiet", f"--unit={OCCUPIER}", "python3", "-c", OCCUPY)
        await_(lambda: occupied(mycat), LATE, "the connection has the port")
        mycat.run("systemctl", "start", "--no-block", units[0])

    return occupy


@pytest.fixture
def with_systemd(mycats):
    """The last MyCat, where systemd listens for its endpoint."""
    mycat = mycats[-1]
    run = run_playbook(SITE, "--limit", mycat.name, mycat_status_listener="systemd")
    assert run.rc == 0, run.output
    yield mycat
    assert run_playbook(SITE, "--limit", mycat.name).rc == 0


def test_xinetd_listens_as_soon_as_its_port_is_free(holder, mycats, occupy):
    mycat = mycats[0]
    occupy(mycat, "xinetd")
    run = run_playbook("playbooks/status.yml")
    assert run.rc != 0
    said = f"nobody can listen at {PORT}, which a connection of python3 has as its own port"
    assert said in run.said, run.output
    assert not listens(mycat)
    mycat.run("systemctl", "stop", OCCUPIER)
    await_(lambda: listens(mycat), LATE, "xinetd listens")
    await_(lambda: mycat.state_of("xinetd") == "active", LATE, "xinetd is active")


def test_systemd_listens_as_soon_as_its_port_is_free(with_systemd, occupy):
    occupy(with_systemd, "mycat_status.socket", "mycat_status.service")
    # Tried again and again.
    tries = "mycat_status.socket: Failed to create listening socket"
    await_(
        lambda: with_systemd.run("journalctl", "-q", "-b", "--no-pager").stdout.count(tries) > 2,
        3 * LATE,
        "the socket was tried three times",
    )
    assert not listens(with_systemd)
    with_systemd.run("systemctl", "stop", OCCUPIER)
    await_(lambda: listens(with_systemd), LATE, "systemd listens")


def reserve(host, ports):
    """Have the kernel of a host keep these ports, and no others."""
    host.run("sh", "-c", f"echo {ports} >{RESERVED}")


def test_ports_of_listeners_are_added_to_those_of_others(standby, mycats):
    for host, unit, ports in (
        (standby, "haproxy", {"8066", "48800-48801"}),
        (mycats[0], "xinetd", {"8066", "9066", "48700"}),
    ):
        reserve(host, "50000-50010")
        host.run("systemctl", "restart", unit)
        assert set(host.run("cat", RESERVED).stdout.strip().split(",")) == {"50000-50010", *ports}


def test_a_run_adds_ports_that_somebody_took_out(holder, standby):
    reserve(standby, "50000")
    run = run_playbook(SITE)
    assert (run.rc, run.changed) == (0, {standby.name}), run.output
    assert standby.run("cat", RESERVED).stdout == "8066,48800-48801,50000\n"


# --- places ---------------------------------------------------------------------------------------

MOST = 5
GREEDY = "greedy"
# Takes more places than a client may have, and says how many of them MyCat greeted it at.
HOLD = f"""
import pathlib, signal, socket, sys
held = []
def greeted():
    try:
        held.append(socket.create_connection((sys.argv[1], 8066), 30))
        return bool(held[-1].recv(1))
    except ConnectionError:
        return False
pathlib.Path("/run/greeted").write_text(str(sum(greeted() for _ in range({MOST} + 3))))
signal.pause()
"""


@pytest.fixture
def limited(holder):
    run = run_playbook(SITE, haproxy_mycat_client_maxconn=MOST)
    assert run.rc == 0, run.output
    yield
    assert run_playbook(SITE).rc == 0


def test_a_client_that_takes_all_places_leaves_some_to_others(limited, client, mycats, vip):
    client.run("systemd-run", "--quiet", f"--unit={GREEDY}", "python3", "-c", HOLD, vip)
    try:
        say = ("cat", "/run/greeted")
        await_(lambda: client.run(*say, check=False).stdout == str(MOST), 3 * LATE, "greetings")
        assert client.query(vip, "select 1").returncode != 0
        assert mycats[0].query(vip, "select 1").stdout == "1\n"
    finally:
        client.run("systemctl", "stop", GREEDY)
        client.run("systemctl", "reset-failed", GREEDY, check=False)
        client.run("rm", "-f", "/run/greeted")
    await_(lambda: client.query(vip, "select 1").returncode == 0, LATE, "its places are free")


# By `systemd-analyze security`, of 10 at most; 9.6 is a unit that gives nothing up.
EXPOSURE = {"haproxy": 4.0, "keepalived": 4.5, "mycat_ha_addresses": 2.5}


def rights(host, program):
    """What each process of this name may do: [{field of /proc/PID/status: value}]."""
    pids = host.run("pgrep", "-x", program).stdout.split()
    texts = [host.run("cat", f"/proc/{pid}/status").stdout for pid in pids]
    return [dict(line.split(":\t", 1) for line in text.splitlines()) for text in texts]


@pytest.mark.parametrize("unit", EXPOSURE)
def test_a_unit_gives_up_what_it_does_not_need(lbs, unit):
    for lb in lbs:
        said = lb.run("systemd-analyze", "security", "--no-pager", unit).stdout.splitlines()[-1]
        assert float(said.split(":", 1)[1].split()[0]) <= EXPOSURE[unit], said


def test_daemons_gain_no_rights(lbs):
    for lb in lbs:
        found = [*rights(lb, "haproxy"), *rights(lb, "keepalived")]
        assert len(found) >= 4
        assert {process["NoNewPrivs"] for process in found} == {"1"}


def test_the_endpoint_has_no_rights(mycats):
    for mycat in mycats:
        found = rights(mycat, "mycat_status")
        assert found
        for process in found:
            assert process["NoNewPrivs"] == "1"
            assert set(process["Groups"].split()) <= set(process["Gid"].split())
            for held in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
                assert int(process[held], 16) == 0, held
