"""Nothing counts as corrected until it is observed; what cannot be proved is taken back."""

import time

import pytest

from guarded import until

pytestmark = pytest.mark.live

STRONG, WEAK = "smtpd_tls_protocols = >=TLSv1.2", "smtpd_tls_protocols = >=TLSv1"


def weaken(hardened, more=""):
    hardened.calm()
    text = hardened.main_cf.replace(STRONG, WEAK) + more
    hardened.postfix.main_cf.write_text(text)
    return text


def reloads(postfix):
    return postfix.log().count("reload -- version")


def test_a_postfix_that_is_stopped_has_its_files_corrected(hardened, agent):
    hardened.postfix.stop()
    weaken(hardened)
    report = agent.report()
    assert "Postfix is not running: the files are corrected, nothing was observed" in report
    assert hardened.is_right()
    hardened.start()
    weaken(hardened)
    assert "refuses protocols older than TLSv1.2" in agent.report_with("fixed 1: ")
    assert hardened.is_right()


@pytest.fixture
def broken_key(hardened):
    """A key file that Postfix cannot use: no reload of it ever serves TLS."""
    key = hardened.postfix.main_cf.with_name("smtpd_tls_key_file.pem")
    good = key.read_text()
    key.write_text("garbage\n")
    yield
    key.write_text(good)


@pytest.fixture
def once(tmp_path):
    """Contested after one correction; no log is followed, which would tell of the key first."""
    log = tmp_path / "mail.log"
    return f'[contest]\ncorrections = 1\n[plugins.tls_log_monitor]\nlog = "{log}"\n'


def test_a_correction_that_cannot_be_proved_is_taken_back(hardened, guard, broken_key, once):
    """Once, and with the contest that follows no reload is tried again."""
    one = guard(once)
    before = reloads(hardened.postfix)
    weak = weaken(hardened)
    report = one.report(40)
    assert "reverted 1: " in report
    assert "the previous configuration is back" in report
    assert "STARTTLS" in report or "TLS handshake" in report
    assert hardened.postfix.main_cf.read_text() == weak
    assert reloads(hardened.postfix) - before == 2
    time.sleep(0.5)
    assert one.reports_now() == []
    hardened.postfix.main_cf.write_text(weak + "# again\n")
    assert "contested 1: " in one.report()
    assert reloads(hardened.postfix) - before == 2


def test_an_edit_before_a_correction_is_taken_back_stays(hardened, guard, broken_key, once):
    one = guard(once)
    weaken(hardened)
    until(hardened.is_right)
    with hardened.postfix.main_cf.open("a") as file:
        file.write("# mine\n")
    assert "edited by another since" in one.report_with("reverted 1: ", 40)
    assert hardened.postfix.main_cf.read_text() == hardened.main_cf + "# mine\n"
