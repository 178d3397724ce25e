#!/usr/bin/python
# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# The documentation of the action plugin of the same name, which does the work.

from __future__ import annotations

DOCUMENTATION = r"""
module: cluster_remove
short_description: Say what a removal takes from which host, in which order, or why it must not
version_added: 0.2.0
description:
  - Reads C(mycat_ha_remove) and C(mycat_ha_remove_packages), what the plan expects, and what
    M(mycat.ha.host_state) returned on the hosts. It asks no host.
  - A load balancer leaves a cluster that goes on only where another is able to serve, a MyCat only
    where others take sessions.
options:
  step:
    description:
      - V(plan) gives all turns and what goes from each host, V(turn) what the hosts of one turn do
        now.
    type: str
    choices: [plan, turn]
    default: plan
extends_documentation_fragment:
  - mycat.ha.attributes.asks
  - mycat.ha.options.turn
author:
  - mycat.ha maintainers (@mycat-ha)
"""

EXAMPLES = r"""
- name: Decide what is removed, and in which order
  mycat.ha.cluster_remove:
  register: leaving
  run_once: true
"""

RETURN = r"""
refusals:
  description: Why nothing may be done, a sentence each.
  returned: step is plan
  type: list
  elements: str
  sample: []
lines:
  description: What is done, a line for each cluster.
  returned: step is plan
  type: list
  elements: str
  sample: ['main: is left by lb2']
turns:
  description: The hosts that are cleaned, one of each cluster at a time.
  returned: step is plan
  type: list
  elements: list
  sample: [[lb2]]
after:
  description: What remains to be done, a line for each cluster.
  returned: step is plan
  type: list
  elements: str
expected:
  description: What a report expects of the clusters that go on.
  returned: step is plan
  type: dict
run:
  description: Names the run.
  returned: step is plan
  type: str
hosts:
  description: With V(plan) what goes from each host, with V(turn) the hosts that are cleaned now.
  returned: success
  type: raw
drain:
  description: Those MyCats of the turn that HAProxy is to send nothing first.
  returned: step is turn
  type: list
  elements: str
vips:
  description: The addresses that each load balancer of the turn gives up first.
  returned: step is turn
  type: dict
failures:
  description: Why a host of the turn stays as it is.
  returned: step is turn
  type: dict
force:
  description: Whether the last load balancer may leave.
  returned: step is turn
  type: bool
"""
