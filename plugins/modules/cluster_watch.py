#!/usr/bin/python
# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# The documentation of the action plugin of the same name, which does the work.

from __future__ import annotations

DOCUMENTATION = r"""
module: cluster_watch
short_description: Show the state of the clusters again and again, until it is interrupted
version_added: 0.2.0
description:
  - Runs on the controller. It reads the hosts of the clusters with M(mycat.ha.host_state), each
    over its own connection, judges them as M(mycat.ha.cluster_report) does, and shows the lines.
  - It ends when it is interrupted, or when the report cannot be written.
options:
  every:
    description: Seconds between two looks.
    type: float
    required: true
  report:
    description: Path on the controller for the report, which is written anew with each look.
    type: path
notes:
  - Give the task C(run_once).
extends_documentation_fragment:
  - mycat.ha.attributes.asks
author:
  - mycat.ha maintainers (@mycat-ha)
"""

EXAMPLES = r"""
- name: Watch the clusters
  mycat.ha.cluster_watch:
    every: 5
  run_once: true
"""

RETURN = r"""
"""
