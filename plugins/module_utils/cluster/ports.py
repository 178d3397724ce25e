# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ports of listeners, kept from connections that leave the host. Pure.

The kernel gives such a connection any free port of net.ipv4.ip_local_port_range as its own, and
while it lasts nobody can listen there. It leaves out those of net.ipv4.ip_local_reserved_ports, a
single list for all programs of the host: a file in sysctl.d would replace what others want in it.
So the ports are added to what is there, before each start of a listener and by a run that misses
them.
"""

from __future__ import annotations

import re
from typing import Any, Iterable, Mapping

KERNELS = "/proc/sys/net/ipv4/ip_local_reserved_ports"
_BIND = re.compile(r"^\s+bind (\S+)", re.MULTILINE)


def binds(haproxy_cfg: str) -> list[str]:
    """The addresses with ports at which HAProxy listens."""
    return _BIND.findall(haproxy_cfg)


def port_of(bind: str) -> int:
    """The port of one of them."""
    return int(bind.rpartition(":")[2])


def reservation(ports: Iterable[int], file: str = KERNELS) -> str:
    """What a shell runs to add the ports to the kernel's, one shell after the other."""
    given = ",".join(map(str, sorted(set(ports))))
    return (
        f"exec 9<{file} && flock 9 && others=$(cat {file}) && "
        f'echo "{given}${{others:+,$others}}" >{file}'
    )


def of_unit(script: str) -> str:
    """A shell's script as a command in a unit of systemd."""
    return "/bin/sh -c '" + script.replace("%", "%%").replace("$", "$$") + "'"


def command(ports: Iterable[int], state: Mapping[str, Any]) -> list[str]:
    """What adds the ports that the kernel of a host lacks, nothing where it has them all.

    ``state`` is that of host_state, which tells of no list where the host cannot change it.
    """
    listed = state.get("reserved_ports")
    wanted = set(ports)
    if listed is None or wanted <= _listed(str(listed)):
        return []
    return ["/bin/sh", "-c", reservation(wanted)]


def release(ports: Iterable[int], state: Mapping[str, Any], file: str = KERNELS) -> list[str]:
    """What takes the ports from those that the kernel of a host keeps, nothing where it has none
    of them."""
    listed = _listed(str(state.get("reserved_ports") or ""))
    left = sorted(listed - set(ports))
    if len(left) == len(listed):
        return []
    return ["/bin/sh", "-c", f"echo '{','.join(map(str, left))}' >{file}"]


def _listed(text: str) -> set[int]:
    """The ports of a list as the kernel prints it, such as ``8066,48700-48710``."""
    found: set[int] = set()
    for part in filter(None, text.strip().split(",")):
        first, _dash, last = part.partition("-")
        found.update(range(int(first), int(last or first) + 1))
    return found
