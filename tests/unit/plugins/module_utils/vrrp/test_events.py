# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import itertools

import pytest
from ansible_collections.mycat.ha.plugins.module_utils.vrrp import events
from ansible_collections.mycat.ha.plugins.module_utils.vrrp.events import Trigger, VrrpState


class TestTable:
    @pytest.mark.parametrize(
        ("state", "trigger"),
        list(itertools.product(VrrpState, Trigger)),
        ids=lambda value: value.name,
    )
    def test_every_move_is_in_the_table_or_raises(self, state, trigger):
        if trigger in events.TRANSITIONS[state]:
            assert events.next_state(state, trigger) in VrrpState
        else:
            with pytest.raises(events.IllegalTransitionError) as caught:
                events.next_state(state, trigger)
            assert (caught.value.state, caught.value.trigger) == (state, trigger)

    def test_every_state_and_trigger_has_a_use(self):
        moves = [
            (trigger, target)
            for row in events.TRANSITIONS.values()
            for trigger, target in row.items()
        ]
        assert {trigger for trigger, _ in moves} == set(Trigger)
        assert {target for _, target in moves} == set(VrrpState)

    def test_fault_never_goes_straight_to_master(self):
        assert VrrpState.MASTER not in events.TRANSITIONS[VrrpState.FAULT].values()
