# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The blocks of a keepalived.conf as the daemon sees them, which is not always as they are written.

keepalived reads a line, looks its first word up among the keywords of the block that it is in, and
goes on. Of a keyword that it does not know it ignores the line, the opening brace included; the
closing brace then ends the block around it, and what follows is read one level further out, where
it is mostly unknown too. The same happens to the braces of a keyword that has none.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from .keywords import KEYWORDS, LISTS, is_known
from .tree import Statement

# A block within a block whose lines are keywords of their own.
_NESTED = {("vrrp_instance", "authentication"): "authentication"}


@dataclass
class Misread:
    """A brace that the daemon ignores: ``block`` is the one that ends too early for it ("": none
    does), ``lost`` what is therefore not read, ``known`` whether the keyword itself is."""

    statement: Statement
    block: Statement
    known: bool
    lost: list[Statement] = field(default_factory=list)


@dataclass(frozen=True)
class _Token:
    """A line, or the end of a block; ``depth`` counts the blocks around it as they are written."""

    statement: Statement
    depth: int
    opens: bool = False
    closes: bool = False


def _tokens(statements: Iterable[Statement], depth: int = 0) -> Iterator[_Token]:
    for statement in statements:
        yield _Token(statement, depth, opens=statement.block is not None)
        if statement.block is not None:
            yield from _tokens(statement.block, depth + 1)
            yield _Token(statement, depth, closes=True)


class _Blocks:
    """Reads a file's tokens again, as ``process_stream`` of keepalived's ``parser.c`` does."""

    def __init__(self, statements: Iterable[Statement], version: tuple[int, ...]) -> None:
        self.tokens = _tokens(statements)
        self.version = version
        self.misread: list[Misread] = []

    def read(self, level: str, around: Statement, depth: int) -> Iterator[Statement]:
        """The statements of a block up to its end, those within as blocks of their own."""
        for token in self.tokens:
            statement = token.statement
            if token.closes:
                if level:
                    return
                continue
            known = is_known(level, statement.keyword, self.version)
            inner = _NESTED.get((level, statement.keyword), "" if level else statement.keyword)
            if known and token.opens and inner and inner in KEYWORDS:
                block = tuple(self.read(inner, statement, depth + 1))
                yield Statement(statement.line, statement.words, block, statement.text)
            elif known and token.opens and (statement.keyword in LISTS or not level):
                self.skip(token)
                yield statement
            elif known:
                if token.opens:
                    self.misread.append(Misread(statement, around, known))
                yield Statement(statement.line, statement.words, None, statement.text)
            elif not self.swallowed(token, depth):
                if token.opens:
                    self.misread.append(Misread(statement, around, known))
                else:
                    yield statement

    def skip(self, opening: _Token) -> None:
        """Reads up to the end of a block that is a list, or is none of VRRP's."""
        for token in self.tokens:
            if token.closes and token.depth == opening.depth:
                return

    def swallowed(self, token: _Token, depth: int) -> bool:
        """Whether a line that is unknown here stands here only for a brace that was misread."""
        if not self.misread or token.depth == depth:
            return False
        self.misread[-1].lost.append(token.statement)
        return True


def as_read(
    statements: Iterable[Statement], version: tuple[int, ...]
) -> tuple[tuple[Statement, ...], tuple[Misread, ...]]:
    """The statements as this version of the daemon reads them, and the braces that it misreads."""
    blocks = _Blocks(statements, version)
    read = tuple(blocks.read("", Statement(0, ()), 0))
    return read, tuple(blocks.misread)
