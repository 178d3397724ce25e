# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan as ansible-playbook makes it: where variables may be set, and what becomes of them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.parsing.vault import VaultLib, VaultSecret

pytestmark = pytest.mark.playbook

PASSWORD = "password of the vault"  # noqa: S105
# Whose type a core before 2.19 does not keep.
NUMBER = "{{ 1000 + 24 }}"
HOSTS = ("lb1", "lb2", "lb3", "lb4", "mycat1", "mycat2", "mycat3", "client")


# Says of a host what setup would.
TELL_FACTS = """
from ansible.plugins.action import ActionBase

class ActionModule(ActionBase):
    def run(self, tmp=None, task_vars=None):
        return {"ansible_facts": self._task.args["facts"], "changed": False}
"""


class Vaulted(str):
    """Text that is written encrypted."""


def _vaulted(dumper: yaml.SafeDumper, text: Vaulted) -> yaml.Node:
    secret = VaultSecret(PASSWORD.encode())
    encrypted = VaultLib([("default", secret)]).encrypt(str(text), secret).decode()
    return dumper.represent_scalar("!vault", encrypted, style="|")


yaml.SafeDumper.add_representer(Vaulted, _vaulted)


def facts(number: int) -> dict[str, Any]:
    """What setup would say of a host; ``number`` ends its address."""
    address = f"192.0.2.{number}"
    return {
        "interfaces": ["eth0"],
        "eth0": {"device": "eth0", "ipv4": {"address": address, "prefix": "24"}},
        "default_ipv4": {"address": address},
        "all_ipv4_addresses": [address],
        "all_ipv6_addresses": [],
        "service_mgr": "systemd",
        "os_family": "Debian",
        "distribution": "Debian",
        "distribution_major_version": "12",
    }


INVENTORY: dict[str, Any] = {
    "all": {
        "vars": {
            "ansible_connection": "local",
            "ansible_python_interpreter": sys.executable,
            "mycat_ha_lb_group": "balancers",
            "mycat_ha_mycat_group": "{{ name_of_mycats }}",
            "name_of_mycats": "backends",
        },
        "children": {
            "balancers": {
                "hosts": {f"lb{number}": {} for number in range(1, 5)},
                "vars": {"haproxy_maxconn": NUMBER},
            },
            "backends": {"hosts": {f"mycat{number}": {} for number in range(1, 4)}},
            "east": {
                "hosts": dict.fromkeys(("lb1", "lb2", "mycat1")),
                "vars": {
                    "mycat_ha_cluster": "east",
                    "mycat_ha_vips": [
                        {"address": "192.0.2.100/24", "virtual_router_id": "{{ 7 }}"}
                    ],
                },
            },
            "west": {
                "hosts": dict.fromkeys(("lb3", "lb4", "mycat2")),
                "vars": {"mycat_ha_cluster": "west", "mycat_ha_vip": "192.0.2.101/24"},
            },
            "shared": {
                "hosts": {"mycat3": {"mycat_ha_clusters": ["east", "west"]}},
            },
        },
    }
}
GROUP_VARS = {
    "balancers": {
        "keepalived_vrrp_version": 2,
        "keepalived_auth_type": "PASS",
        "keepalived_auth_pass": Vaulted("s3cret"),
        # Of the other role's hosts, which this one asks there.
        "mycat_status_port": "{{ 48000 + 701 }}",
    },
    "backends": {
        "mycat_status_sql_port": "{{ 8000 + 67 }}",
        "haproxy_alive_bind": "127.0.0.1:48901",
    },
}


