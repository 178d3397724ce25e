#!/usr/bin/python
# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: mycat_restart
short_description: Drain a MyCat, restart it, and have it take sessions again
version_added: 0.2.0
description:
  - One MyCat's turn in C(mycat.ha.rolling_restart_mycat), in two steps, between which the load
    balancers wait for its sessions to end.
  - What was done is noted in C(/var/lib/mycat_ha/restart.json), so that another run finishes what
    one left.
  - A drain that somebody else asked for (C(/run/mycat_status/drain)) stays.
  - The options that say where MyCat is follow from the inventory.
options:
  state:
    description:
      - V(drained) has the health endpoint ask for no new sessions.
      - V(restarted) stops MyCat and starts it, waits until the endpoint calls it ready while it
        drains, and ends the drain. It goes on where the run or the connection ends.
      - V(returned) waits until the endpoint calls MyCat ready, and ends the drain; the MyCat's turn
        is still to come.
      - V(forgotten) ends the note.
    type: str
    choices: [drained, restarted, returned, forgotten]
    required: true
  run:
    description: Names the run; the same for all steps.
    type: str
    required: true
  by:
    description: Who asks for the drain, as the endpoint tells it.
    type: str
    default: mycat.ha.rolling_restart_mycat
  lease:
    description: Seconds after V(drained) within which no other run takes this MyCat.
    type: float
    default: 30
  force:
    description: Whether V(drained) takes the turn from another run.
    type: bool
    default: false
  home:
    description: Directory of MyCat.
    type: path
    default: /usr/local/mycat
  pid_file:
    description: File with the id of its wrapper; C(logs/mycat.pid) below O(home) unless set.
    type: path
  unit:
    description: Its unit of systemd; found unless set. V(none) for C(bin/mycat).
    type: str
    default: ''
  endpoint_port:
    description: Port of the health endpoint.
    type: int
    default: 48700
  stop_seconds:
    description: Seconds after which a MyCat that does not stop is killed.
    type: float
    default: 30
  start_seconds:
    description: Seconds within which it has to be ready.
    type: float
    default: 120
attributes:
  check_mode:
    support: full
    description: It says that it would change something, and changes nothing.
  diff_mode:
    support: none
    description: It changes no file of the operator.
author:
  - mycat.ha maintainers (@mycat-ha)
"""

EXAMPLES = r"""
- name: Restart a MyCat that is drained
  mycat.ha.mycat_restart:
    state: restarted
    run: "{{ run }}"
"""

RETURN = r"""
done:
  description: What was done, a few words each; empty where nothing was to do.
  returned: success
  type: list
  elements: str
  sample: [MyCat restarted]
ours:
  description: Whether the drain is the run's own.
  returned: success
  type: bool
  sample: true
run:
  description: The run.
  returned: success
  type: str
seconds:
  description: How long MyCat took to stop and be ready.
  returned: success
  type: float
  sample: 4.1
