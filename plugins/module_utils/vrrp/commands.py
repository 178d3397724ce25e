# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands of checks as keepalived runs them: without a shell, the first word is the program.

Nothing is run here. What is found can be seen in the words: operators and redirections that reach
the program as arguments, words that are no program, ``sh -c`` that takes one word of several.
"""

from __future__ import annotations

import enum
import functools
import re
import shlex
from dataclasses import dataclass

from .model import Check

# keepalived reads no longer line.
_READ = 1024
_SHELLS = frozenset(("sh", "bash", "dash", "ash", "ksh", "zsh"))
_OPERATOR = re.compile(r"(\|\|?|&&?|;|\d*[<>].*|&>.*|\$\(.*|.*;|[^'\"]*`.*)\Z", re.DOTALL)
_TYPOGRAPHIC = frozenset("\u2018\u2019\u201a\u201c\u201d\u201e\u00ab\u00bb")
_SLOW = re.compile(
    r"(?:\S*/)?(?:ping6?\b.*?\s-c\s*(?P<pings>\d{1,6})|sleep\s+(?P<sleep>\d{1,6}))\b"
)
_SHELL_SCRIPT = re.compile(rf"(?:\S*/)?(?:{'|'.join(sorted(_SHELLS))})\s+-c\s+(?P<script>.*)\Z")
# Words that only a shell understands.
_NO_PROGRAM = frozenset(
    ("!", "[[", "((", "if", "for", "while", "exit", "source", ".", "cd", "exec")
)
_LACKING = "wants arguments"
# Programs that fail when they are given operators as arguments, or no argument at all.
_TESTS = frozenset(("[", "test"))
_STRICT = _TESTS | {"killall"}
_WANT_ARGUMENTS = _STRICT | {"pidof", "pgrep", "grep", "nc", "curl", "wget", "ping"}
# Programs to which everything is an argument to print or to overlook.
_ALWAYS_PASS = frozenset(("echo", "true", "printf", ":"))


class Effect(enum.Enum):
    """What becomes of a check whose command is written so."""

    DROPPED = "the daemon finds no such program and drops the check"
    FAILS = "the check always fails"
    PASSES = "the check always passes"
    UNCLEAR = "what the check says means nothing"


@dataclass(frozen=True)
class Fault:
    """What is wrong with a command: ``word`` is the one to look at."""

    word: str
    problem: str
    effect: Effect


@functools.lru_cache(maxsize=1024)
def fault_of(command: str) -> Fault | None:
    """What keeps the command from doing what it seems to say, None if nothing shows."""
    try:
        words = shlex.split(command[:_READ], posix=False)
    except ValueError:
        words = command[:_READ].split()
    if not words:
        return None
    program = words[0].rpartition("/")[2]
    first = _fault_of_first_word(words[0])
    if first:
        return first
    if program in _SHELLS:
        return _fault_of_shell(program, words[1:])
    if len(words) == 1 and program in _WANT_ARGUMENTS:
        return Fault(program, _LACKING, Effect.FAILS)
    operators = [word for word in words[1:] if _OPERATOR.match(word)]
    if not operators:
        return None
    effect = Effect.UNCLEAR
    if program in _ALWAYS_PASS:
        effect = Effect.PASSES
    elif program in _STRICT:
        effect = Effect.FAILS
    return Fault(operators[0], "is for a shell, but no shell reads it", effect)


def _fault_of_first_word(word: str) -> Fault | None:
    if word[0] in _TYPOGRAPHIC:
        return Fault(word, "stands in typographic quotes", Effect.DROPPED)
    if word in _NO_PROGRAM:
        return Fault(word, "is a word of the shell, no program", Effect.DROPPED)
    if _OPERATOR.match(word):
        return Fault(word, "is for a shell, but no shell reads it", Effect.FAILS)
    return None


def mended(command: str) -> str:
    """The command in a shell, or in plain quotes; empty where that does not mend it."""
    if lacks_arguments(command):
        return ""
    plain = command.strip("".join(_TYPOGRAPHIC))
    for candidate in (plain, _in_shell(plain)):
        if candidate != command and '"' not in candidate and fault_of(candidate) is None:
            return candidate
    return ""


def lacks_arguments(command: str) -> bool:
    """Whether the program stands alone and fails without arguments."""
    fault = fault_of(command)
    return fault is not None and fault.problem == _LACKING


def _in_shell(command: str) -> str:
    found = _SHELL_SCRIPT.match(command)
    script = found["script"].strip("'") if found else command
    shell = "/bin/bash" if "/dev/tcp/" in script else "/bin/sh"
    return command if "'" in script else f"{shell} -c '{script}'"


def least_seconds(command: str) -> int:
    """How long the command runs at least: several pings, a sleep. One second is between pings."""
    found = _SLOW.match(command)
    if not found:
        return 0
    return int(found["sleep"] or 0) or int(found["pings"] or 1) - 1


def never_passes(check: Check) -> bool:
    """Whether the script fails whatever the state of the service."""
    fault = fault_of(check.command)
    fails = fault is not None and fault.effect is Effect.FAILS
    return fails or 0 < (check.timeout or check.interval) <= least_seconds(check.command)


def is_dropped(command: str) -> bool:
    """Whether the daemon finds no program to run and drops the check."""
    fault = fault_of(command)
    return fault is not None and fault.effect is Effect.DROPPED


def _fault_of_shell(program: str, arguments: list[str]) -> Fault | None:
    if "-c" not in arguments[:-1]:
        return None
    script, *rest = arguments[arguments.index("-c") + 1 :]
    if "/dev/tcp/" in script and program in ("sh", "dash", "ash"):
        return Fault(script, "is known to bash, not to sh", Effect.FAILS)
    if not rest:
        return None
    fails = script.rpartition("/")[2] in _WANT_ARGUMENTS
    return Fault(
        script,
        f"is all that {program} -c takes; the rest of the line needs to be in the same quotes",
        Effect.FAILS if fails else Effect.UNCLEAR,
    )
