"""What the health endpoint says and what clients get, while something is done."""

from __future__ import annotations

import itertools
import json
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass

from lab.hosts import CLIENT_LOGIN

from .hosts import CLIENT, LB, MYCAT, VIP

_ASK = """
import json, sys, time, urllib.error, urllib.request
url, until = sys.argv[1], time.time() + float(sys.argv[2])
while time.time() < until:
    try:
        answer = urllib.request.urlopen(url, timeout=10)
    except urllib.error.HTTPError as error:
        answer = error
    except OSError:
        continue
    print(json.dumps([time.time(), answer.status, json.load(answer)]), flush=True)
    time.sleep(0.1)
"""
# A statement that goes through to a database, on a connection of its own.
_QUERY = (
    f"while :; do mariadb --host={VIP} --port=8066 {' '.join(CLIENT_LOGIN)} --connect-timeout=5 "
    "--execute='select now()' >/dev/null 2>&1 && echo ok || echo failed; sleep 0.1; done"
)


@dataclass(frozen=True)
class Answer:
    """``at``: seconds since 1970. ``body``: the endpoint's JSON."""

    at: float
    code: int
    body: dict


@dataclass(frozen=True)
class Seen:
    """``answers`` of the endpoint since the work was done at ``done``; ``queries`` of clients."""

    done: float
    answers: list[Answer]
    queries: list[str]

    @property
    def codes(self) -> str:
        """The codes in order, those that follow each other once."""
        return " ".join(
            str(code) for code, _ in itertools.groupby(one.code for one in self.answers)
        )

    @property
    def failed(self) -> str:
        return f"{self.queries.count('failed')} of {len(self.queries)} client queries failed"

    def first(self, code: int) -> str:
        """After how many seconds the endpoint said so."""
        for one in self.answers:
            if one.code == code:
                return f"{one.at - self.done:.1f} s"
        return "never"


def _address() -> str:
    prefix = VIP.rpartition(".")[0]
    return next(one for one in MYCAT.addresses() if one.startswith(prefix))


def watch(seconds: float, work: Callable[[], object]) -> Seen:
    """Do the work, and look on for ``seconds`` in all."""
    url = f"http://{_address()}:48700/"
    commands = (
        LB.argv("python3", "-c", _ASK, url, str(seconds)),
        CLIENT.argv("timeout", str(seconds), "sh", "-c", _QUERY),
    )
    running = [subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) for argv in commands]
    work()
    done = time.time()
    said, got = (one.communicate()[0] for one in running)
    answers = [Answer(*row) for row in map(json.loads, said.splitlines())]
    return Seen(done, [one for one in answers if one.at >= done], got.split())


def ask(seconds: float = 1.5) -> Answer:
    """What the endpoint says after so many seconds."""
    return watch(seconds, lambda: None).answers[-1]
