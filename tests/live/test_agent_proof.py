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
def unprovable(hardened):
    """A line with which no reload ever serves TLS, whatever the certificate."""
    file = hardened.postfix.main_cf.with_name("authorities.pem")
    file.write_text("garbage\n")
    yield f"smtpd_tls_CAfile = {file}\n"
    file.unlink()


@pytest.fixture
def once(tmp_path):
    """Contested after one correction; no log is followed, which would tell of the key first."""
    log = tmp_path / "mail.log"
    return f'[contest]\ncorrections = 1\n[plugins.tls_log_monitor]\nlog = "{log}"\n'


def test_a_correction_that_cannot_be_proved_is_taken_back(hardened, guard, unprovable, once):
    """Once, and with the contest that follows nothing is written again."""
    one = guard(once)
    before = reloads(hardened.postfix)
    weak = weaken(hardened, unprovable)
    report = one.report(40)
    assert "reverted 1: " in report
    assert "the previous configuration is back" in report
    assert "STARTTLS" in report or "TLS handshake" in report
    assert hardened.postfix.main_cf.read_text() == weak
    assert reloads(hardened.postfix) - before == 2
    time.sleep(0.5)
    assert one.reports_now() == []
    hardened.postfix.main_cf.write_text(weak + "# again\n")
    report = one.report(40)
    assert "contested 1: " in report
    assert "failed 1: certificate-served: " in report  # that TLS is off is seen, and a reload tried
    assert hardened.postfix.main_cf.read_text() == weak + "# again\n"


def test_an_edit_before_a_correction_is_taken_back_stays(hardened, guard, unprovable, once):
    one = guard(once)
    weaken(hardened, unprovable)
    right = hardened.main_cf + unprovable
    until(lambda: hardened.postfix.main_cf.read_text() == right)
    with hardened.postfix.main_cf.open("a") as file:
        file.write("# mine\n")
    assert "edited by another since" in one.report_with("reverted 1: ", 40)
    assert hardened.postfix.main_cf.read_text() == right + "# mine\n"


def test_nothing_is_reloaded_while_that_would_make_a_broken_key_live(hardened, guard, once):
    one = guard(f"{once}[plugins.certificate_watcher]\nsettle_seconds = 1\n")
    key = hardened.postfix.main_cf.with_name("smtpd_tls_key_file.pem")
    good = key.read_text()
    before = reloads(hardened.postfix)
    key.write_text("garbage\n")
    try:
        assert "certificate-usable: " in one.report(20)
        weak = weaken(hardened)
        assert "held 1: smtpd-protocols: " in one.report()
        assert hardened.postfix.main_cf.read_text() == weak
        assert reloads(hardened.postfix) == before
    finally:
        key.write_text(good)
    assert "fixed 1: smtpd-protocols: " in one.report_with("fixed 1: ")
    assert hardened.is_right()
