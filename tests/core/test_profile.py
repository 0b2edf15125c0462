"""Profiles from TOML: inheritance, values by version, and each way to get one wrong."""

import pytest
import tomli

from postkeel.core.document import Document
from postkeel.core.errors import ConfigurationError
from postkeel.core.profile import VersionRange, resolve_profile

RULE = """\
[rule.one]
parameters = ["smtpd_tls_protocols"]
services = ["mx"]
comparison = "floor"
wanted = ["TLSv1.2"]
value = [{ postfix = ">=3.6", is = ">=TLSv1.2" }, { is = "!SSLv3" }]
severity = "error"
why = "old is\\nweak"
references = ["RFC 8996"]
"""


def documents(**texts):
    return {
        name: Document(file=f"{name}.toml", text=text, data=tomli.loads(text))
        for name, text in texts.items()
    }


def resolve(name="base", **texts):
    return resolve_profile(name, documents(**({"base": RULE} | texts)), {"floor": 1, "yes": 1})


def test_a_rule():
    (rule,) = resolve().rules
    assert rule.why == "old is weak"
    assert rule.scope == "main.cf"
    assert rule.value((3, 7, 11)) == ">=TLSv1.2"
    assert rule.value((3, 5)) == "!SSLv3"


def test_a_profile_gives_only_what_differs():
    child = """
summary = "mine"
extends = "base"
[rule.one]
severity = "warning"
[rule.two]
parameters = "smtpd_tls_auth_only"
services = "mx"
comparison = "yes"
value = "yes"
severity = "info"
why = "because it is so"
references = "a book"
"""
    found = resolve("mine", mine=child)
    assert found.lineage == ("mine", "base")
    assert [one.id for one in found.rules] == ["one", "two"]
    assert found.rule("one").severity.value == "warning"
    assert found.rule("one").wanted == ("TLSv1.2",)
    assert found.rule("two").parameters == ("smtpd_tls_auth_only",)
    assert found.rule("three") is None


def test_a_rule_can_be_switched_off_and_on_again():
    off = 'extends = "base"\n[rule.one]\nenabled = false\n'
    on = 'extends = "off"\n[rule.one]\nenabled = true\n'
    assert resolve("off", off=off).rules == ()
    assert len(resolve("on", off=off, on=on).rules) == 1


WRONG = [
    ("unknown profile", 'extends = "nowhere"', "mine.toml:1: unknown profile 'nowhere'"),
    ("itself", 'extends = "mine"', "mine.toml:1: profile extends itself"),
    ("key", 'colour = "red"', "mine.toml:1: unknown key 'colour'"),
    ("rules", "rule = 1", "mine.toml:1: rules are written as"),
    ("rule", "[rule]\none = 1", "mine.toml:2: a rule is a table"),
    ("rule key", RULE + 'color = "red"', "mine.toml:10: unknown key 'color' in rule 'one'"),
    (
        "comparison",
        RULE.replace('"floor"', '"roof"'),
        "mine.toml:4: rule 'one': unknown comparison 'roof'; known are: floor, yes",
    ),
    ("role", RULE.replace('"mx"', '"web"'), "mine.toml:3: rule 'one': unknown services 'web'"),
    ("severity", RULE.replace('"error"', '"bad"'), "mine.toml:7: rule 'one': unknown severity"),
    ("scope", RULE + 'scope = "world"', "mine.toml:10: rule 'one': unknown scope 'world'"),
    (
        "version",
        RULE.replace(">=3.6", "~3.6"),
        "mine.toml:6: rule 'one': not a version condition: '~3.6'; write one like '>=3.6'",
    ),
    ("own version", RULE + 'postfix = "3.x"', "mine.toml:10: rule 'one': not a version condition"),
    ("value", RULE.replace("is = ", "isnt = "), "mine.toml:6: rule 'one': each 'value' needs"),
    (
        "value type",
        RULE.replace('[{ postfix = ">=3.6", is = ">=TLSv1.2" }, { is = "!SSLv3" }]', "3"),
        "mine.toml:6: rule 'one': 'value' must be a text or a list",
    ),
    ("why", RULE.replace('"old is\\nweak"', '" "'), "mine.toml:8: rule 'one': 'why' must be"),
    (
        "references",
        RULE.replace('["RFC 8996"]', "[]"),
        "mine.toml:9: rule 'one': 'references' is missing or empty",
    ),
    ("words", RULE.replace('["TLSv1.2"]', "[1]"), "mine.toml:5: rule 'one': 'wanted' must be"),
    ("enabled", RULE + 'enabled = "no"', "mine.toml:10: rule 'one': 'enabled' must be"),
    ("summary", "summary = 1", "mine.toml:1: 'summary' must be a text"),
    ("outdated", 'outdated = "yes"', "mine.toml:1: 'outdated' must be true or false"),
    ("extends", "extends = 1", "mine.toml:1: 'extends' must be a text"),
    (
        "change of a rule that is not there",
        'extends = "base"\n[rule.onne]\nseverity = "info"',
        (
            "mine.toml:2: unknown rule 'onne': no profile that this one extends has it;"
            " did you mean one?"
        ),
    ),
]


@pytest.mark.parametrize(
    ("text", "message"),
    [one[1:] for one in WRONG],
    ids=[one[0] for one in WRONG],
)
def test_what_is_wrong_is_said_with_file_and_line(text, message):
    with pytest.raises(ConfigurationError) as caught:
        resolve("mine", mine=text)
    assert str(caught.value).startswith(message)


def test_what_is_wrong_in_the_base_is_said_of_the_base():
    with pytest.raises(ConfigurationError) as caught:
        resolve_profile(
            "mine",
            documents(
                base=RULE.replace('"floor"', '"roof"'),
                mine='extends = "base"\n[rule.one]\nseverity = "info"\n',
            ),
            {"floor": 1},
        )
    assert str(caught.value).startswith("base.toml:4: rule 'one': unknown comparison 'roof'")


def test_all_problems_are_said_at_once():
    text = RULE.replace('"floor"', '"roof"').replace('"error"', '"bad"')
    with pytest.raises(ConfigurationError) as caught:
        resolve("mine", mine=text)
    assert len(caught.value.problems) == 2


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(ConfigurationError, match="unknown profile 'x'; known are: base, mine"):
        resolve("x", mine="")


@pytest.mark.parametrize(
    ("text", "version", "included"),
    [
        ("", (3, 7), True),
        (">=3.6", (3, 6), True),
        (">=3.6", (3, 5, 25), False),
        (">=3.6,<3.9", (3, 9), False),
        (">=3.6,<3.9", (3, 8, 99), True),
        ("<=3.7", (3, 7, 11), True),
        (">3.7", (3, 7, 11), False),
        (">3.7", (3, 8), True),
        ("=3.7", (3, 7, 11), True),
        ("=3.7", (3, 8), False),
        (">=3.10", (3, 9), False),
        ("<3.6", (), True),
    ],
)
def test_version_range(text, version, included):
    assert VersionRange(text=text).includes(version) is included
