"""MyCat and HAProxy on the same hosts: each port is one program's, and either host serves alone."""

from __future__ import annotations

from lab.haproxy import all_up
from lab.hosts import await_, holders
from lab.playbook import run_playbook

SITE = "playbooks/site.yml"
PORT = 8067


def answers(client, vip):
    return client.query(vip, "select 1", port=PORT).stdout == "1\n"


def test_the_default_port_is_refused_before_anything_is_touched(holder):
    run = run_playbook(SITE, haproxy_mycat_bind="*:8066")
    assert run.rc != 0
    assert 'haproxy_mycat_bind: "*:8066" is taken by MyCat on the same host' in run.said
    assert "such as *:8067" in run.said
    assert run.changed == set()


def test_a_second_run_changes_nothing(holder):
    run = run_playbook(SITE)
    assert run.rc == 0, run.output
    assert run.changed == set()


def test_clients_reach_mycat_by_the_vip(holder, client, vip):
    assert answers(client, vip)


def test_the_holder_without_its_mycat_serves_by_the_other(holder, lbs, mycats, client, vip):
    holder.run("systemctl", "stop", "mycat")
    try:
        await_(lambda: answers(client, vip), 20, "the other host's MyCat answers")
        assert holders(lbs, vip) == [holder]
    finally:
        holder.run("systemctl", "start", "mycat")
    await_(lambda: all_up(lbs, mycats), 30, "both MyCats are in the balancing again")


def test_the_other_host_takes_over_with_its_own_mycat(holder, standby, lbs, client, vip):
    holder.run("systemctl", "stop", "keepalived", "haproxy", "mycat")
    try:
        await_(lambda: holders(lbs, vip) == [standby], 10, "the VIP moves")
        await_(lambda: answers(client, vip), 20, "the other host serves alone")
    finally:
        holder.run("systemctl", "start", "mycat", "haproxy", "keepalived")
    assert holders(lbs, vip) == [standby]
