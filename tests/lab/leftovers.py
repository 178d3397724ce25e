"""What tells that the collection was ever on a host."""

from __future__ import annotations

from .hosts import Host
from .playbook import ROOT

_LOOK = ROOT / "molecule/shared/left"


def left(host: Host) -> list[str]:
    """Return what is left on a host, word by word: files, accounts, units that run."""
    return host.run("bash", "-c", _LOOK.read_text(encoding="utf-8")).stdout.split()
