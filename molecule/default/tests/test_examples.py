"""The plays that the documents show run as they are written, on hosts that are set up."""

from __future__ import annotations

import pytest
from lab.documents import is_local, plays
from lab.playbook import run_playbook

EXAMPLES = [example for example, content in plays() if not is_local(content)]


@pytest.mark.parametrize("example", EXAMPLES, ids=str)
def test_a_play_of_a_role_alone_runs_and_changes_nothing(example, vip, tmp_path):
    # The documents' addresses are nobody's. The hosts have no sudo: Ansible is root there.
    own = {"mycat_ha_vip": f"{vip}/24", "ansible_become": False}
    run = run_playbook(str(example.written(tmp_path)), **own)
    assert run.rc == 0, run.output
    assert run.changed == set()
    assert run.recap
