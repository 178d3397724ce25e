"""What a load balancer notes of the end of keepalived, on each release."""

from __future__ import annotations

import pytest
from lab.daemon import ready
from lab.hosts import await_

ENDS = {
    "stopped": ("systemctl stop keepalived", "keepalived stops"),
    # Nothing of it can say anything more.
    "killed": ("pkill -9 -x keepalived", "keepalived ended by itself (killed KILL)"),
}


def stops(lb, name):
    """The causes of STOP in the history of an instance."""
    lines = lb.run("cat", f"/var/lib/mycat_ha/history/{name}").stdout.splitlines()
    changes = [line.split(" ", 2) for line in lines]
    return [cause for _time, state, cause in changes if state == "STOP"]


@pytest.mark.parametrize("name", ["lb11", "lb12", "lb13"])
@pytest.mark.parametrize("end", ENDS)
def test_the_end_of_keepalived_is_noted_once(end, name, lbs, vips):
    (lb,) = [lb for lb in lbs if lb.name == name]
    await_(lambda: ready(lb), 60, "it is in the election")
    before = {vip: stops(lb, vip) for vip in vips}
    command, cause = ENDS[end]
    lb.run("sh", "-c", command)
    try:
        for vip in vips:
            await_(lambda v=vip: len(stops(lb, v)) > len(before[v]), 20, "its end is noted")
    finally:
        lb.run("systemctl", "start", "keepalived")
    await_(lambda: ready(lb), 60, "it is in the election again")
    for vip in vips:
        assert stops(lb, vip) == [*before[vip], cause]
