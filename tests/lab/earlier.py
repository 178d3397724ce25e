"""The collection as it was at an earlier commit."""

from __future__ import annotations

import subprocess
from pathlib import Path

from .playbook import ROOT


class NoSuchCommitError(Exception):
    """The commit is not in this clone; the text says what to do."""


def unpack(commit: str, folder: Path) -> Path:
    """Put the collection of ``commit`` below ``folder``, a path of collections; return its root."""
    archive = subprocess.run(
        ["git", "archive", commit, *("galaxy.yml", "meta", "playbooks", "plugins", "roles")],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    if archive.returncode:
        raise NoSuchCommitError(
            f"{ROOT} has no commit {commit}, which the hosts are set up with first "
            f"({archive.stderr.decode().strip()}): run git fetch --unshallow there, or clone the "
            "whole history."
        )
    root = folder / "ansible_collections/mycat/ha"
    root.mkdir(parents=True)
    subprocess.run(["tar", "-x", "-C", str(root)], input=archive.stdout, check=True)
    return root
