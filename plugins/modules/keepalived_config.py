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
  - The exit code of C(keepalived -t) lies both ways. Debian 11's keepalived calls most bad files
    good, Debian 12's ends with 143 on good files whose checks run as somebody other than root,
    and then has not looked at the checks. This module judges by the text, lets Debian 12's
    keepalived look again, and looks itself whether the scripts that the file names are there and
    can be executed, which no version of C(keepalived -t) tells.
  - A configuration that keepalived complains of never reaches O(dest).
  - Diff, messages and results show no C(auth_pass) and no C(auth_hmac).
options:
  content:
    description:
      - The whole text of the configuration.
      - It is installed as it is; keepalived does not mind a last line without a newline.
    type: str
    required: true
  dest:
    description:
      - Path of the configuration. Its directory must exist.
      - A symbolic link stays one; the file that it leads to is written.
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
  test:
    description:
      - Have C(keepalived -t) read the file.
      - V(false) is for check mode only, where nothing but what the change takes is asked.
    type: bool
    default: true
  timeout:
    description:
      - Seconds that C(keepalived -t) may take. It needs milliseconds unless a name is slow to
        resolve. When they are over it is killed and the task fails.
    type: int
    default: 30
attributes:
  check_mode:
    support: full
    description: >-
      Tells what would change, and fails where keepalived refuses the new configuration. That is a
      warning as long as a script, user or interface that it names is not there yet.
  diff_mode:
    support: full
    description: >-
      Shows the change with passwords masked. Where only a password changes, the task reports a
      change and the diff is empty.
notes:
  - In check mode on a host without keepalived the configuration is not tested.
  - While it is tested, the new file lies beside O(dest), so that a relative C(include) means the
    same. In check mode it lies in the temporary directory of the task.
seealso:
  - module: mycat.ha.vrrp_validate
  - module: mycat.ha.keepalived_info
author:
  - mycat.ha maintainers (@mycat-ha)
"""

EXAMPLES = r"""
- name: Install the configuration
  mycat.ha.keepalived_config:
    content: "{{ lookup('ansible.builtin.template', 'keepalived.conf.j2') }}"
    backup: true
  notify: Reload keepalived

- name: Show what keepalived says of a configuration without installing it
  mycat.ha.keepalived_config:
    content: "{{ lookup('ansible.builtin.file', 'keepalived.conf') }}"
  check_mode: true
  register: tested
"""

RETURN = r"""
action:
  description:
    - What brings the file into force; V(none), V(reload) or V(restart). It is left to the caller.
  returned: always
  type: str
  sample: reload
cluster_wide:
  description:
    - The changes that all nodes must make at once. While only some have made them, both the former
      and the new address have a master of their own.
  returned: always
  type: list
  elements: str
  sample: ['VI_1: virtual_router_id: 51 -> 52']
restart_required:
  description:
    - The changes that keepalived makes at a start only. On a reload it refuses the whole file for
      the sake of most of them.
  returned: always
  type: list
  elements: str
  sample: ['net_namespace: off -> blue']
backup_file:
  description: Path of the copy of the former file.
  returned: changed and O(backup=true)
  type: str
  sample: /etc/keepalived/keepalived.conf.1234.2026-11-23@03:00:00~
complaints:
  description: What keepalived and this module said against the configuration.
  returned: when it was tested
  type: list
  elements: str
  sample: []
dest:
  description: Path of the file, symbolic links resolved.
  returned: always
  type: str
  sample: /etc/keepalived/keepalived.conf
