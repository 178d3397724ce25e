# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sound clusters, as models and as texts, to be changed by a test."""

from __future__ import annotations

from typing import Mapping

from ansible_collections.mycat.ha.plugins.module_utils.keepalived.reader import parse_cluster
from ansible_collections.mycat.ha.plugins.module_utils.vrrp.findings import Severity
from ansible_collections.mycat.ha.plugins.module_utils.vrrp.model import (
    Authentication,
    Check,
    CheckKind,
    Cluster,
    Hmac,
    Instance,
    Node,
    State,
    SyncGroup,
    Track,
)
from ansible_collections.mycat.ha.plugins.module_utils.vrrp.plan import make_plan
from ansible_collections.mycat.ha.plugins.module_utils.vrrp.request import read_request
from ansible_collections.mycat.ha.plugins.module_utils.vrrp.validate import Report, validate

VIP = "192.0.2.100/24"
FILE, SCRIPT, PROCESS = CheckKind.FILE, CheckKind.SCRIPT, CheckKind.PROCESS
CHECKS = (
    Check("haproxy_process", FILE, command="/run/mycat_ha/haproxy"),
    Check("haproxy", SCRIPT, interval=1, timeout=1, fall=2, command="/usr/libexec/check_haproxy"),
)
FAULT = (Track("haproxy_process", FILE, 0), Track("haproxy", SCRIPT, 0))


def weight(*weights: int) -> dict:
    """Tracks of these weights, and no nopreempt."""
    names = ("haproxy", "b", "c", "d")
    return {
        "tracks": tuple(Track(name, SCRIPT, value) for name, value in zip(names, weights)),
        "nopreempt": False,
    }


def make(
    *changes: dict,
    both: dict | None = None,
    nodes: dict | None = None,
    node: tuple[dict, ...] = (),
    more: tuple[dict, ...] = (),
) -> Cluster:
    """A sound, planned cluster (fault mode, sticky, v3, unicast) with changes: ``changes`` to the
    instance of each node in turn, ``both`` to all instances, ``nodes`` to all nodes, ``node`` to
    each node in turn, ``more`` as further instances of every node."""
    count = max(2, len(changes), len(node))
    addresses = [f"192.0.2.{11 + index}" for index in range(count)]
    built = []
    for index, address in enumerate(addresses):
        base = {
            "name": "VI_1",
            "virtual_router_id": 51,
            "interface": "eth0",
            "priority": 254 - index,
            "version": 3,
            "nopreempt": True,
            "tracks": FAULT,
            "virtual_ipaddress": (VIP,),
            "unicast_src_ip": address,
            "unicast_peer": tuple(peer for peer in addresses if peer != address),
        }
        own = {**base, **(both or {}), **(changes[index] if index < len(changes) else {})}
        owner = {
            "name": f"lb{index + 1}",
            "address": address,
            "instances": (Instance(**own), *(Instance(**dict(base, **extra)) for extra in more)),
            "checks": (*CHECKS, *(Check(name, command="/bin/x") for name in "bcd")),
            "script_security": True,
            "script_user": "keepalived_script",
        }
        built.append(Node(**dict(owner, **(nodes or {}), **(node[index] if node else {}))))
    return Cluster(tuple(built))


def conf(
    index: int,
    *,
    before: str = "",
    tracked: str = "haproxy",
    body: str = "",
    after: str = "",
    values: str = "state BACKUP\nnopreempt",
    priority: str = "",
    script: str = 'script "/bin/check"',
) -> str:
    """The keepalived.conf of one node of a sound pair, with changes."""
    return f"""
{before}
global_defs {{
    vrrp_version 3
    enable_script_security
    script_user keepalived_script
}}
vrrp_script haproxy {{
    {script}
}}
vrrp_instance VI_1 {{
    interface eth0
    virtual_router_id 51
    {values}
    {priority or f"priority {255 - index}"}
    unicast_src_ip 192.0.2.1{index}
    unicast_peer {{
        192.0.2.1{3 - index}
    }}
    track_script {{
        {tracked}
    }}
    virtual_ipaddress {{
        {VIP}
    }}
    {body}
}}
{after}
"""


class Judged:
    """Something to judge, as a model or as texts; called, it is the report."""

    def __init__(self, cluster: Cluster | None = None, texts: Mapping[str, str] | None = None):
        self.cluster = cluster
        self.texts = texts

    def __call__(self) -> Report:
        return validate(self.cluster) if self.cluster else validate(*parse_cluster(self.texts))


class Planned:
    """What the plan itself says of a pair with such wishes; called, it is the report."""

    def __init__(self, **wish: object):
        self.wish = wish

    def __call__(self) -> Report:
        pair = [{"name": f"lb{n}", "address": f"192.0.2.1{n}"} for n in (1, 2)]
        request = {"nodes": pair, "vips": [{"address": VIP}], **self.wish}
        return make_plan(read_request(request)).report


def given(*texts: str) -> Judged:
    """Nodes lb1, lb2 and so on with these texts."""
    return Judged(texts={f"lb{i}": text for i, text in enumerate(texts, start=1)})


def read(*texts: str) -> Report:
    return given(*texts)()


def text(**change: str) -> Judged:
    """A sound pair whose first node's text is changed."""
    return given(conf(1, **change), conf(2))


def ids(report: Report) -> set[str]:
    return {item.id for item in report.findings}


def severe(report: Report) -> list[str]:
    return [item.id for item in report.findings if item.severity is not Severity.INFO]


MULTICAST = {"unicast_src_ip": None, "unicast_peer": None}
V2 = {"version": 2}
MASTER = {"state": State.MASTER}
PASSWORD = {"authentication": Authentication("PASS", "1111")}
OTHER = {"name": "VI_2", "virtual_router_id": 52, "virtual_ipaddress": ("192.0.2.101/24",)}


def model(*args, **kwargs):
    return Judged(make(*args, **kwargs))


def version(number: tuple[int, ...]) -> dict:
    return {"keepalived_version": number}


def signed(key: str, mode: str = "enforce") -> dict:
    """An instance whose adverts are signed with key 1."""
    return {"auth_hmac": Hmac(((1, key),), 1, mode)}


def scripted(**change) -> dict:
    """Node options whose script check is changed."""
    values = {"name": "haproxy", "interval": 1, "command": "/bin/check", **change}
    return {"checks": (CHECKS[0], Check(**values))}


def group(**change) -> dict:
    return {"sync_groups": (SyncGroup("G", ("VI_1",), **change),)}


def together(name: str) -> dict:
    return {"sync_groups": (SyncGroup(name, ("VI_1", "VI_2")),)}


def ring(*rows: tuple[tuple[int, int], ...]):
    """Nodes whose one sync group holds instances (place, priority)."""
    for number, row in enumerate(rows, start=1):
        instances = tuple(
            Instance(f"VI_{at}", at, "eth0", priority=value, virtual_ipaddress=(f"192.0.2.{at}0",))
            for at, value in row
        )
        groups = (SyncGroup("G", tuple(i.name for i in instances)),)
        yield Node(f"lb{number}", f"192.0.2.{number}", instances, sync_groups=groups)


def circle(*rows):
    return Judged(Cluster(tuple(ring(*rows))))


planned = Planned
