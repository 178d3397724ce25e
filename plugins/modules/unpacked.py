#!/usr/bin/python
# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: unpacked
short_description: Unpack an archive of MyCat or Java into a folder of its own
version_added: 0.2.0
description:
  - The folder is there whole or not at all, and one that is there stays as it is.
  - All of it belongs to root. Of a MyCat the logs, and the configuration's files that are there,
    belong to O(user), and its control script is C(bin/mycat.orig).
options:
  archive:
    description: The archive on the host.
    type: path
    required: true
  sha256:
    description: Its SHA-256.
    type: str
    required: true
  top:
    description: The folder in the archive whose content is unpacked.
    type: str
    default: mycat
  folder:
    description: Where to.
    type: path
    required: true
  user:
    description: Who runs the MyCat. Without it the archive is no MyCat.
    type: str
  former:
    description: The home of a MyCat; if it is there, its configuration but wrapper.conf is copied.
    type: path
attributes:
  check_mode:
    support: full
    description: Tells whether the folder is missing.
  diff_mode:
    support: none
    description: There is nothing to compare with.
author:
  - mycat.ha maintainers (@mycat-ha)
"""

EXAMPLES = r"""
- name: Unpack MyCat
  mycat.ha.unpacked:
    archive: /var/tmp/mycat.tar.gz
    sha256: 5d849157941c2df34fad95c5c5380ac7e19cb1b0e75265d264bae8885cd7c7d8
    folder: /usr/local/mycat-1.6.7.6-5d849157
    user: mycat
    former: /usr/local/mycat
"""

RETURN = r"""
folder:
  description: The folder, as O(folder) says.
  returned: always
  type: str
  sample: /usr/local/mycat-1.6.7.6-5d849157
"""

import os

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.mycat.ha.plugins.module_utils.host import unpack


def make(params):
    """Unpack the archive. Raises UnpackError, OSError, KeyError without the user."""
    folder, former = params["folder"], params["former"]
    unpack.unpack(params["archive"], params["sha256"], params["top"], folder)
    if params["user"]:
        known = former if former and os.path.isdir(f"{former}/conf") else ""
        unpack.prepare_mycat(folder, params["user"], known)
    unpack.finish(folder)


def main():
    module = AnsibleModule(
        argument_spec={
            "archive": {"type": "path", "required": True},
            "sha256": {"type": "str", "required": True},
            "top": {"type": "str", "default": "mycat"},
            "folder": {"type": "path", "required": True},
            "user": {"type": "str"},
            "former": {"type": "path"},
        },
        supports_check_mode=True,
    )
    missing = not os.path.isdir(module.params["folder"])
    if missing and not module.check_mode:
        try:
            make(module.params)
        except unpack.UnpackError as error:
            module.fail_json(msg=str(error))
        except KeyError as error:
            module.fail_json(msg=f"user: this host has no {error}")
        except OSError as error:
            module.fail_json(msg=f"{error.filename}: {error.strerror}")
    module.exit_json(changed=missing, folder=module.params["folder"])


if __name__ == "__main__":
    main()
