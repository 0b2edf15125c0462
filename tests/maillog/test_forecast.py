"""What a profile would have done: sessions as cases, then what holds for any statistics."""

from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import pytest
import tomli
from hypothesis import given
from hypothesis import strategies as st

from postkeel.core.document import Document
from postkeel.core.profile import resolve_profile
from postkeel.maillog.forecast import Harm, forecast
from postkeel.maillog.forecast_sums import MOST_PEERS
from postkeel.maillog.reader import Reader
from postkeel.maillog.tally import Tally
from postkeel.maillog.values import (
    NOT_LOGGED,
    OTHERS,
    ConnectionCount,
    Direction,
    FailureCount,
    Session,
    Statistics,
)
from postkeel.postfix.comparisons import COMPARISONS
from postkeel.postfix.instance import Suite
from postkeel.shell.documents import Profiles
from postkeel.shell.openssl import command_source

IN, OUT = Direction.INBOUND, Direction.OUTBOUND
MX, SUBMISSION, SUBMISSIONS = "postfix/smtpd", "postfix/submission/smtpd", "postfix/smtps/smtpd"
POSTSCREEN, SMTP, LMTP = "postfix/tlsproxy", "postfix/smtp", "postfix/lmtp"
DEBIAN_12, DEBIAN_13 = (3, 7, 11), (3, 10, 13)

# In the log of an older OpenSSL; today's has none of them.
GONE = {
    one.name: one
    for one in (
        Suite(
            name="ECDHE-RSA-DES-CBC3-SHA",
            protocol="TLSv1",
            key_exchange="ECDH",
            authentication="RSA",
            encryption="3DES(168)",
            mac="SHA1",
        ),
        Suite(
            name="RC4-SHA",
            protocol="SSLv3",
            key_exchange="RSA",
            authentication="RSA",
            encryption="RC4(128)",
            mac="SHA1",
        ),
    )
}

# A profile of somebody's own that demands TLS of everybody, and one that knows more words.
OWN = """
extends = "intermediate"
[rule.mx-security-level]
wanted = ["encrypt"]
value = "encrypt"
[rule.smtp-security-level]
wanted = ["{level}"]
value = "{level}"
"""
GROUPS = """
extends = "intermediate"
[rule.groups]
parameters = ["tls_eecdh_auto_curves"]
services = ["mx", "smtp"]
comparison = "excludes"
wanted = ["prime256v1", "x448"]
severity = "error"
why = "for the test"
references = "a book"
"""
NOT_READ = """
extends = "intermediate"
[rule.exactly]
parameters = ["smtpd_tls_protocols"]
services = ["mx"]
comparison = "equals"
wanted = ["TLSv1.3"]
severity = "error"
why = "for the test"
references = "a book"
[rule.later]
parameters = ["smtpd_tls_protocols"]
services = ["mx"]
comparison = "equals"
wanted = ["TLSv1.3"]
severity = "error"
why = "for the test"
references = "a book"
postfix = ">=3.12"
[rule.smtp-protocols]
wanted = ["TLSv9"]
[rule.lmtp-protocols]
wanted = []
[rule.smtp-security-level]
wanted = ["dane"]
[rule.smtpd-ciphers]
wanted = ["low"]
"""
REJECTED = """
extends = "intermediate"
[rule.smtpd-protocols]
value = [{ postfix = ">=3.6", is = "no such protocol" }]
"""
TEXTS = {
    "rejected": REJECTED,
    "encrypt": OWN.format(level="encrypt"),
    "secure": OWN.format(level="secure"),
    "verify": OWN.format(level="verify").replace('"encrypt"', '"verify"'),
    "groups": GROUPS,
    "not-read": NOT_READ,
}


@cache
def suites():
    found = {one.name: one for one in command_source()("ALL:COMPLEMENTOFALL")}
    return GONE | found


@cache
def profile(name):
    shipped = Profiles(None)
    if name not in TEXTS:
        return shipped.get(name)
    text = TEXTS[name]
    own = Document(file=f"{name}.toml", text=text, data=tomli.loads(text))
    return resolve_profile(name, {**shipped.documents, name: own}, COMPARISONS)


def clear(direction=IN):
    return Session(direction=direction)


