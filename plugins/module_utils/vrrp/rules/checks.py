# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks: whether they are defined, run, and can say anything."""

from __future__ import annotations

import collections
import difflib
import itertools
import re
from dataclasses import replace
from typing import Iterator, Sequence

from .. import commands, priority, versions
from ..estate import Estate, Judge, NodeInstance, entry_of, is_defined, names_of, place_of
from ..findings import OUTRANKED, Finding, Rule, Severity
from ..model import Check, CheckKind, Node, Track
from ..pairs import NO_FAILOVER
from ..words import dotted, listed, sentence

SCRIPT_UNDEFINED = Rule(
    "script-undefined",
    Severity.ERROR,
    harm="The daemon ignores a tracked check that is not defined: its failure moves nothing.",
    example="track_script {\n    chk_haproxy\n}\n# no vrrp_script chk_haproxy",
    fix="Define the check above the instance, or correct the name.",
    breaks=NO_FAILOVER,
    unless=OUTRANKED,
)


def script_undefined(estate: Estate) -> Iterator[Finding]:
    """A tracked check that is not defined."""
    for member in estate.members:
        for track in member.written:
            if not is_defined(member, track):
                defined = sorted(c.name for c in member.node.checks if c.kind is track.kind)
                known = f"defined are {listed(defined)}" if defined else "no such check is defined"
                yield member.finding(
                    SCRIPT_UNDEFINED,
                    f"{member} tracks {track.check}, which is not defined there ({known}); the "
                    "daemon ignores it, and its failure moves nothing",
                    _defined_or_near(member, track, defined),
                    place_of(track),
                )


def _defined_or_near(member: NodeInstance, track: Track, defined: Sequence[str]) -> str:
    """The name that was probably meant, unless it is tracked too."""
    tracked = {other.check for other in member.written}
    near = [n for n in difflib.get_close_matches(track.check, defined, 1, 0.7) if n not in tracked]
    define = f"define {track.check} above {member.instance.name} on {member}"
    correct = [f"write {name} instead of {track.check} on {member}" for name in near]
    return sentence(", or ".join((*correct, define)))


TRACK_UNSUPPORTED = Rule(
    "track-unsupported",
    Severity.ERROR,
    harm="This version of keepalived does not know the kind of check: its failure moves nothing.",
    example="track_process {\n    haproxy\n}\n# keepalived 2.0.10",
    fix="Use a newer keepalived, or a track_script.",
    breaks=NO_FAILOVER,
    unless=OUTRANKED,
)


def track_unsupported(estate: Estate) -> Iterator[Finding]:
    """A kind of check that the version does not know."""
    for member in estate.members:
        newest = replace(member.node, keepalived_version=versions.NEWEST)
        known = {(t.kind, t.check) for t in priority.counting_tracks(newest, member.instance)}
        for track in member.unused():
            if (track.kind, track.check) in known:
                yield member.finding(
                    TRACK_UNSUPPORTED,
                    f"keepalived {dotted(member.node.keepalived_version)} on {member} does not "
                    f"know {track.kind.value}: {track.check} is ignored, and its failure moves "
                    "nothing",
                    f"Update keepalived to {dotted(priority.KIND_SINCE[track.kind])} or later on "
                    f"{member} (or track a vrrp_script).",
                    place_of(track),
                )


def _verb(subject: Sequence[object], one: str, many: str) -> str:
    return one if len(subject) == 1 else many


NO_CHECK = Rule(
    "no-check",
    Severity.WARNING,
    harm="A node that tracks nothing keeps the address whatever happens to the service, as "
    "long as keepalived runs.",
    example="vrrp_instance VI_1 {\n    # no track_script, no track_file\n}",
    fix="Track the same checks on all nodes.",
)


def no_check(estate: Estate) -> Iterator[Finding]:
    """An instance that tracks nothing."""
    for router in estate.routers:
        idle = [member for member in router if not member.written]
        if idle:
            busy = [member for member in router if member.written]
            some = bool(busy)
            yield idle[0].finding(
                NO_CHECK,
                f"{names_of(idle)} {_verb(idle, 'tracks', 'track')} nothing"
                + (f", but {names_of(busy)} {_verb(busy, 'does', 'do')}" if some else ""),
                _tracked(busy[0].written, idle)
                if busy
                else "Track a vrrp_script that looks at the service, without a weight, on "
                f"{names_of(idle)}.",
                severity=None if some else Severity.INFO,
            )


def _tracked(tracks: Sequence[Track], members: Sequence[NodeInstance]) -> str:
    """These tracks on further nodes, weights as they are. Interfaces have other names there."""
    blocks: dict[str, list[str]] = {}
    for track in tracks:
        if track.kind is not CheckKind.INTERFACE or len(tracks) == 1:
            blocks.setdefault(track.kind.value, []).append(entry_of(track))
    where = names_of(members)
    return " ".join(f"Write {listed(e)} in {block} on {where}." for block, e in blocks.items())


