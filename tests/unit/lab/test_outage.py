"""What a client lost while something was done, and what that returned."""

from __future__ import annotations

from lab import outage
from lab.hosts import Host

CLIENT = Host("client", "test")
SEEN = outage.Outage(0.1, 7, 0, ())


def test_what_the_work_returned_comes_with_what_was_lost(monkeypatch):
    asked = []

    def measure(client, vip, failure, seconds, every, end_with_failure):
        failure()
        asked.append((client, vip, seconds, every, end_with_failure))
        return SEEN

    monkeypatch.setattr(outage, "measure", measure)
    assert outage.measure_during(CLIENT, "192.0.2.100", lambda: "done", 60) == ("done", SEEN)
    assert asked == [(CLIENT, "192.0.2.100", 60, 0.05, True)]
