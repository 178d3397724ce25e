# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run programs of a host by one deadline each, from any thread (AnsibleModule's own may not)."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from typing import NamedTuple

# Where root's programs are, which a login over SSH need not have in its PATH.
_ROOTS = ("/usr/local/sbin", "/usr/sbin", "/sbin")


class CommandError(Exception):
    """A program that could not be run, or did not end in time; the text is a sentence."""


class Output(NamedTuple):
    """What a program ended with and wrote."""

    code: int
    out: str
    err: str


def find(program: str) -> str | None:
    """Return the path of a program, None where there is none."""
    return shutil.which(program, path=os.pathsep.join((os.environ.get("PATH", ""), *_ROOTS)))


def run(command: Sequence[str], seconds: float = 10.0) -> Output:
    """Run a program in the locale C. Raises CommandError."""
    try:
        # AnsibleModule.run_command knows no deadline.
        ended = subprocess.run(  # noqa: S603 - no shell # pylint: disable=ansible-bad-function
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env={**os.environ, "LC_ALL": "C"},
            timeout=seconds,
            encoding="utf-8",
            errors="replace",
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise CommandError(f"{command[0]} did not end within {seconds:g} s") from None
    except OSError as error:
        raise CommandError(f"{command[0]} cannot be run: {error.strerror}") from None
    return Output(ended.returncode, ended.stdout, ended.stderr)
