# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Texts on a bench: judged, changed line by line, and judged again."""

from __future__ import annotations

import copy
import re
from typing import Any, Iterable, Iterator, Mapping

from ansible_collections.mycat.ha.plugins.module_utils.keepalived.lines import without_comment
from ansible_collections.mycat.ha.plugins.module_utils.keepalived.reader import parse_cluster
from ansible_collections.mycat.ha.plugins.module_utils.vrrp.model import Cluster
from ansible_collections.mycat.ha.plugins.module_utils.vrrp.validate import Report, validate
from written import text_of

_PIECES = re.compile(r'[{}]|"[^"]*"?')
_INSTANCE = "vrrp_instance"


def a_statement_a_line(text: str) -> list[str]:
    """Each brace ends its line, and an opening one stands behind its keyword."""
    lines: list[str] = []
    for raw in text.split("\n"):
        line = without_comment(raw.rstrip("\r"))[0]
        start = 0
        for found in _PIECES.finditer(line):
            if found.group() in ("{", "}"):
                lines += [line[start : found.start()].strip(), found.group()]
                start = found.end()
        lines.append(line[start:].strip())
    joined: list[str] = []
    for line in filter(None, lines):
        if line == "{" and joined and joined[-1] != "}":
            joined[-1] += " {"
        else:
            joined.append(line)
    return joined


def word(line: str, place: int = 0) -> str:
    """A word of a line, empty where it has not so many."""
    return "".join(line.split()[place : place + 1])


class Bench:
    """The nodes' texts with all that is told of the nodes."""

    def __init__(
        self,
        texts: Mapping[str, str],
        addresses: Mapping[str, str],
        versions: Mapping[str, tuple[int, ...]],
    ) -> None:
        self.lines = {name: a_statement_a_line(text) for name, text in texts.items()}
        for name, text in texts.items():
            # Braces that are no block's.
            if "{{" in text or "${" in text:
                self.lines[name] = text.split("\n")
        self.addresses = dict(addresses)
        self.versions = dict(versions)
        self.config_ids: dict[str, str] = {}
        self.includes: dict[str, str] = {}

    @classmethod
    def of(cls, cluster: Cluster) -> Bench:
        """A model on the bench."""
        return cls(
            {node.name: text_of(node) for node in cluster.nodes},
            {node.name: node.address for node in cluster.nodes if node.address},
            {node.name: node.keepalived_version for node in cluster.nodes},
        )

    def judge(self) -> Report:
        """What the validator says of it."""
        return validate(*self._read())

    def cluster(self) -> Cluster:
        """The model of it."""
        return self._read()[0]

    def _read(self) -> tuple[Any, ...]:
        texts = {name: "\n".join((*lines, "")) for name, lines in self.lines.items()}
        more = {
            name: {
                "keepalived_version": self.versions.get(name, (2, 2, 7)),
                "includes": self.includes,
                **({"config_id": self.config_ids[name]} if name in self.config_ids else {}),
            }
            for name in texts
        }
        return parse_cluster(texts, self.addresses, more=more)

    def copy(self) -> Bench:
        """Another bench like it."""
        return copy.deepcopy(self)

    # Blocks: a pair of places, of the line that opens and of the one that closes.

    def end(self, node: str, start: int) -> int:
        """Where the statement at ``start`` ends."""
        lines, depth = self.lines[node], 0
        for place in range(start, len(lines)):
            depth += lines[place].endswith("{") - (lines[place] == "}")
            if depth <= 0:
                return place
        return len(lines) - 1

    def blocks(self, node: str, keyword: str, name: str = "") -> Iterator[tuple[int, int]]:
        """The blocks of this keyword (and name), the last first."""
        for start in range(len(self.lines[node]) - 1, -1, -1):
            line = self.lines[node][start]
            if word(line) == keyword and name in ("", word(line, 1).strip('{"')):
                yield start, self.end(node, start)

    def instance(self, node: str, name: str = "") -> tuple[int, int]:
        """The block of an instance; where there is none of this name, of another."""
        found = [*self.blocks(node, _INSTANCE, name)] or [*self.blocks(node, _INSTANCE)]
        return found[-1]

    def inside(self, node: str, span: tuple[int, int], keyword: str) -> list[tuple[int, int]]:
        """The statements of this keyword in a block, the last first."""
        return [own for own in self.blocks(node, keyword) if span[0] < own[0] and own[1] <= span[1]]

    # Changes.

    def cut(self, node: str, span: tuple[int, int]) -> list[str]:
        """Takes the lines away."""
        gone = self.lines[node][span[0] : span[1] + 1]
        del self.lines[node][span[0] : span[1] + 1]
        return gone

    def insert(self, node: str, place: int, lines: Iterable[str]) -> None:
        """Puts lines behind a place."""
        self.lines[node][place + 1 : place + 1] = lines

    def remove(self, node: str, keyword: str, name: str = "") -> None:
        """Takes a keyword out of an instance."""
        for span in self.inside(node, self.instance(node, name), keyword):
            self.cut(node, span)

    def write(self, node: str, lines: list[str], name: str = "") -> None:
        """Writes a statement in an instance, instead of what it has of this keyword."""
        self.remove(node, word(lines[0]), name)
        self.insert(node, self.instance(node, name)[0], lines)

    def entries(self, node: str, keyword: str, name: str = "") -> list[int]:
        """The places of the lines in a list of an instance, the last first."""
        found = self.inside(node, self.instance(node, name), keyword)
        return [at for start, end in found for at in range(end - 1, start, -1)]

    def add(self, node: str, keyword: str, entry: str, name: str = "") -> None:
        """Adds a line to a list of an instance, which may have none yet."""
        for start, _end in self.inside(node, self.instance(node, name), keyword)[:1]:
            self.insert(node, start, [entry])
            return
        self.insert(node, self.instance(node, name)[0], [f"{keyword} {{", entry, "}"])

    def carries(self, node: str, keyword: str, address: str, name: str = "") -> list[int]:
        """The places of an address in a list."""
        plain = address.partition("/")[0]
        return [
            at
            for at in self.entries(node, keyword, name)
            if word(self.lines[node][at]).partition("/")[0].strip(",") == plain
        ]

    def define(self, node: str, check: str) -> None:
        """Defines a check as another node does, or in some way, unless it is defined."""
        kinds = ("vrrp_script", "vrrp_track_file", "track_file", "vrrp_track_process")
        for kind in kinds:
            if any(self.lines[node][s].endswith("{") for s, _e in self.blocks(node, kind, check)):
                return
        lines = [f"vrrp_script {check} {{", 'script "/usr/bin/true"', "}"]
        for other in self.lines:
            for kind in kinds:
                for start, end in self.blocks(other, kind, check):
                    if self.lines[other][start].endswith("{"):
                        lines = self.lines[other][start : end + 1]
        self.lines[node][0:0] = lines
