"""postfix reload, and what Postfix says when it cannot."""

import os

import pytest

from postkeel.core.errors import PostfixError
from postkeel.shell.reload import reload


@pytest.fixture
def stopped(tmp_path):
    """An instance that is not running."""
    for name in ("postfix", "queue", "data"):
        (tmp_path / name).mkdir()
    (tmp_path / "postfix" / "master.cf").write_text("")
    (tmp_path / "postfix" / "main.cf").write_text(
        "compatibility_level = 3.6\n"
        "myhostname = mail.example.test\n"
        f"queue_directory = {tmp_path}/queue\n"
        f"data_directory = {tmp_path}/data\n"
    )
    os.utime(tmp_path / "postfix" / "main.cf", (0, 0))  # Postfix sleeps over a file of this second
    return tmp_path / "postfix"


def test_an_instance_that_is_not_running(stopped):
    with pytest.raises(PostfixError, match="reload failed with exit status 1: ") as caught:
        reload(str(stopped), 10)
    assert str(caught.value).startswith(f"{stopped}: ")
    assert "\n" not in str(caught.value)


def test_a_program_that_takes_too_long(stopped):
    with pytest.raises(PostfixError, match="no end after"):
        reload(str(stopped), 0.001)
