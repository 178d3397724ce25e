"""Several virtual IPs that came together on one load balancer are spread again, each alone."""

from __future__ import annotations

import re
import signal
import subprocess
from contextlib import ExitStack, contextmanager

import pytest
from lab.daemon import ready, write
from lab.hosts import await_, holders
from lab.outage import measure
from lab.playbook import kill_playbook, run_playbook
from lab.watch import Watch

PLAYBOOK = "playbooks/switchover.yml"
CONF = "/etc/keepalived/keepalived.conf"
GROUPS = {"mycat_ha_lb_group": "balancers", "mycat_ha_mycat_group": "proxies"}
STICKY = {"mycat_ha_preempt": "sticky"}
# What a planned move may cost; 9 ms of it are VRRP's.
GAP = 0.05
# A switch-over that was cut off ends by itself after 20 s, and is looked for every 5 s.
CUT_OFF = 40
# The line of a tracked file of one address, where it is tracked, and its block.
MOVING = re.compile(r"^ +move_\S+ weight 0\n|^track_file move_\S+ \{\n.*\n\}\n\n?", re.MULTILINE)


def converge(**variables):
    return run_playbook("molecule/spread/converge.yml", **variables)


def switch(*options, **variables):
    return run_playbook(PLAYBOOK, *options, **GROUPS, **variables)


def rebalance(*options, **variables):
    return switch(*options, mycat_ha_rebalance="yes", **variables)


@pytest.fixture(scope="module")
def sticky():
    done = converge(**STICKY)
    assert done.rc == 0, done.output
    yield STICKY
    back = converge()
    assert back.rc == 0, back.output


@pytest.fixture(scope="module", params=["fault", "weight", "kill"])
def mode(request, sticky):
    given = {**sticky, "mycat_ha_failover_mode": request.param, "mycat_ha_failover_budget": 6}
    done = converge(**given)
    assert done.rc == 0, done.output
    return given


@pytest.fixture
def homes(lbs, vips):
    """Where the plan has each VIP, once all could have any."""
    await_(lambda: all(map(ready, lbs)), 60, "all are in the election")
    return dict(zip(vips, lbs))


def held(lbs, vips):
    return {name: holders(lbs, vip) for name, vip in vips.items()}


def spread(homes):
    return {name: [home] for name, home in homes.items()}


@contextmanager
def watching(lbs, vips):
    """Watch all the VIPs; {name: Watch}."""
    with ExitStack() as stack:
        yield {name: stack.enter_context(Watch(lbs, vip)) for name, vip in vips.items()}


def gathered(on, lbs, vips, variables):
    """All VIPs on one load balancer, as after a failover."""
    done = switch(mycat_ha_to=on.name, **variables)
    assert done.rc == 0, done.output
    assert held(lbs, vips) == {name: [on] for name in vips}
    return done


def test_a_cluster_of_before_gets_the_files_by_a_reload_that_moves_nothing(
    sticky, homes, lbs, vips
):
    if held(lbs, vips) != spread(homes):
        assert rebalance(**sticky).rc == 0
    for lb in lbs:
        text = lb.run("cat", CONF).stdout
        before, number = MOVING.subn("", text)
        assert number == 2 * len(vips)
        assert "move_" not in before
        write(lb, CONF, before, mode="600")
        lb.run("systemctl", "reload", "keepalived")
    await_(lambda: all(map(ready, lbs)), 60, "all are in the election")
    pids = [lb.run("cat", "/run/keepalived.pid").stdout for lb in lbs]
    with watching(lbs, vips) as watches:
        done = converge(**sticky)
        await_(lambda: all(map(ready, lbs)), 60, "all are in the election")
    assert done.rc == 0, done.output
    assert done.changed == {lb.name for lb in lbs}
    assert [lb.run("cat", "/run/keepalived.pid").stdout for lb in lbs] == pids
    for name, watch in watches.items():
        assert [set(span.holders) for span in watch.spans] == [{homes[name].name}], name
    again = converge(**sticky)
    assert (again.rc, again.changed) == (0, set()), again.output


