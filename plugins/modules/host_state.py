#!/usr/bin/python
# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: host_state
short_description: Tell everything that planning and proving a cluster needs of a host
version_added: 0.2.0
description:
  - Reads files, packages, units, addresses, what HAProxy, keepalived and a MyCat's health endpoint
    say, and whether virtual addresses answer, all in one round trip. What waits for an answer waits
    side by side.
  - What cannot be read is V(null) or empty, and RV(problems) says why. The module itself fails for
    wrong options only.
  - The state of an instance is taken from the file that keepalived's notify script writes, as long
    as the addresses that the host really has fit it and keepalived has not been started since.
    Otherwise keepalived is asked as M(mycat.ha.keepalived_info) does it.
options:
  paths:
    description: Paths to describe, see RV(files).
    type: list
    elements: path
    default: []
  packages:
    description: Packages of dpkg or rpm.
    type: list
    elements: str
    default: []
  units:
    description: Units of systemd; C(.service) may be left out.
    type: list
    elements: str
    default: []
  accounts:
    description: Users who may be there or not.
    type: list
    elements: str
    default: []
  programs:
    description: Paths of programs that should be executable.
    type: list
    elements: path
    default: []
  java:
    description: Path of a Java whose version is asked for.
    type: path
  ports:
    description: TCP ports; who listens there.
    type: list
    elements: int
    default: []
  login:
    description:
      - Account for a query, C(show mycat_status), at each of O(vips).
      - Without it only the greeting is awaited.
    type: dict
    suboptions:
      user:
        description: Name of the user.
        type: str
        required: true
      password:
        description: Password for mysql_native_password.
        type: str
        required: true
  endpoint_port:
    description:
      - Port that the health endpoint on this host should have. It is asked at 127.0.0.1, at the
        port that it has, see RV(endpoint_ports).
    type: int
  endpoint_listeners:
    description: Paths of the files by which xinetd or systemd listens for the health endpoint.
    type: list
    elements: path
    default: []
  haproxy_socket:
    description: Path of HAProxy's admin socket.
    type: path
    default: /run/haproxy/admin.sock
  haproxy_config:
    description: Path of HAProxy's configuration.
    type: path
    default: /etc/haproxy/haproxy.cfg
  keepalived_config:
    description: Path of keepalived's configuration.
    type: path
    default: /etc/keepalived/keepalived.conf
  timeout:
    description: Seconds that each answer may take.
    type: float
    default: 2
extends_documentation_fragment:
  - mycat.ha.attributes.asks
  - mycat.ha.options.vips
notes:
  - Needs root for most of it.
  - A keepalived in another network namespace than the task, as in a container, is not looked at.
seealso:
  - module: mycat.ha.keepalived_info
author:
  - mycat.ha maintainers (@mycat-ha)
"""

EXAMPLES = r"""
- name: Read the state of a load balancer
  mycat.ha.host_state:
    paths: [/etc/keepalived/keepalived.conf]
    packages: [haproxy, keepalived]
    units: [haproxy, keepalived]
    ports: [8066]
    vips:
      - address: 192.0.2.100
        port: 8066
  register: state
"""

RETURN = r"""
packages:
  description: Version of each of O(packages), V(null) where it is not installed.
  returned: always
  type: dict
  sample: {haproxy: 2.6.12-1+deb12u2}
versions:
  description: Upstream version of the programs C(haproxy) and C(keepalived), V(null) without one.
  returned: always
  type: dict
  sample: {haproxy: 2.6.12, keepalived: 2.2.7}
files:
  description:
    - Of each of O(paths) its C(kind) (V(file), V(directory), V(link), V(other), V(absent)),
      C(sha256), C(mode), C(owner) and C(group), V(null) where there is none.
    - C(exposed) says by whom root could be led to another file there, and is empty where by nobody.
    - Links are not followed. One has its C(target), too.
  returned: always
  type: dict
  sample:
    /etc/keepalived/keepalived.conf:
      {kind: file, sha256: 9f86d081884c, mode: '0600', owner: root, group: root, exposed: ''}
units:
  description: Of each of O(units) whether it is C(active) and C(enabled), in systemd's words.
  returned: always
  type: dict
  sample: {haproxy: {active: active, enabled: enabled}}
