"""What `postkeel certificates` says of which values: cells, sentences, and strangers' text."""

from __future__ import annotations

import datetime as dt
import re
from argparse import Namespace
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import certificate_values as made
from certificate_values import NOW
from postkeel.certificates.values import (
    Certificates,
    Credential,
    Joined,
    Key,
    Kind,
    Loaded,
    Served,
    Table,
    Tlsa,
    TlsaRecord,
    Trust,
)
from postkeel.cli.certificates_json import document
from postkeel.cli.certificates_seen import Look, entries
from postkeel.cli.certificates_text import lines
from postkeel.cli.certificates_wording import chain_text, key_of, left, share_left, validity
from postkeel.cli.charts import columns_of
from postkeel.cli.text_page import Page
from postkeel.contract import Outcome, Severity

MAIL = made.pair("mx.example.org")


def look(**more):
    return Look(**({"directory": "/etc/postfix", "at": NOW} | made.host() | more))


def one(leaf, *, trust=Trust.COMPLETE, credential=MAIL, **more):
    """A host with this certificate alone."""
    facts = Certificates(
        uses=(made.use(credential),),
        loaded={credential: made.loaded("mx.example.org", made.chain(leaf, trust))},
        names=("mx.example.org",),
    )
    return look(**({"certificates": facts, "served": None, "tlsa": None, "judged": ()} | more))


def page(*, blocks=True, colour=False):
    made_page = Page(Namespace(no_color=True))
    made_page.blocks = blocks
    made_page.paint.on = colour
    return made_page


def text_of(shown, *, verbose=False, blocks=True):
    return "\n".join(lines(page(blocks=blocks), shown, verbose=verbose))


def flowing(text):
    return " ".join(text.split())


def ends_in(**length):
    ends = NOW + dt.timedelta(**length)
    return made.certificate("a.example", ends=ends, begins=NOW - dt.timedelta(days=90))


LEFT = {
    "many years": (ends_in(days=3650), "10 years"),
    "days": (ends_in(days=68, hours=3), "68 days"),
    "a day and a half": (ends_in(hours=36), "36 hours"),
    "minutes": (ends_in(minutes=61), "61 min"),
    "seconds": (ends_in(seconds=1), "0 min"),
    "none": (ends_in(seconds=0), "expired"),
    "long gone": (ends_in(days=-9), "expired"),
    "not yet": (made.certificate("a.example", begins=NOW + dt.timedelta(seconds=1)), "not yet"),
    "unread": (None, "unread"),
}


@pytest.mark.parametrize(("leaf", "said"), LEFT.values(), ids=LEFT)
def test_what_is_left_in_a_cell(leaf, said):
    assert left(leaf, NOW) == said
    assert len(said) <= 8


SHARES = {
    "half": (ends_in(days=90), 0.5),
    "over": (ends_in(days=-1), 0.0),
    "whole": (made.certificate("a.example", begins=NOW + dt.timedelta(days=1)), 1.0),
    "no lifetime at all": (made.certificate("a.example", begins=NOW, ends=NOW), 0.0),
    "ends before it begins": (
        made.certificate("a.example", begins=NOW, ends=NOW - dt.timedelta(1)),
        0.0,
    ),
}


@pytest.mark.parametrize(("leaf", "share"), SHARES.values(), ids=SHARES)
def test_the_share_that_is_left(leaf, share):
    assert share_left(leaf, NOW) == share


def test_validity_in_words():
    assert validity(made.certificate("a.example"), NOW) == (
        "2026-11-01 12:00 to 2027-01-30 12:00 UTC, 68 of 90 days left (76%)"
    )
    short = made.certificate("a.example", days=1, lifetime=6)
    assert validity(short, NOW).endswith("24 hours of 6 days left (17%)")
    assert validity(ends_in(days=-9), NOW).endswith("expired 9 days ago")
    later = made.certificate("a.example", begins=NOW + dt.timedelta(hours=5))
    assert validity(later, NOW).endswith("begins in 5 hours")


@pytest.mark.parametrize(
    ("key", "said"),
    [
        (Key(algorithm="RSA", bits=2048), "RSA 2048"),
        (Key(algorithm="EC", bits=256, curve="secp256r1"), "EC P-256"),
        (Key(algorithm="EC", bits=256, curve="brainpoolP256r1"), "EC brainpoolP256r1"),
        (Key(algorithm="Ed25519", bits=256), "Ed25519"),
        (Key(algorithm=""), "unknown"),
    ],
)
def test_a_key_in_a_cell(key, said):
    assert key_of(made.certificate("a.example", key=key)) == said


