#!/usr/bin/python
# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# The documentation of the action plugin of the same name, which does the work.

from __future__ import annotations

DOCUMENTATION = r"""
module: cluster_members
short_description: Say which hosts of an inventory belong together
version_added: 0.2.0
description:
  - Reads the groups of load balancers and of MyCats, and C(mycat_ha_cluster) of each host. It asks
    no host.
  - Fails with one sentence where an inventory does not say it.
options:
  moving:
    description:
      - Whether the run is only about the clusters of the load balancers that C(mycat_ha_to),
        C(mycat_ha_leave), C(mycat_ha_maintenance) or C(mycat_ha_maintenance_end) names. All of them
        with C(mycat_ha_rebalance).
    type: bool
    default: false
  removing:
    description:
      - Whether the run is only about the clusters of the hosts that C(mycat_ha_remove) names.
    type: bool
    default: false
extends_documentation_fragment:
  - mycat.ha.attributes.asks
author:
  - mycat.ha maintainers (@mycat-ha)
"""

EXAMPLES = r"""
- name: Find the hosts of each cluster
  mycat.ha.cluster_members:
  run_once: true
  register: found
"""

RETURN = r"""
clusters:
  description: >-
    The load balancers and the MyCats of each cluster that the run is about, in the order of the
    inventory. C(mycat_ha_cluster_only) and C(--limit) choose.
  returned: success
  type: list
  elements: dict
  sample: [{name: main, load_balancers: [lb1, lb2], mycats: [mycat1, mycat2]}]
others:
  description: The same of the clusters that the run leaves alone.
  returned: success
  type: list
  elements: dict
  sample: []
started:
  description: When the run began, in seconds since 1970.
  returned: success
  type: float
  sample: 1795412874.6
"""
