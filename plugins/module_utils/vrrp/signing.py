# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Signed adverts (``auth_hmac``): what the daemon makes of the block, and whom it then believes.

Read from ``vrrp_parser.c``, ``vrrp.c`` and ``vrrp_auth_hmac.c`` of keepalived 2.4; nothing was run.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from .model import Instance

# The first of each is the daemon's own choice.
HMAC_MODES = ("enforce", "permissive", "receive-only")
ANTI_REPLAYS = ("time", "monotonic")
LEAST_BYTES, MOST_BYTES = 32, 64
_HEX = re.compile(r"hex:((?:[0-9A-Fa-f]{2})+)\Z")
# The content of a key file is not known here.
_UNKNOWN = b""
# Shorter than any key that counts.
_NOTHING = b"-"


@dataclass(frozen=True)
class Signing:
    """What an instance signs with and asks for. ``keys`` are numbers and secrets (empty: not known)
    of those that the daemon takes, ``active`` is the number of the one that it signs with; None: it
    does not sign."""

    keys: tuple[tuple[int, bytes], ...]
    active: int | None
    enforces: bool

    def secret(self, number: int | None) -> bytes | None:
        """The key of this number, None where there is none."""
        return next((secret for own, secret in self.keys if own == number), None)


def usable(number: int, written: str) -> bool:
    """Whether the daemon takes a key."""
    secret = _secret(written)
    size = LEAST_BYTES if secret == _UNKNOWN else len(secret)
    return 1 <= number <= 255 and LEAST_BYTES <= size <= MOST_BYTES


def _secret(written: str) -> bytes:
    if written.startswith("file:"):
        return _UNKNOWN
    if not written.startswith("hex:"):
        return written.encode() or _NOTHING
    hexadecimal = _HEX.match(written)
    return bytes.fromhex(hexadecimal[1]) if hexadecimal else _NOTHING


def signing_of(instance: Instance) -> Signing | None:
    """What of ``auth_hmac`` is in force: all of it, or nothing where the active key is none."""
    hmac = instance.auth_hmac
    if hmac is None:
        return None
    keys: dict[int, bytes] = {}
    for number, written in hmac.keys:
        if usable(number, written):
            keys.setdefault(number, _secret(written))
    if hmac.active_key not in keys:
        return None
    signs = instance.strict_mode or hmac.mode != "receive-only"
    return Signing(
        tuple(keys.items()),
        hmac.active_key if signs else None,
        instance.strict_mode or hmac.mode == "enforce",
    )


def disbelief(own: Signing | None, sender: Signing | None) -> str:
    """Why a receiver refuses the adverts of a sender; empty where it takes them."""
    number = sender.active if sender else None
    if sender is None or number is None:
        return "are not signed" if own and own.enforces else ""
    if own is None:
        return "are signed, and it has no auth_hmac"
    known, secret = own.secret(number), sender.secret(number)
    if known is None:
        return f"are signed with key {number}, which it does not have"
    alike = known == secret or _UNKNOWN in (known, secret)
    return "" if alike else f"are signed with key {number}, which is another one there"
