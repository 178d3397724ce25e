# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module as Ansible runs it, on a host whose programs and servers are stand-ins."""

from __future__ import annotations

import contextlib
import io
import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Iterator

import pytest
import yaml
from ansible_collections.mycat.ha.plugins.doc_fragments.options import ModuleDocFragment
from ansible_collections.mycat.ha.plugins.module_utils.keepalived import state
from ansible_collections.mycat.ha.plugins.module_utils.network import mysql
from ansible_collections.mycat.ha.plugins.modules import host_state
from lab.module import patch_module_args
from lab.servers import answering, saying, serving, silent

COLLECTION = "ansible_collections.mycat.ha"
SECRET = "s3cret"  # noqa: S105 - of nobody
GREETING = (
    b"\x4f\0\0\0\x0a5.6.29-mycat-1.6.7\0\1\0\0\0" + b"s" * 8 + b"\0\xff\xf7\x21\2\0\x08\0\x15"
    + bytes(10) + b"s" * 12 + b"\0"
).ljust(4 + 0x4F, b"\0")  # fmt: skip
HAPROXY = b"Name: HAProxy\nVersion: 2.6.12\n\n# pxname,svname,status,\nmycat,mycat1,UP,\n\n"
ENDPOINT = b'HTTP/1.1 200 OK\r\n\r\n{"status": "up", "level": "greeting", "reason": "greets"}'
TOOLS = {
    "ip": """echo '[{"addr_info": [{"local": "192.0.2.11"}, {"local": "::1"}]}]'""",
    "systemctl": "printf 'Names=haproxy.service\\nLoadState=loaded\\nActiveState=active\\n"
    "UnitFileState=enabled\\n'",
    "dpkg-query": "echo haproxy installed 2.6.12-1; exit 1",
    "haproxy": "echo HAProxy version 2.6.12-1 2023/12/16",
    "keepalived": "echo 'Keepalived v2.2.7 (01/16,2022)' >&2",
}


