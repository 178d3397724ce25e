"""``python -m real_mycat [NAME...]``: all measurements, or some of them."""

from __future__ import annotations

import argparse

from . import balancing, configuration, databases, endpoint
from .hosts import played

MEASUREMENTS = {
    one.__name__: one
    for one in (
        balancing.pauses,
        balancing.faults,
        balancing.failover,
        balancing.rolling_restart,
        databases.ready_once,
        databases.required,
        endpoint.process_level,
        endpoint.pid_file,
        endpoint.log_lines,
        configuration.refused,
        configuration.wrong_schema,
        configuration.rolled_out,
    )
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    # argparse judges the empty list, too.
    parser.add_argument("names", nargs="*", choices=[[], *MEASUREMENTS], metavar="NAME")
    chosen = parser.parse_args().names
    played("site")
    for name in chosen or MEASUREMENTS:
        print(f"--- {name}", flush=True)
        MEASUREMENTS[name]()


if __name__ == "__main__":
    main()
