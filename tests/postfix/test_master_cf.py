"""read_master_cf agrees with the real `postconf -M` and `postconf -P`."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from postkeel.postfix.master_cf import Entry, MasterCf, read_master_cf

CASES = sorted((Path(__file__).parents[1] / "cases" / "master_cf").glob("*.cf"))
COLUMNS = (0, 11, 17, 25, 33, 41, 49, 57)


def as_postconf_prints(entry: Entry) -> str:
    """An entry in the layout of `postconf -M`, which writes it on one line."""
    text = ""
    for goal, field in zip(COLUMNS, (*entry.fields, entry.command), strict=True):
        length = len(text.encode("utf-8", "surrogateescape"))
        text += (" " * max(1, goal - length) if text else "") + field
    options, after_o = True, False
    for word in entry.arguments:
        first = options and not after_o and (word[0:1] != "-" or word == "--")
        bare = first or (options and not after_o) or not any(one in word for one in " \t\r\n")
        options = options and not first
        after_o = options and not after_o and word[1:2] == "o"
        text += f" {word}" if bare else f" {{{word}}}"
    return text


def parameters(master_cf: MasterCf) -> dict[str, str]:
    """The overrides as `postconf -P` gives them: entries of one name share theirs."""
    return {
        f"{entry.name}/{one.name}": one.value
        for entry in master_cf.entries
        for one in entry.overrides
    }


def agree(postconf, entries, content: bytes) -> None:
    """Both refuse the file, or both give every entry and override alike."""
    ours = read_master_cf(content.decode("utf-8", "surrogateescape"))
    assert bool(ours.problems) == (entries.lines is None), entries.said
    if entries.lines is None:
        assert ours.problems[0].message[:12] in entries.said
        return
    assert [as_postconf_prints(one) for one in ours.entries] == entries.lines
    assert parameters(ours) == postconf.ask("-P", master_cf=content).pairs()


@pytest.fixture(scope="module")
def answers(postconf):
    """postconf's word on the entries of each case."""
    files = [(b"", one.read_bytes()) for one in CASES]
    return dict(zip(CASES, postconf.ask_all(files, "-M"), strict=True))


@pytest.mark.parametrize("case", CASES, ids=lambda one: one.stem)
def test_a_case_reads_as_postconf_reads_it(postconf, answers, case):
    agree(postconf, answers[case], case.read_bytes())


def test_the_corpus_is_there():
    assert len(CASES) >= 25


WORDS = st.sampled_from(
    [
        "-o",
        "-v",
        "-vo",
        "--",
        "x",
        "=",
        "{",
        "}",
        "{a",
        "smtpd_tls_loglevel=1",
        "mail_name=m",
        "-omail_name=q",
        "{ mail_name = a b }",
        "{mail_name=z}",
        "mail_name=${x? y}",
        "{ x }",
        "a=}",
        "-vomail_name=w",
        "-o mail_name=1",
        "-o { mail_name = c d }",
        "flags=R",
    ]
)
GAPS = st.sampled_from([" ", "  ", "\t", "\n ", "\n  ", "\n# c\n  ", "\n\n\t", " \r\n ", "\n \f"])
HEADS = st.sampled_from(
    [
        "smtp inet n - y - - smtpd",
        "submission inet n - y - 10 smtpd",
        "q unix - - - 3? 1 qmgr",
        "x unix-dgram - - n 0 - postlogd",
        "#smtp inet n - y - - smtpd",
        "smtp inet n - smtpd",
    ]
)
ENTRIES = st.builds(
    lambda head, rest, ending: head + "".join(gap + word for gap, word in rest) + ending,
    HEADS,
    st.lists(st.tuples(GAPS, WORDS), max_size=6),
    st.sampled_from(["\n", "\n", "\r\n", "\n\n", "\n# c\n", ""]),
)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(ENTRIES, max_size=4).map("".join))
def test_any_file_reads_as_postconf_reads_it(postconf, fatal, text):
    fatal.count += bool(read_master_cf(text).problems)
    if fatal.count <= fatal.most or not read_master_cf(text).problems:
        content = text.encode("utf-8")
        agree(postconf, postconf.ask("-M", master_cf=content), content)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_every_file_has_a_reading(content):
    read_master_cf(content.decode("utf-8", "surrogateescape"))


def test_places_are_those_of_the_text():
    text = (
        "# c\n"
        "submission inet n - y - - smtpd\n"
        "  -o smtpd_tls_loglevel=1\n"
        "# between\n"
        "  -o { smtpd_tls_protocols =\n"
        "    >=TLSv1.2 } -o\n"
        "    mail_name=x\n"
    )
    entry = read_master_cf(text).services["submission/inet"]
    assert entry.number == 2
    assert {one.name: one.number for one in entry.overrides} == {
        "smtpd_tls_loglevel": 3,
        "smtpd_tls_protocols": 5,
        "mail_name": 7,
    }
    assert entry.chroot == "y"


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("\nsmtp inet n - y\n", 2, "bad field count: 5 fields where a service needs 8"),
        ("smtp inet n - x - - smtpd\n", 1, 'invalid chroot field "x"'),
        ("smtp tcp n - y - - smtpd\n", 1, 'invalid type field "tcp"'),
        ("smtp inet n - y -? many smtpd\n", 1, 'invalid process limit field "many"'),
        ("smtp inet n - y 5s - smtpd\n", 1, 'invalid wakeup field "5s"'),
    ],
)
def test_a_broken_entry_is_located(text, line, message):
    problem = read_master_cf(text, file="/etc/postfix/master.cf").problems[0]
    assert (problem.file, problem.line, problem.message) == (
        "/etc/postfix/master.cf",
        line,
        message,
    )


@pytest.mark.parametrize(
    ("options", "line", "message"),
    [
        ("\n  -o a = b", 2, "-o a: missing '=' after attribute name; Postfix does not set it"),
        (" -v\n  -o", 2, "-o without name=value"),
        (" -o {a=b", 1, "missing '}' in \"{a=b\""),
        (" -o {a=b}c", 1, "syntax error after '}' in \"{a=b}c\""),
    ],
)
def test_an_option_that_postfix_passes_over_is_located(options, line, message):
    problem = read_master_cf(f"smtp inet n - y - - smtpd{options}\n").ignored[0]
    assert (problem.line, problem.message) == (line, message)


@pytest.mark.parametrize(
    ("option", "overrides"),
    [
        ("-osmtpd_tls_loglevel=0", {"smtpd_tls_loglevel": "0"}),
        ("-vosmtpd_tls_loglevel=0", {"smtpd_tls_loglevel": "0"}),
        ("-o{ smtpd_tls_CAfile = /x }", {}),
    ],
)
def test_an_attached_value_is_read_as_the_daemon_reads_it(option, overrides):
    # Here postconf is wrong (it splits the word at every "o"): getopt(3) in the daemon decides.
    read = read_master_cf(f"smtp inet n - y - - smtpd {option}\n")
    found = {name: one.value for name, one in read.services["smtp/inet"].winners.items()}
    assert found == overrides
    assert bool(read.ignored) == (not overrides)
