#!/usr/bin/python
# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# The documentation of the action plugin of the same name, which does the work.

from __future__ import annotations

DOCUMENTATION = r"""
module: cluster_plan
short_description: Plan all clusters of an inventory on the controller
version_added: 0.2.0
description:
  - Takes the variables of all hosts as a task on each of them would see them, and types them by the
    roles' argument_specs. Returns what each role needs on each host, in which order the hosts
    change, and what a report expects.
  - Asks no host. It knows of a host what C(ansible_facts) and M(mycat.ha.host_state) said in this
    run.
  - Never fails. What cannot be had is in RV(refusals), so that the result, which holds passwords,
    can be under no_log.
options:
  roles:
    description: The roles to plan; all unless set.
    type: list
    elements: str
    choices: [mycat, mycat_status, haproxy, keepalived]
  changing:
    description: Those of them that may change a host; all unless set.
    type: list
    elements: str
    choices: [mycat, mycat_status, haproxy, keepalived]
extends_documentation_fragment:
  - mycat.ha.attributes.asks
author:
  - mycat.ha maintainers (@mycat-ha)
"""

EXAMPLES = r"""
- name: Plan all clusters
  mycat.ha.cluster_plan:
  register: planned
  run_once: true
  no_log: true
"""

RETURN = r"""
refusals:
  description: One sentence for each wrong variable.
  returned: always
  type: list
  elements: str
missing:
  description: Hosts of which nothing is known yet, and which the plan needs.
  returned: always
  type: list
  elements: str
hosts:
  description: What each role needs on each host; M(mycat.ha.host_plan) hands a host its part.
  returned: always
  type: dict
run:
  description: What the tasks of all hosts ask about, such as the waves in which they change.
  returned: always
  type: dict
"""
