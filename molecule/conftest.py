"""Fixtures of all scenarios: their hosts, and a pair that is whole again before each test."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import testinfra
import yaml
from lab.daemon import ready, write
from lab.haproxy import all_up
from lab.hosts import Host, await_, await_one_holder
from lab.playbook import run_playbook
from lab.watch import Watch
from testinfra.host import Host as TestinfraHost


@pytest.fixture(scope="session")
def settings() -> dict:
    """The scenario's molecule.yml as Molecule merged it."""
    return yaml.safe_load(Path(os.environ["MOLECULE_FILE"]).read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def variables(settings: dict) -> dict:
    return settings["provisioner"]["inventory"]["group_vars"]["all"]


@pytest.fixture(scope="session")
def group(settings: dict, variables: dict) -> Callable[[str], list[Host]]:
    """The hosts of an inventory group."""
    return lambda name: [
        Host(platform["name"], variables["molecule_network"])
        for platform in settings["platforms"]
        if name in platform["groups"]
    ]


@pytest.fixture(scope="session")
def lbs(group: Callable[[str], list[Host]]) -> list[Host]:
    return group("haproxy")


@pytest.fixture(scope="session")
def mycats(group: Callable[[str], list[Host]]) -> list[Host]:
    return group("mycat")


@pytest.fixture(scope="session")
def client(group: Callable[[str], list[Host]]) -> Host:
    return group("clients")[0]


@pytest.fixture(scope="session")
def vip(variables: dict) -> str:
    return variables["mycat_ha_vip"].split("/")[0]


@pytest.fixture(scope="session")
def inspect() -> Callable[[Host], TestinfraHost]:
    return lambda host: testinfra.get_host(f"docker://{host.container}")


@pytest.fixture
def holder(lbs: list[Host], mycats: list[Host], vip: str) -> Host:
    """The host with the VIP, once everything runs and every MyCat is in the balancing."""
    everything = [(lb, unit) for lb in lbs for unit in ("haproxy", "keepalived")]
    everything += [(mycat, "mycat") for mycat in mycats]
    for host, unit in everything:
        await_(lambda h=host, u=unit: h.state_of(u) == "active", 20, f"{unit} runs on {host.name}")
    for lb in lbs:
        await_(lambda h=lb: ready(h), 30, f"{lb.name} is in the election, with all checks passed")
    await_(lambda: all_up(lbs, mycats), 30, "every MyCat is in the balancing")
    return await_one_holder(lbs, vip)


@pytest.fixture
def standby(lbs: list[Host], holder: Host) -> Host:
    """The other one of a pair."""
    (other,) = [lb for lb in lbs if lb != holder]
    return other


@pytest.fixture
def assert_vip_stays(lbs: list[Host], vip: str) -> Callable[[Host, float], None]:
    """Watch the VIP for some seconds: the absence of an event cannot be awaited."""

    def watch(host: Host, seconds: float) -> None:
        with Watch(lbs, vip) as watched:
            time.sleep(seconds)
        assert [set(span.holders) for span in watched.spans] == [{host.name}]

    return watch


@pytest.fixture
def preferred(lbs: list[Host]) -> Iterator[None]:
    """keepalived with mycat_ha_preempt: preferred; afterwards as the scenario has it."""
    path = "/etc/keepalived/keepalived.conf"
    before = {lb: lb.run("cat", path).stdout for lb in lbs}
    done = run_playbook("molecule/shared/keepalived.yml", mycat_ha_preempt="preferred")
    assert done.rc == 0, done.output
    yield
    for lb, text in before.items():
        write(lb, path, text, mode="600")
        lb.run("systemctl", "reload", "keepalived")
