"""TLSA records by a real validating resolver, and by resolvers that lie, stammer or say nothing."""

from __future__ import annotations

import socket
import sys
import time

import dns.flags
import dns.message
import dns.rrset
import pytest
from hypothesis import given
from hypothesis import strategies as st

import hostile_resolver
from hostile_resolver import Hostile, framed
from postkeel.certificates.values import Tlsa
from postkeel.core.errors import PostkeelError
from postkeel.shell import resolver as asking
from postkeel.shell import tlsa as under_test
from postkeel.shell.resolver import ask
from postkeel.shell.resolver_replies import State, is_cut, read
from postkeel.shell.resolver_replies import said as said_of
from postkeel.shell.tlsa import KeptTlsa
from signed_zone import resolver, why_not
from tlsa_host import HOST, certificate, certificates, instance, record, use

OLD, NEW = (f"3 1 1 {certificate(one).key_sha256}" for one in ("old", "new"))
UNSIGNED, SPOILT, MISSING = "mx.unsigned.example", "mx.spoilt.example", "none.signed.example"
SERVED = certificates(use("old"))
REAL = pytest.mark.skipif(why_not() is not None, reason=str(why_not()))


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def asked(monkeypatch):
    """The questions of each asking."""
    found = []

    def counting(servers, questions):
        found.append(questions)
        return servers, questions

    asked_for = under_test._asked
    monkeypatch.setattr(under_test, "_asked", lambda *one: asked_for(*counting(*one)))
    return found


@pytest.fixture(scope="module")
def signed(tmp_path_factory):
    """A resolver whose zones stay as they are."""
    if why_not() is not None:
        pytest.skip(str(why_not()))
    with resolver(tmp_path_factory.mktemp("resolver")) as one:
        for name in (HOST, UNSIGNED, SPOILT):
            one.publish("25", name, OLD)
        one.publish("25", "two.signed.example", OLD, NEW, ttl=400)
        one.publish("25", "many.signed.example", *(f"3 1 1 {n:064x}" for n in range(100)))
        one.add(
            f"_25._tcp.alias.signed.example. CNAME _25._tcp.{HOST}.",
            f"_25._tcp.away.signed.example. CNAME _25._tcp.{UNSIGNED}.",
            f"_25._tcp.broken.signed.example. CNAME _25._tcp.{SPOILT}.",
        )
        yield one


@pytest.fixture
def changing(tmp_path):
    if why_not() is not None:
        pytest.skip(str(why_not()))
    with resolver(tmp_path) as one:
        yield one


def said(one, *names):
    """What a real resolver says about port 25 of each name, and whether it validates."""
    told = ask([(one.host, one.port)], [("25", name) for name in names])
    return told["answers"], told["validates"]


def fact(resolver_of, *names, kept=None, of=SERVED):
    kept = kept or KeptTlsa(resolver_of.address)
    services = ("smtp/inet", "127.0.0.2:smtp/inet", *(f"127.1.0.{n}:smtp/inet" for n in range(200)))
    own = dict(zip(services, names, strict=False))
    return kept.of(instance(*own, own=own), of)


def test_records_of_a_signed_zone(signed):
    found = fact(signed, HOST)
    assert found == Tlsa(records={("25", HOST): (record(OLD),)}, resolver=signed.address)


def test_two_records_while_the_key_is_changed(signed):
    found = fact(signed, "two.signed.example")
    assert set(found.records["25", "two.signed.example"]) == {record(OLD), record(NEW)}
    assert 300 < said(signed, "two.signed.example")[0][0][1] <= 400


def test_a_name_without_records(signed):
    assert fact(signed, MISSING) == Tlsa(records={("25", MISSING): ()}, resolver=signed.address)
    state, seconds, records = said(signed, MISSING)[0][0]
    assert (state, records) == ("validated", [])
    assert 300 < seconds <= 600  # of the zone's SOA


def test_an_unsigned_zone_counts_for_nobody(signed):
    found = fact(signed, UNSIGNED, HOST)
    assert found.records.keys() == {("25", HOST)}
    assert found.problem == (
        f"the TLSA records of {UNSIGNED} count for nobody, as their zone is not signed"
    )


