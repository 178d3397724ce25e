#!/usr/bin/python
# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: maintenance
short_description: Take a load balancer out of the election, or have it hand its addresses over
version_added: 0.2.0
description:
  - Writes the file that keepalived watches on a load balancer, or those of O(only), waits until the
    virtual addresses are served elsewhere, and takes it back where nobody took them.
  - With O(state=handed_over) the host takes part again as soon as its addresses are served
    elsewhere. Where that does not happen because the host or the module ends,
    C(mycat_ha_addresses.service) does it 20 s later.
  - C(mycat.ha.switchover) uses it after it has proven that another load balancer is able to serve.
options:
  state:
    description:
      - V(drained) waits until the sessions that are there when it starts have ended.
      - V(aside) keeps the host out while another hands its addresses over; V(rejoined) ends it.
      - V(handed_over) gives the addresses up once.
      - V(absent) takes the host out until somebody ends that, also over a reboot.
      - V(present) has the host take part again.
    type: str
    choices: [drained, aside, rejoined, handed_over, absent, present]
    required: true
  timeout:
    description:
      - Seconds within which another host has to serve the addresses; with O(state=drained) those
        that sessions are given.
    type: float
    default: 5
  only:
    description:
      - VRRP instances whose addresses alone are meant, where each has a file of its own that
        keepalived watches; in a sync group the first. Everything of the host unless given.
      - For V(aside), V(rejoined) and V(handed_over).
    type: list
    elements: str
    default: []
  force:
    description: Whether V(absent) stays although nobody takes the addresses.
    type: bool
    default: false
extends_documentation_fragment:
  - mycat.ha.options.vips
attributes:
  check_mode:
    support: full
    description: It says whether it would change something, and changes nothing.
  diff_mode:
    support: none
    description: What it changes is a single word.
author:
  - mycat.ha maintainers (@mycat-ha)
"""

EXAMPLES = r"""
- name: Have this load balancer hand its address over
  mycat.ha.maintenance:
    state: handed_over
    vips:
      - address: 192.0.2.100
        port: 8066
"""

RETURN = r"""
done:
  description: What was done, a few words each; empty where nothing was to do.
  returned: success
  type: list
  elements: str
  sample: [gave 192.0.2.100 up]
sessions:
  description: How many sessions at the virtual addresses there were when the host gave them up.
  returned: success
  type: int
  sample: 0
"""

import signal
import time

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.mycat.ha.plugins.module_utils.host import addresses, maintenance
from ansible_collections.mycat.ha.plugins.module_utils.host.commands import CommandError, find, run
from ansible_collections.mycat.ha.plugins.module_utils.host.maintenance import (
    MAINTENANCE,
    MOVING,
    SERVES,
    NotMovedError,
)
from ansible_collections.mycat.ha.plugins.module_utils.network import mysql
from ansible_collections.mycat.ha.plugins.module_utils.network.addresses import canonical
from ansible_collections.mycat.ha.plugins.module_utils.network.connection import NoAnswer

ANSWER = 1.0  # seconds that a greeting may take
WORDS = {
    "aside": MOVING,
    "rejoined": SERVES,
    "handed_over": MOVING,
    "absent": MAINTENANCE,
    "present": SERVES,
}


def held(vips):
    """Return those of the virtual addresses that the host has."""
    have = addresses.host_addresses()
    return [vip for vip in vips if canonical(vip["address"]) in have]


def sessions(vips):
    """Return the sessions with clients at the virtual addresses, as the kernel names them."""
    found = set()
    for vip in vips:
        where = f"[{vip['address']}]" if ":" in vip["address"] else vip["address"]
        said = run(
            [find("ss") or "ss", *["-Htn", "state", "established", "src"], f"{where}:{vip['port']}"]
        )
        found.update(" ".join(line.split()[-2:]) for line in said.out.splitlines())
    return found


def answers(vip):
    """Return whether the virtual address is served."""
    if not vip["port"]:
        return True
    try:
        mysql.greeting(vip["address"], vip["port"], ANSWER)
    except NoAnswer:
        return False
    return True


def drain(vips, seconds):
    """Wait for the sessions that are there now; return how many of them are left."""
    first = sessions(vips)
    maintenance.await_(lambda: not first & sessions(vips), seconds, every=0.5)
    return len(first & sessions(vips))


def await_elsewhere(vips, seconds):
    """Wait until other hosts serve the addresses. Raises NotMovedError."""
    deadline = time.monotonic() + seconds
    # As long as the host has an address, it is this host that answers.
    if not maintenance.await_(lambda: not held(vips), seconds):
        raise NotMovedError(
            "keepalived does not give the addresses up; read `journalctl -u keepalived -n 50`"
        )
    for vip in vips:
        if not maintenance.await_(lambda vip=vip: answers(vip), deadline - time.monotonic()):
            raise NotMovedError(
                f"no other load balancer served {vip['address']} within {seconds:g} s; this one "
                "takes part again"
            )


def take_out(state, vips, seconds, force, files):
    """Give the addresses up, for good or once; return what was done and how many sessions ended."""
    former = SERVES if files else maintenance.value() or SERVES
    mine = held(vips)
    ended = len(sessions(mine))
    with maintenance.writing(WORDS[state], former, files):
        if state != "aside" and not force:
            await_elsewhere(mine, seconds)
        if state == "handed_over":
            maintenance.write(former, files)
    done = [f"gave {vip['address']} up" for vip in mine]
    if state == "absent" and former != MAINTENANCE:
        done.append("maintenance begun")
    return done, ended


def apply(params, check_mode):
    """Return what the module returns. Raises NotMovedError, CommandError."""
    state, vips = params["state"], params["vips"]
    files = [maintenance.moving_file(name) for name in params["only"]]
    with maintenance.alone(files):
        if state == "drained":
            left = drain(vips, 0 if check_mode else params["timeout"])
            return {"changed": False, "done": [], "sessions": left}
        former = maintenance.value()
        kept = state in ("absent", "present") and former == WORDS[state]
        moving = maintenance.is_moving(files) if files else former == MOVING
        if kept or (state == "rejoined" and not moving):
            return {"changed": False, "done": [], "sessions": 0}
        if check_mode:
            return {"changed": True, "done": [], "sessions": 0}
        if WORDS[state] == SERVES:
            maintenance.write(SERVES, files)
            done = ["maintenance ended"] if former == MAINTENANCE else []
            return {"changed": True, "done": done, "sessions": 0}
        done, ended = take_out(state, vips, params["timeout"], params["force"], files)
        return {"changed": True, "done": done, "sessions": ended}


def main():
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "required": True, "choices": ["drained", *WORDS]},
            "vips": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "address": {"type": "str", "required": True},
                    "port": {"type": "int", "required": True},
                },
            },
            "timeout": {"type": "float", "default": 5.0},
            "only": {"type": "list", "elements": "str", "default": []},
            "force": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )

    if module.params["only"] and module.params["state"] in ("absent", "present"):
        module.fail_json(msg="only: goes with aside, rejoined and handed_over; leave it out")

    def end(number, _frame):
        raise SystemExit(f"ended by signal {number}")

    # So that what was written is taken back.
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, end)
    try:
        result = apply(module.params, module.check_mode)
    except (NotMovedError, CommandError, addresses.AddressesError, LookupError) as problem:
        module.fail_json(msg=str(problem))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
