# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What `keepalived -t` really said, and configurations without their secrets. Pure.

`keepalived -t` of 2.1.5, 2.2.7 and 2.3.3 (Debian 11, 12 and 13) prints nothing at all about a file
that it likes, whatever is logged at a start. So every line is a complaint. Its exit code proves
little: 2.1.5 ends most bad files with 0, and 2.2.7 some good ones with SIGTERM.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Collection, Iterable, Iterator

from ..host.masking import MASK, without_secrets
from .keywords import SECRET_BLOCKS
from .lines import ConfError
from .tree import Statement, parse_tree, shell_words

# keepalived 2.2.7 ends itself by SIGTERM when it comes to look at a script that somebody other
# than root is to run; mended in 2.2.8 (acassen/keepalived issues 2587 and 2617). A shell reports
# that as 128 + 15, subprocess as -15.
_TERMINATED = (143, -15)
# What timeout(1) ends with after its SIGTERM, and after its SIGKILL.
_TIMED_OUT = (124, 137, -9)


def complaints(exit_code: int, output: str, path: str = "") -> tuple[str, ...]:
    """Return what is wrong with a configuration; nothing at all means that it holds.

    ``exit_code`` and ``output`` (stdout and stderr) are those of ``keepalived -t``, ``path`` is the
    file that it read: lines of it are called ``Line 8`` without its name. Each is said once,
    although keepalived reads the file up to four times.
    """
    lines = [line.strip().replace(f"({path}: Line", "(Line") for line in output.splitlines()]
    found = tuple(dict.fromkeys(line for line in lines if line and line != "Terminated"))
    if found or exit_code == 0 or terminated(exit_code):
        return found
    how = f"was killed by signal {-exit_code}" if exit_code < 0 else f"ended with {exit_code}"
    return (f"keepalived -t {how} and said nothing",)


def terminated(exit_code: int) -> bool:
    """Whether keepalived gave up before it had looked at all scripts, which is no complaint."""
    return exit_code in _TERMINATED


def timed_out(exit_code: int) -> bool:
    """Whether timeout(1) ended keepalived."""
    return exit_code in _TIMED_OUT


# --- what 2.2.7 does not come to say --------------------------------------------------------------

_SCRIPT_USER = re.compile(
    r"(?m)((?:^|[{}])[ \t]*(?:script_user|user)[ \t]+)[^\s{}]+(?:[ \t]+[^\s{}#!]+)?"
)
_NOTIFY = re.compile(r"(?m)^[ \t]*(?:vrrp_|lvs_)?notify[a-z_]*[ \t][^\n{}]*")
# A notify_fifo is no script, its notify_fifo_script is.
_NOTIFY_SCRIPT = re.compile(r"(?:vrrp_|lvs_)?notify(?!_fifo\Z)(?:_\w+)?\Z")
_INSECURE = re.compile(r"\bdue to insecure$")


def with_root_scripts(text: str) -> str:
    """Return the configuration with root as the user of every check, and without notify scripts.

    keepalived 2.2.7 says what it thinks of that to the end. Line numbers stay.
    """
    return _NOTIFY.sub("", _SCRIPT_USER.sub(r"\g<1>root", text))


def complaints_with_root_scripts(exit_code: int, output: str, path: str = "") -> tuple[str, ...]:
    """Return what is wrong with the configuration that ``with_root_scripts`` was made from.

    That a script is not safe for root to run says nothing about the user who really runs it.
    """
    return tuple(line for line in complaints(exit_code, output, path) if not _INSECURE.search(line))


def scripts(text: str, config_id: str = "") -> tuple[tuple[str, str], ...]:
    """Return (where it is named, path) of each program that a configuration names by its path.

    No version's ``keepalived -t`` says that a script is not executable, or that a notify script
    is missing; the daemon then disables it. Empty for a text that is no configuration.
    """
    try:
        statements = parse_tree(text, config_id).statements
    except ConfError:
        return ()
    return tuple(dict.fromkeys(_scripts(statements, "")))


def values_of(text: str, keywords: Iterable[str], config_id: str = "") -> set[str]:
    """Return the first value of each statement with one of these keywords, in whatever block.
    Empty for a text that is no configuration."""
    try:
        statements = parse_tree(text, config_id).statements
    except ConfError:
        return set()
    return set(_values(statements, frozenset(keywords)))


def _values(statements: Iterable[Statement], keywords: Collection[str]) -> Iterator[str]:
    for statement in statements:
        if statement.keyword in keywords and len(statement.words) > 1:
            yield statement.words[1]
        yield from _values(statement.block or (), keywords)


def _scripts(statements: Iterable[Statement], block: str) -> Iterator[tuple[str, str]]:
    for statement in statements:
        if statement.block is not None:
            yield from _scripts(statement.block, " ".join(statement.words[:2]))
        elif statement.keyword == "script" or _NOTIFY_SCRIPT.match(statement.keyword):
            words = shell_words(" ".join(shell_words(statement.text)[1:2]))
            if words and words[0].startswith("/"):
                yield f"{block}: {statement.keyword}", words[0]