CHAINS = {
    Trust.COMPLETE: "complete: 2 certificates, up to the root CN=ISRG Root X1",
    Trust.INCOMPLETE: "incomplete: 2 certificates, missing is the issuer CN=ISRG Root X1",
    Trust.SELF_SIGNED: "none: it signed itself",
    Trust.FOREIGN: "2 certificates, up to CN=ISRG Root X1, which is not among the trusted roots",
    Trust.UNKNOWN: "2 certificates; whether it is complete is not known without trusted roots",
}


@pytest.mark.parametrize("trust", Trust)
def test_how_far_a_chain_reaches(trust):
    assert chain_text(made.chain(made.certificate("a.example"), trust)) == CHAINS[trust]


def test_a_chain_that_brings_its_root_names_it():
    root = made.certificate(subject="CN=Root", issuer="CN=Root", self_issued=True)
    whole = made.chain(made.certificate("a.example"))
    assert "up to the root CN=Root" in chain_text(
        replace(whole, certificates=(*whole.certificates, root))
    )


def test_soonest_to_expire_first_and_what_cannot_be_read_before_it():
    assert [one.path.split("/")[4] for one in entries(look())] == [
        "old.example",
        "out.example.org",
        "mx.example.org",
        "shop.example",
    ]


def test_a_row_for_each_with_a_mark_for_those_that_need_somebody():
    shown = text_of(look()).splitlines()
    assert shown[0] == "/etc/postfix: 4 certificates; 3 need attention"
    assert shown[3:7] == [
        "!              unread  old.example                -        SNI            ?",
        "! ▍            3 days  out.example.org            RSA 2048 client         -",
        "  ███████▌    68 days  mx.example.org and 3 more  EC P-256 smtp +2        yes",
        "! ███████▌    68 days  shop.example and 1 more    EC P-256 SNI            no",
    ]
    assert "  ########    68 days  mx.example.org" in text_of(look(), blocks=False)


def test_everything_that_is_known_of_one_is_said():
    shown = flowing(text_of(look()))
    for said in (
        (
            "file /etc/letsencrypt/live/mx.example.org/fullchain.pem ->"
            " /etc/letsencrypt/archive/mx.example.org/fullchain3.pem"
        ),
        "issuer CN=E7,O=Let's Encrypt,C=US",
        "key EC P-256, 256 bits; signed with ecdsa-with-SHA384",
        "used by smtp, submission, submissions (smtpd_tls_cert_file at main.cf:28)",
        (
            "served yes, on smtp (127.0.0.1:25), submission (127.0.0.1:587), submissions"
            " (127.0.0.1:465); first seen served 2026-11-01 12:00 UTC"
        ),
        (
            "TLSA none published for port 587 mx.example.org matches at port 25 mx.example.org:"
            " 3 1 1 1a1a1a1a1a1a1a1a...; also published: 3 1 1 5e5e5e5e5e5e5e5e..."
        ),
        "would not match at port 25 shop.example: 3 1 1 5e5e5e5e5e5e5e5e...",
        "smtp/unix as a client, which is advised against (smtp_tls_cert_file at main.cf:28)",
        (
            "used by smtp, submission, submissions for shop.example, .shop.example (SNI table"
            " hash:/etc/postfix/sni, tls_server_sni_maps at main.cf:40)"
        ),
        (
            "served no, on smtp (127.0.0.1:25) as shop.example: another certificate, sha256"
            " d4d4d4d4d4d4d4d4"
        ),
        "not known, on smtp (127.0.0.1:25) as a.shop.example: refused",
        "demanded by the certificate (must-staple), and Postfix cannot staple",
        "certificate-stapling, waived: nobody insists, says hostmaster, until 2027-01-31",
        "`postkeel enforce` corrects it",
        "SNI table hash:/etc/postfix/sni, indexed, made of /etc/postfix/sni",
        "Trusted roots: 142 of /etc/ssl/certs/ca-certificates.crt",
        "TLSA records as 127.0.0.1:53 says",
        "OCSP stapling: Postfix has none",
    ):
        assert said in shown, said


def test_what_is_served_instead_is_named_where_it_is_known():
    """The most frequent cause: the certificate of another name."""
    mail = made.host()["certificates"].loaded[MAIL].chains[0].leaf
    wrong = made.shown("smtp/inet", mail.sha256, name="shop.example", expected="b2" * 32)
    shown = flowing(text_of(look(served=Served(handshakes=(wrong,)))))
    assert (
        "no, on smtp (127.0.0.1:25) as shop.example: the certificate of"
        " /etc/letsencrypt/live/mx.example.org/fullchain.pem" in shown
    )


