#!/usr/bin/env python3
# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a failure costs a client: the collection's defaults against the source's configurations.

    make venv && .venv/bin/python bench/failover.py           all of it, about half an hour
    .venv/bin/python bench/failover.py --runs 1 --soak 30     a quick look

Two load balancers, a stand-in MyCat and a client, containers that site.yml has set up, with
Debian's keepalived and HAProxy. The client starts a connection every 10 ms, whatever became of
the others; an outage is the longest time without a MySQL greeting arriving. Fails when a target
is missed.

The source's set-ups run on the same hosts, as the source writes them; their HAProxy is started
by nobody but the operator, as there.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / ".collections"), str(ROOT / "tests")]

from ansible_collections.mycat.ha.plugins.module_utils.keepalived.reader import parse  # noqa: E402
from ansible_collections.mycat.ha.plugins.module_utils.vrrp import timing  # noqa: E402
from ansible_collections.mycat.ha.plugins.module_utils.vrrp.model import CheckKind  # noqa: E402
from lab import daemon, source  # noqa: E402
from lab.hosts import Host, await_, await_one_holder, holders  # noqa: E402
from lab.outage import measure  # noqa: E402
from lab.watch import Watch  # noqa: E402

NETWORK, SUBNET, VIP = "mycat-ha-bench", "10.87.47.0/24", "10.87.47.100"
LBS = [Host(name, NETWORK) for name in ("lb1", "lb2")]
MYCAT, CLIENT = Host("mycat1", NETWORK), Host("client", NETWORK)
HOSTS = [*LBS, MYCAT, CLIENT]
WORK = ROOT / ".cache/bench"
LOG = WORK / "ansible.log"
# Seconds after which a failure counts as not noticed.
PATIENCE = 30.0
SOURCE_INTERVAL = 10


def say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')}  {text}", flush=True)


# --- hosts ------------------------------------------------------------------------------------


def play(what: str, playbook: str, **variables: object) -> None:
    """Run a playbook on the hosts of the bench; what it says goes to the log."""
    say(what)
    connection = {
        "ansible_connection": "community.docker.docker",
        "ansible_python_interpreter": "/usr/bin/python3",
        "mycat_ha_vip": f"{VIP}/24",
    }
    groups = {"haproxy": LBS, "mycat": [MYCAT], "clients": [CLIENT]}
    inventory = {
        name: {"hosts": {host.name: {"ansible_host": host.container} for host in hosts}}
        for name, hosts in groups.items()
    }
    WORK.mkdir(parents=True, exist_ok=True)
    (WORK / "inventory.yml").write_text(
        json.dumps({"all": {"vars": connection, "children": inventory}}), encoding="utf-8"
    )
    command = ["ansible-playbook", f"--inventory={WORK / 'inventory.yml'}"]
    command += [f"--extra-vars={json.dumps(variables)}", playbook]
    settings = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")}
    with LOG.open("a", encoding="utf-8") as log, subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=log, env=settings, text=True
    ) as running:
        assert running.stdout
        for line in running.stdout:
            log.write(line)
            if line.startswith("PLAY ["):
                say("  " + line.split("[")[1].split("]")[0])
    if running.returncode:
        tail = "\n".join(LOG.read_text(encoding="utf-8").splitlines()[-30:])
        raise SystemExit(f"{playbook} failed; the end of {LOG}:\n{tail}")


@contextmanager
def hosts() -> Iterator[None]:
    LOG.unlink(missing_ok=True)
    variables = {
        "hosts_network": NETWORK,
        "hosts_subnet": SUBNET,
        "hosts_names": [host.name for host in HOSTS],
    }
    try:
        play("starting the hosts (a minute or two)", "tools/demo/up.yml", **variables)
        yield
    finally:
        play("removing the hosts", "tools/demo/down.yml", **variables)


# --- set-ups ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class SetUp:
    """A way to run the pair: by the collection's ``variables``, or with the source's ``nodes``.

    ``waits``: seconds that a client is watched after each event. ``preempts``: the first choice
    takes the VIP back once it has recovered.
    """

    title: str
    waits: dict[str, float]
    variables: dict[str, str] = field(default_factory=dict)
    nodes: tuple[source.Node, source.Node] | None = None
    preempts: bool = False


