# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from ansible.errors import AnsibleFilterError
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.mycat.ha.plugins.module_utils.keepalived.configuration import (
    Installed,
    host_text,
)
from ansible_collections.mycat.ha.plugins.module_utils.keepalived.names import OperatorNames
from ansible_collections.mycat.ha.plugins.module_utils.keepalived.raw_lines import with_raw_lines
from ansible_collections.mycat.ha.plugins.module_utils.keepalived.settings import (
    cluster_request,
    resolve,
)
from ansible_collections.mycat.ha.plugins.module_utils.readers import RefusalError, SettingError
from ansible_collections.mycat.ha.plugins.module_utils.variables import unknown_variables
from ansible_collections.mycat.ha.plugins.module_utils.vrrp.plan import draft
from ansible_collections.mycat.ha.plugins.module_utils.vrrp.request import read_request
from ansible_collections.mycat.ha.plugins.module_utils.vrrp.versions import installed_version

INVENTORY = (
    "mycat_ha_vip",
    "mycat_ha_vips",
    "mycat_ha_failover_mode",
    "mycat_ha_preempt",
    "mycat_ha_failover_budget",
    "mycat_ha_node_loss_budget",
    "mycat_ha_address",
    "mycat_ha_lb_group",
    "mycat_ha_mycat_group",
)


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
        for refusal in unknown_variables(inventory, (*spec, *INVENTORY))[0]:
            raise refusal
        return resolve(typed, facts, name, installed_version(banner))
    except RefusalError as several:
        names = OperatorNames(inventory)
        raise AnsibleFilterError(
            " ".join(str(one.named(names)) for one in several.errors)
        ) from None
    except SettingError as error:
        raise AnsibleFilterError(str(error.named(OperatorNames(inventory)))) from None


def _keepalived_text(
    template: str, variables: dict, spec: dict, model: dict, request: dict, **more: str
) -> str:
    asked = read_request(request)
    plan = draft(asked)
    (node,) = [node for node in plan.cluster.nodes if node.name == model["name"]]
    settings = _typed(variables, spec)
    return host_text(
        node, plan, asked, settings, model, template=template, installed=Installed(), **more
    )


def _keepalived_request(models: list, inventory: tuple = ()) -> dict:
    names = OperatorNames(inventory)
    try:
        asked = cluster_request(models)
        names = OperatorNames.of_request(inventory, asked)
        draft(read_request(asked), names)
    except SettingError as error:
        raise AnsibleFilterError(str(error.named(names))) from None
    return asked


def _keepalived_note(finding: dict) -> str:
    where = ", ".join(filter(None, (finding["node"], finding["instance"])))
    said = f"{where}: {finding['message']}" if where else finding["message"]
    return " ".join(filter(None, (said, finding["fix"], f"({finding['id']})")))


class FilterModule:
    """The filters that judge the keepalived role's settings."""

    def filters(self) -> dict:
        return {
            "keepalived_model": _keepalived_model,
            "keepalived_request": _keepalived_request,
            "keepalived_note": _keepalived_note,
            "keepalived_text": _keepalived_text,
            "keepalived_traced": with_raw_lines,
        }