def test_wrong_signatures_are_not_the_absence_of_records(signed):
    found = fact(signed, SPOILT)
    assert not found.records
    assert found.problem == (
        f"the resolver {signed.address} answers SERVFAIL about the TLSA records of {SPOILT}: "
        "their signatures are wrong, or its name servers out of reach"
    )


def test_an_alias_counts_where_all_of_the_way_is_signed(signed):
    names = ("alias.signed.example", "away.signed.example", "broken.signed.example")
    (alias, away, broken), _ = said(signed, *names)
    assert alias[0] == State.VALIDATED
    assert [record(" ".join(map(str, one))) for one in alias[2]] == [record(OLD)]
    assert away[0] == State.PLAIN
    assert broken[0] == State.REFUSED


def test_an_answer_that_is_too_large_for_a_datagram(signed):
    (many,), _ = said(signed, "many.signed.example")
    assert [one[3] for one in many[2]] == [f"{number:064x}" for number in range(100)]


def test_two_hundred_questions_at_once(signed):
    names = [f"n{number}.signed.example" for number in range(199)]
    begun = time.monotonic()
    answers, _ = said(signed, *names, HOST)
    assert [one[0] for one in answers] == ["validated"] * 200
    assert len(answers[-1][2]) == 1
    assert time.monotonic() - begun < asking.SECONDS


@REAL
def test_a_resolver_that_does_not_validate_is_not_believed(tmp_path):
    with resolver(tmp_path, validates=False) as one:
        one.publish("25", HOST, OLD)
        found = fact(one, HOST)
    assert not found.records
    assert found.problem == (
        f"the resolver {one.address} does not validate: "
        f"its word on the TLSA records of {HOST} does not count"
    )


def test_an_answer_is_kept_as_long_as_it_lives(signed, clock, asked):
    kept = KeptTlsa(signed.address, clock)
    first = fact(signed, HOST, kept=kept)
    clock.now += 3000  # the resolver has had them for a while already
    assert fact(signed, HOST, kept=kept) is first
    assert len(asked) == 1
    clock.now += 600
    assert fact(signed, HOST, kept=kept) == first
    assert len(asked) == 2
    fact(signed, HOST, "two.signed.example", kept=kept)
    assert asked[2] == (("25", HOST), ("25", "two.signed.example"))
    clock.now += 299
    fact(signed, HOST, "two.signed.example", kept=kept)
    assert len(asked) == 3
    clock.now += 101
    fact(signed, HOST, "two.signed.example", kept=kept)
    assert len(asked) == 4


def test_a_certificate_that_does_not_fit_is_asked_about_again(changing, clock, asked):
    changing.publish("25", HOST, OLD)
    kept = KeptTlsa(changing.address, clock)
    fact(changing, HOST, kept=kept)
    changing.publish("25", HOST, NEW)
    renewed = certificates(use("new"))
    assert fact(changing, HOST, kept=kept, of=renewed).records["25", HOST] == (record(OLD),)
    assert len(asked) == 1
    clock.now += 10
    assert fact(changing, HOST, kept=kept).records["25", HOST] == (record(OLD),)
    assert len(asked) == 1
    found = fact(changing, HOST, kept=kept, of=renewed)
    assert set(found.records["25", HOST]) == {record(OLD), record(NEW)}
    assert len(asked) == 2
    clock.now += 10
    fact(changing, HOST, kept=kept, of=renewed)
    assert len(asked) == 2


def test_a_resolver_that_fails_takes_no_records_away(changing, clock, asked):
    changing.publish("25", HOST, OLD)
    kept = KeptTlsa(changing.address, clock)
    renewed = certificates(use("new"))
    fact(changing, HOST, kept=kept, of=renewed)
    changing.stop()
    clock.now += 10
    found = fact(changing, HOST, kept=kept, of=renewed)
    assert found.records["25", HOST] == (record(OLD),)
    assert "does not answer about the TLSA records of" in found.problem
    assert "Connection refused" in found.problem
    clock.now += 59  # a disputed record is asked for less often where that is in vain
    assert fact(changing, HOST, kept=kept, of=renewed) is found
    clock.now += 1
    assert fact(changing, HOST, kept=kept, of=renewed) == found
    assert len(asked) == 3
    clock.now = 1000 + 3600
    assert not fact(changing, HOST, kept=kept, of=renewed).records


