# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the host itself tells of MyCat: its wrapper's process, and the socket it listens on."""

from __future__ import annotations

import errno
import os
import socket
import struct

from mycat_status.mysql import CheckFailed, Deadline
from mycat_status.settings import Settings, parse_address, printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterator

NETLINK_SOCK_DIAG = 4
SOCK_DIAG_BY_FAMILY = 20
NLM_DUMP = 0x301  # a request, for all there are
TCP_LISTEN = 10  # a state
WRAPPER_NAME = b"abcdefghijklmnopqrstuvwxyz0123456789-_"


def wrapper_pid(settings: Settings) -> int:
    """Look at what ``mycat status`` looks at, without its forks, and delete nothing.

    Returns the wrapper's process id. Raise CheckFailed where it does not run or cannot be told.
    """
    path = settings.pid_file
    pid = _read_pid(path)
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as handle:
            arguments = handle.read(65536).split(b"\0")
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ESRCH) and not _exists(pid):
            raise CheckFailed(f"not running: {path} is stale, no process {pid}") from None
        raise CheckFailed(f"cannot look at process {pid}: {error.strerror}") from None
    if not any(_is_wrapper(argument, settings) for argument in arguments):
        raise CheckFailed(f"not running: process {pid} of {path} is not the wrapper")
    return pid


def _read_pid(path: str) -> int:
    try:
        # Without O_NONBLOCK a named pipe in this place would hold us.
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            text = os.read(fd, 64)
        finally:
            os.close(fd)
    except FileNotFoundError:
        raise CheckFailed(f"not running: no pid file {path}") from None
    except OSError as error:
        raise CheckFailed(f"cannot read {path}: {error.strerror}") from None
    text = text.strip()
    if not text.isdigit() or len(text) > 10 or int(text) == 0:
        raise CheckFailed(f"{path} does not hold a process id")
    return int(text)


def _is_wrapper(argument: bytes, settings: Settings) -> bool:
    """Is it ``HOME/bin/./wrapper``, mostly with a platform behind it: -linux-x86-64?"""
    # The control script puts the "/./" there, on the path it was called by or the real one.
    for home in (settings.home, os.path.realpath(settings.home)):
        folder, found, name = argument.partition(os.fsencode(home + "/bin/./"))
        if found and not folder:
            if settings.wrapper:
                return name == os.fsencode(settings.wrapper)
            return name.startswith(b"wrapper") and not name.translate(None, WRAPPER_NAME)
    return False


def _exists(pid: int) -> bool:
    """True for a process that /proc hides from us, too (hidepid)."""
    try:
        os.kill(pid, 0)
    except OSError as error:
        return error.errno == errno.EPERM
    return True


def status_command_pid(settings: Settings, deadline: Deadline) -> int:
    """Ask ``mycat status`` and believe only its positive answer together with exit code 0.

    Returns the process id that it names; raise CheckFailed for any other answer, or none in time.
    """
    import subprocess

    command = settings.home + "/bin/mycat"
    try:
        process = subprocess.Popen(  # noqa: S603 - the control script that the settings name
            [command, "status"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            # COLUMNS would make ps cut its lines, and the script remove the pid file as stale.
            env={"PATH": os.defpath, "LC_ALL": "C"},
            start_new_session=True,
        )
    except OSError as error:
        raise CheckFailed(f"cannot run {command}: {error.strerror}") from None
    try:
        output = process.communicate(timeout=deadline.left())[0]
    except subprocess.TimeoutExpired:
        raise CheckFailed(f"mycat status: no answer within {deadline.seconds:g} s") from None
    finally:
        if process.returncode is None:
            import signal

            os.killpg(process.pid, signal.SIGKILL)  # its children hold the pipe open
            process.wait()
            if process.stdout:
                process.stdout.close()
    lines = output.decode("utf-8", "replace").splitlines()
    for line in lines if process.returncode == 0 else ():
        before, running, after = line.strip().partition(f"{settings.long_name} is running (")
        if running and not before and after.endswith(").") and after[:-2].isdigit():
            return int(after[:-2])
    said = printable(output.strip()) or "nothing"
    raise CheckFailed(f"mycat status: exit code {process.returncode}, said {said}")


def listener(host: str, port: int) -> str:
    """What tells one run of the server at ``host:port`` from another: its listening socket's inode.

    A JVM that its wrapper started anew has another one, with or without a pid file. Empty where
    nobody listens in our network namespace, or the kernel does not say.
    """
    address = parse_address(host)
    mapped = b"\0" * 10 + b"\xff\xff" + address if len(address) == 4 else address
    here = (address, mapped, bytes(4), bytes(16))
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_SOCK_DIAG) as kernel:
            kernel.settimeout(0.1)
            inodes = [
                str(inode)
                for family, size in ((socket.AF_INET, 4), (socket.AF_INET6, 16))
                for bound_to, inode in _listening(kernel, family, port)
                if bound_to[:size] in here
            ]
    except (OSError, struct.error):
        return ""
    return "listener " + " ".join(inodes) if inodes else ""


def _listening(kernel: socket.socket, family: int, port: int) -> Iterator[tuple[bytes, int]]:
    """(address in 16 bytes, inode) of each listening TCP socket at ``port``; see sock_diag(7).

    Not from /proc/net/tcp: to find its end the kernel goes through all connections, milliseconds.
    """
    # inet_diag_req_v2: family, protocol, extensions, padding, states; local port, and any else.
    asked = struct.pack("=BBBxI", family, socket.IPPROTO_TCP, 0, 1 << TCP_LISTEN)
    asked += struct.pack("!H", port) + bytes(46)
    kernel.send(struct.pack("=IHHII", 16 + len(asked), SOCK_DIAG_BY_FAMILY, NLM_DUMP, 0, 0) + asked)
    while True:
        answer = kernel.recv(65536)
        while answer:
            size, kind = struct.unpack_from("=IH", answer)
            if kind != SOCK_DIAG_BY_FAMILY:
                return  # the end, or an error
            yield answer[24:40], struct.unpack_from("=I", answer, 84)[0]
            answer = answer[(size + 3) & ~3 :]
