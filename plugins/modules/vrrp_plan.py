#!/usr/bin/python
# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: vrrp_plan
short_description: Compute the priorities, weights and timers of a keepalived cluster
version_added: 0.1.0
description:
  - Turns wishes (which nodes, which addresses, how long a client may be without service) into
    the numbers that keepalived needs, and proves that every failure moves each address to a
    healthy node before it returns them.
  - Touches no host. Run it once, on the controller.
  - The same input always gives the same plan. A node added at the end changes nobody's order of
    preference.
author:
  - mycat.ha maintainers (@mycat-ha)
options:
  nodes:
    description:
      - The hosts that run keepalived, in order of preference. At least two, at most 100.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: The name of the host, as the plan calls it.
        type: str
        required: true
      address:
        description:
          - The host's own address, which its adverts come from. Without a prefix.
          - Either this or O(nodes[].links).
        type: str
      interface:
        description:
          - The interface that has this address. Left out, the plan names none. O(multicast) needs
            it.
        type: str
      links:
        description:
          - Instead of O(nodes[].address) and O(nodes[].interface), one item for each of O(vips), in
            their order. For addresses in several subnets, or IPv4 next to IPv6.
        type: list
        elements: dict
        suboptions:
          address:
            description:
              - The host's own address, which its adverts for this virtual address come from.
                Without a prefix, and of the same family.
            type: str
            required: true
          interface:
            description: The interface that has this address.
            type: str
  vips:
    description:
      - The addresses to keep up. Several are spread evenly over the nodes.
    type: list
    elements: dict
    required: true
    suboptions:
      address:
        description:
          - The address with its prefix, like V(192.0.2.100/24). Of the same family as the
            address that the adverts for it come from.
        type: str
        required: true
      name:
        description: The name of the vrrp_instance. Derived from the address if left out.
        type: str
      virtual_router_id:
        description:
          - From 1 to 255. Derived from the address if left out, without collisions.
          - Two addresses may have the same one if they differ in family, or are on different
            interfaces that every node names alike.
        type: int
      virtual_ipaddress:
        description:
          - Further addresses with their prefixes that move with this one, of the same family. They
            are in the adverts; at most 19.
        type: list
        elements: str
        default: []
      virtual_ipaddress_excluded:
        description:
          - Further addresses with their prefixes that move with this one, of any family. They are
            not in the adverts.
        type: list
        elements: str
        default: []
      sync_group:
        description:
          - A name. Addresses with the same one are always on the same node; a failure of one moves
            all of them. Needs keepalived 2.0.0 or newer.
        type: str
  mode:
    description:
      - What a failed check does to its node.
      - V(fault) takes the node out of the election at once. The fastest. With O(checks[].effect),
        single checks can rank the nodes instead.
      - V(weight) lowers its priority by more than any lighter check does. When all nodes fail
        something, the one with the lightest failure has the address.
      - V(kill) stops keepalived together with HAProxy. Nothing is tracked; a HAProxy that hangs
        goes unnoticed.
    type: str
    choices: [fault, weight, kill]
    default: fault
  preempt:
    description:
      - V(sticky) leaves an address where it is as long as that node is healthy. Where a check
        has a weight, this is had by equal priorities instead of C(nopreempt).
      - V(preferred) returns it to the first healthy node in its order.
    type: str
    choices: [sticky, preferred]
    default: sticky
  checks:
    description:
      - What each node watches on itself, the most severe first. A node that fails a severe
        check never outranks one that fails a lighter one.
      - Mode V(kill) knows one check at most, besides files without a script; the other modes 100.
    type: list
    elements: dict
    default:
      - name: haproxy
        event: true
    suboptions:
      name:
        description:
          - The name of the check's C(vrrp_script). With O(checks[].event), its tracked file has
            this name and C(_process), or, where O(checks[].poll=false), this name.
        type: str
        required: true
      weight:
        description:
          - V(auto), V(0) for a fault, or a number from V(-253) to V(-1). V(auto) is V(0) for a
            fault and as large as needed for a rank, see O(checks[].effect).
        type: str
        default: auto
      effect:
        description:
          - V(fault) takes the node out of the election when the check fails.
          - V(rank) lowers its priority, so that any node that passes is preferred; if all nodes
            fail the check, the address stays where it is.
          - Left out, O(checks[].weight) decides, and where that is V(auto), V(fault) in
            O(mode=fault) and V(rank) in O(mode=weight). Checks that are faults come first.
        type: str
        choices: [fault, rank]
      budget:
        description:
          - The longest time in seconds that clients may be without service when this check fails
            on a node. Left out, O(failover_budget).
        type: float
      event:
        description:
          - Whether a tracked file (content 1 for down, 0 for up) tells the end of what is
            watched at once, besides the polling.
        type: bool
        default: false
      poll:
        description:
          - V(false) means that there is a tracked file and no script, as for a maintenance file
            (0 in service, 1 out of service). Needs O(checks[].event=true).
        type: bool
        default: true
  failover_budget:
    description:
      - The longest time in seconds that clients may be without service when a check fails on a
        node that has no O(checks[].budget) of its own.
    type: float
    default: 2
  node_loss_budget:
    description:
      - The longest time in seconds that clients may be without service when a whole node is
        lost; 1 unless set, and 4 with O(vrrp_version=2).
    type: float
  vrrp_version:
    description: The version of VRRP. Adverts of version 2 are at least 1 s apart.
    type: int
    choices: [2, 3]
    default: 3
  taken_virtual_router_ids:
    description: Router ids that others use on the same network.
    type: list
    elements: int
    default: []
  keepalived_version:
    description:
      - The oldest keepalived among the nodes. Before 2.3.2, checks run every whole second.
    type: str
    default: 2.2.7
  priorities:
    description:
      - From 1 to 254, one for each of O(nodes), in their order, for all addresses. Used instead of
        the computed ones, which also spread several addresses over the nodes.
      - Where a check ranks the nodes, O(preempt=sticky) needs equal ones.
    type: list
    elements: int
    default: []
  preempt_delay:
    description:
      - How many seconds a node waits before it takes an address back. Only with
        O(preempt=preferred), and only where every check is a fault, since it would delay the
        takeover from a node whose priority has dropped, too. At most 1000.
    type: float
    default: 0
  multicast:
    description:
      - Whether adverts are sent by multicast, instead of to each other node. Every node needs an
        interface then.
    type: bool
    default: false
  move_files:
    description:
      - Whether each of several addresses has a tracked file of its own, C(move_) and its name (in a
        sync group that of the first), with 1 in it where the address shall leave the node and the
        others shall stay. Nothing of it with a single address, or with keepalived before 2.0.0.
    type: bool
    default: false