def test_what_failed_is_asked_for_again(signed, clock, asked):
    kept = KeptTlsa(signed.address, clock)
    fact(signed, SPOILT, HOST, kept=kept)
    clock.now += 299
    fact(signed, SPOILT, HOST, kept=kept)
    assert len(asked) == 1
    clock.now += 1
    fact(signed, SPOILT, HOST, kept=kept)
    assert len(asked) == 2


def test_a_zone_that_is_signed_no_longer_has_no_records(clock):
    """They are not taken over from before: the resolver proved that nobody goes by them."""
    with Hostile(signed_then_not(dns.rdatatype.TLSA)) as one:
        kept = KeptTlsa(one.address, clock)
        assert fact(one, HOST, kept=kept).records == {("25", HOST): (record(OLD),)}
        clock.now += 600
        found = fact(one, HOST, kept=kept)
        assert found.records == {}
        assert "zone is not signed" in found.problem


def test_a_resolver_that_validates_no_longer_takes_no_records_away(clock):
    with Hostile(signed_then_not(dns.rdatatype.TLSA, dns.rdatatype.NS)) as one:
        kept = KeptTlsa(one.address, clock)
        first = fact(one, HOST, kept=kept)
        clock.now += 600
        found = fact(one, HOST, kept=kept)
        assert found.records == first.records == {("25", HOST): (record(OLD),)}
        assert "does not validate" in found.problem


def test_each_instance_has_its_own(signed, asked):
    kept = KeptTlsa(signed.address)
    for directory in ("/etc/postfix", "/etc/postfix-out") * 2:
        kept.of(instance(directory=directory), SERVED)
    assert len(asked) == 2


def test_no_question_no_process(asked):
    off = KeptTlsa("").of(instance(), SERVED)
    assert off == Tlsa(problem="no resolver is asked: resolver is empty in [certificates]")
    assert KeptTlsa("127.0.0.1").of(instance("10025/inet"), SERVED) == Tlsa()
    assert KeptTlsa("192.0.2.1").of(instance(), SERVED).problem == under_test._NO_SERVER
    assert asked == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("nameserver 127.0.0.53\noptions edns0 trust-ad\n", [("127.0.0.53", 53)]),
        (
            "# a comment\nnameserver 192.0.2.1\nnameserver\nnameserver ::1\nnameserver 127.0.0.1",
            [("::1", 53), ("127.0.0.1", 53)],
        ),
        ("nameserver 192.0.2.1\nnameserver ::1%lo\n nameserver2 127.0.0.1\n", []),
        ("", []),
        ("\x00\xff\n" * 50000 + "nameserver 127.0.0.1\n", []),
        (None, []),
    ],
)
def test_the_hosts_own_resolvers(tmp_path, monkeypatch, asked, text, expected):
    file = tmp_path / "resolv.conf"
    if text is not None:
        file.write_text(text, encoding="latin-1")
    monkeypatch.setattr(under_test, "RESOLV_CONF", str(file))
    assert list(under_test._servers("auto")) == expected
    if not expected:
        assert KeptTlsa("auto").of(instance(), SERVED).problem == under_test._NO_SERVER
        assert asked == []


def test_of_two_resolvers_the_one_that_answers(signed):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as nobody:
        nobody.bind(("127.0.0.1", 0))
        closed = nobody.getsockname()
    told = ask([closed, (signed.host, signed.port)], [("25", HOST)])
    assert told["server"] == (signed.host, signed.port)
    assert told["answers"][0][0] == State.VALIDATED


def test_without_dnspython_the_problem_names_the_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "dns", None)
    monkeypatch.setitem(sys.modules, "dns.message", None)
    with pytest.raises(PostkeelError, match="apt install python3-dnspython"):
        ask([("127.0.0.1", 53)], [("25", HOST)])
    found = KeptTlsa("127.0.0.1").of(instance(), SERVED)
    assert not found.records
    assert found.problem.endswith("apt install python3-dnspython")


