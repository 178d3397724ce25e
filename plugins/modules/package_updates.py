#!/usr/bin/python
# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: package_updates
short_description: Tell which packages have newer versions, or install those
version_added: 0.2.0
description:
  - Works with C(apt-get) and C(dnf). Configuration files that were changed stay as they are.
  - C(needrestart) only lists what it would restart.
options:
  names:
    description: Packages; those that are not installed are left out. V(all) for all there are.
    type: list
    elements: str
    required: true
  state:
    description: V(listed) changes nothing but, with O(refresh), the lists of packages.
    type: str
    choices: [listed, latest]
    default: listed
  refresh:
    description: Whether the lists of packages are fetched anew.
    type: bool
    default: true
attributes:
  check_mode:
    support: full
    description: It tells what it would update.
  diff_mode:
    support: none
    description: RV(updates) tells the versions.
author:
  - mycat.ha maintainers (@mycat-ha)
"""

EXAMPLES = r"""
- name: Find newer versions of what keeps the virtual IP
  mycat.ha.package_updates:
    names: [haproxy, keepalived]
"""

RETURN = r"""
updates:
  description: Of each package that has a newer version, the version that is there and that one.
  returned: success
  type: dict
  sample: {keepalived: ['1:2.2.7-1', '1:2.2.8-1']}
done:
  description: What was updated, a few words each.
  returned: success
  type: list
  elements: str
  sample: [keepalived updated to 1:2.2.8-1]
reboot_required:
  description: Whether C(/run/reboot-required) is there.
  returned: success
  type: bool
"""

import os

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.mycat.ha.plugins.module_utils.host import updates
from ansible_collections.mycat.ha.plugins.module_utils.host.commands import CommandError


def apply(params, check_mode):
    """Return what the module returns. Raises CommandError, LookupError."""
    found = updates.listed(params["names"], params["refresh"] and not check_mode)
    install = params["state"] == "latest" and bool(found)
    if install and not check_mode:
        updates.apply(params["names"])
    done = [f"{name} updated to {new}" for name, (_old, new) in found.items()] if install else []
    return {
        "changed": install,
        "updates": {name: list(versions) for name, versions in found.items()},
        "done": done,
        "reboot_required": os.path.exists(updates.REBOOT_REQUIRED),
    }


def main():
    module = AnsibleModule(
        argument_spec={
            "names": {"type": "list", "elements": "str", "required": True},
            "state": {"type": "str", "choices": ["listed", "latest"], "default": "listed"},
            "refresh": {"type": "bool", "default": True},
        },
        supports_check_mode=True,
    )
    try:
        result = apply(module.params, module.check_mode)
    except (CommandError, LookupError) as problem:
        module.fail_json(msg=str(problem))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
