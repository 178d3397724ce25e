"""Run a playbook against the hosts of the Molecule scenario under test, and read its recap."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
_LAST = 30.0  # seconds that an interrupted playbook may take to end
_RECAP_LINE = re.compile(r"^(\S+) +: +(ok=\d+ .*)$", re.MULTILINE)
# Molecule turns colours on. Without them and without line breaks the output can be searched.
_PLAIN = {"ANSIBLE_FORCE_COLOR": "0", "ANSIBLE_NOCOLOR": "1", "COLUMNS": "1000"}


@dataclass(frozen=True)
class Run:
    """``output``: stdout, then stderr. ``recap``: {host: {"ok": n, "changed": n, "failed": n}}."""

    rc: int
    output: str
    recap: dict[str, dict[str, int]]

    @property
    def said(self) -> str:
        """The output with every run of white space as one space, to look for sentences in."""
        return " ".join(self.output.split())

    @property
    def changed(self) -> set[str]:
        """Hosts on which something changed, or, in check mode, would."""
        return {host for host, counts in self.recap.items() if counts["changed"]}


def read_recap(output: str) -> dict[str, dict[str, int]]:
    """{host: {counter: n}} of ``PLAY RECAP``; empty when no host was reached by any task."""
    recap = output.rpartition("PLAY RECAP")[2]
    return {
        host: {name: int(n) for name, n in re.findall(r"(\w+)=(\d+)", counts)}
        for host, counts in _RECAP_LINE.findall(recap)
    }


def run_playbook(
    playbook: str | Path,
    *options: str,
    core: str | None = None,
    timeout: float = 600.0,
    collections: Path | None = None,
    **variables: object,
) -> Run:
    """Run ``playbook``, a path below the repository, with ``variables`` as extra variables.

    ``options`` are further arguments of ansible-playbook. The inventory is the scenario's, as
    Molecule's verifier names it. ``core``: a minor version of ansible-core, that of the development
    environment by default. ``collections``: a folder of collections that comes before the others.
    Raise subprocess.TimeoutExpired after ``timeout`` seconds.
    """
    tools = (str(ROOT / "tools/core"), core) if core else ()
    done = subprocess.run(
        [*tools, *_command(playbook, options, variables)],
        cwd=ROOT,
        env=_environment(collections),
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout,
    )
    return Run(done.returncode, done.stdout + done.stderr, read_recap(done.stdout))


def kill_playbook(
    playbook: str, at: str, nth: int = 1, by: int = signal.SIGKILL, **variables: object
) -> Run:
    """Run ``playbook`` with ``variables``, and end it as it prints ``at`` for the ``nth`` time.

    ``by`` is the signal, which a terminal would send to its workers too unless it is SIGKILL.
    ``at`` is a part of a line. Ansible's workers end what they are at. What a killed playbook said
    is not waited for. AssertionError where the playbook ends before.
    """
    with _started(playbook, variables) as process:
        lines = _lines_until(process, at, nth)
        if by == signal.SIGKILL:
            process.kill()
        else:
            os.killpg(process.pid, by)
            # Now and then Ansible waits without end for a worker that did.
            late = threading.Timer(_LAST, os.killpg, (process.pid, signal.SIGKILL))
            late.start()
            lines += process.stdout or ()
            late.cancel()
    return Run(process.returncode, "".join(lines), {})


def disturb_playbook(
    playbook: str, at: str, disturb: Callable[[], object], **variables: object
) -> Run:
    """Run ``playbook`` with ``variables`` to its end, and disturb it as it prints ``at``.

    AssertionError where the playbook ends before.
    """
    with _started(playbook, variables) as process:
        lines = _lines_until(process, at, 1)
        disturb()
        output = "".join([*lines, *(process.stdout or ())])
    return Run(process.returncode, output, read_recap(output))


def _started(playbook: str, variables: Mapping[str, object]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        _command(playbook, (), variables),
        cwd=ROOT,
        start_new_session=True,
        env=_environment(None),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def _lines_until(process: subprocess.Popen[str], at: str, nth: int) -> list[str]:
    """The lines up to the ``nth`` with ``at``; AssertionError where there are fewer."""
    lines: list[str] = []
    for line in process.stdout or ():
        lines.append(line)
        nth -= at in line
        if not nth:
            return lines
    raise AssertionError(f"it ended before {at!r}: {''.join(lines)}")


def _command(
    playbook: str | Path, options: Iterable[str], variables: Mapping[str, object]
) -> list[str]:
    return [
        "ansible-playbook",
        f"--inventory={os.environ['MOLECULE_INVENTORY_FILE']}",
        f"--extra-vars={json.dumps(variables)}",
        *options,
        str(ROOT / playbook),
    ]


def _environment(collections: Path | None) -> dict[str, str]:
    first = {"ANSIBLE_COLLECTIONS_PATH": str(collections)} if collections else {}
    return {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), **_PLAIN, **first}
