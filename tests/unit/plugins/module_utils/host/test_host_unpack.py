# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An archive of MyCat becomes a folder of its own, or nothing."""

from __future__ import annotations

import io
import os
import pwd
import tarfile
from pathlib import Path

import pytest
from ansible_collections.mycat.ha.plugins.module_utils.host import unpack
from lab import mycat_archive

ME = pwd.getpwuid(os.geteuid()).pw_name


def test_a_mycat_is_whole_and_has_the_former_configuration(tmp_path: Path) -> None:
    archive, folder, former = tmp_path / "a.tar.gz", tmp_path / "mycat-1", tmp_path / "mycat"
    digest = mycat_archive.write(archive, 17)
    (former / "conf/sub").mkdir(parents=True)
    for name, text in (("schema.xml", "mine"), ("wrapper.conf", "mine"), ("sub/more", "mine")):
        (former / "conf" / name).write_text(text)
    unpack.unpack(str(archive), digest, "mycat", str(folder))
    unpack.prepare_mycat(str(folder), ME, str(former))
    assert not folder.exists()
    unpack.finish(str(folder))
    assert (folder / "bin/mycat.orig").stat().st_mode & 0o777 == 0o755
    assert not (folder / "bin/mycat").exists()
    texts = {name: (folder / "conf" / name).read_text() for name in ("schema.xml", "sub/more")}
    assert set(texts.values()) == {"mine"}
    assert (folder / "conf/wrapper.conf").read_text() == mycat_archive.WRAPPER_CONF
    assert (folder / "conf/server.xml").stat().st_mode & 0o777 == 0o640
    assert (folder / "logs").is_dir()


def test_another_checksum_leaves_nothing(tmp_path: Path) -> None:
    mycat_archive.write(tmp_path / "a")
    with pytest.raises(unpack.UnpackError, match="arrived with the SHA-256"):
        unpack.unpack(str(tmp_path / "a"), "0" * 64, "mycat", str(tmp_path / "mycat"))
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


@pytest.mark.parametrize("target", ["/etc", "../../x", "../"])
def test_a_link_that_leads_out_is_refused(tmp_path: Path, target: str) -> None:
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w") as archive:
        link = tarfile.TarInfo("mycat/lib")
        link.type, link.linkname = tarfile.SYMTYPE, target
        archive.addfile(link)
    digest = unpack.hashlib.sha256(path.read_bytes()).hexdigest()
    with pytest.raises(unpack.UnpackError, match="leads out of it"):
        unpack.unpack(str(path), digest, "mycat", str(tmp_path / "mycat"))


def test_what_is_beside_the_folder_stays_away(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w") as archive:
        for name in ("mycat/../../out", "../out", "/out", "mycat/in"):
            entry = tarfile.TarInfo(name)
            entry.size = 1
            archive.addfile(entry, io.BytesIO(b"x"))
    digest = unpack.hashlib.sha256(path.read_bytes()).hexdigest()
    unpack.unpack(str(path), digest, "mycat", str(tmp_path / "new"))
    unpack.finish(str(tmp_path / "new"))
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a.tar", "in", "new"]
