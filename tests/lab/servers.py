# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Servers that answer with what a test wrote down, at once, slowly or never."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import Callable, Iterator

#: What a server does with one client.
Script = Callable[[socket.socket], None]


@contextlib.contextmanager
def serving(script: Script, path: str = "") -> Iterator[int]:
    """Serve on a port of 127.0.0.1, which it returns, or on a Unix socket (0)."""
    listener = socket.socket(socket.AF_UNIX if path else socket.AF_INET)
    listener.bind(path or ("127.0.0.1", 0))
    listener.listen()

    def one(client: socket.socket) -> None:
        with client, contextlib.suppress(OSError):
            script(client)

    def all_of_them() -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=one, args=(listener.accept()[0],), daemon=True).start()

    thread = threading.Thread(target=all_of_them, daemon=True)
    thread.start()
    try:
        yield 0 if path else listener.getsockname()[1]
    finally:
        # close() alone does not end an accept() that waits.
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def saying(*answers: bytes) -> Script:
    """A server that reads something before each answer but the first, and then closes."""

    def script(client: socket.socket) -> None:
        for number, answer in enumerate(answers):
            if number:
                client.recv(65536)
            client.sendall(answer)

    return script


def answering(answer: bytes) -> Script:
    """A server that reads something, answers and closes."""
    return saying(b"", answer)


def silent(client: socket.socket) -> None:
    """A server that accepts and never says a word."""
    while client.recv(65536):
        pass


def trickling(client: socket.socket) -> None:
    """A server that sends a byte now and then, so that no single read ever times out."""
    stop = threading.Event()
    while not stop.wait(0.05):
        client.sendall(b"x")
