"""Write docs/election.md from the model's table of transitions and its theory of operation."""

from __future__ import annotations

import sys

import pages
from module_utils.vrrp import election
from module_utils.vrrp.events import TRANSITIONS

PAGE = pages.ROOT / "docs" / "election.md"


def transition_table() -> str:
    """``TRANSITIONS`` as a Markdown table."""
    rows = ["| in state | when | goes to |", "|---|---|---|"]
    for state, moves in TRANSITIONS.items():
        for trigger, target in moves.items():
            rows.append(f"| {state.value} | {trigger.value} | {target.value} |")
    return "\n".join(rows)


def transition_diagram() -> str:
    """``TRANSITIONS`` as a Mermaid state diagram, one arrow for each pair of states."""
    lines = ["stateDiagram-v2", "    [*] --> INIT"]
    for state, moves in TRANSITIONS.items():
        for target in dict.fromkeys(moves.values()):
            causes = " / ".join(t.value for t, to in moves.items() if to is target)
            lines.append(f"    {state.value} --> {target.value}: {causes}")
    return "\n".join(lines)


def page() -> str:
    """The whole page."""
    theory = (election.__doc__ or "").replace("``", "`")
    summary, _blank, essay = theory.partition("\n\n")
    essay = essay.partition("=\n\n")[2]
    return "\n".join(
        (
            "<!-- Made by tools/election_doc.py from events.py and election.py of "
            "plugins/module_utils/vrrp. -->",
            "# The election",
            "",
            summary,
            "",
            "## Every transition",
            "",
            "```mermaid",
            transition_diagram(),
            "```",
            "",
            transition_table(),
            "",
            "## Theory of operation",
            "",
            essay.rstrip() + "\n",
        )
    )


if __name__ == "__main__":
    sys.exit(pages.main(__doc__, PAGE, page(), "tools/election_doc.py"))
