"""How other mail servers write Received lines: recorded, quoted, or made by their source.

A case is a file: where the line comes from, the line, and what a hop of it must say. A name
that begins with "not-" is a line that only looks like one of that server's.
"""

import dataclasses
import re
import tomllib
from collections import Counter
from enum import Enum
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postkeel.headers.fields import trace_of
from postkeel.headers.forms import (
    exchange,
    exim,
    gmail,
    haraka,
    mox,
    opensmtpd,
    postfix,
    qmail,
    sendmail,
    stalwart,
)
from postkeel.headers.forms.order import FORMS
from postkeel.headers.forms.suites import tls_of
from postkeel.headers.parts import Clause, Parts, Said
from postkeel.headers.received import read_hop
from postkeel.headers.tokens import parts_of
from postkeel.headers.values import Hop, Tls, Verdict

CASES = Path(__file__).parent.parent / "cases/received"
READERS = {
    "exchange": exchange.read,
    "exim": exim.read,
    "gmail": gmail.read,
    "haraka": haraka.read,
    "mox": mox.read,
    "opensmtpd": opensmtpd.read,
    "qmail": qmail.read,
    "sendmail": sendmail.read,
    "stalwart": stalwart.read,
}
NOBODYS = "others"
FILES = sorted(
    path.relative_to(CASES) for name in (*READERS, NOBODYS) for path in (CASES / name).iterdir()
)


def line_of(case: dict) -> str:
    """The line unfolded, as it is read from a header."""
    (value,) = trace_of(b"Received: " + case["line"].encode() + b"\n\n").received
    return value


def load(file: Path) -> dict:
    return tomllib.loads((CASES / file).read_text())


LINES = [line_of(load(file)) for file in FILES]


def told(value: object) -> dict:
    """The fields of a hop or its TLS that say something, enumerations by their words."""
    every = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    words = {name: one.value if isinstance(one, Enum) else one for name, one in every.items()}
    return {name: one for name, one in words.items() if one or one == Tls()}


def told_of(hop: Hop) -> dict:
    said = told(hop)
    del said["reason"], said["text"]
    if "tls" in said:
        said["tls"] = told(said["tls"])
    return said


@pytest.mark.parametrize("file", FILES, ids=str)
def test_what_is_read(file):
    case = load(file)
    assert case["origin"]
    said = told_of(read_hop(line_of(case)))
    if file.name.startswith("not-") or file.parts[0] == NOBODYS:
        # The rest is the generic form's, see test_received_of_others.py.
        assert said.items() >= case["hop"].items()
    else:
        assert said == case["hop"]


@pytest.mark.parametrize("file", FILES, ids=str)
def test_each_line_is_of_one_form_alone(file):
    parts = parts_of(line_of(load(file)))
    readers = {"postfix": postfix.read, **READERS}
    takers = [name for name, read in readers.items() if read(parts) is not None]
    theirs = not file.name.startswith("not-") and file.parts[0] != NOBODYS
    assert takers == ([file.parts[0]] if theirs else [])


@pytest.mark.parametrize("name", READERS)
def test_the_samples_show_what_a_form_can_say(name):
    cases = {file.name: load(file)["hop"] for file in FILES if file.parts[0] == name}
    own = [hop for file, hop in cases.items() if not file.startswith("not-")]
    assert len(own) >= 4
    assert len(own) < len(cases)  # and some that only look like it
    seen = Counter(hop["verdict"] for hop in own)
    assert seen["clear"]
    assert seen["encrypted"]
    assert any(hop.get("tls", {}).get("protocol") == "TLSv1.3" for hop in own)
    assert any(":" in hop.get("address", "") for hop in own)
    logs_in = name != "exchange"  # it does not say
    assert any(hop.get("authenticated") for hop in own) == logs_in


def test_all_forms_are_asked():
    assert set(READERS.values()) <= set(FORMS)


@pytest.mark.parametrize("name", READERS)
def test_an_empty_line_is_of_no_form(name):
    empty = Clause(value="")
    assert READERS[name](Parts(clauses={})) is None
    clauses = dict.fromkeys(("from", "by", "via", "with", "id", "for", "tls"), empty)
    assert READERS[name](Parts(clauses=clauses)) is None


