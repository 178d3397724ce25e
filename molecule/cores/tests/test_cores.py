"""site.yml with one ansible-core: it serves, a second run changes nothing, none is deprecated."""

from __future__ import annotations

import os
import re

import pytest
from lab.hosts import await_one_holder
from lab.playbook import run_playbook

CORE = os.environ["MYCAT_HA_CORE"]


@pytest.fixture(scope="module")
def runs():
    return [run_playbook("playbooks/site.yml", core=CORE) for _ in range(2)]


def test_it_is_the_ansible_core_that_was_asked_for():
    version = run_playbook("playbooks/site.yml", "--version", core=CORE).output
    assert version.startswith(f"ansible-playbook [core {CORE}.")


def test_the_first_run_sets_the_pair_up(runs, lbs, mycats, client, vip):
    first, _ = runs
    assert first.rc == 0, first.output
    assert {host.name for host in [*lbs, *mycats]} <= first.changed
    await_one_holder(lbs, vip)
    assert client.query(vip, "select @@hostname").stdout.strip() == mycats[0].name


def test_the_second_run_changes_nothing(runs):
    _, second = runs
    assert second.rc == 0, second.output
    assert second.changed == set()


def test_nothing_is_deprecated(runs):
    for run in runs:
        assert not re.findall(r"\[DEPRECATION WARNING\].*", run.output)
