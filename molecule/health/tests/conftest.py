"""What HAProxy concludes of each MyCat, and MyCats that are all whole before each test."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import pytest
from lab.haproxy import servers
from lab.hosts import Host, await_


class Conclusion(NamedTuple):
    """Columns ``status``, ``check_status`` and ``check_code`` of HAProxy's ``show stat``."""

    status: str
    check: str
    code: str


UP = Conclusion("UP", "L7OK", "200")
DOWN = Conclusion("DOWN", "L7STS", "503")
DRAINING = Conclusion("NOLB", "L7OKC", "404")


@pytest.fixture(scope="session")
def role_variables(settings: dict) -> Callable[[Host], dict]:
    """The role's variables that the inventory gives a host."""
    return lambda host: settings["provisioner"]["inventory"]["host_vars"][host.name]


@pytest.fixture(scope="session")
def concluded(lbs: list[Host]) -> Callable[[], dict[str, Conclusion]]:
    """Ask HAProxy what it thinks of each MyCat, by name."""

    def ask() -> dict[str, Conclusion]:
        return {
            # An asterisk: the next check is under way, which a hung MyCat makes the usual state.
            name: Conclusion(
                row["status"], row["check_status"].removeprefix("* "), row["check_code"]
            )
            for name, row in servers(lbs[0]).items()
        }

    return ask


@pytest.fixture(scope="session")
def await_conclusions(concluded) -> Callable[[dict[str, Conclusion]], None]:
    """Wait until HAProxy thinks of every MyCat what is expected."""

    def await_all(expected: dict[str, Conclusion]) -> None:
        try:
            # A kept login is made anew, and a changed password seen, after 30 s.
            await_(lambda: concluded() == expected, 40, "HAProxy's conclusions")
        except AssertionError:
            assert concluded() == expected  # says what is different
            raise

    return await_all


@pytest.fixture
def whole(mycats, await_conclusions) -> None:
    await_conclusions({mycat.name: UP for mycat in mycats})
