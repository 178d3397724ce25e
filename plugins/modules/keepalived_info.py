#!/usr/bin/python
# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: keepalived_info
short_description: Tell what keepalived does on a host, and which addresses it really holds
version_added: 0.1.0
description:
  - Asks the running keepalived for the state of each C(vrrp_instance), and the kernel for the
    addresses that are really there. The two can differ, as after keepalived was killed.
  - keepalived answers by writing a file, C(keepalived.json) or, where it was built without JSON,
    C(keepalived.data), into its temporary directory, in a systemd unit with C(PrivateTmp) into
    its own. The file holds passwords, so it is removed after it was read, unless the configuration
    names a place for it.
  - Needs root, as signals and that file do.
options:
  path:
    description: Path of the configuration.
    type: path
    default: /etc/keepalived/keepalived.conf
  timeout:
    description: Seconds that keepalived may take to answer before the task fails.
    type: int
    default: 5
extends_documentation_fragment:
  - mycat.ha.attributes.asks
notes:
  - A keepalived in another network namespace than the task, as in a container, is not looked at.
seealso:
  - module: mycat.ha.keepalived_config
author:
  - mycat.ha maintainers (@mycat-ha)
"""

EXAMPLES = r"""
- name: Ask keepalived
  mycat.ha.keepalived_info:
  register: keepalived

- name: Show which virtual addresses this host holds
  ansible.builtin.debug:
    msg: "{{ keepalived.instances | map(attribute='held') | flatten }}"

- name: Wait until this host is a standby
  mycat.ha.keepalived_info:
  register: keepalived
  until: keepalived.instances | map(attribute='state') | unique == ['BACKUP']
  retries: 10
  delay: 1
"""

RETURN = r"""
version:
  description: Version of the keepalived that is installed, empty where there is none.
  returned: always
  type: str
  sample: 2.2.7
running:
  description: Whether keepalived runs.
  returned: always
  type: bool
pid:
  description: Id of its parent process, V(null) where it does not run.
  returned: always
  type: int
  sample: 814
loaded:
  description:
    - Whether the running keepalived has read the file as it is now. V(false) after a change that
      no reload followed, V(null) where nothing tells, as without systemd.
  returned: always
  type: bool
instances:
  description:
    - Each C(vrrp_instance) that the running keepalived has. Where it does not run, those of the
      configuration.
  returned: always
  type: list
  elements: dict
  contains:
    name:
      description: Name of the instance.
      type: str
      sample: VI_1
    state:
      description:
        - V(INIT), V(BACKUP), V(MASTER) or V(FAULT) as keepalived says, V(stopped) where it does not
          run.
      type: str
      sample: MASTER
    interface:
      description: The interface that it sends its adverts on.
      type: str
      sample: eth0
    virtual_router_id:
      description: Its virtual router id.
      type: int
      sample: 51
    priority:
      description: Its priority as configured.
      type: int
      sample: 100
    effective_priority:
      description: Its priority with the weights of the checks, V(null) where it is stopped.
      type: int
      sample: 80
    virtual_ipaddress:
      description: Its virtual addresses, with a prefix length where one is configured.
      type: list
      elements: str
      sample: [192.0.2.100/24]
    virtual_ipaddress_excluded:
      description: Those that its adverts do not name.
      type: list
      elements: str
      sample: []
    held:
      description:
        - Those of all its addresses that the kernel has, in the same order and spelling. IPv6
          addresses that are being tried for duplicates, or are one, do not count.
      type: list
      elements: str
      sample: [192.0.2.100/24]
    last_transition:
      description: When it last changed its state, in seconds since 1970; V(null) if never.
      type: float
      sample: 1795412874.609849
