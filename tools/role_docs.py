"""Write each role's defaults, and the table of variables in its README, from its argument_specs."""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path

import yaml

ROLES = Path(__file__).parent.parent / "roles"
HEAD = 2  # lines of a defaults/main.yml without defaults
BEGIN, END = "<!-- variables: made by tools/role_docs.py -->", "<!-- end of variables -->"


def markdown(text: str) -> str:
    """Turn Ansible's markup C(...) into Markdown."""
    return re.sub(r"\bC\((.*?)\)", r"`\1`", " ".join(text.split())).replace("|", "\\|")


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
        if "choices" in option:
            text += " One of " + ", ".join(f"`{choice}`" for choice in option["choices"]) + "."
        lines.append(f"| `{prefix}{name}` | {kind} | {default_of(option)} | {text} |")
        below = f"{prefix}{name}[]." if option["type"] == "list" else f"{prefix}{name}."
        lines += rows(option.get("options", {}), below)
    return lines


def defaults(role: Path) -> str:
    """The text of the role's defaults/main.yml."""
    specs = yaml.safe_load((role / "meta/argument_specs.yml").read_text(encoding="utf-8"))
    options = specs["argument_specs"]["main"]["options"]
    lines = ["---", "# Written from meta/argument_specs.yml by tools/role_docs.py."]
    for name, option in options.items():
        if "default" in option:
            value = yaml.safe_dump(option["default"], default_flow_style=True, width=1000)
            lines.append(f"{name}: {value.splitlines()[0]}")
    return "\n".join(lines) + "\n"


def table(role: Path) -> str:
    specs = yaml.safe_load((role / "meta/argument_specs.yml").read_text(encoding="utf-8"))
    head = ["| variable | type | default | what it says |", "|---|---|---|---|"]
    return "\n".join([BEGIN, *head, *rows(specs["argument_specs"]["main"]["options"]), END])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--check", action="store_true", help="change nothing; fail if a README is out of date"
    )
    options = parser.parse_args()
    stale = []
    for role in sorted(path for path in ROLES.iterdir() if path.is_dir()):
        readme = role / "README.md"
        before = readme.read_text(encoding="utf-8")
        pattern = re.compile(re.escape(BEGIN) + ".*" + re.escape(END), re.DOTALL)
        # Split and joined, as a replacement text would have its backslashes read.
        wanted = {readme: table(role).join(pattern.split(before, maxsplit=1))}
        if BEGIN not in before:
            stale.append(str(readme))
        if defaults(role).count("\n") > HEAD:
            wanted[role / "defaults/main.yml"] = defaults(role)
        for path, after in wanted.items():
            if not path.exists() or path.read_text(encoding="utf-8") != after:
                stale.append(str(path))
                if not options.check:
                    path.write_text(after, encoding="utf-8")
    if options.check and stale:
        print(f"out of date: {', '.join(stale)}; run: python tools/role_docs.py")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
