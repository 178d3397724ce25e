# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Start the program as a package: Python keeps modules compiled, and ``nowait`` starts often."""

import sys

sys.path.append("/usr/local/lib")

from mycat_status.program import main

# Else it is one more "python3" to ps, pkill and ss, and to the role when it looks who has the port.
try:
    with open("/proc/self/comm", "w", encoding="ascii") as name:
        name.write("mycat_status")
except OSError:
    pass  # a name only

sys.exit(main(sys.argv[1:]))