def run(folder: Path, *arguments: str, inventory: Any = None, variables: Any = None) -> Any:
    """What a play said of the plan: {name of what was registered: result}, and "playing"."""
    (folder / "group_vars").mkdir()
    (folder / "inventory.yml").write_text(yaml.safe_dump(inventory or INVENTORY))
    for name, given in (GROUP_VARS if inventory is None else {}).items():
        (folder / f"group_vars/{name}.yml").write_text(yaml.safe_dump(given))
    (folder / "vault").write_text(PASSWORD)
    (folder / "action_plugins").mkdir()
    (folder / "action_plugins/tell_facts.py").write_text(TELL_FACTS)
    role = folder / "roles/caller"
    for part, content in {
        "tasks": [
            {"mycat.ha.cluster_plan": {}, "register": "planned", "run_once": True},
        ],
        "vars": {"haproxy_check_fall": 4},
        "defaults": {"haproxy_check_fall": 5, "haproxy_timeout_queue": "7s"},
    }.items():
        (role / part).mkdir(parents=True)
        (role / part / "main.yml").write_text(yaml.safe_dump(content))
    results = folder / "results.json"
    dump = {
        "content": "{{ {'planned': planned, 'found': found, 'playing': ansible_play_hosts_all} "
        "| to_json }}",
        "dest": str(results),
    }
    state = {"files": {}, "packages": {}, "versions": {}}
    plays = [
        {
            "hosts": "all",
            "gather_facts": False,
            "tasks": [
                {"mycat.ha.cluster_members": {}, "register": "found", "run_once": True},
                {
                    "tell_facts": {"facts": "{{ given[inventory_hostname] }}"},
                    "vars": {"given": {host: facts(11 + n) for n, host in enumerate(HOSTS)}},
                },
                {"ansible.builtin.set_fact": {"__mycat_ha_state": state}},
            ],
        },
        {
            "hosts": "{{ query('mycat.ha.members') }}",
            "gather_facts": False,
            "vars": {"haproxy_check_rise": "{{ 2 + 4 }}", **(variables or {})},
            "roles": [{"role": "caller", "vars": {"haproxy_timeout_connect": "9s"}}],
            "post_tasks": [{"ansible.builtin.copy": dump, "run_once": True}],
        },
    ]
    (folder / "play.yml").write_text(yaml.safe_dump(plays))
    done = subprocess.run(
        [
            *(sys.executable, "-m", "ansible", "playbook", "play.yml"),
            *("--inventory", "inventory.yml", "--vault-password-file", "vault", *arguments),
        ],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert results.exists(), done.stdout + done.stderr
    return json.loads(results.read_text())


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The plan of two clusters, with variables from everywhere."""
    given = ("--extra-vars", "haproxy_timeout_client=41m keepalived_garp_master_delay=3")
    return run(tmp_path_factory.mktemp("both"), *given)


@pytest.fixture(scope="module")
def west(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The plan of the same inventory for one of its clusters."""
    return run(tmp_path_factory.mktemp("west"), "--extra-vars", "mycat_ha_cluster_only=west")


def text(result: Any, host: str, role: str) -> str:
    """The configuration of a host."""
    return str(result["planned"]["hosts"][host][role]["text"])


def test_groups_are_named_in_the_inventory(both: Any) -> None:
    assert both["planned"]["refusals"] == []
    assert both["playing"] == [*HOSTS[:-1]]
    assert both["found"]["clusters"] == [
        {"name": "east", "load_balancers": ["lb1", "lb2"], "mycats": ["mycat1", "mycat3"]},
        {"name": "west", "load_balancers": ["lb3", "lb4"], "mycats": ["mycat2", "mycat3"]},
    ]
    assert both["found"]["others"] == []


@pytest.mark.parametrize("host", ["lb1", "lb4"])
@pytest.mark.parametrize(
    "line",
    [
        pytest.param("maxconn 1024\n", id="a number from a template of a group"),
        pytest.param(" rise 6\n", id="a number from a template of the play"),
        pytest.param(" fall 4 ", id="the role's variables before its defaults"),
        pytest.param("timeout queue 7s\n", id="the role's defaults"),
        pytest.param("timeout connect 9s\n", id="the role's call"),
        pytest.param("timeout client 41m\n", id="the command line"),
        pytest.param(":8067 ", id="a port of the MyCat hosts"),
    ],
)
def test_a_variable_counts_wherever_it_is_set(both: Any, host: str, line: str) -> None:
    assert line in text(both, host, "haproxy") + "\n"


def test_numbers_and_secrets_reach_keepalived(both: Any) -> None:
    assert "auth_pass s3cret" in text(both, "lb1", "keepalived")
    assert "virtual_router_id 7\n" in text(both, "lb1", "keepalived")
    assert "garp_master_delay 3" in text(both, "lb2", "keepalived")


def test_what_two_roles_need_is_set_once_for_either(both: Any) -> None:
    assert "port 48701" in text(both, "lb1", "haproxy")
    assert both["planned"]["hosts"]["mycat1"]["mycat_status"]["files"]
    listening = [
        row["content"]
        for row in both["planned"]["hosts"]["mycat1"]["mycat_status"]["files"]
        if row["path"] == "/etc/xinetd.d/mycat_status"
    ]
    assert "= 48701\n" in listening[0]
    assert "bind 127.0.0.1:48901\n" in text(both, "lb1", "haproxy")
    asked = [
        row.get("content", "") for row in both["planned"]["hosts"]["lb1"]["keepalived"]["files"]
    ]
    assert any("48901" in content for content in asked)


def test_one_cluster_can_be_chosen(west: Any, both: Any) -> None:
    assert west["planned"]["refusals"] == []
    assert west["playing"] == ["lb3", "lb4", "mycat2", "mycat3"]
    assert [members["name"] for members in west["found"]["others"]] == ["east"]
    assert sorted(west["planned"]["hosts"]) == sorted(west["playing"])
    assert list(west["planned"]["run"]["expected"]["clusters"]) == ["west"]
    for host in ("mycat2", "mycat3"):
        assert (
            west["planned"]["hosts"][host]["mycat_status"]["files"]
            == (both["planned"]["hosts"][host]["mycat_status"]["files"])
        )


def test_all_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    inventory = {
        "all": {
            "vars": {"ansible_connection": "local", "ansible_python_interpreter": sys.executable},
            "children": {
                "haproxy": {"hosts": {"lb1": {"keepalived_garp_master_delay": "soon"}, "lb2": {}}},
                "mycat": {"hosts": {"mycat1": {}}},
            },
        }
    }
    variables = {
        "mycat_ha_vipp": "192.0.2.100/24",
        "mycat_ha_failover_mode": "faulty",
        "haproxy_maxconn": "{{ nowhere }}",
        "haproxy_maxcon": 1,
        "mycat_ha_vips": [{"address": "192.0.2.100/24", "virtual_router_id": "many"}],
    }
    said = run(tmp_path, inventory=inventory, variables=variables)["planned"]["refusals"]
    assert len(said) == 5
    one = {sentence.partition(":")[0]: sentence for sentence in said}
    assert one["mycat_ha_vipp"] == "mycat_ha_vipp: is not known; write mycat_ha_vip"
    assert one["mycat_ha_failover_mode"].endswith("write one of fault, weight, kill")
    assert one["keepalived_garp_master_delay"].endswith("write a whole number (on lb1)")
    assert "nowhere" in one["haproxy_maxconn"]
    assert "virtual_router_id" in one["mycat_ha_vips"]
