"""MyCat broken in every way, on every listener and Debian at once, as HAProxy sees it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from health.tests.conftest import DOWN, DRAINING, UP, Conclusion

BIN, LOGS = "/usr/local/mycat/bin", "/usr/local/mycat/logs"
SERVER = "/lib/[m]ycat_standin.py"  # the bracket keeps pkill -f from finding its own shell
REVIVE = "systemctl restart mycat"

# The server reads its settings again when they change; it must not find half of them.
SET = """
import json, os, sys
path = "/usr/local/mycat/conf/standin.json"
with open(path) as file:
    values = json.load(file)
values.update(json.loads(sys.argv[1]))
with open(path + ".new", "w") as file:
    json.dump(values, file)
os.replace(path + ".new", path)
"""


def standin(**settings: object) -> str:
    return f"python3 -c '{SET}' '{json.dumps(settings)}'"


def manager(statement: str) -> str:
    """MariaDB 11's client wants TLS of a server that has none, unless told otherwise."""
    login = "--user=mycat --password=mycat-demo --host=127.0.0.1 --port=9066"
    return f"mariadb --skip-ssl {login} --execute={statement}"


def everywhere(variables: dict) -> bool:
    return True


def by_control_script(variables: dict) -> bool:
    return variables.get("mycat_status_use_status_command", False)


def by_query(variables: dict) -> bool:
    return "mycat_status_user" in variables


@dataclass(frozen=True)
class Breakage:
    """Shell commands that break a MyCat and mend it, and whose checks have to see that."""

    do: str
    undo: str
    seen: Callable[[dict], bool] = everywhere
    as_: Conclusion = DOWN


# What makes the process look as if it did not run, while MyCat answers.
EVIDENCE = {
    "control script missing": Breakage(
        f"mv {BIN}/mycat {BIN}/away", f"mv {BIN}/away {BIN}/mycat", by_control_script
    ),
    "control script not executable": Breakage(
        f"chmod a-x {BIN}/mycat", f"chmod a+x {BIN}/mycat", by_control_script
    ),
    "wrapper's file missing": Breakage(
        f"mv {BIN}/wrapper-linux-x86-64 {BIN}/away",
        f"mv {BIN}/away {BIN}/wrapper-linux-x86-64",
        by_control_script,
    ),
    "pid file unreadable": Breakage(f"chmod 0600 {LOGS}/mycat.pid", f"chmod 0644 {LOGS}/mycat.pid"),
    "pid file missing": Breakage(
        f"mv {LOGS}/mycat.pid {LOGS}/away", f"mv {LOGS}/away {LOGS}/mycat.pid"
    ),
    "pid file empty": Breakage(
        f"cp {LOGS}/mycat.pid {LOGS}/away && truncate -s 0 {LOGS}/mycat.pid",
        f"mv {LOGS}/away {LOGS}/mycat.pid",
    ),
    "pid file stale": Breakage(
        f"cp {LOGS}/mycat.pid {LOGS}/away && sh -c 'echo $$' >{LOGS}/mycat.pid",
        # A check must not have removed it.
        f"rm {LOGS}/mycat.pid && mv {LOGS}/away {LOGS}/mycat.pid",
    ),
    "pid of another program": Breakage(
        f"cp {LOGS}/mycat.pid {LOGS}/away && echo 1 >{LOGS}/mycat.pid",
        f"rm {LOGS}/mycat.pid && mv {LOGS}/away {LOGS}/mycat.pid",
    ),
}

BREAKAGES = {
    "stopped": Breakage("systemctl stop mycat", "systemctl start mycat"),
    "wrapper killed": Breakage(f"kill -KILL $(cat {LOGS}/mycat.pid)", REVIVE),
    "wrapper killed and the server left hanging": Breakage(
        f"pkill -STOP -f '{SERVER}'; kill -KILL $(cat {LOGS}/mycat.pid)",
        f"pkill -KILL -f '{SERVER}'; {REVIVE}",
    ),
    "server dead alone": Breakage(
        f"{standin(fault='refuse-start')}; pkill -KILL -f '{SERVER}'",
        f"{standin(fault=None)}; {REVIVE}",
    ),
    "server hung": Breakage(f"pkill -STOP -f '{SERVER}'", f"pkill -CONT -f '{SERVER}'"),
    "no greeting": Breakage(standin(fault="no-greeting"), standin(fault=None)),
    "silent after the greeting": Breakage(
        standin(fault="silent-after-greeting"), standin(fault=None), by_query
    ),
    "silent after the login": Breakage(
        standin(fault="silent-after-login"), standin(fault=None), by_query
    ),
    "slower than the deadline": Breakage(
        standin(query_delay=3.0), standin(query_delay=0.0), by_query
    ),
    "password changed": Breakage(
        standin(password="another"),  # noqa: S106
        standin(password="mycat-demo"),  # noqa: S106
        by_query,
    ),
    "offline": Breakage(manager("offline"), manager("online"), by_query, DRAINING),
    "another server on its port": Breakage(
        standin(version="8.0.36"), standin(version="5.6.29-mycat-1.6.7.6-release-20220524173810")
    ),
    "draining": Breakage(
        "touch /run/mycat_status/drain", "rm /run/mycat_status/drain", as_=DRAINING
    ),
    "draining and stopped": Breakage(
        "touch /run/mycat_status/drain; systemctl stop mycat",
        "rm /run/mycat_status/drain; systemctl start mycat",
    ),
}


ENDPOINT = """
import urllib.request
print(urllib.request.urlopen("http://127.0.0.1:48700/", timeout=5).read().decode())
"""


def on_all(mycats, command: str) -> None:
    for mycat in mycats:
        mycat.run("sh", "-c", command)


@pytest.mark.parametrize("breakage", BREAKAGES.values(), ids=BREAKAGES)
def test_haproxy_sees_what_is_broken(breakage, whole, mycats, role_variables, await_conclusions):
    on_all(mycats, breakage.do)
    try:
        await_conclusions(
            {m.name: breakage.as_ if breakage.seen(role_variables(m)) else UP for m in mycats}
        )
    finally:
        on_all(mycats, breakage.undo)
    await_conclusions({mycat.name: UP for mycat in mycats})


@pytest.mark.parametrize("breakage", EVIDENCE.values(), ids=EVIDENCE)
def test_a_process_that_looks_gone_is_a_warning_while_mycat_answers(
    breakage, whole, mycats, role_variables, await_conclusions
):
    seen = [mycat for mycat in mycats if breakage.seen(role_variables(mycat))]
    on_all(mycats, breakage.do)
    try:
        for mycat in seen:
            said = json.loads(mycat.run("python3", "-c", ENDPOINT).stdout)
            assert said["status"] == "up"
            assert [w for w in said["warnings"] if w.startswith("pid: ")], (mycat.name, said)
        await_conclusions({mycat.name: UP for mycat in mycats})
    finally:
        on_all(mycats, breakage.undo)
