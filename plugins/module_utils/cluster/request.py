# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is to be planned, and what of it is refused. Pure, but for the roles' own files."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Callable, Collection, Iterable, Mapping, Sequence

from ..readers import RefusalError, SettingError
from .files import Role
from .hosts import HostView
from .managed import PACKAGES
from .members import Members


@dataclass(frozen=True)
class Request:
    """What is to be planned. ``hosts`` has every member of ``clusters``; ``roles`` are those that
    are planned, ``changing`` those of them that may change a host; ``groups`` are the inventory's;
    ``notes`` is what the operator should know already, ``started`` when the run began (s since
    1970), ``managed`` what files say at their top. ``others`` are clusters of the same inventory
    that this run leaves alone; of their load balancers ``hosts`` has those that matter: the first
    of each cluster, and all that ask a MyCat of ``clusters``. ``playing`` are the hosts that are
    changed now, None for all; ``name_of`` tells which host of the inventory has an address, ""
    if none. ``sources`` {host: cluster.mycat.Sources} are of hosts whose MyCat is installed."""

    clusters: Sequence[Members]
    hosts: Mapping[str, HostView]
    roles: Mapping[str, Role]
    changing: Sequence[str]
    groups: Mapping[str, Sequence[str]]
    others: Sequence[Members] = ()
    notes: Sequence[str] = ()
    started: float = 0.0
    managed: str = "Ansible managed"
    playing: Collection[str] | None = None
    name_of: Callable[[str], str] = lambda _address: ""
    sources: Mapping[str, Any] = field(default_factory=dict)

    def needs(
        self,
        role: str,
        host: HostView,
        context: Mapping[str, Any],
        gone: Iterable[str] = (),
        **more: Any,
    ) -> dict[str, Any]:
        """What a role needs of a host; ``context`` is what its templates get.

        ``gone`` are files of former settings. ``more`` goes with it: ``units`` that have to run,
        ``further`` changes that no list of files shows, and whatever the role's tasks ask about.
        """
        files = self.roles[role].files({"ansible_managed": self.managed, **context})
        return {
            "name": host.name,
            "files": list(files.files),
            "absent": [*files.absent, *gone],
            "runtime": self.roles[role].runtime(context),
            "packages": list(PACKAGES[role]),
            "further": [],
            **more,
        }


@dataclass
class Refusals:
    """What is refused, and for which hosts: {sentence: [host]}."""

    found: dict[str, list[str]] = field(default_factory=dict)

    def add(self, host: str, error: Exception | str) -> None:
        """Record what is refused for a host."""
        self.found.setdefault(str(error), []).append(host)

    def add_each(self, host: str, error: SettingError | RefusalError) -> None:
        """Record each of the settings that are refused for a host."""
        for one in error.errors if isinstance(error, RefusalError) else (error,):
            self.add(host, one)

    def sentences(self, together: Iterable[Iterable[str]]) -> list[str]:
        """One sentence for each wrong variable; it names the hosts unless all of a kind are wrong.

        ``together`` are the kinds: sets of hosts.
        """
        kinds = [set(hosts) for hosts in together]
        return [
            text
            if hosts[0] in text or any(kind and kind <= set(hosts) for kind in kinds)
            else f"{text} (on {', '.join(dict.fromkeys(hosts))})"
            for text, hosts in self.found.items()
        ]


def kinds(clusters: Iterable[Members]) -> list[list[str]]:
    """All load balancers, and all MyCats."""
    every = list(clusters)
    return [
        [host for members in every for host in members.load_balancers],
        [host for members in every for host in members.mycats],
    ]


@dataclass(frozen=True)
class Cluster:
    """One cluster of a request; what is refused goes to ``refused``."""

    request: Request
    members: Members
    refused: Refusals

    @property
    def load_balancers(self) -> list[HostView]:
        """In order of preference."""
        return [self.request.hosts[name] for name in self.members.load_balancers]

    @property
    def mycats(self) -> list[HostView]:
        """In the order of the inventory."""
        return [self.request.hosts[name] for name in self.members.mycats]

    def refuse(self, error: Exception | str) -> None:
        """Record what is refused for the whole cluster."""
        for name in self.members.load_balancers or self.members.mycats:
            self.refused.add(name, error)
