# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an archive of MyCat holds, and which Java it needs. Pure, but for the archive itself.

The published archives of 1.6 use classes that only Java 8 has; one that was built for a later Java
does not. Both show in the classes of MyCat in lib/.
"""

from __future__ import annotations

import io
import re
import tarfile
import zipfile
from dataclasses import dataclass
from typing import Iterator

#: What has to be in it, below its only folder.
_PARTS = ("bin/mycat", "conf/wrapper.conf", "conf/server.xml", "conf/schema.xml")
_VERSION = re.compile(r"[0-9]+(?:\.[0-9]+)+")
_OURS = "io/mycat/"
_JAXB = "javax/xml/bind/"
# {what a class names: the last Java that has it}; the latter unless lib/ has it.
_GONE = {b"sun/misc/Cleaner": 8, b"javax/xml/bind/": 10}
_MAJOR_OF_JAVA_1 = 45
_MOST_JAR = 256 * 1024 * 1024


class ArchiveError(Exception):
    """An archive that cannot be used; the text goes on behind its name."""


@dataclass(frozen=True)
class Archive:
    """``java`` is the oldest Java that runs it and ``last_java`` the last one, 0 for no limit;
    ``why`` says what limits it. ``wrappers`` are the names in bin/ of the programs that start it,
    ``wrapper_conf`` is the text of its wrapper.conf."""

    java: int
    last_java: int
    why: str
    wrappers: tuple[str, ...]
    wrapper_conf: str

    def runs_on(self, java: int) -> bool:
        """Whether a Java of this version can run it."""
        return self.java <= java <= (self.last_java or java)


def version_in(name: str) -> str:
    """The version in an archive's file name, ``archive`` where there is none."""
    found = _VERSION.search(name.rpartition("/")[2])
    return found.group() if found else "archive"


def read(path: str) -> Archive:
    """Look into an archive. Raises ArchiveError."""
    try:
        with tarfile.open(path, "r:*") as archive:
            return _read(archive)
    except (tarfile.TarError, zipfile.BadZipFile, EOFError, OSError, ValueError) as error:
        raise ArchiveError(f"cannot be read as an archive ({error})") from None


def _read(archive: tarfile.TarFile) -> Archive:
    names, texts, jars = set(), {}, []
    for member in archive:
        name = member.name[2:] if member.name.startswith("./") else member.name
        names.add(name)
        content = archive.extractfile(member) if member.isfile() else None
        if content is None or member.size > _MOST_JAR:
            continue
        if name.endswith("/conf/wrapper.conf"):
            texts[name] = content.read().decode("utf-8", "replace")
        elif name.endswith(".jar"):
            jars.append(content.read())
    missing = [part for part in _PARTS if f"mycat/{part}" not in names]
    if missing:
        raise ArchiveError(f"is no MyCat: it has no mycat/{missing[0]}")
    prefix = "mycat/bin/wrapper-linux-"
    wrappers = tuple(sorted(name.rpartition("/")[2] for name in names if name.startswith(prefix)))
    if not wrappers:
        raise ArchiveError("has no mycat/bin/wrapper-linux-..., so it is not MyCat's for Linux")
    oldest, last, why = _java_of(jars)
    return Archive(oldest, last, why, wrappers, texts["mycat/conf/wrapper.conf"])


def _java_of(jars: list[bytes]) -> tuple[int, int, str]:
    opened = [zipfile.ZipFile(io.BytesIO(jar)) for jar in jars]
    has_jaxb = any(name.startswith(_JAXB) for jar in opened for name in jar.namelist())
    classes = [content for jar in opened for content in _own_classes(jar)]
    if not classes:
        raise ArchiveError("is no MyCat: no jar in its lib/ has classes of io.mycat")
    oldest = max(int.from_bytes(content[6:8], "big") for content in classes) - _MAJOR_OF_JAVA_1 + 1
    last, why = 0, f"its classes are of Java {oldest}"
    for name, final in _GONE.items():
        if name.decode() == _JAXB and has_jaxb:
            continue
        if any(name in content for content in classes) and not 0 < last <= final:
            last, why = (
                final,
                f"it uses {name.decode().strip('/')}, which only Java {final} and older have",
            )
    return oldest, last, why


def _own_classes(jar: zipfile.ZipFile) -> Iterator[bytes]:
    for name in jar.namelist():
        if name.startswith(_OURS) and name.endswith(".class"):
            content = jar.read(name)
            if content[:4] == b"\xca\xfe\xba\xbe":
                yield content


def java_release(path: str) -> tuple[int, str]:
    """The version of the Java in an archive, and the folder in it that has bin/java.

    Raises ArchiveError.
    """
    try:
        with tarfile.open(path, "r:*") as archive:
            names = archive.getnames()
            folder = next(
                (name[: -len("/bin/java")] for name in names if name.endswith("/bin/java")), ""
            )
            if not folder or folder.endswith("/jre"):
                shorter = folder[: -len("/jre")]
                folder = shorter if f"{shorter}/bin/java" in names else folder
            text = (
                archive.extractfile(f"{folder}/release") if f"{folder}/release" in names else None
            )
            said = text.read().decode("utf-8", "replace") if text else ""
    except (tarfile.TarError, EOFError, OSError) as error:
        raise ArchiveError(f"cannot be read as an archive ({error})") from None
    if not folder:
        raise ArchiveError("is no Java: it has no bin/java")
    found = re.search(r'JAVA_VERSION="([0-9._]+)', said)
    if not found:
        raise ArchiveError("does not say its version: it has no file release with JAVA_VERSION")
    return java_number(found.group(1)), folder


def java_number(version: str) -> int:
    """8 for 1.8.0_412, 17 for 17.0.15; 0 where it is no version."""
    parts = re.findall(r"\d+", version)
    if not parts:
        return 0
    return int(parts[1] if parts[0] == "1" and len(parts) > 1 else parts[0])