CHECK_MISMATCH = Rule(
    "check-mismatch",
    Severity.WARNING,
    harm="A node does not look at something that another one looks at: it takes and keeps the "
    "address although that has failed.",
    example="lb1: track_script { chk_haproxy chk_disk }\nlb2: track_script { chk_haproxy }",
    fix="Track the same checks on all nodes.",
)


def check_mismatch(estate: Estate) -> Iterator[Finding]:
    """A check that one node tracks and another lacks. Interfaces have other names elsewhere."""
    for router in estate.routers:
        tracking = [member for member in router if member.written]
        for member, other in itertools.permutations(tracking, 2):
            missing = member.checks - other.checks
            # A check that has another name on the other node is not missing there.
            if len(missing) > len(other.checks - member.checks):
                tracks = [t for t in member.written if (t.kind, t.check) in missing]
                names = listed(sorted(track.check for track in tracks))
                yield other.finding(
                    CHECK_MISMATCH,
                    f"{other} does not track {names}, which {member} tracks",
                    _tracked(tracks, [other]),
                )
                break


TRACK_OWN_INTERFACE = Rule(
    "track-own-interface",
    Severity.WARNING,
    harm="The daemon drops the entry of the instance's own interface: its loss is a fault anyway, "
    "and a weight means nothing.",
    example="interface eth0\ntrack_interface {\n    eth0 weight -20\n}",
    fix="Remove the entry.",
)


def track_own_interface(estate: Estate) -> Iterator[Finding]:
    """A weight of the interface that the instance runs on."""
    for member in estate.members:
        for track in member.written:
            own = track.kind is CheckKind.INTERFACE and track.check == member.instance.interface
            if own and track.weight:
                yield member.finding(
                    TRACK_OWN_INTERFACE,
                    f"{track.check} is the interface of {member.instance.name} on {member}: the "
                    f"daemon ignores its weight {track.weight}, and loss of the link is a fault",
                    f"Remove {track.check} from track_interface on {member}.",
                    place_of(track),
                )


SCRIPT_TRACKED_TWICE = Rule(
    "script-tracked-twice",
    Severity.ERROR,
    harm="A script of weight 0 that both an instance and its sync group track leaves the whole "
    "group in FAULT for ever: since 2.0.0 the daemon waits for its first result twice and "
    "gets it once.",
    example="vrrp_sync_group G { group { VI_1 } track_script { chk_haproxy } }\n"
    "vrrp_instance VI_1 { track_script { chk_haproxy } }",
    fix="Track the script in one of the two places; the group's holds for all its members.",
    breaks=NO_FAILOVER,
)


def script_tracked_twice(estate: Estate) -> Iterator[Finding]:
    """A script without weight that an instance and its sync group both track."""
    for member in estate.members:
        group = priority.sync_group_of(member.node, member.instance)
        counted = collections.Counter((track.kind, track.check) for track in member.counting)
        for track in member.counting:
            if group is None or counted.pop((track.kind, track.check), 1) < 2:
                continue
            yield member.finding(
                SCRIPT_TRACKED_TWICE,
                f"{member.instance.name} and its sync group {group.name} both track {track.check} "
                f"on {member}: the daemon waits for two first results and counts one, so the group "
                "stays in FAULT for ever",
                f"Remove {track.check} from the track_script of {member.instance.name} on {member} "
                f"({group.name} tracks it for all its members).",
                place_of(track),
            )


SCRIPT_TIMEOUT_ABOVE_INTERVAL = Rule(
    "script-timeout-above-interval",
    Severity.WARNING,
    harm="No new run starts while one is under way: a check that hangs is noticed only after "
    "the timeout, not after the interval.",
    example="interval 2\ntimeout 10",
    fix="Set the timeout to at most the interval.",
)


def _script_finding(
    estate: Estate,
    node: Node,
    check: Check,
    rule: Rule,
    message: str,
    fix: str = "",
    keyword: str = "script",
    severity: Severity | None = None,
) -> Finding:
    line = estate.line(node, (check.name, keyword), ("vrrp_script", check.name))
    return rule.finding(
        message, fix, node=node.name, instance=check.name, line=line, severity=severity
    )


def script_timeout_above_interval(estate: Estate) -> Iterator[Finding]:
    """A check that may hang longer than its interval."""
    for node, check in estate.scripts:
        if check.timeout is not None and check.timeout > check.interval:
            yield _script_finding(
                estate,
                node,
                check,
                SCRIPT_TIMEOUT_ABOVE_INTERVAL,
                f"{check.name} may hang for {check.timeout:g} s (its timeout) although it should "
                f"run every {check.interval:g} s; a hanging check is noticed that much later",
                f"Set timeout to {check.interval:g} or less, or interval to {check.timeout:g}.",
                "timeout",
            )