"""

import os
import platform
import pwd
import tempfile

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.mycat.ha.plugins.module_utils.host.files import program_problem
from ansible_collections.mycat.ha.plugins.module_utils.host.masking import without_secrets
from ansible_collections.mycat.ha.plugins.module_utils.keepalived.change import (
    cluster_wide,
    restart_required,
)
from ansible_collections.mycat.ha.plugins.module_utils.keepalived.config_test import (
    complaints,
    complaints_with_root_scripts,
    masked,
    scripts,
    secrets,
    terminated,
    timed_out,
    values_of,
    with_root_scripts,
)


def read(module, path):
    """Return the bytes of a file, empty where there is none."""
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        return b""
    except OSError as error:
        return module.fail_json(msg=f"dest: {path} cannot be read: {error.strerror}")


def write_candidate(module, directory, content):
    """Write bytes where only root can read them; return the path."""
    try:
        # The dot keeps an `include *.conf` from finding it.
        descriptor, path = tempfile.mkstemp(prefix=".keepalived-", dir=directory)
        module.add_cleanup_file(path)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
    except OSError as error:
        module.fail_json(msg=f"dest: nothing can be written into {directory}: {error.strerror}")
    return path


def run_test(module, keepalived, path):
    """Return exit code and output of ``keepalived -t`` on a file, in bounded time."""
    seconds = module.params["timeout"]
    code, out, err = module.run_command(
        # keepalived's children die with it: timeout(1) signals the whole group.
        [
            module.get_bin_path("timeout", required=True),
            "--kill-after=1",
            str(seconds),
            keepalived,
            "--config-test",
            "--use-file",
            path,
        ],
        environ_update={"LC_ALL": "C"},
        errors="replace",
    )
    if timed_out(code):
        module.fail_json(
            msg=f"keepalived -t did not end within {seconds} s (timeout) and was killed, "
            f"{module.params['dest']} is as it was"
        )
    return code, out + "\n" + err


def missing_scripts(text, config_id):
    """Return what is wrong with the scripts that the configuration names."""
    named = ((where, path, program_problem(path)) for where, path in scripts(text, config_id))
    return [f"{where}: {path}: {problem}" for where, path, problem in named if problem]


def test(module, keepalived, candidate, directory, text):
    """Return everything that speaks against the file at the path ``candidate``, no secrets."""
    code, output = run_test(module, keepalived, candidate)
    found = list(complaints(code, output, candidate))
    if terminated(code):
        again = write_candidate(module, directory, encoded(with_root_scripts(text)))
        code, output = run_test(module, keepalived, again)
        found += complaints_with_root_scripts(code, output, again)
    config_id = platform.node().split(".")[0]
    found += missing_scripts(text, config_id)
    words = secrets(text, config_id)
    return [without_secrets(line, words) for line in dict.fromkeys(found)]


def set_attributes(module, path, changed):
    """Give a file the owner, group and mode that were asked for; return whether it changed."""
    arguments = module.load_file_common_arguments(module.params, path=path)
    return module.set_fs_attributes_if_different(arguments, changed)


def install(module, candidate, dest, result):
    """Put the file at the path ``candidate`` in the place of ``dest``."""
    if os.path.exists(dest):
        # What replaces a file inherits its mode at first, and a copy keeps it.
        set_attributes(module, dest, True)
        if module.params["backup"]:
            result["backup_file"] = module.backup_local(dest)
    module.atomic_move(candidate, dest)


def encoded(text):
    """Return text as the bytes of a file."""
    return text.encode("utf-8", "surrogateescape")


def shown(data):
    """Return the bytes of a file as text for a diff."""
    return masked(data.decode("utf-8", "replace"))


def judged(module, directory, content, text):
    """Write the new file beside the old one, have it tested; return its path and the complaints.

    ``None`` instead of complaints says that there is nothing to test with.
    """
    keepalived = module.get_bin_path("keepalived")
    if keepalived is None and not module.check_mode:
        module.fail_json(msg="keepalived is not installed, so nothing can test the configuration")
    place = module.tmpdir if module.check_mode else directory
    candidate = write_candidate(module, place, content)
    if keepalived is None:
        return candidate, None
    return candidate, test(module, keepalived, candidate, place, text)


def has_user(name):
    """Return whether the host knows a user."""
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


def is_whole(text):
    """Return whether everything is there that the configuration names: what a play installs before
    it is missing in check mode, and keepalived may complain of just that."""
    config_id = platform.node().split(".")[0]
    users = values_of(text, ("script_user", "user"), config_id)
    interfaces = values_of(text, ("interface",), config_id)
    return (
        all(os.access(path, os.X_OK) for _where, path in scripts(text, config_id))
        and all(map(has_user, users))
        and all(os.path.exists(f"/sys/class/net/{name}") for name in interfaces)
    )


def refuse(module, result, text):
    """Say that keepalived refuses the configuration; fail unless that may be check mode's doing."""
    reasons = "; ".join(result["complaints"])
    message = f"keepalived refuses the new configuration, {result['dest']} is as it was: {reasons}"
    if module.check_mode and not is_whole(text):
        module.warn(message)
    else:
        module.fail_json(msg=message, **{**result, "changed": False})


def check_options(module, content, dest):
    """Fail where an option is wrong, before anything is touched."""
    directory = os.path.dirname(dest)
    if not module.params["test"] and not module.check_mode:
        module.fail_json(msg="test: only check mode does without; leave it out")
    if module.params["timeout"] < 1:
        module.fail_json(msg="timeout: must be at least 1 s")
    if b"\0" in content:
        module.fail_json(msg="content: has a NUL byte, so it is no text; keepalived would cut it")
    if os.path.isdir(dest):
        module.fail_json(msg=f"dest: {dest} is a directory; name the file, keepalived.conf in it")
    if not os.path.isdir(directory) and not module.check_mode:
        module.fail_json(
            msg=f"dest: the directory {directory} does not exist; install keepalived first"
        )


def main():
    module = AnsibleModule(
        argument_spec={
            "content": {"type": "str", "required": True, "no_log": True},
            "dest": {"type": "path", "default": "/etc/keepalived/keepalived.conf"},
            "backup": {"type": "bool", "default": False},
            "owner": {"type": "str", "default": "root"},
            "group": {"type": "str", "default": "root"},
            "mode": {"type": "raw", "default": "0600"},
            "test": {"type": "bool", "default": True},
            "timeout": {"type": "int", "default": 30},
        },
        supports_check_mode=True,
    )
    text = module.params["content"]
    content = encoded(text)
    # As long as the whole text counts as a secret, Ansible hides a diff without passwords as well.
    module.params["content"] = "VALUE_SPECIFIED_IN_NO_LOG_PARAMETER"
    module.no_log_values.discard(text)

    dest = os.path.realpath(module.params["dest"])
    check_options(module, content, dest)
    before = read(module, dest)
    config_id = platform.node().split(".")[0]
    former = before.decode("utf-8", "surrogateescape")
    restart = restart_required(former, text, config_id) if before else ()
    result = {
        "changed": before != content or not os.path.exists(dest),
        "dest": dest,
        "action": "none",
        "cluster_wide": cluster_wide(former, text, config_id),
        "restart_required": restart,
    }
    if module._diff:
        result["diff"] = {
            "before": shown(before),
            "after": shown(content),
            "before_header": dest,
            "after_header": dest,
        }

    if result["changed"] and module.params["test"]:
        candidate, said = judged(module, os.path.dirname(dest), content, text)
        if said is not None:
            result["complaints"] = said
        if said:
            refuse(module, result, text)
        if not module.check_mode:
            install(module, candidate, dest, result)

    if os.path.exists(dest):
        result["changed"] = set_attributes(module, dest, result["changed"])
    if result["changed"]:
        result["action"] = "restart" if restart else "reload"
    module.exit_json(**result)


if __name__ == "__main__":
    main()
