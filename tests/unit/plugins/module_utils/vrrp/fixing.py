# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fixes of findings, done as a reader would do them: one function a kind of sentence."""

from __future__ import annotations

import re
from typing import Callable, Iterator

from ansible_collections.mycat.ha.plugins.module_utils.vrrp.findings import Finding

from bench import Bench, word

_Fix = Callable[..., None]
_FIXES: list[tuple[re.Pattern[str], _Fix]] = []
_WEIGHTED = ("track_script", "track_file", "track_process", "track_interface")
FREE = "192.0.2.199"


class Unreadable(Exception):  # noqa: N818 - it is the sentence that is at fault
    """A sentence that nobody could follow."""


def alternatives(fix: str) -> list[list[str]]:
    """Ways to follow a fix, each as what to do in turn: of several sentences all count."""
    plain = fix if 'script "' in fix else re.sub(r" \([^()]*\)", "", fix)
    sentences = [part.rstrip(".") for part in re.split(r"(?<=\.)\s(?=[A-Z])", plain)]
    ways = [re.split(", or ", part) for part in sentences if part]
    most = max(map(len, ways))
    return [[way[min(turn, len(way) - 1)] for way in ways] for turn in range(most)]


def followed(bench: Bench, finding: Finding, steps: list[str]) -> Bench:
    """The bench with these steps done."""
    done = bench.copy()
    for step in steps:
        for part in re.split(r" and (?=set |remove )", step):
            _do(done, finding, part[:1].lower() + part[1:])
    return done


def _do(bench: Bench, finding: Finding, sentence: str) -> None:
    for pattern, fix in _FIXES:
        found = pattern.fullmatch(sentence)
        if found:
            fix(bench, finding, **found.groupdict())
            return
    raise Unreadable(sentence)


def _to(pattern: str) -> Callable[[_Fix], _Fix]:
    def register(fix: _Fix) -> _Fix:
        _FIXES.append((re.compile(pattern), fix))
        return fix

    return register


def _names(text: str) -> list[str]:
    return re.split(", | and ", text)


def _nodes(bench: Bench, text: str) -> list[str]:
    return list(bench.lines) if text in ("all nodes", "every node") else _names(text)


def _placed(text: str) -> Iterator[tuple[str, str]]:
    """Instance and node of "VI_1 on lb1 and lb2 and VI_2 on lb3"."""
    for found in re.finditer(r"(\S+) on ((?:(?!\S+ on )[^ ,]+(?:, | and |$))+)", text):
        for node in _names(re.sub(r"(, | and )$", "", found[2])):
            yield found[1], node


def _line(bench: Bench, finding: Finding) -> int:
    assert finding.line
    return finding.line - 1


# Numbers.


@_to(
    r"(?:if .*?, )?set the weight(?: of (?P<checks>.+?))? to (?:at least |at most "
    r")?(?P<weight>-?\d+) on (?P<nodes>.+)"
)
def _weight(bench, finding, checks, weight, nodes):
    for node in _nodes(bench, nodes):
        found = set()
        for keyword in _WEIGHTED:
            for start, end in [*bench.blocks(node, keyword)]:
                for at in range(start + 1, end):
                    name = word(bench.lines[node][at])
                    if checks is None or name in _names(checks):
                        bench.lines[node][at] = f"{name} weight {weight}"
                        found.add(name)
        for name in _names(checks) if checks and weight != "0" else ():
            if name not in found:
                bench.define(node, name)
                bench.add(node, "track_script", f"{name} weight {weight}", finding.instance)


@_to(r"set the priority of (?P<node>\S+) to (?:at least )?(?P<value>\d+)")
def _priority(bench, finding, node, value):
    bench.write(node, [f"priority {value}"], finding.instance)


@_to(r"set the priority to (?P<pairs>.+)")
def _priorities(bench, finding, pairs):
    for value, node in re.findall(r"(\d+) on (\S+?)(?:,|$| )", pairs):
        bench.write(node, [f"priority {value}"], finding.instance)