IDLE, KILLED, HUNG = "nothing", "HAProxy killed", "HAProxy hangs"
STOPPED, LOST, BACK = "keepalived stopped", "node lost", "switch back"
FAULT, PREFERRED, PAIR = "defaults (fault, sticky)", "fault, preferred", "source's weight pair"
SET_UPS = [
    SetUp(FAULT, {IDLE: 3, KILLED: 3, STOPPED: 3, LOST: 6, HUNG: 5}),
    SetUp(
        PAIR,
        {KILLED: 17, BACK: 17, STOPPED: 4, LOST: 6, HUNG: PATIENCE},
        nodes=source.WEIGHT_PAIR,
        preempts=True,
    ),
    SetUp("source's example", {KILLED: PATIENCE}, nodes=source.EXAMPLE, preempts=True),
    SetUp(PREFERRED, {BACK: 8}, {"mycat_ha_preempt": "preferred"}, preempts=True),
    SetUp(
        "weight",
        {KILLED: 4, STOPPED: 3, LOST: 6, HUNG: 6},
        {"mycat_ha_failover_mode": "weight"},
    ),
    SetUp(
        "kill",
        {KILLED: 3, STOPPED: 3, LOST: 6, HUNG: PATIENCE},
        {"mycat_ha_failover_mode": "kill"},
    ),
]


@dataclass
class Pair:
    """The two load balancers in a set-up; ``priorities`` are those of health."""

    set_up: SetUp
    start: Callable[[Host], object]
    stop: Callable[[Host], object]
    priorities: dict[Host, dict[str, int | None]] = field(default_factory=dict)
    holder: Host = LBS[0]
    started: float = field(default_factory=time.monotonic)

    @property
    def round(self) -> float:
        """Seconds after which checks and adverts repeat themselves."""
        return SOURCE_INTERVAL if self.set_up.nodes else 1.0

    def await_phase(self, phase: float) -> None:
        """Wait for a point (0 to 1) of the round, so that the runs meet the checks evenly."""
        time.sleep((phase * self.round + self.started - time.monotonic()) % self.round)

    def learn(self) -> None:
        """Wait until the pair has come to rest, and remember how it is then."""
        await_(lambda: all(map(daemon.ready, LBS)), 60, "both are in the election", every=1)
        time.sleep(self.round + 5)
        self.holder = await_one_holder(LBS, VIP)
        self.priorities = {lb: priorities(lb) for lb in LBS}

    def whole(self) -> bool:
        holding = holders(LBS, VIP)
        return (
            len(holding) == 1
            and (not self.set_up.preempts or holding == [self.holder])
            and all(daemon.ready(lb) and priorities(lb) == self.priorities[lb] for lb in LBS)
            and CLIENT.query(VIP, "select 1").returncode == 0
        )

    def bounds(self) -> dict[str, float]:
        """What the configuration that now runs promises of some events, in seconds."""
        holder = await_one_holder(LBS, VIP)
        (standby,) = [lb for lb in LBS if lb != holder]
        node = parse(holder.run("cat", "/etc/keepalived/keepalived.conf").stdout, "lb").node
        (instance,) = node.instances
        (priority,) = self.priorities[standby].values()
        timers = (instance.version, priority, instance.advert_int)
        found = {LOST: timing.silence(*timers).most}
        weights = {track.check: track.weight for track in instance.tracks}
        for check in node.checks:
            if check.kind is CheckKind.SCRIPT and check.name == "haproxy":
                # The check asks twice, with this deadline each time.
                own = re.search(r"check_haproxy (\d+(?:\.\d+)?)$", check.command)
                deadline = 2 * float(own.group(1)) if own else check.timeout or check.interval
                takeover = timing.silence if weights[check.name] else timing.clean_stop
                detection = timing.polled(check.interval, check.fall, deadline)
                found[HUNG] = (detection + takeover(*timers)).most
        return found


def priorities(lb: Host) -> dict[str, int | None]:
    return {name: one.effective_priority for name, one in daemon.instances(lb).items()}


@contextmanager
def brought_up(set_up: SetUp) -> Iterator[Pair]:
    if set_up.nodes:
        say(f"{set_up.title}: its keepalived in place of the collection's")
        with source.running(LBS, set_up.nodes, VIP, SOURCE_INTERVAL) as daemons:
            pair = Pair(set_up, daemons.start, daemons.stop)
            pair.learn()
            yield pair
    else:
        play(f"{set_up.title}: site.yml", "playbooks/site.yml", **set_up.variables)
        pair = Pair(
            set_up,
            lambda lb: lb.run("systemctl", "start", "keepalived"),
            lambda lb: lb.run("systemctl", "stop", "keepalived"),
        )
        pair.learn()
        yield pair


