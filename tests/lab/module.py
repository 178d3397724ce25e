"""Give a module its arguments, with whatever ansible-core there is."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from unittest import mock

from ansible.module_utils import basic
from ansible.module_utils.common.parameters import PASS_VARS

try:
    from ansible.module_utils import testing  # noqa: TID251
except ImportError:  # ansible-core before 2.19
    testing = None


def patch_module_args(arguments: Mapping[str, object]) -> AbstractContextManager[None]:
    """A module that starts within this context reads ``arguments`` and returns them as its
    invocation."""
    # From ansible-core 2.20 on they do that only when asked.
    asked = {"_ansible_inject_invocation": True} if "inject_invocation" in PASS_VARS else {}
    patch = testing.patch_module_args if testing else _patch_before_2_19
    return patch({**asked, **arguments})


@contextmanager
def _patch_before_2_19(arguments: Mapping[str, object]) -> Iterator[None]:
    read = json.dumps({"ANSIBLE_MODULE_ARGS": arguments}).encode()
    with mock.patch.object(basic, "_ANSIBLE_ARGS", read):
        yield
