# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What inventories of earlier versions say still counts, or is refused with its new name."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.mycat.ha.plugins.module_utils.cluster.files import roles
from ansible_collections.mycat.ha.plugins.module_utils.variables import unknown_variables
from ansible_collections.mycat.ha.plugins.plugin_utils.inventory import collection_spec

ROOT = Path(__file__).parents[2]
EARLIER = json.loads((ROOT / "tests/cases/variables/0.1.0.json").read_text(encoding="utf-8"))
ROLES = ("mycat_status", "haproxy", "keepalived")


@pytest.fixture(scope="session")
def today() -> dict[str, Any]:
    """The options that there are now, by name."""
    found = collection_spec()
    for role in roles(ROOT, ROLES).values():
        found.update(role.spec())
    # A VIP is written in the same way for both.
    found["mycat_ha_vips"] = found["keepalived_vips"]
    return found


def differences(then: Mapping[str, Any], now: Mapping[str, Any], name: str) -> Iterator[str]:
    """What an option took then and does not take now."""
    for key in ("type", "elements"):
        if then.get(key) != now.get(key):
            yield f"{name}: {key} was {then.get(key)} and is {now.get(key)}"
    if now.get("choices"):
        gone = set(then.get("choices") or ["any"]) - set(now["choices"])
        yield from (f"{name}: takes {choice} no longer" for choice in gone)
    for option, inner in then.get("options", {}).items():
        if option not in now.get("options", {}):
            yield f"{name}.{option}: is gone"
        else:
            yield from differences(inner, now["options"][option], f"{name}.{option}")


@pytest.mark.parametrize("name", EARLIER)
def test_a_variable_counts_or_is_refused_with_its_new_name(name: str, today: dict) -> None:
    refusals, warnings = unknown_variables([name], today)
    assert warnings == []
    assert all("; write " in str(refusal) for refusal in refusals)


@pytest.mark.parametrize("name", EARLIER)
def test_a_variable_takes_what_it_took(name: str, today: dict) -> None:
    assert list(differences(EARLIER[name], today.get(name, EARLIER[name]), name)) == []


def test_a_difference_is_found() -> None:
    then = {"type": "str", "choices": ["a", "b"], "options": {"x": {"type": "int"}}}
    now = {"type": "raw", "choices": ["a"], "options": {}}
    assert list(differences(then, now, "v")) == [
        "v: type was str and is raw",
        "v: takes b no longer",
        "v.x: is gone",
    ]
