"""The page for a browser: well formed, nothing is loaded, no stranger's markup gets through."""

from __future__ import annotations

from datetime import UTC, datetime
from html.parser import HTMLParser

import pytest

from postkeel.cli.tls_log_html import page
from postkeel.cli.tls_log_sources import Source
from postkeel.cli.tls_log_summary import summarise
from postkeel.maillog.forecast import Forecast, Harm, PeerHarm, Side
from postkeel.maillog.forecast_policy import PolicySuggestion
from postkeel.maillog.values import (
    ConnectionCount,
    DestinationCount,
    Direction,
    FailureCount,
    Notice,
    NoticeKind,
    Session,
    Statistics,
)

HOUR = 1_795_000_000 // 3600 * 3600
VOID = {"meta", "br", "rect"}
ELEMENTS = {
    *("html", "head", "title", "style", "body", "h1", "h2", "p", "br", "meta", "table"),
    *("caption", "thead", "tbody", "tr", "th", "td", "svg", "g", "rect", "text"),
}
ATTRIBUTES = {
    *("lang", "charset", "http-equiv", "content", "name", "class", "viewbox", "role"),
    *("aria-label", "x", "y", "width", "height", "text-anchor"),
}

HOSTILE = {
    "script": "<script>alert(1)</script>",
    "attribute": '" onload="alert(1)',
    "single quote": "' autofocus onfocus='alert(1)",
    "entity": "&lt;img src=x&gt;&#60;b&#62;",
    "style": "</style><style>*{background:url(//evil.example)}",
    "title": "</title><script src=//evil.example></script>",
    "comment": "--><!--",
    "cdata": "]]><![CDATA[<script>",
    "control": "\x1b[31m\x00\r\n\u202e",
    "surrogate": "\udc80\udcff",
    "long": "<b>" * 400,
}


class Reader(HTMLParser):
    """Notes elements, attributes, and that each is closed by its own."""

    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.open = []
        self.elements = set()
        self.attributes = set()
        self.said = []
        self.policy = ""

    def handle_starttag(self, tag, attrs):
        self.elements.add(tag)
        self.attributes.update(name for name, _ in attrs)
        if dict(attrs).get("http-equiv") == "Content-Security-Policy":
            self.policy = dict(attrs)["content"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)

    def handle_data(self, data):
        self.said.append(data)

    def handle_comment(self, data):
        raise AssertionError(data)

    def unknown_decl(self, data):
        raise AssertionError(data)


def statistics(text):
    old = Session(direction=Direction.INBOUND, trust=text, protocol="TLSv1", cipher=text)
    clear = Session(direction=Direction.OUTBOUND)
    return Statistics(
        lines=3,
        connections=tuple(
            ConnectionCount(HOUR + 3600 * later, f"{text}/smtpd", session, text, 5, 5)
            for later in (0, 1, 5)
            for session in (old, clear)
        ),
        failures=(FailureCount(HOUR, "postfix/smtpd", Direction.INBOUND, text, text, 2),),
        destinations=(DestinationCount(HOUR, text, text, clear, 5),),
        notices=(Notice(kind=NoticeKind.TLS_DISABLED, time=HOUR, name=text, peer=text, text=text),),
        first=datetime.fromtimestamp(HOUR, UTC),
        last=datetime.fromtimestamp(HOUR + 7200, UTC),
        lost=(text,),
    )


def made_forecast(text):
    harmed = PeerHarm(
        peer=text,
        name=text,
        protocol="",
        cipher=text,
        connections=1,
        mails=1,
        reason=text,
        rule=text,
        certain=False,
    )
    harm = Harm(connections=1, mails=1, peers=(harmed,), left_off=3)
    side = Side(
        connections=2, mails=2, clear_connections=0, clear_mails=0, refused=harm, to_clear=Harm()
    )
    policy = PolicySuggestion(
        domain=text,
        level="encrypt",
        entry=text,
        why=text,
        caution=text,
        mails=9,
        days=3,
        relays=(text,),
    )
    return Forecast(
        profile=text, span=None, inbound=side, outbound=side, policies=(policy,), unknown=(text,)
    )


def read(text, names=("mail.log",)):
    found = statistics(text)
    source = Source(statistics=found, names=names, notes=(text,))
    reader = Reader()
    made = page(summarise(found), source, made_forecast(text))
    reader.feed(made)
    reader.close()
    return made, reader


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_no_markup_of_strangers_gets_through(text):
    made, reader = read(text, names=(text,))
    assert reader.open == []
    assert reader.elements <= ELEMENTS
    assert reader.attributes <= ATTRIBUTES
    assert all(line.isprintable() for line in made.split("\n"))
    made.encode()  # nothing is left that is no text


def test_strangers_texts_are_shown():
    _, reader = read("<b>peer</b>")
    assert reader.said.count("<b>peer</b>") >= 8


def test_nothing_is_loaded_from_anywhere():
    made, reader = read("peer.example")
    assert reader.policy.startswith("default-src 'none'; style-src 'unsafe-inline';")
    for word in ("http:", "https:", "//", "url(", "@import", "javascript", "src=", "href="):
        assert word not in made, word


def test_a_long_table_says_how_much_is_left_off():
    session = Session(direction=Direction.OUTBOUND)
    peers = tuple(
        ConnectionCount(HOUR, "postfix/smtp", session, f"peer{one}.example", 1, 1)
        for one in range(130)
    )
    found = Statistics(lines=1, connections=peers)
    made = page(summarise(found), Source(statistics=found, names=("x",)), None)
    assert '<p class="dim">and 30 more</p>' in made
    assert "With profile" not in made


def test_the_command_writes_the_page_alone(place, tmp_path):
    log = tmp_path / "mail.log"
    log.write_text("Nov 22 10:00:00 mx postfix/smtpd[1]: connect from a.example[192.0.2.1]\n")
    for words in (
        ["tls-log", str(log), "--format", "html"],
        ["--format", "html", "tls-log", str(log)],
    ):
        done = place.run(*words)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith("<!DOCTYPE html>\n")
        assert done.stdout.endswith("</html>\n")