@pytest.mark.parametrize(
    ("written", "protocol", "cipher", "group"),
    [
        (("TLSv1/SSLv3", "AES128-SHA"), "", "AES128-SHA", ""),
        (("TLSv1/SSLv3", "AES128-SHA256"), "TLSv1.2", "AES128-SHA256", ""),
        (("", "ECDHE-ECDSA-AES128-CCM8"), "TLSv1.2", "ECDHE-ECDSA-AES128-CCM8", ""),
        (("", "ECDHE-RSA-CHACHA20-POLY1305"), "TLSv1.2", "ECDHE-RSA-CHACHA20-POLY1305", ""),
        (("", "TLS13_AES_128_GCM_SHA256"), "TLSv1.3", "TLS_AES_128_GCM_SHA256", ""),
        (("TLS1_3", "AEAD-AES256-GCM-SHA384"), "TLSv1.3", "TLS_AES_256_GCM_SHA384", ""),
        (
            ("TLS1.3", "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256"),
            "TLSv1.3",
            "TLS_CHACHA20_POLY1305_SHA256",
            "",
        ),
        (
            ("TLS1_2", "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256_P256"),
            "TLSv1.2",
            "ECDHE-RSA-AES128-SHA256",
            "secp256r1",
        ),
        (("TLS9", "X"), "TLSv9", "X", ""),
        (("", "ECDHE-RSA-AES128-GCMX"), "", "ECDHE-RSA-AES128-GCMX", ""),
        (("", ""), "", "", ""),
        (("P" * 101, "C" * 101), "P" * 100, "C" * 100, ""),  # what a stranger may have written
    ],
)
def test_names_of_protocols_and_suites(written, protocol, cipher, group):
    tls = tls_of(*written)
    assert (tls.protocol, tls.cipher, tls.key_exchange) == (protocol, cipher, group)


WORDS = re.compile(r"\s+|[()\[\]<>;:=,]|[^\s()\[\]<>;:=,]+")
PIECES = sorted({word for line in LINES for word in WORDS.findall(line)})
NOISE = st.one_of(st.sampled_from(PIECES), st.text(max_size=5))


@st.composite
def mutated(draw):
    """A sample with pieces of others, or of nothing, put in, put instead, or taken out."""
    pieces = WORDS.findall(draw(st.sampled_from(LINES)))
    for _ in range(draw(st.integers(1, 6))):
        place = draw(st.integers(0, len(pieces)))
        taken = draw(st.integers(0, 4))
        pieces[place : place + taken] = draw(st.lists(NOISE, max_size=3))
    return "".join(pieces)


@given(mutated())
def test_every_form_is_total(line):
    parts = parts_of(line)
    for read in FORMS:
        said = read(parts)
        assert said is None or isinstance(said, Said)
    assert isinstance(read_hop(line), Hop)


IN_CLEAR = [
    line_of(case)
    for case in map(load, FILES)
    if case["hop"]["verdict"] == "clear"
    and case["hop"].get("helo", "").strip("[]") not in ("", case["hop"].get("address"))
]
SPOKEN = st.one_of(  # what servers take as HELO
    st.sampled_from(("by", "with", "id", "for", "tls", "via", "from", "Exim", "HELO", "TLS1.3")),
    st.text("!#$%&'*+,-./09:=?@AZ^_`az{|}~\u00fc", min_size=1, max_size=20),
)


@given(st.sampled_from(IN_CLEAR), SPOKEN)
def test_helo_changes_nothing_but_itself(line, said):
    """Nobody becomes encrypted, or a client of another server, by what he says of himself."""
    before = read_hop(line)
    after = read_hop(line.replace(before.helo, said, 1))
    for field in ("verdict", "mta", "address", "by", "tls", "protocol", "authenticated"):
        assert getattr(after, field) == getattr(before, field)


@pytest.mark.parametrize(
    "start",
    [
        "from a (",
        "from a by b (Exim 4",
        "from a ([1.2.3.4] helo=",
        "from a (version=TLS1_2 cipher=",
        "by 1.2.3.4 with SMTP id a",
        "(qmail invoked by ",
        "from [1.2.3.4] (using TLSv1.3 with cipher ",
        "from a by b (8.1/8.1/",
        "from a (HELO b) (c@1.2.3.4) by d with (TLSv1.2 ",
    ],
)
@pytest.mark.parametrize(
    "piece", ["(", ")", " ", "a", "1", "1:", "[::", " id ", "(x) ", "cs1", "=%"]
)
def test_time_grows_with_the_size(start, piece):
    """Both finish at once; what is worse than linear would take hours of the longer one."""
    assert read_hop(start + piece * 1_000).verdict in Verdict
    assert read_hop(start + piece * 60_000).verdict in Verdict
