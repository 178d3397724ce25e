"""Two clusters in one inventory: each serves, and neither touches the other."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from lab.daemon import instances
from lab.hosts import await_one_holder
from lab.playbook import run_playbook

SITE = "playbooks/site.yml"
# A check that never passes, in one of the clusters.
NEVER = [{"name": "never", "script": "/bin/false"}]
# One more VIP in one of the clusters. A MyCat of both has no VIP of its own.
VIPS = (
    "{{ [{'address': mycat_ha_vip | default('')}] "
    "+ ([{'address': '10.87.58.99/24'}] if mycat_ha_cluster | default('') == 'west' else []) }}"
)
CHECK_OF_WEST = f"{{{{ {NEVER} if mycat_ha_cluster == 'west' else [] }}}}"


@pytest.fixture(scope="session")
def vips(settings):
    """The VIP of each cluster."""
    given = settings["provisioner"]["inventory"]["group_vars"]
    return {name: given[name]["mycat_ha_vip"].partition("/")[0] for name in ("east", "west")}


@pytest.fixture(scope="session")
def pairs(group):
    """The load balancers of each cluster."""
    members = {name: {host.name for host in group(name)} for name in ("east", "west")}
    return {
        name: [lb for lb in group("haproxy") if lb.name in hosts] for name, hosts in members.items()
    }


def router_ids(pairs):
    """The virtual router ids that run, by load balancer and instance."""
    return {
        (lb.name, name): one.virtual_router_id
        for lbs in pairs.values()
        for lb in lbs
        for name, one in instances(lb).items()
    }


def report(tmp_path: Path, playbook: str = "playbooks/status.yml") -> dict:
    path = tmp_path / "report.json"
    run = run_playbook(playbook, mycat_ha_report=str(path))
    assert run.rc == 0, run.output
    return json.loads(path.read_text())["clusters"]


def limits(lbs) -> set[str]:
    """What HAProxy's configuration on these hosts says of the maxconn of MyCat's listener."""
    command = ("sed", "-n", "/^listen mycat$/,/^$/s/ *maxconn //p", "/etc/haproxy/haproxy.cfg")
    return {lb.run(*command).stdout.strip() for lb in lbs}


def test_each_cluster_serves_on_its_own_address(pairs, vips, tmp_path):
    clusters = report(tmp_path)
    assert list(clusters) == ["east", "west"]
    for name, cluster in clusters.items():
        holder = await_one_holder(pairs[name], vips[name])
        assert list(cluster["vips"]) == [vips[name]]
        assert cluster["vips"][vips[name]]["holder"] == holder.name
        assert set(cluster["mycats"]) == {"mycat3", "mycat1" if name == "east" else "mycat2"}


def test_router_ids_differ_and_stay_when_a_vip_comes(pairs):
    before = router_ids(pairs)
    assert len(set(before.values())) == 2
    run = run_playbook(SITE, mycat_ha_vips=VIPS)
    assert run.rc == 0, run.output
    # MyCats let the load balancers in by their virtual addresses, too.
    assert run.changed <= {*(lb.name for lb in pairs["west"]), "mycat2", "mycat3"}
    during = router_ids(pairs)
    assert {key: during[key] for key in before} == before
    assert len(set(during.values())) == 3
    assert run_playbook(SITE).rc == 0
    assert router_ids(pairs) == before


def test_a_run_about_one_cluster_leaves_the_other_alone(pairs):
    west = {lb.name for lb in pairs["west"]}
    run = run_playbook(SITE, mycat_ha_cluster_only="west", haproxy_maxconn=3000)
    assert (run.rc, run.changed) == (0, west), run.output
    assert limits(pairs["west"]) == {"3000"}
    assert "3000" not in limits(pairs["east"])
    back = run_playbook(SITE)
    assert (back.rc, back.changed) == (0, west), back.output


def test_a_failure_in_one_cluster_stops_that_one_only(pairs, vips, tmp_path):
    holder = await_one_holder(pairs["west"], vips["west"])
    former = limits(pairs["west"])
    run = run_playbook(SITE, haproxy_maxconn=3001, keepalived_checks=CHECK_OF_WEST)
    assert run.rc == 2, run.output
    assert "FAILED lb" in run.output
    assert limits(pairs["east"]) == {"3001"}
    assert limits(pairs["west"]) == former
    assert await_one_holder(pairs["west"], vips["west"]) == holder
    assert all(cluster["ok"] for cluster in report(tmp_path).values())
    assert run_playbook(SITE).rc == 0
