#!/usr/bin/python
# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: haproxy_config
short_description: Install a haproxy.cfg and have HAProxy serve with it
version_added: 0.1.0
description:
  - Writes a configuration file for HAProxy after C(haproxy -c) has accepted it, its addresses were
    found free and file descriptors enough, and reloads HAProxy.
  - Waits until HAProxy serves with the new file. If it does not, the former file is put back and
    loaded, and the module fails with what HAProxy said.
  - Restarts only where a reload cannot help. That is where HAProxy runs with fewer file descriptors
    than O(nofile) and the limit cannot be raised while it runs; and where its main process, which
    answers nobody, kept a listener of a start that failed (HAProxy 2.2 does), and clients of the
    new configuration would reach that one. Starts HAProxy if it does not run.
  - Has systemd start HAProxy at boot.
  - The diff shows what changes, with every password masked, and with O(raw_lines) no word of a
    person's lines that may be one.
options:
  content:
    description:
      - The whole text of the configuration.
      - Its section C(global) must have the line C(description @digest@). The module writes a digest
        of the text there, and knows by it which file HAProxy serves with.
    type: str
    required: true
  raw_lines:
    description:
      - Those lines of O(content) that a person wrote. They are shown no further than to the first
        word that may be a password, and so are the lines of the former file that O(content) does
        not have, also in what HAProxy says of the configuration.
      - Unless set, all lines are shown, and only what follows HAProxy's own keywords for passwords
        is masked.
    type: list
    elements: str
  dest:
    description: Path of the configuration.
    type: path
    default: /etc/haproxy/haproxy.cfg
  socket:
    description: Path of the admin socket that the configuration asks for.
    type: path
    default: /run/haproxy/admin.sock
  nofile:
    description: File descriptors that the configuration needs; V(0) leaves the limit alone.
    type: int
    default: 0
  nonlocal_bind:
    description:
      - Whether the kernel is to let HAProxy listen on addresses that no interface has.
      - In check mode such addresses then count as free, for the kernel setting may not be made yet.
    type: bool
    default: false
  timeout:
    description: Seconds that HAProxy may take to serve with the new file.
    type: int
    default: 10
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
    default: haproxy
  mode:
    description: Permissions of the file; it may hold passwords.
    type: raw
    default: '0640'
attributes:
  check_mode:
    support: full
    description: >-
      Tells what would change, also where HAProxy does not serve with the file that is there, and
      fails if HAProxy would refuse the new one.
  diff_mode:
    support: full
    description: Shows the change with passwords masked.
notes:
  - The service is systemd's C(haproxy).
  - In check mode on a host without HAProxy the configuration is not tested.
author:
  - mycat.ha maintainers (@mycat-ha)
"""

EXAMPLES = r"""
- name: Install the configuration
  mycat.ha.haproxy_config:
    content: "{{ lookup('ansible.builtin.template', 'haproxy.cfg.j2') }}"
    backup: true
"""

RETURN = r"""
action:
  description: What was done to the service.
  returned: always
  type: str
  sample: reload
backup_file:
  description: Path of the copy of the former file.
  returned: changed and O(backup=true)
  type: str
  sample: /etc/haproxy/haproxy.cfg.1234.2026-11-23@03:00:00~
complaints:
  description: What C(haproxy -c) said of the new configuration; deprecations, too.
  returned: when it was tested
  type: list
  elements: str
  sample: []
