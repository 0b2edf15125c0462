"""Entries of smtp_tls_policy_maps that history supports, and those that it does not."""

import shutil
import subprocess
from datetime import UTC, datetime, timedelta

import pytest

from postkeel.maillog.forecast import forecast
from postkeel.maillog.forecast_policy import LEAST_DAYS, LEAST_MAILS, MOST_SUGGESTIONS, suggest
from postkeel.maillog.values import (
    NOT_LOGGED,
    OTHERS,
    DestinationCount,
    Direction,
    FailureCount,
    Notice,
    NoticeKind,
    Session,
    Statistics,
)
from postkeel.shell.documents import Profiles

DAY = 86_400
IN, OUT = Direction.INBOUND, Direction.OUTBOUND
TRUSTED = Session(
    direction=OUT, trust="Trusted", protocol="TLSv1.3", cipher="TLS_AES_256_GCM_SHA384"
)
UNTRUSTED = Session(direction=OUT, trust="Untrusted", protocol="TLSv1.3", cipher=TRUSTED.cipher)
VERIFIED = Session(direction=OUT, trust="Verified", protocol="TLSv1.3", cipher=TRUSTED.cipher)
OLD = Session(direction=OUT, trust="Trusted", protocol="TLSv1.1", cipher="AES256-SHA")
UNTOLD = Session(direction=OUT, protocol=NOT_LOGGED)
CLEAR = Session(direction=OUT)
ELSEWHERE = DestinationCount(
    hour=0, domain="elsewhere.example", relay="mx.example", session=CLEAR, mails=1
)


def week(session=TRUSTED, *, domain="example.com", relay="example.com", mails=10, days=7):
    return [
        DestinationCount(hour=day * DAY, domain=domain, relay=relay, session=session, mails=mails)
        for day in range(days)
    ]


def failure(peer="example.com", direction=OUT):
    return FailureCount(
        hour=0, name="postfix/smtp", direction=direction, reason="x", peer=peer, count=1
    )


def notice(kind, peer="example.com"):
    return Notice(kind=kind, time=0.0, name="postfix/smtp", peer=peer, text="x")


def look(destinations, profile="intermediate", *, failures=(), notices=()):
    statistics = Statistics(
        lines=1,
        destinations=(*destinations, ELSEWHERE),
        failures=tuple(failures),
        notices=tuple(notices),
    )
    return forecast(statistics, Profiles(None).get(profile), {}, (3, 10))


# What was logged, and the entries
HISTORIES = {
    "every chain good": (week(TRUSTED), ["example.com encrypt"]),
    "no chain good": (week(UNTRUSTED), ["example.com encrypt"]),
    "chains good at times": (week(TRUSTED) + week(UNTRUSTED), ["example.com encrypt"]),
    "by somebody else's servers": (week(relay="host.example"), ["example.com encrypt"]),
    "by an address": (week(relay="[192.0.2.1]"), ["example.com encrypt"]),
    "verified": (week(VERIFIED), ["example.com secure"]),
    "verified, servers elsewhere": (
        week(VERIFIED, relay="host.example"),
        ["example.com secure match=host.example:.host.example"],
    ),
    "verified, servers in two places": (
        week(VERIFIED, relay="b.example") + week(VERIFIED, relay="a.example"),
        ["example.com secure match=a.example:.a.example:b.example:.b.example"],
    ),
    "verified, a name below": (
        week(VERIFIED, domain="mail.example.com"),
        ["mail.example.com secure match=example.com:.example.com"],
    ),
    "a content filter sees it first": (
        week(TRUSTED) + week(CLEAR, relay="[127.0.0.1]") + week(CLEAR, relay="localhost"),
        ["example.com encrypt"],
    ),
    "most mails first": (
        week(domain="a.example", mails=3) + week(domain="b.example", mails=4),
        ["b.example encrypt", "a.example encrypt"],
    ),
    "just enough": (week(mails=7, days=3), ["example.com encrypt"]),
    # None of these is enough.
    "too few mails": (week(mails=2), []),
    "too few days": (week(days=2), []),
    "one mail in clear": (week() + week(CLEAR, mails=1, days=1), []),
    "one session too old for mandatory TLS": (week() + week(OLD, mails=1, days=1), []),
    "TLS of which nothing is known": (week() + week(UNTOLD, mails=1, days=1), []),
    "verified at times": (week(VERIFIED) + week(TRUSTED), []),
    "verified, at no name": (week(VERIFIED, relay="[192.0.2.1]"), []),
    "verified, at too many names": (
        [one for n in range(4) for one in week(VERIFIED, relay=f"{n}.example")],
        [],
    ),
    "relays not kept by name": (week() + week(relay=OTHERS, mails=1, days=1), []),
    "others": (week(domain=OTHERS), []),
    "an address": (week(domain="[192.0.2.1]"), []),
    "one label": (week(domain="localhost"), []),
    "not a name": (week(domain="example.com encrypt\nevil.example"), []),
    "a hostile name": (week(domain="a" * 64 + ".example"), []),
    "nothing": ([], []),
}


