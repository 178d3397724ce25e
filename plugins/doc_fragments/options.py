# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """Options that several modules have alike."""

    # Of a module that looks at virtual addresses from a host.
    VIPS = r"""
options:
  vips:
    description: The virtual addresses, and the port at which each answers.
    type: list
    elements: dict
    default: []
    suboptions:
      address:
        description: IPv4 or IPv6 address without a prefix.
        type: str
        required: true
      port:
        description: TCP port; 0 where nothing need answer.
        type: int
        required: true
"""

    # Of a module that judges a rolling run.
    TURN = r"""
options:
  turn:
    description: The hosts of the turn, one of each cluster at the most.
    type: list
    elements: str
    default: []
"""
