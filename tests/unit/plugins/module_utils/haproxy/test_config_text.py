# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.mycat.ha.plugins.module_utils.haproxy.config_text import (
    MASK,
    complaints,
    masked,
)


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        pytest.param("    stats auth admin:s3cret", f"    stats auth admin:{MASK}", id="stats"),
        pytest.param("    stats auth 'admin:a b'", f"    stats auth 'admin:{MASK}", id="quoted"),
        pytest.param(
            "    user admin insecure-password 's3cret word'",
            f"    user admin insecure-password {MASK}",
            id="userlist",
        ),
        pytest.param(
            "  user admin password $5$salt$hash groups x",
            f"  user admin password {MASK}",
            id="hashed",
        ),
        pytest.param("\tsetenv TOKEN s3cret", f"\tsetenv TOKEN {MASK}", id="environment"),
        pytest.param(
            "    http-check send meth GET uri / hdr Authorization s3cret",
            f"    http-check send meth GET uri / hdr Authorization {MASK}",
            id="header",
        ),
    ],
)
def test_a_secret_is_masked_and_its_line_is_not(line: str, shown: str) -> None:
    assert masked(f"global\n{line}\n    daemon\n") == f"global\n{shown}\n    daemon\n"


def test_a_new_secret_shows_as_a_change() -> None:
    before, after = "  stats auth a:old\n  setenv X y\n", "  stats auth a:new\n  setenv X y\n"
    assert masked(after, before) == f"  stats auth a:{MASK} (new)\n  setenv X {MASK}\n"
    assert masked(before, before) == masked(before)


def test_what_is_no_secret_stays() -> None:
    text = "    user haproxy\n    stats uri /admin-status\n    timeout client 35m\n"
    assert masked(text) == text


@pytest.mark.parametrize(
    "output",
    [
        pytest.param("Configuration file is valid\n", id="valid"),
        pytest.param(
            "[NOTICE]   (712) : haproxy version is 2.6.12\n"
            "[WARNING]  (712) : config : Server mycat/a is DOWN, changed from server-state after a "
            "reload. 2 active and 0 backup servers left.\nWarnings were found.\n",
            id="restored-state",
        ),
    ],
)
def test_a_good_file_has_no_complaints(output: str) -> None:
    assert complaints(output, "") == []


@pytest.mark.parametrize(
    "output",
    [
        pytest.param(
            "[ALERT]    (712) : config : parsing [f:3] : unknown option 'bogus'.", id="2.6"
        ),
        pytest.param(
            "[ALERT] 326/054035 (403) : parsing [f:3] : unknown option 'bogus'.", id="2.2"
        ),
    ],
)
def test_the_reason_comes_without_times_and_process_ids(output: str) -> None:
    assert complaints(output, "") == ["parsing [f:3] : unknown option 'bogus'."]


def test_a_quoted_secret_is_masked_in_the_reason() -> None:
    said = complaints("[ALERT] (1) : unexpected 's3cret'", "  stats auth admin:s3cret\n")
    assert said == [f"unexpected '{MASK}'"]
