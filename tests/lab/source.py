"""The configurations that the source of this collection gives, as it writes them.

Adapted to a host: interface, address, and the two typing errors of the script (``$ log_file``,
``echo "date"``). Its notification mail is left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from .daemon import Keepalived, haproxy_unattended, own_keepalived, write
from .hosts import Host

SCRIPT = "/etc/keepalived/haproxy_check.sh"
_CHECK = """#!/bin/bash
log_file="/usr/local/keepalived/haproxy_check.log"
date=`date '+%F_%H_%M'`
if [ `ps -C haproxy --no-header | wc -l` -eq 0 ];then
    echo "$date" >> $log_file
    echo "haproxy is stopped, vip shift!" >> $log_file
    echo " " >> $log_file
    exit 1
else
    exit 0
fi
"""
_CONF = """global_defs {{
    router_id keepalived_1
}}
vrrp_script chk_haproxy {{
    script "{script}"
    interval {interval}
    weight {node.weight}
}}
vrrp_instance K_1 {{
    state {node.state}
    interface eth0
    virtual_router_id 1
    priority {node.priority}
    {node.nopreempt}
    advert_int 1
    authentication {{
        auth_type PASS
        auth_pass 1111
    }}
    track_script {{
        chk_haproxy
    }}
    virtual_ipaddress {{
        {vip}
    }}
}}
"""


@dataclass(frozen=True)
class Node:
    """What differs between the two nodes."""

    state: str
    priority: int
    weight: int
    nopreempt: str = ""


EXAMPLE = (Node("MASTER", 100, 2, "nopreempt"), Node("BACKUP", 90, 2))
WEIGHT_PAIR = (Node("MASTER", 90, 20), Node("BACKUP", 80, 40))
NEGATIVE_PAIR = (Node("MASTER", 70, -20), Node("BACKUP", 80, -40))


@contextmanager
def script(lbs: list[Host]) -> Iterator[str]:
    """Have the source's check on some hosts; the value is its path.

    As with the source, nobody starts a HAProxy that has died.
    """
    for lb in lbs:
        write(lb, SCRIPT, _CHECK, mode="755")
        lb.run("mkdir", "-p", "/usr/local/keepalived")
    try:
        with haproxy_unattended(*lbs):
            yield SCRIPT
    finally:
        for lb in lbs:
            lb.run("rm", "-f", SCRIPT)


@contextmanager
def running(
    lbs: list[Host], nodes: tuple[Node, Node], vip: str, interval: int
) -> Iterator[Keepalived]:
    """Run a pair of the source's on two load balancers in place of what the role has set up."""
    with script(lbs) as path:
        confs = {
            lb: _CONF.format(node=node, vip=vip, interval=interval, script=path)
            for lb, node in zip(lbs, nodes)
        }
        with own_keepalived(confs) as daemons:
            yield daemons
