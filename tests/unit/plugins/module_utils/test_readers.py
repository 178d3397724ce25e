# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.mycat.ha.plugins.module_utils import readers
from ansible_collections.mycat.ha.plugins.module_utils.readers import (
    RefusalError,
    SettingError,
    collected,
)


def test_an_error_names_options_by_their_paths() -> None:
    error = SettingError("delay", "is {value} beside {preempt}; write {checks[].effect}", value=5)
    assert str(error) == "delay: is 5 beside preempt; write effect"
    assert (error.option, error.problem) == ("delay", "is 5 beside preempt; write effect")


def test_an_error_names_the_option() -> None:
    error = SettingError("lb1.priority", "must be 1..255")
    assert str(error) == "lb1.priority: must be 1..255"
    assert (error.option, error.problem) == ("lb1.priority", "must be 1..255")


def test_an_error_can_be_said_with_other_names() -> None:
    error = SettingError("vips[0].address", "is {value} as {vips[1].name} is", value="{mode}")
    said = error.named({"vips[0].address": "mine", "vips[1].name": "yours"}.__getitem__)
    assert str(said) == "mine: is '{mode}' as yours is"


def test_an_error_of_a_host_says_so() -> None:
    assert str(SettingError("delay", "is odd").on("lb2")) == "lb2: delay: is odd"
    assert SettingError("delay", "is odd").on("lb2").named(str.upper).host == "lb2"


def test_a_long_value_is_cut() -> None:
    assert len(readers.wrong("x", "y" * 1000, "less").problem) < 100


def refuse(option: str) -> None:
    raise SettingError(option, "is odd")


def test_results_come_in_order() -> None:
    assert collected(lambda: 1, lambda: 2) == [1, 2]


def test_one_error_is_itself() -> None:
    with pytest.raises(SettingError, match="a: is odd"):
        collected(lambda: 1, lambda: refuse("a"))


def test_several_errors_are_one_refusal() -> None:
    with pytest.raises(RefusalError) as refused:
        collected(lambda: refuse("a"), lambda: collected(lambda: refuse("b"), lambda: refuse("c")))
    assert [error.option for error in refused.value.errors] == ["a", "b", "c"]
    assert str(refused.value) == "a: is odd\nb: is odd\nc: is odd"
