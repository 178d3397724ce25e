#!/usr/bin/python
# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: vrrp_validate
short_description: Prove that a keepalived cluster fails over, before an outage does
version_added: 0.1.0
description:
  - Reads the keepalived configuration of all nodes, searches every state that failures can lead
    to, and says where an address would stay on a node that cannot serve, or be on two nodes.
  - Each finding has a cause, the shortest list of events that shows the harm, and a fix with
    numbers. C(keepalived -t) cannot say any of this, since it sees one node only.
  - Touches no host. Run it once, on the controller.
  - Judges up to 100 nodes that share an address, up to 100 checks and 1000 addresses in an
    instance, up to 100 instances in a sync group, and up to 25500 in all; more is refused.
author:
  - mycat.ha maintainers (@mycat-ha)
options:
  configs:
    description:
      - For each node the text of its keepalived.conf, at most 1 MiB each.
      - Lines that begin with V(@name) hold where the node's id is V(name), see O(config_ids).
      - The order of the nodes is their order of preference in traces.
      - Either this or O(nodes) is required.
    type: dict
  nodes:
    description:
      - For each node the list of its vrrp_instances, which is what
        M(mycat.ha.vrrp_plan) returns as RV(mycat.ha.vrrp_plan#module:instances), or a
        dictionary with C(address), C(instances), C(checks), C(sync_groups), C(script_security)
        and C(script_user).
      - The names in an instance are those of keepalived.conf. C(auth_hmac) is a dictionary with
        C(keys) (a list of C(id) and C(key)), C(active_key), C(mode), C(anti_replay) and
        C(time_window). A list under C(track_script),
        C(track_file), C(track_process) or C(track_interface) holds names, or dictionaries with
        C(name), C(weight) and C(reverse).
      - Without C(checks), every check that is tracked counts as defined.
      - What is written as C(auth_pass), or as C(key) of C(auth_hmac), is masked in logs and
        results.
    type: dict
  addresses:
    description:
      - For each node the address its adverts come from, where the configuration does not say.
      - Or the list of all its addresses.
      - Addresses decide between equal priorities, and show faults in lists of unicast peers and
        sources that a node does not have.
    type: dict
    default: {}
  keepalived_version:
    description:
      - The version of keepalived that runs on the nodes.
      - Or a dictionary with the version of each node.
    type: raw
    default: 2.2.7
  config_ids:
    description:
      - For each node the id that keepalived is started with there (C(keepalived -i)), which
        selects the lines that begin with V(@id).
      - Where it is not given, it is the first part of the node's name.
    type: dict
    default: {}
    version_added: 0.2.0
  includes:
    description:
      - The texts that C(include) finds on the nodes, by path. Patterns are looked up among the
        paths.
      - Or for each node such a dictionary.
    type: dict
    default: {}
    version_added: 0.2.0
  fail_on:
    description:
      - The least severe finding that fails the task.
    type: str
    choices: [error, warning, never]
    default: error
extends_documentation_fragment:
  - mycat.ha.attributes.asks
seealso:
  - module: mycat.ha.vrrp_plan
"""

EXAMPLES = r"""
- name: Read what is on the load balancers
  ansible.builtin.slurp:
    src: /etc/keepalived/keepalived.conf
  register: conf

- name: Prove that it fails over
  mycat.ha.vrrp_validate:
    configs: >-
      {{ dict(ansible_play_hosts | zip(ansible_play_hosts
         | map('extract', hostvars, ['conf', 'content']) | map('b64decode'))) }}
    fail_on: warning
  delegate_to: localhost
  run_once: true

- name: See why a pair does not fail over
  mycat.ha.vrrp_validate:
    nodes:
      lb1:
        - {name: VI_1, virtual_router_id: 51, interface: eth0, priority: 100,
           track_script: [{name: chk_haproxy, weight: 2}], virtual_ipaddress: [192.0.2.100/24]}
      lb2:
        - {name: VI_1, virtual_router_id: 51, interface: eth0, priority: 90,
           track_script: [{name: chk_haproxy, weight: 2}], virtual_ipaddress: [192.0.2.100/24]}
    addresses:
      lb1: 192.0.2.11
      lb2: 192.0.2.12
    fail_on: never
  delegate_to: localhost
  run_once: true
"""

RETURN = r"""
ok:
  description:
    - Whether no finding is as severe as O(fail_on), or with V(never), whether none is an error.
  returned: always, unless the options themselves are wrong
  type: bool
  sample: false
findings:
  description: What was found, worst first. The ids are explained in docs/rules.md.
  returned: always, unless the options themselves are wrong
  type: list
  elements: dict
  contains:
    id:
      description: The stable name of the rule.
      type: str
      sample: no-failover
    severity:
      description: One of error, warning and info.
      type: str
      sample: error
    node:
      description: The node to look at; empty if none is meant.
      type: str
      sample: lb1
    instance:
      description: The vrrp_instance, script or other block; empty if none is meant.
      type: str
      sample: VI_1
    message:
      description: What is wrong.
      type: str
      sample: >-
        VIP 192.0.2.100 stays on lb1, which is unhealthy; lb2 is healthy. Cause: weight-below-gap on
        lb1.
    fix:
      description: What to change, with numbers.
      type: str
      sample: Set the weight to at least 11 on all nodes, or set the priority of lb2 to at least 99.
    trace:
      description: The shortest list of events that shows the harm; empty for a cause.
      type: list
      elements: str
      sample:
        - keepalived starts on lb1, then on lb2; all is well; lb1 holds VIP 192.0.2.100
        - chk_haproxy fails on lb1
        - VIP 192.0.2.100 stays on lb1, which is unhealthy; lb2 is healthy
    line:
      description: The line of the node's keepalived.conf; null with O(nodes).
      type: int
      sample: 12
outcomes:
  description: Who holds which address after which failures.
  returned: always, unless the options themselves are wrong
  type: list
  elements: dict
  contains:
    failures:
      description: The failures, one after the other; none means all is well.
      type: list
      elements: str
      sample: [lb1 loses power]
    holders:
      description: For each address the nodes that hold it then.
      type: dict
      sample: {192.0.2.100: [lb2]}
"""

import contextlib
from typing import Iterable, Iterator

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.common.validation import check_type_dict
from ansible_collections.mycat.ha.plugins.module_utils import readers
from ansible_collections.mycat.ha.plugins.module_utils.keepalived.reader import parse_cluster
from ansible_collections.mycat.ha.plugins.module_utils.readers import SettingError
from ansible_collections.mycat.ha.plugins.module_utils.vrrp.findings import Severity
from ansible_collections.mycat.ha.plugins.module_utils.vrrp.structured import read_cluster
from ansible_collections.mycat.ha.plugins.module_utils.vrrp.validate import Report, validate


class Module(AnsibleModule):
    """Knows the passwords in ``nodes`` before it logs or prints anything, errors included."""

    def _load_params(self) -> None:
        super()._load_params()
        self.no_log_values.update(passwords(self.params.get("nodes")))


def passwords(nodes: object) -> Iterator[str]:
    """What stands as auth_pass, or as key in auth_hmac, anywhere in ``nodes``, whether or not it is
    a cluster."""
    if isinstance(nodes, str):
        with contextlib.suppress(TypeError):
            nodes = check_type_dict(nodes)
    todo = [nodes]
    while todo:
        value = todo.pop()
        if isinstance(value, dict):
            yield from (str(value[name]) for name in ("auth_pass", "key") if value.get(name))
            todo.extend(value.values())
        elif isinstance(value, list):
            todo.extend(value)


def argument_spec() -> dict:
    return {
        # A keepalived.conf may hold an auth_pass.
        "configs": {"type": "dict", "no_log": True},
        "nodes": {"type": "dict"},
        "addresses": {"type": "dict", "default": {}},
        "keepalived_version": {"type": "raw", "default": "2.2.7"},
        "config_ids": {"type": "dict", "default": {}},
        "includes": {"type": "dict", "default": {}, "no_log": True},
        "fail_on": {"type": "str", "choices": ["error", "warning", "never"], "default": "error"},
    }


def judge(params: dict) -> Report:
    """The report on what the options describe. Raises SettingError."""
    given = params["nodes"] if params["configs"] is None else params["configs"]
    for option in ("addresses", "config_ids"):
        for name in params[option]:
            if name not in given:
                raise SettingError(f"{option}.{name}", "is not the name of a node given here")
    addresses = {
        name: [readers.address(at, one) for at, one in _one_or_more(f"addresses.{name}", told)]
        for name, told in params["addresses"].items()
    }
    single = {name: told[0] for name, told in addresses.items() if told}
    versions = _versions(params["keepalived_version"], given)
    if params["configs"] is None:
        whole = {name: addresses[name] for name in addresses if _is_list(params, name)}
        told = {**single, **whole}
        cluster, reading = read_cluster(params["nodes"], told, (2, 2, 7), versions)
        return validate(cluster, reading)
    more = {
        name: {
            "keepalived_version": versions[name],
            "includes": _includes(name, params["includes"], given),
            **({"addresses": tuple(addresses[name])} if _is_list(params, name) else {}),
            **_config_id(name, params["config_ids"]),
        }
        for name in given
    }
    cluster, reading, lines = parse_cluster(params["configs"], single, more=more)
    return validate(cluster, reading, lines)


def _one_or_more(where: str, told: object) -> Iterator[tuple[str, object]]:
    if isinstance(told, (list, tuple)):
        yield from readers.items(where, told)
    else:
        yield where, told


def _versions(told: object, nodes: Iterable[str]) -> dict[str, tuple[int, ...]]:
    """The version of each node; one for all, or one by one."""
    if not isinstance(told, dict):
        version = readers.version("keepalived_version", str(told))
        return dict.fromkeys(nodes, version)
    for name in told:
        if name not in nodes:
            raise SettingError(f"keepalived_version.{name}", "is not the name of a node given here")
    return {
        name: readers.version(f"keepalived_version.{name}", str(told.get(name, "2.2.7")))
        for name in nodes
    }


def _includes(name: str, told: dict, nodes: Iterable[str]) -> dict[str, str]:
    """The texts by path that the node finds."""
    own = told.get(name, {}) if name in nodes and isinstance(told.get(name), dict) else told
    return {path: text for path, text in own.items() if isinstance(text, str)}


def _is_list(params: dict, name: str) -> bool:
    """Whether all addresses of a node were told."""
    return isinstance(params["addresses"].get(name), (list, tuple))


def _config_id(name: str, told: dict) -> dict[str, object]:
    return {"config_id": str(told[name])} if name in told else {}


def main() -> None:
    module = Module(
        argument_spec=argument_spec(),
        mutually_exclusive=[("configs", "nodes")],
        required_one_of=[("configs", "nodes")],
        supports_check_mode=True,
    )
    try:
        report = judge(module.params)
    except SettingError as error:
        module.fail_json(msg=str(error))
    fail_on = module.params["fail_on"]
    limit = Severity.ERROR if fail_on == "never" else Severity(fail_on)
    result = dict(report.as_data(), ok=not report.reaches(limit), changed=False)
    if fail_on == "never" or result["ok"]:
        module.exit_json(**result)
    text = report.as_text(limit)
    module.fail_json(msg=f"This configuration does not hold. {report.verdict}\n\n{text}", **result)


if __name__ == "__main__":
    main()
