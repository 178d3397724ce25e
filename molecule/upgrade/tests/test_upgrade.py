"""Hosts that the collection of c42aa85 set up are taken over by site.yml of today, under load."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pytest
import yaml
from lab.bounds import LATE
from lab.daemon import instances, write
from lab.earlier import unpack
from lab.haproxy import servers
from lab.hosts import Host, await_, await_one_holder
from lab.outage import measure_during
from lab.playbook import ROOT, Run, kill_playbook, run_playbook
from lab.watch import Watch

# The last version with a play for each role, and with its health endpoint in one file.
EARLIER = "c42aa85a07de2f3969695350ebdedd3cf3851a19"
SITE = "playbooks/site.yml"
DRAIN = "/run/mycat_status/drain"
MAINTENANCE = "/run/mycat_ha/maintenance"
# Seconds: the most that the load goes on.
LOAD = 900
# Tasks, and the how manieth time site.yml begins them. Files are written and not in force yet: on a
# MyCat, on the standby (twice, since the next run begins there), on the holder.
KILLS = (
    ("Compile the program", 1),
    ("Install haproxy.cfg", 1),
    ("Run keepalived with it", 1),
    ("Run keepalived with it", 2),
)
FOLDERS = ("/etc", "/usr/local", "/run/mycat_ha", "/run/mycat_status", "/var/lib/mycat_ha")
UNITS = (
    *("keepalived", "mycat_ha_addresses", "haproxy"),
    *("xinetd", "mycat_status.socket", "mycat_status.service"),
)
# What programs of the distribution make beside them, and copies that are kept for the operator.
MADE_BY_OTHERS = re.compile(
    r"/etc/(rc\d\.d|alternatives|ssl)/|/etc/networks$|/etc/[^/]+-$|\.wants/|~$"
)
# Written by modules of their own, or while the service runs.
RECORDS = ("/run/mycat_ha/state", "/run/mycat_ha/metrics", "/var/lib/mycat_ha/history")
WRITTEN = {"/etc/keepalived/keepalived.conf", DRAIN, *(f"{folder}/*" for folder in RECORDS)}


def files_of(host: Host) -> set[str]:
    """The files and links in FOLDERS that no package brought."""
    script = (
        'comm -23 <(find "$@" -xdev ! -type d 2>/dev/null | sort -u) '
        "<(sort -u /var/lib/dpkg/info/*.list)"
    )
    found = host.run("bash", "-c", script, "bash", *FOLDERS).stdout.splitlines()
    return {path for path in found if not MADE_BY_OTHERS.search(path)}


def installed_today() -> set[str]:
    """All that the roles of today install, on whichever host."""
    manifests = [
        yaml.safe_load((ROOT / f"roles/{role}/meta/files.yml").read_text(encoding="utf-8"))
        for role in ("mycat_status", "haproxy", "keepalived")
    ]
    rows = [row for manifest in manifests for row in (*manifest["files"], *manifest["runtime"])]
    return {row["path"] for row in rows}


def source_of(path: str) -> str:
    """The file that a path stands and falls with: of what Python compiled, the source."""
    path = re.sub(r"__pycache__/(.+)\.[^.]+\.pyc$", r"\1.py", path)
    return re.sub(rf"^({'|'.join(RECORDS)})/.+", r"\1/*", path)


def draining(lb: Host, mycat: str) -> bool:
    return "NOLB" in servers(lb)[mycat]["status"]


def take_away(host: Host, paths: set[str]) -> None:
    """Remove what an earlier test has installed on a host, and stop what runs with it."""
    host.run("systemctl", "stop", *UNITS, check=False)
    host.run("rm", "-f", *sorted(paths))
    host.run("systemctl", "daemon-reload")


@dataclass(frozen=True)
class Standing:
    """What an upgrade leaves as it is."""

    holder: str
    router_ids: dict[tuple[str, str], int]
    flags: dict[str, str]
    of_mycats: dict[tuple[str, str], str]


@pytest.fixture
def standing(lbs, mycats, vip):
    """How the pair stands, when called."""

    def read() -> Standing:
        await_(lambda: all(map(instances, lbs)), LATE, "keepalived answers on both")
        return Standing(
            await_one_holder(lbs, vip).name,
            {
                (lb.name, name): one.virtual_router_id
                for lb in lbs
                for name, one in instances(lb).items()
            },
            {
                **{lb.name: lb.run("cat", MAINTENANCE).stdout for lb in lbs},
                **{mycat.name: mycat.run("find", DRAIN, check=False).stdout for mycat in mycats},
            },
            {(lb.name, name): row["status"] for lb in lbs for name, row in servers(lb).items()},
        )

    return read


@pytest.fixture(scope="session")
def bare(lbs, mycats):
    """What is on the hosts before any version of the collection."""
    return {host: files_of(host) for host in (*lbs, *mycats)}


@pytest.fixture(scope="session")
def earlier(tmp_path_factory, bare):
    """The earlier collection, in a folder of collections."""
    folder = tmp_path_factory.mktemp("earlier")
    unpack(EARLIER, folder)
    return folder


@pytest.fixture
def former(earlier, bare):
    """The pair as the earlier version set it up: the files that it installed on each host."""
    for host, at_first in bare.items():
        take_away(host, files_of(host) - at_first)
    run = run_playbook(earlier / "ansible_collections/mycat/ha" / SITE, collections=earlier)
    assert run.rc == 0, run.output
    files = {host: files_of(host) - at_first for host, at_first in bare.items()}
    # On hosts of an earlier run of these tests all would count as there at first.
    assert all(files.values()), "these tests want new hosts"
    return files


@pytest.fixture
def assert_taken_over(former, bare):
    """Fails where a file is left that no version of today installs, or a run still changes one."""

    def check() -> None:
        ours = installed_today() | WRITTEN
        for host, files in former.items():
            left = files & files_of(host)
            assert {path for path in left if source_of(path) not in ours} == set(), host
        again = run_playbook(SITE, mycat_ha_allow_degraded=True)
        assert (again.rc, again.changed) == (0, set()), again.output

    return check


def test_an_upgrade_loses_no_connection_and_keeps_what_the_operator_set(
    former, standing, assert_taken_over, lbs, mycats, client, vip
):
    holder = await_one_holder(lbs, vip)
    (standby,) = [lb for lb in lbs if lb != holder]
    write(mycats[1], DRAIN, "")
    write(standby, MAINTENANCE, "1\n")
    await_(lambda: all(draining(lb, "mycat2") for lb in lbs), LATE, "mycat2 drains")
    before = standing()

    def upgrade() -> Run:
        # A standby in maintenance and a MyCat that drains are no redundancy.
        return run_playbook(SITE, mycat_ha_allow_degraded=True)

    with Watch(lbs, vip, limit=LOAD) as watch:
        run, outage = measure_during(client, vip, upgrade, LOAD)
    assert run.rc == 0, run.output
    assert standing() == before
    assert watch.owners == [before.holder]
    assert outage.connections_failed == 0, outage
    assert_taken_over()


def test_an_upgrade_that_is_killed_half_way_is_finished_by_the_next_run(
    former, standing, assert_taken_over, lbs, client, vip
):
    before = standing()

    def upgrade() -> Run:
        for task, nth in KILLS:
            kill_playbook(SITE, task, nth)
        return run_playbook(SITE)

    run, outage = measure_during(client, vip, upgrade, LOAD)
    assert run.rc == 0, run.output
    assert standing() == before
    assert outage.connections_failed == 0, outage
    assert_taken_over()