def tls(protocol, cipher="", *, direction=IN, trust="Anonymous", key_exchange=""):
    return Session(
        direction=direction,
        trust=trust,
        protocol=protocol,
        cipher=cipher or _COMMON.get(protocol, "TLS_AES_256_GCM_SHA384"),
        key_exchange=key_exchange,
    )


_COMMON = dict.fromkeys(("SSLv3", "TLSv1", "TLSv1.1"), "ECDHE-RSA-AES256-SHA")
_COMMON["TLSv1.2"] = "ECDHE-RSA-AES256-GCM-SHA384"


def to_server(protocol, cipher="", trust="Trusted"):
    return tls(protocol, cipher, direction=OUT, trust=trust)


def count(session, name=MX, *, peer="example.com", connections=1, mails=1):
    return ConnectionCount(
        hour=0, name=name, session=session, peer=peer, connections=connections, mails=mails
    )


MODERN = [
    count(tls("TLSv1.3"), peer="modern.example", connections=5),
    count(to_server("TLSv1.3", trust="Verified"), SMTP, peer="modern.example", connections=5),
]


def look(counts, name="intermediate", *, version=DEBIAN_12, known=None, **more):
    statistics = Statistics(lines=1, connections=tuple(counts), **more)
    return forecast(statistics, profile(name), suites() if known is None else known, version)


def harm_done(found):
    """(direction, "refused" or "to_clear", PeerHarm) of each harm."""
    for direction, side in (("in", found.inbound), ("out", found.outbound)):
        for fate in ("refused", "to_clear"):
            for one in getattr(side, fate).peers:
                yield direction, fate, one


