"""The hooks of the certificate watcher, its options, and the words it uses."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from certificate_cases import FILE, NOW, certificates_of, served_of, tlsa_of
from postkeel.conformance import broken_promises, sample_event
from postkeel.contract import Absent, Event, EventKind, Finding, Need, Side
from postkeel_plugins import certificate_watcher
from postkeel_plugins.certificate_watcher import wording
from postkeel_plugins.certificate_watcher.options import OPTIONS, seconds
from postkeel_plugins.certificate_watcher.thresholds import (
    Limit,
    Limits,
    Thresholds,
    limit_fault,
    parse_limit,
    parse_threshold,
    thresholds_fault,
)

DIRECTORY = "/etc/postfix"
KINDS = ("postfix", "profile", "certificates", "served", "tlsa")
NEEDS = tuple(Need(kind=kind, subject=DIRECTORY) for kind in KINDS)
EVENT = Event(kind=EventKind.TIMER, instance=DIRECTORY, time=NOW)
OPTION = {one.name: one for one in OPTIONS}
MAIN_CF = f"smtpd_tls_chain_files = {FILE}\nsmtpd_tls_security_level = may\n"
WRONG = {
    "credential": [{"chain": [{"leaf": {"ends": -1}}]}],
    "handshake": [{"shown": "0d"}],
    "tlsa": {"25 mx.example.test": [f"3 1 1 {'9' * 64}"]},
}


def facts(make_instance, case):
    given = (
        make_instance(MAIN_CF, suites=False),
        None,
        certificates_of(case),
        served_of(case),
        tlsa_of(case),
    )
    return {need: fact for need, fact in zip(NEEDS, given, strict=True) if fact is not None}


def test_card():
    card = certificate_watcher.keel_card()
    assert (card.name, card.side) == ("certificate_watcher", Side.ROOT)
    assert {one.name: one.default for one in card.options} == {
        "check_interval": 900,
        "check_splay": 120,
        "settle_seconds": 10,
        "warning": "20% 1d",
        "error": "10% 12h",
        "thresholds": (),
    }


def test_the_defaults_are_without_fault():
    assert [one.fault(one.default) for one in OPTIONS if one.fault] == ["", "", ""]


def test_interests_at_first():
    interest = certificate_watcher.keel_interests(DIRECTORY, {}, {})
    assert interest.paths == ()
    assert interest.needs == NEEDS
    (timer,) = interest.timers
    assert (timer.name, timer.every, timer.splay) == ("certificates", 900, 120)


def test_interests_follow_what_is_watched(make_instance):
    options = {"check_interval": 60, "check_splay": 5}
    interest = certificate_watcher.keel_interests(DIRECTORY, options, facts(make_instance, {}))
    assert interest.paths == (FILE,)
    assert (interest.timers[0].every, interest.timers[0].splay) == (60, 5)


def test_an_option_that_is_no_number_counts_as_the_default():
    assert seconds({"check_interval": "often"}, OPTION["check_interval"]) == 900


def test_thresholds_that_are_no_list_count_as_the_default(make_instance):
    given = facts(make_instance, {})
    found = certificate_watcher.keel_observe(EVENT, DIRECTORY, given, {"thresholds": "mx: 99%"})
    assert found == ()


@pytest.mark.parametrize("missing", ["postfix", "certificates"])
@pytest.mark.parametrize("absence", [None, Absent(reason="no postconf")])
def test_nothing_is_judged_without_the_facts(make_instance, missing, absence):
    given = facts(make_instance, WRONG)
    given[Need(kind=missing, subject=DIRECTORY)] = absence
    assert certificate_watcher.keel_observe(EVENT, DIRECTORY, given, {}) == ()


@pytest.mark.parametrize("missing", ["profile", "served", "tlsa"])
def test_absent_facts_that_it_can_do_without(make_instance, missing):
    given = facts(make_instance, WRONG)
    given[Need(kind=missing, subject=DIRECTORY)] = Absent(reason="not asked")
    found = certificate_watcher.keel_observe(EVENT, DIRECTORY, given, {})
    assert "certificate-lifetime" in {one.rule for one in found}


def test_it_keeps_the_contract(make_instance):
    given = facts(make_instance, WRONG)
    assert broken_promises(certificate_watcher, "certificate_watcher", given) == []
    found = certificate_watcher.keel_observe(sample_event(), DIRECTORY, given, {})
    assert {one.rule for one in found} >= {"certificate-lifetime", "certificate-tlsa"}


def test_another_instance_is_reloaded_by_its_own_command(make_instance):
    given = facts(make_instance, {"handshake": [{"shown": "0d"}]})
    given = {Need(kind=need.kind, subject="/etc/postfix-out"): one for need, one in given.items()}
    event = Event(kind=EventKind.TIMER, instance="/etc/postfix-out", time=NOW)
    found = certificate_watcher.keel_observe(event, "/etc/postfix-out", given, {})
    (served,) = (one for one in found if one.rule == "certificate-served")
    assert "`postfix -c /etc/postfix-out reload`" in served.why


def test_the_same_words_are_said_once_of_a_table_with_many_names(make_instance):
    """Each entry of a table without files is a credential of its own, the finding is one."""
    table = "hash:/etc/postfix/sni"
    entries = [
        {
            "kind": "table",
            "files": [table, f"{count}.example"],
            "seen": [],
            "chain": [{"leaf": {"ends": -1, "names": [f"{count}.example"]}}],
            "use": [
                {"parameter": "tls_server_sni_maps", "table": table, "name": f"{count}.example"}
            ],
        }
        for count in range(50)
    ]
    given = facts(make_instance, {"credential": entries})
    (found,) = certificate_watcher.keel_observe(EVENT, DIRECTORY, given, {})
    assert isinstance(found, Finding)
    assert found.file == "/etc/postfix/sni"
    assert found.why.count("expired") == 4
    assert ". And 46 more of this kind. " in found.why


def test_nothing_is_offered_to_a_postfix_that_knows_no_chain_files(make_instance):
    instance = make_instance("smtpd_tls_security_level = may\n", suites=False)
    pair = {"certificate": "/etc/letsencrypt/live/mx/fullchain.pem", "key": "/k"}
    joined = {**pair, "path": "/etc/postfix/j.pem", "contents": "c0", "current": False}
    read = {"kind": "pair", "files": [*pair.values()], "use": []}
    certificates = certificates_of({"credential": [read], "offered": [joined]})
    given = {Need(kind="certificates", subject=DIRECTORY): certificates}
    postfix = Need(kind="postfix", subject=DIRECTORY)
    (found,) = certificate_watcher.keel_observe(EVENT, DIRECTORY, {postfix: instance, **given}, {})
    assert found.rule == "certificate-offered"
    defaults = {name: one for name, one in instance.defaults.items() if "chain_files" not in name}
    old = replace(instance, defaults=defaults)
    assert certificate_watcher.keel_observe(EVENT, DIRECTORY, {postfix: old, **given}, {}) == ()


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("20% 1d", Limit(share=0.2, floor=86400)),
        (" 5%  1h30m ", Limit(share=0.05, floor=5400)),
        ("100%", Limit(share=1.0, floor=0)),
        ("2w", Limit(share=0.0, floor=1209600)),
        ("0%", Limit(share=0.0, floor=0)),
        *((text, None) for text in ("", "20", "101%", "-1%", "1d 20%", "20% 1", "20%%", "1y", "%")),
        *(
            (text, None)
            for text in ("20.5%", "20% 9999999d", "20% d", "20% 1d 1h", "x%", "\u0662\u0660%")
        ),
    ],
)
def test_limits(text, limit):
    assert parse_limit(text) == limit
    assert bool(limit_fault(text)) is (limit is None)


def test_what_is_wrong_with_a_limit_shows_how_it_is_written():
    how = 'must be like "20% 1d": percent of the lifetime, and the least time'
    assert limit_fault("soon") == f"{how}; not 'soon'"


def test_thresholds():
    found = parse_threshold("/etc/ssl/a:b.pem: 30% 5d, 15% 2d")
    assert found.subject == "/etc/ssl/a:b.pem"
    assert found.limits.warning == Limit(share=0.3, floor=432000)
    assert found.limits.error == Limit(share=0.15, floor=172800)


@pytest.mark.parametrize(
    "entry", ["", "mx.example.org", "mx.example.org: 30%", ": 30%, 15%", "mx: 30%, x", "mx: x, 3%"]
)
def test_entries_that_are_no_thresholds(entry):
    assert parse_threshold(entry) is None
    fault = thresholds_fault(("a.example: 3%, 2%", entry))
    assert fault.startswith(f"has {entry!r}, which is no threshold; write them like ")


def test_an_error_that_comes_before_its_warning():
    fault = thresholds_fault(("mx.example.org: 10%, 20%",))
    assert fault.startswith("has 'mx.example.org: 10%, 20%', whose error comes before its warning")
    assert thresholds_fault(("mx.example.org: 20%, 20%",)) == ""


def test_limits_that_are_none_never_alarm():
    """The card refuses them; a plugin is total all the same."""
    nothing = Limit(share=0.0, floor=0.0)
    found = Thresholds("soon", "later", ("x",)).of((FILE,), ())
    assert found == Limits(warning=nothing, error=nothing)


@pytest.mark.parametrize(
    ("limit", "lifetime", "wanted"),
    [
        (Limit(share=0.2, floor=86400), 90 * 86400, 18 * 86400),
        (Limit(share=0.0, floor=86400), 86400, 43200),
        (Limit(share=0.0, floor=86400), 90 * 86400, 86400),
    ],
)
def test_the_floor_counts_at_most_half_of_a_lifetime(limit, lifetime, wanted):
    assert limit.of(lifetime) == wanted


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 minutes"), (60, "1 minute"), (7199, "1 hour"), (86400, "1 day"), (9e5, "10 days")],
)
def test_spans(seconds, words):
    assert wording.span(seconds) == words


def test_moments_are_in_utc():
    moment = datetime(2026, 11, 23, 23, 59, tzinfo=UTC)
    assert (wording.day(moment), wording.minute(moment)) == ("2026-11-23", "2026-11-23 23:59 UTC")


@pytest.mark.parametrize(
    ("words", "text"),
    [("", ""), ("a", "a"), ("aab", "a, b"), ("abc", "a, b, c"), ("abcdd", "a, b, c and 1 more")],
)
def test_lists(words, text):
    assert wording.listed(words) == text


@pytest.mark.parametrize(
    ("path", "command"),
    [
        ("/etc/letsencrypt/live/mx/fullchain.pem", "run `certbot renew --cert-name mx`"),
        ("/etc/letsencrypt/archive/mx/fullchain3.pem", "run `certbot renew --cert-name mx`"),
        ("/etc/letsencrypt/keys/mx.pem", ""),
        ("/srv/letsencrypt/live/mx/fullchain.pem", ""),
        ("/root/.acme.sh/mx.example/fullchain.cer", "run `acme.sh --renew -d mx.example`"),
        ("/root/.acme.sh/mx.example_ecc/x.cer", "run `acme.sh --renew -d mx.example --ecc`"),
        ("mx.pem", ""),
    ],
)
def test_how_a_certificate_is_renewed(path, command):
    unknown = "renew it with the tool that issued it"
    assert wording.renewal([path]) == (command or unknown)
    assert wording.renewal(["/x", path]) == (command or unknown)


def test_a_renewal_before_its_time_has_to_be_forced():
    forced = wording.renewal(["/etc/letsencrypt/live/mx/cert.pem"], force=True)
    assert forced == "run `certbot renew --cert-name mx --force-renewal`"
    forced = wording.renewal(["/root/.acme.sh/mx.example/fullchain.cer"], force=True)
    assert forced == "run `acme.sh --renew -d mx.example --force`"


@pytest.mark.parametrize(
    ("file", "path"),
    [
        ("/etc/ssl/c.pem", "/etc/ssl/c.pem"),
        ("hash:/etc/postfix/sni", "/etc/postfix/sni"),
        ("proxy:lmdb:/etc/postfix/sni", "/etc/postfix/sni"),
        ("inline:{a=b}", ""),
    ],
)
def test_the_file_of_a_table(file, path):
    assert wording.parameter_file(file) == path