def test_sessions_get_their_time(sticky, homes, lbs, client, vips):
    gathered(lbs[0], lbs, vips, sticky)
    argv = client.argv(
        *("mariadb", "--batch", "--skip-reconnect", f"--host={vips['stock']}", "--port=8066"),
        *("--user=mycat", "--password=mycat-demo", "--execute=select sleep(25)"),
    )
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as session:
        where = ("ss", "-Htn", "state", "established", "src", f"{vips['stock']}:8066")
        await_(lambda: lbs[0].run(*where).stdout, 20, "the session")
        done = rebalance(mycat_ha_drain_seconds=120, **sticky)
        assert session.wait(timeout=10) == 0, session.stderr.read()
    assert done.rc == 0, done.output
    assert held(lbs, vips) == spread(homes)


def test_who_could_not_serve_gets_nothing(sticky, homes, lbs, vips):
    gathered(lbs[1], lbs, vips, sticky)
    lbs[2].run("systemctl", "stop", "haproxy")
    try:
        done = rebalance(**sticky)
    finally:
        lbs[2].run("systemctl", "start", "haproxy")
    assert done.rc == 2
    assert f"mycat_ha_rebalance: {lbs[2].name} has no HAProxy that is alive" in done.said
    assert held(lbs, vips) == {name: [lbs[1]] for name in vips}


def test_it_stands_beside_no_other_wish(sticky, lbs):
    done = rebalance(mycat_ha_to=lbs[0].name, **sticky)
    assert done.rc == 2
    assert "mycat_ha_to: is set beside mycat_ha_rebalance; write one of the two" in done.said


CUTS = [
    ("Keep the other standbys aside", signal.SIGKILL),
    ("Give the addresses up", signal.SIGKILL),
    ("Give the addresses up", signal.SIGINT),
    ("Have the other standbys take part again", signal.SIGINT),
]


@pytest.mark.parametrize(("step", "by"), CUTS)
def test_a_controller_that_is_cut_off_leaves_one_holder_each(step, by, sticky, homes, lbs, vips):
    gathered(lbs[2], lbs, vips, sticky)
    at = f"TASK [mycat.ha.cluster : {step}"
    kill_playbook(PLAYBOOK, at, by=by, mycat_ha_rebalance="yes", **GROUPS, **sticky)

    def settled():
        files = "cat /var/lib/mycat_ha/moving/*"
        words = {word for lb in lbs for word in lb.run("sh", "-c", files).stdout.split()}
        return words == {"0"} and all(len(one) == 1 for one in held(lbs, vips).values())

    await_(settled, CUT_OFF, "each VIP is on one host, and all take part")
    await_(lambda: all(map(ready, lbs)), 60, "all are in the election")
    again = rebalance(**sticky)
    assert again.rc == 0, again.output
    assert held(lbs, vips) == spread(homes)


def test_vips_on_one_load_balancer_are_spread_again(mode, homes, lbs, client, vips):
    together = gathered(lbs[1], lbs, vips, mode)
    assert "the virtual IPs are not spread (0 on lb11, 3 on lb12, 0 on lb13)" in together.output
    would = rebalance("--check", **mode)
    assert (would.rc, would.changed) == (0, set()), would.output
    assert f"{vips['orders']} goes from lb12 to lb11" in would.said
    assert held(lbs, vips) == {name: [lbs[1]] for name in vips}

    runs = []
    with watching(lbs, vips) as watches:
        seen = measure(
            client,
            vips["orders"],
            lambda: runs.append(rebalance(**mode)),
            300,
            end_with_failure=True,
        )
    print({name: watch.longest_without_holder for name, watch in watches.items()}, seen)
    (done,) = runs
    assert done.rc == 0, done.output
    assert "are not spread" not in done.output
    assert seen.connections_failed == 0, seen
    for name, watch in watches.items():
        moved = [lbs[1].name, *([homes[name].name] if homes[name] != lbs[1] else [])]
        assert watch.owners == moved, name
        watch.assert_one_holder(gap=GAP)
    again = rebalance(**mode)
    assert again.rc == 0, again.output
    assert "each virtual IP is on its own load balancer already" in again.said
    assert "nothing changed" in again.said
