# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Random texts as people write them, read by the validator and by real daemons.

A case is a pair that would work, written in a random layout, with one or two quirks: what people
forget, misspell, put on one line, or bring along from another program. The daemons decide who holds
what when both are started, and when the holder is lost; the validator has to say the same.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Callable, FrozenSet, Mapping

from ansible_collections.mycat.ha.plugins.module_utils.keepalived.reader import parse_cluster
from ansible_collections.mycat.ha.plugins.module_utils.vrrp import events
from ansible_collections.mycat.ha.plugins.module_utils.vrrp.hearing import plain_address
from ansible_collections.mycat.ha.plugins.module_utils.vrrp.validate import Report, validate

from .daemon import Daemon
from .lab import INTERFACE, Lab, LabError

VIPS = ("192.0.2.100", "192.0.2.101", "192.0.2.102")
ADDRESSES = {"lb1": "192.0.2.11", "lb2": "192.0.2.12"}

Holders = Mapping[str, FrozenSet[str]]


@dataclass
class Draft:
    """The file of one node before it is laid out: lines of each block, in order."""

    peer: str
    own: str
    globals: list[str] = field(default_factory=lambda: ["vrrp_version 3"])
    script: list[str] = field(
        default_factory=lambda: ['script "/usr/bin/test -e /etc"', "interval 1", "weight 0"]
    )
    settings: list[str] = field(default_factory=list)
    addresses: list[str] = field(default_factory=lambda: [f"{VIPS[0]}/24"])
    peers: list[str] | None = None
    tracked: list[str] = field(default_factory=lambda: ["chk"])
    # Blocks after the instance, and lines in front of everything.
    behind: list[str] = field(default_factory=list)
    before: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class TextCase:
    """Two texts, and what is odd about them."""

    seed: int
    texts: Mapping[str, str]
    quirks: tuple[str, ...]


@dataclass(frozen=True)
class Verdict:
    """What both sides say of a case: who holds what, and whose daemon ended."""

    case: TextCase
    expected: tuple[Holders, ...]
    seen: tuple[Holders, ...]
    ended: frozenset[str]
    report: Report
    log: str = ""

    @property
    def agrees(self) -> bool:
        """Whether the holders are the same, and each ended daemon is an error."""
        errors = {item.node for item in self.report.findings if item.severity.value == "error"}
        return (self.expected == self.seen or self.depends) and self.ended <= errors

    @property
    def depends(self) -> bool:
        """Whether the validator says that a check depends on the links in the node's folders, of
        which it knows nothing: then it takes the check for one that runs."""
        return any(item.id == "script-path-linked" for item in self.report.findings)


# --- quirks: each changes one draft, or both ------------------------------------------------------

Quirk = Callable[[random.Random, "list[Draft]"], None]


def _one(change: Callable[[random.Random, Draft], None]) -> Quirk:
    return lambda rng, drafts: change(rng, rng.choice(drafts))


def _both(change: Callable[[random.Random, Draft], None]) -> Quirk:
    def quirk(rng: random.Random, drafts: list[Draft]) -> None:
        state = rng.getstate()
        for draft in drafts:
            rng.setstate(state)
            change(rng, draft)

    return quirk


def _replace(lines: list[str], keyword: str, line: str | None) -> None:
    lines[:] = [
        new for old in lines for new in ([line] if old.split()[0] == keyword else [old]) if new
    ]


def _setting(keyword: str, *lines: str | None) -> Callable[[random.Random, Draft], None]:
    def change(rng: random.Random, draft: Draft) -> None:
        line = rng.choice(lines)
        if any(old.split()[0] == keyword for old in draft.settings):
            _replace(draft.settings, keyword, line)
        elif line:
            draft.settings.insert(rng.randint(0, len(draft.settings)), line)

    return change


def _script(*lines: str) -> Callable[[random.Random, Draft], None]:
    return lambda rng, draft: _replace(draft.script, "script", f"script {rng.choice(lines)}")


