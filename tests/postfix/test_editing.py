"""Edits: exact texts first, then laws that hold for any file, judged by the real postconf."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from postkeel.core.changes import (
    RemoveOverride,
    RemoveParameter,
    SetOverride,
    SetParameter,
)
from postkeel.core.errors import EditError
from postkeel.postfix.editing import Texts, edit
from postkeel.postfix.main_cf import read_main_cf
from postkeel.postfix.master_cf import read_master_cf

CASES = Path(__file__).parents[1] / "cases"
LEVEL = "smtpd_tls_security_level"
SERVICE = "submission/inet"
HEAD = "submission inet n - y - - smtpd\n"


def main_after(text, *changes):
    return edit(Texts(main_cf=text, master_cf=""), changes).main_cf


def master_after(text, *changes):
    return edit(Texts(main_cf="", master_cf=text), changes).master_cf


@pytest.mark.parametrize(
    ("before", "value", "after"),
    [
        ("a = 1\n", "2", "a = 2\n"),
        ("a=1\n", "2", "a=2\n"),
        ("a\t=   1  \n", "2", "a\t=   2  \n"),
        ("a = 1", "2", "a = 2"),
        ("a = 1\r\nb = 2\r\n", "2", "a = 2\r\nb = 2\r\n"),
        ("a = 1\n", "1", "a = 1\n"),
        ("a = 1,\n  2\n", "1, 2", "a = 1,\n  2\n"),
        ("a = 1,\n  2\nb = 3\n", "4", "a = 4\nb = 3\n"),
        ("a = 1,\n# why\n  2\n# b\nb = 3\n", "4", "a = 4\n# why\n# b\nb = 3\n"),
        ("a =\n  1,\n  2\n", "4", "a =\n  4\n"),
        ("a =\n  1\n", "#4", "a = #4\n"),
        ("a =\n\n  1\n", "4", "a =\n\n  4\n"),
        ("a = 1,\r\n  2\r\nb = 3\r\n", "4", "a = 4\r\nb = 3\r\n"),
        ("a = 1\nb = 2\na = 3\n", "4", "b = 2\na = 4\n"),
        ("a = 1\n  2\nb = 2\na = 3", "4", "b = 2\na = 4"),
        ("a =\n", "4", "a = 4\n"),
        ("a=\n", "4", "a=4\n"),
        ("a =", "4", "a = 4"),
        ("a =\r\n", "4", "a = 4\r\n"),
        ("a =  \t\r\n", "4", "a =  \t4\r\n"),
        ("a = 1\n", "", "a = \n"),
        ("a = 1\0x\n  2\nb = 3\n", "4", "a = 4\nb = 3\n"),
        ("b = 1\n#a =\n  2\n", "4", "b = 1\n#a =\n  2\na = 4\n"),
        ("b = 1", "4", "b = 1\na = 4\n"),
        ("b = 1\r\n", "4", "b = 1\r\na = 4\r\n"),
        ("", "4", "a = 4\n"),
        ("# end", "4", "# end\na = 4\n"),
        ("b = 1\n", "", "b = 1\na =\n"),
        ("b = 1\n", "  4\t 5 ", "b = 1\na = 4 5\n"),
        (" a = 1\n", "4", " a = 1\na = 4\n"),
        ("A = 1\n", "4", "A = 1\na = 4\n"),
        ("a = 1 # c\n", "4", "a = 4\n"),
        ("# \udcfc\na = \udcfc\nb = \udcfc\n", "4", "# \udcfc\na = 4\nb = \udcfc\n"),
    ],
)
def test_setting_a_parameter(before, value, after):
    assert main_after(before, SetParameter(name="a", value=value)) == after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("a = 1\nb = 2\n", "b = 2\n"),
        ("b = 2\na = 1", "b = 2\n"),
        ("a = 1\n# keep\n  2\n# b\nb = 3\n", "# keep\n# b\nb = 3\n"),
        ("a = 1\nb = 2\na = 3\n", "b = 2\n"),
        ("b = 2\n#a = 1\n", "b = 2\n#a = 1\n"),
        ("ab = 2\n", "ab = 2\n"),
    ],
)
def test_removing_a_parameter(before, after):
    assert main_after(before, RemoveParameter(name="a")) == after


@pytest.mark.parametrize(
    ("options", "value", "after"),
    [
        ("", "2", "  -o a=2\n"),
        ("  -o a=1\n", "2", "  -o a=2\n"),
        ("  -o a=1\n", "1", "  -o a=1\n"),
        ("  -o a=1", "2", "  -o a=2"),
        ("  -o b=1", "2", "  -o b=1\n  -o a=2"),
        ("  -o b=1\r\n", "2", "  -o b=1\r\n  -o a=2\r\n"),
        ("  -o b=1\n# after\nx unix - - n - - pipe\n", "2",
         "  -o b=1\n  -o a=2\n# after\nx unix - - n - - pipe\n"),
        ("# c\n  -o b=1\n", "2", "# c\n  -o b=1\n  -o a=2\n"),
        ("  -o a=1 -o b=3\n", "2", "  -o a=2 -o b=3\n"),
        ("  -o a=1\n  -o b=1\n  -o a=3\n", "2", "  -o b=1\n  -o a=2\n"),
        ("  -o a=1 -o a=3 -o a=4\n", "2", "  -o a=2\n"),
        ("  -oa=1\n", "2", "  -oa=2\n"),
        ("  -oa=1\n", "2 3", "  -o { a = 2 3 }\n"),
        ("  -voa=1\n", "2 3", "  -vo { a = 2 3 }\n"),
        ("  -o a=1\n", "2 3", "  -o { a = 2 3 }\n"),
        ("", "2 3", "  -o { a = 2 3 }\n"),
        ("  -o { a = 1 }\n", "2", "  -o { a = 2 }\n"),
        ("  -o {a=1}\n", "2 3", "  -o {a=2 3}\n"),
        ("  -o { a = 1,\n# c\n   9 }\n", "2", "  -o { a = 2\n# c\n }\n"),
        ("  -o { a = 1,\n   9}\n", "2", "  -o { a = 2\n   }\n"),
        ("  -o { a = }\n", "2", "  -o { a = 2 }\n"),
        ("  -o\n  a=1\n", "2", "  -o\n  a=2\n"),
        ("  -o b=1 word\n", "2", "  -o b=1 -o a=2 word\n"),
        ("  -o a=\n", "2", "  -o a=2\n"),
        ("  -o a=1\n", "", "  -o a=\n"),
    ],
)  # fmt: skip
def test_setting_an_override(options, value, after):
    change = SetOverride(service=SERVICE, name="a", value=value)
    assert master_after(HEAD + options, change) == HEAD + after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (HEAD + "  -o a=1\n", HEAD),
        (HEAD + "  -o a=1 -o b=2\n", HEAD + "  -o b=2\n"),
        (HEAD + "  -o b=2 -o a=1\n", HEAD + "  -o b=2\n"),
        (HEAD + "  -o b=2 -o a=1 -o c=3\n", HEAD + "  -o b=2 -o c=3\n"),
        (HEAD + "  -o a=1 -o a=2\n  -o b=1\n  -o a=3\n", HEAD + "  -o b=1\n"),
        (HEAD + "# c\n  -o a=1\n# d\n", HEAD + "# c\n# d\n"),
        (HEAD + "  -o { a =\n # c\n  1 }\n  -o b=2\n", HEAD + " # c\n  -o b=2\n"),
        (HEAD + "  -o { a =\n  1 } -v\n", HEAD + "  -v\n"),
        (HEAD + "  -o { a =\n  1} -v\n", HEAD + "  -v\n"),
        (HEAD + "  -voa=1\n", HEAD + "  -v\n"),
        (HEAD + "  -vo a=1\n", HEAD + "  -v\n"),
        (HEAD + "  -o\n  a=1\n", HEAD),
        (HEAD + "  -o a=1\r\n", HEAD),
        (HEAD + "  -o a=1", HEAD),
        (HEAD + "  -o b=1\n", HEAD + "  -o b=1\n"),
        (HEAD[:-1] + " -o a=1\n", HEAD),
        (HEAD + "  -o a=1\n" + HEAD + "  -o a=2\n", HEAD + HEAD),
    ],
)
def test_removing_an_override(before, after):
    assert master_after(before, RemoveOverride(service=SERVICE, name="a")) == after


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (SetParameter(name="a", value="1\nb = 2"), "line break"),
        (SetParameter(name="a", value="1\0"), "line break"),
        (SetParameter(name="a", value="1\rb"), "line break"),
        (SetParameter(name="a = 1\nb", value="1"), "line break"),
        (SetParameter(name="#a", value="1"), "line break"),
        (SetOverride(service=SERVICE, name="a", value="1\n2"), "line break"),
        (SetOverride(service=SERVICE, name="a", value="{"), "braces do not match"),
        (SetOverride(service=SERVICE, name="a", value="}{"), "braces do not match"),
        (SetOverride(service="smtps/inet", name="a", value="1"), "no service smtps/inet"),
        (RemoveOverride(service="smtps/inet", name="a"), "no service smtps/inet"),
    ],
)
def test_what_cannot_be_expressed_is_refused(change, said):
    with pytest.raises(EditError, match=said):
        edit(Texts(main_cf="a = 0\n", master_cf=HEAD), [change])


def test_two_values_for_one_parameter_are_refused():
    both = [SetParameter(name="a", value="1"), SetParameter(name="a", value="2")]
    with pytest.raises(EditError, match=r"main\.cf: a cannot be set to '1' where it stands"):
        main_after("a = 0\n", *both)


@pytest.mark.parametrize("options", ["  -o", "  -o b=${x", "  -o b=1\0\n", "  -o { b = 1\n"])
def test_an_entry_that_would_swallow_the_option_is_refused(options):
    with pytest.raises(EditError, match=r"master\.cf:1: a of submission/inet"):
        master_after(HEAD + options, SetOverride(service=SERVICE, name="a", value="1"))


def test_nothing_to_do_leaves_both_files_alone():
    for kind in ("main_cf", "master_cf"):
        for case in (CASES / kind).glob("*.cf"):
            text = case.read_bytes().decode("utf-8", "surrogateescape")
            assert edit(Texts(main_cf=text, master_cf=text), []) == Texts(
                main_cf=text, master_cf=text
            )


def others(pairs, *names):
    return {name: value for name, value in pairs.items() if name not in names}


def judge_main(postconf, built_in, before, change, wanted):
    """postconf sees the wanted value, every other one as before; a second edit does nothing.

    Of the names of the house postconf lists those that a value refers to, so
    that they come and go with the value: only built-in names are compared.
    """
    after = main_after(before, change)
    assert main_after(after, change) == after
    old, new = (
        postconf.ask("-n", main_cf=text.encode("utf-8", "surrogateescape")).pairs()
        for text in (before, after)
    )
    assert new.get(change.name) == wanted
    house = {*new, *old} - built_in
    assert others(new, change.name, *house) == others(old, change.name, *house)
    untouched = [one for one in before.split("\n") if one.lstrip().startswith("#")]
    assert [one for one in after.split("\n") if one.lstrip().startswith("#")] == untouched


VALUES = ["", "may", ">=TLSv1.2", "a b", "!SSLv2, !SSLv3", "#x", "=", "${x?{a b}}", "ü", "'"]
READABLE = [
    text
    for one in sorted((CASES / "main_cf").glob("*.cf"))
    if not read_main_cf(text := one.read_bytes().decode("utf-8", "surrogateescape")).problems
]
MAIN_TEXTS = st.one_of(
    st.sampled_from(READABLE),
    st.lists(
        st.sampled_from(
            [
                f"{LEVEL} = may\n",
                f"{LEVEL}=\n",
                f"{LEVEL} =\n  a,\n  b\n",
                f"{LEVEL} = a\r\n\tb\r\n",
                "mail_name = x\n",
                "mail_name =\n# c\n  y\n",
                "# c\n",
                "\n",
                f"#{LEVEL} =\n",
                "  on\n",
                f"{LEVEL} = a\x00b\n",
                f"{LEVEL}\n  = z\n",
                f"{LEVEL} =\n #c\n\n  a\n",
            ]
        ),
        max_size=6,
    ).map("".join),
)
quick = settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@quick
@given(MAIN_TEXTS, st.sampled_from(VALUES), st.booleans())
def test_setting_a_parameter_sets_that_and_nothing_else(postconf, built_in, text, value, cut):
    text = text.rstrip("\n") if cut else text
    judge_main(postconf, built_in, text, SetParameter(name=LEVEL, value=value), value)


@quick
@given(MAIN_TEXTS, st.booleans())
def test_removing_a_parameter_removes_that_and_nothing_else(postconf, built_in, text, cut):
    text = text.rstrip("\n") if cut else text
    judge_main(postconf, built_in, text, RemoveParameter(name=LEVEL), None)


def parameters(postconf, text):
    content = text.encode("utf-8", "surrogateescape")
    pairs = postconf.ask("-P", master_cf=content).pairs()
    return pairs, postconf.ask("-M", master_cf=content).lines


def judge_master(postconf, before, change, wanted):
    """postconf sees the wanted override, all else as before; a second edit does nothing."""
    try:
        after = master_after(before, change)
    except EditError:
        return
    assert master_after(after, change) == after
    old, entries = parameters(postconf, before)
    new, entries_after = parameters(postconf, after)
    name = f"{SERVICE}/{change.name}"
    assert new.get(name) == wanted
    assert others(new, name) == others(old, name)
    assert len(entries) == len(entries_after)
    kept = [
        (one, other) for one, other in zip(entries, entries_after, strict=False) if one != other
    ]
    assert all(one.startswith("submission inet ") for one, _ in kept)
    comments = [one for one in before.split("\n") if one.lstrip().startswith("#")]
    assert [one for one in after.split("\n") if one.lstrip().startswith("#")] == comments


MASTER_TEXTS = st.builds(
    "{}{}{}{}".format,
    st.sampled_from(["", "# c\n", "smtp inet n - y - - smtpd\n  -o mail_name=x\n"]),
    st.lists(
        st.sampled_from(
            [
                "submission inet n - y - - smtpd\n",
                "submission inet n - y - - smtpd -o mail_name=s\n",
                "submission inet n - y - - smtpd\r\n",
                "submission inet n - y - - smtpd -v\n",
            ]
        ),
        min_size=1,
        max_size=1,
    ).map("".join),
    st.lists(
        st.sampled_from(
            [
                f"  -o {LEVEL}=may\n",
                f"  -o {LEVEL}=may -o mail_name=a\n",
                "  -o mail_name=b\n",
                f"  -o {{ {LEVEL} = a b }}\n",
                f"  -o {{ {LEVEL} =\n# c\n   a }} -v\n",
                "# c\n",
                f"  -o\n  {LEVEL}=x\n",
                f"  -vo {LEVEL}=y\r\n",
                "\n",
                "  word\n",
                f"\t-o {LEVEL}=\n",
                f"  -o {LEVEL} = no\n",
                f"#  -o {LEVEL}=c\n",
                "  -o mail_name={ a b } -v\n",
            ]
        ),
        max_size=5,
    ).map("".join),
    st.sampled_from(["", "# end\n", "qmgr unix n - n 300 1 qmgr\n", "\n\n"]),
)


@quick
@given(MASTER_TEXTS, st.sampled_from(VALUES), st.booleans())
def test_setting_an_override_sets_that_and_nothing_else(postconf, text, value, cut):
    text = text.rstrip("\n") if cut else text
    judge_master(postconf, text, SetOverride(service=SERVICE, name=LEVEL, value=value), value)


@quick
@given(MASTER_TEXTS, st.booleans())
def test_removing_an_override_removes_that_and_nothing_else(postconf, text, cut):
    text = text.rstrip("\n") if cut else text
    judge_master(postconf, text, RemoveOverride(service=SERVICE, name=LEVEL), None)


def test_a_word_that_is_no_option_stays_behind_the_new_one():
    text = HEAD + f"  -o {LEVEL} = encrypt\n"
    after = master_after(text, SetOverride(service=SERVICE, name=LEVEL, value="may"))
    assert read_master_cf(after).services[SERVICE].winners[LEVEL].value == "may"
