"""Show what the demo's pair does: who holds the VIP, who answers, what a killed HAProxy costs."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path

import yaml
from lab.hosts import Host, await_, await_one_holder
from lab.outage import measure

NETWORK = "mycat-ha-demo"
LBS = [Host(name, NETWORK) for name in ("lb1", "lb2")]
CLIENT = Host("client", NETWORK)
SECONDS = 6.0
INVENTORY = Path(__file__).with_name("inventory.yml")


def vip_of(inventory: Path) -> str:
    """Return the virtual IP of an inventory, without its prefix."""
    variables = yaml.safe_load(inventory.read_text(encoding="utf-8"))["all"]["vars"]
    return variables["mycat_ha_vip"].split("/")[0]


def say(text: str) -> None:
    print(f"  {text}", flush=True)


class Queries(threading.Thread):
    """Real MySQL clients, one after the other, each with one query through the VIP."""

    def __init__(self, vip: str) -> None:
        super().__init__(daemon=True)
        self.vip = vip
        self.stopped = threading.Event()
        self.answers: Counter[str] = Counter()
        self.failures: list[str] = []

    def run(self) -> None:
        while not self.stopped.is_set():
            done = CLIENT.query(self.vip, "select @@hostname")
            if done.returncode:
                self.failures.append(done.stderr.strip())
            else:
                self.answers[done.stdout.strip()] += 1

    def finish(self) -> None:
        self.stopped.set()
        self.join()


def balanced(vip: str) -> Counter[str]:
    """Return how many of a few queries each MyCat answered."""
    answers: Counter[str] = Counter()
    for _ in range(8):
        done = CLIENT.query(vip, "select @@hostname")
        if done.returncode:
            raise RuntimeError(f"a query through {vip} failed: {done.stderr.strip()}")
        answers[done.stdout.strip()] += 1
    return answers


def table(rows: list[tuple[str, str]]) -> str:
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"  {name.ljust(width)}  {value}" for name, value in rows)


def lost(summary: dict[str, object], what: str) -> str:
    failed, good = summary[f"{what}_failed"], summary[f"{what}_ok"]
    return f"{failed} of {failed + good}"


def show(vip: str) -> dict[str, object]:
    before = await_one_holder(LBS, vip)
    say(f"{vip} is on {before.name}")
    both = await_(
        lambda: len(balanced(vip)) > 1 and balanced(vip), 15, "both MyCats answer through the VIP"
    )
    answers = ", ".join(f"{name} answered {count}" for name, count in sorted(both.items()))
    say(f"8 queries through it: {answers}")

    say(f"killing HAProxy on {before.name} (kill -9), with a new connection every 10 ms ...")
    queries = Queries(vip)
    queries.start()
    outage = measure(CLIENT, vip, lambda: before.run("pkill", "-9", "-x", "haproxy"), SECONDS)
    queries.finish()
    after = await_one_holder(LBS, vip)
    return {
        "vip": vip,
        "holder_before": before.name,
        "holder_after": after.name,
        "outage_s": outage.outage_s,
        "queries_ok": sum(queries.answers.values()),
        "queries_failed": len(queries.failures),
        "connections_ok": outage.connections_ok,
        "connections_failed": outage.connections_failed,
        "failures": sorted({*queries.failures, *outage.failures}),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("summary", type=Path, help="where to write the result as JSON")
    options = parser.parse_args()
    try:
        summary = show(vip_of(INVENTORY))
    except (AssertionError, RuntimeError, subprocess.SubprocessError) as problem:
        print(f"demo: {problem}", file=sys.stderr)
        return 1
    options.summary.parent.mkdir(exist_ok=True)
    options.summary.write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    rows = [
        ("VIP", str(summary["vip"])),
        ("holder before", str(summary["holder_before"])),
        ("holder after", str(summary["holder_after"])),
        ("outage", f"{1000 * summary['outage_s']:.0f} ms"),
        *((f"{what} lost", lost(summary, what)) for what in ("queries", "connections")),
    ]
    print(f"\n{table(rows)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
