"""postconf judges the new texts before they are in force."""

import time

import pytest

from postkeel.core.errors import PostfixError
from postkeel.postfix.editing import Texts
from postkeel.shell.staging import postconf_accepts
from postkeel.shell.writer import write

FINE_MAIN = "compatibility_level = 3.6\nmyhostname = mail.example.test\n"
FINE_MASTER = "smtp inet n - y - - smtpd\n"


@pytest.fixture
def state(tmp_path):
    return tmp_path / "state"


@pytest.mark.parametrize(
    ("main_cf", "master_cf"),
    [
        (FINE_MAIN, FINE_MASTER),
        (FINE_MAIN.replace("\n", "\r\n"), FINE_MASTER),
        (FINE_MAIN + "# caf\udce9\nunknown = 1\nmyhostname = b.example.test", FINE_MASTER),
        ("", ""),
    ],
)
def test_what_postconf_reads_is_accepted(state, names, main_cf, master_cf):
    began = time.monotonic()
    postconf_accepts("/etc/postfix", str(state))(Texts(main_cf=main_cf, master_cf=master_cf))
    assert (
        time.monotonic() - began < 0.9
    )  # postconf sleeps a second or two over a file of this second
    assert names(state / "staging") == []


@pytest.mark.parametrize(
    ("main_cf", "master_cf", "message"),
    [
        ("a ${b\n", FINE_MASTER, r"fatal: /etc/postfix/main\.cf, line 1: missing '='"),
        (
            "myhostname = ${b\n",
            FINE_MASTER,
            r"truncated macro reference: .*fatal: .*macro processing error",
        ),
        (
            FINE_MAIN,
            "smtp inet n - y\n",
            r"fatal: file /etc/postfix/master\.cf: line 1: bad field count",
        ),
        (FINE_MAIN, "smtp what n - y - - smtpd\n", r"fatal: .*what"),
        (FINE_MAIN, "smtp inet n - y - x smtpd\n", r"fatal: .*x"),
    ],
)
def test_what_postconf_refuses_is_an_error_in_its_words(state, names, main_cf, master_cf, message):
    check = postconf_accepts("/etc/postfix", str(state))
    with pytest.raises(PostfixError, match=message) as caught:
        check(Texts(main_cf=main_cf, master_cf=master_cf))
    assert "\n" not in str(caught.value)
    assert names(state / "staging") == []


def test_what_a_crash_left_is_no_hindrance(state, names):
    staging = state / "staging" / "%2Fetc%2Fpostfix"
    staging.mkdir(parents=True)
    (staging / "main.cf").write_bytes(b"half ${")
    postconf_accepts("/etc/postfix", str(state))(Texts(main_cf=FINE_MAIN, master_cf=FINE_MASTER))
    assert names(state / "staging") == []


def test_a_write_that_postconf_refuses_changes_nothing(instance, append, names, state):
    old = (instance / "master.cf").read_bytes()
    check = postconf_accepts(str(instance), str(state))
    with pytest.raises(PostfixError, match="nothing changed: postconf refuses"):
        write(str(instance), append(master_cf="broken\n"), check=check)
    assert (instance / "master.cf").read_bytes() == old
    assert names(instance) == ["main.cf", "master.cf"]


def test_a_state_directory_that_is_a_file(tmp_path):
    (tmp_path / "state").write_bytes(b"")
    with pytest.raises(PostfixError, match=r"nothing changed: .*Not a directory"):
        postconf_accepts("/etc/postfix", str(tmp_path / "state"))(Texts(main_cf="", master_cf=""))
