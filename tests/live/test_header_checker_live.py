"""What the header checker makes of real probes of a real Postfix, setting by setting."""

from __future__ import annotations

import contextlib
import ssl
from datetime import UTC, datetime

import pytest

import private_postfix as bed
from collectors import free_port
from postkeel.contract import (
    CheckNow,
    Event,
    EventKind,
    Finding,
    Need,
    Records,
    Target,
)
from postkeel.shell.built_in import DefaultsCache
from postkeel.shell.postfix_facts import gather_instance
from postkeel_plugins import header_checker
from probed_postfix import ADDRESS, PARAMETERS, ProbedPostfix
from tls_ending_proxy import TlsEndingProxy

pytestmark = pytest.mark.live

DEFAULTS = DefaultsCache()
HEADER, LOG_LEVEL = "smtpd_tls_received_header", "smtpd_tls_loglevel"
DISAGREE, REFUSED = "witnesses-disagree", "probe-refused"
LEVEL = "smtpd_tls_security_level"
FORGED = "Received: from a (b [192.0.2.1]) by c (Postfix) with SMTP id 1A2B3C; now"


def answer(text):
    return f"check_client_access static:{{ {text} }}"


@pytest.fixture(scope="module")
def plain():
    """One server for all of this module."""
    if reason := bed.why_not():
        pytest.skip(reason)
    with bed.private_postfix(parameters=PARAMETERS, start=False) as postfix:
        one = ProbedPostfix(postfix)
        postfix.start()
        yield one


class Judge:
    """The plugin with its state, and the facts of the running server."""

    def __init__(self, plain):
        self.plain = plain
        self.directory = str(plain.postfix.config_directory)
        self.options = {
            "probe_every": 3600,
            "probe_address": ADDRESS,
            "probe_mailbox": plain.name,
        }
        self.state = None
        self.records = None
        self.checks = ()

    def facts(self):
        instance = gather_instance(self.directory, defaults=DEFAULTS)
        postfix, state = (Need(kind=one, subject=self.directory) for one in ("postfix", "state"))
        return {postfix: instance, state: self.state}

    def round(self, *targets, seconds=10.0):
        """Probe, and what is found in it."""
        result = self.plain.probe(*targets, seconds=seconds)
        event = Event(
            kind=EventKind.PROBED,
            instance=self.directory,
            time=datetime.now(UTC),
            probe=result,
        )
        found = header_checker.keel_observe(event, self.directory, self.facts(), self.options)
        (self.records,) = (one for one in found if isinstance(one, Records))
        self.state = self.records.state
        self.checks = tuple(one for one in found if isinstance(one, CheckNow))
        return [one for one in found if isinstance(one, Finding)]

    @property
    def targets(self):
        return self.state["probe"]["targets"]


@pytest.fixture
def judge(plain):
    plain.mailbox.unlink(missing_ok=True)
    yield Judge(plain)
    plain.set({})


def test_what_it_wishes_of_a_real_server(judge):
    wish = header_checker.keel_interests(judge.directory, judge.options, judge.facts())
    assert wish.probe.targets == (judge.plain.smtp,)
    assert (wish.probe.address, wish.probe.mailbox) == (ADDRESS, judge.plain.name)
    assert wish.probe.log.file == str(judge.plain.postfix.log_file)


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"smtpd_tls_protocols": "<=TLSv1.2"},
        {"smtpd_tls_protocols": "<=TLSv1.2", "tls_high_cipherlist": "DHE-RSA-AES128-SHA256"},
        {"smtpd_tls_ask_ccert": "yes"},
        {"tls_eecdh_auto_curves": "secp384r1", "mail_name": "Another Name"},
        {"smtpd_delay_reject": "no", LOG_LEVEL: "2"},
    ],
    ids=str,
)
def test_the_witnesses_agree(judge, parameters):
    judge.plain.set(parameters)
    assert judge.round() == []
    (target,) = judge.targets
    assert target["ok"]
    assert target["handshake"] == target["header"] == target["log"]
    assert target["handshake"].startswith(
        "TLSv1.2" if parameters.get("smtpd_tls_protocols") else "TLSv1.3"
    )
    assert judge.records.add["probes"].popitem()[0][1:] == ("smtp/inet", "agree")


def test_a_client_hidden_on_purpose_is_no_finding(judge):
    if "smtpd_hide_client_session" not in judge.facts()[postfix_of(judge)].defaults:
        pytest.skip("Postfix hides its clients from 3.10 on")
    judge.plain.set({"smtpd_hide_client_session": "yes"})
    assert judge.round() == []
    assert judge.targets[0]["header"] == "hidden on purpose"


