# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The file that a report is written to on the controller. Controller only."""

from __future__ import annotations

import os
import tempfile

VARIABLE = "mycat_ha_report"
JSON, HTML = ".json", ".html"


def refusal(path: str) -> str:
    """Why no report can have this name, "" if one can."""
    if path.endswith((JSON, HTML)):
        return ""
    return f"{VARIABLE}: {path} ends in neither {JSON} nor {HTML}; write such as /tmp/report.html"


def write(path: str, text: str) -> str:
    """Write ``text``, whole or not at all; return why not, "" on success."""
    try:
        folder = os.path.dirname(os.path.abspath(path))
        with tempfile.NamedTemporaryFile("w", dir=folder, encoding="utf-8", delete=False) as file:
            try:
                file.write(text)
                os.fchmod(file.fileno(), 0o644)
                file.flush()
                os.replace(file.name, path)
            except BaseException:
                os.unlink(file.name)
                raise
    except OSError as error:
        return f"{VARIABLE}: {path} cannot be written: {error.strerror}"
    return ""
