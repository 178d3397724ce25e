"""Rows 10 and 12, and the roll-out: XML files that MyCat takes over, and those that it does not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from lab.mycat_archive import SCHEMA_XML

from .balancing import under_load
from .hosts import HOME, MYCAT, SCRIPT, await_up, jvm, played, write
from .watching import ask

WHITEHOST = '<whitehost><host host="10.87.62.*" user="mycat"/></whitehost>'
BLACKLIST = '<blacklist check="true"><property name="showAllow">false</property></blacklist>'


@contextmanager
def _edited(name: str, expression: str) -> Iterator[None]:
    """MyCat stopped, with a file changed by sed; afterwards it runs with what was there."""
    path, kept = f"{HOME}/conf/{name}", f"/root/{name}"
    await_up()
    MYCAT.run(SCRIPT, "stop")
    MYCAT.run("cp", "-p", path, kept)
    MYCAT.run("sed", "-i", expression, path)
    try:
        yield
    finally:
        MYCAT.run(SCRIPT, "stop")
        MYCAT.run("cp", "-p", kept, path)
        MYCAT.run(SCRIPT, "start")
        await_up()


def refused() -> None:
    """Row 10."""
    for rule in (WHITEHOST, BLACKLIST):
        with _edited("server.xml", f"s|<system/>|<system/><firewall>{rule}</firewall>|"):
            MYCAT.run(SCRIPT, "start")
            # The first statement of a new JVM takes its time.
            answer = ask(6)
            print(f"{rule}: {answer.code}, {answer.body['reason']}", flush=True)


def wrong_schema() -> None:
    """Row 12."""
    with _edited("schema.xml", 's/dataHost="db"/dataHost="no"/'):
        said = MYCAT.run(SCRIPT, "start", check=False).stdout.splitlines()[-1]
        print(f"wrong schema.xml: {said}", flush=True)


def rolled_out() -> None:
    """What a reload brings, and what wants a restart."""
    for what, old, new in (
        ("schema", 'name="TESTDB" ', 'name="TESTDB" sqlMaxLimit="100" '),
        ("data host", 'maxCon="100"', 'maxCon="200"'),
    ):
        path, before = write("schema.xml", SCHEMA_XML.replace(old, new)), jvm()
        under_load(f"another {what}", lambda path=path: played("site", mycat_schema_xml=path))
        print(f"    by a {'reload' if jvm() == before else 'restart'}", flush=True)
        played("site")
