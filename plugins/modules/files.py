#!/usr/bin/python
# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: files
short_description: Install and remove several files in one step
version_added: 0.2.0
description:
  - Writes files, makes directories and removes what is no longer wanted, all in one round trip.
  - A file that differs in content, mode, owner or group is replaced as a whole. Nobody sees half a
    file, and nobody can read it before it has its owner and mode.
  - A symbolic link at a path is replaced by the file, never followed.
  - Refuses a path with a folder on the way that belongs to another user than root, or that every
    user can write to, for such a user could lead root to another file.
options:
  files:
    description: What is to be there. Entries are handled in their order, a directory before what is
      in it.
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description: Absolute path. The folder that it is in must be there, or come before it.
        type: path
        required: true
      content:
        description: The whole text of the file.
        type: str
      keep:
        description:
          - The file is there already, and not of this module's making. Its content and its owner
            stay; only its mode and its group change.
        type: bool
        default: false
      directory:
        description: Make a directory of that name instead of a file.
        type: bool
        default: false
      mode:
        description: Permissions as four octal digits in quotes.
        type: raw
        required: true
      owner:
        description: Name or number of the owner.
        type: str
        default: root
      group:
        description: Name or number of the group.
        type: str
        default: root
      secret:
        description: Whether the content must not be seen in a diff.
        type: bool
        default: false
  absent:
    description:
      - Paths of what is not to be there, removed in this order, after O(files).
      - A file, a symbolic link or an empty directory. A directory with something in it is refused.
      - The folder that it is in may belong to another user.
      - With C(NAME.py) goes what Python has compiled of it, C(__pycache__/NAME.*.pyc).
    type: list
    elements: path
    default: []
  absent_if_empty:
    description: Directories that go, after O(absent), where nothing is in them; others stay.
    type: list
    elements: path
    default: []
attributes:
  check_mode:
    support: full
    description: >-
      A folder, an owner or a group that is missing still is no failure, for a package or a task
      before this one may bring it.
  diff_mode:
    support: full
    description: One entry for each path that changes. Shows no content of secret files.
notes:
  - A failure in the middle leaves the paths before it as they are wanted; RV(changed_paths) names
    them.
author:
  - mycat.ha maintainers (@mycat-ha)
"""

EXAMPLES = r"""
- name: Install the program and its unit
  mycat.ha.files:
    files:
      - path: /usr/local/lib/mycat_status
        directory: true
        mode: '0755'
      - path: /usr/local/lib/mycat_status/checks.py
        content: "{{ lookup('ansible.builtin.file', 'mycat_status/checks.py') }}"
        mode: '0755'
      - path: /etc/mycat_status/credentials.json
        content: "{{ credentials | ansible.builtin.to_json }}"
        mode: '0640'
        group: mycat_status
        secret: true
    absent:
      - /etc/xinetd.d/mycat_status
"""

RETURN = r"""
changed_paths:
  description: The paths that were changed, in their order; in check mode those that would be.
  returned: always
  type: list
  elements: str
  sample: [/etc/mycat_status/credentials.json]
