# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the program is started: by xinetd, by systemd, or to judge a file of settings."""

from __future__ import annotations

import os
import socket
import sys
import time

from mycat_status.server import MAX_CONNECTIONS, POLL, Server
from mycat_status.settings import Settings, printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Sequence


def inherited_sockets() -> tuple[list[socket.socket], list[socket.socket]]:
    """(listening, connected): the sockets this process was started with."""
    if os.environ.pop("LISTEN_PID", "") == str(os.getpid()):
        fds = list(range(3, 3 + int(os.environ.pop("LISTEN_FDS", "0"))))
    else:
        # xinetd gives the same socket as 0, 1 and 2: nothing else may write to it.
        fds = [os.dup(0)]
        null = os.open(os.devnull, os.O_RDWR)
        for fd in (0, 1, 2):
            os.dup2(null, fd)
    listening: list[socket.socket] = []
    connected: list[socket.socket] = []
    for fd in fds:
        os.set_inheritable(fd, False)
        inherited = socket.socket(fileno=fd)
        accepts = inherited.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
        (listening if accepts else connected).append(inherited)
    return listening, connected


def turn_away(listeners: Sequence[socket.socket]) -> None:
    """Close what is waiting to be accepted, or we would be started again for it at once."""
    for listener in listeners:
        listener.setblocking(False)
        while True:
            try:
                listener.accept()[0].close()
            except OSError:
                break


def log_to_stderr(line: str) -> None:
    sys.stderr.write(printable(line) + "\n")
    sys.stderr.flush()


def log_to_syslog(line: str) -> None:
    """xinetd gives us no stderr; under systemd this ends in the journal, too."""
    import syslog

    syslog.openlog("mycat_status", syslog.LOG_PID, syslog.LOG_DAEMON)
    syslog.syslog(syslog.LOG_NOTICE, printable(line))


class ChangeWatch:
    """Notices that the configuration, the program or what starts it was replaced.

    The process then ends, and whoever started it starts the new one for the next probe, which
    waits in the listening socket meanwhile. A new configuration that is wrong is only logged.
    Files are replaced one by one: what changed has to rest for one look before it counts.
    """

    def __init__(self, config: str, log: Callable[[str], None]) -> None:
        self._config, self._log = config, log
        package = os.path.dirname(os.path.abspath(__file__))
        modules = sorted(name for name in os.listdir(package) if name.endswith(".py"))
        self._files = [config, os.path.abspath(sys.argv[0])]
        self._files += [os.path.join(package, name) for name in modules]
        self._started_with = self._seen = self._stamps()
        self._next = 0.0

    def _stamps(self) -> list[tuple[int, int] | None]:
        stamps: list[tuple[int, int] | None] = []
        for path in self._files:
            try:
                status = os.stat(path)
                stamps.append((status.st_mtime_ns, status.st_ino))
            except OSError:
                stamps.append(None)
        return stamps

    def __call__(self) -> bool:
        now = time.monotonic()
        if now < self._next:
            return False
        self._next = now + POLL
        seen, self._seen = self._seen, self._stamps()
        if self._seen != seen or self._seen == self._started_with:
            return False
        try:
            Settings.load(self._config)
        except (OSError, ValueError) as problem:
            self._log(f"keeps its configuration, the new one is wrong: {problem}")
            self._started_with = self._seen
            return False
        self._log("ends to start anew: its configuration or the program changed")
        return True


def raise_file_limit() -> None:
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_CONNECTIONS + 64
    if soft != resource.RLIM_INFINITY and soft < wanted:
        limit = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))


def check_config(path: str) -> int:
    """Exit code for ``--check-config``; says on stderr what is wrong."""
    try:
        settings = Settings.load(path)
        if settings.credentials_file:
            settings.credentials()
    except (OSError, ValueError) as problem:
        log_to_stderr(f"{path}: {problem}")
        return 2
    return 0


def serve(config: str) -> int:
    """Answer on the inherited sockets; returns the exit code."""
    listeners, clients = inherited_sockets()
    try:
        settings = Settings.load(config)
    except (OSError, ValueError) as problem:
        log_to_syslog(f"cannot start: {config}: {problem}")
        turn_away(listeners)
        return 2
    if listeners:
        raise_file_limit()
        log_to_syslog(f"checks at level {settings.level}")
        watch = ChangeWatch(config, log_to_syslog)
        try:
            Server(settings, log_to_syslog, listeners, clients).run(watch)
        except Exception as error:
            log_to_syslog(f"ends by an error of its own: {type(error).__name__}: {error}")
            raise
    else:
        Server(settings, lambda _line: None, clients=clients).run()
        os._exit(0)  # taking the interpreter down costs a tenth of the whole probe
    return 0


def main(arguments: Sequence[str]) -> int:
    if len(arguments) == 2 and arguments[0] == "--config":
        return serve(arguments[1])  # as it is always started: argparse would cost every probe
    import argparse

    import mycat_status

    first_line = str(mycat_status.__doc__).splitlines()[0]
    parser = argparse.ArgumentParser(prog="mycat_status", description=first_line)
    parser.add_argument("--config", default="/etc/mycat_status/mycat_status.json", metavar="FILE")
    parser.add_argument(
        "--check-config", action="store_true", help="only say whether FILE can be used"
    )
    options = parser.parse_args(arguments)
    return check_config(options.config) if options.check_config else serve(options.config)
