# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find a keepalived to test against: an installed one, or a Debian release's, unpacked aside.

Nothing is installed into the system. A Debian release's keepalived is unpacked with everything
it links against into a directory of the cache, and is run there by chroot.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Sequence

from ansible_collections.mycat.ha.plugins.module_utils.vrrp import versions

from . import CACHE

# What runs inside the unpacked tree: keepalived, `test` for its check scripts, and their shell.
PACKAGES = ("keepalived", "coreutils", "dash")
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")


class DaemonError(Exception):
    """No usable keepalived; the message says what to do about it."""


@dataclass(frozen=True)
class Daemon:
    """A keepalived. ``root`` is the tree it lives in, None for the machine's own."""

    binary: str
    version: tuple[int, ...]
    root: Path | None = None

    @property
    def label(self) -> str:
        """Its version, as in ``2.2.7``."""
        return ".".join(str(part) for part in self.version)

    def command(self, directory: Path, options: Sequence[str]) -> list[str]:
        """The command that runs it; ``directory`` is visible to it by its own name."""
        script = _CHROOT if self.root else _PRIVATE_RUN
        arguments = ["enter", str(self.root or "/"), str(directory), self.binary, *options]
        return ["unshare", "--mount", "sh", "-e", "-c", script, *arguments]


# Both in a private mount namespace: the mounts end with the process. /run is private because
# keepalived locks pid files there that no option moves.
_PRIVATE_RUN = """
shift 2
mount -t tmpfs tmpfs /run
exec "$@"
"""
_CHROOT = """
root=$1 directory=$2
shift 2
mkdir -p "$root$directory"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount -t tmpfs tmpfs "$root/run"
mount --bind "$directory" "$root$directory"
exec chroot "$root" "$@"
"""


def installed(path: str | None = None) -> Daemon:
    """The machine's own keepalived: ``path``, or the first one found where daemons live."""
    found = path or shutil.which("keepalived", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if not found or not os.access(found, os.X_OK):
        raise DaemonError(
            "no keepalived %s. Install it, name one by --keepalived PATH, or let --release "
            "bookworm fetch Debian's into the cache." % (f"at {path}" if path else "installed")
        )
    return Daemon(found, _version([found, "--version"]))


def release(name: str, cache: Path = CACHE) -> Daemon:
    """The keepalived of Debian release ``name``, fetched on first use (about 30 MB)."""
    root = cache / name
    if not (root / "usr/sbin/keepalived").exists():
        _unpack(name, root)
    return Daemon(
        "/usr/sbin/keepalived",
        _version(["chroot", str(root), "/usr/sbin/keepalived", "--version"]),
        root,
    )


def _version(command: Sequence[str]) -> tuple[int, ...]:
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    version = versions.installed_version(result.stderr + result.stdout)
    if not version:
        raise DaemonError(
            "{} does not say its version: {}".format(" ".join(command), result.stderr.strip())
        )
    return versions.numbers(version)


def _unpack(name: str, root: Path) -> None:
    """Let apt resolve and fetch PACKAGES of release ``name``, with lists of its own, and unpack."""
    for tool in ("apt-get", "dpkg"):
        if not shutil.which(tool):
            raise DaemonError(f"{tool} is missing: --release works on Debian and its kin only")
    work = root.with_name(name + ".part")
    shutil.rmtree(work, ignore_errors=True)
    apt, tree = work / "apt", work / "root"
    for directory in (apt / "state/lists/partial", apt / "cache/archives/partial", tree):
        directory.mkdir(parents=True)
    (apt / "status").touch()
    signed = f"[signed-by={KEYRING}] " if KEYRING.exists() else ""
    (apt / "sources.list").write_text(f"deb {signed}{_mirror()} {name} main\n")
    options = {
        "Dir::Etc::SourceList": apt / "sources.list",
        "Dir::Etc::SourceParts": "-",
        "Dir::State": apt / "state",
        "Dir::State::status": apt / "status",
        "Dir::Cache": apt / "cache",
        "APT::Install-Recommends": "false",
        "APT::Sandbox::User": "root",
    }
    command = ["apt-get", "-qq", "-y"]
    for option, value in options.items():
        command += ["-o", f"{option}={value}"]
    _run([*command, "update"])
    _run([*command, "--download-only", "install", *PACKAGES])
    for package in sorted((apt / "cache/archives").glob("*.deb")):
        _run(["dpkg", "--extract", str(package), str(tree)])
    for directory in ("bin", "sbin", "lib", "lib64"):
        if not (tree / directory).exists():
            (tree / directory).symlink_to("usr/" + directory)
    # Made by maintainer scripts, which do not run here; keepalived looks up the script user.
    (tree / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
    (tree / "etc/group").write_text("root:x:0:\n")
    for directory in ("dev", "proc", "run"):
        (tree / directory).mkdir(exist_ok=True)
    tree.rename(root)
    shutil.rmtree(work)


def _mirror() -> str:
    """The Debian mirror that the user names, or the one this machine's apt uses."""
    named = os.environ.get("MYCAT_HA_DEBIAN_MIRROR")
    used = _run(["apt-get", "indextargets", "--format", "$(REPO_URI)"]).split()
    debian = [uri for uri in used if uri.rstrip("/").endswith("/debian")]
    if not named and not debian:
        raise DaemonError("apt knows no Debian mirror here: name one in MYCAT_HA_DEBIAN_MIRROR")
    return named or debian[0]


def _run(command: Sequence[str]) -> str:
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        raise DaemonError(
            "{}: {}".format(" ".join(command[:3]), (result.stderr or result.stdout)[-800:])
        )
    return result.stdout
