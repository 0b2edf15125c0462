"""Entries for journald, octet by octet; what journald makes of them: test_syslog_reporter.py."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

import drawn_reports
from postkeel.reporting.fields import message_of
from postkeel.reporting.journal import journal_entry
from postkeel.reporting.message import Message


def message(text, *fields):
    time = datetime(2026, 11, 23, 13, 40, tzinfo=UTC)
    return Message(time=time, severity=5, event="requested", fields=fields, text=text)


HEAD = b"PRIORITY=5\nSYSLOG_IDENTIFIER=postkeel\nSYSLOG_FACILITY=2\nSYSLOG_PID=812\n"


def test_an_entry():
    entry = journal_entry(message("said", ("v", "1"), ("rule_2", "a=b")), 2, 812)
    assert entry == b"MESSAGE=said\n" + HEAD + b"POSTKEEL_V=1\nPOSTKEEL_RULE_2=a=b\n"


def test_another_text_in_its_place():
    assert journal_entry(message("said"), 2, 812, "@cee: {}") == b"MESSAGE=@cee: {}\n" + HEAD


def test_a_value_cannot_end_its_line():
    entry = journal_entry(message("a\nPRIORITY=0", ("rule", "r\nPOSTKEEL_V=9")), 2, 812)
    assert entry == b"MESSAGE=a\\nPRIORITY=0\n" + HEAD + b"POSTKEEL_RULE=r\\nPOSTKEEL_V=9\n"


texts = st.text(st.characters(), max_size=600)


@given(drawn_reports.reports(texts, most=4))
def test_every_report_is_a_datagram_of_its_fields(report):
    told = message_of(report)
    entry = journal_entry(told, 2, 812).decode()
    assert len(entry.encode()) <= 4200
    values = dict(line.split("=", 1) for line in entry.removesuffix("\n").split("\n"))
    assert values["MESSAGE"] == told.text
    whole = {f"POSTKEEL_{name.upper()}": value for name, value in told.fields}
    ours = {name: value for name, value in values.items() if name.startswith("POSTKEEL_")}
    assert ours == whole or ours["POSTKEEL_CUT"]