def _addresses(*lists: tuple[str, ...]) -> Callable[[random.Random, Draft], None]:
    def change(rng: random.Random, draft: Draft) -> None:
        draft.addresses = list(rng.choice(lists))

    return change


def _peers(rng: random.Random, draft: Draft) -> None:
    draft.peers = [draft.peer]


def _unicast(rng: random.Random, drafts: list[Draft]) -> None:
    with_source = rng.random() < 0.5
    copied = not with_source and rng.random() < 0.5
    for draft in drafts:
        draft.peers = [draft.own, draft.peer] if copied else [draft.peer]
        if with_source:
            draft.settings.append(f"unicast_src_ip {draft.own}")


def _time_to_live(rng: random.Random, drafts: list[Draft]) -> None:
    limits = rng.choice(("min_ttl 255", "max_ttl 255 min_ttl 255", "min_ttl 256", "min_ttl", ""))
    for draft in drafts:
        draft.peers = [f"{draft.peer} {limits}"]
    if rng.random() < 0.7:
        rng.choice(drafts).settings.append(rng.choice(("unicast_ttl 64", "unicast_ttl 300")))


def _append(attribute: str, *lines: str) -> Callable[[random.Random, Draft], None]:
    return lambda rng, draft: getattr(draft, attribute).append(rng.choice(lines))


