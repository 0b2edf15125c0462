"""The local syslog: a real datagram socket, and a real journald."""

import contextlib
import json
import os
import socket
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

import private_journal as bed
from postkeel.cards import options_of
from postkeel.contract import (
    Depth,
    Event,
    EventKind,
    Finding,
    Judged,
    Outcome,
    Plan,
    Report,
    Severity,
)
from postkeel.core.configuration import Configuration
from postkeel.core.errors import ConfigurationError
from postkeel.reporting.cee import cee
from postkeel.reporting.fields import message_of
from postkeel.reporting.sentence import sentence
from postkeel_plugins.reporters import syslog

NOW = datetime(2026, 11, 23, 1, 0, tzinfo=UTC)


def judged(outcome, **more):
    values = {
        "rule": "smtpd-protocols",
        "severity": Severity.ERROR,
        "depth": Depth.DECLARED,
        "parameter": "smtpd_tls_protocols",
        "where": "main.cf:27",
        "effective": "TLSv1",
        "wanted": ">=TLSv1.2",
        "why": "TLS 1.0 is broken",
    }
    return Judged(finding=Finding(**(values | more)), outcome=outcome)


def report(*findings, kind=EventKind.PATHS_CHANGED, **more):
    return Report(
        instance="/etc/postfix",
        event=Event(kind=kind, instance="/etc/postfix", time=NOW),
        outcome=findings[0].outcome if findings else Outcome.CLEAN,
        judged=findings,
        plan=Plan(),
        seconds=0.1,
        **more,
    )


