# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What each role manages on a host: paths, packages, units, accounts. Pure."""

from __future__ import annotations

HAPROXY_CFG = "/etc/haproxy/haproxy.cfg"
KEEPALIVED_CONF = "/etc/keepalived/keepalived.conf"
#: What keepalived watches and what its hook records; empty after a boot.
RUN_FOLDER = "/run/mycat_ha"
LIBEXEC = "/usr/local/libexec/mycat_ha"
#: What outlives a boot.
STATE_FOLDER = "/var/lib/mycat_ha"
#: Seconds after which a load balancer ends a switch-over that was cut off.
HANDOVER_LIMIT = 20
#: Where versions before 0.2.0 looked for a load balancer's maintenance.
FORMER_MAINTENANCE = RUN_FOLDER + "/maintenance"
CREDENTIALS = "/etc/mycat_status/credentials.json"
SOCKET_UNIT = "/etc/systemd/system/mycat_status.socket"
XINETD_SERVICE = "/etc/xinetd.d/mycat_status"

ADDRESS_UNIT = "mycat_ha_addresses.service"

#: The file of a role's own daemon, which a module of its own installs.
MAIN_FILES = {
    "haproxy": (HAPROXY_CFG,),
    "keepalived": (KEEPALIVED_CONF,),
    "mycat": (),
    "mycat_status": (),
}
PACKAGES = {
    "haproxy": ("haproxy",),
    "keepalived": ("keepalived",),
    "mycat": ("procps", *(f"openjdk-{java}-jre-headless" for java in (8, 11, 17, 21))),
    "mycat_status": ("python3", "xinetd"),
}
UNITS = {
    "haproxy": ("haproxy.service",),
    "keepalived": ("keepalived.service", ADDRESS_UNIT),
    "mycat": ("mycat.service",),
    "mycat_status": ("xinetd.service", "mycat_status.socket"),
}
ACCOUNTS = {
    "haproxy": (),
    "keepalived": ("keepalived_script",),
    "mycat": ("mycat",),
    "mycat_status": ("mycat_status",),
}


def metrics_link(directory: str | None) -> str:
    """By which link node_exporter finds the metrics in a folder of its own; "" without one."""
    return f"{directory}/mycat_ha_vrrp.prom" if directory else ""
