# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The stand-in MyCat as an archive in the layout of the real one.

``python -m lab.mycat_archive FILE [--java 8]`` writes it and prints its SHA-256. The jar has one
class, whose version and names say which Java it needs, as those of the real archive do.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import io
import json
import struct
import tarfile
import zipfile
from pathlib import Path
from typing import Any, Mapping

STANDIN = Path(__file__).parents[2] / "molecule/shared/standin/files"
JAVA_8 = ("sun/misc/Cleaner", "javax/xml/bind/JAXBContext")
WRAPPER_CONF = """\
#********************************************************************
# Wrapper Properties
#********************************************************************
wrapper.java.command=java
wrapper.working.dir=..
wrapper.java.mainclass=org.tanukisoftware.wrapper.WrapperSimpleApp
set.default.REPO_DIR=lib
wrapper.java.classpath.1=lib/wrapper.jar
wrapper.java.additional.1=-DMYCAT_HOME=.
wrapper.java.additional.2=-server
wrapper.java.additional.3=-XX:+AggressiveOpts
wrapper.java.additional.4=-XX:MaxDirectMemorySize=2G
wrapper.java.additional.5=-Dcom.sun.management.jmxremote
wrapper.java.additional.6=-Dcom.sun.management.jmxremote.port=1984
wrapper.java.additional.7=-Dcom.sun.management.jmxremote.authenticate=false
wrapper.java.additional.8=-Dcom.sun.management.jmxremote.ssl=false
wrapper.java.additional.9=-Xmx4G
wrapper.java.additional.10=-Xms1G
wrapper.app.parameter.1=io.mycat.MycatStartup
wrapper.logfile=logs/wrapper.log
wrapper.ping.timeout=120
"""
SERVER_XML = """\
<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE mycat:server SYSTEM "server.dtd">
<mycat:server xmlns:mycat="http://io.mycat/">
    <system/>
    <user name="mycat" defaultAccount="true">
        <property name="password">mycat-demo</property>
        <property name="schemas">TESTDB</property>
    </user>
</mycat:server>
"""
SCHEMA_XML = """\
<?xml version="1.0"?>
<!DOCTYPE mycat:schema SYSTEM "schema.dtd">
<mycat:schema xmlns:mycat="http://io.mycat/">
    <schema name="TESTDB" dataNode="dn1"/>
    <dataNode name="dn1" dataHost="db" database="TESTDB"/>
    <dataHost name="db" maxCon="100" minCon="2" balance="0" dbType="mysql" dbDriver="native">
        <heartbeat>select user()</heartbeat>
        <writeHost host="hostM1" url="127.0.0.1:3306" user="mycat" password="mycat-demo"/>
    </dataHost>
</mycat:schema>
"""
RULE_XML = """\
<?xml version="1.0"?>
<!DOCTYPE mycat:rule SYSTEM "rule.dtd">
<mycat:rule xmlns:mycat="http://io.mycat/"/>
"""


def java_class(java: int, names: tuple[str, ...] = ()) -> bytes:
    """A class file of a Java's version that names these, and has nothing in it."""
    constants = [_utf8("io/mycat/MycatStartup"), _class(1), _utf8("java/lang/Object"), _class(3)]
    constants += map(_utf8, names)
    head = struct.pack(">IHHH", 0xCAFEBABE, 0, java + 44, len(constants) + 1)
    return head + b"".join(constants) + struct.pack(">7H", 0x21, 2, 4, 0, 0, 0, 0)


def _utf8(text: str) -> bytes:
    return struct.pack(">BH", 1, len(text)) + text.encode()


def _class(name: int) -> bytes:
    return struct.pack(">BH", 7, name)


def jar(java: int, names: tuple[str, ...] = ()) -> bytes:
    """A jar with one class."""
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as archive:
        archive.writestr("io/mycat/MycatStartup.class", java_class(java, names))
    return written.getvalue()


def files(java: int, version: str, settings: Mapping[str, Any]) -> dict[str, tuple[int, bytes]]:
    """{path: (mode, content)}."""
    found = {
        f"bin/{name}": (0o755, (STANDIN / name).read_bytes())
        for name in ("mycat", "wrapper-linux-x86-64")
    }
    for name in ("mycat_standin.py", "standin_protocol.py"):
        found[f"lib/{name}"] = (0o755, (STANDIN / name).read_bytes())
    found[f"lib/Mycat-server-{version}-release.jar"] = (
        0o644,
        jar(java, JAVA_8 if java == 8 else ()),
    )
    for name, text in (
        ("wrapper.conf", WRAPPER_CONF),
        ("server.xml", SERVER_XML),
        ("schema.xml", SCHEMA_XML),
        ("rule.xml", RULE_XML),
        ("standin.json", json.dumps(settings)),
    ):
        # As in the real one, whoever may write here.
        found[f"conf/{name}"] = (0o777, text.encode())
    found["version.txt"] = (0o777, f"MavenVersion: {version}-release\n".encode())
    return found


def write(
    path: Path,
    java: int = 8,
    without: tuple[str, ...] = (),
    version: str = "1.6.7.6",
    **settings: Any,
) -> str:
    """Write the archive, ``without`` some of its files; return its SHA-256.

    The same content gives the same archive. ``settings`` are those of the stand-in.
    """
    folders = ("mycat", "mycat/conf", "mycat/logs", "mycat/catlet")
    content = {
        f"mycat/{name}": row
        for name, row in files(java, version, settings).items()
        if name not in without
    }
    return _archive(path, folders, content)


def write_java(path: Path, version: str = "17.0.15") -> str:
    """Write an archive of a Java that can tell its version and nothing else; return its SHA-256."""
    program = f"#!/bin/sh\necho 'openjdk version \"{version}\"' >&2\n"
    content = {
        f"jre-{version}/bin/java": (0o755, program.encode()),
        f"jre-{version}/release": (0o644, f'JAVA_VERSION="{version}"\n'.encode()),
    }
    return _archive(path, (f"jre-{version}",), content)


def _archive(path: Path, folders: tuple[str, ...], content: Mapping[str, tuple[int, bytes]]) -> str:
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w") as archive:
        for name in folders:
            folder = tarfile.TarInfo(name)
            folder.type, folder.mode = tarfile.DIRTYPE, 0o777
            archive.addfile(folder)
        for name, (mode, data) in content.items():
            entry = tarfile.TarInfo(name)
            entry.mode, entry.size = mode, len(data)
            archive.addfile(entry, io.BytesIO(data))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(written.getvalue(), mtime=0))
    return hashlib.sha256(path.read_bytes()).hexdigest()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--java", type=int, default=8, help="the Java that it is for")
    parser.add_argument("--version", default="1.6.7.6")
    parser.add_argument("--of-java", action="store_true", help="an archive of a Java instead")
    options = parser.parse_args()
    if options.of_java:
        print(write_java(options.file))
    else:
        print(write(options.file, options.java, version=options.version))


if __name__ == "__main__":
    main()
