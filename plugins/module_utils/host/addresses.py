# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which addresses a host has, as the kernel tells it."""

from __future__ import annotations

import ipaddress
import json
from typing import Callable

from .commands import find, run
from .problems import Problems


class AddressesError(ValueError):
    """What is not the output of ``ip -json address``."""


def kernel_addresses(text: str) -> frozenset[str]:
    """The addresses that answer on this host, of the output of ``ip -json address``.

    An IPv6 address that is still being tried for duplicates, or is one, does not answer. Raises
    AddressesError.
    """
    try:
        return frozenset(
            str(ipaddress.ip_address(info["local"]))
            for link in json.loads(text)
            for info in link.get("addr_info", ())
            if "local" in info and not info.get("tentative") and not info.get("dadfailed")
        )
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise AddressesError(f"ip -json address says what it should not: {error}") from error


def host_addresses() -> frozenset[str]:
    """The addresses that answer on this host. Raises CommandError, AddressesError, LookupError."""
    ip = find("ip")
    if ip is None:
        raise LookupError("this host has no program ip (package iproute2)")
    return kernel_addresses(run([ip, "-json", "address"]).out)


def in_order(addresses: frozenset[str]) -> list[str]:
    """IPv4 before IPv6, each by number."""
    found = map(ipaddress.ip_address, addresses)
    return [str(one) for one in sorted(found, key=lambda one: (one.version, int(one)))]


class Addresses:
    """``present``: the addresses of the kernel as they were last read.

    ``read`` returns them and may raise anything, which is then told to ``problems``.
    """

    def __init__(self, read: Callable[[], frozenset[str]], problems: Problems) -> None:
        self._read = read
        self._problems = problems
        self.present: frozenset[str] = frozenset()

    def read_again(self) -> None:
        self.present = self._problems.part("addresses", self._read, self.present)
