"""A message to itself and samples of mail, as packaged: by the clock, in the monitor's sandbox.

One boot of each Debian serves all tests here, in their order; each leaves behind a server
that is guarded, probed, and of which all three witnesses agree. Where README.Debian tells
how a host that is set up otherwise is probed, that is done here to the letter.
"""

from __future__ import annotations

import contextlib
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

import auth_server
import booted_debian as bed
from installed_server import SIDES

pytestmark = pytest.mark.system

README = Path(__file__).resolve().parents[2] / "packaging/debian/postkeel.README.Debian"
CONFIGURATION = "/etc/postkeel/conf.d/headers.toml"
AUDIT = "/etc/postkeel/conf.d/audit.toml"
SECTION = "[plugins.header_checker]"
HOURLY = "probe_every = 3600"
MAILBOX = "/var/mail/_postkeel"
MAILDIR = "/var/lib/postkeel/monitor/Maildir/"
SESSION = "TLSv1.3 with TLS_AES_256_GCM_SHA384"
PATIENCE = 120.0
"""Seconds: two probes are a minute apart, whatever asks for them."""

# Writes messages that a group may read, as Dovecot does in a mailbox that it may; and hands
# one in by TLS for each word that it is given.
DELIVER = """\
#!/bin/sh
umask 027
cat >/home/alice/Maildir/tmp/$$ && mv /home/alice/Maildir/tmp/$$ /home/alice/Maildir/new/$$
"""
SEND = """\
import smtplib, ssl, sys
with smtplib.SMTP("127.0.0.1", 25, "client.example", 20) as session:
    if "tls" in sys.argv:
        session.starttls(context=ssl._create_unverified_context())
    text = "Subject: of-nobody's-concern\\n\\nof-nobody's-concern\\n"
    session.sendmail("bob@example.test", ["alice@mx.example.test"], text)
"""

# Lets one user in, whom smtpd asks for.
LET_IN = """\
import pathlib, signal, sys
sys.path.insert(0, "/root")
from auth_server import AuthServer
from systemd import daemon
served = AuthServer(pathlib.Path("/var/spool/postfix/private/auth"), "probe", "secret", ("PLAIN",))
daemon.notify("READY=1")
signal.pause()
"""


class Probed:
    """A server that sends messages to itself, and what came of them."""

    def __init__(self, server):
        self.server = server
        self.run = server.run

    def configure(self, *lines, mode="enforce", act="reload"):
        """Say this in the configuration, and have both sides take it up."""
        self.server.debian.write(CONFIGURATION, "\n".join([SECTION, HOURLY, *lines, ""]))
        self.server.debian.write(AUDIT, f'mode = "{mode}"\n')
        self.run("systemctl", act, *(SIDES if act == "restart" else ("postkeel",)))

    def is_corrected(self):
        """What was only told until now."""
        mark = datetime.now(UTC)
        self.configure()
        self.server.reported("fixed", mark)

    def set(self, *parameters):
        """Settings of Postfix, in every process of it."""
        self.run("postconf", "-e", *parameters)
        self.run("systemctl", "restart", "postfix")

    @contextlib.contextmanager
    def while_set(self, *parameters):
        """Parameters of Postfix that main.cf has from now to the end."""
        self.set(*parameters)
        try:
            yield
        finally:
            self.run("postconf", "-X", *(one.partition("=")[0] for one in parameters))
            self.run("systemctl", "restart", "postfix")

    def shown(self):
        """What `postkeel headers` says without a file; {} where there is nothing to be said."""
        said = self.run("postkeel", "headers", "--format", "json", may_fail=True)
        return json.loads(said) if said else {}

    def probe(self, asked=None):
        """What the next probe came to, which the monitor makes soon after its start."""
        before, mark = self.shown().get("last_probes"), datetime.now(UTC).replace(microsecond=0)
        (asked or self._restart)()
        found = []

        def is_there():
            found[:] = self.shown().get("last_probes", ())
            return found and found != before and datetime.fromisoformat(found[0]["time"]) >= mark

        self.server.until(is_there, PATIENCE)
        return found[0]

    def _restart(self):
        self.run("systemctl", "restart", "postkeel-monitor")

    def agrees(self, asked=None):
        """The next probe, which came by all ways, as all three say."""
        probe = self.probe(asked)
        for one in probe["targets"]:
            told = {one["handshake"], one["header"], one["log"]}
            assert (one["ok"], one["outcome"], told) == (True, "agree", {SESSION}), one
        assert probe["problem"] == ""
        assert probe["left"] == 0
        self.server.until(lambda: not self.stand())
        return probe

    def last(self):
        (instance,) = json.loads(self.run("postkeel", "status", "--format", "json"))["instances"]
        return instance["last"]

    def stand(self):
        """What stands after the last probe."""
        return [one for one in self.last()["alarms"] if "witnesses" in one or "probe" in one]

    def finding(self, rule, since):
        """What the reports since then say of it."""
        found = []

        def is_told():
            reports = self.server.reports_since(since)
            found[:] = [
                one for report in reports for one in report["judged"] if one["rule"] == rule
            ]
            return bool(found)

        self.server.until(is_told, otherwise=f"no report says {rule}")
        return found[-1]

    def is_empty(self, mailbox=MAILBOX):
        words = ("find", mailbox, "-type", "f", "-size", "+0")
        return self.run(*words, may_fail=True) == ""

    def complaints(self, since):
        """What the monitor told the journal since then that is no ordinary line."""
        match = ("_SYSTEMD_UNIT=postkeel-monitor.service", "--priority=warning")
        words = (*match, f"--since=@{int(since.timestamp())}")
        return self.run("journalctl", "--quiet", "--output=cat", *words, may_fail=True)


