#!/usr/bin/python
# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: keepalived_config
short_description: Install a keepalived.conf that keepalived accepts
version_added: 0.1.0
description:
  - Writes a configuration file for keepalived after C(keepalived -t) has read it.
  - The exit code of C(keepalived -t) lies both ways. Debian 12's keepalived ends with 143 on good
    files that use C(enable_script_security) with a C(script_user), and disabling a check is no
    error to it. This module judges by the text as well.
  - A configuration that keepalived complains of never reaches O(dest).
  - The diff shows what changes, with every C(auth_pass) masked.
options:
  content:
    description: The whole text of the configuration.
    type: str
    required: true
  dest:
    description: Path of the configuration.
    type: path
    default: /etc/keepalived/keepalived.conf
  backup:
    description: Keep the file that was there, with a time stamp in its name.
    type: bool
    default: false
  owner:
    description: Owner of the file.
    type: str
    default: root
  group:
    description: Group of the file.
    type: str
    default: root
  mode:
    description: Permissions of the file; it may hold passwords.
    type: raw
    default: '0600'
attributes:
  check_mode:
    support: full
    description: >-
      Tells what would change. A complaint of keepalived is a warning then, as scripts that the
      configuration names may not be there yet.
  diff_mode:
    support: full
    description: Shows the change with passwords masked.
notes:
  - In check mode on a host without keepalived the configuration is not tested.
author:
  - mycat.ha maintainers (@mycat-ha)
"""

EXAMPLES = r"""
- name: Install the configuration
  mycat.ha.keepalived_config:
    content: "{{ lookup('ansible.builtin.template', 'keepalived.conf.j2') }}"
    backup: true
  notify: Reload keepalived
"""

RETURN = r"""
backup_file:
  description: Path of the copy of the former file.
  returned: changed and O(backup=true)
  type: str
  sample: /etc/keepalived/keepalived.conf.1234.2026-11-23@03:00:00~
complaints:
  description: What C(keepalived -t) said against the configuration.
  returned: when it was tested
  type: list
  elements: str
  sample: []
"""

import os
import tempfile

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.mycat.ha.plugins.module_utils.keepalived_verdict import complaints, masked


def read(path):
    """Return the text of a file, or an empty text where there is none."""
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return file.read()
    except FileNotFoundError:
        return ""


def write_candidate(module, content):
    """Write the content where only root can read it; return the path."""
    descriptor, path = tempfile.mkstemp(prefix="keepalived-", suffix=".conf", dir=module.tmpdir)
    with os.fdopen(descriptor, "w", encoding="utf-8", errors="surrogateescape") as file:
        file.write(content)
    module.add_cleanup_file(path)
    return path


def test(module, keepalived, candidate):
    """Return what keepalived says against the file at the path ``candidate``."""
    code, out, err = module.run_command(
        [keepalived, "--config-test", "--use-file", candidate],
        environ_update={"LC_ALL": "C"},
    )
    dest = module.params["dest"]
    return [line.replace(candidate, dest) for line in complaints(code, out + "\n" + err)]


def main():
    module = AnsibleModule(
        argument_spec={
            # Holds passwords; the masked diff shows what matters.
            "content": {"type": "str", "required": True, "no_log": True},
            "dest": {"type": "path", "default": "/etc/keepalived/keepalived.conf"},
            "backup": {"type": "bool", "default": False},
            "owner": {"type": "str", "default": "root"},
            "group": {"type": "str", "default": "root"},
            "mode": {"type": "raw", "default": "0600"},
        },
        supports_check_mode=True,
    )
    content, dest = module.params["content"], module.params["dest"]
    before = read(dest)
    result = {"changed": before != content}
    if module._diff:
        result["diff"] = {
            "before": masked(before),
            "after": masked(content),
            "before_header": dest,
            "after_header": dest,
        }

    if result["changed"]:
        keepalived = module.get_bin_path("keepalived", opt_dirs=["/usr/sbin", "/usr/local/sbin"])
        if keepalived is None and not module.check_mode:
            module.fail_json(msg=f"keepalived is not installed, so {dest} cannot be tested")
        candidate = write_candidate(module, content)
        if keepalived is not None:
            result["complaints"] = test(module, keepalived, candidate)
        if result.get("complaints"):
            reasons = "; ".join(result["complaints"])
            message = f"keepalived refuses the new configuration, {dest} is as it was: {reasons}"
            if not module.check_mode:
                result["changed"] = False
                module.fail_json(msg=message, **result)
            module.warn(message)
        if not module.check_mode:
            if module.params["backup"] and os.path.exists(dest):
                result["backup_file"] = module.backup_local(dest)
            module.atomic_move(candidate, dest)

    if not module.check_mode or os.path.exists(dest):
        arguments = module.load_file_common_arguments(module.params, path=dest)
        result["changed"] = module.set_fs_attributes_if_different(arguments, result["changed"])
    module.exit_json(**result)


if __name__ == "__main__":
    main()
