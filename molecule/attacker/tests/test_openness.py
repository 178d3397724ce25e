"""What a client reaches, and what values reach that look like commands."""

from __future__ import annotations

import json

import pytest
from lab.playbook import run_playbook

SITE = "playbooks/site.yml"
# Prints the TCP ports of an address that accept a connection, and how many bytes each sends.
SCANNER = """
import json, socket, sys

found = {}
for port in range(1, 65536):
    try:
        with socket.create_connection((sys.argv[1], port), 1) as connection:
            try:
                found[port] = len(connection.recv(64))
            except OSError:
                found[port] = 0
    except OSError:
        pass
print(json.dumps(found))
"""
# docs/security.md names them: MyCat's own ports are open until somebody closes them.
SERVICE, MANAGER, ENDPOINT = "8066", "9066", "48700"
RUDE = "127.0.0.1/1; touch /run/rude; #"
REFUSED = {
    "keepalived_haproxy_alive_address": RUDE,
    "haproxy_mycat_bind": f"*:8066{RUDE}",
    "haproxy_stats_uri": "/a\n    http-request return status 200",
    "mycat_status_host": "$(touch /run/rude)",
    "keepalived_notify": '/bin/x "; touch /run/rude',
}


def open_ports(client, host):
    address = host.run("hostname", "-i").stdout.split()[0]
    return json.loads(client.run("python3", "-c", SCANNER, address).stdout)


def test_a_client_reaches_the_service_of_a_load_balancer_alone(client, lbs, holder):
    for lb in lbs:
        found = open_ports(client, lb)
        assert set(found) == {SERVICE}
        assert found[SERVICE] > 0, "a greeting"


def test_a_client_reaches_a_mycat_and_its_endpoint_says_nothing(client, mycats, holder):
    for mycat in mycats:
        found = open_ports(client, mycat)
        assert set(found) == {SERVICE, MANAGER, ENDPOINT}
        assert found[ENDPOINT] == 0


@pytest.mark.parametrize("variable", REFUSED)
def test_a_value_that_looks_like_a_command_is_refused(variable, lbs, mycats):
    done = run_playbook(SITE, f"--extra-vars={json.dumps({variable: REFUSED[variable]})}")
    assert done.rc != 0
    assert variable in done.said
    assert done.changed == set()
    for host in (*lbs, *mycats):
        assert host.run("test", "-e", "/run/rude", check=False).returncode != 0
