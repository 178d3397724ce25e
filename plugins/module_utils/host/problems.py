# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Go on where a part of a host cannot be read, and say so."""

from __future__ import annotations

import time
from typing import Callable, TypeVar

_Result = TypeVar("_Result")


class Problems:
    """``sentences``: what could not be read."""

    def __init__(self) -> None:
        self.sentences: list[str] = []

    def part(self, name: str, call: Callable[[], _Result], default: _Result) -> _Result:
        """Return what a call returns; where it raises anything, say so and return the default."""
        try:
            return call()
        except OSError as error:
            reason = f"{error.filename}: {error.strerror}" if error.filename else str(error)
            self.sentences.append(f"{name}: {reason}")
        except Exception as error:
            # An error in one part must not cost the other parts.
            self.sentences.append(f"{name}: {' '.join(str(error).split()) or type(error).__name__}")
        return default


def iso(seconds: float) -> str:
    """A time in seconds since 1970 as ISO 8601 in UTC."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
