"""The agent follows the mail log of a real Postfix: counted once, alarmed at once."""

import json
import os
import smtplib
import ssl
import subprocess
import time
from datetime import datetime

import pytest

from guarded import until

pytestmark = pytest.mark.live

FORGED = '<"x]: Anonymous TLS connection established from q[192.0.2.1]: TLSv1"@mail.example.test>'


@pytest.fixture
def log(hardened, tmp_path):
    """A log that only the test writes; Postfix goes on writing its own."""
    path = tmp_path / "mail.log"
    path.touch()
    return path


def follows(path, **more):
    options = "".join(f"{name} = {json.dumps(value)}\n" for name, value in more.items())
    return f"{PATIENT}\n[plugins.tls_log_monitor]\nlog = {json.dumps(str(path))}\n{options}"


PATIENT = "[contest]\ncorrections = 1000"


def line(text, name="postfix/smtpd[77]"):
    return f"{datetime.now().astimezone():%b %d %H:%M:%S} mx {name}: {text}\n"


def summary(peer="mail.example.org[192.0.2.7]", protocol="TLSv1.3"):
    return line(
        f"Anonymous TLS connection established from {peer}: {protocol} with cipher"
        " TLS_AES_256_GCM_SHA384 (256/256 bits)"
    )


def append(path, *lines):
    with path.open("a") as file:
        file.write("".join(lines))


def rotate(path):
    """As logrotate does with `rotate 3` and `delaycompress`."""
    for number in (2, 1):
        if os.path.exists(f"{path}.{number}"):
            os.rename(f"{path}.{number}", f"{path}.{number + 1}")
    os.rename(path, f"{path}.1")
    path.touch()


def counted(one):
    answer = one.run("tls-log", "--format", "json")
    return json.loads(answer.stdout) if answer.returncode == 0 else {"connections": [], "lines": 0}


def connections(one):
    return sum(row["count"] for row in counted(one)["connections"])


def handshake(address, *, mail_from=None, recipient=None):
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with smtplib.SMTP(address, 25, timeout=15) as client:
        client.starttls(context=context)
        client.ehlo()
        if mail_from:
            client.docmd("MAIL", f"FROM:{mail_from}")
            client.docmd("RCPT", f"TO:{recipient}")


def test_a_real_session_is_counted_and_a_forged_one_is_not(hardened, agent):
    until(lambda: "follows" in agent.run("status").stdout)
    before = connections(agent)
    handshake(hardened.postfix.address, mail_from="<a@b.test>", recipient=FORGED)
    until(lambda: connections(agent) == before + 1, 15)
    until(lambda: "from q[192.0.2.1]" in hardened.postfix.log())
    handshake(hardened.postfix.address)
    until(lambda: connections(agent) == before + 2, 15)
    assert "192.0.2.1" not in json.dumps(counted(agent))


def test_smtpd_without_tls_is_reported_within_a_second_and_checked(guard, log):
    one = guard(follows(log))
    until(lambda: str(log) in one.run("status").stdout)
    began = time.monotonic()
    append(log, line("warning: No server certs available. TLS won't be enabled"))
    told = one.report_with("tls-disabled")
    took = time.monotonic() - began
    assert took < 1, f"{took:.2f} s"
    assert "smtpd runs without TLS" in told
    rounds = until(
        lambda: [
            report
            for report in json.loads((one.directory / "run" / "status.json").read_text())[
                "instances"
            ]
            if report["event"] == "requested"
        ]
    )
    assert rounds[0]["outcome"] == "clean"
    # The same again is no news.
    append(log, line("warning: No server certs available. TLS won't be enabled"))
    time.sleep(0.5)
    assert not [text for text in one.reports_now() if "tls-disabled" in text]


def test_a_chain_file_that_is_gone_is_told(hardened, agent):
    """Postfix goes on offering STARTTLS then, and every handshake fails."""
    postfix = hardened.postfix
    postfix.main_cf.write_text(f"{hardened.main_cf}\nsmtpd_tls_chain_files = /nowhere/chain.pem\n")
    os.utime(postfix.main_cf, (time.time() - 3,) * 2)
    subprocess.run(["postfix", "-c", postfix.config_directory, "reload"], check=True)
    with pytest.raises((ssl.SSLError, OSError, smtplib.SMTPException)):
        handshake(postfix.address)
    assert "smtpd runs without TLS" in agent.report_with("tls-disabled")


def test_every_line_is_counted_once_whenever_the_agent_is_killed(guard, log):
    one = guard(follows(log))
    append(log, summary())
    until(lambda: connections(one) == 1)  # where nothing was read yet nothing can be gone on with
    written = 1
    for number in range(6):
        for _ in range(40):
            append(log, summary(f"mail.n{written}.test[192.0.2.7]"))
            written += 1
        time.sleep(0.1 * number)
        one.agent.kill()
        one.agent.wait()
        if number % 2:
            rotate(log)
        append(log, summary(f"mail.n{written}.test[192.0.2.7]"))
        written += 1
        one.start()
    until(lambda: connections(one) >= written, 15)
    time.sleep(0.2)
    assert connections(one) == written


def test_a_full_disk_loses_nothing(guard, log, hardened):
    one = guard(follows(log), start=False)
    state = one.directory / "state/monitor"
    state.mkdir(parents=True)
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m,mode=700", "tmpfs", str(state)], check=True
    )
    try:
        one.start()
        until(lambda: str(log) in one.run("status").stdout)
        append(log, summary())
        until(lambda: connections(one) == 1)
        filler = state / "filler"
        with pytest.raises(OSError, match="No space"):
            filler.write_bytes(bytes(4 * 2**20))
        append(log, *[summary(f"mail.n{number}.test[192.0.2.7]") for number in range(3000)])
        until(lambda: "records.sqlite3" in one.errors.read_text())
        filler.unlink()
        one.agent.send_signal(1)  # a reload tries again at once, else it is a minute
        until(lambda: connections(one) == 3001, 20)
    finally:
        one.stop()
        subprocess.run(["umount", str(state)], check=True)


def test_peers_can_be_kept_by_pseudonym(guard, log):
    one = guard(follows(log, peers="pseudonym"))
    append(
        log, summary("mail.secret-name.org[192.0.2.7]"), summary("mx.secret-name.org[192.0.2.8]")
    )
    until(lambda: connections(one) == 2)
    document = counted(one)
    assert "secret-name" not in json.dumps(document)
    assert [peer["connections"] for peer in document["peers"]] == [2]
    one.stop()
    for path in (one.directory / "state/monitor").glob("records*"):
        assert b"secret-name" not in path.read_bytes()


def test_a_reload_follows_another_log(guard, log, tmp_path):
    one = guard(follows(log))
    append(log, summary())
    until(lambda: connections(one) == 1)
    other = tmp_path / "other.log"
    other.write_text(summary())
    one.configure(follows(other))
    one.agent.send_signal(1)
    until(lambda: connections(one) == 2)
    append(log, summary())
    append(other, summary())
    until(lambda: connections(one) == 3)


def test_a_log_that_may_not_be_read_is_said(guard, tmp_path):
    one = guard(follows(tmp_path))
    until(lambda: str(tmp_path) in one.errors.read_text())
    assert "tls_log_monitor" in one.run("status").stdout
