# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""In which order hosts are updated, and which load balancer may be taken out. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from ..report.cluster import Cluster, Host, mapping, read_clusters
from .restart import Order, Rolling, serves, too_few, turns_of
from .switchover import steps, wish_out
from .wishes import FORCE

PACKAGES, REBOOT = "mycat_ha_update_packages", "mycat_ha_reboot"
USUAL = ("haproxy", "keepalived", "xinetd")
#: What a rolling update notes on a load balancer that it took out of the election itself.
NOTE = "/var/lib/mycat_ha/update"


@dataclass(frozen=True)
class Work:
    """What is to be done on a host: ``updates`` {package: [version, newer one]}, whether its
    configuration changes, whether it is rebooted, whether a run left it half-way."""

    updates: Mapping[str, Sequence[str]] = field(default_factory=dict)
    configuration: bool = False
    reboot: bool = False
    left: bool = False

    def __bool__(self) -> bool:
        return bool(self.updates or self.configuration or self.reboot or self.left)

    def words(self) -> str:
        """What is done, for a line."""
        parts = [f"{name} {new}" for name, (_old, new) in self.updates.items()]
        parts = parts[:4] + ([f"{len(parts) - 4} more packages"] if len(parts) > 4 else [])
        parts += ["configuration"] if self.configuration else []
        parts += ["reboot"] if self.reboot else []
        return ", ".join(parts or ["what an earlier run left"])


def plan(order: Order, work: Mapping[str, Work], expected: Any, states: Any) -> Rolling:
    """All turns: MyCats first, then load balancers, the holder of an address last."""
    found = Rolling()
    clusters = read_clusters(expected, states)
    waiting = {cluster.name: _waiting(cluster, work) for cluster in clusters}
    for cluster in clusters:
        found.refusals += _refusals(order, cluster, waiting[cluster.name])
        found.lines += [
            f"{cluster.name}: {host.name}: {work[host.name].words()}"
            for host in waiting[cluster.name]
        ] or [f"{cluster.name}: nothing to update"]
    if not found.refusals:
        found.turns = turns_of(clusters, waiting)
    return found


def _waiting(cluster: Cluster, work: Mapping[str, Work]) -> list[Host]:
    holders = cluster.holders
    ordered = [
        *sorted(cluster.mycats, key=lambda host: serves(cluster, host)),
        *sorted(cluster.load_balancers, key=lambda host: host in holders),
    ]
    return [host for host in dict.fromkeys(ordered) if work.get(host.name) and host.reachable]


def _refusals(order: Order, cluster: Cluster, waiting: Sequence[Host]) -> Iterator[str]:
    if order.force:
        return
    if len(cluster.load_balancers) < 2 and set(waiting) & set(cluster.load_balancers):
        yield (
            f"{cluster.load_balancers[0].name} is the only load balancer of the cluster "
            f"{cluster.name}, and clients would be without service; add a second one, or set "
            f"{FORCE}=yes"
        )
    ready = {host.name for host in cluster.mycats}
    for host in waiting:
        found = too_few(order, cluster, host, ready) if host in cluster.mycats else ""
        if found:
            yield found
            return


@dataclass
class Leaving:
    """The load balancers that may be taken out, the addresses of each, and why others may not."""

    hosts: list[str] = field(default_factory=list)
    vips: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)

    def as_data(self) -> dict[str, Any]:
        """As a task returns it."""
        return asdict(self)


def may_leave(
    order: Order, names: Collection[str], expected: Any, states: Any, failed: Collection[str]
) -> Leaving:
    """Which load balancers of a turn may be taken out. ``failed``: hosts on which work failed."""
    found = Leaving()
    for cluster in read_clusters(expected, states):
        if {host.name for host in (*cluster.load_balancers, *cluster.mycats)} & set(failed):
            continue
        lbs = [host.name for host in cluster.load_balancers]
        for name in (one for one in names if one in lbs):
            said = steps([wish_out(cluster, name, order.force)], expected, states)
            if said.refusals:
                why = said.refusals[0].partition(": ")[2]
                found.failures[name] = f"it stays as it is: {why}"
            else:
                found.hosts.append(name)
                found.vips.update(said.vips)
    return found


def work_of(
    updates: Mapping[str, Any], changing: Collection[str], reboot: str, left: Collection[str]
) -> dict[str, Work]:
    """The `Work` of each host. ``updates`` {host: result of package_updates}; ``reboot``: yes, no
    or needed."""
    found = {}
    for host, said in updates.items():
        listed = mapping(mapping(said).get("updates"))
        needed = reboot == "needed" and bool(mapping(said).get("reboot_required"))
        found[host] = Work(listed, host in changing, reboot == "yes" or needed, host in left)
    return found