accounts:
  description: Of each of O(accounts) whether it is there.
  returned: always
  type: dict
  sample: {keepalived_script: true}
programs:
  description: Of each of O(programs) V(ok) or what is wrong.
  returned: always
  type: dict
  sample: {/usr/local/mycat/bin/mycat: ok}
java:
  description: The C(version) of O(java), V(null) where it does not run, and the C(problem) then.
  returned: always
  type: dict
  sample: {version: 17, problem: ''}
memory:
  description: Memory of the host in MiB.
  returned: always
  type: int
  sample: 16384
listeners:
  description: Of each of O(ports) the names of the processes that listen there.
  returned: always
  type: dict
  sample: {'8066': [haproxy]}
reserved_ports:
  description:
    - The kernel's C(net.ipv4.ip_local_reserved_ports), ports that it gives to no connection that
      leaves the host. V(null) where the host cannot change them.
  returned: always
  type: str
  sample: 8066,9066,48700
metrics_links:
  description: The link that the role keepalived has systemd-tmpfiles make for node_exporter.
  returned: always
  type: list
  elements: str
  sample: [/var/lib/prometheus/node-exporter/mycat_ha_vrrp.prom]
firewall:
  description:
    - The C(kind) of firewall that is in force, V(firewalld), V(ufw), V(nftables) for a set of rules
      of one's own, or V(null); and the C(rules) that somebody gave to firewalld or ufw.
  returned: always
  type: dict
  sample: {kind: ufw, rules: [ufw allow 8066/tcp]}
addresses:
  description:
    - Addresses that the host has. IPv6 addresses that are being tried for duplicates, or are one,
      do not count.
  returned: always
  type: list
  elements: str
  sample: [127.0.0.1, 192.0.2.11, 192.0.2.100]
maintenance:
  description:
    - Whether an operator keeps the host out of the election, by C(/var/lib/mycat_ha/maintenance).
    - V(null) where there is no such file.
  returned: always
  type: bool
  sample: false
handing_over:
  description: Whether a switch-over from this host, or its maintenance, is just under way.
  returned: always
  type: bool
  sample: false
restart:
  description:
    - How far a rolling run came with the MyCat of this host, as it noted in
      C(/var/lib/mycat_ha/restart.json), V(null) where none left a note.
    - C(state) is V(draining), V(stopped) or V(done); C(ours) tells whether the drain is the run's
      own, C(under_way) whether that run is still at it.
  returned: always
  type: dict
  sample: {run: '1795661980.2', state: draining, ours: true, under_way: false}
history:
  description:
    - The last changes of state of each instance, oldest first, as keepalived's notify script noted
      them. C(time) is in seconds since 1970 by the host's clock.
  returned: always
  type: list
  elements: dict
  sample: [{instance: mycat_1, time: 1795661980.2, state: FAULT, cause: HAProxy is down}]
clock_ahead:
  description: By how many seconds the host's clock is ahead of the controller's, about.
  returned: always
  type: float
  sample: 0.2