SCRIPT_INTERVAL_FRACTION = Rule(
    "script-interval-fraction",
    Severity.ERROR,
    harm="keepalived before 2.3.2 takes whole seconds only and ignores any other interval or "
    "timeout: the check runs every second.",
    example="interval 0.5",
    fix="Use a whole number of seconds; for a faster reaction use a track_file.",
    unproven="The address moves, only later than the number says.",
)


def script_interval_fraction(estate: Estate) -> Iterator[Finding]:
    """Part of a second where only whole ones count."""
    for node, check in estate.scripts:
        if node.keepalived_version >= versions.FRACTIONS_SINCE:
            continue
        for keyword, value in (("interval", check.interval), ("timeout", check.timeout or 0)):
            if value != int(value):
                yield _script_finding(
                    estate,
                    node,
                    check,
                    SCRIPT_INTERVAL_FRACTION,
                    f"keepalived {dotted(node.keepalived_version)} ignores {keyword} {value:g} of "
                    f"{check.name}",
                    f"Use {keyword} {max(1, round(value))}.",
                    keyword,
                )


SCRIPT_TOO_SLOW = Rule(
    "script-too-slow",
    Severity.ERROR,
    harm="The command needs longer than its timeout, so every run counts as a failure.",
    example='script "/bin/ping -c 2 192.0.2.1"\ninterval 1',
    fix="Let the command end well within the timeout, or raise interval and timeout.",
    unproven="The check fails on all nodes alike, and a node whose check fails is not "
    "expected to hold the address.",
)


def script_too_slow(estate: Estate) -> Iterator[Finding]:
    """A command that cannot end within its timeout: several pings, a sleep."""
    for node, check in estate.scripts:
        needs = commands.least_seconds(check.command)
        allowed = check.timeout or check.interval
        if needs and needs >= allowed:
            yield _script_finding(
                estate,
                node,
                check,
                SCRIPT_TOO_SLOW,
                f"{check.name} needs at least {needs} s and is stopped after {allowed:g} s: it "
                "always fails",
                f"Set interval and timeout to {needs + 1} or more (or make the command faster).",
            )


SCRIPT_SHELL_OPERATORS = Rule(
    "script-shell-operators",
    Severity.ERROR,
    harm="The daemon starts the command without a shell: |, &&, ;, >, $(...) and /dev/tcp are "
    "handed to the program as words, and sh -c takes one word only. Such a check fails always, or "
    "what it says means nothing. Where it always passes, that is a warning.",
    example='script "pidof haproxy || exit 1"',
    fix="Put the command into a script file, or write /bin/sh -c '...' around it.",
    unproven="A check that always fails keeps every node from the address, and a node whose check "
    "fails is not expected to hold it.",
)


def script_shell_operators(estate: Estate) -> Iterator[Finding]:
    """A command that only a shell would understand."""
    for node, check in estate.scripts:
        fault = commands.fault_of(check.command)
        if fault and fault.effect is not commands.Effect.DROPPED:
            passes = fault.effect is commands.Effect.PASSES
            yield _script_finding(
                estate,
                node,
                check,
                SCRIPT_SHELL_OPERATORS,
                f"in the command of {check.name} {fault.word!r} {fault.problem}: "
                f"{fault.effect.value}",
                _mended(node, check),
                severity=Severity.WARNING if passes else None,
            )


def _mended(node: Node, check: Check) -> str:
    """The command as the daemon can run it."""
    if commands.lacks_arguments(check.command):
        return (
            f"Write the arguments of {check.command} in the same quotes in vrrp_script "
            f"{check.name} on {node.name}."
        )
    command = commands.mended(check.command)
    if node.keepalived_version >= versions.LINKED_PATHS_REFUSED_SINCE:
        command = re.sub(r"\A/bin/", "/usr/bin/", command)
    if command:
        return f'Write script "{command}" in vrrp_script {check.name} on {node.name}.'
    return (
        f"Put the command of vrrp_script {check.name} on {node.name} into a file that root alone "
        "can write, and name this file as its script."
    )


SCRIPT_NO_PROGRAM = Rule(
    "script-no-program",
    Severity.ERROR,
    harm="The first word of the command is no program (! or typographic quotes): the daemon drops "
    "the check, and its failure moves nothing.",
    example='script "! pidof haproxy"',
    fix="Write the full path of a program, in plain double quotes.",
    breaks=NO_FAILOVER,
    unless=OUTRANKED,
)


