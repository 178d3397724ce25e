# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a role installs on a host, from its ``meta/files.yml`` and its templates. Controller only.

The templates are plain Jinja2 over the plan's results: what an operator writes into a variable
is text in them and never a template.
"""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Mapping, Sequence

from ansible.module_utils.common.yaml import yaml_load


@dataclass(frozen=True)
class RoleFiles:
    """``files``: entries of the module mycat.ha.files; ``absent``: paths that must not be there."""

    files: tuple[dict[str, Any], ...]
    absent: tuple[str, ...]

    @property
    def paths(self) -> tuple[str, ...]:
        """All paths that the role manages on a host."""
        return (*(entry["path"] for entry in self.files), *self.absent)


def json_text(value: Any, indent: int | None = None) -> str:
    """The value as JSON, its keys in order."""
    return json.dumps(value, indent=indent, sort_keys=indent is not None)


def _environment(templates: Path) -> Any:
    """The Jinja2 environment of a role's templates."""
    # ansible-test imports this file as a managed host would, which has no Jinja2.
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(templates),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - it prints no HTML
    )
    environment.filters["quote"] = shlex.quote
    environment.filters["json"] = json_text
    return environment


class Role:
    """The files and templates of one role, read from its folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.manifest = yaml_load((folder / "meta/files.yml").read_text(encoding="utf-8"))
        self.environment = _environment(folder / "templates")
        rows = [*self.manifest["files"], *self.manifest["runtime"]]
        self._conditions = {
            row["when"]: self.environment.compile_expression(row["when"], False)
            for row in rows
            if "when" in row
        }
        self._texts = {
            text: self.environment.from_string(text)
            for row in rows
            for text in (row["path"], row.get("owner", "root"))
        }
        self._sources = {
            row["source"]: (folder / "files" / row["source"]).read_text(encoding="utf-8")
            for row in rows
            if "source" in row
        }

    @property
    def paths(self) -> list[str]:
        """All paths that the role may manage, those of earlier versions included."""
        rows = [*self.manifest["files"], *self.manifest["runtime"]]
        literal = [str(row["path"]) for row in rows if "{{" not in row["path"]]
        return [*literal, *map(str, self.manifest["retired"])]

    def spec(self) -> dict[str, Any]:
        """The options of the role's argument_specs."""
        text = (self.folder / "meta/argument_specs.yml").read_text(encoding="utf-8")
        return dict(yaml_load(text)["argument_specs"]["main"]["options"])

    def render(self, template: str, context: Mapping[str, Any]) -> str:
        """The text of a template."""
        return str(self.environment.get_template(template).render(context))

    def files(self, context: Mapping[str, Any]) -> RoleFiles:
        """What the role installs on a host, and what it takes away.

        A row of meta/files.yml counts ``when`` its expression over ``context`` is true; a file of
        another row must not be there. Folders are made and never taken away, files to ``keep``
        neither.
        """
        files, absent = [], list(self.manifest["retired"])
        for row in self.manifest["files"]:
            if self._counts(row, context):
                files.append(self._entry(row, context))
            elif not row.get("directory") and not row.get("keep"):
                absent.append(row["path"])
        return RoleFiles(tuple(files), tuple(absent))

    def runtime(self, context: Mapping[str, Any]) -> list[str]:
        """What systemd-tmpfiles has to have made on a host."""
        return [row["path"] for row in self.manifest["runtime"] if self._counts(row, context)]

    def _counts(self, row: Mapping[str, Any], context: Mapping[str, Any]) -> bool:
        if "when" not in row:
            return True
        return bool(self._conditions[row["when"]](**context))

    def _entry(self, row: Mapping[str, Any], context: Mapping[str, Any]) -> dict[str, Any]:
        shown = ("path", "owner", "group", "mode", "directory", "keep", "secret")
        entry = {key: row[key] for key in shown if key in row}
        if not row.get("keep"):
            entry.setdefault("owner", "root")
        entry.setdefault("group", "root")
        for key in {"path", "owner"} & set(entry):
            entry[key] = self._texts[entry[key]].render(context)
        if "source" in row:
            entry["content"] = self._sources[row["source"]]
        elif "template" in row:
            entry["content"] = self.render(row["template"], {**context, **row.get("vars", {})})
        return entry


def roles(folder: Path, names: Sequence[str]) -> dict[str, Role]:
    """The roles of these names; ``folder`` is the collection's."""
    return {name: Role(folder / "roles" / name) for name in names}
