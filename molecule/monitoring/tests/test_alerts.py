"""A real Prometheus and node_exporter: each alert fires, and clears when its cause is gone."""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from lab.daemon import write
from lab.hosts import Host, await_
from lab.playbook import ROOT, run_playbook

CONFIGURATION = "/etc/keepalived/keepalived.conf"
TEXTFILES = "/var/lib/prometheus/node-exporter"
PASSWORD = "metrics-of-a-test"  # noqa: S105  it guards nothing
EXPORTER = ("prometheus-node-exporter", f"--collector.textfile.directory={TEXTFILES}")
# An alert's own patience, a few scrapes, and a busy machine.
WITHIN = 120.0
QUERY = """
import sys, urllib.parse, urllib.request
asked = urllib.parse.urlencode({"query": sys.argv[1]})
with urllib.request.urlopen(f"http://127.0.0.1:9090/api/v1/query?{asked}") as answer:
    print(answer.read().decode())
"""


def put(host: Host, path: str, text: str) -> None:
    command = host.argv("sh", "-c", 'cat >"$1"', "-", path, stdin=True)
    subprocess.run(command, input=text, text=True, check=True)


def scrapes(lbs: list[Host], mycats: list[Host]) -> str:
    """prometheus.yml; JSON is YAML."""

    def job(name: str, hosts: list[Host], port: int, **more: object) -> dict:
        targets = [f"{host.name}:{port}" for host in hosts]
        return {"job_name": name, "static_configs": [{"targets": targets}], **more}

    login = {"basic_auth": {"username": "admin", "password": PASSWORD}}
    return json.dumps(
        {
            "global": {"scrape_interval": "2s", "evaluation_interval": "2s"},
            "rule_files": ["/etc/prometheus/mycat_ha.rules.yml"],
            "scrape_configs": [
                job("mycat_ha_node", lbs, 9100),
                job("mycat_ha_haproxy", lbs, 48800, **login),
                job("mycat_ha_mycat", mycats, 48700),
            ],
        }
    )


def ask(client: Host, expression: str) -> list[dict]:
    """The samples of an expression, as Prometheus has them now."""
    done = client.run("python3", "-c", QUERY, expression, check=False)
    return json.loads(done.stdout)["data"]["result"] if done.returncode == 0 else []


def firing(client: Host) -> set[str]:
    found = ask(client, 'ALERTS{alertstate="firing"}')
    return {one["metric"]["alertname"] for one in found}


def put_program(host: Host, path: Path) -> None:
    command = ("docker", "cp", "--quiet", str(path), f"{host.container}:/usr/local/bin/{path.name}")
    subprocess.run(command, check=True)


def start(host: Host, program: str, *options: str) -> None:
    unit = (f"--unit={program}", "--property=WorkingDirectory=/run")
    host.run("systemd-run", "--quiet", "--collect", *unit, f"/usr/local/bin/{program}", *options)


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Debian's packages, unpacked: the hosts of a scenario install nothing from a network."""
    folder = tmp_path_factory.mktemp("prometheus")
    wanted = ("prometheus", "prometheus-node-exporter")
    subprocess.run(["apt-get", "download", "-qq", *wanted], cwd=folder, check=True)
    for package in folder.glob("*.deb"):
        subprocess.run(["dpkg", "-x", str(package), str(folder)], check=True)
    return folder / "usr/bin"


@pytest.fixture(scope="module")
def prometheus(lbs: list[Host], mycats: list[Host], client: Host, programs: Path) -> Iterator[Host]:
    """Prometheus on the client, with the collection's rules; it scrapes the hosts."""
    for name, hosts in (("prometheus", [client]), ("prometheus-node-exporter", lbs)):
        for host in hosts:
            put_program(host, programs / name)
    put_program(client, programs / "promtool")
    for lb in lbs:
        lb.run("mkdir", "-p", TEXTFILES)
    allowed = [address for host in (*lbs, client) for address in host.addresses()]
    done = run_playbook(
        "playbooks/site.yml",
        keepalived_metrics_directory=TEXTFILES,
        haproxy_stats_bind="*:48800",
        haproxy_stats_password=PASSWORD,
        mycat_status_allow=sorted({one for one in allowed if one.startswith("10.")}),
    )
    assert done.rc == 0, done.output
    client.run("mkdir", "-p", "/etc/prometheus", "/run/prometheus")
    rules = (ROOT / "monitoring/mycat_ha.rules.yml").read_text()
    put(client, "/etc/prometheus/mycat_ha.rules.yml", rules)
    put(client, "/etc/prometheus/prometheus.yml", scrapes(lbs, mycats))
    client.run("promtool", "check", "config", "/etc/prometheus/prometheus.yml")
    start(client, "prometheus", "--config.file=/etc/prometheus/prometheus.yml")
    for lb in lbs:
        start(lb, *EXPORTER)
    # A hook that was installed just now has written nothing yet.
    for lb in lbs:
        lb.run("systemctl", "restart", "keepalived")
    complete = "count(up == 1) == 6 and on () sum(mycat_ha_vrrp_holder) == 1"
    await_(lambda: ask(client, complete), WITHIN, "Prometheus has all metrics", every=1)
    yield client
    assert run_playbook("playbooks/site.yml").rc == 0
    # node_exporter would complain for good of a link that leads nowhere.
    assert [lb.run("ls", TEXTFILES).stdout for lb in lbs] == ["", ""]


