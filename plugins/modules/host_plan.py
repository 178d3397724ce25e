#!/usr/bin/python
# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# The documentation of the action plugin of the same name, which does the work.

from __future__ import annotations

DOCUMENTATION = r"""
module: host_plan
short_description: Hand a host its part of the plan, and keep its files
version_added: 0.2.0
description:
  - Reads what M(mycat.ha.cluster_plan) returned without templating all of it for each host.
  - Outside check mode it has M(mycat.ha.snapshot) keep the files that the part may change.
options: {}
extends_documentation_fragment:
  - mycat.ha.attributes.asks
author:
  - mycat.ha maintainers (@mycat-ha)
"""

EXAMPLES = r"""
- name: Take this host's part of the plan
  mycat.ha.host_plan:
  register: part
  no_log: true
"""

RETURN = r"""
clusters:
  description: The clusters that the host belongs to.
  returned: always
  type: list
  elements: str
changes:
  description: What would change on the host.
  returned: always
  type: list
  elements: str
"""