@_to(
    r"(?:use|write) (?P<keyword>version|advert_int|virtual_router_id|mcast_dst_ip|"
    r"interface|unicast_src_ip|unicast_ttl) (?P<value>[^ ]+)(?: in \S+)? on (?P<nodes>.+)"
)
def _same(bench, finding, keyword, value, nodes):
    for node in _nodes(bench, nodes):
        bench.write(node, [f"{keyword} {value}"], finding.instance)


@_to(r"use virtual_router_id (?P<vrid>\d+) for (?P<where>.+)")
def _router_id(bench, finding, vrid, where):
    for name, node in _placed(where):
        bench.write(node, [f"virtual_router_id {vrid}"], name)


@_to(r"write state BACKUP on (?P<node>\S+)")
def _backup(bench, finding, node):
    bench.write(node, ["state BACKUP"], finding.instance)


@_to(r"where that is not wanted, write state BACKUP, nopreempt and weight 0 on all nodes")
def _sticky(bench, finding):
    for node in bench.lines:
        for start, _end in bench.blocks(node, "vrrp_instance"):
            name = word(bench.lines[node][start], 1)
            bench.write(node, ["state BACKUP"], name)
            bench.write(node, ["nopreempt"], name)
    _weight(bench, finding, None, "0", "all nodes")


@_to(
    r"(?:set|use) (?P<keywords>interval|timeout|interval and timeout)(?: to)? "
    r"(?P<value>\d+)(?: or less| or more)?|interval to (?P<interval>\d+)"
)
def _timing(bench, finding, keywords, value, interval):
    for start, end in bench.blocks(finding.node, "vrrp_script", finding.instance):
        for keyword in _names(keywords or "interval"):
            for span in bench.inside(finding.node, (start, end), keyword):
                bench.cut(finding.node, span)
            bench.insert(finding.node, start, [f"{keyword} {value or interval}"])


# What is taken away.


@_to(
    r"remove (?P<what>nopreempt|preempt_delay|auth_hmac|unicast_src_ip|the authentication "
    r"block|unicast_peer and unicast_src_ip) on (?P<nodes>.+)"
)
def _without(bench, finding, what, nodes):
    for node in _nodes(bench, nodes):
        for keyword in _names(what):
            bench.remove(node, keyword.split()[-2 if " " in keyword else 0], finding.instance)


@_to(r"remove the authentication block")
def _without_authentication(bench, finding):
    bench.remove(finding.node, "authentication", finding.instance)


@_to(r"remove (?P<what>vrrp_strict|mcast_dst_ip and vrrp_mcast_group[46]) on (?P<nodes>.+)")
def _without_everywhere(bench, finding, what, nodes):
    words = [*_names(what), *(["strict_mode"] if what == "vrrp_strict" else [])]
    for node in _nodes(bench, nodes):
        bench.lines[node] = [line for line in bench.lines[node] if word(line) not in words]


@_to(r"remove the sync groups on (?P<nodes>.+)")
def _without_groups(bench, finding, nodes):
    for node in _nodes(bench, nodes):
        for span in [*bench.blocks(node, "vrrp_sync_group")]:
            bench.cut(node, span)


@_to(r"remove vrrp_instance (?P<where>.+)")
def _without_instance(bench, finding, where):
    for name, node in _placed(where):
        for span in [*bench.blocks(node, "vrrp_instance", name)]:
            bench.cut(node, span)


@_to(r"remove the block on all nodes that have it")
def _without_block(bench, finding):
    keyword = word(bench.lines[finding.node][_line(bench, finding)])
    for node in bench.lines:
        for span in [*bench.blocks(node, keyword)]:
            bench.cut(node, span)


@_to(
    r"remove the (?:line|block|brace and the one that closes it)(?: if nopreempt is not meant)?|"
    r"remove this brace|remove this \S+ \S+|remove this \S+"
)
def _without_line(bench, finding):
    at = _line(bench, finding)
    bench.cut(finding.node, (at, bench.end(finding.node, at)))


@_to(r"remove the braces of (?P<keyword>\S+)")
def _without_braces(bench, finding, keyword):
    at = _line(bench, finding)
    end = bench.end(finding.node, at)
    del bench.lines[finding.node][end]
    bench.lines[finding.node][at] = bench.lines[finding.node][at].rstrip(" {")


