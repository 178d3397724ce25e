"""What a client sees: a new MySQL connection at a fixed pace, whatever became of earlier ones.

Runs on the client host with Python's standard library alone; prints one JSON object a line:
``{"ready": true}`` when the first greeting has arrived, the result at the end. SIGTERM ends
it early.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import time

PROTOCOL = 10  # first byte of a MySQL greeting, behind a packet header of 4 bytes


class Probe:
    """An open-loop load: connection n starts at ``n * every`` and has ``deadline`` seconds."""

    def __init__(self, host: str, port: int, every: float, deadline: float) -> None:
        self.host, self.port, self.every, self.deadline = host, port, every, deadline
        self.greetings: list[float] = []
        self.failures: list[str] = []
        self.stopped = False

    async def greet(self) -> None:
        """Wait for the greeting, then leave: MyCat 1.6 leaks when clients close before it."""
        reader, writer = await asyncio.open_connection(self.host, self.port)
        try:
            packet = await reader.readexactly(5)
            if packet[4] != PROTOCOL:
                raise ValueError(f"protocol {packet[4]}")
        finally:
            writer.close()

    async def connect(self) -> None:
        try:
            await asyncio.wait_for(self.greet(), self.deadline)
        except (OSError, EOFError, ValueError, asyncio.TimeoutError) as error:
            self.failures.append(f"{type(error).__name__}: {error}")
            return
        self.greetings.append(time.monotonic())
        if len(self.greetings) == 1:
            print(json.dumps({"ready": True}), flush=True)

    def stop(self) -> None:
        self.stopped = True

    async def run(self, seconds: float) -> dict[str, object]:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, self.stop)
        start = time.monotonic()
        tasks = []
        for number in range(int(seconds / self.every)):
            await asyncio.sleep(max(0.0, start + number * self.every - time.monotonic()))
            if self.stopped:
                break
            tasks.append(asyncio.ensure_future(self.connect()))
        end = time.monotonic()
        await asyncio.gather(*tasks)
        # The end counts as an arrival, or a service that never came back would show no gap.
        times = sorted([*self.greetings, end])
        gaps = [later - earlier for earlier, later in zip(times, times[1:])]
        return {
            "outage_s": round(max(gaps, default=seconds), 4),
            "connections_ok": len(self.greetings),
            "connections_failed": len(self.failures),
            "failures": sorted(set(self.failures)),
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("host")
    parser.add_argument("--port", type=int, default=8066)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--every", type=float, default=0.01)
    parser.add_argument("--deadline", type=float, default=3.0)
    options = parser.parse_args()
    probe = Probe(options.host, options.port, options.every, options.deadline)
    print(json.dumps(asyncio.run(probe.run(options.seconds))), flush=True)


if __name__ == "__main__":
    main()
