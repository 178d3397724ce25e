"""Cases: what `keepalived -t` of Debian 12 (2.2.7) printed, and whether the file was good."""

import pytest
from ansible_collections.mycat.ha.plugins.module_utils.keepalived_verdict import complaints, masked

GOOD = {
    "silent success": (0, ""),
    "script security with a script_user, as the shell tells it": (143, "Terminated\n"),
    "script security with a script_user, as subprocess tells it": (-15, ""),
}
BAD = {
    "warning": (
        5,
        "(/tmp/x: Line 8) (VI_1) nopreempt is incompatible with state MASTER - clearing",
    ),
    "success that disables a check": (0, "WARNING - script 'x' is not executable. Disabling."),
    "termination that also complains": (143, "(/tmp/x: Line 3) Unknown keyword 'foo'\nTerminated"),
    "failure without a word": (2, "\n"),
    "unknown signal": (-11, ""),
}


@pytest.mark.parametrize(("code", "output"), GOOD.values(), ids=GOOD)
def test_good_file_has_no_complaint(code, output):
    assert complaints(code, output) == ()


@pytest.mark.parametrize(("code", "output"), BAD.values(), ids=BAD)
def test_bad_file_has_one(code, output):
    assert len(complaints(code, output)) == 1


def test_complaint_is_what_keepalived_said():
    said = "(/tmp/x: Line 3) Unknown keyword 'foo'"
    assert complaints(5, f"{said}\n") == (said,)


def test_passwords_are_masked_and_nothing_else():
    text = "authentication {\n    auth_type PASS\n    auth_pass s3cret\n}\n"
    assert masked(text) == text.replace("s3cret", "********")