def postfix_of(judge):
    return Need(kind="postfix", subject=judge.directory)


@pytest.mark.parametrize(
    ("parameters", "outcome", "expected"),
    [
        ({HEADER: "no"}, "silent", [(DISAGREE, "warning", HEADER)]),
        ({LOG_LEVEL: "0"}, "silent", [(DISAGREE, "info", LOG_LEVEL)]),
        (
            {HEADER: "no", LOG_LEVEL: "0"},
            "silent",
            [(DISAGREE, "warning", HEADER), (DISAGREE, "info", LOG_LEVEL)],
        ),
        (
            {"header_checks": "regexp:{ {/^Received:/ IGNORE} }"},
            "silent",
            [(DISAGREE, "warning", HEADER)],
        ),
        (
            {"header_checks": f"regexp:{{ {{/using TLSv/ REPLACE {FORGED}}} }}"},
            "disagree",
            [(DISAGREE, "error", LEVEL)],
        ),
        (
            {"smtpd_recipient_restrictions": answer("450 4.2.0 later")},
            "refused",
            [(REFUSED, "warning", "smtpd_recipient_restrictions")],
        ),
        (
            {"smtpd_recipient_restrictions": answer("550 5.7.1 no")},
            "refused",
            [(REFUSED, "error", "smtpd_recipient_restrictions")],
        ),
        (
            {"queue_minfree": "900000000000000"},
            "refused",
            [(REFUSED, "warning", "smtpd_sender_restrictions")],
        ),
        (
            {"smtpd_tls_chain_files": "/nowhere/chain.pem"},
            "without TLS",
            [("probe-without-tls", "error", LEVEL)],
        ),
    ],
    ids=str,
)
def test_what_is_found(judge, parameters, outcome, expected):
    judge.plain.set(parameters)
    found = judge.round(judge.plain.smtp)
    seen = [(one.rule, one.severity.value, one.parameter) for one in found]
    assert (judge.targets[0]["outcome"], seen) == (outcome, expected), judge.targets
    assert bool(judge.checks) is (outcome == "disagree")
    for one in found:
        assert one.service == "smtp/inet"
        assert one.where.startswith("main.cf:") or one.parameter not in parameters


def test_a_message_that_waits_is_told_twice_and_then_that_it_came_late(judge):
    judge.plain.set({"smtpd_recipient_restrictions": answer("HOLD")})
    assert [one.severity.value for one in judge.round(seconds=1.0)] == ["warning"]
    (again,) = judge.round(seconds=1.0)
    assert (again.rule, again.severity.value) == ("probe-not-delivered", "error")
    assert "it was taken, and is not in the mailbox after 1 s" in again.why


def test_a_proxy_that_ends_tls_is_a_contradiction(judge):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    pem = [judge.plain.postfix.file(f"smtpd_tls_{one}_file") for one in ("cert", "key")]
    context.load_cert_chain(*pem)
    address = judge.plain.postfix.address
    with contextlib.closing(TlsEndingProxy(address, (address, 25), context)) as proxy:
        (found,) = judge.round(Target(service="smtp/inet", host=address, port=str(proxy.port)))
    assert (found.rule, found.severity.value, found.parameter) == (DISAGREE, "error", LEVEL)
    assert found.effective.startswith("handshake: TLSv1.3 with ")
    assert found.effective.endswith("; header: in clear; log: in clear")
    assert [one.reason for one in judge.checks] == [
        f"the witnesses of a probe disagree: smtp/inet on {address}:{proxy.port}"
    ]
    judge.round()
    assert judge.targets[0]["ok"], "without the proxy it is over"


@pytest.mark.parametrize("parameter", ["content_filter", "smtpd_proxy_filter"])
def test_a_filter_that_hands_mail_back_in_clear_is_no_contradiction(start_postfix, parameter):
    port = free_port()
    back = (
        f"127.0.0.1:{port} inet n - n - - smtpd\n"
        "  -o content_filter=\n  -o smtpd_proxy_filter=\n  -o smtpd_tls_security_level=none\n"
    )
    to = f"smtp:[127.0.0.1]:{port}" if parameter == "content_filter" else f"127.0.0.1:{port}"
    postfix = start_postfix(parameters=PARAMETERS | {parameter: to}, master_cf=back, start=False)
    judge = Judge(ProbedPostfix(postfix))
    postfix.start()
    found = judge.round()
    assert found == [], judge.targets
    assert judge.targets[0]["outcome"] == "agree"