@_to(r"remove (?P<peers>\S+(?:(?:, | and )\S+)*) from unicast_peer(?: on (?P<node>\S+))?")
def _without_peers(bench, finding, peers, node):
    for peer in _names(peers):
        for at in bench.carries(node or finding.node, "unicast_peer", peer, finding.instance):
            bench.cut(node or finding.node, (at, at))


@_to(r"remove (?P<check>\S+) from (?:the )?(?P<keyword>track_\w+)(?: of \S+)? on (?P<node>\S+)")
def _untracked(bench, finding, check, keyword, node):
    for at in bench.entries(node, keyword, finding.instance):
        if word(bench.lines[node][at]) == check:
            bench.cut(node, (at, at))


@_to(r"remove (?P<names>.+) from (?P<group>\S+) on (?P<node>\S+)")
def _out_of_group(bench, finding, names, group, node):
    for span in [*bench.blocks(node, "vrrp_sync_group", group)]:
        for at in range(span[1], span[0], -1):
            if bench.lines[node][at] in _names(names):
                bench.cut(node, (at, at))


@_to(
    r"remove '(?P<rest>.*)' after (?P<keyword>\S+)|remove the rest of the line after "
    r"(?P<secret>\S+)"
)
def _cut_off(bench, finding, rest, keyword, secret):
    at = _line(bench, finding)
    line = bench.lines[finding.node][at]
    bench.lines[finding.node][at] = " ".join(line.split()[:2]) if secret else line.replace(rest, "")


@_to(r"remove (?P<keyword>\w+)")
def _without_keyword(bench, finding, keyword):
    _without_line(bench, finding)


@_to(r"cut auth_pass to its first 8 characters on (?P<node>\S+)")
def _cut_password(bench, finding, node):
    lines = bench.lines[node]
    lines[:] = [f"auth_pass {word(x, 1)[:8]}" if word(x) == "auth_pass" else x for x in lines]


@_to(r"leave (?P<node>\S+) out")
def _left_out(bench, finding, node):
    del bench.lines[node]
    bench.addresses.pop(node, None)


# Addresses.


@_to(r"write (?P<what>unicast_peer \{ .* \} on .*)")
def _peers(bench, finding, what):
    for peers, node in re.findall(r"unicast_peer \{ (.*?) \} on (\S+)", what):
        bench.write(node, ["unicast_peer {", *peers.split(), "}"], finding.instance)


@_to(r"write the other nodes' (?:IP )?addresses in unicast_peer on (?P<nodes>.+)")
def _other_peers(bench, finding, nodes):
    for node in _nodes(bench, nodes):
        peers = [told for name, told in bench.addresses.items() if name != node] or ["192.0.2.98"]
        bench.write(node, ["unicast_peer {", *peers, "}"], finding.instance)


@_to(r"add (?P<addresses>\S+(?:(?:, | and )\S+)*) to (?P<keyword>\S+) on (?P<nodes>.+)")
def _added(bench, finding, addresses, keyword, nodes):
    for node in _nodes(bench, nodes):
        for address in _names(addresses):
            bench.add(node, keyword, address, finding.instance)


@_to(r"write (?P<address>\S+) once in (?P<keyword>virtual_ipaddress\w*) on (?P<nodes>.+)")
def _once(bench, finding, address, keyword, nodes):
    for node in _nodes(bench, nodes):
        for at in bench.carries(node, keyword, address, finding.instance)[:-1]:
            bench.cut(node, (at, at))


@_to(r"write (?P<address>\S+) once in (?P<where>.+)")
def _once_in(bench, finding, address, where):
    for name, node in _placed(where):
        found = [
            at
            for keyword in ("virtual_ipaddress_excluded", "virtual_ipaddress")
            for at in bench.carries(node, keyword, address, name)
        ]
        for at in sorted(found)[:0:-1]:
            bench.cut(node, (at, at))


