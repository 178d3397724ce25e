import shutil

import pytest
from lab.earlier import NoSuchCommitError, unpack


@pytest.mark.skipif(not shutil.which("git"), reason="git is missing")
def test_a_clone_without_the_commit_says_how_to_get_it(tmp_path):
    with pytest.raises(NoSuchCommitError, match=r"no commit 0{40}.*git fetch --unshallow"):
        unpack("0" * 40, tmp_path)
    assert list(tmp_path.iterdir()) == []