# Programs in folders that both unpacked releases have, and that are no symbolic links.
QUIRKS: dict[str, Quirk] = {
    "label": _both(_addresses((f"{VIPS[0]}/24 dev {INTERFACE} label {INTERFACE}:1",))),
    "label on one": _one(_addresses((f"{VIPS[0]}/24 label {INTERFACE}:1",))),
    "several addresses": _both(_addresses(tuple(f"{vip}/24" for vip in VIPS), VIPS[:2])),
    "two on a line": _both(_addresses((f"{VIPS[0]}/24 {VIPS[1]}/24",), (f"{VIPS[0]}, {VIPS[1]}",))),
    "odd prefix": _both(_addresses((f"{VIPS[0]}/33",), (f"{VIPS[0]}/24,",), (f"{VIPS[0]}/x",))),
    "netmask": _both(_addresses((f"{VIPS[0]} 255.255.255.0",))),
    "address twice": _one(_addresses((f"{VIPS[0]}/24", f"{VIPS[0]}/24"))),
    "no prefix on one": _one(_addresses((VIPS[0],))),
    "another address": _one(_addresses((f"{VIPS[1]}/24",), (f"{VIPS[0]}/24", f"{VIPS[1]}/24"))),
    "no priority": _one(_setting("priority", None)),
    "odd priority": _one(
        _setting(
            "priority",
            "priority 0",
            "priority 256",
            "priority 90;",
            "priority = 90",
            "priority 254",
            "priority +90",
            'priority "90"',
            "priority 090",
        )
    ),
    "equal priority": _both(_setting("priority", "priority 100")),
    "owner": _one(_setting("priority", "priority 255")),
    "state": _one(
        _setting(
            "state", None, "state master", "state MASTER", "state BACKUP // standby", "state SLAVE"
        )
    ),
    "nopreempt": _one(_setting("nopreempt", "nopreempt", "nopreempt false", "nopreempt on")),
    "no router id": _one(_setting("virtual_router_id", None, "virtual_router_id 0")),
    "odd router id": _one(
        _setting(
            "virtual_router_id",
            "virtual_router_id 51;",
            "virtual_router_id 256",
            "virtual_router_id 52",
            "virtual_router_id 0x33",
        )
    ),
    "no interface": _one(_setting("interface", None)),
    "quoted interface": _both(_setting("interface", f'interface "{INTERFACE}"')),
    "odd interval": _one(
        _setting(
            "advert_int",
            None,
            "advert_int 0.1s",
            "advert_int 1000",
            "advert_int 0.3",
            "advert_int 0",
            "advert_int 0.005",
        )
    ),
    "version": _one(_setting("version", "version 2", "version 3", "version 4")),
    "unicast": _unicast,
    "unicast on one": _one(_peers),
    "time to live": _time_to_live,
    "asked for sources": _both(_append("globals", "vrrp_check_unicast_src")),
    "peers on a line": _both(
        lambda _rng, draft: setattr(draft, "peers", [f"{draft.peer} 192.0.2.13"])
    ),
    "host names": _one(lambda _rng, draft: setattr(draft, "peers", ["lb2.example.org"])),
    "foreign source": _one(_append("settings", "unicast_src_ip 192.0.2.77")),
    "multicast group": _one(
        _append("settings", "mcast_dst_ip 224.0.0.50", "mcast_dst_ip 192.0.2.9")
    ),
    "global group": _one(_append("globals", "vrrp_mcast_group4 224.0.0.51")),
    "password": _one(
        _append("settings", "authentication {\nauth_type PASS\nauth_pass 1111\n}", "auth_pass 1111")
    ),
    "misspelt block": _one(
        lambda rng, draft: draft.settings.insert(
            rng.randint(0, len(draft.settings)), "autentication {\nauth_type PASS\nauth_pass 1\n}"
        )
    ),
    "misspelt keyword": _one(_append("settings", "prioritty 9", "nopremept", "advert_interval 1")),
    "later keyword": _one(_append("settings", "auth_hmac {\nkey 1 abc\n}", "timer_expired_backup")),
    "no value": _one(
        _append("settings", "garp_master_delay", "priority", "smtp_alert", "preempt_delay")
    ),
    "unit": _one(_append("settings", "garp_master_delay 5 seconds", "preempt_delay 1s")),
    "shell": _both(
        _script(
            '"/usr/bin/test -e /etc && exit 0"',
            '"! /usr/bin/test -e /nowhere"',
            '"</dev/tcp/127.0.0.1/80"',
            '"/usr/bin/test -e /etc > /dev/null"',
            '"/bin/echo ok > /dev/null"',
            "“/bin/true”",
            '''"/bin/sh -c 'test -e /etc && exit 0'"''',
        )
    ),
    "shell on one": _one(_script('"/usr/bin/test -e /etc || exit 1"', '"[ -e /etc ]"', '"exit 0"')),
    "unquoted script": _both(_script("/usr/bin/test -e /etc")),
    "no script": _one(lambda _rng, draft: _replace(draft.script, "script", None)),
    "weight": _both(
        lambda rng, draft: _replace(
            draft.script,
            "weight",
            rng.choice(("weight -20", "weight 20", "weight -20abc", "weight 300")),
        )
    ),
    "weight on one": _one(lambda _rng, draft: _replace(draft.script, "weight", "weight 30")),
    "tracked oddly": _one(
        lambda rng, draft: setattr(
            draft,
            "tracked",
            [
                rng.choice(
                    (
                        "chk -20",
                        "chk // local",
                        "chk weight",
                        "chk weight 0",
                        '"chk"',
                        "other",
                    )
                )
            ],
        )
    ),
    "no check": _one(lambda _rng, draft: draft.tracked.clear()),
    "own interface": _one(
        _append(
            "settings",
            f"track_interface {{\n{INTERFACE} weight -20\n}}",
            f"track_interface {{\n{INTERFACE}\n}}",
        )
    ),
    "sync group": _both(
        _append(
            "behind",
            "vrrp_sync_group G {\ngroup {\nVI_1\nVI_9\n}\n}",
            "vrrp_sync_group G {\ngroup {\nVI_1\n}\n}",
        )
    ),
    "second instance": _one(
        lambda rng, draft: draft.behind.append(
            f"vrrp_instance VI_2 {{\ninterface {INTERFACE}\nvirtual_router_id "
            f"{rng.choice((51, 52))}\nvirtual_ipaddress {{\n{VIPS[1]}/24\n}}\n}}"
        )
    ),
    "instance twice": _one(
        _append("behind", f"vrrp_instance VI_1 {{\ninterface {INTERFACE}\nvirtual_router_id 52\n}}")
    ),
    "strict": _both(_append("globals", "vrrp_strict")),
    "byte order mark": _one(_append("before", "\ufeff")),
    "unknown block": _one(
        _append("before", "vrrp_scripts x {\ninterval 1\n}", "virtual_serv x {\na\n}")
    ),
    "LVS": _both(_append("behind", "virtual_server 192.0.2.200 80 {\ndelay_loop 6\n}")),
    "open block": _one(_append("behind", "vrrp_script late {")),
    "closing brace": _one(_append("behind", "}")),
}


