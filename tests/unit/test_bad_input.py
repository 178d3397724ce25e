# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nothing that people or programs hand in ends in a traceback, or takes longer than a second.

``MUTATIONS`` says how many cases: 1000 here, 20000 in ``make test-long``.
"""

from __future__ import annotations

import json
import os
import random
import time
from pathlib import Path
from typing import Callable

import mutations
import pytest
from ansible_collections.mycat.ha.plugins.module_utils.haproxy import admin, config_text
from ansible_collections.mycat.ha.plugins.module_utils.keepalived import dump
from ansible_collections.mycat.ha.plugins.module_utils.keepalived.reader import parse_cluster
from ansible_collections.mycat.ha.plugins.module_utils.readers import SettingError
from ansible_collections.mycat.ha.plugins.module_utils.vrrp.plan import make_plan
from ansible_collections.mycat.ha.plugins.module_utils.vrrp.request import read_request
from ansible_collections.mycat.ha.plugins.module_utils.vrrp.structured import read_cluster
from ansible_collections.mycat.ha.plugins.module_utils.vrrp.validate import validate

MUTATIONS = int(os.environ.get("MUTATIONS", "1000"))
MOST_SECONDS = 1.0
HERE = Path(__file__).parent
TEXTS = [
    path.read_bytes().decode("utf-8")
    for path in sorted((HERE.parent / "cases" / "validator").glob("*.conf"))
]
DUMPS = HERE / "plugins" / "module_utils" / "keepalived" / "dumps"
DUMP = {name: (DUMPS / f"2.2.7.{name}").read_text(encoding="utf-8") for name in ("json", "data")}
VERSIONS = ((2, 0, 10), (2, 0, 18), (2, 1, 5), (2, 2, 7), (2, 3, 2), (2, 3, 3), (2, 4, 0))
WISH = {
    "nodes": [{"name": f"lb{n}", "address": f"192.0.2.1{n}"} for n in (1, 2, 3)],
    "vips": [
        {"address": "192.0.2.100/24"},
        {"address": "192.0.2.101/24", "name": "VI_2", "virtual_router_id": 52},
    ],
    "mode": "weight",
    "preempt": "sticky",
    "checks": [{"name": "a", "weight": "auto", "event": True}, {"name": "b", "weight": -20}],
    "failover_budget": 2,
    "node_loss_budget": 4,
}
NODES = {
    f"lb{n}": {
        "address": f"192.0.2.1{n}",
        "instances": [
            {
                "name": "VI_1",
                "virtual_router_id": 51,
                "interface": "eth0",
                "priority": 100 - n,
                "track_script": [{"name": "chk", "weight": 2}],
                "track_file": ["f"],
                "virtual_ipaddress": ["192.0.2.100/24"],
                "unicast_src_ip": f"192.0.2.1{n}",
                "unicast_peer": ["192.0.2.12"],
                "authentication": {"auth_type": "PASS", "auth_pass": "x"},
                "mcast_dst_ip": "224.0.0.50",
                "auth_hmac": {"keys": [{"id": 1, "key": "k" * 32}], "active_key": 1},
            }
        ],
        "checks": [{"name": "chk", "kind": "track_script", "command": "/bin/x"}],
        "sync_groups": [{"name": "G", "group": ["VI_1"]}],
    }
    for n in (1, 2)
}
HAPROXY = "defaults\n  mode tcp\nlisten a\n  bind :1\n  server b 192.0.2.1:1 check\n"


def judge_texts(rng: random.Random) -> None:
    base = rng.choice(TEXTS)
    names = [f"n{number}" for number in range(rng.randint(1, 3))]
    given = {name: mutations.mutated(rng, rng.choice((base, rng.choice(TEXTS)))) for name in names}
    told = {name: f"192.0.2.{11 + at}" for at, name in enumerate(names)}
    cluster = parse_cluster(given, rng.choice(({}, told)), rng.choice(VERSIONS))
    validate(*cluster).as_data()


def judge_nodes(rng: random.Random) -> None:
    validate(*read_cluster(inside(rng, NODES), {}, rng.choice(VERSIONS))).as_data()


def plan(rng: random.Random) -> None:
    make_plan(read_request(inside(rng, WISH)))


def inside(rng: random.Random, data: dict) -> dict:
    """The data with something wrong below the level that Ansible itself types."""
    key = rng.choice(list(data))
    return {**data, key: mutations.mutated_data(rng, data[key])}


def read_dump(rng: random.Random) -> None:
    dump.parse_json(json.dumps(mutations.mutated_data(rng, json.loads(DUMP["json"]))))


def read_dump_of_text(rng: random.Random) -> None:
    dump.parse_data(mutations.mutated(rng, DUMP["data"]))


def read_haproxy(rng: random.Random) -> None:
    text = mutations.mutated(rng, HAPROXY)
    config_text.masked(text)
    config_text.complaints(text, text)
    admin.servers(text)
    admin.info(text)


READERS = (judge_texts, judge_nodes, plan, read_dump, read_dump_of_text, read_haproxy)


@pytest.mark.slow
@pytest.mark.parametrize("read", READERS, ids=lambda reader: reader.__name__)
def test_bad_input_is_refused_or_judged_in_time(read: Callable[[random.Random], None]) -> None:
    for seed in range(MUTATIONS):
        rng = random.Random(seed)  # noqa: S311 - nothing secret: cases to be had again
        started = time.process_time()
        try:
            read(rng)
        except (SettingError, dump.DumpError):
            pass
        except Exception as error:  # pragma: no cover - only where something is to be mended
            pytest.fail(f"seed {seed}: {error!r}")
        assert time.process_time() - started < MOST_SECONDS, f"seed {seed}"


def test_blocks_left_open_are_judged():
    """A node whose instance carries nothing holds back one that does."""
    first = (
        "vrrp_instance V {\nvirtual_router_id 5\ninterface eth0\n"
        "virtual_ipaddress {\n192.0.2.100/24"
    )
    second = "vrrp_instance V {\nvirtual_router_id 5\ninterface eth0"
    report = validate(*parse_cluster({"a": first, "b": second}, {}, (2, 3, 3)))
    assert {"no-failover", "syntax"} <= {item.id for item in report.findings}