"""

import errno
import os
import re
import resource
import socket
import tempfile
import time

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.mycat.ha.plugins.module_utils.haproxy import admin
from ansible_collections.mycat.ha.plugins.module_utils.haproxy.config_text import (
    DIGEST,
    complaints,
    digest_of,
    masked,
)
from ansible_collections.mycat.ha.plugins.module_utils.host.files import exposed
from ansible_collections.mycat.ha.plugins.module_utils.host.foreign_lines import ForeignLines
from ansible_collections.mycat.ha.plugins.module_utils.host.processes import (
    listening,
    port_of,
    sockets_of,
)
from ansible_collections.mycat.ha.plugins.module_utils.network.connection import NoAnswer

# <linux/in.h>, <linux/in6.h>; Python has no names for them.
FREEBIND = {
    socket.AF_INET: (socket.IPPROTO_IP, 15),
    socket.AF_INET6: (socket.IPPROTO_IPV6, 78),
}


def read(module, path):
    """Return the text of a file, or None where there is none; fail where it is not root's choice
    alone which file that is."""
    why = exposed(path)
    if why:
        module.fail_json(msg=f"dest: {why}")
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return file.read()
    except FileNotFoundError:
        return None
    except OSError as error:
        return module.fail_json(msg=f"dest: {path} cannot be read: {error.strerror}")


def without_digest(text):
    """Return a configuration without the digest, which changes with every other line."""
    return re.sub(r"^(\s*description) [0-9a-f]{16}$", r"\1 (digest of this file)", text, flags=re.M)


def foreign_lines(module, content):
    """Return what tells a person's lines from those of the role, None where all are shown."""
    raw = module.raw_lines
    return None if raw is None else ForeignLines(content, raw, masked)


def hidden(module, content):
    """Return the words of a configuration that HAProxy may quote and nobody may see."""
    foreign = foreign_lines(module, content)
    return foreign.hidden(content) if foreign else ()


def shown(module, text, content, known=None):
    """Return a configuration as a diff shows it; ``content`` is the new one."""
    text, known = without_digest(text), known if known is None else without_digest(known)
    foreign = foreign_lines(module, without_digest(content))
    return foreign.masked(text, known) if foreign else masked(text, known)


def ports(addresses):
    """Return the ports of addresses as /proc/net/tcp writes them."""
    return sorted({port_of(address) for _table, address in addresses})


class Service:
    """HAProxy as systemd runs it and as its admin socket tells."""

    def __init__(self, module):
        self.module = module
        self.socket = module.params["socket"]

    def systemctl(self, *arguments):
        return self.module.run_command(["systemctl", *arguments])

    def runs(self):
        return self.systemctl("is-active", "--quiet", "haproxy")[0] == 0

    def enable(self):
        """Have HAProxy started at boot; tell whether it was not before."""
        if self.systemctl("is-enabled", "--quiet", "haproxy")[0] == 0:
            return False
        if not self.module.check_mode:
            self.systemctl("enable", "--quiet", "haproxy")
        return True

    def main_pid(self):
        """Return the process id of the main process, 0 while HAProxy does not run."""
        return int(self.systemctl("show", "--property=MainPID", "--value", "haproxy")[1] or 0)

    def kept(self):
        """Return the ports that the main process keeps open, and those that a worker has, too.

        The workers alone listen once HAProxy has loaded its configuration. HAProxy 2.2 keeps what a
        start that failed had bound. It answers nobody there, and where a worker has a listener of
        its own on the address, the kernel hands clients to either of them (SO_REUSEPORT).
        """
        pid, deadline = self.main_pid(), time.monotonic() + 1.0
        while pid:
            listeners = listening()
            own = [listeners[inode] for inode in sockets_of(pid) if inode in listeners]
            if not own or time.monotonic() > deadline:
                everyone = list(listeners.values())
                split = [address for address in own if everyone.count(address) > 1]
                return ports(own), ports(split)
            time.sleep(0.05)
        return [], []

    def info(self):
        """Return the answer to ``show info`` as a dict, empty while nobody answers."""
        try:
            return admin.info(admin.ask(self.socket, "show info", seconds=2.0))
        except NoAnswer:
            return {}

    def serves(self, digest):
        """Wait until HAProxy serves with the file of this digest; tell whether it came to that."""
        deadline = time.monotonic() + self.module.params["timeout"]
        while time.monotonic() < deadline:
            if self.info().get("description") == digest:
                return True
            time.sleep(0.05)
        return False

    def can_have_files(self):
        """Tell whether the running HAProxy may open as many files as it needs after a reload."""
        need = self.module.params["nofile"]
        pid = self.main_pid()
        if not need or not pid:
            return True
        try:
            if resource.prlimit(pid, resource.RLIMIT_NOFILE)[1] < need:
                resource.prlimit(pid, resource.RLIMIT_NOFILE, (need, need))
        except (OSError, ValueError):
            return False
        return True

    def load(self):
        """Have the file in place loaded; return what was done and, if need be, what was said of it.

        The second is a function: only its caller knows whether HAProxy came to serve.
        """
        action = "start"
        if self.runs():
            action = "reload" if self.can_have_files() else "restart"
        return action, self.perform(action)

    def perform(self, action):
        """Start, reload or restart; return a function that tells what was said of it."""
        since = time.strftime("%Y-%m-%d %H:%M:%S")
        # A unit that failed too often would not be started again otherwise.
        self.systemctl("reset-failed", "haproxy")
        _code, _out, err = self.systemctl(action, "haproxy")
        return lambda: self.journal(since) or err

    def journal(self, since):
        """Return HAProxy's alerts since then; all it said if there are none."""
        command = ["journalctl", "--unit=haproxy", "--quiet", "--no-pager", "--output=cat"]
        said = self.module.run_command([*command, f"--since={since}"])[1]
        return "\n".join(line for line in said.splitlines() if "[ALERT]" in line) or said


