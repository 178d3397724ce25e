# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a role's meta/files.yml makes of a host's context."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from ansible_collections.mycat.ha.plugins.module_utils.cluster.files import Role, json_text
from jinja2 import UndefinedError

MANIFEST = {
    "files": [
        {"path": "/etc/a", "directory": True, "mode": "0755", "when": "wanted"},
        {"path": "/etc/a/b", "template": "b.j2", "mode": "0640", "group": "web"},
        {"path": "/etc/{{ who }}", "source": "c", "mode": "0600", "owner": "{{ who }}"},
        {"path": "/etc/d", "template": "b.j2", "vars": {"who": "row"}, "when": "wanted"},
    ],
    "runtime": [
        {"path": "/run/always"},
        {"path": "/run/wanted", "when": "wanted"},
    ],
    "retired": ["/etc/old"],
}


@pytest.fixture
def role(tmp_path: Path) -> Role:
    for folder in ("meta", "templates", "files"):
        (tmp_path / folder).mkdir()
    (tmp_path / "meta/files.yml").write_text(yaml.safe_dump(MANIFEST))
    (tmp_path / "templates/b.j2").write_text("{{ who | quote }} {{ [1] | json }}\n")
    (tmp_path / "files/c").write_text("{{ as it is }}\n")
    return Role(tmp_path)


def test_rows_count_where_their_condition_holds(role: Role) -> None:
    made = role.files({"wanted": True, "who": "me"})
    assert made.paths == ("/etc/a", "/etc/a/b", "/etc/me", "/etc/d", "/etc/old")
    assert made.absent == ("/etc/old",)
    assert role.runtime({"wanted": True}) == ["/run/always", "/run/wanted"]


def test_what_does_not_count_is_taken_away_but_for_folders(role: Role) -> None:
    made = role.files({"wanted": False, "who": "me"})
    assert made.absent == ("/etc/old", "/etc/d")
    assert [row["path"] for row in made.files] == ["/etc/a/b", "/etc/me"]
    assert role.runtime({"wanted": False}) == ["/run/always"]


def test_entries_have_their_content_and_owner(role: Role) -> None:
    folder, template, source, of_row = role.files({"wanted": True, "who": "m e"}).files
    assert folder == {
        "path": "/etc/a",
        "directory": True,
        "mode": "0755",
        "owner": "root",
        "group": "root",
    }
    assert template["content"] == "'m e' [1]\n"
    assert (source["path"], source["owner"]) == ("/etc/m e", "m e")
    assert source["content"] == "{{ as it is }}\n", "a file is no template"
    assert of_row["content"] == "row [1]\n", "a row's own variables come first"


def test_a_value_is_no_template(role: Role) -> None:
    (_a, template, *_more) = role.files({"wanted": True, "who": "{{ 1 + 1 }}"}).files
    assert template["content"] == "'{{ 1 + 1 }}' [1]\n"


def test_a_variable_that_is_missing_is_an_error(role: Role) -> None:
    with pytest.raises(UndefinedError):
        role.files({"wanted": True})


def test_all_paths_that_need_no_host_are_known(role: Role) -> None:
    assert role.paths == ["/etc/a", "/etc/a/b", "/etc/d", "/run/always", "/run/wanted", "/etc/old"]


def test_json_is_in_order_where_people_read_it() -> None:
    assert json_text({"b": 1, "a": [2]}) == '{"b": 1, "a": [2]}'
    assert json_text({"b": 1, "a": 2}, 1) == '{\n "a": 2,\n "b": 1\n}'
