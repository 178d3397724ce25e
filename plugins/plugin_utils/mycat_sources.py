# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the controller has of the MyCats that are to be installed: archives and XML files."""

from __future__ import annotations

import functools
import hashlib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleError
from ansible.module_utils.urls import open_url
from ansible.template import Templar
from ansible_collections.mycat.ha.plugins.module_utils.cluster.hosts import HostView
from ansible_collections.mycat.ha.plugins.module_utils.cluster.mycat import (
    Sources,
    check_sums,
    is_archive,
)
from ansible_collections.mycat.ha.plugins.module_utils.cluster.request import Refusals
from ansible_collections.mycat.ha.plugins.module_utils.mycat import archive, xml_files
from ansible_collections.mycat.ha.plugins.module_utils.readers import SettingError

from .inventory import Inventory

_CACHE = Path("~/.cache/mycat_ha")
_TEMPLATE = ".j2"
_URL = ("http://", "https://")


def sources(
    inventory: Inventory, hosts: Iterable[HostView], refused: Refusals
) -> dict[str, Sources]:
    """{host: what there is for it}, of each host that has ``mycat_archive``; what is wrong goes
    to ``refused``."""
    found = {}
    for host in hosts:
        if "mycat" in host.settings:
            try:
                found[host.name] = _of(inventory, host)
            except SettingError as error:
                refused.add(host.name, error)
    return found


def _of(inventory: Inventory, host: HostView) -> Sources:
    settings = host.settings["mycat"]
    check_sums(settings)
    path = _local("mycat_archive", settings["mycat_archive"], settings["mycat_archive_sha256"])
    own = _looked_at("mycat_archive", path, archive.read)
    java = None
    if is_archive(settings.get("mycat_java")):
        java_path = _local("mycat_java", settings["mycat_java"], settings["mycat_java_sha256"])
        java = (*_looked_at("mycat_java", java_path, archive.java_release), java_path)
    texts = {
        name: _text(inventory, host.name, name, settings[name])
        for name in xml_files.NAMES
        if settings.get(name)
    }
    return Sources(own, path, java, texts)


@functools.lru_cache(maxsize=8)
def _read(path: str, _stamp: tuple[int, int], read: Any) -> Any:
    return read(path)


def _looked_at(name: str, path: str, read: Any) -> Any:
    found = os.stat(path)
    try:
        return _read(path, (found.st_mtime_ns, found.st_size), read)
    except archive.ArchiveError as error:
        raise SettingError(name, f"{path} {error}") from None


@functools.lru_cache(maxsize=8)
def _digest(path: str, _stamp: tuple[int, int]) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for part in iter(lambda: file.read(1024 * 1024), b""):
            digest.update(part)
    return digest.hexdigest()


def _local(name: str, given: str, sha256: str) -> str:
    """The path of an archive on the controller, whose checksum is right. Raises SettingError."""
    path = _fetched(name, given, sha256) if given.startswith(_URL) else _path(given)
    try:
        found = os.stat(path)
        digest = _digest(path, (found.st_mtime_ns, found.st_size))
    except OSError as error:
        raise SettingError(
            name,
            f"{path} cannot be read on the controller ({error.strerror}); write the path of the "
            "archive, or its URL",
        ) from None
    if digest != sha256:
        raise SettingError(
            f"{name}_sha256",
            f"is {sha256}, and {path} has {digest}; get the archive anew, or write this where you "
            "trust it",
        )
    return path


def _fetched(name: str, url: str, sha256: str) -> str:
    """Where the archive of an URL is kept. Raises SettingError."""
    kept = _CACHE.expanduser() / sha256
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        part = kept.with_suffix(f".{os.getpid()}")
        try:
            with open_url(url, timeout=60) as answer, open(part, "wb") as file:
                for block in iter(lambda: answer.read(1024 * 1024), b""):
                    file.write(block)
        except Exception as error:
            part.unlink(missing_ok=True)
            raise SettingError(
                name, f"{url} cannot be fetched ({error}); write a path on the controller"
            ) from None
        if _digest(str(part), (0, 0)) == sha256:
            part.rename(kept)
        else:
            part.rename(kept.with_suffix(".wrong"))
            return str(kept.with_suffix(".wrong"))
    return str(kept)


def _path(given: str) -> str:
    return os.path.abspath(os.path.expanduser(given))


def _text(inventory: Inventory, host: str, name: str, given: str) -> str:
    """The text of an XML file, or of its template for a host. Raises SettingError."""
    path = _path(given)
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is no UTF-8"
        raise SettingError(
            name, f"{path} cannot be read on the controller ({why}); write the path of your file"
        ) from None
    if not path.endswith(_TEMPLATE):
        return text
    return _rendered(inventory, host, name, text)


def _rendered(inventory: Inventory, host: str, name: str, text: str) -> str:
    variables: Mapping[str, Any] = inventory.variables(host)
    try:
        # A text from a file is no template for newer versions of ansible-core unless it says so.
        from ansible.template import trust_as_template

        text = trust_as_template(text)
    except ImportError:
        pass
    templar = Templar(loader=inventory.loader, variables=dict(variables))
    try:
        return str(templar.template(text, preserve_trailing_newlines=True, convert_data=False))
    except TypeError:
        return str(templar.template(text))
    except AnsibleError as error:
        raise SettingError(name, f"the template cannot be evaluated: {error}") from None
