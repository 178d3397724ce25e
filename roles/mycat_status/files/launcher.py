# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Start the program as a module: Python keeps modules compiled, and ``nowait`` starts often."""

import sys

sys.path.append("/usr/local/lib/mycat_status")

from mycat_status import main

sys.exit(main(sys.argv[1:]))
