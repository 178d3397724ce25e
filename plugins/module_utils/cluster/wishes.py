# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which load balancers addresses are to leave, to go to, or to be spread over. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ..readers import SettingError
from .members import Members

TO, LEAVE = "mycat_ha_to", "mycat_ha_leave"
OUT, BACK = "mycat_ha_maintenance", "mycat_ha_maintenance_end"
REBALANCE = "mycat_ha_rebalance"
VERBS = (TO, LEAVE, OUT, BACK, REBALANCE)
DRAIN, FORCE = "mycat_ha_drain_seconds", "mycat_ha_force"
LONGEST_DRAIN = 3600.0


@dataclass(frozen=True)
class Wish:
    """``verb`` is one of `VERBS`, ``host`` a load balancer of the cluster ``members``, empty where
    all are meant; ``drain`` are the seconds that sessions are given before they end."""

    verb: str
    host: str
    members: Members
    drain: float = 0.0
    force: bool = False


def read_wishes(
    values: Mapping[str, Any],
    clusters: Iterable[Members],
    others: Iterable[Members],
    playing: Collection[str],
) -> list[Wish]:
    """One wish for each cluster that is concerned. ``values`` are the variables, typed.

    ``others`` are clusters that the run leaves alone, ``playing`` the hosts of the play. Raises
    SettingError.
    """
    verb = _verb(values)
    drain = drain_seconds(values, 0.0)
    if verb == REBALANCE:
        known = list(clusters)
        for members in known:
            _ask_for_balancers(verb, members, playing)
        return [Wish(verb, "", members, drain) for members in known]
    found: dict[str, Wish] = {}
    for host in dict.fromkeys(values[verb]):
        members = _cluster_of(verb, host, clusters, others)
        _ask_for_balancers(verb, members, playing)
        if members.name in found:
            raise SettingError(
                verb,
                f"names {found[members.name].host} and {host}, both of the cluster "
                f"{members.name}; write one host for each cluster",
            )
        found[members.name] = Wish(verb, host, members, drain, bool(values.get(FORCE)))
    return list(found.values())


def ask_for_all(variable: str, members: Members, playing: Collection[str], instead: str) -> None:
    """Raise SettingError where the play has not all hosts of a cluster; ``instead`` is what to do
    with the variable."""
    what = f"hosts of the cluster {members.name}"
    _refuse_absence(variable, what, members.hosts, playing, f"leave --limit out, and {instead}")


def _refuse_absence(
    variable: str, what: str, hosts: Iterable[str], playing: Collection[str], advice: str
) -> None:
    away = [host for host in hosts if host not in playing]
    if away:
        raise SettingError(
            variable,
            f"needs all {what} in the play, and --limit leaves {', '.join(away)} out; {advice}",
        )


def drain_seconds(values: Mapping[str, Any], unset: float) -> float:
    """The seconds that sessions are given. Raises SettingError."""
    drain: float = unset if values.get(DRAIN) is None else values[DRAIN]
    if not 0 <= drain <= LONGEST_DRAIN:
        raise SettingError(
            DRAIN, f"is {drain:g}; write seconds, from 0 to {LONGEST_DRAIN:g}, such as 30"
        )
    return drain


def _verb(values: Mapping[str, Any]) -> str:
    given = [verb for verb in VERBS if values.get(verb)]
    if not given:
        raise SettingError(
            TO,
            "is not set; write the load balancer that shall have the virtual IPs (-e "
            f"{TO}=lb2), or one that they shall leave ({LEAVE}), or that you take out for work "
            f"({OUT}) or back ({BACK}); or spread several virtual IPs again ({REBALANCE}=yes)",
        )
    if len(given) > 1:
        raise SettingError(given[0], f"is set beside {given[1]}; write one of the two")
    return given[0]


def _cluster_of(
    verb: str, host: str, clusters: Iterable[Members], others: Iterable[Members]
) -> Members:
    known = list(clusters)
    for members in known:
        if host in members.load_balancers:
            return members
    for members in others:
        if host in members.load_balancers:
            raise SettingError(
                verb,
                f"is {host}, of the cluster {members.name}, which mycat_ha_cluster_only or --limit "
                "leaves out; leave those out, or name a host of a cluster that is left",
            )
    names = [name for members in known for name in members.load_balancers]
    raise SettingError(
        verb, f"is {host}, which is no load balancer; write one of {', '.join(names)}"
    )


def _ask_for_balancers(verb: str, members: Members, playing: Collection[str]) -> None:
    if len(members.load_balancers) < 2 and verb != BACK:
        raise SettingError(
            verb,
            f"cannot be with {''.join(members.load_balancers)}, the only load balancer of the "
            f"cluster {members.name}: nobody could take its addresses over; add a second one",
        )
    what = f"load balancers of the cluster {members.name}"
    _refuse_absence(verb, what, members.load_balancers, playing, "leave --limit out")