# What was logged; by whom; under which profile; None, or (fate, rule, certain).
SESSIONS = [
    # Opportunistic, inbound.
    (tls("TLSv1.3"), MX, "strict", None),
    (tls("TLSv1.2"), MX, "strict", None),
    (tls("TLSv1.1"), MX, "intermediate", ("to_clear", "smtpd-protocols", True)),
    (tls("SSLv3"), MX, "interop", ("to_clear", "smtpd-protocols", True)),
    (tls("TLSv1"), MX, "interop", None),
    (tls("TLSv1"), MX, "article-2017", ("to_clear", "smtpd-protocols", True)),
    (tls("TLSv1.1"), MX, "article-2017", None),
    (clear(), MX, "strict", None),
    (clear(), "postfix-in/smtpd", "encrypt", ("refused", "mx-security-level", True)),
    (tls("TLSv1"), MX, "encrypt", ("refused", "smtpd-mandatory-protocols", True)),
    (tls("TLSv1.2", trust="Untrusted"), MX, "secure", None),
    # smtpd takes "verify" for "encrypt", and clients need no certificate.
    (tls("TLSv1.2", trust="Untrusted"), MX, "verify", None),
    (clear(), MX, "verify", ("refused", "mx-security-level", True)),
    # Ciphers: at most.
    (tls("TLSv1.2", "AES256-SHA"), MX, "intermediate", None),
    (tls("TLSv1.2", "AES256-SHA"), MX, "strict", ("to_clear", "smtpd-excluded-ciphers", False)),
    (tls("TLSv1.2", "AES256-SHA"), MX, "encrypt", None),
    (tls("TLSv1.2", "DHE-RSA-AES256-GCM-SHA384"), MX, "strict", ("to_clear", ..., False)),
    (tls("TLSv1.2", "ECDHE-RSA-AES256-SHA384"), MX, "ncsc-nl-2025", ("to_clear", ..., False)),
    (tls("TLSv1.2", "ADH-AES256-SHA"), MX, "intermediate", ("to_clear", ..., False)),
    (tls("TLSv1.2", "ADH-AES256-SHA"), MX, "article-2017", ("to_clear", ..., False)),
    (tls("TLSv1", "RC4-SHA"), MX, "interop", ("to_clear", "smtpd-excluded-ciphers", False)),
    (tls("TLSv1.3", "TLS_AES_128_CCM_8_SHA256"), MX, "strict", None),
    # Where people log in.
    (tls("TLSv1.1"), SUBMISSION, "interop", ("refused", "smtpd-mandatory-protocols", True)),
    (tls("TLSv1.1"), SUBMISSIONS, "intermediate", ("refused", "smtpd-mandatory-protocols", True)),
    (tls("TLSv1"), "mail/submissions/smtpd", "article-2017", ("refused", ..., True)),
    (tls("TLSv1.2", "AES128-SHA"), SUBMISSION, "strict", ("refused", ..., False)),
    (clear(), SUBMISSION, "intermediate", ("refused", "submission-security-level", True)),
    (clear(), SUBMISSIONS, "intermediate", ("refused", "submissions-wrappermode", True)),
    (clear(), SUBMISSION, "article-2017", None),
    # Behind postscreen.
    (tls("TLSv1.1"), POSTSCREEN, "intermediate", ("to_clear", ..., True)),
    (tls("TLSv1.1"), POSTSCREEN, "interop", ("to_clear", "tlsproxy-protocols", True)),
    (tls("TLSv1.2", "AES128-SHA"), POSTSCREEN, "strict", ("to_clear", ..., False)),
    (clear(), "postfix/postscreen", "intermediate", None),
    # Outbound.
    (to_server("TLSv1.3"), SMTP, "strict", None),
    (to_server("TLSv1.1"), SMTP, "intermediate", ("to_clear", "smtp-protocols", True)),
    (to_server("TLSv1.1"), SMTP, "interop", None),
    (
        to_server("TLSv1.1"),
        "postfix/tlsproxy",
        "intermediate",
        ("to_clear", "smtp-protocols", True),
    ),
    (to_server("TLSv1.1"), LMTP, "intermediate", ("to_clear", "lmtp-protocols", True)),
    (
        to_server("TLSv1.2", "AES256-SHA"),
        LMTP,
        "strict",
        ("to_clear", "lmtp-excluded-ciphers", False),
    ),
    (to_server("TLSv1.2", "AES256-SHA"), SMTP, "ncsc-nl-2025", None),
    (to_server("TLSv1.2", "ADH-AES256-SHA"), SMTP, "intermediate", None),
    (to_server("TLSv1.2", "ADH-AES256-SHA"), SMTP, "strict", ("to_clear", ..., False)),
    (clear(OUT), SMTP, "strict", None),
    # A policy demands TLS there already.
    (to_server("TLSv1.1", trust="Verified"), SMTP, "interop", ("refused", ..., True)),
    (to_server("TLSv1.2", trust="Verified"), SMTP, "secure", None),
    (clear(OUT), SMTP, "encrypt", ("refused", "smtp-security-level", True)),
    (clear(OUT), LMTP, "encrypt", None),
    (to_server("TLSv1.1"), SMTP, "encrypt", ("refused", "smtp-mandatory-protocols", True)),
    (to_server("TLSv1.3", trust="Untrusted"), SMTP, "encrypt", None),
    (to_server("TLSv1.3", trust="Trusted"), SMTP, "secure", ("refused", ..., False)),
    (to_server("TLSv1.3", trust=""), SMTP, "secure", ("refused", "smtp-security-level", False)),
    # Key exchange.
    (tls("TLSv1.3", key_exchange="secp256r1"), MX, "groups", ("to_clear", "groups", False)),
    (tls("TLSv1.3", key_exchange="X448"), MX, "groups", ("to_clear", "groups", False)),
    (tls("TLSv1.3", key_exchange="X25519MLKEM768"), MX, "groups", None),
    (tls("TLSv1.2"), MX, "groups", None),
    # Nothing is known of it.
    (tls("TLSv1.2", "HOME-MADE"), MX, "strict", None),
    (tls(NOT_LOGGED, "x", trust=""), MX, "strict", None),
    (tls("TLSv1.1"), MX, "not-read", ("to_clear", "smtpd-protocols", True)),
    (to_server("TLSv1.1"), SMTP, "not-read", None),
]


@pytest.mark.parametrize(("session", "name", "under", "expected"), SESSIONS)
def test_one_session(session, name, under, expected):
    found = look([*MODERN, count(session, name, connections=2, mails=3)], under)
    harms = list(harm_done(found))
    assert found.hurts == (expected is not None)
    if expected is None:
        assert harms == []
        return
    ((direction, fate, harm),) = harms
    assert direction == ("in" if session.direction is IN else "out")
    assert (fate, harm.certain) == (expected[0], expected[2])
    assert harm.rule == expected[1] or expected[1] is ...
    assert (harm.peer, harm.name, harm.connections, harm.mails) == ("example.com", name, 2, 3)
    assert (harm.protocol, harm.cipher) == (session.protocol, session.cipher)
    assert profile(under).rule(harm.rule)