def test_a_process_that_ends_is_a_problem(monkeypatch):
    monkeypatch.setattr(under_test, "ask", lambda *_: sys.exit(1))
    found = KeptTlsa("127.0.0.1").of(instance(), SERVED)
    assert found == Tlsa(
        resolver="127.0.0.1", problem="TLSA records: the process that was to answer was ended"
    )


def test_names_are_listed_up_to_a_number():
    assert under_test._listed(["a", "b", "a"]) == "a, b"
    assert under_test._listed("abc") == "a, b, c"
    assert under_test._listed("abcde") == "a, b, c and 2 more"


def test_how_a_server_is_written():
    assert under_test._shown(("127.0.0.1", 53)) == "127.0.0.1"
    assert under_test._shown(("127.0.0.1", 5353)) == "127.0.0.1:5353"
    assert under_test._shown(("::1", 53)) == "::1"
    assert under_test._shown(("::1", 5353)) == "[::1]:5353"


def answer(query, *, records=(OLD,), **how):
    """What an honest and validating resolver would say."""
    return hostile_resolver.answer(query, records=records, **how)


def with_number(octets, number):
    return (number % 65536).to_bytes(2, "big") + octets[2:]


def signed_then_not(*kinds):
    """Records of these kinds are validated in the first asking only."""
    seen = []

    def answers(query):
        kind = query.question[0].rdtype
        again = kind in seen
        seen.append(kind)
        flags = 0 if again and kind in kinds else dns.flags.AD
        return [answer(query, flags=flags, seconds=600).to_wire()]

    return answers


def told_by(answers, frames=None):
    """What comes of asking a hostile server, and the seconds that it took."""
    begun = time.monotonic()
    with Hostile(answers, frames) as one:
        told = ask([(one.host, one.port)], [("25", HOST)])
    return told["answers"], time.monotonic() - begun


@pytest.fixture
def impatient(monkeypatch):
    """For answers that never come: to wait for them long shows no more."""
    monkeypatch.setattr(asking, "_DATAGRAM_SECONDS", (0.3, 0.3))
    monkeypatch.setattr(asking, "SECONDS", 1.0)


BOUND = 20  # seconds, of a machine that does much else
"""Seconds; a machine with much to do is slow to wake who sleeps."""


def test_the_hostile_server_can_be_honest():
    (found,), seconds = told_by(lambda query: [answer(query).to_wire()])
    assert found[0] == State.VALIDATED
    assert seconds < asking.SECONDS


def looping(query):
    """An alias of an alias of itself."""
    made = answer(query, records=())
    name = query.question[0].name
    for owner, target in ((name, "b.example."), ("b.example.", name)):
        made.answer.append(dns.rrset.from_text(owner, 60, "IN", "CNAME", str(target)))
    return made


def contradicting(query):
    made = answer(query)
    made.set_rcode(dns.rcode.NXDOMAIN)
    return made


def other_question(query):
    other = dns.message.make_query("_25._tcp.other.example.", "TLSA")
    made = answer(other)
    made.id = query.id
    return made


def of_code(query, code):
    made = answer(query, records=())
    made.set_rcode(code)
    return made


def without_question(query, code):
    made = of_code(query, code)
    made.question = []
    return made


def as_text(rdtype, *texts):
    """The octets of these as if they were TLSA records."""

    def made(query):
        response = answer(query, records=())
        name = query.question[0].name
        response.answer.append(dns.rrset.from_text(name, 60, "IN", rdtype, *texts))
        return response

    return made


def too_short(octets):
    """Before the one TLSA record another, whose digest has one octet."""
    if octets[6:8] == b"\0\0":
        return octets
    place = octets.index(b"\xc0\x0c")
    extra = bytes.fromhex("c00c 0034 0001 00000e10 0004 03010100")
    return octets[:6] + b"\0\2" + octets[8:place] + extra + octets[place:]


