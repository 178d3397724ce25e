"""What a run costs and prints, and what it makes of hosts and settings that are amiss."""

from __future__ import annotations

import json
import re
import time

import pytest
import yaml
from lab.hosts import await_
from lab.playbook import run_playbook
from lab.watch import Watch

SITE = "playbooks/site.yml"
MOST_MODULES = 12
MOST_LINES = 120
MOST_LINES_OF_A_CHANGE = 150


def modules(host, since):
    """The modules that Ansible ran on a host since then, as they told its journal."""
    shown = host.run("journalctl", "-q", "-o", "json", f"--since=@{since:.3f}").stdout
    entries = [json.loads(line) for line in shown.splitlines()]
    return [
        str(entry.get("SYSLOG_IDENTIFIER", ""))
        for entry in entries
        if str(entry.get("SYSLOG_IDENTIFIER", "")).startswith("ansible-")
        and "Invoked with" in str(entry.get("MESSAGE"))
    ]


def test_an_unchanged_run_is_short(holder, lbs, mycats):
    since = time.time()
    run = run_playbook(SITE)
    assert run.rc == 0, run.output
    assert run.changed == set()
    for host in (*lbs, *mycats):
        assert 0 < len(modules(host, since)) <= MOST_MODULES, modules(host, since)
    assert len(run.output.splitlines()) < MOST_LINES


def test_a_run_ends_with_where_the_address_is(holder, standby, mycats, vip):
    run = run_playbook(SITE)
    said = (
        rf"VIP {re.escape(vip)} on {holder.name} since .* \| standby {standby.name} \| MyCats 2/2 "
    )
    assert re.search(said, run.said), run.output


def test_the_diff_of_one_setting_is_short_and_says_only_that(holder, lbs):
    run = run_playbook(SITE, "--check", "--diff", haproxy_maxconn=5000)
    assert run.rc == 0, run.output
    assert run.changed == {lb.name for lb in lbs}
    assert len(run.output.splitlines()) < MOST_LINES_OF_A_CHANGE
    changed = re.findall(r"^\+(?!\+\+)\s*(.*)$", run.output, re.MULTILINE)
    assert {line.split()[0] for line in changed} == {"maxconn"}


def test_one_load_balancer_alone_can_be_set_up_again(holder, standby):
    run = run_playbook(SITE, "--limit", standby.name)
    assert run.rc == 0, run.output
    assert set(run.recap) == {standby.name}


def test_a_wrong_setting_that_takes_the_service_away_is_put_back(holder, lbs, vip):
    """HAProxy turns every client away, which no plan can foresee of a raw line."""
    cfg = {lb.name: lb.run("sha256sum", "/etc/haproxy/haproxy.cfg").stdout for lb in lbs}
    with Watch(lbs, vip) as watch:
        run = run_playbook(SITE, haproxy_mycat_extra=["tcp-request connection reject"])
    assert run.rc != 0
    assert f"gets no answer from {vip} port 8066 on {holder.name}" in run.said, run.output
    assert [set(span.holders) for span in watch.spans] == [{holder.name}]
    assert {lb.name: lb.run("sha256sum", "/etc/haproxy/haproxy.cfg").stdout for lb in lbs} == cfg
    mended = run_playbook(SITE)
    assert mended.rc == 0, mended.output


@pytest.mark.parametrize("options", [("--check",), ()], ids=["check", "run"])
def test_what_keepalived_refuses_a_check_refuses_too(options, lbs):
    """keepalived -t complains of it, and no plan can know."""
    routes = ["static_routes {", "198.51.100.0/24 via 192.0.2.1", "}"]
    run = run_playbook(SITE, *options, keepalived_extra=routes)
    assert run.rc == 2, run.output
    assert "keepalived refuses the new configuration" in run.said
    for lb in lbs:
        assert "static_routes" not in lb.run("cat", "/etc/keepalived/keepalived.conf").stdout


@pytest.fixture
def unreachable(mycats, tmp_path):
    """A MyCat host to which Ansible finds no way while it serves on, and options that say so."""
    host = mycats[0]
    address = next(a for a in host.addresses() if not a.startswith(("127.", "::")))
    # Nobody listens there. A container that is gone would count as a failure of the task.
    nowhere = {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": 1}
    nowhere["mycat_ha_address"] = address
    path = tmp_path / "lost.yml"
    path.write_text(yaml.safe_dump({"all": {"hosts": {host.name: nowhere}}}))
    return host, (f"--inventory={path}",)


def test_a_host_that_is_unreachable_is_left_out_and_named(holder, lbs, unreachable):
    lost, options = unreachable
    run = run_playbook(SITE, *options, haproxy_maxconn=4100)
    assert run.rc == 0, run.output
    assert run.changed == {lb.name for lb in lbs}
    assert re.search(rf"WARNING {lost.name}: ", run.said), run.output
    for lb in lbs:
        assert f"server {lost.name} " in lb.run("cat", "/etc/haproxy/haproxy.cfg").stdout
    assert run_playbook(SITE).rc == 0


def test_the_report_is_a_file_for_other_programs(holder, lbs, mycats, vip, tmp_path):
    path = tmp_path / "status.json"
    run = run_playbook("playbooks/status.yml", mycat_ha_report=str(path))
    assert run.rc == 0, run.output
    report = json.loads(path.read_text())
    assert (report["schema"], report["playbook"], report["ok"]) == (1, "status", True)
    (cluster,) = report["clusters"].values()
    assert cluster["vips"][vip]["holder"] == holder.name
    assert set(cluster["load_balancers"]) == {lb.name for lb in lbs}
    assert set(cluster["mycats"]) == {mycat.name for mycat in mycats}


def test_a_mycat_that_is_down_makes_the_run_fail_and_is_named(holder, mycats):
    down = mycats[0]
    try:
        down.run("systemctl", "stop", "mycat")
        run = run_playbook("playbooks/status.yml")
        allowed = run_playbook("playbooks/status.yml", mycat_ha_allow_degraded=True)
    finally:
        down.run("systemctl", "start", "mycat")
    assert run.rc == 2, run.output
    assert re.search(rf"DEGRADED {down.name}: .*DOWN", run.said), run.output
    assert allowed.rc == 0, allowed.output
    await_(lambda: run_playbook("playbooks/status.yml").rc == 0, 60, "the pair is whole again")
