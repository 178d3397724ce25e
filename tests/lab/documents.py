"""The examples in the documents, for tests that use them as they are written."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    str(path.relative_to(ROOT))
    for pattern in ("*.md", "docs/**/*.md", "roles/*/README.md")
    for path in ROOT.glob(pattern)
)
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Example:
    """A code block of a page; ``line`` is that of its first line."""

    page: str
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"

    def written(self, folder: Path) -> Path:
        """The example as a file in ``folder``."""
        path = folder / f"{str(self).replace('/', '.').replace(':', '.line')}.yml"
        path.write_text(self.text, encoding="utf-8")
        return path


def examples(*languages: str) -> Iterator[Example]:
    """The code blocks of all pages in these languages."""
    for page in PAGES:
        text = (ROOT / page).read_text(encoding="utf-8")
        for block in _BLOCK.finditer(text):
            if block[1] in languages:
                yield Example(page, text.count("\n", 0, block.start(2)) + 1, block[1], block[2])


def plays() -> Iterator[tuple[Example, list[Any]]]:
    """The examples that are playbooks, and what they hold."""
    for example in examples("yaml"):
        content = yaml.safe_load(example.text)
        if isinstance(content, list) and any("hosts" in entry for entry in content):
            yield example, content


def is_local(content: list[Any]) -> bool:
    """Whether a playbook needs no host but the controller."""
    return all(play["hosts"] == "localhost" for play in content)