@pytest.fixture(scope="module", params=bed.SUITES)
def server(request, boot_server, package):
    with boot_server(request.param) as booted:
        booted.install(package)
        booted.prove()
        yield booted


@pytest.fixture(scope="module")
def probed(server):
    return Probed(server)


def example(*lines):
    """These lines, which README.Debian has to have, each as an example."""
    said = {one.strip() for one in README.read_text().splitlines() if one.startswith("    ")}
    assert said.issuperset(lines)
    return lines


def test_unless_it_is_asked_for_nothing_is_sent(probed):
    log = probed.run("cat", "/var/log/mail.log")
    assert "to=<alice@" in log
    assert "to=<_postkeel@" not in log
    assert probed.run("ls", "/var/mail") == "alice\n"
    assert probed.shown() == {}


def test_by_the_clock_a_message_comes_back_and_three_witnesses_agree(probed, note):
    mark = datetime.now(UTC)
    example(SECTION, HOURLY)
    probe = probed.agrees(probed.configure)
    assert {one["target"] for one in probe["targets"]} == {
        "smtp/inet on 127.0.0.1:25",
        "smtp/inet on [::1]:25",
    }
    note(probed.server.suite, "probe to verdict, the slowest target", probe["seconds"])
    log = probed.run("cat", "/var/log/mail.log")
    assert log.count("to=<_postkeel@mx.example.test>") == len(probe["targets"])
    assert probed.run("stat", "--format=%U %a %s", MAILBOX) == "_postkeel 600 0\n"
    assert probed.complaints(mark) == ""


def test_after_a_correction_it_looks_again(probed):
    probed.agrees(lambda: probed.server.corrects(probed.server.weaken))


def test_a_header_that_keeps_silent_is_told_and_corrected(probed):
    mark = datetime.now(UTC)
    probed.configure(mode="audit")
    probed.set("smtpd_tls_received_header=no")
    probe = probed.probe()
    assert {one["outcome"] for one in probe["targets"]} == {"silent"}
    told = probed.finding("witnesses-disagree", mark)
    assert (told["severity"], told["depth"]) == ("warning", "observed")
    assert told["parameter"] == "smtpd_tls_received_header"
    assert f"handshake: {SESSION}; header: TLS, and not which; log: {SESSION}" in told["effective"]

    probed.is_corrected()
    assert probed.server.value("smtpd_tls_received_header") == "yes"
    probed.agrees()


