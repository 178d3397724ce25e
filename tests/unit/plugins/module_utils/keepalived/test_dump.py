# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files in ``dumps`` were written by keepalived 2.1.5, 2.2.7 and 2.3.3 (Debian 11, 12 and 13)
on a host with four instances, and by ``ip`` on the same host; shortened."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Callable

import pytest
from ansible_collections.mycat.ha.plugins.module_utils.host.addresses import kernel_addresses
from ansible_collections.mycat.ha.plugins.module_utils.keepalived import dump as state
from ansible_collections.mycat.ha.plugins.module_utils.keepalived import reader

DUMPS = Path(__file__).with_name("dumps")
VERSIONS = ("2.1.5", "2.2.7", "2.3.3")
READERS: dict[str, Callable[[str], tuple[state.InstanceState, ...]]] = {
    "json": state.parse_json,
    "data": state.parse_data,
}
# 2.3.3 had disabled the check of weight -30: it took its script for insecure.
EFFECTIVE = {"2.1.5": 130, "2.2.7": 130, "2.3.3": 160}


def dump(version: str, kind: str) -> str:
    return (DUMPS / f"{version}.{kind}").read_text()


@pytest.mark.parametrize("kind", READERS)
@pytest.mark.parametrize("version", VERSIONS)
def test_dump(version: str, kind: str) -> None:
    first, fault, ipv6, auth = READERS[kind](dump(version, kind))
    assert first == state.InstanceState(
        name="VI_1",
        state="MASTER",
        interface="e0",
        virtual_router_id=51,
        priority=150,
        effective_priority=EFFECTIVE[version],
        virtual_ipaddress=("10.9.0.100/24", "10.9.0.101"),
        virtual_ipaddress_excluded=("fd00:9::7/64",),
        last_transition=first.last_transition,
    )
    assert first.last_transition == pytest.approx(1795412870, abs=20)
    assert (fault.name, fault.state, fault.virtual_ipaddress) == ("VI_2", "FAULT", ("10.9.0.110",))
    assert ipv6.virtual_ipaddress == ("fe80::9:6/64", "fd00:9::6/64")
    assert ipv6.virtual_ipaddress_excluded == ()
    assert (auth.name, auth.state, auth.virtual_router_id) == ("auth", "MASTER", 54)


@pytest.mark.parametrize("kind", READERS)
@pytest.mark.parametrize("version", VERSIONS)
def test_passwords_are_not_read(version: str, kind: str) -> None:
    text = dump(version, kind)
    assert "s3cr3t" in text
    assert "s3cr3t" not in repr(READERS[kind](text))


@pytest.mark.parametrize("kind", READERS)
def test_a_dump_that_is_being_written_is_not_believed(kind: str) -> None:
    text = dump("2.2.7", kind)
    for end in (0, 1, len(text) // 2, len(text) * 9 // 10):
        with pytest.raises(state.DumpError):
            READERS[kind](text[:end])


STRANGE: dict[str, tuple[str, str]] = {
    "not JSON": ("json", "VRRP"),
    "no instance": ("json", "[{}]"),
    "other shape": ("json", "3"),
    "a state there is not": ("json", dump("2.2.7", "json").replace('"state": 2', '"state": 7')),
    "a word for a state": ("data", dump("2.2.7", "data").replace("State = MASTER", "State = UP")),
    "no priority": ("data", dump("2.2.7", "data").replace("   Priority = ", "   Prio = ")),
}


@pytest.mark.parametrize(("kind", "text"), STRANGE.values(), ids=STRANGE)
def test_strange_dump(kind: str, text: str) -> None:
    with pytest.raises(state.DumpError):
        READERS[kind](text)


def test_json_of_version_2() -> None:
    first = state.parse_json(dump("2.3.3", "json"))
    wrapped = json.dumps({"vrrp": json.loads(dump("2.3.3", "json"))})
    assert state.parse_json(wrapped) == first


def test_data_without_instances() -> None:
    assert state.parse_data("------< Interfaces >------\n Name = lo\n") == ()


def test_never_changed_state() -> None:
    text = dump("2.2.7", "json").replace(
        '"last_transition": 1795412864.96291', '"last_transition": 0'
    )
    assert state.parse_json(text)[1].last_transition is None


def test_held() -> None:
    present = kernel_addresses((DUMPS / "ip.json").read_text())
    assert "10.9.0.1" in present
    instances = state.parse_json(dump("2.3.3", "json"))
    assert [state.held(instance, present) for instance in instances] == [
        ("10.9.0.100/24", "10.9.0.101", "fd00:9::7/64"),
        (),
        ("fe80::9:6/64", "fd00:9::6/64"),
        ("10.9.0.120/24",),
    ]
    assert state.held(instances[0], ["fd00:9::7"]) == ("fd00:9::7/64",)


CONF = """
vrrp_instance VI_1 {
    interface eth0
    virtual_router_id 51
    priority 90
    authentication {
        auth_type PASS
        auth_pass s3cret
    }
    virtual_ipaddress {
        192.0.2.100/24 dev eth1
    }
}
vrrp_instance VI_2 {
    virtual_router_id 52
}
"""


def test_stopped() -> None:
    first, second = state.stopped(reader.parse(CONF, "lb1").node)
    assert first == state.InstanceState(
        "VI_1", "stopped", "eth0", 51, 90, None, ("192.0.2.100/24",), (), None
    )
    assert second.virtual_ipaddress == ()


def test_without_passwords() -> None:
    node = reader.parse(CONF, "lb1").node
    masked = state.without_passwords(node)
    assert "s3cret" not in repr(masked)
    assert masked.instances[0].authentication is not None
    assert masked.instances[0].authentication.auth_type == "PASS"
    assert masked.instances[1] == node.instances[1]


def test_without_keys() -> None:
    text = CONF.replace(
        "vrrp_instance", "vrrp_instance X {\nauth_hmac {\nkey 1 %s\n}\n}\nvrrp_instance", 1
    )
    node = reader.parse(text % ("s3cret" * 6), "lb1", keepalived_version=(2, 4, 0)).node
    assert "s3cret" in repr(node.instances[0].auth_hmac)
    assert "s3cret" not in repr(state.without_passwords(node))


# When the daemon was started and last started or reloaded; the file was written at 10.
LOADED = {
    "started before": (5.0, 5.0, False),
    "started after": (15.0, 15.0, True),
    "reloaded before": (3.0, 5.0, False),
    "reloaded after": (5.0, 15.0, True),
    "started before, reloads are not counted": (5.0, None, None),
    "started after, reloads are not counted": (15.0, None, True),
}


@pytest.mark.parametrize(("started", "changed", "expected"), LOADED.values(), ids=LOADED)
def test_has_loaded(started: float, changed: float | None, expected: bool | None) -> None:
    assert state.has_loaded(10.0, started, changed) is expected
