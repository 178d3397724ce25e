"""The hook that writes each instance's state into a file, as bash runs it."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from pathlib import Path

import jinja2
import pytest

TEMPLATES = Path(__file__).parents[4] / "roles/keepalived/templates"
pytestmark = pytest.mark.skipif(not shutil.which("flock"), reason="flock is not installed")


@pytest.fixture
def record(tmp_path):
    """Call the hook as keepalived does; return what it printed."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # noqa: S701  it prints no HTML
    )
    script = tmp_path / "record_state"
    script.write_text(
        environment.get_template("record_state.sh.j2").render(
            ansible_managed="", run_folder=tmp_path
        )
    )
    (tmp_path / "state").mkdir()
    (tmp_path / "bin").mkdir()
    logger = tmp_path / "bin/logger"
    logger.write_text(f'#!/bin/sh\necho "$*" >>{tmp_path}/journal\n')
    logger.chmod(0o755)

    def record(*arguments):
        done = subprocess.run(
            ["bash", "-eu", script, *arguments],
            capture_output=True,
            text=True,
            check=True,
            timeout=20,
            env={"PATH": f"{tmp_path}/bin:{os.environ['PATH']}"},
        )
        assert done.stderr == ""
        return done.stdout

    return record


def test_the_last_state_is_in_the_file(record, tmp_path):
    for state in ("BACKUP", "MASTER", "FAULT"):
        record("INSTANCE", "vip_1", state, "254")
        assert (tmp_path / "state/vip_1").read_text() == state + "\n"


def test_everybody_may_read_it_and_nothing_else_is_seen(record, tmp_path):
    record("INSTANCE", "a", "MASTER", "254")
    record("INSTANCE", "b", "BACKUP", "254")
    shown = sorted(path.name for path in (tmp_path / "state").iterdir() if path.name[0] != ".")
    assert shown == ["a", "b"]
    assert stat.S_IMODE((tmp_path / "state/a").stat().st_mode) == 0o644


def test_a_hook_that_was_started_earlier_and_comes_later_changes_nothing(record, tmp_path):
    record("INSTANCE", "vip_1", "MASTER", "254")
    (tmp_path / "state/.vip_1").write_text("9" * 30)
    record("INSTANCE", "vip_1", "BACKUP", "254")
    assert (tmp_path / "state/vip_1").read_text() == "MASTER\n"


def test_the_operators_command_gets_its_own_and_keepaliveds_arguments(record, tmp_path):
    said = record("/bin/echo", "to dba", "INSTANCE", "vip_1", "MASTER", "254")
    assert said == "to dba INSTANCE vip_1 MASTER 254\n"
    assert (tmp_path / "state/vip_1").read_text() == "MASTER\n"


def test_a_name_leads_out_of_no_directory(record, tmp_path):
    record("INSTANCE", "../x", "MASTER", "254")
    assert (tmp_path / "state/.._x").read_text() == "MASTER\n"
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("name", ["a", "a.new", ".a"])
def test_a_link_that_another_user_left_is_not_followed(record, tmp_path, name):
    target = tmp_path / "target"
    target.write_text("")
    (tmp_path / "state" / name).symlink_to(target)
    record("INSTANCE", "a", "MASTER", "254")
    assert target.read_text() == ""
    assert (tmp_path / "state/a").read_text() == "MASTER\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_a_user_who_follows_another_records_states(record, tmp_path):
    """The shell that runs the tests as root could write to any file; -O tells whose it is."""
    for name in ("a", ".a"):
        (tmp_path / "state" / name).write_text("of the other")
        os.chown(tmp_path / "state" / name, 1234, 1234)
    record("INSTANCE", "a", "MASTER", "254")
    found = {path.name: path.stat().st_uid for path in (tmp_path / "state").iterdir()}
    assert found == {"a": 0, ".a": 0}


@pytest.mark.parametrize(
    ("state", "files", "why"),
    [
        ("MASTER", {}, "no better load balancer was heard"),
        ("BACKUP", {}, "this load balancer can take over, and leaves the address where it is"),
        ("FAULT", {"haproxy_down": "1"}, "HAProxy is down"),
        ("FAULT", {"haproxy_down": "0", "maintenance": "1"}, "an operator set"),
        ("FAULT", {"haproxy_down": "0", "maintenance": "0"}, "a check fails or the interface"),
        ("FAULT", {}, "a check fails or the interface is down"),
        ("STOP", {}, "keepalived stops"),
    ],
)
def test_the_journal_says_why_in_one_line(record, tmp_path, state, files, why):
    for name, content in files.items():
        (tmp_path / name).write_text(content + "\n")
    record("INSTANCE", "vip_1", state, "254")
    (line,) = (tmp_path / "journal").read_text().splitlines()
    assert line.startswith(f"-t mycat_ha -- vip_1 is {state}: {why}")
