"""read_main_cf agrees with the real postconf, file by nasty file."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from postkeel.postfix.main_cf import read_main_cf

CASES = sorted((Path(__file__).parents[1] / "cases" / "main_cf").glob("*.cf"))


def agree(answer, built_in, read_only, content: bytes) -> None:
    """Both refuse the file, or both give every parameter the same value."""
    theirs = answer.pairs()
    ours = read_main_cf(content.decode("utf-8", "surrogateescape"))
    assert bool(ours.problems) == (theirs is None), answer.said
    if theirs is None:
        assert f"line {ours.problems[0].line}:" in answer.said
        return
    values = {name: one.value for name, one in ours.winners.items()}
    assert {name: values.get(name) for name in theirs} == theirs
    known = {name for name in values if name in built_in - read_only - {"config_directory"}}
    assert known <= set(theirs)


@pytest.fixture(scope="module")
def answers(postconf):
    """postconf's word on each case."""
    files = [(one.read_bytes(), b"") for one in CASES]
    return dict(zip(CASES, postconf.ask_all(files, "-n"), strict=True))


@pytest.mark.parametrize("case", CASES, ids=lambda one: one.stem)
def test_a_case_reads_as_postconf_reads_it(answers, built_in, read_only, case):
    agree(answers[case], built_in, read_only, case.read_bytes())


def test_the_corpus_is_there():
    assert len(CASES) >= 60


NAMES = ["smtpd_tls_security_level", "smtp_tls_loglevel", "mail_name", "foo", "#mail_name"]
PIECES = st.sampled_from(
    [
        *NAMES,
        "=",
        " = ",
        " ",
        "\t",
        "\n",
        "\n ",
        "\n\n",
        "\n#",
        "\r\n",
        "\r",
        "\x0c",
        "\x0b",
        "#",
        "may",
        "a b",
        "\x00",
        "\x85",
        "\xa0",
        "\ufeff",
        "$",
        "{",
        "}",
        "ü",
        "\x1c",
    ]
)
LINES = st.builds(
    "{}{}{}{}{}".format,
    st.sampled_from(["", "", "", " ", "#", "\t", "\f"]),
    st.sampled_from(NAMES),
    st.sampled_from([" = ", "=", " =", "\t=\v", " ", "= ="]),
    st.sampled_from(
        ["", "may", "a b", "a,\n b", "a\n#c\n\td", "\n  x", "\n\n x", "#y", "\0z", "\r"]
    ),
    st.sampled_from(["\n", "\n", "\r\n", "\n\n", "\n# c\n", " \n", ""]),
)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.one_of(st.lists(PIECES, max_size=25), st.lists(LINES, max_size=8)).map("".join))
@example("mail_name = $\x85=#\n")
def test_any_file_reads_as_postconf_reads_it(postconf, built_in, read_only, fatal, text):
    fatal.count += bool(read_main_cf(text).problems)
    if fatal.count <= fatal.most or not read_main_cf(text).problems:
        content = text.encode("utf-8")
        answer = postconf.ask("-n", main_cf=content)
        # What a value refers to is not how the file reads: test_expansion has that.
        if "macro processing error" not in answer.said:
            agree(answer, built_in, read_only, content)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_every_file_has_a_reading(content):
    read_main_cf(content.decode("utf-8", "surrogateescape"))


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("a = 1\n", 1, 1),
        ("# c\n\na = 1\n", 3, 3),
        ("a =\n  1\n# c\n  2\n# d\n", 1, 4),
        ("a = 1\na = 2\n", 2, 2),
        ("  x\na = 1\r\n\r\n  2\r\n", 2, 4),
        ("b = 2\n#a =\n  1\na = 3", 4, 4),
    ],
)
def test_a_setting_knows_its_lines(text, first, last):
    found = read_main_cf(text).winners["a"]
    assert (found.number, found.line.numbers[-1]) == (first, last)


def test_problems_name_file_line_and_fault():
    read = read_main_cf("  lost\na = 1\nsmtpd_tls_loglevel 1\n", file="/etc/postfix/main.cf")
    assert [str(one) for one in read.problems] == [
        "/etc/postfix/main.cf:3: missing '=' after attribute name: \"smtpd_tls_loglevel 1\""
    ]
    assert [(one.line, one.message) for one in read.ignored] == [
        (1, "indented text with no parameter before it; Postfix ignores it")
    ]
