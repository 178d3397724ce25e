#!/usr/bin/python
# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: haproxy_servers
short_description: Wait until HAProxy sends a MyCat no sessions, or does so again
version_added: 0.2.0
description:
  - Asks the HAProxy of this host on its admin socket, and changes nothing.
  - It fails only where HAProxy does not answer; which servers were not as wished in time is in
    RV(problems).
options:
  servers:
    description: Names of servers of the proxy C(mycat).
    type: list
    elements: str
    required: true
  state:
    description:
      - With V(drained), first until they get no new sessions, then until those that are there have
        ended.
      - With V(up), until they get sessions.
    type: str
    choices: [drained, up]
    required: true
  notice:
    description: Seconds that HAProxy may take to notice.
    type: float
    default: 20
  seconds:
    description: Seconds that sessions are given to end.
    type: float
    default: 0
  socket:
    description: HAProxy's admin socket.
    type: path
    default: /run/haproxy/admin.sock
extends_documentation_fragment:
  - mycat.ha.attributes.asks
author:
  - mycat.ha maintainers (@mycat-ha)
"""

EXAMPLES = r"""
- name: Wait for the sessions of a MyCat that drains
  mycat.ha.haproxy_servers:
    servers: [mycat1]
    state: drained
    seconds: 30
"""

RETURN = r"""
servers:
  description:
    - Of each server its C(status), in HAProxy's words, how many C(sessions) it has, and how many it
      had when HAProxy had noticed the drain (C(first)).
  returned: success
  type: dict
  sample: {mycat1: {status: NOLB, sessions: 0, first: 3}}
problems:
  description: Of each server that was not as wished in time, a sentence.
  returned: success
  type: dict
  sample: {}
"""

import time

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.mycat.ha.plugins.module_utils.haproxy import admin
from ansible_collections.mycat.ha.plugins.module_utils.network.connection import NoAnswer

PROXY = "mycat"
ASKED = 2.0  # seconds that an answer may take
EVERY = 0.2


def rows(socket, names):
    """Return {name: (status in a word, sessions)} of those servers. Raises NoAnswer."""
    return {
        row["server"]: (row["status"].split(" ")[0], int(row["scur"] or 0))
        for row in admin.servers(admin.ask(socket, admin.STATE, ASKED))
        if row["proxy"] == PROXY and row["server"] in names
    }


def wait(look, good, seconds):
    """Look until all servers are ``good``, or the time is over; return what was seen last."""
    deadline = time.monotonic() + seconds
    while True:
        seen = look()
        if all(map(good, seen.values())) or time.monotonic() >= deadline:
            return seen
        time.sleep(EVERY)


def takes_sessions(row):
    return row[0] in ("UP", "no")


def has_none(row):
    return not row[1]


def look_at(params, look=None):
    """Return what the module returns. Raises NoAnswer."""
    names = params["servers"]
    look = look or (lambda: rows(params["socket"], names))
    if params["state"] == "up":
        first = seen = wait(look, takes_sessions, params["notice"])
        late = {
            name: f"is {row[0]} {params['notice']:g} s after it was ready"
            for name, row in seen.items()
            if not takes_sessions(row)
        }
    else:
        first = seen = wait(look, lambda row: not takes_sessions(row), params["notice"])
        late = {
            name: f"still gets sessions {params['notice']:g} s after its drain began"
            for name, row in seen.items()
            if takes_sessions(row)
        }
        if not late:
            seen = wait(look, has_none, params["seconds"])
    late.update({name: "is not known there" for name in names if name not in seen})
    return {
        "servers": {
            name: {"status": row[0], "sessions": row[1], "first": first.get(name, row)[1]}
            for name, row in seen.items()
        },
        "problems": late,
    }


def main():
    module = AnsibleModule(
        argument_spec={
            "servers": {"type": "list", "elements": "str", "required": True},
            "state": {"type": "str", "required": True, "choices": ["drained", "up"]},
            "notice": {"type": "float", "default": 20.0},
            "seconds": {"type": "float", "default": 0.0},
            "socket": {"type": "path", "default": "/run/haproxy/admin.sock"},
        },
        supports_check_mode=True,
    )
    try:
        result = look_at(module.params)
    except NoAnswer as problem:
        module.fail_json(msg=f"HAProxy does not answer on its admin socket: {problem}")
    module.exit_json(changed=False, **result)


if __name__ == "__main__":
    main()