@_to(r"write another address, which no node has, instead of (?P<address>\S+) on (?P<nodes>.+)")
def _another(bench, finding, address, nodes):
    for node in _nodes(bench, nodes):
        for at in bench.carries(node, "virtual_ipaddress", address):
            bench.lines[node][at] = bench.lines[node][at].replace(address, FREE)


@_to(r"write virtual_ipaddress \{ (?P<addresses>.*) \} on (?P<nodes>.+)")
def _addresses(bench, finding, addresses, nodes):
    for node in _nodes(bench, nodes):
        bench.write(node, ["virtual_ipaddress {", *addresses.split(), "}"], finding.instance)


@_to(r"write a virtual_ipaddress block with the same address on (?P<nodes>.+)")
def _any_address(bench, finding, nodes):
    _addresses(bench, finding, f"{FREE}/24", nodes)


@_to(r"move (?P<address>\S+) from virtual_ipaddress_excluded to virtual_ipaddress on (?P<nodes>.+)")
def _included(bench, finding, address, nodes):
    for node in _nodes(bench, nodes):
        for at in bench.carries(node, "virtual_ipaddress_excluded", address, finding.instance):
            bench.cut(node, (at, at))
        bench.add(node, "virtual_ipaddress", address, finding.instance)


@_to(r"move (?P<address>\S+) to virtual_ipaddress_excluded on all nodes")
def _excluded(bench, finding, address):
    for node in bench.lines:
        for at in bench.carries(node, "virtual_ipaddress", address, finding.instance):
            bench.cut(node, (at, at))
        bench.add(node, "virtual_ipaddress_excluded", address, finding.instance)


# Words on a line.


@_to(r"write (?P<new>.+) instead of (?P<old>.+), each on a line of its own, on all nodes")
def _on_lines(bench, finding, new, old):
    for lines in bench.lines.values():
        if old in lines:
            at = lines.index(old)
            lines[at : at + 1] = _names(new)


@_to(r"write (?P<words>.+) on (?:a line of its|lines of their) own(?P<everywhere> on all nodes)?")
def _on_own_lines(bench, finding, words, everywhere):
    line = bench.lines[finding.node][_line(bench, finding)]
    for node, lines in bench.lines.items():
        if line in lines and (everywhere or node == finding.node):
            at, parts = lines.index(line), []
            for part in line.split():
                starts = part.strip(";") in _names(words) or not parts
                parts = [*parts, part] if starts else [*parts[:-1], f"{parts[-1]} {part}"]
            lines[at : at + 1] = [part.rstrip(";") for part in parts]


@_to(r"write (?P<new>\S+) instead of (?P<old>\S+) on (?P<node>\S+)")
def _renamed(bench, finding, new, old, node):
    for keyword in _WEIGHTED:
        for at in bench.entries(node, keyword, finding.instance):
            if word(bench.lines[node][at]) == old:
                bench.lines[node][at] = bench.lines[node][at].replace(old, new)


@_to(r"write (?P<new>.+) instead of (?P<old>.+)")
def _instead(bench, finding, new, old):
    at = _line(bench, finding)
    line = " ".join(bench.lines[finding.node][at].replace('"', "").split())
    assert old in line
    bench.lines[finding.node][at] = line.replace(old, new)


@_to(r"move (?P<keyword>\S+) to (?P<place>the top of the file, outside any block|\w+)")
def _moved(bench, finding, keyword, place):
    at = _line(bench, finding)
    lines = bench.cut(finding.node, (at, bench.end(finding.node, at)))
    if " " in place:
        bench.lines[finding.node][0:0] = lines
    else:
        bench.insert(finding.node, [*bench.blocks(finding.node, place)][-1][0], lines)


@_to(r"save the file as UTF-8 without byte order mark")
def _unmarked(bench, finding):
    bench.lines[finding.node][0] = bench.lines[finding.node][0].lstrip("\ufeff")


@_to(r"write the closing brace, at the latest at the end of the file")
def _closed(bench, finding):
    bench.lines[finding.node].append("}")


@_to(r"close the quote on this line")
def _quoted(bench, finding):
    bench.lines[finding.node][_line(bench, finding)] += '"'