@pytest.mark.parametrize(("destinations", "entries"), HISTORIES.values(), ids=HISTORIES)
def test_a_history_and_its_entries(destinations, entries):
    assert [one.entry for one in look(destinations).policies] == entries


# What else was logged, and whether the entry stands
TROUBLE = {
    "a handshake that failed": ({"failures": [failure()]}, False),
    "somebody else's": ({"failures": [failure("host.example")]}, True),
    "an inbound one": ({"failures": [failure(direction=IN)]}, True),
    "failures not kept by name": ({"failures": [failure(OTHERS)]}, False),
    "TLS was not offered": ({"notices": [notice(NoticeKind.TLS_REQUIRED)]}, False),
    "a certificate not yet asked for": (
        {"notices": [notice(NoticeKind.VERIFICATION_FAILED)]},
        True,
    ),
}


@pytest.mark.parametrize(("trouble", "stands"), TROUBLE.values(), ids=TROUBLE)
def test_trouble_on_the_way(trouble, stands):
    assert bool(look(week(), **trouble).policies) == stands


def test_the_evidence_and_the_reason():
    trusted, verified = look(
        week(TRUSTED, relay="host.example", mails=20) + week(VERIFIED, domain="safe.example")
    ).policies
    assert (trusted.domain, trusted.level) == ("example.com", "encrypt")
    assert (trusted.mails, trusted.days, trusted.relays) == (140, 7, ("host.example",))
    assert "compares no name" in trusted.why
    assert "transport" in trusted.caution
    assert (verified.domain, verified.level) == ("safe.example", "secure")
    assert "dane" in verified.caution
    (untrusted,) = look(week(UNTRUSTED)).policies
    assert "not compared" in untrusted.why


def test_hours_of_one_day_are_one_day():
    hours = [
        DestinationCount(
            hour=hour * 3600, domain="example.com", relay="a", session=TRUSTED, mails=LEAST_MAILS
        )
        for hour in range(24)
    ]
    assert look(hours).policies == ()
    assert LEAST_DAYS > 1


@pytest.mark.parametrize(
    ("level", "left"),
    [
        ("none", ["encrypt", "secure"]),
        ("may", ["encrypt", "secure"]),
        ("encrypt", ["secure"]),
        ("dane", []),
        ("secure", []),
    ],
)
def test_no_entry_repeats_or_lowers_what_the_profile_demands_of_all(level, left):
    destinations = (
        *week(domain="a.example"),
        *week(VERIFIED, domain="b.example", relay="b.example"),
    )
    statistics = Statistics(lines=1, destinations=destinations)
    entries, _ = suggest(statistics, level, lambda _: True)
    assert [one.level for one in entries] == left


def test_behind_a_relayhost_recipients_domains_are_no_keys():
    domains = [one for n in range(3) for one in week(domain=f"{n}.example", relay="relay.example")]
    statistics = Statistics(lines=1, destinations=tuple(domains))
    entries, instead = suggest(statistics, "may", lambda _: True)
    assert (entries, "relayhost" in instead) == ((), True)
    found = forecast(statistics, Profiles(None).get("strict"), {}, (3, 10))
    assert found.unknown == (instead,)
    two = Statistics(lines=1, destinations=tuple(domains[:14]))
    assert len(suggest(two, "may", lambda _: True)[0]) == 2


@pytest.mark.parametrize(("days", "folded"), [(30, True), (2, False)])
def test_days_that_were_folded_into_one_are_no_evidence(days, folded):
    """A full tally gives all its counts one hour."""
    start = datetime(2026, 1, 1, tzinfo=UTC)
    statistics = Statistics(
        lines=1,
        destinations=tuple(week(days=1, mails=90)),
        first=start,
        last=start + timedelta(days=days),
    )
    entries, instead = suggest(statistics, "may", lambda _: True)
    assert entries == ()
    assert ("days were not kept apart" in instead) == folded


def test_the_list_is_bounded():
    domains = [one for n in range(MOST_SUGGESTIONS + 3) for one in week(domain=f"d{n}.example")]
    assert len(look(domains).policies) == MOST_SUGGESTIONS


def test_postfix_finds_the_entry_under_the_domain(tmp_path):
    """postmap reads the table as smtp(8) does; match takes names with colons between them."""
    if shutil.which("postmap", path="/usr/sbin") is None:
        pytest.skip("there is no postmap")
    found = look(
        week(domain="a.example", relay="host.example")
        + week(VERIFIED, domain="b.example", relay="host.example")
    )
    (tmp_path / "main.cf").write_text("compatibility_level = 3.6\n")
    (tmp_path / "policy").write_text("".join(f"{one.entry}\n" for one in found.policies))
    for domain, policy in (
        ("a.example", "encrypt"),
        ("b.example", "secure match=host.example:.host.example"),
    ):
        command = ["/usr/sbin/postmap", "-c", tmp_path, "-q", domain, f"texthash:{tmp_path}/policy"]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert done.stdout.strip() == policy
