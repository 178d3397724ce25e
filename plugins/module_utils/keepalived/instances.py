# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A ``vrrp_instance`` block as the model of an instance: what its keywords mean, and what the
daemon makes of values that it cannot take."""

from __future__ import annotations

import ipaddress
import itertools
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from ..vrrp import versions
from ..vrrp.findings import Severity
from ..vrrp.hearing import STANDARD_GROUPS
from ..vrrp.model import Authentication, CheckKind, Instance, State, Track
from ..vrrp.priority import HIGHEST
from ..vrrp.rules import priorities, reading, running
from ..vrrp.words import dotted, listed
from .fixes import on_own_lines
from .keywords import ADDRESS_OPTIONS
from .signatures import HmacReader
from .tree import Statement

if TYPE_CHECKING:
    from .reader import NodeReader

_TRACK_KINDS = {kind.value for kind in CheckKind}
_INTERFACE_TO_WRITE = "Write interface and the name of the one that has the node's address."
_DIGITS = re.compile(r"[0-9]{1,4}")


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _is_netmask(text: str) -> bool:
    """Whether it is a netmask of IPv4, as in 255.255.255.0."""
    try:
        return text.startswith("255.") and bool(ipaddress.ip_network(f"0.0.0.0/{text}"))
    except ValueError:
        return False


class InstanceReader:
    """Reads one ``vrrp_instance``: one method a keyword that needs more than a value."""

    def __init__(self, reader: NodeReader, statement: Statement, position: int) -> None:
        self.reader = reader
        self.statement = statement
        self.position = position
        self.values: dict[str, object] = {
            "nopreempt": False,
            "strict_mode": reader.globals.strict,
            "check_unicast_src": reader.globals.check_unicast_src,
            "down_timer_adverts": reader.globals.down_timer_adverts,
        }
        self.lists: dict[str, tuple[str, ...]] = {}
        self.tracks: list[Track] = []
        self.hmac: HmacReader | None = None
        self.version = 0
        self.priority: int | None = None
        self.state: State | None = None
        # 4 or 6 once an address has decided it.
        self.family = 0

    def read(self) -> Instance:
        """The instance as its block says, defaults filled in as the daemon does."""
        for child in self.reader.settings(self.statement):
            handler = getattr(self, "on_" + child.keyword, None)
            if child.keyword in _TRACK_KINDS:
                self.tracks.extend(self.reader.tracks(child, self.position))
            elif handler:
                handler(child)
        return self.finish()

    def finish(self) -> Instance:
        """Defaults that depend on other values."""
        values = self.values
        priority = self.priority
        if priority is None:
            priority = 100
            if self.state is State.MASTER:
                priority = 255
                self.reader.report(
                    reading.MASTER_WITHOUT_PRIORITY,
                    self.statement.line,
                    "state is MASTER and no priority is written, so the daemon takes 255",
                    f"Write priority {HIGHEST} (or another one above those of the other nodes).",
                )
        state = self.state or (State.MASTER if priority == 255 else State.BACKUP)
        version = self.version or (3 if self.family == 6 else self.reader.globals.version)
        vrid = values.pop("virtual_router_id", 0)
        group = self.reader.globals.multicast_groups.get(self.family or 4, "")
        values.setdefault("multicast_group", "" if group in STANDARD_GROUPS else group)
        self._ask_for_interface()
        return Instance(
            self.statement.value,
            vrid,  # type: ignore[arg-type]
            state=state,
            priority=priority,
            version=version,
            tracks=tuple(self.tracks),
            **self.lists,  # type: ignore[arg-type]
            **values,  # type: ignore[arg-type]
        )

    def _ask_for_interface(self) -> None:
        """Most versions end where no interface is named, even if there is a source address."""
        version = self.reader.keepalived_version
        broken = versions.NO_INTERFACE_BROKEN_SINCE <= version < versions.NO_INTERFACE_MENDED_SINCE
        needed = version < versions.NO_INTERFACE_SINCE or broken
        if self.values.get("interface") or not self.values.get("unicast_src_ip"):
            return
        if not needed:
            self._without_interface()
        else:
            self.reader.refused = True
            self.reader.report(
                running.INTERFACE_MISSING,
                self.statement.line,
                f"{self.statement.value} has no interface: keepalived {dotted(version)} ends",
                _INTERFACE_TO_WRITE,
            )

    def _without_interface(self) -> None:
        """The daemon drops virtual addresses of which nothing says where they belong."""
        for keyword in ("virtual_ipaddress", "virtual_ipaddress_excluded"):
            written = self.lists.get(keyword, ())
            placed = tuple(address for address in written if "dev" in address.split()[1:])
            if placed != written:
                self.lists[keyword] = placed
                lost = [address.split()[0] for address in written if address not in placed]
                self.reader.report(
                    running.INTERFACE_MISSING,
                    self.reader.lines.get((self.statement.value, keyword)),
                    f"{self.statement.value} has no interface, and {listed(lost)} no dev: the "
                    "daemon drops what it does not know where to put",
                    _INTERFACE_TO_WRITE,
                )

    def _family_fits(self, address: str) -> bool:
        """Whether an address is of the instance's family, which the first one decides."""
        family = 6 if ":" in address else 4
        self.family = self.family or family
        return self.family == family

    def on_state(self, child: Statement) -> None:
        """MASTER wins over a BACKUP that follows; any other word is BACKUP."""
        if child.value == "MASTER":
            self.state = State.MASTER
            return
        if child.value != "BACKUP":
            self.reader.report(
                reading.STATE_LOWERCASE,
                child.line,
                f"state {child.value!r} is not known; the daemon takes BACKUP",
                "Write state BACKUP (as it counts now).",
            )
        elif self.state is State.MASTER:
            self.reader.report(
                reading.INVALID_VALUE,
                child.line,
                "state BACKUP after MASTER is ignored",
                "Remove the line.",
            )
            return
        self.state = State.BACKUP

    def on_priority(self, child: Statement) -> None:
        self.priority = self.reader.integer(child, 100, priorities.PRIORITY_RANGE)

    def on_virtual_router_id(self, child: Statement) -> None:
        self.values["virtual_router_id"] = self.reader.integer(child, 0, running.VRID_RANGE)

    def on_version(self, child: Statement) -> None:
        self.version = self.reader.version(child, self.version)

    def on_native_ipv6(self, _child: Statement) -> None:
        self.version = 3
        self.family = self.family or 6

    def on_advert_int(self, child: Statement) -> None:
        self.values["advert_int"] = self.reader.decimal(child, 1.0, priorities.ADVERT_INT_RANGE)

    def on_interface(self, child: Statement) -> None:
        self.values["interface"] = child.value

    def on_nopreempt(self, _child: Statement) -> None:
        self.values["nopreempt"] = True

    def on_preempt(self, _child: Statement) -> None:
        self.values["nopreempt"] = False

    def on_preempt_delay(self, child: Statement) -> None:
        value = self.reader.decimal(child, 0.0)
        if value > 1000:
            self.reader.invalid(child, "0 to 1000 seconds")
            value = 0.0
        self.values["preempt_delay"] = value

    def on_accept(self, _child: Statement) -> None:
        self.values["accept"] = True

    def on_no_accept(self, _child: Statement) -> None:
        self.values["accept"] = False

    def on_strict_mode(self, child: Statement) -> None:
        self.values["strict_mode"] = self.reader.boolean(child)

    def on_down_timer_adverts(self, child: Statement) -> None:
        self.values["down_timer_adverts"] = self.reader.adverts(child, 3)

    def on_unicast_src_ip(self, child: Statement) -> None:
        if not _is_address(child.value):
            # Without a source it still asks for unicast, which then finds no peer or does.
            self.lists.setdefault("unicast_peer", ())
            self.ignored_host(child, child.value, "Remove the line.")
        elif self._family_fits(child.value):
            self.values["unicast_src_ip"] = child.value
        else:
            self.other_family(child, child.value, "Remove the line.")

    def on_mcast_dst_ip(self, child: Statement) -> None:
        if not _is_address(child.value) or not ipaddress.ip_address(child.value).is_multicast:
            self.reader.invalid(child, "a multicast address")
        elif self._family_fits(child.value):
            self.values["multicast_group"] = "" if child.value in STANDARD_GROUPS else child.value

    def on_check_unicast_src(self, _child: Statement) -> None:
        self.values["check_unicast_src"] = True

    def on_unicast_ttl(self, child: Statement) -> None:
        value = self.reader.integer(child, 255)
        if 0 <= value <= 255:
            self.values["unicast_ttl"] = value
        else:
            self.reader.invalid(child, "a number from 0 to 255")

    def on_use_vmac(self, child: Statement) -> None:
        if child.value in ("false", "no", "off"):
            self.reader.report(
                reading.INVALID_VALUE,
                child.line,
                f"use_vmac {child.value} makes a virtual MAC interface called {child.value!r}",
                "Remove the line.",
            )

    def on_unicast_peer(self, child: Statement) -> None:
        peers = []
        for entry in self.reader.entries(child):
            if not _is_address(entry.keyword):
                self.ignored_host(
                    entry,
                    entry.keyword,
                    f"Remove {entry.keyword} from unicast_peer, or write the other nodes' IP "
                    "addresses in unicast_peer on all nodes.",
                )
            elif not self._family_fits(entry.keyword):
                self.other_family(
                    entry, entry.keyword, f"Remove {entry.keyword} from unicast_peer."
                )
            else:
                alone = self.one_a_line(entry, "peer")
                peers.append(entry.keyword if alone else self.peer(entry))
        self._extend(child.keyword, peers)

    def peer(self, entry: Statement) -> str:
        """A peer with what the daemon reads of the options behind it."""
        read = [entry.keyword]
        for name, value in itertools.zip_longest(entry.words[1::2], entry.words[2::2]):
            known = name in ("min_ttl", "max_ttl") and re.fullmatch(r"[0-9]{1,3}", value or "")
            if (
                not known
                or int(value) > 255
                or self.reader.keepalived_version < versions.PEER_TTL_SINCE
            ):
                self.reader.report(
                    reading.INVALID_VALUE,
                    entry.line,
                    f"the daemon ignores {name!r} after {entry.keyword}",
                    f"Write {' '.join(read)} instead of {' '.join(entry.words)}.",
                    severity=Severity.WARNING,
                )
                break
            read += [name, value]
            self.values["check_unicast_src"] = True
        return " ".join(read)

    def ignored_host(self, entry: Statement, name: str, fix: str) -> None:
        """Reports a peer or source that is no address."""
        self.reader.report(
            reading.INVALID_VALUE,
            entry.line,
            f"{name!r} is no IP address, and the daemon looks up no names: it ignores the line",
            fix,
        )

    def other_family(self, entry: Statement, address: str, fix: str) -> None:
        """Reports an address of the family that the instance does not have."""
        self.reader.report(
            reading.FAMILY_MIXED,
            entry.line,
            f"{address} is not IPv{self.family} as the first address of {self.statement.value} is: "
            "the daemon ignores it",
            fix,
        )

    def one_a_line(self, entry: Statement, what: str) -> bool:
        """Reports further addresses on a line: the daemon takes the first."""
        more = [
            word
            for word in entry.words[1:]
            if _is_address(word.partition("/")[0]) and not _is_netmask(word)
        ]
        if more:
            self.reader.report(
                reading.SYNTAX,
                entry.line,
                f"the daemon takes one {what} a line: {listed(more)} is ignored",
                on_own_lines(more) + (" on all nodes." if what == "address" else "."),
            )
        return bool(more)

    def addresses(self, child: Statement) -> None:
        """Addresses with their options, each as one string; the daemon skips what is none."""
        found = []
        for entry in self.reader.entries(child):
            host, slash, prefix = entry.keyword.partition("/")
            if not _is_address(host):
                self.reader.report(
                    reading.INVALID_VALUE,
                    entry.line,
                    f"{entry.keyword!r} is no address; it is skipped",
                    self.addresses_meant(entry, child.keyword),
                )
            elif child.keyword == "virtual_ipaddress" and not self._family_fits(host):
                self.other_family(
                    entry,
                    host,
                    f"Move {entry.keyword} to virtual_ipaddress_excluded on all nodes (or make an "
                    "instance of its own for it).",
                )
            else:
                length = self.prefix(entry, host, prefix) if slash else ""
                found.append(" ".join((f"{host}{slash}{length}", *self.options(entry))))
        self._extend(child.keyword, found)

    def addresses_meant(self, entry: Statement, block: str) -> str:
        """The addresses in a line that other signs keep from being read."""
        words = [word.strip(",;") for word in entry.words]
        found = [word for word in words if _is_address(word.partition("/")[0])]
        if found:
            return (
                f"Write {listed(found)} instead of {' '.join(entry.words)}, each on a line of "
                "its own, on all nodes."
            )
        return f"Remove {entry.keyword} from {block}."

    def prefix(self, entry: Statement, host: str, written: str) -> str:
        """The prefix length that the daemon takes: digits count, one out of range is the host's."""
        most = 128 if ":" in host else 32
        digits = _DIGITS.match(written)
        length = int(digits.group()) if digits else most
        used = str(length if length <= most else most)
        if used != written:
            self.reader.report(
                reading.INVALID_VALUE,
                entry.line,
                f"/{written} is no prefix length: {host} is set as {host}/{used}",
                f"Write {host}/{used} instead of {host}/{written}.",
                severity=Severity.WARNING,
            )
        return used

    def options(self, entry: Statement) -> tuple[str, ...]:
        """The words after an address that the daemon reads."""
        if self.one_a_line(entry, "address"):
            return ()
        for place, word in enumerate(entry.words[1:], start=1):
            if word in ADDRESS_OPTIONS:
                continue
            if entry.words[place - 1] not in ADDRESS_OPTIONS:
                kept = " ".join(entry.words[:place])
                if _is_netmask(word):
                    length = ipaddress.ip_network(f"0.0.0.0/{word}").prefixlen
                    kept = f"{entry.keyword.partition('/')[0]}/{length}"
                self.reader.report(
                    reading.INVALID_VALUE,
                    entry.line,
                    f"the daemon ignores {word!r} after {entry.keyword}",
                    f"Write {kept} instead of {' '.join(entry.words)}.",
                    severity=Severity.WARNING,
                )
                return entry.words[1:place]
        return entry.words[1:]

    def _extend(self, keyword: str, more: Iterable[str]) -> None:
        """A list that is written in several blocks is one list."""
        self.lists[keyword] = (*self.lists.get(keyword, ()), *more)

    on_virtual_ipaddress = addresses
    on_virtual_ipaddress_excluded = addresses

    def on_authentication(self, child: Statement) -> None:
        """auth_type PASS or AH with an auth_pass."""
        auth_type = auth_pass = ""
        for setting in self.reader.settings(child):
            if setting.keyword == "auth_pass":
                auth_pass = setting.value
            elif setting.value in ("PASS", "AH"):
                auth_type = setting.value
            else:
                self.reader.report(
                    reading.INVALID_VALUE,
                    setting.line,
                    "auth_type must be PASS or AH",
                    "Remove the authentication block (or write auth_type PASS on all nodes).",
                )
        if auth_type:
            self.values["authentication"] = Authentication(auth_type, auth_pass)

    def on_auth_hmac(self, child: Statement) -> None:
        """A second block adds to the first."""
        self.hmac = self.hmac or HmacReader(self.reader)
        self.values["auth_hmac"] = self.hmac.read(self.reader.entries(child))
