#!/usr/bin/python
# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# The documentation of the action plugin of the same name, which does the work.

from __future__ import annotations

DOCUMENTATION = r"""
module: cluster_switchover
short_description: Say which load balancers give addresses up, or why they must not
version_added: 0.2.0
description:
  - Reads C(mycat_ha_to), C(mycat_ha_leave), C(mycat_ha_maintenance), C(mycat_ha_maintenance_end) or
    C(mycat_ha_rebalance), what the plan expects, and what M(mycat.ha.host_state) returned on the
    hosts. It asks no host.
  - A load balancer gets addresses only where a report would call it healthy.
  - Called again after the hosts were read again, it says which addresses are not where they were
    to go.
options: {}
extends_documentation_fragment:
  - mycat.ha.attributes.asks
author:
  - mycat.ha maintainers (@mycat-ha)
"""

EXAMPLES = r"""
- name: Decide which load balancers give addresses up
  mycat.ha.cluster_switchover:
  register: moves
  run_once: true
"""

RETURN = r"""
refusals:
  description: Why nothing may be done, a sentence each.
  returned: success
  type: list
  elements: str
  sample: []
lines:
  description: What is done, a line for each address or host.
  returned: success
  type: list
  elements: str
  sample: ['main: 192.0.2.100 goes from lb1 to lb2']
drain:
  description: Hosts whose sessions are given time.
  returned: success
  type: list
  elements: str
aside:
  description: Hosts that take no part while others give addresses up.
  returned: success
  type: list
  elements: str
give_up:
  description: Hosts that give their addresses up once.
  returned: success
  type: list
  elements: str
  sample: [lb1]
out:
  description: Hosts that are taken out.
  returned: success
  type: list
  elements: str
back:
  description: Hosts that take part again.
  returned: success
  type: list
  elements: str
targets:
  description: For each cluster the new holder of each address; empty for any other host.
  returned: success
  type: dict
  sample: {main: {192.0.2.100: lb2}}
vips:
  description: What each load balancer may lose, as O(mycat.ha.maintenance#module:vips).
  returned: success
  type: dict
aside_only:
  description: Of RV(aside) the instances meant alone, as O(mycat.ha.maintenance#module:only).
  returned: success
  type: dict
  sample: {lb3: [orders]}
give_up_only:
  description: The same of the hosts in RV(give_up).
  returned: success
  type: dict
  sample: {lb1: [orders]}
seconds:
  description: How long sessions are given.
  returned: success
  type: float
  sample: 0.0
force:
  description: Whether the last load balancer may be taken out.
  returned: success
  type: bool
missed:
  description: Addresses that are not where they were to go, a sentence each.
  returned: success
  type: list
  elements: str
"""
