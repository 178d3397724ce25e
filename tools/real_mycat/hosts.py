"""The hosts, and what is done to them."""

from __future__ import annotations

import functools
import os
import tempfile
from pathlib import Path

from lab.haproxy import servers
from lab.hosts import Host, await_
from lab.mycat_archive import RULE_XML, SCHEMA_XML, SERVER_XML
from lab.playbook import run_playbook

NETWORK, VIP = "mycat-ha-mycat", "10.87.62.100"
LB, OTHER_LB, CLIENT = (Host(name, NETWORK) for name in ("lb1", "lb2", "client"))
MYCAT = Host("mycat2", NETWORK)
HOME = "/usr/local/mycat"
SCRIPT = f"{HOME}/bin/mycat"
WRAPPER = "wrapper-linux-x86-64 "
# Of a MyCat whose database comes back: the endpoint asks again for readiness after 65 s.
PATIENCE = 150.0


@functools.lru_cache
def given() -> dict[str, str]:
    """The role's variables for the archives that the environment names."""
    files = {"server": SERVER_XML, "schema": SCHEMA_XML, "rule": RULE_XML}
    return {
        "mycat_archive": os.environ["ARCHIVE"],
        "mycat_archive_sha256": os.environ["SHA256"],
        "mycat_java": os.environ["JAVA"],
        "mycat_java_sha256": os.environ["JAVA_SHA256"],
        **{f"mycat_{name}_xml": write(f"{name}.xml", text) for name, text in files.items()},
    }


def played(playbook: str, **variables: object) -> None:
    """Run a playbook of the collection with the archives, and with these variables."""
    done = run_playbook(f"playbooks/{playbook}.yml", **{**given(), **variables})
    if done.rc:
        raise SystemExit(f"{playbook} ended with {done.rc}:\n{done.output}")


def status() -> str:
    """What HAProxy says of the MyCat."""
    return str(servers(LB)[MYCAT.name]["status"])


def await_up() -> None:
    await_(lambda: status() == "UP", PATIENCE, "MyCat is UP")


def jvm() -> str:
    (wrapper,) = MYCAT.run("pgrep", "-f", WRAPPER).stdout.split()
    return MYCAT.run("pgrep", "-P", wrapper).stdout.strip()


def write(name: str, text: str) -> str:
    """Write a file on the controller; return its path."""
    path = Path(tempfile.mkdtemp(), name)
    path.write_text(text, encoding="utf-8")
    return str(path)


def manager(statement: str) -> None:
    MYCAT.query("127.0.0.1", statement, port=9066)


def stop_database() -> None:
    MYCAT.run("systemctl", "stop", "mariadb")


def start_database() -> None:
    MYCAT.run("systemctl", "start", "mariadb")


def hang_database() -> None:
    MYCAT.run("pkill", "-STOP", "-x", "mariadbd")


def wake_database() -> None:
    MYCAT.run("pkill", "-CONT", "-x", "mariadbd")