configuration:
  description:
    - The configuration in the form of a node of O(mycat.ha.vrrp_validate#module:nodes), passwords
      masked.
    - V(null) where there is no file, or one that cannot be read.
  returned: always
  type: dict
"""

import dataclasses
import os
import platform

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.mycat.ha.plugins.module_utils.host import units
from ansible_collections.mycat.ha.plugins.module_utils.host.addresses import (
    AddressesError,
    kernel_addresses,
)
from ansible_collections.mycat.ha.plugins.module_utils.host.commands import CommandError
from ansible_collections.mycat.ha.plugins.module_utils.host.processes import start_of
from ansible_collections.mycat.ha.plugins.module_utils.keepalived import dump
from ansible_collections.mycat.ha.plugins.module_utils.keepalived.lines import ConfError
from ansible_collections.mycat.ha.plugins.module_utils.keepalived.process import (
    NoDump,
    find_daemon,
    from_daemon,
    watches_files,
)
from ansible_collections.mycat.ha.plugins.module_utils.keepalived.reader import parse
from ansible_collections.mycat.ha.plugins.module_utils.keepalived.tree import parse_tree
from ansible_collections.mycat.ha.plugins.module_utils.vrrp.model import CheckKind
from ansible_collections.mycat.ha.plugins.module_utils.vrrp.structured import node_data
from ansible_collections.mycat.ha.plugins.module_utils.vrrp.versions import installed_version

UNWATCHED = (
    "keepalived does not act on its tracked files: when it started, the kernel had no inotify "
    "instance left. Raise fs.inotify.max_user_instances (sysctl) and restart keepalived."
)


def last_change(module, pid):
    """Return when systemd last started or reloaded a process, None where it is not its own."""
    systemctl = module.get_bin_path("systemctl")
    if systemctl is None:
        return None
    shown = units.blocks(module.run_command([systemctl, *units.SHOW, "keepalived"])[1])
    return units.last_change(shown[0] if shown else {}, pid)


def has_loaded(module, pid):
    """Return whether a process has read the configuration as it is, None where nothing tells."""
    started = pid and start_of(pid)
    try:
        # Not the time of the last change of its text, which a copy takes along.
        written = os.stat(module.params["path"]).st_ctime
    except OSError:
        return None
    if not started:
        return None
    return dump.has_loaded(written, started, last_change(module, pid))


def read_configuration(module):
    """Return the configuration as a node and as statements; None and none where there is none."""
    path = module.params["path"]
    name = platform.node()
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            text = file.read()
        return parse(text, name).node, parse_tree(text, name.split(".")[0]).statements
    except FileNotFoundError:
        pass
    except (OSError, ConfError) as error:
        module.warn(f"path: {path} cannot be read: {error}")
    return None, ()


def tracks_files(node):
    """Return whether anything of a configuration follows the content of a file."""
    return any(
        track.kind is CheckKind.FILE
        for tracking in (*node.instances, *node.sync_groups)
        for track in tracking.tracks
    )


def instance_data(instance, present):
    """Return an instance as the module returns it."""
    data = dataclasses.asdict(instance)
    data["held"] = dump.held(instance, present)
    return data


def gather(module):
    """Return what the module returns."""
    keepalived = module.get_bin_path("keepalived")
    banner = "".join(module.run_command([keepalived, "--version"])[1:]) if keepalived else ""
    version = installed_version(banner)
    node, statements = read_configuration(module)
    pid = find_daemon()
    if node and not node.instances:
        # Without instances no process of keepalived's is there to answer.
        instances = ()
    elif pid is not None:
        binary = keepalived or os.readlink(f"/proc/{pid}/exe")
        if node and tracks_files(node) and watches_files(pid) is False:
            module.warn(UNWATCHED)
        instances = from_daemon(binary, version, pid, statements, module.params["timeout"])
    else:
        instances = dump.stopped(node) if node else ()
    ip = module.get_bin_path("ip", required=True)
    addresses = module.run_command([ip, "-json", "address"], check_rc=True)[1]
    present = kernel_addresses(addresses)
    return {
        "version": version,
        "running": pid is not None,
        "pid": pid,
        "loaded": has_loaded(module, pid),
        "instances": [instance_data(instance, present) for instance in instances],
        "configuration": node and node_data(dump.without_passwords(node)),
    }


def main():
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "default": "/etc/keepalived/keepalived.conf"},
            "timeout": {"type": "int", "default": 5},
        },
        supports_check_mode=True,
    )
    if module.params["timeout"] < 1:
        module.fail_json(msg="timeout: must be at least 1 s")
    try:
        result = gather(module)
    except PermissionError as error:
        module.fail_json(msg=f"keepalived's state is root's to know, use become: {error}")
    except (ProcessLookupError, FileNotFoundError) as error:
        module.fail_json(msg=f"keepalived ended while it was asked: {error}")
    except (AddressesError, NoDump, CommandError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, **result)


if __name__ == "__main__":
    main()
