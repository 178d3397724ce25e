# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask several things at once, each in a thread, because each only waits."""

from __future__ import annotations

import threading
from typing import Callable, TypeVar

_Result = TypeVar("_Result")


def in_background(call: Callable[[], _Result]) -> Callable[[], _Result]:
    """Start a call; return a function that waits for its result, or raises what the call raised."""
    results: list[_Result] = []
    errors: list[BaseException] = []

    def work() -> None:
        try:
            results.append(call())
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()

    def result() -> _Result:
        thread.join()
        if errors:
            raise errors[0]
        return results[0]

    return result
