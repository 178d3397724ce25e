# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every text that an operator can set, with values that a shell, a unit or a configuration would
take for something else: each is refused by the variable's name, or stays one value."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from ansible_collections.mycat.ha.plugins.module_utils.cluster.plan import make
from ansible_collections.mycat.ha.plugins.module_utils.settings import typed
from inventories import all_roles, all_specs, request, view

MARK = "rude"
RUDE = {
    "another command": f"{MARK}; touch /tmp/x; #",
    "substitution": f"{MARK}$(touch /tmp/x)",
    "backticks": f"{MARK}`touch /tmp/x`",
    "environment": f"{MARK}${{HOME}} $HOME",
    "another line": f"{MARK}\n    touch /tmp/x",
    "quotes": f"{MARK}\" '; touch /tmp/x",
    "braces": f"{MARK} }} touch {{",
    "very long": MARK * 5000,
    "control characters": f"{MARK}\x07\x1b[2J",
    "typographic quotes": f"{MARK}\u201ctouch\u201d\u00a0x",
}

# --- the variables --------------------------------------------------------------------------------

#: The hosts whose variables a role reads.
KINDS = {
    "common": ("load_balancer", "mycat"),
    "haproxy": ("load_balancer",),
    "keepalived": ("load_balancer",),
    "mycat": ("mycat",),
    "mycat_status": ("mycat",),
}
#: Where another role would refuse it, too.
ONE_ROLE = {"keepalived_haproxy_alive_address": ("keepalived",)}
#: Raw lines are the operator's own: they are whole lines, tried by the daemon itself.
RAW = re.compile(
    r"extra$|haproxy_log$|virtual_routes|virtual_rules|track_interface|(?<!jvm_)options$"
)
#: Nothing of these reaches a host: names of groups and clusters, reports, and versions.
INSIDE = re.compile(r"group$|_cluster|_report$|_ignore_variables$|packages_names|_version$")
# What has to be set beside a variable for it to count.
BESIDE: Mapping[str, dict[str, Any]] = {
    "keepalived_vips": {"address": "192.0.2.100/24"},
    "keepalived_checks": {"name": "disk", "script": "/bin/disk"},
    "keepalived_mail": {"notification_email": ["a@example.org"], "smtp_server": "192.0.2.25"},
    "keepalived_auth_hmac": {"keys": [{"id": 1, "key": "k" * 32}]},
    "haproxy_listeners": {
        "name": "web",
        "bind": ["192.0.2.11:80"],
        "servers": [{"name": "a", "address": "192.0.2.31:80"}],
    },
}
TOGETHER: Mapping[str, dict[str, Any]] = {
    "keepalived_auth_pass": {"keepalived_vrrp_version": 2},
    "keepalived_auth_hmac": {"keepalived_version": "2.4.0"},
    "keepalived_log": {"keepalived_failover_mode": "weight"},
    "keepalived_notify_fifo": {"keepalived_notify_fifo_script": "/bin/reader"},
    "keepalived_notify_fifo_script": {"keepalived_notify_fifo": "/run/fifo"},
    "haproxy_stats_uri": {"haproxy_stats_user": "me", "haproxy_stats_password": "a long one"},
    "haproxy_stats_user": {"haproxy_stats_password": "a long one"},
    "haproxy_stats_password": {"haproxy_stats_user": "me"},
    "mycat_status_user": {"mycat_status_password": "secret"},
    "mycat_status_password": {"mycat_status_user": "me"},
}


def leaves() -> Iterator[tuple[str, tuple[str, ...]]]:
    """Each variable that is or holds text, and the path of the text in it."""
    for spec in all_specs().values():
        for name, described in spec.items():
            for path in _texts(described):
                yield name, path


def _texts(described: Mapping[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    kind = described.get("elements") or described.get("type", "str")
    if "options" in described:
        for name, inner in described["options"].items():
            yield from _texts(inner, (*path, name))
    elif kind in ("str", "path", "raw") and not described.get("choices"):
        yield path


def value_of(name: str, path: tuple[str, ...], rude: str) -> Any:
    """The value of a variable with the rude text in it."""
    spec = next(spec[name] for spec in all_specs().values() if name in spec)
    return _within(spec, path, rude, BESIDE.get(name, {}))


def _within(spec: Mapping[str, Any], path: tuple[str, ...], rude: str, beside: Any) -> Any:
    inner: Any = rude
    if path:
        known = dict(beside)
        below = known.get(path[0], {})
        first = below[0] if isinstance(below, list) and below else below
        inner = {**known, path[0]: _within(spec["options"][path[0]], path[1:], rude, first)}
    return [inner] if spec.get("type") == "list" else inner


# --- what becomes of them -------------------------------------------------------------------------

HOSTS = (("lb1", 11, "load_balancer"), ("lb2", 12, "load_balancer"), ("mycat1", 21, "mycat"))


def planned_with(name: str, given: Mapping[str, Any]) -> tuple[list[str], dict[str, Any]]:
    """The refusals, and what each host needs."""
    specs = all_specs()
    kinds = {kind for role, spec in specs.items() if name in spec for kind in KINDS[role]}
    roles = {role: all_roles()[role] for role in ONE_ROLE.get(name, all_roles())}
    vip = {} if "keepalived_vips" in given else {"mycat_ha_vip": "192.0.2.100/24"}
    hosts = []
    for host, last, kind in HOSTS:
        asked = {**vip, **(given if kind in kinds else {})}
        wrong = [str(error) for spec in specs.values() for error in typed(spec, asked)[1]]
        if wrong:
            return wrong, {}
        hosts.append(view(host, f"192.0.2.{last}/24", [kind], asked))
    result = make(request(hosts, roles=roles))
    return result.refusals, result.hosts


def texts_of(needs: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Path and content of everything that a host gets."""
    for role in (role for role in needs.values() if isinstance(role, Mapping)):
        for row in role.get("files", ()):
            if not row.get("directory"):
                yield row["path"], row.get("content", "")
            yield "path and owner", f"{row['path']} {row['owner']}"
        yield "the daemon's configuration", role.get("text", "")


def as_one_value(text: str, rude: str) -> bool:
    """Whether the text has the rude value nowhere but quoted, or as a single harmless word."""
    if re.fullmatch(r"\w+", rude):
        return True
    # As a shell has it, as HAProxy has it, and as keepalived has it.
    in_haproxy = "'" + rude.replace("'", "'\\''") + "'"
    for quoted in (shlex.quote(rude), in_haproxy, f'"{rude}"'):
        text = text.replace(quoted, "")
    return MARK not in text


VARIABLES = [one for one in leaves() if not INSIDE.search(one[0])]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "path"), VARIABLES, ids=[".".join((name, *path)) for name, path in VARIABLES]
)
def test_a_rude_value_is_refused_by_name_or_stays_one_value(
    name: str, path: tuple[str, ...]
) -> None:
    raw = RAW.search(".".join((name, *path)))
    for kind, rude in RUDE.items():
        given = {**TOGETHER.get(name, {}), name: value_of(name, path, rude)}
        refusals, hosts = planned_with(name, given)
        if refusals:
            assert any(name in sentence for sentence in refusals), (kind, refusals)
            continue
        for where, text in (one for needs in hosts.values() for one in texts_of(needs)):
            if where.endswith(".json"):
                json.loads(text)
            elif raw:
                assert "\n" not in rude or name == "haproxy_extra", (kind, where)
            else:
                assert as_one_value(text, rude), (kind, where)