@_to(r"give the text of (?P<path>\S+) in includes")
def _given(bench, finding, path):
    bench.includes[path] = "# nothing"


@_to(r"say in config_ids which id the node has")
def _identified(bench, finding):
    line = bench.lines[finding.node][_line(bench, finding)]
    bench.config_ids[finding.node] = line.split()[0].lstrip("@^")


@_to(r"give the file that the template makes")
def _rendered(bench, finding):
    lines = bench.lines[finding.node]
    lines[:] = [re.sub(r"\{\{.*?\}\}", "1", line) for line in lines]


@_to(r"write a value after (?P<keyword>\S+)")
def _valued(bench, finding, keyword):
    value = {"interface": "eth0", "virtual_router_id": "51"}[keyword]
    bench.lines[finding.node][_line(bench, finding)] = f"{keyword} {value}"


@_to(r"write interface and the name of the one that has the node's address(?: in \S+ on \S+)?")
def _interface(bench, finding):
    bench.write(finding.node, ["interface eth0"], finding.instance)


@_to(r"write accept on (?P<node>\S+)")
def _accept(bench, finding, node):
    bench.write(node, ["accept"], finding.instance)


# Checks.


@_to(r"write enable_script_security and script_user in global_defs on (?P<node>\S+)")
def _security(bench, finding, node):
    lines = ["enable_script_security", "script_user nobody"]
    found = [*bench.blocks(node, "global_defs")]
    if found:
        bench.insert(node, found[-1][0], lines)
    else:
        bench.lines[node][0:0] = ["global_defs {", *lines, "}"]


@_to(r'write script "(?P<command>.*)" in vrrp_script (?P<name>\S+) on (?P<node>\S+)')
def _script(bench, finding, command, name, node):
    for start, end in bench.blocks(node, "vrrp_script", name):
        for span in bench.inside(node, (start, end), "script"):
            bench.cut(node, span)
        bench.insert(node, start, [f'script "{command}"'])


@_to(
    r"put the command of vrrp_script (?P<name>\S+) on (?P<node>\S+) into a file that root "
    r"alone can write, and name this file as its script"
)
def _script_file(bench, finding, name, node):
    _script(bench, finding, "/usr/local/libexec/check", name, node)


@_to(
    r"write the arguments of (?P<program>\S+) in the same quotes in vrrp_script "
    r"(?P<name>\S+) on (?P<node>\S+)"
)
def _arguments(bench, finding, program, name, node):
    _script(bench, finding, f"{program} -e /etc", name, node)


@_to(r"put quotes around the whole command in vrrp_script (?P<name>\S+)")
def _in_quotes(bench, finding, name):
    line = bench.lines[finding.node][_line(bench, finding)].replace('"', "")
    _script(bench, finding, line.partition(" ")[2], name, finding.node)


@_to(r"write script and the command to run in vrrp_script (?P<name>\S+)")
def _command(bench, finding, name):
    _script(bench, finding, "/usr/bin/true", name, finding.node)


@_to(r"write (?P<entries>.+) in (?P<keyword>track_\w+) on (?P<nodes>.+)")
def _tracked(bench, finding, entries, keyword, nodes):
    for node in _nodes(bench, nodes):
        for entry in _names(entries):
            bench.define(node, word(entry))
            for at in bench.entries(node, keyword, finding.instance):
                if word(bench.lines[node][at]) == word(entry):
                    bench.cut(node, (at, at))
            bench.add(node, keyword, entry, finding.instance)


@_to(r"track a vrrp_script that looks at the service, without a weight, on (?P<nodes>.+)")
def _looked_at(bench, finding, nodes):
    for node in _nodes(bench, nodes):
        bench.define(node, "chk_service")
        start = bench.instance(node, finding.instance)[0]
        bench.insert(node, start, ["track_script {", "chk_service", "}"])


@_to(r"define (?P<check>\S+) above \S+ on (?P<node>\S+)")
def _defined(bench, finding, check, node):
    bench.define(node, check)


