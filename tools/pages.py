"""Pages that are made from the code: written, or with ``--check`` compared."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent

# Modules below plugins/module_utils are imported as the package ``module_utils``, without Ansible.
sys.path.insert(0, str(ROOT / "plugins"))


def main(description: str | None, path: Path, text: str, tool: str) -> int:
    """Write ``text`` to ``path``; with ``--check`` 1 where that would change it."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument(
        "--check", action="store_true", help="change nothing; fail if the page is out of date"
    )
    options = parser.parse_args()
    current = path.read_text(encoding="utf-8") if path.exists() else ""
    if current == text:
        return 0
    if options.check:
        print(f"{path.relative_to(ROOT)} is out of date: run {tool}", file=sys.stderr)
        return 1
    path.write_text(text, encoding="utf-8")
    return 0