ANSWERS = {
    # what is sent for each query, what comes of it
    "nothing": (lambda query: [], State.SILENT),
    "an empty datagram": (lambda query: [b""], State.SILENT),
    "garbage": (lambda query: [b"\xff" * 500], State.SILENT),
    "garbage with the number": (
        lambda query: [with_number(b"\xff" * 500, query.id)],
        State.SILENT,
    ),
    "zeros with the number": (lambda query: [with_number(bytes(500), query.id)], State.SILENT),
    "the query itself": (lambda query: [query.to_wire()], State.SILENT),
    "another number": (
        lambda query: [with_number(answer(query).to_wire(), query.id + 1)],
        State.SILENT,
    ),
    "another question": (lambda query: [other_question(query).to_wire()], State.SILENT),
    "no question": (
        lambda query: [without_question(query, dns.rcode.NOERROR).to_wire()],
        State.SILENT,
    ),
    "half an answer": (lambda query: [answer(query).to_wire()[:-20]], State.SILENT),
    "junk behind it": (lambda query: [answer(query).to_wire() + b"junk"], State.SILENT),
    "garbage first, then the answer": (
        lambda query: [b"\xff" * 100, other_question(query).to_wire(), answer(query).to_wire()],
        State.VALIDATED,
    ),
    "the answer twice": (
        lambda query: [answer(query).to_wire(), answer(query, records=(NEW,)).to_wire()],
        State.VALIDATED,
    ),
    "no word of validation": (lambda query: [answer(query, flags=0).to_wire()], State.PLAIN),
    "a refusal": (lambda query: [of_code(query, dns.rcode.REFUSED).to_wire()], State.REFUSED),
    "a refusal without a question": (
        lambda query: [without_question(query, dns.rcode.SERVFAIL).to_wire()],
        State.REFUSED,
    ),
    "a code of EDNS": (lambda query: [of_code(query, dns.rcode.BADVERS).to_wire()], State.REFUSED),
    "a code that has no name": (lambda query: [of_code(query, 3841).to_wire()], State.REFUSED),
    "no such name, with records": (lambda query: [contradicting(query).to_wire()], State.REFUSED),
    "an alias of itself": (lambda query: [looping(query).to_wire()], State.REFUSED),
    "cut, and nothing by TCP": (
        lambda query: [answer(query, flags=dns.flags.TC | dns.flags.AD).to_wire()],
        State.SILENT,
    ),
    "records of another name": (
        lambda query: [answer(query, owner="other.example.").to_wire()],
        State.VALIDATED,
    ),
    "records of another kind": (
        lambda query: [as_text("TXT", '"3 1 1 00"')(query).to_wire()],
        State.VALIDATED,
    ),
    "a digest that is too short beside one that is not": (
        lambda query: [too_short(answer(query).to_wire())],
        State.VALIDATED,
    ),
}


@pytest.mark.parametrize("kind", ANSWERS)
def test_what_a_hostile_resolver_says(kind, request):
    answers, expected = ANSWERS[kind]
    if expected is State.SILENT:
        request.getfixturevalue("impatient")
    (found,), seconds = told_by(answers)
    assert found[0] == expected
    assert seconds < BOUND
    if "other" in kind or "another kind" in kind:
        assert not found[2]
    if kind in ("the answer twice", "a digest that is too short beside one that is not"):
        assert record(" ".join(map(str, found[2][-1]))) == record(OLD)


def cut(query):
    """Cut also in the sense that half of a record is there. Not so what is asked of the root."""
    if query.question[0].rdtype == dns.rdatatype.NS:
        return [answer(query).to_wire()]
    return [answer(query, flags=dns.flags.TC | dns.flags.AD).to_wire()[:-20]]


MUCH = tuple(f"3 0 0 {n:04x}{'ab' * 600}" for n in range(100))
"""Records that fill the largest message there is."""


def in_parts(octets, size, pause=0.0):
    for place in range(0, len(octets), size):
        time.sleep(pause)
        yield octets[place : place + size]


def without_end(query):
    while True:
        yield framed(other_question(query).to_wire())