def test_offline_nothing_is_claimed_of_what_is_served():
    shown = text_of(look(served=None, tlsa=None))
    assert "not looked at (--offline)" in shown
    assert "TLSA" not in shown.replace("DNS", "")
    assert "Handshakes and DNS were left out (--offline)." in shown
    assert "yes" not in shown


def test_a_postfix_that_does_not_run_is_said():
    shown = text_of(look(served=Served(problem="Postfix is not running")))
    assert "served   not known: Postfix is not running" in shown
    assert "smtp +2        ?" in shown


TLSA = {
    "no resolver": (
        Tlsa(problem="no validating resolver"),
        "records that are not known: no validating resolver",
    ),
    "nothing asked": (Tlsa(resolver="127.0.0.1"), "nothing to ask for"),
    "not usable": (
        Tlsa(
            records={
                ("25", "mx.example.org"): (TlsaRecord(usage=0, selector=9, matching=1, data="00"),)
            }
        ),
        "not usable for SMTP, or not known, at port 25 mx.example.org: 0 9 1 00",
    ),
    "of another port": (
        Tlsa(
            records={("2525", "mx.example.org"): ()},
            resolver="127.0.0.1",
            problem="port 25 was not asked",
        ),
        "not known: port 25 was not asked",
    ),
}


@pytest.mark.parametrize(("tlsa", "said"), TLSA.values(), ids=TLSA)
def test_tlsa(tlsa, said):
    assert f"TLSA {said}" in flowing(text_of(one(made.certificate("mx.example.org"), tlsa=tlsa)))


def test_many_have_a_row_each_and_those_that_need_somebody_the_rest():
    names = [f"mx{number}.example" for number in range(500)]
    credentials = {name: made.pair(name) for name in names}
    sni = {"parameter": "tls_server_sni_maps", "where": "main.cf:40", "table": "hash:/sni"}
    facts = Certificates(
        uses=tuple(made.use(own, **sni, name=name) for name, own in credentials.items()),
        loaded={
            own: made.loaded(name, made.chain(made.certificate(name, days=40 + number % 40)))
            for number, (name, own) in enumerate(credentials.items())
        },
    )
    bad = [credentials[name].files[0] for name in names[:3]]
    judged = tuple(made.judged("certificate-usable", file, **sni_place(sni)) for file in bad)
    shown = text_of(look(certificates=facts, served=None, judged=judged)).splitlines()
    assert shown[0] == "/etc/postfix: 500 certificates; 3 need attention"
    assert sum("SNI" in line and "example" in line and "days" in line for line in shown) == 500
    assert [line for line in shown if line in names] == [
        "mx0.example",
        "mx1.example",
        "mx2.example",
    ]
    assert shown[-1] == "`postkeel certificates --verbose` shows everything of each."
    whole = text_of(look(certificates=facts, served=None, judged=judged), verbose=True).splitlines()
    assert sum(line in names for line in whole) == 500
    assert "--verbose" not in whole[-1]


def sni_place(sni):
    return {key: sni[key] for key in ("parameter", "where")}


def test_many_names_are_shortened_unless_all_are_asked_for():
    names = tuple(f"name-{number}.example.org" for number in range(30))
    shown = one(made.certificate(*names))
    assert "name-0.example.org +29" in text_of(shown)
    assert "name-5.example.org and 24 more" in flowing(text_of(shown))
    assert "name-29.example.org" in text_of(shown, verbose=True)


def test_an_offer_is_no_certificate_in_use():
    joined = made.offered("mx.example.org")
    facts = Certificates(
        loaded={
            MAIL: made.loaded("mx.example.org", made.chain(made.certificate("mx.example.org")))
        },
        offered=(joined,),
    )
    finding = made.judged("certificate-offered", joined.path, parameter="smtpd_tls_chain_files")
    shown = look(certificates=facts, served=Served(), tlsa=Tlsa(), judged=(finding,))
    told = text_of(shown)
    assert told.startswith(
        "/etc/postfix: no certificate is used, 1 other could be; 1 needs attention\n"
    )
    assert "offered" in told
    assert "`postkeel enforce` would join" in told
    assert "served  " not in told.partition("\n\n")[2].partition("\n\n")[2]
    (data,) = document(shown)["offered"]
    assert data["joined_of"]["path"] == "/etc/postfix/postkeel-chain.pem"
    assert document(shown)["certificates"] == []


