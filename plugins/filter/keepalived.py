# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from ansible.errors import AnsibleFilterError
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.mycat.ha.plugins.module_utils.keepalived.cluster import Installed, text_of
from ansible_collections.mycat.ha.plugins.module_utils.keepalived.settings import (
    misspelt,
    note,
    resolve,
    spoken,
    together,
    traced,
)
from ansible_collections.mycat.ha.plugins.module_utils.vrrp.model import ModelError
from ansible_collections.mycat.ha.plugins.module_utils.vrrp.plan import draft
from ansible_collections.mycat.ha.plugins.module_utils.vrrp.request import read_request
from ansible_collections.mycat.ha.plugins.module_utils.vrrp.versions import installed_version


def _typed(variables: dict, spec: dict) -> dict:
    known = {option: value for option, value in variables.items() if option in spec}
    checked = ArgumentSpecValidator(spec).validate(known)
    if checked.error_messages:
        raise AnsibleFilterError("; ".join(checked.error_messages))
    return {
        option: value for option, value in checked.validated_parameters.items() if value is not None
    }


def _keepalived_model(
    variables: dict, spec: dict, facts: dict, name: str, banner: str = "", inventory: tuple = ()
) -> dict:
    typed = _typed(variables, spec)
    try:
        misspelt(inventory, spec)
        return resolve(typed, facts, name, installed_version(banner))
    except ModelError as error:
        raise AnsibleFilterError(spoken(str(error), {}, inventory)) from None


def _keepalived_text(
    template: str, variables: dict, spec: dict, model: dict, request: dict, **more: str
) -> str:
    asked = read_request(request)
    plan = draft(asked)
    (node,) = [node for node in plan.cluster.nodes if node.name == model["name"]]
    settings = _typed(variables, spec)
    return text_of(
        node, plan, asked, settings, model, template=template, installed=Installed(), **more
    )


def _keepalived_request(models: list) -> dict:
    try:
        return together(models)
    except ModelError as error:
        raise AnsibleFilterError(str(error)) from None


def _keepalived_spoken(message: str, request: dict, inventory: list) -> str:
    return spoken(message, request, inventory)


class FilterModule:
    """The filters that judge the keepalived role's settings."""

    def filters(self) -> dict:
        return {
            "keepalived_model": _keepalived_model,
            "keepalived_request": _keepalived_request,
            "keepalived_note": note,
            "keepalived_spoken": _keepalived_spoken,
            "keepalived_text": _keepalived_text,
            "keepalived_traced": traced,
        }
