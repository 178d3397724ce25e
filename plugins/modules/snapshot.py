#!/usr/bin/python
# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: snapshot
short_description: Keep files as they are, and put exactly that back
version_added: 0.2.0
description:
  - Before a change, keeps what is at some paths and what is not, with content, owner, group and
    mode. After a change that broke something, puts that back.
  - A new snapshot replaces the one before as a whole. A run that is killed leaves the former one or
    the new one, and a restore that was cut off is finished by another one.
  - Of a directory itself owner, group and mode are kept, not what is in it. Name that, too.
  - Refuses paths with a folder on the way that belongs to another user than root, as
    M(mycat.ha.files) does.
options:
  state:
    description:
      - V(saved) keeps what is at O(paths).
      - V(restored) puts it back. It fails for a path that cannot be put back, for example a
        directory that was not there and has something in it now, but does all others before.
    type: str
    choices: [saved, restored]
    required: true
  paths:
    description:
      - Files, symbolic links and directories, which may be missing. Needed with O(state=saved).
      - With O(state=restored) which of those that were kept; all of them if it is left out.
    type: list
    elements: path
  directory:
    description: Where the snapshot is. Only its owner can look into it.
    type: path
    default: /var/lib/mycat_ha/snapshot
attributes:
  check_mode:
    support: full
    description: Tells what would change.
  diff_mode:
    support: none
    description: It cannot tell which of the files are secret.
seealso:
  - module: mycat.ha.files
author:
  - mycat.ha maintainers (@mycat-ha)
"""

EXAMPLES = r"""
- name: Keep HAProxy's files before they change
  mycat.ha.snapshot:
    state: saved
    paths:
      - /etc/haproxy/haproxy.cfg
      - /etc/systemd/system/haproxy.service.d
      - /etc/systemd/system/haproxy.service.d/mycat_ha.conf

- name: Put them back
  mycat.ha.snapshot:
    state: restored
"""

RETURN = r"""
restored:
  description: The paths that were put back, in check mode those that would be.
  returned: O(state=restored)
  type: list
  elements: str
  sample: [/etc/haproxy/haproxy.cfg]
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.mycat.ha.plugins.module_utils.host import snapshot
from ansible_collections.mycat.ha.plugins.module_utils.host.files import FileError


def argument_spec():
    """Return the options as Ansible wants them."""
    return {
        "state": {"type": "str", "choices": ["saved", "restored"], "required": True},
        "paths": {"type": "list", "elements": "path"},
        "directory": {"type": "path", "default": snapshot.FOLDER},
    }


def chosen(kept, paths, directory):
    """Return the part of a snapshot that was asked for. Raises FileError."""
    if paths is None:
        return kept
    missing = [path for path in paths if path not in kept]
    if missing:
        raise FileError(f"the snapshot in {directory} does not have {', '.join(missing)}")
    return {path: kept[path] for path in paths}


def restore(module, directory):
    """Put back what was asked for."""
    kept = chosen(snapshot.load(directory), module.params["paths"], directory)
    restored, problems = snapshot.restore(kept, module.check_mode)
    if not module.check_mode:
        for path in restored:
            if kept[path].kind != "absent":
                module.set_default_selinux_context(path, False)
    result = {"changed": bool(restored), "restored": restored}
    if problems:
        module.fail_json(msg=f"not everything was put back: {'; '.join(problems)}", **result)
    module.exit_json(**result)


def main():
    module = AnsibleModule(
        argument_spec=argument_spec(),
        required_if=[("state", "saved", ["paths"])],
        supports_check_mode=True,
    )
    directory = module.params["directory"]
    try:
        if module.params["state"] == "restored":
            restore(module, directory)
        taken = snapshot.take(module.params["paths"])
        module.exit_json(changed=snapshot.save(directory, taken, module.check_mode))
    except FileError as error:
        module.fail_json(msg=str(error))


if __name__ == "__main__":
    main()
