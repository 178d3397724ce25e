#!/usr/bin/python
# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: former_file
short_description: Put back what stood at a path before this collection wrote a file there
version_added: 0.2.0
description:
  - The oldest of the backups that Ansible made beside the file is what stood there before, and
    comes back with its owner and mode. Where there is none, or it is a file of this collection too,
    nothing stood there, and the file goes.
  - Backups of files of this collection go. Those of other files stay.
  - A file that somebody else has written since stays as it is.
options:
  dest:
    description: The file.
    type: path
    required: true
  ours:
    description: Regular expression that finds a line of this collection in a file of its own.
    type: str
    required: true
attributes:
  check_mode:
    support: full
    description: Tells what would change.
  diff_mode:
    support: partial
    description: Shows the paths alone, for a file may hold passwords.
seealso:
  - module: mycat.ha.files
author:
  - mycat.ha maintainers (@mycat-ha)
"""

EXAMPLES = r"""
- name: Put back the haproxy.cfg from before
  mycat.ha.former_file:
    dest: /etc/haproxy/haproxy.cfg
    ours: mycat_ha
"""

RETURN = r"""
restored:
  description: The backup that came back, empty where none did.
  returned: success
  type: str
  sample: /etc/haproxy/haproxy.cfg.4711.2026-11-26@03:00:00~
removed:
  description: The files that went.
  returned: success
  type: list
  elements: str
foreign:
  description: Whether the file is somebody else's, and stayed.
  returned: success
  type: bool
"""

import os

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.mycat.ha.plugins.module_utils.host import former


def text_of(path):
    """Return what a file holds, None where there is none."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except FileNotFoundError:
        return None


def verdict_of(dest, ours):
    """Return what becomes of the file and its backups."""
    folder, name = os.path.split(dest)
    names = os.listdir(folder) if os.path.isdir(folder) else []
    kept = [os.path.join(folder, one) for one in former.backups(name, names)]
    return former.judge(dest, text_of(dest), [(path, text_of(path) or "") for path in kept], ours)


def main():
    module = AnsibleModule(
        argument_spec={
            "dest": {"type": "path", "required": True},
            "ours": {"type": "str", "required": True},
        },
        supports_check_mode=True,
    )
    dest = module.params["dest"]
    try:
        found = verdict_of(dest, module.params["ours"])
        if not module.check_mode:
            if found.restore:
                os.replace(found.restore, dest)
            for path in found.remove:
                os.unlink(path)
    except OSError as error:
        module.fail_json(msg=f"{error.filename or dest}: {error.strerror}")
    result = {
        "changed": bool(found.restore or found.remove),
        "restored": found.restore,
        "removed": found.remove,
        "foreign": found.foreign,
    }
    if module._diff and result["changed"]:
        before = [path for path in (found.restore, *found.remove) if path]
        after = [f"{dest} as it was before"] if found.restore else []
        result["diff"] = {"before": lines(before), "after": lines(after)}
    module.exit_json(**result)


def lines(texts):
    """Return texts as lines."""
    return "".join(f"{text}\n" for text in texts)


if __name__ == "__main__":
    main()
