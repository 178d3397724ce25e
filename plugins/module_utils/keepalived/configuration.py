# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A keepalived.conf from the role's template, which is the one place that writes it.

For the controller only: it needs jinja2. The template is plain jinja2; ``context`` says what it
may print.
"""

from __future__ import annotations

import functools
from typing import Any, Mapping

import jinja2

from ..vrrp.model import Instance, Node
from ..vrrp.structured import instance_data, node_data

# What the template prints beside the model, as it is where nothing is wanted.
_NODE: Mapping[str, object] = {
    "managed": "",
    "digest": "",
    "vrrp_version": 3,
    "startup_delay": 0,
    "garp": (),
    "notify_fifo": "",
    "notify_fifo_script": "",
    "notify_user": "",
    "mail": None,
    "global_extra": (),
    "extra": (),
}
_INSTANCE: Mapping[str, object] = {
    "use_vmac": False,
    "vmac_interface": "",
    "vmac_xmit_base": False,
    "mcast_src_ip": "",
    "auth_hmac": None,
    "virtual_routes": (),
    "virtual_rules": (),
    # Further interfaces to track, each as a line of track_interface.
    "interfaces": (),
    "notify": "",
    "notify_master": "",
    "notify_backup": "",
    "notify_fault": "",
    "notify_stop": "",
    "extra": (),
}


def render(template: str, context: Mapping[str, object]) -> str:
    """The text that ``template`` makes of ``context``.

    Raises jinja2.UndefinedError for a name that the context does not have.
    """
    return _compiled(template).render(context)


@functools.lru_cache(maxsize=16)
def _compiled(template: str) -> jinja2.Template:
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701  it prints no HTML
    )
    return environment.from_string(template)


def context(
    node: Node, instances: Mapping[str, Mapping[str, object]] | None = None, **more: object
) -> dict[str, Any]:
    """What the template of keepalived.conf prints for a node.

    ``instances`` maps the name of an instance to what it has beside the model (the keys of
    ``_INSTANCE``), ``more`` is what the node has (the keys of ``_NODE``). Everything that is not
    given is not printed. Raises TypeError for a key that the template does not know.
    """
    _ask_for_known(more, _NODE)
    return {
        **_NODE,
        **node_data(node),
        "name": node.name,
        "instances": [
            _instance(instance, (instances or {}).get(instance.name, {}))
            for instance in node.instances
        ],
        **more,
    }


def _instance(instance: Instance, more: Mapping[str, object]) -> dict[str, object]:
    _ask_for_known(more, _INSTANCE)
    # A unicast_peer block without peers is not the same as none.
    peers = None if instance.unicast_peer is None else list(instance.unicast_peer)
    return {**_INSTANCE, **instance_data(instance), "unicast_peer": peers, **more}


def _ask_for_known(given: Mapping[str, object], known: Mapping[str, object]) -> None:
    unknown = sorted(given.keys() - known.keys())
    if unknown:
        raise TypeError(f"the template of keepalived.conf prints no {', '.join(unknown)}")
