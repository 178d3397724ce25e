#!/usr/bin/python
# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: cluster_report
short_description: Judge the clusters at the end of a run, and report
version_added: 0.2.0
description:
  - Judges what M(mycat.ha.host_state) returned on the hosts against what the plan expects, and says
    for each virtual IP whether it serves, where it is, and what is wrong, with what to do about it.
  - Runs on the controller. It reads, for each host of the play, what the run left in its variables.
    These are C(__mycat_ha_run) (with the plan's expectation), C(__mycat_ha_state) and
    C(__mycat_ha_before) (the host's state now and at the start of the run), C(__mycat_ha_failure)
    (what failed on it), C(__mycat_ha_seen) (of M(mycat.ha.vrrp_probe)) and what roles registered.
options:
  playbook:
    description: Name of the playbook that reports.
    type: str
    default: site
  report:
    description:
      - Path on the controller for the report, as JSON or as a page for a browser. It has to end in
        C(.json) or C(.html).
      - It is written in check mode, too.
    type: path
  changed:
    description: Whether the playbook may change hosts, so that the report says what it changed.
    type: bool
    default: true
  wave:
    description: The hosts that were just changed, for RV(broken).
    type: list
    elements: str
    default: []
notes:
  - Give the task C(run_once).
extends_documentation_fragment:
  - mycat.ha.attributes.asks
author:
  - mycat.ha maintainers (@mycat-ha)
"""

EXAMPLES = r"""
- name: Judge the clusters
  mycat.ha.cluster_report:
    playbook: site
    report: "{{ mycat_ha_report | default(omit) }}"
  register: proof
  run_once: true
"""

RETURN = r"""
ok:
  description: >-
    Whether nothing failed, every virtual IP serves and no redundancy is missing that may not be
    missing.
  returned: always
  type: bool
settled:
  description: Whether nothing is about to change by itself; if not, it is worth to look again.
  returned: always
  type: bool
report:
  description: The report; C(docs/report.md) of the collection tells what is in it.
  returned: success
  type: dict
lines:
  description: The report as text, a line for each virtual IP and for each problem.
  returned: success
  type: list
  elements: str
  sample: ["VIP 192.0.2.100 on lb2 since 02:13 (3 h) | standby lb1 | MyCats 2/2 | 9.8 s"]
failures:
  description: What failed on the hosts, one sentence each.
  returned: success
  type: list
  elements: str
broken:
  description:
    - Errors and degradations of what worked at the start of the run, and what failed on the hosts
      of O(wave), as a list of sentences for each cluster that has some.
  returned: success
  type: dict
  sample: {main: [lb2 is in FAULT]}
wave_failed:
  description: Whether a task failed in every cluster of O(wave), so that none is to be awaited.
  returned: success
  type: bool
stopped:
  description: The clusters in which a task failed, whose other hosts are to be left as they are.
  returned: success
  type: list
  elements: str
to_put_back:
  description: >-
    The hosts that the run changed in clusters that are worse now than before, those that hold a
    virtual IP last.
  returned: success
  type: list
  elements: str
"""