def test_reasons_are_words():
    counts = [
        count(tls("TLSv1.1"), peer="a"),
        count(tls("TLSv1.2", "AES256-SHA"), peer="b"),
        count(clear(), SUBMISSION, peer="c"),
        count(tls("TLSv1", "ECDHE-RSA-DES-CBC3-SHA"), SUBMISSION, peer="d"),
    ]
    found = {one.peer: one.reason for _, _, one in harm_done(look([*MODERN, *counts], "strict"))}
    assert found == {
        "a": "TLSv1.1 is older than TLSv1.2",
        "b": "AES256-SHA is excluded (kRSA)",
        "c": "clear text where TLS is demanded",
        "d": "TLSv1 is older than TLSv1.2",
    }
    harms = harm_done(look([count(to_server("TLSv1.3"), SMTP), *MODERN], "secure"))
    assert {one.reason for *_, one in harms} == {"Trusted, where secure is demanded"}


def test_a_grade_takes_out_what_openssl_calls_weaker():
    """By name (smtpd_tls_exclude_ciphers) the profile of the article does not take 3DES."""
    text = TEXTS["groups"].replace(
        "[rule.groups]", "[rule.smtpd-excluded-ciphers]\nenabled = false\n[rule.groups]"
    )
    own = Document(file="grades.toml", text=text, data=tomli.loads(text))
    grades = resolve_profile("grades", {**Profiles(None).documents, "grades": own}, COMPARISONS)
    session = tls("TLSv1.2", "ECDHE-RSA-DES-CBC3-SHA")
    for name, expected in ((MX, []), (SUBMISSION, ["smtpd-mandatory-ciphers"])):
        statistics = Statistics(lines=1, connections=(count(session, name),))
        found = forecast(statistics, grades, suites(), DEBIAN_12)
        assert [one.rule for *_, one in harm_done(found)] == expected


def test_what_is_written_counts_as_excluded_too():
    """Before 3.8 the value of smtpd-excluded-ciphers takes more than the rule wants."""
    dss = Suite(
        name="DHE-DSS-AES256-GCM-SHA384",
        protocol="TLSv1.2",
        key_exchange="DH",
        authentication="DSS",
        encryption="AESGCM(256)",
        mac="AEAD",
    )
    counts = [*MODERN, count(tls("TLSv1.2", dss.name))]
    for version, hurts in ((DEBIAN_12, True), (DEBIAN_13, False)):
        assert look(counts, version=version, known={dss.name: dss}).hurts == hurts


def test_without_a_newer_protocol_in_the_log_nothing_is_certain():
    """Who spoke TLS 1.0 with a server that had nothing else may know better."""
    found = look([count(tls("TLSv1"), connections=4, mails=2), MODERN[1]])
    assert found.inbound.to_clear.connections == 4
    assert found.inbound.to_clear.certain_connections == 0
    found = look([count(tls("TLSv1"), connections=4, mails=2), *MODERN])
    assert found.inbound.to_clear.certain_connections == 4
    assert found.inbound.to_clear.certain_mails == 2


def test_sums_and_shares():
    counts = [
        count(clear(), connections=10, mails=30),
        count(tls("TLSv1.3"), connections=80, mails=60),
        count(tls("TLSv1.1"), connections=6, mails=9, peer="old.example"),
        count(tls("TLSv1.1"), SUBMISSION, connections=4, mails=1, peer="phone.example"),
        count(to_server("TLSv1.2"), SMTP, connections=50, mails=70),
    ]
    found = look(counts)
    inbound = found.inbound
    assert (inbound.connections, inbound.mails) == (100, 100)
    assert (inbound.clear_connections, inbound.clear_mails) == (10, 30)
    assert (inbound.to_clear.connection_share, inbound.to_clear.mail_share) == (0.06, 0.09)
    assert (inbound.refused.connection_share, inbound.refused.mail_share) == (0.04, 0.01)
    assert (inbound.unaffected_connections, inbound.unaffected_mails) == (90, 90)
    assert found.outbound.to_clear == found.outbound.refused == Harm()
    assert found.outbound.unaffected_mails == 70


