# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import dataclasses

import pytest
from ansible_collections.mycat.ha.plugins.module_utils.keepalived.keywords import (
    KEYWORDS,
    OTHER_BLOCKS,
    SECRET_BLOCKS,
    SECRETS,
)
from ansible_collections.mycat.ha.plugins.module_utils.vrrp.model import (
    Authentication,
    Check,
    Instance,
)

MODELS = {"vrrp_instance": Instance, "vrrp_script": Check, "authentication": Authentication}


@pytest.mark.parametrize("block", MODELS)
def test_rows_set_fields_that_there_are(block: str) -> None:
    known = {field.name for field in dataclasses.fields(MODELS[block])}
    assert {row.field for row in KEYWORDS[block].values() if row.field} <= known


def test_every_field_of_an_instance_has_its_keyword() -> None:
    fields = {field.name for field in dataclasses.fields(Instance)}
    rows = KEYWORDS["vrrp_instance"]
    # The name stands behind the keyword of the block, the tracks are blocks of their own.
    assert fields - {row.field for row in rows.values()} == {"name", "tracks"}
    assert {"state", "track_script", "track_file", "track_process", "track_interface"} <= set(rows)


def test_secrets_have_a_variable_of_their_own() -> None:
    assert SECRET_BLOCKS == ("authentication", "auth_hmac")
    assert set(SECRETS) == {*SECRET_BLOCKS, "auth_pass"}


def test_a_block_is_read_or_not() -> None:
    assert OTHER_BLOCKS.isdisjoint(KEYWORDS.keys() - {""})
    assert "virtual_server" in OTHER_BLOCKS
