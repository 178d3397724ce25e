# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The examples of the documentation can be used as they are written."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from ansible_collections.mycat.ha.plugins.module_utils.settings import typed
from ansible_collections.mycat.ha.plugins.module_utils.variables import unknown_variables
from lab.documents import PAGES, ROOT, examples, is_local, plays

INVENTORY = "[haproxy]\nlb1\nlb2\n\n[mycat]\nmycat1\n\n[all:vars]\nmycat_ha_vip=192.0.2.100/24\n"
KEEPALIVED = """\
vrrp_instance VI_1 {{
    state BACKUP
    interface eth0
    virtual_router_id 51
    priority 254
    unicast_src_ip {own}
    unicast_peer {{
        {peer}
    }}
    virtual_ipaddress {{
        192.0.2.100/24
    }}
}}
"""
_OURS = re.compile(r"(?:mycat_ha|mycat_status|haproxy|keepalived)_\w+")

LOADED = [(example, yaml.safe_load(example.text)) for example in examples("yaml")]
PLAYS = [example for example, _content in plays()]
LOCAL = [example for example, content in plays() if is_local(content)]
VARIABLES = [
    pytest.param(content, id=str(example))
    for example, content in LOADED
    if isinstance(content, dict) and all(map(_OURS.fullmatch, content))
]
# A page in another language has the same ones.
INVENTORIES = {
    example.text: str(example) for example in examples("ini") if "[haproxy]" in example.text
}


@pytest.fixture(scope="session")
def spec() -> dict:
    """The options of all argument_specs."""
    files = [ROOT / "meta/argument_specs.yml", *ROOT.glob("roles/*/meta/argument_specs.yml")]
    loaded = [yaml.safe_load(file.read_text(encoding="utf-8")) for file in files]
    return {
        name: option
        for one in loaded
        for name, option in one["argument_specs"]["main"]["options"].items()
    }


def run(command: str, *arguments: object) -> subprocess.CompletedProcess:
    return subprocess.run(
        [Path(sys.executable).parent / command, *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
def test_plays_have_no_syntax_error(tmp_path):
    assert PLAYS
    (tmp_path / "inventory.ini").write_text(INVENTORY, encoding="utf-8")
    files = [example.written(tmp_path) for example in PLAYS]
    done = run("ansible-playbook", "--syntax-check", "-i", tmp_path / "inventory.ini", *files)
    assert done.returncode == 0, done.stdout + done.stderr


# Those of roles run on hosts: molecule/default/tests/test_examples.py.
@pytest.mark.slow
@pytest.mark.parametrize("example", LOCAL, ids=str)
def test_plays_without_hosts_run(example, tmp_path):
    for name, peer in (("lb1", "lb2"), ("lb2", "lb1")):
        addresses = {"lb1": "192.0.2.11", "lb2": "192.0.2.12"}
        text = KEEPALIVED.format(own=addresses[name], peer=addresses[peer])
        (tmp_path / f"{name}-keepalived.conf").write_text(text, encoding="utf-8")
    done = run("ansible-playbook", example.written(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("inventory", INVENTORIES, ids=INVENTORIES.get)
def test_inventories_make_clusters(inventory, tmp_path):
    path = tmp_path / "inventory.ini"
    path.write_text(inventory, encoding="utf-8")
    done = run("ansible", "localhost", "-i", path, "-m", "mycat.ha.cluster_members")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("variables", VARIABLES)
def test_variables_are_known_and_of_their_type(variables, spec):
    # What the collection's list takes is what the role's takes.
    if "mycat_ha_vips" in variables:
        variables = {**variables, "keepalived_vips": variables["mycat_ha_vips"]}
    refused, warnings = unknown_variables(variables, spec)
    _settings, wrong = typed(spec, variables)
    assert (list(map(str, [*refused, *wrong])), warnings) == ([], [])


@pytest.fixture(scope="session")
def there() -> set[str]:
    """The names of playbooks, roles, modules and other plugins, and of metrics."""
    named = [*ROOT.glob("plugins/*/*.py"), *ROOT.glob("playbooks/*.yml"), *ROOT.glob("roles/*")]
    hook = (ROOT / "roles/keepalived/templates/record_state.sh.j2").read_text(encoding="utf-8")
    return {*(path.stem for path in named), *re.findall(r"# TYPE (\w+)", hook)}


@pytest.mark.parametrize("page", PAGES)
def test_what_is_named_is_there(page, there):
    """Playbooks, roles, modules and other plugins; pages that links lead to; paths of the tree."""
    text = (ROOT / page).read_text(encoding="utf-8")
    assert set(re.findall(r"\bmycat\.ha\.(\w+)", text)) <= there
    links = re.findall(r"\]\((?!https?:)([^)#]+)(?:#[^)]*)?\)", text)
    assert [link for link in links if not ((ROOT / page).parent / link).exists()] == []
    paths = re.findall(
        r"`((?:bench|docs|molecule|playbooks|plugins|roles|tests|tools)/[^` <*]*)`", text
    )
    assert [path for path in paths if not (ROOT / path).exists()] == []


# The list of changes also names what is gone.
@pytest.mark.parametrize("page", sorted({*PAGES} - {"CHANGELOG.md"}))
def test_variables_that_are_named_are_options(page, spec, there):
    text = (ROOT / page).read_text(encoding="utf-8")
    named = re.findall(rf"`(?:-e )?({_OURS.pattern})(?=[`:= ])", text)
    assert {name for name in named if name not in there} <= set(spec)
