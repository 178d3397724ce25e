# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which packages have newer versions, as apt-get and dnf print it."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from ansible_collections.mycat.ha.plugins.module_utils.host import updates
from ansible_collections.mycat.ha.plugins.module_utils.host.commands import CommandError, Output

APT = """\
Reading package lists...
Inst keepalived [1:2.2.7-0] (1:2.2.7-1+b2 localhost [amd64])
Inst libnew (3.1 Debian:12.8/stable [amd64])
Conf keepalived (1:2.2.7-1+b2 localhost [amd64])
"""
DNF = """\

haproxy.x86_64                     2.4.22-4.el9                  appstream
keepalived.x86_64                  1:2.2.8-4.el9                 appstream
Obsoleting Packages
old.x86_64                         2                             appstream
"""


class Host:
    """``programs`` it has; what was run."""

    def __init__(self, programs: Sequence[str], output: Output) -> None:
        self.programs, self.output, self.ran = programs, output, list[list[str]]()

    def find(self, program: str) -> str | None:
        return program if program in self.programs else None

    def run(self, command: Sequence[str], _seconds: float) -> Output:
        self.ran.append(list(command))
        return self.output


def host(
    monkeypatch: pytest.MonkeyPatch, program: str, text: str, code: int = 0, error: str = ""
) -> Host:
    found = Host([program], Output(code, text, error))
    monkeypatch.setattr(updates, "find", found.find)
    monkeypatch.setattr(updates, "run", found.run)
    there = {"keepalived": "1:2.2.7-0", "haproxy": "2.4.17"}
    monkeypatch.setattr(
        updates, "versions", lambda names: {name: there.get(name) for name in names}
    )
    return found


def test_apt(monkeypatch: pytest.MonkeyPatch) -> None:
    found = host(monkeypatch, "apt-get", APT)
    assert updates.listed(["keepalived", "xinetd"], refresh=True) == {
        "keepalived": ("1:2.2.7-0", "1:2.2.7-1+b2"),
        "libnew": ("", "3.1"),
    }
    # What is not installed is not asked for: --only-upgrade would complain of it.
    assert found.ran[0][-1] == "update"
    assert found.ran[1][-3:] == ["install", "--only-upgrade", "keepalived"]
    updates.listed(["all"], refresh=False)
    assert found.ran[2][-1] == "dist-upgrade"
    updates.apply(["keepalived"])
    assert "Dpkg::Options::=--force-confold" in found.ran[3]
    assert updates.listed(["xinetd"], refresh=False) == {}


def test_dnf(monkeypatch: pytest.MonkeyPatch) -> None:
    found = host(monkeypatch, "dnf", DNF, 100)
    assert updates.listed(["haproxy", "keepalived"], refresh=False) == {
        "haproxy": ("2.4.17", "2.4.22-4.el9"),
        "keepalived": ("1:2.2.7-0", "1:2.2.8-4.el9"),
    }
    found.output = Output(0, "", "")
    updates.apply(["all"])
    assert found.ran[-1][-1] == "upgrade"


@pytest.mark.parametrize("program", ["apt-get", "dnf"])
def test_a_package_manager_that_fails(monkeypatch: pytest.MonkeyPatch, program: str) -> None:
    host(monkeypatch, program, "", 1, "E: no archive\n")
    with pytest.raises(CommandError, match="no archive"):
        updates.listed(["keepalived"], refresh=True)
    with pytest.raises(CommandError, match="no archive"):
        updates.apply(["keepalived"])


def test_a_host_with_neither(monkeypatch: pytest.MonkeyPatch) -> None:
    host(monkeypatch, "zypper", "")
    for ask in (lambda: updates.listed(["all"], False), lambda: updates.apply(["all"])):
        with pytest.raises(LookupError, match="neither apt-get nor dnf"):
            ask()