def test_a_joined_file_tells_of_which_two():
    path = "/etc/postfix/postkeel-chain.pem"
    credential = Credential(kind=Kind.CHAIN, files=(path,))
    files = made.offered("mx.example.org")
    for current, said in ((True, "up to date"), (False, "they hold something else by now")):
        known = one(made.certificate("mx.example.org", file=path), credential=credential)
        facts = replace(known.certificates, joined=(replace(files, current=current),))
        finding = made.judged("certificate-joined", files.certificate)
        shown = flowing(text_of(replace(known, certificates=facts, judged=(finding,))))
        assert f"joined of {files.certificate} and {files.key}: {said}" in shown
        assert "1 certificate; 1 needs attention" in shown


def test_nothing_at_all():
    shown = text_of(look(certificates=Certificates(), served=Served(), judged=()))
    assert shown.splitlines()[0] == "/etc/postfix: no certificate is used; all as wanted"
    general = made.judged("certificate-offered", "", parameter="smtpd_tls_chain_files")
    shown = text_of(look(certificates=Certificates(), served=Served(), judged=(general,)))
    assert "no certificate is used; 1 finding" in shown
    assert "certificate-offered" in shown


def test_without_the_plugin_faults_are_told_and_nothing_is_called_right():
    shown = text_of(look(judged=(), unjudged="plugin certificate_watcher: not loaded"))
    assert "4 certificates; not judged" in shown
    assert "fullchain.pem:17: the certificate ends in the middle; copy it again" in flowing(shown)
    assert "Nothing is judged: plugin certificate_watcher: not loaded" in shown


def test_files_that_an_ordinary_user_cannot_read_are_named():
    shown = flowing(text_of(look(closed=frozenset({MAIL.files[1]}))))
    assert f"key {MAIL.files[1]} (you may not read it, so nothing is said of it" in shown
    assert f"Not readable for you, so run this as root: {MAIL.files[1]}" in shown


def test_the_bar_has_the_colour_of_the_judge():
    def bar_of(*judged):
        shown = list(
            lines(
                page(colour=True), one(made.certificate("a.example"), judged=judged), verbose=False
            )
        )
        return re.search(r"\x1b\[([0-9;]+)m[█▉▊▋▌▍▎▏]", shown[3])[1]

    file = MAIL.files[0]
    assert bar_of() == "32"
    assert bar_of(made.judged("certificate-lifetime", file, severity=Severity.WARNING)) == "33"
    assert bar_of(made.judged("certificate-lifetime", file)) == "31;1"
    assert bar_of(made.judged("certificate-lifetime", file, outcome=Outcome.WAIVED)) == "32"
    assert bar_of(made.judged("certificate-served", file)) == "32"


def test_a_table_that_cannot_be_listed():
    table = Table(name="ldap:/etc/postfix/sni.cf", problem="only the server's own names were asked")
    facts = replace(made.host()["certificates"], tables={table.name: table})
    assert "SNI table ldap:/etc/postfix/sni.cf: only the server's own names were asked" in flowing(
        text_of(look(certificates=facts))
    )


def test_a_file_that_several_parameters_name_has_the_findings_of_its_own():
    other = Credential(kind=Kind.PAIR, files=(MAIL.files[0], "/etc/other.key"))
    known = made.loaded("mx.example.org", made.chain(made.certificate("mx.example.org")))
    facts = Certificates(
        uses=(made.use(MAIL), made.use(other, parameter="smtp_tls_cert_file", client=True)),
        loaded={MAIL: known, other: known},
    )
    finding = made.judged("certificate-usable", MAIL.files[0], parameter="smtp_tls_cert_file")
    shown = entries(look(certificates=facts, judged=(finding,)))
    assert {one.uses[0].parameter: len(one.judged) for one in shown} == {
        "smtpd_tls_cert_file": 0,
        "smtp_tls_cert_file": 1,
    }


def test_what_is_served_without_a_file_to_compare_with():
    """The old one, as long as processes live that read it."""
    handshake = made.shown("smtp/inet", "d4" * 32, name="old.example", expected="ff" * 32)
    shown = look(served=Served(handshakes=(replace(handshake, expected=()),)))
    assert (
        "served not known, on smtp (127.0.0.1:25) as old.example: a certificate, sha256"
        " d4d4d4d4d4d4d4d4; there is none in the file to compare it with"
    ) in flowing(text_of(shown))
    assert re.search(r"unread  old\.example .* \?$", text_of(shown), re.MULTILINE)


def test_verbose_says_what_few_want_to_know():
    shown = flowing(text_of(look(), verbose=True))
    for said in (
        "CN=E7,O=Let's Encrypt,C=US, EC P-256, until 2027-01-30 12:00 UTC",
        "serial 04f1",
        f"sha256 {'a1' * 32}",
        f"DANE 3 1 1 {'1a' * 32} is the TLSA record of its key",
    ):
        assert said in shown
    assert "serial" not in text_of(look())


