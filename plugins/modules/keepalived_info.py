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

import contextlib
import dataclasses
import fcntl
import os
import platform
import stat
import time

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.mycat.ha.plugins.module_utils.keepalived import dump
from ansible_collections.mycat.ha.plugins.module_utils.keepalived.lines import ConfError
from ansible_collections.mycat.ha.plugins.module_utils.keepalived.reader import parse
from ansible_collections.mycat.ha.plugins.module_utils.keepalived.tree import parse_tree
from ansible_collections.mycat.ha.plugins.module_utils.vrrp.model import CheckKind
from ansible_collections.mycat.ha.plugins.module_utils.vrrp.structured import node_data
from ansible_collections.mycat.ha.plugins.module_utils.vrrp.versions import (
    TMPDIR_SINCE,
    installed_version,
    numbers,
)

# How a dump is asked for: the name of its signal (keepalived --signum), its file, the keyword of
# global_defs that names another, what reads it.
DUMPS = (
    ("JSON", "keepalived.json", "json_dump_file", dump.parse_json),
    ("DATA", "keepalived.data", "state_dump_file", dump.parse_data),
)
# Written along with keepalived.data.
PARENT_DUMP = "keepalived_parent.data"
POLL = 0.02
UNWATCHED = (
    "keepalived does not act on its tracked files: when it started, the kernel had no inotify "
    "instance left. Raise fs.inotify.max_user_instances (sysctl) and restart keepalived."
)
TMP = "/tmp"  # noqa: S108 - keepalived's own place


# --- the process ----------------------------------------------------------------------------------


def process_field(pid, name):
    """Return a field of /proc/<pid>/status, empty where there is none (any more)."""
    try:
        with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as file:
            found = [line.split(":", 1)[1].strip() for line in file if line.startswith(f"{name}:")]
    except OSError:
        return ""
    return found[0] if found else ""


def network(pid):
    """Return what names the network namespace of a process."""
    try:
        return os.readlink(f"/proc/{pid}/ns/net")
    except OSError:
        return ""


def find_daemon():
    """Return the process id of the keepalived of this network namespace, None without one.

    Its children have its name as well; of several daemons the one that was started first counts.
    """
    here = network("self")
    pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]
    found = [
        pid
        for pid in sorted(pids)
        if process_field(pid, "Name") == "keepalived"
        and process_field(process_field(pid, "PPid"), "Name") != "keepalived"
        and network(pid) == here
    ]
    return found[0] if found else None


def listens_to(pid, number):
    """Return whether a process catches or awaits a signal, which would end it otherwise."""
    masks = [int(process_field(pid, name) or "0", 16) for name in ("SigCgt", "SigBlk")]
    return any(mask >> (number - 1) & 1 for mask in masks)


def temporary_directory(pid, version):
    """Return where a keepalived puts temporary files. Before 2.2.5 it asked no environment."""
    if version and numbers(version) < TMPDIR_SINCE:
        return TMP
    with open(f"/proc/{pid}/environ", "rb") as file:
        settings = dict(entry.partition(b"=")[::2] for entry in file.read().split(b"\0"))
    return os.fsdecode(settings.get(b"TMPDIR", b"")) or TMP


def start_of(pid):
    """Return when a process started, as time.time() counts; None without such a process."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            # proc(5): field 22, in clock ticks since the boot. The second one may hold anything.
            ticks = int(file.read().rpartition(")")[2].split()[19])
    except OSError:
        return None
    age = time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
    return time.time() - age


def open_files(pid):
    """Return what the descriptors of a process stand for, as far as it still lives.

    Raise PermissionError where the kernel does not tell: root in a container without
    CAP_SYS_PTRACE is not told of a process that changed its user for a moment (proc(5)).
    """
    found = []
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for name in os.listdir(f"/proc/{pid}/fd"):
            with contextlib.suppress(FileNotFoundError):
                found.append(os.readlink(f"/proc/{pid}/fd/{name}"))
    return found


def watches_files(pid):
    """Return whether a keepalived, or a process of its own, has an inotify instance.

    None where nothing tells. Where it gets none it only logs that it is unable to monitor its
    tracked files, and never acts on them. Root's are soon used up where many containers share them.
    """
    children = [
        name
        for name in os.listdir("/proc")
        if name.isdigit() and process_field(name, "PPid") == str(pid)
    ]
    try:
        return any("anon_inode:inotify" in open_files(process) for process in (pid, *children))
    except PermissionError:
        return None


def last_change(module, pid):
    """Return when systemd last started or reloaded a process, None where it is not its own."""
    systemctl = module.get_bin_path("systemctl")
    if systemctl is None:
        return None
    show = [systemctl, "show", "--property=MainPID,StateChangeTimestampMonotonic", "keepalived"]
    lines = module.run_command(show)[1].splitlines()
    found = dict(line.split("=", 1) for line in lines if "=" in line)
    if found.get("MainPID") != str(pid):
        return None
    age = time.monotonic() - int(found["StateChangeTimestampMonotonic"]) / 1e6
    return time.time() - age


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


# --- its dump -------------------------------------------------------------------------------------


def signature(path):
    """Return what tells one version of a file from the next, None where there is no file."""
    try:
        found = os.lstat(path)
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


def read_own(path, uid):
    """Return the text of a regular file that belongs to the user, empty where there is none yet.

    Anybody can put a file or a link into /tmp.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return ""
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode) or found.st_uid != uid:
        os.close(descriptor)
        return ""
    with os.fdopen(descriptor, encoding="utf-8", errors="replace") as file:
        return file.read()