extends_documentation_fragment:
  - mycat.ha.attributes.asks
seealso:
  - module: mycat.ha.vrrp_validate
"""

EXAMPLES = r"""
- name: Plan two load balancers and one address
  mycat.ha.vrrp_plan:
    nodes:
      - name: lb1
        address: 192.0.2.11
        interface: eth0
      - name: lb2
        address: 192.0.2.12
        interface: eth0
    vips:
      - address: 192.0.2.100/24
  delegate_to: localhost
  run_once: true
  register: plan

- name: Rank two checks, return to the first node, and lose a node for half a second at most
  mycat.ha.vrrp_plan:
    nodes: "{{ lbs }}"
    vips:
      - address: 192.0.2.100/24
      - address: 192.0.2.101/24
    mode: weight
    preempt: preferred
    checks:
      - name: haproxy
        event: true
      - name: backends
    node_loss_budget: 0.5
  delegate_to: localhost
  run_once: true

- name: Leave a dead HAProxy at once, and prefer nodes that see a MyCat
  mycat.ha.vrrp_plan:
    nodes: "{{ lbs }}"
    vips:
      - address: 192.0.2.100/24
    checks:
      - name: haproxy
        event: true
      - name: maintenance
        event: true
        poll: false
      - name: backends
        effect: rank
        budget: 5
  delegate_to: localhost
  run_once: true

- name: One IPv4 and one IPv6 address that are always on the same node
  mycat.ha.vrrp_plan:
    nodes:
      - name: lb1
        links:
          - {address: 192.0.2.11, interface: eth0}
          - {address: "2001:db8::11", interface: eth0}
      - name: lb2
        links:
          - {address: 192.0.2.12, interface: eth0}
          - {address: "2001:db8::12", interface: eth0}
    vips:
      - address: 192.0.2.100/24
        sync_group: front
      - address: 2001:db8::100/64
        sync_group: front
  delegate_to: localhost
  run_once: true
"""

RETURN = r"""
instances:
  description:
    - For each node its vrrp_instances, in the structure that M(mycat.ha.vrrp_validate) takes.
      Those of a sync group track nothing themselves, see RV(sync_groups).
  returned: success
  type: dict
  sample:
    lb1:
      - name: vip_192_0_2_100
        state: BACKUP
        interface: eth0
        priority: 254
        nopreempt: true
        virtual_router_id: 5
        version: 3
        advert_int: 0.33
        track_script: [{name: haproxy, weight: 0}]
        track_file: [{name: haproxy_process, weight: 0}]
        virtual_ipaddress: [192.0.2.100/24]
        unicast_src_ip: 192.0.2.11
        unicast_peer: [192.0.2.12]
sync_groups:
  description:
    - The vrrp_sync_groups to define on every node. They track the checks for their members, whose
      own weights keepalived would drop.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: As in O(vips[].sync_group).
      type: str
    group:
      description: The names of the instances.
      type: list
      elements: str
    track_script:
      description: The scripts with their weights, as in RV(instances).
      type: list
      elements: dict
    track_file:
      description: The tracked files with their weights, as in RV(instances).
      type: list
      elements: dict
