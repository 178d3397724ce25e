# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The template of keepalived.conf, and the reader of its texts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import jinja2
import pytest
from ansible_collections.mycat.ha.plugins.module_utils.keepalived.configuration import (
    context,
    render,
)
from ansible_collections.mycat.ha.plugins.module_utils.keepalived.reader import parse
from ansible_collections.mycat.ha.plugins.module_utils.readers import SettingError
from ansible_collections.mycat.ha.plugins.module_utils.vrrp.model import (
    Authentication,
    Check,
    CheckKind,
    Instance,
    Node,
    State,
    SyncGroup,
    Track,
)
from ansible_collections.mycat.ha.plugins.module_utils.vrrp.structured import (
    node_data,
    read_cluster,
)
from hypothesis import given, settings
from hypothesis import strategies as st

TEMPLATE = Path(__file__).parents[5] / "roles/keepalived/templates/keepalived.conf.j2"


def text_of(node, **more):
    return render(TEMPLATE.read_text(), context(node, **more))


def by_kind(thing):
    """The tracks of an instance or a group in the order in which the template prints them."""
    kinds = (CheckKind.FILE, CheckKind.SCRIPT, CheckKind.PROCESS, CheckKind.INTERFACE)
    return replace(
        thing, tracks=tuple(sorted(thing.tracks, key=lambda track: kinds.index(track.kind)))
    )


NAMES = st.from_regex(r"[A-Za-z0-9_.:/-]{1,12}", fullmatch=True)
WEIGHTS = st.integers(-300, 300)
SECONDS = st.integers(0, 100_000).map(lambda n: n / 100)
# A backslash or a brace in quotes is a matter of course; a variable would be replaced.
COMMANDS = st.text(st.sampled_from("ab /-'\\{}#!@ |;"), max_size=12).map("/a {}".format)
CHECKS = st.builds(
    Check,
    NAMES,
    interval=SECONDS.filter(bool),
    timeout=st.none() | SECONDS.filter(bool),
    rise=st.integers(1, 9),
    fall=st.integers(1, 9),
    init_fail=st.booleans(),
    command=COMMANDS,
    user=st.just("") | NAMES,
)
WATCHED = st.builds(
    Check, NAMES, st.sampled_from((CheckKind.FILE, CheckKind.PROCESS)), command=NAMES
)
ADDRESSES = st.ip_addresses(v=4).map(str)
VIPS = st.builds("{}/24 dev {}".format, ADDRESSES, NAMES) | ADDRESSES


@st.composite
def nodes(draw):
    checks = tuple(
        draw(
            st.lists(CHECKS | WATCHED, max_size=4, unique_by=lambda check: (check.kind, check.name))
        )
    )
    known = [(check.name, check.kind) for check in checks]
    interfaces = st.tuples(NAMES, st.just(CheckKind.INTERFACE))
    tracked = (st.sampled_from(known) | interfaces) if known else interfaces
    tracks = st.lists(
        st.builds(
            lambda check, weight, reverse: Track(*check, weight, reverse),
            tracked,
            WEIGHTS,
            st.booleans(),
        ),
        max_size=4,
        unique_by=lambda track: (track.kind, track.check),
    ).map(tuple)
    instances = st.builds(
        Instance,
        NAMES,
        st.integers(0, 300),
        st.just("") | NAMES,
        st.sampled_from(State),
        st.integers(0, 300),
        st.sampled_from((2, 3)),
        SECONDS,
        st.booleans(),
        SECONDS,
        st.sampled_from((None, True, False)),
        st.booleans(),
        tracks,
        st.lists(VIPS, max_size=3).map(tuple),
        st.lists(VIPS, max_size=2).map(tuple),
        st.none() | ADDRESSES,
        st.none() | st.lists(ADDRESSES, max_size=3).map(tuple),
        st.none() | st.builds(Authentication, st.sampled_from(("PASS", "AH")), st.just("") | NAMES),
        st.integers(1, 100),
        st.sampled_from(("", "224.0.0.99")),
        check_unicast_src=st.booleans(),
        unicast_ttl=st.none() | st.integers(0, 255),
    )
    groups = st.builds(
        SyncGroup, NAMES, st.lists(NAMES, max_size=3).map(tuple), st.booleans(), tracks
    )
    by_name = {"max_size": 3, "unique_by": lambda thing: thing.name}
    return Node(
        "lb1",
        draw(ADDRESSES),
        tuple(draw(st.lists(instances, **by_name))),
        checks,
        tuple(draw(st.lists(groups, **by_name))),
        draw(st.booleans()),
        draw(st.just("") | NAMES),
    )


@pytest.mark.thorough
@settings(max_examples=40, deadline=None)
@given(nodes())
def test_a_rendered_node_is_read_back_as_it_was(node):
    printed = replace(
        node,
        instances=tuple(map(by_kind, node.instances)),
        sync_groups=tuple(map(by_kind, node.sync_groups)),
    )
    read = parse(text_of(node), node.name, address=node.address).node
    # Such as an instance without interface, which this version refuses.
    assert replace(read, refused=False) == printed


@pytest.mark.parametrize(
    ("change", "where"),
    [
        pytest.param({"name": "a b"}, "name", id="blank"),
        pytest.param({"name": "a}"}, "name", id="brace"),
        pytest.param({"name": "a\nb"}, "name", id="newline"),
        pytest.param({"name": ""}, "name", id="nothing"),
        pytest.param({"interface": 'et"h'}, "interface", id="quote"),
        pytest.param({"virtual_ipaddress": ("192.0.2.1 #",)}, "virtual_ipaddress[0]", id="comment"),
        pytest.param({"virtual_ipaddress": ("",)}, "virtual_ipaddress[0]", id="empty address"),
        pytest.param({"unicast_src_ip": "$X"}, "unicast_src_ip", id="variable"),
        pytest.param(
            {"authentication": Authentication("PASS", "a b")},
            "authentication.auth_pass",
            id="password",
        ),
    ],
)
def test_what_no_conf_can_hold_is_refused(change, where):
    node = Node("lb1", "", (replace(Instance("V", 1), **change),))
    with pytest.raises(SettingError) as caught:
        read_cluster({"lb1": node_data(node)})
    assert caught.value.option == f"nodes.lb1.instances[0].{where}"
    assert "a b'" not in str(caught.value) or where != "authentication.auth_pass"


@pytest.mark.parametrize("command", ['a "b"', "a\nb", "${X}", "a\0"])
def test_commands_no_conf_can_hold_are_refused(command):
    node = Node("lb1", "", (), (Check("c", command=command),))
    with pytest.raises(SettingError):
        read_cluster({"lb1": node_data(node)})


def test_a_name_without_a_value_is_an_error_and_no_blank():
    with pytest.raises(jinja2.UndefinedError):
        render("{{ nothing }}", {})


def test_what_the_template_does_not_print_is_refused():
    with pytest.raises(TypeError, match="prints no garb"):
        context(Node("lb1", "", ()), garb=())
    with pytest.raises(TypeError, match="prints no notfy"):
        context(Node("lb1", "", (Instance("V", 1),)), {"V": {"notfy": "/bin/a"}})