def await_file(path, seconds):
    """Wait until there is a file, but no longer than that."""
    deadline = time.monotonic() + seconds
    while signature(path) is None and time.monotonic() < deadline:
        time.sleep(POLL)


def remove(path):
    """Remove a file if it is there."""
    if signature(path) is not None:
        os.unlink(path)


@contextlib.contextmanager
def alone(directory, seconds):
    """Keep others of this module from the dumps in a directory, which they would remove."""
    descriptor = os.open(directory, os.O_RDONLY)
    deadline = time.monotonic() + seconds
    try:
        while time.monotonic() < deadline:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                time.sleep(POLL)
        yield
    finally:
        os.close(descriptor)


def ask(module, pid, number, path, parse_dump):
    """Have keepalived write its dump to ``path``, and return the instances that it tells of.

    A dump that lay there before is not believed, nor is one that is not complete yet.
    """
    seconds = module.params["timeout"]
    uid = os.stat(f"/proc/{pid}").st_uid
    before = signature(path)
    start = asked = time.monotonic() - 1
    problem = "it wrote nothing"
    while time.monotonic() - start < seconds + 1:
        if time.monotonic() - asked >= 1 and listens_to(pid, number):
            os.kill(pid, number)
            asked = time.monotonic()
        time.sleep(POLL)
        if signature(path) not in (None, before):
            try:
                return parse_dump(read_own(path, uid))
            except dump.DumpError as error:
                problem = str(error)
    return module.fail_json(
        msg=f"keepalived (process {pid}) was asked for its state and did not write it to {path} "
        f"within {seconds} s (timeout): {problem}"
    )


def wanted_dump(module, keepalived, pid):
    """Return the number of the signal that has the daemon write a dump, and the dump's entry."""
    for entry in DUMPS:
        code, out = module.run_command([keepalived, f"--signum={entry[0]}"])[:2]
        if code == 0 and out.strip().isdigit() and listens_to(pid, int(out)):
            return int(out), entry
    return module.fail_json(msg=f"keepalived (process {pid}) awaits no signal to be asked by")


def from_daemon(module, keepalived, version, pid, statements):
    """Return the instances as the running daemon has them."""
    number, (name, file, keyword, parse_dump) = wanted_dump(module, keepalived, pid)
    named = [
        setting.value
        for statement in statements
        if statement.keyword == "global_defs"
        for setting in statement.block or ()
        if setting.keyword == keyword and setting.value
    ]
    root = f"/proc/{pid}/root"
    directory = root + temporary_directory(pid, version)
    path = root + named[-1] if named else os.path.join(directory, file)
    with alone(os.path.dirname(path), module.params["timeout"]):
        instances = ask(module, pid, number, path, parse_dump)
        if not named:
            remove(path)
            if name == "DATA":
                # Another process writes it, at its own time.
                parent = os.path.join(directory, PARENT_DUMP)
                await_file(parent, seconds=1)
                remove(parent)
    return instances


# --- everything -----------------------------------------------------------------------------------


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
        instances = from_daemon(module, binary, version, pid, statements)
    else:
        instances = dump.stopped(node) if node else ()
    ip = module.get_bin_path("ip", required=True)
    addresses = module.run_command([ip, "-json", "address"], check_rc=True)[1]
    present = dump.kernel_addresses(addresses)
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
    except dump.DumpError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, **result)


if __name__ == "__main__":
    main()