def too_few_files(need):
    """Return why HAProxy cannot have so many file descriptors on this host, or nothing.

    With fewer than its `maxconn` needs HAProxy ends at its start.
    """
    # systemd can give as many as it has itself, and may raise that as root may here.
    most = resource.prlimit(1, resource.RLIMIT_NOFILE)[1]
    try:
        if need > most:
            resource.setrlimit(resource.RLIMIT_NOFILE, (need, need))
    except (OSError, ValueError):
        return [f"maxconn needs {need} file descriptors, this host allows {most}; lower maxconn"]
    return []


def occupied(content, nonlocal_bind):
    """Return what keeps HAProxy from binding to addresses of the configuration.

    HAProxy shares its ports (SO_REUSEPORT), so its own listeners are in nobody's way. If HAProxy
    itself found out, it would pause the old process's listeners and try for two seconds.
    ``nonlocal_bind``: addresses that no interface has are none of its business.
    """
    found = []
    for line in content.splitlines():
        words = line.split()
        if words[:1] != ["bind"] or len(words) < 2:
            continue
        for address in words[1].split(","):
            host, _colon, port = address.rpartition(":")
            host = host.strip("[]")
            if not port.isdigit() or "@" in host:
                continue
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            with socket.socket(family, socket.SOCK_STREAM) as listener:
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
                if nonlocal_bind or "transparent" in words:
                    listener.setsockopt(*FREEBIND[family], 1)
                try:
                    listener.bind(("" if host in ("", "*") else host, int(port)))
                except OSError as error:
                    # A host may be a name or a variable, which HAProxy reads and this does not.
                    if error.errno in (errno.EADDRINUSE, errno.EADDRNOTAVAIL):
                        found.append(f"cannot bind to {address}: {error.strerror}")
    return found


def test(module, haproxy, content, result):
    """Have HAProxy read the content; fail with its reason, or return the path of the file."""
    dest = module.params["dest"]
    descriptor, path = tempfile.mkstemp(prefix="haproxy-", suffix=".cfg", dir=module.tmpdir)
    with os.fdopen(descriptor, "w", encoding="utf-8", errors="surrogateescape") as file:
        file.write(content)
    module.add_cleanup_file(path)
    code, out, err = module.run_command([haproxy, "-c", "-f", path])
    said = (out + "\n" + err).replace(path, dest)
    result["complaints"] = complaints(said, content, hidden(module, content))
    if not code:
        nofile = module.params["nofile"]
        found = too_few_files(nofile) if nofile else []
        found += occupied(content, module.check_mode and module.params["nonlocal_bind"])
        result["complaints"] += found
        code = len(found)
    said = "; ".join(result["complaints"])
    if code:
        result["changed"] = False
        module.fail_json(
            msg=f"HAProxy refuses the new configuration, {dest} is as it was: {said}", **result
        )
    if said:
        module.warn(f"HAProxy says of the new configuration: {said}")
    return path


