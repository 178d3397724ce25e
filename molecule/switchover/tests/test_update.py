"""Packages and configuration are updated host by host, while clients go on connecting."""

from __future__ import annotations

import signal

import pytest
from lab.hosts import await_, holders
from lab.outage import measure
from lab.playbook import kill_playbook, run_playbook
from lab.watch import Watch

PLAYBOOK = "playbooks/rolling_update.yml"
# The package as it is, under a lower version.
OLDER = """
set -e
cd $(mktemp -d)
apt-get download -q keepalived
dpkg-deb --raw-extract keepalived_*.deb older
sed -i "s/^Version: .*/Version: 1:2.2.7-0/" older/DEBIAN/control
dpkg-deb --build -Zgzip older older.deb
dpkg --install --force-downgrade older.deb
"""


def update(*options, **variables):
    return run_playbook(PLAYBOOK, *options, **variables)


def version(lb):
    return lb.run("dpkg-query", "--show", "--showformat=${Version}", "keepalived").stdout


@pytest.fixture
def older(lbs, holder):
    """keepalived in an older version on both; the newer one."""
    newer = version(lbs[0])
    for lb in lbs:
        lb.run("sh", "-c", OLDER)
        await_(lambda lb=lb: lb.state_of("keepalived") == "active", 30, "keepalived runs")
    return newer


def test_an_older_package_is_updated_host_by_host(client, vip, lbs, older):
    (first,) = await_(lambda: holders(lbs, vip), 30, "somebody has the VIP")
    (second,) = [lb for lb in lbs if lb != first]
    shown = update("--check")
    assert shown.rc == 0, shown.output
    assert f"main: {second.name}: keepalived {older}" in shown.said
    assert {version(lb) for lb in lbs} == {"1:2.2.7-0"}

    runs = []
    with Watch(lbs, vip) as watch:
        seen = measure(client, vip, lambda: runs.append(update()), 300, 0.05, True)
    (done,) = runs
    print(watch.spans, seen, done.output)
    assert done.rc == 0, done.output
    assert {version(lb) for lb in lbs} == {older}
    assert f"keepalived updated to {older} on" in done.said
    # The VIP moves once: from the holder, which is the last one.
    assert watch.owners == [first.name, second.name]
    watch.assert_one_holder(gap=0.05)
    assert seen.connections_failed == 0, seen
    again = update()
    assert (again.rc, again.changed) == (0, set()), again.output
    assert "main: nothing to update" in again.said


@pytest.mark.parametrize(
    ("step", "by"),
    [
        ("Have its virtual IPs go", signal.SIGKILL),
        ("Update its packages", signal.SIGINT),
        ("Have it take", signal.SIGKILL),
    ],
)
def test_a_run_that_is_cut_off_is_finished_by_the_next(lbs, vip, older, step, by):
    kill_playbook(PLAYBOOK, f"TASK [mycat.ha.cluster : {step}", by=by)
    done = update()
    assert done.rc == 0, done.output
    assert {version(lb) for lb in lbs} == {older}
    assert {lb.run("cat", "/var/lib/mycat_ha/maintenance").stdout for lb in lbs} == {"0\n"}
    assert len(holders(lbs, vip)) == 1


def test_an_update_that_fails_ends_the_run_with_the_service_up(client, vip, lbs, older):
    (first,) = await_(lambda: holders(lbs, vip), 30, "somebody has the VIP")
    (second,) = [lb for lb in lbs if lb != first]
    second.run(
        "sh", "-c", "echo 'DPkg::Pre-Install-Pkgs {\"exit 7\";};' >/etc/apt/apt.conf.d/99fail"
    )
    runs = []
    try:
        seen = measure(client, vip, lambda: runs.append(update()), 300, 0.05, True)
    finally:
        second.run("rm", "/etc/apt/apt.conf.d/99fail")
    (done,) = runs
    assert done.rc == 2
    assert f"FAILED {second.name}:" in done.said
    assert seen.connections_failed == 0, seen
    assert holders(lbs, vip) == [first]
    assert version(first) == "1:2.2.7-0"
    again = update()
    assert again.rc == 0, again.output
