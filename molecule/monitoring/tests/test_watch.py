"""mycat.ha.status that looks again and again."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from lab.playbook import kill_playbook, run_playbook

STATUS = "playbooks/status.yml"


def test_each_look_shows_the_short_table_until_it_is_interrupted(
    holder, vip, tmp_path: Path
) -> None:
    page = tmp_path / "status.html"
    at = f"VIP {vip} on {holder.name}"
    looked = kill_playbook(
        STATUS, at, 3, signal.SIGINT, mycat_ha_watch=1, mycat_ha_report=str(page)
    )
    _before, *looks = looked.output.split(" UTC\n")
    assert len(looks) >= 3
    for look in looks[:2]:
        assert look.startswith(f"VIP {vip} on {holder.name} since ")
        assert "TASK [" not in look
    assert "Traceback" not in looked.output
    assert "User interrupted execution" in looked.output
    assert looked.rc == 99
    assert "port 8066 serves" in page.read_text()


def test_what_goes_wrong_meanwhile_is_shown(holder, vip, mycats) -> None:
    lost = mycats[0]
    lost.run("systemctl", "stop", "mycat")
    try:
        at = f"DEGRADED {lost.name}: "
        looked = kill_playbook(STATUS, at, 2, signal.SIGINT, mycat_ha_watch=1)
    finally:
        lost.run("systemctl", "start", "mycat")
    assert looked.rc == 99
    assert f"VIP {vip} on {holder.name}" in looked.output


@pytest.mark.parametrize("value", ["0.5", "often"])
def test_other_values_are_refused_by_name(value: str) -> None:
    run = run_playbook(STATUS, mycat_ha_watch=value)
    assert run.rc == 2
    assert f"mycat_ha_watch: is '{value}'; write the seconds between two looks" in run.said