class Host:
    """A directory for the host's files, and programs of our own in the PATH."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.bin = directory / "bin"
        self.bin.mkdir()
        for name, script in TOOLS.items():
            self.tool(name, script)
        self.options = {
            "haproxy_socket": str(directory / "admin.sock"),
            "haproxy_config": str(directory / "haproxy.cfg"),
            "keepalived_config": str(directory / "keepalived.conf"),
            "timeout": 0.5,
        }

    def tool(self, name: str, script: str) -> None:
        path = self.bin / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    def run(self, **options: Any) -> dict[str, Any]:
        said = io.StringIO()
        streams = contextlib.redirect_stdout(said)
        arguments = {**self.options, **options}
        with patch_module_args(arguments), streams, pytest.raises(SystemExit):
            host_state.main()
        assert SECRET not in said.getvalue()
        result = json.loads(said.getvalue())
        assert result.get("changed", False) is False
        return result


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    # Another test of the same run may have a keepalived of its own.
    monkeypatch.setattr(state, "find_daemon", lambda: None)
    with serving(answering(HAPROXY), str(tmp_path / "admin.sock")):
        yield Host(tmp_path)


def test_everything(host: Host) -> None:
    path = host.directory / "f"
    path.write_text("x")
    with serving(saying(GREETING)) as vip, serving(answering(ENDPOINT)) as port:
        result = host.run(
            packages=["haproxy", "xinetd"],
            units=["haproxy", "none"],
            paths=[str(path)],
            accounts=["root", "no-such-user"],
            programs=["/bin/sh", str(path)],
            ports=[vip],
            vips=[{"address": "127.0.0.1", "port": vip}],
            endpoint_port=port,
        )
    assert result["problems"] == []
    assert result["packages"] == {"haproxy": "2.6.12-1", "xinetd": None}
    assert result["versions"] == {"haproxy": "2.6.12", "keepalived": "2.2.7"}
    assert result["units"] == {
        "haproxy": {"active": "active", "enabled": "enabled"},
        "none": {"active": "inactive", "enabled": "not-found"},
    }
    assert result["files"][str(path)]["kind"] == "file"
    assert result["accounts"] == {"root": True, "no-such-user": False}
    assert result["programs"] == {"/bin/sh": "ok", str(path): "is not an executable file"}
    assert list(result["listeners"]) == [str(vip)]
    assert len(result["listeners"][str(vip)]) == 1
    assert result["addresses"] == ["192.0.2.11", "::1"]
    assert result["asked"] == {f"127.0.0.1:{vip}": "ok"}
    assert result["endpoint"]["status"] == "up"
    assert result["haproxy"]["servers"][0]["server"] == "mycat1"
    assert result["keepalived"]["version"] == "2.2.7"
    now = time.strftime("%Y-%m-%dT%H:%M", time.gmtime())
    assert result["time"][:14] == now[:14]
    documented = yaml.safe_load(host_state.RETURN)
    # What the controller adds, no host can tell.
    assert set(result) - {"invocation", "changed"} == set(documented) - {"clock_ahead"}
    for part in ("haproxy", "keepalived"):
        assert set(result[part]) == set(documented[part]["contains"])


def test_nothing_there_and_nothing_wanted(host: Host) -> None:
    host.options["haproxy_socket"] = "/nowhere"
    for name in ("haproxy", "keepalived"):
        (host.bin / name).unlink()
    for place in ("/usr/sbin", "/usr/local/sbin"):
        if any(Path(place, name).exists() for name in ("haproxy", "keepalived")):
            pytest.skip("HAProxy or keepalived is installed")
    result = host.run()
    assert (result["haproxy"], result["keepalived"], result["endpoint"]) == (None, None, None)
    assert result["versions"] == {"haproxy": None, "keepalived": None}
    for name in ("packages", "files", "units", "accounts", "programs", "listeners", "asked"):
        assert result[name] == {}
    assert result["problems"] == []


def test_a_part_that_fails_leaves_the_others(host: Host) -> None:
    host.tool("systemctl", "echo 'Failed to connect to bus' >&2; exit 1")
    host.tool("ip", "echo nonsense")
    result = host.run(units=["haproxy"], packages=["haproxy"])
    assert result["packages"] == {"haproxy": "2.6.12-1"}
    assert (result["units"], result["addresses"]) == ({}, [])
    assert result["haproxy"]["alive"] is True
    first, second = result["problems"]
    assert first == "units: Failed to connect to bus"
    assert second.startswith("addresses: ip -json address says what it should not")


def test_who_is_not_root_is_told(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert host.run()["problems"][0].startswith("not root")


@pytest.mark.thorough
def test_those_who_do_not_answer_are_waited_for_side_by_side(host: Host) -> None:
    now, most = 0, 0

    def counted(client: socket.socket) -> None:
        nonlocal now, most
        now += 1
        most = max(most, now)
        silent(client)
        now -= 1

    with serving(counted) as port:
        vips = [{"address": "127.0.0.1", "port": port}, {"address": "127.0.0.2", "port": port}]
        result = host.run(vips=vips, endpoint_port=port, timeout=2)
    assert most == 2
    assert result["asked"][f"127.0.0.1:{port}"] == "no answer within 2 s"
    assert result["asked"][f"127.0.0.2:{port}"] == "Connection refused"
    assert result["endpoint"] == {
        "code": None,
        "status": None,
        "level": None,
        "reason": "no answer within 2 s",
    }


@pytest.mark.parametrize(
    ("status", "answer"), [("ON", "ok"), ("OFF", "show mycat_status says OFF")]
)
def test_a_login_asks_a_query(
    host: Host, monkeypatch: pytest.MonkeyPatch, status: str, answer: str
) -> None:
    asked = []

    def query(*given: Any) -> list[dict[str, str]]:
        asked.append(given)
        return [{"STATUS": status}]

    monkeypatch.setattr(mysql, "query", query)
    login = {"user": "u", "password": SECRET}
    result = host.run(vips=[{"address": "192.0.2.100", "port": 8066}], login=login)
    assert result["asked"] == {"192.0.2.100:8066": answer}
    assert asked == [("192.0.2.100", 8066, "u", SECRET, "show mycat_status", 0.5)]


def test_a_password_hides_no_other_word(host: Host) -> None:
    result = host.run(accounts=["root"], login={"user": "root", "password": "root"})
    assert result["accounts"] == {"root": True}


@pytest.mark.parametrize(
    ("module", "unwanted"),
    [
        ("plugins.modules.host_state", "module_utils.keepalived.reader"),
        ("plugins.module_utils.keepalived.state", "module_utils.vrrp.rules.catalogue"),
    ],
)
def test_a_host_compiles_no_more_than_it_needs(module: str, unwanted: str) -> None:
    """Every run compiles what a module imports: the rules alone would cost more than all of it."""
    code = f"import sys, {COLLECTION}.{module}; print(*sys.modules)"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", code]
    loaded = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE).stdout
    assert f"{COLLECTION}.{module}" in loaded.decode().split()
    assert f"{COLLECTION}.plugins.{unwanted}" not in loaded.decode().split()


def test_no_password_is_logged_on_the_host(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    logged: list[str] = []
    monkeypatch.setattr(
        host_state.AnsibleModule, "log", lambda _self, message, **_options: logged.append(message)
    )
    host.run(login={"user": "u", "password": "back\\slash"})
    assert "Invoked with" in logged[0]
    assert "slash" not in "".join(logged)


def test_no_time(host: Host) -> None:
    assert host.run(timeout=0)["msg"] == "timeout: must be more than 0 s"


def described(options: dict[str, Any]) -> dict[str, Any]:
    """The argument spec that the documentation describes."""
    spec = {}
    for name, option in options.items():
        kept = {key: value for key, value in option.items() if key != "description"}
        if "suboptions" in kept:
            kept["options"] = described(kept.pop("suboptions"))
        spec[name] = kept
    return spec


def test_the_documentation_describes_the_options() -> None:
    spec = host_state.argument_spec()
    del spec["login"]["no_log"]
    del spec["login"]["options"]["password"]["no_log"]
    texts = (host_state.DOCUMENTATION, ModuleDocFragment.VIPS)
    options = {k: v for text in texts for k, v in yaml.safe_load(text)["options"].items()}
    assert described(options) == spec