# --- secrets --------------------------------------------------------------------------------------

# auth_pass and whatever resembles it, mistyped ones too; auth_type tells nothing.
_KEYWORD = re.compile(r"\bauth_(?!type\b|hmac\b)\w+\"?\s*")
_VALUE = re.compile(_KEYWORD.pattern + r"\"?([^\s\"{}]+)")
# A block whose lines are all secret, as the first word of a statement or of a definition.
_BLOCK = re.compile(rf"(?:^|[{{}}=])\s*(?:@\S+\s+)?\"?(?:{'|'.join(SECRET_BLOCKS)})\b\"?\s*")
_PUBLIC = re.compile(r"[\s{}]*(?:auth_type\s+(?:PASS|AH)\b)?[\s{}\\]*\Z")
_DEFINITION = re.compile(r"\s*(?:@\S+\s+)?\$([A-Za-z_][A-Za-z0-9_]*)=\s*")
_REFERENCE = re.compile(r"\$\{?([A-Za-z_][A-Za-z0-9_]*)")
_QUOTED = re.compile(r'"[^"]*"?')


def masked(text: str, config_id: str = "") -> str:
    """Return the configuration with what stands under auth_pass and auth_hmac hidden, for a diff.

    Covers comments, definitions (``$NAME=``) that a password is made of, several statements on a
    line and mistyped keywords in an ``authentication`` block: too much rather than too little.
    """
    lines = text.split("\n")
    # Index of a line -> where the secret begins in it.
    cuts = _authentication_cuts(lines)
    while True:
        names = {name for at in cuts for name in _REFERENCE.findall(lines[at][cuts[at] :])}
        more = _definition_cuts(lines, names)
        if more.keys() <= cuts.keys():
            break
        cuts = {**more, **cuts}
    values = secrets(text, config_id)
    return "\n".join(
        _cut(line, cuts[number])
        if number in cuts
        # The repetitions (~LST, ~SEQ) and definitions that only their expansion tells about.
        else (without_secrets(line, values) if "$" in line or "~" in line else line)
        for number, line in enumerate(lines)
    )


def _cut(line: str, at: int) -> str:
    tilde = line.find("~")
    at = at if tilde < 0 else min(at, tilde)
    return line[:at] + MASK if line[at:].strip() else line


def _authentication_cuts(lines: list[str]) -> dict[int, int]:
    cuts = {}
    inside = False
    for number, line in enumerate(lines):
        opening = _BLOCK.search(line)
        start = opening.end() if opening else 0
        rest = line[start:]
        keyword = _KEYWORD.search(rest)
        hidden = inside or opening
        if keyword and (not hidden or _PUBLIC.match(rest[: keyword.start()])):
            cuts[number] = start + keyword.end()
        elif hidden and not _PUBLIC.match(rest):
            cuts[number] = len(line) - len(rest.lstrip(" \t{"))
        if hidden:
            braces = _QUOTED.sub("", rest)
            following = lines[number + 1].lstrip() if number + 1 < len(lines) else ""
            inside = "}" not in braces and (inside or "{" in braces or following.startswith("{"))
    return cuts


def _definition_cuts(lines: list[str], names: set[str]) -> dict[int, int]:
    """The values of these definitions, which go on after a line that ends with a backslash."""
    cuts = {}
    goes_on = False
    for number, line in enumerate(lines):
        definition = None if goes_on else _DEFINITION.match(line)
        if goes_on or (definition and definition.group(1) in names):
            cuts[number] = definition.end() if definition else 0
            goes_on = line.rstrip().endswith("\\")
    return cuts


def secrets(text: str, config_id: str = "") -> frozenset[str]:
    """Return the words of a configuration that must not be seen, definitions expanded."""
    found = set(_VALUE.findall(text))
    # Where it is no configuration at all, what stands behind an auth_pass is known already.
    with contextlib.suppress(ConfError):
        found.update(_secret_words(parse_tree(text, config_id).statements, ""))
    parts = {part for word in found for part in (word, *word.split())}
    return frozenset(part for part in parts if part and not part.startswith("$"))


def _secret_words(statements: Iterable[Statement], block: str) -> Iterator[str]:
    for statement in statements:
        words = statement.words
        if _KEYWORD.match(statement.keyword) or (block == "auth_hmac" and len(words) > 1):
            yield from words[1:]
        elif block in SECRET_BLOCKS and statement.keyword != "auth_type":
            yield from words
        inner = statement.keyword if statement.keyword in SECRET_BLOCKS else block
        if inner == "auth_hmac" != block:
            yield from words[1:]
        yield from _secret_words(statement.block or (), inner)