"""

import grp
import itertools
import os
import pwd
import re

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.mycat.ha.plugins.module_utils.host.files import (
    ABSENT,
    Attributes,
    Content,
    FileError,
    Place,
    folder_exists,
    group_name,
    owner_name,
)
from ansible_collections.mycat.ha.plugins.module_utils.host.masking import MASK

# A longer file, or one with a NUL byte, is not shown.
MOST_SHOWN = 1024 * 1024


def argument_spec():
    """Return the options as Ansible wants them."""
    entry = {
        "path": {"type": "path", "required": True},
        "content": {"type": "str"},
        "keep": {"type": "bool", "default": False},
        "directory": {"type": "bool", "default": False},
        "mode": {"type": "raw", "required": True},
        "owner": {"type": "str", "default": "root"},
        "group": {"type": "str", "default": "root"},
        "secret": {"type": "bool", "default": False},
    }
    return {
        # A content may hold a password. Of the whole list, or the host's log has the content as
        # repr() writes it, which Ansible does not recognise; the diff shows what matters.
        "files": {
            "type": "list",
            "elements": "dict",
            "default": [],
            "options": entry,
            "no_log": True,
        },
        "absent": {"type": "list", "elements": "path", "default": []},
        "absent_if_empty": {"type": "list", "elements": "path", "default": []},
    }


# --- options --------------------------------------------------------------------------------------


def taken_contents(module):
    """Return the content of each entry as bytes or None, and hide it from what Ansible shows.

    As long as the options' values count as secrets, Ansible hides every word that is equal to one.
    """
    module.no_log_values.clear()
    contents = []
    for entry in module.params["files"]:
        text = entry["content"]
        contents.append(None if text is None else text.encode("utf-8", "surrogateescape"))
        if text is not None:
            entry["content"] = "VALUE_SPECIFIED_IN_NO_LOG_PARAMETER"
    return contents


def option_problems(entries, absent, contents):
    """Return what is wrong with the options, a sentence each."""
    problems = []
    for number, (entry, content) in enumerate(zip(entries, contents)):
        where, mode = f"files[{number}]", entry["mode"]
        if not isinstance(mode, str) or not re.fullmatch("[0-7]{4}", mode):
            problems.append(
                f'{where}.mode: write four octal digits in quotes, such as "0644" (is {mode!r})'
            )
        without = entry["directory"] or entry["keep"]
        if without is (content is not None):
            why = "a directory has none" if entry["directory"] else "the file keeps its own"
            problems.append(
                f"{where}.content: {why}, leave it out"
                if without
                else f"{where}.content: is missing"
            )
    paths = [entry["path"] for entry in entries] + absent
    problems += [f"{path}: is named twice" for path in sorted({*paths}) if paths.count(path) > 1]
    return problems


def number_of(name, look_up, what):
    """Return the number of a user or group by its name, or the number itself."""
    if name.isdigit():
        return int(name)
    try:
        return look_up(name)
    except KeyError:
        raise FileError(f"{what}: this host has no {what} {name}") from None


def wanted_attributes(entry):
    """Return mode, owner and group of an entry as numbers. Raises FileError."""
    return Attributes(
        int(entry["mode"], 8),
        number_of(entry["owner"], lambda name: pwd.getpwnam(name).pw_uid, "owner"),
        number_of(entry["group"], lambda name: grp.getgrnam(name).gr_gid, "group"),
    )


# --- diff -----------------------------------------------------------------------------------------


def attributes_text(attributes):
    """Return mode, owner and group as a diff shows them."""
    if attributes is None:
        return "owner or group is missing still"
    owner = f"{owner_name(attributes.uid)}:{group_name(attributes.gid)}"
    return f"{attributes.mode:04o} {owner}"


def shown(content, secret):
    """Return one side of a diff."""
    if content == ABSENT:
        return ""
    if content.kind != "file" or content.data is None:
        return f"({content.kind})\n"
    return f"{MASK}\n" if secret else content.data.decode("utf-8", "replace")


def diff_of(path, before, after, secret=False):
    """Return the diff entry of a change; where only attributes change, it shows these."""
    entry = {"before_header": path, "after_header": path}
    same_content = (before.kind, before.data) == (after.kind, after.data)
    if same_content:
        entry["before"] = attributes_text(before.attributes) + "\n"
        entry["after"] = attributes_text(after.attributes) + "\n"
        return entry
    for side, content in (("before", before), ("after", after)):
        if content.attributes:
            entry[f"{side}_header"] = f"{path} ({attributes_text(content.attributes)})"
    if before.kind == after.kind == "file" and before.data is None:
        return {**entry, "dst_larger": MOST_SHOWN}
    if not secret and any(b"\0" in (side.data or b"") for side in (before, after)):
        return {**entry, "dst_binary": path}
    entry["before"] = shown(before, secret)
    entry["after"] = shown(after, secret)
    if secret and entry["before"] == entry["after"]:
        entry["after"] = f"{MASK} (new)\n"
    return entry


# --- changes --------------------------------------------------------------------------------------


def installed(entry, content, check_mode):
    """Bring about what an entry wants; return what was there and what is there now."""
    path = entry["path"]
    kind = "directory" if entry["directory"] else "file"
    if check_mode and not folder_exists(path):
        return ABSENT, Content(kind, None, content)
    try:
        attributes = wanted_attributes(entry)
    except FileError:
        if not check_mode:
            raise
        attributes = None
    if entry["directory"] and not check_mode:
        os.makedirs(os.path.dirname(path), 0o755, exist_ok=True)
    with Place(path) as place:
        before = place.read(max(len(content or b""), MOST_SHOWN))
        if entry["keep"]:
            content, attributes = kept(path, before, attributes)
        after = Content(kind, attributes, content, before.size if kind == before.kind else 0)
        refuse_other_kind(path, before, kind)
        if check_mode or same(before, after):
            pass
        elif entry["keep"]:
            place.change(attributes)
        elif entry["directory"]:
            place.make_directory(attributes)
        else:
            place.write(content, attributes)
    return before, after


def kept(path, before, attributes):
    """Return the content of a file that is to be kept, and the attributes that it is to have."""
    if before.kind != "file":
        raise FileError(f"{path} is not a file")
    if attributes:
        attributes = Attributes(attributes.mode, before.attributes.uid, attributes.gid)
    return before.data, attributes


def same(before, after):
    """Return whether nothing has to be done."""
    return (before.kind, before.attributes, before.data) == (
        after.kind,
        after.attributes,
        after.data,
    )


def refuse_other_kind(path, before, kind):
    """Raise FileError where something stands in the way that is not to be replaced."""
    replaced = ("absent", "file", "link") if kind == "file" else ("absent", "directory")
    if before.kind not in replaced:
        found = {"other": "neither a file nor a directory"}.get(before.kind, f"a {before.kind}")
        raise FileError(f"{path} is {found}, but should be a {kind}; move it away first")


def removed(path, gone, check_mode, only_empty=False):
    """Remove what is at a path; return what was there. ``gone`` are paths that were removed before.

    In check mode these are still there. With ``only_empty`` a directory with something in it stays.
    """
    if not folder_exists(path):
        return ABSENT
    with Place(path, foreign=True) as place:
        before = place.read(0)
        if before.kind == "other":
            raise FileError(f"{path} is neither a file nor a directory; remove it by hand")
        left = place.names() if before.kind == "directory" else []
        if any(os.path.join(path, name) not in gone for name in left):
            if only_empty:
                return ABSENT
            raise FileError(f"{path} is a directory with something in it; remove that first")
        if before != ABSENT and not check_mode:
            place.remove()
    return before


def with_compiled(path):
    """Return a path that is to go, behind what Python has compiled of it."""
    folder, name = os.path.split(path)
    cache = os.path.join(folder, "__pycache__")
    if not name.endswith(".py") or not os.path.isdir(cache):
        return [path]
    with Place(cache) as place:
        names = sorted(place.names())
    ours = [one for one in names if one.startswith(name[:-2]) and one.endswith(".pyc")]
    return [os.path.join(cache, one) for one in ours] + [path]


def apply(module, contents, result):
    """Do what the options say, and put into the result what was done. Raises FileError."""
    check_mode = module.check_mode

    def report(path, before, after, secret=False):
        result["changed"] = True
        result["changed_paths"].append(path)
        if module._diff:
            result["diff"].append(diff_of(path, before, after, secret))

    for entry, content in zip(module.params["files"], contents):
        before, after = installed(entry, content, check_mode)
        if same(before, after):
            continue
        report(entry["path"], before, after, entry["secret"])
        if not check_mode:
            module.set_default_selinux_context(entry["path"], False)
    leaving = [
        (path, False) for path in itertools.chain(*map(with_compiled, module.params["absent"]))
    ]
    leaving += [(path, True) for path in module.params["absent_if_empty"]]
    for path, only_empty in leaving:
        before = removed(path, result["changed_paths"], check_mode, only_empty)
        if before != ABSENT:
            report(path, Content(before.kind), ABSENT)


def main():
    module = AnsibleModule(argument_spec=argument_spec(), supports_check_mode=True)
    contents = taken_contents(module)
    problems = option_problems(module.params["files"], module.params["absent"], contents)
    if problems:
        module.fail_json(msg="; ".join(problems))
    result = {"changed": False, "changed_paths": []}
    if module._diff:
        result["diff"] = []
    try:
        apply(module, contents, result)
    except FileError as error:
        module.fail_json(msg=str(error), **result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