STREAMS = {
    # what is sent by TCP for each query that was cut by UDP, what comes of it
    "the answer": (lambda query: [framed(answer(query).to_wire())], State.VALIDATED),
    "byte by byte": (
        lambda query: in_parts(framed(answer(query).to_wire()), 1),
        State.VALIDATED,
    ),
    "byte by byte, too slowly": (
        lambda query: in_parts(framed(answer(query).to_wire()), 1, 0.2),
        State.SILENT,
    ),
    "the end": (lambda query: [], State.SILENT),
    "the end within": (lambda query: [framed(answer(query).to_wire())[:40]], State.SILENT),
    "a length of nothing": (lambda query: [b"\x00\x00" * 9], State.SILENT),
    "garbage": (lambda query: [framed(b"\xff" * 65535)], State.SILENT),
    "cut again": (lambda query: map(framed, cut(query)), State.SILENT),
    "other answers without end": (without_end, State.SILENT),
    "another answer first": (
        lambda query: [framed(other_question(query).to_wire()), framed(answer(query).to_wire())],
        State.VALIDATED,
    ),
    "as much as there can be": (
        lambda query: [framed(answer(query, records=MUCH).to_wire(max_size=65535))],
        State.VALIDATED,
    ),
}


@pytest.mark.parametrize("kind", STREAMS)
def test_what_a_hostile_resolver_says_by_tcp(kind, request):
    frames, expected = STREAMS[kind]
    if expected is State.SILENT:
        request.getfixturevalue("impatient")
    (found,), seconds = told_by(cut, frames)
    assert found[0] == expected
    assert seconds < BOUND


def test_a_flood_ends_with_the_deadline():
    def flooding(query):
        octets = other_question(query).to_wire()
        ends = time.monotonic() + asking.SECONDS
        while time.monotonic() < ends:
            yield octets

    (found,), seconds = told_by(flooding)
    assert found[0] == State.SILENT
    assert seconds < BOUND


def test_a_lost_datagram_is_asked_for_again():
    seen = []

    def losing(query):
        seen.append(query.id)
        return [answer(query).to_wire()] if len(seen) > 2 else []

    (found,), _ = told_by(losing)
    assert found[0] == State.VALIDATED
    assert len(seen) == 4
    assert len(set(seen)) == 2


def test_what_is_asked_is_what_is_wanted():
    seen = []

    def looking(query):
        seen.append(query)
        return [answer(query).to_wire()]

    told_by(looking)
    assert [str(one.question[0]) for one in seen] == [
        f"_25._tcp.{HOST}. IN TLSA",
        ". IN NS",
    ]
    for one in seen:
        assert one.flags == dns.flags.RD | dns.flags.AD
        assert one.ednsflags & dns.flags.DO


def test_much_at_once_is_a_problem_and_not_a_loss_of_memory():
    """Two hundred answers of 64 KiB each are more than a forked process may hand back."""
    names = [f"n{number}.signed.example" for number in range(190)]
    big = answer(dns.message.make_query("x.", "TLSA"), records=MUCH).to_wire(max_size=65535)
    with Hostile(cut, lambda query: [framed(renamed(big, query))]) as one:
        begun = time.monotonic()
        found = fact(one, *names)
        assert time.monotonic() - begun < BOUND + under_test._MORE_SECONDS
    assert found.problem
    assert sum(len(records) for records in found.records.values()) < 190 * 100


def renamed(octets, query):
    """The answer to "x." as that to another question, by a pointer to its name."""
    name = query.question[0].name.to_wire()
    head = query.id.to_bytes(2, "big") + octets[2:12]
    return head + name + octets[12 + len(b"\x01x\x00") :]


@given(st.data())
def test_octets_are_a_message_or_none(data):
    """Whatever they are: no octets end the asking."""
    query = dns.message.make_query(f"_25._tcp.{HOST}.", "TLSA", want_dnssec=True)
    made = data.draw(st.sampled_from([answer, looping, contradicting, other_question]))
    octets = bytearray(made(query).to_wire())
    for place in data.draw(st.lists(st.integers(0, len(octets) - 1), max_size=5)):
        octets[place] = data.draw(st.integers(0, 255))
    found = read(bytes(octets[: data.draw(st.integers(0, len(octets)))]))
    if found is not None:
        query.is_response(found)
        is_cut(found)
        State(said_of(found)[0])


@given(st.binary(max_size=200))
def test_any_octets_at_all(octets):
    found = read(octets)
    if found is not None:
        State(said_of(found)[0])
