#!/usr/bin/python
# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: mycat_service
short_description: Let MyCat run from a folder, drained before it stops
version_added: 0.2.0
description:
  - Points the link at O(home) to O(folder) and has the unit C(mycat.service) run MyCat.
  - A MyCat that runs already takes changed XML files over by C(reload @@config), where that brings
    all of the change; else, and where it refuses them, it is restarted.
  - Before MyCat stops, its health endpoint says that it drains, and its sessions get time to end.
    It is drained until the new one is ready.
  - Fails with the reason that MyCat wrote to C(logs/wrapper.log) where it does not start.
options:
  home:
    description: The link.
    type: path
    required: true
  folder:
    description: Where it is to lead.
    type: path
    required: true
  adopt:
    description: Whether a directory at O(home) is renamed, C(-before) behind its name.
    type: bool
    default: false
  changed:
    description:
      - Files that MyCat has to take over. What was in them before is in the last snapshot
        (M(mycat.ha.snapshot)).
    type: list
    elements: path
    default: []
  started:
    description: Whether MyCat is to run afterwards.
    type: bool
    default: true
  port:
    description: SQL port of MyCat.
    type: int
    default: 8066
  manager_port:
    description: Manager port of MyCat.
    type: int
    default: 9066
  credentials_file:
    description: User and password for the manager port, as JSON; without it MyCat is restarted.
    type: path
    default: ''
  endpoint_port:
    description: Port of the health endpoint, 0 for none.
    type: int
    default: 0
  notice:
    description: Seconds until all load balancers know that MyCat drains.
    type: float
    default: 3.5
  drain_seconds:
    description: Seconds that sessions get to end.
    type: float
    default: 30
  start_timeout:
    description: Seconds within which MyCat has to greet.
    type: float
    default: 60
attributes:
  check_mode:
    support: full
    description: Tells whether MyCat would be started, reloaded, restarted or led elsewhere.
  diff_mode:
    support: none
    description: It changes no text.
author:
  - mycat.ha maintainers (@mycat-ha)
"""

EXAMPLES = r"""
- name: Run the new MyCat
  mycat.ha.mycat_service:
    home: /usr/local/mycat
    folder: /usr/local/mycat-1.6.7.6-5d849157
    endpoint_port: 48700
"""

RETURN = r"""
reloaded:
  description: Whether a reload was enough.
  returned: always
  type: bool
  sample: false
former:
  description: The folder that MyCat ran from before, empty without one.
  returned: always
  type: str
  sample: /usr/local/mycat-1.6.7.4-0d849157
ran:
  description: Whether MyCat ran before.
  returned: always
  type: bool
  sample: true
by_hand:
  description: Whether MyCat ran before without the unit.
  returned: always
  type: bool
  sample: false
"""

import contextlib
import os
import time

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.mycat.ha.plugins.module_utils.host import (
    draining,
    endpoint,
    mycat,
    snapshot,
)
from ansible_collections.mycat.ha.plugins.module_utils.host.commands import CommandError, run
from ansible_collections.mycat.ha.plugins.module_utils.host.files import FileError
from ansible_collections.mycat.ha.plugins.module_utils.host.maintenance import await_
from ansible_collections.mycat.ha.plugins.module_utils.mycat import reloading

STOP_SECONDS = 90.0


def argument_spec():
    """Return the options as Ansible wants them."""
    return {
        "home": {"type": "path", "required": True},
        "folder": {"type": "path", "required": True},
        "adopt": {"type": "bool", "default": False},
        "changed": {"type": "list", "elements": "path", "default": []},
        "started": {"type": "bool", "default": True},
        "port": {"type": "int", "default": 8066},
        "manager_port": {"type": "int", "default": 9066},
        "credentials_file": {"type": "path", "default": ""},
        "endpoint_port": {"type": "int", "default": 0},
        "notice": {"type": "float", "default": 3.5},
        "drain_seconds": {"type": "float", "default": 30.0},
        "start_timeout": {"type": "float", "default": 60.0},
    }


def renamed(home):
    """Rename the directory that is MyCat's home; return its new name."""
    number, name = 1, f"{home}-before"
    while os.path.lexists(name):
        number += 1
        name = f"{home}-before-{number}"
    os.rename(home, name)
    return name


def lead(home, folder):
    """Point the link to the folder, in one step."""
    new = f"{home}.new"
    if os.path.lexists(new):
        os.unlink(new)
    os.symlink(folder, new)
    os.rename(new, home)


def takes_over(params):
    """Whether a MyCat that runs took all changed files over, and goes on."""
    try:
        former = snapshot.load(snapshot.FOLDER)
        for path in params["changed"]:
            with open(path, "rb") as file:
                if not reloading.is_enough(path, former[path].data or b"", file.read()):
                    return False
    except (OSError, KeyError, FileError):
        return False
    return mycat.reload_config(params["manager_port"], params["credentials_file"])


def drain(params):
    """Let the health endpoint say that MyCat drains; return whether it was this that did it."""
    if not os.path.isdir(os.path.dirname(draining.FILE)):
        return False
    if not draining.drain("mycat.ha: a change of MyCat"):
        return False
    time.sleep(params["notice"])
    await_(lambda: not draining.sessions(params["port"]), params["drain_seconds"], every=0.2)
    return True


def change(params, result, service):
    """Bring about what the options say. Raises MyCatError, CommandError, OSError."""
    home, drained = params["home"], result["ran"] and drain(params)

    def is_ready():
        endpoint_too = drained and params["endpoint_port"]
        return mycat.greets(params["port"]) and (
            not endpoint_too or endpoint.is_ready(params["endpoint_port"])
        )

    try:
        service.stop(STOP_SECONDS)
        # It was no person who stopped it.
        with contextlib.suppress(FileNotFoundError):
            os.unlink(mycat.STOPPED_MARK)
        if os.path.isdir(home) and not os.path.islink(home):
            if not params["adopt"]:
                raise mycat.MyCatError(f"{home} is a directory, which is not replaced")
            result["former"] = renamed(home)
        lead(home, params["folder"])
        if params["started"]:
            run(["systemctl", "daemon-reload"], 60)
            run(["systemctl", "enable", "--quiet", mycat.USUAL_UNIT])
            service.start(params["start_timeout"], None, is_ready)
    finally:
        if drained:
            draining.undrain()


def main():
    module = AnsibleModule(argument_spec=argument_spec(), supports_check_mode=True)
    params = module.params
    home, folder = params["home"], params["folder"]
    there = os.path.realpath(home) if os.path.lexists(home) else ""
    result = {"changed": False, "former": there, "ran": False, "by_hand": False, "reloaded": False}
    try:
        service = mycat.MyCat(home, unit=mycat.USUAL_UNIT)
        by_unit = service.by_unit
        result["ran"] = by_unit or service.pid is not None
        result["by_hand"] = result["ran"] and not by_unit
        settled = there == os.path.realpath(folder) and result["ran"] == params["started"]
        result["changed"] = not settled or bool(params["changed"])
        if result["changed"] and not module.check_mode:
            result["reloaded"] = settled and result["ran"] and takes_over(params)
            if not result["reloaded"]:
                change(params, result, service)
    except (mycat.MyCatError, CommandError) as error:
        module.fail_json(msg=str(error), **result)
    except OSError as error:
        module.fail_json(msg=f"{error.filename}: {error.strerror}", **result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
