"""The hook that writes each instance's state into a file, as bash runs it."""

from __future__ import annotations

import os
import pwd
import shlex
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
    environment.filters["quote"] = shlex.quote
    script, check = tmp_path / "record_state", f"{tmp_path}/bin/disk"
    script.write_text(
        environment.get_template("record_state.sh.j2").render(
            ansible_managed="",
            run_folder=tmp_path,
            state_folder=tmp_path,
            mode="fault",
            notify_user=pwd.getpwuid(os.geteuid()).pw_name,
            interfaces=["lo"],
            instances={"192.0.2.100": "vip_1", "192.0.2.101": "a/b"},
            moved_by={"vip_1": "a/b", "a/b": "a/b"},
            checks=[
                {"program": check, "command": check, "fails": "check disk fails"},
            ],
        )
    )
    for name in ("state", "history", "metrics", "moving"):
        (tmp_path / name).mkdir()
    (tmp_path / "bin").mkdir()
    logger = tmp_path / "bin/logger"
    logger.write_text(f'#!/bin/sh\necho "$*" >>{tmp_path}/journal\n')
    logger.chmod(0o755)

    script.chmod(0o755)

    def record(*arguments, by=(), **environment):
        done = subprocess.run(
            [*by, script, *arguments],
            capture_output=True,
            text=True,
            check=True,
            timeout=20,
            env={"PATH": f"{tmp_path}/bin:{os.environ['PATH']}", **environment},
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


@pytest.mark.parametrize(
    "name", ["state/a", "state/a.new", "state/.a", "history/a", "metrics/.new"]
)
def test_a_link_that_another_user_left_is_not_followed(record, tmp_path, name):
    target = tmp_path / "target"
    target.write_text("")
    (tmp_path / name).symlink_to(target)
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
        ("BACKUP", {}, "keepalived started, and this load balancer can take over"),
        ("FAULT", {"haproxy_down": "1"}, "HAProxy is down"),
        (
            "FAULT",
            {"haproxy_down": "0", "maintenance": "1"},
            "somebody took this load balancer out (maintenance)",
        ),
        ("FAULT", {"haproxy_down": "0", "maintenance": "0"}, "a check fails, as"),
        ("FAULT", {}, "a check fails, as keepalived says above"),
        ("FAULT", {"maintenance": "2"}, "somebody moves the addresses (switch-over)"),
        (
            "FAULT",
            {"maintenance": "0", "moving/a_b": "2"},
            "somebody moves the addresses (switch-over)",
        ),
        ("FAULT", {"maintenance": "0", "moving/a_b": "0"}, "a check fails, as"),
        ("FAULT", {"moving/vip_1": "2"}, "a check fails, as"),
        ("STOP", {}, "keepalived stops"),
        ("STOP", {"address_lost": ""}, "this load balancer has lost one of its own addresses"),
    ],
)
def test_the_journal_says_why_in_one_line(record, tmp_path, state, files, why):
    for name, content in files.items():
        (tmp_path / name).write_text(content + "\n")
        os.utime(tmp_path / name, (1795661980,) * 2)
    record("INSTANCE", "vip_1", state, "254")
    (line,) = (tmp_path / "journal").read_text().splitlines()
    assert line.startswith(f"-t mycat_ha -- vip_1 is {state}: {why}")


def noted(tmp_path):
    """The history as (state, cause), and that its times do not go back."""
    lines = [line.split(" ", 2) for line in (tmp_path / "history/vip_1").read_text().splitlines()]
    times = [float(moment) for moment, _state, _cause in lines]
    assert times == sorted(times)
    return [(state, cause) for _moment, state, cause in lines]


def test_each_change_is_noted_with_its_cause(record, tmp_path):
    for state in ("BACKUP", "MASTER", "BACKUP", "FAULT", "BACKUP"):
        record("INSTANCE", "vip_1", state, "254")
    assert noted(tmp_path) == [
        ("BACKUP", "keepalived started, and this load balancer can take over"),
        ("MASTER", "no better load balancer was heard"),
        ("BACKUP", "another load balancer ranks higher"),
        ("FAULT", "a check fails, as keepalived says above"),
        ("BACKUP", "this load balancer can take over, and leaves the address where it is"),
    ]


@pytest.mark.parametrize("after", ["FAULT", "BACKUP"])
def test_the_check_that_fails_is_named(record, tmp_path, after):
    check = tmp_path / "bin/disk"
    check.write_text("#!/bin/sh\nexit 1\n")
    check.chmod(0o755)
    for state in ("BACKUP", "MASTER", after):
        record("INSTANCE", "vip_1", state, "254")
    assert noted(tmp_path)[-1] == (after, "check disk fails")


def test_a_history_does_not_grow_for_ever(record, tmp_path):
    line = f"1795661980.2 BACKUP {'x' * 500}\n"
    (tmp_path / "history/vip_1").write_text(line * 300)
    record("INSTANCE", "vip_1", "MASTER", "254")
    lines = (tmp_path / "history/vip_1").read_text().splitlines()
    assert len(lines) == 200
    assert "MASTER" in lines[-1]


def test_without_a_folder_for_it_the_state_is_recorded(record, tmp_path):
    (tmp_path / "history").rmdir()
    record("INSTANCE", "vip_1", "MASTER", "254")
    assert (tmp_path / "state/vip_1").read_text() == "MASTER\n"


