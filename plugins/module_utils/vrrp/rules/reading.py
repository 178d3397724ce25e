# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a reader of a keepalived.conf can meet; the reader raises them."""

from __future__ import annotations

from ..findings import OUTRANKED, Rule, Severity
from ..pairs import NO_FAILOVER

SCRIPT_ORDER = Rule(
    "script-order",
    Severity.ERROR,
    harm="The daemon reads the file once: a check that is defined below the instance that "
    "tracks it is ignored.",
    example="vrrp_instance VI_1 { track_script { chk } }\nvrrp_script chk { ... }",
    fix="Move the definition above the vrrp_instance.",
    breaks=NO_FAILOVER,
    unless=OUTRANKED,
)

SCRIPT_ARGUMENTS_UNQUOTED = Rule(
    "script-arguments-unquoted",
    Severity.ERROR,
    harm="Only the first word after script is used: a command that is not in quotes runs "
    "without its arguments.",
    example="script /usr/bin/killall -0 haproxy",
    fix='Put quotes around the whole command: script "/usr/bin/killall -0 haproxy".',
    unproven="The search takes a check at its word; it cannot see what a command does.",
)

SCRIPT_MISSING_COMMAND = Rule(
    "script-missing-command",
    Severity.ERROR,
    harm="The daemon removes a vrrp_script without a script: its failure moves nothing.",
    example="vrrp_script chk_haproxy {\n    interval 2\n}",
    fix="Write the command to run.",
    breaks=NO_FAILOVER,
    unless=OUTRANKED,
)

MASTER_WITHOUT_PRIORITY = Rule(
    "master-without-priority",
    Severity.ERROR,
    harm="state MASTER without a priority makes the node the address owner, priority 255: "
    "weighted checks and nopreempt are dropped.",
    example="vrrp_instance VI_1 {\n    state MASTER\n    # no priority\n}",
    fix="Write the priority down: any number from 1 to 254.",
    unproven="Checks of weight 0 still move the address; weighted ones are reported as "
    "address-owner-with-weight.",
)

STATE_LOWERCASE = Rule(
    "state-lowercase",
    Severity.WARNING,
    harm="The daemon knows MASTER and BACKUP in capitals only; anything else is BACKUP.",
    example="state master",
    fix="Write state BACKUP (best on all nodes) or state MASTER.",
)

UNKNOWN_KEYWORD = Rule(
    "unknown-keyword",
    Severity.ERROR,
    harm="The daemon skips a line that it does not know: the setting is not there. The braces "
    "of an unknown block end the block around it early.",
    example="vrrp_instance VI_1 {\n    prioritty 90\n}",
    fix="Correct the keyword, or remove the line.",
    unproven="What the line was meant to do is not known.",
)

VALUE_MISSING = Rule(
    "value-missing",
    Severity.ERROR,
    harm="A keyword without the value that it needs ends the daemon, with all its instances.",
    example="vrrp_instance VI_1 {\n    priority\n}",
    fix="Write the value, or remove the line.",
    unproven="The daemon does not start, so this node is no part of the search.",
)

TRAILING_WORDS = Rule(
    "trailing-words",
    Severity.INFO,
    harm="The daemon reads no more of the line than the value. Where a flag is followed by no, off "
    "or false it is set all the same; that is a warning.",
    example="nopreempt false",
    fix="Remove the words, or make them a comment with # or !.",
)

FAMILY_MIXED = Rule(
    "family-mixed",
    Severity.ERROR,
    harm="An instance has one address family, that of its first address: addresses of the other "
    "one are never set.",
    example="virtual_ipaddress {\n    192.0.2.100/24\n    2001:db8::100/64\n}",
    fix="Make an instance for each family, or write the other family in "
    "virtual_ipaddress_excluded.",
    unproven="An address that is never set is no part of the search.",
)

INVALID_VALUE = Rule(
    "invalid-value",
    Severity.ERROR,
    harm="The daemon ignores a value that it cannot read and uses its default.",
    example="preempt_delay soon",
    fix="Use a value that keepalived.conf(5) names.",
    unproven="The default can be good enough.",
)

DUPLICATE_NAME = Rule(
    "duplicate-name",
    Severity.ERROR,
    harm="The second block of the same name is ignored.",
    example="vrrp_instance VI_1 { ... }\nvrrp_instance VI_1 { ... }",
    fix="Give every block a name of its own.",
    unproven="The search sees the first block, as the daemon does.",
)

SYNTAX = Rule(
    "syntax",
    Severity.ERROR,
    harm="The file is not put together as the daemon reads it: what follows can be lost.",
    example="vrrp_instance VI_1 {\n    priority 100\n# the closing brace is missing",
    fix="Balance braces and quotes.",
    unproven="What the rest of the file was meant to say is not known.",
)

TEMPLATE_UNRENDERED = Rule(
    "template-unrendered",
    Severity.ERROR,
    harm="The text is a template: what the daemon will read is not known, so nothing was judged.",
    example="priority {{ keepalived_priority }}",
    fix="Give the file that the template makes.",
    unproven="What the file will say is not known.",
)

MISSING_INCLUDE = Rule(
    "missing-include",
    Severity.ERROR,
    harm="The included file was not given, so this judgement leaves it out; the daemon itself "
    "skips a missing file without an error.",
    example="include /etc/keepalived/conf.d/*.conf",
    fix="Give the whole text, or make it one file.",
    unproven="What the included file says is not known.",
)

CONDITIONAL_SKIPPED = Rule(
    "conditional-skipped",
    Severity.INFO,
    harm="Lines that start with @name hold only where the daemon's config id is that name, "
    "which is the host's name unless keepalived is started with -i.",
    example="@main priority 150",
    fix="Judge each file under the name its node really has.",
)

RULES = (
    SCRIPT_ORDER,
    SCRIPT_ARGUMENTS_UNQUOTED,
    SCRIPT_MISSING_COMMAND,
    MASTER_WITHOUT_PRIORITY,
    STATE_LOWERCASE,
    UNKNOWN_KEYWORD,
    VALUE_MISSING,
    TRAILING_WORDS,
    FAMILY_MIXED,
    INVALID_VALUE,
    DUPLICATE_NAME,
    SYNTAX,
    TEMPLATE_UNRENDERED,
    MISSING_INCLUDE,
    CONDITIONAL_SKIPPED,
)
