#!/usr/bin/python
# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# The documentation of the action plugin of the same name, which does the work.

from __future__ import annotations

DOCUMENTATION = r"""
module: cluster_restart
short_description: Say in which order MyCats are restarted, and whether one may be taken out now
version_added: 0.2.0
description:
  - Reads C(mycat_ha_restart), C(mycat_ha_minimum_mycats), what the plan expects, and what
    M(mycat.ha.host_state) and the tasks of the turn returned on the hosts. It asks no host.
options:
  step:
    description: What is asked; V(plan) for all turns, the others for what is next in one.
    type: str
    choices: [plan, may_drain, may_stop, returned, seen_up]
    default: plan
extends_documentation_fragment:
  - mycat.ha.attributes.asks
  - mycat.ha.options.turn
author:
  - mycat.ha maintainers (@mycat-ha)
"""

EXAMPLES = r"""
- name: Decide in which order the MyCats are restarted
  mycat.ha.cluster_restart:
  register: rolling
  run_once: true
"""

RETURN = r"""
refusals:
  description: Why nothing may be done, a sentence each.
  returned: with O(step=plan)
  type: list
  elements: str
  sample: []
turns:
  description: The MyCats that are restarted, those of different clusters side by side.
  returned: with O(step=plan)
  type: list
  elements: list
  sample: [[mycat1], [mycat2]]
run:
  description: What M(mycat.ha.mycat_restart) calls this run.
  returned: with O(step=plan)
  type: str
lines:
  description: What is done, or was seen, a line each.
  returned: success
  type: list
  elements: str
  sample: ['main: mycat1, then mycat2 restart, sessions get 30 s']
hosts:
  description: The MyCats of the turn that go on.
  returned: with any other step
  type: list
  elements: str
load_balancers:
  description: The load balancers that look at them, and which each looks at.
  returned: with any other step
  type: dict
  sample: {lb1: [mycat1], lb2: [mycat1]}
failures:
  description: Why a MyCat goes no further, a sentence each.
  returned: with any other step
  type: dict
  sample: {}
back:
  description: MyCats that are not restarted after all.
  returned: with any other step
  type: list
  elements: str
drain:
  description: How long sessions are given.
  returned: with any other step
  type: float
  sample: 30.0
force:
  description: Whether a turn is taken from another run.
  returned: with any other step
  type: bool
"""
