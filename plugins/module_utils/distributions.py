# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the distribution of a host would install. Pure."""

from __future__ import annotations

from typing import Any, Mapping


def version_there(versions: Mapping[tuple[str, str], str], facts: Mapping[str, Any]) -> str:
    """The version of a program that a host's distribution has, empty where that is not known.

    ``versions``: {(distribution, major or whole version of it): version of the program}; ``facts``
    are the host's ``ansible_facts``.
    """
    distribution = str(facts.get("distribution", ""))
    for release in ("distribution_major_version", "distribution_version"):
        known = versions.get((distribution, str(facts.get(release, ""))))
        if known:
            return known
    return ""
