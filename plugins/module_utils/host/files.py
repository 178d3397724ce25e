# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of a host: read and replaced so that no other user can lead root to another file.

A path is opened folder by folder. Whoever owns a folder, or a link, on the way can exchange what is
behind it; so all of them must belong to root, or to the user that runs this. Nothing is written in
place: what differs is replaced by a new file (rename(2)), so a reader sees the old or the new one.
"""

from __future__ import annotations

import contextlib
import grp
import hashlib
import os
import pwd
import secrets
import stat
from collections.abc import Iterator
from dataclasses import dataclass

_FOLDER = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
_LIST = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_STEP = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
# O_NONBLOCK: a named pipe in the place of a file would block the reader.
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
# Groups that distributions let write to folders of root: Debian's to /usr/local (policy, 9.1.2),
# Ubuntu's to /var/log.
_TRUSTED_GROUPS = ("staff", "syslog")
# As many as the kernel follows (path_resolution(7)).
_MOST_LINKS = 40


class FileError(Exception):
    """A path that cannot be used; the text is a sentence that names it."""


class ExposedError(FileError):
    """A path on which a user other than root can put another file in the place of root's."""


@dataclass(frozen=True)
class Attributes:
    """Permissions (the lower 12 bits of st_mode), owner and group of a file."""

    mode: int
    uid: int
    gid: int


@dataclass(frozen=True)
class Content:
    """What is at a path.

    ``kind`` is ``file``, ``directory``, ``link``, ``other`` (a device, a socket, a pipe) or
    ``absent``. ``data`` is the text of a file or the target of a link; None for the other kinds,
    and for a file that is longer than was asked for.
    """

    kind: str
    attributes: Attributes | None = None
    data: bytes | None = None
    size: int = 0


ABSENT = Content("absent")


def kind_of(mode: int) -> str:
    """The ``kind`` of a Content, by its st_mode."""
    kinds = {stat.S_IFREG: "file", stat.S_IFDIR: "directory", stat.S_IFLNK: "link"}
    return kinds.get(stat.S_IFMT(mode), "other")


def attributes_of(found: os.stat_result) -> Attributes:
    """The Attributes in the answer of stat(2)."""
    return Attributes(stat.S_IMODE(found.st_mode), found.st_uid, found.st_gid)


