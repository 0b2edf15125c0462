"""postfix reload, and what Postfix says when it cannot."""

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
    return tmp_path / "postfix"


def test_an_instance_that_is_not_running(stopped):
    with pytest.raises(PostfixError, match="reload failed: .*not running") as caught:
        reload(str(stopped), 10)
    assert str(caught.value).startswith(f"{stopped}: ")
    assert "\n" not in str(caught.value)


def test_a_main_cf_that_postfix_cannot_read(stopped):
    (stopped / "main.cf").write_text("no equals sign\n")
    with pytest.raises(PostfixError, match="reload failed: .*missing '='"):
        reload(str(stopped), 10)


def test_a_relative_directory_is_refused_by_postfix(stopped):
    with pytest.raises(PostfixError, match="reload failed: .*absolute"):
        reload("postfix", 10)