"""

import os
import signal
import time

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.mycat.ha.plugins.module_utils.host import endpoint, restart
from ansible_collections.mycat.ha.plugins.module_utils.host.commands import CommandError
from ansible_collections.mycat.ha.plugins.module_utils.host.draining import undrain
from ansible_collections.mycat.ha.plugins.module_utils.host.maintenance import await_
from ansible_collections.mycat.ha.plugins.module_utils.host.mycat import MyCat, MyCatError
from ansible_collections.mycat.ha.plugins.module_utils.host.restart import (
    DONE,
    STOPPED,
    Note,
    TurnError,
)

NOTICED = 5.0  # seconds within which the endpoint sees that MyCat is gone


def mycat_of(params, unit):
    """Return the MyCat of this host; ``unit`` is the one that is known to run it."""
    return MyCat(params["home"], params["pid_file"], unit or params["unit"])


def own_note(run):
    """Return the note of this run. Raises TurnError where another run took the turn."""
    note = restart.read()
    if note is None or note.run != run:
        raise TurnError("another run took this MyCat's turn meanwhile; wait for its end")
    return note


def drain(params):
    """Ask for no new sessions; return the note."""
    former = restart.read()
    under_way = former is not None and former.run != params["run"] and former.until > time.time()
    if under_way and not params["force"]:
        raise TurnError(
            "another run is at this MyCat, or was cut off a moment ago; run this again in "
            f"{former.until - time.time():.0f} s"
        )
    mycat = mycat_of(params, "")
    stopped = former if former and former.state == STOPPED else None
    note = Note(
        params["run"],
        until=time.time() + params["lease"],
        ours=restart.drain(params["by"], former),
        unit=mycat.unit or (stopped.unit if stopped else ""),
        uid=mycat.uid if mycat.pid else stopped and stopped.uid,
    )
    restart.write(note)
    return note


def stop_and_start(params):
    """Restart MyCat; return the note, what was done and how long it took."""
    note = own_note(params["run"])
    if note.state == DONE:
        return note, [], 0.0
    began, port = time.monotonic(), params["endpoint_port"]
    mycat = mycat_of(params, note.unit)
    if mycat.pid is None and not mycat.unit and endpoint.is_ready(port):
        raise MyCatError(
            f"MyCat answers, but neither {mycat.pid_file} nor a unit tells who runs it; write its "
            "unit into mycat_ha_mycat_unit"
        )
    restart.write(Note(note.run, STOPPED, time.time() + 1, note.ours, note.unit, note.uid))
    killed = mycat.stop(params["stop_seconds"])
    await_(lambda: not endpoint.is_ready(port), NOTICED, every=0.1)
    mycat.start(params["start_seconds"], note.uid, lambda: endpoint.is_ready(port))
    if note.ours:
        undrain()
    restart.write(note.over(DONE))
    how = f", killed after {params['stop_seconds']:g} s" if killed else ""
    return note, [f"MyCat restarted{how}"], round(time.monotonic() - began, 1)


def give_back(params):
    """End the drain of a MyCat that is ready; return the note."""
    note, port = own_note(params["run"]), params["endpoint_port"]
    if not await_(lambda: endpoint.is_ready(port), params["start_seconds"], every=0.2):
        said = endpoint.ask(endpoint.HERE, port, 2.0)["reason"]
        raise MyCatError(f"MyCat is not ready within {params['start_seconds']:g} s: {said}")
    if note.ours:
        undrain()
    restart.forget()
    return note


def apply(params, check_mode):
    """Return what the module returns. Raises TurnError, MyCatError, CommandError."""
    state, done, seconds, changed = params["state"], [], 0.0, True
    note = Note(params["run"])
    if check_mode:
        pass
    elif state == "forgotten":
        changed = restart.forget()
    else:
        with restart.alone():
            if state == "drained":
                note = drain(params)
            elif state == "returned":
                note = give_back(params)
            else:
                note, done, seconds = stop_and_start(params)
    said = {"changed": changed, "done": done, "seconds": seconds}
    return {**said, "ours": note.ours, "run": note.run}


def main():
    module = AnsibleModule(
        argument_spec={
            "state": {
                "type": "str",
                "required": True,
                "choices": ["drained", "restarted", "returned", "forgotten"],
            },
            "run": {"type": "str", "required": True},
            "by": {"type": "str", "default": "mycat.ha.rolling_restart_mycat"},
            "lease": {"type": "float", "default": 30.0},
            "force": {"type": "bool", "default": False},
            "home": {"type": "path", "default": "/usr/local/mycat"},
            "pid_file": {"type": "path"},
            "unit": {"type": "str", "default": ""},
            "endpoint_port": {"type": "int", "default": 48700},
            "stop_seconds": {"type": "float", "default": 30.0},
            "start_seconds": {"type": "float", "default": 120.0},
        },
        supports_check_mode=True,
    )
    # A MyCat that was stopped is started, whoever ends the run meanwhile. All of it has deadlines.
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    os.umask(0o022)
    try:
        result = apply(module.params, module.check_mode)
    except (TurnError, MyCatError, CommandError) as problem:
        module.fail_json(msg=str(problem))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
