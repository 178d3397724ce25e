# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: members
short_description: The hosts of all clusters of an inventory
version_added: 0.2.0
description:
  - For C(hosts) of a play, which is read before any host has variables of its own.
  - The groups are those that C(mycat_ha_lb_group) and C(mycat_ha_mycat_group) name, in the
    inventory, the play or C(-e).
notes:
  - Ansible knows the variables of hosts from the second play on, so the first cannot use it.
author:
  - mycat.ha maintainers (@mycat-ha)
"""

EXAMPLES = r"""
- name: Read the hosts of all clusters
  hosts: "{{ query('mycat.ha.members') }}"
  gather_facts: false
"""

RETURN = r"""
_raw:
  description: The names of the hosts, load balancers first.
  type: list
  elements: str
"""

from typing import Any

from ansible.plugins.lookup import LookupBase
from ansible_collections.mycat.ha.plugins.module_utils.cluster.members import (
    GROUP_NAMES,
    UNNAMED,
    clusters_of,
    group_names,
    listed,
)


class LookupModule(LookupBase):
    """Reads the groups; what does not fit is mycat.ha.cluster_members' to say."""

    def run(self, _terms: list, variables: Any = None, **_options: Any) -> list[str]:
        # A check of the syntax knows no hosts' variables.
        groups, hostvars = variables["groups"], variables.get("hostvars") or {}
        names = {}
        # A host of the inventory first, then what the play and the command line say.
        first = [hostvars[host] for host in groups["all"][:1] if host in hostvars]
        for known in (*first, variables):
            names.update({name: known[name] for name in GROUP_NAMES if name in known})
        found = [
            host
            for group in group_names(self._templar.template(names))
            for host in groups.get(group, ())
        ]
        only = set(listed(self._templar.template(variables.get("mycat_ha_cluster_only"))))
        return [
            str(host)
            for host in dict.fromkeys(found)
            if not only or only & set(clusters_of(hostvars.get(host) or {}) or (UNNAMED,))
        ]
