"""What HAProxy concludes of each MyCat, and MyCats that are all whole before each test."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import pytest
from lab.haproxy import servers
from lab.hosts import Host, await_

# While a check is under way, the usual state before a hung MyCat, HAProxy marks the former outcome
# and has no code of it.
UNDER_WAY = "* "
NO_CODE = "0"


class Conclusion(NamedTuple):
    """Columns ``status``, ``check_status`` and ``check_code`` of HAProxy's ``show stat``."""

    status: str
    check: str
    code: str

    def agrees(self, other: Conclusion) -> bool:
        """Whether nothing that is known of either says that they differ."""
        codes = {self.code, other.code} - {NO_CODE}
        return self[:2] == other[:2] and len(codes) <= 1


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
            name: Conclusion(
                row["status"], row["check_status"].removeprefix(UNDER_WAY), row["check_code"]
            )
            for name, row in servers(lbs[0]).items()
        }

    return ask


@pytest.fixture(scope="session")
def await_conclusions(concluded) -> Callable[[dict[str, Conclusion]], None]:
    """Wait until HAProxy thinks of every MyCat what is expected."""

    def await_all(expected: dict[str, Conclusion]) -> None:
        def all_agree() -> bool:
            found = concluded()
            return found.keys() == expected.keys() and all(
                found[name].agrees(expected[name]) for name in found
            )

        try:
            # A kept login is made anew, and a changed password seen, after 30 s.
            await_(all_agree, 40, "HAProxy's conclusions")
        except AssertionError:
            assert concluded() == expected  # says what is different
            raise

    return await_all


@pytest.fixture
def whole(mycats, await_conclusions) -> None:
    await_conclusions({mycat.name: UP for mycat in mycats})