# --- events -----------------------------------------------------------------------------------


def start_haproxy(host: Host) -> None:
    host.run("systemctl", "start", "haproxy")


def signal_haproxy(number: str) -> Callable[[Host], object]:
    return lambda host: host.run("pkill", f"-{number}", "-x", "haproxy")


def engine(verb: str) -> Callable[[Host], object]:
    return lambda host: subprocess.run(
        ["docker", verb, host.container], check=True, stdout=subprocess.DEVNULL
    )


def nothing(host: Host) -> None:
    pass


def move_away(pair: Pair, host: Host) -> None:
    """Have the VIP leave, with HAProxy down on ``host``."""
    host.run("systemctl", "stop", "haproxy")
    await_(lambda: host not in holders(LBS, VIP), PATIENCE, "the VIP leaves", every=0.5)
    await_one_holder(LBS, VIP)


def events(pair: Pair) -> dict[str, tuple[Callable[[Host], object], Callable[[Host], object]]]:
    """What happens to the host that holds the VIP (to the first choice in BACK); what mends it."""
    return {
        IDLE: (nothing, nothing),
        KILLED: (signal_haproxy("KILL"), start_haproxy),
        HUNG: (signal_haproxy("STOP"), signal_haproxy("CONT")),
        STOPPED: (pair.stop, pair.start),
        # Frozen: it says nothing more, and hears nothing.
        LOST: (engine("pause"), engine("unpause")),
        BACK: (start_haproxy, nothing),
    }


def observe(pair: Pair, event: str, runs: int) -> list[float]:
    """Measure an event a few times: seconds of outage. PATIENCE and more: it did not end."""
    outages = []
    happen, mend = events(pair)[event]
    wait = pair.set_up.waits[event]
    for run in range(runs):
        await_(pair.whole, 60, f"{pair.set_up.title}: the pair is whole again", every=0.5)
        target = pair.holder if event == BACK else await_one_holder(LBS, VIP)
        if event == BACK:
            move_away(pair, target)
        pair.await_phase((run + 0.5) / runs)
        try:
            outage = measure(CLIENT, VIP, lambda host=target: happen(host), wait + 2)
        finally:
            mend(target)
        outages.append(outage.outage_s)
        say(f"{pair.set_up.title}: {event}: {duration(outage.outage_s)} ({run + 1} of {runs})")
    return outages


def how_often(set_up: SetUp, event: str, runs: int) -> int:
    """As often as asked where a target hangs on it, once where nothing will happen."""
    if set_up.waits[event] >= PATIENCE or event == IDLE:
        return 1
    return runs if set_up.title in (FAULT, PREFERRED) or event == KILLED else (runs + 1) // 2


# --- soak -------------------------------------------------------------------------------------


def soak(seconds: int) -> dict[str, object]:
    """Keep every core busy on both load balancers, and look whether the VIP moves."""
    spin = f"for _ in $(seq $(nproc)); do timeout {seconds} sh -c 'while :; do :; done' & done"

    def watch_time() -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            left = end - time.monotonic()
            say(f"soak: {left:.0f} s left, the VIP is on {', '.join(map(name_of, now()))}")
            time.sleep(min(60, left))

    def now() -> list[Host]:
        return holders(LBS, VIP)

    before = await_one_holder(LBS, VIP)
    with Watch(LBS, VIP, limit=seconds + 120) as watch:
        for lb in LBS:
            subprocess.run(["docker", "exec", "-d", lb.container, "sh", "-c", spin], check=True)
        outage = measure(CLIENT, VIP, watch_time, seconds, every=0.1)
    return {
        "seconds": seconds,
        "moves": len(watch.spans) - 1,
        "holder": before.name,
        "silence_s": outage.outage_s,
        "connections": outage.connections_ok + outage.connections_failed,
        "connections_failed": outage.connections_failed,
    }


def name_of(host: Host) -> str:
    return host.name


# --- figures ----------------------------------------------------------------------------------


def duration(seconds: float | None) -> str:
    if seconds is None:
        return ""
    if seconds >= PATIENCE:
        return f"not within {PATIENCE:.0f} s"
    return f"{1000 * seconds:.0f} ms"