@pytest.mark.parametrize("name", ["maintenance", "moving/a_b"])
def test_a_switch_over_that_is_over_already_is_named(record, tmp_path, name):
    (tmp_path / name).write_text("0\n")
    record("INSTANCE", "vip_1", "FAULT", "254")
    assert noted(tmp_path) == [("FAULT", "somebody moves the addresses (switch-over)")]


KILLED = {"SERVICE_RESULT": "signal", "EXIT_CODE": "killed", "EXIT_STATUS": "KILL"}


@pytest.mark.parametrize(
    ("environment", "cause"),
    [
        ({"SERVICE_RESULT": "success"}, "keepalived stops"),
        (KILLED, "keepalived ended by itself (killed KILL)"),
    ],
)
def test_systemd_has_noted_what_keepalived_could_not_say(record, tmp_path, environment, cause):
    record("INSTANCE", "vip_1", "MASTER", "254")
    (tmp_path / "state/half.new").write_text("MASTER\n")
    for _time in range(2):
        record(**environment)
    assert noted(tmp_path)[1:] == [("STOP", cause)]
    assert not (tmp_path / "history/half.new").exists()
    # What the same keepalived says of its checks, which end with it.
    record("INSTANCE", "vip_1", "FAULT", "254")
    assert len(noted(tmp_path)) == 2
    record("INSTANCE", "vip_1", "BACKUP", "254", by=["bash", "-c", '"$@"; exit', "bash"])
    assert noted(tmp_path)[2] == (
        *("BACKUP", "keepalived started, and this load balancer can take over"),
    )


def test_a_stop_is_noted_once_by_whom_it_is_noted_first(record, tmp_path):
    record("INSTANCE", "vip_1", "MASTER", "254")
    record("INSTANCE", "vip_1", "STOP", "254")
    record(**KILLED)
    assert noted(tmp_path)[1:] == [("STOP", "keepalived stops")]


def test_a_fault_of_a_keepalived_that_stops_is_called_so(record, tmp_path):
    systemctl = tmp_path / "bin/systemctl"
    systemctl.write_text("#!/bin/sh\necho deactivating\n")
    systemctl.chmod(0o755)
    record("INSTANCE", "vip_1", "FAULT", "254")
    assert noted(tmp_path) == [("FAULT", "keepalived stops")]


def test_nothing_is_noted_where_keepalived_has_said_nothing_yet(record, tmp_path):
    record(**KILLED)
    assert list((tmp_path / "history").iterdir()) == []


# ---- metrics ----


def samples(folder: Path) -> dict[str, float]:
    """What node_exporter would read, {sample: value}; every metric has its type told before."""
    found, typed = {}, set()
    for line in (folder / "metrics/mycat_ha_vrrp.prom").read_text().splitlines():
        if line.startswith("# TYPE "):
            typed.add(line.split()[2])
        elif not line.startswith("#"):
            sample, _blank, value = line.rpartition(" ")
            assert sample.partition("{")[0] in typed
            assert sample not in found
            found[sample] = float(value)
    return found


def test_each_state_is_in_the_metrics(record, tmp_path):
    of = 'vip="192.0.2.100",vrrp_instance="vip_1"'
    for state in ("BACKUP", "MASTER", "FAULT", "STOP"):
        record("INSTANCE", "vip_1", state, "254")
        found = samples(tmp_path)
        assert found[f"mycat_ha_vrrp_holder{{{of}}}"] == (state == "MASTER")
        for one in ("BACKUP", "MASTER", "FAULT", "STOP"):
            assert found[f'mycat_ha_vrrp_state{{{of},state="{one}"}}'] == (one == state)
    assert found[f"mycat_ha_vrrp_transitions_total{{{of}}}"] == 4
    assert found[f"mycat_ha_vrrp_priority{{{of}}}"] == 254
    changed = found[f"mycat_ha_vrrp_last_change_timestamp_seconds{{{of}}}"]
    assert abs(changed - (tmp_path / "state/vip_1").stat().st_mtime) < 60


def test_instances_are_told_apart_and_one_that_went_leaves_no_metrics(record, tmp_path):
    for name in ("vip_1", "a/b", "gone"):
        record("INSTANCE", name, "MASTER", "100")
    text = (tmp_path / "metrics/mycat_ha_vrrp.prom").read_text()
    assert 'holder{vip="192.0.2.100",vrrp_instance="vip_1"} 1' in text
    assert 'holder{vip="192.0.2.101",vrrp_instance="a/b"} 1' in text
    assert "gone" not in text


def test_the_metrics_are_for_everybody_and_nothing_half_written_is_seen(record, tmp_path):
    record("INSTANCE", "vip_1", "MASTER", "254")
    shown = [path for path in (tmp_path / "metrics").iterdir() if path.suffix == ".prom"]
    assert [path.name for path in shown] == ["mycat_ha_vrrp.prom"]
    assert stat.S_IMODE(shown[0].stat().st_mode) == 0o644


def test_the_state_is_recorded_without_a_folder_for_metrics(record, tmp_path):
    (tmp_path / "metrics").rmdir()
    record("INSTANCE", "vip_1", "MASTER", "254")
    assert (tmp_path / "state/vip_1").read_text() == "MASTER\n"