def serve(module, service, backup, digest, result):
    """Have HAProxy serve with the file in place; put the former one back if it does not."""
    dest = module.params["dest"]
    result["changed"] = True
    result["action"], why = service.load()
    served = service.serves(digest)
    kept, split = service.kept() if served else ([], [])
    if split:
        result["action"], why = "restart", service.perform("restart")
        served = service.serves(digest)
    elif kept:
        module.warn(
            "HAProxy's main process keeps ports open since a start that failed: "
            f"{', '.join(map(str, kept))}. Clients of those that the configuration no longer has "
            "wait instead of being refused, until `systemctl restart haproxy`, which ends sessions"
        )
    if served:
        return
    content = read(module, dest)
    said = "; ".join(complaints(why(), content, hidden(module, content))[-8:])
    end = "the file is as it was before"
    if backup:
        module.atomic_move(backup, dest)
        service.load()
        state = "HAProxy serves with it" if service.info() else "HAProxy does not run"
        end = f"the former {dest} is back, and {state}"
    result["changed"] = False
    module.fail_json(
        msg=f"HAProxy does not serve with the new configuration; {end}: {said}", **result
    )


def main():
    module = AnsibleModule(
        argument_spec={
            # Holds passwords; the masked diff shows what matters.
            "content": {"type": "str", "required": True, "no_log": True},
            "raw_lines": {"type": "list", "elements": "str", "no_log": True},
            "dest": {"type": "path", "default": "/etc/haproxy/haproxy.cfg"},
            "socket": {"type": "path", "default": "/run/haproxy/admin.sock"},
            "nofile": {"type": "int", "default": 0},
            "nonlocal_bind": {"type": "bool", "default": False},
            "timeout": {"type": "int", "default": 10},
            "backup": {"type": "bool", "default": False},
            "owner": {"type": "str", "default": "root"},
            "group": {"type": "str", "default": "haproxy"},
            "mode": {"type": "raw", "default": "0640"},
        },
        supports_check_mode=True,
    )
    text = module.params["content"]
    # What is shown of them is this module's affair: as secrets Ansible would blot them out of other
    # lines as well.
    module.raw_lines = module.params.pop("raw_lines")
    module.no_log_values.difference_update(module.raw_lines or ())
    if f"description {DIGEST}" not in text:
        module.fail_json(msg=f"content: has no line `description {DIGEST}` in its section `global`")
    # A link stays one.
    module.params["dest"] = dest = os.path.realpath(module.params["dest"])
    digest = digest_of(text)
    content = text.replace(DIGEST, digest)
    before, backup = read(module, dest), None
    result = {"changed": before != content, "action": "none"}
    if module._diff:
        result["diff"] = {
            "before": shown(module, before or "", content),
            "after": shown(module, content, content, before or ""),
            "before_header": dest,
            "after_header": dest,
        }

    haproxy = module.get_bin_path("haproxy", opt_dirs=["/usr/sbin", "/usr/local/sbin"])
    if haproxy is None and not module.check_mode:
        module.fail_json(msg=f"HAProxy is not installed, so {dest} cannot be tested")
    if result["changed"] and haproxy is not None:
        candidate = test(module, haproxy, content, result)
    service = Service(module)
    # Asked also where the file is right: HAProxy was stopped, or a run was cut off.
    loaded = service.info().get("description") == digest
    enabled = service.enable() if haproxy is not None else False
    if module.check_mode:
        result["changed"] = result["changed"] or not loaded or enabled
        module.exit_json(**result)

    if result["changed"]:
        backup = module.backup_local(dest) if before is not None else None
        module.atomic_move(candidate, dest)
    arguments = module.load_file_common_arguments(module.params, path=dest)
    result["changed"] = module.set_fs_attributes_if_different(arguments, result["changed"])
    if not loaded:
        serve(module, service, backup, digest, result)
    result["changed"] = result["changed"] or enabled
    if backup and module.params["backup"]:
        result["backup_file"] = backup
    elif backup:
        os.unlink(backup)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