@pytest.fixture
def log(tmp_path):
    """What the host's syslog is to a program: a datagram socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "log"))
        listening.settimeout(0.1)
        yield listening


def options(place, **more):
    defaults = {one.name: one.default for one in syslog.keel_card().options}
    return defaults | {"socket": str(place), **more}


def test_sends_one_datagram_a_report(log, tmp_path):
    told = report(judged(Outcome.FIXED), judged(Outcome.FIXED, rule="other"))
    syslog.keel_deliver(told, options(tmp_path / "log", facility="daemon"))
    expected = f"<29>postkeel[{os.getpid()}]: {sentence(told)}"
    assert log.recv(4096).decode() == expected
    with pytest.raises(TimeoutError):
        log.recv(4096)


def test_severities_are_chosen(log, tmp_path):
    chosen = options(tmp_path / "log", severities=("fixed=info", "heartbeat=debug"))
    syslog.keel_deliver(report(judged(Outcome.FIXED)), chosen)
    assert log.recv(4096).startswith(b"<22>postkeel[")


def test_all_fields_as_json(log, tmp_path):
    told = report(judged(Outcome.AUDITED, effective='x"} \n\x1b]'))
    syslog.keel_deliver(told, options(tmp_path / "log", cee=True))
    shown = log.recv(4096).decode()
    head, _, document = shown.partition(": @cee: ")
    assert head == f"<20>postkeel[{os.getpid()}]"
    values = json.loads(document)
    assert values.pop("msg") == sentence(told)
    assert values == dict(message_of(told).fields)
    assert values["effective"] == 'x"} \\n\\x1b]'


BY_ITSELF = {"heartbeat": EventKind.HEARTBEAT, "digest": EventKind.DIGEST}


@pytest.mark.parametrize("kind", BY_ITSELF.values(), ids=BY_ITSELF)
def test_what_the_agent_says_by_itself_is_sent(log, tmp_path, kind):
    told = report(kind=kind, told=(("guarded", "yes"),))
    syslog.keel_deliver(told, options(tmp_path / "log"))
    assert log.recv(4096).startswith(b"<22>postkeel[")


QUIET = {
    "clean timer": (report(kind=EventKind.TIMER), False),
    "waived timer": (report(judged(Outcome.WAIVED), kind=EventKind.TIMER), False),
    "timer with a problem": (report(kind=EventKind.TIMER, problems=("x",)), True),
    "timer that ends an alarm": (report(kind=EventKind.TIMER, proof=("x is over",)), True),
    "timer with a drift": (report(judged(Outcome.HELD), kind=EventKind.TIMER), True),
    "started": (report(kind=EventKind.STARTED), True),
}


@pytest.mark.parametrize(("told", "heard"), QUIET.values(), ids=QUIET)
def test_a_timer_that_found_nothing_is_silent(log, tmp_path, told, heard):
    syslog.keel_deliver(told, options(tmp_path / "log"))
    log.setblocking(False)
    try:
        assert bool(log.recv(4096)) is heard
    except BlockingIOError:
        assert not heard


def test_no_syslog_is_an_error_for_the_caller_to_try_again(tmp_path):
    with pytest.raises(FileNotFoundError):
        syslog.keel_deliver(report(), options(tmp_path / "log"))


def deliver_many(options):
    for _ in range(10_000):
        syslog.keel_deliver(report(), options)


def test_a_syslog_that_hangs_is_given_up_in_time(log, tmp_path, monkeypatch):
    monkeypatch.setattr(syslog, "_PATIENCE", 0.05)
    with pytest.raises(TimeoutError):
        deliver_many(options(tmp_path / "log"))


texts = st.text(st.characters(), max_size=3000)


@given(texts, texts, st.booleans())
def test_every_line_is_one_line_that_fits(effective, cause, as_json):
    told = report(judged(Outcome.FIXED, effective=effective, parameter=cause), cause=cause)
    _, octets = syslog.datagram(told, options("/nowhere", cee=as_json), 4194304)
    assert len(octets) <= 2048
    assert octets.decode().isprintable()


WRONG = {
    "facility": ("mial", r"option 'facility' must be one of: user, mail"),
    "severities": (["fixed=quiet"], r"option 'severities' gives fixed 'quiet'; severities are"),
}


@pytest.mark.parametrize(("name", "value", "message"), [(k, *v) for k, v in WRONG.items()])
def test_a_wrong_option_is_an_error_of_the_configuration(name, value, message):
    configuration = Configuration(plugins={"syslog": {name: value}})
    with pytest.raises(ConfigurationError, match=message):
        options_of(syslog.keel_card(), configuration)


# journald ---------------------------------------------------------------------------------


def test_journald_is_known_by_its_socket(tmp_path):
    room = tmp_path / "systemd/journal"
    room.mkdir(parents=True)
    for name in ("dev-log", "socket", "other"):
        (room / name).touch()
    (tmp_path / "log").symlink_to(room / "dev-log")
    (tmp_path / "beside").symlink_to("systemd/journal/dev-log")
    (tmp_path / "rsyslog").symlink_to(room / "other")
    assert syslog.native_socket(str(tmp_path / "log")) == str(room / "socket")
    assert syslog.native_socket(str(tmp_path / "beside")) == str(room / "socket")
    assert syslog.native_socket(str(room / "dev-log")) == str(room / "socket")
    assert syslog.native_socket(str(tmp_path / "rsyslog")) == ""
    assert syslog.native_socket(str(tmp_path / "nothing")) == ""
    (room / "socket").unlink()
    assert syslog.native_socket(str(tmp_path / "log")) == ""


@pytest.fixture
def journald():
    reason = bed.why_not()
    if reason and os.environ.get("CI") == "true":
        pytest.fail(reason)
    if reason:
        pytest.skip(reason)
    with contextlib.ExitStack() as stack:
        yield stack.enter_context(bed.private_journal())


def entries_of(journald):
    """Ours, each with its fields as texts."""
    journald.sync()
    shown = journald.run("journalctl", "--output=json", "SYSLOG_IDENTIFIER=postkeel", "--all")
    return [json.loads(one) for one in shown.splitlines()]


SENT = {
    "a heartbeat": report(kind=EventKind.HEARTBEAT, told=(("guarded", "no"), ("every", "60"))),
    "two findings": report(
        judged(Outcome.FAILED, effective="é" * 90, service="smtp/inet"),
        judged(Outcome.AUDITED, depth=Depth.OBSERVED, why="Seen twice"),
        cause="main.cf changed",
        problems=("disk full",),
    ),
    "what strangers wrote": report(
        judged(Outcome.AUDITED, effective="x\nPOSTKEEL_OUTCOME=clean\n\x1b[2J\udcff=\ufeff"),
        cause="\nMESSAGE=forged\n_UID=0",
    ),
    "more than fits": report(
        *[judged(Outcome.FAILED, rule=f"rule-{one}", effective="x" * 900) for one in range(40)]
    ),
}


@pytest.mark.parametrize("as_json", [False, True], ids=["sentence", "cee"])
def test_every_field_is_a_field_of_the_journal(journald, tmp_path, as_json):
    (tmp_path / "log").symlink_to(journald.root / "run/systemd/journal/dev-log")
    chosen = options(tmp_path / "log", facility="local3", cee=as_json)
    for told in SENT.values():
        syslog.keel_deliver(told, chosen)
    entries = entries_of(journald)
    assert len(entries) == len(SENT)
    for told, entry in zip(SENT.values(), entries, strict=True):
        message = message_of(told)
        assert entry["MESSAGE"] == (cee(message, (), 2000) if as_json else message.text)
        assert entry["PRIORITY"] == str(message.severity)
        assert entry["SYSLOG_FACILITY"] == "19"
        assert entry["SYSLOG_PID"] == entry["_PID"] == str(os.getpid())
        assert entry["_UID"] == str(os.getuid())
        assert entry["_TRANSPORT"] == "journal"
        ours = {name: value for name, value in entry.items() if name.startswith("POSTKEEL_")}
        fields = {f"POSTKEEL_{name.upper()}": value for name, value in message.fields}
        cut = ours.pop("POSTKEEL_CUT", "")
        fields.pop("POSTKEEL_CUT", "")
        assert ours.items() <= fields.items() if cut else ours == fields
    assert [bool(one.get("POSTKEEL_CUT")) for one in entries] == [False, False, False, True]


def test_journalctl_finds_reports_by_field(journald, tmp_path):
    (tmp_path / "log").symlink_to(journald.root / "run/systemd/journal/dev-log")
    for rule in ("smtpd-protocols", "smtpd-ciphers"):
        syslog.keel_deliver(report(judged(Outcome.FIXED, rule=rule)), options(tmp_path / "log"))
    journald.sync()
    shown = journald.run("journalctl", "--output=cat", "POSTKEEL_RULE=smtpd-ciphers").decode()
    assert shown.count("\n") == 1
    assert "smtpd-ciphers" in shown


def test_journald_forwards_entries_to_a_syslog_as_it_does_lines(journald, tmp_path):
    (tmp_path / "log").symlink_to(journald.root / "run/systemd/journal/dev-log")
    journald.stop()
    journald.configure("ForwardToSyslog=yes")
    told = report(judged(Outcome.FIXED), cause="main.cf changed")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as forwarded:
        forwarded.bind(str(journald.root / "run/systemd/journal/syslog"))
        forwarded.settimeout(30)
        journald.start()
        syslog.keel_deliver(told, options(tmp_path / "log", facility="local3"))
        lines = iter(lambda: forwarded.recv(8192).decode(), "")
        line = next(one for one in lines if "postkeel[" in one)
    assert line.startswith("<157>")  # local3, notice
    assert line.endswith(f" postkeel[{os.getpid()}]: {sentence(told)}")