@_to(r"move the definition of (?P<check>\S+) above \S+")
def _above(bench, finding, check):
    for span in [*bench.blocks(finding.node, "vrrp_script", check)]:
        bench.lines[finding.node][0:0] = bench.cut(finding.node, span)


# Versions, groups and whole blocks.


@_to(r"update keepalived to (?P<version>\S+) or later(?: on (?P<node>\S+))?")
def _updated(bench, finding, version, node):
    bench.versions[node or finding.node] = tuple(map(int, version.split(".")))


@_to(r"write the (?P<keyword>authentication|auth_hmac) block of (?P<node>\S+) on (?P<nodes>.+) too")
def _copied(bench, finding, keyword, node, nodes):
    span = bench.inside(node, bench.instance(node, finding.instance), keyword)[0]
    block = bench.lines[node][span[0] : span[1] + 1]
    for other in _nodes(bench, nodes):
        bench.write(other, block, finding.instance)


@_to(r"put (?P<names>.+) into one sync group on (?P<node>\S+) too")
def _grouped(bench, finding, names, node):
    _ungrouped_on(bench, names, node)
    bench.lines[node] += ["vrrp_sync_group TOGETHER {", "group {", *_names(names), "}", "}"]


@_to(r"take (?P<names>.+) out of their sync groups on all nodes")
def _ungrouped(bench, finding, names):
    for node in bench.lines:
        _ungrouped_on(bench, names, node)


def _ungrouped_on(bench, names, node):
    for span in [*bench.blocks(node, "vrrp_sync_group")]:
        for at in range(span[1], span[0], -1):
            if bench.lines[node][at] in _names(names):
                bench.cut(node, (at, at))


@_to(r"configure (?P<name>\S+) of (?P<node>\S+) on (?P<other>\S+) too, with a lower priority")
def _second(bench, finding, name, node, other):
    start, end = bench.instance(node, name)
    block = bench.lines[node][start : end + 1]
    for span in [*bench.blocks(other, "vrrp_instance", name)]:
        bench.cut(other, span)
    checks = [word(bench.lines[node][at]) for at in bench.entries(node, "track_script", name)]
    for check in checks:
        bench.define(other, check)
    spans = [span for check in checks for span in bench.blocks(other, "vrrp_script", check)]
    behind = max((end + 1 for _start, end in spans), default=0)
    bench.lines[other][behind:behind] = block
    written = bench.inside(node, bench.instance(node, name), "priority")
    value = int(word(bench.lines[node][written[0][0]], 1)) if written else 100
    bench.write(other, [f"priority {value - 1}"], name)
    _as_its_own(bench, other, node, name)


def _as_its_own(bench, other, node, name):
    """Source and peers of a copied instance, seen from the other side."""
    lines = bench.lines[node]
    peers = [word(lines[at]) for at in bench.entries(node, "unicast_peer", name)]
    if not all(peer[0].isdigit() for peer in peers):
        return
    own = bench.addresses.setdefault(other, [*peers, "192.0.2.97"][0])
    for keyword, lines in (
        ("unicast_src_ip", [f"unicast_src_ip {own}"]),
        ("unicast_peer", ["unicast_peer {", bench.addresses.get(node, "192.0.2.96"), "}"]),
    ):
        if bench.inside(other, bench.instance(other, name), keyword):
            bench.write(other, lines, name)


@_to(r"give the files of the other nodes too")
def _others(bench, finding):
    bench.lines["other"] = list(bench.lines[finding.node])
    for start, _end in [*bench.blocks("other", "vrrp_instance")]:
        name = word(bench.lines["other"][start], 1)
        _as_its_own(bench, "other", finding.node, name)
        bench.write("other", ["priority 1"], name)


@_to(r"write (?P<keyword>\w+) (?P<value>[^ ]+)")
def _at_its_line(bench, finding, keyword, value):
    at = _line(bench, finding)
    if word(bench.lines[finding.node][at]) == keyword:
        bench.cut(finding.node, (at, bench.end(finding.node, at)))
        bench.lines[finding.node].insert(at, f"{keyword} {value}")
    else:
        bench.write(finding.node, [f"{keyword} {value}"], finding.instance)