def script_no_program(estate: Estate) -> Iterator[Finding]:
    """A command whose first word cannot be a program."""
    for member in estate.members:
        for track in member.written:
            check = member.script(track)
            fault = check and commands.fault_of(check.command)
            if check and fault and fault.effect is commands.Effect.DROPPED:
                yield member.finding(
                    SCRIPT_NO_PROGRAM,
                    f"{fault.word!r}, the first word of {check.name} on {member}, {fault.problem}: "
                    "the daemon drops the check, and its failure moves nothing",
                    _mended(member.node, check),
                    place_of(track),
                )


SCRIPT_PATH_LINKED = Rule(
    "script-path-linked",
    Severity.WARNING,
    harm="From 2.3.0 on the daemon drops a check that root runs if a folder of its path is a "
    "symbolic link, as /bin and /sbin are on today's distributions: its failure moves nothing.",
    example='# keepalived 2.3.3 on Debian 13\nscript "/bin/ping -c 1 192.0.2.1"\nuser root',
    fix="Write the path below /usr, or let another user run the check.",
)


def script_path_linked(estate: Estate) -> Iterator[Finding]:
    """A program below /bin or /sbin that root runs."""
    for node, check in estate.scripts:
        program = check.command.split(" ")[0]
        as_root = (check.user or node.script_user or "root") == "root"
        newer = node.keepalived_version >= versions.LINKED_PATHS_REFUSED_SINCE
        if newer and as_root and program.startswith(("/bin/", "/sbin/")):
            yield _script_finding(
                estate,
                node,
                check,
                SCRIPT_PATH_LINKED,
                f"keepalived {dotted(node.keepalived_version)} drops {check.name} where "
                f"{program.rpartition('/')[0]} is a symbolic link, as on Debian 13",
                f'Write script "/usr{check.command}" in vrrp_script {check.name} on {node.name}.',
            )


SCRIPT_SECURITY = Rule(
    "script-security",
    Severity.WARNING,
    harm="Checks can run as root, or are dropped without a word where the daemon finds no user "
    "to run them as.",
    example="# neither enable_script_security nor script_user in global_defs",
    fix="Write enable_script_security and script_user (an unprivileged user) in global_defs.",
)


def script_security(estate: Estate) -> Iterator[Finding]:
    """Checks of which nobody says who runs them."""
    by_node: dict[str, tuple[Node, list[Check]]] = {}
    for node, check in estate.scripts:
        if check.command:
            by_node.setdefault(node.name, (node, []))[1].append(check)
    for node, scripts in by_node.values():
        anonymous = [check.name for check in scripts if not (check.user or node.script_user)]
        rooted = [c.name for c in scripts if (c.user or node.script_user) == "root"]
        message = ""
        if anonymous and node.script_security:
            message = (
                f"{listed(anonymous)} {_verb(anonymous, 'has', 'have')} no user: unless a user "
                f"keepalived_script exists on {node.name}, the daemon removes "
                f"{_verb(anonymous, 'it', 'them')}"
            )
        elif anonymous:
            message = (
                f"{listed(anonymous)} {_verb(anonymous, 'has', 'have')} no user: unless a user "
                f"keepalived_script exists on {node.name}, "
                f"{_verb(anonymous, 'it runs', 'they run')} as root"
            )
        elif rooted and not node.script_security:
            message = (
                f"{listed(rooted)} {_verb(rooted, 'runs', 'run')} as root on {node.name} without "
                "enable_script_security"
            )
        if message:
            removed = bool(anonymous) and node.script_security
            where = [("", "script_user"), ("vrrp_script", scripts[0].name)]
            yield SCRIPT_SECURITY.finding(
                message,
                "Write enable_script_security and script_user (an unprivileged user) in "
                f"global_defs on {node.name}.",
                node=node.name,
                line=estate.line(node, *where),
                severity=Severity.ERROR if removed else None,
            )


RULES: dict[Rule, Judge] = {
    SCRIPT_UNDEFINED: script_undefined,
    TRACK_UNSUPPORTED: track_unsupported,
    NO_CHECK: no_check,
    CHECK_MISMATCH: check_mismatch,
    TRACK_OWN_INTERFACE: track_own_interface,
    SCRIPT_TRACKED_TWICE: script_tracked_twice,
    SCRIPT_TIMEOUT_ABOVE_INTERVAL: script_timeout_above_interval,
    SCRIPT_INTERVAL_FRACTION: script_interval_fraction,
    SCRIPT_TOO_SLOW: script_too_slow,
    SCRIPT_SHELL_OPERATORS: script_shell_operators,
    SCRIPT_NO_PROGRAM: script_no_program,
    SCRIPT_PATH_LINKED: script_path_linked,
    SCRIPT_SECURITY: script_security,
}
