# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Variables become typed settings by an ``argument_specs``, in one way for every role. Pure.

Before ansible-core 2.19 a number that comes from a template, or from ``-e NAME=VALUE``, is text.
"""

from __future__ import annotations

from typing import Any, Mapping

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from .readers import SettingError

Spec = Mapping[str, Mapping[str, Any]]

_WANTED = {
    "bool": "true or false",
    "dict": "a dictionary",
    "float": "a number",
    "int": "a whole number",
    "list": "a list",
    "path": "a path",
    "str": "text",
}
LONGEST_SHOWN = 60


def typed(spec: Spec, variables: Mapping[str, Any]) -> tuple[dict[str, Any], list[SettingError]]:
    """The settings {option: value} of one host, and what is wrong with its variables.

    ``spec`` are the ``options`` of an argument_specs, ``variables`` {name: value} after templating;
    names that the spec lacks do not count. An option that is not set has its default, or is left
    out where the spec states none.
    """
    settings: dict[str, Any] = {}
    errors = []
    for option, described in spec.items():
        value = variables.get(option)
        if value is None:
            if "default" in described:
                settings[option] = described["default"]
            continue
        checked = ArgumentSpecValidator({option: dict(described)}).validate({option: value})
        if checked.error_messages:
            errors.append(SettingError(option, _problem(described, value, checked.error_messages)))
        else:
            settings[option] = without_unset(checked.validated_parameters[option])
    return settings, errors


def without_unset(value: Any) -> Any:
    """The value without the suboptions that nobody set, which Ansible gives as None."""
    if isinstance(value, dict):
        return {key: without_unset(entry) for key, entry in value.items() if entry is not None}
    if isinstance(value, list):
        return [without_unset(entry) for entry in value]
    return value


def _problem(described: Mapping[str, Any], value: Any, messages: list[str]) -> str:
    if described.get("options"):
        # The validator names the suboption; the value may hold secrets.
        return "; ".join(messages)
    wanted = _WANTED.get(described.get("type", "str"), "another value")
    if described.get("choices"):
        wanted = "one of " + ", ".join(map(str, described["choices"]))
    elif described.get("elements"):
        wanted = f"a list, each entry {_WANTED.get(described['elements'], 'of its type')}"
    shown = "not what it should be" if described.get("no_log") else _shown(value)
    return f"is {shown}; write {wanted}"


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= LONGEST_SHOWN else text[: LONGEST_SHOWN - 3] + "..."
