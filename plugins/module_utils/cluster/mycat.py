# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""MyCat itself: what the role mycat needs of each host that has ``mycat_archive``. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Iterator, Mapping

from ..haproxy.check_times import seconds
from ..host.mycat import STOPPED_MARK
from ..mycat import java, wrapper_conf, xml_files
from ..mycat.archive import Archive, version_in
from ..readers import RefusalError, SettingError
from . import mycat_loss
from .endpoint import MANAGER_PORT, asking, manager_port
from .hosts import HostView
from .managed import CREDENTIALS
from .request import Refusals, Request

_SHA256 = re.compile(r"[0-9a-f]{64}")
_JAVA_ARCHIVE = re.compile(r".*\.(tar\.gz|tgz)|https?://.*")
UNIT_FILE = "/etc/systemd/system/mycat.service"
ACCOUNT = "mycat"
#: MiB of a host of which nothing is known.
_MEMORY = 2048


@dataclass(frozen=True)
class Sources:
    """What the controller has of a host's MyCat: its ``archive`` and its ``path`` there, the
    ``java`` of an archive (version, folder in it, path), and the ``texts`` {variable: XML}."""

    archive: Archive
    path: str
    java: tuple[int, str, str] | None
    texts: Mapping[str, str]


def folder(settings: Mapping[str, Any], home: str) -> str:
    """The folder of this archive, beside the link that is MyCat's home."""
    archive, digest = settings["mycat_archive"], str(settings.get("mycat_archive_sha256"))
    return f"{home.rstrip('/')}-{version_in(archive)}-{digest[:8]}"


def java_folder(settings: Mapping[str, Any]) -> str:
    """The folder of the Java that comes as an archive."""
    return f"/usr/local/mycat-java-{str(settings.get('mycat_java_sha256'))[:8]}"


def is_archive(wish: str | None) -> bool:
    """Whether ``mycat_java`` names an archive."""
    return bool(_JAVA_ARCHIVE.fullmatch(wish or ""))


def java_path(wish: str | None) -> str:
    """The program on the host that ``mycat_java`` names, "" where it names another thing."""
    if not (wish or "").startswith("/") or is_archive(wish):
        return ""
    path = str(wish).rstrip("/")
    return path if path.endswith("/bin/java") else f"{path}/bin/java"


def asked(host: HostView) -> dict[str, Any]:
    """What host_state is asked for besides the role's usual paths."""
    settings = host.settings["mycat"]
    home = host.settings["mycat_status"]["mycat_status_home"]
    own = folder(settings, home)
    wish = settings.get("mycat_java")
    paths = [home, own, STOPPED_MARK, f"{own}/conf/wrapper.conf", f"{own}/bin/mycat"]
    paths += [f"{own}/conf/{name}" for name in xml_files.NAMES.values()]
    packages = [wish] if wish and "/" not in wish else []
    if is_archive(wish):
        paths.append(java_folder(settings))
    return {"paths": paths, "packages": packages, "java": java_path(wish) or None}


def ports_of(host: HostView) -> list[int]:
    """The ports at which MyCat is to listen."""
    endpoint = host.settings["mycat_status"]
    return [endpoint["mycat_status_sql_port"], manager_port(endpoint)]


def check_sums(settings: Mapping[str, Any]) -> None:
    """Raise SettingError for an archive whose checksum is not given."""
    for name in ("mycat_archive", "mycat_java"):
        given = settings.get(name)
        if name == "mycat_java" and not is_archive(given):
            continue
        digest = settings.get(f"{name}_sha256")
        if not digest or not _SHA256.fullmatch(str(digest)):
            raise SettingError(
                f"{name}_sha256",
                f"{'is no SHA-256' if digest else 'is missing'}; write the 64 digits that "
                f"sha256sum prints for {given}",
            )


def needs(request: Request, refused: Refusals) -> Iterator[dict[str, Any]]:
    """What the role needs of each host that has ``mycat_archive``."""
    names = dict.fromkeys(name for members in request.clusters for name in members.mycats)
    for host in map(request.hosts.__getitem__, names):
        sources = request.sources.get(host.name)
        if sources is None or not host.reachable:
            continue
        try:
            yield _needs(request, host, sources)
        except (SettingError, RefusalError) as error:
            refused.add_each(host.name, error)


