# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A question to a server, all of its steps by one deadline."""

from __future__ import annotations

import socket
import struct
import time
from typing import Callable, TypeVar, Union

Address = Union[str, "tuple[str, int]"]

_Given = TypeVar("_Given")
_Result = TypeVar("_Result")

# struct ucred of unix(7): the process, its user, its group.
_PEER = "3i"
_PEER_SIZE = struct.calcsize(_PEER)
# Characters of what a server said that are passed on.
_MOST_SAID = 300


class NoAnswer(Exception):  # noqa: N818 - not an error of the program
    """Why there is no usable answer, in a few words without a name of the server."""


def printable(data: bytes) -> str:
    """What a server said, on one line without control characters, not longer than 300."""
    text = data.decode("utf-8", "replace")
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)[:_MOST_SAID]


class Connection:
    """A stream connection, to be used in a ``with`` statement.

    ``address`` is (IP address, port) or the path of a Unix socket; ``seconds`` is for everything
    until the end of the last answer. Methods raise NoAnswer.
    """

    def __init__(self, address: Address, seconds: float) -> None:
        self._seconds = seconds
        self._end = time.monotonic() + seconds
        self._buffer = b""
        family = socket.AF_UNIX
        if not isinstance(address, str):
            family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_STREAM)
        try:
            self._by_deadline(self._socket.connect, address, "no connection")
        except NoAnswer:
            self._socket.close()
            raise

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_exception: object) -> None:
        self._socket.close()

    def owner(self) -> int:
        """The id of the user who made the Unix socket at the other end."""
        _pid, uid, _gid = struct.unpack(
            _PEER, self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER_SIZE)
        )
        return int(uid)

    def send(self, data: bytes) -> None:
        """Send all of it."""
        self._by_deadline(self._socket.sendall, data)

    def receive(self, size: int) -> bytes:
        """Return that many bytes."""
        while len(self._buffer) < size:
            data = self._by_deadline(self._socket.recv, 65536)
            if not data:
                raise NoAnswer("the connection was closed")
            self._buffer += data
        data, self._buffer = self._buffer[:size], self._buffer[size:]
        return data

    def rest(self, most: int) -> bytes:
        """Return everything until the server closes; NoAnswer where that is more than ``most``."""
        data = [self._buffer]
        size = len(self._buffer)
        while data[-1] or len(data) == 1:
            data.append(self._by_deadline(self._socket.recv, 65536))
            size += len(data[-1])
            if size > most:
                raise NoAnswer(f"the answer is longer than {most} bytes")
        return b"".join(data)

    def _by_deadline(
        self, step: Callable[[_Given], _Result], given: _Given, what: str = "no answer"
    ) -> _Result:
        left = self._end - time.monotonic()
        try:
            if left <= 0:
                raise socket.timeout
            self._socket.settimeout(left)
            return step(given)
        except socket.timeout:
            raise NoAnswer(f"{what} within {self._seconds:g} s") from None
        except OSError as error:
            raise NoAnswer(error.strerror or str(error)) from None
