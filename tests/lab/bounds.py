# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bounds of time that hold on a slow and busy machine too."""

from __future__ import annotations

# Seconds. What is asserted to end before takes one on a quiet machine and minutes where broken.
LATE = 10.0