def await_alert(client: Host, name: str) -> None:
    await_(lambda: name in firing(client), WITHIN, f"{name} fires", every=1)


def await_clear(client: Host, name: str) -> None:
    await_(lambda: name not in firing(client), WITHIN, f"{name} clears", every=1)


def test_the_rules_hold_without_a_cluster(prometheus: Host) -> None:
    for path in ("mycat_ha.rules.yml", "mycat_ha.rules_test.yml"):
        put(prometheus, f"/run/{path}", (ROOT / "monitoring" / path).read_text())
    prometheus.run("promtool", "check", "rules", "/run/mycat_ha.rules.yml")
    prometheus.run("promtool", "test", "rules", "/run/mycat_ha.rules_test.yml")


def test_what_the_dashboard_asks_for_is_there(holder, prometheus: Host) -> None:
    panels = json.loads((ROOT / "monitoring/dashboard.json").read_text())["panels"]
    expressions = [target["expr"] for panel in panels for target in panel["targets"]]
    await_(lambda: ask(prometheus, expressions[0]), WITHIN, "Prometheus answers")
    assert [one for one in expressions if not ask(prometheus, one)] == []


def test_the_holder_is_told_and_a_good_pair_has_no_alert(holder, vip, prometheus) -> None:
    has_it = f'mycat_ha_vrrp_holder{{vip="{vip}"}} == 1'

    def told() -> bool:
        found = [one["metric"]["instance"] for one in ask(prometheus, has_it)]
        return found == [f"{holder.name}:9100"]

    await_(told, WITHIN, "the holder is in the metrics", every=1)
    await_(lambda: not firing(prometheus), WITHIN, "a good pair has no alert", every=1)


def test_a_mycat_that_is_down(holder, mycats, prometheus) -> None:
    mycats[0].run("systemctl", "stop", "mycat")
    try:
        await_alert(prometheus, "MycatHaMycatDown")
        await_alert(prometheus, "MycatHaEndpointNotReady")
    finally:
        mycats[0].run("systemctl", "start", "mycat")
    await_clear(prometheus, "MycatHaMycatDown")
    await_clear(prometheus, "MycatHaEndpointNotReady")


def test_a_standby_without_haproxy(holder, standby, prometheus) -> None:
    standby.run("systemctl", "stop", "haproxy")
    try:
        await_alert(prometheus, "MycatHaHaproxyDown")
        await_alert(prometheus, "MycatHaNoStandby")
    finally:
        standby.run("systemctl", "start", "haproxy")
    await_clear(prometheus, "MycatHaHaproxyDown")
    await_clear(prometheus, "MycatHaNoStandby")


def test_a_host_without_metrics(holder, standby, prometheus) -> None:
    standby.run("systemctl", "stop", "prometheus-node-exporter")
    try:
        await_alert(prometheus, "MycatHaNodeDown")
    finally:
        start(standby, *EXPORTER)
    await_clear(prometheus, "MycatHaNodeDown")


def test_nobody_has_the_address(holder, lbs, prometheus) -> None:
    for lb in lbs:
        lb.run("systemctl", "stop", "keepalived")
    try:
        await_alert(prometheus, "MycatHaNoHolder")
    finally:
        for lb in lbs:
            lb.run("systemctl", "start", "keepalived")
    await_clear(prometheus, "MycatHaNoHolder")


def test_two_have_the_address(holder, standby, prometheus) -> None:
    text = standby.run("cat", CONFIGURATION).stdout
    try:
        other = re.sub(r"virtual_router_id \d+", "virtual_router_id 77", text)
        write(standby, CONFIGURATION, other, mode="600")
        standby.run("systemctl", "reload", "keepalived")
        await_alert(prometheus, "MycatHaTwoHolders")
    finally:
        write(standby, CONFIGURATION, text, mode="600")
        standby.run("systemctl", "reload", "keepalived")
    await_clear(prometheus, "MycatHaTwoHolders")


def test_a_vip_that_comes_and_goes(holder, standby, prometheus) -> None:
    until = time.monotonic() + WITHIN
    while "MycatHaFlapping" not in firing(prometheus):
        assert time.monotonic() < until
        standby.run("systemctl", "restart", "keepalived")