# --- making a case --------------------------------------------------------------------------------


def make(seed: int) -> TextCase:
    """The case of ``seed``."""
    rng = random.Random(seed)  # noqa: S311 - nothing secret: cases to be had again
    drafts = [_draft(name, priority) for name, priority in (("lb1", 100), ("lb2", 90))]
    quirks = rng.sample(sorted(QUIRKS), rng.choice((1, 1, 2)))
    for name in quirks:
        QUIRKS[name](rng, drafts)
    texts = {name: _laid_out(rng, draft) for name, draft in zip(ADDRESSES, drafts)}
    return TextCase(seed, texts, tuple(quirks))


def _draft(name: str, priority: int) -> Draft:
    own = ADDRESSES[name]
    peer = next(address for address in ADDRESSES.values() if address != own)
    draft = Draft(peer, own)
    draft.settings = [
        "state BACKUP",
        f"interface {INTERFACE}",
        "virtual_router_id 51",
        f"priority {priority}",
        "advert_int 0.1",
    ]
    return draft


def _laid_out(rng: random.Random, draft: Draft) -> str:
    """The draft as a text, in the layout of somebody."""
    indent = rng.choice(("    ", "\t", " ", ""))
    settings = list(draft.settings)
    blocks = [("virtual_ipaddress", draft.addresses)]
    if draft.tracked:
        blocks.append(("track_script", draft.tracked))
    if draft.peers is not None:
        blocks.append(("unicast_peer", draft.peers))
    rng.shuffle(blocks)
    for name, entries in blocks:
        if len(entries) == 1 and rng.random() < 0.2:
            settings.append(f"{name} {{ {entries[0]} }}")
        else:
            settings.append("\n".join((f"{name} {{", *entries, "}")))
    parts = [
        *draft.before,
        *_block(rng, "global_defs", draft.globals),
        *_block(rng, "vrrp_script chk", draft.script),
        *_block(rng, "vrrp_instance VI_1", settings),
        *draft.behind,
    ]
    lines = []
    for line in "\n".join(parts).split("\n"):
        if rng.random() < 0.08:
            lines.append(rng.choice(("", "# priority 9", "! a remark", "   ")))
        comment = rng.choice(("  # as it was", " ! mind", "")) if rng.random() < 0.1 else ""
        lines.append(indent * (line[:1] not in "vg}") + line + comment)
    end = "\r\n" if rng.random() < 0.05 else "\n"
    return end.join(lines).replace("\ufeff" + end, "\ufeff") + end


def _block(rng: random.Random, head: str, lines: list[str]) -> list[str]:
    opening = [head, "{"] if rng.random() < 0.1 else [f"{head} {{"]
    return [*opening, *lines, "}"]


def covering() -> list[TextCase]:
    """A case with each quirk alone, and as many with two."""
    alone: dict[str, TextCase] = {}
    pairs: list[TextCase] = []
    for seed in range(10_000):
        case = make(seed)
        if len(case.quirks) == 1:
            alone.setdefault(case.quirks[0], case)
        elif len(pairs) < 20:
            pairs.append(case)
        if len(alone) == len(QUIRKS):
            break
    return [*alone.values(), *pairs]


