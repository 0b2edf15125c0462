"""Where the keys of a TOML document stand."""

import pytest
import tomli

from postkeel.core.document import Document

TEXT = """\
mode = "audit"
# profile = "commented"
profile = "strict"

[instance."/etc/postfix"]
mode = "enforce"

[rule.a-rule]
why = "x"
  severity = "error"

[[waiver]]
rule = "first"
reason = "r"

[[waiver]]
reason = "second"
rule = "b"
"""
DOCUMENT = Document(file="p.toml", text=TEXT, data=tomli.loads(TEXT))


@pytest.mark.parametrize(
    ("keys", "nth", "line"),
    [
        (("mode",), 0, 1),
        (("profile",), 0, 3),
        (("instance", "/etc/postfix"), 0, 5),
        (("instance", "/etc/postfix", "mode"), 0, 6),
        (("rule", "a-rule"), 0, 8),
        (("rule", "a-rule", "severity"), 0, 10),
        (("rule", "a-rule", "missing"), 0, 8),
        (("waiver",), 0, 12),
        (("waiver", "rule"), 0, 13),
        (("waiver",), 1, 16),
        (("waiver", "rule"), 1, 18),
        (("nowhere",), 0, 0),
        ((), 0, 0),
    ],
)
def test_line(keys, nth, line):
    assert DOCUMENT.line(*keys, nth=nth) == line


def test_a_problem_names_file_and_line():
    assert str(DOCUMENT.problem("is wrong", "rule", "a-rule")) == "p.toml:8: is wrong"
    assert str(DOCUMENT.problem("is wrong", "nowhere")) == "p.toml: is wrong"
