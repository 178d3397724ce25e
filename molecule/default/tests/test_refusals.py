"""Bad input stops site.yml before any host is touched, with a message that names the variable."""

from __future__ import annotations

import json

import pytest
from lab.playbook import run_playbook

REFUSALS = {
    "missing VIP": ({"mycat_ha_vip": ""}, "mycat_ha_vip: no virtual IP is set; write"),
    "rubbish for a VIP": ({"mycat_ha_vip": "rubbish"}, "mycat_ha_vip: is 'rubbish'; write"),
    "VIP without prefix": ({"mycat_ha_vip": "<lan>.100"}, "write an address and its prefix"),
    "VIP in no subnet": (
        {"mycat_ha_vip": "192.168.77.5/24"},
        "mycat_ha_vip: 192.168.77.5/24 is in no subnet",
    ),
    "VIP of a load balancer": (
        {"mycat_ha_vip": "<lb1>/24"},
        "mycat_ha_vip: <lb1>/24 is the host's own address",
    ),
    "VIP of a MyCat": (
        {"mycat_ha_vip": "<mycat1>/24"},
        "mycat_ha_vip: <mycat1> is an address of mycat1",
    ),
    "VIP that the list leaves out": (
        {"mycat_ha_vips": [{"address": "<lan>.101/24"}]},
        "mycat_ha_vip: has <lan>.100/24, which is not in mycat_ha_vips, and that counts",
    ),
    "unknown mode": (
        {"mycat_ha_failover_mode": "magic"},
        "mycat_ha_failover_mode: is 'magic'; write one of fault, weight, kill",
    ),
    "unknown preempt": (
        {"mycat_ha_preempt": "often"},
        "mycat_ha_preempt: is 'often'; write one of sticky, preferred",
    ),
    "budget nobody keeps": (
        {"mycat_ha_failover_budget": 0.01},
        "mycat_ha_failover_budget: 0.01 s cannot be kept",
    ),
    "budget in words": ({"mycat_ha_node_loss_budget": "soon"}, "mycat_ha_node_loss_budget"),
    "one load balancer": (
        {"mycat_ha_lb_group": "clients"},
        "mycat_ha_lb_group: the group 'clients' has 1 host(s)",
    ),
    "group that is not there": (
        {"mycat_ha_mycat_group": "nobody"},
        "mycat_ha_mycat_group: the inventory has no host in the group 'nobody'",
    ),
    "name with a brace": (
        {"mycat_ha_vips": [{"address": "<lan>.100/24", "name": "x}"}]},
        "mycat_ha_vips[0].name: is 'x}'; write",
    ),
    "name with a newline": (
        {"mycat_ha_vips": [{"address": "<lan>.100/24", "name": "x\ny"}]},
        "mycat_ha_vips[0].name: is 'x\\ny'; write",
    ),
    "time without a unit": (
        {"haproxy_timeout_client": "30"},
        'haproxy_timeout_client: "30" is not a time',
    ),
    "unknown level": (
        {"mycat_status_level": "deep"},
        "mycat_status_level: is 'deep'; write one of process, greeting, query",
    ),
    "query without a user": (
        {"mycat_status_level": "query"},
        "mycat_status_user and mycat_status_password",
    ),
    "allow-list of nobody": ({"mycat_status_allow": []}, "mycat_status_allow: nobody may ask"),
    "allow-list of no addresses": ({"mycat_status_allow": ["lb1"]}, "mycat_status_allow: "),
}


@pytest.fixture(scope="session")
def addresses(lbs, mycats):
    """What <lan>, <lb1> and <mycat1> stand for above."""
    found = {
        host.name: next(a for a in host.addresses() if not a.startswith(("127.", "::")))
        for host in (lbs[0], mycats[0])
    }
    return {**found, "lan": found["lb1"].rpartition(".")[0]}


def filled(value, addresses):
    text = json.dumps(value)
    for name, address in addresses.items():
        text = text.replace(f"<{name}>", address)
    return json.loads(text)


@pytest.mark.parametrize(("given", "message"), REFUSALS.values(), ids=REFUSALS)
def test_refused_by_name_and_nothing_touched(given, message, addresses):
    done = run_playbook("playbooks/site.yml", **filled(given, addresses))
    assert done.rc != 0
    assert filled(message, addresses) in done.said
    assert done.changed == set()