def test_two_keys_side_by_side_are_two_rows_of_one_file():
    rsa = made.certificate("mx.example.org", digest="aa", key=Key(algorithm="RSA", bits=3072))
    ec = made.certificate("mx.example.org", digest="bb", days=70)
    both = (made.chain(rsa), made.chain(ec))
    facts = Certificates(uses=(made.use(MAIL),), loaded={MAIL: Loaded(chains=both)})
    handshakes = (
        replace(made.shown("smtp/inet", "aa" * 32), algorithm="RSA"),
        replace(made.shown("smtp/inet", "cc" * 32, expected="bb" * 32), algorithm="EC"),
    )
    shown = look(certificates=facts, served=Served(handshakes=handshakes), judged=())
    rows = text_of(shown).splitlines()[3:5]
    assert [one.split()[-1] for one in rows] == ["yes", "no"]
    (data,) = document(shown)["certificates"]
    assert data["chains"][0]["ends"] == "2027-01-30T12:00:30Z"
    assert [one["key"]["algorithm"] for one in data["chains"]] == ["RSA", "EC"]
    assert [one["same"] for one in data["served"]] == [True, False]


def test_a_name_below_a_dot_is_that_of_a_handshake_below_it():
    (shop,) = [one for one in entries(look()) if "shop" in one.path]
    assert {one.name for one in shop.handshakes} == {"shop.example", "a.shop.example"}


def test_entries_of_a_table_whose_names_nobody_can_tell_claim_no_handshake():
    credential = made.pair("secret")
    facts = Certificates(
        uses=(made.use(MAIL), made.use(credential, table="regexp:/sni", name="")),
        loaded={
            MAIL: made.loaded("mx.example.org", made.chain(made.certificate("mx.example.org"))),
            credential: made.loaded(
                "secret", made.chain(made.certificate("s.example", digest="b2"))
            ),
        },
    )
    handshake = replace(made.shown("smtp/inet", "a1" * 32), expected=())
    shown = entries(look(certificates=facts, served=Served(handshakes=(handshake,)), judged=()))
    assert {one.path.split("/")[4]: len(one.handshakes) for one in shown} == {
        "mx.example.org": 1,
        "s.example": 0,
    }


HOSTILE = st.one_of(
    st.text(max_size=300),
    st.sampled_from(
        [
            "",
            "\x1b[2J\x07",
            "\u202egnp\u2066",
            "a\nb\r\t",
            "日本語" * 60,
            "e\u0301" * 99,
            "\udc80\udcff",
            "x" * 999,
        ]
    ),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    words=st.lists(HOSTILE, min_size=12, max_size=12), verbose=st.booleans(), blocks=st.booleans()
)
def test_whatever_strangers_write_lines_fit_and_hold_no_control_character(words, verbose, blocks):
    leaf = made.certificate(
        words[0],
        words[1],
        *("n" * 40,) * 9,
        subject=words[2],
        issuer=words[3],
        signature=words[4],
        key=Key(algorithm=words[5], bits=1, curve=words[6]),
        problems=(words[7],),
        file=words[8] or "/f",
    )
    credential = Credential(kind=Kind.PAIR, files=(words[8] or "/f", "/k"))
    chain = replace(made.chain(leaf, Trust.INCOMPLETE), missing=words[9])
    facts = Certificates(
        uses=(made.use(credential), made.use(credential, table=words[10], name=words[11])),
        loaded={credential: Loaded(chains=(chain,))},
        tables={"t": Table(name=words[0], indexed=True, source=words[1], problem=words[2])},
        joined=(
            Joined(
                path=words[8] or "/f", certificate=words[3], key="/k", contents="", current=True
            ),
        ),
        roots=(words[4], 0),
        names=(words[0],),
    )
    wrong = made.shown("smtp/inet", "", problem=words[5], expected=leaf.sha256)
    finding = made.judged(
        "certificate-usable", words[8] or "/f", effective=words[6], wanted=words[7], why=words[9]
    )
    shown = look(
        directory=words[10],
        certificates=facts,
        served=Served(handshakes=(wrong,), problem=words[11]),
        tlsa=Tlsa(records={("25", words[0]): ()}, resolver=words[1], problem=words[2]),
        judged=(finding, made.judged("other", "elsewhere", effective=words[3])),
        problems=(words[4],),
    )
    for line in lines(page(blocks=blocks), shown, verbose=verbose):
        assert line.isprintable()
        assert columns_of(line) <= 80
        assert blocks or line.isascii()
    assert document(shown)
