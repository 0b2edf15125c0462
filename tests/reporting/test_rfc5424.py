"""Messages as RFC 5424: read back by the grammar, and laws for whatever a report holds."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import drawn_reports
from postkeel.reporting.fields import message_of
from postkeel.reporting.message import Message
from postkeel.reporting.rfc5424 import Header, rfc5424, rfc5424_cee
from rfc5424_grammar import read

HEADER = Header(facility=2, host="mx1.example.org", process=812, enterprise=32473)
MARKS = (
    ("spool", "5f0c11d2"),
    ("seq", "18446744073709551615"),
    ("repeated", "312"),
    ("first", "2026-11-23T13:40:00.123456+00:00"),
    ("last", "2026-11-23T13:50:00.123456+00:00"),
)
MESSAGE = Message(
    time=datetime(2026, 11, 23, 13, 40, 0, 123456, UTC),
    severity=5,
    event="paths-changed",
    fields=(("v", "1"), ("event", "paths-changed"), ("effective", 'a "b" [c] \\d')),
    text="/etc/postfix: fixed 1",
)


def test_a_message_octet_by_octet():
    assert rfc5424(MESSAGE, HEADER, MARKS[:2]).decode() == (
        "<21>1 2026-11-23T13:40:00.123456+00:00 mx1.example.org postkeel 812 paths-changed "
        '[postkeel@32473 spool="5f0c11d2" seq="18446744073709551615" v="1" event="paths-changed"'
        r' effective="a \"b\" [c\] \\d"] /etc/postfix: fixed 1'
    )


def test_as_cee_it_has_no_element():
    shown = read(rfc5424_cee(MESSAGE, HEADER, MARKS[:1]))
    assert (shown.element, shown.parameters) == ("", ())
    assert shown.text == (
        '@cee: {"spool":"5f0c11d2","v":"1","event":"paths-changed",'
        r'"effective":"a \"b\" [c] \\d","msg":"/etc/postfix: fixed 1"}'
    )


HOSTS = {
    "nothing": ("", "-"),
    "a blank and a line end": ("mx 1\n<0>1", "mx?1?<0>1"),
    "no ASCII": ("bücher.example", "b?cher.example"),
    "too long": ("x" * 300, "x" * 255),
}


@pytest.mark.parametrize(("host", "shown"), HOSTS.values(), ids=HOSTS)
def test_a_host_is_printable_ascii(host, shown):
    assert read(rfc5424(MESSAGE, replace(HEADER, host=host))).host == shown


EVENTS = {"nothing": ("", "-"), "too long": ("e" * 40, "e" * 32), "a blank": ("a b", "a?b")}


@pytest.mark.parametrize(("event", "shown"), EVENTS.values(), ids=EVENTS)
def test_an_event_fits_where_it_goes(event, shown):
    assert read(rfc5424(replace(MESSAGE, event=event), HEADER)).event == shown


ZONES = {
    "east": (timedelta(hours=5, minutes=30), "+05:30"),
    "west": (-timedelta(hours=9, minutes=30), "-09:30"),
    "with seconds, as before 1900": (timedelta(hours=1, seconds=172), "+01:02"),
}


@pytest.mark.parametrize(("offset", "shown"), ZONES.values(), ids=ZONES)
def test_the_zone_is_written_in_minutes(offset, shown):
    time = datetime(2026, 11, 23, 13, 40, tzinfo=timezone(offset))
    octets = rfc5424(replace(MESSAGE, time=time), HEADER)
    assert octets.split()[1].decode() == f"2026-11-23T13:40:00.000000{shown}"


def of_one_field(value, text="/etc/postfix: fixed 1"):
    return replace(MESSAGE, fields=(("v", "1"), ("effective", value), ("wanted", "w")), text=text)


def test_a_field_that_does_not_fit_is_cut_and_named_with_those_after_it():
    octets = rfc5424(of_one_field("é" * 2000), HEADER, MARKS)
    shown = dict(read(octets).parameters)
    assert 1900 < len(octets) <= 2048
    assert shown["effective"].strip("é") == "[...]"
    assert shown["cut"] == "effective,wanted"
    assert "wanted" not in shown


def test_the_sentence_gives_way_before_a_field_does():
    octets = rfc5424(of_one_field("x" * 1000, text="y" * 1500), HEADER, MARKS)
    shown = read(octets)
    assert len(octets) == 2048
    assert dict(shown.parameters) == {
        **dict(MARKS),
        "v": "1",
        "effective": "x" * 1000,
        "wanted": "w",
        "cut": "text",
    }
    assert shown.text.startswith("yyy")
    assert shown.text.endswith("y[...]")


def test_the_sentence_keeps_some_room():
    shown = read(rfc5424(of_one_field("x" * 1900, text="y" * 1500), HEADER, MARKS))
    assert len(shown.text) >= 400
    assert dict(shown.parameters)["cut"] == "text,effective,wanted"


@pytest.mark.parametrize("length", range(1500, 1900, 7))
def test_escapes_are_never_cut_in_two(length):
    octets = rfc5424(of_one_field("x" * (length % 5) + ']\\"é' * length), HEADER, MARKS)
    assert len(octets) <= 2048
    assert dict(read(octets).parameters)["cut"] == "effective,wanted"


@pytest.mark.parametrize("length", range(1400, 1700))
def test_at_the_edge_a_message_is_whole_or_says_that_it_is_not(length):
    message = of_one_field("x" * length)
    octets = rfc5424(message, HEADER, MARKS)
    shown = dict(read(octets).parameters)
    whole = {**dict(MARKS), **dict(message.fields)}
    assert len(octets) <= 2048
    assert shown == whole or shown["cut"]
    assert {one: shown[one] for one, _ in MARKS} == dict(MARKS)


def test_marks_beyond_all_measure_leave_no_room_for_fields():
    message = of_one_field("x")
    octets = rfc5424(message, HEADER, (("spool", "x" * 2000),))
    assert read(octets).parameters == (("spool", "x" * 2000),)


nasty = st.text(st.characters(), max_size=400) | st.sampled_from(
    [
        '"] [postkeel@32473 seq="9"',
        "\n<0>1 - - - - - - forged",
        "\ufeff\u202e\x00\x1b[2J\udcff",
        "\\",
        'x\\"',
        "]]]]" * 90,
        '", "outcome": "clean',
    ]
)
told = st.tuples(st.sampled_from(["guarded", "every", "outcome", "seq", 'x" y="1']) | nasty, nasty)
zones = st.timedeltas(
    min_value=timedelta(hours=-23, minutes=-59), max_value=timedelta(hours=23, minutes=59)
).map(timezone)
wild = drawn_reports.reports(nasty, most=4, zones=zones, told=told)


@given(wild)
def test_every_report_is_read_back(report):
    message = message_of(report)
    octets = rfc5424(message, HEADER, MARKS)
    shown = read(octets)
    values = dict(shown.parameters)
    assert len(octets) <= 2048
    assert octets.decode().isprintable()
    assert (shown.priority, shown.event) == (16 + message.severity, message.event)
    assert (shown.host, shown.process, shown.element) == (HEADER.host, "812", "postkeel@32473")
    assert len(values) == len(shown.parameters)  # no name twice
    assert shown.parameters[: len(MARKS)] == MARKS
    cut = values.get("cut", "").split(",")
    if values == {**dict(MARKS), **dict(message.fields)}:
        assert shown.text == message.text
        return
    for name, value in message.fields:
        if name in values and name not in cut and name != "cut":
            assert values[name] == value
        elif name != "cut":
            assert name in cut or cut[-1] == "..."
    assert values.keys() <= {*dict(MARKS), *dict(message.fields), "cut"}
    assert shown.text == message.text or "text" in cut


@given(nasty, nasty, nasty, nasty)
@example("\n", "\ud800", "", "\x00")
def test_even_a_message_that_breaks_its_contract_forges_nothing(value, text, host, event):
    message = replace(MESSAGE, fields=(("effective", value),), text=text, event=event)
    octets = rfc5424(message, replace(HEADER, host=host))
    assert octets.decode().isprintable()
    assert [name for name, _ in read(octets).parameters if name != "cut"] == ["effective"]
    assert rfc5424_cee(message, replace(HEADER, host=host)).decode().isprintable()