def _needs(request: Request, host: HostView, sources: Sources) -> dict[str, Any]:
    settings, endpoint = host.settings["mycat"], host.settings["mycat_status"]
    home = endpoint["mycat_status_home"].rstrip("/")
    files = host.state.get("files") or {}
    java_used, command, packages = _java(host, sources)
    _refuse(host, sources, home)
    own = folder(settings, home)
    found = request.needs(
        "mycat",
        host,
        {
            "folder": own,
            "home": home,
            "wrapper": _wrapper(host, sources.archive),
            "long_name": endpoint["mycat_status_long_name"],
            "sql_port": endpoint["mycat_status_sql_port"],
            "open_files": settings["mycat_open_files"],
            "wrapper_conf": wrapper_conf.made(
                sources.archive.wrapper_conf, _wishes(host, java_used, command)
            ),
        },
        packages=["procps", *packages],
        folder=own,
        home=home,
        archives=list(_missing(files, own, settings, sources)),
        adopt=settings["mycat_adopt_home"],
        port=endpoint["mycat_status_sql_port"],
        manager_port=manager_port(endpoint),
        credentials_file=endpoint.get("mycat_status_credentials_file") or CREDENTIALS,
        endpoint_port=endpoint["mycat_status_port"],
        notice=mycat_loss.budget_of(asking(request, host)),
        start_timeout=settings["mycat_start_timeout"],
        drain_seconds=settings["mycat_drain_seconds"],
        # What somebody stopped stays stopped.
        units=[] if _kind(files, STOPPED_MARK) == "file" else ["mycat.service"],
        further=list(_changes(files, home, own, settings, sources)),
    )
    found["files"] += [_xml_row(own, name, text) for name, text in sources.texts.items()]
    return found


def _xml_row(own: str, variable: str, text: str) -> dict[str, Any]:
    return {
        "path": f"{own}/conf/{xml_files.NAMES[variable]}",
        "content": text,
        "owner": "root",
        "group": ACCOUNT,
        "mode": "0640",
        # They hold passwords of databases and users.
        "secret": True,
    }


def _changes(
    files: Mapping[str, Any], home: str, own: str, settings: Mapping[str, Any], sources: Sources
) -> Iterator[str]:
    for one in _missing(files, own, settings, sources):
        yield f"archive {one['source'].rpartition('/')[2]}"
    if _kind(files, home) != "link" or files[home].get("target") != own:
        yield home


def _missing(
    files: Mapping[str, Any], own: str, settings: Mapping[str, Any], sources: Sources
) -> Iterator[dict[str, str]]:
    """The archives that the host does not have yet."""
    if sources.java and _kind(files, java_folder(settings)) != "directory":
        _version, top, path = sources.java
        yield {
            "source": path,
            "sha256": settings["mycat_java_sha256"],
            "top": top,
            "folder": java_folder(settings),
            "user": "",
        }
    if _kind(files, own) != "directory":
        yield {
            "source": sources.path,
            "sha256": settings["mycat_archive_sha256"],
            "top": "mycat",
            "folder": own,
            "user": ACCOUNT,
        }


def _kind(files: Mapping[str, Any], path: str) -> str:
    return str((files.get(path) or {"kind": "absent"})["kind"])


def _wishes(host: HostView, java_used: int, command: str) -> wrapper_conf.Wishes:
    settings = host.settings["mycat"]
    memory = int(host.state.get("memory") or _MEMORY)
    sizes = {}
    for name, usual in (
        ("mycat_heap", wrapper_conf.usual_heap),
        ("mycat_direct_memory", wrapper_conf.usual_direct),
    ):
        given = settings.get(name)
        sizes[name] = wrapper_conf.megabytes(given) if given else usual(memory)
        if not sizes[name]:
            raise SettingError(name, f"is {given!r}; write a size such as 512m or 4g")
        if sizes[name] > memory:
            raise SettingError(
                name, f"is {given}, and {host.name} has {memory}m of memory; write less"
            )
    for index, option in enumerate(settings["mycat_jvm_options"]):
        if not wrapper_conf.is_option(option):
            raise SettingError(
                f"mycat_jvm_options[{index}]",
                f"is {option[:60]!r}; write one option of java in each entry, like -XX:+UseG1GC",
            )
    return wrapper_conf.Wishes(
        command=command,
        java=java_used,
        heap=sizes["mycat_heap"],
        direct=sizes["mycat_direct_memory"],
        jmx=settings["mycat_jmx"],
        hang=settings["mycat_hang_timeout"],
        options=settings["mycat_jvm_options"],
    )


def _wrapper(host: HostView, archive: Archive) -> str:
    """The wrapper of the archive for this machine. Raises SettingError."""
    machine = str(host.facts.get("architecture") or "x86_64")
    names = {"x86_64": "x86-64", "ppc64": "ppc-64", "i386": "x86-32", "i686": "x86-32"}
    name = f"wrapper-linux-{names.get(machine, machine)}"
    if name not in archive.wrappers:
        raise SettingError(
            "mycat_archive",
            f"has no wrapper for {machine}, which {host.name} is (it has "
            f"{', '.join(archive.wrappers)}); give an archive that has {name}",
        )
    return name


