"""Variables become typed settings, whatever core gave them as."""

from __future__ import annotations

import pytest
from ansible_collections.mycat.ha.plugins.module_utils.settings import typed

SPEC = {
    "port": {"type": "int", "default": 8066},
    "pace": {"type": "float"},
    "on": {"type": "bool", "default": False},
    "mode": {"type": "str", "choices": ["fast", "slow"], "default": "fast"},
    "hosts": {"type": "list", "elements": "str"},
    "ids": {"type": "list", "elements": "int"},
    "password": {"type": "int", "no_log": True},
    "vips": {
        "type": "list",
        "elements": "dict",
        "options": {"address": {"type": "str", "required": True}, "id": {"type": "int"}},
    },
}


def test_what_is_not_set_has_its_default_or_is_left_out() -> None:
    assert typed(SPEC, {}) == ({"port": 8066, "on": False, "mode": "fast"}, [])


@pytest.mark.parametrize(
    ("given", "typed_value"),
    [
        ({"port": "8067"}, 8067),
        ({"pace": "0.5"}, 0.5),
        ({"on": "false"}, False),
        ({"on": "yes"}, True),
        ({"hosts": "a,b"}, ["a", "b"]),
        ({"ids": ["1", 2]}, [1, 2]),
        ({"vips": [{"address": "192.0.2.1", "id": "7"}]}, [{"address": "192.0.2.1", "id": 7}]),
        ({"vips": [{"address": "192.0.2.1"}]}, [{"address": "192.0.2.1"}]),
    ],
)
def test_text_is_taken_for_what_it_says(given: dict, typed_value: object) -> None:
    settings, errors = typed(SPEC, given)
    assert errors == []
    assert settings[next(iter(given))] == typed_value


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"port": "x"}, "port: is 'x'; write a whole number"),
        ({"pace": "soon"}, "pace: is 'soon'; write a number"),
        ({"on": "maybe"}, "on: is 'maybe'; write true or false"),
        ({"mode": "fats"}, "mode: is 'fats'; write one of fast, slow"),
        ({"ids": ["a"]}, "ids: is ['a']; write a list, each entry a whole number"),
        ({"password": "s3cret"}, "password: is not what it should be; write a whole number"),
        ({"vips": [{"id": 1}]}, "vips: missing required arguments: address found in vips"),
        ({"port": "9" * 100}, None),
    ],
)
def test_what_cannot_be_had_is_said_with_the_name(given: dict, said: str | None) -> None:
    _settings, errors = typed(SPEC, given)
    if said is None:
        assert errors == []
    else:
        assert [str(error) for error in errors] == [said]


def test_all_that_is_wrong_is_said_at_once() -> None:
    _settings, errors = typed(SPEC, {"port": "x", "mode": "y"})
    assert [error.option for error in errors] == ["port", "mode"]


def test_names_that_the_spec_lacks_do_not_count() -> None:
    assert typed(SPEC, {"port": 1, "other": 2})[0]["port"] == 1
