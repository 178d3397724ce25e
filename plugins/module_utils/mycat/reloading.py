# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which changes of its XML files a MyCat takes over while it runs. Pure.

`reload @@config` of 1.6.7.6 (io.mycat.manager.response.ReloadConfig) reads users, schemas and rules
anew. Data nodes and hosts stay as they were: a schema on a new node is taken over, and its
statements fail. Of `<system>` it takes little. After a `<firewall>` that keeps the health user out
no reload would get through to undo it.
"""

from __future__ import annotations

import os
import xml.etree.ElementTree as ET

_TAKEN_OVER = {
    "server.xml": ("user",),
    "schema.xml": ("schema",),
    "rule.xml": ("tableRule", "function"),
}


def is_enough(path: str, before: bytes, now: bytes) -> bool:
    """Whether a reload brings the change of this file; of others than MyCat's three it does not."""
    taken_over = _TAKEN_OVER.get(os.path.basename(path))
    if taken_over is None:
        return False
    try:
        return _others(before, taken_over) == _others(now, taken_over)
    except ET.ParseError:
        return False


def _others(text: bytes, taken_over: tuple[str, ...]) -> str:
    """The elements that a reload does not take over, in a form that is the same for the same."""
    root = ET.fromstring(text)  # noqa: S314 - the operator's own
    for one in [child for child in root if child.tag in taken_over]:
        root.remove(one)
    return ET.canonicalize(ET.tostring(root, "unicode"), strip_text=True)
