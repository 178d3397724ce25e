"""Write docs/rules.md from the rules."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pages
from module_utils.vrrp.findings import Rule, Severity
from module_utils.vrrp.rules.catalogue import SECTIONS

PAGE = pages.ROOT / "docs" / "rules.md"

HEAD = """# What the validator finds

<!-- Made by tools/rules_doc.py from plugins/module_utils/vrrp/rules. -->

`vrrp_validate` (and `vrrp_plan`, which proves its own result) returns findings. Each has an id from
this page, the node and instance to look at, a message, a fix with the numbers of your cluster, and
for a broken property the shortest list of events that shows it.

* **error**: some failure leaves the service without its address or puts the address on two nodes,
  or the daemon runs something else than the file says where that can do either.
* **warning**: failover works, but slower, less predictably or with more surprise than meant.
* **info**: something to know.

Two ids are *properties*, found by looking at every state that failures can lead to: `no-failover`
and `dual-master`. The others are *causes*, found in the configuration. Under each error stands the
property it breaks; where it breaks neither, the reason stands there.

## What no configuration shows

The validator takes a check at its word. It cannot see a script that prints its status instead of
exiting with it, a check that looks at the backends through HAProxy instead of at HAProxy, a
`track_process` in a container (where it sees nothing), a machine whose CPU stalls for longer than
three adverts, or a firewall that drops VRRP. After `kill -9` of keepalived its addresses stay on
the interface until it starts again; no configuration prevents that, an init system that restarts
it does.

Two faults of keepalived itself, in all versions so far, make it worse where a finding below
already stands. Of two address owners (priority 255) of one virtual router, a master that hears the
other lowers itself to 254 until it is started again; which one does depends on whose advert comes
first. And a master starts its own advert timer afresh with every advert that it reads and rejects
(another version, authentication, interval or list of addresses): beside such a mismatch it can be
silent for seconds, and a third node takes over too.
"""


def entry(rule: Rule) -> Iterator[str]:
    """The section of one rule."""
    yield f"### `{rule.id}`\n"
    yield f"*{rule.severity.value}* — {rule.harm}\n"
    yield f"```\n{rule.example}\n```\n"
    yield f"**Fix:** {rule.fix}\n"
    if rule.breaks and rule.breaks != rule.id:
        unless = f", unless {rule.unless}" if rule.unless else ""
        yield f"**Breaks:** `{rule.breaks}`{unless}\n"
    elif rule.severity is Severity.ERROR and not rule.breaks:
        yield f"**Breaks no property:** {rule.unproven}\n"


def page() -> str:
    """The whole page."""
    parts = [HEAD]
    for title, rules in SECTIONS:
        parts.append(f"## {title}\n")
        parts.append("| finding | severity |\n|---|---|")
        parts += [f"| [`{rule.id}`](#{rule.id}) | {rule.severity.value} |" for rule in rules]
        parts.append("")
        for rule in rules:
            parts += entry(rule)
    return "\n".join(parts).rstrip() + "\n"


if __name__ == "__main__":
    sys.exit(pages.main(__doc__, PAGE, page(), "tools/rules_doc.py"))
