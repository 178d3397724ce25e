# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an operator may see of a haproxy.cfg, and what HAProxy says of one."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection

from ..host.masking import MASK, without_secrets

# What stands for the digest of a configuration in its own text.
DIGEST = "@digest@"

# The keywords of HAProxy's manual that a secret follows: (keyword)(secret).
_SECRET = re.compile(
    r"""
    ( ^ [ \t]* stats [ \t]+ auth [ \t]+ ['"]? [^:\s'"]+ :        # user:password
    | ^ [ \t]* user [ \t] .*? password [ \t]+                    # of a userlist, plain or hashed
    | ^ [ \t]* (?: setenv | presetenv ) [ \t]+ \S+ [ \t]+
    | \b agent-send [ \t]+
    | \b authorization [ \t:]+ (?= \S )                          # a header, sent or set
    ) ( .+ ) $
    """,
    re.IGNORECASE | re.MULTILINE | re.VERBOSE,
)
# Lines that are no complaint: on the restored state of servers, and on a valid file.
_NO_COMPLAINT = re.compile(
    r"server-state|global server state file|^Server \S+ is DOWN via "
    r"|^Warnings were found|^Configuration file is valid|version is|path to executable is"
)
# A section, and the check's port on a line of it.
_SECTION = re.compile(r"^(?=[a-z])", re.MULTILINE)
_CHECK_PORT = re.compile(r"^\s+(default-server|server (\S+))\s(?:.*\s)?port (\d+)", re.MULTILINE)
_SERVER = re.compile(r"^\s+server (\S+)", re.MULTILINE)
_LEVEL = re.compile(r"^\[\w+\]\s+(?:\d+/\d+\s+)?\(\d+\)\s*:\s*(?:config\s*:\s*)?")


def masked(text: str, known: str | None = None) -> str:
    """Return the configuration with every password replaced, for diffs.

    A line with a secret that the configuration ``known`` does not have is marked, so that a diff
    shows a new password as a change.
    """
    lines = None if known is None else {found.group() for found in _SECRET.finditer(known)}

    def mask(found: re.Match[str]) -> str:
        mark = " (new)" if lines is not None and found.group() not in lines else ""
        return found.group(1) + MASK + mark

    return _SECRET.sub(mask, text)


def complaints(output: str, configuration: str, hidden: Collection[str] = ()) -> list[str]:
    """Return the lines of ``haproxy -c`` that an operator needs, without times and process ids.

    HAProxy quotes words of the file; neither a secret of ``configuration`` nor one of the words
    ``hidden`` is passed on.
    """
    secrets = [value.strip().strip("'\"") for _keyword, value in _SECRET.findall(configuration)]
    lines = []
    for given in output.splitlines():
        line = _LEVEL.sub("", given).strip()
        if not line or _NO_COMPLAINT.search(line):
            continue
        for secret in filter(None, secrets):
            line = line.replace(secret, MASK)
        lines.append(without_secrets(line, hidden))
    return lines


def digest_of(text: str) -> str:
    """Return the digest of a configuration that has ``DIGEST`` where its digest is to be."""
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:16]


def has_digest(text: str, digest: str) -> bool:
    """Whether a configuration is one that this digest was put into, and was not edited since."""
    return digest in text and digest_of(text.replace(digest, DIGEST)) == digest


def check_ports(text: str, proxy: str) -> dict[str, int]:
    """The ports at which a configuration of the role checks the servers of a listener."""
    sections = _SECTION.split(text)
    section = next((part for part in sections if part.startswith(f"listen {proxy}\n")), "")
    given = {server: int(port) for _words, server, port in _CHECK_PORT.findall(section)}
    return {
        server: given.get(server, given.get("", 0))
        for server in _SERVER.findall(section)
        if server in given or "" in given
    }
