# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""MyCat's wrapper.conf, made of the one in its archive. Pure: text to text."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Iterator, Sequence

_ADDITIONAL = re.compile(r"\s*#?\s*wrapper\.java\.additional\.[0-9]+\s*=\s*(.*?)\s*$")
_OWN = re.compile(r"\s*#?\s*wrapper\.(java\.command|ping\.timeout|java\.(init|max)memory)\s*=")
#: Options of the archive that are ours to set, that let strangers in, or that a JVM refuses.
_DROPPED = re.compile(
    r"-Xm[sx]|-XX:MaxDirectMemorySize|-Dcom\.sun\.management\.jmxremote|-XX:\+AggressiveOpts"
    r"|-XX:MaxPermSize|-XX:[+-]ExitOnOutOfMemoryError"
)
#: What MyCat reaches into that a Java from 9 on keeps closed.
_OPENED = ("java.base/jdk.internal.ref", "java.base/sun.nio.ch", "java.base/java.nio")
_JMX_PORT = 1984
MEGABYTE = 1024 * 1024
# One word, and nothing that a shell or the wrapper would take for something else.
_OPTION = re.compile(r"-[^\s\x00-\x1f\x7f\"'`$;&|<>\\\u201c\u201d]{1,1000}")
_SIZE = re.compile(r"([1-9][0-9]*)([mMgG])")


@dataclass(frozen=True)
class Wishes:
    """``heap`` and ``direct`` in MiB; ``java`` is the version and ``command`` the path of the
    program, ``hang`` the seconds after which a JVM that hangs is killed."""

    command: str
    java: int
    heap: int
    direct: int
    jmx: str = "off"
    hang: int = 30
    options: Sequence[str] = ()


def made(text: str, wishes: Wishes) -> str:
    """The wrapper.conf. Its additional lines have the numbers 1, 2, 3 and so on, as the wrapper
    ignores all that come after a gap."""
    kept, former = [], []
    for line in text.splitlines():
        additional = _ADDITIONAL.match(line)
        if additional and not line.lstrip().startswith("#"):
            former.append(additional.group(1))
        elif not additional and not _OWN.match(line):
            kept.append(line)
    options = [
        *(option for option in former if option and not _DROPPED.match(option)),
        *_options(wishes),
    ]
    own = [f"wrapper.java.command={wishes.command}", f"wrapper.ping.timeout={wishes.hang}"]
    numbered = [
        f"wrapper.java.additional.{number}={option}" for number, option in enumerate(options, 1)
    ]
    return "\n".join([*kept, *own, *numbered]) + "\n"


def _options(wishes: Wishes) -> Iterator[str]:
    yield f"-Xms{wishes.heap}m"
    yield f"-Xmx{wishes.heap}m"
    yield f"-XX:MaxDirectMemorySize={wishes.direct}m"
    # Without it a JVM whose thread for new connections died would live on for ever.
    yield "-XX:+ExitOnOutOfMemoryError"
    if wishes.java >= 9:
        for package in _OPENED:
            yield f"--add-exports={package}=ALL-UNNAMED"
            yield f"--add-opens={package}=ALL-UNNAMED"
    if wishes.jmx == "local":
        prefix = "-Dcom.sun.management.jmxremote"
        yield f"{prefix}.port={_JMX_PORT}"
        yield f"{prefix}.rmi.port={_JMX_PORT}"
        yield f"{prefix}.host=127.0.0.1"
        yield "-Djava.rmi.server.hostname=127.0.0.1"
        yield f"{prefix}.authenticate=false"
        yield f"{prefix}.ssl=false"
    yield from wishes.options


def is_option(text: str) -> bool:
    """Whether a text is one option of java."""
    return bool(_OPTION.fullmatch(text))


def megabytes(text: str) -> int:
    """A size such as 512m or 4g in MiB, 0 where it is none."""
    found = _SIZE.fullmatch(text)
    return int(found.group(1)) * (1024 if found.group(2) in "gG" else 1) if found else 0


def usual_heap(memory: int) -> int:
    """The heap for a host with so much memory, both in MiB: half of it, 8 GiB at most."""
    return max(256, min(memory // 2, 8192))


def usual_direct(memory: int) -> int:
    """The memory for buffers outside the heap, in MiB: an eighth of it, 2 GiB at most."""
    return max(128, min(memory // 8, 2048))