def test_a_log_that_keeps_silent_is_told_and_corrected(probed):
    probed.configure(mode="audit")
    probed.set("smtpd_tls_loglevel=0")
    probe = probed.probe()
    assert {one["outcome"] for one in probe["targets"]} == {"silent"}
    probed.server.until(probed.stand)  # no drift but a remark, which the history does not keep
    (told,) = probed.stand()
    assert f"header: {SESSION}; log: TLS, and not which" in told
    probed.is_corrected()
    probed.agrees()


def test_a_postfix_that_does_not_run_is_told(probed):
    mark = datetime.now(UTC)
    probed.run("systemctl", "stop", "postfix")
    probe = probed.probe()
    assert {one["stage"] for one in probe["targets"]} == {"connection"}
    assert probed.finding("probe-refused", mark)["severity"] == "error"
    probed.run("systemctl", "start", "postfix")
    probed.agrees()


def test_one_that_comes_later_is_told_and_removed(probed):
    mark = datetime.now(UTC)
    with probed.while_set("defer_transports=local"):
        probe = probed.probe()
        assert {one["outcome"] for one in probe["targets"]} == {"not delivered"}
        assert probed.finding("probe-not-delivered", mark)["severity"] == "warning"
    probed.run("postqueue", "-f")
    probed.server.until(lambda: not probed.is_empty())
    assert len(probed.probe()["late"]) == len(probe["targets"])
    assert probed.is_empty()
    probed.agrees()


def test_mail_of_others_stays(probed):
    probed.run("sendmail", "-i", "_postkeel", fed="Subject: to whom it concerns\n\nhello\n")
    probed.server.until(lambda: not probed.is_empty())
    assert probed.probe()["others"] == 1
    assert b"to whom it concerns" in probed.server.debian.read(MAILBOX)
    probed.run("truncate", "--size=0", MAILBOX)
    probed.agrees()


def test_root_may_ask_for_one_and_others_are_told_why_not(probed):
    said = json.loads(probed.run("postkeel", "headers", "--probe", "--format", "json"))
    assert SESSION in json.dumps(said)
    assert "agree" in probed.run("postkeel", "headers", "--probe")
    assert probed.is_empty()
    words = ("runuser", "-u", "alice", "--", "sh", "-c", "postkeel headers --probe 2>&1; echo $?")
    *said, status = probed.run(*words).splitlines()
    assert status == "1"
    assert " ".join(said) == (
        "postkeel: a probe comes into the mailbox of the monitor's user: make it as root"
    )
    assert probed.is_empty()


def test_a_maildir_for_everybody_is_the_monitor_s_own(probed):
    with probed.while_set("home_mailbox=Maildir/"):
        probed.agrees()
        assert probed.run("ls", MAILDIR).split() == ["cur", "new", "tmp"]
        assert probed.is_empty(MAILDIR)


def test_where_another_program_fills_mailboxes(probed):
    (forward,) = example(f"echo {MAILDIR} >/var/lib/postkeel/home/.forward")
    mark = datetime.now(UTC)
    with probed.while_set("mailbox_transport=error:it goes elsewhere"):
        probed.configure()
        assert "mailbox_transport" in probed.finding("probe-mailbox", mark)["why"]
        probed.run("sh", "-c", forward)
        probed.agrees(lambda: probed.configure(*example(f'probe_mailbox = "{MAILDIR}"')))
        assert probed.is_empty(MAILDIR)
        probed.run("rm", "/var/lib/postkeel/home/.forward")


