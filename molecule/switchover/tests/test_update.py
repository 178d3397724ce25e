"""Packages and configuration are updated host by host, while clients go on connecting."""

from __future__ import annotations

import signal

import pytest
from lab.hosts import await_, await_one_holder, holders
from lab.outage import measure_during
from lab.playbook import kill_playbook, run_playbook
from lab.watch import Watch

PLAYBOOK = "playbooks/rolling_update.yml"
LOWER = {"keepalived": "1:2.2.7-0", "haproxy": "2.6.12-0"}
# The package as it is, under a lower version.
OLDER = """
set -e
cd $(mktemp -d)
apt-get download -q {package}
dpkg-deb --raw-extract {package}_*.deb older
sed -i "s/^Version: .*/Version: {version}/" older/DEBIAN/control
dpkg-deb --build -Zgzip older older.deb
dpkg --install --force-downgrade older.deb
"""


def update(*options, **variables):
    return run_playbook(PLAYBOOK, *options, **variables)


def version(lb, package="keepalived"):
    return lb.run("dpkg-query", "--show", "--showformat=${Version}", package).stdout


def install_older(lbs, package):
    """Install an older version of the package on all; return the newer one."""
    newer = version(lbs[0], package)
    for lb in lbs:
        lb.run("sh", "-c", OLDER.format(package=package, version=LOWER[package]))
        await_(lambda lb=lb: lb.state_of(package) == "active", 30, f"{package} runs")
    return newer


@pytest.fixture
def older(lbs, holder):
    """keepalived in an older version on both; the newer one."""
    return install_older(lbs, "keepalived")


@pytest.mark.parametrize("package", ["keepalived", pytest.param("haproxy", marks=pytest.mark.long)])
def test_an_older_package_is_updated_host_by_host(client, vip, lbs, holder, package):
    newer = install_older(lbs, package)
    first = await_one_holder(lbs, vip)
    (second,) = [lb for lb in lbs if lb != first]
    shown = update("--check")
    assert shown.rc == 0, shown.output
    assert f"main: {second.name}: {package} {newer}" in shown.said
    assert {version(lb, package) for lb in lbs} == {LOWER[package]}

    with Watch(lbs, vip) as watch:
        done, seen = measure_during(client, vip, update)
    print(watch.spans, seen, done.output)
    assert done.rc == 0, done.output
    assert {version(lb, package) for lb in lbs} == {newer}
    assert f"{package} updated to {newer} on" in done.said
    # The VIP moves once: from the holder, which is the last one.
    assert watch.owners == [first.name, second.name]
    watch.assert_one_holder(gap=0.05)
    assert seen.connections_failed == 0, seen
    again = update()
    assert (again.rc, again.changed) == (0, set()), again.output
    assert "main: nothing to update" in again.said


@pytest.mark.long
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
    try:
        done, seen = measure_during(client, vip, update)
    finally:
        second.run("rm", "/etc/apt/apt.conf.d/99fail")
    assert done.rc == 2
    assert f"FAILED {second.name}:" in done.said
    assert seen.connections_failed == 0, seen
    assert holders(lbs, vip) == [first]
    assert version(first) == LOWER["keepalived"]
    again = update()
    assert again.rc == 0, again.output


def boot(host):
    """What differs after each boot: when process 1 began."""
    return host.run("cut", "--delimiter= ", "--fields=22", "/proc/1/stat").stdout


@pytest.mark.long
def test_every_host_is_rebooted_in_its_turn(client, vip, lbs, mycats, holder):
    before = {host: boot(host) for host in (*lbs, *mycats)}
    done, seen = measure_during(client, vip, lambda: update(mycat_ha_reboot="yes"), 600)
    print(seen, done.output)
    assert done.rc == 0, done.output
    assert all(boot(host) != began for host, began in before.items())
    assert seen.connections_failed == 0, seen
    # The VIP moves once: from the holder, which is the last one.
    assert holders(lbs, vip) == [lb for lb in lbs if lb != holder]
