"""Scripts of log lines and timers, and the alarms that stand after them.

State and rows go through the agent's own store between two events, as they do in
the agent.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from postkeel.conformance import broken_promises
from postkeel.contract import (
    Absent,
    CheckNow,
    Depth,
    Event,
    EventKind,
    Finding,
    LogBatch,
    Need,
    Records,
    Severity,
    Side,
)
from postkeel.core.profile import Profile, ProfileRule, VersionRange
from postkeel.maillog.stored import from_rows
from postkeel.maillog.tables import TABLES
from postkeel.postfix.instance import Role
from postkeel.shell.records import RecordStore
from postkeel_plugins import tls_log_monitor
from postkeel_plugins.tls_log_monitor.memory import MOST_ACQUITTED, MOST_ALARMS, MOST_SUSPECTS
from postkeel_plugins.tls_log_monitor.rates import MOST_CAUSES, Rates
from postkeel_plugins.tls_log_monitor.rules import RULES

DIRECTORY = "/etc/postfix"
NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
DEFAULTS = {one.name: one.default for one in tls_log_monitor.keel_card().options}
LOGGED = "smtpd_tls_loglevel = 1\nsmtp_tls_loglevel = 1\n"
DEBIAN = """\
smtp        inet n - n - - smtpd
submission  inet n - n - - smtpd
  -o syslog_name=postfix/$service_name
  -o smtpd_tls_security_level=encrypt
465         inet n - n - - smtpd
  -o syslog_name=postfix/submissions
466         inet n - n - - smtpd
  -o syslog_name=postfix/submissions
10587       inet n - n - - smtpd
  -o syslog_name=postfix/${user}/relay