def test_alike_counts_of_many_hours_are_one_entry_and_most_mails_come_first():
    old = tls("TLSv1.1")
    counts = [
        ConnectionCount(hour=hour, name=MX, session=old, peer=peer, connections=2, mails=mails)
        for hour in (0, 3600)
        for peer, mails in (("few.example", 1), ("many.example", 5), ("none.example", 0))
    ]
    found = look([*MODERN, *counts]).inbound.to_clear.peers
    assert [(one.peer, one.connections, one.mails) for one in found] == [
        ("many.example", 4, 10),
        ("few.example", 4, 2),
        ("none.example", 4, 0),
    ]


def test_the_list_of_peers_is_bounded_and_the_sums_are_not():
    counts = [count(tls("TLSv1.1"), peer=f"{n}.example") for n in range(MOST_PEERS + 7)]
    harm = look(counts).inbound.to_clear
    assert (len(harm.peers), harm.left_off, harm.connections) == (MOST_PEERS, 7, MOST_PEERS + 7)


def test_todays_failures_are_no_harm_of_the_profile():
    failure = FailureCount(
        hour=0, name=MX, direction=IN, reason="unsupported protocol", peer="a", count=9
    )
    assert not look(MODERN, failures=(failure,)).hurts


def test_the_span_is_that_of_the_log():
    first, last = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 8, tzinfo=UTC)
    assert look(MODERN, first=first, last=last).span == (first, last)
    found = look([])
    assert found.span is None
    assert found.profile == "intermediate"
    assert found.unknown == ()
    assert found.inbound.refused == Harm()


# profile, counts, what is said not to be known
UNKNOWN = [
    ("strict", [count(tls("TLSv1.2", "HOME-MADE"), connections=4)], ["cipher HOME-MADE", "4 conn"]),
    ("strict", [count(tls("TLSv1.2", "A\x1b[0mB"))], [r"A\x1b[0mB"]),
    ("strict", [count(tls(NOT_LOGGED, "x"))], ["without a summary line"]),
    ("strict", [count(tls("TLSv1.4", "x"))], ["protocol TLSv1.4 is not known here"]),
    (
        "strict",
        [count(tls("TLSv1.2", f"C{n}")) for n in range(7)],
        [*(f"C{n} " for n in range(5)), "And 2 more"],
    ),
    (
        "article-2017",
        MODERN,
        ["TLSv1.3 is switched off by the profile", "10 connections and 2 mails"],
    ),
    ("intermediate", [count(clear())], ["smtpd_tls_loglevel"]),
    ("intermediate", [count(clear(OUT), SMTP)], ["smtp_tls_loglevel"]),
    (
        "not-read",
        MODERN,
        [
            "exactly demands (smtpd_tls_protocols)",
            "smtp-protocols",
            "lmtp-protocols",
            "smtp-security-level demands dane",
        ],
    ),
    ("rejected", MODERN, []),
    ("intermediate", MODERN, []),
]


@pytest.mark.parametrize(("under", "counts", "expected"), UNKNOWN)
def test_what_cannot_be_known_is_said(under, counts, expected):
    said = look(counts, under).unknown
    assert [one for one in expected if one not in "\n".join(said)] == []
    assert len(said) <= len(expected)
    assert not any("later" in one for one in said)


def test_without_openssl_protocols_are_judged_still():
    found = look([*MODERN, count(tls("TLSv1.1")), count(tls("TLSv1.2"))], "strict", known={})
    assert [one.protocol for *_, one in harm_done(found)] == ["TLSv1.1"]
    assert len(found.unknown) == 1


# As Postfix of Debian 12 wrote it, names of hosts apart.
LOG = Path(__file__).parents[1] / "cases/forecast.log"


def test_from_the_lines_that_postfix_writes():
    tally = Tally()
    reader = Reader(tally, now=datetime(2026, 11, 23, tzinfo=UTC), zone=UTC)
    reader.read(LOG.read_bytes())
    reader.finish()
    found = forecast(tally.statistics(), profile("strict"), suites(), DEBIAN_12)
    assert [
        (direction, fate, one.peer, one.connections, one.mails, one.certain)
        for direction, fate, one in harm_done(found)
    ] == [
        ("in", "refused", "phone.example", 1, 1, False),
        ("in", "to_clear", "old.example", 1, 2, True),
        ("out", "to_clear", "far.example", 1, 1, False),
    ]
    assert (found.inbound.connections, found.inbound.mails) == (4, 5)
    assert (found.inbound.clear_connections, found.inbound.clear_mails) == (1, 1)
    assert found.span == tuple(
        datetime(2026, 11, 22, 13, 7, second, tzinfo=UTC) for second in (3, 14)
    )


