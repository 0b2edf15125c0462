"""expand does what the real `postconf -x` does."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from postkeel.postfix.expansion import expand
from postkeel.postfix.logical_lines import as_printed

WORLD = {
    "one": "1",
    "two": "$one$one",
    "empty": "",
    "blank": "$empty",
    "level": "may",
    "chain": "$two/${level}",
    "self": "x$self",
    "ping": "$pong",
    "pong": "$ping",
    "bad": "${level",
    "compatibility_level": "3.6",
    "relative": "${{$self_relative} == {x} ? {a} : {b}}",
}
"""What the names stand for; those that no text names are unused to postconf, and fine."""

TEXTS = [
    "plain",
    "$$",
    "a$$b",
    "$level",
    "${level}",
    "$(level)",
    "x${level}y",
    "$levelx",
    "$level-x",
    "${level_x}",
    "$unknown_name.",
    "$two",
    "$chain",
    "${level?yes}",
    "${level:no}",
    "${empty?yes}",
    "${empty:no}",
    "${blank?yes}",
    "${unknown_name?yes}",
    "${unknown_name:no}",
    "${level?{yes}}",
    "${level?{yes}:{no}}",
    "${empty?{yes}:{no}}",
    "${level ? {yes} : {no}}",
    "${ level ? yes}",
    "${level??x:{y}z}",
    "${level?a:b}",
    "${level?{a}:b}",
    "${empty?{a}:b c}",
    "${level?$two}",
    "${level?{${empty:{$chain}}}}",
    "$(level?yes)",
    "$(level?{a}:{b})",
    "${{$level} == {may}}",
    "${{$level} == {no}}",
    "${{$level} == {may} ? {x} : {y}}",
    "${{$level} != {may} ? {x} : {y}}",
    "${{$level}=={may}?{x}:{y}}",
    "${{10} > {9} ? {x} : {y}}",
    "${{10a} > {9} ? {x} : {y}}",
    "${{a} <= {b} ? {x} : {y}}",
    "${{a} >= {b} ? x}",
    "${{a} < {b} : x}",
    "${{$compatibility_level} <level {3.10} ? {no} : {yes}}",
    "${{$compatibility_level} >=level {3.6.0} ? {yes} : {no}}",
    "${{3.10} < {3.9} ? {text} : {numbers}}",
    "${{ a } == {a} ? {x} : {y}}",
    "${{9223372036854775807} > {9} ? {x} : {y}}",
    "${{00000000000000000000009} == {9} ? {x} : {y}}",
    "${{03.0006} ==level {3.6} ? {x} : {y}}",
    "${{3.1023.1023} <level {3.10} ? {x} : {y}}",
    "${{${empty:{a}}} == {a} ? {x} : {y}}",
]

REFUSED = [
    "$",
    "a$",
    "$-",
    "${}",
    "${level",
    "$(level",
    "${level{x}}",
    "${le-vel}",
    "${level x}",
    "${level?{a} b}",
    "${level?{a}:{b} c}",
    "${level:{a}:{b}}",
    "${{a} = {b} ? {x}}",
    "${{a} == b ? {x}}",
    "${{a} ==other {b} ? {x}}",
    "${{a} ==level {b} ? {x}}",
    "${{a} == {b} x}",
    "${{9223372036854775808} > {9} ? {x}}",
    "${{3.1024} <level {3.10} ? {x}}",
    "${{3.6.1024} <level {3.10} ? {x}}",
    "${{x} <level {3.10} ? {x}}",
    "$self",
    "$ping",
    "$bad",
]


def as_main_cf(text: str) -> bytes:
    lines = [f"{name} = {value}" for name, value in WORLD.items()]
    return "\n".join([*lines, f"mail_name = |{text}|", ""]).encode()


def ask_all(postconf, texts: list[str]) -> list[str | None]:
    """What `postconf -x` makes of each text as the value of a parameter; None is fatal."""
    answers = postconf.ask_all([(as_main_cf(one), b"") for one in texts], "-xh", "mail_name")
    return [None if one.lines is None else one.lines[0] for one in answers]


@pytest.fixture(scope="module")
def expanded(postconf):
    texts = [*TEXTS, *REFUSED]
    return dict(zip(texts, ask_all(postconf, texts), strict=True))


@pytest.mark.parametrize("text", TEXTS)
def test_a_text_expands_as_postconf_expands_it(expanded, text):
    assert expand(f"|{text}|", WORLD.get) == expanded[text]


@pytest.mark.parametrize("text", REFUSED)
def test_what_postconf_refuses_comes_back_as_it_was(expanded, text):
    assert expanded[text] is None
    assert expand(f"|{text}|", WORLD.get) == f"|{text}|"


PIECES = st.sampled_from(
    [
        "$level",
        "$empty",
        "$two",
        "$$",
        "a",
        "1",
        "{",
        "}",
        "${",
        "$(",
        ")",
        "?",
        ":",
        " == ",
        "<",
        "${level?",
        "${empty:",
        "${{",
        "} == {",
        "} ? {",
        "} : {",
        "}}",
        "level",
        "empty",
        " ",
        "=",
    ]
)
WHOLE = st.recursive(
    st.sampled_from(["a", "$level", "$empty", "${two}", "10", "9", "$$", "$unknown_name"]),
    lambda inner: st.one_of(
        st.builds("{}{}".format, inner, inner),
        st.builds("${{level?{{{}}}:{{{}}}}}".format, inner, inner),
        st.builds("${{empty:{}}}".format, inner),
        st.builds("${{{{{}}} {} {{{}}}?{{{}}}:{{{}}}}}".format,
            inner, st.sampled_from(["==", "!=", "<", "<=", ">", ">="]), inner, inner, inner),
    ),
    max_leaves=6,
)  # fmt: skip


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.one_of(WHOLE, st.lists(PIECES, max_size=8).map("".join)))
def test_any_text_expands_as_postconf_expands_it(postconf, fatal, text):
    ours = expand(f"|{text}|", WORLD.get)
    refused = ours == f"|{text}|" and "$" in text
    fatal.count += refused
    if fatal.count <= fatal.most or not refused:
        theirs = ask_all(postconf, [text])[0]
        assert as_printed(ours) == as_printed(f"|{text}|" if theirs is None else theirs)


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="${}()?: =<>abc1", max_size=60), st.text(alphabet="${}()ab?:", max_size=20))
def test_every_text_has_an_expansion(text, inner):
    expand(text, {"a": inner, "b": text}.get)


def test_values_that_double_at_each_step_stay_bounded():
    world = {f"n{i}": f"$n{i + 1}$n{i + 1}" for i in range(90)} | {"n90": "x" * 1000}
    assert expand("$n0", world.get) == "$n0"
