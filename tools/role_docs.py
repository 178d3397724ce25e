"""Write from argument_specs: the roles' defaults, and the tables of variables in READMEs."""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).parent.parent
BEGIN, END = "<!-- variables: made by tools/role_docs.py -->", "<!-- end of variables -->"


def markdown(text: str) -> str:
    """Turn Ansible's markup C(...) into Markdown."""
    return re.sub(r"\bC\(((?:[^()]|\([^()]*\))*)\)", r"`\1`", " ".join(text.split())).replace(
        "|", "\\|"
    )


def default_of(option: dict) -> str:
    if option.get("required"):
        return "required"
    if "default" not in option:
        return ""
    value = option["default"]
    return f"`{value if isinstance(value, str) and value else json.dumps(value)}`"


def rows(options: dict, prefix: str = "") -> list[str]:
    lines = []
    for name, option in options.items():
        kind = option["type"] + (f" of {option['elements']}" if "elements" in option else "")
        text = markdown(option["description"])
        choices = [f"`{choice or json.dumps(choice)}`" for choice in option.get("choices", ())]
        if not all(choice in text for choice in choices):
            text += " One of " + ", ".join(choices) + "."
        lines.append(f"| `{prefix}{name}` | {kind} | {default_of(option)} | {text} |")
        below = f"{prefix}{name}[]." if option["type"] == "list" else f"{prefix}{name}."
        lines += rows(option.get("options", {}), below)
    return lines


def options_of(folder: Path) -> dict:
    """The options that a role, or the collection, states in its meta/argument_specs.yml."""
    specs = yaml.safe_load((folder / "meta/argument_specs.yml").read_text(encoding="utf-8"))
    return specs["argument_specs"]["main"]["options"]


def defaults(options: dict) -> str:
    """The text of a role's defaults/main.yml."""
    lines = ["---", "# Written from meta/argument_specs.yml by tools/role_docs.py."]
    for name, option in options.items():
        if "default" in option:
            value = yaml.safe_dump(option["default"], default_flow_style=True, width=1000)
            lines.append(f"{name}: {value.splitlines()[0]}")
    return "\n".join(lines) + "\n"


def with_table(page: str, options: dict) -> str:
    """A README with its table made anew. Raises ValueError where it has no place for one."""
    before, begin, rest = page.partition(BEGIN)
    _former, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"no lines {BEGIN} and {END}")
    head = ["| variable | type | default | what it says |", "|---|---|---|---|"]
    return before + "\n".join([begin, *head, *rows(options), end]) + after


def pages() -> dict[Path, str]:
    """{file: text} of everything that follows from the specs."""
    wanted = {}
    roles = sorted(path.parent.parent for path in ROOT.glob("roles/*/meta/argument_specs.yml"))
    for folder in (ROOT, *roles):
        options, readme = options_of(folder), folder / "README.md"
        wanted[readme] = with_table(readme.read_text(encoding="utf-8"), options)
        if folder != ROOT and any("default" in option for option in options.values()):
            wanted[folder / "defaults/main.yml"] = defaults(options)
    return wanted


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--check", action="store_true", help="change nothing; fail if a file is out of date"
    )
    check = parser.parse_args().check
    stale = {
        path: text
        for path, text in pages().items()
        if not path.exists() or path.read_text(encoding="utf-8") != text
    }
    if check and stale:
        names = ", ".join(str(path.relative_to(ROOT)) for path in stale)
        print(f"out of date: {names}; run: python tools/role_docs.py", file=sys.stderr)
        return 1
    for path, text in stale.items():
        path.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