SHIPPED = ("article-2017", "interop", "intermediate", "ncsc-nl-2025", "strict")
_CIPHERS = (
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-SHA384",
    "DHE-RSA-AES128-SHA",
    "AES128-SHA",
    "ADH-AES256-SHA",
    "RC4-SHA",
    "ECDHE-RSA-DES-CBC3-SHA",
    "HOME-MADE",
)
_CLEAR = st.builds(clear, st.sampled_from(Direction))
_TLS = st.builds(
    tls,
    st.sampled_from(("SSLv3", "TLSv1", "TLSv1.1", "TLSv1.2", NOT_LOGGED)),
    st.sampled_from(_CIPHERS),
    direction=st.sampled_from(Direction),
    trust=st.sampled_from(("Anonymous", "Untrusted", "Trusted", "Verified", "")),
)
_TLS_1_3 = st.builds(
    tls,
    st.just("TLSv1.3"),
    direction=st.sampled_from(Direction),
    key_exchange=st.sampled_from(("X25519", "secp256r1", "")),
)
_COUNTS = st.builds(
    count,
    _CLEAR | _TLS | _TLS_1_3,
    st.sampled_from((MX, SUBMISSION, SUBMISSIONS, POSTSCREEN, SMTP, LMTP, "odd")),
    peer=st.sampled_from(("a.example", "b.example", "[192.0.2.1]", OTHERS)),
    connections=st.integers(0, 5),
    mails=st.integers(0, 5),
)


@given(st.lists(_COUNTS, max_size=12), st.sampled_from((*SHIPPED, *TEXTS)))
def test_harm_is_a_part_of_the_whole(counts, name):
    found = look(counts, name)
    for direction, side in ((IN, found.inbound), (OUT, found.outbound)):
        own = [one for one in counts if one.session.direction is direction]
        assert side.connections == sum(one.connections for one in own)
        assert side.mails == sum(one.mails for one in own)
        assert side.unaffected_connections >= 0
        assert side.unaffected_mails >= 0
        for harm in (side.refused, side.to_clear):
            assert harm.connections == sum(one.connections for one in harm.peers)
            assert harm.mails == sum(one.mails for one in harm.peers)
            assert 0 <= harm.certain_connections <= harm.connections
            assert 0 <= harm.certain_mails <= harm.mails
            assert 0 <= harm.connection_share <= 1
            assert 0 <= harm.mail_share <= 1


@given(st.lists(_COUNTS, max_size=12))
def test_each_direction_is_judged_by_itself(counts):
    found = look(counts)
    for direction, side in ((IN, "inbound"), (OUT, "outbound")):
        own = [one for one in counts if one.session.direction is direction]
        assert getattr(look(own), side) == getattr(found, side)


# The second is nowhere weaker than the first.
RAISED = [
    ("interop", "intermediate"),
    ("intermediate", "ncsc-nl-2025"),
    ("intermediate", "strict"),
    ("intermediate", "encrypt"),
    ("encrypt", "secure"),
    ("intermediate", "groups"),
]


@pytest.mark.parametrize(("lower", "higher"), RAISED)
@given(st.lists(_COUNTS, max_size=12), st.sampled_from((DEBIAN_12, DEBIAN_13)))
def test_raising_never_reduces_harm(lower, higher, counts, version):
    less, more = (look(counts, one, version=version) for one in (lower, higher))
    for one, other in ((less.inbound, more.inbound), (less.outbound, more.outbound)):
        assert one.unaffected_connections >= other.unaffected_connections
        assert one.unaffected_mails >= other.unaffected_mails
        assert one.refused.connections <= other.refused.connections


@given(st.lists(_COUNTS, max_size=12))
def test_a_profile_that_demands_nothing_hurts_nobody(counts):
    text = 'summary = "nothing"'
    own = Document(file="nothing.toml", text=text, data=tomli.loads(text))
    nothing = resolve_profile("nothing", {"nothing": own}, COMPARISONS)
    statistics = Statistics(lines=1, connections=tuple(counts))
    assert not forecast(statistics, nothing, suites(), DEBIAN_12).hurts


@given(st.lists(_COUNTS, max_size=8), st.sampled_from(SHIPPED))
def test_the_order_of_counts_does_not_matter(counts, name):
    assert look(counts, name) == look(counts[::-1], name)