def test_where_all_domains_are_virtual(probed):
    table, entry = "/etc/postfix/probe", "_postkeel@example.org local:"
    lines = example(
        entry, 'probe_address = "_postkeel@example.org"', f'probe_mailbox = "{MAILBOX}"'
    )
    probed.server.debian.write(table, f"{entry}\n")
    before = probed.server.value("mydestination")
    settings = (
        "virtual_mailbox_domains=example.org",
        "virtual_transport=error:it goes elsewhere",
        f"virtual_mailbox_maps=inline:{{bob@example.org=bob}} texthash:{table}",
        f"transport_maps=texthash:{table}",
    )
    with probed.while_set(*settings):
        probed.set("mydestination=")
        probed.agrees(lambda: probed.configure(*lines[1:]))
        assert probed.is_empty()
        probed.set(f"mydestination={before}")
    probed.agrees(probed.configure)


def test_ports_that_want_a_login_are_tried_where_they_are_given_one(probed):
    file = "/etc/postkeel/probe-credentials"
    install, option = example(
        f"install -m 0640 -g _postkeel /dev/null {file}", f'credentials = "{file}"'
    )
    run = probed.run
    probed.server.debian.take(Path(auth_server.__file__), "/root/auth_server.py")
    listening = ("--quiet", "--service-type=notify", "--unit=let-in", "python3", "-c", LET_IN)
    run("systemd-run", *listening)
    for name, level in (
        ("submission", "smtpd_tls_security_level=encrypt"),
        ("submissions", "smtpd_tls_wrappermode=yes"),
    ):
        run("postconf", "-M", f"{name}/inet={name} inet n - y - - smtpd")
        run("postconf", "-P", f"{name}/inet/{level}", f"{name}/inet/smtpd_sasl_auth_enable=yes")
    run("sh", "-c", f"{install} && echo probe:secret >{file}")
    with probed.while_set("smtpd_sasl_type=dovecot", "smtpd_sasl_path=private/auth"):
        assert len(probed.agrees(lambda: probed.configure(option))["targets"]) == 6

        mark = datetime.now(UTC)
        run("chmod", "o+r", file)
        targets = probed.probe()["targets"]
        assert [one["target"].split()[0] for one in targets if one["ok"]] == ["smtp/inet"] * 2
        assert f"chmod o= {file}" in probed.finding("probe-refused", mark)["why"]
        run("postconf", "-MX", "submission/inet", "submissions/inet")
        run("systemctl", "stop", "let-in")
    probed.agrees(probed.configure)


def test_a_maildir_below_home_is_sampled_where_it_is_let_in(probed):
    (named, *drop_in) = example(
        "BindReadOnlyPaths=/home/alice/Maildir", "[Service]", "ProtectHome=tmpfs"
    )
    run, debian = probed.run, probed.server.debian
    debian.write("/usr/local/bin/deliver", DELIVER, mode=0o755)
    debian.write("/root/send.py", SEND)
    debian.write("/home/alice/.forward", '"|/usr/local/bin/deliver"\n')
    run(
        "sh",
        "-c",
        "mkdir -p /home/alice/Maildir/cur /home/alice/Maildir/new /home/alice/Maildir/tmp",
    )
    run(
        "sh", "-c", "chown -R alice:_postkeel /home/alice/Maildir; chown alice /home/alice/.forward"
    )
    run("sh", "-c", "chmod -R 2750 /home/alice/Maildir")
    unit = "/etc/systemd/system/postkeel-monitor.service.d/samples.conf"
    debian.write(unit, "\n".join([*drop_in, named, ""]))
    run("systemctl", "daemon-reload")
    mark = datetime.now(UTC)
    probed.configure('mailboxes = ["/home/alice/Maildir/"]', act="restart")

    def followed():
        return any("samples /home/alice/Maildir/" in one for one in probed.last()["followed"])

    def sampled():
        return {one["verdict"]: one["messages"] for one in probed.shown().get("sampled", ())}

    probed.server.until(followed)
    for words in (("tls",), ("tls",), ()):
        run("python3", "/root/send.py", *words)
    probed.server.until(lambda: sampled() == {"encrypted": 2, "local": 1})
    assert probed.complaints(mark) == ""
    kept = run(
        "sh", "-c", "cat /var/lib/postkeel/monitor/*.sqlite* | grep -c concern", may_fail=True
    )
    assert kept == "0\n"