smtp        unix - - n - - smtp
lmtp        unix - - n - - lmtp
"""
TLS13 = "TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits)"
TLS10 = "TLSv1 with cipher ECDHE-RSA-AES256-SHA (256/256 bits)"


class Monitor:
    """The plugin, a store, and a clock that the script moves."""

    def __init__(self, directory, instance=None, profile=None, **options):
        self.store = RecordStore(str(directory))
        self.known = {"postfix": instance, "profile": profile, "secret": b"k" * 32}
        self.options = DEFAULTS | options
        self.facts = {}
        self.checks = []
        self.records = None

    def state(self):
        return self.store.kept("tls_log_monitor", DIRECTORY).state

    def statistics(self):
        tables = {one.name: one for one in TABLES}
        return from_rows(lambda name: self.store.rows("tls_log_monitor", tables[name]))

    def _gather(self):
        needs = tls_log_monitor.keel_interests(DIRECTORY, self.options, self.facts).needs
        self.facts = {need: self._fact(need) for need in needs}

    def _fact(self, need):
        if need.kind == "state":
            return self.state()
        if need.kind == "records":
            name, _, value = need.subject.partition(" ")
            table = next(one for one in TABLES if one.name == name)
            return tuple(self.store.rows("tls_log_monitor", table, where=value))
        fact = self.known[need.kind]
        return Absent(reason="not known here") if fact is None else fact

    def observe(self, kind, time, batch=None):
        self._gather()
        event = Event(kind=kind, instance=DIRECTORY, time=time, batch=batch)
        found = tls_log_monitor.keel_observe(event, DIRECTORY, self.facts, self.options)
        assert tuple(found) == tuple(
            tls_log_monitor.keel_observe(event, DIRECTORY, self.facts, self.options)
        )
        self.records = next((one for one in found if isinstance(one, Records)), None)
        if self.records is not None:
            self.store.commit("tls_log_monitor", DIRECTORY, TABLES, self.records, now=time)
        self.checks = [one for one in found if isinstance(one, CheckNow)]
        return [one for one in found if isinstance(one, Finding)]

    def lines(self, time, *messages, now=None, proven=True, lost=()):
        """One batch: messages "smtpd: ..." at a time; each gets a process of its own name."""
        text = "".join(f"{time.isoformat()} mx postfix/{one}\n" for one in messages)
        batch = LogBatch(
            source="journal" if proven else "/var/log/mail.log",
            text=text.encode(),
            proven=proven,
            lost=lost,
        )
        return self.observe(EventKind.LOG_LINES, now or time, batch)

    def timer(self, time):
        return self.observe(EventKind.TIMER, time)


@pytest.fixture
def monitor(tmp_path, make_instance):
    made = []

    def make(
        main_cf=LOGGED,
        *,
        instance=True,
        profile=None,
        suites=False,
        policies=None,
        master_cf=None,
        **more,
    ):
        known = None
        if instance:
            files = (main_cf, master_cf) if master_cf else (main_cf,)
            known = make_instance(*files, suites=suites, policies=policies)
        made.append(Monitor(tmp_path, known, profile, **more))
        return made[-1]

    yield make
    for one in made:
        one.store.close()


def summary(peer="mx.example.com", agreed=TLS13, program="smtpd[7]", to="established from"):
    return f"{program}: Anonymous TLS connection {to} {peer}[192.0.2.1]: {agreed}"


def tls_session(peer="mx.example.com", agreed=TLS13):
    return (
        f"smtpd[7]: connect from {peer}[192.0.2.1]",
        summary(peer, agreed),
        f"smtpd[7]: disconnect from {peer}[192.0.2.1] ehlo=2 starttls=1 mail=1 data=1 commands=5",
    )


def clear_session(peer="mx.example.com"):
    return (
        f"smtpd[8]: connect from {peer}[192.0.2.1]",
        f"smtpd[8]: disconnect from {peer}[192.0.2.1] ehlo=1 mail=1 data=1 commands=3",
    )


def failure(reason="unsupported protocol", process=9):
    return (
        f"smtpd[{process}]: connect from a.example.net[192.0.2.9]",
        f"smtpd[{process}]: SSL_accept error from a.example.net[192.0.2.9]: -1",
        (
            f"smtpd[{process}]: warning: TLS library problem: error:0A000102:SSL routines::{reason}"
            ":../ssl/statem/statem_srvr.c:1664:"
        ),
    )


def rules(findings):
    return [one.rule for one in findings]


# The card, and what wakes it.


def test_the_card():
    card = tls_log_monitor.keel_card()
    assert (card.name, card.side, card.tables) == ("tls_log_monitor", Side.MONITOR, TABLES)
    assert all(one.why and one.references for one in card.rules)
    assert len({one.id for one in card.rules}) == len(card.rules) == len(RULES)


def test_it_keeps_the_contract():
    assert broken_promises(tls_log_monitor, "tls_log_monitor") == []


# Alarms of single lines.

DISABLED = [
    ("smtpd[5]: warning: No server certs available. TLS won't be enabled", "smtpd_tls_chain_files"),
    (
        "smtpd[5]: warning: error opening chain file: /etc/x.pem: No such file or directory",
        "smtpd_tls_chain_files",
    ),
    (
        (
            'tlsproxy[5]: warning: cannot get RSA certificate from file "/etc/x.pem":'
            " disabling TLS support"
        ),
        "smtpd_tls_chain_files",
    ),
    (
        'smtpd[5]: warning: Invalid TLS protocol list ">=TLSv1.2": disabling TLS support',
        "smtpd_tls_protocols",
    ),
    (
        (
            'smtp[5]: warning: mx.example.com[192.0.2.1]:25: Invalid TLS protocol list "x":'
            " aborting TLS session"
        ),
        "smtp_tls_protocols",
    ),
]


@pytest.mark.parametrize(("message", "parameter"), DISABLED)
def test_tls_disabled_is_an_error_at_once_and_asks_for_a_check(monitor, message, parameter):
    one = monitor()
    (finding,) = one.lines(NOON, message)
    assert (finding.rule, finding.severity) == ("tls-disabled", Severity.ERROR)
    assert (finding.depth, finding.where, finding.parameter) == (
        Depth.OBSERVED,
        "default",
        parameter,
    )
    assert "journald vouches" in finding.why
    assert len(one.checks) == 1
    assert finding.effective in one.checks[0].reason


def test_an_alarm_is_one_however_often_it_has_a_cause(monitor):
    one = monitor()
    first = one.lines(NOON, DISABLED[0][0])
    second = one.lines(NOON + timedelta(minutes=9), DISABLED[0][0], DISABLED[0][0])
    assert one.checks == []
    assert [found.subject for found in first] == [found.subject for found in second]
    assert first[0].effective == second[0].effective
    assert "Seen once" in first[0].why
    assert "Seen 3 times" in second[0].why


def test_an_alarm_stands_for_the_window_after_its_last_cause(monitor):
    one = monitor()
    one.lines(NOON, DISABLED[0][0])
    one.lines(NOON + timedelta(minutes=30), DISABLED[0][0])
    assert rules(one.timer(NOON + timedelta(minutes=90))) == ["tls-disabled"]
    assert one.timer(NOON + timedelta(minutes=90, seconds=1)) == []
    assert one.state()["alarms"] == []
    one.lines(NOON + timedelta(hours=3), DISABLED[0][0])
    assert len(one.checks) == 1


def test_the_window_is_an_option(monitor):
    one = monitor(alarm_hours=2)
    one.lines(NOON, DISABLED[0][0])
    assert one.timer(NOON + timedelta(minutes=119)) != []
    assert one.timer(NOON + timedelta(minutes=121)) == []


@pytest.mark.parametrize("minutes", [61, 180])
def test_old_lines_are_counted_and_raise_no_alarm(monitor, minutes):
    one = monitor()
    old = NOON - timedelta(minutes=minutes)
    messages = (
        DISABLED[0][0],
        "smtp[6]: certificate verification failed for x.example.com[192.0.2.1]:25: expired",
        *clear_session(),
        *(message for process in range(20) for message in failure(process=process)),
        "smtpd[11]: connect from q.example.com[192.0.2.1]",
        "smtpd[11]: disconnect from q.example.com[192.0.2.1] ehlo=2 starttls=1 mail=1 commands=4",
        *tls_session(agreed=TLS10),
    )
    assert one.lines(old, *messages, now=NOON) == []
    assert (one.checks, one.state()["suspects"]) == ([], [])
    counted = one.statistics()
    assert counted.lines == len(messages)
    assert sum(each.count for each in counted.failures) == 20
    assert counted.notices


def test_a_batch_of_old_and_new_lines(monitor):
    one = monitor()
    texts = [f"{NOON - timedelta(hours=3)} mx postfix/{text}\n" for text in clear_session()]
    texts = [text.replace(" 09:", "T09:", 1) for text in texts]
    texts += [f"{NOON.isoformat()} mx postfix/{text}\n" for text in tls_session()]
    batch = LogBatch(source="journal", text="".join(texts).encode(), proven=True)
    assert one.observe(EventKind.LOG_LINES, NOON, batch) == []
    assert one.state()["suspects"] == []
    assert len(one.statistics().connections) == 2


def test_a_file_proves_nothing_and_says_so(monitor):
    one = monitor()
    one.lines(NOON, DISABLED[0][0])
    (finding,) = one.lines(NOON, DISABLED[0][0], proven=False)
    assert "/var/log/mail.log, where others than Postfix may write" in finding.why


@pytest.mark.parametrize(
    ("name", "service"),
    [
        ("smtpd", "smtp/inet"),
        ("submission/smtpd", "submission/inet"),
        ("out/relay/smtpd", "10587/inet"),
        ("submissions/smtpd", None),
    ],
)
def test_the_service_is_named_when_only_one_can_have_written_it(monitor, name, service):
    one = monitor(LOGGED + "user = out\n", master_cf=DEBIAN)
    (finding,) = one.lines(NOON, DISABLED[0][0].replace("smtpd", name, 1))
    assert finding.service == service


def test_lost_lines_are_told_of(monitor):
    one = monitor()
    (finding,) = one.lines(NOON, *tls_session(), lost=("29 messages were suppressed",))
    assert (finding.rule, finding.severity) == ("log-lines-lost", Severity.WARNING)
    assert "29 messages were suppressed" in finding.why
    assert one.checks == []
    assert one.statistics().lost == ("29 messages were suppressed",)


UNVERIFIED = "smtp[6]: certificate verification failed for {}: untrusted issuer /CN=Somebody"


@pytest.mark.parametrize(
    ("main_cf", "policies", "peer", "expected"),
    [
        ("relayhost = [smtp.example.net]:587", {}, "smtp.example.net[192.0.2.1]:587", "relayhost"),
        ("relayhost = example.net", {}, "mx1.example.net[192.0.2.1]:25", "relayhost"),
        ("relayhost = example.net:587", {}, "mx1.example.net[192.0.2.1]:25", "relayhost"),
        ("relayhost = [192.0.2.1]", {}, "unknown[192.0.2.1]:25", "relayhost"),
        ("relayhost = [smtp.example.net]", {}, "mx.example.org[192.0.2.1]:25", None),
        ("", {}, "mx.example.org[192.0.2.1]:25", None),
        (
            "smtp_tls_security_level = verify",
            {},
            "mx.example.org[192.0.2.1]:25",
            "smtp_tls_security_level",
        ),
        (
            "smtp_tls_security_level = may",
            {"hash:/etc/postfix/policy": {"[example.org]:25": "secure match=nexthop"}},
            "mx.example.org[192.0.2.1]:25",
            "smtp_tls_security_level",
        ),
        (
            "smtp_tls_security_level = bogus",
            {"hash:/p": {"example.org": "encrypt", ".example.com": "verify"}, "ldap:/q": "no list"},
            "mx.example.org[192.0.2.1]:25",
            None,
        ),
    ],
)
def test_a_relay_that_does_not_verify(monitor, main_cf, policies, peer, expected):
    one = monitor(LOGGED + main_cf + "\n", policies=policies)
    found = one.lines(NOON, UNVERIFIED.format(peer))
    assert [each.parameter for each in found] == ([expected] if expected else [])
    for each in found:
        required = expected == "smtp_tls_security_level"
        assert each.severity is (Severity.ERROR if required else Severity.WARNING)
        assert "untrusted issuer" in each.why


def test_client_certificates_are_no_relay_s(monitor):
    one = monitor(LOGGED + "relayhost = example.net\n", peers="none")
    text = UNVERIFIED.format("mx.example.net[192.0.2.1]")
    assert one.lines(NOON, text.replace("smtp[", "smtpd[")) == []
    (finding,) = one.lines(NOON, text.replace("smtp[", "tlsproxy["))
    assert finding.effective == "certificate of example.net not verified"


@pytest.mark.parametrize(
    ("main_cf", "policies", "stands"),
    [
        ("smtp_tls_security_level = dane", {}, True),
        ("smtp_tls_security_level = dane-only", {}, True),
        ("smtp_tls_security_level = may", {}, False),
        ("smtp_tls_security_level = may", {"hash:/p": {"example.com": "dane"}}, True),
    ],
)
def test_dane_without_dnssec(monitor, main_cf, policies, stands):
    one = monitor(LOGGED + main_cf + "\n", policies=policies)
    found = one.lines(
        NOON,
        "smtp[6]: warning: DNSSEC validation may be unavailable",
        "smtp[6]: warning: mx.example.com[192.0.2.1]:25: all TLSA records unusable,"
        " fallback to unauthenticated TLS",
    )
    effective = ["TLSA records of example.com unusable", "no DNSSEC validation"]
    assert [one.effective for one in found] == (effective if stands else [])


def test_other_notices_are_counted_only(monitor):
    one = monitor()
    refused = "warning: Refusing STARTTLS request from a.example.com[192.0.2.1] for service smtp"
    assert one.lines(NOON, f"smtpd[5]: {refused}") == []
    assert [each.count for each in one.statistics().notices] == [1]


# Clear text of a peer that always had TLS.


def steady(one, *, days=3, sessions=7, peer="mx.example.com", before=NOON):
    """TLS sessions on each of the days before."""
    for day in range(days, 0, -1):
        one.lines(before - timedelta(days=day), *(tls_session(peer) * sessions))


def test_clear_text_after_tls(monitor):
    one = monitor()
    steady(one)
    assert one.lines(NOON, *clear_session()) == []
    one.timer(NOON + timedelta(minutes=1))
    (finding,) = one.timer(NOON + timedelta(minutes=2))
    assert (finding.rule, finding.severity) == ("clear-text-after-tls", Severity.WARNING)
    assert finding.effective == "clear text from example.com"
    assert finding.parameter == "smtpd_tls_security_level"
    one.lines(NOON + timedelta(minutes=50), *clear_session())
    one.lines(NOON + timedelta(minutes=100), *clear_session())
    (again,) = one.timer(NOON + timedelta(minutes=159))
    assert again.effective == finding.effective
    assert "Seen 3 times" in again.why
    assert one.timer(NOON + timedelta(minutes=161)) == []
    # By now the records know this peer in clear text.
    one.lines(NOON + timedelta(minutes=162), *clear_session())
    one.timer(NOON + timedelta(minutes=163))
    assert one.timer(NOON + timedelta(minutes=164)) == []


def test_clear_text_of_two_hours_is_one_incident(monitor):
    one = monitor()
    steady(one)
    one.lines(NOON - timedelta(minutes=1), *clear_session())
    one.facts = {}
    one.lines(NOON + timedelta(minutes=1), *clear_session())
    one.timer(NOON + timedelta(minutes=2))
    assert rules(one.timer(NOON + timedelta(minutes=3))) == ["clear-text-after-tls"]


def test_records_of_an_earlier_time_judge_nobody(monitor):
    one = monitor()
    steady(one)
    stale = Need(kind="records", subject="connections example.com")
    state = Need(kind="state", subject=DIRECTORY)
    text = "".join(f"{NOON.isoformat()} mx postfix/{one}\n" for one in clear_session())
    batch = LogBatch(source="journal", text=text.encode(), proven=True)
    event = Event(kind=EventKind.LOG_LINES, instance=DIRECTORY, time=NOON, batch=batch)
    facts = {state: one.state(), stale: ()}
    records, *_ = tls_log_monitor.keel_observe(event, DIRECTORY, facts, one.options)
    assert [each["peer"] for each in records.state["suspects"]] == ["example.com"]
    assert records.state["acquitted"] == {}


def test_few_records_are_asked_for_at_once(monitor):
    one = monitor()
    one.lines(NOON, *(text for number in range(30) for text in clear_session(f"p{number}.org")))
    facts = {Need(kind="state", subject=DIRECTORY): one.state()}
    needs = tls_log_monitor.keel_interests(DIRECTORY, one.options, facts).needs
    asked = [need.subject for need in needs if need.kind == "records"]
    assert asked == [f"connections p{number}.org" for number in range(10)]


def outbound(agreed=""):
    summaries = ()
    if agreed:
        summaries = (summary("mx.example.com", agreed, "smtp[5]", "established to"),)
    return (
        *summaries,
        (
            "smtp[5]: 4XyZ12abCDz1: to=<a@example.org>, relay=mx.example.com[192.0.2.1]:25, delay=1"
            ", delays=0/0/1/0, dsn=2.0.0, status=sent (250 ok)"
        ),
    )


def test_clear_text_outbound_is_apart_from_inbound(monitor):
    one = monitor()
    steady(one)
    one.lines(NOON, *outbound())
    one.timer(NOON + timedelta(minutes=1))
    assert one.timer(NOON + timedelta(minutes=2)) == []
    assert list(one.state()["acquitted"]) == ["outbound example.com"]


def test_clear_text_outbound(monitor):
    one = monitor()
    for day in (3, 2, 1):
        for number in range(7):
            message = [text.replace("4XyZ", f"4X{number}Z") for text in outbound(TLS13)]
            one.lines(NOON - timedelta(days=day), *message)
    one.lines(NOON, *outbound())
    one.timer(NOON + timedelta(minutes=1))
    (finding,) = one.timer(NOON + timedelta(minutes=2))
    assert finding.effective == "clear text to example.com"
    assert finding.parameter == "smtp_tls_security_level"


@pytest.mark.parametrize(
    ("days", "sessions", "earlier"),
    [(2, 20, ()), (4, 4, ()), (3, 7, clear_session()), (0, 0, ())],
)
def test_peers_of_which_too_little_is_known(monitor, days, sessions, earlier):
    one = monitor()
    steady(one, days=days, sessions=sessions)
    one.lines(NOON - timedelta(days=1), *earlier)
    one.lines(NOON, *clear_session())
    one.timer(NOON + timedelta(minutes=1))
    assert one.timer(NOON + timedelta(minutes=2)) == []
    assert list(one.state()["acquitted"]) == ["inbound example.com"]
    one.lines(NOON + timedelta(minutes=3), *clear_session())
    assert one.state()["suspects"] == []
    one.timer(NOON + timedelta(days=2))
    assert one.state()["acquitted"] == {}


def test_a_suspect_waits_for_its_records(monitor):
    one = monitor()
    steady(one)
    one.lines(NOON, *clear_session())
    one.lines(NOON + timedelta(seconds=1), *clear_session())
    (suspect,) = one.state()["suspects"]
    assert suspect["alarm"]["count"] == 2
    one.options["log"] = "journal"
    one.facts = {}  # a restart: the first round asks for no records
    assert one.timer(NOON + timedelta(seconds=2)) == []
    assert one.state()["suspects"] != []
    assert rules(one.timer(NOON + timedelta(seconds=3))) == ["clear-text-after-tls"]


def test_records_that_cannot_be_had_end_nothing(monitor):
    one = monitor()
    one.lines(NOON, *clear_session())
    need = Need(kind="records", subject="connections example.com")
    state = Need(kind="state", subject=DIRECTORY)
    event = Event(kind=EventKind.TIMER, instance=DIRECTORY, time=NOON)
    facts = {state: one.state(), need: Absent(reason="damaged")}
    assert tls_log_monitor.keel_observe(event, DIRECTORY, facts, one.options) == ()


# Pseudonyms.


def test_pseudonyms_name_nobody_and_alarm_all_the_same(monitor):
    one = monitor(peers="pseudonym")
    steady(one)
    one.lines(NOON, *clear_session())
    one.timer(NOON + timedelta(minutes=1))
    (finding,) = one.timer(NOON + timedelta(minutes=2))
    assert finding.effective.startswith("clear text from (peer ")
    one.lines(NOON, "smtp[5]: warning: mx.example.com[192.0.2.1]:25: all TLSA records unusable")
    one.lines(NOON, *tls_session()[:2], *failure()[:2])  # in the middle of a conversation
    everything = repr([one.statistics(), one.state()])
    assert "example" not in everything
    assert "192.0.2.1" not in everything


@pytest.mark.parametrize(("peers", "secret"), [("none", b"k"), ("pseudonym", None)])
def test_no_names_at_all(monitor, peers, secret):
    one = monitor(peers=peers)
    one.known["secret"] = secret
    one.lines(NOON, *tls_session(), *clear_session(), *outbound())
    assert {each.peer for each in one.statistics().connections} == {"(others)"}
    assert one.state()["suspects"] == []
    assert "example" not in repr(one.statistics())


# Handshakes that fail.


def failures(count, reason="unsupported protocol"):
    return [message for number in range(count) for message in failure(reason, number)]


def learned(one):
    """A monitor that has read lines for a day, and knows what is usual: nothing."""
    one.lines(NOON - timedelta(hours=24), *tls_session())
    return one


def test_nothing_is_unusual_before_a_day_was_read(monitor):
    one = monitor()
    one.lines(NOON - timedelta(hours=23), *tls_session())
    assert one.lines(NOON, *failures(50)) == []


def test_more_failures_than_ever_tolerated(monitor):
    one = learned(monitor())
    assert one.lines(NOON, *failures(10)) == []
    (finding,) = one.lines(NOON + timedelta(minutes=1), *failures(1))
    assert (finding.rule, finding.severity) == ("handshakes-fail", Severity.WARNING)
    assert finding.effective == "inbound handshakes fail: unsupported protocol"
    assert finding.parameter == "smtpd_tls_protocols"
    assert "11 within 1 h; usual are 0.0; journald vouches" in finding.why
    assert rules(one.timer(NOON + timedelta(minutes=50))) == ["handshakes-fail"]
    assert one.timer(NOON + timedelta(minutes=62)) == []


def test_what_is_usual_is_no_alarm(monitor):
    one = monitor()
    for hour in range(24, 0, -1):
        one.lines(NOON - timedelta(hours=hour), *failures(8), now=NOON)
    assert one.lines(NOON, *failures(40)) == []
    (finding,) = one.lines(NOON + timedelta(minutes=2), *failures(1))
    assert "usual are 8.0" in finding.why


def test_the_rate_is_that_of_the_window(monitor):
    one = monitor(alarm_hours=2)
    for hour in range(24, 2, -1):
        one.lines(NOON - timedelta(hours=hour), *failures(4), now=NOON)
    assert one.lines(NOON, *failures(36)) == []
    (finding,) = one.lines(NOON + timedelta(minutes=2), *failures(3))
    assert "39 within 2 h; usual are 7.3" in finding.why


def test_a_late_line_moves_no_clock():
    rates = Rates({})
    for hour in range(1, 25):
        rates.count("inbound", "x", hour * 3600, 8, 3600)
        rates.count("inbound", "x", (hour - 1) * 3600, 0, 3600)
    rates.count("inbound", "x", 25 * 3600, 41, 3600)
    (surge,) = rates.surges(25 * 3600, 3600)
    assert (surge.count, surge.usual) == (41, pytest.approx(8))


def test_hours_without_failures_count_too(monitor):
    one = monitor()
    one.lines(NOON - timedelta(hours=24), *tls_session())
    one.lines(NOON - timedelta(hours=12), *failures(48))
    (finding,) = one.lines(NOON, *failures(11))
    assert "usual are 2.0" in finding.why


@pytest.mark.parametrize(
    ("reason", "parameter"),
    [
        ("no shared cipher", "smtpd_tls_exclude_ciphers"),
        ("wrong version number", "smtpd_tls_protocols"),
        ("sslv3 alert bad certificate", "smtpd_tls_chain_files"),
        ("internal error", "smtpd_tls_security_level"),
    ],
)
def test_causes_are_apart_and_name_a_parameter(monitor, reason, parameter):
    one = learned(monitor())
    found = one.lines(NOON, *failures(11, reason), *failures(9, "another"))
    assert [each.parameter for each in found] == [parameter]


def test_outbound_failures(monitor):
    messages = []
    for process in range(11):
        messages.append(f"smtp[{process}]: SSL_connect error to b.example.com[192.0.2.2]:25: -1")
        messages.append(
            f"smtp[{process}]: warning: TLS library problem: error:0A00010B:SSL routines::wrong"
            " version number:../ssl/record/ssl3_record.c:354:"
        )
    (finding,) = learned(monitor()).lines(NOON, *messages)
    assert finding.effective == "outbound handshakes fail: wrong version number"
    assert finding.parameter == "smtp_tls_protocols"


def test_causes_are_bounded_and_forgotten(monitor):
    one = learned(monitor())
    for number in range(MOST_CAUSES + 12):
        one.lines(NOON, *failure(f"made up {number}"))
    causes = one.state()["rates"]["causes"]
    assert len(causes) == MOST_CAUSES + 1
    (finding,) = one.timer(NOON)
    assert finding.effective == "inbound handshakes fail: (others)"
    one.timer(NOON + timedelta(days=31))
    assert one.state()["rates"]["causes"] == {}


# The configuration and what is logged.


def floor(oldest="TLSv1.2", parameter="smtpd_tls_protocols"):
    rule = ProfileRule(
        id="floor",
        parameters=(parameter,),
        services=(Role.MX,),
        scope="main.cf",
        comparison="protocol-floor",
        wanted=(oldest, "TLSv1.3"),
        values=(),
        severity=Severity.ERROR,
        postfix=VersionRange(),
        why="because",
        references=("RFC 8996",),
    )
    return Profile(name="p", summary="", lineage=("p",), outdated=False, rules=(rule,))


NEWER = LOGGED + "smtpd_tls_security_level = may\nsmtpd_tls_protocols = >=TLSv1.2\n"


@pytest.mark.parametrize(
    ("main_cf", "profile", "agreed", "expected"),
    [
        (NEWER, None, TLS10, ("smtpd_tls_protocols", Severity.ERROR)),
        (NEWER, floor(), TLS10, ("smtpd_tls_protocols", Severity.ERROR)),
        (NEWER, floor("TLSv1"), TLS10, ("smtpd_tls_protocols", Severity.WARNING)),
        (NEWER, floor(parameter="x"), TLS10, ("smtpd_tls_protocols", Severity.ERROR)),
        (NEWER, None, TLS13, None),
        (
            LOGGED + "smtpd_tls_security_level = may\nsmtpd_tls_protocols = >=TLSv1\n",
            floor(),
            TLS10,
            None,
        ),
        (
            LOGGED + "smtpd_tls_security_level = encrypt\nsmtpd_tls_mandatory_protocols=>=TLSv1.2",
            None,
            TLS10,
            ("smtpd_tls_mandatory_protocols", Severity.ERROR),
        ),
        (
            NEWER + "smtpd_tls_exclude_ciphers = aNULL, kRSA\n",
            None,
            "TLSv1.2 with cipher AES256-SHA (256/256 bits)",
            ("smtpd_tls_exclude_ciphers", Severity.ERROR),
        ),
        (NEWER, None, "TLSv1.3 with cipher TLS_AES_128_CCM_8_SHA256 (128/128 bits)", None),
        (NEWER, None, "TLSv1.2 with cipher ECDHE-RSA-AES256-GCM-SHA384 (256/256 bits)", None),
    ],
)
def test_weaker_than_configured(monitor, main_cf, profile, agreed, expected):
    one = monitor(main_cf, profile=profile, suites=True, master_cf=DEBIAN)
    found = one.lines(NOON, *tls_session(agreed=agreed))
    assert [(each.parameter, each.severity) for each in found] == ([expected] if expected else [])
    assert len(one.checks) == len(found)


def test_all_that_contradicts_is_one_alarm_of_a_service(monitor):
    one = monitor(NEWER, suites=True, master_cf=DEBIAN)
    peers = ("mx.example.com", "mx.example.org")
    (finding,) = one.lines(NOON, *(line for peer in peers for line in tls_session(peer, TLS10)))
    assert "Seen 2 times" in finding.why


@pytest.mark.parametrize(
    ("policies", "count"),
    [
        ({}, 1),
        ({"hash:/p": {"example.com": "may"}}, 1),
        ({"hash:/p": {"example.com": "may protocols=>=TLSv1"}}, 0),
        ({"ldap:/p": "cannot be listed"}, 0),
    ],
)
def test_a_policy_may_let_more_through(monitor, policies, count):
    main_cf = LOGGED + "smtp_tls_security_level = may\n"
    for kind in ("", "mandatory_"):
        main_cf += f"smtp_tls_{kind}protocols = >=TLSv1.2\n"
    one = monitor(main_cf, policies=policies)
    found = one.lines(NOON, *outbound(TLS10))
    assert rules(found) == ["weaker-than-configured"] * count


def test_lines_from_before_a_correction_contradict_nothing(monitor):
    one = monitor(NEWER, master_cf=DEBIAN)
    assert one.lines(NOON - timedelta(minutes=5), *tls_session(agreed=TLS10), now=NOON) == []
    assert one.lines(NOON - timedelta(minutes=1), *tls_session(agreed=TLS10), now=NOON) != []


@pytest.mark.parametrize("program", ["other/smtpd[7]", "smtpd[7]"])
def test_services_that_are_not_known_contradict_nothing(monitor, program):
    one = monitor(NEWER, instance=program != "smtpd[7]", master_cf=DEBIAN)
    assert one.lines(NOON, summary(agreed=TLS10, program=program)) == []


def test_a_service_that_has_no_tls_contradicts_nothing(monitor):
    one = monitor(NEWER.replace("= may", "= none"), master_cf=DEBIAN)
    assert one.lines(NOON, *tls_session(agreed=TLS10)) == []


UNTOLD = (
    "smtpd[11]: connect from q.example.com[192.0.2.1]",
    "smtpd[11]: disconnect from q.example.com[192.0.2.1] ehlo=2 starttls=1 mail=1 commands=4",
)


@pytest.mark.parametrize(
    ("main_cf", "expected"),
    [
        (LOGGED, ["tls-lines-missing"]),
        ("smtp_tls_loglevel = 1\nsmtpd_tls_security_level = may\n", ["tls-not-logged"]),
        (None, ["tls-lines-missing"]),
    ],
)
def test_tls_without_a_line(monitor, main_cf, expected):
    one = monitor(main_cf or "", instance=main_cf is not None)
    assert rules(one.lines(NOON, *UNTOLD)) == expected


@pytest.mark.parametrize(
    ("main_cf", "expected"),
    [
        ("", [("tls-not-logged", "smtpd_tls_loglevel", "default", "0")] * 0),
        (
            "smtpd_tls_security_level = may\nsmtpd_tls_loglevel = 2\nsmtp_tls_security_level=may\n",
            [
                ("tls-debug-logged", "smtpd_tls_loglevel", "main.cf:2", "2"),
                ("tls-not-logged", "smtp_tls_loglevel", "default", "0"),
            ],
        ),
        (
            (
                "smtpd_tls_security_level = may\nsmtpd_tls_loglevel = 1\n"
                "lmtp_tls_security_level = may\nlmtp_tls_loglevel = many\n"
            ),
            [("tls-not-logged", "lmtp_tls_loglevel", "main.cf:4", "many")],
        ),
    ],
)
def test_what_the_configuration_lets_postfix_log(monitor, main_cf, expected):
    found = monitor(main_cf).timer(NOON)
    shown = [(one.rule, one.parameter, one.where, one.effective) for one in found]
    if not main_cf:
        assert {each[0] for each in shown} == {"tls-not-logged"}  # submission has TLS of its own
        return
    assert shown == expected
    assert {one.service for one in found} == {None}
    assert {one.severity for one in found} == {Severity.INFO}


# Bounds, and what is written.


def test_a_quiet_timer_writes_nothing(monitor):
    one = monitor()
    one.lines(NOON, *tls_session())
    one.timer(NOON + timedelta(minutes=1))
    one.timer(NOON + timedelta(minutes=2))
    assert one.records is None


def test_strangers_cannot_fill_the_state(monitor):
    one = monitor()
    for number in range(0, MOST_SUSPECTS + 100, 100):
        messages = [
            text for peer in range(number, number + 100) for text in clear_session(f"a.p{peer}.org")
        ]
        one.facts = {}  # so that no records are asked for
        one.lines(NOON, *messages)
    assert len(one.state()["suspects"]) == MOST_SUSPECTS
    long = clear_session("a" * 300 + ".example")
    one.lines(NOON + timedelta(hours=2), *long)
    assert one.state()["suspects"] == []
    main_cf = LOGGED + "smtp_tls_security_level = secure\n"
    one.known["postfix"] = monitor(main_cf).known["postfix"]
    messages = [
        UNVERIFIED.format(f"mx.p{peer}.org[192.0.2.1]:25") for peer in range(MOST_ALARMS + 9)
    ]
    found = one.lines(NOON + timedelta(hours=3), *messages, DISABLED[0][0])
    assert rules(found).count("relay-not-verified") == MOST_ALARMS
    assert "tls-disabled" in rules(found)


def test_acquittals_are_bounded(monitor):
    from postkeel_plugins.tls_log_monitor.memory import Memory

    one = monitor()
    one.lines(NOON, *clear_session())
    state = one.state()
    state["acquitted"] = {f"inbound p{number}.org": 20_780 for number in range(MOST_ACQUITTED)}
    memory = Memory(state)
    (suspect,) = memory.suspects.values()
    memory.judged(suspect, guilty=False)
    assert len(memory.acquitted) == MOST_ACQUITTED
    assert "inbound example.com" in memory.acquitted


@pytest.mark.parametrize("state", [None, Absent(reason="no"), "x", {}, {"version": 99}, [1]])
def test_a_state_of_another_version_is_begun_anew(monitor, state):
    one = monitor()
    event = Event(kind=EventKind.TIMER, instance=DIRECTORY, time=NOON)
    facts = {Need(kind="state", subject=DIRECTORY): state}
    (records,) = tls_log_monitor.keel_observe(event, DIRECTORY, facts, one.options)
    assert records.state["version"] == 1


def test_hostile_names_stay_one_line(monitor):
    one = monitor(instance=False)
    hostile = "mx.ex\x07am\x1bple.com"
    steady(one, peer=hostile)
    one.lines(NOON, *clear_session(hostile))
    one.lines(NOON, 'smtpd[5]: warning: Invalid TLS protocol list "\x1b]0;x\x07": disabling')
    one.lines(NOON, *(text.replace("smtpd", "\x1b[2J/smtpd".replace("[", "(")) for text in UNTOLD))
    found = one.timer(NOON + timedelta(minutes=2))
    assert set(rules(found)) == {"clear-text-after-tls", "tls-disabled", "tls-lines-missing"}
    assert all(text.isprintable() for one in found for text in (one.effective, one.why))


def test_lines_of_other_instances_are_not_counted(monitor):
    one = monitor()
    text = f"{NOON.isoformat()} mx postfix-out/smtpd[7]: connect from a.example[192.0.2.1]\n"
    text += f"{NOON.isoformat()} mx postfix-out/" + summary("a.example.org") + "\n"
    one.observe(EventKind.LOG_LINES, NOON, LogBatch(source="f", text=text.encode()))
    assert one.statistics().connections == ()
    assert one.statistics().lines == 2


@pytest.mark.parametrize("peers", ["domain", "pseudonym", "none"])
def test_each_cut_of_the_lines_counts_the_same(monitor, tmp_path, peers):
    messages = [*tls_session(), *clear_session(), *failure(), *outbound(TLS13), *UNTOLD]
    messages.append(outbound()[0].replace("<a@", "<b@"))
    whole = monitor(peers=peers)
    whole.lines(NOON, *messages)
    (tmp_path / "cut").mkdir()
    cut = Monitor(tmp_path / "cut", whole.known["postfix"], peers=peers)
    for message in messages:
        cut.lines(NOON, message)
    counts = [sorted(map(repr, one.statistics().connections)) for one in (whole, cut)]
    assert counts[0] == counts[1]
    assert whole.statistics().failures == cut.statistics().failures
    cut.store.close()
