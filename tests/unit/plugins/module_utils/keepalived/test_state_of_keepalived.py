# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""States of instances, with a process of our own in the place of keepalived."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.mycat.ha.plugins.module_utils.host import units
from ansible_collections.mycat.ha.plugins.module_utils.host.addresses import Addresses
from ansible_collections.mycat.ha.plugins.module_utils.host.problems import Problems
from ansible_collections.mycat.ha.plugins.module_utils.keepalived import dump, state

CONF = """
vrrp_instance a/b {
    interface eth0
    virtual_router_id 51
    priority 90
    authentication {
        auth_type PASS
        auth_pass s3cret
    }
    virtual_ipaddress {
        192.0.2.100/24
        192.0.2.101/24
    }
}
vrrp_instance c {
    interface eth0
    virtual_router_id 52
    virtual_ipaddress {
        192.0.2.102/24
    }
}
"""
BOTH = frozenset(["192.0.2.100", "192.0.2.101", "192.0.2.1"])
ASKED = (dump.InstanceState("a/b", "FAULT", "eth0", 51, 90, 0, ("192.0.2.100/24",), (), 1e9),)


class Host:
    """A host on which this process is keepalived, and ``asked`` counts questions to it."""

    def __init__(self, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.conf = directory / "keepalived.conf"
        self.conf.write_text(CONF)
        self.states = directory / "state"
        self.states.mkdir()
        self.pid: int | None = os.getpid()
        self.asked = 0
        self.later: frozenset[str] = frozenset()
        self.problems = Problems()
        monkeypatch.setattr(state, "STATES", str(self.states))
        monkeypatch.setattr(state, "find_daemon", lambda: self.pid)
        monkeypatch.setattr(state, "find", lambda _name: "/usr/sbin/keepalived")
        monkeypatch.setattr(state, "from_daemon", self.answer)

    def answer(self, *_given: Any) -> tuple[dump.InstanceState, ...]:
        self.asked += 1
        return ASKED

    def record(self, **states: str) -> None:
        for name, value in states.items():
            (self.states / name).write_text(f"{value}\n")

    def read(self, present: frozenset[str] = BOTH, unit: units.Properties = {}) -> Any:  # noqa: B006
        return state.state(str(self.conf), "2.2.7", unit, self.known(present), self.problems, 1)

    def known(self, present: frozenset[str]) -> Addresses:
        """Addresses of which a second look finds ``later``, if there is one."""
        known = Addresses(lambda: self.later or present, self.problems)
        known.present = present
        return known

    def read_states(self, present: frozenset[str] = BOTH) -> list[str]:
        found = self.read(present)
        assert self.problems.sentences == []
        return [instance["state"] for instance in found["instances"]]


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    return Host(tmp_path, monkeypatch)


def test_records_that_the_kernel_agrees_with_are_believed(host: Host) -> None:
    host.record(a_b="MASTER", c="BACKUP")
    os.utime(host.states / "a_b", (1893456000, 1893456000))
    first, second = host.read()["instances"]
    assert first == {
        "name": "a/b",
        "state": "MASTER",
        "since": "2030-01-01T00:00:00Z",
        "interface": "eth0",
        "virtual_router_id": 51,
        "priority": 90,
        "effective_priority": None,
        "virtual_ipaddress": ("192.0.2.100/24", "192.0.2.101/24"),
        "virtual_ipaddress_excluded": (),
        "held": ("192.0.2.100/24", "192.0.2.101/24"),
    }
    assert (second["state"], second["held"]) == ("BACKUP", ())
    assert host.asked == 0


@pytest.mark.parametrize(
    ("a", "c", "present"),
    [
        pytest.param("MASTER", "MASTER", BOTH, id="a master without its address"),
        pytest.param("MASTER", "BACKUP", BOTH - {"192.0.2.101"}, id="a master without one of two"),
        pytest.param("BACKUP", "BACKUP", BOTH, id="a standby with addresses"),
        pytest.param("MASTER", "BACKUP", BOTH | {"192.0.2.102"}, id="one more address"),
        pytest.param("MASTER", "", BOTH, id="an empty record"),
        pytest.param("MASTER", "STOP", BOTH, id="a daemon that ended"),
        pytest.param("MASTER", "x" * 1000, BOTH, id="no state at all"),
    ],
)
def test_the_daemon_is_asked_where_a_record_does_not_fit(
    host: Host, a: str, c: str, present: frozenset[str]
) -> None:
    host.record(a_b=a, c=c)
    assert host.read_states(present) == ["FAULT"]
    assert host.asked == 1


def test_who_is_asked_may_have_its_addresses_by_now(host: Host) -> None:
    host.later = BOTH
    assert host.read(frozenset())["instances"][0]["held"] == ("192.0.2.100/24",)


def test_a_missing_record_or_a_link_is_none(host: Host) -> None:
    host.record(a_b="MASTER")
    assert host.read_states() == ["FAULT"]
    (host.states / "d").write_text("BACKUP\n")
    (host.states / "c").symlink_to("d")
    assert host.read_states() == ["FAULT"]
    os.unlink(host.states / "c")
    os.mkfifo(host.states / "c")
    assert host.read_states() == ["FAULT"]
    assert host.asked == 3


def test_a_record_of_a_daemon_before_this_one_is_not_believed(host: Host) -> None:
    host.record(a_b="MASTER", c="BACKUP")
    os.utime(host.states / "c", (1, 1))
    assert host.read()["instances"][0]["since"] == "2001-09-09T01:46:40Z"
    assert host.asked == 1


def test_a_daemon_that_does_not_answer_is_a_problem(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_given: Any) -> None:
        raise state.dump.DumpError("it wrote nothing")

    monkeypatch.setattr(state, "from_daemon", fail)
    found = host.read()
    assert (found["running"], found["instances"]) == (True, [])
    assert host.problems.sentences == ["keepalived: it wrote nothing"]


def test_stopped(host: Host) -> None:
    host.pid = None
    host.record(a_b="MASTER", c="BACKUP")
    found = host.read()
    assert (found["running"], found["pid"], found["loaded_is_file"]) == (False, None, None)
    assert [one["state"] for one in found["instances"]] == ["stopped", "stopped"]
    assert [one["since"] for one in found["instances"]] == [None, None]
    assert host.asked == 0


def test_whether_the_file_is_in_force(host: Host) -> None:
    def unit(seconds_ago: float) -> units.Properties:
        moment = int((time.monotonic() - seconds_ago) * 1e6)
        return {"MainPID": str(os.getpid()), "StateChangeTimestampMonotonic": str(moment)}

    assert host.read(unit=unit(-1))["loaded_is_file"] is True
    time.sleep(0.05)
    host.conf.write_text(CONF + "# edited\n")
    assert host.read(unit=unit(1))["loaded_is_file"] is False
    assert host.read(unit={})["loaded_is_file"] is None


def test_the_text_has_no_password(host: Host) -> None:
    text = host.read()["text"]
    assert "s3cret" not in text
    assert "virtual_router_id 51" in text


def test_nothing_there(host: Host) -> None:
    host.pid = None
    host.conf.unlink()
    assert state.state(str(host.conf), "", {}, host.known(BOTH), host.problems, 1) is None
    found = host.read()
    assert (found["text"], found["instances"], found["version"]) == ("", [], "2.2.7")


def test_a_file_that_is_no_configuration(host: Host) -> None:
    host.conf.write_bytes(b"\xff\0")
    found = host.read()
    assert "NUL byte" in host.problems.sentences[0]
    assert [one["state"] for one in found["instances"]] == ["FAULT"]
    host.conf.unlink()
    host.conf.mkdir()
    host.problems = Problems()
    assert host.read()["text"] == ""
    assert host.problems.sentences == [f"keepalived: {host.conf}: Is a directory"]
