# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ansible_collections.mycat.ha.plugins.module_utils.haproxy import admin
from ansible_collections.mycat.ha.plugins.module_utils.network.connection import (
    Connection,
    NoAnswer,
)
from lab.servers import answering, serving


@pytest.mark.parametrize("owner", [0, os.getuid()])
def test_the_socket_of_root_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, owner: int
) -> None:
    monkeypatch.setattr(Connection, "owner", lambda _self: owner)
    with serving(answering(b"Name: HAProxy\n"), str(tmp_path / "socket")):
        assert admin.ask(str(tmp_path / "socket"), "show info", 5) == "Name: HAProxy\n"


def test_a_socket_that_another_user_put_there_is_not_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Connection, "owner", lambda _self: os.getuid() + 1)
    path = str(tmp_path / "socket")
    refused = pytest.raises(NoAnswer, match="is another user's, not HAProxy's")
    with serving(answering(b"Name: HAProxy\n"), path), refused:
        admin.ask(path, "show info", 5)
