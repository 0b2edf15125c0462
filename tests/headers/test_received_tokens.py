"""A Received line taken apart, by anybody's rules but the stranger's."""

import pytest

from postkeel.headers.parts import Clause
from postkeel.headers.tokens import parts_of, words_of


def test_clauses_comments_and_date():
    parts = parts_of(
        "from mail.example.org (mail.example.org [192.0.2.1]) (No client certificate requested)"
        " by mx.example.net (Postfix) with ESMTPS id 3856A2AC9A1 for <b@example.net>;"
        " Sun, 22 Nov 2026 13:09:25 +0000 (UTC)"
    )
    assert parts.clauses == {
        "from": Clause(
            value="mail.example.org",
            comments=("mail.example.org [192.0.2.1]", "No client certificate requested"),
        ),
        "by": Clause(value="mx.example.net", comments=("Postfix",)),
        "with": Clause(value="ESMTPS"),
        "id": Clause(value="3856A2AC9A1"),
        "for": Clause(value="<b@example.net>"),
    }
    assert parts.date == "Sun, 22 Nov 2026 13:09:25 +0000 (UTC)"
    assert parts.clause("via") == Clause(value="")


@pytest.mark.parametrize(
    ("line", "clauses"),
    [
        ("by a", {"by": "a"}),
        ("BY a WITH smtp", {"by": "a", "with": "smtp"}),
        (
            "from a by b via c with d id e for f",
            {"from": "a", "by": "b", "via": "c", "with": "d", "id": "e", "for": "f"},
        ),
        (
            "from a by b with c tls d group e",
            {"from": "a", "by": "b", "with": "c", "tls": "d", "group": "e"},
        ),
        (
            "from a by b with c id d via e",
            {"from": "a", "by": "b", "with": "c", "id": "d", "via": "e"},
        ),
        # A stranger's HELO is any word; the server's own clauses come after it.
        ("from by by b with c", {"from": "by", "by": "b", "with": "c"}),
        ("from with (x [192.0.2.1]) by b with c", {"from": "with", "by": "b", "with": "c"}),
        (
            "from x by forged with ESMTPS id 1 for y (z) by real with SMTP",
            {"from": "x by forged with ESMTPS id 1 for y", "by": "real", "with": "SMTP"},
        ),
        ("from from by b", {"from": "from", "by": "b"}),
        ("from a with b id c", {"from": "a", "with": "b", "id": "c"}),
        ("from a", {"from": "a"}),
        ("from", {"from": ""}),
        ("by", {"by": ""}),
        ("from a by", {"from": "a", "by": ""}),
        ("by a by b", {"by": "a by b"}),
        ("by a from b", {"by": "a from b"}),
        ("by a with b with c", {"by": "a", "with": "b with c"}),
        ("unknown by a", {"by": "a"}),
        ("byby", {}),
        ("", {}),
        (" ; ; ", {}),
        # Words in quotes, paths and literals are nobody's keywords.
        (
            'from a by b for <"x> by evil with y"@c>',
            {"from": "a", "by": "b", "for": '<"x> by evil with y"@c>'},
        ),
        ('from a by b for "x by evil"@c', {"from": "a", "by": "b", "for": '"x by evil"@c'}),
        ('from "a by c" by b', {"from": '"a by c"', "by": "b"}),
        ('from "a\\" by c" by b', {"from": '"a\\" by c"', "by": "b"}),
        ("from [192.0.2.1] by b", {"from": "[192.0.2.1]", "by": "b"}),
        ("from [IPv6:2001:db8::1] by b", {"from": "[IPv6:2001:db8::1]", "by": "b"}),
        # What is left open is an ordinary character.
        ("from [ by b ]", {"from": "[", "by": "b ]"}),
        ('from " by b', {"from": '"', "by": "b"}),
        ("from < by b >", {"from": "<", "by": "b >"}),
        ("from ) by b", {"from": ")", "by": "b"}),
        ("from \\ by b", {"from": "\\", "by": "b"}),
        ('from \\" by b "', {"from": '\\"', "by": 'b "'}),
        ("from a by b\\", {"from": "a", "by": "b\\"}),
    ],
)
def test_words(line, clauses):
    assert {name: one.value for name, one in parts_of(line).clauses.items()} == clauses


@pytest.mark.parametrize(
    ("line", "comments"),
    [
        ("by a (b (c) d) (e)", ("b (c) d", "e")),
        ("by a(b)", ("b",)),
        ("by a (b \\) c)", ("b \\) c",)),
        ("by a (b", ("b",)),
        ("by a (b (c)", ("b (c)",)),
        ("by a ()", ("",)),
        ('by a ("b)', ('"b',)),
        ("by a (b) with c (d)", ("b",)),
        # An address of the envelope holds what it likes in its quotes.
        (
            'by a (envelope-from <"x) by evil (y"@b>) (c)',
            ('envelope-from <"x) by evil (y"@b>', "c"),
        ),
        ('by a (envelope-sender "x)"@b) (c)', ('envelope-sender "x)"@b', "c")),
        ('by a (envelope-from <"x) (c)', ('envelope-from <"x', "c")),
    ],
)
def test_comments(line, comments):
    assert parts_of(line).clause("by").comments == comments


def test_what_stands_ahead():
    parts = parts_of("(qmail 123 invoked by uid 89); 22 Nov 2026 13:09:25 -0000")
    assert parts.before == ("qmail 123 invoked by uid 89",)
    assert not parts.clauses
    assert parts_of("unknown (HELO x) (192.0.2.1) by a").before == ("HELO x", "192.0.2.1")
    assert parts_of("(a) from b (c) by d").before == ("a",)


@pytest.mark.parametrize(
    ("line", "date"),
    [
        ("by a; b", "b"),
        ("by a; b; c", "c"),
        ("by a (;) ; b (;)", "b (;)"),
        ('by ";" ; b', "b"),
        ("by a", ""),
        ("by a;", ""),
        ("; b", "b"),
    ],
)
def test_date(line, date):
    assert parts_of(line).date == date


def test_clauses_do_not_reach_beyond_the_last_semicolon():
    parts = parts_of("by a; with b; with c")
    assert parts.clauses == {"by": Clause(value="a"), "with": Clause(value="b")}


def test_nested_deep():
    deep = "(" * 10_000 + "x" + ")" * 10_000
    parts = parts_of(f"from a {deep} by b")
    assert parts.clause("from").comments == (deep[1:-1],)
    assert parts.clause("by").value == "b"


def test_words_keep_all_that_is_written():
    assert words_of(' a "b c"<d>(e (f))g;h') == ["a", '"b c"<d>', "(e (f))", "g", ";", "h"]