checks:
  description: The checks to define on every node, without their commands. Times are seconds.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: What the instances track.
      type: str
    kind:
      description: Either track_script, or track_file for a file that holds 1 while it is down.
      type: str
    interval:
      description: How often the script runs.
      type: float
    timeout:
      description: When keepalived stops a run. It can be coarser than the deadline.
      type: float
    deadline:
      description: Within how many seconds the command has to answer, or give up, by itself.
      type: float
    rise:
      description: How many successes in a row count.
      type: int
    fall:
      description: How many failures in a row count.
      type: int
    bound:
      description:
        - The longest time in seconds without service when this script or file notices a failure,
          as long as a healthy node is left.
      type: float
  sample:
    - name: haproxy
      kind: track_script
      interval: 1
      timeout: 1
      deadline: 0.5
      rise: 2
      fall: 1
      bound: 1.504
    - name: haproxy_process
      kind: track_file
      bound: 0.054
bounds:
  description:
    - The longest time in seconds without service, as long as a healthy node is left. Null where
      nothing notices such a failure that way. Checks with a budget of their own are not in these;
      see RV(checks[].bound).
  returned: success
  type: dict
  contains:
    check_failure_event:
      description: What a check watches ends, and a tracked file says so.
      type: float
    check_failure_poll:
      description: What a check watches fails or hangs, and polling notices.
      type: float
    clean_stop:
      description: keepalived is stopped, or its host shut down.
      type: float
    node_loss:
      description: The node vanishes without a word.
      type: float
    node_pause:
      description: No failure; a node that stands still for less keeps its addresses.
      type: float
  sample:
    check_failure_event: 0.054
    check_failure_poll: 1.504
    clean_stop: 0.004
    node_loss: 0.994
    node_pause: 0.663
outcomes:
  description: Who holds which address for each set of failures.
  returned: success
  type: list
  elements: dict
findings:
  description:
    - What to know about this plan although it holds, as M(mycat.ha.vrrp_validate) returns it.
  returned: success
  type: list
  elements: dict
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.mycat.ha.plugins.module_utils.readers import SettingError
from ansible_collections.mycat.ha.plugins.module_utils.vrrp.plan import make_plan
from ansible_collections.mycat.ha.plugins.module_utils.vrrp.request import read_request


def argument_spec() -> dict:
    return {
        "nodes": {
            "type": "list",
            "elements": "dict",
            "required": True,
            "options": {
                "name": {"type": "str", "required": True},
                "address": {"type": "str"},
                "interface": {"type": "str"},
                "links": {
                    "type": "list",
                    "elements": "dict",
                    "options": {
                        "address": {"type": "str", "required": True},
                        "interface": {"type": "str"},
                    },
                },
            },
        },
        "vips": {
            "type": "list",
            "elements": "dict",
            "required": True,
            "options": {
                "address": {"type": "str", "required": True},
                "name": {"type": "str"},
                "virtual_router_id": {"type": "int"},
                "virtual_ipaddress": {"type": "list", "elements": "str", "default": []},
                "virtual_ipaddress_excluded": {"type": "list", "elements": "str", "default": []},
                "sync_group": {"type": "str"},
            },
        },
        "mode": {"type": "str", "choices": ["fault", "weight", "kill"], "default": "fault"},
        "preempt": {"type": "str", "choices": ["sticky", "preferred"], "default": "sticky"},
        "checks": {
            "type": "list",
            "elements": "dict",
            "default": [{"name": "haproxy", "event": True}],
            "options": {
                "name": {"type": "str", "required": True},
                "weight": {"type": "str", "default": "auto"},
                "effect": {"type": "str", "choices": ["fault", "rank"]},
                "budget": {"type": "float"},
                "event": {"type": "bool", "default": False},
                "poll": {"type": "bool", "default": True},
            },
        },
        "failover_budget": {"type": "float", "default": 2},
        "node_loss_budget": {"type": "float"},
        "vrrp_version": {"type": "int", "choices": [2, 3], "default": 3},
        "taken_virtual_router_ids": {"type": "list", "elements": "int", "default": []},
        "keepalived_version": {"type": "str", "default": "2.2.7"},
        "priorities": {"type": "list", "elements": "int", "default": []},
        "preempt_delay": {"type": "float", "default": 0},
        "multicast": {"type": "bool", "default": False},
        "move_files": {"type": "bool", "default": False},
    }


def main() -> None:
    module = AnsibleModule(argument_spec=argument_spec(), supports_check_mode=True)
    try:
        plan = make_plan(read_request(module.params))
    except SettingError as error:
        module.fail_json(msg=f"vrrp_plan: {error}")
    module.exit_json(changed=False, **plan.as_data())


if __name__ == "__main__":
    main()