keepalived:
  description: V(null) where there is neither the program nor its configuration.
  returned: always
  type: dict
  contains:
    running:
      description: Whether keepalived runs.
      type: bool
    pid:
      description: Id of its parent process.
      type: int
    version:
      description: Version of the program that is installed, empty without one.
      type: str
    loaded_is_file:
      description: Whether it has read its file as it is now, V(null) where nothing tells.
      type: bool
    text:
      description: Its configuration, passwords masked; empty where there is none.
      type: str
    instances:
      description:
        - As RV(mycat.ha.keepalived_info#module:instances), with C(since) (ISO 8601, UTC) in the
          place of C(last_transition). C(effective_priority) is V(null) unless keepalived was asked.
      type: list
      elements: dict
haproxy:
  description: V(null) where there is neither the program nor its configuration.
  returned: always
  type: dict
  contains:
    alive:
      description: Whether it answers on its admin socket.
      type: bool
    reason:
      description: Why it does not, V(null) where it does.
      type: str
    version:
      description: Upstream version of what runs, V(null) without an answer.
      type: str
    description:
      description: What it says of itself, the digest that M(mycat.ha.haproxy_config) gave it.
      type: str
    loaded_is_file:
      description:
        - Whether that is the digest of the file as it is now. V(null) without an answer, and for a
          file that M(mycat.ha.haproxy_config) did not write.
      type: bool
    servers:
      description: Rows of C(show stat), all values as text.
      type: list
      elements: dict
      sample:
        - {proxy: mycat, server: mycat1, status: UP, check_status: L7OK, last_chk: ''}
    asks:
      description:
        - The port at which it checks each MyCat, as its file says; V(null) where it runs with
          another one.
      type: dict
      sample: {mycat1: 48700}
endpoint_ports:
  description: The ports that O(endpoint_listeners) name.
  returned: always
  type: list
  elements: int
  sample: [48700]
endpoint:
  description:
    - What the health endpoint said, V(null) where O(endpoint_port) is not given. Without an answer
      all but C(reason) is V(null); it says, too, who has the port that nobody listens at.
  returned: always
  type: dict
  sample: {code: 200, status: up, level: greeting, reason: greets as 5.6.29-mycat-1.6.7.6}
asked:
  description: Of each of O(vips), as C(ADDRESS:PORT), V(ok) or why there was no good answer.
  returned: always
  type: dict
  sample: {'192.0.2.100:8066': ok}
time:
  description: The host's clock, ISO 8601, UTC.
  returned: always
  type: str
  sample: '2026-11-26T03:20:00Z'
problems:
  description: What could not be read, a sentence each.
  returned: always
  type: list
  elements: str
  sample: []
"""

import os
import re
import time

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.mycat.ha.plugins.module_utils.haproxy import admin
from ansible_collections.mycat.ha.plugins.module_utils.haproxy import state as haproxy
from ansible_collections.mycat.ha.plugins.module_utils.host import (
    addresses,
    firewall,
    maintenance,
    restart,
    state,
    units,
)
from ansible_collections.mycat.ha.plugins.module_utils.host.background import in_background
from ansible_collections.mycat.ha.plugins.module_utils.host.commands import run
from ansible_collections.mycat.ha.plugins.module_utils.host.files import program_problem, read_text
from ansible_collections.mycat.ha.plugins.module_utils.host.problems import Problems, iso
from ansible_collections.mycat.ha.plugins.module_utils.host.processes import listeners
from ansible_collections.mycat.ha.plugins.module_utils.keepalived import history
from ansible_collections.mycat.ha.plugins.module_utils.mycat.archive import java_number
from ansible_collections.mycat.ha.plugins.module_utils.vrrp.versions import installed_version

KEEPALIVED = "keepalived"


def argument_spec():
    """Return the options as Ansible wants them."""

    def names(elements="str"):
        return {"type": "list", "elements": elements, "default": []}

    def required(kind, **more):
        return {"type": kind, "required": True, **more}

    return {
        "paths": names("path"),
        "packages": names(),
        "units": names(),
        "accounts": names(),
        "programs": names("path"),
        "java": {"type": "path"},
        "ports": names("int"),
        "vips": {
            **names("dict"),
            "options": {"address": required("str"), "port": required("int")},
        },
        "login": {
            "type": "dict",
            "options": {
                "user": required("str"),
                "password": {**required("str"), "no_log": True},
            },
            # Of both, or the host's log has a password as repr() writes it.
            "no_log": True,
        },
        "endpoint_port": {"type": "int"},
        "endpoint_listeners": names("path"),
        "haproxy_socket": {"type": "path", "default": "/run/haproxy/admin.sock"},
        "haproxy_config": {"type": "path", "default": "/etc/haproxy/haproxy.cfg"},
        "keepalived_config": {"type": "path", "default": "/etc/keepalived/keepalived.conf"},
        "timeout": {"type": "float", "default": 2.0},
    }


def java_state(path):
    """Return ``java``."""
    if not path:
        return {"version": None, "problem": ""}
    problem = program_problem(path)
    if problem:
        return {"version": None, "problem": problem}
    said = run([path, "-version"])
    found = java_number((re.findall(r'version "([^"]+)', said.err) or [""])[0])
    return {"version": found or None, "problem": "" if found else said.err.strip()[:200]}


def keepalived_state(params, version, unit, known, problems):
    """Return ``keepalived``."""
    path = params["keepalived_config"]
    if not version and not os.path.lexists(path):
        return None
    # Imported when needed: what reads keepalived.conf costs a MyCat host a third of the time.
    from ansible_collections.mycat.ha.plugins.module_utils.keepalived.state import state as told

    return told(path, version, unit, known, problems, params["timeout"])


def gather(params, login):
    """Return what the module returns."""
    problems = Problems()
    seconds, wanted, names = params["timeout"], params["endpoint_port"], params["units"]
    if os.geteuid() != 0:
        problems.sentences.append(
            "not root: files, listeners, HAProxy and keepalived may be hidden; use become"
        )
    # First what waits for others, then what this host does by itself.
    asked = state.ask_vips(params["vips"], login, seconds)
    ports = problems.part(
        "endpoint_ports", lambda: state.endpoint_ports(params["endpoint_listeners"]), []
    )
    health = in_background(lambda: state.ask_endpoint(wanted, ports, seconds))
    said = in_background(lambda: admin.ask(params["haproxy_socket"], admin.STATE, seconds))
    shown = in_background(lambda: state.shown_units([*names, KEEPALIVED]))
    versions = {
        "haproxy": in_background(lambda: state.program_version("haproxy", "-v", admin.version)),
        KEEPALIVED: in_background(
            lambda: state.program_version(KEEPALIVED, "--version", installed_version)
        ),
    }
    filtered = in_background(firewall.state)
    installed = in_background(lambda: state.packages_state(params["packages"]))
    java = in_background(lambda: java_state(params["java"]))
    first_addresses = in_background(addresses.host_addresses)

    result = {
        "files": state.files_state(params["paths"], problems),
        "accounts": {name: state.has_account(name) for name in params["accounts"]},
        "programs": {path: program_problem(path) or "ok" for path in params["programs"]},
        "java": problems.part("java", java, {"version": None, "problem": "not asked"}),
        "memory": state.memory(),
        "listeners": problems.part("listeners", lambda: listeners(params["ports"]), {}),
        "reserved_ports": problems.part("reserved_ports", state.reserved_ports, None),
        "metrics_links": problems.part(
            "metrics_links", lambda: state.metrics_links(read_text(state.STATE_TMPFILES)), []
        ),
        "packages": problems.part("packages", installed, dict.fromkeys(params["packages"])),
        "versions": {name: problems.part(name, answer, None) for name, answer in versions.items()},
        "asked": {
            name: problems.part("vips", answer, "not asked") for name, answer in asked.items()
        },
        "endpoint_ports": ports,
        "endpoint": problems.part("endpoint", health, None),
    }
    properties = problems.part("units", shown, [])
    result["units"] = {
        name: units.state_of(units.properties_of(name, properties)) for name in names if properties
    }
    result["firewall"] = problems.part("firewall", filtered, {"kind": None, "rules": []})
    known = addresses.Addresses(addresses.host_addresses, problems)
    known.present = problems.part("addresses", first_addresses, frozenset())
    has_haproxy = result["versions"]["haproxy"] is not None
    result["haproxy"] = haproxy.state(params["haproxy_config"], has_haproxy, said, problems)
    unit = units.properties_of(KEEPALIVED, properties)
    version = result["versions"][KEEPALIVED] or ""
    result["keepalived"] = keepalived_state(params, version, unit, known, problems)
    result["addresses"] = addresses.in_order(known.present)
    result["maintenance"], result["handing_over"] = maintenance.state()
    result["restart"] = restart.state()
    result["history"] = problems.part("history", history.history, [])
    result["time"] = iso(time.time())
    result["problems"] = problems.sentences
    return result


def taken_login(module):
    """Return the login, and hide it from what Ansible shows.

    As long as user and password count as secrets, Ansible hides every word that is equal to one,
    names of owners and states too. No answer has the password.
    """
    given = module.params["login"]
    if not given:
        return None
    module.no_log_values.clear()
    module.params["login"] = None
    return given


def main():
    module = AnsibleModule(argument_spec=argument_spec(), supports_check_mode=True)
    if module.params["timeout"] <= 0:
        module.fail_json(msg="timeout: must be more than 0 s")
    login = taken_login(module)
    module.exit_json(changed=False, **gather(module.params, login))


if __name__ == "__main__":
    main()
