"""`@cee:` JSON: one object, the same fields, nothing behind it."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

import drawn_reports
from postkeel.reporting.cee import cee
from postkeel.reporting.fields import message_of
from postkeel.reporting.message import Message

MARKS = (("spool", "5f0c11d2"), ("seq", "17"))


def message(*fields, text="/etc/postfix: fixed 1"):
    time = datetime(2026, 11, 23, 13, 40, tzinfo=UTC)
    return Message(time=time, severity=5, event="requested", fields=fields, text=text)


def values_of(line):
    cookie, space, document = line.partition(" ")
    assert (cookie, space) == ("@cee:", " ")
    pairs = json.loads(document, object_pairs_hook=list)
    assert len({name for name, _ in pairs}) == len(pairs)
    return dict(pairs)


def test_a_message():
    line = cee(message(("v", "1"), ("effective", 'a "b" \\c')), MARKS)
    assert line == (
        r'@cee: {"spool":"5f0c11d2","seq":"17","v":"1","effective":"a \"b\" \\c",'
        '"msg":"/etc/postfix: fixed 1"}'
    )


def test_without_anything_to_say_it_is_still_an_object():
    assert values_of(cee(message(text=""))) == {"msg": ""}


@pytest.mark.parametrize("limit", [500, 501, 502, 503, 1000, 2048])
def test_what_does_not_fit_is_cut_and_named(limit):
    line = cee(message(("v", "1"), ("rule", "r"), ("effective", '"é' * 3000)), MARKS, limit)
    values = values_of(line)
    assert limit * 0.7 < len(line.encode()) <= limit
    assert {**values, "effective": "", "msg": ""} == {
        **dict(MARKS),
        "v": "1",
        "rule": "r",
        "effective": "",
        "cut": "effective",
        "msg": "",
    }
    assert values["effective"].endswith("[...]")
    assert values["msg"] == "/etc/postfix: fixed 1"


def test_where_nothing_fits_there_are_the_marks():
    assert values_of(cee(message(("v", "1" * 90)), MARKS, 60)) == dict(MARKS)


texts = st.text(st.characters(), max_size=400)


@given(drawn_reports.reports(texts, most=3))
def test_every_report_is_read_back(report):
    sent = message_of(report)
    line = cee(sent, MARKS)
    values = values_of(line)
    assert len(line.encode()) <= 2048
    assert line.isprintable()
    whole = {**dict(MARKS), **dict(sent.fields), "msg": sent.text}
    assert values == whole or values["cut"]
    cut = values.get("cut", "").split(",")
    for name in values.keys() - {"cut", "msg", *cut}:
        assert values[name] == whole[name]
