#!/usr/bin/python
# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# The documentation of the action plugin of the same name, which does the work.

from __future__ import annotations

DOCUMENTATION = r"""
module: cluster_update
short_description: Say in which order hosts are updated, and which load balancers may be taken out
version_added: 0.2.0
description:
  - Reads C(mycat_ha_update_packages), C(mycat_ha_reboot), what the plan expects, and what
    M(mycat.ha.host_state) and M(mycat.ha.package_updates) returned on the hosts. It asks no host.
options:
  step:
    description:
      - V(wishes) for the packages alone, V(plan) for all turns, V(may_leave) for the load balancers
        of one.
    type: str
    choices: [wishes, plan, may_leave]
    required: true
extends_documentation_fragment:
  - mycat.ha.attributes.asks
  - mycat.ha.options.turn
author:
  - mycat.ha maintainers (@mycat-ha)
"""

EXAMPLES = r"""
- name: Decide in which order the hosts are updated
  mycat.ha.cluster_update:
    step: plan
  register: rolling
  run_once: true
"""

RETURN = r"""
packages:
  description: The packages that are updated.
  returned: with O(step=wishes) and O(step=plan)
  type: list
  elements: str
  sample: [haproxy, keepalived, xinetd]
refusals:
  description: Why nothing may be done, a sentence each.
  returned: with O(step=plan)
  type: list
  elements: str
turns:
  description: The hosts that are updated, those of different clusters side by side.
  returned: with O(step=plan)
  type: list
  elements: list
  sample: [[mycat1], [mycat2], [lb2], [lb1]]
lines:
  description: What is done, a line each.
  returned: with O(step=plan)
  type: list
  elements: str
  sample: ['main: lb1: keepalived 1:2.2.8-1']
run:
  description: What this run is called.
  returned: with O(step=plan)
  type: str
reboots:
  description: The hosts that are rebooted.
  returned: with O(step=plan)
  type: list
  elements: str
left:
  description: Load balancers that an earlier run took out and did not bring back.
  returned: with O(step=plan)
  type: list
  elements: str
hosts:
  description: The load balancers of the turn that may be taken out.
  returned: with O(step=may_leave)
  type: list
  elements: str
vips:
  description: Their addresses, as M(mycat.ha.maintenance) takes them.
  returned: with O(step=may_leave)
  type: dict
failures:
  description: Why the others may not, a sentence each.
  returned: with O(step=may_leave)
  type: dict
drain:
  description: How long sessions are given.
  returned: with O(step=may_leave)
  type: float
force:
  description: Whether the last load balancer may be taken out.
  returned: with O(step=may_leave)
  type: bool
"""
