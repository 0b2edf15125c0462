"""Probes through a real Postfix into a real mailbox, and what comes of them when it is troubled."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import ssl
import subprocess
import time

import pytest

import private_postfix as bed
from auth_server import AuthServer
from collectors import free_port
from guarded import until
from postkeel.core.mail import Target
from postkeel.headers.fields import trace_of
from postkeel.headers.received import read_hop
from postkeel.headers.values import Verdict
from postkeel.maillog.one_session import process_of, read_session
from postkeel.maillog.values import NOT_LOGGED
from postkeel.postfix.instance import parse_version
from postkeel.postfix.targets import targets
from postkeel.shell.built_in import DefaultsCache
from postkeel.shell.forked import Forked
from postkeel.shell.postfix_facts import gather_instance
from postkeel.shell.probe import probe_once
from probed_postfix import ADDRESS, PARAMETERS, SECRET, ProbedPostfix, as_user
from tls_ending_proxy import TlsEndingProxy

pytestmark = pytest.mark.live

FOREIGN = (
    b"From somebody@example.test  Mon Nov 23 10:00:00 2026\n"
    b"Subject: not yours\n\nKeep me.\n>From here on as well.\n\n"
)


@pytest.fixture
def probed(start_postfix):
    """A function that starts a Postfix to probe: `parameters` beside those of `PARAMETERS`."""

    def start(parameters=None, *, maildir=False, **settings) -> ProbedPostfix:
        postfix = start_postfix(parameters=PARAMETERS | (parameters or {}), start=False, **settings)
        one = ProbedPostfix(postfix, maildir=maildir)
        postfix.start()
        return one

    return start


@pytest.fixture(scope="module")
def shared():
    """One for all tests of this module that change nothing which lasts."""
    if reason := bed.why_not():
        pytest.skip(reason)
    with bed.private_postfix(parameters=PARAMETERS, start=False) as postfix:
        one = ProbedPostfix(postfix)
        postfix.start()
        yield one


@pytest.fixture
def plain(shared):
    shared.mailbox.unlink(missing_ok=True)
    yield shared
    shared.set({})


def lowest(probed):
    return read_hop(trace_of(probed.header).received[-1])


@pytest.mark.parametrize("maildir", [False, True], ids=["mbox", "Maildir"])
def test_three_witnesses_of_one_session(probed, maildir):
    bed = probed(maildir=maildir)
    one = bed.one()
    assert (one.stage, one.code, one.problem, one.log_problem) == ("", 0, "", "")
    assert (one.protocol, one.bits) == ("TLSv1.3", 256)
    assert 0 < one.seconds < 10
    hop = lowest(one)
    assert hop.identity == one.queue_id
    assert (hop.tls.protocol, hop.tls.cipher) == (one.protocol, one.cipher)
    name, session = read_session(one.lines)
    assert name == "postfix/smtpd"
    assert (session.protocol, session.cipher, session.bits) == (one.protocol, one.cipher, one.bits)
    assert b"postfix/smtpd" in one.lines.splitlines()[0]
    assert one.lines.splitlines()[0].count(b": connect from ") == 1
    assert b": disconnect from " in one.lines.splitlines()[-1]
    assert process_of(one.lines).startswith("postfix/smtpd[")
    assert bed.mail() == b""


def test_the_targets_of_a_server_are_those_that_it_listens_on(plain):
    instance = gather_instance(plain.postfix.config_directory, defaults=DefaultsCache())
    assert targets(instance, credentials=False) == (plain.smtp,)
    by_port = {one.port: one for one in targets(instance, credentials=True)}
    assert list(by_port) == ["25", "587", "465"]
    assert [(one.login, one.direct) for one in by_port.values()] == [
        (False, False),
        (True, False),
        (True, True),
    ]


def test_the_mail_of_others_stays_as_it_is_and_is_counted(plain):
    plain.put(FOREIGN * 2)
    result = plain.probe(plain.smtp, plain.smtp)
    assert [one.stage for one in result.probed] == ["", ""]
    assert (result.others, result.left, result.late) == (2, 0, ())
    assert plain.mail() == FOREIGN * 2


def test_a_message_that_comes_between_two_probes_stays(plain):
    """Another message stands behind a probe that is taken out of the middle."""
    with as_user():
        assert killed_after_delivery(plain)
    with plain.mailbox.open("ab") as file:
        file.write(FOREIGN)
    result = plain.probe()
    assert [one.stage for one in result.probed] == [""]
    assert plain.mail() == FOREIGN


def answer(text: str) -> str:
    """What has Postfix answer so, as a policy server for greylisting would."""
    return f"check_client_access static:{{ {text} }}"


def killed_after_delivery(bed) -> bytes:
    """What a probe leaves that is killed when its message has come, and before it looks."""

    def work(_pipe) -> None:
        from postkeel.shell.probe_mbox import Mbox

        looks = []

        def take(mailbox):
            looks.append(1)
            return [] if len(looks) == 1 else os.kill(os.getpid(), signal.SIGKILL)

        Mbox.take = take
        probe_once(bed.wanted(), str(bed.spool), SECRET)

    process = Forked(work, 20)
    try:
        until(lambda: b"X-Postkeel-Probe" in bed.mail())
        assert os.read(process.output, 1) == b""  # it is dead
    finally:
        process.close()
    return bed.mail()


def test_what_a_killed_probe_leaves_is_removed_by_the_next(plain):
    with as_user():
        left = killed_after_delivery(plain)
    assert left.count(b"\nX-Postkeel-Probe: ") == 1
    result = plain.probe()
    assert [one.stage for one in result.probed] == [""]
    assert (plain.mail(), result.others, result.left) == (b"", 0, 0)
    assert result.late == ()  # it had come in time


def test_a_probe_of_another_host_is_no_probe_of_ours(plain):
    with as_user():
        probe = killed_after_delivery(plain)
        result = probe_once(plain.wanted(), str(plain.spool), b"another secret")
    assert result.others == 1
    assert plain.mail() == probe


def test_a_message_that_is_held_is_told_and_told_again_when_it_comes(plain):
    hold = f"inline:{{ {{ {ADDRESS} = HOLD }} }}"
    plain.set({"smtpd_recipient_restrictions": f"check_recipient_access {hold}"})
    began = time.time()
    one = plain.one(seconds=1.0)
    assert (one.stage, one.code) == ("delivery", 0)
    assert one.problem == "it was taken, and is not in the mailbox after 1 s"
    assert one.queue_id
    assert read_session(one.lines)[1].protocol == "TLSv1.3"
    plain.set({"smtpd_recipient_restrictions": ""})
    until(lambda: time.time() > began + 2.5)  # an mbox says the second in which mail came
    for command in (["postsuper", "-H", "ALL"], ["postqueue", "-f"]):
        name, *rest = command
        subprocess.run(
            [f"/usr/sbin/{name}", "-c", plain.postfix.config_directory, *rest], check=True
        )
    until(lambda: plain.mail())
    result = plain.probe(seconds=1.0)
    assert [one.stage for one in result.probed] == [""]
    assert len(result.late) == 1
    assert 1 < result.late[0] < 60
    assert plain.mail() == b""


@pytest.mark.parametrize(
    ("parameters", "stage", "code", "says"),
    [
        ({"queue_minfree": "900000000000000"}, "MAIL", 452, "Insufficient system storage"),
        ({"smtpd_client_restrictions": answer("450 4.2.0 later")}, "RCPT", 450, "later"),
        ({"smtpd_client_restrictions": answer("550 5.7.1 no")}, "RCPT", 550, "5.7.1"),
        ({"smtpd_client_restrictions": answer("421 4.7.0 go away")}, "RCPT", 421, "go away"),
        ({"smtpd_tls_security_level": "none"}, "STARTTLS", 0, "STARTTLS is not offered"),
        ({"mydestination": ""}, "RCPT", 454, "Relay access denied"),
    ],
)
def test_a_refusal_names_its_stage(plain, parameters, stage, code, says):
    plain.set({"mynetworks": "127.0.0.0/32"} | parameters)
    one = plain.one()
    assert (one.stage, one.code) == (stage, code), one
    assert says in one.problem
    assert one.header == b""


def test_a_stopped_postfix_is_no_connection(probed):
    bed = probed()
    bed.postfix.stop()
    one = bed.one()
    assert (one.stage, one.code, one.problem) == ("connection", 0, "Connection refused")


def test_a_delay_of_the_server_costs_that_target_only(plain):
    """One that keeps the client waiting: the others have had their turn meanwhile."""
    plain.set({"smtpd_client_restrictions": "sleep 3"})
    began = time.monotonic()
    result = plain.probe(plain.smtp, plain.smtp, plain.smtp)
    assert [one.stage for one in result.probed] == [""] * 3
    assert time.monotonic() - began < 8


def test_without_a_log_level_the_log_tells_of_tls_and_not_which(plain):
    plain.set({"smtpd_tls_loglevel": "0"})
    one = plain.one()
    assert one.stage == ""
    assert read_session(one.lines)[1].protocol == NOT_LOGGED


def test_without_its_header_the_received_line_keeps_silent(plain):
    plain.set({"smtpd_tls_received_header": "no"})
    hop = lowest(plain.one())
    assert hop.tls is None
    assert hop.protocol == "ESMTPS"


def test_a_log_that_may_not_be_read_is_told(plain):
    plain.postfix.log_file.chmod(0o600)
    try:
        one = plain.one()
    finally:
        plain.postfix.log_file.chmod(0o644)
    assert (one.stage, one.lines) == ("", b"")
    assert "permission denied" in one.log_problem


def test_another_log_is_told(plain, tmp_path):
    from dataclasses import replace

    from postkeel.core.mail import LogLines

    tmp_path.chmod(0o755)
    other = plain.spool / "other.log"
    other.write_text("")
    other.chmod(0o644)
    wanted = replace(plain.wanted(), log=LogLines(file=str(other)))
    with as_user():
        one = probe_once(wanted, str(plain.spool), SECRET).probed[0]
    assert (one.stage, one.lines, one.log_problem) == ("", b"", "the log has no line of it")


def filtered(parameter: str):
    """master.cf with a second smtpd that takes mail again, as a content filter hands it back."""
    port = free_port()
    return port, f"127.0.0.1:{port} inet n - n - - smtpd\n  -o content_filter=\n  -o {parameter}=\n"


def test_behind_a_content_filter_the_lowest_line_is_ours(probed):
    port, line = filtered("smtpd_proxy_filter")
    bed = probed({"content_filter": f"smtp:[127.0.0.1]:{port}"}, master_cf=line)
    one = bed.one()
    assert one.stage == "", one
    received = [read_hop(line) for line in trace_of(one.header).received]
    assert len(received) == 2
    assert received[0].identity != one.queue_id
    assert (received[1].identity, received[1].tls.cipher) == (one.queue_id, one.cipher)
    assert read_session(one.lines)[1].cipher == one.cipher


def test_behind_a_proxy_filter_the_log_is_that_of_the_session_before_it(probed):
    port, line = filtered("smtpd_proxy_filter")
    bed = probed({"smtpd_proxy_filter": f"127.0.0.1:{port}"}, master_cf=line)
    one = bed.one()
    assert one.stage == "", one
    assert read_session(one.lines)[1].cipher == one.cipher
    assert lowest(one).tls.cipher == one.cipher


def test_a_proxy_that_ends_tls_is_seen_by_header_and_log(plain):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    pem = [plain.postfix.file(f"smtpd_tls_{one}_file") for one in ("cert", "key")]
    context.load_cert_chain(*pem)
    address = plain.postfix.address
    proxy = TlsEndingProxy(address, (address, 25), context)
    try:
        one = plain.one(Target(service="smtp/inet", host=address, port=str(proxy.port)))
    finally:
        proxy.close()
    assert (one.stage, one.protocol) == ("", "TLSv1.3")
    hop = lowest(one)
    assert (hop.identity, hop.tls, hop.protocol) == (one.queue_id, None, "ESMTP")
    assert read_session(one.lines)[1].clear


def test_over_ipv6(probed):
    if not socket.has_ipv6 or not can_bind("::1"):
        pytest.skip("there is no ::1 here")
    port = free_port()
    master_cf = f"[::1]:{port} inet n - n - - smtpd\n"
    bed = probed({"inet_protocols": "all"}, master_cf=master_cf)
    result = bed.probe(bed.smtp, Target(service="smtp/inet", host="::1", port=str(port)))
    assert [one.stage for one in result.probed] == ["", ""]
    assert b"Received: from [IPv6:::1]" in result.probed[1].header


def can_bind(address: str) -> bool:
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET6) as one:
        one.bind((address, 0))
        return True
    return False


@pytest.fixture(params=["PLAIN", "LOGIN"])
def with_login(request, probed):
    """A Postfix that takes mail after AUTH, and a file of credentials."""
    bed = probed({"smtpd_sasl_type": "dovecot", "smtpd_sasl_path": "private/auth-of-test"})
    postfix = bed.postfix
    socket_name = postfix.directory / "queue" / "private" / "auth-of-test"
    server = AuthServer(socket_name, "probe", "pass word", (request.param,))
    file = bed.spool / "credentials"
    file.write_text("probe:pass word\n")
    os.chown(file, 65534, 65534)
    file.chmod(0o600)
    yield bed, server, request.param, file
    server.close()


def submissions(bed) -> tuple[Target, Target]:
    host = bed.postfix.address
    return (
        Target(service="submission/inet", host=host, port="587", login=True),
        Target(service="submissions/inet", host=host, port="465", direct=True, login=True),
    )


def test_submission_after_a_login(with_login):
    bed, server, method, file = with_login
    result = bed.probe(*submissions(bed), credentials=str(file))
    assert [(one.stage, one.problem) for one in result.probed] == [("", "")] * 2
    assert server.asked == [method] * 2
    hop = lowest(result.probed[0])
    hidden = hop.verdict is Verdict.HIDDEN  # as master.cf of Postfix 3.10 has it for submission
    assert hidden == ("smtpd_hide_client_session=yes" in bed.postfix.master_cf.read_text())
    assert hop.protocol == ("" if hidden else "ESMTPSA")
    names = [read_session(one.lines, direct=True)[0] for one in result.probed]
    assert names == ["postfix/submission/smtpd", "postfix/submissions/smtpd"]
    assert b"pass word" not in b"".join(one.lines + one.header for one in result.probed)


def test_a_wrong_password_is_told_without_it(with_login):
    bed, _, _, file = with_login
    file.write_text("probe:wrong word\n")
    one = bed.probe(*submissions(bed), credentials=str(file)).probed[0]
    assert (one.stage, one.code) == ("AUTH", 535)
    assert "wrong word" not in repr(one)


def test_without_credentials_a_login_is_not_tried(plain):
    result = plain.probe(*submissions(plain), plain.smtp)
    assert [one.stage for one in result.probed] == ["AUTH", "AUTH", ""]
    assert "credentials" in result.probed[0].problem


def test_a_full_disk_is_mail_that_does_not_come(probed):
    bed = probed()
    mount = ["/usr/bin/mount", "-t", "tmpfs", "-o", "size=4k,mode=1777", "none", str(bed.spool)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("no file system can be mounted here")
    try:
        (bed.spool / "filler").write_bytes(b"x" * 4096)
        one = bed.one(seconds=1.5)
        assert (one.stage, one.problem) == (
            "delivery",
            "it was taken, and is not in the mailbox after 1.5 s",
        )
    finally:
        subprocess.run(["/usr/bin/umount", "-l", str(bed.spool)], check=True)


def test_a_hidden_session_says_nothing_of_tls_and_nothing_false(plain):
    if parse_version(plain.postfix.postconf("-dh", "mail_version").strip()) < (3, 10):
        pytest.skip("smtpd_hide_client_session came with Postfix 3.10")
    plain.set({"smtpd_hide_client_session": "yes"})
    one = plain.one()
    assert one.stage == ""
    assert lowest(one).verdict is Verdict.HIDDEN
    assert read_session(one.lines)[1].cipher == one.cipher
