# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``python -m mycat_status``: as the role on the controller has its settings judged."""

import sys

from mycat_status.program import main

sys.exit(main(sys.argv[1:]))