def _java(host: HostView, sources: Sources) -> tuple[int, str, list[str]]:
    """Version, program and packages of the Java. Raises SettingError where it cannot run MyCat."""
    wish, archive = host.settings["mycat"].get("mycat_java"), sources.archive
    if not wish:
        version = java.chosen(archive, host.facts)
        if not version:
            raise SettingError("mycat_java", _no_java(host, archive))
        return version, java.command(version, host.facts), [java.package(version, host.facts)]
    packages: list[str] = []
    if sources.java:
        version, command = sources.java[0], f"{java_folder(host.settings['mycat'])}/bin/java"
    elif java_path(wish):
        command = java_path(wish)
        said = host.state.get("java") or {}
        if not said.get("version"):
            raise SettingError(
                "mycat_java",
                f"{command} on {host.name} is no Java that runs "
                f"({said.get('problem') or 'nothing is known of it'}); name one that is there, or "
                "leave it out for the distribution's",
            )
        version = int(said["version"])
    else:
        version, packages = java.of_package(wish), [wish]
        command = java.command(version, host.facts)
        if not version:
            raise SettingError(
                "mycat_java",
                f"is {wish!r}; write a package such as openjdk-17-jre-headless, a path such as "
                "/usr/lib/jvm/java-17, or an archive of Java (.tar.gz)",
            )
    if not archive.runs_on(version):
        raise SettingError(
            "mycat_java",
            f"{wish} is Java {version}, on which the archive cannot run: {archive.why}; "
            f"{_instead(host, archive)}",
        )
    return version, command, packages


def _instead(host: HostView, archive: Archive) -> str:
    fitting = java.chosen(archive, host.facts)
    if fitting:
        return f"write {java.package(fitting, host.facts)}"
    limit = f"Java {archive.last_java}" if archive.last_java else f"Java {archive.java} or later"
    return f"give an archive of {limit} (mycat_java, mycat_java_sha256)"


def _no_java(host: HostView, archive: Archive) -> str:
    offered = ", ".join(map(str, java.offered(host.facts))) or "no Java that is known here"
    return (
        f"the archive cannot run on a Java of {host.name}'s distribution, which has {offered}: "
        f"{archive.why}; {_instead(host, archive)}, or an archive of MyCat that was built for one "
        "of these"
    )


def _refuse(host: HostView, sources: Sources, home: str) -> None:
    """Raise what is wrong with the host, or with the XML files."""
    settings, endpoint = host.settings["mycat"], host.settings["mycat_status"]
    checked = xml_files.check(sources.texts, endpoint.get("mycat_status_user") or "")
    problems = list(checked.problems)
    for name, option, usual in (
        ("serverPort", "mycat_status_sql_port", 8066),
        ("managerPort", "mycat_status_manager_port", MANAGER_PORT),
    ):
        written = checked.ports.get(name, usual)
        wanted = endpoint.get(option)
        if xml_files.SERVER in sources.texts and wanted and written != wanted:
            problems.append(
                SettingError(
                    xml_files.SERVER,
                    f"has {name} {written}, and {option} is {wanted}; make them the same",
                )
            )
    problems += _about_home(host, home, settings["mycat_adopt_home"])
    if not problems:
        problems += _about_ports(host, home)
    if problems:
        raise RefusalError(problems)


def _about_home(host: HostView, home: str, adopt: bool) -> Iterator[SettingError]:
    kind = _kind(host.state.get("files") or {}, home)
    if kind == "directory" and not adopt:
        yield SettingError(
            "mycat_adopt_home",
            f"{home} on {host.name} is a directory, which is not replaced; set it to true to have "
            f"that renamed to {home}-before and its configuration taken over, or leave "
            "mycat_archive out to keep that MyCat",
        )
    elif kind in ("file", "other"):
        yield SettingError(
            "mycat_status_home", f"{home} on {host.name} is no directory; move it away"
        )


def _about_ports(host: HostView, home: str) -> Iterator[SettingError]:
    """Who else listens at MyCat's ports; behind an existing home it is MyCat."""
    if _kind(host.state.get("files") or {}, home) != "absent":
        return
    endpoint, listeners = host.settings["mycat_status"], host.state.get("listeners") or {}
    for option, usual in (
        ("mycat_status_sql_port", 8066),
        ("mycat_status_manager_port", MANAGER_PORT),
    ):
        port = endpoint.get(option) or usual
        others = listeners.get(str(port)) or listeners.get(port) or ()
        if others:
            yield SettingError(
                option,
                f"{port} is in use on {host.name} by {', '.join(others)}, and there is no {home}; "
                "stop that program, or choose another port",
            )


def notes(request: Request) -> Iterator[str]:
    """What an operator should know of a MyCat and the HAProxy before it."""
    for name, sources in request.sources.items():
        checked = xml_files.check(sources.texts)
        for option, (prop, usual) in {
            "haproxy_timeout_client": ("idleTimeout", 1800.0),
            "haproxy_timeout_server": ("sqlExecuteTimeout", 300.0),
        }.items():
            wanted = checked.timeouts.get(prop, usual)
            for lb in _load_balancers(request, name):
                given = (lb.settings.get("haproxy") or {}).get(option)
                if given and _is_shorter(str(given), wanted):
                    yield (
                        f"{option}: {given} is less than MyCat's {prop} ({wanted:g} s on {name}), "
                        "so HAProxy would cut what MyCat goes on serving; write more"
                    )


def _load_balancers(request: Request, mycat: str) -> Iterator[HostView]:
    for members in request.clusters:
        if mycat in members.mycats:
            yield from (request.hosts[lb] for lb in members.load_balancers[:1])


def _is_shorter(time: str, wanted: float) -> bool:
    """Whether a time of HAProxy is shorter; what is none, the plan of HAProxy refuses."""
    try:
        return seconds(time) < wanted
    except ValueError:
        return False