@dataclass(frozen=True)
class Target:
    """A promise: ``figure`` is at most ``limit``, both in seconds."""

    title: str
    figure: float
    limit: float

    @property
    def held(self) -> bool:
        return self.figure <= self.limit


def targets(figures: dict, bounds: dict) -> list[Target]:
    def median(title: str, event: str) -> float:
        return statistics.median(figures[title][event])

    def worst(title: str, event: str) -> float:
        return max(figures[title][event])

    killed, bound = median(FAULT, KILLED), bounds[FAULT]
    found = [
        Target("HAProxy killed, median: 50 ms", killed, 0.05),
        Target("keepalived stopped, median: 50 ms", median(FAULT, STOPPED), 0.05),
        Target("node lost, worst: bound + 5 %", worst(FAULT, LOST), 1.05 * bound[LOST]),
        Target("HAProxy hangs, worst: bound + 50 ms", worst(FAULT, HUNG), bound[HUNG] + 0.05),
    ]
    if PREFERRED in figures:
        back = median(PREFERRED, BACK)
        found.append(Target("switch back, median: no more than killed", back, killed))
    if PAIR in figures:
        limit = median(PAIR, KILLED) / 200
        found.append(Target("HAProxy killed, median: 1/200 of the pair's", killed, limit))
    return found


def report(figures: dict, bounds: dict, soaked: dict, kept: list[Target]) -> None:
    print(
        "\nOutage as a client sees it, a connection every 10 ms; bound: what the timers promise\n"
    )
    print(f"{'':26}{'event':20}{'runs':>5}{'median':>18}{'worst':>18}{'bound':>10}")
    for title, measured in figures.items():
        for number, (event, outages) in enumerate(measured.items()):
            row = [statistics.median(outages), max(outages)]
            cells = "".join(f"{duration(value):>18}" for value in row)
            bound = duration(bounds.get(title, {}).get(event))
            name = "" if number else title
            print(f"{name:26}{event:20}{len(outages):>5}{cells}{bound:>10}")
    print()
    for target in kept:
        figure, limit = duration(target.figure), duration(target.limit)
        print(f"{verdict(target.held)}{target.title:46}{figure:>12}{limit:>12}")
    if soaked:
        print(
            f"{verdict(not soaked['moves'])}no move in {soaked['seconds']} s with all cores busy: "
            f"{soaked['moves']} moves, {soaked['connections_failed']} of {soaked['connections']} "
            f"connections failed, longest without a greeting {duration(soaked['silence_s'])}"
        )


def verdict(held: bool) -> str:
    return "held    " if held else "MISSED  "


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=5, help="of each event that a target hangs on")
    parser.add_argument("--soak", type=int, default=600, help="seconds; 0 leaves it out")
    parser.add_argument("--only", action="append", help="set-ups, by the start of their names")
    parser.add_argument("--json", type=Path, default=WORK / "failover.json", help="the figures")
    options = parser.parse_args()
    chosen = tuple(options.only or [""])
    figures: dict[str, dict[str, list[float]]] = {}
    bounds: dict[str, dict[str, float]] = {}
    soaked: dict[str, object] = {}
    # The hosts are removed also where this is ended by kill.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with hosts():
        for set_up in SET_UPS:
            if not set_up.title.startswith(chosen):
                continue
            with brought_up(set_up) as pair:
                if not set_up.nodes:
                    bounds[set_up.title] = pair.bounds()
                figures[set_up.title] = {
                    event: observe(pair, event, how_often(set_up, event, options.runs))
                    for event in set_up.waits
                }
                if set_up.title == FAULT and options.soak:
                    await_(pair.whole, 60, "the pair is whole before the soak", every=0.5)
                    soaked = soak(options.soak)
    kept = targets(figures, bounds) if FAULT in figures else []
    report(figures, bounds, soaked, kept)
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(
        json.dumps(
            {
                "outages_s": figures,
                "bounds_s": bounds,
                "soak": soaked,
                "targets": [{**asdict(target), "held": target.held} for target in kept],
            },
            indent=2,
        )
        + "\n",
        encoding="utf-8",
    )
    return int(bool(soaked.get("moves")) or not all(target.held for target in kept))


if __name__ == "__main__":
    sys.exit(main())
