# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import dataclasses

import pytest
from ansible_collections.mycat.ha.plugins.module_utils.vrrp import model


def pair() -> model.Cluster:
    instance = model.Instance("VI_1", 51, virtual_ipaddress=("192.0.2.9/24",))
    return model.Cluster(
        (
            model.Node("lb1", "192.0.2.1", (instance,)),
            model.Node("lb2", "192.0.2.2", (instance,)),
        )
    )


def test_equal_clusters_are_one_key():
    assert {pair(): "found"}[pair()] == "found"


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(pair(), id="cluster"),
        pytest.param(pair().nodes[0], id="node"),
        pytest.param(pair().nodes[0].instances[0], id="instance"),
        pytest.param(model.Check("c"), id="check"),
        pytest.param(model.Track("c"), id="track"),
        pytest.param(model.SyncGroup("g", ("VI_1",)), id="sync group"),
        pytest.param(model.Authentication("PASS"), id="authentication"),
    ],
)
def test_values_are_frozen(value):
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(value, dataclasses.fields(value)[0].name, None)


def test_absent_options_are_keepaliveds_defaults():
    instance = model.Instance("VI_1", 51)
    assert (instance.priority, instance.advert_int, instance.version) == (100, 1.0, 2)
    assert instance.state is model.State.BACKUP
    check = model.Check("c")
    assert (check.interval, check.timeout, check.rise, check.fall) == (1.0, None, 1, 1)
