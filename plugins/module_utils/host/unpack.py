# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Unpack an archive into a folder of its own, which is there whole or not at all."""

from __future__ import annotations

import contextlib
import hashlib
import os
import posixpath
import pwd
import shutil
import stat
import tarfile
from collections.abc import Iterator

#: What MyCat writes into, besides files that are there.
_OWN_FOLDERS = ("logs", "tmlogs")
#: MyCat notes here which data host it writes to.
_NOTES = "conf/dnindex.properties"
_OURS = "wrapper.conf"


class UnpackError(Exception):
    """An archive that cannot be unpacked; the text is a sentence."""


def unpack(archive: str, sha256: str, top: str, folder: str) -> None:
    """Unpack what is below ``top`` in the archive. Raises UnpackError."""
    _verify(archive, sha256)
    new = f"{folder}.new"
    shutil.rmtree(new, ignore_errors=True)
    try:
        with tarfile.open(archive, "r:*") as opened:
            os.mkdir(new, 0o755)
            for member, path in _members(opened, top):
                _put(opened, member, os.path.join(new, path))
    except (tarfile.TarError, EOFError, OSError) as error:
        shutil.rmtree(new, ignore_errors=True)
        raise UnpackError(f"{archive} cannot be unpacked into {folder}: {error}") from None


def finish(folder: str) -> None:
    """Let the folder have its name."""
    os.rename(f"{folder}.new", folder)


def _verify(archive: str, sha256: str) -> None:
    digest = hashlib.sha256()
    with open(archive, "rb") as file:
        for part in iter(lambda: file.read(1024 * 1024), b""):
            digest.update(part)
    if digest.hexdigest() != sha256:
        raise UnpackError(f"{archive} arrived with the SHA-256 {digest.hexdigest()}, not {sha256}")


def _members(opened: tarfile.TarFile, top: str) -> Iterator[tuple[tarfile.TarInfo, str]]:
    """What is to be unpacked, and its path below the folder: nothing that leads out of it."""
    for member in opened:
        name = posixpath.normpath(member.name)
        if not name.startswith(f"{top}/"):
            continue
        if member.issym():
            target = posixpath.normpath(posixpath.join(posixpath.dirname(name), member.linkname))
            if not target.startswith(f"{top}/"):
                raise UnpackError(f"{member.name} of the archive leads out of it")
        yield member, name[len(top) + 1 :]


def _put(opened: tarfile.TarFile, member: tarfile.TarInfo, path: str) -> None:
    if member.isdir():
        os.makedirs(path, 0o755, exist_ok=True)
        return
    os.makedirs(os.path.dirname(path), 0o755, exist_ok=True)
    if member.issym():
        os.symlink(member.linkname, path)
        return
    content = opened.extractfile(member)
    if content is None:
        return
    # Not where a link of the archive leads.
    with content, open(
        os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW), "wb"
    ) as file:
        shutil.copyfileobj(content, file)
        os.fchmod(file.fileno(), 0o755 if member.mode & 0o100 else 0o644)


def prepare_mycat(folder: str, user: str, former: str) -> None:
    """Make the MyCat that was unpacked one that the user can run.

    Its own control script is ``bin/mycat.orig`` from then on. ``former`` is the home of a MyCat
    whose configuration is taken over, "" for none. Raises OSError, KeyError without that user.
    """
    new, account = f"{folder}.new", pwd.getpwnam(user)
    os.rename(f"{new}/bin/mycat", f"{new}/bin/mycat.orig")
    for name in os.listdir(f"{new}/bin"):
        os.chmod(f"{new}/bin/{name}", 0o755)  # noqa: S103 - programs
    if former:
        _take_over(f"{former}/conf", f"{new}/conf")
    if not os.path.exists(f"{new}/{_NOTES}"):
        with open(f"{new}/{_NOTES}", "w", encoding="ascii"):
            pass
    for path in _files(f"{new}/conf"):
        os.chown(path, account.pw_uid, account.pw_gid)
        os.chmod(path, 0o640)
    for name in _OWN_FOLDERS:
        os.makedirs(f"{new}/{name}", exist_ok=True)
        os.chown(f"{new}/{name}", account.pw_uid, account.pw_gid)
        # The health endpoint reads the pid file in one of them.
        os.chmod(f"{new}/{name}", 0o755)  # noqa: S103


def _take_over(former: str, new: str) -> None:
    """Copy all files of a configuration but wrapper.conf, which is made anew."""
    for path in _files(former):
        relative = os.path.relpath(path, former)
        if relative != _OURS:
            os.makedirs(os.path.dirname(f"{new}/{relative}"), 0o755, exist_ok=True)
            with contextlib.suppress(FileNotFoundError):
                os.unlink(f"{new}/{relative}")
            shutil.copyfile(path, f"{new}/{relative}")


def _files(folder: str) -> Iterator[str]:
    for parent, _folders, names in os.walk(folder):
        for name in names:
            path = os.path.join(parent, name)
            if stat.S_ISREG(os.lstat(path).st_mode):
                yield path
