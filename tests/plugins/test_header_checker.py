"""What the header checker asks for, remembers, counts, and has nothing to do with."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from postkeel.conformance import broken_promises
from postkeel.contract import (
    Absent,
    CheckNow,
    Event,
    EventKind,
    Finding,
    Interest,
    LogLines,
    Mailboxes,
    Need,
    ProbeResult,
    Records,
    Side,
    Target,
)
from postkeel.postfix.instance import Role
from postkeel_plugins import header_checker
from postkeel_plugins.header_checker.addressing import Recipient, Unaddressed, recipient_of
from postkeel_plugins.header_checker.memory import MOST, Memory, read_memory
from postkeel_plugins.header_checker.witnesses import ANOTHER, handshake_of
from probe_cases import HEADER, MAIN_CF, NOW, probed_of, result_of

ROOT = Path(__file__).parents[2]
DIRECTORY = "/etc/postfix"
POSTFIX = Need(kind="postfix", subject=DIRECTORY)
STATE = Need(kind="state", subject=DIRECTORY)
CARD = header_checker.keel_card()
OPTIONS = {one.name: one for one in CARD.options}
HOUR = int(NOW.timestamp())
PROBING = {"probe_every": 3600}
SAMPLING = {"mailboxes": ("/srv/mail/new/",)}
LOCAL = "mydestination = mx.example.test\n"


def observe(event_kind, facts, options, **given):
    event = Event(kind=event_kind, instance=DIRECTORY, time=NOW, **given)
    return tuple(header_checker.keel_observe(event, DIRECTORY, facts, options))


def probed(case, instance=None, state=None, options=PROBING):
    facts = {POSTFIX: instance or Absent(reason="no postconf"), STATE: state}
    return observe(EventKind.PROBED, facts, options, probe=result_of(case))


def records_of(found):
    (records,) = (one for one in found if isinstance(one, Records))
    return records


def test_it_keeps_the_contract(make_instance):
    state = records_of(probed({"probe": [{"header": ""}]})).state
    facts = {POSTFIX: make_instance(MAIN_CF, suites=False), STATE: state}
    for options in ({}, PROBING, {**PROBING, "mailboxes": ["/srv/mail/new/"]}):
        assert broken_promises(header_checker, "header_checker", facts, options) == []
    assert CARD.side is Side.MONITOR


def test_by_default_nothing_is_asked_and_nothing_said(make_instance):
    facts = {POSTFIX: make_instance(MAIN_CF, suites=False)}
    options = {one.name: one.default for one in CARD.options}
    assert header_checker.keel_interests(DIRECTORY, options, facts) == Interest()
    for kind in EventKind:
        assert observe(kind, facts, options) == ()


def test_by_default_nothing_is_imported():
    script = (
        "import sys; from postkeel_plugins import header_checker as one;"
        "one.keel_card(); one.keel_interests('/etc/postfix', {}, {});"
        "print([name for name in sys.modules if 'headers.' in name or 'header_checker.' in name])"
    )
    paths = [str(ROOT / one) for one in ("agent", "plugins")]
    run = subprocess.run(
        [sys.executable, "-c", script],
        env={"PYTHONPATH": ":".join(paths)},
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = [one.rpartition(".")[2] for one in eval(run.stdout)]  # noqa: S307  a list of ours
    assert sorted(loaded) == ["options", "rules", "tables"]


@pytest.mark.parametrize(
    ("name", "right", "wrong", "said"),
    [
        ("probe_address", "", "probe", "must be an address such as _postkeel@mx.example.org"),
        ("probe_address", "_postkeel@mx.example.test", "a b@mx.example.test", "must be an"),
        ("probe_address", "probe+1@localhost", "<a@mx.example.test>", "must be an address"),
        ("probe_address", "a@b", "a@[192.0.2.1]", "must be an address"),
        ("probe_address", "a@b", "stranger%example.com@mx.example.test", "must be an address"),
        ("probe_address", "a@b", "example.com!stranger@mx.example.test", "must be an address"),
        ("probe_address", "a@b", "a@" + "b" * 253, "must be an address"),
        ("probe_address", "a@b", "a@b\n", "must be an address"),
        ("probe_mailbox", "/var/mail/probe", "probe", "must be an absolute file name"),
        ("credentials", "", "probe", "must be an absolute file name, not 'probe'"),
        ("mailboxes", ("/srv/mail/", "/var/mail/a"), ("mail",), "must be an absolute file name"),
        ("mailboxes", (), ("/srv/mail/", ""), "must not be empty"),
        ("own_hosts", (), ("mx example",), "is no host"),
        ("own_hosts", (".example.test", "192.0.2.0/24", "mx.example.test"), ("1.2.3",), "address"),
    ],
)
def test_faults_of_options(name, right, wrong, said):
    assert OPTIONS[name].fault(right) == ""
    assert said in OPTIONS[name].fault(wrong)


# --- what it wants -------------------------------------------------------------------------


def test_a_probe_is_asked_for_when_the_instance_is_known(make_instance):
    options = {**PROBING, "credentials": "/etc/postkeel/credentials"}
    instance = make_instance(MAIN_CF + "inet_protocols = ipv4\n", suites=False)
    wanted = header_checker.keel_interests(DIRECTORY, options, {POSTFIX: instance})
    assert wanted.needs == (POSTFIX, STATE)
    assert wanted.mailboxes is None
    probe = wanted.probe
    assert (probe.address, probe.mailbox) == (
        "_postkeel@mx.example.test",
        "/var/mail/_postkeel",
    )
    assert probe.targets == (
        Target(service="smtp/inet", host="127.0.0.1", port="25"),
        Target(service="submission/inet", host="127.0.0.1", port="587", login=True),
        Target(service="submissions/inet", host="127.0.0.1", port="465", direct=True, login=True),
    )
    assert (probe.every, probe.splay, probe.credentials) == (3600, 360, options["credentials"])
    assert isinstance(probe.log, LogLines)
    assert probe.log.file == ""


@pytest.mark.parametrize(
    "main_cf", ["mydestination =\n", "smtpd_tls_security_level = none\n"], ids=["address", "TLS"]
)
def test_no_probe_without_a_recipient_or_a_service(make_instance, main_cf):
    facts = {POSTFIX: make_instance(MAIN_CF + main_cf, suites=False)}
    assert header_checker.keel_interests(DIRECTORY, PROBING, facts).probe is None


@pytest.mark.parametrize("facts", [{}, {POSTFIX: Absent(reason="no postconf")}])
def test_no_probe_of_an_instance_that_is_not_known(facts):
    assert header_checker.keel_interests(DIRECTORY, PROBING, facts).probe is None


def test_samples_are_asked_for_without_any_instance():
    options = {**SAMPLING, "sampled_per_minute": 7}
    wanted = header_checker.keel_interests(DIRECTORY, options, {})
    assert wanted.mailboxes == Mailboxes(paths=("/srv/mail/new/",), most=7)
    assert wanted.probe is None


# --- where a probe goes --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("main_cf", "options", "address", "mailbox"),
    [
        ("", {}, "_postkeel@mx.example.test", "/var/mail/_postkeel"),
        ("mydestination = localhost, $myhostname", {}, "_postkeel@mx.example.test", None),
        ("mydestination = LocalHost, other.example.test", {}, "_postkeel@localhost", None),
        ("mydestination = hash:/etc/postfix/d, /etc/d, a.example.test", {}, "_postkeel@a.", None),
        ("myhostname = MX.Example.Test", {}, "_postkeel@mx.example.test", None),
        ("mail_spool_directory =", {}, "_postkeel@", "/var/mail/_postkeel"),
        ("mail_spool_directory = /srv/mail/", {}, "_postkeel@", "/srv/mail/_postkeel/"),
        ("home_mailbox = Maildir/", {}, "_postkeel@", "Maildir/"),
        ("home_mailbox = /Mailbox", {}, "_postkeel@", "Mailbox"),
        ("mailbox_command = x", {"probe_mailbox": "/srv/p/"}, "_postkeel@mx.", "/srv/p/"),
        ("", {"probe_address": "_postkeel@LOCALHOST"}, "_postkeel@LOCALHOST", "/var/mail/"),
        (
            "virtual_mailbox_domains = v.example.test",
            {"probe_address": "probe@v.example.test", "probe_mailbox": "/srv/v/probe/"},
            "probe@v.example.test",
            "/srv/v/probe/",
        ),
        (
            "virtual_alias_domains = hash:/etc/postfix/virtual",
            {"probe_address": "probe@v.example.test", "probe_mailbox": "/srv/v/probe/"},
            "probe@v.example.test",
            "/srv/v/probe/",
        ),
        (
            "virtual_mailbox_domains = inline:{ v.example.test=1 }",
            {"probe_address": "probe@v.example.test", "probe_mailbox": "/srv/v/probe/"},
            "probe@v.example.test",
            "/srv/v/probe/",
        ),
    ],
)
def test_recipients(make_instance, main_cf, options, address, mailbox):
    found = recipient_of(make_instance(f"{MAIN_CF}{main_cf}\n", suites=False), options)
    assert isinstance(found, Recipient)
    assert found.address.startswith(address)
    assert found.mailbox.startswith(mailbox or "/var/mail/_postkeel")


@pytest.mark.parametrize(
    ("main_cf", "options", "parameter", "value", "said"),
    [
        ("mydestination =", {}, "mydestination", "", "is written there by name"),
        ("mydestination = !a, /etc/d", {}, "mydestination", "!a, /etc/d", "by name"),
        ("mailbox_transport = lmtp:unix:d", {}, "mailbox_transport", "lmtp:unix:d", "decides"),
        ("mailbox_transport_maps = hash:/t", {}, "mailbox_transport_maps", "hash:/t", "decides"),
        ("mailbox_command_maps = hash:/c", {}, "mailbox_command_maps", "hash:/c", "decides"),
        ("mailbox_command = x $USER", {}, "mailbox_command", "x $USER", "decides"),
        ("local_transport = lmtp:unix:d", {}, "local_transport", "lmtp:unix:d", "decides"),
        (
            "",
            {"probe_address": "_postkeel@stranger.example", "probe_mailbox": "/srv/p/"},
            "mydestination",
            "$myhostname, localhost",
            "is in no domain that this Postfix delivers itself",
        ),
        ("", {"probe_address": "probe@localhost"}, "mail_spool_directory", "/var/mail", "known"),
        (
            "virtual_mailbox_domains = v.example.test",
            {"probe_address": "_postkeel@v.example.test"},
            "mail_spool_directory",
            "/var/mail",
            "the mailbox of _postkeel@v.example.test is not known; set probe_address and",
        ),
    ],
)
def test_what_is_not_certain_is_not_guessed(
    make_instance, main_cf, options, parameter, value, said
):
    instance = make_instance(f"{MAIN_CF}{main_cf}\n", suites=False)
    found = recipient_of(instance, options)
    assert isinstance(found, Unaddressed)
    assert (found.parameter, found.value) == (parameter, value)
    assert said in found.says
    facts = {POSTFIX: instance}
    assert header_checker.keel_interests(DIRECTORY, {**PROBING, **options}, facts).probe is None
    (finding,) = observe(EventKind.TIMER, facts, {**PROBING, **options})
    assert (finding.rule, finding.parameter) == ("probe-mailbox", parameter)


def test_what_local_delivery_has_of_its_own_counts(make_instance):
    own = "local unix - n n - - local\n  -o mailbox_command=deliver\n"
    found = recipient_of(make_instance(MAIN_CF, own, suites=False), {})
    assert (found.parameter, found.where, found.value) == (
        "mailbox_command",
        "master.cf:2",
        "deliver",
    )


# --- what is remembered --------------------------------------------------------------------


def test_the_state_says_what_the_last_probe_came_to():
    case = {
        "probe": [
            {},
            {
                "service": "submission/inet",
                "host": "::1",
                "port": "587",
                "stage": "AUTH",
                "code": 535,
                "problem": "No.",
                "protocol": "",
                "seconds": 0.5,
            },
        ],
        "late": [60.0004],
        "others": 1,
        "left": 2,
        "problem": "",
    }
    state = records_of(probed(case)).state
    assert json.loads(json.dumps(state)) == state
    tls = "TLSv1.3 with TLS_AES_256_GCM_SHA384"
    assert state["probe"] == {
        "time": NOW.timestamp(),
        "seconds": 0.5,
        "late": [60.0],
        "others": 1,
        "left": 2,
        "problem": "",
        "targets": [
            {
                "target": "smtp/inet on 127.0.0.1:25",
                "service": "smtp/inet",
                "ok": True,
                "outcome": "agree",
                "stage": "",
                "code": 0,
                "problem": "",
                "seconds": 0.25,
                "handshake": tls,
                "header": tls,
                "log": tls,
            },
            {
                "target": "submission/inet on [::1]:587",
                "service": "submission/inet",
                "ok": False,
                "outcome": "refused",
                "stage": "AUTH",
                "code": 535,
                "problem": "No",
                "seconds": 0.5,
                "handshake": "nothing",
                "header": "nothing",
                "log": "nothing",
            },
        ],
    }


def test_what_stands_is_over_with_the_next_probe(make_instance):
    instance = make_instance(MAIN_CF, suites=False)
    first = probed({"probe": [{"header": ""}]}, instance)
    assert [one.rule for one in first if isinstance(one, Finding)] == ["witnesses-disagree"]
    second = probed({}, instance, records_of(first).state)
    assert [one for one in second if isinstance(one, Finding)] == []


def test_without_probes_nothing_stands_and_the_last_one_can_still_be_shown(make_instance):
    instance = make_instance(MAIN_CF, suites=False)
    state = records_of(probed({"probe": [{"header": ""}]}, instance)).state
    facts = {POSTFIX: instance, STATE: state}
    assert observe(EventKind.TIMER, facts, {**PROBING, "probe_every": 0, **SAMPLING}) == ()
    headers = (HEADER.encode(),)
    found = observe(EventKind.MESSAGES, facts, SAMPLING, headers=headers)
    assert records_of(found).state == state


def test_a_probe_on_request_is_remembered_without_any_options():
    found = probed({"probe": [{"header": ""}]}, options={})
    assert [type(one) for one in found] == [Records]


@pytest.mark.parametrize(
    "state",
    [
        None,
        [],
        "x",
        {},
        {"version": 2},
        {"version": 1},
        {"version": 1, "probe": 5, "complaints": []},
        {"version": 1, "probe": {}, "complaints": []},
        {"version": 1, "probe": {"targets": [{"target": 1, "outcome": "x"}]}, "complaints": []},
        {"version": 1, "probe": None, "complaints": [{"rule": "probe-late"}]},
        {"version": 1, "probe": None, "complaints": [5]},
    ],
)
def test_a_state_that_is_none_is_as_if_there_was_none(state):
    assert read_memory(state) == Memory()


@pytest.mark.parametrize("change", [{"rule": "no-rule"}, {"severity": "grave"}, {"says": 5}])
def test_complaints_that_are_none_are_as_if_there_was_none(change):
    state = records_of(probed({"probe": [{"header": ""}]})).state
    (kept,) = state["complaints"]
    assert read_memory(state).written() == state
    assert read_memory({**state, "complaints": [{**kept, **change}]}) == Memory()


def test_the_state_is_bounded():
    case = {
        "probe": [
            {"port": str(port), "stage": "DATA", "problem": "x" * 5000} for port in range(500)
        ],
        "late": [1.0] * 500,
        "problem": "y" * 5000,
    }
    state = records_of(probed(case)).state
    assert len(state["probe"]["targets"]) == len(state["probe"]["late"]) == MOST
    assert len(state["complaints"]) == MOST
    assert len(json.dumps(state)) < 200_000


@pytest.mark.parametrize("seconds", [-1.0, float("nan"), float("inf"), 1e300])
def test_times_that_are_none_are_no_time(seconds):
    records = records_of(probed({"probe": [{"seconds": seconds}], "late": [seconds]}))
    assert records.state["probe"]["seconds"] == 0
    assert set(records.add["probes"].values()) == {(1, 0)}


# --- what is counted -----------------------------------------------------------------------


def test_probes_are_counted_by_service_and_outcome():
    case = {
        "probe": [
            {"seconds": 0.25},
            {"host": "::1", "seconds": 0.5},
            {"service": "submission/inet", "stage": "delivery", "seconds": 10.0},
        ],
        "late": [61.5],
    }
    assert records_of(probed(case)).add == {
        "probes": {
            (HOUR, "smtp/inet", "agree"): (2, 750),
            (HOUR, "submission/inet", "not delivered"): (1, 0),
            (HOUR, "", "late"): (1, 61500),
        }
    }


def test_a_round_without_probes_counts_none():
    assert records_of(probed({"probe": [], "problem": "no mailbox"})).add == {}


FOREIGN = """\
Received: from mail.example.com (mail.example.com [192.0.2.9])
\tby mx.example.test (Postfix) with ESMTP id 1234567890A;
\tMon, 23 Nov 2026 12:00:00 +0000 (UTC)
Received: from a (b [192.0.2.10])
\tby mail.example.com (Postfix) with ESMTPS id 1234567890B;
\tMon, 23 Nov 2026 11:59:00 +0000 (UTC)
"""


def test_messages_and_their_hops_are_counted(make_instance):
    facts = {POSTFIX: make_instance(MAIN_CF, suites=False)}
    headers = (
        HEADER.replace("localhost [127.0.0.1]", "c.example.com [192.0.2.1]").encode(),
        FOREIGN.encode(),
        *(FOREIGN.replace("by mx.example.test", "by stranger.example").encode(),) * 2,
        b"Subject: none\n",
    )
    found = observe(EventKind.MESSAGES, facts, SAMPLING, headers=headers)
    assert [type(one) for one in found] == [Records]
    add = records_of(found).add
    assert add["messages"] == {
        (HOUR, "encrypted"): (1,),
        (HOUR, "clear"): (1,),
        (HOUR, ""): (3,),
    }
    assert add["hops"] == {
        (HOUR, "yes", "encrypted", "ESMTPS", "Postfix"): (1,),
        (HOUR, "yes", "clear", "ESMTP", "Postfix"): (1,),
        (HOUR, "no", "clear", "ESMTP", "Postfix"): (2,),
        (HOUR, "no", "unknown", "ESMTPS", "Postfix"): (3,),
    }


def test_only_what_can_be_told_of_is_counted_where_all_can(make_instance):
    facts = {POSTFIX: make_instance(MAIN_CF, suites=False)}
    found = observe(EventKind.MESSAGES, facts, SAMPLING, headers=(FOREIGN.encode(),))
    assert records_of(found).add["messages"] == {(HOUR, "clear"): (1,)}


def test_other_hosts_of_one_s_own_are_believed_too(make_instance):
    facts = {POSTFIX: make_instance(MAIN_CF, suites=False)}
    options = {**SAMPLING, "own_hosts": (".example.com", "192.0.2.9")}
    for known in (facts, {}):
        asked = options if known else {"own_hosts": (*options["own_hosts"], "mx.example.test")}
        found = observe(EventKind.MESSAGES, known, SAMPLING | asked, headers=(FOREIGN.encode(),))
        assert records_of(found).add["messages"] == {(HOUR, "unknown"): (1,)}


# --- what the witnesses are asked ----------------------------------------------------------


def test_every_suite_of_openssl_has_a_name_that_is_kept():
    command = ["openssl", "ciphers", "ALL:COMPLEMENTOFALL"]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    for name in run.stdout.strip().split(":"):
        assert handshake_of(probed_of({"cipher": name})).cipher == name
    assert handshake_of(probed_of({"cipher": "X-25"})).cipher == ANOTHER


def test_without_the_instance_no_setting_explains_a_silence(make_instance):
    header = HEADER.replace("using", "Client")
    case = {"probe": [{"header": header, "lines": "connect from localhost[127.0.0.1]"}]}
    findings = [one for one in probed(case) if isinstance(one, Finding)]
    assert [(one.parameter, one.where) for one in findings] == [
        ("smtpd_tls_received_header", "default"),
        ("smtpd_tls_loglevel", "default"),
    ]
    assert "is off" not in findings[0].why
    assert "two witnesses only" not in findings[1].why


def test_a_server_that_is_no_postfix_may_say_nothing_of_tls():
    header = "Received: from a (b [192.0.2.1]) by c (D 1.0) with SMTP id 4F1282AC977; now\n"
    found = probed({"probe": [{"header": header}]})
    assert records_of(found).state["probe"]["targets"][0]["header"] == "nothing"


def test_a_service_that_is_gone_since_is_no_exception(make_instance):
    instance = make_instance(MAIN_CF, "smtp inet n - n - 1 postscreen\n", suites=False)
    assert instance.services[0].role is Role.POSTSCREEN
    for service in ("smtp/inet", "gone/inet"):
        found = probed({"probe": [{"service": service, "header": ""}]}, instance)
        assert any(isinstance(one, Finding) for one in found)
        assert not any(isinstance(one, CheckNow) for one in found)


def test_a_result_of_nothing_is_remembered():
    found = observe(EventKind.PROBED, {}, PROBING, probe=ProbeResult())
    assert records_of(found).state["probe"]["targets"] == []