# --- both sides -----------------------------------------------------------------------------------


def run(case: TextCase, daemon: Daemon) -> Verdict:
    """Start both daemons, then lose a holder; ask the validator the same."""
    report = validate(*parse_cluster(case.texts, ADDRESSES, daemon.version))
    seen: list[Holders] = []
    ended: set[str] = set()
    lost: list[str] = []
    # Of equals the one that starts first has the address; its own timer may be the slower one.
    one_by_one = any(finding.id == "equal-priority" for finding in report.findings)
    with Lab(daemon, ADDRESSES, dict.fromkeys(ADDRESSES, ())) as lab:
        for name, text in case.texts.items():
            lab.configuration(name).write_bytes(text.encode("utf-8"))
        for name in ADDRESSES:
            try:
                lab.start(name)
            except LabError:
                ended.add(name)
            if one_by_one:
                lab.settle(5.0, 30.0)
        # Nothing comes or goes for longer than the slowest down timer of version 2.
        lab.settle(5.0, 30.0)
        ended |= set(lab.dead())
        seen.append(_present(lab, lost))
        holder = next((name for name in ADDRESSES if any(name in h for h in seen[0].values())), "")
        if holder:
            lost.append(holder)
            lab.lose(holder)
            lab.settle(5.0, 30.0)
            seen.append(_present(lab, lost))
        log = "\n".join(f"--- {name}\n{lab.log(name)}" for name in ADDRESSES)
    failures: tuple[tuple[events.Event, ...], ...] = ((),)
    if lost:
        failures += ((events.NodeLost(lost[0]),),)
    expected = tuple(_expected(report, failed) for failed in failures)
    return Verdict(case, expected, tuple(seen), frozenset(ended), report, log)


def _present(lab: Lab, lost: list[str]) -> Holders:
    present = {name: lab.addresses(name) for name in ADDRESSES}
    return {
        vip: frozenset(name for name in present if vip in present[name])
        for vip in VIPS
        if any(vip in addresses for addresses in present.values())
    }


def _expected(report: Report, failed: tuple[events.Event, ...]) -> Holders:
    """Who holds what then. An address that a failure does not concern stays where it was."""
    rows: dict[str, frozenset[str]] = {}
    for outcome in sorted(report.outcomes, key=lambda outcome: len(outcome.failures)):
        if outcome.failures in ((), failed):
            rows.update({plain_address(vip): frozenset(names) for vip, names in outcome.holders})
    return {vip: names for vip, names in rows.items() if names}


def recorded(verdict: Verdict) -> dict[str, object]:
    """What the daemons did, to be kept with the texts."""
    return {
        "quirks": list(verdict.case.quirks),
        "texts": dict(verdict.case.texts),
        "held": [
            {vip: sorted(names) for vip, names in sorted(step.items())} for step in verdict.seen
        ],
        "ended": sorted(verdict.ended),
    }


def described(verdict: Verdict) -> str:
    """The case and what both sides say, for a person."""
    lines = [f"seed {verdict.case.seed}: {', '.join(verdict.case.quirks)}"]
    for name, text in verdict.case.texts.items():
        lines += [f"--- {name}", text]
    lines.append(f"daemons: {_shown(verdict.seen)}; ended: {sorted(verdict.ended) or 'none'}")
    lines.append(f"validator: {_shown(verdict.expected)}")
    lines += [
        f"  {item.severity.value} {item.node}:{item.line} {item.id}: {item.message}"
        for item in verdict.report.findings
        if item.severity.value != "info"
    ]
    return "\n".join((*lines, verdict.log))


def _shown(steps: tuple[Holders, ...]) -> str:
    return " -> ".join(
        ", ".join(f"{vip} on {'+'.join(sorted(names))}" for vip, names in sorted(step.items()))
        or "nobody"
        for step in steps
    )