class Place:
    """A name in an open folder. To be used in a ``with`` statement, which closes the folder.

    ``path`` is absolute. Its last component is never followed, neither to read nor to write. The
    folder itself may be ``foreign``, another user's, for what is only removed there. Methods raise
    FileError.
    """

    def __init__(self, path: str, foreign: bool = False) -> None:
        self.path = path
        folder, self.name = os.path.split(path.rstrip("/"))
        if not path.startswith("/") or self.name in ("", ".", ".."):
            raise FileError(f"{path!r} is not the absolute path of a file")
        self._folder = _open_folder(folder, foreign)

    def __enter__(self) -> Place:
        return self

    def __exit__(self, *_exception: object) -> None:
        os.close(self._folder)

    def read(self, most: int) -> Content:
        """What is there; of a file that is longer than ``most`` bytes not the data."""
        with self._sentences("cannot be read"):
            try:
                found = os.lstat(self.name, dir_fd=self._folder)
            except FileNotFoundError:
                return ABSENT
            kind = kind_of(found.st_mode)
            if kind == "link":
                target = os.fsencode(os.readlink(self.name, dir_fd=self._folder))
                return Content(kind, attributes_of(found), target, len(target))
            if kind == "file" and found.st_size <= most:
                return self._read_file(most)
            return Content(kind, attributes_of(found), None, found.st_size)

    def _read_file(self, most: int) -> Content:
        with open(os.open(self.name, _READ, dir_fd=self._folder), "rb") as file:
            # Of the open file: its name may lead to another file by now.
            found = os.fstat(file.fileno())
            kind = kind_of(found.st_mode)
            data = file.read(most + 1) if kind == "file" else b""
        whole = kind == "file" and len(data) <= most
        return Content(kind, attributes_of(found), data if whole else None, found.st_size)

    def write(self, data: bytes, attributes: Attributes) -> None:
        """Put a file there, in the place of a file, a link or nothing."""
        with self._sentences("cannot be written"), self._new_name() as new:
            # Empty and for root alone, until owner and mode are right.
            descriptor = os.open(new, _CREATE, 0o600, dir_fd=self._folder)
            with open(descriptor, "wb") as file:
                os.fchown(descriptor, attributes.uid, attributes.gid)
                # After chown(2), which clears the set-user-ID bit.
                os.fchmod(descriptor, attributes.mode)
                file.write(data)
                file.flush()
                os.fsync(descriptor)
            self._move_here(new)

    def link(self, target: bytes) -> None:
        """Put a symbolic link there, in the place of a file, a link or nothing."""
        with self._sentences("cannot be written"), self._new_name() as new:
            os.symlink(os.fsdecode(target), new, dir_fd=self._folder)
            self._move_here(new)

    def make_directory(self, attributes: Attributes) -> None:
        """Make a directory, or give the one that is there these attributes."""
        with self._sentences("cannot be made a directory"):
            with contextlib.suppress(FileExistsError):
                os.mkdir(self.name, 0o700, dir_fd=self._folder)
            _change(os.open(self.name, _LIST, dir_fd=self._folder), attributes)

    def change(self, attributes: Attributes) -> None:
        """Give the file that is there other attributes, and leave its content."""
        with self._sentences("cannot be changed"):
            descriptor = os.open(self.name, _READ, dir_fd=self._folder)
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                os.close(descriptor)
                raise FileError(f"{self.path} is not a file")
            _change(descriptor, attributes)

    def remove(self) -> None:
        """Remove a file, a link or an empty directory."""
        with self._sentences("cannot be removed"):
            found = os.lstat(self.name, dir_fd=self._folder)
            if stat.S_ISDIR(found.st_mode):
                os.rmdir(self.name, dir_fd=self._folder)
            else:
                os.unlink(self.name, dir_fd=self._folder)

    def names(self) -> list[str]:
        """What is in the directory that is there."""
        with self._sentences("cannot be read"):
            descriptor = os.open(self.name, _LIST, dir_fd=self._folder)
            try:
                return os.listdir(descriptor)
            finally:
                os.close(descriptor)

    @contextlib.contextmanager
    def _sentences(self, what: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise FileError(f"{self.path} {what}: {error.strerror}") from None

    @contextlib.contextmanager
    def _new_name(self) -> Iterator[str]:
        """A name for the new file, which is gone at the end if it was not moved away."""
        new = f".mycat_ha.{secrets.token_hex(8)}"
        try:
            yield new
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(new, dir_fd=self._folder)

    def _move_here(self, new: str) -> None:
        os.rename(new, self.name, src_dir_fd=self._folder, dst_dir_fd=self._folder)


def _change(descriptor: int, attributes: Attributes) -> None:
    """Set the attributes of what is open, and close it."""
    try:
        os.fchown(descriptor, attributes.uid, attributes.gid)
        os.fchmod(descriptor, attributes.mode)
    finally:
        os.close(descriptor)


def owner_name(uid: int) -> str:
    """The name of a user, the number where it has none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def group_name(gid: int) -> str:
    """The name of a group, the number where it has none."""
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)


def described(path: str, most: int) -> tuple[dict[str, str | None], str]:
    """What is at a path as ``{"kind", "sha256", "mode", "owner", "group"}``, and what is wrong.

    ``kind`` is that of a Content. Only a file has a ``sha256``, and only one of at most ``most``
    bytes that can be read; the second result says why it has none. A link has a ``target``, too.
    """
    state: dict[str, str | None] = dict.fromkeys(("sha256", "mode", "owner", "group"))
    target: dict[str, str | None] = {}
    try:
        found = os.lstat(path)
        problem = ""
        if stat.S_ISREG(found.st_mode):
            found, state["sha256"], problem = _hashed(path, found, most)
        elif stat.S_ISLNK(found.st_mode):
            target = {"target": os.readlink(path)}
    except (FileNotFoundError, NotADirectoryError):
        return {"kind": ABSENT.kind, **state}, ""
    except OSError as error:
        return {"kind": "other", **state}, f"{path} cannot be read: {error.strerror}"
    state["mode"] = f"{stat.S_IMODE(found.st_mode):04o}"
    state["owner"] = owner_name(found.st_uid)
    state["group"] = group_name(found.st_gid)
    return {"kind": kind_of(found.st_mode), **state, **target}, problem


def _hashed(path: str, found: os.stat_result, most: int) -> tuple[os.stat_result, str | None, str]:
    """Return the status of what was opened, its digest and why it has none."""
    if found.st_size > most:
        return found, None, f"{path} is longer than {most} bytes"
    digest = hashlib.sha256()
    try:
        with open(os.open(path, _READ), "rb") as file:
            found = os.fstat(file.fileno())
            if stat.S_ISREG(found.st_mode):
                digest.update(file.read(most))
                return found, digest.hexdigest(), ""
    except PermissionError as error:
        return found, None, f"{path} cannot be read: {error.strerror}"
    return found, None, ""


def read_text(path: str, most: int = 4 * 1024 * 1024) -> str:
    """Return the text of a file, not more than ``most`` characters; empty where there is none.

    A link is followed. Raises OSError.
    """

    def opener(name: str, flags: int) -> int:
        return os.open(name, flags | os.O_NONBLOCK)

    try:
        with open(path, encoding="utf-8", errors="surrogateescape", opener=opener) as file:
            return file.read(most)
    except FileNotFoundError:
        return ""


def program_problem(path: str) -> str:
    """Why a program cannot be run, nothing where it can."""
    try:
        mode = os.stat(path).st_mode
    except OSError as error:
        return error.strerror or str(error)
    return "" if stat.S_ISREG(mode) and mode & 0o111 else "is not an executable file"


def exposed(path: str) -> str:
    """By whom root could be led to another file at a path, a sentence; empty where by nobody."""
    try:
        os.close(_open_folder(os.path.dirname(path)))
    except ExposedError as error:
        return str(error)
    except (FileError, OSError):
        # There is no such folder, or none that this user may look at.
        return ""
    return ""


def folder_exists(path: str) -> bool:
    """Whether the folder that a path is in is there."""
    return os.path.isdir(os.path.dirname(path.rstrip("/")))


def _open_folder(path: str, foreign: bool = False) -> int:
    """Return a descriptor of a folder that only root can exchange for another; where it may be
    ``foreign``, others may write to it, and to none on the way."""
    pending = path.split("/")[::-1]
    here = os.open("/", _FOLDER)
    links = 0
    try:
        while pending:
            name = pending.pop()
            if name in ("", "."):
                continue
            child = _open_child(path, here, name, foreign and not pending)
            if not stat.S_ISLNK(os.fstat(child).st_mode):
                os.close(here)
                here = child
                continue
            target = os.readlink("", dir_fd=child)
            os.close(child)
            links += 1
            if links > _MOST_LINKS:
                raise FileError(f"{path}: too many symbolic links")
            pending += target.split("/")[::-1]
            if target.startswith("/"):
                os.close(here)
                here = os.open("/", _FOLDER)
    except BaseException:
        os.close(here)
        raise
    return here


def _open_child(path: str, here: int, name: str, foreign: bool) -> int:
    """Return a descriptor of a folder, or of a link, in the folder ``here`` on the way to path."""
    try:
        child = os.open(name, _STEP, dir_fd=here)
    except OSError as error:
        raise FileError(f"the folder {path} cannot be used: {error.strerror}") from None
    found = os.fstat(child)
    problem = _folder_problem(name, found)
    if problem and not (foreign and stat.S_ISDIR(found.st_mode)):
        os.close(child)
        raise ExposedError(f"the folder {path} cannot be used: {problem}")
    return child


def _folder_problem(name: str, found: os.stat_result) -> str:
    if found.st_uid not in (0, os.geteuid()):
        return (
            f"{name} belongs to the user with the id {found.st_uid}, who could put another in its "
            "place; give it to root"
        )
    if stat.S_ISLNK(found.st_mode):
        return ""
    if not stat.S_ISDIR(found.st_mode):
        return f"{name} is not a folder"
    if found.st_mode & stat.S_ISVTX:
        return ""
    if found.st_mode & stat.S_IWOTH:
        return f"every user can write to {name}; take that right away"
    if found.st_mode & stat.S_IWGRP and found.st_gid not in (0, os.getegid()):
        group = group_name(found.st_gid)
        if group not in _TRUSTED_GROUPS:
            return f"the group {group} can write to {name}; take that right away"
    return ""
